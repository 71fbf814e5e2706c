"""What is checked within the virtual machine that run.py starts, whatever its kernel: that kevy serves, that it goes by epoll where
io_uring lacks something or is switched off, and that control groups of version 2 give it its share.

Each check prints a line that begins with ok; the status is 0 if all passed.
"""
import os
import re
import subprocess
import sys
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TESTS, "lib"), os.path.join(TESTS, "start")]
import kevy  # noqa: E402
import run  # noqa: E402
from run import expect  # noqa: E402

DISABLED = "/proc/sys/kernel/io_uring_disabled"
REDIS_CLI = "/usr/bin/redis-cli"
RELEASE = os.uname().release
VERSION = tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", RELEASE).groups())


def said_by(*arguments):
    done = subprocess.run([kevy.program(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=kevy.DEFAULT_WAIT_S * kevy.TIME_SCALE, check=False)
    return done.returncode, done.stdout


def serves(mode, *arguments, because=None):
    """All shards in this mode, for that reason; redis-cli, which knows nothing of it, is served."""
    with run.Starting(*arguments, shards=3) as server:
        server.logs("is ready")
        run.serves_over(server, mode)
        expect("3 shards, %s" % mode in server.log(), server.log())
        told = "Without io_uring kevy goes by epoll" in server.log()
        expect(told == bool(because) and (because or "") in server.log(), server.log())
        if os.path.exists(REDIS_CLI):
            for words, reply in ((("SET", "key", "value"), "OK"), (("GET", "key"), "value")):
                said = subprocess.run([REDIS_CLI, "-s", server.socket_path, *words], stdout=subprocess.PIPE, text=True, check=True)
                expect(said.stdout == reply + "\n", "redis-cli %s: %s" % (words, said.stdout))


def probe_tells():
    status, said = said_by("--probe")
    print(said)
    expect(status == 0, "one of the two will do: status %d" % status)
    expect("Linux %d.%d," % VERSION in said and "epoll             yes" in said, said)
    expect(("epoll_pwait2      yes" in said) == (VERSION >= (5, 11)), said)


def old_kernels_go_by_epoll():
    if VERSION >= (6, 0):
        serves("uring")
        return
    words = "needs Linux 6.0 or newer"
    serves("epoll", because=words)
    status, said = said_by("--port", "0", "--unixsocket", "/tmp/refused", "--io-mode", "uring")
    expect(status == 1 and words in said and not os.path.exists("/tmp/refused"), "status %d: %s" % (status, said))


def where_io_uring_is_switched_off_epoll_is_taken():
    if not os.path.exists(DISABLED):
        print("this kernel knows no kernel.io_uring_disabled")
        return
    words = "io_uring is switched off on this machine: set it with `sysctl kernel.io_uring_disabled=0`"
    with open(DISABLED, "w") as file:
        file.write("2")
    try:
        serves("epoll", because=words)
        status, said = said_by("--port", "0", "--unixsocket", "/tmp/refused", "--io-mode", "uring")
        expect(status == 1 and words in said and not os.path.exists("/tmp/refused"), "status %d: %s" % (status, said))
        status, said = said_by("--probe")
        print(said)
        for part in ("kernel.io_uring_disabled 2", "io_uring is refused: Operation not permitted", words, "epoll             yes"):
            expect(status == 0 and part in said, "the probe should say '%s': status %d: %s" % (part, status, said))
    finally:
        with open(DISABLED, "w") as file:
            file.write("0")
    serves("uring")


def passes(*line, **environment):
    """A test of this repository, in this place."""
    done = subprocess.run([sys.executable, os.path.join(TESTS, line[0]), *line[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=dict(os.environ, **environment), check=False)
    print(done.stdout[-6000:], flush=True)
    expect(done.returncode == 0, "%s: status %d" % (" ".join(line), done.returncode))
    return done.stdout


def a_container_s_share_is_what_its_groups_say():
    said = passes("start/places.py", "quota", "group", "first", "place")
    expect("SKIPPED: control groups" not in said, "control groups were made, and not tried")


def transcripts_are_the_same_over_epoll():
    names = [os.path.join(TESTS, "wire", name + ".txt") for name in ("client", "connection", "keys", "transaction")]
    passes("wire/run.py", "--shards", "2", "--splits", "1", "--bytes-limit", "0", *names, KEVY_IO_MODE="epoll")


def traps_hold_over_epoll():
    passes("traps/run.py", "--shards", "2", "--io", "no", "half", "large_arguments", "ends_", KEVY_IO_MODE="epoll")


def main():
    print("---- Linux %s" % RELEASE, flush=True)
    for check in (probe_tells, old_kernels_go_by_epoll, where_io_uring_is_switched_off_epoll_is_taken, a_container_s_share_is_what_its_groups_say,
                  transcripts_are_the_same_over_epoll, traps_hold_over_epoll):
        began = time.monotonic()
        check()
        print("ok %s (%.1f s)" % (check.__name__, time.monotonic() - began), flush=True)


main()
