//! Sets of fields: a trie of steps in which each node may be a member, and their JSON, `FieldsV1`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::layout::Layout;
use super::path::{NotAStep, Step};

/// Steps that one path may have; deeper tries are refused, so that no walk is deep. Objects are far shallower.
const MAX_DEPTH: usize = 128;

/// A set of paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<Step, Node>);

/// What the set says of one path and of those below it. Never empty: neither a member nor with anything below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    member: bool,
    below: Fields,
}

/// JSON that is not a set of fields.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFields {
    /// A name in the trie.
    #[error(transparent)]
    Step(#[from] NotAStep),
    /// A value in the trie is not an object.
    #[error("a node of FieldsV1 is not an object")]
    NotAnObject,
    /// Too deep.
    #[error("FieldsV1 is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
}

impl Fields {
    /// Whether no path is in the set.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the step itself is in the set.
    pub(super) fn has(&self, step: &Step) -> bool {
        self.0.get(step).is_some_and(|node| node.member)
    }

    /// Paths that go on from a step.
    pub(super) fn below(&self, step: &Step) -> Option<&Fields> {
        self.0
            .get(step)
            .map(|node| &node.below)
            .filter(|below| !below.is_empty())
    }

    /// Adds one path; the empty one is in no set.
    pub(super) fn insert(&mut self, path: &[Step]) {
        if let Some((first, rest)) = path.split_first() {
            let node = self.0.entry(first.clone()).or_default();
            if rest.is_empty() {
                node.member = true;
            } else {
                node.below.insert(rest);
            }
        }
    }

    /// What is in either.
    pub(super) fn union(&self, other: &Fields) -> Fields {
        let mut all = self.clone();
        for (step, node) in &other.0 {
            let into = all.0.entry(step.clone()).or_default();
            into.member |= node.member;
            into.below = into.below.union(&node.below);
        }
        all
    }

    /// What is in both.
    pub(super) fn intersection(&self, other: &Fields) -> Fields {
        self.combine(|step, node| match other.0.get(step) {
            Some(found) => Node {
                member: node.member && found.member,
                below: node.below.intersection(&found.below),
            },
            None => Node::default(),
        })
    }

    /// What is in this and not in the other, path by path: taking `a` away leaves `a.b`.
    pub(super) fn difference(&self, other: &Fields) -> Fields {
        self.combine(|step, node| match other.0.get(step) {
            Some(found) => Node {
                member: node.member && !found.member,
                below: node.below.difference(&found.below),
            },
            None => node.clone(),
        })
    }

    /// The set with every named field on the way to a member a member too, but not keys of maps and items of lists.
    pub(super) fn with_named_fields(&self, layout: &Layout) -> Fields {
        Fields(
            self.0
                .iter()
                .map(|(step, node)| {
                    let named = !node.below.is_empty() && layout.names(step);
                    let with = Node {
                        member: node.member || named,
                        below: node.below.with_named_fields(layout.below(step)),
                    };
                    (step.clone(), with)
                })
                .collect(),
        )
    }

    /// Every path, in order.
    pub(super) fn paths(&self) -> Vec<Vec<Step>> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, prefix: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        for (step, node) in &self.0 {
            prefix.push(step.clone());
            if node.member {
                found.push(prefix.clone());
            }
            node.below.collect(prefix, found);
            prefix.pop();
        }
    }

    fn combine(&self, each: impl Fn(&Step, &Node) -> Node) -> Fields {
        let nodes = self.0.iter().map(|(step, node)| (step.clone(), each(step, node)));
        Fields(
            nodes
                .filter(|(_, node)| node.member || !node.below.is_empty())
                .collect(),
        )
    }

    /// As `FieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        Value::Object(self.to_map())
    }

    fn to_map(&self) -> Map<String, Value> {
        let node = |(step, node): (&Step, &Node)| {
            let mut below = node.below.to_map();
            if node.member && !below.is_empty() {
                below.shift_insert(0, ".".to_owned(), Value::Object(Map::new()));
            }
            (step.encode(), Value::Object(below))
        };
        self.0.iter().map(node).collect()
    }

    /// Reads `FieldsV1`.
    pub(super) fn from_json(trie: &Value) -> Result<Fields, NotFields> {
        Fields::read(trie, MAX_DEPTH)
    }

    fn read(trie: &Value, depth: usize) -> Result<Fields, NotFields> {
        let Value::Object(nodes) = trie else {
            return Err(NotFields::NotAnObject);
        };
        let depth = depth.checked_sub(1).ok_or(NotFields::TooDeep)?;
        let mut read = BTreeMap::new();
        for (name, node) in nodes.iter().filter(|(name, _)| *name != ".") {
            let below = Fields::read(node, depth)?;
            // A node without anything below it stands for itself.
            let member = below.is_empty() || node.get(".").is_some();
            read.insert(Step::parse(name)?, Node { member, below });
        }
        Ok(Fields(read))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(trie: Value) -> Fields {
        Fields::from_json(&trie).expect("fields")
    }

    #[test]
    fn sets_are_combined_path_by_path() {
        let one = fields(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let other = fields(json!({"f:a": {}, "f:c": {"f:d": {}}}));
        assert_eq!(
            one.union(&other),
            fields(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {".": {}, "f:d": {}}}))
        );
        assert_eq!(one.intersection(&other), fields(json!({"f:a": {}})));
        assert_eq!(one.difference(&other), fields(json!({"f:a": {"f:b": {}}, "f:c": {}})));
        assert_eq!(one.difference(&one), Fields::default());
    }

    #[test]
    fn other_json_is_refused() {
        assert_eq!(Fields::from_json(&json!([])), Err(NotFields::NotAnObject));
        assert_eq!(Fields::from_json(&json!({"f:a": 1})), Err(NotFields::NotAnObject));
        assert!(matches!(Fields::from_json(&json!({"a": {}})), Err(NotFields::Step(_))));
        let deep = (0..=MAX_DEPTH).fold(json!({}), |below, _| json!({ "f:a": below }));
        assert_eq!(Fields::from_json(&deep), Err(NotFields::TooDeep));
    }
}
