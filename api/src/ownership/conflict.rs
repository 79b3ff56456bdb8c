//! Fields that an apply would take from another manager.

use guideway_model::meta::ManagedFieldsOperation;

use super::fields::Fields;
use super::managers::{Manager, Owned};
use super::path::Step;

/// One field that another manager owns and the apply would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The owner, as messages show it.
    pub(crate) manager: String,
    /// The field, such as `.spec.ports[port=80,protocol="TCP"].targetPort`.
    pub(crate) field: String,
}

/// What is in conflict, manager by manager.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts(pub(super) Vec<(Manager, Fields)>);

impl Conflicts {
    pub(super) fn add(&mut self, manager: &Manager, owned: &Owned, fields: Fields) {
        if !fields.is_empty() {
            let mut shown = manager.clone();
            shown.api_version.clone_from(&owned.api_version);
            self.0.push((shown, fields));
        }
    }

    /// Those that are not about `allowed` fields.
    pub(super) fn except(mut self, allowed: &Fields) -> Conflicts {
        for (_, fields) in &mut self.0 {
            *fields = fields.difference(allowed);
        }
        self.0.retain(|(_, fields)| !fields.is_empty());
        self
    }

    /// One entry for each field.
    pub(super) fn list(self) -> Vec<Conflict> {
        let each = |(manager, fields): (Manager, Fields)| {
            let shown = show(&manager);
            let paths = fields.paths().into_iter();
            paths.map(move |path| Conflict {
                manager: shown.clone(),
                field: path.iter().map(Step::to_string).collect(),
            })
        };
        self.0.into_iter().flat_map(each).collect()
    }
}

/// As Kubernetes names a manager in messages.
fn show(manager: &Manager) -> String {
    let mut shown = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        shown.push_str(&format!(" with subresource {:?}", manager.subresource));
    }
    if manager.operation == ManagedFieldsOperation::Update {
        shown.push_str(&format!(" using {}", manager.api_version));
    }
    shown
}
