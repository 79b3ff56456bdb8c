//! The resource types, one file a kind: shape, defaults and rules.

macro_rules! sketch {
    ($($name:ident),*) => {$(
        /// Sketch; the crate's owner gives it its own file.
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            /// `metadata`
            pub metadata: crate::meta::ObjectMeta,
        }
    )*};
}
sketch!(
    Backend,
    EndpointSlice,
    Gateway,
    GatewayClass,
    Namespace,
    Service,
    TcpRoute
);
