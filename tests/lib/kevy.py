"""Starts servers and talks to them: what every Python test of kevy stands on. Python 3.9 and its standard library only.

    with Server("--maxclients", "100", shards=4) as server:
        with server.client() as client:
            assert client.call("SET", "key", "value") == "OK"

Rules that this file keeps so that tests need not think of them:
- Which program: $KEVY_SERVER, else build/kevy. A program named redis-server or valkey-server is started in Redis's way.
- Ports: kevy inherits its listening sockets (LISTEN_FDS), TCP on a port that the kernel chose, and Unix; so no port can be lost
  to someone else. For redis-server a port is bound, released and tried again should somebody take it in between.
- Every wait has a deadline (times $KEVY_TIME_SCALE, for sanitizers and slow machines) and says what it waited for.
- A server ends with the test: at the end of the `with`, and by the kernel should this process (strictly: the thread that
  started it) die. No process that was not started here is ever signalled.
- Each server runs in a temporary directory of its own. When the test fails, its log is shown.
- A server that ends other than by a clean exit, or that logged a sanitizer's report, fails the test.
"""
import errno
import fcntl
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

import resp
from resp import Error, Map, Push, Simple, encode, parse, show  # noqa: F401 (for the tests)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TIME_SCALE = float(os.environ.get("KEVY_TIME_SCALE", "1"))
DEFAULT_WAIT_S = 20.0
LOG_SHOWN_BYTES = 8000
SANITIZER_REPORT = re.compile(r"(ERROR|WARNING): \w*Sanitizer|runtime error: ")
# exitcode: a report fails the test even where the log is not read; halt: the first report is the interesting one. A process
# that exits has its other threads go on for a second under TSan, unless atexit_sleep_ms says otherwise.
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1:atexit_sleep_ms=0",
}


class Timeout(Exception):
    """A wait passed its deadline; the message says what was waited for."""


class Closed(Exception):
    """The server closed the connection where a reply was expected."""


def of_threads(process, name):
    """What the kernel tells of each thread of a process, in /proc/PROCESS/task/THREAD/NAME, by the thread's number as text. A
    thread that ends meanwhile, as those do that io_uring starts, is left out."""
    found = {}
    for task in os.listdir("/proc/%d/task" % process):
        try:
            with open("/proc/%d/task/%s/%s" % (process, task, name), encoding="ascii") as file:
                found[task] = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


class ServerFailed(Exception):
    """The server did not start, died, or reported an error of its own."""


class Deadline:
    """A point in time, and the name of what is waited for."""

    def __init__(self, what, seconds=DEFAULT_WAIT_S):
        self.what, self.seconds = what, seconds * TIME_SCALE
        self.at = time.monotonic() + self.seconds

    def left(self):
        left = self.at - time.monotonic()
        if left <= 0:
            raise Timeout("waited %.1f s for %s" % (self.seconds, self.what))
        return left


def eventually(what, condition, seconds=DEFAULT_WAIT_S, interval_s=0.002):
    """Asks condition() again and again until it is true; returns what it returned."""
    deadline = Deadline(what, seconds)
    while True:
        result = condition()
        if result:
            return result
        time.sleep(min(interval_s, deadline.left()))


def run_seed():
    """Of what a test draws by chance: $KEVY_SEED; a new one each time where $KEVY_NEW_SEED is set, as it is for tests that are labelled slow;
    else always the same. Whoever draws prints it."""
    if os.environ.get("KEVY_SEED"):
        return int(os.environ["KEVY_SEED"], 0)
    return random.SystemRandom().randrange(1 << 30) if os.environ.get("KEVY_NEW_SEED") else 1


def program():
    """The server under test."""
    return os.path.abspath(os.environ.get("KEVY_SERVER") or os.path.join(ROOT, "build", "kevy"))


def find_redis():
    """The redis-server that expectations are compared with, or None."""
    return os.environ.get("KEVY_REDIS") or shutil.which("redis-server")


