#!/usr/bin/env python3
"""What broke other servers of this kind: connections that stop, vanish or never end; values that change while they are sent.

    run.py [--shards N] [--io auto|yes|no] [--plant] [NAME...]

Each trap is a function trap_...(server): it is named by what must hold, gets a fresh server and fails by an exception. Options of
its server stand in the decorator. Exact bytes are the business of tests/wire; here it is about who gets what, how long
others wait, and what the process holds on to. --plant makes the first of these expectations wrong, and this program must fail.

Where each known trap is laid (names without a folder are functions here; tests/faults/run.py and the profiles of
tests/faults/CMakeLists.txt, which run this program too, make the kernel misbehave):

io_uring
    EOF looks like data on recent kernels         closed_peers_cost_no_cpu
    EOF behind the last bytes is forgotten        who_says_something_and_leaves_at_once_is_seen_to_leave
    SQ full when a recv must be re-armed          faults: profile small_queues
    ENOBUFS ends a multishot recv                 a_thousand_connections_at_once; the same under faults: profile two_buffers
    Multishot accept ends                         accepting_goes_on_after_descriptors_ran_out; faults: accepting_never_stops
    CQ overflow, EINTR, EAGAIN, EBUSY from enter  faults: profiles small_queues, enter_fails
    Closing with an armed recv sends no FIN       resets_in_mid_reply_..., one_client_too_many_is_told
    ... and it eats what would make it a reset    who_is_cut_off_in_mid_request_learns_it_at_once
    Urgent data stops a poll thread's receive     urgent_bytes_leave_nobody_behind
    A send or WRITEV may be short; IOV_MAX        short_sends_resume_...; under faults: profile short
    A value pinned by a reply in flight           values_in_flight_keep_their_bytes, resets_in_mid_reply_...
    ASYNC_CANCEL races                            faults: profile cancels
    A stale completion, a reused descriptor       replies_reach_only_who_asked
    Ring set-up can fail on the N-th ring         faults: a_ring_that_is_refused_is_explained
    DEFER_TASKRUN completes nothing by itself     every trap with --io no; the barrier of SQPOLL: every trap with --io yes
    SQPOLL excludes DEFER_TASKRUN, COOP_TASKRUN   the same; faults: profile old_kernel
Connections and protocol
    Every byte split; counts, NULs, bare LF       wire/protocol, wire/protocol_limits; large_arguments_in_any_pieces
    A count never allocates by itself             counts_and_lengths_allocate_nothing_by_themselves
    Before AUTH                                   wire/unauthenticated, strangers_get_little, after_AUTH_the_large_limits_hold
    Half-close; RST in mid-reply; zero-copy       half_close_still_gets_every_reply, resets_in_mid_reply_...
    A client that never reads                     a_reader_that_stops_..., output_limits_..., the_soft_limit_..., monitors_...,
                                                  slow_readers_delay_nobody
    An endless pipeline                           an_endless_pipeline_starves_nobody, a_backlog_is_worked_off_in_linear_time
    A blocked connection stops parsing            a_pause_keeps_what_is_behind_it_in_order, who_leaves_during_a_pause_...
    Clients that wait for keys                    a_crowd_waits_..., who_leaves_while_waiting_..., waits_end_once_...
    maxclients counts the whole process           one_client_too_many_is_told
    Error texts carry no CR or LF                 errors_are_one_line
    QUIT ends its pipeline; POST, Host:           quit_is_the_last_word, http_is_not_run
    Muted in the middle of EXEC                   mutes_and_ends_within_transactions_are_as_redis_has_them
    The last reply, then the end, at once         a_close_does_not_wait_for_the_next_event, a_refusal_does_not_wait_...
    protected-mode                                strangers_from_elsewhere_are_turned_away
    No request ends the process                   no_numbers_end_the_process
    umask, stale Unix socket                      the_socket_is_private..., a_stale_socket_..., a_socket_that_answers_...
    SIGPIPE, SIGTERM, SIGSTOP                     ends_under_load, ends_when_idle, a_server_that_slept_goes_on, resets_in_mid_reply_...
"""
import argparse
import math
import os
import random
import re
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kevy import TIME_SCALE, Client, Closed, Deadline, Server, encode, eventually, find_redis, of_threads, run_seed, show  # noqa: E402

MIB = 1 << 20
OTHERS_WAIT_S = 1.0 * TIME_SCALE  # how long a PING may take while somebody else misbehaves (sanitizers and busy machines included)
TRAPS = []


class Failed(Exception):
    pass


def trap(*arguments, kevy_only=False, tcp=True, env=None):
    def add(function):
        TRAPS.append((function, arguments, kevy_only, tcp, env))
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


def starved_seconds(server):
    """How long threads of the server and of this program have been ready to run and had no CPU, and how long a virtual machine's CPUs
    were given to others: nobody's fault here."""
    with open("/proc/stat", encoding="ascii") as file:
        total = int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK") * 1e9
    for process in (server.pid, os.getpid()):
        total += sum(int(times.split()[1]) for times in of_threads(process, "schedstat").values())
    return total / 1e9


def check_ping(server, client):
    starved, start = starved_seconds(server), time.monotonic()
    check(client.call("PING") == "PONG", "PING")
    took = time.monotonic() - start
    if took >= OTHERS_WAIT_S:
        starved = max(0, starved_seconds(server) - starved)
        check(took - starved < OTHERS_WAIT_S, "another client's PING took %.2f s, %.2f of them for want of a CPU" % (took, starved))


def check_others_are_served(server, times=20):
    with server.client() as other:
        for _ in range(times):
            check_ping(server, other)


def connected_clients(server):
    with server.client() as client:
        return len(client.call("CLIENT", "LIST").splitlines())


def wait_until_alone(server):
    """Until the server has noticed that everybody else is gone."""
    eventually("the server to close its side of every closed connection", lambda: connected_clients(server) == 1)


def switches(server):
    """How often each shard and each poll thread has gone to sleep by itself, and whether one runs just now."""
    counts, running = {}, False
    for task, text in of_threads(server.pid, "status").items():
        status = dict(line.split(":", 1) for line in text.splitlines())
        if status["Name"].strip().startswith(("shard-", "iou-sqp-")):
            counts[task] = status["voluntary_ctxt_switches"]
            running |= status["State"].strip().startswith("R")
    check(len(counts) >= server.shards, "only %d threads of %d shards" % (len(counts), server.shards))
    return counts, running


def wait_until_parked(server):
    """Until all shards have slept for longer than a tick: nothing is due, and only what comes now will wake one."""
    deadline, before = Deadline("the server's threads to sleep"), None
    while True:
        counts, running = switches(server)
        if counts == before and not running:
            return
        before = counts
        time.sleep(min(0.15, deadline.left()))


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
def trap_batches_of_requests_of_one_large_key_are_answered_one_by_one(server):
    """Such requests are looked at together before the first runs: each still sees what those before it have done."""
    chance, members = random.Random(11), ["member:%05d" % i for i in range(12000)]
    held, scores = set(members), {}
    with server.client() as client:
        for at in range(0, len(members), 1000):
            part = members[at:at + 1000]
            client.call("SADD", "s", *part)
            client.call("HSET", "h", *[word for member in part for word in (member, "v" + member)])
            client.call("ZADD", "z", *[word for i, member in enumerate(part) for word in (str(at + i), member)])
            scores.update((member, at + i) for i, member in enumerate(part))
        for _ in range(40):
            drawn = [chance.choice(members) for _ in range(40)] + ["absent", ""]
            requests, wanted = [], []
            for member in drawn:
                requests.append(("SREM", "s", member))
                wanted.append(int(member in held))
                held.discard(member)
            for member in drawn + drawn:
                requests.append(("SADD", "s", member))
                wanted.append(int(member not in held))
                held.add(member)
            for member in drawn:
                score = chance.randrange(12000)
                requests += [("ZADD", "z", str(score), member)] * 2
                wanted += [int(member not in scores), 0]
                scores[member] = score
            requests += [("ZSCORE", "z", member) for member in drawn] + [("HGET", "h", member) for member in drawn]
            wanted += [str(scores[member]).encode() for member in drawn]
            wanted += [b"v" + member.encode() if member.startswith("member") else None for member in drawn]
            requests += [("ZREM", "z", "absent"), ("ZREM", "z", ""), ("SREM", "s", "absent"), ("SREM", "s", "")]
            wanted += [1, 1, 1, 1]
            for member in ("absent", ""):
                scores.pop(member)
                held.discard(member)
            client.send(b"".join(encode(*request) for request in requests))
            for request, reply in zip(requests, wanted):
                found = client.read()
                check(found == reply, "%s: %r, expected %r" % (request, found, reply))
        ranks = sorted(members, key=lambda member: (scores[member], member))
        client.send(b"".join(encode("ZRANK", "z", member) for member in ranks))
        check([client.read() for _ in ranks] == list(range(len(ranks))), "ranks are wrong")


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


