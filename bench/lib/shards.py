"""Shards on two CPUs that the client shares: what a request costs the server with 2 and 4 of them, against one.

With several shards a request goes, more often than not, to another thread than the one that holds its connection. That way costs:
the ratio says how much. Client and server may both run on both CPUs.
"""
import statistics

import client
import report
import table

ROWS = "GET P16,GET P64,SET P16,SET P64"
COUNTS = (1, 2, 4)
# {(shards, pipeline): the most that a request may cost against one shard}
TARGETS = {(2, 16): 1.10, (4, 16): 1.15, (2, 64): 1.15, (4, 64): 1.25}


def shards(bench):
    data = table.data_set(bench, "small")
    rows = [table.Row(name) for name in (bench.options.rows or ROWS).split(",")]
    both = [bench.server_cpu, bench.client_cpu]
    print(f"kevy with {', '.join(map(str, COUNTS))} shards on CPUs {both} with the client, ns per request, "
          f"medians of {bench.rounds}")
    out = report.Table(["row"] + [f"{count}, ns" for count in COUNTS] + ["2/1", "target", "", "4/1", "target", ""],
                       [10, 14, 14, 14, 5, 8, 7, 5, 8, 7])
    running = {}
    results = []
    try:
        for count in COUNTS:
            running[count] = bench.start("kevy", f"--shards {count} --io-sqpoll no", both)
            table.load(running[count], data)
        for row in rows:
            results.append(measure(bench, row, running, data, both))
            out.add(cells(results[-1]))
    finally:
        for server in running.values():
            server.stop()
    names = [f"{count} shards" for count in COUNTS]
    groups = [(result["row"], {f"{count} shards": statistics.median(result["ns"][count]) / statistics.median(result["ns"][1])
                               for count in COUNTS}, None) for result in results]
    report.save(bench, "shards", results, out.markdown(), report.bars("CPU time per request, one shard = 1", names, groups))


def measure(bench, row, running, data, cpus):
    requests = row.requests(bench.options)
    ns = {count: [] for count in running}
    for turn in range(bench.rounds + 1):
        for count, server in running.items():
            before = server.cpu_ns()
            client.redis_benchmark(bench, server, row.kind.words, requests, row.pipeline, table.CONNECTIONS, data.count, cpus)
            if turn:  # the first is for warming up
                ns[count].append((server.cpu_ns() - before) / requests)
    ratios = {count: statistics.median(many / one for many, one in zip(ns[count], ns[1])) for count in running if count > 1}
    targets = {count: TARGETS.get((count, row.pipeline)) for count in ratios}
    return {"row": row.name, "requests": requests, "ns": ns, "ratios": ratios, "targets": targets,
            "verdicts": {count: report.verdict(ratios[count] <= most) for count, most in targets.items() if most}}


def cells(result):
    found = [result["row"]]
    for ns in result["ns"].values():
        middle = statistics.median(ns)
        found.append(f"{middle:,.0f} ±{50 * (max(ns) - min(ns)) / middle:.0f}%")
    for count, ratio in result["ratios"].items():
        most = result["targets"][count]
        found += [f"{ratio:.2f}", f"<= {most:.2f}" if most else "", result["verdicts"].get(count, "")]
    return found
