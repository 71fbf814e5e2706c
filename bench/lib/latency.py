"""Latency: of one connection that sends, waits and sends again; and of many at fixed rates, counted from when a request was due."""
import statistics

import client
import report
import table

ONE_CONNECTION_US = 40  # the most that kevy's p50 may be
ONE_REQUESTS = 20_000
RATES = (1_000, 5_000, 10_000, 20_000, 40_000)
QUICK_RATES = (2_000, 20_000)
SHOWN = ("50", "99", "99.9")


def latency(bench):
    data = table.data_set(bench, "small")
    with bench.started(bench.names) as running:
        for name in bench.real_servers():
            table.load(bench, running[name], data)
        one, one_table = one_connection(bench, running)
        rated, rated_table = fixed_rates(bench, running)
    curves = {name: [(dash, [(result["rate"], result["servers"][name]["percentiles_us"][percent]) for result in rated])
                     for dash, percent in enumerate(SHOWN)] for name in running}
    report.save(bench, "latency-unix" if bench.unix else "latency", {"one_connection": one, "rates": rated},
                one_table.markdown() + "\n" + rated_table.markdown(),
                report.lines("Latency of GET, 50 connections at fixed rates", bench.names, curves, "requests per second",
                             "us: p50 solid, p99 dashed, p99.9 dotted"))


def one_connection(bench, running):
    print(f"one connection, pipeline 1, GET: p50 in us, medians of {bench.rounds}")
    row = table.Row("GET P1")
    requests = bench.options.requests or (ONE_REQUESTS // 4 if bench.quick else ONE_REQUESTS)
    found = {name: [] for name in running}
    for _ in range(bench.rounds):
        for name, server in running.items():
            figures = client.redis_benchmark(bench, server, row.kind.words, requests, connections=1)
            found[name].append(figures["p50_ms"] * 1000)
    p50 = {name: statistics.median(rounds) for name, rounds in found.items()}
    judged = "kevy" in p50 and not bench.unix
    out = report.Table([""] + bench.names + ["target", ""], [10, 8, 8, 8, 6, 6])
    out.add(["p50, us"] + [f"{p50[name]:.0f}" for name in bench.names]
            + ([f"<= {ONE_CONNECTION_US}", report.verdict(p50["kevy"] <= ONE_CONNECTION_US)] if judged else ["", ""]))
    return found, out


def fixed_rates(bench, running):
    seconds = bench.options.seconds or (1 if bench.quick else 5)
    print(f"50 connections, GET at fixed rates: {', '.join('p' + percent for percent in SHOWN)} and the longest, in us")
    out = report.Table(["rate"] + bench.names, [8] + [30] * len(bench.names))
    results = []
    for rate in QUICK_RATES if bench.quick else RATES:
        found = {}
        for name, server in running.items():
            with client.Load(bench, server, rate, seconds, "--connections", table.CONNECTIONS, "--command", "get",
                             "--spin") as load:
                found[name] = load.finish()
        results.append({"rate": rate, "servers": found})
        out.add([f"{rate:,}/s"] + [" / ".join(f"{us:,.0f}" for us in
                                              [figures["percentiles_us"][percent] for percent in SHOWN] + [figures["max_us"]])
                                   for figures in found.values()])
    return results, out
