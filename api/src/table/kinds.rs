//! The columns of each kind: those of Kubernetes and of the Gateway API, with what a person looks for first.

use serde_json::Value;

use super::cells::{age, agreed, all, condition, few, items, name, plain, port, reference, socket, text, until};
use super::{CellType, Column, live};
use crate::resource::Resource;

/// The columns of a resource; of kinds without a table here, name and age.
pub(super) fn columns(resource: &Resource) -> &'static [Column] {
    match (resource.group, resource.name) {
        ("", "Namespace") => NAMESPACE,
        ("", "Service") => SERVICE,
        ("", "Secret") => SECRET,
        ("", "ConfigMap") => CONFIG_MAP,
        ("", "Event") => live::EVENT,
        ("discovery.k8s.io", "EndpointSlice") => ENDPOINT_SLICE,
        ("gateway.networking.k8s.io", "GatewayClass") => GATEWAY_CLASS,
        ("gateway.networking.k8s.io", "Gateway") => GATEWAY,
        ("gateway.networking.k8s.io", "ListenerSet") => LISTENER_SET,
        ("gateway.networking.k8s.io", "TLSRoute") => TLS_ROUTE,
        ("gateway.networking.k8s.io", "TCPRoute" | "UDPRoute") => ROUTE,
        ("gateway.networking.k8s.io", "ReferenceGrant") => REFERENCE_GRANT,
        ("gateway.networking.k8s.io", "BackendTLSPolicy") => BACKEND_TLS_POLICY,
        ("guideway.dev", "ApiToken") => API_TOKEN,
        ("guideway.dev", "Backend") => BACKEND,
        ("guideway.dev", "Drain") => live::DRAIN,
        ("guideway.dev", "Node") => NODE,
        ("guideway.dev", "Pin") => live::PIN,
        ("guideway.dev", "RouteReview") => live::ROUTE_REVIEW,
        ("guideway.dev", "Session") => live::SESSION,
        ("guideway.dev", "ClientTrafficPolicy" | "BackendTrafficPolicy") => POLICY,
        _ => PLAIN,
    }
}

pub(super) const fn column(name: &'static str, description: &'static str, cell: fn(&Value) -> Value) -> Column {
    Column {
        name,
        kind: CellType::Text,
        description,
        wide: false,
        cell,
    }
}

const fn number(name: &'static str, description: &'static str, cell: fn(&Value) -> Value) -> Column {
    Column {
        kind: CellType::Number,
        ..column(name, description, cell)
    }
}

pub(super) const fn wide(name: &'static str, description: &'static str, cell: fn(&Value) -> Value) -> Column {
    Column {
        wide: true,
        ..column(name, description, cell)
    }
}

