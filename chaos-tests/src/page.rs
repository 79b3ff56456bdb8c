//! Pages of the documentation, whose blocks of code are run.

use std::path::Path;

use crate::repository;

/// A fenced block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What stands after the opening fence, such as `yaml`.
    pub language: String,
    /// What is between the fences.
    pub text: String,
    /// Line of the opening fence, from 1.
    pub line: usize,
}

/// The blocks of a page, in order. The path is relative to the root of the repository.
pub fn blocks(path: &Path) -> Vec<Block> {
    let text = repository::read(path);
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block {
                    language: language.trim().to_owned(),
                    text: String::new(),
                    line: number + 1,
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: the last block of code has no end", path.display());
    blocks
}
