#!/usr/bin/env python3
"""Whether the control plane delays traffic: the latency of a 64-byte ping-pong through a node with many routes, while its
configuration changes all the time, and while it does not, in turns.

Starts a single node on loopback (`guideway init`, `guideway run`) and prints one JSON object with the latencies in µs of all
rounds of each kind. Only the standard library. Example:

  bench/quiet.py --binary target/release/guideway --routes 1000 --changes-a-minute 1000
"""
import argparse
import gc
import json
import multiprocessing
import socket
import sys
import time

from cluster import BACKEND, GATEWAY, ROUTE, Api, Node, add_routes, backend, gateway, route, wait

FIRST_PORT = 20000


def echo(listener):
    while True:
        link, _ = listener.accept()
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while message := link.recv(64):
                link.sendall(message)
        except OSError:
            pass


def ping(address, seconds):
    """How long each message was under way, to and fro, in µs."""
    out, message = [], b"p" * 64
    gc.disable()
    with socket.create_connection(address) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = time.monotonic() + seconds
        while (start := time.monotonic()) < end:
            link.sendall(message)
            link.recv(64)
            out.append((time.monotonic() - start) * 1e6)
    return out


def change(node, ports, a_minute, stop, made):
    """Swaps an endpoint of one route after the other, at an even pace."""
    api, count, began = Api(node["api"]), 0, time.monotonic()
    while not stop.is_set():
        port = ports[count % len(ports)]
        far = [("127.9.0.1", 9000 + (count // len(ports)) % 2)]
        api.call("PATCH", f"{BACKEND}/b{port}", {"spec": backend(port, far)["spec"]}, "application/merge-patch+json")
        count += 1
        time.sleep(max(0.0, began + count * 60 / a_minute - time.monotonic()))
    made.value += count


def percentiles(values):
    ordered = sorted(values)
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1}
    return {name: round(ordered[min(int(len(ordered) * part), len(ordered) - 1)], 1) for name, part in at.items()} | {"n": len(ordered)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/guideway")
    parser.add_argument("--address", default="127.0.79.1")
    parser.add_argument("--routes", type=int, default=1000)
    parser.add_argument("--changes-a-minute", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    o = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    multiprocessing.Process(target=echo, args=(listener,), daemon=True).start()
    context = multiprocessing.get_context("fork")
    with Node(o.binary, o.address, 2) as node:
        api = Api(node["api"])
        api.call("POST", BACKEND, backend(FIRST_PORT, [listener.getsockname()]))
        api.call("POST", ROUTE, route(FIRST_PORT, FIRST_PORT))
        api.call("POST", GATEWAY, gateway(FIRST_PORT, [FIRST_PORT]))
        add_routes(api, FIRST_PORT + 1, o.routes - 1)
        address = (node["address"], FIRST_PORT)
        wait("the route answers", lambda: reaches(address))
        time.sleep(3)
        made = context.Value("q", 0)
        quiet, busy, ports = [], [], range(FIRST_PORT + 1, FIRST_PORT + o.routes)
        for _ in range(o.rounds):
            quiet += ping(address, o.seconds)
            stop = context.Event()
            changer = context.Process(target=change, args=(node, ports, o.changes_a_minute, stop, made))
            changer.start()
            busy += ping(address, o.seconds)
            stop.set()
            changer.join()
    print(json.dumps({"changes_a_minute": round(made.value * 60 / (o.seconds * o.rounds)), "routes": o.routes,
                      "without_us": percentiles(quiet), "during_us": percentiles(busy)}, indent=1))


def reaches(address):
    try:
        with socket.create_connection(address, timeout=2) as link:
            link.sendall(b"p")
            return link.recv(1) == b"p"
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
