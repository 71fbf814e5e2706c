#!/usr/bin/env python3
"""Whole RDB files: what one server saves another loads, and it is the same.

    run.py redis [--seed N] [--plant]     data of every type and encoding, in 16 databases, go from redis-server to kevy, from kevy to
                                          redis-server, and from kevy to kevy with other numbers of shards; later servers too, where
                                          they are (KEVY_REDIS_LATER, KEVY_VALKEY)
    run.py kill [--rounds N]              the server is killed while it saves: the next start loads the old or the new file, whole
    run.py shutdown [--rounds N]          SHUTDOWN SAVE while clients write: whatever was acknowledged is there at the next start
    run.py refuse                         a file that cannot be loaded: what the start and --check-data say, and that it stays as it is
    run.py loading                        what is answered while a file is loaded, beside redis-server; and what ends the server then
    run.py claim                          two servers in one directory: they do not replace each other's files
    run.py zoo DIRECTORY                  every RDB and append-only file of a collection: it loads to what its .expect says, or is refused

Compared are DEBUG DIGEST, which is Redis's own, and the time of each key that expires. --plant changes a byte of a value on the way;
it must be found. Where the zoo is missing, that is said and nothing is tested.
"""
import argparse
import concurrent.futures
import csv
import importlib.util
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Closed, Error, Server, encode, eventually, find_later_redis, find_redis, find_valkey, program, run_seed  # noqa: E402

FILE = "dump.rdb"
SHARDS = (1, 3, 8)
DATABASES = 16
FAR_MS = 4102444800000  # the year 2100
SETTINGS = [
    {},
    {"hash-max-listpack-entries": 4, "zset-max-listpack-entries": 4, "set-max-intset-entries": 4, "list-max-listpack-size": 3},
    {"hash-max-listpack-value": 5000, "zset-max-listpack-value": 5000, "hash-max-listpack-entries": 5000,
     "zset-max-listpack-entries": 5000, "list-max-listpack-size": -5, "set-max-intset-entries": 5000},
]


# ---- Data --------------------------------------------------------------------------------------------------------------------


def some_text(rng, short=False):
    kind = rng.randrange(6 if short else 8)
    if kind < 3:
        return b"%d" % (rng.getrandbits(rng.choice((3, 7, 8, 13, 16, 24, 32, 40, 63))) * rng.choice((1, -1)))
    if kind == 3:
        return rng.choice((b"", b"-0", b"01", b"9223372036854775807", b"-9223372036854775808", b"1.5", b"inf", b"\xff\x00\r\n"))
    size = rng.choice((1, 5, 20, 21, 63, 64, 65, 130, 260)) if kind < 6 + short else rng.choice((300, 4095, 5000, 17000, 70000))
    return bytes(rng.choice(b"ab") for _ in range(size)) if rng.randrange(2) else rng.getrandbits(8 * size).to_bytes(size, "little")


def value_commands(rng, key):
    """The commands that make a value of some type under the key, some of them in two steps."""
    kind = rng.choice(("SET", "SET", "RPUSH", "SADD", "SADD", "ZADD", "HSET", "PFADD", "SETBIT", "GEOADD", "XADD"))
    count = rng.choice((1, 2, 3, 5, 10, 100, 600))
    integers = rng.randrange(2)

    def member(i):
        return b"%d" % (rng.getrandbits(20) + i) if integers else b"%d:" % i + some_text(rng, count > 20)

    if kind == "SET":
        return [("SET", key, some_text(rng))]
    if kind == "SETBIT":
        return [("SETBIT", key, rng.randrange(100000), 1)]
    if kind == "GEOADD":
        return [("GEOADD", key, rng.uniform(-180, 180), rng.uniform(-80, 80), member(i)) for i in range(count % 20 + 1)]
    if kind == "XADD":
        return stream_commands(rng, key, count)
    words = []
    for i in range(count):
        words += [rng.choice((i, -i, i / 3, "inf", "-inf", 1e300))] if kind == "ZADD" else []
        words += [member(i)]
        words += [some_text(rng, count > 20)] if kind == "HSET" else []
    return [(kind, key) + tuple(words)]


