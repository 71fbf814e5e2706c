"""Snapshots: BGSAVE of millions of keys while all of them are overwritten: what memory it takes besides, how long it takes, and how
long the requests of a steady client take with it and without.

Memory is what is resident of the server and of its children, each page once where they share it. The client is load.c, SETs at a fixed
rate, counted from when each was due; where the keys are overwritten, redis-benchmark does that as fast as it can.
"""
import glob
import subprocess
import time

import client
import report
import servers
import table

KEYS = 5_000_000
RATE = 20_000
WATCH_SECONDS = 3
MOST_SECONDS = 300
LEAD_SECONDS = 0.3
MOST_EXTRA = 0.10       # of what the data take, beside them
ABOVE_US = 2_000        # the most that p99.9 may be above what it is without a snapshot


def snapshot(bench):
    count = min(bench.options.large, 500_000 if bench.quick else KEYS)
    names = bench.real_servers()
    print(f"BGSAVE of {count:,} keys: seconds alone and overwritten, extra memory then in MB and as a share, p99.9 in us at {RATE:,}/s")
    out = report.Table(["server", "MB", "alone s", "overwritten s", "extra MB", "share", "p99.9", "with it", "target", "memory", "p99.9", "time"],
                       [8] + [10] * 11)
    results = []
    for name in names:
        with bench.start(name, cpus=[bench.server_cpu, bench.client_cpu]) as server:
            client.send_all(server, ["SET", "key:%012d", table.VALUE], range(count))
            client.check_size(server, count)
            results.append(measure(bench, server, count) | {"server": name, "keys": count})
    redis = next((result for result in results if result["server"] == "redis"), None)
    for result in results:
        out.add(cells(result, redis))
    groups = [("with BGSAVE", {result["server"]: result["with_us"] for result in results}, None)]
    report.save(bench, "snapshot", results, out.markdown(), report.bars("p99.9 of SET during BGSAVE, us", names, groups))


def memory(server):
    """Bytes that the server and its children take, pages that they share counted once."""
    total = 0
    pids = [server.pid]
    for path in glob.glob(f"/proc/{server.pid}/task/*/children"):
        try:
            with open(path) as file:
                pids += file.read().split()
        except OSError:
            continue
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))
        except OSError:
            continue  # a child that has ended
    return total


def under_way(server):
    return b"rdb_bgsave_in_progress:1" in client.ask(server, "INFO", "persistence")


def save(server, watch=None):
    """Seconds that a BGSAVE takes; `watch` is called while it goes on."""
    begun = time.monotonic()
    reply = client.ask(server, "BGSAVE")
    if not reply.startswith(b"+"):
        raise servers.Trouble(f"{server.name}: BGSAVE: {reply[:100]!r}")
    while under_way(server):
        if watch:
            watch()
        time.sleep(0.01)
    if b"rdb_last_bgsave_status:ok" not in client.ask(server, "INFO", "persistence"):
        raise servers.Trouble(f"{server.name}: BGSAVE has failed: {server.said()}")
    return time.monotonic() - begun


def measure(bench, server, count):
    alone = save(server)
    quiet = loaded(bench, server, count, lambda: time.sleep(0.5 if bench.quick else WATCH_SECONDS))
    busy = loaded(bench, server, count, lambda: save(server))
    before, most = memory(server), [0]
    command = [servers.tool("redis-benchmark"), "-h", "127.0.0.1", "-p", server.port, "-n", 100 * count, "-r", count, "-P", 32, "-q",
               "SET", "key:__rand_int__", table.VALUE]
    writer = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              preexec_fn=servers.child([bench.client_cpu]))
    try:
        time.sleep(LEAD_SECONDS)
        seconds = save(server, lambda: most.__setitem__(0, max(most[0], memory(server))))
    finally:
        writer.kill()
        writer.wait()
    return {"bytes": before, "alone_s": alone, "overwritten_s": seconds, "extra": max(0, most[0] - before),
            "without_us": quiet["percentiles_us"]["99.9"], "with_us": busy["percentiles_us"]["99.9"], "quiet": quiet, "busy": busy}


def loaded(bench, server, count, work):
    """The steady client's figures while the work is done."""
    with client.Load(bench, server, RATE, MOST_SECONDS, "--command", "set", "--keys", count, "--connections", 50) as load:
        time.sleep(LEAD_SECONDS)
        work()
        return load.finish(stop=True)


def cells(result, redis):
    share = result["extra"] / max(1, result["bytes"])
    row = [result["server"], f"{result['bytes'] / 1e6:,.0f}", f"{result['alone_s']:.2f}", f"{result['overwritten_s']:.2f}",
           f"{result['extra'] / 1e6:,.0f}", f"{share:.0%}", f"{result['without_us']:,.0f}", f"{result['with_us']:,.0f}"]
    if result["server"] != "kevy":
        return row + [""] * 4
    slower = redis and result["overwritten_s"] > redis["overwritten_s"]
    return row + ["<= 10%, +2 ms", report.verdict(share <= MOST_EXTRA), report.verdict(result["with_us"] <= result["without_us"] + ABOVE_US),
                  report.verdict(not slower) if redis else ""]
