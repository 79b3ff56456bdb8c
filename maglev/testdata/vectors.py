#!/usr/bin/env python3
"""Golden vectors of guideway-maglev, made without it.

    python3 vectors.py            prints the vectors
    python3 vectors.py --write    writes vectors.json beside this file
    python3 vectors.py --check    fails unless vectors.json is what this program makes

An independent reading of the rules in plain steps, with no regard for speed: SipHash-2-4 after its paper, exact
fractions for shares and turns, and the walk of each target written out one row at a time. Standard library only.
"""

import ipaddress
import itertools
import json
import pathlib
import struct
import sys
from fractions import Fraction

MASK = 2**64 - 1
FILE = pathlib.Path(__file__).with_name("vectors.json")


# SipHash-2-4 ----------------------------------------------------------------------------------------------------------

def rotate(word, bits):
    return (word << bits | word >> (64 - bits)) & MASK


def sip_round(v):
    a, b, c, d = v
    a = (a + b) & MASK
    b = rotate(b, 13) ^ a
    a = rotate(a, 32)
    c = (c + d) & MASK
    d = rotate(d, 16) ^ c
    a = (a + d) & MASK
    d = rotate(d, 21) ^ a
    c = (c + b) & MASK
    b = rotate(b, 17) ^ c
    c = rotate(c, 32)
    return [a, b, c, d]


def siphash(key, message):
    k0, k1 = struct.unpack("<QQ", key)
    v = [
        k0 ^ int.from_bytes(b"somepseu", "big"),
        k1 ^ int.from_bytes(b"dorandom", "big"),
        k0 ^ int.from_bytes(b"lygenera", "big"),
        k1 ^ int.from_bytes(b"tedbytes", "big"),
    ]
    padded = message + bytes(-(len(message) + 1) % 8) + bytes([len(message) % 256])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start:start + 8], "little")
        v[3] ^= word
        v = sip_round(sip_round(v))
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        v = sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


# Published with the reference implementation: key 00..0f, messages of 0 to 15 bytes 00, 01, ..., output little-endian;
# and the worked example of the paper's appendix A.
PUBLISHED = """
    310e0edd47db6f72 fd67dc93c539f874 5a4fa9d909806c0d 2d7efbd796666785
    b7877127e09427cf 8da699cd64557618 cee3fe586e46c9cb 37d1018bf50002ab
    6224939a79f5f593 b0e4a90bdf82009e f3b9dd94c5bb5d7a a7ad6b22462fb3f4
    fbe50e86bc8f1e75 903d84c02756ea14 eef27a8e90ca23f7 e545be4961ca29a1
""".split()


def check_siphash():
    key = bytes(range(16))
    for length, expected in enumerate(PUBLISHED):
        assert siphash(key, bytes(range(length))).to_bytes(8, "little").hex() == expected, length
    assert siphash(key, bytes(range(15))) == 0xA129CA6149BE45E5


# Targets --------------------------------------------------------------------------------------------------------------

def parse(text):
    """A target as (kind, family, address bytes, port): tuples sort in canonical order."""
    if text.startswith("reject:"):
        return (2, 0, bytes(14) + struct.pack(">H", int(text[7:])), 0)
    host, port = text.rsplit(":", 1)
    ip = ipaddress.ip_address(host.strip("[]").split("%")[0])
    if ip.version == 6 and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return (1, ip.version, ip.packed, int(port))


def show(target):
    kind, _, packed, port = target
    if kind == 2:
        return f"reject:{int.from_bytes(packed, 'big')}"
    ip = ipaddress.ip_address(packed)
    return f"{ip}:{port}" if ip.version == 4 else f"[{ip}]:{port}"


def mapped(packed):
    return bytes(10) + b"\xff\xff" + packed if len(packed) == 4 else packed


def identity(target, leg):
    kind, _, packed, port = target
    return struct.pack(">IB", leg, kind) + mapped(packed) + struct.pack(">H", port)


# Tables ---------------------------------------------------------------------------------------------------------------

