#!/usr/bin/env python3
"""Append-only files that lie there at a start, made by hand: kevy and redis-server make the same of them.

    run.py redis            every case, beside redis-server: it is loaded or refused alike, to the same data; what is left on the disk
    run.py batches          files of kevy's own: torn, damaged, with holes; what is loaded, cut off, kept, or refused with the offset
    run.py check            --check-data and --repair over the same files, which nothing else changes
    run.py redis --plant    a byte of a value is another one for kevy: the comparison must notice

Compared is DEBUG DIGEST, which is Redis's own.
"""
import argparse
import fcntl
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Server, ServerFailed, find_redis, program  # noqa: E402

DIRECTORY, SINGLE = "appendonlydir", "appendonly.aof"
BASE, INCR, SECOND, MANIFEST = (os.path.join(DIRECTORY, "appendonly.aof." + name) for name in
                                ("1.base.rdb", "1.incr.aof", "2.incr.aof", "manifest"))
ON = ("--appendonly", "yes", "--enable-debug-command", "yes")


def command(*words):
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


# A key `base` in database 0 and one that has expired long ago; written by redis-server 2.4, so that no checksum is needed.
RDB = b"REDIS0003\xfe\x00\x00\x04base\x01v\xfc\x01\x00\x00\x00\x00\x00\x00\x00\x00\x03old\x01v\xff"
SET, MORE = command("SET", "k", "v"), command("APPEND", "k", "!")
LISTED = b"file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
LISTED_2 = LISTED + b"file appendonly.aof.2.incr.aof seq 2 type i\n"


def directory(first, second=None, manifest=None, base=RDB):
    files = {BASE: base, INCR: first, MANIFEST: manifest or (LISTED if second is None else LISTED_2)}
    if second is not None:
        files[SECOND] = second
    return {path: data for path, data in files.items() if data is not None}


