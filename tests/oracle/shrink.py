"""From a sequence that shows a difference to the shortest that does, whichever oracle asks."""
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
