//! The transition function.

use std::sync::Arc;

use super::batch::Batch;
use super::roles::{check_built_in_role, is_built_in_role};
use super::settle::Events;
use super::{Cluster, State, halves};
use crate::command::{Command, Part, Proposal};
use crate::kind::Kind;
use crate::meta::{Timestamp, Uid};
use crate::node::{NodeFacts, NodeId};
use crate::object::{Object, ObjectKey, validate_update};
use crate::outcome::{Outcome, Refusal};
use crate::resource::{GatewayClass, Namespace};
use crate::status::overlay::keep_ours;

/// Name of the namespace that is always there.
pub const DEFAULT_NAMESPACE: &str = "default";
/// Name of the GatewayClass that is always there.
pub const BUILT_IN_CLASS: &str = "guideway";
/// `controllerName` of the classes that this controller serves, and of the status entries that it writes.
pub const CONTROLLER_NAME: &str = "guideway.dev/gateway-controller";
/// Set on every Namespace, so that selectors can name one.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What a command that was not refused has done.
enum Effect {
    Nothing,
    Member(NodeId),
    /// The object to answer with: stored, or deleted just now.
    Object(ObjectKey),
}

impl State {
    /// Applies one command at log order. Total: never fails, never panics; a refused command changes nothing but time.
    pub fn apply(&mut self, proposal: Proposal) -> Outcome {
        self.time = self.time.max(proposal.time);
        let mut batch = Batch::default();
        let mut events = Events::default();
        let level = self.level;
        let effect = match self.execute(proposal.command, &mut batch, &mut events) {
            Ok(effect) => effect,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        if level < State::IDENTITIES && self.level >= State::IDENTITIES {
            self.add_built_in_roles(&mut batch);
        }
        self.settle(&mut batch, &events);
        let wanted = match &effect {
            Effect::Object(key) => Some(key),
            Effect::Nothing | Effect::Member(_) => None,
        };
        let answer = self.commit(batch, wanted);
        match (effect, answer) {
            (Effect::Member(id), _) => Outcome::NodeId(id),
            (Effect::Object(_), Some(object)) => Outcome::Object(Box::new(object)),
            (Effect::Object(_) | Effect::Nothing, _) => Outcome::Done,
        }
    }

    /// Carries the command out. Every check comes before the first write, so a refusal leaves no trace.
    fn execute(&mut self, command: Command, batch: &mut Batch, events: &mut Events) -> Result<Effect, Refusal> {
        match command {
            Command::InitCluster {
                cluster,
                hash_seed,
                uids,
                node,
            } => {
                let cluster = Cluster {
                    uid: cluster,
                    seed: hash_seed,
                };
                self.init(batch, cluster, uids, node).map(Effect::Member)
            }
            Command::Create { object, uid } => self.create(batch, object, uid).map(Effect::Object),
            Command::Replace {
                object,
                part,
                expected,
                uid,
            } => self
                .replace(batch, object, part, expected, uid.as_ref())
                .map(Effect::Object),
            Command::Delete { key, expected, uid } => {
                self.delete(batch, &key, expected, uid.as_ref())?;
                Ok(Effect::Object(key))
            }
            Command::JoinNode { node } => {
                let id = self.join_node(node)?;
                events.members = true;
                Ok(Effect::Member(id))
            }
            Command::CreateJoinToken { id, secret, expires } => {
                self.create_join_token(id, secret, expires).map(|()| Effect::Nothing)
            }
            Command::RevokeJoinToken { id } => self.revoke_join_token(&id).map(|()| Effect::Nothing),
            Command::Admit {
                node,
                key,
                token,
                secret,
            } => self.admit(node, key, token, &secret, events).map(Effect::Member),
            Command::SetNodeKeys { node, keys } => self.set_node_keys(node, keys).map(|()| Effect::Nothing),
            Command::SetSealingKey { id } => {
                self.sealing_key = Some(id);
                Ok(Effect::Nothing)
            }
            Command::NodeUp {
                node,
                incarnation,
                facts,
            } => self.node_up(node, incarnation, facts, events).map(|()| Effect::Nothing),
            Command::NodeDown { node, incarnation } => {
                self.node_down(node, incarnation, events).map(|()| Effect::Nothing)
            }
            Command::RemoveNode { node } => self.remove_node(node, events).map(|()| Effect::Nothing),
            Command::ReportBinds {
                node,
                incarnation,
                binds,
            } => self
                .report_binds(node, incarnation, binds, events)
                .map(|()| Effect::Nothing),
            Command::Prepared {
                node,
                incarnation,
                generation,
            } => self.prepared(node, incarnation, generation).map(|()| Effect::Nothing),
            Command::PassOver { node, generation } => self.pass_over(node, generation).map(|()| Effect::Nothing),
            Command::Pins(batch) => self.take_pins(batch).map(|()| Effect::Nothing),
            Command::Expire { before } => self.expire(before).map(|()| Effect::Nothing),
            Command::ReportDrain { name, uid, remaining } => self
                .report_drain(batch, &name, &uid, &remaining)
                .map(|()| Effect::Nothing),
            Command::SetResolved { names } => {
                self.set_resolved(names, events);
                Ok(Effect::Nothing)
            }
        }
    }

    fn init(
        &mut self,
        batch: &mut Batch,
        cluster: Cluster,
        [namespace_uid, class_uid]: [Uid; 2],
        node: NodeFacts,
    ) -> Result<NodeId, Refusal> {
        if self.cluster.is_some() {
            return Err(Refusal::AlreadyInitialised);
        }
        self.cluster = Some(cluster);
        // Not what this binary can: the log may be older than it, and must give every node the same level.
        self.level = node.level.min(State::LEVEL);
        let mut namespace = Namespace::default();
        namespace.metadata.name = DEFAULT_NAMESPACE.to_owned();
        self.insert_new(batch, Object::Namespace(Arc::new(namespace)), namespace_uid);
        let mut class = GatewayClass::default();
        class.metadata.name = BUILT_IN_CLASS.to_owned();
        class.spec.controller_name = CONTROLLER_NAME.to_owned();
        class.spec.description = Some("The Gateways of this cluster.".to_owned());
        self.insert_new(batch, Object::GatewayClass(Arc::new(class)), class_uid);
        self.join_node(node)
    }

    fn create(&mut self, batch: &mut Batch, object: Object, uid: Uid) -> Result<ObjectKey, Refusal> {
        let key = object.key();
        self.check_namespace(&key)?;
        if self.objects.contains_key(&key) {
            return Err(Refusal::AlreadyExists(key));
        }
        if self.objects.len() >= State::OBJECTS_KEPT {
            return Err(Refusal::TooMany {
                what: "objects".to_owned(),
                limit: State::OBJECTS_KEPT as u64,
            });
        }
        self.check_level_of(&object)?;
        self.admit_drain(&object, None)?;
        self.insert_new(batch, object, uid);
        Ok(key)
    }

    /// A namespaced object needs its namespace; a cluster-scoped one must not name any.
    fn check_namespace(&self, key: &ObjectKey) -> Result<(), Refusal> {
        if !key.kind.info().namespaced {
            return if key.namespace.is_empty() {
                Ok(())
            } else {
                Err(Refusal::NotFound(key.clone()))
            };
        }
        let namespace = namespace_key(&key.namespace);
        if self.objects.contains_key(&namespace) {
            Ok(())
        } else {
            Err(Refusal::NotFound(namespace))
        }
    }

    pub(super) fn insert_new(&mut self, batch: &mut Batch, mut object: Object, uid: Uid) {
        let created = Timestamp::from(self.time);
        let meta = object.meta_mut();
        meta.uid = uid;
        meta.creation_timestamp = Some(created);
        meta.deletion_timestamp = None;
        meta.generation = 1;
        meta.resource_version = 0;
        self.put(batch, halves::with_fresh_status(labelled(object)));
    }

    fn replace(
        &mut self,
        batch: &mut Batch,
        object: Object,
        part: Part,
        expected: Option<u64>,
        uid: Option<&Uid>,
    ) -> Result<ObjectKey, Refusal> {
        let key = object.key();
        let stored = self.expect(&key, expected, uid)?;
        let replaced = match part {
            Part::Main => {
                let causes = validate_update(stored, &object);
                if !causes.is_empty() {
                    return Err(Refusal::Invalid { key, causes });
                }
                check_built_in_role(stored, &object)?;
                self.admit_drain(&object, Some(stored))?;
                halves::with_main(stored, labelled(object))
            }
            Part::Status => keep_ours(self, stored, halves::with_status(stored, &object)),
        };
        // Put even if nothing changed: the batch then answers with the object, and costs no revision.
        self.put(batch, replaced);
        Ok(key)
    }

    fn delete(
        &mut self,
        batch: &mut Batch,
        key: &ObjectKey,
        expected: Option<u64>,
        uid: Option<&Uid>,
    ) -> Result<(), Refusal> {
        self.expect(key, expected, uid)?;
        check_not_built_in(key)?;
        if key.kind == Kind::Namespace {
            for content in self.contents_of(&key.name) {
                self.remove(batch, &content);
            }
        }
        self.remove(batch, key);
        Ok(())
    }

    fn contents_of(&self, namespace: &str) -> Vec<ObjectKey> {
        Kind::all()
            .filter(|kind| kind.info().namespaced)
            .flat_map(|kind| self.list(kind, Some(namespace), None).map(Object::key))
            .collect()
    }

    /// The stored object, if it is the one that the writer saw.
    pub(super) fn expect(&self, key: &ObjectKey, expected: Option<u64>, uid: Option<&Uid>) -> Result<&Object, Refusal> {
        let stored = self.objects.get(key).ok_or_else(|| Refusal::NotFound(key.clone()))?;
        let meta = stored.meta();
        let same_version = expected.is_none_or(|expected| expected == meta.resource_version);
        let same_object = uid.is_none_or(|uid| *uid == meta.uid);
        if same_version && same_object {
            Ok(stored)
        } else {
            Err(Refusal::Conflict {
                key: key.clone(),
                expected,
                actual: meta.resource_version,
            })
        }
    }
}

pub(super) fn namespace_key(name: &str) -> ObjectKey {
    ObjectKey {
        kind: Kind::Namespace,
        namespace: String::new(),
        name: name.to_owned(),
    }
}

fn labelled(mut object: Object) -> Object {
    if object.kind() == Kind::Namespace {
        let meta = object.meta_mut();
        let name = meta.name.clone();
        meta.labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name);
    }
    object
}

fn check_not_built_in(key: &ObjectKey) -> Result<(), Refusal> {
    let message = match key.kind {
        Kind::Namespace if key.name == DEFAULT_NAMESPACE => {
            "the namespace \"default\" is built in and cannot be deleted; delete the objects in it instead"
        }
        Kind::GatewayClass if key.name == BUILT_IN_CLASS => {
            "the GatewayClass \"guideway\" is built in and cannot be deleted; delete the Gateways that use it instead"
        }
        Kind::ClusterRole if is_built_in_role(&key.name) => {
            "this ClusterRole is built in and cannot be deleted; delete the bindings that give it instead"
        }
        _ => return Ok(()),
    };
    Err(Refusal::Forbidden {
        key: key.clone(),
        message: message.to_owned(),
    })
}
