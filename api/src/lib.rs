//! Guideway's REST API: Kubernetes-shaped, so that kubectl and client-go drive it unchanged.
//!
//! Start reading at [`router`]; a request on a resource goes on in `request.rs`. The cluster is seen only through
//! [`ports::Cluster`], in the model's words.
#![forbid(unsafe_code)]

mod answer;
mod apply;
mod attribution;
mod blocking;
mod body;
mod candidate;
mod computed;
mod delete;
mod discovery;
mod document;
mod events;
mod failure;
mod health;
mod limits;
mod list;
mod metrics;
mod negotiate;
mod nodes;
mod openapi;
mod ownership;
mod patch;
mod pins;
pub mod ports;
mod protobuf;
mod query;
mod rehearsal;
mod request;
mod resource;
mod reviews;
mod router;
mod selection;
mod selector;
mod serve;
mod server;
mod sessions;
mod status;
mod table;
mod target;
mod view;
mod watch;
mod words;
mod write;

pub use limits::Limits;
pub use metrics::describe as describe_metrics;
pub use router::{Options, router};
pub use serve::serve;