# What malloc keeps for later looks like a leak. Once it has freed a mapping of some MiB it takes blocks of that size from the arenas,
# where each shard's keeps twice as much: 36 to 45 MiB came and went so, in no order. With a threshold that stays where it is, such
# blocks go back at once, and memory is flat as soon as the receive buffers have all been touched (4 MiB a shard).
BLOCKS_ARE_MAPPINGS = {"MALLOC_MMAP_THRESHOLD_": "131072"}
# The reaper may be late with some of them: so the least of some rounds is compared with the least of those before.
FLAT_ROUNDS = 6  # of 100 connections each, 1 MiB more at most: a leak of 2 KiB a connection is seen


@trap(env=BLOCKS_ARE_MAPPINGS)
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

    held = []
    while len(held) < 2 * FLAT_ROUNDS or min(held[-FLAT_ROUNDS:]) - min(held[-2 * FLAT_ROUNDS:-FLAT_ROUNDS]) > MIB:
        check(len(held) < 8 * FLAT_ROUNDS, "memory grows: %s MiB" % " ".join("%.1f" % (size / MIB) for size in held))
        for _ in range(100):
            misbehave()
        wait_until_alone(server)
        eventually("the descriptors to be what they were", lambda: descriptors(server) <= base_fds + 2)
        held.append(0 if is_sanitized(server) else resident_bytes(server))
    with server.client() as client:
        check(client.call("OBJECT", "REFCOUNT", "big") == 1, "somebody who has gone still holds the value")
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
    for ending in (Client.half_close, Client.close, Client.reset):
        client = server.client()
        client.send(encode("SET", "k", "x" * 200000)[:100000])  # the rest would be read straight into memory of its own
        client.wait_taken()
        ending(client)
        keep.append(client)
    for client in keep:
        if client.socket.fileno() >= 0:
            client.read_until_closed()
            client.close()
    wait_until_alone(server)
    before, start = cpu_seconds(server), time.monotonic()
    select.select([server.pidfd], [], [], 2)  # two seconds of real time are what is measured
    used, took = cpu_seconds(server) - before, time.monotonic() - start
    check(used < 0.05 * took * (4 if is_sanitized(server) else 1), "an idle server used %.2f s of CPU in %.1f s" % (used, took))


def leave_at_once(server, unix):
    """Says something, and is gone before the server has looked: by a reset, or over a Unix socket by an ordinary end."""
    client = server.client(unix=unix)
    client.send(encode("PING")[:5])
    if unix:
        client.close()
    else:
        client.reset()


@trap()
def trap_who_says_something_and_leaves_at_once_is_seen_to_leave(server):
    """Kernels forget the end of a stream that comes together with the last bytes, now and then: whoever has fallen
    silent is asked."""
    for turn in range(1000):
        leave_at_once(server, unix=False)
        leave_at_once(server, unix=True)
        if turn % 50 == 0:  # fewer than a listener holds
            wait_until_alone(server)
    wait_until_alone(server)


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


def admitted(server):
    """A client that is served, or None where the server would not have it."""
    client = server.client()
    try:
        if client.call("PING") == "PONG":
            return client
    except (Closed, OSError):
        pass
    client.close()
    return None


@trap("--maxclients", "10")
def trap_one_client_too_many_is_told(server):
    # Who came and went before may be counted for a moment.
    clients = [eventually("client %d to be admitted" % i, lambda: admitted(server)) for i in range(10)]
    for _ in range(5):
        with server.client() as extra:
            told = extra.read_until_closed()
            check(told == b"-ERR max number of clients reached\r\n", "client 11 was told %s" % show(told))
    clients.pop().close()
    clients.append(eventually("a place to become free", lambda: admitted(server)))
    for client in clients:
        client.close()
    eventually("room for somebody else", lambda: admitted(server)).close()
    eventually("the places of all of them", lambda: connected_clients(server) == 1)


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


# ---- Endings -------------------------------------------------------------------------------------------------------------------

SOON_S = 10.0 * TIME_SCALE  # how long any close may take on a machine that is busy with other things
AT_ONCE_S = 0.3  # an idle shard looks around by itself once a second, or never: what took less did not wait for that


def check_end(client, told, start, what):
    """The client hears `told` and then the end. Returns how long that took."""
    got = client.read_until_closed(SOON_S / TIME_SCALE)
    check(got == told, "%s: told %s" % (what, show(got)))
    return time.monotonic() - start


@trap()
def trap_a_close_does_not_wait_for_the_next_event(server):
    """Every way to be closed, on every shard, while all sleep and nobody else does anything: the reply, and the end at once."""
    quotes, count = b"ECHO \"open\r\n", b"*x\r\n"
    error = b"-ERR Protocol error: %s\r\n"

    def finish(client):
        client.send(encode("PING"))
        client.half_close()

    def kill_self(client):
        client.send(encode("CLIENT", "KILL", "ID", str(client.number), "SKIPME", "no"))

    def kill_other(client):
        check(killer.call("CLIENT", "KILL", "ID", str(client.number)) == 1, "nobody was killed")

    ways = {"QUIT": (lambda client: client.send(encode("QUIT")), b"+OK\r\n"),
            "a pipeline with QUIT": (lambda client: client.send(encode("PING") * 3 + encode("QUIT")), b"+PONG\r\n" * 3 + b"+OK\r\n"),
            "bad quotes": (lambda client: client.send(quotes), error % b"unbalanced quotes in request"),
            "a bad count": (lambda client: client.send(encode("PING") + count), b"+PONG\r\n" + error % b"invalid multibulk length"),
            "an HTTP request": (lambda client: client.send(b"POST / HTTP/1.1\r\n"), b""),
            "the client's end": (finish, b"+PONG\r\n"), "CLIENT KILL of oneself": (kill_self, b":1\r\n"),
            "CLIENT KILL of another": (kill_other, b"")}
    with server.client() as killer:
        for what, (end, told) in ways.items():
            least = None  # the quickest of some for each shard: a busy machine may hold up any of them
            for _ in range(10):
                clients = [server.client() for _ in range(server.shards)]  # each on a shard of its own
                for client in clients:
                    client.number = client.call("CLIENT", "ID")
                wait_until_parked(server)
                took = []
                for client in clients:
                    start = time.monotonic()
                    end(client)
                    took.append(check_end(client, told, start, what))
                    client.close()
                least = [min(pair) for pair in zip(least or took, took)]
                if max(least) < AT_ONCE_S:
                    break
            check(max(least) < AT_ONCE_S, "%s: the end came after %s s" % (what, ", ".join("%.2f" % s for s in least)))


@trap("--maxclients", "10")
def trap_a_refusal_does_not_wait_for_the_next_event(server):
    told, took = b"-ERR max number of clients reached\r\n", []
    wait_until_alone(server)
    clients = [eventually("client %d to be admitted" % i, lambda: admitted(server)) for i in range(10)]
    while min(took, default=AT_ONCE_S) >= AT_ONCE_S:
        check(len(took) < 10, "the refusal came after %.2f s" % min(took or [0]))
        wait_until_parked(server)
        start = time.monotonic()
        with server.client() as extra:
            took.append(check_end(extra, told, start, "client 11"))
    for client in clients:
        check(client.call("PING") == "PONG", "PING")
        client.close()


