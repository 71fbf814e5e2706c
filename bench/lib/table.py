"""The table: server CPU nanoseconds per request, beside redis-server and the floor.

A row is a kind of request and a pipeline, "SET P16". Servers take turns in every round, so that what drifts drifts for all, and a
ratio is the median of the rounds' ratios. Rows of one data set are measured on the same servers; each data set begins with new ones.
"""
import random
import re
import statistics
import time
from dataclasses import dataclass

import client
import report
import servers

VALUE = "x" * 16
BIG = "x" * 65536
KEYS = 100_000
BIG_KEYS = 1_000
MEMBER = "element:%012d"
CONNECTIONS = 50
UNIT_MOST = 64 * CONNECTIONS  # requests by which a round that takes things away may exceed its number
SETTLE_SECONDS = 0.03  # for the closing of connections, which belongs to the run
CLIENT_TURN_NS = 9_000  # what redis-benchmark and the kernel need per pipeline, roughly: see Row.requests


@dataclass
class Kind:
    words: list  # for redis-benchmark
    data: str  # which data set it needs
    client_ns: int  # what redis-benchmark needs per request of a long pipeline, roughly
    floor: bool = False  # does the floor server's canned reply stand for this one's?
    most: int = 0  # requests a round, if that is less than fit into its time
    stock: "Stock" = None
    before: tuple = ()  # requests before each round


@dataclass
class Stock:
    """What a row takes away: before each round there is again as much of it as the round has requests."""
    count: list  # asks how much there is
    add: list  # the words of a request that adds one


def group(key):
    """The stream's group has read nothing yet."""
    return ["XGROUP", "DESTROY", key, "g"], ["XGROUP", "CREATE", key, "g", "0"]


