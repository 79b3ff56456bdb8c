//! A key that a demo sets in the configuration of every node.

use std::str::FromStr;

use toml::{Table, Value};

/// `data.threads=1`: a key of the configuration file, and its value as TOML has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Setting {
    table: Option<String>,
    leaf: String,
    value: Value,
}

impl Setting {
    /// Sets the key in a whole configuration.
    pub(super) fn put_into(&self, configuration: &mut Table) {
        let place = match &self.table {
            Some(table) => {
                let entry = configuration
                    .entry(table.clone())
                    .or_insert_with(|| Table::new().into());
                entry.as_table_mut()
            }
            None => Some(configuration),
        };
        // The node names a key that is not in a table where one is needed.
        if let Some(place) = place {
            place.insert(self.leaf.clone(), self.value.clone());
        }
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or("must be KEY=VALUE, such as data.threads=1")?;
        let value: Table = format!("value = {value}")
            .parse()
            .map_err(|error| format!("{value:?} is no TOML value: {error}"))?;
        let value = value.get("value").cloned().ok_or("must have a value after '='")?;
        let (table, leaf) = match key.trim().split_once('.') {
            Some((table, leaf)) => (Some(table.to_owned()), leaf),
            None => (None, key.trim()),
        };
        Ok(Setting {
            table,
            leaf: leaf.to_owned(),
            value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_added_and_replaced() {
        let mut configuration: Table = "name = \"a\"\n[data]\nthreads = 2".parse().expect("TOML");
        for text in ["data.threads=1", "data.pins = false", "log.level=\"warn\"", "name='b'"] {
            text.parse::<Setting>().expect("a setting").put_into(&mut configuration);
        }
        let expected: Table = "name = \"b\"\ndata = {threads = 1, pins = false}\nlog = {level = \"warn\"}"
            .parse()
            .expect("TOML");
        assert_eq!(configuration, expected);
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for text in ["data.threads", "data.threads=", "data.threads=one"] {
            assert!(text.parse::<Setting>().is_err(), "{text}");
        }
    }
}