def own_address():
    """An address of this machine that is not the loopback's, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses an address
        except OSError:
            return None
        return probe.getsockname()[0]


def told_elsewhere(server, address):
    """What a client is told that comes to the loopback interface from another address."""
    with server.client() as client:
        client.socket.close()
        client.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.socket.bind((address, 0))
        client.socket.connect(("127.0.0.1", server.port))
        client.socket.setblocking(False)
        return client.read_until_closed()


@trap(kevy_only=True)
def trap_strangers_from_elsewhere_are_turned_away(server):
    address = own_address()
    if address is None or address.startswith("127."):
        print("   (this machine has no address but the loopback's)")
        return
    told = told_elsewhere(server, address)
    check(told.startswith(b"-DENIED ") and told.endswith(b"\r\n") and told.count(b"\n") == 1, "told %s" % show(told))
    if find_redis():
        with Server(path=find_redis()) as redis:
            check(told_elsewhere(redis, address) == told, "redis-server says it in other words")
    with server.client() as client:
        check(client.call("PING") == "PONG", "the loopback was not served")
        check(client.call("CONFIG", "SET", "requirepass", "secret") == "OK", "CONFIG SET")
    with server.client() as client:
        client.socket.close()
        client.socket = socket.create_connection(("127.0.0.1", server.port), source_address=(address, 0))
        client.socket.setblocking(False)
        check(client.call("PING").startswith("NOAUTH"), "with a password nobody is turned away")


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
    """Patterns of 100 KB against a key of 100 KB, by every command that takes one: about a millisecond of CPU time each."""
    units = ("c", "[ab]", "a?", "[^b]", "*a", "?*", "a*", "[acegikmoqsuwyACEGIKMOQSUWY]", "\\a", "a-z")
    with server.client() as client:
        client.call("SET", "a" * 100000, "1")
        for unit in units:
            start = cpu_seconds(server)
            for head, tail in (("", "b"), ("*", "b*"), ("[", "]b"), ("*[^", "")):
                glob = head + unit * (100000 // len(unit) - 2) + tail
                for command in (("KEYS",), ("SCAN", "0", "COUNT", "10", "MATCH"), ("CONFIG", "GET"),
                                ("COMMAND", "LIST", "FILTERBY", "PATTERN")):
                    client.call(*command, glob)
            taken = cpu_seconds(server) - start
            check(taken < 2 * TIME_SCALE, "sixteen patterns of %s took %.2f s of CPU time" % (unit, taken))
        for glob in ("a*a*a*a*a*a*b", "*a*a*a*a*a*a*a*b", "a*" * 60 + "b", "?*" * 30 + "[b]", "*" * 1000 + "b"):
            check(client.call("KEYS", glob) == [], glob)


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


@trap()
def trap_errors_are_one_line(server):
    """Whatever a request says in an error's place: the error is one line, and the next reply is the next request's."""
    evil = "e\r\n+vil\n\0\r"
    requests = [(evil,), (evil, evil), ("get", evil, evil), ("set", "k", "v", evil), ("client", evil), ("config", "set", evil, "1"),
                ("config", "get", evil), ("object", evil, "k"), ("hello", evil), ("hello", "3", evil), ("auth", evil), ("select", evil),
                ("client", "kill", evil), ("client", "setname", evil), ("client", "setinfo", "lib-name", evil), ("incrby", "k", evil),
                ("expire", "k", evil), ("setbit", "k", evil, "1"), ("bitop", evil, "k", "k"), ("scan", "0", evil), ("command", evil),
                ("command", "info", evil), ("command", "getkeys", evil), ("info", evil), ("debug", evil), ("getex", "k", evil), ("memory", evil)]
    with server.client() as client:
        client.call("SET", "k", "v")
        for i, request in enumerate(requests):
            client.send(encode(*request) + encode("ECHO", "behind %d" % i))
            raw = client.read_raw("the reply to %r" % (request,))
            check(raw[:1] != b"-" or not (b"\r" in raw[:-2] or b"\n" in raw[:-2]), "%r: %s" % (request, show(raw)))
            check(client.read() == b"behind %d" % i, "%r: the replies have shifted" % (request,))
    for junk in (b"*1\r\n!\r\n", b"*2\r\n$3\r\nGET\r\n:\r\n", b"\"\r\n", b"*x\r\n"):
        with server.client() as client:
            client.send(junk)
            told = client.read_until_closed()
            check(told.startswith(b"-ERR Protocol error") and told.count(b"\r") == told.count(b"\n") == 1, "%r: %s" % (junk, show(told)))


@trap()
def trap_quit_is_the_last_word(server):
    behind = (encode("SET", "k", "2"), b"*1\r\n!nonsense\r\n", b"\"\r\n", encode("SET", "k", "x" * 50000), encode("SET", "k", "3")[:9], b"")
    for rest in behind:
        for unix in (False, True):
            with server.client(unix=unix) as client:
                try:
                    client.send(encode("SET", "k", "1") + encode("QUIT") + rest)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # the server may have closed before the last of it was sent: what it said is there all the same
                told = client.read_until_closed()
                check(told == b"+OK\r\n+OK\r\n", "QUIT followed by %s: %s" % (show(rest, 30), show(told)))
            with server.client() as client:
                check(client.call("GET", "k") == b"1", "something behind QUIT was run")


def muted_mixture(server, words, number):
    """What a session is sent that says these words, and what the key is then."""
    with server.client() as client:
        address = "%s:%d" % client.socket.getsockname()
        client.send(b"".join(encode(*(address if part == "ME" else part for part in word.split()))
                             for word in words + ["RESET", "ECHO the-end"]))
        if "CLIENT KILL ME" in words:
            client.half_close()  # redis-server forgets to close who is muted
        deadline = Deadline("the last reply, or the end, of %s" % "; ".join(words))
        while not client.eof and not client.buffer.endswith(b"the-end\r\n"):
            if select.select([client.socket], [], [], deadline.left())[0]:
                client.receive()
        told = bytes(client.buffer)
    with server.client() as client:
        return told, client.call("GET", "k%d" % number)


@trap()
def trap_mutes_and_ends_within_transactions_are_as_redis_has_them(server):
    words = ("MULTI", "EXEC", "MULTI", "EXEC", "INCR %s", "GET %s", "GET %s x", "PING", "RESET", "DISCARD", "CLIENT REPLY OFF", "CLIENT REPLY ON",
             "CLIENT REPLY SKIP", "CLIENT REPLY ON", "CLIENT REPLY SKIP", "CLIENT KILL ME")
    weights = [6] * (len(words) - 1) + [1]
    seed = run_seed()
    chance = random.Random(seed)
    if not find_redis():
        return
    with Server(path=find_redis()) as redis:
        for number in range(400):
            mixture = [word.replace("%s", "k%d" % number) for word in chance.choices(words, weights, k=chance.randrange(3, 14))]
            told, expected = [muted_mixture(one, mixture, number) for one in (server, redis)]
            check(told == expected, "seed %d: %s: %s, and redis-server %s" % (seed, "; ".join(mixture), told, expected))


@trap()
def trap_http_is_not_run(server):
    for first in (b"POST / HTTP/1.1\r\n", b"post x\r\n", b"Host: localhost:6379\r\n", b"GET a\r\nHost: x\r\n"):
        with server.client() as client:
            client.send(first + b"Content-Length: 20\r\n\r\nSET k hacked\r\nFLUSHALL\r\n")
            told = client.read_until_closed()
            check(b"OK" not in told, "%s: %s" % (show(first), show(told)))
    with server.client() as client:
        check(client.call("EXISTS", "k") == 0, "a body was run")


@trap("--requirepass", "secret")
def trap_strangers_get_little(server):
    before = resident_bytes(server)
    strangers = []
    for request in (b"*10\r\n" + b"$16000\r\n" + b"x" * 16000, b"A\r\n" * 200000, encode("AUTH", "x" * 16000)[:-1], b"x" * 60000):
        for _ in range(50):
            client = server.client()
            try:
                client.socket.setblocking(True)
                client.socket.settimeout(5 * TIME_SCALE)
                client.socket.send(request)  # once: who is refused must not make the rest fit
            except (ConnectionResetError, BrokenPipeError, socket.timeout):
                pass
            strangers.append(client)
    with server.client() as client:
        check(client.call("GET", "k").startswith("NOAUTH"), "a stranger was served")
        check(client.call("AUTH", "secret") == "OK" and client.call("PING") == "PONG", "AUTH")
    grown = resident_bytes(server) - before
    check(is_sanitized(server) or grown < 64 * MIB, "200 strangers cost %d MiB" % (grown // MIB))
    for client in strangers:
        client.close()


@trap("--requirepass", "secret")
def trap_after_AUTH_the_large_limits_hold(server):
    """What follows AUTH in the same pipeline is a user's, be it ever so large; what precedes it is a stranger's."""
    value = pattern(12, 3 * MIB)
    small = pattern(13, 9000)
    with server.client() as client:
        check(client.call("GET", "k").startswith("NOAUTH"), "a stranger was served")
        client.send(encode("AUTH", "secret") + encode("SET", "big", value) + encode("SET", "small", small)
                    + encode("MGET", *["small"] * 50) + encode("GET", "big") * 3)
        check([client.read() for _ in range(3)] == ["OK"] * 3, "AUTH and two SETs")
        check(client.read() == [small] * 50 and [client.read() for _ in range(3)] == [value] * 3, "large replies behind AUTH")


# ---- Waiting -----------------------------------------------------------------------------------------------------------------------


@trap("--client-output-buffer-limit", "normal 0 1mb %d" % math.ceil(TIME_SCALE))
def trap_the_soft_limit_ends_the_connection(server):
    value = pattern(14, 10000)
    with server.client() as writer, small_window(server) as reader, small_window(server) as brief:
        writer.call("SET", "v", value)
        for client in (reader, brief):
            client.send(encode("GET", "v") * 1000)
        for _ in range(1000):  # above the limit as well, but not for long
            check(brief.read() == value, "a reply is wrong")
        eventually("the server to close the reader", lambda: connected_clients(server) == 3)
        check(brief.call("PING") == "PONG", "who read was closed as well")


@trap()
def trap_only_the_idle_time_out(server):
    timeout = 2
    while not only_idle_ones_time_out(server, timeout):
        timeout *= 2
        check(timeout <= 32, "this program never gets its turn")


def only_idle_ones_time_out(server, timeout):
    """False: this program was held up for so long that the server was right to close a client that is else busy."""
    with server.client() as boss:
        check(boss.call("CONFIG", "SET", "timeout", str(timeout)) == "OK", "CONFIG SET")
    start = asked = time.monotonic()
    gap = 0

    def is_served(client):
        nonlocal asked, gap
        gap, asked = max(gap, time.monotonic() - asked), time.monotonic()
        return client.call("PING") == "PONG"

    with server.client() as idle, server.client() as busy, server.client() as partial:
        partial.send(encode("PING")[:7])

        def closed():
            check(is_served(busy), "a PING")
            readable = select.select([idle.socket], [], [], 0.05)[0]
            return readable and idle.receive() and idle.eof

        try:
            eventually("the idle client to be closed", closed)
            check(time.monotonic() - start > timeout - 0.1, "closed after %.1f s" % (time.monotonic() - start))
            check(partial.read_until_closed() == b"", "half a request was answered")
            check(is_served(busy), "a PING")
        except (Closed, BrokenPipeError, ConnectionResetError):
            if max(gap, time.monotonic() - asked) < timeout / 2:
                raise
            return False
    return True


@trap("--client-output-buffer-limit", "normal 0 0 0")
def trap_a_transfer_that_goes_on_does_not_time_out(server):
    """A download, an upload and a client that CLIENT PAUSE holds, each for several times the timeout; and one who stops is closed."""
    timeout = math.ceil(TIME_SCALE)
    while not transfers_go_on(server, timeout):
        timeout *= 2  # the machine had held us up for so long that the server was right to close
        check(timeout <= 16 * TIME_SCALE, "this program never gets its turn")


def transfers_go_on(server, timeout):
    """False: one was cut, and this program had not sent or received anything for half of the timeout (in seconds)."""
    size, seconds = 8 * MIB, 4.0 * timeout
    value = pattern(16, size)

    def ask(*words):  # by a client that has not been idle, however long this program took for something else
        for _ in range(20):
            try:
                with server.client() as fresh:
                    return fresh.call(*words)
            except Closed:
                pass  # it was held up for longer than the timeout between connecting and asking
        return None

    check(ask("CONFIG", "SET", "timeout", "0") == "OK", "CONFIG SET")
    with server.client() as boss, server.client() as upload, small_window(server) as download, small_window(server) as stuck, \
            server.client() as held:
        boss.call("SET", "v", value)
        number = stuck.call("CLIENT", "ID")
        header = b"*3\r\n$3\r\nSET\r\n$1\r\nw\r\n$%d\r\n" % size
        download.send(encode("GET", "v"))
        stuck.send(encode("GET", "v"))
        upload.send(header)
        boss.call("CLIENT", "PAUSE", "3600000", "WRITE")
        held.send(encode("SET", "k", "v"))
        check(boss.call("CONFIG", "SET", "timeout", str(timeout)) == "OK", "CONFIG SET")
        sent, start, asked, gap, last = 0, time.monotonic(), 0, 0, time.monotonic()
        try:
            while len(download.buffer) < size or sent < size:
                part = min(1.0, (time.monotonic() - start) / seconds)
                if sent < size * part:
                    upload.send(value[sent:int(size * part)])
                    sent = int(size * part)
                if len(download.buffer) < size * part:
                    download.receive()
                gap, last = max(gap, time.monotonic() - last), time.monotonic()
                if time.monotonic() - asked > 0.05:
                    asked = time.monotonic()
                    check(ask("PING") == "PONG", "a PING")
                check(not upload.eof and not download.eof, "a transfer that goes on was cut")
            upload.send(b"\r\n")
        except (BrokenPipeError, ConnectionResetError, Failed):
            if max(gap, time.monotonic() - last) < timeout / 2:
                raise
            check(ask("CLIENT", "UNPAUSE") == "OK", "UNPAUSE")
            return False
        check(download.read() == value, "the download is wrong")
        eventually("the client that reads nothing to be closed", lambda: not ask("CLIENT", "LIST", "ID", number))
        check(ask("CLIENT", "UNPAUSE") == "OK", "UNPAUSE")
        check(held.read() == "OK" and upload.read() == "OK", "the held client or the upload was lost")
        check(ask("STRLEN", "w") == size, "the upload is wrong")
    return True


@trap("--client-output-buffer-limit", "normal 0 0 0")
def trap_limits_that_are_lowered_reach_who_is_there(server):
    """Clients that owe megabytes on shards that sleep, closed by limits that come afterwards: the hard one, then the soft one."""
    for limit in ("normal 1mb 0 0", "normal 0 1mb 1"):
        with server.client() as boss:
            boss.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
            boss.call("SET", "v", pattern(17, 16 * MIB))
            readers = [small_window(server) for _ in range(8)]
            for reader in readers:
                reader.send(encode("GET", "v"))
            eventually("replies to be owed", lambda: boss.call("CLIENT", "LIST").count(b" cmd=get ") == 8)
            wait_until_parked(server)
            check(boss.call("CONFIG", "SET", "client-output-buffer-limit", limit) == "OK", "CONFIG SET")
            eventually("those who owe more than %s to be closed" % limit, lambda: connected_clients(server) == 2)
            for reader in readers:
                reader.close()


@trap()
def trap_a_larger_bulk_limit_is_in_force_at_once(server):
    with server.client() as boss:
        others = [server.client() for _ in range(8)]
        check(boss.call("CONFIG", "SET", "proto-max-bulk-len", "1mb") == "OK", "CONFIG SET")
        for _ in range(5):
            check(boss.call("CONFIG", "SET", "proto-max-bulk-len", "2mb") == "OK", "CONFIG SET")
            value = pattern(18, MIB + 100)
            check([client.call("ECHO", value) for client in others] == [value] * 8, "a bulk between the limits was refused")
            check(boss.call("CONFIG", "SET", "proto-max-bulk-len", "1mb") == "OK", "CONFIG SET")
            with server.client() as late:
                late.send(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % len(value))  # with the value the close would meet its bytes
                check(late.read("the refusal").startswith("ERR Protocol error: invalid bulk length"), "a bulk above the limit")
        for client in others:
            client.close()


@trap()
def trap_options_that_are_set_hold_at_once_on_every_shard(server):
    """Those that the traps around do not try: on connections that were there before, of shards that sleep."""
    with server.client() as boss:
        others = [server.client() for _ in range(server.shards)]  # each on a shard of its own, with the boss one more
        protocols = [client.call("PING") for client in others]
        check(protocols == ["PONG"] * server.shards, "PING: %r" % protocols)

        def set_option(name, value):
            wait_until_parked(server)
            check(boss.call("CONFIG", "SET", name, str(value)) == "OK", "CONFIG SET %s" % name)

        set_option("slowlog-log-slower-than", 0)
        echoes = [b"slow %d" % i for i in range(server.shards)]
        check([client.call("ECHO", text) for client, text in zip(others, echoes)] == echoes, "ECHO")
        set_option("slowlog-log-slower-than", -1)
        check([client.call("ECHO", "quick") for client in others] == [b"quick"] * server.shards, "ECHO")
        noted = [entry[3] for entry in boss.call("SLOWLOG", "GET", "-1")]
        check(all([b"ECHO", text] in noted for text in echoes), "the slow log lacks what took longer than 0 us: %r" % noted)
        check([b"ECHO", b"quick"] not in noted, "the slow log has what it was told to leave out")
        set_option("slowlog-max-len", 1)
        boss.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        others[-1].call("ECHO", "last")
        boss.call("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        check(others[0].call("SLOWLOG", "LEN") == 1, "the slow log is longer than slowlog-max-len")

        set_option("client-query-buffer-limit", "1mb")
        for client in others:
            client.send(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % (2 * MIB))
            check(client.read_until_closed() == b"", "an argument above the limit was waited for")
        set_option("client-query-buffer-limit", "1gb")

        for client in others:
            client.close()
        eventually("the others to be gone", lambda: connected_clients(server) == 2)
        others = [server.client() for _ in range(server.shards)]
        check([client.call("PING") for client in others] == ["PONG"] * server.shards, "PING")
        set_option("maxclients", server.shards + 1)
        with server.client() as extra:
            check(extra.read_until_closed() == b"-ERR max number of clients reached\r\n", "one more than maxclients was served")
        set_option("maxclients", 1000)
        set_option("requirepass", "secret")
        check([client.call("AUTH", "guess") for client in others] ==
              ["WRONGPASS invalid username-password pair or user is disabled."] * server.shards, "a wrong password was taken")
        check([client.call("AUTH", "secret") for client in others] == ["OK"] * server.shards, "the new password was refused")
        for _ in range(server.shards):
            with server.client() as late:
                check(late.call("PING").startswith("NOAUTH"), "a new client was served without the password")
        set_option("requirepass", "")
        with server.client() as late:
            check(late.call("PING") == "PONG", "a password is asked for that is not set any more")
        for client in others:
            client.close()


def keepalive_seconds(server, client):
    """Until the kernel asks this client of the server for a sign of life; None: it does not ask it."""
    own, theirs = (b"%04X" % port for port in (server.port, client.socket.getsockname()[1]))
    with open("/proc/net/tcp", "rb") as file:
        for line in file.read().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(b":" + own) and fields[2].endswith(b":" + theirs):
                kind, ticks = fields[5].split(b":")
                return int(ticks, 16) / os.sysconf("SC_CLK_TCK") if kind == b"02" else None
    raise Failed("the kernel does not know the connection from port %s" % theirs)


def cpu_of_shards(server, starved=False):
    """Seconds that each shard's thread has run; `starved`: or has waited for a CPU."""
    names, times = of_threads(server.pid, "comm"), of_threads(server.pid, "schedstat")
    seconds = {task: sum(int(ns) for ns in line.split()[:1 + starved]) / 1e9 for task, line in times.items()
               if names.get(task, "").startswith("shard-")}
    check(len(seconds) == server.shards, "%d threads of %d shards" % (len(seconds), server.shards))
    return seconds


