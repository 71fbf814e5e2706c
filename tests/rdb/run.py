#!/usr/bin/env python3
"""The RDB codec beside redis-server, and over files of other servers.

    run.py PROBE redis [--rounds N] [--plant]     values that redis-server makes, and what it takes back
    run.py PROBE mutate [--rounds N]              its payloads with changed bytes: what it refuses is refused, the rest is equal
    run.py PROBE streams [--rounds N]             streams that kevy and redis-server restore from each other's dumps
    run.py PROBE zoo DIRECTORY                    each value of each file there, beside what its .expect says
    run.py PROBE restore DIRECTORY                each of them given to RESTORE: what the probe takes is there, the rest is refused, and
                                                  no memory is left of any

The server is that of KEVY_REDIS, or the installed one; later ones also make fields that expire, and Valkey has types of its own.
PROBE (probe.c) reads payloads and writes them anew. --plant changes a byte of one value's text; it must be found. Where the zoo is
missing, that is said and nothing is tested.
"""
import argparse
import csv
import gzip
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Error, Server, eventually, find_redis, run_seed  # noqa: E402

FOOTER = 10
FAR_MS = 4102444800000  # the year 2100
WRITTEN = ("plain", "plain, compressed", "packed", "packed, compressed")


# ---- The probe ---------------------------------------------------------------------------------------------------------------


class Probe:
    """What kevy says of payloads: (what became of it, text, payloads written)."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def part(self):
        (size,) = struct.unpack("<I", self.process.stdout.read(4))
        return self.process.stdout.read(size)

    def __call__(self, payload):
        try:
            self.process.stdin.write(struct.pack("<I", len(payload)) + payload)
            self.process.stdin.flush()
            said = self.part().decode()
            return (said, self.part(), [self.part() for _ in WRITTEN]) if said == "ok" else (said, b"", [])
        except (OSError, struct.error):
            sys.exit("the probe ended with %s on %r" % (self.process.wait(), payload[:2000]))

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit("the probe ended with %d" % self.process.returncode)


TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x95AC9329AC4BC9B5 if byte & 1 else 0)
    TABLE.append(byte)


def sealed(body, version):
    body += struct.pack("<H", version)
    crc = 0
    for byte in body:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return body + struct.pack("<Q", crc)


# ---- Text --------------------------------------------------------------------------------------------------------------------


def quoted(value):
    return b'"' + b"".join(b"\\" + bytes([c]) if c in b'"\\' else bytes([c]) if 32 <= c < 127 else b"\\x%02x" % c for c in value) + b'"'


def in_order(text):
    """A value's text with its lines in the order of the text, but for lists and sorted sets, whose order is their own."""
    lines = text.split(b"\n")[:-1]
    if lines[0] == b"stream":
        return stream_lines(lines[1:])
    if lines[0] in (b"set", b"hash"):
        lines[1:] = sorted(lines[1:])
    return lines


def pair_of(number):
    return tuple(map(int, number.split(b"-")))


def read_by(number, entries, last, added):
    """What Redis 7 takes a group to have read that has come to this number, of a stream from before it counted that."""
    if added == 0:
        return 0
    if not entries or number == last:
        return added
    if number > last or number > entries[0]:
        return None
    return added - len(entries) + (number == entries[0])