MULTI = command("MULTI") + command("RPUSH", "l", "1", "2") + command("SELECT", "3") + command("SET", "k", "3")
LARGE = command("SET", "large", "x" * 300000)
MANY = command("RPUSH", "list", *("element:%d" % i for i in range(40000)))
# What each of them is, and its files.
CASES = {
    "a single file": {SINGLE: command("SELECT", "0") + SET + MORE},
    "a single file behind RDB": {SINGLE: RDB + MORE},
    "a single file of nothing": {SINGLE: b""},
    "timestamps and remarks": {SINGLE: b"#TS:1700000000\r\n" + SET + b"# remark\n" + MORE + b"#\n"},
    "cut in an argument": {SINGLE: SET + MORE[:-3]},
    "cut in a length": {SINGLE: SET + b"*2\r\n$"},
    "cut in a count": {SINGLE: SET + b"*2"},
    "cut behind RDB": {SINGLE: RDB + MORE + MORE[:-5]},
    "cut in RDB": {SINGLE: RDB[:-20]},
    "nonsense": {SINGLE: SET + b"nonsense\r\n" + SET},
    "an inline command": {SINGLE: b"SET k v\r\n"},
    "a count of nothing": {SINGLE: SET + b"*0\r\n"},
    "no count": {SINGLE: SET + b"*x\r\n"},
    "a length that is none": {SINGLE: SET + b"*1\r\n+PING\r\n"},
    "an unknown command": {SINGLE: SET + command("NOSUCH", "k") + MORE},
    "a command that fails": {SINGLE: SET + command("LPUSH", "k", "v") + command("INCR", "k") + MORE},
    "a transaction": {SINGLE: SET + MULTI + command("EXEC") + MORE},
    "a transaction without its end": {SINGLE: SET + MULTI},
    "a transaction that is cut": {SINGLE: SET + MULTI[:-4]},
    "only the beginning of a transaction": {SINGLE: SET + command("MULTI")},
    "expiry in the past and ahead": {SINGLE: SET + command("PEXPIREAT", "k", 1000) + command("SET", "l", 1, "PXAT", 4102444800000)},
    "what had expired is made to last": {SINGLE: SET + command("PEXPIREAT", "k", 1000) + command("PERSIST", "k") + MORE},
    "what has expired is counted up": {SINGLE: command("SET", "n", 5, "PXAT", 1000) + command("INCR", "n") + command("PERSIST", "n")},
    "what has expired in RDB is made to last": directory(command("PERSIST", "old")),
    "blocking commands": {SINGLE: SET + command("BLPOP", "none", 0) + command("RPUSH", "l", 1, 2) + command("BLPOP", "l", 0)},
    "large arguments": {SINGLE: SET + LARGE + MANY + LARGE + MORE},
    "cut in a large argument": {SINGLE: SET + LARGE[:200000]},
    "databases": {SINGLE: command("SELECT", 15) + SET + command("SELECT", 0) + SET + command("SWAPDB", 0, 1) + command("MOVE", "k", 2)},
    "streams": {SINGLE: command("XADD", "s", "1-1", "f", "v") + command("XGROUP", "CREATE", "s", "g", 0) +
                command("XCLAIM", "s", "g", "c", 0, "1-1", "TIME", 1600000000000, "RETRYCOUNT", 3, "FORCE", "JUSTID", "LASTID", "1-1")},
    "functions of nothing": {SINGLE: SET + command("FUNCTION", "FLUSH") + command("FUNCTION", "RESTORE", b"\n\0]\x9b\\@\x0f\x7f\xa2\xda") + MORE},
    "base and one file": directory(SET),
    "base and two files": directory(SET, MORE),
    "empty files": directory(b"", b""),
    "SELECT counts in its file alone": directory(command("SELECT", 3) + SET, MORE + SET),
    "only incremental files": directory(SET, MORE, base=None, manifest=b"".join(LISTED_2.splitlines(True)[1:])),
    "remarks in the manifest": directory(SET, manifest=b"# a remark\n" + LISTED),
    "more pairs in the manifest": directory(SET, manifest=LISTED.replace(b"type i", b"type i startoffset 4 endoffset 9 new thing")),
    "names in quotes": directory(SET, manifest=LISTED.replace(b"appendonly.aof.1.incr.aof", b'"appendonly.aof.1.incr.\\x61of"')),
    "base with plain commands": directory(SET, base=command("SET", "base", "v")),
    "the last one torn": directory(SET, MORE + MORE[:-3]),
    "the first one torn": directory(SET + SET[:-3], MORE),
    "an open transaction before the last": directory(SET + MULTI, MORE),
    "the base torn": directory(SET, base=RDB[:-10]),
    "no base": directory(SET, base=None, manifest=LISTED),
    "no incremental file": {path: data for path, data in directory(SET).items() if path != INCR},
    "no manifest": {path: data for path, data in directory(SET).items() if path != MANIFEST},
    "a manifest of nothing": dict(directory(SET), **{MANIFEST: b""}),
    "a manifest of remarks": directory(SET, manifest=b"# nothing\n"),
    "a manifest without an end": directory(SET, manifest=LISTED[:-1]),
    "a blank line": directory(SET, manifest=LISTED.replace(b"\n", b"\n\n", 1)),
    "an unknown type": directory(SET, manifest=LISTED.replace(b"type i", b"type x")),
    "a path for a name": directory(SET, manifest=LISTED.replace(b"file appendonly.aof.1.incr", b"file ../appendonly.aof.1.incr")),
    "numbers that fall": directory(SET, MORE, manifest=LISTED_2.replace(b"seq 2", b"seq 1")),
    "two bases": directory(SET, manifest=LISTED + b"file appendonly.aof.1.base.rdb seq 2 type b\n"),
    "history": dict(directory(SET, manifest=LISTED + b"file gone seq 1 type h\nfile old seq 2 type h\n"), **{DIRECTORY + "/old": b"nonsense"}),
    "a single file beside a directory": dict(directory(SET), **{SINGLE: command("SET", "other", 1)}),
    "a move that was cut short": {SINGLE: SET, MANIFEST: b"file appendonly.aof seq 1 type b\n"},
}
# What is left on the disk is not the same. redis-server cuts off within the transaction, whose beginning is then there for whatever it
# appends; kevy does in front of it. Where no manifest names the files that are there, redis-server writes over them. And kevy writes a
# base where there is none.
LEFT_OTHERWISE = {"a transaction that is cut", "no manifest", "a manifest of remarks", "only incremental files"}
STRAY = {"no manifest", "a manifest of remarks"}
# Where kevy is as it is by intention: what it does, in words of its log; and why.
OTHERWISE = {
    # redis-server takes a command that has too few arguments, and may die of it.
    "too few arguments": "Wrong number of arguments for 'SET' reading the append only file appendonly.aof at offset 0",
}


