#!/usr/bin/env python3
"""appendfsync always, on a disk that takes nothing until it is told to: nobody is shown what a crash would take back.

    run.py PROGRAM ways            every family of commands, and every way by which a client may be shown something
    run.py PROGRAM ways --plant    the same with appendfsync everysec, which has to be found
    run.py PROGRAM ends            who is held, and quits, is killed, or is there when the server ends; what an operator may ask

PROGRAM is kevy_gated (gate.c). tests/unit/server/call/shown.c looks at more ways, without a disk.
"""
import fcntl
import os
import signal
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Closed, Server, encode, eventually, show  # noqa: E402

WATCHERS = 4  # connections that ask how far the server is: two a shard

# What is there before, what the reader has said before, what is written, and what is asked then: commands, parted by semicolons.
# An empty question: the reader is told by itself.
WAYS = [
    # Strings, bitmaps, HyperLogLogs.
    ("", "", "SET k v", "GET k"), ("", "", "MSET a 1 k 2", "MGET a k"), ("SET k v", "", "DEL k", "GET k"), ("SET k 1", "", "INCR k", "GET k"),
    ("SET k v", "", "APPEND k w", "STRLEN k"), ("SET k v", "", "GETDEL k", "EXISTS k"), ("SET k v", "", "GETEX k EX 1000", "TTL k"),
    ("", "", "SETBIT k 3 1", "BITCOUNT k"), ("SET q a", "", "BITOP NOT k q", "GET k"), ("", "", "BITFIELD k SET u8 0 7", "BITFIELD_RO k GET u8 0"),
    ("", "", "PFADD k a", "PFCOUNT k"), ("PFADD q a", "", "PFMERGE k q", "PFCOUNT k"), ("", "", "MSETNX a 1 k 2", "GET k"),
    # Lists.
    ("", "", "RPUSH k a b", "LRANGE k 0 -1"), ("RPUSH k a b", "", "LPOP k", "LLEN k"), ("RPUSH q a", "", "LMOVE q k LEFT LEFT", "LRANGE k 0 -1"),
    ("RPUSH k a b", "", "LSET k 0 c", "LINDEX k 0"), ("RPUSH k a b", "", "LMPOP 1 k LEFT", "LLEN k"),
    # Hashes, and fields that expire.
    ("", "", "HSET k f v", "HGETALL k"), ("HSET k f v", "", "HDEL k f", "HEXISTS k f"), ("", "", "HINCRBY k f 2", "HGET k f"),
    ("HSET k f v", "", "HPEXPIREAT k 9999999999999 FIELDS 1 f", "HPEXPIRETIME k FIELDS 1 f"),
    # Sets.
    ("", "", "SADD k a", "SMEMBERS k"), ("SADD k a", "", "SREM k a", "SCARD k"), ("SADD q a b", "", "SINTERSTORE k q q", "SMEMBERS k"),
    ("SADD q a", "", "SMOVE q k a", "SISMEMBER k a"), ("SADD k a", "", "SPOP k", "SISMEMBER k a"),
    # Sorted sets, places.
    ("", "", "ZADD k 1 a", "ZRANGE k 0 -1 WITHSCORES"), ("ZADD k 1 a", "", "ZINCRBY k 2 a", "ZSCORE k a"), ("ZADD k 1 a", "", "ZPOPMIN k", "ZCARD k"),
    ("ZADD q 1 a", "", "ZUNIONSTORE k 1 q", "ZRANGE k 0 -1"), ("", "", "GEOADD k 1 1 a", "GEOPOS k a"),
    ("GEOADD q 1 1 a", "", "GEOSEARCHSTORE k q FROMMEMBER a BYRADIUS 9 m", "ZCARD k"),
    # Streams.
    ("", "", "XADD k 1-1 f v", "XRANGE k - +"), ("XADD k 1-1 f v", "", "XDEL k 1-1", "XLEN k"), ("XADD k 1-1 f v", "", "XTRIM k MAXLEN 0", "XLEN k"),
    ("XADD k 1-1 f v;XGROUP CREATE k g 0", "", "XREADGROUP GROUP g c STREAMS k >", "XPENDING k g"),
    ("XADD k 1-1 f v;XGROUP CREATE k g 0;XREADGROUP GROUP g c STREAMS k >", "", "XACK k g 1-1", "XPENDING k g"),
    ("XADD k 1-1 f v", "", "XGROUP CREATE k g 0", "XINFO GROUPS k"),
    # Keys.
    ("SET q v", "", "RENAME q k", "GET k"), ("SET q v", "", "COPY q k", "GET k"), ("SET k v", "SELECT 1", "MOVE k 1", "GET k"),
    ("SET k v", "", "PEXPIREAT k 9999999999999", "PEXPIRETIME k"), ("SET k v EX 1000", "", "PERSIST k", "TTL k"),
    ("RPUSH q 2 1", "", "SORT q STORE k", "LRANGE k 0 -1"), ("SET k v", "", "UNLINK k", "TYPE k"), ("", "", "SET k v", "LPUSH k x"),
    ("", "", "SET k v", "OBJECT ENCODING k"),
    # All of them.
    ("", "", "SET k v", "DBSIZE"), ("", "", "SET k v", "KEYS *"), ("", "", "SET k v", "SCAN 0 COUNT 1000"), ("", "", "SET k v", "RANDOMKEY"),
    ("SET k v", "", "FLUSHALL", "DBSIZE"), ("SET k v", "", "FLUSHDB", "GET k"), ("SET k v", "SELECT 1", "SWAPDB 0 1", "GET k"),
    # Transactions.
    ("", "", "MULTI;SET a 1;SET k 2;EXEC", "GET k"), ("", "MULTI;GET k", "SET k v", "EXEC"), ("", "WATCH k;MULTI;GET a", "SET k v", "EXEC"),
    # Who waits.
    ("", "BLPOP k 0", "RPUSH k v", ""), ("", "BLMOVE k q LEFT LEFT 0", "RPUSH k v", ""), ("", "BZPOPMIN k 0", "ZADD k 1 v", ""),
    ("", "XREAD BLOCK 0 STREAMS k $", "XADD k 1-1 f v", ""), ("", "BLMPOP 0 1 k LEFT", "MULTI;RPUSH k v;EXEC", ""),
    # Messages.
    ("", "HELLO 3;SUBSCRIBE c", "SET k v;PUBLISH c told", ""), ("", "HELLO 3;SUBSCRIBE c", "MULTI;SET k v;PUBLISH c told;EXEC", ""),
    ("", "HELLO 3;SUBSCRIBE __keyevent@0__:set", "SET k v", ""), ("SET k v", "HELLO 3;CLIENT TRACKING ON;GET k", "SET k w", ""),
    ("", "HELLO 3;CLIENT TRACKING ON BCAST", "SET k w", ""),
]


