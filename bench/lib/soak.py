"""Soak: mixed load with connections that come and go, some of them badly; memory and descriptors must stay flat.

One pass does each of LOADS for a moment, in this order, beside a steady client that writes the same keys, and connections that end
in the ways of `churn`. After each pass, with no connection left, memory and descriptors are read. The keys are a bounded set that
the first passes fill, and all passes are alike: memory in the second half of the run is compared with the first.
"""
import random
import socket
import struct
import sys
import time

import client
import report
import servers

SECONDS = 600
QUICK_SECONDS = 20
PASS_SECONDS = 2.5  # of load; the churn comes on top
KEYS = 20_000
STEADY_RATE = 2_000
GROWTH = 1.03  # the most that resident memory may grow in the second half,
GROWTH_BYTES = 2 << 20  # or so much
CLOSE_SECONDS = 5

VALUES = [16, 300, 4_000, 20_000]
LOADS = [  # words, pipeline, connections, requests per second or so
    (["SET", "key:__rand_int__", "x" * VALUES[0]], 16, 50, 200_000),
    (["SET", "key:__rand_int__", "x" * VALUES[1]], 4, 20, 100_000),
    (["SET", "key:__rand_int__", "x" * VALUES[2]], 1, 50, 20_000),
    (["SET", "key:__rand_int__", "x" * VALUES[3]], 2, 10, 15_000),
    (["SET", "ttl:__rand_int__", "x" * VALUES[0], "PX", "50"], 16, 50, 200_000),
    (["GET", "key:__rand_int__"], 64, 50, 300_000),
    (["INCR", "cnt:__rand_int__"], 16, 50, 200_000),
    (["APPEND", "app:__rand_int__", "y" * 40], 4, 20, 100_000),
    (["MSET"] + ["key:__rand_int__", "z" * 100] * 10, 8, 50, 30_000),
    (["DEL", "key:__rand_int__", "app:__rand_int__"], 16, 50, 200_000),
]


def soak(bench):
    seconds = bench.options.seconds or (QUICK_SECONDS if bench.quick else SECONDS)
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"mixed load with churn for {seconds:.0f} s, seed {seed}")
    with bench.start("kevy") as server:
        samples = run(bench, server, seconds, chance)
    half = len(samples) // 2
    before, after = samples[half - 1 if half else 0], samples[-1]
    resident = max(sample["rss"] for sample in samples[half:])
    limit = max(max(sample["rss"] for sample in samples[:half] or samples) * GROWTH, before["rss"] + GROWTH_BYTES)
    flat = resident <= limit
    same = after["descriptors"] == samples[0]["descriptors"]
    out = report.Table(["figure", "first pass", "half-way", "end", "most of 2nd half", "target", ""],
                       [12, 12, 12, 12, 16, 14, 6])
    out.add(["resident"] + [f"{sample['rss']:,}" for sample in (samples[0], before, after)]
            + [f"{resident:,}", f"<= {limit:,.0f}", report.verdict(flat)])
    out.add(["descriptors"] + [str(sample["descriptors"]) for sample in (samples[0], before, after)]
            + [str(max(sample["descriptors"] for sample in samples[half:])), "the same", report.verdict(same)])
    report.save(bench, "soak", {"seed": seed, "seconds": seconds, "samples": samples}, out.markdown())
    if not (flat and same):
        sys.exit(1)


def run(bench, server, seconds, chance):
    quiet = server.descriptors()
    end = time.monotonic() + seconds
    samples = []
    while time.monotonic() < end or len(samples) < 2:
        with client.Load(bench, server, STEADY_RATE, seconds + 60, "--connections", 20, "--command", "set",
                         "--keys", KEYS) as steady:
            for words, pipeline, connections, rate in LOADS:
                requests = max(pipeline * connections, int(rate * PASS_SECONDS / len(LOADS)))
                client.redis_benchmark(bench, server, words, requests, pipeline, connections, KEYS)
                churn(bench, server, chance)
            if steady.finish(stop=True)["unanswered"]:
                raise servers.Trouble("kevy did not answer all of the steady client's requests")
        samples.append({"rss": settled(server, quiet), "descriptors": server.descriptors(), "cpu_ns": server.cpu_ns()})
    return samples


def settled(server, quiet):
    """Resident bytes, once all connections are closed on the server's side as well."""
    deadline = time.monotonic() + CLOSE_SECONDS
    while server.descriptors() > quiet and time.monotonic() < deadline:
        time.sleep(0.02)
    return server.rss()


def churn(bench, server, chance):
    """Connections that end in the ways in which connections end."""
    key = "key:%012d" % chance.randrange(KEYS)
    for _ in range(20):
        end = chance.choice(["at once", "after a reply", "inside a request", "with replies unread", "half closed", "reset"])
        connection = client.connect(server, bench.unix or chance.random() < 0.3)
        connection.settimeout(10)
        if end == "after a reply":
            connection.sendall(client.request("GET", key))
            connection.recv(100)
        elif end == "inside a request":
            connection.sendall(client.request("SET", key, "v" * 5000)[:chance.randrange(1, 5000)])
        elif end == "with replies unread":
            connection.sendall(client.request("GET", key) * chance.randrange(1, 500))
        elif end == "half closed":
            connection.sendall(client.request("PING") * 10)
            connection.shutdown(socket.SHUT_WR)
            if read_to_end(connection) != b"+PONG\r\n" * 10:
                raise servers.Trouble("a half-closed connection did not get its replies")
        elif end == "reset":
            connection.sendall(client.request("GET", key) * 100)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def read_to_end(connection):
    parts = []
    while True:
        data = connection.recv(1 << 16)
        if not data:
            return b"".join(parts)
        parts.append(data)
