#!/usr/bin/env python3
"""COMMAND, COMMAND DOCS and the HELP of containers beside redis-server's: what they tell of every command and subcommand that both have.

    rows.py [--plant]

Of what kevy has from later servers each argument and each line of history says since when; without these the rest must be
Redis 7.0's. A command that Redis 7.0 has not must say that it is younger. The order of commands, and of flags, is open.

--plant spoils an arity, a flag, the place of a key, a summary, an argument and a line of help in what kevy said; all must be found.
"""
import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Server, find_redis, program  # noqa: E402

NEWEST = (7, 0, 15)  # of what redis-server here is
FIELDS = ("name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specifications")
OWN_ARITIES = {"zrank": -3, "zrevrank": -3}  # WITHSCORE, as Redis 7.2 has it
# Lines of HELP about what kevy has not.
HELP_LACKS = {"memory": {"DOCTOR", "    Return memory problems reports."}}


def plain(value):
    """Texts for bytes, pairs of a map as a dictionary."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.decode() if isinstance(value, bytes) else str(value) if isinstance(value, str) else value


def paired(flat):
    return dict(zip(flat[::2], flat[1::2]))


def version(text):
    return tuple(int(part) for part in text.split("."))


def rows(reply):
    """{full name: {field: value}} of all commands and subcommands."""
    found = {}
    for row in reply:
        found[row[0]] = dict(zip(FIELDS, row[:2] + [sorted(row[2])] + row[3:6] + [sorted(row[6])] + row[7:9]))
        found.update(rows(row[9]))
    return found


def is_later(what):
    return version(what.get("since", "1.0.0")) > NEWEST


def argument(flat):
    """One argument as a dictionary, those that it holds without the later ones."""
    fields = paired(flat)
    if "arguments" in fields:
        fields["arguments"] = arguments(fields["arguments"])
    return fields


def arguments(several):
    return [fields for fields in map(argument, several) if not is_later(fields)]


def docs(reply):
    """{full name: {field: value}}, the later parts left out."""
    found = {}
    for name, fields in paired(reply).items():
        fields = paired(fields)
        found.update(docs(fields.pop("subcommands", [])))
        if "arguments" in fields:
            fields["arguments"] = arguments(fields["arguments"])
        if "history" in fields:
            fields["history"] = [line for line in fields["history"] if version(line[0]) <= NEWEST]
        found[name] = {field: value for field, value in fields.items() if value != []}
    return found


def answers(server):
    """What COMMAND tells, what COMMAND DOCS tells, and {container: lines of its HELP}."""
    with server.client() as client:
        said = rows(plain(client.call("COMMAND")))
        helps = {name.split("|")[0]: plain(client.call(name.split("|")[0], "HELP")) for name in said if name.endswith("|help")}
        return said, docs(plain(client.call("COMMAND", "DOCS"))), helps


def spoil(ours):
    ours[0]["get"]["arity"] = -2
    ours[0]["client|id"]["flags"].append("fast")
    ours[0]["object|encoding"]["first key"] = 1
    ours[1]["set"]["summary"] += "."
    ours[1]["client|pause"]["arguments"][1]["name"] = "how"
    ours[2]["slowlog"][1] += " "


def differences(ours, theirs):
    found = []
    for what, mine, his in zip(("COMMAND", "COMMAND DOCS"), ours, theirs):
        for name in sorted(set(mine) & set(his)):
            for field in sorted(set(mine[name]) | set(his[name])):
                a, b = mine[name].get(field), his[name].get(field)
                if a != b and not (field == "arity" and a == OWN_ARITIES.get(name)):
                    found.append("%s %s: %s is\n        %s, in redis\n        %s" % (what, name, field, a, b))
    for name in sorted(set(ours[2]) & set(theirs[2])):  # the lines that both have, in the same order
        his = [line for line in theirs[2][name] if line not in HELP_LACKS.get(name, ())]
        mine = [line for line in ours[2][name] if line in his]
        found += ["%s HELP lacks %r" % (name, line) for line in his if line not in mine]
        if sorted(mine) == sorted(his) and mine != his:
            found.append("%s HELP is in another order" % name)
    found += ["%s is not in Redis %s, and says that it is" % (name, ".".join(map(str, NEWEST))) for name in sorted(set(ours[0]) - set(theirs[0]))
              if not is_later(ours[1][name])]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    with Server(path=find_redis()) as redis, Server(path=program()) as kevy:
        ours, theirs = answers(kevy), answers(redis)
    both = set(ours[0]) & set(theirs[0])
    assert len(both) > 300 and both == set(ours[1]) & set(theirs[1]), "few commands that both have"
    if options.plant:
        spoil(ours)
    found = differences(ours, theirs)
    if found:
        sys.exit("DIFFERENT (%d):\n    %s" % (len(found), "\n    ".join(found)))
    print("ok: %d commands and subcommands" % len(both))


if __name__ == "__main__":
    main()