def put(server, files, planted=False):
    for path, data in files.items():
        path = os.path.join(server.directory, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data.replace(b"\r\nv\r\n", b"\r\nw\r\n") if planted else data)


# What redis-server appends to a file that it has loaded, and kevy to one that is empty.
EXPIRED = re.compile(rb"(#kevy [^\n]*\n)?\*2\r\n\$6\r\nSELECT\r\n\$1\r\n0\r\n(\*2\r\n\$3\r\nDEL\r\n\$\d\r\n(old|k|n)\r\n)+$")


def left(server):
    """The files that are left, with their contents."""
    found = {}
    for folder, _, names in os.walk(server.directory):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), server.directory)
            if path in ("socket", "log"):
                continue
            with open(os.path.join(folder, name), "rb") as file:
                found[path] = EXPIRED.sub(b"", file.read())
    return found


def started(server):
    """The digest of what is there; None: it has refused to start."""
    try:
        server.start()
    except ServerFailed:
        server.kill()
        return None
    with server.client() as client:
        client.call("EXISTS", "old", "k", "n")  # whoever of them has expired goes now
        digest = client.call("DEBUG", "DIGEST")
    server.kill()
    return digest


def compare(name, files, planted):
    with Server(*ON, shards=3, start=False) as kevy, Server(*ON, path=find_redis(), start=False) as redis:
        put(kevy, files, planted)
        put(redis, files)
        ours, theirs = started(kevy), started(redis)
        if ours != theirs:
            sys.exit("DIFFERENT: %s: kevy %s, redis-server %s\n%s" % (name, ours, theirs, kevy.log()[-600:]))
        mine, others = left(kevy), left(redis)
        for path in files:
            moved = os.path.join(DIRECTORY, path)
            if path == MANIFEST or name in LEFT_OTHERWISE or (ours is None and path in mine and mine[path] == files[path]):
                continue
            if (path in mine) != (path in others) or mine.get(path) != others.get(path) or mine.get(moved) != others.get(moved):
                sys.exit("DIFFERENT: %s: %s is left as %r by kevy, as %r by redis-server"
                         % (name, path, mine.get(path, mine.get(moved)), others.get(path, others.get(moved))))
        if name in STRAY and any(mine[path] != data for path, data in files.items() if path != MANIFEST):
            sys.exit("DIFFERENT: %s: files that no manifest names were written over" % name)
        for path, data in mine.items():
            torn = re.fullmatch(r"(.*)\.torn-(\d+)", path)
            if torn and data != files.get(torn.group(1))[int(torn.group(2)):]:
                sys.exit("DIFFERENT: %s: %s holds %r" % (name, path, data))
        return ours is None


def run_redis(arguments):
    refused = sum(compare(name, files, arguments.plant) for name, files in CASES.items())
    for name, words in OTHERWISE.items():
        refuse(name, {SINGLE: command("SET", "k")}, words)
    print("ok: %d sets of files, %d of them refused" % (len(CASES), refused))


