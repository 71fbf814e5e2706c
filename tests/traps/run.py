#!/usr/bin/env python3
"""What broke other servers of this kind: connections that stop, vanish or never end; values that change while they are sent.

    run.py [--shards N] [--plant] [NAME...]

Each trap is a function trap_...(server): it is named by what must hold, gets a fresh server and fails by an exception. Options of
its server stand in the decorator. Exact bytes are the business of tests/wire; here it is about who gets what, how long
others wait, and what the process holds on to. --plant makes the first of these expectations wrong, and this program must fail.
"""
import argparse
import os
import random
import re
import resource
import select
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kevy import TIME_SCALE, Client, Closed, Server, encode, eventually, parse, show  # noqa: E402

MIB = 1 << 20
OTHERS_WAIT_S = 1.0 * TIME_SCALE  # how long a PING may take while somebody else misbehaves (sanitizers and busy machines included)
TRAPS = []


class Failed(Exception):
    pass


def trap(*arguments, kevy_only=False, tcp=True):
    def add(function):
        TRAPS.append((function, arguments, kevy_only, tcp))
        return function

    return add


def check(condition, text):
    if not condition:
        raise Failed(text)


# ---- What a process holds ----------------------------------------------------------------------------------------------------


def descriptors(server):
    return len(os.listdir("/proc/%d/fd" % server.pid))


