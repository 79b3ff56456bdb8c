//! Rules of a Service.

use std::net::IpAddr;

use super::port::{IntOrString, ServicePort};
use super::{ExternalTrafficPolicy, Service, ServiceSpec, ServiceType};
use crate::faults::Faults;
use crate::format::{self, is_dns_label, is_port_name, labels_fit};
use crate::meta::rules::{NameRule, check_label, check_qualified_name};
use crate::resource::rules::{Rules, check_endpoint_address, repeated};

/// Cluster address of a Service that has none.
const HEADLESS: &str = "None";

impl Rules for Service {
    const NAMES: NameRule = NameRule::Label;

    fn fill_defaults(&mut self) {
        self.fill_spec();
    }

    fn check(&self, _version: &str, faults: &mut Faults) {
        let spec = &self.spec;
        check_ports(spec, faults);
        for (key, value) in &spec.selector {
            check_label(key, value, "spec.selector", faults);
        }
        check_cluster_addresses(spec, faults);
        for (index, address) in spec.external_ips.iter().enumerate() {
            let path = format!("spec.externalIPs[{index}]");
            match address.parse::<IpAddr>() {
                Ok(address) => check_endpoint_address(address, &path, faults),
                Err(_) => faults.invalid_text(path, address, "must be an IPv4 or IPv6 address"),
            }
        }
        if spec.service_type == ServiceType::ExternalName {
            check_external_name(spec, faults);
        }
        check_load_balancer(spec, faults);
        check_exposure(spec, faults);
    }