def quotas(size, weighted):
    """Rows of each target: one for a share below one row, the rest by largest remainder. Heaviest first."""
    order = sorted(weighted, key=lambda target: (-weighted[target], target))
    result, rows = {}, size
    while weighted[order[-1]] * rows < sum(weighted[target] for target in order):
        result[order.pop()] = 1
        rows -= 1
    total = sum(weighted[target] for target in order)
    shares = {target: Fraction(weighted[target] * rows, total) for target in order}
    for target in order:
        result[target] = int(shares[target])
        rows -= result[target]
    for target in sorted(order, key=lambda target: -(shares[target] % 1))[:rows]:
        result[target] += 1
    return result


def walk(size, seed, target):
    """Rows in the order in which the target tries them: legs of 256, and after 4 * size rows one without end."""
    for leg in itertools.count():
        drawn = siphash(seed, identity(target, leg))
        row = (drawn >> 32) * size >> 32
        skip = 1 + ((drawn & 0xFFFFFFFF) * (size - 1) >> 32)
        for _ in itertools.count() if leg >= 4 * size // 256 else range(256):
            yield row
            row = (row + skip) % size


def build(size, seed, weighted):
    """The owner of each row, as a target."""
    weighted = {target: weight for target, weight in weighted.items() if weight > 0}
    if not weighted:
        return []
    turns = [
        (Fraction(2 * number + 1, weighted[target]), -weighted[target], target)
        for target, quota in quotas(size, weighted).items()
        for number in range(quota)
    ]
    turns.sort()
    walks = {target: walk(size, seed, target) for target in weighted}
    owners = [None] * size
    for _, _, target in turns:
        row = next(row for row in walks[target] if owners[row] is None)
        owners[row] = target
    return owners


def row_of(size, key_hash):
    return (key_hash >> 32) * size >> 32


def candidates(owners, row):
    found = []
    for owner in owners[row:] + owners[:row]:
        if owner not in found:
            found.append(owner)
    return found


# Vectors --------------------------------------------------------------------------------------------------------------

SEED_A = bytes(range(16))
SEED_B = bytes.fromhex("f00dfacecafebeef0123456789abcdef")
PROBES = [0, 1, 2**32, 0x123456789ABCDEF0, 2**63, 0xDEADBEEFDEADBEEF, 2**64 - 1]

TABLES = [
    ("one endpoint", 4093, SEED_A, {"10.0.0.1:80": 1}),
    ("no target has weight", 4093, SEED_A, {"10.0.0.1:80": 0, "reject:0": 0}),
    ("three equal", 4093, SEED_A, {"10.0.0.1:80": 1, "10.0.0.2:80": 1, "10.0.0.3:80": 1}),
    ("three equal under another seed", 4093, SEED_B, {"10.0.0.1:80": 1, "10.0.0.2:80": 1, "10.0.0.3:80": 1}),
    ("70, 30 and 0", 65537, SEED_A, {"10.0.0.1:5432": 70, "10.0.0.2:5432": 30, "10.0.0.3:5432": 0}),
    ("ten equal", 65537, SEED_B, {f"192.168.0.{i}:8080": 100 for i in range(1, 11)}),
    ("weights 1 to 10", 65537, SEED_A, {f"192.168.0.{i}:8080": i for i in range(1, 11)}),
    ("both families, two ports, mapped, scoped", 16381, SEED_B, {
        "10.0.0.1:80": 2, "10.0.0.1:81": 2, "[::ffff:10.0.0.2]:80": 3, "[fd00::1]:80": 3, "[fd00::1]:81": 1,
        "[fe80::1%7]:80": 1, "9.255.255.255:65535": 4,
    }),
    ("an invalid ref keeps its share", 65537, SEED_A, {"10.0.0.1:80": 10, "10.0.0.2:80": 10, "reject:1": 80}),
    ("two rejects", 4093, SEED_A, {"reject:0": 1, "reject:65535": 1, "10.0.0.1:80": 1}),
    ("shares below one row", 4093, SEED_A, {"10.0.0.1:80": 2**40, "10.0.0.2:80": 1, "10.0.0.3:80": 1, "10.0.0.4:80": 2**39}),
    ("largest weights", 4093, SEED_B, {"10.0.0.1:80": 2**64 - 1, "10.0.0.2:80": 2**64 - 1, "10.0.0.3:80": 2**63}),
    ("a hundred of two weights", 16381, SEED_B, {f"10.1.{i}.1:443": 3 if i % 4 else 8 for i in range(100)}),
    ("largest size", 655373, SEED_B, {f"10.1.{i}.1:443": 1 for i in range(7)}),
]

