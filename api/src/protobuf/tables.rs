//! Field numbers of the messages that are read, from Kubernetes' `generated.proto` files. No message contains itself, so
//! reading one is never deeper than its table. `metadata.managedFields` are left out: what is stored of them then stands.

/// Rows of one message.
pub(super) struct Message(pub(super) &'static [Field]);

/// One field.
pub(super) struct Field {
    pub(super) number: u64,
    /// Name in JSON.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    /// A pointer in Kubernetes: a zero is a value and not an absence.
    pub(super) optional: bool,
}

/// Type of a field.
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    Message(&'static Message),
    TextMap,
    /// Values are bytes, which JSON holds as base64.
    BytesMap,
    /// Seconds since 1970, which JSON holds as RFC 3339.
    Time,
    IntOrString,
}

pub(super) const fn one(number: u64, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        repeated: false,
        optional: false,
    }
}

const fn optional(number: u64, name: &'static str, kind: Kind) -> Field {
    Field {
        optional: true,
        ..one(number, name, kind)
    }
}

pub(super) const fn many(number: u64, name: &'static str, kind: Kind) -> Field {
    Field {
        repeated: true,
        ..one(number, name, kind)
    }
}

/// Number of the field of [`ENVELOPE`] that holds the object.
pub(super) const ENVELOPE_RAW: u64 = 2;

pub(super) static ENVELOPE: Message = Message(&[one(1, "typeMeta", Kind::Message(&TYPE_META))]);

static TYPE_META: Message = Message(&[one(1, "apiVersion", Kind::Text), one(2, "kind", Kind::Text)]);

pub(super) static MAP_ENTRY: Message = Message(&[one(1, "key", Kind::Text), one(2, "value", Kind::Text)]);

pub(super) static INT_OR_STRING: Message = Message(&[
    one(1, "type", Kind::Integer),
    one(2, "intVal", Kind::Integer),
    one(3, "strVal", Kind::Text),
]);

pub(super) static OBJECT_META: Message = Message(&[
    one(1, "name", Kind::Text),
    one(2, "generateName", Kind::Text),
    one(3, "namespace", Kind::Text),
    one(5, "uid", Kind::Text),
    one(6, "resourceVersion", Kind::Text),
    one(11, "labels", Kind::TextMap),
    one(12, "annotations", Kind::TextMap),
    many(13, "ownerReferences", Kind::Message(&OWNER_REFERENCE)),
    many(14, "finalizers", Kind::Text),
]);

static OWNER_REFERENCE: Message = Message(&[
    one(1, "kind", Kind::Text),
    one(3, "name", Kind::Text),
    one(4, "uid", Kind::Text),
    one(5, "apiVersion", Kind::Text),
    optional(6, "controller", Kind::Boolean),
    optional(7, "blockOwnerDeletion", Kind::Boolean),
]);

pub(super) static TIME: Message = Message(&[one(1, "seconds", Kind::Integer)]);

pub(super) static BYTES_MAP_ENTRY: Message = Message(&[one(1, "key", Kind::Text)]);

/// Number of the field of [`BYTES_MAP_ENTRY`] that holds the value.
pub(super) const BYTES_MAP_VALUE: u64 = 2;

static CONDITION: Message = Message(&[
    one(1, "type", Kind::Text),
    one(2, "status", Kind::Text),
    one(3, "observedGeneration", Kind::Integer),
    one(4, "lastTransitionTime", Kind::Time),
    one(5, "reason", Kind::Text),
    optional(6, "message", Kind::Text),
]);

static OBJECT_REFERENCE: Message = Message(&[
    one(1, "kind", Kind::Text),
    one(2, "namespace", Kind::Text),
    one(3, "name", Kind::Text),
    one(4, "uid", Kind::Text),
    one(5, "apiVersion", Kind::Text),
    one(6, "resourceVersion", Kind::Text),
    one(7, "fieldPath", Kind::Text),
]);

pub(super) static NAMESPACE: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    one(2, "spec", Kind::Message(&NAMESPACE_SPEC)),
    one(3, "status", Kind::Message(&NAMESPACE_STATUS)),
]);

static NAMESPACE_STATUS: Message = Message(&[
    one(1, "phase", Kind::Text),
    many(2, "conditions", Kind::Message(&CONDITION)),
]);

pub(super) static SECRET: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    one(2, "data", Kind::BytesMap),
    one(3, "type", Kind::Text),
    one(4, "stringData", Kind::TextMap),
    optional(5, "immutable", Kind::Boolean),
]);

pub(super) static CONFIG_MAP: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    one(2, "data", Kind::TextMap),
    one(3, "binaryData", Kind::BytesMap),
    optional(4, "immutable", Kind::Boolean),
]);

pub(super) static ENDPOINT_SLICE: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    many(2, "endpoints", Kind::Message(&ENDPOINT)),
    many(3, "ports", Kind::Message(&ENDPOINT_PORT)),
    one(4, "addressType", Kind::Text),
]);

