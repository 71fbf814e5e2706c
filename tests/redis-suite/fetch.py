#!/usr/bin/env python3
"""Fetches Redis's own test suite: the tests/ folder of Debian's source package, into a folder that is kept.

    fetch.py DIRECTORY      DIRECTORY/tests is there afterwards (and is left alone if it was)

apt-get brings the package, with lists of its own: the machine's sources are neither changed nor need to name source packages.
"""
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

VERSION = "7.0.15"
ORIGIN = "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n"
SHA256 = "4b1dc4ee6d622a09fff9c6777191209750fb5e5a725ef78ea012d6eef4c22982"
ATTEMPTS = 3  # mirrors have bad moments
STEP_SECONDS = 300


def apt_get(place, *words):
    options = {"Dir::Etc::sourcelist": "%s/sources.list" % place, "Dir::Etc::sourceparts": "/dev/null", "APT::Sandbox::User": "root",
               "Dir::State::lists": "%s/lists" % place, "Dir::Cache": "%s/cache" % place}
    command = ["apt-get", "-qq"] + ["-o%s=%s" % option for option in options.items()] + list(words)
    subprocess.run(command, cwd=place, check=True, stdin=subprocess.DEVNULL, timeout=STEP_SECONDS)


def download(place):
    """The path of the source package's own archive."""
    for folder in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(place, folder), exist_ok=True)
    with open(os.path.join(place, "sources.list"), "w", encoding="ascii") as file:
        file.write(ORIGIN)
    for attempt in range(ATTEMPTS):
        try:
            apt_get(place, "update")
            apt_get(place, "--download-only", "source", "redis")
            break
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            if attempt + 1 == ATTEMPTS:
                raise
    return glob.glob(os.path.join(place, "redis_%s.orig.tar.*" % VERSION))[0]


def fetch(directory):
    if os.path.isdir(os.path.join(directory, "tests")):
        return
    os.makedirs(directory, exist_ok=True)
    # Beside the goal, so that it appears whole or not at all, also where two tests fetch at once.
    with tempfile.TemporaryDirectory(dir=directory, prefix="fetching-") as place:
        archive = download(place)
        with open(archive, "rb") as file:
            found = hashlib.sha256(file.read()).hexdigest()
        if found != SHA256:
            sys.exit("%s has the checksum %s, expected %s" % (archive, found, SHA256))
        with tarfile.open(archive) as tar:
            prefix = "redis-%s/tests/" % VERSION
            tar.extractall(place, [member for member in tar.getmembers() if member.name.startswith(prefix)])
        try:
            os.rename(os.path.join(place, prefix), os.path.join(directory, "tests"))
        except OSError:
            if not os.path.isdir(os.path.join(directory, "tests")):
                raise  # another was faster otherwise


def main():
    if len(sys.argv) != 2 or not shutil.which("apt-get"):
        sys.exit(__doc__)
    fetch(sys.argv[1])


if __name__ == "__main__":
    main()
