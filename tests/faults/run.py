#!/usr/bin/env python3
"""A server on a bad day: rings that are refused, accepts that fail, memory that runs out.

    run.py KEVY_FAULTS [--plant] [NAME...]

Each function bad_...() starts kevy_faults, turns faults on by name (faults.py, faults.c) and fails by an exception. That the whole
of tests/traps holds with short sends, small queues or interrupted enters is checked by with.py: see CMakeLists.txt.
--plant expects a message that nobody gives; the run must fail.
"""
import argparse
import errno
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]
from faults import Faults  # noqa: E402
from kevy import TIME_SCALE, Closed, Error, Server, encode, eventually  # noqa: E402

PROGRAM = None  # kevy_faults
PLANT = False
REMEDIES = {errno.ENOMEM: ("Cannot allocate memory", "ulimit -l"), errno.EPERM: ("Operation not permitted", "io_uring"),
            errno.ENOSYS: ("Function not implemented", "Linux"), errno.EMFILE: ("Too many open files", "ulimit -n")}


class Failed(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failed(text)


def start_and_see(faults, *arguments):
    """Starts a server that may well refuse: its exit status (None: it serves) and what it said."""
    directory = tempfile.mkdtemp(prefix="kevy-faults-")
    socket = os.path.join(directory, "socket")
    log = open(os.path.join(directory, "log"), "w+", encoding="utf-8")
    process = subprocess.Popen([PROGRAM, "--port", "0", "--unixsocket", socket, "--save", "", *arguments], cwd=directory, stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log, env=dict(os.environ, **faults.environment))

    def said():
        with open(log.name, encoding="utf-8") as file:
            return file.read()

    try:
        eventually("the server to serve or to end", lambda: process.poll() is not None or "is ready" in said())
        return process.poll(), said()
    finally:
        if process.poll() is None:
            process.terminate()
            check(process.wait(20 * TIME_SCALE) == 0, "no clean end: %s" % said())
        check(not os.path.exists(socket), "the socket was left behind")
        log.close()
        os.unlink(log.name)
        os.rmdir(directory)


# ---- Starting -------------------------------------------------------------------------------------------------------------------


def bad_a_ring_that_is_refused_is_explained():
    """Every set-up of every ring fails in turn: the server either does without what was refused, or says which ring, why and the
    remedy, and exits 1."""
    for error, (reason, remedy) in REMEDIES.items():
        refused, named = 0, set()
        for n in range(1, 100):
            with Faults(SETUP_FAILS_AT=n, SETUP_ERROR=error) as faults:
                status, said = start_and_see(faults, "--shards", "3", "--io-sqpoll", "no", "--io-mode", "uring")
                if not faults.happened("SETUP_FAILS_AT"):
                    break
                if status is None:
                    continue  # an optional feature was looked for
                refused += 1
                named |= {ring for ring in range(0, 4) if "io_uring ring %d of" % ring in said}
                check(status == 1, "set-up %d refused: status %s" % (n, status))
                check(("planted" if PLANT else reason) in said and remedy in said, "set-up %d refused with %s: %s" % (n, reason, said))
        check(named >= {1, 2, 3} and refused >= 4, "of %d refusals only rings %s were named" % (refused, sorted(named)))


def bad_a_ring_that_is_refused_is_done_without():
    """The same where nobody insists on io_uring: it serves, over epoll where a ring was needed, and says why.
    Not without descriptors, of which epoll needs as many."""
    for error, (reason, remedy) in REMEDIES.items():
        refused = 0
        if error == errno.EMFILE:
            continue
        for n in range(1, 100):
            with Faults(SETUP_FAILS_AT=n, SETUP_ERROR=error) as faults:
                status, said = start_and_see(faults, "--shards", "3", "--io-sqpoll", "no")
                if not faults.happened("SETUP_FAILS_AT"):
                    break
                check(status is None, "set-up %d refused: status %s: %s" % (n, status, said))
                by_epoll = "3 shards, epoll" in said
                refused += by_epoll
                check(by_epoll == ("goes by epoll" in said), "set-up %d refused with %s: %s" % (n, reason, said))
                check(not by_epoll or (reason in said and remedy in said), "set-up %d refused with %s: %s" % (n, reason, said))
        check(refused >= 4, "only %d refusals led to epoll" % refused)


def bad_other_calls_that_are_refused():
    """Without provided buffers there is no server; without a file table or a registered ring there is."""
    pbuf_ring, files2, ring_fds = 22, 13, 20
    for opcode, serves in ((pbuf_ring, False), (files2, True), (ring_fds, True)):
        for error in (errno.ENOMEM, errno.EINVAL):
            with Faults(REGISTER_FAILS=opcode + 1, REGISTER_ERROR=error) as faults:
                status, said = start_and_see(faults, "--shards", "2", "--io-sqpoll", "no", "--io-mode", "uring")
                check(faults.happened("REGISTER_FAILS") > 0, "register opcode %d was not called" % opcode)
                check((status is None) == serves and status in (None, 1), "opcode %d: status %s: %s" % (opcode, status, said))
                check(serves or "io_uring" in said, "opcode %d: %s" % (opcode, said))


def bad_memory_at_the_start():
    """The n-th allocation of a start fails: it ends with status 1 and a word, or serves all the same; nothing else."""
    for dice in range(40):
        with Faults(MALLOC_FAILS=random.Random(dice).randrange(3, 60)) as faults:
            status, said = start_and_see(faults, "--shards", "2", "--io-sqpoll", "no")
            check(status in (None, 1), "status %s: %s" % (status, said[-500:]))
            check(status is None or said.strip(), "refused without a word")


# ---- Accepting ------------------------------------------------------------------------------------------------------------------


def relieve(faults):
    eventually("two accepts to fail", lambda: faults.happened("ACCEPT_FAILS") >= 2)
    faults.set(ACCEPT_FAILS=0)


def bad_accepting_never_stops():
    """Every accept fails for a while, whatever the reason: then the first client is served."""
    for error in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED, errno.EINTR, errno.EPROTO):
        with Faults(ACCEPT_FAILS=1, ACCEPT_ERROR=error) as faults:
            relief = threading.Thread(target=relieve, args=(faults,))
            relief.start()
            with Server("--io-sqpoll", "no", shards=error % 2 * 3 + 1, path=PROGRAM, env=faults.environment) as server:
                relief.join()  # the server has answered, so it has come
                check(alone(server), "somebody is there")