static ENDPOINT: Message = Message(&[
    many(1, "addresses", Kind::Text),
    one(2, "conditions", Kind::Message(&ENDPOINT_CONDITIONS)),
    optional(3, "hostname", Kind::Text),
    one(4, "targetRef", Kind::Message(&OBJECT_REFERENCE)),
    one(5, "deprecatedTopology", Kind::TextMap),
    optional(6, "nodeName", Kind::Text),
    optional(7, "zone", Kind::Text),
    one(8, "hints", Kind::Message(&ENDPOINT_HINTS)),
]);

static ENDPOINT_CONDITIONS: Message = Message(&[
    optional(1, "ready", Kind::Boolean),
    optional(2, "serving", Kind::Boolean),
    optional(3, "terminating", Kind::Boolean),
]);

static ENDPOINT_HINTS: Message = Message(&[
    many(1, "forZones", Kind::Message(&NAMED)),
    many(2, "forNodes", Kind::Message(&NAMED)),
]);

static NAMED: Message = Message(&[one(1, "name", Kind::Text)]);

static ENDPOINT_PORT: Message = Message(&[
    optional(1, "name", Kind::Text),
    optional(2, "protocol", Kind::Text),
    optional(3, "port", Kind::Integer),
    optional(4, "appProtocol", Kind::Text),
]);

static NAMESPACE_SPEC: Message = Message(&[many(1, "finalizers", Kind::Text)]);

pub(super) static SERVICE: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    one(2, "spec", Kind::Message(&SERVICE_SPEC)),
    one(3, "status", Kind::Message(&SERVICE_STATUS)),
]);

static SERVICE_STATUS: Message = Message(&[
    one(1, "loadBalancer", Kind::Message(&LOAD_BALANCER_STATUS)),
    many(2, "conditions", Kind::Message(&CONDITION)),
]);

static LOAD_BALANCER_STATUS: Message = Message(&[many(1, "ingress", Kind::Message(&LOAD_BALANCER_INGRESS))]);

static LOAD_BALANCER_INGRESS: Message = Message(&[
    one(1, "ip", Kind::Text),
    one(2, "hostname", Kind::Text),
    optional(3, "ipMode", Kind::Text),
    many(4, "ports", Kind::Message(&PORT_STATUS)),
]);

static PORT_STATUS: Message = Message(&[
    one(1, "port", Kind::Integer),
    one(2, "protocol", Kind::Text),
    optional(3, "error", Kind::Text),
]);

static SERVICE_SPEC: Message = Message(&[
    many(1, "ports", Kind::Message(&SERVICE_PORT)),
    one(2, "selector", Kind::TextMap),
    one(3, "clusterIP", Kind::Text),
    one(4, "type", Kind::Text),
    many(5, "externalIPs", Kind::Text),
    one(7, "sessionAffinity", Kind::Text),
    one(8, "loadBalancerIP", Kind::Text),
    many(9, "loadBalancerSourceRanges", Kind::Text),
    one(10, "externalName", Kind::Text),
    one(11, "externalTrafficPolicy", Kind::Text),
    one(12, "healthCheckNodePort", Kind::Integer),
    one(13, "publishNotReadyAddresses", Kind::Boolean),
    one(14, "sessionAffinityConfig", Kind::Message(&SESSION_AFFINITY_CONFIG)),
    optional(17, "ipFamilyPolicy", Kind::Text),
    many(18, "clusterIPs", Kind::Text),
    many(19, "ipFamilies", Kind::Text),
    optional(20, "allocateLoadBalancerNodePorts", Kind::Boolean),
    optional(21, "loadBalancerClass", Kind::Text),
    optional(22, "internalTrafficPolicy", Kind::Text),
    optional(23, "trafficDistribution", Kind::Text),
]);

static SESSION_AFFINITY_CONFIG: Message = Message(&[one(1, "clientIP", Kind::Message(&CLIENT_IP_CONFIG))]);

static CLIENT_IP_CONFIG: Message = Message(&[optional(1, "timeoutSeconds", Kind::Integer)]);

static SERVICE_PORT: Message = Message(&[
    one(1, "name", Kind::Text),
    one(2, "protocol", Kind::Text),
    one(3, "port", Kind::Integer),
    one(4, "targetPort", Kind::IntOrString),
    one(5, "nodePort", Kind::Integer),
    optional(6, "appProtocol", Kind::Text),
]);

pub(super) static DELETE_OPTIONS: Message = Message(&[
    optional(1, "gracePeriodSeconds", Kind::Integer),
    one(2, "preconditions", Kind::Message(&PRECONDITIONS)),
    optional(4, "propagationPolicy", Kind::Text),
    many(5, "dryRun", Kind::Text),
]);

static PRECONDITIONS: Message = Message(&[
    optional(1, "uid", Kind::Text),
    optional(2, "resourceVersion", Kind::Text),
]);
