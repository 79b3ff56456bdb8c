//! Plain text in columns.

/// Rows of equal length, each column as wide as its widest cell; `indent` before every line.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]], indent: &str) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (width, cell) in widths.iter().zip(row) {
            line += &format!("{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_line_up_and_lines_end_clean() {
        let rows = [["NAME", "ROLE"], ["node-1", "leader"], ["é", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows, "> "), "> NAME    ROLE\n> node-1  leader\n> é\n");
    }
}
