#!/usr/bin/env python3
"""Scenarios with the clients that people use, each in its own language, against servers of 1 and 4 shards and a cluster of one node.

    run.py KEPT [--server kevy|redis] [--shards N] [CLIENT ...]

KEPT is a directory of the build where the clients' packages lie, and to which they are brought where they are not: those from the npm
registry in the versions of package-lock.json, redis-py from Debian's package python3-redis. A client that cannot be had is left out,
and the program then ends with status 77 if nothing failed; a line says which, and why. `--server redis` runs the same against
redis-server: that shows that the scenarios are right.

Debian 12's redis-py is 4.3.4, which knows neither RESP3 nor client-side caching: its scenario of caching speaks RESP2, and the two
from npm speak RESP3. Each client's own file tells its scenarios.
"""
import argparse
import os
import shutil
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from kevy import TIME_SCALE, Server, eventually, find_redis  # noqa: E402

SKIPPED = 77
FETCH_S, RUN_S = 300, 300
# What redis-py imports that Python itself does not bring.
DEBIAN = ("python3-redis", "python3-deprecated", "python3-wrapt", "python3-packaging", "python3-async-timeout")


class Lacking(Exception):
    """A client cannot be had; the message says why."""


def fetched(what, command, directory):
    """Runs what brings a package."""
    try:
        result = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=FETCH_S,
                                stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Lacking("%s: %s" % (what, error)) from None
    if result.returncode != 0:
        raise Lacking("%s: %s" % (what, result.stdout.strip()[-400:]))


def npm(kept):
    """Brings the packages of package-lock.json, and again where that has changed."""
    node, program = shutil.which("node"), shutil.which("npm")
    if not node or not program:
        raise Lacking("there is no %s" % ("npm" if node else "node"))
    lock, seen = os.path.join(HERE, "package-lock.json"), os.path.join(kept, "fetched.json")
    with open(lock, "rb") as file:
        wanted = file.read()
    if not os.path.exists(seen) or open(seen, "rb").read() != wanted:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, name), kept)
        fetched("npm", [program, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], kept)
        shutil.copy(lock, seen)
    return node


def debian(kept):
    """Brings redis-py, from Debian's packages without installing them, and gives the directory that Python finds it in."""
    place = os.path.join(kept, "debian")
    found = os.path.join(place, "usr/lib/python3/dist-packages")
    if not os.path.isdir(os.path.join(found, "redis")):
        fresh = place + ".new"
        shutil.rmtree(fresh, ignore_errors=True)
        os.makedirs(fresh)
        fetched("apt-get", ["apt-get", "download", "-q"] + list(DEBIAN), fresh)
        for name in sorted(os.listdir(fresh)):
            fetched("dpkg-deb", ["dpkg-deb", "-x", name, "."], fresh)
        shutil.rmtree(place, ignore_errors=True)
        os.rename(fresh, place)
    return found


def of_npm(name):
    def command(kept):
        return [npm(kept), os.path.join(HERE, name + ".cjs")], {"NODE_PATH": os.path.join(kept, "node_modules")}

    return command


def of_python(kept):
    return [sys.executable, os.path.join(HERE, "redis_py.py")], {"PYTHONPATH": debian(kept)}


def of_hiredis(_kept):
    program = os.environ.get("KEVY_HIREDIS_ASYNC")
    if not program:
        raise Lacking("libhiredis was not there when this was built")
    return [program], {}


CLIENTS = {"ioredis": of_npm("ioredis"), "node-redis": of_npm("node_redis"), "redis-py": of_python, "hiredis": of_hiredis}


def cluster_server(path, shards):
    """A node that has all slots: kevy has them from the start on, redis-server is given them."""
    arguments = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]
    if path:
        with socket.socket() as bus:  # redis-server's own choice is 10,000 above its port, and there may be none
            bus.bind(("127.0.0.1", 0))
            arguments += ["--cluster-port", str(bus.getsockname()[1])]
    server = Server(*arguments, path=path, shards=shards)
    try:
        if server.is_redis:
            with server.client() as client:
                client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
                eventually("the cluster to be well", lambda: b"cluster_state:ok" in client.call("CLUSTER", "INFO"))
    except BaseException:
        server.remove()
        raise
    return server


def play(client, prepared, path, shards):
    """Runs the scenarios of one client; true if all passed."""
    command, environment = prepared
    with Server(path=path, shards=shards) as server, cluster_server(path, shards) as cluster:
        environment = dict(os.environ, KEVY_PORT=str(server.port), KEVY_CLUSTER_PORT=str(cluster.port), **environment)
        print("---- %s, %s" % (client, "redis-server" if server.is_redis else "%d shards" % shards), flush=True)
        try:
            return subprocess.run(command, env=environment, timeout=RUN_S * TIME_SCALE, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            print("FAILED: %s had not ended after %d s" % (client, RUN_S * TIME_SCALE))
            return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kept")
    parser.add_argument("--server", choices=("kevy", "redis"), default="kevy")
    parser.add_argument("--shards", type=int, choices=range(1, 65), metavar="N")
    parser.add_argument("clients", nargs="*", metavar="CLIENT")
    arguments = parser.parse_intermixed_args()
    if not set(arguments.clients) <= set(CLIENTS):
        parser.error("the clients are " + ", ".join(CLIENTS))
    kept = os.path.abspath(arguments.kept)
    os.makedirs(kept, exist_ok=True)
    path = find_redis() if arguments.server == "redis" else None
    shard_counts = [1] if path else [arguments.shards] if arguments.shards else [1, 4]
    failed, left_out = [], []
    for client in arguments.clients or CLIENTS:
        try:
            prepared = CLIENTS[client](kept)
        except Lacking as lacking:
            print("LEFT OUT: %s: %s" % (client, lacking), flush=True)
            left_out.append(client)
            continue
        failed += ["%s at %d shards" % (client, shards) for shards in shard_counts if not play(client, prepared, path, shards)]
    if failed:
        sys.exit("failed: " + ", ".join(failed))
    if left_out:
        print("left out: " + ", ".join(left_out))
        sys.exit(SKIPPED)


if __name__ == "__main__":
    main()
