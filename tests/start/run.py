#!/usr/bin/env python3
"""Starting and ending, as whoever runs a server meets them: what is in the way is told in words that help, and nothing hangs.

    run.py            every check
    run.py NAME...    those with NAME in their names
    run.py --plant    a server that says nothing of use, which must be found out
"""
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
import kevy  # noqa: E402

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def expect(condition, text):
    if not condition:
        sys.exit("FAILED: " + text)


class Starting(kevy.Server):
    """A server that inherits these sockets and no others, and of which nobody waits until it is ready. The sockets of the
    caller stay open."""

    def __init__(self, *arguments, inherit=(), **options):
        self.inherit = [each.dup() for each in inherit]
        super().__init__(*arguments, tcp=False, start=False, **options)
        self.spawn()

    def listeners(self):
        return self.inherit

    def refuses(self, words, status=1):
        """It ends with this status, and its last line has these words."""
        ended = self.wait("a server to refuse to start: " + words)
        self.stopped = True
        lines = self.log().splitlines()
        expect(ended == status, "status %d, expected %d: %s" % (ended, status, self.log()))
        expect(lines and words in lines[-1], "the last line should say '%s': %s" % (words, self.log()))
        expect(not os.path.exists(self.socket_path), "the Unix socket was left behind")

    def logs(self, words):
        kevy.eventually("the log to say '%s'" % words, lambda: words in self.log())


def cpu_seconds(server):
    with open("/proc/%d/stat" % server.pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listener(family, address):
    made = socket.socket(family, socket.SOCK_STREAM)
    made.bind(address)
    made.listen(64)
    return made


# ---- Where it listens ----


@check
def names_of_hosts_are_listened_on():
    probe = listener(socket.AF_INET, ("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    with Starting("--bind", "localhost", "--port", port, shards=2) as server:
        server.logs("is ready")
        with socket.create_connection(("localhost", port)) as client:
            client.sendall(b"CONFIG GET bind\r\n")
            expect(client.recv(100).endswith(b"\r\nlocalhost\r\n"), "CONFIG GET bind is what was written")
    with Starting("--bind", "nobody.invalid", "--port", port) as server:
        server.refuses("cannot listen on nobody.invalid port %d: " % port)


@check
def sockets_that_cannot_accept_are_refused():
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ends = socket.socketpair()
    good = listener(socket.AF_INET, ("127.0.0.1", 0))
    for bad, words in ((datagrams, "it is no stream socket"), (ends[0], "it does not listen")):
        for inherit in ([bad], [good, bad]):
            with Starting(inherit=inherit) as server:
                server.refuses("descriptor %d was passed to be listened on, and cannot be: %s" % (2 + len(inherit), words))


@check
def a_listener_that_is_taken_away_costs_no_cpu():
    tcp = listener(socket.AF_INET, ("127.0.0.1", 0))
    with Starting(inherit=[tcp], shards=2) as server:
        server.logs("is ready")
        server.port = tcp.getsockname()[1]
        server.tcp = True
        with server.client() as client:
            tcp.shutdown(socket.SHUT_RDWR)
            server.logs("accepts no more connections: Invalid argument")
            expect(client.call("PING") == "PONG", "who is connected is served on")
            before = cpu_seconds(server)
            time.sleep(0.5)
            expect(cpu_seconds(server) - before < 0.1, "%.2f s of CPU in 0.5 s" % (cpu_seconds(server) - before))
        expect(server.log().count("accepts no more") == 1, "it is told once")


def plant():
    with Starting("--port", "0", "--unixsocket", "", inherit=[]) as server:
        server.refuses("there is nothing wrong")


def main():
    if "--plant" in sys.argv[1:]:
        plant()
    wanted = [function for function in CHECKS
              if len(sys.argv) == 1 or any(word in function.__name__ for word in sys.argv[1:])]
    expect(wanted, "no check has such a name")
    for function in wanted:
        began = time.monotonic()
        function()
        print("ok %s (%.1f s)" % (function.__name__, time.monotonic() - began), flush=True)


if __name__ == "__main__":
    main()
