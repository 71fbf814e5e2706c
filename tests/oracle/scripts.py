"""Oracles of several clients: the same script runs on kevy and on redis-server, and what each step was worth to whom must be the same.

A script is a list of steps (number of a client, its commands). Who asks brings a class of sides, each a server with its clients: open(),
close(), act(number, commands) for what a step is worth, {client: replies}, and contents() for what is compared at the end.
"""
import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import resp  # noqa: E402
from kevy import Closed, Timeout, encode, find_redis, program, run_seed  # noqa: E402
from pair import DEBUG, ServerPair  # noqa: E402

WAIT_S = 10
ROUNDS_MIN = 3  # in each configuration, however little time there is


class Difference(Exception):
    def __init__(self, index, message):
        super().__init__(message)
        self.index = index


class Round:
    """The same script on both sides."""

    def __init__(self, kevy, redis):
        self.sides = (kevy, redis)
        self.told = 0  # what steps were worth to other clients than the one that acted

    def run(self, script):
        try:
            for side in self.sides:
                side.open()
            for index, (number, commands) in enumerate(script):
                self.step(index, number, commands)
            contents = [side.contents() for side in self.sides]
            if contents[0] != contents[1]:
                raise Difference(len(script) - 1, "what is there at the end\n    kevy:  %r\n    redis: %r" % tuple(contents))
        finally:
            for side in self.sides:
                side.close()

    def step(self, index, number, commands):
        theirs = self.sides[1].act(number, commands)
        try:
            ours = self.sides[0].act(number, commands)
        except (Timeout, Closed, resp.ProtocolError) as error:
            ours = "%s: %s" % (type(error).__name__, error)
        self.told += sum(len(replies) for client, replies in theirs.items() if client != number)
        if ours != theirs:
            raise Difference(index, "%s\n    kevy:  %r\n    redis: %r" % (line_of(number, commands), ours, theirs))


class Tokens:
    """Tells what a client was sent by asking for a token of its own."""

    def __init__(self):
        self.token = 0

    def until_token(self, client):
        """The replies that come before it."""
        self.token += 1
        token = b"token-%d" % self.token
        client.send(encode("PING", token))
        replies = []
        while True:
            raw = client.read_raw("what comes before %s" % token.decode(), WAIT_S)
            if token in raw:
                return replies
            replies.append(raw)


def line_of(number, commands):
    return "%d> %s" % (number, " ; ".join(" ".join(word or '""' for word in command) for command in commands))


def read_script(path):
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return [(int(number), [["" if word == '""' else word for word in command.split()] for command in rest.split(" ; ")])
            for number, _, rest in (line.partition("> ") for line in lines)]


class Pair(ServerPair):
    """make_round(kevy, redis) makes a round; `again`: the options of the configuration beside --shards."""

    Difference = Difference

    def __init__(self, make_round, shards, planted, again=""):
        super().__init__(shards, again, planted, DEBUG)  # keys expire when somebody looks, so that both do it at the same step
        self.make_round, self.told = make_round, 0

    def play(self, script):
        a_round = self.make_round(self.kevy, self.redis)
        a_round.run(script)
        self.told += a_round.told

    def script_of(self, steps):
        return "".join(line_of(*step) + "\n" for step in steps)

    def check(self, what, script):
        if not self.passes(what, script):
            raise SystemExit("FAILED %s" % what)


def run_configuration(shards, options, oracle):
    where = "%d shards" % shards
    seconds = options.seconds / len(options.shards)
    with Pair(lambda kevy, redis: Round(oracle.side(kevy, options.plant), oracle.side(redis)), shards, options.plant) as servers:
        for path in options.files:
            servers.check("%s (%s)" % (path, where), read_script(path))
        number, started = 0, time.monotonic()
        while not options.files and number < options.rounds and (time.monotonic() - started < seconds or number < ROUNDS_MIN):
            name = "%s.%d.%d" % (options.seed, shards, number)
            servers.check("round %s (%s)" % (name, where), oracle.generator(random.Random(name)).script(options.steps))
            number += 1
        if not servers.told and not options.files:
            raise SystemExit("FAILED %s: nobody was told anything" % where)
        what = oracle.storm(servers.kevy, random.Random("%s.%d" % (options.seed, shards)))
    print("ok %s: %d rounds of %d steps, %d times others were told, a storm %s, seed %s"
          % (where, number, options.steps, servers.told, what, options.seed), flush=True)


class Oracle:
    """`what` it compares, and which fault is `planted`; the class of its `side`s and of its `generator` of scripts; and a `storm` of one
    kevy, which says in words what held."""

    def __init__(self, what, planted, side, generator, storm):
        self.what, self.planted, self.side, self.generator, self.storm = what, planted, side, generator, storm

    def main(self, steps):
        parser = argparse.ArgumentParser(description=self.what)
        parser.add_argument("files", nargs="*", help="scripts to run instead of random ones")
        parser.add_argument("--seconds", type=float, default=20, help="for all configurations together")
        parser.add_argument("--rounds", type=int, default=1 << 30, help="at most, in each configuration")
        parser.add_argument("--steps", type=int, default=steps, help="in a round")
        parser.add_argument("--shards", type=lambda s: [int(n) for n in s.split(",")], default=[1, 4])
        parser.add_argument("--plant", action="store_true", help="%s: this run must fail" % self.planted)
        parser.add_argument("--seed", default=run_seed())
        options = parser.parse_args()
        if not find_redis():
            sys.exit("no redis-server is installed: apt-get install redis-server")
        print("%s against %s, seed %s" % (program(), find_redis(), options.seed), flush=True)
        for shards in options.shards:
            run_configuration(shards, options, self)
