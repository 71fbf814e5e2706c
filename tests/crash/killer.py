"""The control file of kevy_killed (killed.c): at which step of its files the server is killed.

    with Killer() as killer:
        server = Server(path=..., env=killer.environment)
        killer.arm(3)                        # the third step from now on
        killer.arm(3, rare=True)             # the third of those that make files, name, end and delete them
        killer.fell()                        # "renames dump.rdb", or None: it was not that
        killer.fill(True)                    # from now on the disk is full
"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from control_file import ControlFile  # noqa: E402

CALLS = ("", "opens", "writes", "writes half of", "syncs", "truncates", "renames to", "unlinks", "makes the directory", "syncs the directory of", "pads",
         "pads half of")
LAYOUT, FULL = struct.Struct("=IIIII240s"), struct.Struct("=I")
FULL_AT = 4 * FULL.size


class Killer(ControlFile):
    def __init__(self):
        super().__init__("KEVY_KILLED", LAYOUT.size)

    def arm(self, left, rare=False):
        self.words[:] = LAYOUT.pack(left, 0, 0, rare, 0, b"")

    def fill(self, full):
        FULL.pack_into(self.words, FULL_AT, full)

    def fell(self):
        _, _, at, _, _, path = LAYOUT.unpack(self.words[:])
        return "%s %s" % (CALLS[at], path.rstrip(b"\0").decode()) if at else None

    def steps(self):
        return LAYOUT.unpack(self.words[:])[1]
