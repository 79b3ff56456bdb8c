use super::*;

/// `kubectl create service clusterip x --tcp=80:80`, version 1.32, as it came over the wire.
const SERVICE: &[u8] = b"k8s\0\x0a\x0d\x0a\x02v1\x12\x07Service\x12\x60\x0a\x1b\x0a\x01x\x12\0\x1a\0\x22\0\x2a\0\x32\0\
    \x38\0\x42\0\x5a\x08\x0a\x03app\x12\x01x\x12\x3d\x0a\x18\x0a\x0580-80\x12\x03TCP\x18\x50\x22\x06\x08\0\x10\x50\x1a\0\
    \x28\0\x12\x08\x0a\x03app\x12\x01x\x1a\0\x22\x09ClusterIP\x3a\0\x42\0\x52\0\x5a\0\x60\0\x68\0\x1a\x02\x0a\0\x1a\0\x22\0";

#[test]
fn a_service_as_kubectl_sends_it() {
    let expected = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "x", "labels": { "app": "x" } },
        "spec": {
            "ports": [{ "name": "80-80", "protocol": "TCP", "port": 80, "targetPort": 80 }],
            "selector": { "app": "x" },
            "type": "ClusterIP",
        },
    });
    assert_eq!(decode(SERVICE), Ok(expected));
}

/// A Secret, an EndpointSlice and a Namespace as client-go sends them, cut to a few fields.
#[test]
fn bytes_times_and_items() {
    let secret = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12&\x0a\x03\x0a\x01x\x12\x0c\x0a\x07tls.crt\x12\x01\xff\x1a\x11kubernetes.io/tls";
    let expected = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "x" },
        "data": { "tls.crt": "/w==" }, "type": "kubernetes.io/tls",
    });
    assert_eq!(decode(secret), Ok(expected));
    let slice = b"k8s\0\x0a$\x0a\x13discovery.k8s.io/v1\x12\x0dEndpointSlice\x12\x1c\x12\x0d\x0a\x071.2.3.4\x12\x02\x08\0\x1a\x05\x0a\0\x18\xb8*\x22\x04IPv4";
    let slice = decode(slice).expect("a slice");
    assert_eq!(
        slice["endpoints"],
        json!([{ "addresses": ["1.2.3.4"], "conditions": { "ready": false } }])
    );
    assert_eq!(slice["ports"], json!([{ "name": "", "port": 5432 }]));
    let namespace = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x22\x0a\x03\x0a\x01x\x1a\x1b\x0a\x06Active\x12\x11\x0a\x01T\x12\x04True\x22\x06\x08\xc0\xdd\xf7\xcb\x06";
    assert_eq!(
        decode(namespace).expect("a namespace")["status"],
        json!({ "phase": "Active", "conditions": [
            { "type": "T", "status": "True", "lastTransitionTime": "2026-01-31T12:00:00Z" },
        ] })
    );
}

#[test]
fn options_of_a_delete() {
    let body = b"k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x0b\x08\0\x12\x03\x0a\x01u\x2a\x02ab";
    let expected = json!({
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": { "uid": "u" },
        "dryRun": ["ab"],
    });
    assert_eq!(decode(body), Ok(expected));
}

#[test]
fn what_is_refused() {
    let unknown = ProtobufError::UnknownKind { kind: "Pod".to_owned() };
    let table: [(&[u8], ProtobufError); 4] = [
        (b"{}", ProtobufError::NoMagic),
        (b"k8s\0\x0a\x05\x12\x03Pod", unknown),
        (b"k8s\0\x0a\x09", ProtobufError::Malformed(WireError::Truncated)),
        (
            b"k8s\0\x0a\x0b\x12\x09Namespace\x12\x04\x0a\x02\x08\x01",
            ProtobufError::Type {
                field: "name",
                expected: "a run of bytes",
            },
        ),
    ];
    for (body, error) in table {
        assert_eq!(decode(body), Err(error), "{body:?}");
    }
}

#[test]
fn no_truncation_panics() {
    for length in 0..SERVICE.len() {
        // Some prefixes are whole messages; none may do worse than be refused.
        let _either = decode(&SERVICE[..length]).is_ok();
    }
}
