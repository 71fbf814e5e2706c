"""Large: the longest PING of a steady client beside what is done to large collections: they grow, are renamed, copied, combined, and
make room for something else.

The client is that of stall. Figures in brackets are p99.9, and the longest without what the machine took: without the time for which
the server's thread, or the client, were ready to run and had no CPU (own_us of load.c). Each is judged by that, but for commands that
look at all elements: there the longest PING is as long as the command.
"""
import time

import client
import report
import servers
import stall

GROWN = 2_000_000
QUICK_GROWN = 500_000
LARGE = 10_000_000  # members of sets that are unlinked or overwritten
QUICK_LARGE = 1_000_000
CHUNK = 200  # elements of a request
AFTERMATH_SECONDS = 1  # in which what goes on behind a command shows
IDLE_SECONDS = 2
ABOVE_IDLE_US = 1_000
WORK = ("SUNIONSTORE of two", "ZUNIONSTORE of two", "SORT BY nosort STORE", "SORT ALPHA STORE")  # one command that looks at all elements
ELEMENT = "element:%012d"


def elements(command, count, key=None):
    """Requests that make a collection of so many elements; scores are in no order."""
    words = {"RPUSH": lambda number: (ELEMENT % number,), "SADD": lambda number: (ELEMENT % number,),
             "HSET": lambda number: (ELEMENT % number, "xxx"), "ZADD": lambda number: (number * 7919 % count, ELEMENT % number)}
    for at in range(0, count, CHUNK):
        yield client.request(command, key or command.lower(), *(word for number in range(at, at + CHUNK) for word in words[command](number)))


def grow(command, count):
    return f"{command} to {count:,}", lambda server: client.send_requests(server, elements(command, count), 16)


def ask(label, *words):
    def work(server):
        reply = client.ask(server, *words)
        if reply[:1] == b"-":
            raise servers.Trouble(f"{server.name} said {reply!r} to {words[0]}")
    return label, work


def restore(server):
    """Puts a short string in the place of `large`."""
    client.ask(server, "SET", "short", "x")
    payload = client.ask(server, "DUMP", "short").split(b"\r\n", 1)[1][:-2]
    if client.ask(server, "RESTORE", "large", "0", payload, "REPLACE") != b"+OK\r\n":
        raise servers.Trouble(f"{server.name} refused what it dumped")


def steps(grown, large):
    """(label or None where it only prepares, work) in order."""
    def fill(key, count):
        return None, lambda server: client.send_requests(server, elements("SADD", count, key), 16)
    yield from (grow(command, grown) for command in ("RPUSH", "SADD", "HSET", "ZADD"))
    for key in ("rpush", "sadd", "hset", "zadd"):
        yield ask(f"COPY of {key.upper()}'s", "COPY", key, f"{key}:copy")
    yield ask("RENAME over the copy", "RENAME", "sadd:copy", "rpush:copy")
    yield fill("other", grown // 2)
    yield ask("SUNIONSTORE of one", "SUNIONSTORE", "sadd:copy", "sadd")
    yield ask("SUNIONSTORE of two", "SUNIONSTORE", "sadd:copy", "sadd", "other")
    yield ask("ZUNIONSTORE of two", "ZUNIONSTORE", "zadd:copy", "2", "zadd", "other")
    yield ask("SORT BY nosort STORE", "SORT", "rpush", "BY", "nosort", "STORE", "rpush:copy")
    yield ask("SORT ALPHA STORE", "SORT", "rpush", "ALPHA", "STORE", "rpush:copy")
    yield fill("large", large)
    yield ask(f"UNLINK of {large:,}", "UNLINK", "large")
    yield fill("large", large)
    yield ask(f"SET over {large:,}", "SET", "large", "x")
    yield None, lambda server: client.ask(server, "DEL", "large")
    yield fill("large", large)
    yield f"RESTORE over {large:,}", restore


def measured(bench, server, work):
    aftermath = AFTERMATH_SECONDS
    return stall.during(bench, server, aftermath, lambda: work(server))


def large(bench):
    names = bench.real_servers()
    grown, most = (QUICK_GROWN, QUICK_LARGE) if bench.quick else (GROWN, LARGE)
    print("the longest PING (p99.9; without what the machine took), one a millisecond, in us")
    out = report.Table(["while"] + [column for name in names for column in (name, f"{name} s")] + ["kevy may", ""],
                       [24] + [24, 8] * len(names) + [8, 6])
    results, idle = [], {}
    with bench.started(names) as running:
        for label, work in [("idle", lambda server: time.sleep(IDLE_SECONDS)), *steps(grown, most)]:
            phases = {}
            for name, server in running.items():
                if label is None:
                    work(server)
                else:
                    phases[name] = measured(bench, server, work)
            if label is None:
                continue
            idle = idle or {name: phase["own_us"] for name, phase in phases.items()}
            results.append({"while": label, "servers": phases})
            out.add([label] + [cell for phase in phases.values() for cell in (stall.cell(phase), f"{phase['seconds']:.2f}")]
                    + judged(label, phases, idle))
    report.save(bench, "large", results, out.markdown())


def judged(label, phases, idle):
    if "kevy" not in phases or label == "idle" or label in WORK:
        return ["", ""]
    may = idle["kevy"] + ABOVE_IDLE_US
    return [f"<= {may:,.0f}", report.verdict(phases["kevy"]["own_us"] <= may)]
