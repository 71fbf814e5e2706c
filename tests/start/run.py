#!/usr/bin/env python3
"""Starting and ending, as whoever runs a server meets them: what is in the way is told in words that help, and nothing hangs.

    run.py            every check
    run.py NAME...    those with NAME in their names
    run.py --plant    a server that says nothing of use, which must be found out
"""
import errno
import os
import resource
import signal
import socket
import subprocess
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
            expect(client.call("PING") == "PONG", "PING")  # it was accepted
            tcp.shutdown(socket.SHUT_RDWR)
            server.logs("accepts no more connections: Invalid argument")
            expect(client.call("PING") == "PONG", "who is connected is served on")

            def idles():
                before = cpu_seconds(server)
                time.sleep(0.5)
                return cpu_seconds(server) - before < 0.1

            kevy.eventually("it to use less than 0.1 s of CPU in half a second", idles)
        expect(server.log().count("accepts no more") == 1, "it is told once")


# ---- The log ----


@check
def a_log_that_is_rotated_by_renaming_goes_on():
    with Starting("--logfile", "kevy.log", "--enable-debug-command", "yes", shards=2) as server:
        path = os.path.join(server.directory, "kevy.log")
        kevy.eventually("the log", lambda: os.path.exists(path) and "is ready" in open(path).read())
        with server.client() as client:

            def goes_on():
                client.call("DEBUG", "LOG", "here")
                return os.path.exists(path) and "here" in open(path).read()

            for rotate in (lambda: os.rename(path, path + ".1"), lambda: os.unlink(path)):
                rotate()
                kevy.eventually("a new log file", goes_on)
        expect("is ready" in open(path + ".1").read(), "the old file was left as it was")


# ---- Limits ----


class Limited(Starting):
    """A server under limits of its own, {RLIMIT_...: most}."""

    def __init__(self, limits, *arguments, **options):
        self.limits = limits
        super().__init__(*arguments, **options)

    def command_line(self):
        program = "import os, resource, sys\n%sos.execv(sys.argv[1], sys.argv[1:])" % "".join(
            "resource.setrlimit(%d, (%d, %d))\n" % (which, most, most) for which, most in self.limits.items())
        return [sys.executable, "-I", "-S", "-c", program] + super().command_line()


def is_sanitized():
    return kevy.TIME_SCALE > 1


@check
def a_limit_on_addresses_is_shared_or_named():
    if is_sanitized():
        print("sanitizers need more addresses than these limits leave")
        return
    with Limited({resource.RLIMIT_AS: 8 << 30}, shards=4) as server:
        server.logs("is ready")
        words = "The limit on address space (ulimit -v %d) leaves room for" % (8 << 20)
        expect(words in server.log(), "the log should say '%s': %s" % (words, server.log()))
        with server.client() as client:
            for i in range(1000):
                expect(client.call("SET", "key:%d" % i, "x" * 1000) == "OK", "every stripe has room")
    with Limited({resource.RLIMIT_AS: 2 << 30}, shards=4) as server:
        server.logs("is ready")
        with server.client() as client:
            for i in range(32):
                expect(client.call("RPUSH", "list:%d" % i, *["x" * 100] * 5000) == 5000, "large values have room too")
    with Limited({resource.RLIMIT_AS: 512 << 20}, shards=16) as server:
        server.refuses("The limit on address space (ulimit -v, in KiB) is %d: raise it" % (512 << 10))


@check
def limits_are_named_as_what_they_are():
    with Limited({resource.RLIMIT_NOFILE: 5}, shards=1) as server:
        server.refuses("The limit on open files (ulimit -n) is 5: raise it")
        expect("lacks" not in server.log(), server.log())
    # A limit on threads concerns no privileged user.
    if os.geteuid() == 0:
        print("threads are not limited for root")
        return
    with Limited({resource.RLIMIT_NPROC: 1}, shards=1) as server:
        server.refuses("Cannot start the thread of shard 1 of 1: Resource temporarily unavailable.")