def bad_accepted_descriptors_are_not_believed():
    """The kernel names files, rings, listeners, or what is not there at all: nobody is served over them, and they stay open."""
    held = None
    for fd in list(range(20)) + [2000000]:
        with Faults(ACCEPT_FAILS=1, ACCEPT_ERROR=-fd & 2**32 - 1) as faults:
            relief = threading.Thread(target=relieve, args=(faults,))
            relief.start()
            with Server("--io-sqpoll", "no", shards=2, path=PROGRAM, env=faults.environment) as server, server.client() as client:
                relief.join()
                eventually("all others to be gone", lambda: len(client.call("CLIENT", "LIST").splitlines()) == 1)
                figures = client.call("INFO", "io").decode()
                check(int(re.search(r"accepts_disbelieved:(\d+)", figures).group(1)) >= 2, "descriptor %d was believed" % fd)
                held = held or descriptors_at_rest(server, client)
                eventually("no descriptor to be closed or lost for %d" % fd, lambda: descriptors(server) == held)


def bad_connections_that_cannot_be_watched():
    """Where the kernel refuses to tell of a socket, its client is closed, and nothing stays of it; the others are served."""
    arguments = ("--io-sqpoll", "no", "--io-mode", "epoll")
    for error in (errno.ENOMEM, errno.ENOSPC):
        with Faults(WATCH_ERROR=error) as faults, \
                Server(*arguments, shards=3, path=PROGRAM, env=faults.environment) as server, server.client() as client:
            check(client.call("PING") == "PONG", "PING")
            # Whoever asked before whether the server is ready may still be open there.
            eventually("nobody else to be there", lambda: len(client.call("CLIENT", "LIST").splitlines()) == 1)
            held = descriptors_at_rest(server, client)
            faults.set(WATCH_FAILS=1)
            for _ in range(9):
                try:
                    with server.client() as refused:
                        check(refused.call("PING") is None, "a client was served that nobody watches")
                except (Closed, OSError):
                    pass
            faults.set(WATCH_FAILS=0)
            check(faults.happened("WATCH_FAILS") == 9, "%d connections were refused, not 9" % faults.happened("WATCH_FAILS"))
            check(client.call("PING") == "PONG", "the others are served")
            eventually("their descriptors to be closed", lambda: descriptors(server) == held)
            check(alone(server) is False, "whoever comes later is served")