def stream_lines(parts):
    """A stream as the files of the zoo have it, from what probe.c says of its parts."""
    entries, groups, ids, state = [], [], [], None
    for part in parts:
        kind, number, rest = part.split(None, 2)
        if kind in (b"limits", b"producer", b"known", b"counts"):
            continue  # what the files have of producers is not told there
        if kind == b"entry":
            entries.append(b"  entry " + number + b" " + rest)
            ids.append(pair_of(number))
        name, old, added, deleted, read, time_ms, deliveries = ([None] * 7 if kind == b"entry" else (b" " + rest).rsplit(None, 6) if kind in (
            b"group", b"consumer") else [None] + rest.split())
        if kind == b"state":
            state = number, int(added), deleted, old == b"1"
        elif kind == b"group":
            reads = read_by(pair_of(number), ids, pair_of(state[0]), state[1]) if int(old) else int(read)
            known = b"null" if reads in (None, -1) else b"%d" % reads
            groups.append([b"  group " + name.strip() + b" last=" + number + b" read=" + known, [], []])
        elif kind == b"consumer":
            groups[-1][2].append([name.strip(), time_ms, 0])
        elif kind == b"pending":
            groups[-1][2][-1][2] += 1
            groups[-1][1].append((pair_of(number), b"    pending %s consumer=%s time=%s count=%s" % (number, groups[-1][2][-1][0], time_ms, deliveries)))
        elif kind == b"released":
            groups[-1][1].append((pair_of(number), b"    pending %s consumer=\"\" time=%s count=%s" % (number, time_ms, deliveries)))
    first = b"%d-%d" % (ids[0] if ids else (0, 0))
    lines = [b"stream", b"  length=%d last=%s added=%d maxdel=%s first=%s" % (len(ids), state[0], state[1], state[2], first)] + entries
    for head, pending, consumers in groups:
        lines += [head] + [line for _, line in sorted(pending)]
        lines += [b"    consumer %s seen=%s pending=%d" % tuple(consumer) for consumer in sorted(consumers)]
    return lines


def stream_text(server, key):
    """The same of a key."""
    def pairs(flat):
        return dict(zip(flat[::2], flat[1::2]))

    about = pairs(server("XINFO", "STREAM", key, "FULL", "COUNT", 0))
    yield b"length=%d last=%s added=%d maxdel=%s first=%s" % (server("XLEN", key), about[b"last-generated-id"], about[b"entries-added"],
                                                              about[b"max-deleted-entry-id"], about[b"recorded-first-entry-id"])
    for number, fields in server("XRANGE", key, "-", "+"):
        yield b"entry %s %s" % (number, b" ".join(map(quoted, fields)))
    for group in map(pairs, about[b"groups"]):
        read = group[b"entries-read"]
        yield b"group %s last=%s read=%s" % (quoted(group[b"name"]), group[b"last-delivered-id"], b"null" if read is None else b"%d" % read)
        for number, consumer, time_ms, count in group[b"pending"]:
            yield b"  pending %s consumer=%s time=%d count=%d" % (number, quoted(consumer), time_ms, count)
        for consumer in map(pairs, group[b"consumers"]):
            yield b"  consumer %s seen=%d pending=%d" % (quoted(consumer[b"name"]), consumer[b"seen-time"], consumer[b"pel-count"])


def show(payload):
    return payload[:400].hex()


class Failed(Exception):
    pass


# ---- redis-server ------------------------------------------------------------------------------------------------------------


