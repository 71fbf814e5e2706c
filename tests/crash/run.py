#!/usr/bin/env python3
"""The server is killed (SIGKILL) at every step that it does with its files; what it finds when it starts again must be what it may be.

    run.py --killed KEVY_KILLED steps save        SAVE over an older file: the old or the new one, whole
    run.py --killed KEVY_KILLED steps bgsave      the same in the background
    run.py --killed KEVY_KILLED steps rewrite     BGREWRITEAOF: nothing is lost
    run.py --killed KEVY_KILLED steps switch      the append-only file is switched on: the data of before, or those of now
    run.py --killed KEVY_KILLED full              nothing is killed at a step: the disk is full where it starts, and where it ends
    run.py --killed KEVY_KILLED load              an append-only file under the load of load.py, killed at some step or moment, again and again
"""
import argparse
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
from kevy import Closed, Error, Server, Timeout, encode, eventually, run_seed  # noqa: E402
from killer import Killer  # noqa: E402
from load import LOSES_S, Load  # noqa: E402

KEYS = 300


def wrong(text):
    sys.exit("WRONG: " + text)


def started(server):
    """Starts it, and waits until it has loaded what it found."""
    server.start()
    with server.client() as client:
        eventually("the files to be loaded", lambda: client.call("PING") == "PONG")


# ---- Step by step ------------------------------------------------------------------------------------------------------------

APPENDS = ["--appendonly", "yes", "--appendfsync", "always"]
# By what is killed: options, what is asked for before the data are changed, what is killed, how many steps it has at least, and whether the changes are
# there whatever becomes of it.
KILLED = {
    "save": ([], None, ("SAVE",), 6, False),
    "bgsave": ([], None, ("BGSAVE",), 6, False),
    "rewrite": (APPENDS, None, ("BGREWRITEAOF",), 20, True),
    "switch": (APPENDS, ("CONFIG", "SET", "appendonly", "no"), ("CONFIG", "SET", "appendonly", "yes"), 15, False),
}


def fill(client, number):
    value = b"%d:" % number + b"x" * 500
    client.pipeline([("SET", "key:%d" % i, value) for i in range(KEYS)] + [("RPUSH", "list", number), ("SET", "number", number)])


def number_there(client):
    """Which change is there, all of it."""
    number = int(client.call("GET", "number") or 0)
    if number and client.call("DBSIZE") != KEYS + 2:
        wrong("change %d has %s keys" % (number, client.call("DBSIZE")))
    for i in range(KEYS if number else 0):
        if not client.call("GET", "key:%d" % i).startswith(b"%d:x" % number):
            wrong("change %d holds another's values" % number)
    return number


def ask(client, command, server):
    """True: it was done. False: the server died of it."""
    try:
        client.send(encode(*command))
        reply = client.read()
        if command[0] == "SAVE" or isinstance(reply, Error):
            return reply == "OK"

        def ended():
            info = client.call("INFO", "persistence")
            return info if b"rewrite_in_progress:0" in info and b"bgsave_in_progress:0" in info else None

        return b"rdb_last_bgsave_status:ok" in eventually("it to end", ended)
    except (Closed, OSError):
        server.wait("the server to die")
        return False


def run_steps(arguments):
    options, before, command, least, durable = KILLED[arguments.what]
    seed, seen = run_seed(), []
    dice = random.Random(seed)
    print("seed %d" % seed)
    with Killer() as killer, Server("--rdbcompression", "no", *options, path=arguments.killed, env=killer.environment, start=False) as server:
        said, number = 0, 0
        while True:
            server.shards = dice.choice((1, 3, 8))
            killer.arm(0)
            started(server)
            with server.client() as client:
                there = number_there(client)
                if there not in (said, number):
                    wrong("change %d is there; %d was the last that was said to be done, %d was begun" % (there, said, number))
                if number and not fell:
                    break
                said = there
                number += 1
                if before:
                    client.call(*before)
                fill(client, number)
                said = number if durable or arguments.plant else said
                killer.arm(number)
                said = number if ask(client, command, server) else said
                fell = killer.fell()
                seen += [fell] if fell else []
            server.kill()
        server.stop()
    if len(seen) < least:
        wrong("only killed where it %s" % ", ".join(seen))
    print("ok: killed where it %s" % ", ".join(seen))


# ---- A full disk ----------------------------------------------------------------------------------------------------------------

NO_ROOM = "MISCONF Errors writing to the AOF file: No space left on device"


def check_there(client, least):
    """All that was written is there, and what would be written is refused."""
    for i in range(least):
        if client.call("GET", "key:%d" % i) != b"v":
            wrong("key:%d is not there" % i)
    refused = str(client.call("SET", "refused", "1"))
    if refused != NO_ROOM:
        wrong("a change is answered with %s" % refused)


def start_full(server, least):
    """Twice, and killed in between."""
    for _ in range(2):
        server.kill()
        server.start()
        with server.client() as client:
            eventually("the files to be loaded", lambda: not str(client.call("GET", "key:0")).startswith("LOADING"))
            check_there(client, least)


def take_again(client, number):
    eventually("changes to be taken again", lambda: client.call("SET", "key:%d" % number, "v") == "OK")
    if client.call("WAITAOF", 1, 0, 0) != [1, 0]:
        wrong("it is not on the disk")


