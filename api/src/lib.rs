//! Guideway's REST API: Kubernetes-shaped, so that kubectl and client-go drive it unchanged.
//!
//! Start reading at [`router`]; a request on a resource goes on in `request.rs`. The cluster is seen only through
//! [`ports::Cluster`], in the model's words.
#![forbid(unsafe_code)]

mod answer;
mod apply;
mod attribution;
mod body;
mod candidate;
mod delete;
mod discovery;
mod document;
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
pub mod ports;
mod protobuf;
mod query;
mod request;
mod resource;
mod router;
mod selector;
mod serve;
mod server;
mod status;
mod table;
mod target;
mod view;
mod watch;
mod write;

pub use limits::Limits;
pub use metrics::describe as describe_metrics;
pub use router::{Options, router};
pub use serve::serve;
