//! Secrets on their way in and out: the cluster gets and keeps them sealed, clients send and see them open.

use std::borrow::Cow;
use std::sync::Arc;

use guideway_model::command::Part;
use guideway_model::meta::Uid;
use guideway_model::resource::Secret;
use guideway_model::sealing::{self, Sealer, SealingError};
use guideway_model::{Command, Object, State};

use crate::server::Server;
use crate::status::Status;

impl Server {
    /// An object as clients see it.
    pub(crate) fn opened<'a>(&self, object: &'a Object) -> Result<Cow<'a, Object>, Status> {
        opened(self.cluster.sealer(), object)
    }

    /// An object that is gone, as clients see it: one that does not open can be deleted, and is shown without its data.
    pub(crate) fn opened_last(&self, object: Object) -> Object {
        match (self.opened(&object), &object) {
            (Ok(opened), _) => opened.into_owned(),
            (Err(_told), Object::Secret(secret)) => {
                let mut secret = Secret::clone(secret);
                secret.sealed = None;
                Object::Secret(Arc::new(secret))
            }
            (Err(_told), _) => object,
        }
    }

    /// A command as it is proposed. `state` is what the writer has seen, or later.
    pub(crate) fn sealed(&self, command: Command, state: &State) -> Result<Command, Status> {
        Ok(match command {
            Command::Create { object, uid } => Command::Create {
                object: self.sealed_object(object, &uid, state)?,
                uid,
            },
            Command::Replace {
                object,
                part: Part::Main,
                expected,
                uid: Some(uid),
            } => Command::Replace {
                object: self.sealed_object(object, &uid, state)?,
                part: Part::Main,
                expected,
                uid: Some(uid),
            },
            Command::Replace {
                object: Object::Secret(_),
                part: Part::Main,
                uid: None,
                ..
            } => return Err(Status::internal("a Secret was to be written without saying which")),
            other => other,
        })
    }

    fn sealed_object(&self, object: Object, uid: &Uid, state: &State) -> Result<Object, Status> {
        let key = object.key();
        let Object::Secret(secret) = object else {
            return Ok(object);
        };
        let stored = match state.get(&key) {
            Some(Object::Secret(stored)) => Some(stored.as_ref()),
            _ => None,
        };
        let sealed = sealing::seal(Arc::unwrap_or_clone(secret), uid, stored, self.cluster.sealer());
        let sealed = sealed.map_err(|error| unopened(&error))?;
        Ok(Object::Secret(Arc::new(sealed)))
    }
}

/// An object as clients see it.
pub(crate) fn opened<'a>(sealer: &dyn Sealer, object: &'a Object) -> Result<Cow<'a, Object>, Status> {
    match object {
        Object::Secret(secret) if secret.sealed.is_some() => {
            let opened = sealing::open(secret, sealer);
            let opened = opened.map_err(|error| unopened(&error))?;
            Ok(Cow::Owned(Object::Secret(Arc::new(opened))))
        }
        _ => Ok(Cow::Borrowed(object)),
    }
}

fn unopened(error: &SealingError) -> Status {
    tracing::error!(%error, "a Secret can be neither shown nor written");
    Status::internal(format!(
        "{error}; compare identity/sealing.key in the data folder of this node with that of another member"
    ))
}
