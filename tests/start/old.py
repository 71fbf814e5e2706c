#!/usr/bin/env python3
"""A whole life of the server, and of its tools, on what Linux 4.18 has: under a filter to which whatever came later is unknown.

    old.py            every check
    old.py NAME...    those with NAME in their names
    old.py --plant    a server that insists on what came later, which must be found out

The filter is made by box.py. It sees numbers of calls, and arguments that are numbers; what lies in memory (events of epoll, the
fields of a structure) it does not see.
"""
import errno
import json
import os
import shutil
import socket
import subprocess
import sys

import box
import places
import run
from run import expect, kevy

CHECKS = []
OLD = {"old": True}
SHARDS = 3
KEYS = 3000


def check(function):
    CHECKS.append(function)
    return function


def can_filter():
    known = os.uname().machine in box.FIRST_LATER and shutil.which(os.environ.get("CC", "cc"))
    if not known:
        places.skip("no compiler, which would know the numbers of system calls, or a machine that is not known here")
    return known


def under(command, **options):
    """What the command says under the filter, and how it ends."""
    done = subprocess.run(places.BOX + [json.dumps(OLD)] + command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60 * kevy.TIME_SCALE, check=False, **options)
    return done.returncode, done.stdout


# ---- The filter ----


ASKER = """import ctypes, json, sys
libc = ctypes.CDLL(None, use_errno=True)
said = []
for name, number, arguments in json.loads(sys.argv[1]):
    words = [ctypes.c_long(each) for each in arguments]
    said.append(0 if libc.syscall(ctypes.c_long(number), *words) >= 0 else ctypes.get_errno())
print(*said)
"""

# The call, its arguments, and what is to be heard. Where a call that is let through would do something it is asked for
# what any kernel refuses.
ASKED = [
    ("pidfd_open", (-1, 0), "ENOSYS"), ("clone3", (0, 0), "ENOSYS"), ("openat2", (-1, 0, 0, 0), "ENOSYS"),
    ("close_range", (1000, 1001, 0), "ENOSYS"), ("faccessat2", (-1, 0, 0, 0), "ENOSYS"), ("epoll_pwait2", (-1, 0, 0, 0, 0, 0), "ENOSYS"),
    ("io_uring_setup", (0, 0), "ENOSYS"), ("io_uring_enter", (-1, 0, 0, 0, 0, 0), "ENOSYS"), ("pidfd_send_signal", (-1, 0, 0, 0), "ENOSYS"),
    ("madvise", (0, 0, 20), "EINVAL"), ("madvise", (0, 0, 23), "EINVAL"), ("madvise", (0, 0, 4), "done"), ("madvise", (0, 0, 14), "done"),
    ("membarrier", (128, 0, 0), "EINVAL"), ("membarrier", (0, 1, 0), "EINVAL"), ("membarrier", (0, 0, 0), "done"),
    ("mmap", (0, 4096, 0, 0x2A, -1, 0), "EINVAL"), ("mmap", (0, 4096, 0, 0x100022, -1, 0), "done"),
    ("mremap", (0, 0, 0, 5, 0), "EINVAL"), ("prctl", (62, 0, 0, 0, 0), "EINVAL"), ("prctl", (41, 1, 2, 0, 0), "EINVAL"),
    ("prctl", (41, 1, 0, 0, 0), "done"), ("prctl", (29, 1, 0, 0, 0), "done"),
    ("pwritev2", (-1, 0, 0, 0, 0, 0x20), "EOPNOTSUPP"), ("pwritev2", (-1, 0, 0, 0, 0, 0x10), "EBADF"),
    ("preadv2", (-1, 0, 0, 0, 0, 0x40), "EOPNOTSUPP"), ("fallocate", (-1, 0x80, 0, 1), "EOPNOTSUPP"), ("fallocate", (-1, 1, 0, 1), "EBADF"),
    ("fcntl", (0, 1027, 0), "EINVAL"), ("fcntl", (-1, 1028, 0), "EINVAL"), ("fcntl", (0, 1030, 0), "done"), ("fcntl", (-1, 1033, 0x10), "EINVAL"),
    ("ioctl", (-1, 0x40088A01, 0), "ENOTTY"), ("ioctl", (-1, 0x80088A02, 0), "ENOTTY"), ("socket", (2, 1, 262), "EPROTONOSUPPORT"),
    ("socket", (2, 1, 6), "done"), ("memfd_create", (0, 8), "EINVAL"), ("memfd_create", (0, 1), "EFAULT"), ("getrandom", (0, 0, 4), "EINVAL"),
    ("getrandom", (0, 0, 1), "done"), ("clone", (0x1011, 0, 0, 0, 0), "EINVAL"), ("waitid", (3, 0, 0, 4, 0), "EINVAL"), ("waitid", (0, 0, 0, 4, 0), "ECHILD"),
    ("statx", (-1, 0, 0, 0x1000, 0), "EINVAL"), ("recvfrom", (-1, 0, 0, 0x2000000, 0, 0), "EINVAL"), ("recvmsg", (-1, 0, 0x2000000), "EINVAL"),
    ("setsockopt", (-1, 1, 61, 0, 0), "ENOPROTOOPT"), ("setsockopt", (-1, 1, 60, 0, 0), "EBADF"), ("setsockopt", (-1, 6, 37, 0, 0), "ENOPROTOOPT"),
    ("setsockopt", (-1, 6, 36, 0, 0), "EBADF"), ("getsockopt", (-1, 0, 51, 0, 0), "ENOPROTOOPT"), ("getsockopt", (-1, 284, 1, 0, 0), "ENOPROTOOPT"),
]


