#!/usr/bin/env python3
"""The server under systemd, without systemd.

    run.py notify                      plays the service manager: READY, WATCHDOG, STOPPING, and a listening socket handed over
    run.py units SERVICE SOCKET        systemd-analyze finds nothing wrong, and the sandbox is as tight as promised
                                       (--plant: a sandbox without its bounds, which must be found too open)
    run.py calls SERVICE SOCKET        every system call that the server makes is one that the unit allows
"""
import argparse
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))
import kevy  # noqa: E402

EXPOSURE_MAX = 15     # systemd-analyze security, in tenths of its scale to 10
WATCHDOG_US = 400000  # the manager's patience


def fail(text):
    sys.exit("FAILED: " + text)


# ---- notify ----


class Manager:
    """Listens where NOTIFY_SOCKET says."""

    def __init__(self):
        self.name = "kevy-test-%d-%d" % (os.getpid(), time.monotonic_ns())
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + self.name)
        self.environment = {"NOTIFY_SOCKET": "@" + self.name, "WATCHDOG_USEC": str(WATCHDOG_US)}

    def receive(self, seconds):
        """The next message, or None after so long."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        return self.socket.recv(4096).decode()

    def wait_for(self, message):
        deadline = kevy.Deadline(message)
        while self.receive(deadline.left()) != message:
            pass


def signs_of_a_hung_shard(manager, server):
    """How many signs of life there are while a shard hangs, beside the one for what was seen before. A busy machine may have the shard
    begin late: then there are more."""
    with server.client() as client:
        before = time.monotonic()
        client.send(kevy.encode("DEBUG", "SLEEP", str(6 * WATCHDOG_US / 1e6)))
        manager.wait_for("WATCHDOG=1")  # what was seen before the shard hung
        signs = 0
        while not select.select([client.socket], [], [], 0)[0]:
            signs += manager.receive(0.02) == "WATCHDOG=1"
        client.read()
        if time.monotonic() - before < 5 * WATCHDOG_US / 1e6:
            fail("the server did not sleep: nothing was tested")
    return signs


def check_life(manager, server):
    """Signs of life come by themselves, also from a server that has nothing to do; none while a shard hangs."""
    for _ in range(3):
        manager.wait_for("WATCHDOG=1")
    signs = next((few for few in (signs_of_a_hung_shard(manager, server) for _ in range(5)) if few <= 1), None)
    if signs is None:
        fail("signs of life while a shard hung")
    manager.wait_for("WATCHDOG=1")


def check_supervised(shards):
    manager = Manager()
    arguments = ("--supervised", "auto", "--enable-debug-command", "yes")
    # kevy.Server hands a listening socket over in LISTEN_FDS, and starts only if that socket serves.
    with kevy.Server(*arguments, shards=shards, env=manager.environment) as server:
        if manager.receive(kevy.DEFAULT_WAIT_S) != "READY=1":
            fail("READY=1 is not the first message")
        manager.wait_for("STATUS=Serving with %d %s" % (shards, "shard" if shards == 1 else "shards"))
        with server.client() as client:
            info = client.call("INFO", "server")
        port = re.search(rb"tcp_port:(\d+)", info)
        if int(port.group(1)) != server.port or b"process_supervised:systemd" not in info:
            fail("INFO does not know of the socket that was handed over, or of the manager")
        check_life(manager, server)
        server.stop()
    manager.wait_for("STOPPING=1")


def check_last_save():
    """Who is told to end by somebody else than the manager saves as long as that takes, and shows that it lives meanwhile."""
    manager = Manager()
    with kevy.Server("--supervised", "auto", "--save", "3600 1", "--rdb-key-save-delay", "600000000", shards=1, env=manager.environment) as server:
        with server.client() as client:
            client.call("SET", "key", "value")
        os.kill(server.pid, signal.SIGTERM)
        kevy.eventually("the last save to begin", lambda: "Saving the final RDB snapshot" in server.log())
        while manager.receive(0) is not None:  # what it has told before
            pass
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        os.kill(server.pid, signal.SIGINT)  # it does not wait for the save
        if server.wait("a server to end at once") != 1:
            fail("who insists that the server ends is told that it has saved")
        server.kill()


def check_unsupervised():
    manager = Manager()
    with kevy.Server("--supervised", "no", shards=1, env=manager.environment):
        pass
    message = manager.receive(0)
    if message is not None:
        fail("supervised no, but the manager was told " + message)


def notify(_options):
    for shards in (1, 4):
        check_supervised(shards)
    check_last_save()
    check_unsupervised()


# ---- units ----


def run(*command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.returncode, result.stdout


def place_units(options, directory):
    """The units as they would be installed, but starting the server under test."""
    service = os.path.join(directory, "kevy.service")
    with open(options.service) as file:
        text = file.read()
    text, count = re.subn(r"^ExecStart=\S+/kevy ", "ExecStart=%s " % kevy.program(), text, flags=re.M)
    if count != 1 or "@" in re.sub(r"SystemCallFilter=.*|^#.*", "", text, flags=re.M):
        fail("%s is not as the build should have written it" % options.service)
    if options.plant:
        text = re.sub(r"^(CapabilityBoundingSet|SystemCallFilter|Protect\w+|Private\w+|NoNewPrivileges)=.*\n", "", text, flags=re.M)
    with open(service, "w") as file:
        file.write(text)
    shutil.copy(options.socket, directory)
    return service, os.path.join(directory, "kevy.socket")


def units(options):
    with tempfile.TemporaryDirectory(prefix="kevy-test-") as directory:
        service, listener = place_units(options, directory)
        status, text = run("systemd-analyze", "verify", service, listener)
        complaints = [line for line in text.splitlines() if "kevy" in line]
        if status or complaints:
            fail("systemd-analyze verify:\n" + text)
        status, text = run("systemd-analyze", "security", "--offline=true", "--no-pager", service)
        exposure = re.search(r"Overall exposure level for kevy.service: (\d+)\.(\d)", text)
        if not exposure:
            fail("systemd-analyze security:\n" + text)
        level = int(exposure.group(1)) * 10 + int(exposure.group(2))
        print("exposure level %.1f" % (level / 10))
        if level > EXPOSURE_MAX:
            fail("exposure level %.1f is above %.1f\n%s" % (level / 10, EXPOSURE_MAX / 10, text))


# ---- calls ----


def members(group):
    """The system calls of one of systemd's groups."""
    calls = set()
    for word in re.findall(r"^ +(\S+)$", run("systemd-analyze", "syscall-filter", group)[1], flags=re.M):
        calls |= members(word) if word.startswith("@") else {word}
    return calls


