#!/usr/bin/env python3
"""Redis 7.0.15's own test suite against a server of ours: what redis-server passes there, kevy passes.

    run.py [--shards 1,4] [--server kevy|redis] [UNIT...]

The suite runs in its external-server mode, unit by unit, each on a fresh server with debug commands. units.tsv says how many tests
redis-server itself passes in each unit and how long a unit may take; excluded.tsv names the tests that kevy is not asked to pass, each
with its reason, and (counted as 0) those that redis-server itself cannot pass in that mode: these are never run. A unit holds if no test fails but those, and if as many pass as redis-server passes, less the excluded ones.

Units of integration/, and those of OWN below, are about files and processes, and start their servers themselves: they find ours where
they look for Redis's. OWN_PATCHES says what is changed in them, and why.

--excluded runs the excluded tests too, and tells which of them pass: their lines can go. Without units, all of units.tsv are run.
The suite is fetched by fetch.py into $KEVY_REDIS_SUITE (default: redis-suite in the temporary directory).
"""
import argparse
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import fetch  # noqa: E402
from kevy import TIME_SCALE, Server, ServerFailed, Timeout, find_redis, program  # noqa: E402

LINE = re.compile(r"^\[(ok|err|exception|skip|ignore|TIMEOUT)\]: (.*)$")
FILE = re.compile(r" in tests/[\w/.-]+\.tcl$")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SHOWN_LINES = 12  # of what stands behind a failure
BELOW_BASE = 32  # the suite's own clients meet at the first free port from so many below its base; two suites at once need two
OWN_PORTS = (11000, 20000)  # for servers that the suite starts, and ten thousand above: the system gives these to nobody
BUS_PORTS_END = 65536 - 10000 - BELOW_BASE  # it wants a port ten thousand above each too
# Commands of which a server may have none yet are asked for before every unit.
# Nor takes one every option: what asks for it before its tests is refused, and those that need it fail by themselves.
PATCHES = {"tests/support/server.tcl": [("    r function flush\n", "    catch {r function flush}\n"),
                                        ("        r config set $param $val\n", "        catch {r config set $param $val}\n")]}
# Units that start servers themselves, besides those of integration/.
OWN = ("unit/aofrw", "unit/auth", "unit/info", "unit/limits", "unit/shutdown")
# What concerns these. Protected options cannot be set at run time, and modules there are none; Redis's own
# words for what is wrong in a payload are in its log, and it ends by an assertion where a payload was not looked at closely
# enough: here all are looked at, and refused. There are no child processes to be found, and a snapshot's temporary file has the
# server's number. An incremental file is begun at each start: where a test makes one anew, or cuts it, it is the only one again.
# What is written by everysec is in the file some milliseconds later.
ONLY_INCR = """create_aof_manifest $aof_dirpath $aof_manifest_file {
    append_to_manifest "file appendonly.aof.1.incr.aof seq 1 type i\\n"
}
"""
# Where Redis kills the child that makes a file anew, a directory stands in the file's way here. A manifest's numbers count how often
# files were made anew, and kevy gives none twice: they are not compared.
MANIFEST_PROCEDURES = r"""proc next_base {manifest} {
    regexp {\\.(\\d+)\\.base} [get_cur_base_aof_name $manifest] all number
    return [string map [list .manifest .[expr {$number + 1}].base.rdb] $manifest]
}
proc without_numbers {line} {
    regsub {\\.\\d+\\.(base|incr)(.*) seq \\d+} $line {.N.\\1\\2 seq N} line
    return $line
}
"""
OWN_PATCHES = {"tests/assets/default.conf": [(r"enable-(protected-configs|module-command) yes\n", "")],
               "tests/support/util.tcl": [
                   (r"(set child_pid [^\n]*\n    }\n)    close \$fd\n", r"\1    catch {close $fd}\n"),
                   (r'if \{\[gets \$fp count\] == -1\} return ""', r'while {1} {if {[gets $fp count] == -1} {return ""}; if {[string index $count 0] ne "#"} break}')],
               "tests/unit/shutdown.tcl": [
                   (r"temp-\$\{child_pid\}\.rdb", "temp-[srv 0 pid]-bg.rdb"),
                   (r"assert \{!\[file exists \$temp_rdb\]\}", 'wait_for_condition 100 10 {![file exists $temp_rdb]} else {fail "it is there"}')],
               "tests/support/aofmanifest.tcl": [
                   (r"(?=proc assert_aof_manifest_content)", MANIFEST_PROCEDURES),
                   (r"assert_equal \[lindex \$lines \$i\] \[lindex \$content \$i\]",
                    "assert_equal [without_numbers [lindex $lines $i]] [without_numbers [lindex $content $i]]")],
               "tests/integration/aof-multi-part.tcl": [
                   (r"r config set rdb-key-save-delay 10000000\n(?=\n +set orig_size| +# Let us trigger)",
                    r"file mkdir [next_base $aof_manifest_file]\n"),
                   (r"set (pid\d) \[get_child_pid 0\]\n +catch \{exec kill -9 \$pid\d\}\n(?= +waitForBgrewriteaof)", r"set \1 none\n"),
                   (r"(?=# AOFRW success\n|# We can still manually execute)", r"file delete [next_base $aof_manifest_file]\n"),
                   (r'assert_equal 1 \[check_file_exist \$aof_dirpath "\$\{aof_basename\}\.(1|10)\$\{::incr[^\n]*\n(?=        }|\n +assert_aof)', "")],
               "tests/integration/aof.tcl": [
                   (r"(?=create_aof \$aof_dirpath \$aof_file )", ONLY_INCR),
                   (r'(?=assert_match "#TS:)', 'wait_for_condition 100 20 {[file size $aof] > 0} else {fail "nothing is written"}\n'),
                   (r"(?=exec src/redis-check-aof --truncate-to-timestamp \d+ \$aof_manifest_file\n +start_server_aof)", ONLY_INCR)],
               # Where Redis copies the page of any key that is changed, kevy copies those alone that are not saved yet: this must last.
               "tests/integration/rdb.tcl": [(r"r config set rdb-key-save-delay 200\n", "r config set rdb-key-save-delay 1000\n")],
               "tests/integration/corrupt-dump.tcl": [
                   (r'verify_log_message 0 "\*[^"]*(integrity check failed|Duplicate stream consumer detected)\*" 0\n', ""),
                   (r'verify_log_message 0 "\*skipping empty key: \w+\*" 0\n', ""),
                   (r'assert_equal \[count_log_message 0 "[^"]*(ASSERTION FAILED|dup elements|Guru Meditation)"\] 1\n', "")]}