pub(super) const NAME: Column = Column {
    kind: CellType::Name,
    ..column("Name", "Name of the object, unique in its kind and namespace.", name)
};
pub(super) const AGE: Column = column("Age", "Time since the object was created.", age);
const ACCEPTED: Column = column("Accepted", "Whether it is valid and in use.", |object| {
    condition(object, "/status/conditions", "Accepted")
});
const PROGRAMMED: Column = column("Programmed", "Whether every live node listens.", |object| {
    condition(object, "/status/conditions", "Programmed")
});
const PARENTS: Column = column("Parents", "What the route wants to attach to.", |object| {
    few(items(object, "/spec/parentRefs").map(|parent| reference(parent, "Gateway")))
});
const ROUTE_ACCEPTED: Column = column("Accepted", "Whether every parent accepts the route.", |object| {
    agreed(object, "/status/parents", "Accepted")
});
const RESOLVED: Column = wide("Resolved", "Whether every backend is found and allowed.", |object| {
    agreed(object, "/status/parents", "ResolvedRefs")
});
const BACKENDS: Column = wide("Backends", "Where the route's traffic goes.", |object| {
    let rules = items(object, "/spec/rules");
    few(rules.flat_map(|rule| items(rule, "/backendRefs").map(|backend| reference(backend, "Service"))))
});
const HOSTNAMES: Column = column("Hostnames", "Names that clients ask for.", |object| {
    few(items(object, "/spec/hostnames").map(plain))
});
const LISTENERS: Column = wide("Listeners", "Names, ports and protocols.", |object| {
    let listeners = items(object, "/spec/listeners");
    few(listeners.map(|listener| format!("{}:{}", plain(&listener["name"]), port(listener))))
});
const ATTACHED: Column = wide("Routes", "Routes that are attached, listener by listener.", |object| {
    let listeners = items(object, "/status/listeners");
    few(listeners.map(|listener| format!("{}:{}", plain(&listener["name"]), plain(&listener["attachedRoutes"]))))
});
const DATA: Column = number("Data", "How many entries it has.", |object| {
    let entries = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    Value::from(entries("data") + entries("binaryData"))
});
const TARGETS: Column = column("Targets", "What the policy is for.", |object| {
    few(items(object, "/spec/targetRefs").map(|target| reference(target, "")))
});
const POLICY_ACCEPTED: Column = column(
    "Accepted",
    "Whether the policy is in force on every target.",
    |object| agreed(object, "/status/ancestors", "Accepted"),
);

static PLAIN: &[Column] = &[NAME, AGE];

static NAMESPACE: &[Column] = &[
    NAME,
    column("Status", "Whether objects can be created in it.", |object| {
        text(object, "/status/phase")
    }),
    AGE,
];

static SERVICE: &[Column] = &[
    NAME,
    column("Type", "How the Service is exposed.", |object| {
        text(object, "/spec/type")
    }),
    column(
        "Cluster-IP",
        "Kept from the manifest; no address is given out.",
        |object| {
            let address = text(object, "/spec/clusterIP");
            if address == "" { Value::from("<none>") } else { address }
        },
    ),
    column(
        "External-IP",
        "Kept from the manifest; a Gateway opens listeners.",
        |object| {
            let ingress = items(object, "/status/loadBalancer/ingress");
            let ingress = ingress.map(|entry| plain(entry.get("ip").unwrap_or(&entry["hostname"])));
            all(ingress.chain(items(object, "/spec/externalIPs").map(plain)))
        },
    ),
    column("Port(s)", "Ports that routes name.", |object| {
        all(items(object, "/spec/ports").map(port))
    }),
    AGE,
    wide("Selector", "Kept; EndpointSlices say where connections go.", |object| {
        let selector = object["spec"]["selector"].as_object().into_iter().flatten();
        all(selector.map(|(key, value)| format!("{key}={}", plain(value))))
    }),
];

static SECRET: &[Column] = &[
    NAME,
    column("Type", "What is in it.", |object| text(object, "/type")),
    DATA,
    AGE,
];

static CONFIG_MAP: &[Column] = &[NAME, DATA, AGE];

static ENDPOINT_SLICE: &[Column] = &[
    NAME,
    column("AddressType", "What the addresses are.", |object| {
        text(object, "/addressType")
    }),
    column("Ports", "Ports of each endpoint.", |object| {
        few(items(object, "/ports").map(|port| plain(&port["port"])))
    }),
    column("Endpoints", "Addresses of the endpoints.", |object| {
        let endpoints = items(object, "/endpoints");
        few(endpoints.flat_map(|endpoint| items(endpoint, "/addresses").map(plain)))
    }),
    AGE,
];

static GATEWAY_CLASS: &[Column] = &[
    NAME,
    column("Controller", "Who serves the Gateways of the class.", |object| {
        text(object, "/spec/controllerName")
    }),
    ACCEPTED,
    AGE,
    wide("Description", "What the class is for.", |object| {
        text(object, "/spec/description")
    }),
];