# ---- io_uring, and where it is refused ----


EQUAL, AT_LEAST = 0x15, 0x35  # what a filter asks of a call's number
IO_URING_CALLS = [(EQUAL, number) for number in (425, 426, 427)]
NEWER_CALLS = [(AT_LEAST, 424)]  # what came after Linux 4.18 has the same number on all machines


def filtered(error, command, calls=tuple(IO_URING_CALLS)):
    """The command, under a seccomp filter that answers these system calls with this errno."""
    program = """import ctypes, os, struct, sys
def step(code, yes, no, k): return struct.pack("HBBI", code, yes, no, k)
calls = %r
steps = step(0x20, 0, 0, 0)  # the number of the call
for i, (asked, call) in enumerate(calls): steps += step(asked, len(calls) - i, 0, call)
steps += step(0x06, 0, 0, 0x7fff0000) + step(0x06, 0, 0, 0x50000 | %d)  # it is let through; or not
memory = ctypes.create_string_buffer(steps)
head = ctypes.create_string_buffer(struct.pack("H6xP", len(steps) // 8, ctypes.addressof(memory)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, head, 0, 0): sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
""" % (calls, error)
    return [sys.executable, "-I", "-S", "-c", program] + command


class Filtered(Starting):
    def __init__(self, error, *arguments, calls=tuple(IO_URING_CALLS), **options):
        self.error, self.calls = error, calls
        super().__init__(*arguments, **options)

    def command_line(self):
        return filtered(self.error, super().command_line(), self.calls)


def serves_over(server, name):
    server.logs("is ready")
    with server.client() as client:
        expect(b"io_mode:%s\r\n" % name.encode() in client.call("INFO", "io"), "INFO io says io_mode:%s" % name)
        expect(client.call("SET", "a", "b") == "OK" and client.call("GET", "a") == b"b", "it serves")


@check
def where_io_uring_is_refused_all_shards_go_by_epoll():
    for error in (errno.EPERM, errno.ENOSYS):
        with Filtered(error, shards=3) as server:
            serves_over(server, "epoll")
            words = "goes by epoll, where each receive and each send is a system call of its own"
            expect(server.log().count(words) == 1 and "A seccomp filter is active" in server.log(), server.log())
        with Filtered(error, "--io-mode", "epoll", shards=2) as server:
            serves_over(server, "epoll")
            expect("io_uring" not in server.log(), "who asks for epoll is told nothing of io_uring: " + server.log())
        with Filtered(error, "--io-mode", "uring", shards=2) as server:
            server.refuses("A seccomp filter is active and most likely forbids io_uring")


@check
def no_system_call_that_is_newer_than_linux_4_18_is_needed():
    with Filtered(errno.ENOSYS, "--timeout", "1000", calls=tuple(NEWER_CALLS), shards=3) as server:
        serves_over(server, "epoll")
        with server.client() as client:
            expect(client.call("SET", "short", "x" * 200000, "PX", "3") == "OK", "SET")
            kevy.eventually("a key to expire by itself", lambda: client.call("DBSIZE") == 1)  # a limit of milliseconds
            probe = subprocess.run(filtered(errno.ENOSYS, [kevy.program(), "--probe"], tuple(NEWER_CALLS)), stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, timeout=60 * kevy.TIME_SCALE, check=False)
            expect(probe.returncode == 0 and "epoll_pwait2      no" in probe.stdout, probe.stdout)


@check
def the_probe_tells_of_both():
    probe = [kevy.program(), "--probe"]
    for command, words in ((probe, "multishot_recv    yes"), (filtered(errno.EPERM, probe), "io_uring is refused: Operation not permitted")):
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        text = said.stdout.decode()
        expect(said.returncode == 0, "one of the two will do: status %d: %s" % (said.returncode, text))
        for each in (words, "epoll             yes"):
            expect(each in text, "the probe should say '%s': %s" % (each, text))