def bad_listeners_that_cannot_be_watched():
    """As soon as the kernel tells of a listener again, its clients are accepted."""
    with Faults(WATCH_FAILS=1, WATCH_ERROR=errno.ENOMEM) as faults:
        def watch():
            eventually("two to be refused", lambda: faults.happened("WATCH_FAILS") >= 2)
            faults.set(WATCH_FAILS=0)
        relief = threading.Thread(target=watch)
        relief.start()
        with Server("--io-mode", "epoll", shards=1, path=PROGRAM, env=faults.environment) as server:
            relief.join()  # the server has answered, so it has come
            check(alone(server), "somebody is there")


def bad_wake_ups_that_are_lost():
    """The kernel takes wake-ups of other shards, and drops them: each is made anew in time, so that whoever sleeps hears what he
    is to hear. That this takes 10 ms at most is the limit of the sender's sleep: tests/unit/server/loop/deliver.c."""
    for shards, one_in in ((2, 1), (4, 2)):
        if one_in == 1 and os.environ.get("KEVY_IO_MODE") == "epoll":
            one_in = 2  # the second wake-up is like the first
        with Faults(WAKE_LOST=one_in) as faults, Server("--io-sqpoll", "no", shards=shards, path=PROGRAM, env=faults.environment) as server:
            clients = [server.client() for _ in range(2 * shards)]  # each is handed over to a shard that sleeps
            for turn in range(20):
                ids = [client.call("CLIENT", "ID") for client in clients]
                asker, victim = turn % len(clients), (turn + 1) % len(clients)
                check(clients[asker].call("CLIENT", "KILL", "ID", ids[victim]) == 1, "CLIENT KILL")
                check(clients[victim].read_until_closed() == b"", "who is killed is closed, and hears nothing else")
                clients[victim].close()
                clients[victim] = server.client()
            check(faults.happened("WAKE_LOST") > 0, "no wake-up was lost, which tests nothing")
            figures = clients[0].call("INFO", "io").decode()
            repeated = int(re.search(r"wakes_repeated:(\d+)", figures).group(1))
            check(repeated > 0, "%d were lost, and none was made anew" % faults.happened("WAKE_LOST"))
            for client in clients:
                client.close()


def bad_receives_that_hear_nothing():
    """The kernel forgets to tell of a connection, of bytes or of the end: whoever was heard of late is asked in time."""
    if os.environ.get("KEVY_IO_MODE") == "epoll":
        return  # there a receive is a call
    for poll_threads in ("no", "yes"):
        with Faults() as faults, \
                Server("--io-mode", "uring", "--io-sqpoll", poll_threads, shards=2, path=PROGRAM, env=faults.environment) as server:
            faults.set(RECEIVE_DEAF=1)
            clients = [server.client() for _ in range(4)]
            eventually("their receives to be armed", lambda: faults.happened("RECEIVE_DEAF") >= len(clients))
            faults.set(RECEIVE_DEAF=0)
            for client in clients:
                client.send(encode("PING"))
            for client in clients[2:]:
                client.half_close()
            for client in clients:
                check(client.read("the reply to a PING of which the kernel says nothing") == "PONG", "PING")
            for client in clients[2:]:
                check(client.read_until_closed() == b"", "nothing else comes")
            for client in clients:
                client.close()
            eventually("all to be gone", lambda: alone(server))


def descriptors(server):
    return len(os.listdir("/proc/%d/fd" % server.pid))


def descriptors_at_rest(server, client):
    """Once nobody but this client is there: whoever has gone may leave a descriptor for a moment."""
    return min((client.call("PING"), descriptors(server))[1] for _ in range(200))


# ---- Memory ---------------------------------------------------------------------------------------------------------------------


