#!/usr/bin/env python3
"""What is due is done, whoever sleeps; and nobody wakes up for nothing.

    run.py [--shards N] [--plant] [NAME...]

Shards sleep while they have nothing to do, and each looks after its own part of the keys; but who writes them is another
shard. So here there are more shards than connections, connections that come and go, and none at all, and afterwards the keys
that expired, the memory that was flushed and the clients that were held must be as if there were one shard. Nobody asks for a
key meanwhile, for that would delete it: counts come from DBSIZE and INFO, which look at no key.

Each test is a function test_...(server), named by what must hold; it gets a fresh server whose shards all sleep. --plant
expects the wrong thing of the first one, and this program must fail.
"""
import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kevy import SANITIZER_OPTIONS, Deadline, Server, eventually, of_threads  # noqa: E402

MIB = 1 << 20
KEYS = 2000
AT_ONCE = 4  # most of the time servers and tests sleep
SOON_S = 8.0  # what is looked for once in ten seconds takes longer, what wakes a shard does not, however busy the machine is
TESTS = []
# What the server has freed is to go back to the kernel at once, and not to lie in a sanitizer's quarantine.
ENVIRONMENT = {"ASAN_OPTIONS": SANITIZER_OPTIONS["ASAN_OPTIONS"] + ":quarantine_size_mb=1:allocator_release_to_os_interval_ms=100"}


class Failed(Exception):
    pass


def test(*arguments):
    def add(function):
        TESTS.append((function, arguments))
        return function

    return add


def check(condition, text):
    if not condition:
        raise Failed(text)


# ---- What a server does while nobody looks ---------------------------------------------------------------------------


def sleeps(server):
    """How often each thread has gone to sleep by itself, and whether one runs just now."""
    counts, running = {}, False
    for task, text in of_threads(server.pid, "status").items():
        status = dict(line.split(":", 1) for line in text.splitlines())
        if status["Name"].strip().startswith("shard-"):
            counts[task] = int(status["voluntary_ctxt_switches"])
            running |= status["State"].strip().startswith("R")
    check(len(counts) == server.shards, "%d threads of %d shards" % (len(counts), server.shards))
    return counts, running


def wait_until_parked(server, span_s=0.25):
    """Until no shard has run for so long: longer than a tick."""
    deadline, before, since = Deadline("the shards to sleep", 60), None, 0
    while True:
        counts, running = sleeps(server)
        now = time.monotonic()
        if counts != before or running:
            before, since = counts, now
        elif now - since >= span_s:
            return counts
        time.sleep(min(0.25, deadline.left()))


def check_sleeps(server, seconds, wakes, what):
    """In so many seconds, the shards may wake up so often, in all: only a span of time shows that nothing happens in it. Who has
    just fallen silent is asked once within two seconds, so that they sleep for good only then."""
    before = wait_until_parked(server, 2.2)
    time.sleep(seconds)
    after, _ = sleeps(server)
    woken = sum(after.values()) - sum(before.values())
    check(woken <= wakes, "%s: %d wake-ups in %d s: %s" % (what, woken, seconds, {t: after[t] - before[t] for t in after}))


def info(client, name):
    for line in client.call("INFO", "everything").decode().splitlines():
        if line.startswith(name + ":"):
            return int(line.partition(":")[2])
    raise Failed("INFO has no " + name)


def fill(client, count, *options, prefix="key"):
    commands = [("SET", "%s:%d" % (prefix, i), "a value of some length") + options for i in range(count)]
    for i in range(0, count, 10000):
        check(set(client.pipeline(commands[i:i + 10000])) == {"OK"}, "SET")


def size_is(client, wanted, what, seconds):
    eventually("%s: DBSIZE to be %d (it is %s)" % (what, wanted, client.call("DBSIZE")),
               lambda: client.call("DBSIZE") == wanted, seconds, 0.02)


def wait_for_time(seconds, what):
    """For what only time brings."""
    deadline = Deadline(what, seconds + 60)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(end - time.monotonic() + 0.001, deadline.left()))


# ---- Expiry ----------------------------------------------------------------------------------------------------------


@test()
def test_keys_of_sleeping_shards_expire(server, plant):
    with server.client() as client:
        fill(client, KEYS, "PX", "100")
        size_is(client, KEYS + 1 if plant else 0, "keys with 100 ms to live", 4)
        check(info(client, "expired_keys") == KEYS, "expired_keys")


