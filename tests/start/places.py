#!/usr/bin/env python3
"""Where a server starts: as the first process of a container, with a share of the machine, in places that lack nearly everything.
It starts, serves, warns of nothing that its user cannot change, and ends in order.

    places.py            every check
    places.py NAME...    those with NAME in their names
    places.py --plant    a container that has no server, which must be found out

Namespaces and control groups are made by box.py. What this machine does not let us make is told, and left out.
"""
import fcntl
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios

import run
from run import expect, kevy

CHECKS = []
HERE = os.path.dirname(os.path.abspath(__file__))
BOX = [sys.executable, "-I", "-S", os.path.join(HERE, "box.py")]
CALLS = os.path.join(HERE, "calls.txt")
NOT_ALLOWED = 77
NOBODY = 54321  # a user that has no name
MEMORY = 3 << 30


def check(function):
    CHECKS.append(function)
    return function


def skip(why):
    print("SKIPPED: " + why, flush=True)


class Boxed(run.Starting):
    """A server that box.py starts, by a specification. With `root`, it sees no other directory of this machine than its own and the
    program's."""

    def __init__(self, spec, *arguments, root=False, **options):
        self.spec, self.root = dict(spec), tempfile.mkdtemp(prefix="kevy-test-root-") if root else None
        super().__init__("--maxclients", "100", *arguments, **options)

    def command_line(self):
        if "pid" in self.spec.get("apart", []):
            self.spec["number"] = os.path.join(self.directory, "number")
        if self.root:
            self.spec.update(root=self.root, bind={self.directory: True, self.path: False})
        if "children" in self.spec:
            self.spec["children"] = os.path.join(self.directory, "fifo")
            if not os.path.exists(self.spec["children"]):
                os.mkfifo(self.spec["children"])
        return BOX + [json.dumps(self.spec)] + super().command_line()

    def is_served(self):
        """Waits until it serves. False, and told, where this machine does not allow such a place."""
        deadline = kevy.Deadline("the server to answer PING")
        while self.process.poll() is None:
            deadline.left()
            try:
                with self.client() as client:
                    if client.call("PING") == "PONG":  # not while it loads
                        return True
            except (OSError, kevy.Closed):
                pass
            select.select([self.pidfd], [], [], 0.005)
        self.stopped = True
        forbidden = re.search("^not allowed.*", self.log(), flags=re.M)
        expect(self.process.returncode == NOT_ALLOWED and forbidden, "it ended with status %s: %s"
               % (self.process.returncode, self.log()))
        skip(forbidden.group(0))
        return False

    def number_outside(self):
        """The number that the server's own process has here; box.py stands before it where it has a namespace of its own."""
        if "number" not in self.spec:
            return self.pid
        with open(self.spec["number"]) as file:
            return int(file.read())

    def remove(self):
        super().remove()
        if self.root:
            os.rmdir(self.root)


def info(server, section="everything"):
    with server.client() as client:
        return dict(line.split(":", 1) for line in client.call("INFO", section).decode().split("\r\n") if ":" in line)


def is_well(server):
    """It does what servers do, and has warned of nothing."""
    with server.client() as client:
        expect(client.call("SET", "key", "x" * 100000) == "OK" and client.call("GET", "key") == b"x" * 100000, "SET and GET")
    expect(info(server)["kevy_version"], "INFO")
    warnings = [line for line in server.log().splitlines() if re.search(r"\d \d\d:\d\d:\d\d\.\d+ # ", line)]
    if info(server)["multiplexing_api"] == "epoll":  # which is told, with the remedy
        warnings = [line for line in warnings if "Without io_uring kevy goes by epoll" not in line]
    expect(not warnings, "it should not warn: %s" % warnings)


def starts_and_ends(spec, *arguments, **options):
    with Boxed(spec, *arguments, **options) as server:
        if server.is_served():
            is_well(server)


# ---- What is lacking ----


def is_sanitized():
    """Sanitizers look into /proc, and speak on streams."""
    if run.is_sanitized():
        skip("sanitizers need what is taken away here")
    return run.is_sanitized()


@check
def the_root_may_be_read_only():
    starts_and_ends({"apart": ["user", "pid", "mount"], "proc": True}, root=True, shards=1)