SILENCE_SECONDS = 120  # without any news of a test the suite ends itself


class Unit:
    def __init__(self, line):
        self.name, passes, seconds = line.split("\t")
        self.passes, self.seconds, self.excluded = int(passes), float(seconds), {}
        self.own = self.name.startswith("integration/") or self.name in OWN  # it starts servers itself


def table(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file if line.strip() and not line.startswith("#")]


def read_units():
    units = {unit.name: unit for unit in map(Unit, table("units.tsv"))}
    for line in table("excluded.tsv"):
        unit, count, test, reason = line.split("\t")
        if not reason or test in units[unit].excluded:
            sys.exit("excluded.tsv: %s" % line)
        units[unit].excluded[test] = int(count)
    return units


def suite_directory():
    directory = os.environ.get("KEVY_REDIS_SUITE") or os.path.join(tempfile.gettempdir(), "kevy-redis-suite-%s" % fetch.VERSION)
    fetch.fetch(directory)
    return directory


class Result:
    """What the suite said of a unit: names of tests by outcome, with what it printed behind a failure."""

    def __init__(self):
        self.passed, self.failed, self.skipped, self.ended = [], [], [], False

    def read(self, output):
        behind = None
        for line in output.splitlines():
            line = COLOUR.sub("", line)
            match = LINE.match(line)
            if not match:
                self.ended |= "All tests passed without errors" in line or "The following tests failed" in line
                if line.startswith("[") or line.startswith("===") or "tests failed:" in line:
                    behind = None
                elif behind is not None and line.strip() and len(behind) < SHOWN_LINES:
                    behind.append(line)
                continue
            kind, text = match.groups()
            if self.ended:
                continue  # failures are listed once more at the end
            behind = None
            if kind == "ok":
                self.passed.append(re.sub(r" \(\d+ ms\)$", "", text))
            elif kind == "skip":
                self.skipped.append(text)
            elif kind != "ignore":
                behind = []
                self.failed.append((FILE.sub("", text), behind))


def prepare(source, place):
    """A copy of the suite for one run: runs change it, and some tests look for Redis's own clients in src/."""
    shutil.copytree(os.path.join(source, "tests"), os.path.join(place, "tests"))
    os.makedirs(os.path.join(place, "tests", "tmp"), exist_ok=True)
    os.makedirs(os.path.join(place, "src"))
    for name in ("redis-cli", "redis-benchmark", "redis-server"):
        if shutil.which(name):
            os.symlink(shutil.which(name), os.path.join(place, "src", name))
    for path, patches in PATCHES.items():
        with open(os.path.join(place, path), encoding="utf-8") as file:
            text = file.read()
        for old, new in patches:
            if old not in text:
                sys.exit("%s lacks %r" % (path, old))
            text = text.replace(old, new)
        with open(os.path.join(place, path), "w", encoding="utf-8") as file:
            file.write(text)


def prepare_own(place, path, shards, arguments):
    """Ours in the place of Redis's server."""
    for name in ("redis-check-aof", "redis-check-rdb"):
        if shutil.which(name):
            os.symlink(shutil.which(name), os.path.join(place, "src", name))
    if shards is None:
        return
    for name, patches in OWN_PATCHES.items():
        with open(os.path.join(place, name), encoding="utf-8") as file:
            text = file.read()
        for old, new in patches:
            text, count = re.subn(old, new, text)
            if count == 0:
                sys.exit("%s lacks %s" % (name, old))
        with open(os.path.join(place, name), "w", encoding="utf-8") as file:
            file.write(text)
    server = os.path.join(place, "src", "redis-server")
    os.unlink(server)
    words = " ".join(map(shlex.quote, ["--shards", str(shards)] + arguments))
    with open(server, "w", encoding="utf-8") as file:
        file.write('#!/bin/sh\nfile=$1\nshift\nexec %s "$file" %s "$@"\n' % (shlex.quote(path), words))
    os.chmod(server, 0o755)


