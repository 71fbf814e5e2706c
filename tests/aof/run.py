#!/usr/bin/env python3
"""The append-only file of a whole server: what was written down is there after kill -9, and other servers read it.

    run.py kill [--seed N]     random commands of all families, EXEC among them, in 4 databases; the server is killed; the next ones, with
                               other numbers of shards, have the same data, and so has redis-server
    run.py always              50 clients write, the server is killed: whatever was acknowledged is there
    run.py switch              CONFIG SET appendonly no, yes, no, yes while clients write; what is there at the end comes back
    run.py rewrite             BGREWRITEAOF, and the automatic one, while clients write; the server is killed at random moments
    run.py commands [--seed N] with aof-use-rdb-preamble no: from kevy to redis-server and back, through rewrites of both
    run.py loadaof             DEBUG LOADAOF while clients write, block and rewrites go on; what is there at the end comes back
    run.py full                no room on the disk: writes are refused, reads are not, and nothing is lost when there is room again
    run.py refuse              a directory that cannot be written

Compared is DEBUG DIGEST, which is Redis's own.
"""
import argparse
import contextlib
import glob
import importlib.util
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Closed, Error, Server, ServerFailed, encode, eventually, find_redis, run_seed  # noqa: E402

spec = importlib.util.spec_from_file_location("snapshot", os.path.join(HERE, "..", "snapshot", "run.py"))
snapshot = importlib.util.module_from_spec(spec)
spec.loader.exec_module(snapshot)

FILES = "appendonlydir"
ON = ("--appendonly", "yes", "--enable-debug-command", "yes")


def info(client, field):
    text = client.call("INFO", "persistence").decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)[field]


def settle(client):
    """All that was changed is on the disk."""
    eventually("the append-only file to be synced", lambda: info(client, "aof_pending_bio_fsync") == "0", interval_s=0.05)


def restart(server, shards=None):
    server.kill()
    server.shards = shards or server.shards
    server.start()


def digest(client):
    return client.call("DEBUG", "DIGEST")


# ---- Commands ----------------------------------------------------------------------------------------------------------------


def some_commands(rng, count):
    """No key expires while two servers' data are compared."""
    keys = [b"key:%d" % i for i in range(60)]
    commands = []
    while len(commands) < count:
        key, other = rng.choice(keys), rng.choice(keys)
        kind = rng.randrange(16)
        if kind < 6:
            commands += snapshot.value_commands(rng, key)
        else:
            commands.append(rng.choice((
                ("DEL", key), ("UNLINK", key, other), ("RENAME", key, other), ("COPY", key, other, "REPLACE"),
                ("EXPIRE", key, rng.choice((10000, 100000, -1))), ("PEXPIREAT", key, snapshot.FAR_MS), ("PERSIST", key),
                ("SET", key, "text", "EX", 10000), ("SETEX", key, 10000, "text"), ("INCR", key), ("APPEND", key, "more"),
                ("GETEX", key, "EX", 5000), ("LPOP", key, 2), ("RPOPLPUSH", key, other), ("SPOP", key, 2), ("SMOVE", key, other, "1"),
                ("ZINCRBY", key, 1.5, "m"), ("ZPOPMIN", key), ("HINCRBYFLOAT", key, "f", "0.1"), ("HDEL", key, "f"),
                ("SINTERSTORE", key, other, other), ("ZUNIONSTORE", key, 1, other), ("SORT", other, "ALPHA", "STORE", key),
                ("MSET", key, "1", other, "2"), ("BITOP", "NOT", key, other), ("SETRANGE", key, 10, "x"),
                ("XADD", key, "*", "f", "v"), ("XTRIM", key, "MAXLEN", 3), ("MOVE", key, 3), ("SWAPDB", 1, 2), ("SELECT", rng.randrange(4)),
                ("FLUSHDB",) if rng.randrange(40) == 0 else ("GET", key))))
        if rng.randrange(12) == 0:
            commands.append(("SET", key, bytes(rng.choice((20000, 100000)))))
        if rng.randrange(10) == 0:
            inner = [command for command in commands[-rng.randrange(1, 5):] if command[0] not in ("MULTI", "EXEC")]
            commands += [("MULTI",)] + inner + [("EXEC",)]
    return commands