@check
def there_may_be_no_proc_sys_dev_and_etc():
    if not is_sanitized():
        starts_and_ends({"apart": ["user", "pid", "mount"]}, root=True, shards=2)


@check
def the_user_may_have_no_name():
    starts_and_ends({"apart": ["user"], "user": NOBODY}, shards=1)


@check
def the_environment_may_be_empty():
    """Neither TZ nor HOME nor PATH, and no file that says which time is local."""
    if not is_sanitized():
        starts_and_ends({"apart": ["user", "pid", "mount"], "user": NOBODY, "proc": True, "bare": True}, root=True, shards=1)


def streams_of(server):
    place = "/proc/%d/fd/" % server.number_outside()
    return [os.readlink(place + str(fd)) for fd in range(3)]


def hold_streams(spec, closed, **options):
    with Boxed(dict(spec, close=closed), shards=2, **options) as server:
        if not server.is_served():
            return
        before = streams_of(server)
        if not server.root:
            expect(all(before[fd] == "/dev/null" for fd in closed), "streams %s are %s" % (closed, before))
        expect(not any(place.startswith("socket:") for place in before), "streams are %s" % before)
        clients = [server.client() for _ in range(8)]
        for client in clients:
            expect(client.call("PING") == "PONG" and not client.buffer, "PING")
        expect(streams_of(server) == before, "streams are %s, were %s" % (streams_of(server), before))
        is_well(server)
        for client in clients:
            client.close()


@check
def streams_may_be_closed():
    if is_sanitized():
        return
    for closed in ([0], [1], [2], [0, 1, 2]):
        hold_streams({}, closed)
    hold_streams({"apart": ["user", "pid", "mount"]}, [0, 1, 2], root=True)


# ---- The first process ----

FIRST = {"apart": ["user", "pid"]}


@check
def the_first_process_ends_in_order():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Boxed(FIRST, "--daemonize", "yes", shards=2) as server:
            if not server.is_served():
                return
            expect(info(server, "server")["process_id"] == "1", "it should be the first process")
            server.logs("daemonize yes: no effect: a container ends with its first process")
            os.kill(server.number_outside(), number)
            expect(server.wait("the server to end") == 0, "status %s" % server.process.returncode)
            server.stopped = True
            server.check_log()
            expect("Received %s scheduling shutdown" % number.name in server.log() and "bye bye" in server.log(), server.log())
            expect(not os.path.exists(server.socket_path), "the Unix socket was left behind")


class Fed(Boxed):
    """A server that reads its configuration from us: `kevy -`."""

    feed = -1

    def spawn(self):
        self.stdin, self.feed = os.pipe()
        super().spawn()
        os.close(self.stdin)

    def hears(self, text):
        """Until it has read this, and waits for more. False where it cannot be what it is to be."""
        os.write(self.feed, text)
        kevy.eventually("the server to read, or to end", lambda: self.process.poll() is not None
                        or (os.path.exists(self.spec["number"])
                            and struct.unpack("i", fcntl.ioctl(self.feed, termios.FIONREAD, b"\0" * 4))[0] == 0))
        return self.process.poll() is None or self.is_served()

    def remove(self):
        if self.feed >= 0:
            os.close(self.feed)
        super().remove()


@check
def the_first_process_ends_while_it_reads_its_configuration():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Fed(FIRST, "-", shards=1) as server:
            if not server.hears(b"# nothing yet\n"):
                return
            os.kill(server.number_outside(), number)
            expect(server.wait("the server to end") == 0, "status %s" % server.process.returncode)
            server.stopped = True
            expect(server.log().endswith("kevy: interrupted while starting, exiting now\n"), server.log())
    with Fed(FIRST, "-", shards=1) as server:
        if not server.hears(b"maxmemory-policy noeviction\n"):
            return
        os.close(server.feed)
        server.feed = -1
        if server.is_served():
            is_well(server)


def children_of(number):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as file:
                state, parent = file.read().rpartition(") ")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == number:
            found.append(state)
    return found


