"""Scenarios with redis-py 4.3, of RESP2 alone. run.py says by the environment where the servers are, and where redis-py is.

A scenario is a function with the docstring that names it; `needs` names commands without which it is left out, and a line says so.
"""
import asyncio
import os
import sys
import threading
import time

import redis
import redis.asyncio
import redis.cluster
import redis.sentinel  # noqa: F401 (that it can be read at all)

PORT, CLUSTER_PORT = int(os.environ["KEVY_PORT"]), int(os.environ["KEVY_CLUSTER_PORT"])
WAIT_S = 20 * float(os.environ.get("KEVY_TIME_SCALE", "1"))
LARGE = bytes((i * 2654435761 >> 13) & 255 for i in range(64 * 1024)) * 128
SCENARIOS = []


def scenario(*needs):
    def added(function):
        SCENARIOS.append((function, needs))
        return function

    return added


def connect(**options):
    return redis.Redis(port=PORT, decode_responses=options.pop("decode_responses", True), socket_timeout=WAIT_S, **options)


def check(got, wanted):
    if got != wanted:
        raise AssertionError("got %.400r, wanted %.400r" % (got, wanted))


def refused(kind, function, *arguments):
    try:
        got = function(*arguments)
    except kind as error:
        return str(error)
    raise AssertionError("got %.400r where an error was to come" % (got,))