@trap(kevy_only=True)
def trap_options_that_nobody_is_told_of_hold_at_once_too(server):
    """Keepalive, the log's level and the title, as seen from outside: set by one client, and in force for those of other shards."""
    with server.client() as boss:
        others = [server.client() for _ in range(server.shards)]
        check([client.call("PING") for client in others] == ["PONG"] * server.shards, "PING")
        for value, most in ((50, 50), (1000, 1000), (0, None), (70, 70)):
            wait_until_parked(server)
            check(boss.call("CONFIG", "SET", "tcp-keepalive", str(value)) == "OK", "CONFIG SET tcp-keepalive")
            for client in others:
                def as_set():
                    left = keepalive_seconds(server, client)
                    return left is None if most is None else left is not None and most / 2 < left <= most + 1

                eventually("the kernel to ask the clients that are here every %d s" % value, as_set)
        for level, logs in (("warning", False), ("notice", True), ("warning", False)):
            wait_until_parked(server)
            check(boss.call("CONFIG", "SET", "loglevel", level) == "OK", "CONFIG SET loglevel")
            for i, client in enumerate(others):
                word = "hash-seed %s%d" % (level, i)
                check(client.call("CONFIG", "SET", *word.split()) == "OK", "CONFIG SET hash-seed")
                check((word in server.log()) == logs, "%s is %s the log, by loglevel %s" % (word, "not in" if logs else "in", level))
        for title in ("a {port}", "b {title}"):
            check(boss.call("CONFIG", "SET", "proc-title-template", title) == "OK", "CONFIG SET proc-title-template")
            with open("/proc/%d/cmdline" % server.pid, "rb") as file:
                check(file.read().startswith(title[:2].encode()), "ps does not show the new title")
        for client in others:
            client.close()