class Gate:
    """While it is closed the disk takes nothing."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="ascii")

    def close(self):
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def open(self):
        fcntl.flock(self.file, fcntl.LOCK_UN)


def split(commands):
    return [command.split(" ") for command in commands.split(";") if command]


def field(text, name):
    return next((line.split(":", 1)[1] for line in text.decode().split("\r\n") if line.startswith(name + ":")), "")


class Held:
    """A server whose disk is behind a gate, and who asks how far it is."""

    def __init__(self, program, policy, *options):
        self.directory = tempfile.TemporaryDirectory(prefix="kevy-gate-")
        path = os.path.join(self.directory.name, "gate")
        self.gate = Gate(path)
        self.server = Server("--appendonly", "yes", "--appendfsync", policy, "--notify-keyspace-events", "KEA", *options, shards=2,
                             path=program, env={"KEVY_GATE": path})

    def __enter__(self):
        self.server.__enter__()
        self.watchers = [self.server.client() for _ in range(WATCHERS)]
        return self

    def __exit__(self, *failure):
        self.gate.open()
        for watcher in self.watchers:
            watcher.close()
        try:
            return self.server.__exit__(*failure)
        finally:
            self.directory.cleanup()

    def calls(self, command):
        stats = field(self.watchers[0].call("INFO", "commandstats"), "cmdstat_" + "|".join(command).lower())
        return int(stats.split(",")[0].split("=")[1]) if stats else 0

    def settle(self):
        """What was run is done with on both shards, and what may leave has left."""
        for _ in range(2):
            for watcher in self.watchers:
                watcher.call("PING")

    def let_run(self, client, commands):
        """Has them run, whether they are answered or not."""
        if not commands:
            return
        last = commands[-1][:2] if commands[-1][0] in ("OBJECT", "XGROUP", "XINFO") else commands[-1][:1]
        before = self.calls(last)
        client.send(b"".join(encode(*command) for command in commands))
        eventually("%s to run" % " ".join(last), lambda: self.calls(last) > before)
        self.settle()


def run(client, commands):
    for command in commands:
        client.call(*command)


def heard(client):
    client.receive()
    return bytes(client.buffer)


def begin(held, prepare):
    """The reader, who has said this."""
    reader = held.server.client()
    waits = prepare and prepare[-1][0] in ("BLPOP", "BLMOVE", "BZPOPMIN", "XREAD", "BLMPOP")
    run(reader, prepare[:-1] if waits else prepare)
    if waits:
        reader.send(encode(*prepare[-1]))
        eventually("the reader to wait", lambda: field(held.watchers[0].call("INFO", "clients"), "blocked_clients") == "1")
    return reader


def try_way(held, setup, prepare, write, read):
    with held.server.client() as writer:
        run(writer, [["FLUSHALL"]] + split(setup))
        with begin(held, split(prepare)) as reader:
            held.settle()
            assert heard(reader) == b"", "%s has more to say: %s" % (prepare, show(heard(reader)))
            held.gate.close()
            held.let_run(writer, split(write))
            held.let_run(reader, split(read))
            early = heard(writer) + heard(reader)
            assert not early, "shown before it is on the disk: %s; %s; %s: %s" % (prepare, write, read, show(early))
            held.gate.open()
            reader.read("what the reader is shown by %s; %s; %s" % (prepare, write, read))
            for _ in split(write):
                writer.read("the answer to %s" % write)


def ways(program, plant):
    with Held(program, "everysec" if plant else "always") as held:
        for way in WAYS:
            try_way(held, *way)


def written(server):
    """All that is in the files of the append-only log."""
    directory = os.path.join(server.directory, "appendonlydir")
    found = b""
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as file:
            found += file.read()
    return found


def ends(program):
    with Held(program, "always") as held:
        server, watcher = held.server, held.watchers[0]
        # Who quits hears everything first; so does who has nothing more to ask.
        with server.client() as quits, server.client() as leaves, server.client() as reads:
            held.gate.close()
            held.let_run(quits, [["SET", "k", "v"], ["QUIT"]])
            held.let_run(leaves, [["SET", "q", "v"]])
            leaves.half_close()
            held.let_run(reads, [["GET", "k"]])
            assert heard(quits) + heard(leaves) + heard(reads) == b""
            # What an operator asks is answered while the disk hangs; and so is who asks for other data, as a rule.
            assert int(field(watcher.call("INFO", "keyspace"), "db0").split(",")[0].split("=")[1]) == 2
            assert watcher.call("CONFIG", "GET", "appendfsync") == [b"appendfsync", b"always"]
            watcher.call("CLIENT", "LIST")
            watcher.call("SLOWLOG", "GET")
            held.gate.open()
            assert quits.read() == "OK" and quits.read() == "OK" and leaves.read() == "OK" and reads.read() == b"v"
            quits.read_until_closed()
            leaves.read_until_closed()
        # Who is killed is gone at once.
        with server.client() as victim:
            name = victim.call("CLIENT", "ID")
            held.gate.close()
            held.let_run(victim, [["SET", "k", "w"]])
            assert watcher.call("CLIENT", "KILL", "ID", name) == 1
            try:
                assert victim.read_until_closed() == b""
            except (Closed, ConnectionResetError):
                pass
            held.gate.open()
        # Who is held when replies wait no longer is answered all the same, as soon as the disk takes what he was held for.
        for option, value, back in (("appendfsync", "everysec", "always"), ("appendonly", "no", "yes")):
            with server.client() as client:
                held.gate.close()
                held.let_run(client, [["SET", "k", value]])
                assert watcher.call("CONFIG", "SET", option, value) == "OK"
                held.settle()
                held.gate.open()
                assert client.read("the reply that was held") == "OK"
                assert client.call("SET", "k", "more") == "OK" and client.call("GET", "k") == b"more"
                eventually("%s to be %s again" % (option, back), lambda: watcher.call("CONFIG", "SET", option, back) == "OK")
                assert client.call("SET", "k", "again") == "OK"
        # A server that is told to end waits for the disk, as long as it takes other clients to be answered.
        with server.client() as last:
            held.gate.close()
            held.let_run(last, [["SET", "k", "last"]])
            server.process.send_signal(signal.SIGTERM)
            eventually("the server to begin to end", lambda: "signal" in server.log().lower() or "shut" in server.log().lower())
            assert heard(last) == b""
            held.gate.open()
            assert last.read() == "OK"
            last.read_until_closed()
        assert server.wait("the server to end") == 0
        server.check_log()
        server.kill()
        assert b"last" in written(server), "what was acknowledged is not in the file"


def main():
    program, mode = os.path.abspath(sys.argv[1]), sys.argv[2]
    if mode == "ways":
        ways(program, "--plant" in sys.argv[3:])
    elif mode == "ends":
        ends(program)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
