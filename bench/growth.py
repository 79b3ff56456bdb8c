#!/usr/bin/env python3
"""How the cost of a connection and a node's memory grow: with routes, endpoints, live sessions and threads.

Starts single nodes on loopback (`guideway init`, `guideway run`), lets clients connect, send a byte, read one and close, and
prints one JSON object: for each size the CPU of the node's process per connection in µs (median of the rounds) and its resident
memory in MiB. A listener has as many sockets as the node has threads, so routes are measured with one thread. Only the
standard library. Example:

  bench/growth.py --binary target/release/guideway
"""
import argparse
import asyncio
import json
import multiprocessing
import resource
import socket
import statistics
import struct
import sys
import time

from cluster import BACKEND, GATEWAY, ROUTE, Api, Node, add_routes, backend, cpu_seconds, gateway, resident_mib, route, wait

PORT = 19000
FIRST_PORT = 20000
CLIENTS = 2
RESET = struct.pack("ii", 1, 0)


class Answer(asyncio.Protocol):
    """An endpoint: a byte for the first that comes; a connection that sends none is held."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, _):
        self.transport.write(b"!")
        self.transport.close()


def serve(port):
    async def forever():
        server = await asyncio.get_running_loop().create_server(Answer, "0.0.0.0", port, backlog=4096)
        await server.serve_forever()
    most_descriptors()
    asyncio.run(forever())


def ask(address, seconds, count):
    """Connections one after the other, and how many there were."""
    end, made = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            link.settimeout(10)
            link.connect(address)
            link.sendall(b"?")
            assert link.recv(1) == b"!", "an endpoint answers with a byte"
        made += 1
    count.value = made


def hold(address, count, held, done):
    """Connections that say nothing, until it is done."""
    most_descriptors()
    links = [socket.create_connection(address) for _ in range(count)]
    held.set()
    done.wait()
    del links


def most_descriptors():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Bed:
    """A node with one route whose endpoints answer, and what a connection through it costs."""

    def __init__(self, options, threads, endpoints=2):
        self.options, self.endpoints = options, endpoints
        self.node = Node(options.binary, options.address, threads)

    def __enter__(self):
        self.server = multiprocessing.Process(target=serve, args=(PORT,), daemon=True)
        self.server.start()
        self.facts = self.node.__enter__()
        self.api = Api(self.facts["api"])
        far = [(f"127.5.0.{i + 1}", PORT) for i in range(self.endpoints)]
        self.api.call("POST", BACKEND, backend(FIRST_PORT, far))
        self.api.call("POST", ROUTE, route(FIRST_PORT, FIRST_PORT))
        self.api.call("POST", GATEWAY, gateway(FIRST_PORT, [FIRST_PORT]))
        self.address = (self.facts["address"], FIRST_PORT)
        wait("the route answers", self.answers)
        return self

    def __exit__(self, *_):
        self.node.__exit__()
        self.server.terminate()
        self.server.join()

    def answers(self):
        try:
            with socket.create_connection(self.address, timeout=2) as link:
                link.sendall(b"?")
                return link.recv(1) == b"!"
        except OSError:
            return False

    def cost(self):
        """µs of the node's CPU for a connection."""
        rounds = []
        for _ in range(self.options.rounds):
            counts = [multiprocessing.Value("q", 0) for _ in range(CLIENTS)]
            clients = [multiprocessing.Process(target=ask, args=(self.address, self.options.seconds, c)) for c in counts]
            before = cpu_seconds(self.facts["pid"])
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            used = cpu_seconds(self.facts["pid"]) - before
            rounds.append(used * 1e6 / sum(c.value for c in counts))
        return round(statistics.median(rounds), 1)

    def figures(self):
        return {"cpu_us_per_connection": self.cost(), "resident_mib": resident_mib(self.facts["pid"])}


def by_routes(options):
    out, there = {}, 1
    with Bed(options, threads=1) as bed:
        for routes in options.routes:
            add_routes(bed.api, FIRST_PORT + there, routes - there)
            there = routes
            time.sleep(3)
            out[routes] = bed.figures()
    return out


def by_endpoints(options):
    out = {}
    for endpoints in options.endpoints:
        with Bed(options, 2, endpoints) as bed:
            out[endpoints] = bed.figures()
    return out


def by_sessions(options):
    out = {}
    for sessions in options.sessions:
        with Bed(options, 2) as bed:
            empty = resident_mib(bed.facts["pid"])
            held, done = multiprocessing.Event(), multiprocessing.Event()
            holder = multiprocessing.Process(target=hold, args=(bed.address, sessions, held, done))
            holder.start()
            held.wait(120)
            full = resident_mib(bed.facts["pid"])
            out[sessions] = {**bed.figures(), "resident_bytes_per_session": round((full - empty) * 2**20 / sessions)}
            done.set()
            holder.join()
    return out


def by_threads(options):
    out = {}
    for threads in (1, 2):
        with Bed(options, threads) as bed:
            out[threads] = bed.figures()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"type": lambda text: [int(size) for size in text.split(",")]}
    parser.add_argument("--binary", default="target/release/guideway")
    parser.add_argument("--address", default="127.0.78.1")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--routes", default=[1, 100, 1000, 10000], **sizes)
    parser.add_argument("--endpoints", default=[2, 20, 200], **sizes)
    parser.add_argument("--sessions", default=[100, 1000, 9000], **sizes)
    options = parser.parse_args()
    print(json.dumps({"threads": by_threads(options), "endpoints": by_endpoints(options),
                      "sessions": by_sessions(options), "routes": by_routes(options)}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
