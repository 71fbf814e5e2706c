"""The control file of kevy_faults: what tests/faults/faults.c reads, by the names that it lists.

    faults = Faults(SEND_MOST=10)            # a file in a temporary directory; faults.environment names it
    faults.set(ENTER_EINTR=3)                # takes effect at once, also in a server that runs
    faults.happened("SEND_MOST")             # how often it did
"""
import errno
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from control_file import ControlFile  # noqa: E402

WORD = struct.Struct("=I")


def names():
    with open(os.path.join(HERE, "faults.c"), encoding="ascii") as source:
        found = re.findall(r"FAULT\((\w+)\) +/\*|FAULT\(([A-Z_]+)\) +\\", source.read())
    return [first or second for first, second in found]


def number(text):
    """A figure, or the name of an errno."""
    return getattr(errno, text) if text.startswith("E") else int(text, 0)


class Faults(ControlFile):
    NAMES = names()

    def __init__(self, **settings):
        super().__init__("KEVY_FAULTS", 2 * WORD.size * len(self.NAMES))
        self.set(**settings)

    def set(self, **settings):
        for name, value in settings.items():
            WORD.pack_into(self.words, 2 * WORD.size * self.NAMES.index(name), value)

    def clear(self):
        self.set(**dict.fromkeys(self.NAMES, 0))

    def happened(self, name):
        return WORD.unpack_from(self.words, 2 * WORD.size * self.NAMES.index(name) + WORD.size)[0]
