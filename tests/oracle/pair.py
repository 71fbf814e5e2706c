"""A kevy and a redis-server that an oracle compares, and what is said of a script in which they differ."""
import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import Server, find_redis  # noqa: E402
from shrink import shrink  # noqa: E402

DEBUG = ("--enable-debug-command", "yes")


class ServerPair:
    """The two, through all rounds of one configuration; `again`: the options that ask for it. Who asks brings play(script), which raises
    his `Difference`, whose index is that of the step where it shows, and the `script_of` steps and what is `shown` of them as texts."""

    STEPS = "steps"  # what he calls them

    def __init__(self, shards, again, planted=False, redis_options=()):
        self.shards, self.again, self.planted, self.redis_options = shards, again, planted, redis_options

    def play(self, script):
        raise NotImplementedError

    def script_of(self, steps):
        raise NotImplementedError

    def shown(self, steps):
        return self.script_of(steps)

    def start_kevy(self):
        self.kevy = Server(*DEBUG, shards=self.shards)

    def __enter__(self):
        self.start_kevy()
        try:
            self.redis = Server(*self.redis_options, path=find_redis())
        except BaseException:
            self.kevy.remove()
            raise
        return self

    def __exit__(self, *error):
        try:
            self.kevy.__exit__(*error)
        finally:
            self.redis.remove()

    def fails(self, script):
        """The Difference, or None. A kevy that has died is started again."""
        if not self.kevy.is_alive():
            self.kevy.remove()
            self.start_kevy()
        try:
            self.play(script)
        except self.Difference as difference:
            return difference
        return None

    def passes(self, what, script):
        """If it does not: shrinks the script, shows it, and keeps it in a file that runs by itself."""
        difference = self.fails(script)
        if difference is None:
            return True
        if not self.kevy.is_alive():
            self.kevy.show_log()
        shrunk, last = shrink(self.fails, script, difference)
        again = "" if self.fails(shrunk) else " (only sometimes: it passed when it was run again)"
        handle, path = tempfile.mkstemp(prefix="kevy-oracle-", suffix=".txt")
        with os.fdopen(handle, "w") as file:
            file.write(self.script_of(shrunk))
        program = os.path.relpath(sys.argv[0], os.path.join(HERE, "..", ".."))
        print("DIFFERENT in %s; shrunk to %d %s%s:\n%s\n%s\nrun again: %s --shards %s%s %s"
              % (what, len(shrunk), self.STEPS, again, self.shown(shrunk), last, program, self.shards, self.again, path))
        if self.planted:
            os.unlink(path)  # nobody will run a planted failure again
        return False
