//! The API over a real listener and a real state, driven by a plain HTTP client.

mod apply;
mod bodies;
mod client;
mod cluster;
mod crud;
mod delete;
mod discovery;
mod drains;
mod dry_run;
mod events;
mod failures;
mod forms;
mod health;
mod limits;
mod lists;
mod manifests;
mod nodes;
mod openapi;
mod patches;
mod pins;
mod reviews;
mod session_watches;
mod sessions;
mod status_resource;
mod watches;
