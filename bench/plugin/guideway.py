"""Guideway as a peer of the benchmark: one node, configured over its REST API like any cluster.

GUIDEWAY names the binary; without it, target/release/guideway of this repository. GUIDEWAY_API_PORT (7443) and the two
ports after it are taken on 127.0.0.1 of the benchmark's own network namespace.
"""
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))
import kubeconfig  # noqa: E402

BINARY = Path(os.environ.get("GUIDEWAY", HERE.parents[2] / "target/release/guideway"))
API_PORT = int(os.environ.get("GUIDEWAY_API_PORT", "7443"))
GATEWAY_API = "/apis/gateway.networking.k8s.io/v1/namespaces/default"
GATEWAYS = f"{GATEWAY_API}/gateways"
PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "sni": "TLS"}
BACKENDS = "/apis/guideway.dev/v1alpha1/namespaces/default/backends"


def split(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def backend_and_route(name, mode, backends, gateway, hostname=None):
    """A Backend and the route that leads to it, each with the collection it belongs to."""
    kind = f"{PROTOCOLS[mode]}Route"
    backend = {"apiVersion": "guideway.dev/v1alpha1", "kind": "Backend", "metadata": {"name": name},
               "spec": {"endpoints": [dict(zip(("ip", "port"), split(b))) for b in backends]}}
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": kind, "metadata": {"name": name},
             "spec": {"parentRefs": [{"name": gateway}],
                      "rules": [{"backendRefs": [{"group": "guideway.dev", "kind": "Backend", "name": name}]}]}}
    if hostname:
        route["spec"]["hostnames"] = [hostname]
    return [(BACKENDS, backend), (f"{GATEWAY_API}/{kind.lower()}s", route)]


def manifests(number, mode, listen, backends, sni=None):
    """The objects of one listener, each with the collection it belongs to."""
    name = f"route-{number}"
    host, port = split(listen)
    if sni:
        objects = [o for place, (hostname, to) in enumerate(sni.items())
                   for o in backend_and_route(f"{name}-{place}", mode, to, name, hostname)]
    else:
        objects = backend_and_route(name, mode, backends, name)
    listener = {"name": "main", "protocol": PROTOCOLS[mode], "port": port}
    if mode == "sni":
        listener["tls"] = {"mode": "Passthrough"}
    gateway = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name},
               "spec": {"gatewayClassName": "guideway", "addresses": [{"type": "IPAddress", "value": host}],
                        "listeners": [listener]}}
    # The listener last: when it answers, everything behind it is there.
    return [*objects, (GATEWAYS, gateway)]


def sign_in(work):
    """What is shown to the node whose data is in the session's folder."""
    return kubeconfig.context(Path(work) / "data" / "admin.kubeconfig")


def send(tls, method, path, body=None):
    request = urllib.request.Request(f"https://127.0.0.1:{API_PORT}{path}", method=method,
                                     data=None if body is None else json.dumps(body).encode(),
                                     headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10, context=tls) as answer:
        return json.load(answer)


def put(tls, collection, body):
    """Creates an object, or replaces the one of its name."""
    try:
        send(tls, "POST", collection, body)
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise RuntimeError(f"{collection}: {error.code} {error.read().decode(errors='replace')}") from error
        path = f"{collection}/{body['metadata']['name']}"
        body["metadata"]["resourceVersion"] = send(tls, "GET", path)["metadata"]["resourceVersion"]
        send(tls, "PUT", path, body)


def wait_ready(tls):
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"https://127.0.0.1:{API_PORT}/readyz", timeout=5, context=tls).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def apply_file(path):
    """What the started session runs beside the node: waits for it, sends what the file holds, ends."""
    tls = sign_in(Path(path).parent)
    wait_ready(tls)
    for number, route in enumerate(json.loads(Path(path).read_text())):
        for collection, body in manifests(number, **route):
            put(tls, collection, body)


class Guideway:
    name = "guideway"
    modes = ("tcp", "udp", "sni")
    can_reload = True
    can_failover = True
    no_redispatch_option = True

    def available(self):
        return None if BINARY.exists() else f"{BINARY} is not built (cargo build --release -p guideway-node)"

    def files(self, s):
        config = [
            'name = "bench"',
            f'data_dir = "{s.work}/data"',
            "[peer]", f'listen = "127.0.0.1:{API_PORT + 1}"',
            "[api]", f'listen = "127.0.0.1:{API_PORT}"',
            "[metrics]", f'listen = "127.0.0.1:{API_PORT + 2}"',
            "[data]", f"threads = {s.threads}", 'connect_timeout = "3s"', 'idle_timeout = "300s"',
            "[access_log]", 'to = "off"',
            "[log]", 'level = "warn"',
        ]
        routes = [{"mode": s.mode, "listen": r.listen, "backends": r.backends, "sni": r.sni} for r in s.routes]
        return {"guideway.toml": "\n".join(config) + "\n", "routes.json": json.dumps(routes)}

    def argv(self, s):
        config = f"{s.work}/guideway.toml"
        return ["sh", "-c", f"'{BINARY}' init --config '{config}' && "
                            f"{{ '{sys.executable}' '{HERE}' '{s.work}/routes.json' & "
                            f"exec '{BINARY}' run --config '{config}'; }}"]

    def reload(self, s, run):
        number = len(s.routes) - 1
        for collection, body in manifests(number, s.mode, s.routes[-1].listen, s.routes[-1].backends):
            put(sign_in(s.work), collection, body)

    def add_backend(self, s, run, addr):
        collection, body = manifests(0, s.mode, s.routes[0].listen, [*s.routes[0].backends, addr])[0]
        put(sign_in(s.work), collection, body)


if __name__ == "__main__":
    apply_file(sys.argv[1])
else:
    PEERS = [Guideway()]