def find_peer(name, variable, oldest):
    """A later server that what Redis 7.0 has not is compared with: the program that the variable names, or the one of this name in the
    user's cache in kevy-peers/bin, if its version is at least this; else None."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.environ.get(variable) or os.path.join(cache, "kevy-peers", "bin", name)
    if not os.path.exists(path):
        return None
    version = re.search(r"v=(\d+)\.", subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout)
    return path if version and int(version.group(1)) >= oldest else None


def find_later_redis():
    return find_peer("redis-server", "KEVY_REDIS_LATER", 8)


def find_valkey():
    return find_peer("valkey-server", "KEVY_VALKEY", 9)


class Server:
    """A server process. Arguments are the server's own ("--name", "value"); `shards` applies to kevy only.

    tcp=False: nothing is inherited; the server itself binds its Unix socket (self.socket_path) and no port.
    start=False: not started before start() is called.
    """

    def __init__(self, *arguments, shards=None, path=None, tcp=True, env=None, start=True):
        self.path = path or program()
        self.is_redis = os.path.basename(self.path).startswith(("redis", "valkey"))
        self.arguments, self.shards, self.tcp, self.env = arguments, shards, tcp, env or {}
        self.directory = tempfile.mkdtemp(prefix="kevy-test-")
        self.socket_path = os.path.join(self.directory, "socket")
        self.log_path = os.path.join(self.directory, "log")
        self.process, self.pidfd, self.port, self.stopped = None, -1, None, False
        self.stdin = subprocess.DEVNULL
        try:
            if start:
                self.start()
        except BaseException:
            self.show_log()
            self.remove()
            raise

    # ---- Starting ----

    def command_line(self):
        line = [self.path]
        if not self.tcp:
            line += ["--port", "0", "--unixsocket", self.socket_path]
        elif self.is_redis:
            line += ["--port", str(self.port), "--unixsocket", self.socket_path]
        if self.is_redis:
            line += ["--save", "", "--daemonize", "no", "--enable-debug-command", "yes", "--dir", self.directory]
        else:
            line += ["--io-mode", os.environ["KEVY_IO_MODE"]] if os.environ.get("KEVY_IO_MODE") else []
            # Tests have several shards so that commands meet across them: connections do not gather, but where a test says so.
            line += ["--shards", str(self.shards), "--shards-in-use", "all"] if self.shards else []
            line += ["--save", ""] + (["--enable-debug-command", "yes"] if self.stirred() else [])
        return line + [str(argument) for argument in self.arguments]

    def start(self):
        if not os.access(self.path, os.X_OK):
            raise ServerFailed("no server at %s: build it or set KEVY_SERVER" % self.path)
        attempts = 5 if self.is_redis and self.tcp else 1
        for attempt in range(attempts):
            self.spawn()
            try:
                self.wait_until_ready()
                self.stir()
                return
            except ServerFailed:
                taken = "Address already in use" in self.log()
                if not taken or attempt + 1 == attempts:
                    raise

    def spawn(self):
        listeners = self.listeners()
        environment = dict(os.environ, KEVY_TEST_PARENT=str(os.getpid()))
        for name, value in SANITIZER_OPTIONS.items():
            environment.setdefault(name, value)
        if self.is_redis:
            environment["LC_ALL"] = "C"  # SORT ALPHA goes by the locale
        environment.update(self.env)
        fds = [listener.fileno() for listener in listeners]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", os.path.join(HERE, "launch.py"), ",".join(map(str, fds))]
                + self.command_line(),
                stdin=self.stdin, stdout=log, stderr=log, cwd=self.directory, env=environment, pass_fds=fds)
        for listener in listeners:
            listener.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
        self.pidfd = os.pidfd_open(self.process.pid)
        self.stopped = False

    def listeners(self):
        """The sockets that the server inherits. Sets self.port."""
        if not self.tcp:
            return []
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.bind(("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        if self.is_redis:
            tcp.close()
            return []
        if os.path.exists(self.socket_path):
            os.unlink(self.socket_path)
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        unix.bind(self.socket_path)
        for listener in (tcp, unix):
            listener.listen(511)
        return [tcp, unix]

    def wait_until_ready(self):
        """Ready means: answers PING, or refuses it for want of a password; not that it loads its data."""
        deadline = Deadline("%s to answer PING" % self.path)
        while True:
            if select.select([self.pidfd], [], [], 0)[0]:
                raise ServerFailed("%s ended with status %s before it was ready"
                                   % (self.path, self.process.wait()))
            deadline.left()
            try:
                with Client(self) as client:
                    client.send(encode("PING"))
                    # Wakes for the reply and for the end of the process alike.
                    select.select([client.socket, self.pidfd], [], [], deadline.left())
                    if select.select([client.socket], [], [], 0)[0]:
                        reply = client.read()
                        if reply is not None and "LOADING" not in str(reply):
                            return
                        select.select([self.pidfd], [], [], 0.005)
            except (OSError, Closed):
                select.select([self.pidfd], [], [], 0.005)

    # ---- Stirring ----

    def stirred(self):
        """KEVY_STIR=N in the environment: connections of servers with several shards move all the time, every N turns."""
        return os.environ.get("KEVY_STIR") if not self.is_redis and (self.shards or 1) > 1 else None

    def stir(self):
        if not self.stirred():
            return
        arguments = [str(argument) for argument in self.arguments]
        if "--enable-debug-command" in arguments and arguments[arguments.index("--enable-debug-command") + 1] == "no":
            return
        with Client(self) as client:
            if "--requirepass" in arguments:
                client.call("AUTH", arguments[arguments.index("--requirepass") + 1])
            reply = client.call("DEBUG", "STIR-CONNECTIONS", self.stirred())
            if reply != "OK" and "LOADING" not in str(reply):
                raise ServerFailed("STIR-CONNECTIONS: %s" % reply)

    # ---- Talking ----

    def client(self, protocol=2, unix=False):
        """A new connection; protocol 3 says HELLO 3 first."""
        return Client(self, protocol=protocol, unix=unix)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    def show_log(self):
        print("---- log of %s ----\n%s----" % (" ".join(self.command_line()), self.log()[-LOG_SHOWN_BYTES:]),
              file=sys.stderr)

    def is_alive(self):
        return self.process.poll() is None

    # ---- Ending ----

    def wait(self, what, seconds=DEFAULT_WAIT_S):
        """Waits for the process to end; returns its status (negative: a signal)."""
        deadline = Deadline(what, seconds)
        select.select([self.pidfd], [], [], deadline.left())
        if self.process.poll() is None:
            deadline.left()
            raise Timeout(what)
        return self.process.returncode

    def kill(self):
        """Ends the process at once, without judging how."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.stopped = True

    def stop(self):
        """Ends the server by SIGTERM and judges it: a clean exit, nothing reported by a sanitizer."""
        if self.stopped:
            return
        self.stopped = True
        died = self.process.poll()
        if died is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                died = self.wait("%s to end after SIGTERM" % self.path)
            except Timeout as timeout:
                raise Timeout("%s; its threads: %s" % (timeout, self.threads())) from None
            finally:
                self.kill()
            if died != 0:
                raise ServerFailed("the server ended with status %d after SIGTERM" % died)
        else:
            raise ServerFailed("the server had ended by itself, with status %d" % died)
        self.check_log()

    def threads(self):
        """Where each thread of the process is: its name, state, and what it waits for in the kernel."""
        waits = of_threads(self.pid, "wchan")
        stats = [(stat, waits.get(task, "?")) for task, stat in sorted(of_threads(self.pid, "stat").items())]
        return ", ".join("%s %s %s" % (stat.partition("(")[2].rpartition(")")[0], stat.rpartition(") ")[2][:1], wait) for stat, wait in stats)

    def check_log(self):
        report = SANITIZER_REPORT.search(self.log())
        if report:
            raise ServerFailed("the server's log has a report: " + report.group(0))

    def remove(self):
        self.kill()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                try:
                    self.stop()
                except BaseException:
                    self.show_log()
                    raise
            else:
                if self.process and self.process.poll() is not None and not self.stopped:
                    print("the server had ended with status %s" % self.process.returncode, file=sys.stderr)
                self.show_log()
        finally:
            self.remove()


