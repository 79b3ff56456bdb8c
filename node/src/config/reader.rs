//! Walks a TOML document key by key, collecting faults with their places.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::effective::Effective;
use super::fault::{Fault, Faults};
use super::keys::{self, Key};

/// Longest piece of a file that a fault repeats, in characters.
const FOUND_LENGTH: usize = 60;

/// Reads keys from one document.
pub(super) struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    effective: Effective,
    faults: Vec<(usize, Fault)>,
}

impl<'a> Reader<'a> {
    /// Parses the document; text that is not TOML ends here, with every place where it is not.
    pub(super) fn new(file: &'a Path, text: &'a str) -> Result<Reader<'a>, Faults> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut reader = Reader {
            file,
            text,
            root,
            effective: Effective::default(),
            faults: Vec::new(),
        };
        for error in errors {
            let at = error.span().map_or(text.len(), |span| span.start);
            reader.push(at, None, format!("not TOML: {}", error.message().replace('\n', ", ")));
        }
        if reader.faults.is_empty() {
            return Ok(reader);
        }
        let (_, faults) = reader.finish_without_unknown();
        Err(Faults(faults))
    }

    /// The value of `key`, or its default; a value that `convert` refuses is a fault.
    pub(super) fn read<T>(&mut self, key: &'static Key, convert: fn(&DeValue<'_>) -> Option<T>) -> Option<T> {
        if let Some(value) = self.find(key) {
            let span = value.span();
            let converted = convert(value.get_ref());
            let found = self.text.get(span.clone()).unwrap_or_default().to_owned();
            match converted {
                Some(_) => self.effective.push(key, found, false),
                None => self.push(span.start, Some(key.name), broken(&found, key)),
            }
            return converted;
        }
        let Some(default) = key.default else {
            self.push(0, Some(key.name), format!("missing; must be {}", key.rule));
            return None;
        };
        let parsed = DeValue::parse(default).ok().and_then(|value| convert(value.get_ref()));
        match parsed {
            Some(_) => self.effective.push(key, default.to_owned(), true),
            None => self.push(0, Some(key.name), broken(default, key)),
        }
        parsed
    }

    /// A fault of `key`, at its value if it is in the file.
    pub(super) fn fault(&mut self, key: &'static Key, problem: String) {
        let at = self.find(key).map_or(0, |value| value.span().start);
        self.push(at, Some(key.name), problem);
    }

    /// Everything that was read and every fault, unknown keys among them, in the order of the file.
    pub(super) fn finish(mut self) -> (Effective, Vec<Fault>) {
        for (span, name, problem) in unknown(self.root.get_ref()) {
            self.push(span.start, Some(&name), problem);
        }
        self.finish_without_unknown()
    }

    fn finish_without_unknown(mut self) -> (Effective, Vec<Fault>) {
        self.faults.sort_by_key(|(at, _)| *at);
        (
            self.effective,
            self.faults.into_iter().map(|(_, fault)| fault).collect(),
        )
    }

    fn find(&self, key: &Key) -> Option<&Spanned<DeValue<'a>>> {
        let (table, leaf) = key.split();
        let table = match table {
            Some(table) => self.root.get_ref().get(table)?.get_ref().as_table()?,
            None => self.root.get_ref(),
        };
        table.get(leaf)
    }

    fn push(&mut self, at: usize, key: Option<&str>, problem: String) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let fault = Fault {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: key.map(str::to_owned),
            problem,
        };
        self.faults.push((at, fault));
    }
}

fn broken(found: &str, key: &Key) -> String {
    let mut short: String = found.split_whitespace().collect::<Vec<_>>().join(" ");
    if short.chars().count() > FOUND_LENGTH {
        short = short.chars().take(FOUND_LENGTH).chain("...".chars()).collect();
    }
    format!("found {short}; must be {}", key.rule)
}

/// Keys that are not in [`keys::ALL`]: place, dotted name, and what to do.
fn unknown(root: &DeTable<'_>) -> Vec<(Range<usize>, String, String)> {
    let mut found = Vec::new();
    for (name, value) in root.iter() {
        let top = name.get_ref().as_ref();
        if keys::ALL.iter().any(|key| key.split() == (None, top)) {
            continue;
        }
        if !keys::ALL.iter().any(|key| key.split().0 == Some(top)) {
            found.push((name.span(), top.to_owned(), no_such_key(top)));
            continue;
        }
        let Some(table) = value.get_ref().as_table() else {
            let problem = format!("must be a table, such as [{top}] on a line of its own");
            found.push((value.span(), top.to_owned(), problem));
            continue;
        };
        for (leaf, _) in table.iter() {
            let leaf_name = leaf.get_ref().as_ref();
            if !keys::ALL.iter().any(|key| key.split() == (Some(top), leaf_name)) {
                let dotted = format!("{top}.{leaf_name}");
                let problem = no_such_key(&dotted);
                found.push((leaf.span(), dotted, problem));
            }
        }
    }
    found
}

fn no_such_key(name: &str) -> String {
    match keys::nearest(name) {
        Some(key) => format!("no such key; did you mean {}?", key.name),
        None => "no such key".to_owned(),
    }
}
