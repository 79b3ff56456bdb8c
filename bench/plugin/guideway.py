"""Guideway as a peer of the benchmark, configured over its REST API like any cluster: `guideway` is one node, `guideway-epoll`
one whose driver is epoll, `guideway-3` one of three, on 127.0.0.1 to 127.0.0.3, whose routes count as live when all three serve them.

GUIDEWAY_BIN names the binary; without it, target/release/guideway of this repository. GUIDEWAY_API_PORT (7443) and the two
ports after it are taken on the nodes' addresses, in the benchmark's own network namespace.
"""
import http.client
import json
import os
import socket
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))
import kubeconfig  # noqa: E402

BINARY = Path(os.environ.get("GUIDEWAY_BIN", HERE.parents[2] / "target/release/guideway"))
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


def manifests(number, mode, listen, backends, sni=None, everywhere=False):
    """The objects of one listener, each with the collection it belongs to. It listens `everywhere`: on each node's own address."""
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
               "spec": {"gatewayClassName": "guideway", "listeners": [listener]}}
    if not everywhere:
        gateway["spec"]["addresses"] = [{"type": "IPAddress", "value": host}]
    # The listener last: when it answers, everything behind it is there.
    return [*objects, (GATEWAYS, gateway)]


class Api:
    """A connection to the first node of a session, whose data is in the session's folder."""

    kept = {}

    def __init__(self, work):
        self.tls = kubeconfig.context(Path(work) / "data-1" / "admin.kubeconfig")
        self.link = None

    @classmethod
    def of(cls, work):
        """The one of the present session, which stays open."""
        if work not in cls.kept:
            cls.kept = {work: cls(work)}
        return cls.kept[work]

    def send(self, method, path, body=None):
        for last in (False, True):
            if self.link is None:
                self.link = http.client.HTTPSConnection("127.0.0.1", API_PORT, timeout=10, context=self.tls)
            try:
                self.link.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
                answer = self.link.getresponse()
                return answer.status, json.loads(answer.read())
            except (http.client.HTTPException, OSError):
                self.link = None
                if last:
                    raise

    def put(self, collection, body):
        """Creates an object, or replaces the one of its name."""
        status, answer = self.send("POST", collection, body)
        if status == 409:
            path = f"{collection}/{body['metadata']['name']}"
            body["metadata"]["resourceVersion"] = self.send("GET", path)[1]["metadata"]["resourceVersion"]
            status, answer = self.send("PUT", path, body)
        if status >= 300:
            raise RuntimeError(f"{collection}: {status} {answer}")


def wait(what, test, seconds=60):
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.002)


def is_ready(tls, address):
    try:
        urllib.request.urlopen(f"https://{address}:{API_PORT}/readyz", timeout=5, context=tls).close()
        return True
    except OSError:
        return False


def answers(address, port):
    """Whether a byte through the route comes back."""
    try:
        with socket.create_connection((address, port), timeout=1) as link:
            link.sendall(b"x")
            return link.recv(1) != b""
    except OSError:
        return False


def apply_file(path, nodes):
    """What the started session runs beside the nodes: waits for them, sends what the file holds, ends."""
    api = Api(Path(path).parent)
    for number in range(1, nodes + 1):
        wait(f"node {number} is ready", lambda number=number: is_ready(api.tls, f"127.0.0.{number}"))
    for number, route in enumerate(json.loads(Path(path).read_text())):
        for collection, body in manifests(number, **route):
            api.put(collection, body)


class Guideway:
    modes = ("tcp", "udp", "sni")
    can_reload = True
    can_failover = True
    no_redispatch_option = True

    def __init__(self, name, nodes=1, driver="auto"):
        self.name, self.nodes, self.driver = name, nodes, driver

    def available(self):
        return None if BINARY.exists() else f"{BINARY} is not built (cargo build --release -p guideway-node)"

    def config(self, s, number):
        address = f"127.0.0.{number}"
        config = [
            f'name = "bench-{number}"',
            f'data_dir = "{s.work}/data-{number}"',
            "[peer]", f'listen = "{address}:{API_PORT + 1}"',
            "[api]", f'listen = "{address}:{API_PORT}"',
            "[metrics]", f'listen = "{address}:{API_PORT + 2}"',
            "[data]", f'address = "{address}"', f"threads = {s.threads}", f'driver = "{self.driver}"',
            'connect_timeout = "3s"', 'idle_timeout = "300s"',
            "[access_log]", 'to = "off"',
            "[log]", 'level = "warn"',
        ]
        return "\n".join(config) + "\n"

    def files(self, s):
        routes = [{"mode": s.mode, "listen": r.listen, "backends": r.backends, "sni": r.sni, "everywhere": self.nodes > 1}
                  for r in s.routes]
        configs = {f"node-{number}.toml": self.config(s, number) for number in range(1, self.nodes + 1)}
        return {**configs, "routes.json": json.dumps(routes)}

    def argv(self, s):
        node = f"'{BINARY}' {{}} --config '{s.work}/node-{{}}.toml'".format
        steps = [f"set -e; {node('init', 1)}"]
        if self.nodes > 1:
            # Members join one after the other, each by a token of its own.
            steps.append(f"{node('run', 1)} & token() {{ until {node('invite', 1)} 2>/dev/null | grep -om1 'gwj1_[^ ]*'; do sleep 0.05; done; }}")
            for number in range(2, self.nodes + 1):
                joins = node(f'join --token "$(token)"', number)
                steps.append(f"{joins}; {node('run', number)} &")
        last = "wait" if self.nodes > 1 else f"exec {node('run', 1)}"
        steps.append(f"'{sys.executable}' '{HERE}' '{s.work}/routes.json' {self.nodes} & {last}")
        return ["sh", "-c", "\n".join(steps)]

    def reload(self, s, run):
        number, route = len(s.routes) - 1, s.routes[-1]
        for collection, body in manifests(number, s.mode, route.listen, route.backends, everywhere=self.nodes > 1):
            Api.of(s.work).put(collection, body)
        port = split(route.listen)[1]
        for node in range(2, self.nodes + 1):
            wait(f"the route on node {node}", lambda node=node: answers(f"127.0.0.{node}", port))

    def add_backend(self, s, run, addr):
        collection, body = manifests(0, s.mode, s.routes[0].listen, [*s.routes[0].backends, addr])[0]
        Api.of(s.work).put(collection, body)


if __name__ == "__main__":
    apply_file(sys.argv[1], int(sys.argv[2]))
else:
    PEERS = [Guideway("guideway"), Guideway("guideway-epoll", driver="epoll"), Guideway("guideway-3", nodes=3)]
