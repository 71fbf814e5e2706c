#!/usr/bin/env python3
"""Saving in the background, by a running server.

    background.py cut [--rounds N] [--seed N]   clients move money between keys while it saves: the file has all of it, in kevy and in
                                                redis-server
    background.py kill [--rounds N] [--seed N]  the server is killed meanwhile: the next start loads the old or the new file, whole
    background.py disk                          files may not grow: what is refused, and what is not, as in redis-server; and that all is
                                                well again
    background.py points                        save points; SIGTERM with and without them; SHUTDOWN while it saves
"""
import argparse
import glob
import os
import random
import resource
import shutil
import signal
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Closed, Error, Server, encode, eventually, find_redis, run_seed  # noqa: E402

FILE = "dump.rdb"
ACCOUNTS, START, FILLERS = 60, 1000, 30000


def figures(client):
    text = client.call("INFO", "persistence")
    text = text if isinstance(text, bytes) else bytes(text)
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)


def wait_for_save(client):
    """What INFO says when no save in the background is under way any more."""
    def over():
        found = figures(client)
        return found if found["rdb_bgsave_in_progress"] == "0" else None
    return eventually("the save to end", over, seconds=60)


def background_save(client):
    reply = client.call("BGSAVE")
    if reply != "Background saving started":
        sys.exit("BGSAVE says %r" % (reply,))
    found = wait_for_save(client)
    if found["rdb_last_bgsave_status"] != "ok":
        sys.exit("the save has failed: %r" % found)


def leftovers(server):
    return [os.path.basename(path) for path in glob.glob(os.path.join(server.directory, "temp-*"))]


# ---- The cut -----------------------------------------------------------------------------------------------------------------


def fill(client):
    client.pipeline([("SET", "account:%d" % i, START) for i in range(ACCOUNTS)])
    client.pipeline([("HSET", "vault", "field:%d" % i, START) for i in range(2000)])
    client.pipeline([("SET", "filler:%d" % i, "x" * 50) for i in range(FILLERS)])


def transfer(rng):
    """Commands of a transaction that moves some money, and leaves the sum as it is."""
    amount, one, other = rng.randrange(100), rng.randrange(ACCOUNTS), rng.randrange(ACCOUNTS)
    kind = rng.randrange(4)
    if kind == 0:
        return [("HINCRBY", "vault", "field:%d" % rng.randrange(2000), -amount), ("INCRBY", "account:%d" % one, amount)]
    if kind == 1:  # to a key that is new, or that it was renamed to
        return [("RENAME", "account:%d" % one, "moved"), ("RENAME", "moved", "account:%d" % one)]
    if kind == 2:
        return [("DECRBY", "account:%d" % one, amount), ("APPEND", "filler:%d" % rng.randrange(FILLERS), "y"),
                ("INCRBY", "account:%d" % other, amount)]
    return [("DECRBY", "account:%d" % one, amount), ("INCRBY", "account:%d" % other, amount)]


def move_money(server, seed, stop):
    rng = random.Random(seed)
    with server.client() as client:
        while not stop.is_set():
            commands = [command for _ in range(10) for command in [("MULTI",)] + transfer(rng) + [("EXEC",)]]
            client.pipeline(commands)


def total(client):
    accounts = client.call("MGET", *["account:%d" % i for i in range(ACCOUNTS)])
    return sum(int(value) for value in accounts) + sum(int(value) for value in client.call("HVALS", "vault"))


def check_file(file, expected, **options):
    with Server(start=False, **options) as server:
        shutil.copy(file, os.path.join(server.directory, FILE))
        server.start()
        with server.client() as client:
            eventually("the file to be loaded", lambda: client.call("PING") == "PONG")
            found, keys = total(client), client.call("DBSIZE")
            if found != expected or keys != ACCOUNTS + 1 + FILLERS:
                sys.exit("TORN: the sum is %d, expected %d; %d keys; %r" % (found, expected, keys, options))


