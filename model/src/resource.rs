//! The resource types, one file a kind: shape, defaults and rules.
//!
//! The serde attributes give the JSON of the API, the schemars attributes the bounds of single fields; both the
//! published schemas and decoding use them. What needs more than one field is in `rules` and each kind's part
//! of it.

mod backend;
mod endpoint_slice;
mod gateway;
mod gateway_class;
mod namespace;
mod reference;
pub(crate) mod rules;
mod service;
mod tcp_route;

pub use backend::{Backend, BackendEndpoint, BackendSpec, BackendStatus};
pub use endpoint_slice::{
    AddressType, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForNode, ForZone, SliceEndpoint,
};
pub use gateway::address::{GatewayAddress, GatewayStatusAddress};
pub use gateway::listener::{
    AllowedRoutes, Listener, ListenerTls, RouteGroupKind, RouteNamespaceScope, RouteNamespaces, TlsMode,
};
pub use gateway::tls::{
    FrontendTls, FrontendTlsConfig, FrontendValidation, FrontendValidationMode, GatewayBackendTls, GatewayTls,
    PortFrontendTls,
};
pub use gateway::{
    AllowedListeners, Gateway, GatewayInfrastructure, GatewaySpec, GatewayStatus, ListenerNamespaceScope,
    ListenerNamespaces, ListenerStatus,
};
pub use gateway_class::{GatewayClass, GatewayClassSpec, GatewayClassStatus, SupportedFeature};
pub use namespace::{Namespace, NamespacePhase, NamespaceSpec, NamespaceStatus};
pub use reference::{
    BackendRef, GATEWAY_GROUP, LocalParametersReference, ObjectReference, ParametersReference, ParentReference,
    ReferentReference, SecretReference,
};
pub use service::port::{IntOrString, IpProtocol, ServicePort};
pub use service::status::{LoadBalancerIngress, LoadBalancerPortStatus, LoadBalancerStatus, ServiceStatus};
pub use service::{
    ClientIpConfig, ExternalTrafficPolicy, InternalTrafficPolicy, IpFamily, IpFamilyPolicy, Service, ServiceSpec,
    ServiceType, SessionAffinity, SessionAffinityConfig,
};
pub use tcp_route::{RouteParentStatus, RouteStatus, TcpRoute, TcpRouteRule, TcpRouteSpec};
