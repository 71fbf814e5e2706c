"""What talks to servers: a pipelining filler, single requests, redis-benchmark, and the generator of load at a fixed rate."""
import csv
import io
import itertools
import json
import os
import socket
import subprocess

import servers

FILL_BATCH = 512
LOAD_SECONDS = 60  # after which a load is stuck


def connect(server, unix=False):
    if unix:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(LOAD_SECONDS)
        connection.connect(server.socket)
    else:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=LOAD_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(*words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


def ask(server, *words):
    """The reply to one request, as bytes: whole if it is a line or a bulk."""
    with connect(server) as connection:
        connection.sendall(request(*words))
        reply = b""
        while True:
            head, found, _ = reply.partition(b"\r\n")
            if found and (head[:1] != b"$" or len(reply) >= len(head) + int(head[1:]) + 4 or head == b"$-1"):
                return reply
            more = connection.recv(1 << 16)
            if not more:
                raise servers.Trouble(f"{server.name} closed the connection at {words[0]}")
            reply += more


def ask_all(server, requests):
    """Sends these, and waits for all of their replies."""
    if not requests:
        return
    with connect(server) as connection:
        connection.sendall(b"".join(request(*words) for words in requests) + request("PING"))
        end = b""
        while not end.endswith(b"+PONG\r\n"):
            more = connection.recv(1 << 16)
            if not more:
                raise servers.Trouble(f"{server.name} closed the connection at {requests[0][0]}")
            end = (end + more)[-16:]


def fill(server, key, value, first, last):
    """SETs key % i for i in [first, last)."""
    send_all(server, ["SET", key, value], range(first, last))


def send_all(server, words, numbers, batch=FILL_BATCH):
    """A request of these words for each of the numbers, which stands for a %012d of theirs (all are of one length, then)."""
    one = request(*[word.replace("%012d", "0" * 12) for word in words]).decode()
    for word in words:
        one = one.replace(word.replace("%012d", "0" * 12), word)
    places = one.count("%")
    send_requests(server, ((one % ((number,) * places)).encode() for number in numbers), batch)


def send_requests(server, requests, batch=FILL_BATCH):
    """Replies must be lines, and no errors; they are read one batch behind, so that the server is never idle."""
    requests = iter(requests)
    with connect(server) as connection:
        owed = 0
        while some := list(itertools.islice(requests, batch)):
            connection.sendall(b"".join(some))
            owed += len(some)
            while owed > len(some):
                owed -= lines(server, connection)
        while owed:
            owed -= lines(server, connection)


def lines(server, connection):
    """How many have come."""
    data = connection.recv(1 << 16)
    if not data or b"-" in data:
        raise servers.Trouble(f"{server.name} refused what it was to be filled with: {data[:100]!r}")
    return data.count(b"\n")


def check_size(server, count):
    """That DBSIZE agrees, where the server has it."""
    reply = ask(server, "DBSIZE")
    if reply.startswith(b":") and int(reply[1:]) != count:
        raise servers.Trouble(f"{server.name} holds {int(reply[1:])} keys instead of {count}")


def redis_benchmark(bench, server, words, requests, pipeline=1, connections=50, keys=100_000, cpus=None):
    """Runs it to its end, and returns {"rps", "p50_ms", "p99_ms", "max_ms"}."""
    command = [servers.tool("redis-benchmark"), "-c", str(connections), "-n", str(requests), "-P", str(pipeline),
               "-r", str(keys), "--csv"]
    command += ["-s", server.socket] if bench.unix else ["-h", "127.0.0.1", "-p", str(server.port)]
    try:
        done = subprocess.run(command + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LOAD_SECONDS,
                              preexec_fn=servers.child(cpus or [bench.client_cpu]), env=dict(os.environ, LC_ALL="C"))
    except subprocess.TimeoutExpired:
        raise servers.Trouble(f"{server.name}: {words[0]} in pipelines of {pipeline} did not end "
                              f"in {LOAD_SECONDS} s") from None
    server.check()
    rows = list(csv.reader(io.StringIO(done.stdout.decode(errors="replace").rpartition("\r")[2])))
    if done.returncode or not rows or len(rows[-1]) < 8:
        raise servers.Trouble(f"redis-benchmark {words[0]} against {server.name}: status {done.returncode}: "
                              f"{done.stderr[-300:].decode(errors='replace').strip()}")
    rps, _, _, p50, _, p99, most = map(float, rows[-1][-7:])
    return {"rps": rps, "p50_ms": p50, "p99_ms": p99, "max_ms": most}


class Load:
    """load.c at work: see there for what its figures mean."""

    def __init__(self, bench, server, rate, seconds, *more):
        self.server = server
        command = [bench.program("bench/load"), server.socket if bench.unix else server.port, "--rate", rate,
                   "--seconds", f"{seconds:.3f}", *more]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        preexec_fn=servers.child([bench.client_cpu]))

    def finish(self, stop=False):
        """Its figures, after its time or (stop) now."""
        if stop:
            self.process.terminate()
        try:
            out, errors = self.process.communicate(timeout=LOAD_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise servers.Trouble(f"the load on {self.server.name} did not end") from None
        self.server.check()
        if self.process.returncode:
            raise servers.Trouble(f"{self.server.name}: {errors.decode(errors='replace').strip()}")
        return json.loads(out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
