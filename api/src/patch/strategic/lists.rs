//! Arrays in strategic merge: replaced, merged as sets, or merged by key, then put in order.

use serde_json::Value;

use super::{Field, Marker, StrategicMergeError, marker, merge_object, stripped};

/// What a patch says about one array.
pub(super) struct ListPatch<'a> {
    /// The array, for messages.
    pub(super) path: &'a str,
    /// The items to set.
    pub(super) items: Option<&'a [Value]>,
    /// `$deleteFromPrimitiveList`
    pub(super) deleted: &'a [Value],
    /// `$setElementOrder`
    pub(super) order: Option<&'a [Value]>,
}

/// How an item is told from others.
#[derive(Clone, Copy)]
enum Identity {
    Itself,
    Key(&'static str),
}

impl Identity {
    fn of(self, item: &Value) -> Option<&Value> {
        match self {
            Identity::Itself => Some(item),
            Identity::Key(key) => item.get(key).filter(|value| !value.is_null()),
        }
    }

    fn position(self, items: &[Value], wanted: &Value) -> Option<usize> {
        items.iter().position(|item| self.of(item) == Some(wanted))
    }
}

impl ListPatch<'_> {
    /// An array without a merge strategy is one value.
    pub(super) fn replace(&self, present: Vec<Value>) -> Vec<Value> {
        match self.items {
            Some(items) => items.iter().map(stripped).collect(),
            None => present,
        }
    }

    /// Scalars: present ones less the deleted, then new ones.
    pub(super) fn merge_set(&self, present: Vec<Value>) -> Result<Vec<Value>, StrategicMergeError> {
        let mut merged: Vec<Value> = present
            .iter()
            .filter(|item| !self.deleted.contains(item))
            .cloned()
            .collect();
        for item in self.items.unwrap_or_default() {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        self.ordered(merged, &present, Identity::Itself)
    }

    /// Objects: items of equal key are merged, new ones come last.
    pub(super) fn merge_by_key(
        &self,
        present: Vec<Value>,
        key: &'static str,
        fields: &[Field],
    ) -> Result<Vec<Value>, StrategicMergeError> {
        let identity = Identity::Key(key);
        let items = self.items.unwrap_or_default();
        let mut merged = present.clone();
        for item in items {
            if self.marker(item)? == Marker::Replace {
                let others = items.iter().filter(|other| other.get(super::PATCH).is_none());
                return Ok(others.map(stripped).collect());
            }
        }
        for item in items {
            let no_key = || StrategicMergeError::NoMergeKey {
                path: self.path.to_owned(),
                key,
            };
            let wanted = identity.of(item).ok_or_else(no_key)?;
            if self.marker(item)? == Marker::Delete {
                merged.retain(|candidate| identity.of(candidate) != Some(wanted));
                continue;
            }
            match identity.position(&merged, wanted).map(|index| &mut merged[index]) {
                Some(Value::Object(found)) => {
                    let Value::Object(changes) = item else {
                        return Err(no_key());
                    };
                    merge_object(found, changes, fields, self.path)?;
                }
                _ => merged.push(stripped(item)),
            }
        }
        self.ordered(merged, &present, identity)
    }

    fn marker(&self, item: &Value) -> Result<Marker, StrategicMergeError> {
        item.as_object()
            .map_or(Ok(Marker::None), |item| marker(item, self.path))
    }

    /// Puts the items that `$setElementOrder` names in its order; the others keep their place among the present ones.
    fn ordered(
        &self,
        merged: Vec<Value>,
        present: &[Value],
        identity: Identity,
    ) -> Result<Vec<Value>, StrategicMergeError> {
        let Some(order) = self.order else {
            return Ok(merged);
        };
        let rank = |item: &Value| identity.position(order, identity.of(item)?);
        for item in self.items.unwrap_or_default() {
            if self.marker(item)? == Marker::None && rank(item).is_none() {
                return Err(StrategicMergeError::NotInOrder {
                    path: self.path.to_owned(),
                    item: identity.of(item).unwrap_or(item).to_string(),
                });
            }
        }
        let was_at = |item: &Value| identity.position(present, identity.of(item)?);
        let (mut named, others): (Vec<Value>, Vec<Value>) = merged.into_iter().partition(|item| rank(item).is_some());
        named.sort_by_key(|item| rank(item));
        let mut ordered = Vec::with_capacity(named.len() + others.len());
        let mut others = others.into_iter().peekable();
        for item in named {
            while let Some(other) = others.next_if(|other| match (was_at(other), was_at(&item)) {
                (Some(other), Some(item)) => other < item,
                _ => false,
            }) {
                ordered.push(other);
            }
            ordered.push(item);
        }
        ordered.extend(others);
        Ok(ordered)
    }
}
