#!/usr/bin/env python3
"""How long a change takes to be agreed on and to carry traffic, and what a large configuration costs.

Starts a real three-node cluster on loopback with `guideway demo` and prints one JSON object:

  commit_ms          median and p99 of a write through each node, in turn
  change_active_ms   one endpoint of one route changed, until a new session through the slowest of the three
                     nodes reaches the new endpoint (one route alone, and with --routes others beside it)
  tables_built       tables that each node built for one such change
  resident_mib       of each node with all routes in place
  restart_ready_s    a node killed and started again, until /readyz answers 200

Only the standard library. Example:

  bench/control_plane.py --binary target/release/guideway --routes 1000
"""
import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

import kubeconfig

GATEWAY = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways"
ROUTE = "/apis/gateway.networking.k8s.io/v1/namespaces/default/tcproutes"
BACKEND = "/apis/guideway.dev/v1alpha1/namespaces/default/backends"
LISTENERS_PER_GATEWAY = 50
FIRST_PORT = 20000
TABLES_BUILT = "guideway_node_plan_tables_built_total"


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


class Labelled:
    """A TCP endpoint that answers every connection with one byte and closes."""

    def __init__(self, address, label):
        self.socket = socket.create_server((address, 0), backlog=512)
        self.address, self.port = self.socket.getsockname()[:2]
        self.label = label
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            link, _ = self.socket.accept()
            try:
                link.sendall(self.label)
                link.close()
            except OSError:
                pass


def ask(node, port, source):
    """The label that a session from `source` gets, or None. The tuple can be used again at once."""
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.settimeout(2)
        try:
            link.bind(source)
            link.connect((node, port))
            return link.recv(1) or None
        except OSError:
            return None


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


class Change:
    """One route with ten endpoints; a change swaps one of them for another, to and fro."""

    def __init__(self, api, nodes, port):
        self.api, self.nodes, self.port = api, nodes, port
        old = [Labelled("127.0.0.1", b"a") for _ in range(10)]
        new = Labelled("127.0.0.1", b"b")
        self.sets = [[(e.address, e.port) for e in old], [(e.address, e.port) for e in old[:9] + [new]]]
        api.call("POST", GATEWAY, gateway(port, [port]))
        api.call("POST", BACKEND, backend(port, self.sets[0]))
        api.call("POST", ROUTE, route(port, port))
        probe = (f"127.0.3.{random.randrange(1, 250)}", 0)
        for node in nodes:
            wait(f"route on {node}", lambda node=node: ask(node, port, probe) == b"a")
        self.write(1)
        self.source = None
        end = time.monotonic() + 60
        while self.source is None and time.monotonic() < end:
            source = (probe[0], random.randrange(10000, 19999))
            if ask(nodes[0], port, source) == b"b":
                self.source = source
        self.settle(b"b")
        self.write(0)
        self.settle(b"a")

    def write(self, which):
        self.api.call("PATCH", f"{BACKEND}/b{self.port}", {"spec": backend(self.port, self.sets[which])["spec"]},
                      "application/merge-patch+json")

    def settle(self, label):
        for node in self.nodes:
            wait(f"label {label} through {node}", lambda node=node: ask(node, self.port, self.source) == label)

    def measure(self, times):
        out = []
        for i in range(times):
            which = (i + 1) % 2
            label = b"ab"[which:which + 1]
            start = time.monotonic()
            self.write(which)
            self.settle(label)
            out.append((time.monotonic() - start) * 1e3)
            time.sleep(0.05)
        return out


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


def restart(node):
    argv = Path(f"/proc/{node['pid']}/cmdline").read_bytes().split(b"\0")[:-1]
    os.kill(node["pid"], signal.SIGKILL)
    wait("the killed node's API is gone", lambda: not ready(node["api"]))
    start = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait("the node is ready", lambda: ready(node["api"]))
    took = time.monotonic() - start
    process.terminate()
    process.wait()
    return round(took, 2)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", default="target/release/guideway")
    options.add_argument("--routes", type=int, default=1000)
    options.add_argument("--writes", type=int, default=300)
    options.add_argument("--changes", type=int, default=60)
    options.add_argument("--base-address", default="127.0.77.1")
    o = options.parse_args()
    work = tempfile.TemporaryDirectory()
    ready_file = Path(work.name) / "ready.json"
    demo = subprocess.Popen([o.binary, "demo", "--no-endpoints", "--base-address", o.base_address, "--ready-file", ready_file],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait("the demo is ready", ready_file.exists)
        cluster = json.loads(ready_file.read_text())
        Api.tls = kubeconfig.context(cluster["kubeconfig"])
        apis = [Api(n["api"]) for n in cluster["nodes"]]
        nodes = [n["address"] for n in cluster["nodes"]]
        change = Change(apis[0], nodes, FIRST_PORT + 9000)
        commits = []
        for i in range(o.writes):
            start = time.monotonic()
            apis[i % len(apis)].call("PATCH", f"{BACKEND}/b{change.port}", {"metadata": {"annotations": {"bench/write": str(i)}}},
                                     "application/merge-patch+json")
            commits.append((time.monotonic() - start) * 1e3)
        out = {"commit_ms": figures(commits), "change_active_ms_alone": figures(change.measure(o.changes))}
        start = time.monotonic()
        add_routes(apis[0], FIRST_PORT, o.routes)
        out["routes"] = o.routes
        out["adding_s"] = round(time.monotonic() - start, 1)
        time.sleep(3)
        built = [counter(n, TABLES_BUILT) for n in cluster["nodes"]]
        out[f"change_active_ms_beside_{o.routes}"] = figures(change.measure(o.changes))
        after = [counter(n, TABLES_BUILT) for n in cluster["nodes"]]
        out["tables_built"] = [round((b - a) / o.changes, 2) for a, b in zip(built, after)]
        out["resident_mib"] = [resident_mib(n["pid"]) for n in cluster["nodes"]]
        out["restart_ready_s"] = restart(cluster["nodes"][-1])
        print(json.dumps(out, indent=1))
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait()
        work.cleanup()


if __name__ == "__main__":
    sys.exit(main())
