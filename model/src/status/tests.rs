//! Each documented way to be wrong, with condition type, status and reason.

mod bindings;
mod conflicts;
mod gateways;
mod others;
mod routes;
