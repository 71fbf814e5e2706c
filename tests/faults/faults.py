"""The control file of kevy_faults: what tests/faults/faults.c reads, by the names that it lists.

    faults = Faults(SEND_MOST=10)            # a file in a temporary directory; faults.environment names it
    faults.set(ENTER_EINTR=3)                # takes effect at once, also in a server that runs
    faults.happened("SEND_MOST")             # how often it did
"""
import errno
import mmap
import os
import re
import shutil
import struct
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
WORD = struct.Struct("=I")


def names():
    with open(os.path.join(HERE, "faults.c"), encoding="ascii") as source:
        found = re.findall(r"FAULT\((\w+)\) +/\*|FAULT\(([A-Z_]+)\) +\\", source.read())
    return [first or second for first, second in found]


def number(text):
    """A figure, or the name of an errno."""
    return getattr(errno, text) if text.startswith("E") else int(text, 0)


class Faults:
    NAMES = names()

    def __init__(self, **settings):
        self.directory = tempfile.mkdtemp(prefix="kevy-faults-")
        path = os.path.join(self.directory, "faults")
        self.environment = {"KEVY_FAULTS": path}
        size = 2 * WORD.size * len(self.NAMES)
        with open(path, "wb") as file:
            file.truncate(size)
        with open(path, "r+b") as file:
            self.words = mmap.mmap(file.fileno(), size)
        self.set(**settings)

    def set(self, **settings):
        for name, value in settings.items():
            WORD.pack_into(self.words, 2 * WORD.size * self.NAMES.index(name), value)

    def clear(self):
        self.set(**dict.fromkeys(self.NAMES, 0))

    def happened(self, name):
        return WORD.unpack_from(self.words, 2 * WORD.size * self.NAMES.index(name) + WORD.size)[0]

    def remove(self):
        self.words.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
