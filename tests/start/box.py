"""Becomes a server in a place of its own: box.py SPECIFICATION PROGRAM ARGUMENT...

The specification is a JSON object; what it does not name stays as it is.

    user        the number that this user has in a namespace of users
    apart       namespaces of its own: "user", "pid", "mount", "net", "ipc", "uts", "cgroup"
    root        an empty directory that becomes /, not writable, with nothing in it but the system's programs and libraries,
                and, writable or not, what `bind` has
    bind        {path: writable}: seen at the same path in the root
    bare        no environment
    proc        /proc is mounted in the root
    groups      [type, options, path]: control groups that are mounted in the root
    join        files of control groups to write our number into, first of all
    close       descriptors
    filter      a file with names of system calls: all others answer EPERM (see calls.txt)
    old         what came after Linux 4.18 is not there: system calls, and what their arguments ask for as far as a filter sees it
    number      a file for the number that the server has outside
    children    a process that has ended already, and one that loses its parent and lasts until this FIFO is written to: the
                server, which they know nothing of, inherits both
    enter       the number of a process: its namespaces and its root become ours (as docker exec does it)

Who is forbidden something that the specification asks for ends with status 77 and a line that begins with "not allowed".
"""
import ctypes
import errno
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NAMESPACES = {"user": 0x10000000, "pid": 0x20000000, "mount": 0x00020000, "net": 0x40000000, "ipc": 0x08000000,
              "uts": 0x04000000, "cgroup": 0x02000000}
FILES = {"user": "user", "pid": "pid", "mount": "mnt", "net": "net", "ipc": "ipc", "uts": "uts", "cgroup": "cgroup"}
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
MS_KEPT = 2 | 4 | 8 | 1024 | 2048  # nosuid, nodev, noexec, noatime, nodiratime: who may not clear them must repeat them
MS_RELATIME, ST_RELATIME = 1 << 21, 4096
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
NOT_ALLOWED = 77
SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin")


def must(result, what):
    if result < 0:
        error = ctypes.get_errno()
        if error in (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EINVAL, errno.ENOSPC, errno.EUSERS):
            sys.stderr.write("not allowed: %s: %s\n" % (what, os.strerror(error)))
            sys.stderr.flush()
            os._exit(NOT_ALLOWED)
        raise OSError(error, what)
    return result


def write(path, text):
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        ctypes.set_errno(error.errno)
        must(-1, "writing %s" % path)


# ---- Mounts ----


def mount(source, target, kind=None, flags=0, options=None):
    words = [word.encode() if word is not None else None for word in (source, target, kind, options)]
    must(LIBC.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), "mounting %s" % target)


def fix(path):
    """Makes a mount read-only."""
    found = os.statvfs(path).f_flag
    kept = (found & MS_KEPT) | (MS_RELATIME if found & ST_RELATIME else 0)
    mount(None, path, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def bind(path, root, writable):
    target = root + path
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "w").close()
    mount(path, target, None, MS_BIND | MS_REC)
    if not writable:
        fix(target)


def build(spec):
    """The directories of the new root, but for /proc, which only a process of the new namespace may mount."""
    root = spec["root"]
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("none", root, "tmpfs")
    for path in SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            bind(path, root, False)
    for path, writable in spec.get("bind", {}).items():
        bind(path, root, writable)
    groups = spec.get("groups", [])
    for path in ["/proc"] * spec.get("proc", False) + [path for _, _, path in groups]:
        os.makedirs(root + path, exist_ok=True)


def finish(spec):
    root = spec["root"]
    if spec.get("proc"):
        mount("proc", root + "/proc", "proc")
    for kind, options, path in spec.get("groups", []):
        mount("none", root + path, kind, 0, options)
    fix(root)
    os.chroot(root)
    os.chdir("/")


# ---- Namespaces ----


def separate(spec):
    apart = spec.get("apart", [])
    user, group = os.geteuid(), os.getegid()
    flags = sum(NAMESPACES[name] for name in apart)
    if flags:
        must(LIBC.unshare(flags), "namespaces of %s" % ", ".join(apart))
    if "user" in apart:
        number = spec.get("user", 0)
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", "%d %d 1" % (number, user))
        write("/proc/self/gid_map", "%d %d 1" % (number, group))


