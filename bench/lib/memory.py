"""Memory: resident bytes per key, per element and per idle connection, at boot, and the size of the binary."""
import os
import random
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace

import client
import report
import servers
import table

MILLIONS = (1, 2, 4, 8)
CONNECTIONS = (1_000, 10_000)
SETTLE_SECONDS = 1.5  # for what a server tidies up when it is left alone
KEY_BYTES = 60  # the most per key, without what is resident at boot
KEY_BYTES_AT = {2: 52}  # the same at so many millions
CONNECTION_BYTES = 1024
BOOT_BYTES = 4_000_000
BINARY_BYTES = 1_000_000


CHUNK = 200  # elements of a request, where one value is to have many
WORK_MOST = 20  # times that a server works before its elements come


@dataclass
class Shape:
    """`values` values of `size` elements each."""
    name: str
    command: str
    values: int
    size: int
    element: list  # words; see text_of
    most: float  # bytes of an element, its share of the key included
    more: tuple = ()  # words behind the element


SHAPES = [
    Shape("string, 16 + 16, with TTL", "SET", 2_000_000, 1, ["16"], 66, ("EX", "100000")),
    Shape("string, 16 + 64", "SET", 2_000_000, 1, ["64"], 98),
    Shape("hash of 10 fields (8 + 8)", "HSET", 200_000, 10, ["8", "8"], 22),
    Shape("hash of 100 fields (8 + 16)", "HSET", 20_000, 100, ["8", "16"], 28),
    Shape("a hash of 1 million fields (12 + 16)", "HSET", 1, 1_000_000, ["12", "16"], 46),
    Shape("set of 10 members (8)", "SADD", 200_000, 10, ["8"], 14),
    Shape("set of 100 integers below 30,000", "SADD", 20_000, 100, ["below 30000"], 2.9),
    Shape("a set of 1 million members (12)", "SADD", 1, 1_000_000, ["12"], 28),
    Shape("sorted set of 10 members (8)", "ZADD", 200_000, 10, ["below 100000", "8"], 19),
    Shape("a sorted set of 1 million members (12)", "ZADD", 1, 1_000_000, ["below 100000", "12"], 48),
    Shape("list of 10 elements (16)", "RPUSH", 200_000, 10, ["16"], 22),
    Shape("a list of 1 million elements (16)", "RPUSH", 1, 1_000_000, ["16"], 18.2),
]


def text_of(kind, chance):
    """So many hexadecimal digits, or a number."""
    return b"%d" % chance.randrange(int(kind[6:])) if kind.startswith("below ") else b"%0*x" % (int(kind), chance.getrandbits(4 * int(kind)))


def requests_of(shape):
    """As bytes; the same for every server."""
    chance = random.Random(shape.name)
    for number in range(shape.values):
        for at in range(0, shape.size, CHUNK):
            elements = (text_of(kind, chance) for _ in range(min(CHUNK, shape.size - at)) for kind in shape.element)
            yield client.request(shape.command, "key:%012d" % number, *elements, *shape.more)


def per_element(bench, name, shape):
    """Resident bytes for each element, less what was resident before, when the server had worked: its buffers are no elements."""
    with bench.start(name) as server:
        before = worked(server)
        client.send_requests(server, requests_of(shape))
        time.sleep(SETTLE_SECONDS)
        client.check_size(server, shape.values)
        return (server.rss() - before) / (shape.values * shape.size)