def end_full(server, client, killer, policy):
    """What was taken on and is not written goes with the server, which says so. Under `always` it is not answered."""
    killer.fill(True)
    client.send(encode("SET", "lost", "1"))
    if policy == "everysec" and client.read() != "OK":
        wrong("the first change is refused")
    with server.client() as other:
        eventually("changes to be refused", lambda: str(other.call("PING")) == NO_ROOM)
        check_there(other, 3)
    os.kill(server.pid, signal.SIGTERM)
    status = server.wait("the server to end")
    if status != 1:
        wrong("it ended with status %s" % status)
    if "The last changes are not on the disk, and may be lost, 1 of them: No space left on device" not in server.log():
        wrong("it did not say what is lost")


def run_full(arguments):
    for policy in ("always", "everysec"):
        options = ["--appendonly", "yes", "--appendfsync", policy, "--save", ""]
        with Killer() as killer, Server(*options, path=arguments.killed, env=killer.environment, start=False) as server:
            for number, server.shards in enumerate((1, 3, 8)):
                killer.fill(number > 0)
                if number:
                    start_full(server, number)
                else:
                    server.start()
                killer.fill(False)
                with server.client() as client:
                    take_again(client, number)
            with server.client() as client:
                end_full(server, client, killer, policy)
            killer.fill(False)
            started(server)
            with server.client() as client:
                if [client.call("GET", "key:%d" % i) for i in range(3)] != [b"v"] * 3 or client.call("EXISTS", "lost", "refused"):
                    wrong("what is there is not what was written")
            server.stop()
    print("ok: it started three times on a full disk, and went on when there was room")


# ---- An append-only file under load ------------------------------------------------------------------------------------------


GENERATIONS = 5  # in one directory
OPERATIONS = [("BGREWRITEAOF",), ("BGREWRITEAOF",), ("BGSAVE",)]


class Kills:
    """How and when the server of one generation ends."""

    def __init__(self, dice, server, killer, longest_s, operations):
        self.server, self.killer = server, killer
        self.steps, self.rare = dice.choice((0, dice.randrange(1, 30), dice.randrange(1, 400))), False
        if operations and dice.random() < 0.4:  # a rewrite does some twenty, among thousands of the log's
            self.steps, self.rare = dice.randrange(1, 60), True
        self.after_s = dice.uniform(0.02, 0.3) + (longest_s if longest_s else 0)

    def kill(self):
        if self.steps:
            time.sleep(self.after_s / 2)
            self.killer.arm(self.steps, self.rare)
            try:
                self.server.wait("the step that kills", self.after_s)
            except Timeout:
                pass
        else:
            time.sleep(self.after_s)
        if self.server.is_alive():
            os.kill(self.server.pid, signal.SIGKILL)
        self.server.wait("the server to die")


def generations(seed, arguments, killer):
    """One directory, in which a server is started and killed some times. What it fell at."""
    dice = random.Random(seed)
    policy = arguments.policy or dice.choice(("always", "always", "everysec"))
    loses_s = LOSES_S if policy == "everysec" else 0
    load, fell = Load(seed, loses_s, OPERATIONS if arguments.operations else ()), []
    common = ["--enable-debug-command", "yes"]
    journal = ["--appendonly", "yes", "--appendfsync", policy]
    with Server(*common, *journal, path=arguments.killed, env=killer.environment, start=False) as server, Server(*common, shards=1) as oracle:
        with oracle.client() as told:
            for _ in range(GENERATIONS):
                server.shards = 4
                killer.arm(0)
                started(server)
                kills = Kills(dice, server, killer, loses_s, arguments.operations)
                killed_at = load.run(server, kills.kill)
                fell.append(killer.fell())
                server.kill()
                server.shards = dice.choice((1, 3, 8))
                killer.arm(0)
                started(server)
                with server.client() as client:
                    if arguments.plant:
                        client.call("SELECT", 1)
                        client.call("SET", "text0", "planted")
                    load.check(client, told, killed_at)
                server.kill()
    return [step for step in fell if step], sum(writer.sent for writer in load.writers)


def run_load(arguments):
    first, fell, steps, begun = arguments.seed, {}, 0, time.monotonic()
    with Killer() as killer:
        for seed in range(first, first + arguments.runs // GENERATIONS):
            try:
                found, made = generations(seed, arguments, killer)
            except BaseException:
                print("seed %d" % seed, file=sys.stderr)
                raise
            steps += made
            for step in found:
                step = step.replace("temp-", "").rstrip("0123456789")
                fell[step] = fell.get(step, 0) + 1
    print("ok: %d runs from seed %d, %d steps of writers, %.0f s" % (arguments.runs, first, steps, time.monotonic() - begun))
    print("killed where it " + ", ".join("%s (%d)" % item for item in sorted(fell.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--killed", type=os.path.abspath, required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    steps = commands.add_parser("steps")
    steps.add_argument("what", choices=KILLED)
    steps.add_argument("--plant", action="store_true")
    commands.add_parser("full")
    load = commands.add_parser("load")
    load.add_argument("--runs", type=int, default=20, help="%d of them in one directory, from one seed" % GENERATIONS)
    load.add_argument("--seed", type=int, default=run_seed(), help="the first")
    load.add_argument("--policy", choices=("always", "everysec"))
    load.add_argument("--operations", action="store_true", help="rewrite and save meanwhile")
    load.add_argument("--plant", action="store_true")
    arguments = parser.parse_args()
    globals()["run_" + arguments.command](arguments)


if __name__ == "__main__":
    main()