# Protocol, listener port, client: the canonical 21 bytes of a flow key are protocol, listener port, client address as
# IPv6, client port.
FLOWS = [
    (6, 80, "192.0.2.1:49152"),
    (6, 5432, "192.0.2.1:49152"),
    (6, 80, "192.0.2.1:49153"),
    (6, 80, "[2001:db8::1]:49152"),
    (6, 80, "[::ffff:192.0.2.1]:49152"),
    (17, 53, "198.51.100.7:5353"),
    (6, 65535, "255.255.255.255:65535"),
    (6, 1, "[::]:0"),
]


def table_vector(name, size, seed, weights):
    weighted = {parse(text): weight for text, weight in weights.items()}
    assert len(weighted) == len(weights)
    owners = build(size, seed, weighted)
    targets = sorted(set(owners))
    index = {target: position for position, target in enumerate(targets)}
    rows = [index[owner] for owner in owners]
    return {
        "name": name,
        "size": size,
        "seed": seed.hex(),
        "input": [[text, weight] for text, weight in weights.items()],
        "targets": [show(target) for target in targets],
        "shares": [rows.count(position) for position in range(len(targets))],
        "first_rows": rows[:40],
        # SipHash-2-4 of all rows as big-endian u16, under a key of zeros.
        "rows_digest": f"{siphash(bytes(16), b''.join(struct.pack('>H', row) for row in rows)):016x}",
        "probes": [
            {
                "hash": f"{probe:016x}",
                "row": row_of(size, probe),
                "candidates": [index[owner] for owner in candidates(owners, row_of(size, probe))] if owners else [],
            }
            for probe in PROBES
        ],
    }


def flow_vector(seed, protocol, listener_port, client):
    _, _, packed, port = parse(client)
    key = bytes([protocol]) + struct.pack(">H", listener_port) + mapped(packed) + struct.pack(">H", port)
    return {
        "seed": seed.hex(),
        "protocol": protocol,
        "listener_port": listener_port,
        "client": client,
        "key": key.hex(),
        "hash": f"{siphash(seed, key):016x}",
    }


def vectors():
    check_siphash()
    return {
        "made_by": "vectors.py --write",
        "siphash": [
            {
                "seed": SEED_A.hex(),
                "message": bytes(range(length)).hex(),
                "hash": f"{siphash(SEED_A, bytes(range(length))):016x}",
            }
            for length in range(64)
        ],
        "flows": [flow_vector(seed, *flow) for seed in (SEED_A, SEED_B) for flow in FLOWS],
        "tables": [table_vector(*table) for table in TABLES],
    }


def text_of(value, depth=0):
    """JSON with short things on one line."""
    line = json.dumps(value)
    if not isinstance(value, (dict, list)) or len(line) + 2 * depth <= 110:
        return line
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {text_of(one, depth + 1)}" for key, one in value.items()]
        return "{\n" + ",\n".join(inner + part for part in parts) + "\n" + outer + "}"
    if all(isinstance(one, int) for one in value):
        lines = [", ".join(map(str, value[start:start + 20])) for start in range(0, len(value), 20)]
        return "[\n" + ",\n".join(inner + one for one in lines) + "\n" + outer + "]"
    return "[\n" + ",\n".join(inner + text_of(one, depth + 1) for one in value) + "\n" + outer + "]"


def main(arguments):
    if arguments not in ([], ["--write"], ["--check"]):
        sys.exit(__doc__)
    made = text_of(vectors()) + "\n"
    if arguments == ["--write"]:
        FILE.write_text(made, encoding="ascii")
    elif arguments == ["--check"]:
        if FILE.read_text(encoding="ascii") != made:
            sys.exit(f"{FILE} is not what {__file__} makes; run it with --write and look at the difference")
        print(f"{FILE.name} is what {pathlib.Path(__file__).name} makes")
    else:
        sys.stdout.write(made)


if __name__ == "__main__":
    main(sys.argv[1:])