@trap("--io-batch-wait-us", "0", kevy_only=True)
def trap_spinning_begins_and_ends_at_once(server):
    """A second of it is seen on the threads' CPU time."""
    with server.client() as boss:
        clients = [server.client() for _ in range(server.shards)]  # each shard has one or two: few enough to spin for
        if b"io_mode:epoll" in boss.call("INFO", "io"):
            return  # nothing could be heard in the meantime

        def gained(spin):
            """Who spins runs, or would run if there were a CPU."""
            check([client.call("PING") for client in clients] == ["PONG"] * len(clients), "PING")
            time.sleep(0.05)
            now = cpu_of_shards(server, spin)
            return min(now[task] - before[task] for task in now)

        for spin in (0, 1000000, 0):
            wait_until_parked(server)
            check(boss.call("CONFIG", "SET", "io-busy-poll-us", str(spin)) == "OK", "CONFIG SET")
            before = cpu_of_shards(server, spin > 0)
            if spin:
                eventually("every shard to spin", lambda: gained(True) > 0.5)
            else:
                spun = [gained(False) for _ in range(40)][-1]
                check(spun < 0.5 * TIME_SCALE, "every shard spins: %.2f s of CPU time" % spun)
        for client in clients:
            client.close()


@trap("--io-batch-wait-us", "0", kevy_only=True)
def trap_gathering_begins_and_ends_at_once(server):
    """It is seen on a request that comes alone after a pipeline from everybody, for that waits for company up to a second."""
    with server.client() as boss:
        clients = [server.client() for _ in range(6 * server.shards)]  # six a shard, and one of each shard comes first
        if b"io_mode:epoll" in boss.call("INFO", "io") or "KEVY_FAULTS" in os.environ or is_sanitized(server):
            return  # the wait is over before the request comes, or cut short by events that bring nothing, or all is slow
        probe = subprocess.run([server.path, "--probe"], stdout=subprocess.PIPE, timeout=20 * TIME_SCALE).stdout
        if not re.search(rb"^min_wait +yes", probe, re.M):
            return  # a kernel before 6.12

        def waited():
            """Seconds that a request takes which comes alone, on each shard."""
            for client in clients:
                client.send(encode("PING") * 300)
            check(all(client.read() == "PONG" for client in clients for _ in range(300)), "PING")
            wait_until_parked(server)
            took, start = {}, time.monotonic()
            for client in clients[:server.shards]:
                client.send(encode("PING"))
            while len(took) < server.shards:
                waiting = {client.socket: i for i, client in enumerate(clients[:server.shards]) if i not in took}
                for ready in select.select(list(waiting), [], [], 1)[0]:
                    took[waiting[ready]] = time.monotonic() - start
                    check(clients[waiting[ready]].read() == "PONG", "PING")
            return took

        def set_option(us):
            wait_until_parked(server)
            check(boss.call("CONFIG", "SET", "io-batch-wait-us", str(us)) == "OK", "CONFIG SET")

        seen = set()

        def all_have_waited():
            seen.update(i for i, took in waited().items() if took > 0.3)
            return len(seen) == server.shards

        set_option(1000000)
        eventually("a request to wait for company on every shard", all_have_waited)
        set_option(0)  # by the value before nearly all would wait, until the shards try what it is good for
        slow = None
        for _ in range(5):  # a busy machine may hold up any of them
            rounds = [waited() for _ in range(3)]
            took = [sorted(times[i] for times in rounds) for i in range(server.shards)]
            slow = [times for times in took if times[1] >= 0.3]
            if not slow:
                break
        check(not slow, "who comes alone still waits for company: %s s" % slow)
        for client in clients:
            client.close()


@trap(kevy_only=True)  # there nothing is shared, and nothing copied
def trap_an_append_that_copies_a_large_value_is_in_the_slow_log(server):
    """With its own time, once, whether all commands are timed or only the long ones, also in a transaction."""
    size = 64 * MIB
    with server.client() as client:
        for run, threshold in (("alone", 1000), ("alone", 0), ("in a pipeline", 1000), ("in EXEC", 1000)):
            check(client.call("SETRANGE", "v", str(size - 1), "x") == size, "SETRANGE")
            check(client.call("COPY", "v", "w", "REPLACE") == 1, "COPY")
            client.call("CONFIG", "SET", "slowlog-log-slower-than", str(threshold))
            client.call("SLOWLOG", "RESET")
            start = time.monotonic()
            if run == "in EXEC":
                check(client.pipeline([("MULTI",), ("APPEND", "v", "y"), ("EXEC",)])[2] == [size + 1], "EXEC")
            else:
                more = [("APPEND", "short", "y")] * 10 if run == "in a pipeline" else []
                check(client.pipeline(more + [("APPEND", "v", "y")])[-1] == size + 1, "APPEND")
            took_us = (time.monotonic() - start) * 1e6
            client.call("CONFIG", "SET", "slowlog-log-slower-than", "-1")
            noted = [entry[2] for entry in client.call("SLOWLOG", "GET", "-1") if entry[3] == [b"APPEND", b"v", b"y"]]
            check(len(noted) == 1, "%d entries of a long APPEND %s, above %d us" % (len(noted), run, threshold))
            check(1000 <= noted[0] <= took_us, "APPEND of %.0f us has %d in the slow log" % (took_us, noted[0]))
            client.call("DEL", "v", "w")


@trap("--client-query-buffer-limit", "1mb")
def trap_the_query_limit_is_for_what_is_not_understood_yet(server):
    """A large argument counts, whole ones of a request that is still coming do not."""
    most = MIB - 2  # the CRLF counts as well
    with server.client() as client:
        values = [pattern(19 + i, 30000) for i in range(60)]
        pairs = [word for i, value in enumerate(values) for word in ("k%d" % i, value)]
        check(client.call("MSET", *pairs) == "OK", "many arguments that are larger than the limit together")
        check(client.call("MGET", *pairs[::2]) == values, "MGET")
        check(client.call("SET", "large", pattern(80, most)) == "OK", "an argument that just fits")
        check(client.call("STRLEN", "large") == most, "STRLEN")
    for size in (most + 1, 5 * MIB):
        with server.client() as client:
            try:
                client.send(encode("SET", "larger", bytes(size)))
                check(client.read_until_closed() == b"", "an argument above the limit was answered")
            except (Closed, ConnectionResetError, BrokenPipeError):
                pass
            eventually("its connection to end", lambda: connected_clients(server) == 1)
    with server.client() as client:
        check(client.call("EXISTS", "larger") == 0, "an argument above the limit was stored")


