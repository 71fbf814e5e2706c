"""Becomes a server: launch.py LISTEN_FD PROGRAM ARGUMENT...

Between fork and exec three things must happen that subprocess cannot do safely in a process with threads: ask the kernel to
kill the child when its parent dies, put the listening socket at descriptor 3, and set LISTEN_PID to the child's own pid.
LISTEN_FD is -1 when there is no socket to hand over.
"""
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main():
    parent = int(os.environ.pop("KEVY_TEST_PARENT"))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("launch.py: the parent is gone")
    fd = int(sys.argv[1])
    if fd >= 0:
        os.dup2(fd, 3, inheritable=True)
        if fd != 3:
            os.close(fd)
        os.environ["LISTEN_FDS"] = "1"
        os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(sys.argv[2], sys.argv[2:])


main()
