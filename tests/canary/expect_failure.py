#!/usr/bin/env python3
"""Proves that a harness can fail: runs a command that must fail, and for the reason that was planted.

    expect_failure.py 'REGULAR EXPRESSION' COMMAND...

Passes when COMMAND ends with a status other than 0 and its output matches. A plain "it failed" would also be satisfied by a
harness that cannot even start.
"""
import re
import subprocess
import sys

TIME_LIMIT_S = 600


def main():
    pattern, command = sys.argv[1], sys.argv[2:]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIME_LIMIT_S)
    output = result.stdout.decode(errors="replace")
    if result.returncode == 0:
        sys.exit("%s\nthe canary did not sing: %s passed" % (output, " ".join(command)))
    if not re.search(pattern, output):
        sys.exit("%s\nit failed, but not for the planted reason %r" % (output, pattern))
    print("ok: it failed, and for the planted reason")


if __name__ == "__main__":
    main()