def enter(spec):
    place = "/proc/%d/" % spec["enter"]
    root = os.open(place + "root", os.O_PATH | os.O_DIRECTORY)
    names = [name for name in FILES if os.readlink(place + "ns/" + FILES[name]) != os.readlink("/proc/self/ns/" + FILES[name])]
    files = [(name, os.open(place + "ns/" + FILES[name], os.O_RDONLY)) for name in names]
    for name, fd in files:
        must(LIBC.setns(fd, NAMESPACES[name]), "entering a namespace of %s" % name)
    os.fchdir(root)
    os.chroot(".")
    return "pid" in names


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 1)  # IFF_UP
        fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS


def leave_children(fifo):
    """One that has ended, and one whose parent has."""
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            open(fifo).read()
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)


# ---- The filter ----


def numbers():
    """The numbers of system calls, by name, as the C library's headers have them."""
    compiler = os.environ.get("CC", "cc")
    text = subprocess.run([compiler, "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", "/dev/null"], stdout=subprocess.PIPE,
                          check=True, text=True).stdout
    found = dict(re.findall(r"^#define (__NR\w*) (\w+)$", text, flags=re.M))

    def number(word):
        while word in found:
            word = found[word]
        return int(word, 0)

    return {name[5:]: number(name) for name in found if name.startswith("__NR_") and re.fullmatch(r"\d+|__NR\w+", found[name])}


AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
LOAD, EQUAL, AT_LEAST, SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE = 0, 4  # where these are in what a filter sees
CLONE_NAMESPACES = sum(flag for name, flag in NAMESPACES.items())
FAMILIES_REFUSED = (12, 19, 20, 23, 25, 34, 37, 38, 40)


def argument(index):
    return 16 + 8 * index  # its lower half


class Program:
    """A filter's steps. It begins with the look at the architecture; when it comes to its end, `last` is the answer."""

    def __init__(self):
        self.steps = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, AUDIT_ARCHITECTURES[os.uname().machine]),
                      (RETURN, 0, 0, ERRNO | errno.EPERM), (LOAD, 0, 0, NUMBER)]

    def when(self, call, *answer, asked=EQUAL):
        self.steps.append((asked, 0, len(answer), call))
        self.steps.extend(answer)

    def bytes(self, last):
        return b"".join(struct.pack("HBBI", *step) for step in self.steps + [(RETURN, 0, 0, last)])


def allowed_by(path):
    """The filter that allows what the file names. clone3 answers ENOSYS, clone makes no namespaces, socket none of the rarer
    families."""
    with open(path) as file:
        names = [name for line in file if not line.startswith("#") for name in line.split()]
    table, made = numbers(), Program()
    made.when(table["clone3"], (RETURN, 0, 0, ERRNO | errno.ENOSYS))
    made.when(table["clone"], (LOAD, 0, 0, argument(0)), (SET, 0, 1, CLONE_NAMESPACES), (RETURN, 0, 0, ERRNO | errno.EPERM),
              (RETURN, 0, 0, ALLOW))
    refused = [(EQUAL, len(FAMILIES_REFUSED) - i, 0, family) for i, family in enumerate(FAMILIES_REFUSED)]
    made.when(table["socket"], (LOAD, 0, 0, argument(0)), *refused, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | errno.EPERM))
    for name in names:
        if name in table:
            made.when(table[name], (RETURN, 0, 0, ALLOW))
    return made.bytes(ERRNO | errno.EPERM)


FIRST_LATER = {"x86_64": 335, "aarch64": 294}  # the number behind the last of Linux 4.18

