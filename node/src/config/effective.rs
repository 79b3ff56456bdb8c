//! A configuration as text: what is in effect, and what each key means.

use std::fmt;

use super::keys::{self, Key};

/// Column at which `# default` is written, where a line leaves room.
const NOTE_COLUMN: usize = 44;

/// Width of the comments of `--explain`.
const COMMENT_WIDTH: usize = 96;

/// The value of every key and whether the file said it. Displays as TOML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    values: Vec<(&'static Key, String, bool)>,
}

impl Effective {
    pub(super) fn push(&mut self, key: &'static Key, toml: String, default: bool) {
        self.values.push((key, toml, default));
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = None;
        for (key, toml, default) in &self.values {
            let (key_table, leaf) = key.split();
            if key_table != table {
                table = key_table;
                writeln!(f, "\n[{}]", key_table.unwrap_or_default())?;
            }
            let line = format!("{leaf} = {toml}");
            if *default {
                writeln!(f, "{line:NOTE_COLUMN$} # default")?;
            } else {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

/// A file to start from: every key with its default, its rule and its meaning.
pub fn explain() -> String {
    let mut text =
        String::from("# Configuration of a Guideway node. Keys that are left out have the values shown here.\n");
    let mut table = None;
    for key in keys::ALL {
        let (key_table, leaf) = key.split();
        if key_table != table {
            table = key_table;
            text.extend(["\n[", key_table.unwrap_or_default(), "]\n"]);
        } else {
            text.push('\n');
        }
        let required = if key.default.is_none() { " Required." } else { "" };
        comment(&mut text, &format!("{}{required} Must be {}.", key.meaning, key.rule));
        let shown = key.default.unwrap_or("\"node-1\"");
        text.extend([leaf, " = ", shown, "\n"]);
    }
    text
}

fn comment(text: &mut String, sentence: &str) {
    let mut width = COMMENT_WIDTH;
    for word in sentence.split_whitespace() {
        if width + 1 + word.len() > COMMENT_WIDTH {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push('#');
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + word.len();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use std::path::Path;

    #[test]
    fn the_explained_file_is_a_valid_file_of_defaults() {
        let file = Path::new("explained.toml");
        let (explained, _) = Config::parse(file, &explain()).expect("a template must be valid");
        let (defaults, _) = Config::parse(file, "name = \"node-1\"").expect("a name is all a file needs");
        assert_eq!(explained, defaults);
    }

    #[test]
    fn what_is_in_effect_can_be_read_again() {
        let file = Path::new("node.toml");
        let text = "name = \"b\"\n[data]\nsource_addresses = [\n \"10.0.0.1\",\n \"10.0.0.2\"]\nidle_timeout = '90s'\n";
        let (config, effective) = Config::parse(file, text).expect("valid");
        let (again, _) = Config::parse(file, &effective.to_string()).expect("valid");
        assert_eq!(config, again);
        assert!(effective.to_string().contains("idle_timeout = '90s'\n"), "{effective}");
        assert!(effective.to_string().contains("# default"), "{effective}");
    }

    #[test]
    fn every_key_is_read() {
        let (_, effective) = Config::parse(Path::new("node.toml"), "name = \"b\"").expect("valid");
        let read: Vec<_> = effective.values.iter().map(|(key, _, _)| key.name).collect();
        let all: Vec<_> = keys::ALL.iter().map(|key| key.name).collect();
        assert_eq!(read, all);
    }
}