static GATEWAY: &[Column] = &[
    NAME,
    column("Class", "Name of the GatewayClass.", |object| {
        text(object, "/spec/gatewayClassName")
    }),
    column("Address", "Addresses in use.", |object| {
        let addresses: Vec<String> = items(object, "/status/addresses")
            .map(|entry| plain(&entry["value"]))
            .collect();
        Value::from(addresses.join(","))
    }),
    PROGRAMMED,
    AGE,
    LISTENERS,
    ATTACHED,
];

static LISTENER_SET: &[Column] = &[
    NAME,
    column("Parent", "The Gateway that the listeners join.", |object| {
        Value::from(reference(&object["spec"]["parentRef"], "Gateway"))
    }),
    ACCEPTED,
    PROGRAMMED,
    AGE,
    LISTENERS,
    ATTACHED,
];

static ROUTE: &[Column] = &[NAME, PARENTS, ROUTE_ACCEPTED, AGE, BACKENDS, RESOLVED];

static TLS_ROUTE: &[Column] = &[NAME, HOSTNAMES, PARENTS, ROUTE_ACCEPTED, AGE, BACKENDS, RESOLVED];

static REFERENCE_GRANT: &[Column] = &[
    NAME,
    column("From", "Who may refer.", |object| {
        let from = items(object, "/spec/from");
        few(from.map(|entry| format!("{}/{}", plain(&entry["namespace"]), plain(&entry["kind"]))))
    }),
    column("To", "To what.", |object| {
        few(items(object, "/spec/to").map(|entry| reference(entry, "")))
    }),
    AGE,
];

static BACKEND_TLS_POLICY: &[Column] = &[
    NAME,
    TARGETS,
    column("Hostname", "Name that the certificate must have.", |object| {
        text(object, "/spec/validation/hostname")
    }),
    POLICY_ACCEPTED,
    AGE,
];

static API_TOKEN: &[Column] = &[
    NAME,
    column("User", "Whom its bearer is.", |object| text(object, "/spec/user")),
    column(
        "Expires",
        "How long it opens; one that has expired opens nothing.",
        |object| until(object, "/spec/expirationTimestamp", "expired", ""),
    ),
    AGE,
    wide("Groups", "Groups that its bearer is in.", |object| {
        all(items(object, "/spec/groups").map(plain))
    }),
];

static POLICY: &[Column] = &[NAME, TARGETS, POLICY_ACCEPTED, AGE];

static BACKEND: &[Column] = &[
    NAME,
    column("Endpoints", "Where connections can go.", |object| {
        let endpoints = items(object, "/spec/endpoints");
        few(endpoints.map(|endpoint| socket(endpoint.get("ip").unwrap_or(&endpoint["hostname"]), &endpoint["port"])))
    }),
    ACCEPTED,
    AGE,
    wide("Resolved", "Whether every DNS name has an address.", |object| {
        condition(object, "/status/conditions", "ResolvedRefs")
    }),
];

static NODE: &[Column] = &[
    NAME,
    column("Status", "Whether the cluster agrees that it is alive.", |object| {
        let ready = condition(object, "/status/conditions", "Ready");
        Value::from(match ready.as_str() {
            Some("True") => "Ready",
            Some("False") => "NotReady",
            _ => "Unknown",
        })
    }),
    column("Role", "What it is in the Raft group.", |object| {
        text(object, "/status/role")
    }),
    AGE,
    column("Version", "Version of the binary.", |object| {
        text(object, "/status/version")
    }),
    wide(
        "Data-Address",
        "Where listeners without addresses are bound.",
        |object| text(object, "/status/dataAddress"),
    ),
    wide("Sources", "Addresses from which it connects to endpoints.", |object| {
        all(items(object, "/status/sourceAddresses").map(plain))
    }),
    wide("API", "URL of the node's API.", |object| text(object, "/status/apiURL")),
    wide("Sessions", "Live sessions.", |object| text(object, "/status/sessions")),
];
