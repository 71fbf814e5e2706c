"""Loading: how long a start takes that finds an RDB file, or an append-only one, and how much CPU time. Every server gets the same file,
and an RDB file is one that redis-server saved. On one CPU each, kevy with one shard, where CPU time is compared; and on both, kevy with
two, where it is time.
"""
import os
import random
import re
import shutil
import tempfile
import time
from dataclasses import replace

import client
import memory
import report
import servers

STRINGS = 5_000_000
FASTER = 1.3  # than redis-server in keys per second, on one CPU
FASTER_ON_TWO = 2.0
MOST_SECONDS = 600
LOADED = re.compile(rb"DB loaded from (?:disk|append only file): ([0-9.]+) seconds")
RDB, AOF = "dump.rdb", "appendonly.aof"
COMMANDS_OF_A_STRING = 2  # of the append-only file, for each of the strings of the first RDB file


def shapes(bench):
    strings = memory.Shape("string, 16 + 16", "SET", bench.options.large, 1, ["16"], 0)
    others = [shape for shape in memory.SHAPES if shape.command != "SET" and (shape.values == 1 or shape.size == 10)]
    if bench.quick:
        strings = replace(strings, values=strings.values // 10)
        others = [replace(shape, values=-(-shape.values // 10), size=shape.size // (1 if shape.values > 1 else 10)) for shape in others]
    return [strings, *others]


def make_file(bench, shape, directory):
    """What redis-server saves of it."""
    with bench.start("redis") as server:
        client.send_requests(server, memory.requests_of(shape))
        client.check_size(server, shape.values)
        client.ask(server, "SAVE")
        path = os.path.join(directory, RDB)
        shutil.copy(os.path.join(server.directory, RDB), path)
    return path


def make_aof(shape, directory):
    """Plain SETs of keys that come several times each, as servers before Redis 7 had them in one file."""
    chance, keys = random.Random(shape.name), max(shape.values // 5, 1)
    path = os.path.join(directory, AOF)
    with open(path, "wb") as file:
        file.write(client.request("SELECT", "0"))
        for number in range(shape.values):
            file.write(client.request("SET", "key:%012d" % chance.randrange(keys), "value:%010d" % number))
    return path


def load(bench, name, path, shards, cpus):
    """[Seconds, as the server's log has them, CPU seconds of the whole start]"""
    file = os.path.basename(path)
    more = (f"--shards {shards} " if name == "kevy" else "") + ("--appendonly yes --auto-aof-rewrite-percentage 0" if file == AOF else "")
    with bench.start(name, more, cpus, {file: path}) as server:
        deadline = time.monotonic() + MOST_SECONDS
        while not (found := LOADED.search(server.whole_log())):
            server.check()
            if time.monotonic() > deadline:
                raise servers.Trouble(f"{name} has not loaded {path} within {MOST_SECONDS} s")
            time.sleep(0.02)
        return [float(found.group(1)), server.cpu_ns() / 1e9]


def loading(bench):
    if "redis" not in bench.names:
        raise servers.Trouble("loading: the files come from redis-server, which is to be measured too")
    names, results = bench.real_servers(), []
    ways = {"one CPU": (1, [bench.server_cpu], FASTER), "two CPUs": (2, sorted({bench.server_cpu, bench.client_cpu}), FASTER_ON_TWO)}
    out = report.Table(["file", "on"] + [f"{name} {what}" for name in names for what in ("s", "CPU s")] + ["times redis", "target", ""],
                       [40, 8] + [8] * 2 * len(names))
    rdb = shapes(bench)
    commands = replace(rdb[0], name="append-only file, SET 16 + 16", values=rdb[0].values * COMMANDS_OF_A_STRING)
    for shape in [*rdb, commands]:
        with tempfile.TemporaryDirectory(prefix="kevy-bench-") as directory:
            path = make_aof(shape, directory) if shape is commands else make_file(bench, shape, directory)
            for way, (shards, cpus, target) in ways.items():
                rounds = {name: [load(bench, name, path, shards, cpus) for _ in range(bench.rounds)] for name in names}
                best = {name: [min(figures) for figures in zip(*rounds[name])] for name in names}
                what = 0 if shards > 1 else 1
                times = best["redis"][what] / best["kevy"][what] if "kevy" in best else None
                results.append({"file": shape.name, "bytes": os.path.getsize(path), "on": way, "servers": best, "times": times, "target": target})
                out.add([shape.name, way] + [f"{figure:.2f}" for name in names for figure in best[name]]
                        + ([f"{times:.2f}", f">= {target}", report.verdict(times >= target)] if times else ["", "", ""]))
    groups = [(f"{row['file']}, {row['on']}", {name: row["servers"][name][0] for name in names}, None) for row in results]
    report.save(bench, "loading", results, out.markdown(), report.bars("Seconds to load", names, groups))