@check
def the_filter_refuses_what_came_later_and_nothing_else():
    if not can_filter():
        return
    table = box.numbers()
    asked = [(name, table.get(name, -1), arguments) for name, arguments, _ in ASKED]
    asker = [sys.executable, "-I", "-S", "-c", ASKER]
    status, said = under(asker + [json.dumps(asked)])
    if status == places.NOT_ALLOWED:
        places.skip(said)
        return
    expect(status == 0 and len(said.split()) == len(ASKED), "the calls should be made: %d, %s" % (status, said))
    harmless = [each for each, (_, _, wanted) in zip(asked, ASKED) if wanted == "done"]
    plain = subprocess.run(asker + [json.dumps(harmless)], stdout=subprocess.PIPE, text=True, timeout=60 * kevy.TIME_SCALE, check=True)
    without = iter(plain.stdout.split())  # a kernel may lack what it need not have
    for (name, arguments, wanted), heard in zip(ASKED, said.split()):
        meant = int(next(without)) if wanted == "done" else getattr(errno, wanted)
        expect(int(heard) == meant, "%s%s should say %s: %s" % (name, arguments, wanted, os.strerror(int(heard))))
    refused = {name for name, _, wanted in ASKED if wanted not in ("done", "EBADF", "EFAULT", "ECHILD")}
    expect(not {name for name, _, _ in box.LATER} - refused, "each call that the filter looks into should be asked for")


# ---- A life ----


def fill(client):
    """Values of all kinds and sizes, that grow, shrink, expire, and are given back."""
    replies = client.pipeline([("SET", "key:%d" % i, "x" * (i % 200)) for i in range(KEYS)])
    expect(replies == ["OK"] * KEYS, "SET")
    for i in range(50):
        client.call("RPUSH", "list", *["element %d" % j for j in range(i * 100, i * 100 + 100)])
        client.call("HSET", "hash", *["%d" % j for j in range(i * 100, i * 100 + 100)])
        client.call("ZADD", "sorted", *[word for j in range(i * 50, i * 50 + 50) for word in (str(j), "member %d" % j)])
    for i in range(40):
        client.call("APPEND", "large", "y" * 100000)
    expect(client.call("STRLEN", "large") == 4000000 and client.call("SETRANGE", "large", 40000000, "z") == 40000001, "it grows")
    expect(client.call("BITOP", "NOT", "turned", "large") == 40000001, "a large value is made at once")
    expect(client.call("SET", "larger", "z" * (3 << 20)) == "OK" and client.call("DEL", "large", "turned") == 2, "it is given back")
    expect(client.call("XADD", "stream", "*", "field", "value") and client.call("SADD", "set", *range(1000)) == 1000, "XADD and SADD")
    expect(client.call("SET", "short", "x", "PX", "3") == "OK", "SET PX")
    kevy.eventually("a key to expire by itself", lambda: b"expired_keys:1\r\n" in client.call("INFO", "stats"))
    expect(client.call("BLPOP", "nothing", "0.02") is None, "BLPOP ends after its time")


def done(client, field, value="0"):
    line = ("%s:%s\r\n" % (field, value)).encode()
    kevy.eventually("%s to be %s" % (field, value), lambda: line in client.call("INFO", "persistence"))