    fn warnings(&self) -> Vec<String> {
        if self.spec.service_type != ServiceType::LoadBalancer {
            return Vec::new();
        }
        vec![format!(
            "spec.type: LoadBalancer opens no listener here: create a Gateway with a listener for each port, and a \
             TCPRoute, UDPRoute or TLSRoute with a backendRef to Service {:?}",
            self.metadata.name
        )]
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

fn check_ports(spec: &ServiceSpec, faults: &mut Faults) {
    let ports = &spec.ports;
    if ports.is_empty() && spec.cluster_ip != HEADLESS && spec.service_type != ServiceType::ExternalName {
        faults.required("spec.ports", "0 entries: must be at least 1, or clusterIP must be None");
    }
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        if port.name.is_empty() && ports.len() > 1 {
            faults.required(format!("{path}.name"), "must be set when there are several ports");
        }
        check_port(port, &path, faults);
    }
    let named: Vec<(usize, &str)> = ports
        .iter()
        .enumerate()
        .filter(|(_, port)| !port.name.is_empty())
        .map(|(index, port)| (index, port.name.as_str()))
        .collect();
    for (second, first) in repeated(named.iter().map(|(_, name)| *name)) {
        faults.duplicate(
            format!("spec.ports[{}].name", named[second].0),
            format_args!(
                "{:?} is the name of spec.ports[{}] too",
                named[second].1, named[first].0
            ),
        );
    }
}

fn check_port(port: &ServicePort, path: &str, faults: &mut Faults) {
    if !port.name.is_empty() && !is_dns_label(&port.name) {
        faults.invalid_text(format!("{path}.name"), &port.name, format::DNS_LABEL_RULE);
    }
    match &port.target_port {
        IntOrString::Int(number) if !(1..=65_535).contains(number) => {
            faults.invalid(
                format!("{path}.targetPort"),
                &(*number).into(),
                "must be between 1 and 65535, or the name of a port",
            );
        }
        IntOrString::String(name) if !is_port_name(name) => {
            faults.invalid_text(
                format!("{path}.targetPort"),
                name,
                "must be a number, or a name of at most 15 lower-case letters, digits and single '-' with at least \
                 one letter",
            );
        }
        IntOrString::Int(_) | IntOrString::String(_) => {}
    }
    if let Some(protocol) = &port.app_protocol {
        check_qualified_name(protocol, &format!("{path}.appProtocol"), faults);
    }
}

fn check_cluster_addresses(spec: &ServiceSpec, faults: &mut Faults) {
    let addresses = std::iter::once(("spec.clusterIP".to_owned(), &spec.cluster_ip)).chain(
        spec.cluster_ips
            .iter()
            .enumerate()
            .map(|(index, address)| (format!("spec.clusterIPs[{index}]"), address)),
    );
    for (path, address) in addresses {
        let named = address.is_empty() || address == HEADLESS;
        if !named && address.parse::<IpAddr>().is_err() {
            faults.invalid_text(path, address, "must be empty, None, or an IPv4 or IPv6 address");
        }
    }
    if let Some(first) = spec.cluster_ips.first()
        && *first != spec.cluster_ip
    {
        faults.invalid_text(
            "spec.clusterIPs",
            first,
            format_args!("first value must be that of clusterIP, {:?}", spec.cluster_ip),
        );
    }
    if spec.service_type == ServiceType::ExternalName && !spec.cluster_ip.is_empty() {
        faults.forbidden("spec.clusterIP", "must not be set when type is ExternalName");
    }
    for (index, first) in repeated(&spec.ip_families) {
        faults.duplicate(
            format!("spec.ipFamilies[{index}]"),
            format_args!("{:?} is spec.ipFamilies[{first}] too", spec.ip_families[index]),
        );
    }
}

fn check_external_name(spec: &ServiceSpec, faults: &mut Faults) {
    let name = spec.external_name.strip_suffix('.').unwrap_or(&spec.external_name);
    if name.is_empty() {
        faults.required("spec.externalName", "must be set when type is ExternalName");
    } else if name.len() > 253 || !format::matches(format::DNS_SUBDOMAIN, &name.to_lowercase()) || !labels_fit(name) {
        faults.invalid_text(
            "spec.externalName",
            &spec.external_name,
            "must be a DNS name of at most 253 characters (RFC 1123)",
        );
    }
}

fn check_load_balancer(spec: &ServiceSpec, faults: &mut Faults) {
    for (index, range) in spec.load_balancer_source_ranges.iter().enumerate() {
        if !is_range(range.trim()) {
            faults.invalid_text(
                format!("spec.loadBalancerSourceRanges[{index}]"),
                range,
                "must be an address and a prefix length, such as 192.0.2.0/24",
            );
        }
    }
    if let Some(class) = &spec.load_balancer_class {
        check_qualified_name(class, "spec.loadBalancerClass", faults);
    }
    if spec.service_type == ServiceType::LoadBalancer {
        return;
    }
    for (field, set) in [
        ("spec.loadBalancerClass", spec.load_balancer_class.is_some()),
        (
            "spec.loadBalancerSourceRanges",
            !spec.load_balancer_source_ranges.is_empty(),
        ),
        (
            "spec.allocateLoadBalancerNodePorts",
            spec.allocate_load_balancer_node_ports.is_some(),
        ),
    ] {
        if set {
            faults.forbidden(field, "must only be set when type is LoadBalancer");
        }
    }
}

fn check_exposure(spec: &ServiceSpec, faults: &mut Faults) {
    let exposed = matches!(spec.service_type, ServiceType::NodePort | ServiceType::LoadBalancer);
    if spec.external_traffic_policy.is_some() && !exposed && spec.external_ips.is_empty() {
        faults.forbidden(
            "spec.externalTrafficPolicy",
            "must only be set when type is NodePort or LoadBalancer, or with externalIPs",
        );
    }
    let local = spec.service_type == ServiceType::LoadBalancer
        && spec.external_traffic_policy == Some(ExternalTrafficPolicy::Local);
    if spec.health_check_node_port != 0 && !local {
        faults.forbidden(
            "spec.healthCheckNodePort",
            "must only be set when type is LoadBalancer and externalTrafficPolicy is Local",
        );
    }
    if let Some(preference) = &spec.traffic_distribution {
        let options = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        if !options.contains(&preference.as_str()) {
            faults.not_supported("spec.trafficDistribution", preference, &options);
        }
    }
}

fn is_range(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        let most = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        length.parse::<u8>().is_ok_and(|length| length <= most)
    })
}
