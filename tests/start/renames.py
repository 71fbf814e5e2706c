#!/usr/bin/env python3
"""rename-command, compared with redis-server: what is found, shown, counted and refused under names new and old.

    renames.py            every check
    renames.py --plant    lines that the two servers are given differ, which must be found out
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
import kevy  # noqa: E402

LINES = """
rename-command FLUSHALL FlushY
rename-command get GETT
rename-command CONFIG cfg
rename-command debug ""
rename-command client "a client"
rename-command set first
rename-command first GET
rename-command mget ""
rename-command getset MGET
rename-command strlen "a-name-that-is-longer-than-any-of-the-commands-that-there-are"
rename-command ping PING
rename-command select b|c
"""
# What clients ask; a line each, as an inline request.
ASKED = """
flushall
FLUSHALL a b
flushY
FLUSHY bogus x y
command info flushy
command info flushall
command docs flushy
command list filterby pattern flush*
command list filterby pattern m?et
command list filterby pattern client|i*
command getkeys gett k
command getkeysandflags gett k
command getkeys get k v
command getkeys set k v
gett
gett a b c
get x
get x y
gett x
set x y
mget x z
command info mget getset
cfg get maxclients
CFG get maxclients
cfg bogus
cfg help
cfg
config get x
command info cfg|get config|get
command docs cfg|get
debug sleep 0
debug help
command info debug debug|sleep
command list filterby pattern debug*
client id
"A client" getname
"a client" bogus
"a client" setname
a-NAME-that-is-longer-than-any-of-the-commands-that-there-are x
strlen x
ping
select 3
b|c 3
command info b|c
multi
get a
gett a
exec
multi
flushall
exec
multi
flushY
exec
"""
# Lines that end a start: with redis-server's words.
REFUSED = (
    "rename-command nosuch x",
    "rename-command get set",
    "rename-command get lpush",
    'rename-command get ""\nrename-command get x',
    "rename-command get x\nrename-command get y",
    "rename-command get x\nrename-command set x",
    'rename-command "" x',
)
# Accepted also for commands that only redis-server has. Common charts, roles and guides have the last three.
ACCEPTED = ('rename-command BGREWRITEAOF ""', "rename-command SLAVEOF hidden", 'rename-command KEYS ""\nrename-command FLUSHDB ""',
            'rename-command FLUSHALL ""', 'rename-command FLUSHDB ""', 'rename-command KEYS ""')


def expect(condition, text):
    if not condition:
        sys.exit("FAILED: " + text)


class Configured(kevy.Server):
    """A server that reads these lines from a file."""

    def __init__(self, lines, path, **options):
        self.lines = lines
        super().__init__(path=path, **options)

    def command_line(self):
        file = os.path.join(self.directory, "server.conf")
        with open(file, "w") as out:
            out.write(self.lines + "\n")
        line = super().command_line()
        return line[:1] + [file] + line[1:]


def as_set(reply):
    return sorted(map(str, reply)) if isinstance(reply, list) else reply


def answers(path, lines):
    """What the server answers to each question: order has no meaning in lists of commands."""
    with Configured(lines, path, shards=1) as server:
        with server.client() as client:
            found = []
            for line in ASKED.strip().splitlines():
                client.send(line.encode() + b"\r\n")
                raw = client.read_raw("the reply to " + line)
                found.append((line, as_set(kevy.parse(raw)) if line.startswith("command list") else raw))
            client.send(b"info commandstats\r\n")
            stats = client.read().decode().split()
            found.append(("info commandstats", sorted(line.partition("usec")[0] for line in stats if line.startswith("cmdstat_"))))
            client.send(b"command count\r\n")
            return found, client.read()


def count_of(path):
    with Configured("", path) as server, server.client() as client:
        return client.call("COMMAND", "COUNT")


def check_answers(redis, plant):
    ours, our_count = answers(kevy.program(), LINES)
    theirs, their_count = answers(redis, LINES.replace("GETT", "GETX") if plant else LINES)
    for (line, reply), (_, expected) in zip(ours, theirs):
        expect(reply == expected, "%s\n  is        %r\n  expected  %r" % (line, reply, expected))
    expect(count_of(kevy.program()) - our_count == count_of(redis) - their_count, "COMMAND COUNT")


def last_line(path, lines):
    server = Configured(lines, path, start=False)
    try:
        server.spawn()
        status = server.wait("a server to refuse to start")
        server.stopped = True
        return status, server.log().strip().splitlines()[-1]
    finally:
        server.remove()


def check_refused(redis):
    for lines in REFUSED:
        status, line = last_line(kevy.program(), lines)
        their_status, their_line = last_line(redis, lines)
        expect(status == their_status == 1, "%s: status %d, expected %d" % (lines, status, their_status))
        expect(line.endswith(": " + their_line) and "server.conf:%d:" % (lines.count("\n") + 1) in line,
               "%s: '%s', expected '%s'" % (lines, line, their_line))


def check_accepted():
    for each in ACCEPTED:
        with Configured(each, kevy.program(), shards=1) as server, server.client() as client:
            name = each.split()[1]
            expect(str(client.call(name)).startswith("ERR unknown command '%s'" % name), each)


def check_command_line():
    """As containers write it; and CONFIG REWRITE leaves the file's lines as they are."""
    with Configured("rename-command CONFIG cfg\nmaxclients 100", kevy.program(), shards=1) as server:
        with server.client() as client:
            expect(client.call("CFG", "SET", "maxclients", "99") == "OK", "CFG SET")
            expect(client.call("CFG", "REWRITE") == "OK", "CFG REWRITE")
        text = open(os.path.join(server.directory, "server.conf")).read()
        expect(text.startswith("rename-command CONFIG cfg\nmaxclients 99\n") and text.count("rename") == 1, text)
    with kevy.Server("--rename-command", "FLUSHALL", "", "--rename-command FLUSHDB gone", shards=1) as server:
        with server.client() as client:
            expect(client.call("GONE") == "OK", "a new name of the command line")
            expect(str(client.call("FLUSHALL")).startswith("ERR unknown command"), "a command that the command line disabled")


def main():
    redis = kevy.find_redis()
    check_accepted()
    check_command_line()
    if not redis:
        print("no redis-server to compare with")
        return
    check_answers(redis, "--plant" in sys.argv[1:])
    check_refused(redis)


if __name__ == "__main__":
    main()