def storm(server, faults, rounds, seed):
    """Requests of every size while allocations fail. What was answered with OK must be there afterwards, and nothing else."""
    dice, known = random.Random(seed), {}
    client = None
    for _ in range(rounds):
        key, value = "k%d" % dice.randrange(40), dice.randbytes(dice.choice((1, 30, 500, 5000, 20000, 40000, 200000)))
        kind = dice.randrange(8)
        requests = ([("SET", key, value)], [("GET", key)], [("APPEND", key, value)], [("MSET", key, value, key + "x", "1")],
                    [("MULTI",), ("SET", key, value), ("GET", key), ("EXEC",)], [("DEL", key)], [("MGET", *known)] if known else [("PING",)],
                    [("CLIENT", "SETNAME", "name"), ("CONFIG", "GET", "*"), ("SETRANGE", key, "100000", "x"), ("INFO",), ("SCAN", "0")])[kind]
        try:
            if client is None:
                client = server.client()
            client.send(b"".join(encode(*request) for request in requests))
            replies = [client.read() for _ in requests]
        except (Closed, OSError):
            client = None
            replies = []
        if kind == 1 and replies and key in known and not isinstance(replies[0], Error):
            check(replies[0] == known[key], "GET %s is wrong while memory is short" % key)
        elif kind == 0 and replies == ["OK"]:
            known[key] = value
        elif kind not in (1, 6):
            known.pop(key, None)  # changed, or not, or only in part: nothing was promised
    faults.set(MALLOC_FAILS=0)
    with server.client() as judge:
        for key, value in known.items():
            got = judge.call("GET", key)
            check(got == value, "%s was acknowledged and is %s" % (key, "gone" if got is None else "not what it was"))
        judge.call("FLUSHALL")
    if client:
        client.close()


def bad_memory_runs_out():
    for shards in (1, 4):
        for one_in, least in ((3, 0), (20, 0), (2, 4096), (1, 100000)):
            with Faults() as faults, Server(shards=shards, path=PROGRAM, env=faults.environment) as server:
                faults.set(MALLOC_FROM=least, MALLOC_FAILS=one_in)
                storm(server, faults, 400, one_in * 7 + shards)
                check(faults.happened("MALLOC_FAILS") > 10, "memory ran out %d times only" % faults.happened("MALLOC_FAILS"))
                eventually("the clients to be gone", lambda: alone(server))


def alone(server):
    with server.client() as client:
        return len(client.call("CLIENT", "LIST").splitlines()) == 1


def bad_memory_for_monitors_and_pauses():
    """Lines for monitors, posts between shards and held requests need memory too: missing it closes nobody but the asker."""
    with Faults() as faults, Server(shards=4, path=PROGRAM, env=faults.environment) as server:
        for turn in range(20):
            monitors = [server.client() for _ in range(4)]
            for monitor in monitors:
                monitor.call("MONITOR")
            with server.client() as talker:
                faults.set(MALLOC_FAILS=3)
                talker.send(encode("SET", "k", "v") * 50 + encode("CLIENT", "PAUSE", "20", "WRITE") + encode("SET", "k", "w") * 5)
                try:
                    for _ in range(56):
                        talker.read()
                except Closed:
                    pass
                faults.set(MALLOC_FAILS=0)
            for monitor in monitors:
                monitor.reset()
        eventually("the clients to be gone", lambda: alone(server))
        with server.client() as client:
            check(client.call("SET", "k", "x") == "OK" and client.call("GET", "k") == b"x", "SET and GET")


def main():
    global PROGRAM, PLANT
    parser = argparse.ArgumentParser(description="A server on a bad day.")
    parser.add_argument("program", help="kevy_faults")
    parser.add_argument("names", nargs="*", help="only the tests whose names contain one of these")
    parser.add_argument("--plant", action="store_true", help="expect one wrong thing: this run must fail")
    options = parser.parse_args()
    PROGRAM, PLANT = os.path.abspath(options.program), options.plant
    failed = ran = 0
    for name, function in list(globals().items()):
        if not name.startswith("bad_") or (options.names and not any(part in name for part in options.names)):
            continue
        start, ran = time.monotonic(), ran + 1
        try:
            function()
            print("ok %s (%.1f s)" % (name[4:], time.monotonic() - start), flush=True)
        except Exception as error:  # one does not hide the next
            print("FAILED %s: %s: %s" % (name[4:], type(error).__name__, error), flush=True)
            failed += 1
        if PLANT:
            break
    if failed or not ran:
        sys.exit("%d of %d failed" % (failed, ran))


if __name__ == "__main__":
    main()