@test()
def test_an_earlier_expiry_is_heard_of_and_a_later_one_waits(server, plant):
    with server.client() as client:
        fill(client, KEYS, "EX", "1000")
        wait_until_parked(server)
        check(set(client.pipeline([("PEXPIRE", "key:%d" % i, 100) for i in range(0, KEYS, 2)])) == {1}, "PEXPIRE")
        size_is(client, KEYS // 2, "half of the keys, made to expire soon", SOON_S)


@test()
def test_keys_that_come_by_other_ways_expire(server, plant):
    """RENAME, COPY and MOVE bring an expiry into another stripe; EXEC and databases other than 0."""
    with server.client() as client:
        fill(client, 300, "PX", "300")
        for i in range(100):
            client.pipeline([("RENAME", "key:%d" % i, "renamed:%d" % i), ("COPY", "key:%d" % (100 + i), "copied:%d" % i),
                             ("MOVE", "key:%d" % (200 + i), 3)])
        client.pipeline([("MULTI",)] + [("SETEX", "queued:%d" % i, 1, "v") for i in range(100)] + [("EXEC",)])
        size_is(client, 0, "renamed, copied and queued keys", SOON_S)
        client.call("SELECT", 3)
        size_is(client, 0, "moved keys", SOON_S)


@test()
def test_connections_that_come_and_go_leave_nothing(server, plant):
    """Each of them is alone, so all land on the same shard."""
    for round_ in range(200):
        with server.client() as client:
            fill(client, KEYS // 200, "PX", "100", prefix="round:%d" % round_)

    def empty():
        with server.client() as client:
            return client.call("DBSIZE") == 0

    eventually("the keys of short connections to expire", empty, SOON_S, 0.05)


@test()
def test_keys_expire_while_nobody_is_connected(server, plant):
    with server.client() as client:
        for live_ms in 700, 7000:  # where a busy machine was too slow for the first time
            before = info(client, "expired_keys")
            fill(client, KEYS, "PX", str(live_ms))
            if client.call("DBSIZE") == KEYS:
                break
    wait_for_time(live_ms / 1000 + 0.8, "the keys' time to be over")
    wait_until_parked(server)
    with server.client() as client:
        check(client.call("DBSIZE") == 0, "expired keys are there when somebody comes")
        check(info(client, "expired_keys") >= before + KEYS, "expired_keys")


@test("--enable-debug-command", "yes")
def test_expiry_that_was_off_goes_on(server, plant):
    with server.client() as client:
        client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        fill(client, KEYS, "PX", "100")
        wait_for_time(0.5, "the keys' time to be over")
        wait_until_parked(server)
        check(client.call("DBSIZE") == KEYS, "keys expired while this was off")
        client.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
        size_is(client, 0, "keys that had expired meanwhile", SOON_S)


# ---- Memory ----------------------------------------------------------------------------------------------------------


def flushed(server, command, fills=3, keys=100000):
    with server.client() as client:
        before = info(client, "used_memory")
        for _ in range(fills):
            fill(client, keys)
            check(client.call(*command) == "OK", command[0])
        limit = before + 2 * MIB
        eventually("used_memory to come down to %d (it is %d)" % (limit, info(client, "used_memory")),
                   lambda: info(client, "used_memory") <= limit, 10, 0.05)


@test()
def test_the_memory_of_sleeping_shards_comes_back_after_flushes(server, plant):
    flushed(server, ("FLUSHALL",))


@test()
def test_the_memory_of_one_database_too(server, plant):
    flushed(server, ("FLUSHDB", "ASYNC"), fills=1)


def resident_bytes(server):
    with open("/proc/%d/statm" % server.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@test()
def test_memory_comes_back_while_nobody_is_connected(server, plant):
    with server.client() as client:
        before = info(client, "used_memory")
        fill(client, 300000)
    full = resident_bytes(server)
    wait_until_parked(server)
    with server.client() as client:
        check(client.call("FLUSHALL") == "OK", "FLUSHALL")
    eventually("pages to go back to the kernel", lambda: resident_bytes(server) < full - 10 * MIB, 10, 0.05)
    wait_until_parked(server)
    with server.client() as client:
        check(info(client, "used_memory") <= before + 2 * MIB, "used_memory")


@test()
def test_deleted_keys_of_sleeping_shards_leave_no_pages(server, plant):
    with server.client() as client:
        fill(client, 400000)
        full = resident_bytes(server)
        wait_until_parked(server)
        for i in range(0, 400000, 10000):
            client.pipeline([("DEL", "key:%d" % j) for j in range(i, i + 10000)])
        eventually("pages to go back to the kernel", lambda: resident_bytes(server) < full - 10 * MIB, 10, 0.05)


# ---- Pauses and options ----------------------------------------------------------------------------------------------


def clients_of_all_shards(server):
    """One connection for each shard: the one with the fewest gets the next."""
    return [server.client() for _ in range(server.shards)]


@test()
def test_nothing_expires_during_a_pause_and_all_of_it_after(server, plant):
    with server.client() as client:
        fill(client, KEYS, "PX", "100")
        check(client.call("CLIENT", "PAUSE", 60000, "WRITE") == "OK", "CLIENT PAUSE")
        left = client.call("DBSIZE")
        wait_for_time(0.5, "the keys' time to be over")
        wait_until_parked(server)
        check(client.call("EXISTS", "key:1") == 0, "an expired key is read")
        check(client.call("DBSIZE") == left, "keys expired in a pause")
        check_sleeps(server, 2, 0, "a pause with expired keys")
        check(client.call("CLIENT", "UNPAUSE") == "OK", "CLIENT UNPAUSE")
        size_is(client, 0, "keys that had expired in a pause", SOON_S)
        fill(client, KEYS, "PX", "100")
        check(client.call("CLIENT", "PAUSE", 1000, "WRITE") == "OK", "CLIENT PAUSE")
        size_is(client, 0, "keys that had expired in a pause that ended by itself", SOON_S)


@test()
def test_held_clients_of_all_shards_go_on_when_the_pause_ends(server, plant):
    held = clients_of_all_shards(server)
    with server.client() as client:
        for way in ("by itself", "by command"):
            check(client.call("CLIENT", "PAUSE", 600 if way == "by itself" else 60000) == "OK", "CLIENT PAUSE")
            for other in held:
                other.send(b"*1\r\n$4\r\nPING\r\n")
            if way == "by command":
                check_sleeps(server, 2, 0, "a pause that holds a client on each shard")
                check(client.call("CLIENT", "UNPAUSE") == "OK", "CLIENT UNPAUSE")
            for other in held:
                check(other.read("a held client's reply, the pause having ended " + way, SOON_S) == "PONG", "PING")
    for other in held:
        other.close()


@test()
def test_a_timeout_set_elsewhere_closes_idle_clients_of_all_shards(server, plant):
    idle = clients_of_all_shards(server)
    wait_until_parked(server)
    with server.client() as client:
        check(client.call("CONFIG", "SET", "timeout", 1) == "OK", "CONFIG SET")
        for other in idle:
            check(other.read_until_closed(SOON_S) == b"", "an idle client got something")
            other.close()
        client.close()


# ---- Sleep -----------------------------------------------------------------------------------------------------------


@test()
def test_an_idle_server_sleeps(server, plant):
    """With keys or none, with clients or none."""
    check_sleeps(server, 3, 0, "nobody connected, no keys")
    clients = clients_of_all_shards(server)
    fill(clients[0], 10000)
    fill(clients[0], 100, "PX", "50", prefix="short")
    size_is(clients[0], 10000, "keys with 50 ms to live", SOON_S)
    check_sleeps(server, 3, 0, "a client on each shard, nothing to expire")
    for client in clients:
        client.close()
    check_sleeps(server, 3, 0, "everybody has gone")


@test()
def test_a_server_with_keys_that_expire_later_nearly_sleeps(server, plant):
    """Only to see whether the clock was set: once in ten seconds."""
    clients = clients_of_all_shards(server)
    fill(clients[0], 10000, "EX", "100000")
    check_sleeps(server, 5, server.shards, "keys that expire tomorrow")
    for client in clients:
        client.close()


def run(function, arguments, shards, plant):
    if plant:
        print("planting a wrong expectation in %s" % function.__name__)
    with Server(*arguments, shards=shards, env=ENVIRONMENT) as server:
        wait_until_parked(server, 1.1)  # whatever woke up for the first client is over
        function(server, plant)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--plant", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    def passes(test):
        function, arguments = test
        name = function.__name__[len("test_"):]
        start = time.monotonic()
        try:
            run(function, arguments, options.shards, options.plant)
            print("ok     %-70s %5.1f s" % (name, time.monotonic() - start), flush=True)
            return True
        except Exception as error:  # each test is told of, also where an earlier one failed
            print("FAILED %-70s %5.1f s: %s: %s" % (name, time.monotonic() - start, type(error).__name__, error), flush=True)
            return False

    chosen = [test for test in TESTS if not options.names or test[0].__name__[len("test_"):] in options.names]
    if not chosen:
        sys.exit("no test has this name")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sys.exit(not all(list(pool.map(passes, chosen[:1] if options.plant else chosen))))


if __name__ == "__main__":
    main()