# ---- Batches -----------------------------------------------------------------------------------------------------------------


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def batch(first, last, safe, commands):
    return b"#kevy seq=%d-%d len=%d crc=%08x safe=%d\n" % (first, last, len(commands), crc32c(commands), safe) + commands


ONE, TWO, THREE = batch(1, 1, 0, SET), batch(2, 3, 0, MORE), batch(4, 4, 0, MORE)
SAFE = batch(4, 4, 3, MORE)


def flipped(data):
    return data[:-4] + bytes([data[-4] ^ 1]) + data[-3:]


# What is loaded of the key, and where the file is cut off; or the offset that is told.
TORN = {
    "whole": (ONE + TWO + SAFE, b"v!!", None),
    "the last one cut": (ONE + TWO[:-3], b"v", len(ONE)),
    "the last line cut": (ONE + TWO[:12], b"v", len(ONE)),
    "the last one flipped": (ONE + flipped(TWO), b"v", len(ONE)),
    "nothing but a torn one": (ONE[:-3], None, 0),
    "one in the middle, of which nobody said that it was safe": (ONE + flipped(TWO) + THREE, b"v", len(ONE)),
    "zeroes behind the end": (ONE + bytes(1000), b"v", len(ONE)),
    "a sector of zeroes at the beginning": (bytes(512) + ONE[20:], None, 0),
    "a line is lost": (ONE + bytes(60) + TWO[60:] + THREE, b"v", len(ONE)),
    "what redis-server wrote behind it": (ONE + TWO + MORE + MORE[:-2], b"v!!", len(ONE + TWO + MORE)),
}
DAMAGED = {
    "one that was safe": (ONE + flipped(TWO) + SAFE, len(ONE)),
    "the line of one that was safe": (ONE + TWO.replace(b"seq=2", b"seq=x") + SAFE, len(ONE)),
    "the first one": (flipped(ONE) + TWO + SAFE, 0),
    "nonsense of redis-server behind it": (ONE + MORE + b"nonsense" + MORE, len(ONE + MORE)),
}


def refuse(name, files, words):
    with Server(*ON, shards=2, start=False) as server:
        put(server, files)
        if started(server) is not None or words not in server.log():
            sys.exit("%s: it should say %r, and says:\n%s" % (name, words, server.log()[-800:]))
        found = left(server)
        if any(found.get(path) != data for path, data in files.items()):
            sys.exit("%s: the files are not as they were" % name)


def run_batches(_):
    for name, (data, value, cut) in TORN.items():
        if cut is not None:
            with Server(*ON, "--aof-load-truncated", "no", start=False) as server:
                put(server, directory(data))
                if started(server) is not None or "Unexpected end of file" not in server.log() or left(server)[INCR] != data:
                    sys.exit("%s: with aof-load-truncated no: %s" % (name, server.log()[-600:]))
        with Server(*ON, shards=2, start=False) as server:
            put(server, directory(data))
            server.start()
            with server.client() as client:
                if client.call("GET", "k") != value:
                    sys.exit("%s: the key is %r" % (name, client.call("GET", "k")))
            found = left(server)  # a file that is empty now is written to anew
            kept = found.get("%s.torn-%s" % (INCR, cut))
            if (found[INCR] != (data if cut is None else data[:cut]) and cut != 0) or kept != (None if cut is None else data[cut:]):
                sys.exit("%s: the file is %r, and %r was kept" % (name, found[INCR], kept))
            server.kill()
            server.start()
            with server.client() as client:
                if client.call("GET", "k") != value:
                    sys.exit("%s: after another start the key is %r" % (name, client.call("GET", "k")))
    for name, (data, offset) in DAMAGED.items():
        refuse(name, directory(data), "reading the append only file %s at offset %d" % (INCR, offset))
    print("ok: %d files" % (len(TORN) + len(DAMAGED)))


# ---- Looking -----------------------------------------------------------------------------------------------------------------


