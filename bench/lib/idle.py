"""Idle: the CPU time that a server uses while nobody asks for anything, with 50 connections open and a burst of load behind it."""
import time

import client
import report
import table

SECONDS = 10
QUICK_SECONDS = 3
SETTLE_SECONDS = 1
CPU_PERCENT = 0.05  # the most; below it, top shows 0.0


def idle(bench):
    seconds = QUICK_SECONDS if bench.quick else SECONDS
    print(f"CPU used in {seconds} s with {table.CONNECTIONS} idle connections")
    out = report.Table(["server", "ms", "percent", "target", ""], [10, 8, 8, 8, 6])
    results = []
    for name in bench.names:
        with bench.start(name) as server:
            used = watch(bench, server, seconds)
        percent = used / seconds / 1e7
        results.append({"server": name, "seconds": seconds, "cpu_ns": used})
        judged = [f"<= {CPU_PERCENT}", report.verdict(percent <= CPU_PERCENT)] if name == "kevy" else ["", ""]
        out.add([name, f"{used / 1e6:.2f}", f"{percent:.3f}"] + judged)
    report.save(bench, "idle", results, out.markdown())


def watch(bench, server, seconds):
    client.redis_benchmark(bench, server, ["GET", "key:__rand_int__"], 20_000, 16)
    connections = [client.connect(server, bench.unix) for _ in range(table.CONNECTIONS)]
    for connection in connections:
        connection.sendall(client.request("GET", "key:%012d" % 0))
        connection.recv(64)
    time.sleep(SETTLE_SECONDS)
    before = server.cpu_ns()
    time.sleep(seconds)
    used = server.cpu_ns() - before
    for connection in connections:
        connection.close()
    return used