def run_cut(arguments):
    print("seed %d" % arguments.seed)
    for shards in (1, 4):
        with Server(shards=shards) as server, server.client() as client:
            fill(client)
            expected, stop = total(client), threading.Event()
            movers = [threading.Thread(target=move_money, args=(server, arguments.seed + i, stop)) for i in range(3)]
            for mover in movers:
                mover.start()
            try:
                for number in range(arguments.rounds):  # with so little memory that writes wait, too
                    client.call("CONFIG", "SET", "snapshot-memory-limit", ("64mb", 100000, 0)[number % 3])
                    background_save(client)
                    file = os.path.join(server.directory, FILE)
                    check_file(file, expected, shards=(3, 1)[number % 2])
                    if find_redis():
                        check_file(file, expected, path=find_redis())
            finally:
                stop.set()
                for mover in movers:
                    mover.join()
            if leftovers(server):
                sys.exit("there is more than the file: %r" % leftovers(server))
    print("ok: %d files" % (2 * arguments.rounds))


# ---- Killed ------------------------------------------------------------------------------------------------------------------


def run_kill(arguments):
    rng = random.Random(arguments.seed)
    print("seed %d" % arguments.seed)
    keys, newest = 3000, 0
    with Server("--rdbcompression", "no", shards=3, start=False) as server:
        for number in range(1, arguments.rounds + 1):
            server.start()
            with server.client() as client:
                found = int(client.call("GET", "round") or 0)
                if found < newest or found > number - 1:
                    sys.exit("TORN: round %d is there, %d was saved last" % (found, newest))
                if found and (client.call("DBSIZE") != keys + 1 or client.call("GET", "key:%d" % (keys - 1)) != b"%d:" % found + b"x" * 500):
                    sys.exit("TORN: round %d has %s keys" % (found, client.call("DBSIZE")))
                client.pipeline([("SET", "round", number)] + [("SET", "key:%d" % i, b"%d:" % number + b"x" * 500) for i in range(keys)])
                client.call("BGSAVE")
                threading.Event().wait(rng.uniform(0, 0.03))  # no synchronisation: any moment will do
                done = figures(client)
                newest = number if done["rdb_bgsave_in_progress"] == "0" and done["rdb_last_bgsave_status"] == "ok" else found
                os.kill(server.pid, signal.SIGKILL)
            server.kill()
    print("ok: killed %d times" % arguments.rounds)


# ---- A disk that takes no more -----------------------------------------------------------------------------------------------


def with_small_files(server, client):
    """What is answered while no save comes to its end, and afterwards."""
    def limit(size):
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    said = []

    def say(*command):
        reply = client.call(*command)
        said.append((command, reply.code + " " + str(reply) if hasattr(reply, "code") else str(reply)))

    client.call("SET", "key", "x" * 3000)
    client.pipeline([("SET", "key:%d" % i, random.Random(i).randbytes(500)) for i in range(300)])
    limit(16384)
    client.call("BGSAVE")
    said.append(("status", wait_for_save(client)["rdb_last_bgsave_status"]))
    for command in (("SET", "key", "1"), ("PING",), ("CONFIG", "SET", "save", "3600 1000"), ("SET", "key", "2"), ("PING",), ("GET", "nothing"),
                    ("DEL", "nothing"), ("PUBLISH", "a", "b"), ("MULTI",), ("SET", "key", "3"), ("EXEC",), ("MULTI",), ("GET", "nothing"),
                    ("EXEC",), ("FLUSHALL", "WRONG"), ("SAVE",), ("SET", "key", "4"), ("CONFIG", "SET", "stop-writes-on-bgsave-error", "no"),
                    ("SET", "key", "5"), ("PING",), ("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"), ("SET", "key", "6")):
        say(*command)
    limit(resource.RLIM_INFINITY)
    client.call("BGSAVE")
    said.append(("status", wait_for_save(client)["rdb_last_bgsave_status"]))
    say("SET", "key", "7")
    say("PING")
    return said


