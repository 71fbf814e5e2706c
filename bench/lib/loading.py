"""Loading: how long a start takes that finds an RDB file, and how much CPU time. Every server gets the same file, which redis-server
saved. On one CPU each, kevy with one shard, where CPU time is compared; and on both, kevy with two, where it is time.
"""
import os
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
LOADED = re.compile(rb"DB loaded from disk: ([0-9.]+) seconds")


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
        path = os.path.join(directory, "dump.rdb")
        shutil.copy(os.path.join(server.directory, "dump.rdb"), path)
    return path


def load(bench, name, path, shards, cpus):
    """[Seconds, as the server's log has them, CPU seconds of the whole start]"""
    with bench.start(name, f"--shards {shards}" if name == "kevy" else "", cpus, {"dump.rdb": path}) as server:
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
    for shape in shapes(bench):
        with tempfile.TemporaryDirectory(prefix="kevy-bench-") as directory:
            path = make_file(bench, shape, directory)
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
