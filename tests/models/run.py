#!/usr/bin/env python3
"""Protocols between threads, as models that Spin searches to their end: every order of steps, not only those that occur.

    run.py [MODEL...]        all models of this folder (wake.pml and its like), or these

A model says in its head what it stands for, function by function, what it leaves out, and what must hold. It also says how
it is to be checked, a line each:

    must pass: FLAGS         searched to the end, within the bounds below, nothing wrong is found
    must fail: FLAGS         a defect is built in, and an assertion of the model's must be violated

FLAGS are spin's (-DNAME=VALUE). Every defect that a model knows (#define NAME number, for DEFECT) has such a line: an
assertion that no defect violates proves nothing.

A protocol joins by its own file. Who changes the C changes the model, in the same commit, and the other way round.

Bounds: MEMORY_MIB and SECONDS (times $KEVY_TIME_SCALE) for each check, as many at a time as there are CPUs. A check that
reaches a bound, or the search's depth, has failed: nothing follows from half a search. Needs spin and gcc.
"""
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MIB, DEPTH = 1500, 300000
SECONDS = 300 * float(os.environ.get("KEVY_TIME_SCALE", "1"))
# Safety alone; no never claims; a state is kept by its parts, each once.
COMPILE = ["gcc", "-O1", "-w", "-DSAFETY", "-DNOCLAIM", "-DCOLLAPSE", "-DMEMLIM=%d" % MEMORY_MIB, "-o", "pan", "pan.c"]


def expectations(path):
    """(must it pass?, flags) for each line of the model's that says so."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = re.findall(r"^ \* must (pass|fail):(.*?)(?:\*/)?$", text, re.M)
    found = [(kind == "pass", flags.split()) for kind, flags in lines]
    defects = set(re.findall(r"^#define (\w+) +[1-9]\d* /\*", text, re.M))
    tried = {flag.partition("-DDEFECT=")[2] for passes, flags in found if not passes for flag in flags} - {""}
    if not any(passes for passes, _ in found) or defects != tried:
        sys.exit("%s: no line for a pass, or not one for each defect: %s" % (path, sorted(defects ^ tried)))
    return found


def search(path, flags):
    """("pass", "fail" or why neither, states)"""
    with tempfile.TemporaryDirectory(prefix="kevy-model-") as directory:
        output = ""
        for command in (["spin"] + flags + ["-a", os.path.abspath(path)], COMPILE, ["./pan", "-m%d" % DEPTH]):
            done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=SECONDS, text=True)
            output = done.stdout
            if done.returncode:
                return "%s: %s" % (command[0], output[-2000:]), 0
    states = re.search(r"(\d+) states, stored", output)
    violated = "assertion violated" in output
    if re.search(r"reached -DMEMLIM|max search depth too small|Search not completed", output) and not violated:
        return "reached a bound: " + output[:2000], 0
    errors = re.search(r"errors: (\d+)", output)
    if not errors or not states:
        return "no result: " + output[-2000:], 0
    if errors.group(1) == "0":
        return "pass", int(states.group(1))
    return "fail" if violated else "an error of another kind: " + output[:2000], int(states.group(1))


def check(path, passes, flags):
    start = time.monotonic()
    try:
        verdict, states = search(path, flags)
    except subprocess.TimeoutExpired:
        verdict, states = "not done after %d s" % SECONDS, 0
    wanted = "must pass" if passes else "must fail"
    ok = "must " + verdict == wanted
    print("%-5s %s %-42s %s: %s; %d states, %.1f s" % ("ok" if ok else "WRONG", os.path.basename(path), " ".join(flags),
                                                       wanted, verdict, states, time.monotonic() - start), flush=True)
    return ok


def main():
    paths = sys.argv[1:] or sorted(glob.glob(os.path.join(HERE, "*.pml")))
    checks = [(path, passes, flags) for path in paths for passes, flags in expectations(path)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda arguments: check(*arguments), checks))
    print("%d checks, %d wrong" % (len(results), results.count(False)))
    sys.exit(not checks or not all(results))


if __name__ == "__main__":
    main()
