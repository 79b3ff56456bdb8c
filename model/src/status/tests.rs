//! Each documented way to be wrong, with condition type, status and reason.

mod bindings;
mod conflicts;
mod gateways;
mod grants;
mod listener_sets;
mod merged;
mod others;
mod overlap;
mod policies;
mod routes;
mod tls;
