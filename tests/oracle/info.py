#!/usr/bin/env python3
"""INFO beside redis-server's: the same sections in the same order, the same fields in them, of the same types.

    info.py [--shards 1,4] [--plant]

Both servers live through the same few requests first, so that commands, errors and keys are there to be told of. Then INFO
is asked with no argument, with all, everything, several names, and each name alone. Values may differ, types not: an integer,
so many decimals, a percentage, a size in units, an id, names and values in one line. What kevy alone has is listed below.

--plant spoils one field of each kind in what kevy said; the comparison must find all of them.
"""
import argparse
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Server, encode, eventually, find_redis, program  # noqa: E402

OWN_SECTIONS = {"IO"}
OWN_FIELDS = {"kevy_version", "shards", "stripes", "container_memory_limit", "container_memory_limit_human",
              # as Redis 7.2 has them
              "client_query_buffer_limit_disconnections", "client_output_buffer_limit_disconnections",
              # as Redis 7.4 has them
              "expired_subkeys", "pubsub_clients"}
# Text in Redis, whatever it may look like: one of kevy's may be all digits.
TEXTS = {"redis_build_id", "run_id", "master_replid", "master_replid2", "redis_git_sha1", "config_file", "executable"}
TYPES = [("an integer", r"-?\d+"), ("a percentage of {1} decimals", r"-?\d+\.(\d+)%"), ("a number of {1} decimals", r"-?\d+\.(\d+)"),
         ("a size", r"\d+B|\d+\.\d\d[KMGTPE]")]

LIFE = ["SET key value", "GET key", "GET nothing", "SET short value PX 100000", "INCR key", "NOSUCH", "GET", "OBJECT ENCODING key",
        "SELECT 3", "SET other 1", "MULTI", "GET key", "EXEC", "SELECT 0", "CONFIG SET latency-tracking no", "CONFIG RESETSTAT",
        "SET key value", "GET key", "INCR key", "GET"]
QUESTIONS = ["", "all", "everything", "default", "keyspace CPU nosuch cpu", "nosuch", "server", "clients", "memory", "persistence", "stats",
             "replication", "cpu", "modules", "commandstats", "errorstats", "latencystats", "cluster", "keyspace"]


def type_of(name, value):
    if name in TEXTS:
        return "text"
    if re.fullmatch(r"\w+=[^=,]*(,\w+=[^=,]*)*", value):
        return ", ".join("%s: %s" % (key, type_of(key, part)) for key, part in (pair.split("=") for pair in value.split(",")))
    for kind, pattern in TYPES:
        match = re.fullmatch(pattern, value)
        if match:
            return kind.format("", *(str(len(group)) for group in match.groups()))
    return "text"


def parse(text):
    """[(title, [(name, type)])] of what INFO said, without what is kevy's own."""
    sections = []
    for block in filter(None, text.split("\r\n\r\n")):
        title, *lines = block.rstrip("\r\n").split("\r\n")
        assert title.startswith("# "), "a section begins with %r" % title
        fields = [tuple(line.split(":", 1)) for line in lines]
        if title[2:] not in OWN_SECTIONS:
            sections.append((title[2:], [(name, type_of(name, value)) for name, value in fields if name not in OWN_FIELDS]))
    return sections


def differences(asked, ours, theirs):
    """Lines that say where they differ. Order counts, but for commands: Redis has none among these."""
    found = []
    titles = [[title for title, fields in sections] for sections in (ours, theirs)]
    if titles[0] != titles[1]:
        return ["INFO %s: sections are %s, redis has %s" % ((asked,) + tuple(map(" ".join, titles)))]
    for (title, mine), (title, his) in zip(ours, theirs):
        if title == "Commandstats":
            mine, his = sorted(mine), sorted(his)
        names = [[name for name, kind in fields] for fields in (mine, his)]
        missing, more = sorted(set(names[1]) - set(names[0])), sorted(set(names[0]) - set(names[1]))
        found += ["INFO %s: %s lacks %s" % (asked, title, name) for name in missing]
        found += ["INFO %s: %s has %s, which redis has not" % (asked, title, name) for name in more]
        if not missing and not more and names[0] != names[1]:
            found.append("INFO %s: %s is in another order: %s" % (asked, title, next(a for a, b in zip(*names) if a != b)))
        kinds = dict(his)
        found += ["INFO %s: %s is %s, in redis %s" % (asked, name, kind, kinds[name]) for name, kind in mine
                  if name in kinds and kinds[name] != kind]
    return found


def spoil(text):
    """One offence of each kind."""
    text = text.replace("total_reads_processed:", "total_reads_procesed:")  # lacking, and more than redis has
    text = re.sub(r"used_cpu_sys:[^\r]*", "used_cpu_sys:1", text)
    return re.sub(r"(maxmemory:\d+\r\n)(maxmemory_human:\w+\r\n)", r"\2\1", text)


def answers(server, plant=False):
    with server.client() as client:
        for line in LIFE:
            client.call(*line.split())
        texts = [client.call("INFO", *question.split()).decode() for question in QUESTIONS]
    return [parse(spoil(text) if plant else text) for text in texts]


def blocked(server):
    """(blocked_clients while one client waits for the end of a pause, and afterwards)."""
    with server.client() as watcher, server.client() as held:
        def now():
            return int(re.search(r"blocked_clients:(\d+)", watcher.call("INFO", "clients").decode()).group(1))

        watcher.call("CLIENT", "PAUSE", "60000", "WRITE")
        held.send(b"SET key value\r\n")
        eventually("a client to be held", lambda: now() == 1)
        watcher.call("CLIENT", "UNPAUSE")
        held.read()
        return now()


def waiting(server):
    """{field: figure} of those who wait, when four clients do, two of them for some time at most; and when they have gone."""
    commands = "BLPOP list 0", "BLPOP list other 1000", "BZMPOP 0 1 zset MIN", "WAIT 1 1000000"
    clients = [server.client() for _ in commands]
    with server.client() as watcher:
        def now():
            text = watcher.call("INFO", "clients").decode()
            return {name: int(re.search(r"%s:(\d+)" % name, text).group(1)) for name in ("blocked_clients", "clients_in_timeout_table")}

        for client, command in zip(clients, commands):
            client.send(encode(*command.split()))
        eventually("all to wait", lambda: now()["blocked_clients"] == len(commands))
        found = now()
        for client in clients:
            client.close()
        eventually("all to have left", lambda: set(now().values()) == {0})
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shards", default="1,4")
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    with Server(path=find_redis()) as redis:
        theirs = answers(redis)
        assert sum(len(fields) for title, fields in theirs[0]) > 150, "redis-server says little"
        assert blocked(redis) == 0
        who_waits = waiting(redis)
        assert who_waits == {"blocked_clients": 4, "clients_in_timeout_table": 2}
    for shards in map(int, options.shards.split(",")):
        with Server(shards=shards, path=program()) as kevy:
            ours = answers(kevy, options.plant)
            found = [line for asked, mine, his in zip(QUESTIONS, ours, theirs) for line in differences(asked, mine, his)]
            if found:
                sys.exit("DIFFERENT at %d shards:\n    %s" % (shards, "\n    ".join(found)))
            assert blocked(kevy) == 0, "somebody counts as blocked for ever"
            assert waiting(kevy) == who_waits, "who waits is counted otherwise"
    print("ok: %d fields" % sum(len(fields) for title, fields in theirs[1]))


if __name__ == "__main__":
    main()
