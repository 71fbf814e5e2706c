"""Stalls: the longest PING of a steady client while millions of keys are inserted, and while they are all flushed; while one set gets
millions of members, and while it is deleted.

The client is load.c in a process of its own, a PING every millisecond, counted from when it was due. It asks for SCHED_FIFO, because
it shares its CPU with the filler; where it does not get that, the figures say so. What the machine itself holds up shows in the
longest PING of the idle server, which is what the target is relative to. The last figure in brackets is the longest without the
time for which the server's thread, or the client, were ready to run and had no CPU (own_us of load.c): a server at work is held up
more often than an idle one, by whoever else wants its CPU.
"""
import time

import client
import report
import table

KEYS = 10_000_000
QUICK_KEYS = 4_000_000
MEMBERS = 10_000_000
QUICK_MEMBERS = 2_000_000
CHUNK = 200  # members of a request
PHASES = ("insertion", "FLUSHALL", "growth", "DEL")
RATE = 1_000
IDLE_SECONDS = 5
MOST_SECONDS = 300
ABOVE_IDLE_US = 2_000  # the most that a PING may take longer than the longest of an idle server
LEAD_SECONDS = 0.3  # for the client to be at work before what it watches begins
AFTERMATH_SECONDS = 2  # in which what goes on behind a FLUSHALL shows


def stall(bench):
    count = QUICK_KEYS if bench.quick else KEYS
    names = bench.real_servers()
    members = QUICK_MEMBERS if bench.quick else MEMBERS
    print(f"the longest PING (p99.9; without what the machine took), one a millisecond, in us; {count:,} keys, a set of {members:,} members")
    out = report.Table(["server", "idle", *PHASES] + [f"{phase} s" for phase in PHASES] + ["target", *PHASES],
                       [10] + [24] * 5 + [8] * 4)
    results = []
    for name in names:
        with bench.start(name) as server:
            phases = watch(bench, server, count, members)
        results.append({"server": name, "keys": count, "members": members, "phases": phases})
        out.add(cells(name, phases))
        if not all(phase["realtime"] for phase in phases.values()):
            print("  (without SCHED_FIFO for the client: its own waiting for the CPU is part of the figures)")
    groups = [(phase, {result["server"]: result["phases"][phase]["max_us"] for result in results}, None)
              for phase in ("idle", *PHASES)]
    report.save(bench, "stall", results, out.markdown(), report.bars("The longest PING, us", names, groups))


def members_in(count):
    for at in range(0, count, CHUNK):
        yield client.request("SADD", "set", *(table.MEMBER % number for number in range(at, at + CHUNK)))


def watch(bench, server, count, members):
    phases = {}
    with pings(bench, server, 2 if bench.quick else IDLE_SECONDS) as idle:
        phases["idle"] = idle.finish()
    phases["insertion"] = during(bench, server, 0, lambda: client.fill(server, "key:%012d", "x" * 16, 0, count))
    client.check_size(server, count)
    phases["FLUSHALL"] = during(bench, server, AFTERMATH_SECONDS, lambda: client.ask(server, "FLUSHALL"))
    phases["growth"] = during(bench, server, 0, lambda: client.send_requests(server, members_in(members), 16))
    phases["DEL"] = during(bench, server, AFTERMATH_SECONDS, lambda: client.ask(server, "DEL", "set"))
    return phases


def pings(bench, server, seconds):
    return client.Load(bench, server, RATE, seconds, "--realtime", "--thread", server.thread())


def during(bench, server, aftermath, work):
    """The client's figures while the work is done, and for so long after it."""
    with pings(bench, server, MOST_SECONDS) as load:
        time.sleep(LEAD_SECONDS)
        begun = time.monotonic()
        work()
        seconds = time.monotonic() - begun
        time.sleep(aftermath)
        return load.finish(stop=True) | {"seconds": seconds}


def cell(phase):
    return f"{phase['max_us']:,.0f} ({phase['percentiles_us']['99.9']:,.0f}; {phase['own_us']:,.0f})"


def cells(name, phases):
    most = phases["idle"]["max_us"] + ABOVE_IDLE_US
    found = [name] + [cell(phase) for phase in phases.values()]
    found += [f"{phases[phase]['seconds']:.1f}" for phase in PHASES]
    if name != "kevy":
        return found + [""] * (1 + len(PHASES))
    return found + [f"<= {most:,.0f}"] + [report.verdict(phases[phase]["max_us"] <= most) for phase in PHASES]
