//! The replicated log of a Guideway cluster: openraft on sled, the transport between nodes,
//! membership, liveness and linearizable reads.
//!
//! The state that the log drives is [`guideway_model::State`]; this crate moves commands and
//! snapshots and never looks at what a command means, save for node membership. [`Consensus`] is
//! one running node. The clock is read in one place, where the leader stamps a proposal.
#![forbid(unsafe_code)]

mod announce;
mod answer;
mod ask;
mod backup;
mod beside;
mod clock;
mod config;
mod consensus;
mod credentials;
mod doubt;
mod engine;
mod identity;
mod invitation;
mod join;
mod leader;
mod liveness;
mod machine;
mod members;
mod membership;
mod metrics;
mod propose;
mod raft_types;
mod read;
mod recover;
mod renewal;
mod restore;
mod sealing;
mod shown;
mod silence;
mod space;
mod status;
mod stopped;
mod store;
mod supervisor;
mod tasks;
mod transport;
mod trust;

pub use ask::AskError;
pub use backup::{Backup, BackupError, BackupHeader, backup};
pub use beside::{Beside, BesideError};
pub use config::{Config, Tuning};
pub use consensus::{Consensus, StartError};
pub use credentials::{Credentials, CredentialsError, Names, NodeCertificate};
pub use invitation::InviteError;
pub use join::{Founding, InitError, JoinError, Joining, authority, init, join};
pub use membership::{MembershipError, TransferError};
pub use metrics::describe as describe_metrics;
pub use propose::{Committed, ProposeError};
pub use read::ReadError;
pub use recover::{Loss, LostMember, RecoverError};
pub use renewal::RotateError;
pub use restore::{RestoreError, Restoring, restore};
pub use sealing::Sealing;
pub use shown::{ShownIdentity, shown_identity};
pub use status::{Status, StoreHealth};
pub use stopped::Stopped;
