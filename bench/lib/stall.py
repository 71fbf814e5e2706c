"""Stalls: the longest PING of a steady client while millions of keys are inserted, and while they are all flushed.

The client is load.c in a process of its own, a PING every millisecond, counted from when it was due. It asks for SCHED_FIFO, because
it shares its CPU with the filler; where it does not get that, the figures say so. What the machine itself holds up shows in the
longest PING of the idle server, which is what the target is relative to.
"""
import time

import client
import report

KEYS = 10_000_000
QUICK_KEYS = 4_000_000
RATE = 1_000
IDLE_SECONDS = 5
MOST_SECONDS = 300
ABOVE_IDLE_US = 2_000  # the most that a PING may take longer than the longest of an idle server
LEAD_SECONDS = 0.3  # for the client to be at work before what it watches begins
AFTERMATH_SECONDS = 2  # in which what goes on behind a FLUSHALL shows


def stall(bench):
    count = QUICK_KEYS if bench.quick else KEYS
    names = bench.real_servers()
    print(f"the longest PING (p99.9 in brackets), one a millisecond, in us; {count:,} keys")
    out = report.Table(["server", "idle", "insertion", "FLUSHALL", "insert s", "flush s", "target", "insertion", "FLUSHALL"],
                       [10, 18, 18, 18, 8, 8, 18])
    results = []
    for name in names:
        with bench.start(name) as server:
            phases = watch(bench, server, count)
        results.append({"server": name, "keys": count, "phases": phases})
        out.add(cells(name, phases))
        if not all(phase["realtime"] for phase in phases.values()):
            print("  (without SCHED_FIFO for the client: its own waiting for the CPU is part of the figures)")
    groups = [(phase, {result["server"]: result["phases"][phase]["max_us"] for result in results}, None)
              for phase in ("idle", "insertion", "FLUSHALL")]
    report.save(bench, "stall", results, out.markdown(), report.bars("The longest PING, us", names, groups))


def watch(bench, server, count):
    phases = {}
    idle = client.Load(bench, server, RATE, 2 if bench.quick else IDLE_SECONDS, "--realtime")
    with idle:
        phases["idle"] = idle.finish()
    phases["insertion"] = during(bench, server, 0, lambda: client.fill(server, "key:%012d", "x" * 16, 0, count))
    client.check_size(server, count)
    phases["FLUSHALL"] = during(bench, server, AFTERMATH_SECONDS, lambda: client.ask(server, "FLUSHALL"))
    return phases


def during(bench, server, aftermath, work):
    """The client's figures while the work is done, and for so long after it."""
    with client.Load(bench, server, RATE, MOST_SECONDS, "--realtime") as pings:
        time.sleep(LEAD_SECONDS)
        begun = time.monotonic()
        work()
        seconds = time.monotonic() - begun
        time.sleep(aftermath)
        return pings.finish(stop=True) | {"seconds": seconds}


def cells(name, phases):
    most = phases["idle"]["max_us"] + ABOVE_IDLE_US
    found = [name] + [f"{phase['max_us']:,.0f} ({phase['percentiles_us']['99.9']:,.0f})" for phase in phases.values()]
    found += [f"{phases[phase]['seconds']:.1f}" for phase in ("insertion", "FLUSHALL")]
    if name != "kevy":
        return found + ["", "", ""]
    return found + [f"<= {most:,.0f}"] + [report.verdict(phases[phase]["max_us"] <= most) for phase in ("insertion", "FLUSHALL")]
