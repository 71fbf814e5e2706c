#!/usr/bin/env python3
"""Starts servers and runs hiredis_test against them: 1 and 4 shards, TCP and Unix socket.

    run.py PROGRAM [--canary]
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kevy import TIME_SCALE, Server  # noqa: E402


def main():
    program, rest = sys.argv[1], sys.argv[2:]
    for shards in (1, 4):
        with Server(shards=shards) as server:
            for where in (["tcp", str(server.port)], ["unix", server.socket_path]):
                print("---- %d shards, %s" % (shards, where[0]), flush=True)
                subprocess.run([program] + where + rest, check=True, timeout=60 * TIME_SCALE)


if __name__ == "__main__":
    main()
