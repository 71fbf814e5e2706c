"""What a loop over the network meets on this machine (machine.c): it says why the same build gains more here than there."""
import json
import subprocess

import report

WORDS = (("system_call", "a system call"),
         ("wake_up", "waking a thread on the other CPU, a write and a read of a socket pair included"),
         ("tcp_round_trip", "there and back over TCP, two wake-ups included"),
         ("oversleep", "a sleep of 50 us takes longer by"),
         ("oversleep_without_slack", "the same with a timer slack of 1 ns"),
         ("over_min_wait", "a minimum wait of 100 us in io_uring takes longer by"))


def machine(bench):
    print(f"medians of {bench.rounds} rounds of 2,001 tries, CPUs {bench.server_cpu} and {bench.client_cpu}")
    command = [bench.program("bench/machine"), str(bench.server_cpu), str(bench.client_cpu)]
    rounds = [json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout) for _ in range(bench.rounds)]
    out = report.Table(["what", "us"], [76, 8])
    for name, words in WORDS:
        figures = sorted(each[name] for each in rounds)
        middle = figures[len(figures) // 2]
        out.add([words, "not there" if middle < 0 else f"{middle / 1000:.2f}"])
    report.save(bench, "machine", rounds, out.markdown())
