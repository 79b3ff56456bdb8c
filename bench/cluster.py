"""A cluster on loopback for a measurement: its API, its objects, its figures. Only the standard library."""
import http.client
import json
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

import kubeconfig

GATEWAY = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways"
ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/default/tcproutes"
BACKEND = "/apis/guideway.dev/v1alpha1/namespaces/default/backends"
LISTENERS_PER_GATEWAY = 50


class Api:
    """One kept-alive connection to one node."""

    # What is shown to every node; set from the kubeconfig of the demo.
    tls = None

    def __init__(self, url):
        at = urllib.parse.urlparse(url)
        assert at.scheme == "https", url
        self.host, self.port, self.link = at.hostname, at.port, None

    def call(self, method, path, body=None, kind="application/json"):
        data = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            if self.link is None:
                self.link = http.client.HTTPSConnection(self.host, self.port, timeout=30, context=Api.tls)
            try:
                self.link.request(method, path, data, {"Content-Type": kind} if data else {})
                answer = self.link.getresponse()
                text = answer.read()
                break
            except (http.client.HTTPException, OSError):
                self.link = None
                if attempt == 2:
                    raise
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:400].decode(errors='replace')}")
        return json.loads(text)


class Demo:
    """`guideway demo` without objects of its own; gives what its ready-file says."""

    def __init__(self, binary, base_address, nodes=3):
        self.argv = [binary, "demo", "--no-endpoints", "--nodes", str(nodes), "--base-address", base_address, "--ready-file"]

    def __enter__(self):
        self.work = tempfile.TemporaryDirectory()
        ready_file = Path(self.work.name) / "ready.json"
        self.demo = subprocess.Popen([*self.argv, ready_file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait("the demo is ready", ready_file.exists)
        except BaseException:
            self.__exit__()
            raise
        cluster = json.loads(ready_file.read_text())
        Api.tls = kubeconfig.context(cluster["kubeconfig"])
        return cluster

    def __exit__(self, *_):
        self.demo.send_signal(signal.SIGTERM)
        self.demo.wait()
        self.work.cleanup()


def gateway(number, ports):
    listeners = [{"name": f"p{p}", "protocol": "TCP", "port": p} for p in ports]
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": f"bench-{number}"},
            "spec": {"gatewayClassName": "guideway", "listeners": listeners}}


def route(port, number):
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute", "metadata": {"name": f"r{port}"},
            "spec": {"parentRefs": [{"name": f"bench-{number}", "sectionName": f"p{port}"}],
                     "rules": [{"backendRefs": [{"group": "guideway.dev", "kind": "Backend", "name": f"b{port}"}]}]}}


def backend(port, endpoints):
    return {"apiVersion": "guideway.dev/v1alpha1", "kind": "Backend", "metadata": {"name": f"b{port}"},
            "spec": {"endpoints": [{"ip": a, "port": p} for a, p in endpoints]}}


def add_routes(api, first, count):
    ports = list(range(first, first + count))
    for start in range(0, count, LISTENERS_PER_GATEWAY):
        some = ports[start:start + LISTENERS_PER_GATEWAY]
        api.call("POST", GATEWAY, gateway(some[0], some))
        for p in some:
            far = [(f"127.9.{p % 250}.{i + 1}", 9000 + i) for i in range(10)]
            api.call("POST", BACKEND, backend(p, far))
            api.call("POST", ROUTE, route(p, some[0]))


def wait(what, test, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if test():
            return
        time.sleep(0.005)
    raise RuntimeError(f"{what}: not within {seconds} s")


def figures(values):
    ordered = sorted(values)
    return {"median": round(statistics.median(ordered), 2), "p99": round(ordered[max(0, len(ordered) * 99 // 100 - 1)], 2),
            "max": round(ordered[-1], 2), "n": len(ordered)}


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return None


def ready(url):
    try:
        Api(url).call("GET", "/readyz?verbose=false")
        return True
    except json.JSONDecodeError:
        return True
    except (OSError, RuntimeError, http.client.HTTPException):
        return False


def counter(node, name):
    """The value of a counter without labels on a node's metrics page."""
    at = urllib.parse.urlparse(node["metrics"])
    link = http.client.HTTPConnection(at.hostname, at.port, timeout=10)
    link.request("GET", at.path)
    for line in link.getresponse().read().decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return 0.0


class Node:
    """A single node, made by `guideway init` and run by `guideway run`; gives what a ready-file would say of it."""

    def __init__(self, binary, address, threads, more=()):
        self.binary, self.address, self.threads, self.more = binary, address, threads, more

    def __enter__(self):
        self.work = tempfile.TemporaryDirectory()
        self.running = None
        config = Path(self.work.name) / "guideway.toml"
        config.write_text("\n".join([
            'name = "bench"', f'data_dir = "{self.work.name}/data"',
            "[peer]", f'listen = "{self.address}:7444"',
            "[api]", f'listen = "{self.address}:7443"',
            "[metrics]", f'listen = "{self.address}:9443"',
            "[data]", f'address = "{self.address}"', f"threads = {self.threads}", *self.more,
            "[access_log]", 'to = "off"', "[log]", 'level = "warn"', ""]))
        subprocess.run([self.binary, "init", "--config", config], check=True, stdout=subprocess.DEVNULL)
        Api.tls = kubeconfig.context(Path(self.work.name) / "data" / "admin.kubeconfig")
        self.running = subprocess.Popen([self.binary, "run", "--config", config])
        api = f"https://{self.address}:7443"
        try:
            wait("the node is ready", lambda: ready(api))
        except BaseException:
            self.__exit__()
            raise
        return {"name": "bench", "pid": self.running.pid, "address": self.address, "api": api,
                "metrics": f"http://{self.address}:9443/metrics"}

    def __exit__(self, *_):
        if self.running:
            self.running.terminate()
            self.running.wait()
        self.work.cleanup()


def cpu_seconds(pid):
    """User and system time of a process so far, from the process's own clock."""
    return time.clock_gettime(~pid << 3 | 2)
