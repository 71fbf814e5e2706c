#!/usr/bin/env python3
"""Connections move from shard to shard, and nobody notices.

    run.py [--seconds N] [--shards N] [--turns N] [--seed N] [--plant]

Every connection that can moves every few turns of its shard (DEBUG STIR-CONNECTIONS). Meanwhile clients send pipelines and values
of up to 8 MB, and check each reply; others are killed, or go in the middle of a request; others wait, subscribe, and begin
transactions. In the end as many are there as should be, and so many must have moved that it meant something. Another server is
left to itself: its connections gather on one shard, spread over all of them when these are busy, and gather again.

--plant takes one reply for another, and this program must fail.
"""
import argparse
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kevy import TIME_SCALE, Closed, Deadline, Server, eventually, run_seed  # noqa: E402
from resp import encode  # noqa: E402

SIZES = (1, 16, 500, 5000, 20_000, 64 << 10, 300_000, 8 << 20)
WEIGHTS = (20, 20, 20, 10, 6, 4, 2, 0.3)
PIPELINE_MOST = 40
MOVES_LEAST = 200
LATE_S = 0.03


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def info(client, field):
    return int(re.search(r"%s:(\d+)" % field, text_of(client.call("INFO", "io"))).group(1))


def text_of(reply):
    return reply.decode() if isinstance(reply, bytes) else str(reply)


# ---- What clients do -------------------------------------------------------------------------------------------------


