"""Drives a Guideway API with the Kubernetes client for Python: typed, dynamic, watch, patches and server-side apply."""

import base64
import os
import sys

from kubernetes import client, dynamic, watch

ROUTE = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "TCPRoute",
    "metadata": {"name": "db", "namespace": "default"},
    "spec": {
        "parentRefs": [{"name": "edge"}],
        "rules": [{"backendRefs": [{"name": "db", "port": 5432}]}],
    },
}


def typed(api):
    core = client.CoreV1Api(api)
    port = client.V1ServicePort(name="main", port=5432, target_port=15432)
    body = client.V1Service(
        metadata=client.V1ObjectMeta(name="db", labels={"app": "db"}),
        spec=client.V1ServiceSpec(ports=[port]),
    )
    created = core.create_namespaced_service("default", body)
    assert created.spec.ports[0].target_port == 15432, created
    created.metadata.labels["tier"] = "data"
    replaced = core.replace_namespaced_service("db", "default", created)
    assert replaced.metadata.labels == {"app": "db", "tier": "data"}, replaced
    patched = core.patch_namespaced_service("db", "default", {"spec": {"ports": [{"name": "other", "port": 5433}]}})
    assert sorted(port.port for port in patched.spec.ports) == [5432, 5433], patched
    listed = core.list_namespaced_service("default", label_selector="app=db", limit=1)
    assert [item.metadata.name for item in listed.items] == ["db"], listed
    data = {"key": base64.b64encode(b"\x00\xff").decode()}
    core.create_namespaced_secret("default", client.V1Secret(metadata={"name": "s"}, data=data))
    assert core.read_namespaced_secret("s", "default").data == data
    try:
        core.read_namespaced_service("nobody", "default")
        raise AssertionError("found a service that is not there")
    except client.ApiException as error:
        assert error.status == 404, error
    return listed.metadata.resource_version


def watched(api, version):
    core = client.CoreV1Api(api)
    core.patch_namespaced_service("db", "default", {"metadata": {"labels": {"seen": "yes"}}})
    core.delete_namespaced_service("db", "default")
    follower = watch.Watch()
    kinds = []
    for event in follower.stream(core.list_namespaced_service, "default", resource_version=version, timeout_seconds=30):
        kinds.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            follower.stop()
    assert kinds == [("MODIFIED", "db"), ("DELETED", "db")], kinds


def untyped(api):
    routes = dynamic.DynamicClient(api).resources.get(api_version=ROUTE["apiVersion"], kind="TCPRoute")
    applied = routes.server_side_apply(body=ROUTE, namespace="default", field_manager="python")
    assert applied.spec.rules[0].backendRefs[0].weight == 1, applied
    assert [entry.manager for entry in applied.metadata.managedFields] == ["python"], applied
    assert len(routes.get(namespace="default").items) == 1
    routes.delete(name="db", namespace="default")
    custom = client.CustomObjectsApi(api)
    listed = custom.list_cluster_custom_object("gateway.networking.k8s.io", "v1", "gatewayclasses")
    assert listed["items"][0]["metadata"]["name"] == "guideway", listed


def main(url):
    configuration = client.Configuration(host=url)
    configuration.api_key["authorization"] = "Bearer " + os.environ["GUIDEWAY_TOKEN"]
    api = client.ApiClient(configuration)
    version = typed(api)
    watched(api, version)
    untyped(api)


main(sys.argv[1])