def stream_commands(rng, key, count):
    """A stream, of which some entries are deleted, and a group that has read some of it."""
    commands = []
    for i in range(count):
        fields = [word for _ in range(rng.randrange(1, 4)) for word in (rng.choice((b"f", b"g", b"7")), some_text(rng, True))]
        commands.append(("XADD", key, "%d-%d" % (1000 + i // 3, i + 1), *fields))
    if rng.randrange(2):
        commands.append(("XDEL", key, "1000-1"))
    if rng.randrange(2):
        commands += [("XGROUP", "CREATE", key, "group", "0"), ("XREADGROUP", "GROUP", "group", "one", "COUNT", 5, "STREAMS", key, ">")]
    return commands


def fill(client, rng, keys=300):
    for i in range(keys):
        key = rng.choice((b"key:%d", b"%d", b"\xff\x00%d", b"k" * 5000 + b"%d", b"a longer name of a key, which compresses:aaaaaaaa:%d")) % i
        if i % 20 == 0:
            client.call("SELECT", rng.randrange(DATABASES))
        for command in value_commands(rng, key):
            reply = client.call(*command)
            if isinstance(reply, Error):
                sys.exit("%r is refused: %s" % (command[:3], reply))
        if rng.randrange(3) == 0:
            client.call("PEXPIREAT", key, FAR_MS + rng.randrange(10 ** 9))


def contents(client):
    """(digest, {database: {key: when it expires}})"""
    times = {}
    for db in range(DATABASES):
        client.call("SELECT", db)
        times[db] = {key: client.call("PEXPIRETIME", key) for key in client.call("KEYS", "*")}
    return client.call("DEBUG", "DIGEST"), times


# ---- On the way --------------------------------------------------------------------------------------------------------------


def server_with(directory, *arguments, **options):
    """A server that finds the file of another one's directory in its own."""
    server = Server("--enable-debug-command", "yes", *arguments, start=False, **options)
    if directory:
        shutil.copy(os.path.join(directory, FILE), os.path.join(server.directory, FILE))
    return server


def loaded(client):
    eventually("the file to be loaded", lambda: client.call("PING") == "PONG")
    return contents(client)


def as_seen_by(path, directory):
    """What another server makes of the file: digests of later servers are others."""
    with server_with(directory, path=path) as server:
        server.start()
        with server.client() as client:
            return loaded(client)


def arrive(what, directory, expected, **options):
    """Starts a server on the file, compares, and saves with that server. The server, which is to be left."""
    server = server_with(directory, **options)
    server.start()
    with server.client() as client:
        found = loaded(client)
        if found != expected:
            keys = [(db, key) for db in range(DATABASES) for key in set(found[1][db]) ^ set(expected[1][db])]
            server.show_log()
            sys.exit("DIFFERENT: %s: digest %s, expected %s; keys that only one has: %r" % (what, found[0], expected[0], keys[:5]))
        reply = client.call("SAVE")
        if reply != "OK":
            sys.exit("DIFFERENT: %s: SAVE says %s" % (what, reply))
    return server


def spoil(path, rng):
    """Changes a byte of a text in the file, which has no checksum."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    at = data.index(b"plant-me")
    data[at] ^= 1
    with open(path, "wb") as file:
        file.write(data)


def round_trip(rng, plant, settings):
    words = [str(word) for name, value in settings.items() for word in ("--" + name, value)]
    words += ["--rdbchecksum", "no"] if plant else ["--rdbcompression", rng.choice(("yes", "no")), "--rdbchecksum", rng.choice(("yes", "no"))]
    with server_with(None, *words, path=find_redis()) as redis:
        redis.start()
        with redis.client() as client:
            fill(client, rng)
            client.call("SET", "planted", "plant-me")
            expected = contents(client)
            assert client.call("SAVE") == "OK"
        if plant:
            spoil(os.path.join(redis.directory, FILE), rng)
        with arrive("redis-server to kevy", redis.directory, expected, shards=rng.choice(SHARDS)) as first:
            for shards in SHARDS:
                with arrive("kevy to kevy, %d shards" % shards, first.directory, expected, shards=shards) as kevy:
                    with arrive("kevy, %d shards, to redis-server" % shards, kevy.directory, expected, path=find_redis()):
                        pass
            for path in filter(None, (find_later_redis(), find_valkey())):
                seen = as_seen_by(path, redis.directory)
                with arrive("kevy to %s" % path, first.directory, seen, path=path) as later:
                    with arrive("%s to kevy" % path, later.directory, expected, shards=3):
                        pass


def from_kevy(rng, settings):
    """The same of data that kevy itself was given, and after DEBUG RELOAD."""
    words = [str(word) for name, value in settings.items() for word in ("--" + name, value) if not name.startswith("list")]
    with server_with(None, *words, shards=rng.choice(SHARDS)) as kevy:
        kevy.start()
        with kevy.client() as client:
            fill(client, rng)
            expected = contents(client)
            assert client.call("DEBUG", "RELOAD") == "OK"
            if contents(client) != expected:
                sys.exit("DIFFERENT: DEBUG RELOAD")
        with arrive("kevy to redis-server", kevy.directory, expected, path=find_redis()) as redis:
            with arrive("redis-server to kevy", redis.directory, expected, shards=rng.choice(SHARDS)):
                pass


def fields(client, keys):
    """{key: {field: (value, when it expires)}}"""
    found = {}
    for key in keys:
        flat = client.call("HGETALL", key)
        times = client.call("HPEXPIRETIME", key, "FIELDS", len(flat) // 2, *flat[::2])
        found[key] = {flat[2 * i]: (flat[2 * i + 1], times[i]) for i in range(len(times))}
    return found


def fields_that_expire(rng):
    """Hashes with such fields go to the first redis-server that has them, and back."""
    keys = ["hash:%d" % i for i in range(10)]
    with server_with(None, shards=3) as kevy:
        kevy.start()
        with kevy.client() as client:
            for number, key in enumerate(keys):
                for i in range(rng.choice((1, 3, 700))):
                    client.call("HSET", key, "field:%d" % i, some_text(rng, True))
                    if rng.randrange(2):
                        client.call("HPEXPIREAT", key, FAR_MS + rng.randrange(10 ** 9), "FIELDS", 1, "field:%d" % i)
                if number % 2:
                    client.call("PEXPIREAT", key, FAR_MS)
            expected = fields(client, keys)
            assert client.call("SAVE") == "OK"
        directory = kevy.directory
        for what, options in (("redis-server", {"path": find_later_redis()}), ("kevy", {"shards": 8})):
            server = server_with(directory, **options)
            with server:
                server.start()
                with server.client() as client:
                    eventually("the file to be loaded", lambda: client.call("PING") == "PONG")
                    if fields(client, keys) != expected:
                        sys.exit("DIFFERENT: fields that expire, in %s" % what)
                    assert client.call("SAVE") == "OK"
                shutil.copy(os.path.join(server.directory, FILE), os.path.join(directory, FILE))


def run_redis(arguments):
    rng = random.Random(arguments.seed)
    print("seed %d" % arguments.seed)
    if not (find_later_redis() and find_valkey()):
        print("without redis-server 8 or valkey-server 9")
    for settings in SETTINGS:
        round_trip(rng, arguments.plant, settings)
        from_kevy(rng, settings)
    if find_later_redis():
        fields_that_expire(rng)
    print("ok: %d round trips" % (2 * len(SETTINGS)))


# ---- Killed while it saves ---------------------------------------------------------------------------------------------------


def run_kill(arguments):
    rng = random.Random(arguments.seed)
    print("seed %d" % arguments.seed)
    with Server("--rdbcompression", "no", shards=3, start=False) as server:
        saved = 0
        for number in range(1, arguments.rounds + 1):
            server.start()
            with server.client() as client:
                loaded = client.call("GET", "round")
                loaded = int(loaded) if loaded is not None else 0
                if loaded not in (saved, number - 1):
                    sys.exit("TORN: round %d is there, %d was saved last" % (loaded, saved))
                if loaded and client.call("DBSIZE") != 2001:
                    sys.exit("TORN: round %d has %s keys" % (loaded, client.call("DBSIZE")))
                if loaded and client.call("GET", "key:1999") != b"%d:" % loaded + b"x" * 2000:
                    sys.exit("TORN: round %d holds another's values" % loaded)
                saved = loaded
                client.pipeline([("SET", "key:%d" % i, b"%d:" % number + b"x" * 2000) for i in range(2000)] + [("SET", "round", number)])
                timer = threading.Timer(rng.uniform(0, 0.03), os.kill, (server.pid, signal.SIGKILL))
                client.send(encode("SAVE"))
                timer.start()
                try:
                    if client.read() == "OK":
                        saved = number
                except (Closed, OSError):
                    pass
                timer.join()
            server.kill()
        print("ok: killed %d times" % arguments.rounds)


# ---- SHUTDOWN SAVE, and a bad file -------------------------------------------------------------------------------------------


def count_up(server, key, counted, ready):
    """Increments the key until the server goes; what it said last stands in counted[key] then."""
    try:
        with server.client() as client:
            while True:
                counted[key] = client.call("INCR", key)
                if counted[key] == 100:
                    ready.release()
    except (Closed, OSError):
        pass


def run_shutdown(arguments):
    with Server(shards=4, start=False) as server:
        counted = {}
        for number in range(arguments.rounds):
            server.start()
            ready = threading.Semaphore(0)
            with server.client() as client:
                before = {key: int(client.call("GET", key) or 0) for key in counted}
                lost = {key: (before[key], counted[key]) for key in counted if before[key] < counted[key]}
                if lost:
                    sys.exit("LOST: what was acknowledged, by key (there, acknowledged): %r" % lost)
                client.call("FLUSHALL")
                counted = {}
                threads = [threading.Thread(target=count_up, args=(server, "counter:%d" % i, counted, ready)) for i in range(6)]
                for thread in threads:
                    thread.start()
                for _ in threads:
                    if not ready.acquire(timeout=60):
                        sys.exit("waited 60 s for a client to count to 100")
                client.send(encode("SHUTDOWN", "SAVE"))
                client.read_until_closed()
            if server.wait("the server to end") != 0:
                sys.exit("it ended with %d" % server.process.returncode)
            server.kill()
            for thread in threads:
                thread.join()
        print("ok: %d shutdowns" % arguments.rounds)


def run_refuse(_):
    bad = b"REDIS0010\xfe\x00\x00\x04good\x01v\x02\x03bad\x02\x01a\x01a\xff" + b"\0" * 8
    where = "dump.rdb: offset 24: database 0, key \"bad\": no value is like this"
    with Server(shards=3, start=False) as server:
        path = os.path.join(server.directory, FILE)
        with open(path, "wb") as file:
            file.write(bad)
        result = subprocess.run([program(), "--port", "0", "--unixsocket", server.socket_path, "--dir", server.directory], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        if result.returncode != 1 or "Cannot load " + where not in result.stdout or "is ready" in result.stdout:
            sys.exit("it ended with %d, and said:\n%s" % (result.returncode, result.stdout))
        result = subprocess.run([program(), "--check-data", server.directory], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=60, check=False)
        if result.returncode != 1 or result.stdout != "kevy: %s\n" % where:
            sys.exit("--check-data ended with %d, and said:\n%s" % (result.returncode, result.stdout))
        if sorted(os.listdir(server.directory)) != [FILE] or open(path, "rb").read() != bad:
            sys.exit("the directory is not as it was: %r" % os.listdir(server.directory))
        os.remove(path)
        os.mkdir(path)
        result = subprocess.run([program(), "--check-data", server.directory], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=60, check=False)
        if result.returncode != 1 or result.stdout != "kevy: dump.rdb: Is a directory\n":
            sys.exit("--check-data ended with %d, and said:\n%s" % (result.returncode, result.stdout))
        os.rmdir(path)
        with open(path, "wb") as file:
            file.write(bad[:19] + bad[-9:])
        result = subprocess.run([program(), "--check-data", server.directory], text=True, stdout=subprocess.PIPE, timeout=60, check=True)
        if result.stdout != "dump.rdb: 1 keys, 0 expired, 28 of 28 bytes: no fault\n":
            sys.exit("--check-data said %r" % result.stdout)
        server.start()
        with server.client() as client:
            if client.call("GET", "good") != b"v":
                sys.exit("the key is not there")
    print("ok")


# ---- Two servers in one directory ---------------------------------------------------------------------------------------------


def in_directory_of(server, *arguments):
    """Another server in its directory, which is to be refused: the status and what it says."""
    result = subprocess.run([program(), "--port", "0", "--unixsocket", server.socket_path + "3", *arguments], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=server.directory, timeout=60, check=False)
    return result.returncode, result.stdout


def run_claim(_):
    with Server(shards=2) as first, Server(shards=1, start=False) as second:
        shutil.rmtree(second.directory)
        second.directory, own = first.directory, second.directory
        second.log_path, second.socket_path = first.log_path + "2", first.socket_path + "2"
        second.start()  # there is nothing yet that either of them could lose
        named = "another server (pid %d) keeps its data in the directory %s: " % (first.pid, first.directory)
        with first.client() as client, second.client() as other:
            if client.call("SAVE") != b"OK" and client.call("SAVE") != "OK":
                sys.exit("the first SAVE failed")
            if not isinstance(other.call("SAVE"), Error) or "Cannot save the data: " + named not in second.log():
                sys.exit("two servers save into one directory: %s" % second.log())
        status, said = in_directory_of(first)
        if status != 1 or "Cannot start: " + named not in said or "is ready" in said:
            sys.exit("a second server: status %d, %s" % (status, said))
        status, said = in_directory_of(first, "--dbfilename", "other.rdb", "--check-config")
        if status != 0:
            sys.exit("--check-config: status %d, %s" % (status, said))
        result = subprocess.run([program(), "--check-data", first.directory], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=60, check=True)
        if "no fault" not in result.stdout or "in use by a server (pid %d)" % first.pid not in result.stderr:
            sys.exit("--check-data: %r" % result)
        with open(os.path.join(first.directory, "temp-%d.rdb" % first.pid), "wb"):
            pass  # as a save that is killed leaves it
        first.kill()
        with second.client() as other:
            if isinstance(other.call("SAVE"), Error):
                sys.exit("the first server has ended, and the second cannot save: %s" % second.log())
        second.kill()
        second.start()
        if [name for name in os.listdir(first.directory) if name.startswith("temp-")] or "it was left half written" not in second.log():
            sys.exit("what was left half written is there: %s" % second.log())
        second.kill()
        second.directory = own
        os.mkdir(own)
    print("ok")


# ---- While it loads ----------------------------------------------------------------------------------------------------------

DEBUG = ("--enable-debug-command", "yes")
# What is asked of both servers while they load, one after another, by one client.
ASKED = ["PING", "ECHO hi", "GET k", "SET k v", "DBSIZE", "SELECT 1", "SELECT 0", "EXISTS k", "TIME", "HELLO 2", "CLIENT SETNAME x",
         "CLIENT GETNAME", "CONFIG GET dbfilename", "CONFIG RESETSTAT", "COMMAND COUNT x", "LASTSAVE x", "SAVE", "KEYS *", "FLUSHALL",
         "SWAPDB 0 1", "OBJECT HELP", "OBJECT ENCODING k", "MEMORY USAGE k", "DEBUG HELP x", "PUBLISH a b", "WATCH k", "UNWATCH", "MULTI", "GET k",
         "EXEC", "MULTI", "PUBLISH a b", "EXEC", "MULTI", "PING", "DISCARD", "WAIT 0 0", "BLPOP k 0", "SCAN 0", "RESET", "SLOWLOG LEN",
         "AUTH x", "NOSUCH x", "GET", "SHUTDOWN ABORT", "SUBSCRIBE a", "GET k", "PING", "UNSUBSCRIBE a"]
FIELDS = ("loading", "async_loading", "loading_start_time", "loading_total_bytes", "loading_rdb_used_mem", "loading_loaded_bytes",
          "loading_loaded_perc", "loading_eta_seconds")


def slow_to_load(server, delay_us):
    """Started with the file that lies in its directory; it takes its time, and is served."""
    server.arguments = [*DEBUG, "--key-load-delay", delay_us, "--loading-process-events-interval-bytes", 1024]
    server.spawn()

    def connected():
        try:
            return server.client()
        except OSError:
            return None

    return eventually("the server to listen while it loads", connected)


def fields_of(client):
    lines = client.call("INFO", "persistence").decode().splitlines()
    return dict(line.split(":", 1) for line in lines if line.split(":", 1)[0] in FIELDS)


def ask_while_loading(server):
    """The replies, and the fields that INFO has before and after."""
    with slow_to_load(server, 3000) as client:
        eventually("the load to begin", lambda: isinstance(client.call("GET", "k"), Error))
        replies = [client.call(*words.split(" ")) for words in ASKED]
        eventually("something to be loaded", lambda: int(fields_of(client)["loading_rdb_used_mem"]))
        fields = fields_of(client)
        client.call("CONFIG", "SET", "key-load-delay", "0")
        eventually("the load to end", lambda: not isinstance(client.call("PING"), Error))
        return replies, fields, fields_of(client), client.call("DEBUG", "DIGEST")


def check_fields(name, fields, afterwards, size):
    if tuple(fields) != FIELDS or fields["loading"] != "1" or int(fields["loading_total_bytes"]) != size:
        sys.exit("%s: INFO has, while it loads: %r" % (name, fields))
    share = int(fields["loading_loaded_bytes"]) / size * 100
    if abs(float(fields["loading_loaded_perc"]) - share) > 0.01 or int(fields["loading_rdb_used_mem"]) == 0:
        sys.exit("%s: INFO has, while it loads: %r" % (name, fields))
    if afterwards != {"loading": "0", "async_loading": "0"}:
        sys.exit("%s: INFO has, after it has loaded: %r" % (name, afterwards))


def end_while_loading(server, how):
    """Nothing is written, and it ends in order."""
    path = os.path.join(server.directory, FILE)
    with open(path, "rb") as file:
        before = file.read()
    with slow_to_load(server, 100000) as client:
        eventually("the load to begin", lambda: isinstance(client.call("GET", "k"), Error))
        if how == signal.SIGTERM:
            server.process.send_signal(how)
        else:
            client.send(encode(*how.split(" ")))
        status = server.wait("the server to end while it loads")
    server.kill()
    with open(path, "rb") as file:
        if status != 0 or file.read() != before or set(os.listdir(server.directory)) - {FILE, "log", "socket"}:
            sys.exit("%s: status %d; the directory has %r" % (how, status, os.listdir(server.directory)))


def run_loading(_):
    with Server(*DEBUG, shards=2, start=False) as first, Server(*DEBUG, shards=1, start=False) as second, \
            Server(path=find_redis(), start=False) as redis:
        first.start()
        with first.client() as client:
            for i in range(5000):
                client.send(encode("SET", "key:%d" % i, random.Random(i).randbytes(100)))
            for _ in range(5000):
                client.read()
            client.call("SAVE")
            digest = client.call("DEBUG", "DIGEST")
        first.kill()
        path = os.path.join(first.directory, FILE)
        size = os.path.getsize(path)
        answers = {}
        for name, server in (("redis", redis), ("one shard", second), ("two shards", first)):
            if server is not first:
                shutil.copy(path, server.directory)
            replies, fields, afterwards, loaded = ask_while_loading(server)
            check_fields(name, fields, afterwards, size)
            answers[name] = replies
            if loaded != digest:
                sys.exit("%s: what was loaded is not what was saved: %r, %r" % (name, loaded, digest))
            server.kill()
        for name in ("one shard", "two shards"):
            for words, ours, theirs in zip(ASKED, answers[name], answers["redis"]):
                if repr(ours) != repr(theirs) and not words.startswith(("TIME", "HELLO", "DEBUG")):
                    sys.exit("%s, while it loads: %s: %r, where redis-server says %r" % (name, words, ours, theirs))
        os.unlink(first.log_path)
        for how in ("SHUTDOWN", "SHUTDOWN SAVE", "SHUTDOWN NOSAVE", signal.SIGTERM):
            end_while_loading(first, how)
    print("ok: %d requests while three servers loaded" % (3 * len(ASKED)))


# ---- The zoo -----------------------------------------------------------------------------------------------------------------

# What kevy refuses although some server loads it, in words of its log, and which files may be refused so.
LACKS = [("the value is of a type that kevy does not read", "types", "STREAM"), ("it holds functions", "opcodes", "FUNCTION")]
# Values that redis-server loads unless sanitize-dump-payload is on: kevy always looks so closely.
CLOSER = {"payload__014_quicklist_listpack_entry_start_with_eof.rdb", "payload__023_hash_duplicate_records.rdb",
          "payload__025_fuzzer_findings_npd_in_streamiteratorgetid.rdb", "payload__070_fuzzer_findings_empty_set_listpack.rdb"}
# A stream of which its file says that it has 120 entries, and has 118: kevy counts them.
COUNTED = {"hdt__stream_listpacks_1.rdb": ["-  length=120 ", "+  length=118 "]}


def verdict(check, row):
    said, log = check.one(program(), row, ["--shards", "3"], None)
    if said == "not loaded":
        for words, column, kind in LACKS:
            if words in log and kind in row[column]:
                return "lacking: " + kind.lower(), ""
        if re.search(r"Unknown command '(eval|function)' \(kevy has no scripts yet\) reading the append only file", log, re.IGNORECASE):
            return "lacking: scripts", ""
        if row["name"] in CLOSER and re.search(r"Cannot load dump.rdb: offset \d+: database 0, key \".*\": no value is like this", log):
            return "closer than redis-server", ""
    changes = [line for line in log.splitlines() if re.match(r"[-+] ", line)]
    if said == "diff" and [line[:len("-  length=120 ")] for line in changes] == COUNTED.get(row["name"]):
        return "closer than redis-server", ""
    return said, log


def run_zoo(arguments):
    if not os.path.exists(os.path.join(arguments.directory, "check.py")):
        print("SKIPPED: no collection of RDB files at %s" % arguments.directory)
        return
    spec = importlib.util.spec_from_file_location("check", os.path.join(arguments.directory, "check.py"))
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    with open(os.path.join(arguments.directory, "index.tsv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    counts, bad = {}, 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for row, (said, log) in zip(rows, pool.map(lambda row: verdict(check, row), rows)):
            counts[said] = counts.get(said, 0) + 1
            if said != "ok" and not said.startswith(("lacking", "closer")):
                bad += 1
                print("%s: %s (version %s): %s" % (said, row["name"], row["version"], log.strip()[-300:]))
    print("; ".join("%d %s" % (count, said) for said, count in sorted(counts.items())))
    if bad or not rows:
        sys.exit("%d files are not as they should be" % bad)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    redis = commands.add_parser("redis")
    redis.add_argument("--seed", type=int, default=run_seed())
    redis.add_argument("--plant", action="store_true")
    kill = commands.add_parser("kill")
    kill.add_argument("--rounds", type=int, default=12)
    kill.add_argument("--seed", type=int, default=run_seed())
    shutdown = commands.add_parser("shutdown")
    shutdown.add_argument("--rounds", type=int, default=8)
    commands.add_parser("refuse")
    commands.add_parser("loading")
    commands.add_parser("claim")
    zoo = commands.add_parser("zoo")
    zoo.add_argument("directory")
    arguments = parser.parse_args()
    {"redis": run_redis, "kill": run_kill, "shutdown": run_shutdown, "refuse": run_refuse, "loading": run_loading, "claim": run_claim, "zoo": run_zoo}[arguments.command](arguments)


if __name__ == "__main__":
    main()
