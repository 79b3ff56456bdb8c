//! Service and Namespace.

use guideway_model::Kind;
use guideway_model::object::{FieldValidation, Object};
use guideway_model::resource::{
    ExternalTrafficPolicy, IntOrString, InternalTrafficPolicy, IpProtocol, Service, ServiceType,
};

use crate::{accept, object, reject};

fn service(spec: &str) -> Service {
    match accept(Kind::Service, &format!("spec: {spec}")) {
        Object::Service(service) => (*service).clone(),
        other => panic!("{other:?} is no Service"),
    }
}

#[test]
fn defaults_are_those_of_kubernetes() {
    let plain =
        service("{ports: [{port: 5432, name: db}, {port: 53, protocol: UDP, name: dns, targetPort: dns}]}").spec;
    assert_eq!(plain.service_type, ServiceType::ClusterIP);
    assert_eq!(plain.ports[0].protocol, IpProtocol::Tcp);
    assert_eq!(plain.ports[0].target_port, IntOrString::Int(5432));
    assert_eq!(plain.ports[1].target_port, IntOrString::String("dns".to_owned()));
    assert_eq!(plain.internal_traffic_policy, Some(InternalTrafficPolicy::Cluster));
    assert_eq!(plain.external_traffic_policy, None);

    let exposed = service("{type: LoadBalancer, sessionAffinity: ClientIP, ports: [{port: 1}]}").spec;
    assert_eq!(exposed.external_traffic_policy, Some(ExternalTrafficPolicy::Cluster));
    assert_eq!(exposed.allocate_load_balancer_node_ports, Some(true));
    let client = exposed.session_affinity_config.and_then(|config| config.client_ip);
    assert_eq!(client.and_then(|client| client.timeout_seconds), Some(10_800));

    let alias = service("{type: ExternalName, externalName: db.example.com}").spec;
    assert_eq!(alias.internal_traffic_policy, None);
}

#[test]
fn a_load_balancer_says_what_opens_a_listener_here() {
    let warnings = |spec: &str| {
        let json = object(Kind::Service, &format!("spec: {spec}"));
        let decoded = Object::decode(Kind::Service, json, FieldValidation::Ignore).expect("accepted");
        decoded.warnings
    };
    assert_eq!(
        warnings("{type: LoadBalancer, ports: [{port: 53, protocol: UDP}]}"),
        [
            "spec.type: LoadBalancer opens no listener here: create a Gateway with a listener for each port, and a TCPRoute, \
             UDPRoute or TLSRoute with a backendRef to Service \"it\""
        ]
    );
    for spec in ["{ports: [{port: 1}]}", "{type: NodePort, ports: [{port: 1}]}"] {
        assert_eq!(warnings(spec), [""; 0]);
    }
}

#[test]
fn protocols_are_kept() {
    let ports = service("{ports: [{name: t, port: 53}, {name: u, port: 53, protocol: UDP}]}")
        .spec
        .ports;
    let protocols: Vec<IpProtocol> = ports.iter().map(|port| port.protocol).collect();
    assert_eq!(protocols, [IpProtocol::Tcp, IpProtocol::Udp]);
    let slice = "addressType: IPv4\nports: [{name: t, port: 53}, {name: u, port: 53, protocol: UDP}]";
    let json = accept(Kind::EndpointSlice, slice).encode("v1");
    assert_eq!(
        (&json["ports"][0]["protocol"], &json["ports"][1]["protocol"]),
        (&"TCP".into(), &"UDP".into())
    );
}

#[test]
fn every_field_of_kubernetes_is_accepted() {
    accept(
        Kind::Service,
        "
spec:
  type: LoadBalancer
  allocateLoadBalancerNodePorts: true
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10]
  externalIPs: [192.0.2.7]
  externalTrafficPolicy: Local
  healthCheckNodePort: 30100
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4, IPv6]
  ipFamilyPolicy: PreferDualStack
  loadBalancerClass: example.com/lb
  loadBalancerIP: 192.0.2.8
  loadBalancerSourceRanges: [192.0.2.0/24, '2001:db8::/32']
  ports:
  - {name: web, protocol: TCP, appProtocol: http, port: 80, targetPort: web, nodePort: 30080}
  publishNotReadyAddresses: true
  selector: {app: web}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 100}}
  trafficDistribution: PreferClose
