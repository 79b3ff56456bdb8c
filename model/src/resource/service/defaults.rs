//! Defaults of a Service that depend on other fields, as Kubernetes fills them in.

use super::port::IntOrString;
use super::{
    ExternalTrafficPolicy, InternalTrafficPolicy, Service, ServiceType, SessionAffinity, SessionAffinityConfig,
};

/// How long client-IP affinity lasts unless something else is asked for: three hours.
const AFFINITY_TIMEOUT_SECONDS: u32 = 10_800;

impl Service {
    pub(super) fn fill_spec(&mut self) {
        let spec = &mut self.spec;
        for port in &mut spec.ports {
            let unset = match &port.target_port {
                IntOrString::Int(number) => *number == 0,
                IntOrString::String(name) => name.is_empty(),
            };
            if unset {
                port.target_port = IntOrString::Int(i32::from(port.port));
            }
        }
        match spec.session_affinity {
            SessionAffinity::None => spec.session_affinity_config = None,
            SessionAffinity::ClientIP => {
                spec.session_affinity_config
                    .get_or_insert_with(SessionAffinityConfig::default)
                    .client_ip
                    .get_or_insert_default()
                    .timeout_seconds
                    .get_or_insert(AFFINITY_TIMEOUT_SECONDS);
            }
        }
        let exposed = matches!(spec.service_type, ServiceType::NodePort | ServiceType::LoadBalancer);
        if exposed || !spec.external_ips.is_empty() {
            spec.external_traffic_policy
                .get_or_insert(ExternalTrafficPolicy::Cluster);
        }
        if spec.service_type != ServiceType::ExternalName {
            spec.internal_traffic_policy
                .get_or_insert(InternalTrafficPolicy::Cluster);
        }
        if spec.service_type == ServiceType::LoadBalancer {
            spec.allocate_load_balancer_node_ports.get_or_insert(true);
        }
    }
}
