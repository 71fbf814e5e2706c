"""From a sequence that shows a difference to the shortest that does, whichever oracle asks."""
import os
import tempfile
import time

SHRINK_SECONDS = 60


def shrink(fails, sequence, difference):
    """Ever fewer steps that still differ: halves first, then quarters, then single ones. `fails(sequence)` gives the difference,
    whose index is that of the step where it shows, or None."""
    deadline = time.monotonic() + SHRINK_SECONDS
    sequence = sequence[: difference.index + 1]
    piece = max(len(sequence) // 2, 1)
    while piece:
        at, removed = 0, False
        while at < len(sequence) and time.monotonic() < deadline:
            shorter = sequence[:at] + sequence[at + piece :]
            found = fails(shorter) if shorter else None
            if found:
                sequence, difference, removed = shorter[: found.index + 1], found, True
            else:
                at += piece
        piece = piece if removed and piece == 1 else piece // 2
    return sequence, difference


def fail_with_script(fails, script, difference, report):
    """Shrinks a script of steps of several clients, shows it, keeps it in a file that runs by itself, and ends the program. The report
    has `what` differed, `line_of` a step, the `program` to run again with its options, and whether the fault was `planted`."""
    shrunk, last = shrink(fails, script, difference)
    again = "" if fails(shrunk) else " (only sometimes: it passed when it was run again)"
    text = "".join(report["line_of"](*step) + "\n" for step in shrunk)
    handle, path = tempfile.mkstemp(prefix="kevy-oracle-", suffix=".txt")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    print("DIFFERENT in %s; shrunk to %d steps%s:\n%s\n%s\nrun again: %s %s"
          % (report["what"], len(shrunk), again, text, last, report["program"], path))
    if report["planted"]:
        os.unlink(path)  # nobody will run a planted failure again
    raise SystemExit("FAILED %s" % report["what"])
