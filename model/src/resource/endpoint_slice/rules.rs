//! Rules of an EndpointSlice.

use std::net::IpAddr;

use super::{AddressType, EndpointPort, EndpointSlice, SliceEndpoint};
use crate::faults::Faults;
use crate::format::{self, is_dns_label, labels_fit};
use crate::meta::rules::{check_label, check_qualified_name};
use crate::resource::rules::{IMMUTABLE, Rules, check_endpoint_address, repeated};

impl Rules for EndpointSlice {
    fn check(&self, _version: &str, faults: &mut Faults) {
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            endpoint.check(self.address_type, &format!("endpoints[{index}]"), faults);
        }
        for (index, port) in self.ports.iter().enumerate() {
            port.check(&format!("ports[{index}]"), faults);
        }
        for (index, first) in repeated(self.ports.iter().map(|port| &port.name)) {
            faults.duplicate(
                format!("ports[{index}].name"),
                format_args!("{:?} is the name of ports[{first}] too", self.ports[index].name),
            );
        }
    }

    fn check_update(&self, old: &Self, faults: &mut Faults) {
        if self.address_type != old.address_type {
            faults.broken_rule(
                "addressType",
                IMMUTABLE,
                format_args!(
                    "it is {:?} and cannot become {:?}; create another EndpointSlice",
                    old.address_type, self.address_type
                ),
            );
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        (self.address_type, &self.endpoints, &self.ports) == (other.address_type, &other.endpoints, &other.ports)
    }
}

impl SliceEndpoint {
    fn check(&self, address_type: AddressType, path: &str, faults: &mut Faults) {
        for (index, address) in self.addresses.iter().enumerate() {
            check_address(address, address_type, &format!("{path}.addresses[{index}]"), faults);
        }
        if let Some(hostname) = &self.hostname {
            let path = format!("{path}.hostname");
            if !is_dns_label(hostname) {
                faults.invalid_text(path, hostname, format::DNS_LABEL_RULE);
            }
        }
        if let Some(node) = &self.node_name {
            format::check(format::DNS_SUBDOMAIN, node, &format!("{path}.nodeName"), faults);
        }
        for (key, value) in &self.deprecated_topology {
            check_label(key, value, &format!("{path}.deprecatedTopology"), faults);
        }
    }
}

fn check_address(address: &str, address_type: AddressType, path: &str, faults: &mut Faults) {
    match (address_type, address.parse::<IpAddr>()) {
        (AddressType::IPv4, Ok(ip @ IpAddr::V4(_))) | (AddressType::IPv6, Ok(ip @ IpAddr::V6(_))) => {
            check_endpoint_address(ip, path, faults);
        }
        (AddressType::IPv4, _) => {
            faults.invalid_text(path, address, "must be an IPv4 address, as addressType says");
        }
        (AddressType::IPv6, _) => {
            faults.invalid_text(path, address, "must be an IPv6 address, as addressType says");
        }
        (AddressType::Fqdn, Ok(_)) => {
            faults.invalid_text(path, address, "must be a DNS name, as addressType says, not an address");
        }
        (AddressType::Fqdn, Err(_)) => check_domain_name(address, path, faults),
    }
}

fn check_domain_name(name: &str, path: &str, faults: &mut Faults) {
    let bare = name.strip_suffix('.').unwrap_or(name);
    if bare.len() > 253 {
        faults.too_long(path, bare.len(), 253, "characters");
    } else if !bare.contains('.') || !format::matches(format::DNS_SUBDOMAIN, bare) || !labels_fit(bare) {
        faults.invalid_text(
            path,
            name,
            "must be a fully qualified domain name in lower case with at least two labels, such as db.example.com",
        );
    }
}

impl EndpointPort {
    fn check(&self, path: &str, faults: &mut Faults) {
        // Longer than a port's name elsewhere, since it can be the name of a Service's port.
        if !self.name.is_empty() && !is_dns_label(&self.name) {
            faults.invalid_text(format!("{path}.name"), &self.name, format::DNS_LABEL_RULE);
        }
        if let Some(protocol) = &self.app_protocol {
            check_qualified_name(protocol, &format!("{path}.appProtocol"), faults);
        }
    }
}