class Scene:
    def __init__(self, server, options):
        self.server, self.seed, self.plant = server, options.seed, options.plant
        self.end = time.monotonic() + options.seconds
        self.failures, self.done, self.lock = [], {}, threading.Lock()

    def going(self):
        return time.monotonic() < self.end and not self.failures

    def note(self, what):
        with self.lock:
            self.done[what] = self.done.get(what, 0) + 1

    def play(self, actors):
        def run(actor, number):
            try:
                actor(self, random.Random("%s %d" % (self.seed, number)), number)
            except Exception as error:  # told by the main thread
                self.failures.append("%s: %s: %s" % (actor.__name__, type(error).__name__, error))

        threads = [threading.Thread(target=run, args=(actor, number)) for number, actor in enumerate(actors)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failures:
            raise Failed("; ".join(self.failures))


def value_of(draw):
    size = draw.choices(SIZES, WEIGHTS)[0]
    return (b"%d:" % draw.randrange(1 << 30) + b"x" * size)[:max(size, 1)]


def pipelines(scene, draw, number):
    """Every reply comes, whole and in its order, over one connection for all the time."""
    with scene.server.client(protocol=draw.choice((2, 3))) as client:
        keys = {}
        while scene.going():
            requests, expected = [], []
            for _ in range(draw.choice((1, 1, 2, draw.randrange(1, PIPELINE_MOST)))):
                key = b"%d:%d" % (number, draw.randrange(20))
                if key in keys and draw.random() < 0.6:
                    requests.append(encode("GET", key))
                    expected.append(keys[key])
                else:
                    keys[key] = value_of(draw)
                    requests.append(encode("SET", key, keys[key]))
                    expected.append("OK")
            client.send(b"".join(requests))
            if scene.plant and len(expected) > 1:
                expected[0], expected[-1] = "another", expected[0]
            for reply in expected:
                got = client.read()
                check(got == reply, "a reply is %r, not %r" % (got[:60], reply[:60]))
            scene.note("pipelines")


def transactions(scene, draw, number):
    """What binds a connection to its shard begins and ends."""
    with scene.server.client() as client, scene.server.client() as other:
        while scene.going():
            key, queue = b"t%d" % number, b"q%d" % number
            check(client.call("WATCH", key) == "OK" and client.call("MULTI") == "OK", "no transaction began")
            check(client.call("INCR", key) == "QUEUED", "it was not queued")
            touched = draw.random() < 0.5
            if touched:
                other.call("INCR", key)
            check((client.call("EXEC") is None) == touched, "EXEC did not see who touched its key")
            client.send(encode("BLPOP", queue, "60"))
            check(other.call("RPUSH", queue, "element") == 1, "the list was not empty")
            check(client.read() == [queue, b"element"], "BLPOP was not served")
            scene.note("transactions")


def subscribers(scene, draw, number):
    """A subscription holds, and so does what tracks another's reads."""
    with scene.server.client(protocol=3) as client, scene.server.client() as other:
        while scene.going():
            channel, key = b"c%d" % number, b"r%d" % number
            client.call("SUBSCRIBE", channel)
            check(other.call("PUBLISH", channel, "hello") == 1, "nobody heard the message")
            check(client.read()[-1] == b"hello", "another message came")
            client.call("UNSUBSCRIBE", channel)
            check(client.call("CLIENT", "TRACKING", "ON") == "OK", "no tracking")
            client.call("GET", key)
            other.call("SET", key, "x")
            check(client.read()[0] in (b"invalidate", "invalidate"), "no invalidation came")
            check(client.call("CLIENT", "TRACKING", "OFF") == "OK", "tracking did not end")
            for _ in range(draw.randrange(5)):
                check(client.call("PING") == "PONG", "no PONG")
            scene.note("subscriptions")


def victims(scene, draw, number):
    """Who is killed ends, wherever it is, and is told of once."""
    with scene.server.client() as killer:
        while scene.going():
            with scene.server.client() as victim:
                ident = victim.call("CLIENT", "ID")
                for _ in range(draw.randrange(10)):
                    check(victim.call("PING") == "PONG", "no PONG")
                if draw.random() < 0.5:
                    victim.send(encode("PING") * draw.randrange(50))
                check(killer.call("CLIENT", "KILL", "ID", str(ident)) == 1, "the victim was not there")
                try:
                    deadline = Deadline("the victim's connection to end")
                    while True:
                        deadline.left()
                        victim.read()
                except (Closed, OSError):
                    pass
                gone = "id=%d " % ident
                eventually("the victim to leave the list", lambda: gone not in text_of(killer.call("CLIENT", "LIST")))
                scene.note("kills")


def deserters(scene, draw, number):
    """Clients go in the middle of a request, by an end or by a reset."""
    while scene.going():
        client = scene.server.client()
        request = encode("SET", "d%d" % number, value_of(draw))
        client.send(encode("PING") * draw.randrange(3) + request[:draw.randrange(len(request))])
        if draw.random() < 0.5:
            client.reset()
        else:
            client.close()
        scene.note("deserters")


def census(scene, draw, number):
    """Who stays is in the list all the time, once, and the list is in order."""
    standing = [scene.server.client() for _ in range(8)]
    ids = {client.call("CLIENT", "ID") for client in standing}
    while scene.going():
        listed = [int(line.split(" ")[0][3:]) for line in text_of(standing[0].call("CLIENT", "LIST")).splitlines() if line.startswith("id=")]
        check(listed == sorted(set(listed)), "the list is in another order: %s" % listed)
        check(ids <= set(listed), "the list lacks %s" % (ids - set(listed)))
        for client in standing:
            check(client.call("CLIENT", "SETNAME", "standing") == "OK", "no name was set")
            check(client.call("CLIENT", "GETNAME") == b"standing", "the name was lost")
        scene.note("lists")
    for client in standing:
        client.close()


def stirred(options):
    actors = [pipelines] * 4 + [transactions, subscribers, victims, victims, deserters, deserters, census]
    with Server("--enable-debug-command", "yes", "--timeout", "1000", shards=options.shards) as server:
        with server.client() as client:
            check(client.call("DEBUG", "STIR-CONNECTIONS", str(options.turns)) == "OK", "no stirring")
            scene = Scene(server, options)
            scene.play(actors)
            check(client.call("DEBUG", "STIR-CONNECTIONS", "0") == "OK", "stirring did not end")
            eventually("all but one client to be gone",
                       lambda: len(re.findall("^id=", text_of(client.call("CLIENT", "LIST")), re.M)) == 1)
            moved = info(client, "connections_moved")
            check(moved >= MOVES_LEAST, "only %d connections moved" % moved)
            print("stirred: %s, %d moves" % (", ".join("%d %s" % (n, what) for what, n in sorted(scene.done.items())), moved), flush=True)


# ---- Nobody else -----------------------------------------------------------------------------------------------------


def alone(options):
    """Where nothing else wakes a shard, what leaves it has come to rest all the same. (It did not where a large argument's receive had
    ended by itself and the reply was on its way: each such move took the 50 ms in which a connection comes to rest, or stays.)"""
    with Server("--enable-debug-command", "yes", shards=2) as server:
        with server.client() as client:
            check(client.call("DEBUG", "STIR-CONNECTIONS", "33") == "OK", "no stirring")
            moved, late, deadline = 0, 0, Deadline("40 moves", 120)
            while moved < 40:
                for _ in range(100):
                    begun = time.monotonic()
                    check(client.call("SET", "k", "x" * 100_000) == "OK", "no OK")
                    late += time.monotonic() - begun > LATE_S * TIME_SCALE
                moved = info(client, "connections_moved")
                deadline.left()
            check(late * 4 < moved, "%d replies were late in %d moves" % (late, moved))
            print("alone: %d moves, %d late replies" % (moved, late), flush=True)


# ---- Left to itself --------------------------------------------------------------------------------------------------


def left_to_itself(options):
    """Several shards are used when one is full, and one again when that is enough; all where that is asked for."""
    with Server("--shards-in-use", "auto", shards=options.shards) as server:
        clients = [server.client() for _ in range(20)]
        first = clients[0]

        def keep_busy(condition):
            """KEYS of many keys, of several clients at once, is much to do for one shard."""
            for client in clients:
                client.send(encode("KEYS", "*nothing*"))
            for client in clients:
                check(client.read() == [], "KEYS found something")
            return condition()

        def in_use():
            return info(first, "shards_in_use")

        def at_leisure(condition):
            for client in clients:
                check(client.call("PING") == "PONG", "no PONG")
            return condition()

        check(in_use() == 1, "%d shards are in use at first" % in_use())
        for n in range(0, 100_000, 1000):
            first.call("MSET", *[word for i in range(n, n + 1000) for word in ("key:%d" % i, "x")])
        eventually("all shards to be in use", lambda: keep_busy(lambda: in_use() == options.shards), 60)
        eventually("connections to have moved", lambda: keep_busy(lambda: info(first, "connections_moved") >= 10), 60)
        moved = info(first, "connections_moved")
        eventually("one shard to be in use", lambda: at_leisure(lambda: in_use() == 1), 120, 0.01)
        eventually("connections to have gathered", lambda: at_leisure(lambda: info(first, "connections_moved") >= moved + 10), 60, 0.01)
        moved = info(first, "connections_moved")
        check(first.call("CONFIG", "SET", "shards-in-use", "all") == "OK", "no CONFIG SET")
        check(in_use() == options.shards, "not all shards are in use")
        eventually("connections to have spread", lambda: at_leisure(lambda: info(first, "connections_moved") >= moved + 5), 60, 0.01)
        check(first.call("CONFIG", "SET", "shards-in-use", "auto") == "OK", "no CONFIG SET")
        eventually("one shard to be in use again", lambda: at_leisure(lambda: in_use() == 1), 120, 0.01)
        print("left to itself: %d moves" % info(first, "connections_moved"), flush=True)
        for client in clients:
            client.close()


def main():
    parser = argparse.ArgumentParser(description="Moves connections from shard to shard while clients work.")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seed", type=int, default=run_seed())
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    print("seed %s, times %s" % (options.seed, TIME_SCALE), flush=True)
    try:
        stirred(options)
        if not options.plant:
            alone(options)
            left_to_itself(options)
    except Failed as failed:
        sys.exit("FAILED: %s" % failed)


if __name__ == "__main__":
    main()
