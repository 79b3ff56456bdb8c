//! Guideway's REST API: Kubernetes-shaped, so that kubectl and client-go drive it unchanged.
//!
//! Start reading at [`router`]; a request on a resource goes on in `request.rs`. The cluster is seen only through
//! [`ports::Cluster`], in the model's words.
#![forbid(unsafe_code)]

mod access_reviews;
mod answer;
mod apply;
mod attribution;
mod audit;
mod blocking;
mod body;
mod caller;
mod candidate;
mod computed;
mod dashboard;
mod deeds;
mod delete;
mod discovery;
mod document;
mod doorman;
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
mod permission;
mod pins;
pub mod ports;
mod protobuf;
mod query;
mod rehearsal;
mod request;
mod resource;
mod reviews;
mod router;
mod sealing;
mod selection;
mod selector;
mod serve;
mod server;
mod sessions;
mod sign_in;
mod status;
mod table;
mod target;
mod tls;
mod view;
mod watch;
mod words;
mod write;

pub use audit::{AuditConfig, AuditError, AuditLog};
pub use limits::Limits;
pub use metrics::describe as describe_metrics;
pub use router::{MetricsText, Options, router};
pub use serve::{Transport, serve};
pub use tls::{ServerTls, ServerTlsError};