def save_in_every_way(client):
    expect(client.call("SAVE") == "OK", "SAVE")
    expect(str(client.call("BGSAVE")).startswith("Background saving started"), "BGSAVE")
    done(client, "rdb_bgsave_in_progress")
    done(client, "rdb_last_bgsave_status", "ok")
    expect(client.call("CONFIG", "SET", "appendonly", "yes") == "OK", "CONFIG SET appendonly")
    done(client, "aof_rewrite_in_progress")
    for policy in ("always", "no", "everysec"):
        expect(client.call("CONFIG", "SET", "appendfsync", policy) == "OK" and client.call("INCR", "counter") > 0, "INCR")
    expect(str(client.call("BGREWRITEAOF")).startswith("Background append only file rewriting"), "BGREWRITEAOF")
    done(client, "aof_rewrite_in_progress")
    done(client, "aof_last_bgrewrite_status", "ok")
    expect(client.call("INCR", "counter") == 4 and client.call("WAITAOF", "1", "0", "0")[0] == 1, "WAITAOF")


def talk(server):
    """Many connections over either kind of socket, some of which go without a word."""
    with server.client() as client, server.client() as subscriber:
        expect(subscriber.call("SUBSCRIBE", "channel")[0] == b"subscribe", "SUBSCRIBE")
        others = [socket.create_connection(("127.0.0.1", server.port), timeout=10 * kevy.TIME_SCALE) for _ in range(30)]
        for each in others:
            each.sendall(b"SET from tcp\r\nGET from\r\n")
        for each in others:
            said = b""
            while len(said) < 14:
                more = each.recv(100)
                expect(more, "the replies should be whole before the end: %s" % said)
                said += more
            expect(said == b"+OK\r\n$3\r\ntcp\r\n", "over TCP")
        for each in others[:15]:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        for each in others:
            each.close()
        expect(client.call("PUBLISH", "channel", "message") == 1 and subscriber.read()[2] == b"message", "PUBLISH")
        with server.client() as paused:
            expect(client.call("CLIENT", "PAUSE", "20", "WRITE") == "OK" and paused.call("SET", "a", "b") == "OK", "CLIENT PAUSE")
        kevy.eventually("those who have gone to be gone", lambda: b"connected_clients:3\r\n" in client.call("INFO", "clients"))


def tools(server):
    for arguments, words in ((["--ping", server.socket_path], "PONG\n"), (["--probe"], "epoll_pwait2      no"), (["--version"], "kevy"),
                             (["--check-config"], ""), (["--check-data", server.directory], "")):
        status, said = under([server.path] + arguments)
        expect(status == 0 and words in said, "kevy %s: %d, %s" % (" ".join(arguments), status, said))


class Old(places.Boxed):
    """A server under the filter. It inherits a TCP socket and a Unix socket, or, later, binds its own."""

    inherits = True

    def __init__(self, *arguments):
        super().__init__(OLD, "--disable-thp", "yes", "--timeout", "1000", "--enable-debug-command", "yes",
                         *arguments, shards=SHARDS)

    def listeners(self):
        self.tcp = self.inherits
        return kevy.Server.listeners(self)


@check
def a_life_needs_nothing_newer():
    if not can_filter():
        return
    with Old("--io-mode", "auto") as server:
        if not server.is_served():
            return
        run.serves_over(server, "epoll")
        expect("Without io_uring kevy goes by epoll" in server.log(), server.log())
        with server.client(unix=True) as client:
            fill(client)
            save_in_every_way(client)
            talk(server)
            tools(server)
            digest = client.call("DEBUG", "DIGEST")
        server.stop()
        server.inherits, server.arguments = False, [*server.arguments, "--appendonly", "yes", "--io-mode", "epoll"]
        server.spawn()
        server.is_served()
        with server.client() as client:
            kevy.eventually("the data to be loaded", lambda: b"loading:0\r\n" in client.call("INFO", "persistence"))
            expect(client.call("DEBUG", "DIGEST") == digest, "all is there again")
            expect(client.call("FLUSHALL") == "OK" and client.call("MEMORY", "PURGE") == "OK", "FLUSHALL")


def plant():
    with places.Boxed(OLD, "--io-mode", "uring", shards=1) as server:
        server.is_served()


if __name__ == "__main__":
    run.main(CHECKS, plant)