class Client:
    """One connection. send() takes bytes; read() gives values, read_raw() the reply's own bytes; call() does both."""

    def __init__(self, server, protocol=2, unix=False):
        self.server, self.is_unix = server, unix or not server.tcp
        if self.is_unix:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            address = server.socket_path
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            address = ("127.0.0.1", server.port)
        self.buffer, self.framer, self.eof = bytearray(), resp.Framer(), False
        try:
            self.socket.settimeout(DEFAULT_WAIT_S * TIME_SCALE)
            self.socket.connect(address)
            self.socket.setblocking(False)
            if protocol == 3:
                reply = self.call("HELLO", "3")
                if isinstance(reply, Error):
                    raise ServerFailed("HELLO 3: " + reply)
        except BaseException:
            self.socket.close()
            raise

    # ---- Sending ----

    def send(self, data, what="the server to take the request"):
        """Sends all of data, reading along so that two full pipes cannot wait for each other."""
        view, deadline = memoryview(data), Deadline(what)
        while len(view):
            readable, writable, _ = select.select([] if self.eof else [self.socket], [self.socket], [],
                                                  deadline.left())
            if readable:
                self.receive()
            if writable:
                view = view[self.socket.send(view):]

    def send_pieces(self, pieces):
        """Sends each piece only when the server has read the one before. (Over TCP: when it arrived at its socket.)"""
        for piece in pieces:
            self.send(piece)
            self.wait_taken()

    def wait_taken(self):
        """A disk may stand still for long, and whoever waits for it then reads nothing."""
        deadline = Deadline("the server to read what was sent", 3 * DEFAULT_WAIT_S)
        while not self.eof:
            unread = fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
            if struct.unpack("i", unread)[0] == 0:
                return
            deadline.left()
            if select.select([self.socket], [], [], 0)[0]:
                self.receive()

    def half_close(self):
        """No more requests will come; replies still may. Where the server was the first to go, reading tells."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def reset(self):
        """Closes with an RST (over TCP)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.socket.close()

    # ---- Receiving ----

    def receive(self):
        """Takes what is there into the buffer. True if anything changed."""
        try:
            data = self.socket.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return False
        except (ConnectionResetError, BrokenPipeError):
            data = b""
        self.buffer += data
        self.eof = not data
        return True

    def read_raw(self, what="a reply", seconds=DEFAULT_WAIT_S):
        """The bytes of one complete reply."""
        deadline = Deadline(what, seconds)
        while True:
            end = self.framer.end(self.buffer)
            if end is not None:
                raw = bytes(self.buffer[:end])
                del self.buffer[:end]
                self.framer.reset()
                return raw
            if self.eof:
                raise Closed("the server closed the connection while %s was expected; unread: %s"
                             % (what, show(self.buffer)))
            try:
                left = deadline.left()
            except Timeout as timeout:
                raise Timeout("%s; received so far: %s" % (timeout, show(self.buffer))) from None
            if select.select([self.socket], [], [], left)[0]:
                self.receive()

    def read(self, what="a reply", seconds=DEFAULT_WAIT_S):
        return parse(self.read_raw(what, seconds))

    def read_until_closed(self, seconds=DEFAULT_WAIT_S):
        """Everything up to the end of the connection."""
        deadline = Deadline("the server to close the connection", seconds)
        while not self.eof:
            if select.select([self.socket], [], [], deadline.left())[0]:
                self.receive()
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def call(self, *arguments, seconds=DEFAULT_WAIT_S):
        """Sends one command and returns the value of its reply."""
        self.send(encode(*arguments))
        return self.read("the reply to %s" % show(b" ".join(a if isinstance(a, bytes) else str(a).encode()
                                                             for a in arguments), 80), seconds)

    def pipeline(self, commands):
        """Sends all commands at once and returns the values of their replies."""
        self.send(b"".join(encode(*command) for command in commands))
        return [self.read("reply %d of %d" % (i + 1, len(commands))) for i in range(len(commands))]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