def resident_bytes(server):
    with open("/proc/%d/statm" % server.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def cpu_seconds(server):
    with open("/proc/%d/stat" % server.pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_sanitized(server):
    with open("/proc/%d/maps" % server.pid, encoding="ascii") as file:
        return re.search(r"lib[at]san|clang_rt", file.read()) is not None or TIME_SCALE > 1


def check_others_are_served(server, times=20):
    with server.client() as other:
        for _ in range(times):
            start = time.monotonic()
            check(other.call("PING") == "PONG", "PING")
            took = time.monotonic() - start
            check(took < OTHERS_WAIT_S, "another client's PING took %.2f s" % took)


def connected_clients(server):
    with server.client() as client:
        return len(client.call("CLIENT", "LIST").splitlines())


def wait_until_alone(server):
    """Until the server has noticed that everybody else is gone."""
    eventually("the server to close its side of every closed connection", lambda: connected_clients(server) == 1)


def small_window(server):
    """A client that takes little at a time: replies to it are sent in many short pieces."""
    client = Client(server)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return client


def pattern(seed, length):
    return random.Random(seed).randbytes(length)


# ---- Replies ------------------------------------------------------------------------------------------------------------------


@trap(kevy_only=True)  # redis-server drops what it has not sent yet
def trap_half_close_still_gets_every_reply(server):
    value = pattern(1, 50000)
    with server.client() as client:
        client.call("SET", "big", value)
        client.call("SET", "small", "s")
        client.send((encode("GET", "small") + encode("GET", "big")) * 200)
        client.half_close()
        for _ in range(200):
            check(client.read() == b"s" and client.read() == value, "a reply is wrong")
        check(client.read_until_closed() == b"", "more than was asked for")
    wait_until_alone(server)


@trap()
def trap_values_in_flight_keep_their_bytes(server):
    """A reader that has asked but not read yet; meanwhile the value changes in every way there is."""
    old, new = pattern(2, 2 * MIB), pattern(3, 2 * MIB)
    changes = [[("SET", "big", new)], [("DEL", "big")], [("UNLINK", "big")], [("PEXPIRE", "big", "-1")], [("FLUSHALL",)],
               [("FLUSHALL", "ASYNC")], [("APPEND", "big", "x")], [("SETRANGE", "big", "5", "xxxxx")], [("SETBIT", "big", "3", "1")],
               [("RENAME", "big", "other")], [("SET", "other", "x"), ("RENAME", "other", "big")], [("GETDEL", "big")],
               [("MOVE", "big", "1")], [("SWAPDB", "0", "1")], [("SET", "big", "1"), ("INCR", "big")]]
    for change in changes:
        with server.client() as writer, small_window(server) as reader:
            writer.call("FLUSHALL")
            writer.call("SET", "big", old)
            reader.send(encode("GET", "big") * 10)
            # The first reply has begun: so its value is the old one, and must stay so to its last byte.
            check(select.select([reader.socket], [], [], 20 * TIME_SCALE)[0], "no reply begins")
            for command in change:
                writer.call(*command)
            after = writer.call("GET", "big")
            seen = [reader.read("GET number %d during %s" % (i, change[-1][0])) for i in range(10)]
            check(seen[0] == old, "%s: a reply that had begun changed on the way" % change[-1][0])
            changed = [value for value in seen if value != old]
            check(seen == [old] * (10 - len(changed)) + changed, "%s: old values behind new ones" % change[-1][0])
            between = (after, b"1", b"x")  # what one of the changes leaves for a moment
            check(all(value in between for value in changed), "%s: a reply is neither old nor new: %s" % (
                change[-1][0], [show(value or b"nil", 60) for value in changed if value not in between][:1]))


@trap()
def trap_short_sends_resume_where_they_stopped(server):
    """Large values, small ones and more parts than one WRITEV takes, to a client with a tiny window."""
    values = {"k%d" % i: pattern(i, size) for i, size in enumerate((1, 100, 15000, 16384, 16385, 40000, 100000, 300000))}
    with small_window(server) as client:
        for key, value in values.items():
            client.call("SET", key, value)
        order = random.Random(4).choices(sorted(values), k=400)
        client.send(b"".join(encode("GET", key) for key in order))
        for i, key in enumerate(order):
            check(client.read() == values[key], "reply %d, of %d bytes, is wrong" % (i, len(values[key])))
    with server.client() as client:
        value = pattern(5, 20000)
        client.call("SET", "pinned", value)
        for reply in client.pipeline([("GET", "pinned")] * 3000):
            check(reply == value, "one of 3000 pinned values is wrong")
        keys = ["k%d" % (i % len(values)) for i in range(2000)]
        check(client.call("MGET", *keys) == [values[key] for key in keys], "MGET of 2000 values")


@trap()
def trap_a_reader_that_stops_costs_little_and_delays_nobody(server):
    value = pattern(6, MIB)
    with server.client() as writer, server.client() as reader:
        writer.call("SET", "big", value)
        before = resident_bytes(server)
        reader.send(encode("GET", "big") * 200)
        check_others_are_served(server)
        with server.client() as copier:  # not pinned: each of these replies is a copy
            copier.call("SET", "small", value[:4000])
            copier.send(encode("GET", "small") * 50000)
            check_others_are_served(server)
            grown = resident_bytes(server) - before
            check(server.is_redis or is_sanitized(server) or grown < 150 * MIB,
                  "two readers that stopped cost %d MiB" % (grown // MIB))
            for _ in range(50000):
                check(copier.read() == value[:4000], "a copy is wrong")
        for _ in range(200):
            check(reader.read() == value, "a reply is wrong")


@trap("--client-output-buffer-limit", "normal 4mb 0 0")
def trap_output_limits_end_the_connection(server):
    with server.client() as writer, small_window(server) as reader:
        writer.call("SET", "v", pattern(7, 10000))
        try:
            reader.send(encode("GET", "v") * 10000)
        except (ConnectionResetError, BrokenPipeError):
            pass
        eventually("the server to close the reader", lambda: connected_clients(server) == 2)
        check_others_are_served(server)


@trap()
def trap_an_endless_pipeline_starves_nobody(server):
    stop, errors = threading.Event(), []

    def hog():
        block = encode("PING") * 5000
        try:
            with server.client() as client:
                while not stop.is_set():
                    client.send(block)
                    while client.buffer:
                        client.buffer.clear()
                        client.receive()
        except Exception as error:  # the main thread reports it
            errors.append(error)

    hogs = [threading.Thread(target=hog, daemon=True) for _ in range(3)]
    for thread in hogs:
        thread.start()
    try:
        check_others_are_served(server, 50)
    finally:
        stop.set()
        for thread in hogs:
            thread.join(20 * TIME_SCALE)
    check(not errors, "a hog failed: %s" % errors[:1])


# ---- Connections that vanish ---------------------------------------------------------------------------------------------------


@trap()
def trap_resets_in_mid_reply_and_mid_request_leave_nothing_behind(server):
    dice, value = random.Random(8), pattern(9, 4 * MIB)
    with server.client() as client:
        client.call("SET", "big", value)
    base_fds = descriptors(server)
    request = encode("SET", "other", value)

    def misbehave():
        client = small_window(server)
        try:
            kind = dice.randrange(4)
            if kind == 0:  # in the middle of replies that are sent from the store
                client.send(encode("GET", "big") * 3)
                select.select([client.socket], [], [], 20 * TIME_SCALE)
                client.receive()
            elif kind == 1:  # in the middle of an argument that is read into memory of its own
                client.send(request[: dice.randrange(1, len(request))])
            elif kind == 2:  # behind a pipeline whose replies nobody wants
                client.send(encode("GET", "other") * 10 + encode("PING") * 100)
            if dice.random() < 0.3:
                client.half_close()
        finally:
            client.reset() if dice.random() < 0.5 else client.close()

    for _ in range(20):
        misbehave()
    wait_until_alone(server)
    base = resident_bytes(server)
    for _ in range(150):
        misbehave()
    wait_until_alone(server)
    eventually("the descriptors to be what they were", lambda: descriptors(server) <= base_fds + 2)
    grown = resident_bytes(server) - base
    check(is_sanitized(server) or grown < 32 * MIB, "memory grew by %d MiB" % (grown // MIB))
    with server.client() as client:
        check(client.call("GET", "big") == value, "the value suffered")


@trap()
def trap_closed_peers_cost_no_cpu(server):
    """Every way to be closed, then quiet: a server that takes an EOF for data spins here. And one without clients is idle."""
    keep = []
    for _ in range(20):
        client = server.client()
        client.send(encode("PING") * 3)
        client.half_close()
        keep.append(client)
    for _ in range(20):
        client = server.client()
        client.send(encode("PING")[:5])
        client.reset()
    for client in keep:
        client.read_until_closed()
        client.close()
    wait_until_alone(server)
    before, start = cpu_seconds(server), time.monotonic()
    select.select([server.pidfd], [], [], 2)  # two seconds of real time are what is measured
    used, took = cpu_seconds(server) - before, time.monotonic() - start
    check(used < 0.05 * took * (4 if is_sanitized(server) else 1), "an idle server used %.2f s of CPU in %.1f s" % (used, took))


@trap()
def trap_a_thousand_connections_at_once(server):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    base = descriptors(server)
    clients = [server.client() for _ in range(1000)]
    request = encode("ECHO", "x" * 3000)
    for client in clients:
        client.socket.send(request[:1500])  # more than there are receive buffers, all half full
    for client in clients:
        client.socket.send(request[1500:] + encode("PING"))
    for client in clients:
        check(len(client.read()) == 3000 and client.read() == "PONG", "a reply is wrong")
        client.close()
    wait_until_alone(server)
    eventually("the descriptors to be what they were", lambda: descriptors(server) <= base + 2)


@trap("--maxclients", "10")
def trap_one_client_too_many_is_told(server):
    eventually("the first client to be gone", lambda: connected_clients(server) == 1)
    clients = [server.client() for _ in range(10)]
    for client in clients:
        check(client.call("PING") == "PONG", "PING")
    for _ in range(5):
        with server.client() as extra:
            told = extra.read_until_closed()
            check(told == b"-ERR max number of clients reached\r\n", "client 11 was told %s" % show(told))
    clients.pop().close()

    def room():
        with server.client() as client:
            try:
                return client.call("PING") == "PONG"
            except (Closed, OSError):
                return False

    eventually("a place to become free", room)


@trap()
def trap_accepting_goes_on_after_descriptors_ran_out(server):
    check_others_are_served(server, 1)
    wait_until_alone(server)
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (descriptors(server) + 3, limits[1]))
    clients = [server.client() for _ in range(20)]
    for client in clients:
        client.send(encode("PING"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
    served = 0
    for client in clients:
        try:
            served += client.read() == "PONG"
        except Closed:
            pass  # turned away: also an answer
        client.close()
    check(served > 0, "nobody was served")
    wait_until_alone(server)
    check_others_are_served(server)


# ---- Requests ------------------------------------------------------------------------------------------------------------------


@trap()
def trap_counts_and_lengths_allocate_nothing_by_themselves(server):
    before = resident_bytes(server)
    clients = []
    for request in (b"*1048576\r\n$3\r\nDEL\r\n", b"*2\r\n$4\r\nECHO\r\n$536870912\r\nabc", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$500000000\r\n"):
        for _ in range(20):
            client = server.client()
            client.send(request)
            client.wait_taken()
            clients.append(client)
    check_others_are_served(server)
    grown = resident_bytes(server) - before
    check(is_sanitized(server) or grown < 64 * MIB, "promises alone cost %d MiB" % (grown // MIB))
    for client in clients:
        client.close()
    wait_until_alone(server)


@trap()
def trap_large_arguments_in_any_pieces(server):
    """Around the sizes where an argument is read into memory of its own; small requests in front and behind."""
    dice = random.Random(10)
    with server.client(unix=True) as client:
        for size in (16383, 16384, 16385, 32767, 32768, 32769, 65536, 100000, 300001):
            value = pattern(size, size)
            requests = [("SET", "a", value), ("GET", "a"), ("APPEND", "a", value), ("STRLEN", "a"), ("MSET", "b", value, "c", "1"),
                        ("MGET", "b", "c"), ("ECHO", value), ("PING",)]
            expected = ["OK", value, 2 * size, 2 * size, "OK", [value, b"1"], value, "PONG"]
            data = b"".join(encode(*request) for request in requests)
            for _ in range(6):
                cuts = sorted(dice.randrange(1, len(data)) for _ in range(dice.choice((1, 3, 12))))
                client.send_pieces(data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)]))
                for want in expected:
                    check(client.read() == want, "a reply is wrong with %d bytes cut at %s" % (size, cuts))


@trap(kevy_only=True)
def trap_globs_do_not_explode(server):
    with server.client() as client:
        client.call("SET", "a" * 100000, "1")
        start = time.monotonic()
        for glob in ("a*a*a*a*a*a*b", "*a*a*a*a*a*a*a*b", "a*" * 60 + "b", "?*" * 30 + "[b]", "*" * 1000 + "b"):
            check(client.call("KEYS", glob, seconds=60) == [], glob)
        check(time.monotonic() - start < 10 * TIME_SCALE, "five globs took %.1f s" % (time.monotonic() - start))


@trap()
def trap_no_numbers_end_the_process(server):
    """Edge numbers where a number is asked for, in every command the server has: whatever it answers, it lives."""
    edges = ["0", "-1", "1", "9223372036854775807", "-9223372036854775808", "4294967295", "2147483648", "-0", "", "nan", "1e400"]
    unwelcome = {b"shutdown", b"debug", b"monitor", b"quit", b"failover", b"replicaof", b"slaveof", b"sync", b"psync",
                 b"blpop", b"brpop", b"blmove", b"brpoplpush", b"blmpop", b"bzpopmin", b"bzpopmax", b"bzmpop", b"subscribe",
                 b"psubscribe", b"ssubscribe", b"wait", b"xread", b"xreadgroup", b"client", b"setrange", b"setbit", b"bitfield",
                 b"reset", b"hello", b"auth", b"multi", b"config", b"acl", b"save", b"bgsave", b"bgrewriteaof", b"module"}
    dice = random.Random(11)
    with server.client() as client:
        names = [name for name in (row[0] for row in client.call("COMMAND")) if name not in unwelcome]
        check(len(names) > 50, "only %d commands" % len(names))
        commands = [[name] + dice.choices(edges + ["k", "*"], k=dice.randrange(1, 6)) for name in names for _ in range(20)]
        client.pipeline(commands)
    check_others_are_served(server)


# ---- The Unix socket -------------------------------------------------------------------------------------------------------------


@trap(kevy_only=True, tcp=False)
def trap_a_socket_that_answers_is_not_taken_over(server):
    second = subprocess.run([server.path, "--port", "0", "--unixsocket", server.socket_path], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20 * TIME_SCALE)
    check(second.returncode != 0, "a second server took the socket over")
    with server.client(unix=True) as client:
        check(client.call("PING") == "PONG", "PING over the socket")


@trap(tcp=False)
def trap_a_stale_socket_is_replaced(server):
    server.kill()
    check(os.path.exists(server.socket_path), "a killed server leaves its socket")
    server.start()
    with server.client(unix=True) as client:
        check(client.call("PING") == "PONG", "PING over the new socket")


def main():
    parser = argparse.ArgumentParser(description="What broke other servers of this kind.")
    parser.add_argument("names", nargs="*", help="only the traps whose names contain one of these")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--plant", action="store_true", help="expect one wrong thing: this run must fail")
    options = parser.parse_args()
    failed = ran = 0
    for function, arguments, kevy_only, tcp in TRAPS:
        name = function.__name__[len("trap_"):]
        if options.names and not any(part in name for part in options.names):
            continue
        started = time.monotonic()
        try:
            with Server(*arguments, shards=options.shards, tcp=tcp) as server:
                if kevy_only and server.is_redis:
                    continue
                function(server)
                with server.client() as client:
                    check(client.call("PING") == ("PANG" if options.plant else "PONG"), "the server is not well afterwards")
            print("ok %s (%.1f s)" % (name, time.monotonic() - started), flush=True)
        except Exception as error:  # one trap does not hide the next
            print("FAILED %s: %s: %s" % (name, type(error).__name__, error), flush=True)
            failed += 1
        ran += 1
        if options.plant:
            break
    if failed or not ran:
        sys.exit("%d of %d traps failed" % (failed, ran))


if __name__ == "__main__":
    main()
