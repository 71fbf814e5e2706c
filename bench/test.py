#!/usr/bin/env python3
"""That the bench still works: every row and run that can be short, with tiny counts. What the figures are is not its business.

    test.py BUILD-DIRECTORY
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))
import table  # noqa: E402

SERVERS = ["floor", "redis", "kevy"] if shutil.which("redis-server") else ["floor", "kevy"]


def bench(build, out, *words):
    done = subprocess.run([sys.executable, os.path.join(HERE, "run"), "--build", build, "--out", out,
                           "--servers", ",".join(SERVERS), "--rounds", "1", "--requests", "1", "--large", "20000", *words],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    return done.returncode, done.stdout.decode()


def must(condition, what):
    if not condition:
        sys.exit(f"bench/test.py: {what}")


def results(build, out, name, *words):
    status, said = bench(build, out, *words)
    must(status == 0, f"{' '.join(words)} ended with {status}:\n{said}")
    for extension in ("md", "svg"):
        must(os.path.getsize(os.path.join(out, f"{name}.{extension}")) > 100, f"{name}.{extension} is empty")
    with open(os.path.join(out, f"{name}.json")) as file:
        return json.load(file)["results"]


def refused(build, out, expected, *words):
    status, said = bench(build, out, *words)
    must(status == 1 and expected in said and "Traceback" not in said, f"{' '.join(words)} ended with {status}:\n{said}")


def test_table(build, out):
    rows = results(build, out, "table", "table")
    must({row["row"] for row in rows} == set(table.TARGETS), f"rows are missing: {[row['row'] for row in rows]}")
    for row in rows:
        expected = {name for name in SERVERS if name != "floor" or row["target"]["against"] == "floor"}
        must(set(row["servers"]) == expected, f"{row['row']}: measured {list(row['servers'])}, not {expected}")
        must(all(server["ns"] > 0 and server["rps"] > 0 for server in row["servers"].values()), f"{row['row']}: no figures")
        if row["target"]["against"] in SERVERS:
            must(row["verdict"] in ("MET", "MISSED"), f"{row['row']} is not judged")


def test_selection(build, out):
    rows = results(build, out, "table-unix", "--unix", "--rows", "GET P512,SET P3")
    must([row["row"] for row in rows] == ["GET P512", "SET P3"], f"asked for two rows, got {rows}")


def test_added_server(build, out):
    rows = results(build, out, "table", "table", "--rows", "SET P64", f"other={build}/kevy --port PORT --dir DIR --save ''")
    must("other" in rows[0]["servers"] and "other" in rows[0]["ratios"], f"the added server is not measured: {rows}")


def test_shards(build, out):
    rows = results(build, out, "shards", "shards", "--rows", "GET P16")
    must(set(rows[0]["ratios"]) == {"2", "4"} and set(rows[0]["verdicts"]) == {"2", "4"}, f"shards: {rows}")


def test_latency(build, out):
    found = results(build, out, "latency", "latency", "--rates", "1000,3000", "--connections", "1,7", "--seconds", "0.05")
    cells = found["rates"]
    must([(cell["rate"], cell["connections"]) for cell in cells] == [(1000, 1), (1000, 7), (3000, 1), (3000, 7)], f"cells: {cells}")
    for cell in cells:
        must(set(cell["servers"]) == set(SERVERS) and set(cell["ratios"]) == {"50", "99"} and "verdict" in cell, f"a cell: {cell}")
        for server in cell["servers"].values():
            must([0 < figures["requests"] <= cell["rate"] // 20 for figures in server["rounds"]] == [True],
                 f"not 50 ms of requests: {cell}")


def test_memory(build, out):
    shapes = ("set of 10 members (8)", "a list of 1 million elements (16)")
    found = results(build, out, "memory", "memory", "--quick", "--rows", ";".join(shapes))
    must([row["figure"] for row in found] == [f"{shape}: bytes each" for shape in shapes], f"shapes: {found}")
    must(all(8 < each < 200 for row in found for each in row["servers"].values()), f"bytes: {found}")


def test_loading(build, out):
    if "redis" not in SERVERS:
        return
    found = results(build, out, "loading", "loading", "--quick")
    must([row["on"] for row in found[:2]] == ["one CPU", "two CPUs"] and found[0]["file"] == "string, 16 + 16", f"loading: {found}")
    must(found[-1]["file"].startswith("append-only file"), f"loading: {found[-1]}")
    # Seconds by the clock are whole milliseconds, and small files take less.
    must(all(set(row["servers"]) == {"redis", "kevy"} and row["times"] >= 0 and all(cpu > 0 for _, cpu in row["servers"].values())
             for row in found), f"loading: {found}")


def test_machine(build, out):
    status, said = bench(build, out, "machine")
    must(status == 0, f"machine ended with {status}:\n{said}")
    with open(os.path.join(out, "machine.json")) as file:
        figures = json.load(file)["results"][0]
    for name, most in (("system_call", 1e6), ("wake_up", 1e9), ("tcp_round_trip", 1e9), ("oversleep", 1e9)):
        must(0 < figures[name] < most, f"machine: {name} is {figures[name]} ns")
    must(figures["oversleep_without_slack"] < figures["oversleep"] + 1e6, f"machine: {figures}")


def test_pubsub(build, out):
    found = results(build, out, "pubsub", "pubsub", "--seconds", "0.05")
    must(len(found) == 5 and all(set(row["servers"]) == set(SERVERS) - {"floor"} for row in found), f"pubsub: {found}")
    must(all(figures["delivered"] > 0 for row in found for rounds in row["servers"].values() for figures in rounds), f"pubsub: {found}")
    if "redis" in SERVERS:
        must([row for row in found if "verdict" not in row] == [found[3]], f"pubsub: {found}")


def test_complaints(build, out):
    refused(build, out, "--rates takes numbers above 0", "latency", "--rates", "1000,many")
    refused(build, out, "no such row: 'GET Q1'", "--rows", "GET Q1")
    refused(build, out, "no such shape: 'hash'", "memory", "--rows", "hash")
    refused(build, out, "no run named nonsense", "nonsense")
    refused(build, out, "broken did not start", "--rows", "GET P1", "broken=false")
    refused(build, out, "is not there: build it", "--build", out)


def main():
    build = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="kevy-bench-test-") as out:
        for test in (test_table, test_selection, test_added_server, test_shards, test_latency, test_memory, test_loading, test_machine, test_pubsub, test_complaints):
            test(build, out)


main()
