"""A file in a temporary directory that this program and a server both map (tests/control_file.h).

    with ControlFile("KEVY_KILLED", 256) as file:
        Server(path=..., env=file.environment)   # the variable names the file
        file.words[:4]                           # its bytes, shared
"""
import mmap
import os
import shutil
import tempfile


class ControlFile:
    def __init__(self, variable, size):
        self.directory = tempfile.mkdtemp(prefix="kevy-control-")
        path = os.path.join(self.directory, variable.lower())
        self.environment = {variable: path}
        with open(path, "w+b") as file:
            file.truncate(size)
            self.words = mmap.mmap(file.fileno(), size)

    def remove(self):
        self.words.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()