def look(server, *more, path=""):
    result = subprocess.run([program(), "--check-data", os.path.join(server.directory, path), *more], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            timeout=60, check=False)
    return result.returncode, result.stdout


def check_torn(name, data, cut):
    with Server(*ON, "--aof-load-truncated", "no", start=False) as server:
        files = directory(data)
        put(server, files)
        status, text = look(server)
        offset = "appendonly.aof.1.incr.aof: offset %s" % cut
        if status != (cut is not None) or left(server) != files or (offset in text) != (cut is not None):
            sys.exit("%s: --check-data ended with %d, and said:\n%s" % (name, status, text))
        status, text = look(server, "--repair")
        if status != 0 or (cut is not None and left(server)["%s.torn-%d" % (INCR, cut)] != data[cut:]):
            sys.exit("%s: --repair ended with %d, and said:\n%s" % (name, status, text))
        status, text = look(server)
        if status != 0 or "no fault" not in text:
            sys.exit("%s: after --repair: %d\n%s" % (name, status, text))
        server.start()
        server.kill()


def check_used():
    """What a server uses is not repaired, however its files are named: it may be about to write what seems to be torn."""
    with Server(start=False) as server:
        server.kill()  # it never runs
        files = directory(SET + MORE[:-3])
        put(server, files)
        used = os.open(server.directory, os.O_RDONLY)
        fcntl.flock(used, fcntl.LOCK_EX)  # as a server does
        for path in ("", DIRECTORY, MANIFEST, INCR):
            status, text = look(server, "--repair", path=path)
            if status != 1 or "in use by a server (pid %d)" % os.getpid() not in text or left(server) != files:
                sys.exit("%r is in use, and --repair ended with %d, and said:\n%s" % (path, status, text))
            status, text = look(server, path=path)
            if status != 1 or "in use by a server" not in text or "--repair cuts that off" not in text:
                sys.exit("%r is in use, and --check-data ended with %d, and said:\n%s" % (path, status, text))
        os.close(used)
        status, text = look(server, "--repair", path=DIRECTORY)
        if status != 0 or left(server)[INCR] != SET:
            sys.exit("%r is in use no longer, and --repair ended with %d, and said:\n%s" % (DIRECTORY, status, text))


def check_beside():
    """A copy that lies beside a server's files is not the server's, and two who repair do not hinder each other."""
    with Server(start=False) as server:
        server.kill()  # it never runs
        files = directory(SET + MORE[:-3])
        put(server, files)
        put(server, {os.path.join("copy", name): data for name, data in files.items()})
        used = os.open(server.directory, os.O_RDONLY)
        for path, how in (("copy", fcntl.LOCK_EX), (DIRECTORY, fcntl.LOCK_SH)):  # as a server does, and as who repairs another copy
            fcntl.flock(used, how)
            status, text = look(server, "--repair", path=path)
            if status != 0 or "was cut off" not in text:
                sys.exit("%r is not in use, and --repair ended with %d, and said:\n%s" % (path, status, text))
        os.close(used)


def run_check(_):
    check_used()
    check_beside()
    for name, (data, _, cut) in TORN.items():
        check_torn(name, data, cut)
    for name, (data, offset) in DAMAGED.items():
        with Server(start=False) as server:
            files = directory(data)
            server.kill()  # it never runs
            put(server, files)
            for more in ((), ("--repair",)):
                status, text = look(server, *more)
                if status != 1 or "%s at offset %d" % (INCR, offset) not in text or left(server) != files:
                    sys.exit("%s: --check-data %s ended with %d, and said:\n%s" % (name, " ".join(more), status, text))
    print("ok: %d files" % (len(TORN) + len(DAMAGED)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    redis = commands.add_parser("redis")
    redis.add_argument("--plant", action="store_true")
    commands.add_parser("batches")
    commands.add_parser("check")
    arguments = parser.parse_args()
    {"redis": run_redis, "batches": run_batches, "check": run_check}[arguments.command](arguments)


if __name__ == "__main__":
    main()
