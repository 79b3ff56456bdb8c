//! Rules of a Gateway, in the words of the standard's CEL messages.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::address::GatewayAddress;
use super::tls::FrontendTls;
use super::{Gateway, GatewayInfrastructure};
use crate::faults::Faults;
use crate::format::{self, is_label_value};
use crate::resource::listener::check_listeners;
use crate::resource::rules::{Rules, repeated};

impl Rules for Gateway {
    fn check(&self, _version: &str, faults: &mut Faults) {
        let spec = &self.spec;
        check_listeners(&spec.listeners, faults);
        check_addresses(&spec.addresses, faults);
        if let Some(infrastructure) = &spec.infrastructure {
            check_infrastructure(infrastructure, faults);
        }
        if let Some(selector) = spec
            .allowed_listeners
            .as_ref()
            .and_then(|allowed| allowed.namespaces.selector.as_ref())
        {
            selector.check("spec.allowedListeners.namespaces.selector", faults);
        }
        if let Some(frontend) = spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref()) {
            check_frontend(frontend, faults);
        }
    }

    fn check_status(&self, faults: &mut Faults) {
        for (index, address) in self.status.addresses.iter().enumerate() {
            check_value(
                &address.address_type,
                &address.value,
                &format!("status.addresses[{index}]"),
                "Hostname value must only contain valid characters (matching \
                 ^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)",
                faults,
            );
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

fn check_addresses(addresses: &[GatewayAddress], faults: &mut Faults) {
    for (index, address) in addresses.iter().enumerate() {
        if let Some(value) = &address.value {
            check_value(
                &address.address_type,
                value,
                &format!("spec.addresses[{index}]"),
                "Hostname value must be empty or contain only valid characters (matching \
                 ^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$)",
                faults,
            );
        }
    }
    for (address_type, message) in [
        (GatewayAddress::IP_ADDRESS, "IPAddress values must be unique"),
        (GatewayAddress::HOSTNAME, "Hostname values must be unique"),
    ] {
        let values: Vec<&String> = addresses
            .iter()
            .filter(|address| address.address_type == address_type)
            .filter_map(|address| address.value.as_ref())
            .collect();
        if let Some((_, first)) = repeated(&values).first() {
            faults.broken_rule(
                "spec.addresses",
                message,
                format_args!("{:?} is there more than once", values[*first]),
            );
        }
    }
}

fn check_value(address_type: &str, value: &str, path: &str, hostname_message: &str, faults: &mut Faults) {
    if address_type == GatewayAddress::IP_ADDRESS && value.parse::<IpAddr>().is_err() {
        faults.invalid_text(
            format!("{path}.value"),
            value,
            "must be an IPv4 or IPv6 address without port or prefix length",
        );
    }
    if address_type == GatewayAddress::HOSTNAME && !format::matches(format::HOSTNAME, value) {
        faults.broken_rule(path, hostname_message, format_args!("{value:?}"));
    }
}

fn check_infrastructure(infrastructure: &GatewayInfrastructure, faults: &mut Faults) {
    check_keys(
        &infrastructure.labels,
        "spec.infrastructure.labels",
        [
            "Label keys must be in the form of an optional DNS subdomain prefix followed by a required name segment of up \
             to 63 characters.",
            "If specified, the label key's prefix must be a DNS subdomain not longer than 253 characters in total.",
        ],
        faults,
    );
    check_keys(
        &infrastructure.annotations,
        "spec.infrastructure.annotations",
        [
            "Annotation keys must be in the form of an optional DNS subdomain prefix followed by a required name segment \
             of up to 63 characters.",
            "If specified, the annotation key's prefix must be a DNS subdomain not longer than 253 characters in total.",
        ],
        faults,
    );
}

fn check_keys(map: &BTreeMap<String, String>, path: &str, [form, length]: [&str; 2], faults: &mut Faults) {
    for key in map.keys() {
        let (prefix, name) = match key.split_once('/') {
            Some((prefix, name)) => (Some(prefix), name),
            None => (None, key.as_str()),
        };
        let prefix_is_domain = prefix.is_none_or(|prefix| format::matches(format::DNS_SUBDOMAIN, prefix));
        if name.is_empty() || !is_label_value(name) || !prefix_is_domain {
            faults.broken_rule(path, form, format_args!("{key:?}"));
        }
        if prefix.is_some_and(|prefix| prefix.len() >= 253) {
            faults.broken_rule(path, length, format_args!("{key:?}"));
        }
    }
}

fn check_frontend(frontend: &FrontendTls, faults: &mut Faults) {
    if let Some((_, first)) = repeated(frontend.per_port.iter().map(|entry| entry.port)).first() {
        faults.broken_rule(
            "spec.tls.frontend.perPort",
            "Port for TLS configuration must be unique within the Gateway",
            format_args!("{} is there more than once", frontend.per_port[*first].port),
        );
    }
}
