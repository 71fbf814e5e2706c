"""The control file of kevy_killed (killed.c): at which step of its files the server is killed.

    with Killer() as killer:
        server = Server(path=..., env=killer.environment)
        killer.arm(3)                        # the third step from now on
        killer.fell()                        # "renames dump.rdb", or None: it was not that
"""
import mmap
import os
import shutil
import struct
import tempfile

CALLS = ("", "opens", "writes", "writes half of", "syncs", "truncates", "renames to", "unlinks", "makes the directory", "syncs the directory of")
LAYOUT = struct.Struct("=IIII240s")


class Killer:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="kevy-killed-")
        path = os.path.join(self.directory, "killed")
        self.environment = {"KEVY_KILLED": path}
        with open(path, "wb") as file:
            file.truncate(LAYOUT.size)
        with open(path, "r+b") as file:
            self.words = mmap.mmap(file.fileno(), LAYOUT.size)

    def arm(self, left):
        self.words[:] = LAYOUT.pack(left, 0, 0, 0, b"")

    def fell(self):
        _, _, at, _, path = LAYOUT.unpack(self.words[:])
        return "%s %s" % (CALLS[at], path.rstrip(b"\0").decode()) if at else None

    def steps(self):
        return LAYOUT.unpack(self.words[:])[1]

    def remove(self):
        self.words.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