def deal(key, consumers, run):
    """All that is in the stream is read by consumers in turns."""
    turns = range((KEYS + UNIT_MOST + run - 1) // run)
    return [["XREADGROUP", "GROUP", "g", "c%d" % (i % consumers), "COUNT", str(run), "STREAMS", key, ">"] for i in turns]


LIST = Stock(["LLEN", "mylist"], ["RPUSH", "mylist", "xxx"])
KINDS = {
    "GET": Kind(["GET", "key:__rand_int__"], "small", 550, floor=True),
    "SET": Kind(["SET", "key:__rand_int__", VALUE], "small", 650),
    "INCR": Kind(["INCR", "cnt:__rand_int__"], "counters", 550),
    "PUBLISH": Kind(["PUBLISH", "channel:__rand_int__", VALUE], "small", 550),
    "PFADD": Kind(["PFADD", "hll", "element:__rand_int__"], "small", 600),
    "MSET of 10": Kind(["MSET"] + ["key:__rand_int__", VALUE] * 10, "small", 4_000),
    "GET of 5M": Kind(["GET", "key:__rand_int__"], "large", 700),
    "SET 64K": Kind(["SET", "key:__rand_int__", BIG], "big", 50_000),
    "GET 64K": Kind(["GET", "key:__rand_int__"], "big", 50_000),
    # As redis-benchmark has them: values of three bytes, one key, 100,000 members.
    "LPUSH": Kind(["LPUSH", "mylist", "xxx"], "lists", 600),
    "RPUSH": Kind(["RPUSH", "mylist", "xxx"], "lists", 600),
    "LPOP": Kind(["LPOP", "mylist"], "lists", 600, stock=LIST),
    "RPOP": Kind(["RPOP", "mylist"], "lists", 600, stock=LIST),
    "LRANGE of 100": Kind(["LRANGE", "range", "0", "99"], "lists", 12_000),
    "LRANGE of 600": Kind(["LRANGE", "range", "0", "599"], "lists", 60_000),
    "SADD": Kind(["SADD", "myset", "element:__rand_int__"], "sets", 700),
    "SINTER of 10k": Kind(["SINTER", "tens", "lower"], "sets", 900_000),
    "HSET": Kind(["HSET", "myhash", "element:__rand_int__", "xxx"], "hashes", 800),
    "HGET": Kind(["HGET", "myhash", "element:__rand_int__"], "hashes", 700),
    "ZADD": Kind(["ZADD", "myzset", "__rand_int__", "element:__rand_int__"], "sorted sets", 2_000),
    "ZPOPMIN": Kind(["ZPOPMIN", "stock"], "sorted sets", 1_000, most=200_000,
                    stock=Stock(["ZCARD", "stock"], ["ZADD", "stock", "%012d", MEMBER])),
    "XADD": Kind(["XADD", "mystream", "*", "field", "xxx"], "streams", 700),
    "XREADGROUP": Kind(["XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "read", ">"], "streams", 1_500, most=KEYS,
                       before=(*group("read"),)),
    "XACK": Kind(["XACK", "pending", "g", "1__rand_int__-0"], "streams", 700, most=KEYS,
                 before=(*group("pending"), ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "pending", ">"])),
    # Each of ten consumers has a tenth of what is pending, in runs of a hundred.
    "XACK of 10 consumers": Kind(["XACK", "pending", "g", "1__rand_int__-0"], "streams", 700, most=KEYS,
                                 before=(*group("pending"), *deal("pending", 10, 100))),
    "ZRANK of 1M": Kind(["ZRANK", "large", "element:__rand_int__"], "large sorted set", 1_000),
    "ZRANGE of 100 of 1M": Kind(["ZRANGE", "large", "__rand_int__", "+inf", "BYSCORE", "LIMIT", "0", "100"], "large sorted set", 12_000),
}

# The most that kevy may cost, as a ratio to another server over TCP.
TARGETS = {
    "GET P1": ("floor", 1.00),
    "GET P16": ("floor", 1.12),
    "GET P64": ("floor", 1.45),
    "GET P256": ("floor", 2.2),
    "SET P16": ("redis", 0.62),
    "SET P64": ("redis", 0.38),
    "INCR P64": ("redis", 0.42),
    "MSET of 10 P16": ("redis", 0.45),
    "GET of 5M P16": ("redis", 0.45),
    "GET of 5M P64": ("redis", 0.28),
    "SET 64K P1": ("redis", 0.80),
    "GET 64K P1": ("redis", 0.75),
    "LPUSH P64": ("redis", 0.33),
    "RPUSH P64": ("redis", 0.33),
    "LPOP P64": ("redis", 0.33),
    "RPOP P64": ("redis", 0.33),
    "LRANGE of 100 P16": ("redis", 0.5),
    "LRANGE of 600 P16": ("redis", 0.5),
    "SADD P64": ("redis", 0.33),
    "SINTER of 10k P1": ("redis", 0.5),
    "HSET P64": ("redis", 0.33),
    "HGET P64": ("redis", 0.33),
    "ZADD P64": ("redis", 0.33),
    "ZPOPMIN P64": ("redis", 0.33),
    "XADD P64": ("redis", 0.33),
    "XREADGROUP P64": ("redis", 0.33),
    "XACK P64": ("redis", 0.33),
    "XACK of 10 consumers P64": ("redis", 0.33),
    "PFADD P64": ("redis", 0.33),
    "ZRANK of 1M P64": ("redis", 0.33),
    "ZRANGE of 100 of 1M P64": ("redis", 0.33),
}
QUICK = ["GET P1", "GET P16", "GET P64", "SET P16", "SET P64", "INCR P64", "MSET of 10 P16"]


@dataclass
class Data:
    """What is there before a row begins."""
    count: int  # how many keys or members a row chooses from
    filled: list  # of (words of a request, the numbers that it is sent for)
    keys: int
    asked: list = ()  # requests behind these, whose replies are more than a line


def plain(key, value, count):
    return Data(count, [(["SET", key, value], range(count))], count)


def collections(count, *filled):
    return Data(count, filled, len({words[1] for words, _ in filled}))


def shuffled(count):
    numbers = list(range(count))
    random.Random(count).shuffle(numbers)
    return numbers


def data_set(bench, name):
    large = bench.options.large
    make = {
        "small": lambda: plain("key:%012d", VALUE, KEYS),
        "counters": lambda: plain("cnt:%012d", "1" + "0" * 15, KEYS),
        "large": lambda: plain("key:%012d", VALUE, large),
        "big": lambda: plain("key:%012d", BIG, BIG_KEYS),
        "lists": lambda: collections(KEYS, (["RPUSH", "range", "xxx"], range(KEYS))),
        "sets": lambda: collections(KEYS, (["SADD", "myset", MEMBER], shuffled(KEYS)),
                                    (["SADD", "lower", MEMBER], range(10_000)),
                                    (["SADD", "tens", MEMBER], range(0, 100_000, 10))),
        "hashes": lambda: collections(KEYS, (["HSET", "myhash", MEMBER, "xxx"], shuffled(KEYS))),
        "sorted sets": lambda: collections(KEYS, (["ZADD", "myzset", "%012d", MEMBER], shuffled(KEYS))),
        "streams": lambda: Data(KEYS, [], 2, [["XADD", key, "1%012d-0" % i, "field", "xxx"]
                                              for key in ("read", "pending") for i in range(KEYS + UNIT_MOST)]),
        "large sorted set": lambda: collections(min(large, 1_000_000), (["ZADD", "large", "%012d", MEMBER],
                                                                        shuffled(min(large, 1_000_000)))),
    }
    return make[name]()


class Row:
    def __init__(self, name):
        match = re.fullmatch(r"(.*) P(\d+)", name.strip())
        if not match or match[1] not in KINDS or not 1 <= int(match[2]) <= 1024:
            raise servers.Trouble(f"no such row: '{name}'; a row is one of {', '.join(KINDS)}, and P1 to P1024")
        self.name = name.strip()
        self.kind = KINDS[match[1]]
        self.pipeline = int(match[2])

    def requests(self, options):
        """Per round: whole pipelines for every connection, for about so long as the options say."""
        seconds = options.seconds or (0.5 if options.quick else 1.5)
        wanted = options.requests or int(seconds * 1e9 / (self.kind.client_ns + CLIENT_TURN_NS / self.pipeline))
        wanted = min(wanted, self.kind.most or wanted)
        unit = self.pipeline * CONNECTIONS
        return max(1, -(-wanted // unit)) * unit


def rows_for(options):
    names = options.rows.split(",") if options.rows else QUICK if options.quick else list(TARGETS)
    rows = [Row(name) for name in names]
    order = list(dict.fromkeys(row.kind.data for row in rows))
    return sorted(rows, key=lambda row: order.index(row.kind.data))


def load(server, data):
    for words, numbers in data.filled:
        client.send_all(server, words, numbers, batch=16 if len(words[-1]) > 1000 else client.FILL_BATCH)
    for at in range(0, len(data.asked), client.FILL_BATCH):
        client.ask_all(server, data.asked[at:at + client.FILL_BATCH])
    client.check_size(server, data.keys)


def restock(server, stock, wanted):
    if int(client.ask(server, *stock.count)[1:]) < wanted:
        client.send_all(server, stock.add, shuffled(wanted))


def probe(server, row):
    """That the server does what the row asks for: redis-benchmark would count error replies and misses as well as any."""
    reply = client.ask(server, *[word.replace("__rand_int__", "%012d" % 7) for word in row.kind.words])
    if reply.startswith((b"-", b"$-1")):
        raise servers.Trouble(f"{server.name}: {row.name}: {reply[:100]!r}")


def cost(bench, server, row, data, requests):
    """One round of one server."""
    if row.kind.stock:
        restock(server, row.kind.stock, requests)
    client.ask_all(server, row.kind.before)
    before = server.cpu_ns()
    figures = client.redis_benchmark(bench, server, row.kind.words, requests, row.pipeline, CONNECTIONS, data.count)
    time.sleep(SETTLE_SECONDS)
    figures["ns"] = (server.cpu_ns() - before) / requests
    return figures


def measure(bench, row, running, data):
    names = [name for name in running if name != "floor" or row.kind.floor]
    requests = row.requests(bench.options)
    warm = max(row.pipeline * CONNECTIONS, requests // 10)
    for name in names:
        if name != "floor":
            if row.kind.stock:
                restock(running[name], row.kind.stock, 1)
            client.ask_all(running[name], row.kind.before)
            probe(running[name], row)
        cost(bench, running[name], row, data, warm)
    figures = {name: [] for name in names}
    for _ in range(bench.rounds):
        for name in names:
            figures[name].append(cost(bench, running[name], row, data, requests))
    return judge(bench, row, requests, figures)


def judge(bench, row, requests, figures):
    """The row's result: medians with spread, ratios, and what became of the target."""
    result = {"row": row.name, "pipeline": row.pipeline, "requests": requests, "servers": {}, "ratios": {}}
    for name, rounds in figures.items():
        ns = [figure["ns"] for figure in rounds]
        result["servers"][name] = {
            "ns": statistics.median(ns), "least": min(ns), "most": max(ns),
            "rps": statistics.median(figure["rps"] for figure in rounds), "rounds": rounds}
    for name in figures:
        if name != "kevy" and "kevy" in figures:
            result["ratios"][name] = statistics.median(
                ours["ns"] / theirs["ns"] for ours, theirs in zip(figures["kevy"], figures[name]))
    against, most = TARGETS.get(row.name, (None, None))
    if against and not bench.unix:
        result["target"] = {"against": against, "most": most}
        if against in result["ratios"]:
            result["verdict"] = report.verdict(result["ratios"][against] <= most)
    return result


def cells(bench, result):
    """A row of the table, as text."""
    def figure(server):
        return f"{server['ns']:,.0f} ±{50 * (server['most'] - server['least']) / server['ns']:.0f}%"

    at = result["servers"]
    target = result.get("target")
    return ([result["row"]] + [figure(at[name]) if name in at else "" for name in bench.names]
            + [f"{result['ratios'][name]:.2f}" if name in result["ratios"] else "" for name in bench.names if name != "kevy"]
            + [f"<= {target['most']:.2f} x {target['against']}" if target else "", result.get("verdict", "")])


def table(bench):
    rows = rows_for(bench.options)
    header = (["row"] + [f"{name}, ns" for name in bench.names]
              + [f"kevy/{name}" for name in bench.names if name != "kevy"] + ["target", ""])
    print(f"server CPU nanoseconds per request, {'Unix socket' if bench.unix else 'TCP'}, {CONNECTIONS} connections, "
          f"medians of {bench.rounds}, ± half the range", flush=True)
    out = report.Table(header, [15] + [15] * len(bench.names))
    results = []
    for name in dict.fromkeys(row.kind.data for row in rows):
        data = data_set(bench, name)
        with bench.started(bench.names) as running:
            for server in running.values():
                if server.name != "floor":
                    load(server, data)
            for row in rows:
                if row.kind.data == name:
                    results.append(measure(bench, row, running, data))
                    out.add(cells(bench, results[-1]))
    report.save(bench, "table-unix" if bench.unix else "table", results, out.markdown(), picture(bench, results))


def picture(bench, results):
    """Bars relative to redis-server; a mark where the target is."""
    base = "redis" if "redis" in bench.names else bench.names[0]
    groups = []
    for result in results:
        at = result["servers"]
        if base not in at:
            continue
        target = result.get("target")
        mark = target["most"] * at[target["against"]]["ns"] / at[base]["ns"] if target and target["against"] in at else None
        groups.append((result["row"], {name: at[name]["ns"] / at[base]["ns"] for name in at}, mark))
    return report.bars(f"Server CPU time per request, {base} = 1", bench.names, groups)
