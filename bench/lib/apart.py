"""Apart: what a client that asks for one key a time feels of another one, on another shard, that never stops asking for many.

The first sends GET at a fixed rate over one connection and counts from when a request was due. The second repeats one request
without pause over another connection: SCAN, MGET of 32 keys, RANDOMKEY. kevy hands connections out evenly, so with four shards
the two are served by different threads; what they can still share are locks and CPUs. The row without a second client, and that
with a PING without pause, say what the machine itself adds. Servers given as NAME=COMMAND are to be started with four shards.
"""
import statistics
import subprocess

import client
import report
import servers
import table

RATE = 5_000
BESIDE = (("nothing", None), ("PING", "ping"), ("SCAN", "scan 0 count 100"), ("RANDOMKEY", "randomkey"),
          ("MGET 32", "mget " + " ".join("key:__rand_int__" for _ in range(32))))
SHARDS = 4


def apart(bench):
    data = table.data_set(bench, "small")
    seconds = bench.options.seconds or (1 if bench.quick else 3)
    both = [bench.server_cpu, bench.client_cpu]
    names = [name for name in bench.real_servers() if name != "redis"]
    print(f"GET at {RATE:,}/s beside a client without pause, {SHARDS} shards on CPUs {both}: p50 / p99 / p99.9 in us, medians of "
          f"{bench.rounds}")
    running = {}
    found = {beside: {name: [] for name in names} for beside, _ in BESIDE}
    try:
        for name in names:
            running[name] = bench.start(name, f"--shards {SHARDS} --shards-in-use all --io-sqpoll no" if name == "kevy" else "", both)
            table.load(running[name], data)
        for _ in range(bench.rounds):
            for beside, words in BESIDE:
                for name, server in running.items():
                    found[beside][name].append(measure(bench, server, words, seconds, data.count))
    finally:
        for server in running.values():
            server.stop()
    out = report.Table(["beside"] + names, [10] + [24] * len(names))
    for beside, _ in BESIDE:
        out.add([beside] + [" / ".join(f"{middle(found[beside][name], percent):,.0f}" for percent in ("50", "99", "99.9"))
                            for name in names])
    groups = [(beside, {name: middle(found[beside][name], "99") for name in names}, None) for beside, _ in BESIDE]
    report.save(bench, "apart", found, out.markdown(), report.bars("p99 of GET beside a busy client, us", names, groups))


def middle(rounds, percent):
    return statistics.median(figures["percentiles_us"][percent] for figures in rounds)


def measure(bench, server, words, seconds, keys):
    with client.Load(bench, server, RATE, seconds, "--connections", 1, "--command", "get") as load:
        hammer = words and subprocess.Popen(
            [servers.tool("redis-benchmark"), "-h", "127.0.0.1", "-p", str(server.port), "-c", "1", "-n", "100000000", "-q", "-r",
             str(keys), *words.split()],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=servers.child([bench.client_cpu]))
        try:
            return load.finish()
        finally:
            if hammer:
                hammer.kill()
                hammer.wait()
