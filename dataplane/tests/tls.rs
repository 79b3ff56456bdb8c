//! What TLS ports do, asked of every driver with real sockets and real TLS.

#[path = "bed/bed.rs"]
mod bed;

#[path = "tls/hello.rs"]
mod hello;
#[path = "tls/passthrough.rs"]
mod passthrough;
#[path = "tls/reencrypt.rs"]
mod reencrypt;
#[path = "tls/terminate.rs"]
mod terminate;
#[path = "tls/watched.rs"]
mod watched;