status:
  loadBalancer: {ingress: [{ip: 192.0.2.8}]}
",
    );
    accept(
        Kind::Service,
        "spec: {type: ExternalName, externalName: Db.example.com.}",
    );
    accept(Kind::Service, "spec: {clusterIP: None}");
}

#[test]
fn services_that_are_refused() {
    for (spec, expected) in [
        ("{}", vec![("spec.ports", "0 entries: must be at least 1")]),
        (
            "{ports: [{port: 1}, {port: 2, name: b}]}",
            vec![("spec.ports[0].name", "must be set when there are several ports")],
        ),
        (
            "{ports: [{port: 1, name: a}, {port: 2, name: a}]}",
            vec![("spec.ports[1].name", "\"a\" is the name of spec.ports[0] too")],
        ),
        (
            "{ports: [{port: 1, name: a}, {port: 1, name: b, protocol: TCP}]}",
            vec![("spec.ports[1]", "port 1, protocol \"TCP\" is that of spec.ports[0] too")],
        ),
        (
            "{ports: [{port: 70000}]}",
            vec![("spec.ports[0].port", "70000: must be between 1 and 65535")],
        ),
        ("{ports: [{}]}", vec![("spec.ports[0].port", "must be set")]),
        (
            "{ports: [{port: 1, targetPort: 65536}]}",
            vec![("spec.ports[0].targetPort", "65536: must be between 1 and 65535")],
        ),
        (
            "{ports: [{port: 1, targetPort: '80'}]}",
            vec![("spec.ports[0].targetPort", "\"80\": must be a number, or a name")],
        ),
        (
            "{ports: [{port: 1, targetPort: true}]}",
            vec![(
                "spec.ports[0].targetPort",
                "expected integer or string, found boolean true",
            )],
        ),
        (
            "{ports: [{port: 1}], type: Cluster}",
            vec![("spec.type", "\"Cluster\": must be one of ClusterIP")],
        ),
        (
            "{type: ExternalName}",
            vec![("spec.externalName", "must be set when type is ExternalName")],
        ),
        (
            "{ports: [{port: 1}], clusterIP: x}",
            vec![("spec.clusterIP", "\"x\": must be empty, None, or an IPv4")],
        ),
        (
            "{ports: [{port: 1}], clusterIPs: [10.0.0.1]}",
            vec![("spec.clusterIPs", "\"10.0.0.1\": first value must be that of clusterIP")],
        ),
        (
            "{ports: [{port: 1}], ipFamilies: [IPv4, IPv4]}",
            vec![("spec.ipFamilies[1]", "IPv4 is spec.ipFamilies[0] too")],
        ),
        (
            "{ports: [{port: 1}], selector: {-a: b}}",
            vec![("spec.selector", "\"-a\": must be a name")],
        ),
        (
            "{ports: [{port: 1}], externalIPs: [x]}",
            vec![("spec.externalIPs[0]", "\"x\": must be an IPv4 or IPv6 address")],
        ),
        (
            "{ports: [{port: 1}], loadBalancerClass: a/b, externalTrafficPolicy: Local, healthCheckNodePort: 1}",
            vec![
                ("spec.loadBalancerClass", "must only be set when type is LoadBalancer"),
                (
                    "spec.externalTrafficPolicy",
                    "must only be set when type is NodePort or LoadBalancer",
                ),
                ("spec.healthCheckNodePort", "must only be set when type is LoadBalancer"),
            ],
        ),
        (
            "{ports: [{port: 1}], type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/33]}",
            vec![(
                "spec.loadBalancerSourceRanges[0]",
                "\"10.0.0.0/33\": must be an address and a prefix length",
            )],
        ),
        (
            "{ports: [{port: 1}], trafficDistribution: Far}",
            vec![("spec.trafficDistribution", "\"Far\": must be one of PreferClose")],
        ),
        (
            "{ports: [{port: 1}], sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}}",
            vec![(
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                "0: must be between 1 and 86400",
            )],
        ),
    ] {
        reject(Kind::Service, &format!("spec: {spec}"), &expected);
    }
}

#[test]
fn a_namespace_carries_its_name_as_a_label() {
    let namespace = accept(Kind::Namespace, "");
    assert_eq!(namespace.meta().labels["kubernetes.io/metadata.name"], "it");
}