def free_port():
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port < BUS_PORTS_END:
            return port


def base_port(own):
    """Servers that the suite starts get ports below those that the system gives to others meanwhile."""
    return free_port() + BELOW_BASE if not own else random.randrange(*OWN_PORTS)


def run_suite(place, server, unit, skipped, further):
    """The suite's output, and whether it ended by itself within the unit's time."""
    with open(os.path.join(place, "skip"), "w", encoding="utf-8") as file:
        file.write("".join(name + "\n" for name in skipped))
    external = ["--host", "127.0.0.1", "--port", str(server.port)] if server else ["--clients", "1"]
    command = ["tclsh", "tests/test_helper.tcl"] + external + ["--single", unit.name, "--durable",
               "--timeout", str(int(SILENCE_SECONDS * TIME_SCALE)), "--skipfile", "skip",
               "--baseport", str(base_port(not server))] + further
    process = subprocess.Popen(command, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    late = threading.Timer(unit.seconds * TIME_SCALE, os.killpg, (process.pid, signal.SIGKILL))
    late.start()
    try:
        output = process.communicate()[0].decode("utf-8", "replace")
    finally:
        late.cancel()
    return output, process.returncode == 0 or process.returncode == 1


def check(source, unit, server_path, shards, options):
    """The complaints about a unit; none: it holds."""
    asked_all = options.excluded or options.server == "redis"
    found, result = [], Result()
    arguments = () if options.server == "redis" else ("--enable-debug-command", "yes")
    with tempfile.TemporaryDirectory(prefix="kevy-redis-suite-") as place:
        prepare(source, place)
        skipped = [test for test, count in unit.excluded.items() if not (asked_all and count)]
        further = ["--force-failure"] if options.plant else []
        try:
            if unit.own:
                prepare_own(place, server_path, shards, options.argument)
                output, in_time = run_suite(place, None, unit, skipped, further)
            else:
                with Server(*arguments, *options.argument, shards=shards, path=server_path) as server:
                    output, in_time = run_suite(place, server, unit, skipped, further)
        except (ServerFailed, Timeout) as error:
            return ["the server: %s" % error], result
        result.read(output)
    if options.verbose:
        print(output)
    for name, behind in result.failed:
        if not (options.excluded and name in unit.excluded):
            found.append("\n        ".join([name] + behind))
    expected = unit.passes - (0 if asked_all else sum(unit.excluded.values()))
    if not options.excluded and len(result.passed) < expected:
        found.append("%d tests passed, expected are %d" % (len(result.passed), expected))
    if not in_time:
        found.append("it took longer than %.0f s; last:\n%s" % (unit.seconds * TIME_SCALE, output[-2000:]))
    elif not result.ended:
        found.append("the suite ended in the middle: %s" % output[-2000:])
    if options.excluded:
        found += ["passes, and is excluded: %s" % name for name in sorted(set(unit.excluded) & set(result.passed))]
    return found, result


def main():
    parser = argparse.ArgumentParser(description="Runs Redis's own test suite against kevy.")
    parser.add_argument("units", nargs="*", help="for example unit/type/hash (default: all of units.tsv)")
    parser.add_argument("--server", choices=("kevy", "redis"), default="kevy")
    parser.add_argument("--shards", type=lambda s: [int(n) for n in s.split(",")], default=[1, 4])
    parser.add_argument("--excluded", action="store_true", help="run the excluded tests too: which pass?")
    parser.add_argument("--argument", action="append", default=[], help="a further argument for the server")
    parser.add_argument("--plant", action="store_true", help="with unit/other: a test of the suite that fails: this run must fail")
    parser.add_argument("--verbose", action="store_true", help="all that the suite prints")
    options = parser.parse_args()
    units = read_units()
    unknown = set(options.units) - set(units)
    if unknown:
        sys.exit("units.tsv does not name %s" % ", ".join(sorted(unknown)))
    if not shutil.which("tclsh"):
        sys.exit("no tclsh is installed: apt-get install tcl")
    source, failed = suite_directory(), 0
    for name in options.units or units:
        for shards in [None] if options.server == "redis" else options.shards:
            path = find_redis() if options.server == "redis" else program()
            found, result = check(source, units[name], path, shards, options)
            where = "%s, %s" % (name, "%d shards" % shards if shards else "redis-server")
            if found:
                failed += 1
                print("FAILED %s: %d passed\n    %s" % (where, len(result.passed), "\n    ".join(found)), flush=True)
            else:
                print("ok %s: %d passed, %d excluded" % (where, len(result.passed), len(result.skipped)), flush=True)
    if failed:
        sys.exit("%d runs of units failed" % failed)


if __name__ == "__main__":
    main()