# What came later and is asked for by an argument: the call, what holds for its arguments, all of it, and what 4.18 answers, or would
# have to, where it does not look.
LATER = [
    ("madvise", [(2, AT_LEAST, 20)], errno.EINVAL),  # MADV_COLD
    ("membarrier", [(0, AT_LEAST, 128)], errno.EINVAL),  # of restartable sequences
    ("membarrier", [(1, AT_LEAST, 1)], errno.EINVAL),
    ("mmap", [(3, SET, 0x3E0068C)], errno.EINVAL),  # MAP_DROPPABLE, MAP_ABOVE4G, and what has no meaning yet
    ("mremap", [(3, AT_LEAST, 4)], errno.EINVAL),  # MREMAP_DONTUNMAP
    ("prctl", [(0, AT_LEAST, 54)], errno.EINVAL),  # behind PR_SET_SPECULATION_CTRL
    ("prctl", [(0, EQUAL, 41), (2, AT_LEAST, 1)], errno.EINVAL),  # PR_SET_THP_DISABLE with flags
    ("preadv2", [(5, AT_LEAST, 0x20)], errno.EOPNOTSUPP),
    ("pwritev2", [(5, AT_LEAST, 0x20)], errno.EOPNOTSUPP),  # RWF_NOAPPEND
    ("fallocate", [(1, AT_LEAST, 0x80)], errno.EOPNOTSUPP),  # FALLOC_FL_WRITE_ZEROES
    ("fcntl", [(1, AT_LEAST, 1039)], errno.EINVAL),  # behind F_SET_FILE_RW_HINT
    ("fcntl", [(1, EQUAL, 1027)], errno.EINVAL),  # F_DUPFD_QUERY
    ("fcntl", [(1, EQUAL, 1028)], errno.EINVAL),  # F_CREATED_QUERY
    ("fcntl", [(1, EQUAL, 1033), (2, AT_LEAST, 0x10)], errno.EINVAL),  # F_ADD_SEALS: F_SEAL_FUTURE_WRITE
    ("ioctl", [(1, EQUAL, 0x40088A01)], errno.ENOTTY),  # EPIOCSPARAMS
    ("ioctl", [(1, EQUAL, 0x80088A02)], errno.ENOTTY),  # EPIOCGPARAMS
    ("socket", [(2, EQUAL, 262)], errno.EPROTONOSUPPORT),  # IPPROTO_MPTCP
    ("memfd_create", [(1, SET, 0x18)], errno.EINVAL),  # MFD_NOEXEC_SEAL, MFD_EXEC
    ("getrandom", [(2, AT_LEAST, 4)], errno.EINVAL),  # GRND_INSECURE
    ("clone", [(0, SET, 0x1000)], errno.EINVAL),  # CLONE_PIDFD
    ("waitid", [(0, AT_LEAST, 3)], errno.EINVAL),  # P_PIDFD
    ("statx", [(3, SET, 0xFFFFF000)], errno.EINVAL),  # STATX_MNT_ID
    ("recvfrom", [(3, SET, 0x2000000)], errno.EINVAL),  # MSG_SOCK_DEVMEM
    ("recvmsg", [(2, SET, 0x2000000)], errno.EINVAL),
] + [(call, [(1, EQUAL, level), (2, AT_LEAST, option)], errno.ENOPROTOOPT) for call in ("setsockopt", "getsockopt")
     for level, option in ((1, 61), (6, 37), (0, 51), (284, 0))]  # SO_TXTIME, TCP_TX_DELAY, IP_LOCAL_PORT_RANGE, those of MPTCP


def linux_4_18():
    """The filter under which a kernel passes for that."""
    table, made = numbers(), Program()
    made.when(FIRST_LATER[os.uname().machine], (RETURN, 0, 0, ERRNO | errno.ENOSYS), asked=AT_LEAST)
    for name in dict.fromkeys(name for name, _, _ in LATER):
        answer = []
        for conditions, error in [(conditions, error) for call, conditions, error in LATER if call == name]:
            steps = [(RETURN, 0, 0, ERRNO | error)]
            for index, asked, number in reversed(conditions):
                steps = [(LOAD, 0, 0, argument(index)), (asked, 0, len(steps), number)] + steps
            answer += steps
        made.when(table[name], *answer, (RETURN, 0, 0, ALLOW))
    return made.bytes(ALLOW)


class Filter(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(filter_bytes):
    held = Filter(len(filter_bytes) // 8, filter_bytes)
    must(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    must(LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.byref(held), 0, 0), "a filter of system calls")


# ---- All of it ----


def forward(child):
    """Stands for the child: takes its signals, and ends as it does."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda which, frame: os.kill(child, which))
    while True:
        try:
            _, status = os.waitpid(child, 0)
        except InterruptedError:
            continue
        os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def main():
    spec = json.loads(sys.argv[1])
    filters = ([linux_4_18()] if "old" in spec else []) + ([allowed_by(spec["filter"])] if "filter" in spec else [])
    for path in spec.get("join", []):
        write(path, str(os.getpid()))
    if "enter" in spec:
        apart = enter(spec)
    else:
        separate(spec)
        apart = "pid" in spec.get("apart", [])
        if "root" in spec:
            build(spec)
    if apart:
        child = os.fork()
        if child:
            if "number" in spec:
                with open(spec["number"] + ".new", "w") as file:
                    file.write(str(child))
                os.rename(spec["number"] + ".new", spec["number"])
            forward(child)
    if "root" in spec:
        finish(spec)
    if "net" in spec.get("apart", []):
        loopback_up()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if "children" in spec:
        leave_children(spec["children"])
    for fd in spec.get("close", []):
        os.close(fd)
    for each in filters:
        install(each)
    os.execve(sys.argv[2], sys.argv[2:], {} if spec.get("bare") else os.environ)


if __name__ == "__main__":
    main()