@trap("--client-query-buffer-limit", "1mb")
def trap_who_is_cut_off_in_mid_request_learns_it_at_once(server):
    """Also who has filled the server's socket, and waits for room in it."""
    for _ in range(5):
        with server.client() as client:
            os.kill(server.pid, signal.SIGSTOP)
            try:
                client.socket.send(encode("SET", "larger", bytes(32 * MIB)))
                while select.select([], [client.socket], [], 0.2)[1]:
                    client.socket.send(bytes(MIB))
            finally:
                os.kill(server.pid, signal.SIGCONT)
            try:
                while True:
                    client.send(bytes(MIB), "an end of the connection, as the argument is above the limit")
            except (ConnectionResetError, BrokenPipeError):
                pass


@trap()
def trap_urgent_bytes_leave_nobody_behind(server):
    """A client that sends an urgent byte and closes is gone soon, though its end may be lost on the kernel's poll thread."""
    def leave():
        for _ in range(40):
            client = server.client()
            check(client.call("PING") == "PONG", "PING")
            client.socket.send(b"x", socket.MSG_OOB)
            client.close()

    threads = [threading.Thread(target=leave) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    eventually("the clients to be gone", lambda: connected_clients(server) == 1)


@trap()
def trap_nothing_expires_during_a_pause(server):
    """A key whose time has come is not there for anybody, and is deleted when the pause is over."""
    with server.client() as boss, server.client() as writer, server.client() as early, server.client() as late:
        check(boss.call("CLIENT", "PAUSE", "3600000", "WRITE") == "OK" and boss.call("CLIENT", "UNPAUSE") == "OK", "PAUSE")
        for i in range(20):
            boss.call("SET", "k%d" % i, "v", "PX", "300")
        early.call("WATCH", "k1")
        boss.call("CLIENT", "PAUSE", "3600000", "WRITE")
        eventually("the keys to expire", lambda: boss.call("EXISTS", *["k%d" % i for i in range(20)]) == 0)
        writer.send(encode("SET", "other", "v"))
        eventually("the writer to be held, and shown so", lambda: re.search(rb" flags=b .* cmd=set ", boss.call("CLIENT", "LIST")))
        check(boss.call("GET", "k1") is None and boss.call("DBSIZE") == 20, "an expired key was deleted during the pause")
        late.call("WATCH", "k1")
        check(boss.call("CLIENT", "UNPAUSE") == "OK" and writer.read() == "OK", "UNPAUSE")
        eventually("the expired keys to be deleted", lambda: boss.call("DBSIZE") == 1)
        for watcher, what in ((early, None), (late, ["PONG"])):  # to the late one the key was never there
            got = watcher.pipeline([("MULTI",), ("PING",), ("EXEC",)])[2]
            check(got == what, "EXEC of who watched an expiring key: %r" % (got,))


@trap()
def trap_more_keys_are_overdue_than_one_step_takes(server):
    """And another database is flushed behind them: the shard looks at its stripes at once, and the keys are gone."""
    with server.client() as client:
        for _ in range(3):
            for count in (300, 1500, 20000):
                client.pipeline([("SET", "k%d" % i, "v", "EXAT", "1") for i in range(count)] +
                                [("SELECT", "3"), ("SET", "x", "y"), ("FLUSHDB",), ("SELECT", "0")])
                eventually("the overdue keys to be deleted", lambda: client.call("DBSIZE") == 0)


@trap()
def trap_options_change_while_connections_end(server):
    """Readers with much unread are killed while limits that concern all connections are set, again and again."""
    with server.client() as boss, server.client() as setter:
        boss.call("SET", "big", pattern(3, 3 * MIB))
        stopped = threading.Event()

        def set_limits():
            while not stopped.is_set():
                setter.pipeline([("CONFIG", "SET", "timeout", "0")] * 5)

        thread = threading.Thread(target=set_limits)
        thread.start()
        try:
            for _ in range(50):
                with server.client() as reader:
                    number = reader.call("CLIENT", "ID")
                    reader.send(encode("GET", "big") * 3)
                    boss.call("CLIENT", "KILL", "ID", str(number))
        finally:
            stopped.set()
            thread.join()
        eventually("the readers to be gone", lambda: connected_clients(server) == 3)


@trap()
def trap_a_pause_keeps_what_is_behind_it_in_order(server):
    """Held commands, in one pipeline with whole, cut and large ones: all run afterwards, once and in order."""
    value, dice = pattern(15, 100000), random.Random(15)
    for mode in ("ALL", "WRITE"):
        with server.client() as boss, server.client() as client, server.client() as reader:
            requests = [("PING",), ("SET", "k", "1"), ("APPEND", "k", "2"), ("GET", "k"), ("SET", "big", value), ("STRLEN", "big"),
                        ("MSET", "a", value, "b", "x", "c", value[:40000]), ("MGET", "a", "b", "c"), ("INCR", "n"), ("APPEND", "k", "3"),
                        ("GET", "k"), ("ECHO", "end")]
            expected = ["PONG", "OK", 2, b"12", "OK", 100000, "OK", [value, b"x", value[:40000]], 1, 3, b"123", b"end"]
            data = b"".join(encode(*request) for request in requests)
            boss.call("DEL", "n")
            boss.call("CLIENT", "PAUSE", "100000", mode)
            cuts = sorted(dice.randrange(1, len(data)) for _ in range(8))
            sender = threading.Thread(target=lambda: [client.socket.setblocking(True)] + [
                (client.socket.sendall(data[a:b]), time.sleep(0.01)) for a, b in zip([0] + cuts, cuts + [len(data)])])
            sender.start()
            if mode == "WRITE":
                check(reader.call("GET", "nothing") is None, "a read was held by PAUSE WRITE")
                check(client.read() == "PONG", "what precedes the held command was not answered")
                expected = expected[1:]
            sender.join(10 * TIME_SCALE)
            check(not select.select([client.socket], [], [], 0.1)[0], "a held command was answered")
            check(boss.call("CLIENT", "UNPAUSE") == "OK", "UNPAUSE")
            client.socket.setblocking(False)
            got = [client.read() for _ in expected]
            check(got == expected, "after PAUSE %s: %s" % (mode, [show(repr(g).encode(), 60) for g, e in zip(got, expected) if g != e][:2]))
            start = time.monotonic()
            boss.call("CLIENT", "PAUSE", "300", mode)  # this one ends by itself
            check(client.call("SET", "k", "v") == "OK", "SET")
            check(time.monotonic() - start > 0.2, "the pause held nobody")


@trap()
def trap_who_leaves_during_a_pause_changes_nothing(server):
    """Held, and at the end of its stream: it has the replies from before, and what was held is never run."""
    with server.client() as boss:
        for together in (True, False):
            boss.call("SET", "k", "before")
            boss.call("CLIENT", "PAUSE", "100000", "WRITE")
            with server.client() as client:
                client.send(encode("PING") + encode("SET", "k", "held") + encode("PING"))
                if not together:
                    check(client.read() == "PONG", "what precedes the held command was not answered")
                client.half_close()
                told = client.read_until_closed()
                check(told == (b"+PONG\r\n" if together else b""), "who left was told %s" % show(told))
            check(boss.call("CLIENT", "UNPAUSE") == "OK", "UNPAUSE")
            check(boss.call("GET", "k") == b"before", "a held command of who had left was run")


def waiting_clients(client):
    return int(re.search(rb"blocked_clients:(\d+)", client.call("INFO", "clients")).group(1))


@trap()
def trap_a_crowd_waits_and_is_served_in_its_order(server):
    """One push for all of them, and one that is for nobody."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with server.client() as client:
        crowd = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3000)]  # more than select() can take
        for number, waiter in enumerate(crowd):
            waiter.settimeout(30 * TIME_SCALE)
            waiter.connect(server.socket_path)
            waiter.sendall(encode("BLPOP", "crowd", "crowd:%d" % (number % 100), "0"))
            if number % 500 == 0:  # whoever came before these has come before
                eventually("the crowd to wait", lambda: waiting_clients(client) == number + 1)
        eventually("the whole crowd to wait", lambda: waiting_clients(client) == len(crowd))
        check(client.call("RPUSH", "crowd", *range(len(crowd) + 5)) == len(crowd) + 5, "RPUSH")
        check(client.call("LLEN", "crowd") == 5, "the crowd has not been served by the next command")
        got = []
        for waiter in crowd:
            reply = b""
            while reply.count(b"\r\n") < 5:
                reply += waiter.recv(100)
            got.append(int(reply.split(b"\r\n")[4]))
        check(got[0] == 0, "the first one got %d" % got[0])
        check(sorted(got) == list(range(len(crowd))), "somebody got nothing, or what another one got")
        for waiter in crowd:
            waiter.close()
        eventually("nobody to wait", lambda: waiting_clients(client) == 0)
        check(client.call("DEL", "crowd") == 1, "DEL")


@trap()
def trap_who_leaves_while_waiting_takes_nothing(server):
    """By a close, a reset, half a close, or the hand of another: what is pushed when the server knows stays."""
    with server.client() as client:
        for number in range(60):
            waiter = server.client()
            identity = waiter.call("CLIENT", "ID")
            keys = ["gone:%d" % key for key in range(number % 4 + 1)]
            waiter.send(encode("BLMOVE", keys[0], "moved", "LEFT", "LEFT", "0") if number % 5 == 0 else encode("BLPOP", *keys, "0"))
            if number % 7:  # or it has hardly begun
                eventually("the client to wait", lambda: waiting_clients(client) == 1)
            if number % 4 == 0:
                waiter.close()
            elif number % 4 == 1:
                waiter.reset()
            elif number % 4 == 2:
                waiter.half_close()
            if number % 4 == 3:
                check(client.call("CLIENT", "KILL", "ID", identity) == 1, "nobody was killed")
            else:
                eventually("the client to be gone", lambda: b"id=%d " % identity not in client.call("CLIENT", "LIST"))
            check(client.call("RPUSH", keys[-1], "kept") == 1, "RPUSH")
            check(client.call("LRANGE", keys[-1], "0", "-1") == [b"kept"], "somebody who had left was served")
            client.call("DEL", keys[-1])
            eventually("nobody to wait", lambda: waiting_clients(client) == 0)
            waiter.close()


@trap()
def trap_who_leaves_while_waiting_with_much_behind_it_takes_nothing(server):
    """The server reads no further then, and hears of no end: it has to ask. An end that waits behind bytes for which its socket has
    no room has not come."""
    with server.client() as client:
        for number, ending in enumerate((Client.half_close, Client.close, Client.reset) * 2):
            waiter = server.client(unix=number == 1)
            identity = waiter.call("CLIENT", "ID")
            waiter.send(encode("BLPOP", "gone", "0"))
            eventually("the client to wait", lambda: waiting_clients(client) == 1)
            try:
                waiter.socket.send(encode("PING") * (200000 if ending is Client.reset else 6000))
            except BlockingIOError:
                pass
            ending(waiter)
            eventually("the client to be gone", lambda: b"id=%d " % identity not in client.call("CLIENT", "LIST"))
            check(client.call("RPUSH", "gone", "kept") == 1, "RPUSH")
            check(client.call("LRANGE", "gone", "0", "-1") == [b"kept"], "somebody who had left was served")
            client.call("DEL", "gone")
            waiter.close()


@trap()
def trap_waits_end_once_whoever_is_first(server):
    """Times that are over, pushes to two keys and CLIENT UNBLOCK race for the same waits: each is answered once, and nothing is lost."""
    pushed, got, unblocked = 0, 0, 0
    with server.client() as one, server.client() as other:
        waiters = [server.client() for _ in range(8)]
        identities = [waiter.call("CLIENT", "ID") for waiter in waiters]
        for number in range(60):
            for waiter in waiters:
                waiter.send(encode("BLPOP", "race:a", "race:b", "0.00%d" % (number % 9 + 1)))
            one.send(b"".join(encode("RPUSH", "race:a", "x") for _ in range(4)))
            other.send(encode("RPUSH", "race:b", "x") + encode("CLIENT", "UNBLOCK", identities[number % 8]) + encode("RPUSH", "race:b", "x"))
            [one.read() for _ in range(4)]
            unblocked += [other.read() for _ in range(3)][1]
            pushed += 6
            got += sum(waiter.read() is not None for waiter in waiters)
        left = one.call("LLEN", "race:a") + one.call("LLEN", "race:b")
        check(got + left == pushed, "%d were pushed, %d popped, and %d are left" % (pushed, got, left))
        for waiter in waiters:
            check(waiter.call("ECHO", "end") == b"end", "a second reply")
            waiter.close()


@trap()
def trap_a_backlog_is_worked_off_in_linear_time(server):
    """A client that asks for more than it reads leaves a long backlog: going through it must not cost its square."""
    ping, many = b"PING\r\n", 12 * MIB  # replies beyond the high-water mark, requests far behind it
    with server.client() as client:
        taken, left = 0, memoryview(ping * many)
        client.socket.settimeout(1)
        while taken < len(left):
            try:
                taken += client.socket.send(left[taken:taken + MIB])
            except (socket.timeout, BlockingIOError):
                break  # a server that stops taking requests has no backlog
        client.socket.setblocking(False)
        start, before = time.monotonic(), cpu_seconds(server)
        want, got = taken // len(ping) * 7, 0
        while got < want:
            check(select.select([client.socket], [], [], 20 * TIME_SCALE)[0], "%d bytes of %d came" % (got, want))
            got += len(client.socket.recv(MIB))
        took, used = time.monotonic() - start, cpu_seconds(server) - before
        check(is_sanitized(server) or used < 8 * TIME_SCALE, "a backlog of %d MiB took %.1f s of CPU, %.1f s" % (taken // MIB, used, took))


@trap()
def trap_slow_readers_delay_nobody(server):
    """Large values go out in pieces as slow readers take them; small replies to others go between."""
    value, stop = pattern(16, 4 * MIB), threading.Event()
    with server.client() as client:
        client.call("SET", "big", value)
    readers = [small_window(server) for _ in range(12)]
    for reader in readers:
        reader.send(encode("GET", "big") * 20)

    def sip():
        while not stop.is_set():
            for ready in select.select([reader.socket for reader in readers], [], [], 0.1)[0]:
                ready.recv(16384)

    thread = threading.Thread(target=sip, daemon=True)
    thread.start()
    try:
        with server.client() as other:
            for _ in range(300):
                check_ping(server, other)
    finally:
        stop.set()
        thread.join(20 * TIME_SCALE)
        for reader in readers:
            reader.close()


@trap()
def trap_replies_reach_only_who_asked(server):
    """Connections open and close in a storm, with replies on their way, so that slots and descriptors are reused at once."""
    dice = random.Random(17)
    with server.client() as client:
        client.call("SET", "big", pattern(17, 300000))
    waiting = []
    for i in range(1500):
        client = server.client(unix=dice.random() < 0.3)
        mark = "mark %d" % i
        if dice.random() < 0.4:  # to be gone before the reply
            client.send(encode("GET", "big") * dice.randrange(1, 4) + encode("ECHO", "stale %d" % i) * 20)
            client.reset() if not client.is_unix and dice.random() < 0.5 else client.close()
            continue
        client.send(encode("ECHO", mark))
        waiting.append((client, mark))
        if len(waiting) > 20:
            client, mark = waiting.pop(dice.randrange(len(waiting)))
            check(client.read() == mark.encode(), "a reply of somebody else's")
            check(not client.buffer, "more than was asked for")
            client.close()
    for client, mark in waiting:
        check(client.read() == mark.encode() and not client.buffer, "a reply of somebody else's")
        client.close()
    wait_until_alone(server)


# ---- Other people's connections --------------------------------------------------------------------------------------------------


@trap()
def trap_kills_reach_every_shard(server):
    victims = [server.client() for _ in range(16)]
    ids = [client.call("CLIENT", "ID") for client in victims]
    with server.client() as killer:
        for victim in victims[:4]:
            victim.send(encode("PING")[:6])  # in the middle of a request
        killer.call("SET", "big", pattern(18, 4 * MIB))
        for victim in victims[4:8]:
            victim.send(encode("GET", "big") * 4)  # in the middle of replies
        for number in ids:
            check(killer.call("CLIENT", "KILL", "ID", str(number)) == 1, "client %d was not found" % number)
        for victim in victims:
            victim.read_until_closed()
            victim.close()
        eventually("the dead to leave the list", lambda: not any("id=%d " % number in killer.call("CLIENT", "LIST").decode() for number in ids))
        check(killer.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") == 0, "somebody was left over")


@trap()
def trap_monitors_hear_everybody_once(server):
    monitors = [server.client() for _ in range(3)]
    for monitor in monitors:
        check(monitor.call("MONITOR") == "OK", "MONITOR")
    talkers = [server.client() for _ in range(8)]
    for turn in range(30):
        for i, talker in enumerate(talkers):
            talker.send(encode("SET", "key", "%d:%d" % (i, turn)))
    for talker in talkers:
        for _ in range(30):
            check(talker.read() == "OK", "SET")
    for monitor in monitors:
        lines = [monitor.read("line %d of a monitor" % n) for n in range(240)]
        said = [re.search(r'"SET" "key" "(\d+):(\d+)"', line).groups() for line in lines]
        check(len(set(said)) == 240, "a line came twice")
        for i in range(8):
            check([int(turn) for who, turn in said if int(who) == i] == list(range(30)), "the lines of client %d are out of order" % i)


@trap()
def trap_monitors_may_vanish(server):
    dice = random.Random(19)
    with server.client() as talker:
        for i in range(120):
            monitor = server.client()
            check(monitor.call("MONITOR") == "OK", "MONITOR")
            talker.send(encode("SET", "key", "x" * 200) * 20)
            if i % 3 == 0:
                monitor.send(encode("RESET"))
            if i % 4:
                monitor.reset() if dice.random() < 0.5 else monitor.close()
            for _ in range(20):
                check(talker.read() == "OK", "SET")
    check_others_are_served(server)


@trap(kevy_only=True)
def trap_monitors_that_stop_reading_are_bounded(server):
    with small_window(server) as monitor, server.client() as talker:
        check(monitor.call("MONITOR") == "OK", "MONITOR")
        before, value, most = resident_bytes(server), "x" * 30000, 0
        for _ in range(90):  # 540 MB for the monitor to hear
            for reply in talker.pipeline([("SET", "key", value)] * 200):
                check(reply == "OK", "SET")
            most = max(most, resident_bytes(server) - before)
        check(is_sanitized(server) or most < 350 * MIB, "a monitor that reads nothing cost %d MiB" % (most // MIB))


@trap()
def trap_silence_is_kept(server):
    """CLIENT REPLY: what is not to be answered leaves nothing behind, be it large, an error, or in a transaction."""
    value = pattern(20, 200000)
    with server.client() as client:
        client.send(encode("CLIENT", "REPLY", "OFF") + encode("SET", "big", value) + encode("GET", "big") * 5 + encode("nonsense")
                    + encode("INCR", "big") + encode("MULTI") + encode("GET", "big") + encode("EXEC") + encode("CLIENT", "REPLY", "ON"))
        check(client.read() == "OK" and client.call("PING") == "PONG", "OFF, then ON")
        client.send(encode("CLIENT", "REPLY", "SKIP") + encode("GET", "big") + encode("ECHO", "heard"))
        check(client.read() == b"heard", "SKIP")
        check(client.call("GET", "big") == value, "the value suffered")
    for mode in ("OFF", "SKIP"):
        with server.client() as client:
            client.send(encode("CLIENT", "REPLY", mode) + b"*x\r\n")
            # Redis says nothing either, and keeps the connection, deaf and dumb.
            check(client.read_until_closed() == b"", "a protocol error was answered after CLIENT REPLY %s" % mode)
    with server.client() as monitor, server.client() as talker:
        check(monitor.call("MONITOR") == "OK" and talker.call("ECHO", "heard") == b"heard", "MONITOR")
        check(b'"heard"' in monitor.read_raw(), "a monitor hears nothing")
        monitor.send(encode("CLIENT", "REPLY", "OFF"))
        eventually("the monitor to be silent", lambda: b"cmd=client|reply" in talker.call("CLIENT", "LIST"))
        check(talker.call("ECHO", "unheard") == b"unheard", "ECHO")
        monitor.send(encode("CLIENT", "REPLY", "ON"))
        told = monitor.read_raw()
        check(told == b"+OK\r\n", "a silent monitor was told %s" % show(told))
        check(talker.call("ECHO", "again") == b"again", "ECHO")
        check(b'"REPLY" "ON"' in monitor.read_raw() and b'"again"' in monitor.read_raw(), "a monitor that may hear again does not")


@trap()
def trap_what_was_sent_is_not_shown_as_waiting(server):
    """The last reply of a client that sleeps, on a shard that sleeps, counts as sent."""
    clients = [server.client() for _ in range(server.shards)]
    for client in clients:
        client.number = client.call("CLIENT", "ID")
    wait_until_parked(server)
    with server.client() as judge:
        for line in judge.call("CLIENT", "LIST", "ID", *[str(client.number) for client in clients]).decode().splitlines():
            check(" oll=0 omem=0 " in line and " events=r " in line, line)
    for client in clients:
        client.close()


# ---- Signals -----------------------------------------------------------------------------------------------------------------------


@trap()
def trap_a_server_that_slept_goes_on(server):
    with server.client() as client, server.client() as other:
        client.call("SET", "short", "1", "PX", "300")
        client.call("SET", "long", "1", "EX", "100")
        server.process.send_signal(signal.SIGSTOP)
        # Until every thread has stopped, somebody may still serve what comes.
        eventually("the server to sleep", lambda: all(re.search(" T ", thread) for thread in server.threads().split(", ")))
        other.socket.send(encode("GET", "short") + encode("GET", "long"))
        time.sleep(1)
        server.process.send_signal(signal.SIGCONT)
        check(other.read() is None and other.read() == b"1", "what had expired, and what had not")
    check_others_are_served(server)


@trap()
def trap_ends_under_load(server):
    """SIGTERM while clients send, read slowly, vanish and hold half a request: a clean exit, soon."""
    stop = threading.Event()

    def load(unix):
        try:
            with server.client(unix=unix) as client:
                while not stop.is_set():
                    client.pipeline([("SET", "k", "x" * 20000), ("GET", "k"), ("PING",)] * 20)
        except (Closed, OSError):
            pass

    with small_window(server) as reader, server.client() as partial:
        partial.send(encode("SET", "k", "x" * 100000)[:50000])
        reader.call("SET", "big", pattern(21, 4 * MIB))
        reader.send(encode("GET", "big") * 10)
        threads = [threading.Thread(target=load, args=(i % 2 == 0,), daemon=True) for i in range(4)]
        for thread in threads:
            thread.start()
        check_others_are_served(server, 5)
        start = time.monotonic()
        server.stop()
        check(time.monotonic() - start < 5 * TIME_SCALE, "the end took %.1f s" % (time.monotonic() - start))
        stop.set()
        for thread in threads:
            thread.join(20 * TIME_SCALE)
    server.start()


@trap()
def trap_ends_when_idle(server):
    """SIGTERM while every shard sleeps, with clients on each and without: all are woken."""
    for count in (0, 8):
        clients = [server.client() for _ in range(count)]
        for client in clients:
            check(client.call("PING") == "PONG", "PING")
        wait_until_parked(server)
        start = time.monotonic()
        server.stop()
        check(time.monotonic() - start < SOON_S, "the end took %.1f s" % (time.monotonic() - start))
        for client in clients:
            check(client.read_until_closed() == b"", "something was said at the end")
            client.close()
        server.start()


# ---- The Unix socket -------------------------------------------------------------------------------------------------------------


@trap(kevy_only=True, tcp=False)
def trap_a_socket_that_answers_is_not_taken_over(server):
    second = subprocess.run([server.path, "--port", "0", "--unixsocket", server.socket_path], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20 * TIME_SCALE)
    check(second.returncode != 0, "a second server took the socket over")
    with server.client(unix=True) as client:
        check(client.call("PING") == "PONG", "PING over the socket")


@trap("--unixsocketperm", "770", kevy_only=True, tcp=False)
def trap_the_socket_is_private_from_the_first_moment(server):
    mode = os.stat(server.socket_path).st_mode
    check(stat.S_ISSOCK(mode) and mode & 0o777 == 0o770, "the socket's mode is %o" % mode)
    with Server(shards=1, tcp=False) as other:
        mode = os.stat(other.socket_path).st_mode
        check(mode & 0o077 == 0, "without unixsocketperm the mode is %o" % mode)
    path = os.path.join(server.directory, "a file")
    with open(path, "w", encoding="ascii") as file:
        file.write("precious")
    refused = subprocess.run([server.path, "--port", "0", "--unixsocket", path], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20 * TIME_SCALE)
    with open(path, encoding="ascii") as file:
        check(refused.returncode == 1 and file.read() == "precious", "a file that is no socket was replaced")


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
    parser.add_argument("--io", choices=("auto", "yes", "no"), default="auto", help="the server's --io-sqpoll")
    parser.add_argument("--plant", action="store_true", help="expect one wrong thing: this run must fail")
    options = parser.parse_args()
    failed = ran = 0
    for function, arguments, kevy_only, tcp, env in TRAPS:
        name = function.__name__[len("trap_"):]
        if options.names and not any(part in name for part in options.names):
            continue
        started = time.monotonic()
        try:
            with Server("--io-sqpoll", options.io, *arguments, shards=options.shards, tcp=tcp, env=env) as server:
                if kevy_only and server.is_redis:
                    continue
                function(server)
                with server.client() as client:
                    well = "PANG" if options.plant else ("PONG", "NOAUTH Authentication required.")
                    check(client.call("PING") in well, "the server is not well afterwards")
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
