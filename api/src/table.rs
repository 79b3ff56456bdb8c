//! Columns of `kubectl get`, kind by kind, and their cells. Columns of priority 1 are shown with `-o wide`.
//!
//! Cells are read from the JSON of an object, which is what the columns of Kubernetes are written against too.

mod age;
mod cells;
mod kinds;
mod live;

use serde_json::{Value, json};

use crate::resource::Resource;

/// One column.
pub(crate) struct Column {
    name: &'static str,
    kind: CellType,
    /// What is in it.
    description: &'static str,
    wide: bool,
    cell: fn(&Value) -> Value,
}

/// Type of a column's cells.
#[derive(Clone, Copy)]
enum CellType {
    Text,
    Name,
    Number,
}

/// `columnDefinitions` of a resource.
pub(crate) fn columns(resource: &Resource) -> Value {
    let define = |column: &Column| {
        let (kind, format) = match column.kind {
            CellType::Text => ("string", ""),
            CellType::Name => ("string", "name"),
            CellType::Number => ("integer", ""),
        };
        json!({
            "name": column.name,
            "type": kind,
            "format": format,
            "description": column.description,
            "priority": u8::from(column.wide),
        })
    };
    kinds::columns(resource).iter().map(define).collect()
}

/// `cells` of one object's row.
pub(crate) fn cells(resource: &Resource, object: &Value) -> Value {
    kinds::columns(resource)
        .iter()
        .map(|column| (column.cell)(object))
        .collect()
}
