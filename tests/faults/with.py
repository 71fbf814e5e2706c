#!/usr/bin/env python3
"""Runs a test program against kevy_faults on a bad day, and makes sure that the day was bad.

    with.py KEVY_FAULTS 'SEND_MOST=50 ENTER_EINTR=20' COMMAND...

The command finds the server in $KEVY_SERVER. Every fault that is named here must have happened.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from faults import Faults, number  # noqa: E402


def main():
    server, words, command = sys.argv[1], sys.argv[2].split(), sys.argv[3:]
    settings = {name: number(value) for name, value in (word.split("=") for word in words)}
    with Faults(**settings) as faults:
        status = subprocess.run(command, env=dict(os.environ, KEVY_SERVER=server, **faults.environment)).returncode
        if status:
            sys.exit("failed with %s" % " ".join(words))
        counted = [name for name in settings if not name.endswith(("_ERROR", "_FROM"))]
        missing = [name for name in counted if faults.happened(name) == 0]
        if missing:
            sys.exit("never happened, so nothing was tested: %s" % " ".join(missing))
        print("happened: %s" % " ".join("%s=%d" % (name, faults.happened(name)) for name in counted))


if __name__ == "__main__":
    main()