@check
def without_locked_memory_it_serves():
    with Limited({resource.RLIMIT_MEMLOCK: 0}, shards=2) as server:
        server.logs("is ready")
        with server.client() as client:
            expect(client.call("PING") == "PONG", "PING")


# ---- Signals ----


@check
def a_server_that_hangs_on_the_unix_socket_is_told_of():
    with Starting("--tcp-backlog", "2", shards=1) as hung:
        hung.logs("is ready")
        hung.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PIDFD, hung.pidfd, os.WSTOPPED | os.WNOWAIT)
        waiting = []
        while True:
            waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(hung.socket_path)
            except BlockingIOError:
                break
        with Starting("--unixsocket", hung.socket_path, shards=1) as server:
            server.refuses("unixsocket %s: another server holds it, and does not accept" % hung.socket_path)
        for each in waiting:
            each.close()
        hung.process.send_signal(signal.SIGCONT)


@check
def a_start_that_is_held_up_can_be_interrupted():
    # A port that is in use is asked for again for a second.
    holder = listener(socket.AF_INET, ("127.0.0.1", 0))
    for number in (signal.SIGTERM, signal.SIGINT):
        with Starting("--port", holder.getsockname()[1], "--bind", "127.0.0.1", "--pidfile", "pid", shards=1) as server:
            pidfile = os.path.join(server.directory, "pid")
            # Written when signals are blocked already.
            kevy.eventually("the pidfile", lambda: os.path.exists(pidfile) and os.path.getsize(pidfile))
            server.process.send_signal(number)
            server.refuses("Received %s while starting, exiting now." % number.name, status=0)
            expect(not os.path.exists(pidfile), "the pidfile was left behind")


def busy(server, client):
    """The server has a command that takes many seconds, and that no signal cuts short."""
    text = "ab" * 5000
    if server.is_redis:
        client.send(kevy.encode("EVAL", "while true do end", "0"))
    else:
        client.call("MSET", "a", text, "b", text[::-1] + "c")
        client.send(kevy.encode("MULTI") + kevy.encode("LCS", "a", "b") * 400 + kevy.encode("EXEC"))
    before = cpu_seconds(server)
    kevy.eventually("the server to be busy", lambda: cpu_seconds(server) - before > 0.1)


@check
def who_insists_ends_a_busy_server_as_redis_does():
    paths = [kevy.program()] + [path for path in [kevy.find_redis()] if path]
    if len(paths) == 1:
        print("redis-server is not there: nothing to compare with")
    for path in paths:
        with Starting("--pidfile", "pid", path=path, shards=1) as server:
            server.wait_until_ready()
            with server.client() as client:
                busy(server, client)
                server.process.send_signal(signal.SIGTERM)
                server.logs("Received SIGTERM scheduling shutdown...")
                server.process.send_signal(signal.SIGTERM)  # says nothing new
                kevy.eventually("the second signal to be told", lambda: server.log().count("Received SIGTERM scheduling") == 2)
                expect(server.is_alive(), "SIGTERM does not insist")
                server.process.send_signal(signal.SIGINT)
                ended = server.wait("the server to end", 2)
                server.stopped = True
                expect(ended == 1, "status %d" % ended)
                expect(server.log().rstrip().endswith("You insist... exiting now."), server.log())
            left = [name for name in ("socket", "pid") if os.path.exists(os.path.join(server.directory, name))]
            expect(server.is_redis or not left, "left behind: %s" % left)


def plant():
    with Starting("--port", "0", "--unixsocket", "", inherit=[]) as server:
        server.refuses("there is nothing wrong")


def main(checks, plant):
    if "--plant" in sys.argv[1:]:
        plant()
    wanted = [function for function in checks if len(sys.argv) == 1 or any(word in function.__name__ for word in sys.argv[1:])]
    expect(wanted, "no check has such a name")
    for function in wanted:
        began = time.monotonic()
        function()
        print("ok %s (%.1f s)" % (function.__name__, time.monotonic() - began), flush=True)


if __name__ == "__main__":
    main(CHECKS, plant)