def eventually(what, condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited %.0f s for %s" % (WAIT_S, what))
        time.sleep(0.002)


class Running:
    """A function in a thread; join() gives its result or its error."""

    def __init__(self, function, *arguments):
        self.result = self.error = None
        self.thread = threading.Thread(target=self.run, args=(function, arguments), daemon=True)
        self.thread.start()

    def run(self, function, arguments):
        try:
            self.result = function(*arguments)
        except BaseException as error:
            self.error = error

    def join(self, what):
        self.thread.join(WAIT_S)
        if self.thread.is_alive():
            raise AssertionError("waited %.0f s for %s" % (WAIT_S, what))
        if self.error:
            raise self.error
        return self.result


def blocked(c, count):
    eventually("%d to be blocked" % count, lambda: c.info("clients")["blocked_clients"] == count)


@scenario()
def pipelines(c):
    with c.pipeline(transaction=False) as pipe:
        for i in range(5000):
            pipe.set("p:%d" % i, i).get("p:%d" % i)
        pipe.lpush("p:0", "x").incr("p:1")
        replies = pipe.execute(raise_on_error=False)
    check(replies[:10000], [reply for i in range(5000) for reply in (True, str(i))])
    check(type(replies[10000]), redis.ResponseError)
    check(replies[10001], 2)


@scenario()
def transactions(c):
    with c.pipeline() as pipe:
        check(pipe.set("t", 1).incr("t").get("t").execute(), [True, 2, "2"])
        text = refused(redis.ResponseError, pipe.incr("t").lpush("t", "x").execute)
        assert "WRONGTYPE" in text or "wrong kind" in text, text
        pipe.reset()
        text = refused(redis.ResponseError, pipe.execute_command("GET").execute)
        assert "wrong number" in text, text
    check(c.get("t"), "3")


@scenario()
def watch_conflicts(c):
    other = connect()
    c.set("w", 1)
    with c.pipeline() as pipe:
        pipe.watch("w")
        other.incr("w")
        pipe.multi()
        refused(redis.WatchError, pipe.set("w", "mine").execute)
    check(c.get("w"), "2")

    def adds(pipe):
        value = int(pipe.get("w"))
        pipe.multi()
        pipe.set("w", value + 1)

    # Eight that add 25 times each: the conflicts are resolved by trying again.
    def adder():
        client = connect()
        for _ in range(25):
            client.transaction(adds, "w")

    for running in [Running(adder) for _ in range(8)]:
        running.join("all additions")
    check(c.get("w"), str(2 + 8 * 25))


@scenario()
def publish_and_subscribe(c):
    with c.pubsub(ignore_subscribe_messages=True) as subscriber:
        subscriber.subscribe("news", "sport")
        subscriber.psubscribe("n*")
        eventually("the subscriptions", lambda: subscriber.get_message() is None and c.pubsub_numpat() == 1)
        for i in range(1000):
            check(c.publish("sport", i), 1)
        messages = []

        def gather(count):
            def step():
                message = subscriber.get_message(timeout=0.05)
                if message:
                    messages.append((message["type"], message["channel"], message["data"]))
                return len(messages) >= count

            eventually("%d messages" % count, step)

        gather(1000)
        check(messages, [("message", "sport", str(i)) for i in range(1000)])
        messages.clear()
        check(c.publish("news", "hello"), 2)
        gather(2)
        check(sorted(messages), [("message", "news", "hello"), ("pmessage", "news", "hello")])
        check(dict(c.pubsub_numsub("news", "none")), {"news": 1, "none": 0})
        check(subscriber.ping(), None)
        subscriber.unsubscribe()
        subscriber.punsubscribe()
        eventually("nobody to be subscribed", lambda: subscriber.get_message() is None and c.publish("news", "nobody") == 0)


@scenario()
def blocking_pops(c):
    waiter = connect()
    popped = Running(waiter.blpop, ["b:none", "b:list"], 20)
    blocked(c, 1)
    c.rpush("b:list", "one", "two")
    check(popped.join("BLPOP"), ("b:list", "one"))
    check(waiter.brpop("b:list", 20), ("b:list", "two"))
    check(waiter.blpop("b:list", 0.01), None)
    moved = Running(waiter.blmove, "b:from", "b:to", 20)
    blocked(c, 1)
    c.rpush("b:from", "x")
    check(moved.join("BLMOVE"), "x")
    least = Running(waiter.bzpopmin, "b:zset", 20)
    blocked(c, 1)
    c.zadd("b:zset", {"b": 2, "a": 1.5})
    check(least.join("BZPOPMIN"), ("b:zset", "a", 1.5))


@scenario()
def scan_iterators(c):
    names = sorted("scan:%d" % i for i in range(5000))
    c.mset({name: "v" for name in names})
    c.hset("scanned:hash", mapping={name: "v" for name in names})
    c.sadd("scanned:set", *names)
    c.zadd("scanned:zset", {name: i for i, name in enumerate(names)})
    check(sorted(set(c.scan_iter("scan:*", count=100))), names)
    check(list(c.scan_iter("scan*", _type="zset")), ["scanned:zset"])
    check(sorted({name for name, _ in c.hscan_iter("scanned:hash")}), names)
    check(sorted(set(c.sscan_iter("scanned:set"))), names)
    check(sorted({name for name, _ in c.zscan_iter("scanned:zset")}), names)


@scenario("XADD", "XREAD", "XINFO|STREAM", "XTRIM")
def streams(c):
    reader = connect()
    first = c.xadd("s:plain", {"field": "one"})
    waited = Running(reader.xread, {"s:plain": first}, None, 20000)
    blocked(c, 1)
    second = c.xadd("s:plain", {"field": "two"})
    check(waited.join("XREAD"), [["s:plain", [(second, {"field": "two"})]]])
    check(c.xrange("s:plain"), [(first, {"field": "one"}), (second, {"field": "two"})])
    check(c.xrevrange("s:plain", count=1), [(second, {"field": "two"})])
    info = c.xinfo_stream("s:plain")
    check((info["length"], info["last-generated-id"], info["first-entry"]), (2, second, (first, {"field": "one"})))
    check(c.xtrim("s:plain", maxlen=1, approximate=False), 1)
    check(c.xdel("s:plain", second), 1)
    check(c.xlen("s:plain"), 0)
    check(reader.xread({"s:plain": "$"}, block=10), [])


@scenario("XREADGROUP", "XAUTOCLAIM", "XPENDING")
def consumer_groups(c):
    check(c.xgroup_create("s", "workers", "$", mkstream=True), True)
    assert "BUSYGROUP" in refused(redis.ResponseError, c.xgroup_create, "s", "workers")
    done = []

    def work(name):
        worker = connect()
        while True:
            for _, messages in worker.xreadgroup("workers", name, {"s": ">"}, count=7, block=20000):
                for identity, fields in messages:
                    if fields["n"] == "stop":
                        return
                    done.append(int(fields["n"]))
                    if int(fields["n"]) % 10:
                        check(worker.xack("s", "workers", identity), 1)

    working = [Running(work, "worker%d" % i) for i in range(3)]
    for i in range(500):
        c.xadd("s", {"n": i})
    eventually("all entries to be read", lambda: len(done) >= 500)
    check(sorted(done), list(range(500)))
    for i in range(3):
        c.xadd("s", {"n": "stop"})
        eventually("a worker to stop", lambda: sum(not one.thread.is_alive() for one in working) > i)
    for one in working:
        one.join("a worker")
    check(c.xpending("s", "workers")["pending"], 53)
    check(len(c.xpending_range("s", "workers", "-", "+", 100)), 53)
    cursor, claimed = c.xautoclaim("s", "workers", "heir", 0, "0-0", 1000)[:2]
    check((cursor, len(claimed)), ("0-0", 53))
    check(len(c.xclaim("s", "workers", "heiress", 0, [claimed[0][0]])), 1)
    check(c.xack("s", "workers", *(identity for identity, _ in claimed)), 53)
    check(c.xpending("s", "workers")["pending"], 0)
    check(len(c.xinfo_consumers("s", "workers")), 5)
    check([(g["name"], g["consumers"], g["pending"]) for g in c.xinfo_groups("s")], [("workers", 5, 0)])


@scenario("CLIENT|TRACKING")
def caching(c):
    """redis-py 4.3 keeps no cache; who builds one has a second connection told what is no longer true."""
    reader = redis.Redis(connection_pool=redis.ConnectionPool(port=PORT, max_connections=1, decode_responses=True))
    told = connect(single_connection_client=True)
    identity = told.client_id()
    told.connection.send_command("SUBSCRIBE", "__redis__:invalidate")
    check(told.connection.read_response()[0], "subscribe")
    check(reader.execute_command("CLIENT", "TRACKING", "ON", "REDIRECT", identity), "OK")
    c.set("cached", 1)
    check(reader.get("cached"), "1")
    c.set("cached", 2)
    check(told.connection.read_response(), ["message", "__redis__:invalidate", ["cached"]])
    check(reader.get("cached"), "2")


@scenario()
def asynchronous(_):
    """The same client over asyncio: many commands at once over a pool, and one that waits."""

    async def body():
        c = redis.asyncio.Redis(port=PORT, decode_responses=True, max_connections=20)
        await c.delete("a:count", "a:list")
        limit = asyncio.Semaphore(20)

        async def add():
            async with limit:
                return await c.incr("a:count")

        check(sorted(await asyncio.gather(*(add() for _ in range(500)))), list(range(1, 501)))
        waiting = asyncio.ensure_future(c.blpop("a:list", 20))
        await c.rpush("a:list", "x")
        check(await waiting, ("a:list", "x"))
        async with c.pipeline() as pipe:
            check(await pipe.set("a", 1).incr("a").execute(), [True, 2])
        await c.close()
        await c.connection_pool.disconnect()

    asyncio.run(asyncio.wait_for(body(), WAIT_S))


@scenario()
def cluster(_):
    nodes = redis.cluster.RedisCluster("127.0.0.1", CLUSTER_PORT, decode_responses=True)
    for i in range(200):
        check(nodes.set("cl:%d" % i, i), True)
    check(nodes.get("cl:77"), "77")
    check(len(nodes.get_primaries()), 1)
    check(nodes.mset_nonatomic({"x": 1, "y": 2, "z": 3}) is not None, True)
    check(nodes.mget_nonatomic("x", "y", "z"), ["1", "2", "3"])
    check(nodes.mset({"{a}1": "x", "{a}2": "y"}), True)
    check(nodes.mget("{a}1", "{a}2"), ["x", "y"])
    with nodes.pipeline() as pipe:
        for i in range(200):
            pipe.get("cl:%d" % i)
        check(pipe.execute(), [str(i) for i in range(200)])
    check(sorted(nodes.scan_iter("cl:*")), sorted("cl:%d" % i for i in range(200)))
    check(nodes.dbsize(), 205)
    nodes.close()


@scenario()
def large_values(_):
    c = connect(decode_responses=False)
    check(c.set("large", LARGE), True)
    assert c.get("large") == LARGE
    c.hset("large:hash", "field", LARGE)
    assert c.hget("large:hash", "field") == LARGE
    for value in c.mget(["large"] * 8):
        assert value == LARGE
    c.delete("large", "large:hash")


@scenario()
def reconnects(c):
    pool = redis.ConnectionPool(port=PORT, max_connections=1, decode_responses=True, client_name="again", db=3)
    client = redis.Redis(connection_pool=pool)
    client.set("again", "first")
    before = client.client_id()
    check(c.client_kill_filter(_id=before), 1)
    # The pool hands the ended connection out once more at most; a read that fails there is sent again over a new one.
    eventually("the client to be back", lambda: returns(client.get, "again") == "first")
    assert client.client_id() != before
    check(client.client_getname(), "again")
    with c.pubsub(ignore_subscribe_messages=True) as subscriber:
        subscriber.subscribe("again:news")
        eventually("the subscription", lambda: subscriber.get_message() is None and c.publish("again:news", "x") == 1)
        (listed,) = [one for one in c.client_list() if one["sub"] == "1"]
        check(c.client_kill_filter(_id=listed["id"]), 1)
        heard = []

        def hears():
            message = returns(subscriber.get_message)
            heard.extend([message["data"]] if message else [])
            c.publish("again:news", "again")
            return "again" in heard

        eventually("the subscriber to be back", hears)


def returns(function, *arguments):
    """What it returns; None where its connection has ended."""
    try:
        return function(*arguments)
    except redis.ConnectionError:
        return None


def main():
    c = connect()
    for function, needs in SCENARIOS:
        lacks = [name for name in needs if c.execute_command("COMMAND INFO", name) == [None]]
        if lacks:
            print("left out: %s: the server has no %s" % (function.__name__, lacks[0]), flush=True)
            continue
        function(c)
        print("passed: %s" % function.__name__, flush=True)


if __name__ == "__main__":
    sys.exit(main())
