"""Memory: resident bytes per key and per idle connection, at boot, and the size of the binary."""
import os
import shutil
import subprocess
import tempfile
import time

import client
import report
import servers
import table

MILLIONS = (1, 2, 4, 8)
CONNECTIONS = (1_000, 10_000)
SETTLE_SECONDS = 1.5  # for what a server tidies up when it is left alone
KEY_BYTES = 60  # the most per key, without what is resident at boot
KEY_BYTES_AT = {2: 52}  # the same at so many millions
CONNECTION_BYTES = 1024
BOOT_BYTES = 4_000_000
BINARY_BYTES = 1_000_000


def memory(bench):
    names = bench.real_servers()
    out = report.Table(["figure"] + names + ["target", ""], [38] + [10] * len(names) + [12, 6])
    results = []

    def add(figure, values, most):
        results.append({"figure": figure, "servers": values, "most": most})
        met = report.verdict(values["kevy"] <= most) if most and "kevy" in values else ""
        out.add([figure] + [f"{value:,.1f}" if value < 1000 else f"{value:,.0f}" for value in values.values()] + [f"<= {most:,}" if most else "", met])

    boot, binary = {}, {}
    for name in names:
        with bench.start(name) as server:
            time.sleep(SETTLE_SECONDS)
            boot[name] = server.rss()
            binary[name] = stripped_size(os.path.realpath(f"/proc/{server.pid}/exe"))
    add("resident at boot, bytes", boot, BOOT_BYTES)
    add("stripped binary, bytes", binary, BINARY_BYTES)

    millions = MILLIONS[:2] if bench.quick else MILLIONS
    per_key = {name: keys(bench, name, millions) for name in names}
    for million in millions:
        resident = {name: per_key[name][million] for name in names}
        count = million * 1_000_000
        add(f"{million} million keys: resident/keys", {name: resident[name] / count for name in names}, None)
        add(f"{million} million keys: (resident-boot)/keys",
            {name: (resident[name] - boot[name]) / count for name in names}, KEY_BYTES_AT.get(million, KEY_BYTES))

    counts = CONNECTIONS[:1] if bench.quick else CONNECTIONS
    per_connection = {name: connections(bench, name, counts) for name in names}
    for count in counts:
        add(f"{count:,} idle connections: bytes each", {name: per_connection[name][count] for name in names}, CONNECTION_BYTES)
    groups = [(f"{million} million", {name: (per_key[name][million] - boot[name]) / million / 1e6 for name in names},
               KEY_BYTES_AT.get(million, KEY_BYTES)) for million in millions]
    report.save(bench, "memory", results, out.markdown(), report.bars("Resident bytes per key, without those at boot; keys and values of 16 B", names, groups))


def stripped_size(path):
    """Of a copy, where the tool is there to strip it."""
    strip = shutil.which("strip")
    if not strip:
        return os.path.getsize(path)
    with tempfile.TemporaryDirectory(prefix="kevy-bench-") as directory:
        copy = os.path.join(directory, "stripped")
        done = subprocess.run([strip, "-o", copy, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        return os.path.getsize(copy if done.returncode == 0 else path)


def keys(bench, name, millions):
    """{millions of keys: resident bytes}, the keys added step by step."""
    resident, filled = {}, 0
    with bench.start(name) as server:
        for million in millions:
            client.fill(server, "key:%012d", table.VALUE, filled, million * 1_000_000)
            filled = million * 1_000_000
            time.sleep(SETTLE_SECONDS)
            client.check_size(server, filled)
            resident[million] = server.rss()
    return resident


def connections(bench, name, counts):
    """{connections: bytes that each added} to a server that has worked before. Each has asked for something once."""
    grown, opened = {}, []
    with bench.start(name, f"--maxclients {max(counts) + 100}") as server:
        try:
            client.redis_benchmark(bench, server, ["GET", "key:__rand_int__"], 100_000, 16)
            time.sleep(SETTLE_SECONDS)
            before = server.rss()
            for count in counts:
                while len(opened) < count:
                    opened.append(client.connect(server, bench.unix))
                    opened[-1].sendall(client.request("PING"))
                    if not opened[-1].recv(64).startswith(b"+PONG"):
                        raise servers.Trouble(f"{name} does not serve connection {len(opened):,}")
                time.sleep(SETTLE_SECONDS)
                grown[count] = (server.rss() - before) / count
        except OSError as error:
            raise servers.Trouble(f"{name}, connection {len(opened) + 1:,}: {error} (ulimit -n must be above "
                                  f"{max(counts):,})") from None
        finally:
            for connection in opened:
                connection.close()
    return grown