class Redis:
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="kevy-rdb-")
        self.start()

    def start(self):
        self.socket = os.path.join(self.directory.name, "socket")
        self.process = subprocess.Popen(
            [find_redis(), "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", self.directory.name,
             "--enable-debug-command", "yes", "--sanitize-dump-payload", "yes", "--crash-log-enabled", "no"], stdout=subprocess.DEVNULL)
        import socket
        deadline = time.monotonic() + 20 * float(os.environ.get("KEVY_TIME_SCALE", "1"))
        while True:
            try:
                self.connection = socket.socket(socket.AF_UNIX)
                self.connection.connect(self.socket)
                self.file = self.connection.makefile("rb")
                self("PING")
                self.is_valkey = b"valkey_version" in self("INFO", "server")
                self.fields_expire = not isinstance(self("HPEXPIRETIME", "none", "FIELDS", 1, "f"), Exception)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def __call__(self, *words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis-server went away")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return int(rest) if kind == b":" else RuntimeError(rest.decode()) if kind == b"-" else rest

    def text(self, key):
        """The contents of a key as probe.c tells them."""
        kind = self("TYPE", key)
        if kind == b"string":
            lines = [quoted(self("GET", key))]
        elif kind == b"list":
            lines = [quoted(value) for value in self("LRANGE", key, 0, -1)]
        elif kind == b"set":
            lines = sorted(quoted(value) for value in self("SMEMBERS", key))
        elif kind == b"hash":
            flat = self("HGETALL", key)
            times = self("HPEXPIRETIME", key, "FIELDS", len(flat) // 2, *flat[::2]) if self.fields_expire else [-1] * len(flat)
            lines = sorted(quoted(flat[2 * i]) + b" " + quoted(flat[2 * i + 1]) + (b" expire=%d" % times[i] if times[i] > 0 else b"")
                           for i in range(len(flat) // 2))
        elif kind == b"stream":
            lines = list(stream_text(self, key))
        else:
            flat = self("ZRANGE", key, 0, -1, "WITHSCORES")
            pairs = [(flat[i], float(flat[i + 1])) for i in range(0, len(flat), 2)]
            pairs.sort(key=lambda pair: (pair[1], pair[0]))
            lines = [b"%s %s" % (b"%.17g" % (score + 0.0), quoted(member)) for member, score in pairs]
        return [kind] + [b"  " + line for line in lines]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()


SETTINGS = [
    {},
    {"hash-max-listpack-entries": 4, "zset-max-listpack-entries": 4, "set-max-intset-entries": 4, "list-max-listpack-size": 3},
    {"hash-max-listpack-value": 5000, "zset-max-listpack-value": 5000, "hash-max-listpack-entries": 5000, "zset-max-listpack-entries": 5000,
     "list-max-listpack-size": -5, "set-max-intset-entries": 5000},
    {"rdbcompression": "no", "list-compress-depth": 1},
]


def some_bytes(rng):
    kind = rng.randrange(8)
    if kind < 3:
        return b"%d" % (rng.getrandbits(rng.choice((3, 7, 8, 12, 13, 16, 24, 32, 40, 63))) * rng.choice((1, -1)))
    if kind == 3:
        return rng.choice((b"", b"-0", b"01", b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"1.5", b"inf"))
    size = rng.choice((1, 5, 20, 21, 63, 64, 65, 130, 260)) if kind < 7 else rng.choice((300, 4095, 4096, 5000, 17000))
    return bytes(rng.choice(b"ab") for _ in range(size)) if rng.randrange(2) else rng.getrandbits(8 * size).to_bytes(size, "little")


def make(redis, rng, key):
    """A value of some type under the key."""
    redis("DEL", key)
    kind = rng.choice(("SET", "RPUSH", "SADD", "SADD", "ZADD", "HSET"))
    count = rng.choice((1, 2, 3, 5, 10, 100, 600))
    words = []
    integers = rng.randrange(2)
    for _ in range(count):
        name = b"%d" % (rng.getrandbits(rng.choice((8, 15, 16, 31, 40, 62))) * rng.choice((1, -1))) if kind == "SADD" and integers else some_bytes(rng)
        if kind == "ZADD":
            words.append(rng.choice((rng.randrange(-100, 100), rng.random(), rng.gauss(0, 1e30), "inf", "-inf", "-0", rng.getrandbits(50))))
        words.append(name)
        if kind == "HSET":
            words.append(some_bytes(rng))
    reply = redis(kind, key, *(words[-1:] if kind == "SET" else words))
    if isinstance(reply, Exception):
        raise reply
    if kind == "HSET" and redis.fields_expire and rng.randrange(2):
        for field in words[::2][::rng.choice((1, 2, 5))]:
            redis("HPEXPIREAT", key, FAR_MS + rng.getrandbits(rng.choice((3, 20, 40))), "FIELDS", 1, field)


def against_redis(probe, rounds, seed, plant):
    rng = random.Random(seed)
    redis = Redis()
    types = {}
    try:
        for number in range(rounds):
            if number % 50 == 0:
                redis("DEBUG", "QUICKLIST-PACKED-THRESHOLD", rng.choice(("200b", "1g")))
                for name, value in SETTINGS[number // 50 % len(SETTINGS)].items():
                    redis("CONFIG", "SET", name, value)
            make(redis, rng, "key")
            payload = redis("DUMP", "key")
            types[payload[0]] = types.get(payload[0], 0) + 1
            said, text, written = probe(payload)
            if plant and number == 10:
                text = text[:-2] + b"!" + text[-1:]
            if said != "ok" or in_order(text) != redis.text("key"):
                raise Failed("round %d: DIFFERENT: type %d is %s: %s" % (number, payload[0], said, show(payload)))
            digest = redis("DEBUG", "DIGEST-VALUE", "key")
            for form, again in zip(WRITTEN, written):
                if again[0] == 24 and redis.is_valkey:
                    continue  # which has another type for fields that expire
                answer = redis("RESTORE", "again", 0, again, "REPLACE")
                if answer != b"OK" or redis("DEBUG", "DIGEST-VALUE", "again") != digest:
                    raise Failed("round %d: redis-server says %s to %s: %s" % (number, answer, form, show(again)))
                types["written %d" % again[0]] = types.get("written %d" % again[0], 0) + 1
    finally:
        redis.close()
    print("values by type:", ", ".join("%s: %d" % pair for pair in sorted(types.items(), key=str)))
    missing = {0, 2, 4, 5, 11, 16, 17, 18, "written 1", "written 2", "written 11", "written 16", "written 17", "written 18"} - set(types)
    if redis.fields_expire and not redis.is_valkey:
        missing |= {20, 24, 25, "written 24"} - set(types)
    if missing and rounds >= 200:
        raise Failed("never met: %s" % missing)


def make_stream(rng, servers):
    """A stream with groups, made by the same commands on all servers."""
    def all_of(*words):
        for server in servers:
            reply = server(*words)
            if isinstance(reply, Exception) and not reply.args[0].startswith(("BUSYGROUP", "ERR The ID")):
                raise reply

    all_of("DEL", "key")
    names = [some_bytes(rng) for _ in range(rng.choice((1, 2, 5)))]
    for number in range(rng.choice((0, 1, 5, 50, 300))):
        fields = names if rng.randrange(4) else [some_bytes(rng) for _ in range(rng.choice((1, 3)))]
        all_of("XADD", "key", "%d-%d" % (number + rng.choice((0, 0, 1 << 40)), rng.getrandbits(rng.choice((1, 3, 64)))),
               *[word for field in fields for word in (field, some_bytes(rng))])
        if rng.randrange(8) == 0:
            all_of("XDEL", "key", *["%d-%d" % (rng.randrange(number + 1), sequence) for sequence in range(4)])
    for group in range(rng.choice((0, 1, 3))):
        all_of("XGROUP", "CREATE", "key", "group%d" % group, rng.choice(("0", "$", "3-3")), "MKSTREAM", "ENTRIESREAD", rng.choice((-1, 0, 7)))
        for _ in range(rng.randrange(5)):
            all_of("XREADGROUP", "GROUP", "group%d" % group, some_bytes(rng), "COUNT", rng.choice((1, 7, 100)), "STREAMS", "key", ">")
        all_of("XAUTOCLAIM", "key", "group%d" % group, "heir", 0, "0", "COUNT", 2)
    all_of("XTRIM", "key", "MAXLEN", "~", rng.choice((10, 1000)))


def streams_of_both(rounds, seed):
    """Streams of kevy's for redis-server to restore, and the other way round."""
    rng, counts = random.Random(seed), {}
    kevy, redis = Kevy(), Redis()
    try:
        with kevy.server:
            for number in range(rounds):
                if number % 20 == 0:
                    for name, value in (("entries", rng.choice((1, 3, 100, 0))), ("bytes", rng.choice((4096, 0)))):
                        for server in (kevy, redis):
                            server("FLUSHALL")
                            server("CONFIG", "SET", "stream-node-max-" + name, value)
                make_stream(rng, (kevy, redis))
                for maker, taker in ((kevy, redis), (redis, kevy), (kevy, kevy)):
                    if maker("TYPE", "key") == b"none":
                        continue
                    payload = maker("DUMP", "key")
                    answer = taker("RESTORE", "again", 0, payload, "REPLACE")
                    if answer != b"OK" or maker.text("key") != taker.text("again"):
                        raise Failed("round %d: %s says %s to %s:\n%s\ninstead of\n%s" % (
                            number, type(taker).__name__, answer, show(payload), taker.text("again") if answer == b"OK" else None, maker.text("key")))
                    label = "%s for %s" % (type(maker).__name__, type(taker).__name__)
                    counts[label] = counts.get(label, 0) + 1
    finally:
        redis.close()
    print(", ".join("%s: %d" % pair for pair in sorted(counts.items())))


# ---- Changed payloads --------------------------------------------------------------------------------------------------------


def mutated(rng, payload):
    body = bytearray(payload[:-FOOTER])
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(1, len(body)) if rng.randrange(20) else 0
        kind = rng.randrange(4)
        if kind == 0:
            body[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            body[at] = rng.choice((0, 1, 0x7f, 0x80, 0xc0, 0xc3, 0xfe, 0xff, rng.randrange(256)))
        elif kind == 2 and len(body) > 2:
            del body[at]
        else:
            body[at:at] = bytes([rng.randrange(256)])
    return sealed(bytes(body), 10)


# What Redis 7.0 reads, but writes no more.


def string(value):
    size = len(value)
    head = bytes([size]) if size < 64 else struct.pack(">H", size | 1 << 14) if size < 1 << 14 else b"\x80" + struct.pack(">I", size)
    return head + value


def ziplist_element(value):
    if re.fullmatch(rb"0|-?[1-9]\d{0,17}", value):
        number = int(value)
        if 0 <= number <= 12:
            return bytes([0xf1 + number])
        for first, size in ((0xfe, 1), (0xc0, 2), (0xf0, 3), (0xd0, 4), (0xe0, 8)):
            if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
                return bytes([first]) + number.to_bytes(size, "little", signed=True)
    size = len(value)
    head = bytes([size]) if size < 64 else struct.pack(">H", size | 1 << 14) if size < 1 << 14 else b"\x80" + struct.pack(">I", size)
    return head + value


def ziplist(values):
    body, last, before = b"", 10, 0
    for value in values:
        element = (bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)) + ziplist_element(value)
        last, before = 10 + len(body), len(element)
        body += element
    return struct.pack("<IIH", len(body) + 11, last, len(values)) + body + b"\xff"


def zipmap(values):
    def part(value, slack):
        return (bytes([len(value)]) if len(value) < 254 else b"\xfe" + struct.pack("<I", len(value))) + slack + value
    return (bytes([min(len(values) // 2, 254)]) + b"".join(part(values[i], b"") + part(values[i + 1], b"\0") for i in range(0, len(values), 2))
            + b"\xff")


def old_payload(rng):
    """A value in a form of long ago."""
    names = list(dict.fromkeys(some_bytes(rng)[:400] for _ in range(rng.choice((1, 2, 5, 30)))))
    pairs = [word for name in names for word in (name, some_bytes(rng)[:400])]
    scored = [word for name in names for word in (name, b"%d" % rng.randrange(-1000, 1000) if rng.randrange(2) else b"%.17g" % rng.gauss(0, 9))]
    count = string(b"x" * len(names))[:1]
    texts = b"".join(string(name) + bytes([len(score)]) + score for name, score in zip(scored[::2], scored[1::2]))
    return rng.choice((
        b"\1" + count + b"".join(map(string, names)), b"\2" + count + b"".join(map(string, names)), b"\3" + count + texts,
        b"\4" + count + b"".join(map(string, pairs)), b"\x09" + string(zipmap(pairs)), b"\x0a" + string(ziplist(names)),
        b"\x0c" + string(ziplist(scored)), b"\x0d" + string(ziplist(pairs)), b"\x0e\2" + string(ziplist(names)) + string(ziplist(pairs))))


def explained(probe, changed, contents):
    """Why redis-server takes what kevy refuses; None if there is no reason.

    It reads on into the footer where a value is not all there; and of a score it takes what is a number at the beginning."""
    said, text, _ = probe(sealed(changed, 10))
    if said == "ok" and in_order(text) == contents:
        return "goes on in the footer"
    if changed[1] >> 6 == 3:  # redis-server takes what no count can be for the six bits behind it
        said, text, _ = probe(sealed(changed[:1] + bytes([changed[1] & 63]) + changed[2:], 10))
        if said == "ok" and in_order(text) == contents:
            return "count that is none"
    return "score that is no number" if contents[0] == b"zset" else None


def against_changes(probe, rounds, seed):
    rng = random.Random(seed)
    redis = Redis()
    counts = {}
    try:
        for number in range(rounds):
            if number % 20 == 0:
                redis("CONFIG", "SET", "rdbcompression", rng.choice(("yes", "no")))
                make(redis, rng, "key")
                payload = redis("DUMP", "key") if rng.randrange(2) else sealed(old_payload(rng), 10)
            changed = mutated(rng, payload) if number % 20 else payload
            said, text, _ = probe(changed)
            try:
                redis("DEL", "again")
                answer = redis("RESTORE", "again", 0, changed)
                contents = redis.text("again") if answer == b"OK" else None
            except (ConnectionError, BrokenPipeError):
                redis.close()
                redis = Redis()
                make(redis, rng, "key")
                answer, contents = "it crashed", None
            taken = bool(contents)
            if number % 20 == 0 and not taken:
                raise Failed("round %d: redis-server says %s to what was not changed: %s" % (number, answer, changed.hex()))
            outcome = "taken" if taken and said == "ok" else "refused" if not taken and said != "ok" else None
            if outcome == "taken" and in_order(text) != contents:
                raise Failed("round %d: OTHER CONTENTS: %s" % (number, changed.hex()))
            if taken and outcome is None:
                outcome = explained(probe, changed, contents)
            if outcome is None:
                raise Failed("round %d: kevy says %s, redis-server %s: %s" % (number, said, answer, changed.hex()))
            counts[outcome] = counts.get(outcome, 0) + 1
    finally:
        redis.close()
    print(", ".join("%s: %d" % pair for pair in sorted(counts.items())))


# ---- The zoo -----------------------------------------------------------------------------------------------------------------


def values_of(walk, bad):
    """(database, key, expiry, type byte, version, bytes of the value) of a file; the last one may be cut where it is bad."""
    data = walk.d
    walk.magic = "VALKEY" if data[:6] == b"VALKEY" else "REDIS"
    walk.p = 9
    walk.version = int(data[6 if walk.magic == "VALKEY" else 5:9])
    db, expiry = 0, None
    while True:
        kind = walk.u8()
        if kind == 255:
            return
        if kind == 254:
            db = walk.n()
        elif kind == 253:
            expiry = struct.unpack("<i", walk.take(4))[0] * 1000
        elif kind == 252:
            expiry = walk.ms()
        elif kind == 251:
            walk.n(), walk.n()
        elif kind == 250:
            walk.s(), walk.s()
        elif kind == 249:
            walk.u8()
        elif kind == 248:
            walk.n()
        elif kind == 247:
            walk.n(), walk.n(), walk.n(), walk.modstream("aux")
        elif kind == 245:
            walk.s()
        elif kind == 244:
            walk.n(), walk.n(), walk.n()
        elif kind >= 240:
            return
        else:
            key, start = walk.s(), walk.p
            try:
                walk.value(kind)
            except (bad, ValueError, IndexError, struct.error):
                yield db, key, expiry, kind, walk.version, data[start:-9 if walk.version >= 5 else -1]
                return
            yield db, key, expiry, kind, walk.version, data[start:walk.p]
            expiry = None


def expectations(path):
    """{(database, key): lines of its value} of an .expect file, or None where there is none."""
    for end in (".past.expect", ".past.expect.gz", ".expect", ".expect.gz"):
        if os.path.exists(path + end):
            break
    else:
        return None
    text = (gzip.open if end.endswith("gz") else open)(path + end, "rb").read()
    found, db, lines = {}, 0, []
    for line in text.split(b"\n"):
        head = re.match(rb'key (".*") (\w+) expire=\S+$', line)
        if line.startswith(b"db "):
            db = int(line[3:])
        elif head:
            lines = found[(db, head.group(1))] = [head.group(2)]
        elif line.startswith(b"  "):
            lines.append(line)
    return found


def alive(lines, now):
    """Fields that have not expired."""
    return [line for line in lines if not (match := re.search(rb'" expire=(\d+)$', line)) or int(match.group(1)) >= now]


def check_file(probe, rdbwalk, path, row, counts):
    wanted = expectations(path)
    now = int(time.time() * 1000)
    walk = rdbwalk.Walk(open(path, "rb").read())
    try:
        values = list(values_of(walk, rdbwalk.Bad))
    except (rdbwalk.Bad, ValueError):
        counts["files that are none"] = counts.get("files that are none", 0) + 1
        return
    for db, key, expiry, kind, version, value in values:
        known = version if version <= 14 or version == 80 else 14
        said, text, _ = probe(sealed(bytes([kind]) + value, known))
        wish = None if wanted is None else wanted.get((db, quoted(key)))
        label = "%s, %s" % (said, "expected" if wish else "not expected")
        counts[label] = counts.get(label, 0) + 1
        if said == "module":
            continue
        if wish and wish[0] == b"stream":  # Redis 5 lost count of entries at times: those that are there are counted here
            there = sum(line.startswith(b"  entry ") for line in wish)
            wish[1] = re.sub(rb"length=\d+", b"length=%d" % there, wish[1])
        lines = in_order(text) if said == "ok" else None
        refused = wanted is None and row["load_7.0.15_sanitize"] == "no" and row["reference"] == "refuse"
        if wish and wish[0] in (b"set", b"hash"):
            wish = wish[:1] + sorted(wish[1:])
        if said == "corrupt" and row["load_7.0.15_sanitize"] == "no":
            continue  # the .expect is what redis-server has that does not look closely
        if wish and lines != wish and (lines is None or alive(lines, now) != wish):
            raise Failed("%s: key %r, type %d: %s\n%s\ninstead of\n%s" % (row["name"], key, kind, said, lines, wish))
        if wanted is not None and not wish and said == "ok" and expiry is None and alive(lines[1:], now):
            raise Failed("%s: key %r, type %d: is ok, and not expected:\n%s" % (row["name"], key, kind, lines))
        if refused and row["class"] == "payload" and said == "ok":
            print("%s: key %r, type %d is taken; all others refuse the file: %s" % (row["name"], key, kind, lines[:4]))


# ---- RESTORE -----------------------------------------------------------------------------------------------------------------

# What a byte of a payload may take: it is 88 when it was compressed, and two of these may be a member of a sorted set.
BYTES_FOR_ONE, BYTES_FOR_NONE = 4096, 1 << 16


class Kevy:
    """kevy, as far as Redis.text asks."""

    fields_expire = True
    text = Redis.text

    def __init__(self):
        self.server = Server("--enable-debug-command", "yes", shards=2)
        self.client = self.server.client()

    def __call__(self, *words):
        reply = self.client.call(*words)
        if isinstance(reply, Error):
            return RuntimeError(reply)
        return reply.encode() if isinstance(reply, str) else reply

    def bytes(self):
        stats = self("MEMORY", "STATS")
        return stats[stats.index(b"dataset.bytes") + 1]


def restore_file(probe, rdbwalk, path, row, counts, kevy):
    try:
        values = list(values_of(rdbwalk.Walk(open(path, "rb").read()), rdbwalk.Bad))
    except (rdbwalk.Bad, ValueError):
        return
    for _, key, _, kind, version, value in values:
        payload = sealed(bytes([kind]) + value, version if version <= 14 or version == 80 else 14)
        said, text, _ = probe(payload)
        before = kevy.bytes()
        answer = kevy("RESTORE", "key", 0, payload)
        label = "%s, %s" % (said, "taken" if answer == b"OK" else "refused")
        counts[label] = counts.get(label, 0) + 1
        if said == "ok" and answer != b"OK" and kind in (15, 19, 21) and row["reference"] == "refuse":
            continue  # names that are the same are for who keeps them
        if (said == "ok") != (answer == b"OK"):
            raise Failed("%s: key %r, type %d: is %s, RESTORE says %s: %s" % (row["name"], key, kind, said, answer, show(payload)))
        if said != "ok":
            eventually("a value that was refused to leave no memory", lambda: kevy.bytes() <= before)
            continue
        if kevy.bytes() > before + BYTES_FOR_NONE + BYTES_FOR_ONE * len(payload):
            raise Failed("%s: key %r takes %d bytes, its payload has %d" % (row["name"], key, kevy.bytes() - before, len(payload)))
        lines = alive(in_order(text), int(time.time() * 1000))
        if len(lines) == 1:
            lines = [b"none"]
        is_there = kevy("TYPE", "key") != b"none"
        if (kevy.text("key") if is_there else [b"none"]) != lines:
            raise Failed("%s: key %r, type %d: is\n%s\ninstead of\n%s" % (row["name"], key, kind, kevy.text("key"), lines))
        if is_there:
            digest = kevy("DEBUG", "DIGEST-VALUE", "key")
            if kevy("RESTORE", "key", 0, kevy("DUMP", "key"), "REPLACE") != b"OK" or kevy("DEBUG", "DIGEST-VALUE", "key") != digest:
                raise Failed("%s: key %r, type %d: is another value when it was dumped and restored" % (row["name"], key, kind))
            if lines[0] == b"stream" and kevy.text("key") != lines:  # the digest knows of no groups
                raise Failed("%s: key %r, type %d: has other groups when it was dumped and restored" % (row["name"], key, kind))
        kevy("DEL", "key")
    kevy("FLUSHALL")
    if len(values) > 20:  # what is flushed goes while nobody asks, some of it a moment later
        eventually("no memory to be left of %s" % row["name"], lambda: kevy.bytes() == 0)


def against_zoo(probe, directory, check, *arguments):
    if not os.path.exists(os.path.join(directory, "index.tsv")):
        print("SKIPPED: no zoo of files in %s" % directory)
        return
    sys.path.insert(0, directory)
    import rdbwalk
    counts = {}
    with open(os.path.join(directory, "index.tsv")) as index:
        for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["kind"] == "rdb":
                check(probe, rdbwalk, os.path.join(directory, row["set"], row["name"]), row, counts, *arguments)
    for label, count in sorted(counts.items()):
        print("%d values: %s" % (count, label))


def restore_zoo(probe, directory):
    kevy = Kevy()
    with kevy.server:
        against_zoo(probe, directory, restore_file, kevy)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("probe")
    parser.add_argument("what", choices=("redis", "mutate", "streams", "zoo", "restore"))
    parser.add_argument("directory", nargs="?")
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=run_seed())
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    print("seed %d" % options.seed)
    probe = Probe(options.probe)
    try:
        if options.what == "zoo":
            against_zoo(probe, options.directory, check_file)
        elif options.what == "restore":
            restore_zoo(probe, options.directory)
        elif options.what == "streams":
            streams_of_both(options.rounds, options.seed)
        elif options.what == "mutate":
            against_changes(probe, options.rounds, options.seed)
        else:
            against_redis(probe, options.rounds, options.seed, options.plant)
    except Failed as failed:
        sys.exit(str(failed))
    probe.close()


if __name__ == "__main__":
    main()
