//! What the tests of this crate stand on: real clusters of `guideway` processes, real clients, real servers.
//!
//! A test starts a [`Cluster`] through `guideway demo`, drives it as a user would (REST, `kubectl`, TCP clients,
//! signals) and waits for states with [`wait::until`]. Nothing here reaches into the product's crates, so a test
//! can only see what a user can see.
//!
//! Each cluster lives on loopback addresses of its own ([`Addresses`]), or in network namespaces of its own
//! ([`Cluster::start_in_boxes`]), so tests run side by side.
#![forbid(unsafe_code)]

pub mod addresses;
pub mod api;
pub mod binary;
pub mod boxes;
pub mod certificate;
pub mod cluster;
pub mod credentials;
pub mod crowd;
pub mod datagrams;
pub mod descriptors;
pub mod endpoint;
pub mod http;
pub mod kubectl;
pub mod manifest;
pub mod member;
pub mod mesh;
pub mod mosquitto;
pub mod named;
pub mod page;
pub mod postgres;
pub mod process;
pub mod program;
pub mod redis;
pub mod repository;
pub mod samples;
pub mod tls_server;
pub mod tmpfs;
pub mod traffic;
pub mod unprivileged;
pub mod visits;
pub mod wait;

pub use addresses::Addresses;
pub use api::Api;
pub use cluster::Cluster;
pub use endpoint::Endpoint;