def allowed_calls(service):
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", open(service).read(), flags=re.M):
        words = line.lstrip("~").split()
        named = set().union(*(members(word) if word.startswith("@") else {word} for word in words))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


class TracedServer(kevy.Server):
    def command_line(self):
        self.trace_path = os.path.join(self.directory, "trace")
        return [shutil.which("strace"), "-f", "-qq", "-I", "2", "-o", self.trace_path] + super().command_line()

    def check_log(self):
        pass


def calls(options):
    allowed = allowed_calls(options.service)
    if not {"io_uring_enter", "read", "sched_setaffinity"} <= allowed or "chown" in allowed:
        fail("the unit's filter was not understood")
    # Over the Unix socket: a socket that is handed over would name strace's pid, not the server's.
    with TracedServer(shards=2, tcp=False) as server:
        with server.client() as client:
            client.call("SET", "large", "x" * 200000)
            client.call("GET", "large")
            client.call("INFO", "everything")
            client.call("FLUSHALL")
            client.send(kevy.encode("SHUTDOWN"))
            client.read_until_closed()
        server.wait("the server to shut down")
        server.stopped = True
        trace = open(server.trace_path).read()
    used = set(re.findall(r"^\d+ +(\w+)\(", trace, flags=re.M))
    if "io_uring_enter" not in used:
        fail("strace saw nothing")
    if used - allowed:
        fail("the unit does not allow " + ", ".join(sorted(used - allowed)))
    print("%d system calls, all allowed" % len(used))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("notify", "units", "calls"))
    parser.add_argument("service", nargs="?")
    parser.add_argument("socket", nargs="?")
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    {"notify": notify, "units": units, "calls": calls}[options.mode](options)


if __name__ == "__main__":
    main()