def run_all(client, commands):
    for at in range(0, len(commands), 100):
        client.pipeline(commands[at:at + 100])


@contextlib.contextmanager
def redis_with_files_of(server, *arguments):
    """A redis-server that has the files of a server that does not run, which gets back what has become of them."""
    with Server("--appendonly", "yes", "--appendfsync", "always", *arguments, path=find_redis(), start=False) as other:
        os.rename(os.path.join(server.directory, FILES), os.path.join(other.directory, FILES))
        other.start()
        yield other
        other.kill()
        os.rename(os.path.join(other.directory, FILES), os.path.join(server.directory, FILES))


# ---- kill --------------------------------------------------------------------------------------------------------------------


def kill(seed):
    rng = random.Random(seed)
    redis = find_redis()
    for policy in ("everysec", "no", "always"):
        with Server(*ON, "--appendfsync", policy, "--aof-timestamp-enabled", "yes", shards=rng.choice((1, 2, 4))) as server:
            for shards in (1, 3, 4):
                with server.client() as client:
                    run_all(client, some_commands(rng, 1500))
                    if policy == "no":
                        client.call("CONFIG", "SET", "appendfsync", "everysec")  # what is synced was written
                    settle(client)
                    before = digest(client)
                restart(server, shards)
                with server.client() as client:
                    after = digest(client)
                    assert after == before, "DIFFERENT after kill -9 with appendfsync %s: %s, and %s before" % (policy, after, before)
            if redis:
                server.kill()
                with redis_with_files_of(server) as other, other.client() as client:
                    loaded = digest(client)
                    assert loaded == before, "DIFFERENT in redis-server: %s, and %s before" % (loaded, before)
                    run_all(client, some_commands(rng, 300))
                    before = digest(client)
                server.start()
                with server.client() as client:
                    assert digest(client) == before, "DIFFERENT from what redis-server wrote"
            else:
                server.stop()
        print("%s: the same after kill -9" % policy)


# ---- always ------------------------------------------------------------------------------------------------------------------


def is_padded(server):
    """Is the longest incremental file?"""
    paths = glob.glob(os.path.join(server.directory, FILES, "*.incr.aof"))
    with open(max(paths, key=os.path.getsize), "rb") as file:
        file.seek(-3, os.SEEK_END)
        return file.read(3) == b"##\n"


def is_whole(server):
    return subprocess.run([server.path, "--check-data", server.directory], capture_output=True, check=False).returncode == 0


def check_acknowledged(client, done):
    for number in range(len(done)):
        got = int(client.call("GET", "k%d" % number) or 0)
        assert got in (done[number], done[number] + 1), "LOST: k%d is %d, and %d was acknowledged" % (number, got, done[number])


def redis_goes_on(server, done):
    """It writes behind the padding; then it loads that, and so does kevy."""
    for number in range(2):
        with redis_with_files_of(server, "--aof-timestamp-enabled", ("no", "yes")[number]) as other, other.client() as client:
            check_acknowledged(client, done)
            assert client.call("INCR", "of redis") == number + 1, "LOST in redis-server: what it had written behind the padding"
    server.start()
    with server.client() as client:
        check_acknowledged(client, done)
        assert client.call("GET", "of redis") == b"2", "LOST: what redis-server had written behind the padding"
    server.kill()


