"""Client tracking: what a GET costs the server whose clients track what they read, against one whose clients do not.

Ten connections read random keys, by turns with and without tracking. What is measured begins when nearly all of their reads find
themselves noted already. With one shard the client has the other CPU; with four, client and server may both run on both.
"""
import re
import statistics
import subprocess
import time

import client
import report
import servers
import table

READERS = 10
PIPELINE = 64
COUNTS = (1, 4)
KEYS = (1_000, 100_000)
NOTED = 0.995  # of all pairs of a key and a reader
DEADLINE_SECONDS = 60
MOST = 1.15  # times what a GET costs without tracking


def tracking(bench):
    seconds = bench.options.seconds or (0.2 if bench.quick else 0.5)
    print(f"GET at pipeline {PIPELINE} over {READERS} connections, ns per request, medians of {bench.rounds}")
    out = report.Table(["shards", "keys", "plain, ns", "tracked, ns", "ratio", "target", ""], [6, 8, 14, 14, 6, 8, 7])
    results = []
    for shards in COUNTS:
        both = [bench.server_cpu, bench.client_cpu]
        with bench.start("kevy", f"--shards {shards} --io-sqpoll no", both[:1] if shards == 1 else both) as server:
            data = table.data_set(bench, "small")
            for keys in KEYS:
                ns = {"plain": [], "tracked": []}
                for _ in range(bench.rounds):
                    for name, found in ns.items():
                        table.load(server, data)  # after which nobody is noted
                        found.append(cost(server, keys, name == "tracked", both[1:] if shards == 1 else both, seconds))
                ratio = statistics.median(tracked / plain for tracked, plain in zip(ns["tracked"], ns["plain"]))
                results.append({"shards": shards, "keys": keys, "ns": ns, "ratio": ratio, "verdict": report.verdict(ratio <= MOST)})
                out.add(cells(results[-1]))
    groups = [(f"{result['keys']:,} keys, {result['shards']} shards", {"tracked": result["ratio"]}, MOST) for result in results]
    report.save(bench, "tracking", results, out.markdown(), report.bars("CPU time of a GET, without tracking = 1", ["tracked"], groups))


def cost(server, keys, tracked, cpus, seconds):
    """Nanoseconds of the server's CPU time per GET, of some seconds in the middle of a load."""
    command = [servers.tool("redis-benchmark"), "-p", server.port, "-c", READERS, "-P", PIPELINE, "-r", keys, "-n", 2_000_000_000, "-q"]
    command += ["--enable-tracking"] * tracked + ["GET", "key:__rand_int__"]
    load = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            preexec_fn=servers.child(cpus))
    try:
        wait(server, "instantaneous_ops_per_sec", 1)
        wait(server, "tracking_total_items", NOTED * keys * READERS * tracked)
        begin, before = server.cpu_ns(), figure(server, "total_commands_processed")
        time.sleep(seconds)
        return (server.cpu_ns() - begin) / (figure(server, "total_commands_processed") - before)
    finally:
        load.terminate()
        load.wait()


def figure(server, name):
    return int(re.search(rb"%s:(\d+)" % name.encode(), client.ask(server, "INFO", "stats"))[1])


def wait(server, name, least):
    end = time.monotonic() + DEADLINE_SECONDS
    while figure(server, name) < least:
        if time.monotonic() > end:
            raise servers.Trouble(f"{server.name}: {name} is not {least:,.0f} after {DEADLINE_SECONDS} s")
        time.sleep(0.05)


def cells(result):
    found = [str(result["shards"]), f"{result['keys']:,}"]
    for ns in result["ns"].values():
        middle = statistics.median(ns)
        found.append(f"{middle:,.0f} ±{50 * (max(ns) - min(ns)) / middle:.0f}%")
    return found + [f"{result['ratio']:.2f}", f"<= {MOST:.2f}", result["verdict"]]
