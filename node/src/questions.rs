//! What nodes ask each other about live sessions and what users did, which no state holds.
//!
//! Questions and answers are JSON over [`Consensus::ask`](guideway_consensus::Consensus::ask). They are answered on
//! blocking threads, a few at a time; more wait, and those who ask lose patience by themselves. Who asks several
//! nodes takes the answers there are in time, and says which nodes are missing.

mod asking;
mod telling;
mod work;

use std::net::SocketAddr;

use bytes::Bytes;
use guideway_model::deed::Deed;
use guideway_model::impact::EffectCounts;
use guideway_model::session::{
    LocalSessionId, Look, SessionDetail, SessionEventQuery, SessionEvents, SessionPage, SessionQuery,
};
use guideway_model::{Command, Incarnation};
use serde::{Deserialize, Serialize};

pub(crate) use asking::Asker;
pub(crate) use work::Answerer;

/// What a node is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Question {
    /// A page of its sessions.
    Sessions(SessionQuery),
    /// Which of them have opened and closed.
    SessionEvents(SessionEventQuery),
    /// One of them.
    Session {
        /// The start that has it.
        incarnation: Incarnation,
        /// Which.
        id: LocalSessionId,
        /// Once, or with what passes.
        look: Look,
    },
    /// To close some of them, with the reason `killed`.
    Close {
        /// The start that has them.
        incarnation: Incarnation,
        /// Which.
        ids: Vec<LocalSessionId>,
    },
    /// How many it has.
    Count {
        /// Endpoints that are counted on their own.
        endpoints: Vec<SocketAddr>,
    },
    /// What users did through it.
    Deeds,
    /// What would become of them, were these commands applied.
    Impact {
        /// In their order.
        commands: Vec<Command>,
    },
}

/// What a node answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// A page.
    Sessions(SessionPage),
    /// Sessions that have opened and closed.
    SessionEvents(SessionEvents),
    /// One session; `None` if it has ended.
    Session(Option<Box<SessionDetail>>),
    /// How many were closed; the others had ended.
    Closed(usize),
    /// How many there are.
    Count {
        /// All of them.
        all: u64,
        /// To each of the endpoints.
        at: Vec<(SocketAddr, u64)>,
    },
    /// What users did through it.
    Deeds(Vec<Deed>),
    /// What would become of them.
    Impact(EffectCounts),
    /// It cannot say: its data plane does not run, or it is of another version, or some of its threads did not answer.
    Nothing,
}

/// A question or an answer as it travels; one that has no JSON form becomes one that nobody understands.
fn encode<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