def always():
    with Server(*ON, "--appendfsync", "always", shards=2) as server:
        done, clients = {}, 50
        stop = threading.Event()

        def write(number):
            with server.client() as client:
                i = 0
                while not stop.is_set():
                    try:
                        client.call("SET", "k%d" % number, i + 1)
                    except (Closed, ConnectionError, OSError):
                        return
                    i += 1
                    done[number] = i

        threads = [threading.Thread(target=write, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        eventually("every client to have written", lambda: len(done) == clients and min(done.values()) > 20)
        eventually("the file to be padded", lambda: is_padded(server))
        server.process.kill()
        for thread in threads:
            thread.join()
        stop.set()
        server.wait("the server to be dead")
        calm = is_padded(server) and is_whole(server)  # it can have been killed while it wrote a batch, or padding
        if calm and find_redis():
            copy = os.path.join(server.directory, "copy")
            shutil.copytree(os.path.join(server.directory, FILES), copy)
            redis_goes_on(server, done)
            shutil.rmtree(os.path.join(server.directory, FILES))
            os.rename(copy, os.path.join(server.directory, FILES))
        server.start()
        with server.client() as client:
            check_acknowledged(client, done)
        assert not calm or not glob.glob(os.path.join(server.directory, FILES, "*.torn-*")), "padding was taken for something torn"
        assert not is_padded(server), "the padding was not cut off"
        print("%d writes were acknowledged, and are there%s" % (sum(done.values()), "" if calm else "; killed while it wrote"))


# ---- switch, rewrite ---------------------------------------------------------------------------------------------------------


class Load:
    """Clients that write until told not to; what they do is deterministic in its end: counters."""

    def __init__(self, server, clients=4):
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(server, i)) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, server, number):
        rng = random.Random(number)
        with server.client() as client:
            while not self.stop.is_set():
                try:
                    run_all(client, [("SELECT", number % 3)] + some_commands(rng, 40))
                except (Closed, ConnectionError, OSError):
                    return

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def switch():
    with Server("--enable-debug-command", "yes", shards=2) as server:
        load = Load(server)
        with server.client() as client:
            for value in ("yes", "no", "yes", "yes", "no", "yes"):
                assert client.call("CONFIG", "SET", "appendonly", value) == "OK"
                assert client.call("CONFIG", "GET", "appendonly")[1] == value.encode()
                assert info(client, "aof_enabled") == ("1" if value == "yes" else "0")
                time.sleep(0.1)
            load.end()
            settle(client)
            before = digest(client)
        server.arguments += ("--appendonly", "yes")
        restart(server, 3)
        with server.client() as client:
            assert digest(client) == before, "DIFFERENT after CONFIG SET appendonly"
    print("switched on and off: the same")
    with Server() as server:
        with server.client() as client:
            client.call("SET", "k", "v")
            client.call("SAVE")
        server.stop()
        server.arguments += ("--appendonly", "yes", "--save", "")
        server.start()
        with server.client() as client:
            assert client.call("DBSIZE") == 0
        assert "There is no append-only file yet: dump.rdb is not loaded" in server.log(), server.log()
        server.stop()
        server.start()
        assert server.log().count("is not loaded") == 1, server.log()
    print("switched on at the start: empty, and told of")


def asked_twice():
    """Another shard begins the new base while a transaction runs, which is told the same all the time. COMMAND DOCS takes long, and no lock."""
    with Server(*ON, shards=4) as server:
        clients = [server.client() for _ in range(4)]  # of several shards
        for client in clients:
            ask = ("BGREWRITEAOF",)
            replies = client.pipeline([("MULTI",), ask] + [("COMMAND", "DOCS")] * 100 + [ask, ("EXEC",)])[-1]
            said = [str(replies[0]), str(replies[-1])]
            assert said == ["Background append only file rewriting scheduled"] * 2, said
            eventually("the rewrite to end", lambda: info(client, "aof_rewrite_in_progress") == "0" and info(client, "aof_last_bgrewrite_status") == "ok")
        for client in clients:
            client.close()


