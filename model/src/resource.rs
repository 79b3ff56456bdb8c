//! The resource types, one file a kind: shape, defaults and rules.
//!
//! The serde attributes give the JSON of the API, the schemars attributes the bounds of single fields; both the
//! published schemas and decoding use them. What needs more than one field is in `rules` and each kind's part
//! of it.

mod api_token;
mod backend;
mod backend_tls_policy;
mod backend_traffic_policy;
mod blob;
mod client_traffic_policy;
mod config_map;
mod data;
mod drain;
mod endpoint_slice;
mod gateway;
mod gateway_class;
mod keepalive;
mod listener;
mod listener_set;
mod namespace;
mod policy;
mod reference;
mod reference_grant;
mod role;
mod role_binding;
mod route;
pub(crate) mod rules;
mod secret;
mod service;
mod tcp_route;
mod time_span;
mod tls_route;
mod udp_route;

pub use api_token::{ApiToken, ApiTokenSpec};
pub use backend::{Backend, BackendEndpoint, BackendSpec, BackendStatus};
pub use backend_tls_policy::{
    BackendTlsPolicy, BackendTlsPolicySpec, BackendTlsValidation, SubjectAltName, SubjectAltNameType,
};
pub use backend_traffic_policy::{
    AffinityReplication, AffinityType, BackendAffinity, BackendTcpTimeout, BackendTimeout, BackendTrafficPolicy,
    BackendTrafficPolicySpec, BackendUdp, ClientIpAffinity, UdpMode,
};
pub use blob::Blob;
pub use client_traffic_policy::{
    ClientConnection, ClientConnectionLimit, ClientTcpTimeout, ClientTimeout, ClientTlsTimeout, ClientTrafficPolicy,
    ClientTrafficPolicySpec, ClientUdp,
};
pub use config_map::ConfigMap;
pub use drain::{
    AtDeadline, Drain, DrainBackend, DrainEndpoint, DrainNode, DrainPace, DrainPhase, DrainRemaining, DrainSpec,
    DrainStatus, DrainTarget, DrainUdp, Drained,
};
pub use endpoint_slice::{
    AddressType, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForNode, ForZone, SliceEndpoint,
};
pub use gateway::address::{GatewayAddress, GatewayStatusAddress};
pub use gateway::tls::{
    FrontendTls, FrontendTlsConfig, FrontendValidation, FrontendValidationMode, GatewayBackendTls, GatewayTls,
    PortFrontendTls,
};
pub use gateway::{
    AllowedListeners, Gateway, GatewayInfrastructure, GatewaySpec, GatewayStatus, ListenerNamespaceScope,
    ListenerNamespaces, ListenerStatus,
};
pub use gateway_class::{GatewayClass, GatewayClassSpec, GatewayClassStatus, SupportedFeature};
pub use keepalive::TcpKeepalive;
pub use listener::{
    AllowedRoutes, Listener, ListenerTls, RouteGroupKind, RouteNamespaceScope, RouteNamespaces, TlsMode,
};
pub use listener_set::{ListenerSet, ListenerSetSpec, ListenerSetStatus};
pub use namespace::{Namespace, NamespacePhase, NamespaceSpec, NamespaceStatus};
pub use policy::{AnyPolicy, PolicyAncestorStatus, PolicyStatus, PolicyTarget};
pub use reference::{
    BackendRef, GATEWAY_GROUP, LocalObjectReference, ObjectReference, ParametersReference, ParentGatewayReference,
    ParentReference, ReferentReference, SecretReference,
};
pub use reference_grant::{ReferenceGrant, ReferenceGrantFrom, ReferenceGrantSpec, ReferenceGrantTo};
pub use role::{ClusterRole, PolicyRule, Role};
pub use role_binding::{ClusterRoleBinding, RBAC_GROUP, RoleBinding, RoleKind, RoleRef, Subject, SubjectKind};
pub use route::{AnyRoute, RouteParentStatus, RouteRule, RouteSpec, RouteStatus};
pub use secret::Secret;
pub use service::port::{IntOrString, IpProtocol, ServicePort};
pub use service::status::{LoadBalancerIngress, LoadBalancerPortStatus, LoadBalancerStatus, ServiceStatus};
pub use service::{
    ClientIpConfig, ExternalTrafficPolicy, InternalTrafficPolicy, IpFamily, IpFamilyPolicy, Service, ServiceSpec,
    ServiceType, SessionAffinity, SessionAffinityConfig,
};
pub use tcp_route::TcpRoute;
pub use time_span::{NotATimeSpan, TimeSpan};
pub use tls_route::{TlsRoute, TlsRouteSpec};
pub use udp_route::UdpRoute;
