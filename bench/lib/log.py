"""The append-only file: what everysec costs a request, and how much can be written under always, beside redis-server.

Servers take turns within each round. The CPU time is that of all threads, the one that writes the file included. Under always the disk
decides, so the time of an fdatasync of 4 KiB is measured in the same rounds, and no more than connections x pipeline / that time can be
expected of anybody who syncs before he replies.
"""
import os
import statistics
import tempfile
import time

import client
import report
import table

POLICIES = {"none": "--appendonly no", "everysec": "--appendonly yes --appendfsync everysec",
            "always": "--appendonly yes --appendfsync always"}
CPU_ROWS = "SET P16,GET P16"
EVERYSEC_MOST = 1.10
ALWAYS_LEAST = {1: 1.5, 16: 3.0}  # x redis-server's throughput
WRITES_A_SYNC_LEAST = 20
SHARE_LEAST = 0.8  # of what the disk and the server without a file allow
SYNCS = 200


def sync_seconds(directory):
    """Median of some fdatasyncs, each behind 4 KiB that were appended."""
    times = []
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        for _ in range(SYNCS):
            os.write(file.fileno(), b"x" * 4096)
            begun = time.monotonic()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - begun)
    return statistics.median(times)


def batches(server):
    """How many batches kevy has written, each of which it has synced."""
    folder = os.path.join(server.directory, "appendonlydir")
    count = 0
    for name in os.listdir(folder):
        if name.endswith(".incr.aof"):
            with open(os.path.join(folder, name), "rb") as file:
                count += file.read().count(b"#kevy seq=")
    return count


def log(bench):
    results = [everysec(bench), always(bench)]
    report.save(bench, "log", results, "\n".join(result.pop("markdown") for result in results))


def everysec(bench):
    print("kevy's CPU time per request, ns, without an append-only file and with one, medians of the rounds")
    out = report.Table(["row", "none", "everysec", "ratio", "target", ""], [10, 14, 14, 7, 8, 7])
    data = table.data_set(bench, "small")
    rows = [table.Row(name) for name in (bench.options.rows or CPU_ROWS).split(",")]
    ns = {row.name: {policy: [] for policy in ("none", "everysec")} for row in rows}
    servers = {policy: bench.start("kevy", POLICIES[policy] + " --auto-aof-rewrite-percentage 0") for policy in ("none", "everysec")}
    try:
        for server in servers.values():
            table.load(server, data)
        for turn in range(bench.rounds + 1):
            for row in rows:
                requests = row.requests(bench.options)
                for policy, server in servers.items():
                    before = server.cpu_ns()
                    client.redis_benchmark(bench, server, row.kind.words, requests, row.pipeline, table.CONNECTIONS, data.count)
                    time.sleep(0.1)  # what is written and synced behind the last reply
                    if turn:
                        ns[row.name][policy].append((server.cpu_ns() - before) / requests)
    finally:
        for server in servers.values():
            server.stop()
    for row in rows:
        none, logged = ns[row.name]["none"], ns[row.name]["everysec"]
        ratio = statistics.median(b / a for a, b in zip(none, logged))
        out.add([row.name, f"{statistics.median(none):,.0f}", f"{statistics.median(logged):,.0f}", f"{ratio:.2f}", f"<= {EVERYSEC_MOST}",
                 report.verdict(ratio <= EVERYSEC_MOST)])
    return {"row": "everysec", "ns": ns, "markdown": out.markdown()}


def always(bench):
    print("SETs a second under always, 50 connections, medians of the rounds; sync: an fdatasync of 4 KiB, microseconds")
    out = report.Table(["row", "redis", "kevy", "kevy, none", "sync, us", "a sync", "kevy/redis", "target", "", "share", "target", ""],
                       [8, 10, 10, 10, 8, 7, 10, 8, 7, 6, 8, 7])
    found, servers = [], {}
    keys = 100_000
    try:
        servers = {"redis": bench.start("redis", POLICIES["always"]), "kevy": bench.start("kevy", POLICIES["always"]),
                   "none": bench.start("kevy", POLICIES["none"])}
        for pipeline, least in ALWAYS_LEAST.items():
            rps = {name: [] for name in servers}
            syncs, a_sync = [], []
            requests = int((bench.options.requests or 20_000) * (1 if pipeline == 1 else 8))
            for turn in range(bench.rounds + 1):
                syncs.append(sync_seconds(servers["kevy"].directory))
                for name, server in servers.items():
                    before = batches(server) if name == "kevy" else 0
                    one = client.redis_benchmark(bench, server, ["SET", "key:__rand_int__", "x" * 16], requests, pipeline, 50, keys)
                    if turn:
                        rps[name].append(one["rps"])
                    if turn and name == "kevy":
                        a_sync.append(requests / max(1, batches(server) - before))
            middle = {name: statistics.median(values) for name, values in rps.items()}
            ratio = statistics.median(a / b for a, b in zip(rps["kevy"], rps["redis"]))
            sync, writes = statistics.median(syncs), statistics.median(a_sync)
            share = middle["kevy"] / min(middle["none"], 50 * pipeline / sync)
            out.add([f"SET P{pipeline}"] + [f"{middle[name]:,.0f}" for name in ("redis", "kevy", "none")] +
                    [f"{1e6 * sync:.0f}", f"{writes:.0f}", f"{ratio:.2f}", f">= {least}", report.verdict(ratio >= least), f"{share:.2f}",
                     f">= {SHARE_LEAST}", report.verdict(share >= SHARE_LEAST and writes >= WRITES_A_SYNC_LEAST)])
            found.append({"row": f"SET P{pipeline}", "rps": rps, "sync_s": syncs, "writes_a_sync": a_sync, "ratio": ratio, "share": share})
    finally:
        for server in servers.values():
            server.stop()
    return {"row": "always", "rows": found, "markdown": out.markdown()}