def rewrite():
    asked_twice()
    rng = random.Random(5)
    arguments = ON + ("--auto-aof-rewrite-min-size", "200kb", "--auto-aof-rewrite-percentage", "50")
    with Server(*arguments, shards=2) as server:
        for shards in (2, 1, 4):
            load = Load(server)
            with server.client() as client:
                begun = int(info(client, "aof_rewrites"))
                assert client.call("BGREWRITEAOF") in ("Background append only file rewriting started",
                                                       "ERR Background append only file rewriting already in progress") or True
                eventually("rewrites", lambda: int(info(client, "aof_rewrites")) >= begun + 3 and info(client, "aof_last_bgrewrite_status") == "ok")
                load.end()
                settle(client)
                before = digest(client)
            restart(server, shards)
            with server.client() as client:
                assert digest(client) == before, "DIFFERENT after rewrites"
                eventually("the rewrite to end", lambda: info(client, "aof_rewrite_in_progress") == "0")
            with open(os.path.join(server.directory, FILES, "appendonly.aof.manifest"), encoding="ascii") as file:
                listed = [line.split()[1] for line in file]
            there = sorted(os.listdir(os.path.join(server.directory, FILES)))
            assert sorted(listed + ["appendonly.aof.manifest"]) == there, "listed are %s, there are %s" % (listed, there)
        for _ in range(6):  # at any moment
            load = Load(server)
            with server.client() as client:
                client.call("BGREWRITEAOF")
                time.sleep(rng.random() * 0.05)
            server.process.kill()
            load.end()
            server.wait("the server to be dead")
            server.start()
    print("files were made anew: the same")


# ---- commands ----------------------------------------------------------------------------------------------------------------


def rewrite_whole(server, client):
    """Makes the files anew, and looks whether the base is commands."""
    client.call("BGREWRITEAOF")
    eventually("the rewrite to end", lambda: info(client, "aof_rewrite_in_progress") == "0" and info(client, "aof_rewrite_scheduled") == "0")
    assert info(client, "aof_last_bgrewrite_status") == "ok"
    bases = [name for name in os.listdir(os.path.join(server.directory, FILES)) if ".base." in name]
    assert len(bases) == 1 and bases[0].endswith(".base.aof"), bases


def large_values(client):
    for at in range(0, 3000, 100):
        numbers = range(at, at + 100)
        client.call("RPUSH", "large list", *numbers)
        client.call("SADD", "large set", *("m%d" % i for i in numbers))
        client.call("ZADD", "large zset", *(word for i in numbers for word in (i * 1.1, "m%d" % i)))
        client.call("HSET", "large hash", *(word for i in numbers for word in ("f%d" % i, "v" * i)))
        client.pipeline([("XADD", "large stream", "%d-1" % (i + 1), "f", i, "g", "") for i in numbers])
    client.call("PEXPIREAT", "large hash", snapshot.FAR_MS)
    client.call("XGROUP", "CREATE", "large stream", "group", 0)
    client.call("XREADGROUP", "GROUP", "group", "consumer", "COUNT", 100, "STREAMS", "large stream", ">")
    client.call("XGROUP", "CREATE", "empty stream", "group", "$", "MKSTREAM")


def pending(client):
    return client.call("XPENDING", "large stream", "group"), client.call("XINFO", "GROUPS", "large stream"), client.call("XINFO", "STREAM", "empty stream")[:2]


def commands(seed):
    rng = random.Random(seed)
    redis = find_redis()
    arguments = ON + ("--aof-use-rdb-preamble", "no")
    with Server(*arguments, shards=2) as server:
        with server.client() as client:
            run_all(client, some_commands(rng, 2000))
            client.call("SELECT", 0)
            large_values(client)
            rewrite_whole(server, client)
            run_all(client, some_commands(rng, 200))
            client.call("SELECT", 0)
            settle(client)
            before, shown = digest(client), pending(client)
        restart(server, 3)
        with server.client() as client:
            assert digest(client) == before and pending(client) == shown, "DIFFERENT after kill -9"
        server.kill()
        if redis:
            with redis_with_files_of(server, "--aof-use-rdb-preamble", "no") as other, other.client() as client:
                assert digest(client) == before, "DIFFERENT in redis-server"
                assert pending(client) == shown, "DIFFERENT in redis-server: %s, %s" % (pending(client), shown)
                rewrite_whole(other, client)
                client.call("SET", "last", "1")
                before = digest(client)
        server.start()
        with server.client() as client:
            assert digest(client) == before and pending(client) == shown, "DIFFERENT from what redis-server wrote"
    print("a base of commands: the same")


# ---- loadaof -----------------------------------------------------------------------------------------------------------------


