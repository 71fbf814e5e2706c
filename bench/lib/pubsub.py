"""Fan-out: what a message to many subscribers costs the server, and how long it is under way.

One publisher sends in a closed loop, with pipelines, to 50 subscribers and to 5,000; and at a fixed rate, so that no queue is
before a message. fan.c says how it counts. Publisher and subscribers share one CPU, the server has the other.
"""
import json
import statistics
import subprocess

import report
import servers

ROWS = {  # name: subscribers, more options of fan
    "1 at once": (50, "--pipeline", 1),
    "16 at once": (50, "--pipeline", 16),
    "128 at once": (50, "--pipeline", 128),
    "4,000 a second": (50, "--rate", 4_000),
    "1 at once, 5,000 subscribers": (5_000, "--pipeline", 1),
}
LEAST = 2.0  # times redis-server's messages per second of server CPU, where the loop is closed
FAN_SECONDS = 60


def pubsub(bench):
    seconds = bench.options.seconds or (0.2 if bench.quick else 0.5)
    names = bench.real_servers()
    print(f"one publisher, subscribers: messages per server CPU second, in thousands; p50 / p99 under way in us; medians of {bench.rounds}")
    out = report.Table(["row"] + names + ["kevy/redis", "target", ""], [30] + [30] * len(names) + [10, 8, 7])
    results = []
    with bench.started(names) as running:
        for row, (subscribers, *options) in ROWS.items():
            found = {name: [] for name in names}
            for _ in range(bench.rounds):
                for name in names:
                    found[name].append(measure(bench, running[name], seconds, "--subscribers", subscribers, *options))
            results.append(judged(row, found, "--rate" not in options))
            out.add(cells(results[-1], names))
    groups = [(result["row"], {name: middle(figures, "per_cpu_second") for name, figures in result["servers"].items()}, None)
              for result in results]
    report.save(bench, "pubsub", results, out.markdown(), report.bars("Messages per second of server CPU", names, groups))


def measure(bench, server, seconds, *options):
    command = [bench.program("bench/fan"), server.port, "--milliseconds", round(1000 * seconds), *options]
    before = server.cpu_ns()
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, timeout=FAN_SECONDS,
                              preexec_fn=servers.child([bench.client_cpu]))
    except subprocess.TimeoutExpired:
        raise servers.Trouble(f"messages of {server.name} did not end") from None
    if done.returncode:
        raise servers.Trouble(f"{server.name}: {done.stderr.decode(errors='replace').strip()}")
    figures = json.loads(done.stdout)
    figures["per_cpu_second"] = figures["delivered"] / (server.cpu_ns() - before) * 1e9
    return figures


def middle(rounds, figure):
    return statistics.median(figures[figure] for figures in rounds)


def judged(row, found, is_judged):
    result = {"row": row, "servers": found}
    if "redis" in found and "kevy" in found:
        result["ratio"] = statistics.median(kevy["per_cpu_second"] / redis["per_cpu_second"]
                                            for kevy, redis in zip(found["kevy"], found["redis"]))
        if is_judged:
            result["verdict"] = report.verdict(result["ratio"] >= LEAST)
    return result


def cells(result, names):
    said = [f"{middle(result['servers'][name], 'per_cpu_second') / 1000:,.0f}; {middle(result['servers'][name], 'p50_us'):,.0f} / "
            f"{middle(result['servers'][name], 'p99_us'):,.0f}" for name in names]
    ratio = f"{result['ratio']:.2f}" if "ratio" in result else ""
    return [result["row"]] + said + [ratio, f">= {LEAST:.1f}" if "verdict" in result else "", result.get("verdict", "")]