@check
def the_first_process_inherits_children_and_forgets_them():
    with Boxed(dict(FIRST, children=True), shards=1) as server:
        if not server.is_served():
            return
        number = server.number_outside()
        kevy.eventually("the orphan, and no other", lambda: len(children_of(number)) == 1)
        with open(server.spec["children"], "w"):
            pass
        kevy.eventually("the orphan to be gone", lambda: not children_of(number))
        is_well(server)


# ---- A share of the machine ----


def mounts_of(kind):
    """[(path, options)] of mounted control groups."""
    with open("/proc/self/mountinfo") as file:
        rows = [line.split() for line in file]
    return [(row[4], row[-1].split(",")) for row in rows if row[row.index("-") + 1] == kind and row[3] == "/"]


def own_group(controller):
    """Where the process is in the tree of this controller; None: in that of all controllers."""
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, names, path = line.rstrip("\n").split(":", 2)
            if (controller or "") in names.split(",") or (controller is None and not names):
                return path
    return None


def told_of_share(join):
    """The number of shards, the limit on memory, and whether there is a quota of CPU time, as a server sees them."""
    with Boxed({"join": join}) as server:
        found = info(server) if server.is_served() else {"shards": "0", "container_memory_limit": "0"}
        return int(found["shards"]), int(found["container_memory_limit"]), "CPU quota" in server.log()


def has_less_than(memory):
    """What is within a share would see that, and not the wider one that a test gives it."""
    _, limit, has_quota = told_of_share([])
    return has_quota or 0 < limit < memory


class Groups:
    """Control groups with limits on CPU time and memory, or None for no limit, below this process's own: `join` and `mounts` for
    box.py. Nothing is in `join` where the machine has none, or forbids it; `why` says which."""

    def __init__(self, quota_us, memory):
        self.made, self.join, self.mounts, self.why = [], [], [], "no control groups are mounted"
        if has_less_than(memory or 0):
            self.why = "we have a share ourselves"
            return
        try:
            self.make_unified(quota_us, memory) or self.make_apart(quota_us, memory)
        except OSError as error:
            self.why = str(error)
            self.remove()

    def make(self, parent, files):
        path = os.path.join(parent, "kevy-test-%d-%d" % (os.getpid(), len(self.made)))
        os.mkdir(path)
        self.made.append(path)
        for name, value in files:
            with open(os.path.join(path, name), "w") as file:
                file.write(str(value))
        self.join.append(os.path.join(path, "cgroup.procs"))

    def make_unified(self, quota_us, memory):
        """In the nearest group whose own groups have both controllers."""
        place = own_group(None)
        for mount, _ in mounts_of("cgroup2"):
            while place is not None:
                path = mount + place.rstrip("/")
                with open(os.path.join(path, "cgroup.subtree_control")) as file:
                    if {"cpu", "memory"} <= set(file.read().split()):
                        self.make(path, [("cpu.max", "%s 100000" % (quota_us or "max")), ("memory.max", memory or "max")])
                        self.mounts = [["cgroup2", None, "/sys/fs/cgroup"]]
                        return True
                place = place.rpartition("/")[0] if place != "/" else None
                place = "/" if place == "" else place
        return False

    def make_apart(self, quota_us, memory):
        limits = {"cpu": [("cpu.cfs_period_us", 100000), ("cpu.cfs_quota_us", quota_us or -1)],
                  "memory": [("memory.limit_in_bytes", memory or -1)]}
        for controller, files in limits.items():
            for mount, options in mounts_of("cgroup"):
                if controller in options:
                    self.make(mount + own_group(controller).rstrip("/"), files)
                    names = ",".join(sorted(set(options) - {"rw", "ro"}))
                    self.mounts.append(["cgroup", names, "/sys/fs/cgroup/" + controller])
        if len(self.join) < len(limits):
            self.remove()

    def remove(self):
        for path in self.made:
            kevy.eventually("%s to be empty" % path, lambda: remove_group(path))
        self.made, self.join, self.mounts = [], [], []

    def __enter__(self):
        if not self.join:
            skip("control groups: " + self.why)
        return self

    def __exit__(self, *_):
        self.remove()


def remove_group(path):
    try:
        os.rmdir(path)
        return True
    except OSError:
        return False