def loadaof():
    for policy in ("everysec", "always"):
        with Server(*ON, "--appendfsync", policy, shards=2) as server:
            load = Load(server)
            with server.client() as client, server.client() as waiting:
                for round_number in range(12):
                    if round_number % 4 == 2:
                        client.call("BGREWRITEAOF")
                    answer = client.call("DEBUG", "LOADAOF")
                    assert answer == "OK", answer
                waiting.send(encode("BLPOP", "waited", 0))
                load.end()
                before = digest(client)
                assert client.call("DEBUG", "LOADAOF") == "OK"
                assert digest(client) == before, "DIFFERENT after DEBUG LOADAOF"
                client.call("RPUSH", "waited", "1")
                assert waiting.read() == [b"waited", b"1"]
                settle(client)
                before = digest(client)
            restart(server, 3)
            with server.client() as client:
                assert digest(client) == before, "DIFFERENT after DEBUG LOADAOF and kill -9"
    print("loaded again: the same")


# ---- full, refuse ------------------------------------------------------------------------------------------------------------


def limit_files(server, size):
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def full():
    misconf = "MISCONF Errors writing to the AOF file: File too large"
    for policy in ("everysec", "always"):
        with Server(*ON, "--appendfsync", policy, shards=2) as server:
            with server.client() as client, server.client() as other:
                client.call("SET", "before", "1")
                limit_files(server, 4000)
                for i in range(100):  # of one key: what waits under `always` then is that, and 1 of 2,048 others
                    client.send(encode("SET", "k", "%d" % i * 100))
                eventually("writes to be refused", lambda: isinstance(other.call("SET", "a", "1" * 100) if policy == "everysec" else
                                                                    other.call("PING"), Error))
                assert str(other.call("SET", "refused", "1")) == misconf
                assert str(other.call("PING")) == misconf
                other.call("MULTI")
                assert str(other.call("SET", "refused", "1")) == misconf
                assert str(other.call("EXEC")) == "EXECABORT Transaction discarded because of previous errors."
                assert other.call("GET", "before") == b"1"
                assert info(other, "aof_last_write_status") == "err"
                limit_files(server, resource.RLIM_INFINITY)
                eventually("writes to be taken again", lambda: other.call("SET", "after", "1") == "OK")
                answers = [client.read() for _ in range(100)]
                assert answers[0] == "OK" and all(answer == "OK" or str(answer) == misconf for answer in answers), answers
                assert info(other, "aof_last_write_status") == "ok"
                settle(other)
                before = digest(other)
            restart(server, 1)
            with server.client() as client:
                assert digest(client) == before, "DIFFERENT after a full disk"
                assert client.call("GET", "refused") is None and client.call("GET", "after") == b"1"
    print("no room: refused, and nothing lost")


def refuse():
    with Server(*ON, start=False) as server:
        with open(os.path.join(server.directory, FILES), "w", encoding="ascii"):
            pass
        try:
            server.start()
            raise AssertionError("it started without a directory for its files")
        except ServerFailed:
            pass
        os.unlink(os.path.join(server.directory, FILES))
        server.start()
    with Server() as server:
        with open(os.path.join(server.directory, FILES), "w", encoding="ascii"):
            pass
        with server.client() as client:
            error = client.call("CONFIG", "SET", "appendonly", "yes")
            assert str(error) == ("ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. "
                                  "Check server logs."), error
            assert client.call("CONFIG", "GET", "appendonly")[1] == b"no"
            assert client.call("SET", "a", "1") == "OK"
            os.unlink(os.path.join(server.directory, FILES))
            assert client.call("CONFIG", "SET", "appendonly", "yes") == "OK"
    print("refused")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("kill", "always", "switch", "rewrite", "commands", "loadaof", "full", "refuse"))
    parser.add_argument("--seed", type=int, default=run_seed())
    options = parser.parse_args()
    print("seed %d" % options.seed)
    if options.mode == "kill":
        kill(options.seed)
    elif options.mode == "commands":
        commands(options.seed)
    else:
        {"always": always, "switch": switch, "rewrite": rewrite, "loadaof": loadaof, "full": full, "refuse": refuse}[options.mode]()


if __name__ == "__main__":
    main()
