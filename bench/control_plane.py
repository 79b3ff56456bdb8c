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
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from cluster import BACKEND, GATEWAY, ROUTE, Api, Demo, add_routes, backend, counter, figures, gateway, ready, resident_mib, route, wait

FIRST_PORT = 20000
TABLES_BUILT = "guideway_node_plan_tables_built_total"


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
    with Demo(o.binary, o.base_address) as cluster:
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


if __name__ == "__main__":
    sys.exit(main())