def cpus_in(status):
    return re.search(r"^Cpus_allowed_list:\s*(\S+)", status, flags=re.M).group(1)


def has_share(server, quota, shards):
    """As many threads as the quota feeds, on no CPU of their own."""
    found = info(server)
    expect(found["shards"] == str(shards), "%s shards, expected %d" % (found["shards"], shards))
    expect((found["container_memory_limit"], found["container_memory_limit_human"]) == (str(MEMORY), "3.00G"),
           "container_memory_limit:" + found["container_memory_limit"])
    expect(int(found["total_system_memory"]) == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE"), "total_system_memory")
    cpus = len(os.sched_getaffinity(0))
    server.logs("CPU quota: the control group leaves %.2f of %d CPUs to kevy" % (quota, cpus))
    process = server.number_outside()
    with open("/proc/%d/status" % process) as file:
        allowed = cpus_in(file.read())
    threads = kevy.of_threads(process, "status")
    expect(len(threads) >= shards, "%d threads for %d shards" % (len(threads), shards))
    for task, status in threads.items():
        expect(cpus_in(status) == allowed, "thread %s is pinned to %s" % (task, cpus_in(status)))


@check
def a_quota_decides_how_many_shards_there_are():
    cpus = len(os.sched_getaffinity(0))
    for quota, shards in ((0.5, 1), (cpus - 0.5, cpus)):
        with Groups(int(quota * 100000), MEMORY) as groups:
            if not groups.join:
                return
            with Boxed({"join": groups.join}) as server:
                if not server.is_served():
                    return
                has_share(server, quota, shards)
                is_well(server)


@check
def a_group_without_limits_changes_nothing():
    with Groups(None, None) as groups:
        if groups.join:
            within, without = told_of_share(groups.join), told_of_share([])
            expect(within == without, "%s, elsewhere %s" % (within, without))


# ---- All of it: a container ----


def inside(server, *arguments, spec=None):
    """Runs kevy with these arguments in the container of a server, as a health check does: its status and what it says."""
    line = BOX + [json.dumps(dict(spec or {}, enter=server.number_outside())), kevy.program()] + list(arguments)
    result = subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            timeout=kevy.DEFAULT_WAIT_S * kevy.TIME_SCALE)
    return result.returncode, result.stdout


def contain(spec, groups):
    """The whole life of a container, with default addresses in a network of its own."""
    options = {} if groups.join else {"shards": 2}
    whole = dict(spec, apart=["user", "pid", "mount", "net", "ipc", "uts", "cgroup"], proc=True, user=NOBODY, close=[0],
                 join=groups.join, groups=groups.mounts)
    with Boxed(whole, "--port", "6379", root=True, **options) as server:
        if not server.is_served():
            return
        api = info(server)["multiplexing_api"]
        expect("filter" not in spec or api == "epoll", "multiplexing_api is %s" % api)
        status, text = inside(server, "--ping", spec=spec)
        expect((status, text) == (0, "PONG\n"), "kevy --ping: %d, %s" % (status, text))
        expect(inside(server, "--ping", server.socket_path, spec=spec) == (0, "PONG\n"), "kevy --ping path")
        status, text = inside(server, "--ping", "127.0.0.1:1")
        expect((status, text) == (1, "kevy: 127.0.0.1:1: Connection refused\n"), "kevy --ping: %d, %s" % (status, text))
        expect(info(server, "server")["process_id"] == "1", "it should be the first process")
        if groups.join:
            has_share(server, 0.5, 1)
        is_well(server)


@check
def a_container_is_a_place_to_live():
    if is_sanitized():
        return
    with Groups(50000, MEMORY) as groups:
        contain({}, groups)


@check
def docker_s_system_calls_are_enough():
    if is_sanitized():
        return
    if not shutil.which(os.environ.get("CC", "cc")) or os.uname().machine not in ("x86_64", "aarch64"):
        skip("no compiler, which would know the numbers of system calls, or a machine that is not known here")
        return
    with Groups(50000, MEMORY) as groups:
        contain({"filter": CALLS}, groups)


def plant():
    with Boxed({}, path="/bin/true") as server:
        server.is_served()


if __name__ == "__main__":
    run.main(CHECKS, plant)
