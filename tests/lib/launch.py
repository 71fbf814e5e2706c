"""Becomes a server: launch.py LISTEN_FDS PROGRAM ARGUMENT...

Between fork and exec three things must happen that subprocess cannot do safely in a process with threads: ask the kernel to
kill the child when its parent dies, put the listening sockets at descriptors 3 and up, and set LISTEN_PID to the child's own pid.
LISTEN_FDS is a list with commas, or empty when there is no socket to hand over.
"""
import ctypes
import fcntl
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main():
    parent = int(os.environ.pop("KEVY_TEST_PARENT"))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("launch.py: the parent is gone")
    # Out of the way first: one of them may stand where another must go. What is copied up here closes itself at exec.
    sockets = [fcntl.fcntl(int(fd), fcntl.F_DUPFD_CLOEXEC, 100) for fd in sys.argv[1].split(",") if fd]
    for place, fd in enumerate(sockets, 3):
        os.dup2(fd, place, inheritable=True)
    if sockets:
        os.closerange(3 + len(sockets), 100)
        os.environ["LISTEN_FDS"] = str(len(sockets))
        os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(sys.argv[2], sys.argv[2:])


main()
