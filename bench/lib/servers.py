"""Servers under measurement: how they are started, pinned, looked at and ended.

A server is a child of this process, alone in a directory of its own; the kernel kills it when this process dies, and nothing else is
ever killed. What it costs is read from /proc, where every thread counts: io_uring's workers and pollers as well.
"""
import contextlib
import ctypes
import glob
import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_SECONDS = 20
STOP_SECONDS = 30
PR_SET_PDEATHSIG = 1


class Trouble(Exception):
    """What ends the run with a message instead of a backtrace."""


def tool(name):
    path = shutil.which(name)
    if not path:
        raise Trouble(f"{name} is not installed (Debian: apt install redis-server redis-tools)")
    return path


class Bench:
    """What every run works with: the options, the CPUs, and how to start a server by name."""

    def __init__(self, options, extra, root):
        self.options = options
        self.root = root
        self.quick = options.quick
        self.unix = options.unix
        self.build = os.path.join(os.getcwd(), options.build)
        if not os.path.isdir(self.build) and os.path.isdir(os.path.join(root, options.build)):
            self.build = os.path.join(root, options.build)
        self.out = options.out or os.path.join(self.build, "bench-results")
        self.server_cpu, self.client_cpu = self.choose_cpus(options.cpus)
        os.sched_setaffinity(0, [self.client_cpu])
        self.rounds = options.rounds or (3 if options.quick else 5)
        self.commands = self.built_in(options) | extra
        self.names = list(self.commands)
        if not self.names:
            raise Trouble("no servers to measure")
        for name in extra:
            if self.unix and "SOCKET" not in extra[name]:
                raise Trouble(f"{name}: over a Unix socket the command must say SOCKET, where its path belongs")

    @staticmethod
    def choose_cpus(option):
        cpus = [int(cpu) for cpu in option.split(",")] if option else sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            print("one CPU only: the server shares it with the client, and figures are worth little")
            cpus *= 2
        return cpus[0], cpus[1]

    def built_in(self, options):
        commands = {}
        for name in filter(None, options.servers.split(",")):
            if name == "kevy":
                commands[name] = (f"{shlex.quote(self.program('kevy'))} --port PORT --shards 1 --save '' --dir DIR --unixsocket SOCKET "
                                  f"{options.kevy_args}")
            elif name == "redis":
                commands[name] = (f"{tool('redis-server')} --port PORT --bind 127.0.0.1 --save '' --appendonly no --dir DIR "
                                  "--unixsocket SOCKET --daemonize no")
            elif name == "floor":
                commands[name] = f"{shlex.quote(self.program('bench/floor'))} PORT SOCKET"
            else:
                raise Trouble(f"no built-in server is named {name}: kevy, redis, floor; others are added as {name}='command'")
        return commands

    def program(self, path):
        found = os.path.join(self.build, path)
        if not os.access(found, os.X_OK):
            raise Trouble(f"{found} is not there: build it with `cmake -B build && cmake --build build`, "
                          "or say --build DIRECTORY")
        return found

    def start(self, name, more="", cpus=None, files=None):
        """A Server; `more` options, where it is a built-in one that has options; `cpus` that it may run on; `files` that it
        finds in its directory, as {name: where they are copied from}."""
        if name not in ("kevy", "redis"):
            more = ""
        return Server(name, f"{self.commands[name]} {more}", cpus or [self.server_cpu], files or {})

    def real_servers(self):
        """Those that store what they are given."""
        return [name for name in self.names if name != "floor"]

    @contextlib.contextmanager
    def started(self, names):
        """All of them, as {name: Server}."""
        with contextlib.ExitStack() as stack:
            yield {name: stack.enter_context(self.start(name)) for name in names}


def child(cpus, nice=0):
    """What a child does between fork and exec. This process has one thread."""
    parent = os.getpid()

    def prepare():
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        os.sched_setaffinity(0, cpus)
        if nice:
            os.nice(nice)

    return prepare


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, name, command, cpus, files):
        self.name = name
        self.directory = tempfile.mkdtemp(prefix="kevy-bench-")
        for file, source in files.items():
            shutil.copy(source, os.path.join(self.directory, file))
        self.socket = os.path.join(self.directory, "socket")
        self.port = free_port()
        self.log = open(os.path.join(self.directory, "log"), "w+b")
        words = [word.replace("PORT", str(self.port)).replace("DIR", self.directory).replace("SOCKET", self.socket)
                 for word in shlex.split(command)]
        words[0] = os.path.abspath(words[0]) if "/" in words[0] else words[0]
        try:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                            cwd=self.directory, preexec_fn=child(cpus))
        except OSError as error:
            self.forget()
            raise Trouble(f"{name}: {words[0]}: {error.strerror}") from None
        self.pid = self.process.pid
        self.await_reply()

    def await_reply(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"*1\r\n$4\r\nPING\r\n")
                    if probe.recv(64):
                        return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.said()
                self.stop()
                raise Trouble(f"{self.name} did not start: {said or 'it said nothing'}")
            time.sleep(0.02)

    def said(self):
        self.log.seek(0)
        return self.log.read()[-500:].decode(errors="replace").strip()

    def whole_log(self):
        with open(os.path.join(self.directory, "log"), "rb") as log:  # its own place in it: the server writes where self.log is
            return log.read()

    def check(self):
        if self.process.poll() is not None:
            raise Trouble(f"{self.name} ended with status {self.process.returncode}: {self.said()}")

    def cpu_ns(self):
        """CPU time of all threads so far, kernel work included."""
        self.check()
        total = 0
        for path in glob.glob(f"/proc/{self.pid}/task/*/schedstat"):
            with contextlib.suppress(OSError), open(path) as file:
                total += int(file.read().split()[0])
        return total

    def thread(self):
        """The number of the thread that serves: kevy's first shard, or the only one of a server like redis-server."""
        for path in glob.glob(f"/proc/{self.pid}/task/*/comm"):
            with open(path) as file:
                if file.read().strip() == "shard-0":
                    return path.split("/")[-2]
        return str(self.pid)

    def status(self, field):
        """A field of /proc/PID/status in bytes, such as VmRSS."""
        self.check()
        with open(f"/proc/{self.pid}/status") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise Trouble(f"/proc has no {field}")

    def rss(self):
        return self.status("VmRSS")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.forget()

    def forget(self):
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
