//! `guideway check-host`: whether this machine gives a node what it needs; what it finds, what it wants, why, and the line
//! that changes it. Nothing is changed, and nothing but a file without a name is written.

mod clock;
mod disk;
mod item;
mod kernel;

use clap::Args;
use serde::Serialize;

use crate::config::Config;

pub(crate) use item::{Item, Verdict};

/// How the result is printed.
#[derive(Debug, Args)]
pub(crate) struct CheckHostArgs {
    /// Print what is looked at and why as Markdown instead, without looking
    #[arg(long, hide = true)]
    pub(crate) explain: bool,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Something is not as it should be.
#[derive(Debug, thiserror::Error)]
#[error("{count} of {all} are not as wanted; `set` says how to change that")]
pub(crate) struct HostError {
    count: usize,
    all: usize,
}

/// Everything that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    items: Vec<Item>,
}

impl Report {
    /// Looks at this machine, for a node with this configuration.
    pub(crate) fn of(config: &Config) -> Report {
        let mut items = kernel::items();
        items.push(clock::item());
        items.extend(disk::items(&config.data_dir, config.store.free_space_mark));
        Report { items }
    }

    /// Four lines for each.
    pub(crate) fn text(&self) -> String {
        self.items.iter().map(Item::text).collect()
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> String {
        // Texts alone: this cannot fail, and if it did, nothing would be the answer.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// # Errors
    /// Something is not as wanted.
    pub(crate) fn result(&self) -> Result<(), HostError> {
        let wrong = self.items.iter().filter(|item| item.verdict == Verdict::Change);
        match wrong.count() {
            0 => Ok(()),
            count => Err(HostError {
                count,
                all: self.items.len(),
            }),
        }
    }
}

/// What is looked at, as the rows of a table in Markdown.
pub(crate) fn explain() -> String {
    let all = kernel::subjects().chain([&clock::CLOCK]).chain(disk::subjects());
    let mut text = "| what | wanted | why | how |\n|---|---|---|---|\n".to_owned();
    for subject in all {
        let set = subject.set.replace('|', "\\|");
        text += &format!(
            "| {} | {} | {} | `{set}` |\n",
            subject.name, subject.wanted, subject.why
        );
    }
    text
}
