//! The form in which a client wants objects: whole, as rows of a table (`kubectl get`), or only their metadata
//! (controllers that look at nothing else). `Accept` says which, as `application/json;as=Table;v=v1;g=meta.k8s.io`.

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::negotiate;
use crate::query::Parameters;
use crate::resource::api_version;
use crate::status::Status;
use crate::table;
use crate::target::Target;

/// A form, with what each row of a table brings along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    form: Form,
    include: Include,
}

/// A form of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    #[default]
    Object,
    /// `PartialObjectMetadata`
    Metadata,
    /// `Table`, in this version of `meta.k8s.io`.
    Table(&'static str),
}

/// `includeObject`: what a row of a table has besides its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Include {
    Nothing,
    #[default]
    Metadata,
    Object,
}

impl View {
    /// Reads `Accept` and `includeObject`.
    pub(crate) fn read(headers: &HeaderMap, parameters: &Parameters) -> Result<View, Status> {
        let include = match parameters.get("includeObject") {
            None | Some("Metadata") => Include::Metadata,
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            Some(other) => {
                return Err(Status::bad_request(format!(
                    "includeObject={other}: supported are None, Metadata and Object"
                )));
            }
        };
        Ok(View {
            form: negotiate::form(headers)?,
            include,
        })
    }

    /// One object as the whole answer.
    pub(crate) fn one(self, target: &Target, object: Value) -> Value {
        self.event(target, object, true)
    }

    /// One object of a watch; only the first one of a table names the columns.
    pub(crate) fn event(self, target: &Target, object: Value, first: bool) -> Value {
        match self.form {
            Form::Object => object,
            Form::Metadata => metadata_of(object),
            Form::Table(version) => {
                let seen = object["metadata"]["resourceVersion"].clone();
                let columns = first.then(|| table::columns(&target.resource));
                let row = self.row(target, object);
                table_json(version, json!({ "resourceVersion": seen }), columns, vec![row])
            }
        }
    }

    /// One object of a list.
    pub(crate) fn item(self, target: &Target, object: Value) -> Value {
        match self.form {
            Form::Object => object,
            Form::Metadata => metadata_of(object),
            Form::Table(_) => self.row(target, object),
        }
    }

    /// A list; its items, already in this form or none yet, are the last thing in it.
    pub(crate) fn list(self, target: &Target, metadata: Value, objects: Vec<Value>) -> Value {
        let resource = &target.resource;
        let items: Vec<Value> = objects.into_iter().map(|object| self.item(target, object)).collect();
        match self.form {
            Form::Object => json!({
                "kind": format!("{}List", resource.name),
                "apiVersion": api_version(resource.group, target.version),
                "metadata": metadata,
                "items": items,
            }),
            Form::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": items,
            }),
            Form::Table(version) => table_json(version, metadata, Some(table::columns(resource)), items),
        }
    }

    fn row(self, target: &Target, object: Value) -> Value {
        let mut row = Map::from_iter([("cells".to_owned(), table::cells(&target.resource, &object))]);
        let brought = match self.include {
            Include::Nothing => return Value::Object(row),
            Include::Metadata => metadata_of(object),
            Include::Object => object,
        };
        row.insert("object".to_owned(), brought);
        Value::Object(row)
    }
}

fn metadata_of(mut object: Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"].take(),
    })
}

fn table_json(version: &str, metadata: Value, columns: Option<Value>, rows: Vec<Value>) -> Value {
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": metadata,
        "columnDefinitions": columns.unwrap_or_else(|| json!([])),
        "rows": rows,
    })
}
