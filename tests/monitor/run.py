#!/usr/bin/env python3
"""MONITOR: what monitors see, on which shard they may be, and that they see no more once they have left.

    run.py [--redis] [--plant]     --redis: the same against redis-server; --plant: with one expectation that must fail
"""
import argparse
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
import kevy  # noqa: E402

# What is sent, and the line that it makes after the time and the address; None: no line at all.
COMMANDS = [
    (("PING",), '"PING"'),
    (("set", "key", b'a "b" \\ \r\n\t\a\b \x00\x7f\xff'),
     r'"set" "key" "a \"b\" \\ \r\n\t\a\b \x00\x7f\xff"'),
    (("AUTH", "secret"), '"AUTH" "(redacted)"'),
    (("HELLO", "2", "AUTH", "user", "secret"), '"HELLO" "2" "AUTH" "(redacted)" "(redacted)"'),
    (("GET", "auth"), '"GET" "auth"'),
    (("CONFIG", "GET", "port"), None),  # administration is not shown
    (("SLOWLOG", "LEN"), None),
    (("NOSUCH",), None),  # what is refused is not run
    (("GET",), None),
    (("MULTI",), '"MULTI"'),
    (("SET", "queued", "1"), '"SET" "queued" "1"'),
    (("GET", "queued"), '"GET" "queued"'),
    (("EXEC",), '"EXEC"'),
    (("MULTI",), '"MULTI"'),
    (("SET", "dropped", "1"), None),
    (("DISCARD",), '"DISCARD"'),
]
MONITORS = 6  # more than shards, so that some sit on every shard
LINE = re.compile(rb"\+\d{10}\.\d{6} \[(\d+) (\S+)\] (.*)\r\n", re.S)


def expect(actual, expected, what):
    if actual != expected:
        sys.exit("FAILED: %s: expected %r, got %r" % (what, expected, actual))


def read_line(monitor):
    match = LINE.fullmatch(monitor.read_raw("a line of MONITOR"))
    if not match:
        sys.exit("FAILED: not a line of MONITOR")
    return match.group(1).decode(), match.group(2).decode(), match.group(3).decode()


def check_lines(monitors, client, unix, plant):
    address = "unix:" + client.server.socket_path if unix else "127.0.0.1:%d" % client.socket.getsockname()[1]
    lines = [line for _, line in COMMANDS if line] + (['"PANG"'] if plant else [])
    client.pipeline([command for command, _ in COMMANDS] + [("SELECT", "3"), ("PING",)])
    for monitor in monitors:
        for line in lines:
            expect(read_line(monitor), ("0", address, line), "a monitor's line")
        expect(read_line(monitor), ("3", address, '"SELECT" "3"'), "a monitor's line")
        expect(read_line(monitor), ("3", address, '"PING"'), "a monitor's line")
    client.call("SELECT", "0")
    for monitor in monitors:
        read_line(monitor)


def check_leaving(monitors, client):
    """A monitor may not touch keys; after RESET it gets replies and nothing else; one that closes leaves the others alone."""
    leaver = monitors.pop()
    expect(leaver.call("GET", "key"), "ERR Replica can't interact with the keyspace", "a monitor's GET")
    client.pipeline([("PING",)] * 100)
    leaver.send(kevy.encode("RESET"))
    while leaver.read_raw() != b"+RESET\r\n":
        pass
    client.pipeline([("PING",)] * 100)
    expect(leaver.call("ECHO", "mine"), b"mine", "the first reply after RESET")
    monitors.pop().close()
    client.call("ECHO", "last")
    for monitor in monitors:
        while read_line(monitor)[2] != '"ECHO" "last"':
            pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    path = kevy.find_redis() if options.redis else None
    for shards in (1, 4):
        for unix in (False, True):
            with kevy.Server(shards=shards, path=path) as server:
                monitors = [server.client() for _ in range(MONITORS)]
                for monitor in monitors:
                    expect(monitor.call("MONITOR"), "OK", "MONITOR")
                with server.client(unix=unix) as client:
                    check_lines(monitors, client, unix, options.plant)
                    check_leaving(monitors, client)
                for monitor in monitors:
                    monitor.close()
        if options.redis:
            break
    print("ok")


if __name__ == "__main__":
    main()