def worked(server):
    """Resident bytes once more work does not touch more buffers."""
    nothing = [b"%0*d" % (2 * CHUNK, number) for number in range(CHUNK // 10)]
    before = 0
    for _ in range(WORK_MOST):
        client.send_requests(server, (client.request("DEL", *nothing) for _ in range(4 * client.FILL_BATCH)))
        time.sleep(SETTLE_SECONDS)
        resident = server.rss()
        if resident <= before:
            break
        before = resident
    return before


def shapes_for(options):
    names = [name.strip() for name in options.rows.split(";")] if options.rows else [shape.name for shape in SHAPES]
    unknown = set(names) - {shape.name for shape in SHAPES}
    if unknown:
        raise servers.Trouble(f"no such shape: '{unknown.pop()}'; there are, to be named with ; between them:\n  "
                              + "\n  ".join(shape.name for shape in SHAPES))
    chosen = [shape for shape in SHAPES if shape.name in names]
    if options.quick:
        chosen = [replace(shape, values=-(-shape.values // 4), size=shape.size // (1 if shape.values > 1 else 4)) for shape in chosen]
    return chosen


def memory(bench):
    names = bench.real_servers()
    out = report.Table(["figure"] + names + ["target", ""], [50] + [10] * len(names) + [12, 6])
    results = []

    def add(figure, values, most):
        results.append({"figure": figure, "servers": values, "most": most})
        met = report.verdict(values["kevy"] <= most) if most and "kevy" in values else ""
        out.add([figure] + [f"{value:,.1f}" if value < 1000 else f"{value:,.0f}" for value in values.values()] + [f"<= {most:,}" if most else "", met])

    if not bench.options.rows:
        basics(bench, names, add)
    groups = []
    for shape in shapes_for(bench.options):
        each = {name: per_element(bench, name, shape) for name in names}
        add(f"{shape.name}: bytes each", each, shape.most)
        groups.append((shape.name, each, shape.most))
    report.save(bench, "memory", results, out.markdown(), report.bars("Resident bytes per element", names, groups))


def basics(bench, names, add):
    """What needs no elements."""
    boot, binary = {}, {}
    for name in names:
        with bench.start(name) as server:
            time.sleep(SETTLE_SECONDS)
            boot[name] = server.rss()
            binary[name] = stripped_size(os.path.realpath(f"/proc/{server.pid}/exe"))
    add("resident at boot, bytes", boot, BOOT_BYTES)
    add("stripped binary, bytes", binary, BINARY_BYTES)

    millions = MILLIONS[:2] if bench.quick else MILLIONS
    per_key = {name: keys(bench, name, millions) for name in names}
    for million in millions:
        resident = {name: per_key[name][million] for name in names}
        count = million * 1_000_000
        add(f"{million} million keys: resident/keys", {name: resident[name] / count for name in names}, None)
        add(f"{million} million keys: (resident-boot)/keys",
            {name: (resident[name] - boot[name]) / count for name in names}, KEY_BYTES_AT.get(million, KEY_BYTES))

    counts = CONNECTIONS[:1] if bench.quick else CONNECTIONS
    per_connection = {name: connections(bench, name, counts) for name in names}
    for count in counts:
        add(f"{count:,} idle connections: bytes each", {name: per_connection[name][count] for name in names}, CONNECTION_BYTES)


def stripped_size(path):
    """Of a copy, where the tool is there to strip it."""
    strip = shutil.which("strip")
    if not strip:
        return os.path.getsize(path)
    with tempfile.TemporaryDirectory(prefix="kevy-bench-") as directory:
        copy = os.path.join(directory, "stripped")
        done = subprocess.run([strip, "-o", copy, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        return os.path.getsize(copy if done.returncode == 0 else path)


def keys(bench, name, millions):
    """{millions of keys: resident bytes}, the keys added step by step."""
    resident, filled = {}, 0
    with bench.start(name) as server:
        for million in millions:
            client.fill(server, "key:%012d", table.VALUE, filled, million * 1_000_000)
            filled = million * 1_000_000
            time.sleep(SETTLE_SECONDS)
            client.check_size(server, filled)
            resident[million] = server.rss()
    return resident


def connections(bench, name, counts):
    """{connections: bytes that each added} to a server that has worked before. Each has asked for something once."""
    grown, opened = {}, []
    with bench.start(name, f"--maxclients {max(counts) + 100}") as server:
        try:
            client.redis_benchmark(bench, server, ["GET", "key:__rand_int__"], 100_000, 16)
            time.sleep(SETTLE_SECONDS)
            before = server.rss()
            for count in counts:
                while len(opened) < count:
                    opened.append(client.connect(server, bench.unix))
                    opened[-1].sendall(client.request("PING"))
                    if not opened[-1].recv(64).startswith(b"+PONG"):
                        raise servers.Trouble(f"{name} does not serve connection {len(opened):,}")
                time.sleep(SETTLE_SECONDS)
                grown[count] = (server.rss() - before) / count
        except OSError as error:
            raise servers.Trouble(f"{name}, connection {len(opened) + 1:,}: {error} (ulimit -n must be above "
                                  f"{max(counts):,})") from None
        finally:
            for connection in opened:
                connection.close()
    return grown