def run_disk(_):
    found = {}
    for path in [None] + ([find_redis()] if find_redis() else []):
        with Server(path=path) as server, server.client() as client:
            with open(os.path.join(server.directory, FILE), "wb") as file:
                file.write(b"the old one")
            found[path] = with_small_files(server, client)
            if not path and leftovers(server):
                sys.exit("there is more than the file: %r" % leftovers(server))
    kevy, redis = found[None], found.get(find_redis(), found[None])
    for ours, theirs in zip(kevy, redis):
        if ours != theirs:
            sys.exit("DIFFERENT: %r, redis-server: %r" % (ours, theirs))
    if "MISCONF" not in str(kevy):
        sys.exit("nothing was refused: %r" % kevy)
    print("ok: %d replies" % len(kevy))


# ---- When it is time ---------------------------------------------------------------------------------------------------------


def run_points(_):
    with Server("--save", "1 2", shards=3) as server:
        with server.client() as client:
            client.call("SET", "key", "1")
            client.call("SET", "other", "1")
            eventually("the save point", lambda: figures(client)["rdb_changes_since_last_save"] == "0", seconds=30)
            wait_for_save(client)
            if "2 changes in 1 seconds. Saving..." not in server.log():
                sys.exit("nothing is said of the save point")
            client.call("CONFIG", "SET", "save", "3600 1")
            client.call("SET", "key", "at the end")
        os.kill(server.pid, signal.SIGTERM)
        if server.wait("the server to end") != 0:
            sys.exit("it ended with %d" % server.process.returncode)
        server.kill()
        server.start()
        with server.client() as client:
            if client.call("GET", "key") != b"at the end":
                sys.exit("SIGTERM has not saved")
            client.call("CONFIG", "SET", "save", "")
            client.call("SET", "key", "lost")
        os.kill(server.pid, signal.SIGTERM)
        server.wait("the server to end")
        server.kill()
        server.start()
        with server.client() as client:
            if client.call("GET", "key") != b"at the end":
                sys.exit("SIGTERM has saved without save points")
            client.pipeline([("SET", "key:%d" % i, "x" * 500) for i in range(20000)])
            client.send(encode("BGSAVE") + encode("SHUTDOWN", "NOSAVE"))
            client.read_until_closed()
        server.wait("the server to end")
        if leftovers(server):
            sys.exit("SHUTDOWN has left %r" % leftovers(server))
        server.kill()
        refuse_to_end(server)
    print("ok")


def refuse_to_end(server):
    """Where saving fails SIGTERM ends nothing, unless it is forced to."""
    server.start()
    with server.client() as client:
        client.call("CONFIG", "SET", "save", "3600 1")
        client.call("SET", "key", random.Random(0).randbytes(500000))
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (200000, resource.RLIM_INFINITY))
        os.kill(server.pid, signal.SIGTERM)
        eventually("the server to refuse", lambda: "can't exit" in server.log())
        if client.call("PING") != "PONG":
            sys.exit("it serves nobody after it has refused to end")
        client.call("CONFIG", "SET", "shutdown-on-sigterm", "force")
        os.kill(server.pid, signal.SIGTERM)
    if server.wait("the server to end") != 0:
        sys.exit("forced, it ended with %d" % server.process.returncode)
    server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, rounds in (("cut", 3), ("kill", 12)):
        command = commands.add_parser(name)
        command.add_argument("--rounds", type=int, default=rounds)
        command.add_argument("--seed", type=int, default=run_seed())
    commands.add_parser("disk")
    commands.add_parser("points")
    arguments = parser.parse_args()
    {"cut": run_cut, "kill": run_kill, "disk": run_disk, "points": run_points}[arguments.command](arguments)


if __name__ == "__main__":
    main()
