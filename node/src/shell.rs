//! Text that a shell reads back unchanged.

/// One word of a POSIX shell command: quoted if it has to be.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@,%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn only_what_must_be_is_quoted() {
        assert_eq!(word("/tmp/guideway-demo.x/node-1"), "/tmp/guideway-demo.x/node-1");
        assert_eq!(word("/tmp/a b"), "'/tmp/a b'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word(""), "''");
    }
}
