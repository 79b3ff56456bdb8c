//! What a command would lead to, without proposing it.

use super::State;
use crate::command::{Command, Part, Proposal};
use crate::meta::Uid;
use crate::object::Object;
use crate::outcome::{Outcome, Refusal};

impl State {
    /// The state that a command leads to once every node has prepared it: no table is on its way any more. For plans to
    /// compare; nodes count as down in it, since there is no one to wait for.
    ///
    /// # Errors
    /// The command would be refused.
    pub fn foresee(&self, command: Command) -> Result<State, Refusal> {
        let mut state = self.clone();
        let proposal = Proposal {
            time: self.time,
            command,
        };
        // Once as it is, for checks that look at live nodes.
        if let Outcome::Refused(refusal) = state.clone().apply(proposal.clone()) {
            return Err(refusal);
        }
        let nodes: Vec<_> = state.nodes.keys().copied().collect();
        for node in nodes {
            if let Some(record) = state.nodes.get_mut(&node) {
                record.live = false;
            }
        }
        match state.apply(proposal) {
            Outcome::Refused(refusal) => Err(refusal),
            Outcome::Done | Outcome::Object(_) | Outcome::NodeId(_) => Ok(state),
        }
    }

    /// The same with an object created, or replaced if it is there.
    ///
    /// # Errors
    /// The object would be refused.
    pub fn foresee_object(&self, object: Object) -> Result<State, Refusal> {
        let command = if self.get(&object.key()).is_some() {
            Command::Replace {
                object,
                part: Part::Main,
                expected: None,
                uid: None,
            }
        } else {
            Command::Create {
                object,
                uid: Uid("foreseen".to_owned()),
            }
        };
        self.foresee(command)
    }
}
