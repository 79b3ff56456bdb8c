//! What is wrong with a configuration file, and where.

use std::fmt;
use std::path::PathBuf;

/// One rule that a file breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, such as `api.listen`; `None` where the text is not TOML.
    pub key: Option<String>,
    /// What was found and the rule it breaks.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file.display(), self.line, self.column)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// Every rule that a file breaks, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.0 {
            writeln!(f, "{fault}")?;
        }
        let (count, noun) = (self.0.len(), if self.0.len() == 1 { "fault" } else { "faults" });
        write!(
            f,
            "{count} {noun}; nothing was started. `guideway check-config --explain` says what each key means."
        )
    }
}

impl std::error::Error for Faults {}
