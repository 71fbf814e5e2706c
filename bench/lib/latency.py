"""Latency: of one connection that sends, waits and sends again; and at fixed rates, counted from when a request was due.

The second is a table of cells, a rate over a number of connections each. In a round of a cell the servers take turns, a short while
each; a figure is the median of the rounds. kevy is compared with the best of the others, percentile by percentile.
"""
import statistics

import client
import report
import servers
import table

ONE_CONNECTION_US = 40  # the most that kevy's p50 may be
ONE_REQUESTS = 20_000
RATES = (1_000, 5_000, 10_000, 20_000, 40_000, 80_000)
QUICK_RATES = (2_000, 20_000)
CONNECTIONS = (1, 10, 50, 200)
QUICK_CONNECTIONS = (10, 50)
DRAWN_CONNECTIONS = 50  # what the picture shows, if it was measured
SHOWN = ("50", "99")
DRAWN = ("50", "99", "99.9")
MARGIN = 1.05  # kevy is no worse than the best of the others if it is within this of it


def latency(bench):
    rates = numbers(bench.options.rates, QUICK_RATES if bench.quick else RATES, "--rates")
    connections = numbers(bench.options.connections, QUICK_CONNECTIONS if bench.quick else CONNECTIONS, "--connections")
    data = table.data_set(bench, "small")
    with bench.started(bench.names) as running:
        for name in bench.real_servers():
            table.load(running[name], data)
        one, one_table = one_connection(bench, running)
        rated, rated_table = fixed_rates(bench, running, rates, connections)
    report.save(bench, "latency-unix" if bench.unix else "latency", {"one_connection": one, "rates": rated},
                one_table.markdown() + "\n" + rated_table.markdown(), picture(bench, rated))


def numbers(text, otherwise, option):
    if not text:
        return otherwise
    try:
        found = [int(word) for word in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise servers.Trouble(f"{option} takes numbers above 0 with commas between them, not '{text}'")
    return found


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


def fixed_rates(bench, running, rates, connections):
    print(f"GET at fixed rates: {', '.join('p' + percent for percent in SHOWN)} in us, medians of {bench.rounds}; "
          f"kevy beside the best of the others, <= {MARGIN:.2f}")
    header = ["cell"] + bench.names + [f"p{percent} x" for percent in SHOWN] + [""]
    out = report.Table(header, [14] + [13] * len(bench.names) + [6] * len(SHOWN))
    results = []
    for rate in rates:
        for count in connections:
            results.append(judge(rate, count, measure(bench, running, rate, count)))
            out.add(cells(bench, results[-1]))
    return results, out


def measure(bench, running, rate, connections):
    """{name: [what load.c says, and the server's CPU time per request, of each round]}"""
    seconds = bench.options.seconds or (0.2 if bench.quick else 0.5)
    found = {name: [] for name in running}
    for _ in range(bench.rounds):
        for name, server in running.items():
            before = server.cpu_ns()
            with client.Load(bench, server, rate, seconds, "--connections", connections, "--command", "get", "--spin") as load:
                figures = load.finish()
            figures["ns"] = (server.cpu_ns() - before) / max(1, figures["requests"])
            found[name].append(figures)
    return found


def judge(rate, connections, found):
    """The cell's result: medians, and how kevy stands beside the best of the others."""
    result = {"rate": rate, "connections": connections, "ratios": {}, "servers": {}}
    for name, rounds in found.items():
        result["servers"][name] = {
            "percentiles_us": {percent: statistics.median(figures["percentiles_us"][percent] for figures in rounds)
                               for percent in rounds[0]["percentiles_us"]},
            "ns": statistics.median(figures["ns"] for figures in rounds), "rounds": rounds}
    others = [server["percentiles_us"] for name, server in result["servers"].items() if name != "kevy"]
    if "kevy" in found and others:
        for percent in SHOWN:
            best = min(percentiles[percent] for percentiles in others)
            result["ratios"][percent] = result["servers"]["kevy"]["percentiles_us"][percent] / max(best, 0.1)
        result["verdict"] = report.verdict(max(result["ratios"].values()) <= MARGIN)
    return result


def cells(bench, result):
    """A row of the table, as text."""
    figures = [result["servers"][name]["percentiles_us"] for name in bench.names]
    return ([f"{result['rate']:,}/s x {result['connections']}"]
            + [" / ".join(f"{percentiles[percent]:,.0f}" for percent in SHOWN) for percentiles in figures]
            + [f"{result['ratios'][percent]:.2f}" if percent in result["ratios"] else "" for percent in SHOWN]
            + [result.get("verdict", "")])


def picture(bench, results):
    counts = [result["connections"] for result in results]
    count = DRAWN_CONNECTIONS if DRAWN_CONNECTIONS in counts else counts[0]
    drawn = [result for result in results if result["connections"] == count]
    curves = {name: [(dash, [(result["rate"], result["servers"][name]["percentiles_us"][percent]) for result in drawn])
                     for dash, percent in enumerate(DRAWN)] for name in bench.names}
    return report.lines(f"Latency of GET, {count} connections at fixed rates", bench.names, curves, "requests per second",
                        "us: p50 solid, p99 dashed, p99.9 dotted")
