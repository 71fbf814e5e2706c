#!/usr/bin/env python3
"""Kernels that this machine does not run, and one whose administrator has switched io_uring off: a virtual machine is started, and
what inside.py checks is done there.

    run.py [--memory MIB] [--seconds N] [KERNEL...]

A kernel is an image as Debian's linux-image packages have it in /boot; it must bring what it needs itself (their -cloud- ones do).
Without one, those that $KEVY_GUEST_KERNELS names are taken, or all in /boot. Needs qemu-system-x86_64, a static busybox and Debian's
python3; redis-cli is taken along where it is there. What is missing is told, and the status is 77.

The machine is emulated, so no kernel has to allow anything; it is slow: minutes a kernel. All its files are in its memory: the
server, Python, this repository's tests, and the libraries that they need.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(TESTS, "lib"))
from kevy import TIME_SCALE, program  # noqa: E402

MISSING = 77
PYTHON = "/usr/bin/python3"
BUSYBOX = "/bin/busybox"
APPLETS = ("sh", "mount", "mkdir", "ip", "poweroff", "cat", "sleep")
UNUSED = re.compile(r"/(?:test|tests|idlelib|lib2to3|ensurepip|pydoc_data|dist-packages|site-packages|tkinter|turtledemo|config-[^/]*)$")
INIT = """#!/bin/sh
export PATH=/usr/bin:/bin
mkdir -p /proc /sys /dev /tmp /root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo +cpu +memory > /sys/fs/cgroup/cgroup.subtree_control
ip link set lo up
export HOME=/root PYTHONDONTWRITEBYTECODE=1 KEVY_SERVER=/kevy KEVY_TIME_SCALE=%g
%s /tests/guest/inside.py
echo "inside.py ended with status $?"
poweroff -f
"""


def missing(what):
    print("SKIPPED: " + what)
    sys.exit(MISSING)


class Archive:
    """Files in memory as the kernel unpacks them at its start: a cpio archive of the `newc` kind."""

    def __init__(self, path):
        self.file, self.names, self.number = open(path, "wb"), set(), 0

    def entry(self, name, mode, data=b"", device=(0, 0)):
        name = name.lstrip("/")
        self.number += 1
        fields = (self.number, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        for part in (head, data):
            self.file.write(part + b"\0" * (-len(part) % 4))

    def directory(self, name):
        if name.strip("/") and name not in self.names:
            self.names.add(name)
            self.directory(os.path.dirname(name))
            self.entry(name, 0o40755)

    def add(self, name, data, mode=0o100755):
        if name not in self.names:
            self.names.add(name)
            self.directory(os.path.dirname(name))
            self.entry(name, mode, data)

    def link(self, name, to):
        self.add(name, to.encode(), 0o120777)

    def copy(self, path, name=None):
        with open(path, "rb") as file:
            self.add(name or path, file.read())

    def program(self, path, name=None):
        """With the libraries that it needs."""
        self.copy(path, name)
        said = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", said):
            self.copy(library)

    def tree(self, path, name=None, without=re.compile(r"/__pycache__$")):
        for folder, folders, files in os.walk(path):
            folders[:] = [each for each in folders if not without.search(folder + "/" + each)]
            for each in files:
                source = os.path.join(folder, each)
                place = (name or path) + source[len(path):]
                if each.endswith(".so"):
                    self.program(source, place)
                elif os.path.isfile(source):
                    self.copy(source, place)

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.file.close()


def fill(path):
    archive = Archive(path)
    archive.add("/init", (INIT % (20 * TIME_SCALE, PYTHON)).encode())
    archive.directory("/dev")
    archive.entry("/dev/console", 0o20600, device=(5, 1))
    archive.copy(BUSYBOX)
    for applet in APPLETS:
        archive.link("/bin/" + applet, "busybox")
    archive.program(os.path.realpath(PYTHON), PYTHON)
    where = subprocess.run([PYTHON, "-c", "import os; print(os.path.dirname(os.__file__))"], stdout=subprocess.PIPE, text=True, check=True)
    archive.tree(where.stdout.strip(), without=UNUSED)
    archive.program(program(), "/kevy")
    archive.add("/etc/hosts", b"127.0.0.1 localhost\n")
    if shutil.which("redis-cli"):
        archive.program(os.path.realpath(shutil.which("redis-cli")), "/usr/bin/redis-cli")
    archive.tree(TESTS, "/tests")
    archive.close()


def run(kernel, files, options):
    print("---- %s" % kernel, flush=True)
    line = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,-cx16", "-smp", "2", "-m", str(options.memory), "-nodefaults", "-nographic",
            "-no-reboot", "-serial", "stdio", "-kernel", kernel, "-initrd", files, "-append", "console=ttyS0 panic=-1 quiet"]
    with tempfile.TemporaryFile() as said:
        try:
            subprocess.run(line, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, timeout=options.seconds, check=False)
            late = ""
        except subprocess.TimeoutExpired:
            late = "; not done after %d s" % options.seconds
        said.seek(0)
        text = said.read().decode(errors="replace").replace("\r", "")
    print(text[-20000:] + late, flush=True)
    return "inside.py ended with status 0\n" in text


def main():
    parser = argparse.ArgumentParser(description="Other kernels.")
    parser.add_argument("kernels", nargs="*", help="images")
    parser.add_argument("--memory", type=int, default=1536)
    parser.add_argument("--seconds", type=float, default=900 * TIME_SCALE, help="for each of them")
    options = parser.parse_args()
    kernels = options.kernels or os.environ.get("KEVY_GUEST_KERNELS", "").split() or sorted(glob.glob("/boot/vmlinuz-*"))
    if not shutil.which("qemu-system-x86_64"):
        missing("no qemu-system-x86_64, which would run another kernel")
    if not os.path.exists(BUSYBOX) or not os.path.exists(PYTHON):
        missing("no %s or no %s to put into a virtual machine" % (BUSYBOX, PYTHON))
    if not kernels:
        missing("no kernel's image in /boot or $KEVY_GUEST_KERNELS")
    with tempfile.TemporaryDirectory(prefix="kevy-guest-") as directory:
        files = os.path.join(directory, "files")
        fill(files)
        failed = [kernel for kernel in kernels if not run(kernel, files, options)]
    if failed:
        sys.exit("FAILED: " + " ".join(failed))


if __name__ == "__main__":
    main()
