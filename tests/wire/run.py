#!/usr/bin/env python3
"""Wire transcripts: exact bytes in, exact bytes out; at any shard count, in RESP2 and RESP3, however the bytes are cut.

    run.py [options] FILE.txt...

HOW A TRANSCRIPT IS WRITTEN (tests/wire/*.txt; ctest runs every file that is there)

    # a comment: what the next lines show
    > SET greeting "hello\\r\\nworld"
    < +OK
    > GET greeting
    < $12
    < hello\\r\\nworld
    > GET nothing
    < $-1

`> ` sends a command, quoted as in redis-cli: bare words, "escapes \\n \\r \\t \\xff \\" \\\\", 'plain'.
`< ` is one line of the expected reply as it stands on the wire; CRLF is added. Escapes as above, so a backslash is `\\\\`
     and a value that holds CRLF is written on one line. A command without any `<` line expects no reply at all.
`<~ ` is a regular expression for one line (CRLF not included): `<~ :\\d+`. `(?s:.*)` may swallow several lines.
     Named groups are remembered: `<~ :(?P<id>\\d+)`, later `> CLIENT KILL ID $(id)`.
`3< `, `3<~ `: the reply in RESP3, whole, where it differs. Without them RESP3 expects the `<` lines, with each null ($-1, *-1)
     turned into `_`.
Blank lines separate for the eye only. At the end every connection that is still open is asked to ECHO, which shows replies that were
not expected: close (@close) one that cannot answer any more (CLIENT REPLY OFF, MONITOR). A `<` line that must be empty is `<` alone.

Directives, one a line:
    @raw "bytes" "bytes"   sends the bytes as they are, not as a command; "x"*5000 repeats. `<` lines after it: all that it answers
    @let NAME "x"*5000     names bytes; $(NAME) stands for them in `>`, `@raw` and `<` lines
    @connect NAME          opens another connection and makes it the current one (a first one, `main`, is open)
    @on NAME               makes that connection the current one
    @close                 closes the current connection; @half-close: no more requests, replies still come; @reset: with RST
    @closed                the server must close the current connection, after the replies and with nothing more behind them
    @sync                  waits for all replies so far before anything more is sent
    @eventually [SECONDS]  the next command is repeated until its reply is the expected one (never a sleep; default 60: a disk may stand still for long)
    @unordered [N]         the next reply's elements may come in any order, each with the N - 1 that follow it (HGETALL: 2); of a scan's
                           reply (a cursor and elements) the elements; pairs that RESP3 has made stay together by themselves. No patterns then.
    @kevy-only             the next step is skipped when the transcript runs against redis-server; `@kevy-only file`: all of it
    @server --name value   further arguments for the server (at the head of the file)
    @resp 2                head of file: no HELLO is sent and `<` lines are literal: for transcripts that say HELLO themselves
    @resp 3                head of file: RESP3 only
    @tcp                   head of file: split runs use TCP too (for replies that show the peer's address)
    @whole                 head of file: no split runs (for a good reason: say it in a comment)

HOW IT IS RUN
Each transcript runs at 1 and 4 shards (--shards or KEVY_WIRE_SHARDS names others), in RESP2 and RESP3, starting from an empty
keyspace on a server of its own:
    step       each command alone, its reply awaited before the next is sent
    pipeline   commands that follow one another on a connection sent at once (up to the next directive that needs a reply)
    bytes      the pipelines, one byte at a time
    split      the pipelines cut in two (a short transcript: once at every byte; a long one: --splits runs, cut at some random
               places each; the seed is printed, and KEVY_SEED or --seed gives another)
In `bytes` and `split` a piece is sent only when the server has read the one before: over the Unix socket, where the kernel
tells. The replies must be the same bytes every time.

`--server redis` runs step and pipeline against redis-server: it verifies the expectations themselves.
"""
import argparse
import glob
import os
import random
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import resp  # noqa: E402
from kevy import DEFAULT_WAIT_S, Client, Closed, Deadline, Server, ServerFailed, Timeout, find_redis, program, run_seed, show  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
REPLY_WAIT_S = 10.0
REPEAT_S = 0.002  # between two tries of @eventually
END_MARK = "the-end-of-the-transcript"
SHORT_TRANSCRIPT_BYTES = 400  # up to here every single byte position is a run of its own
SPLITS_PER_LONG_RUN = 8


class Mismatch(Exception):
    pass


class BadTranscript(Exception):
    pass


# ---- Reading a transcript -----------------------------------------------------------------------------------------------


class Step:
    """One thing to do: kind is `send` (a command or raw bytes, and what it answers) or a directive's name."""

    def __init__(self, kind, line, text=""):
        self.kind, self.line, self.text = kind, line, text
        self.is_raw = False
        self.expect = {2: [], 3: []}  # lists of (is_pattern, text)
        self.eventually_s = 0
        self.kevy_only = False
        self.unordered = 0  # how many elements of the reply stay together; 0: all stay in their order


class Transcript:
    def __init__(self, path):
        self.path, self.steps, self.server_arguments = path, [], []
        self.protocols, self.literal, self.tcp, self.whole, self.kevy_only = (2, 3), False, False, False, False
        eventually_s, kevy_only, unordered = 0, False, 0
        with open(path, encoding="utf-8") as file:
            for line, text in enumerate(file, 1):
                text = text.rstrip("\n")
                if not text.strip() or text.startswith("#"):
                    continue
                word, _, rest = text.partition(" ")
                if word in ("<", "<~", "3<", "3<~"):
                    if not self.steps or self.steps[-1].kind != "send":
                        raise BadTranscript("%s:%d: a reply without a command" % (path, line))
                    self.steps[-1].expect[3 if word[0] == "3" else 2].append((word[-1] == "~", rest))
                elif word in (">", "@raw"):
                    step = Step("send", line, rest)
                    step.is_raw = word == "@raw"
                    step.eventually_s, step.kevy_only, step.unordered = eventually_s, kevy_only, unordered
                    eventually_s, kevy_only, unordered = 0, False, 0
                    self.steps.append(step)
                elif word == "@eventually":
                    eventually_s = float(rest or 3 * DEFAULT_WAIT_S)
                elif word == "@unordered":
                    unordered = int(rest or 1)
                elif word == "@kevy-only":
                    self.kevy_only |= rest.strip() == "file"
                    kevy_only = not rest.strip()
                elif not self.head(word, rest):
                    if word not in DIRECTIVES:
                        raise BadTranscript("%s:%d: what is %r?" % (path, line, text))
                    self.steps.append(Step(word[1:], line, rest.strip()))
        if not any(step.kind == "send" and step.expect[2] + step.expect[3] for step in self.steps):
            raise BadTranscript("%s expects nothing" % path)

    def head(self, word, rest):
        """Directives about the file as a whole."""
        if word == "@server":
            self.server_arguments += [a.decode() for a in resp.split_arguments(rest)]
        elif word == "@resp":
            self.protocols, self.literal = (int(rest),), rest.strip() == "2"
        elif word == "@tcp":
            self.tcp = True
        elif word == "@whole":
            self.whole = True
        else:
            return False
        return True


DIRECTIVES = ("@let", "@connect", "@on", "@close", "@half-close", "@reset", "@closed", "@sync")
REPEAT = re.compile(r'("(?:[^"\\]|\\.)*"|\$\(\w+\))(?:\*(\d+))?(?:\s+|$)')
VARIABLE = re.compile(rb"\$\((\w+)\)")


def raw_bytes(text, variables):
    """The bytes of `"quoted"*repeat $(variable) ...`."""
    out, at = b"", 0
    text = text.strip()
    while at < len(text):
        match = REPEAT.match(text, at)
        if not match:
            raise BadTranscript("cannot read bytes from %r" % text[at:])
        word = match.group(1)
        data = resp.unescape(word[1:-1]) if word[0] == '"' else word.encode()
        out += substitute(data, variables) * int(match.group(2) or 1)
        at = match.end()
    return out


def substitute(data, variables):
    def value(match):
        name = match.group(1).decode()
        if name not in variables:
            raise KeyError(name)
        return variables[name]

    return VARIABLE.sub(value, data)


def nulls_to_resp3(raw):
    """RESP2 reply bytes with each null as RESP3 has it. Bulk contents are left alone."""
    out, at = b"", 0
    while at < len(raw):
        end = raw.find(b"\r\n", at)
        if end < 0:
            return out + raw[at:]
        line = raw[at : end + 2]
        at = end + 2
        if line in (b"$-1\r\n", b"*-1\r\n"):
            line = b"_\r\n"
        elif line[:1] == b"$" and line[1:-2].isdigit():
            length = int(line[1:-2]) + 2
            line += raw[at : at + length]
            at += length
        out += line
    return out


def elements_of(raw, start):
    """The kind of the reply that begins at start, where its first element begins, and its elements' bytes (those of aggregates only)."""
    line_end = raw.find(b"\r\n", start) + 2
    kind = raw[start : start + 1]
    if kind not in (b"*", b"~", b"%"):
        return kind, line_end, []
    elements, at = [], line_end
    for _ in range(int(raw[start + 1 : line_end]) * (2 if kind == b"%" else 1)):
        framer = resp.Framer()
        framer.position = at
        end = framer.end(raw)
        elements.append(raw[at:end])
        at = end
    return kind, line_end, elements


def in_one_order(raw, group):
    """The reply with its elements sorted, `group` at a time."""
    kind, start, elements = elements_of(raw, 0)
    if kind == b"*" and len(elements) == 2 and elements[0][:1] == b"$" and elements[1][:1] == b"*":
        return raw[:start] + elements[0] + in_one_order(elements[1], group)
    if kind == b"%":
        group = 2
    elif elements and elements[0][:1] == b"*":
        group = 1  # RESP3 has pairs where RESP2 has two elements
    return raw[:start] + b"".join(sorted(b"".join(elements[i : i + group]) for i in range(0, len(elements), group)))


class Expectation:
    """What a step answers: exact bytes, in any order of elements, or a pattern over them."""

    def __init__(self, step, protocol, literal, variables):
        lines = step.expect[3] if protocol == 3 and step.expect[3] else step.expect[2]
        translate = protocol == 3 and not step.expect[3] and not literal
        self.is_pattern = any(is_pattern for is_pattern, _ in lines)
        self.is_nothing = not lines
        self.lines, self.unordered = len(lines), step.unordered
        if self.is_pattern and self.unordered:
            raise BadTranscript("line %d: a pattern leaves no elements to sort" % step.line)
        if not self.is_pattern:
            self.raw = b"".join(substitute(resp.unescape(text), variables) + b"\r\n" for _, text in lines)
            if translate:
                self.raw = nulls_to_resp3(self.raw)
            return
        pattern = b""
        for is_pattern, text in lines:
            if is_pattern:
                pattern += substitute(text.encode(), {k: re.escape(v) for k, v in variables.items()})
            else:
                raw = substitute(resp.unescape(text), variables)
                pattern += b"_" if translate and raw in (b"$-1", b"*-1") else re.escape(raw)
            pattern += b"\r\n"
        self.raw, self.pattern = pattern, re.compile(pattern)
        self.is_open_ended = b"(?s" in pattern

    def matches(self, raw):
        if self.unordered and raw != self.raw:
            return len(raw) == len(self.raw) and in_one_order(raw, self.unordered) == in_one_order(self.raw, self.unordered)
        return self.pattern.fullmatch(raw) if self.is_pattern else raw == self.raw

    def hopeless(self, raw):
        """Could no further reply make raw match?"""
        if self.is_pattern:
            return raw.count(b"\r\n") >= self.lines and not self.is_open_ended
        if self.unordered:
            return True  # such a reply is the only one that its command gives
        return not self.raw.startswith(raw)


# ---- Running one ----------------------------------------------------------------------------------------------------------


class Run:
    """A transcript on its way through a server, in one protocol and one way to cut the bytes.

    `cut` takes the bytes of a pipeline and returns the pieces in which they are sent; None: whole."""

    def __init__(self, server, transcript, protocol, pipelined, cut=None):
        self.server, self.transcript, self.protocol = server, transcript, protocol
        self.pipelined, self.cut = pipelined, cut
        self.literal = transcript.literal
        self.unix = cut is not None and not transcript.tcp
        self.clients, self.name, self.variables = {}, "main", {}
        self.block, self.waiting = b"", []  # bytes not sent yet; steps whose replies are awaited
        self.sent_bytes = 0
        self.line = 0

    def run(self):
        try:
            self.connect("main")
            for step in self.transcript.steps:
                self.line = step.line
                if step.kevy_only and self.server.is_redis:
                    continue
                getattr(self, "do_" + step.kind.replace("-", "_"))(step)
            self.flush()
            self.expect_quiet()
        except (Mismatch, Timeout, Closed, OSError, resp.ProtocolError) as error:
            raise Mismatch("%s:%d: %s" % (os.path.relpath(self.transcript.path), self.line, error)) from error
        finally:
            for client in self.clients.values():
                client.close()

    @property
    def client(self):
        if self.name not in self.clients:
            raise BadTranscript("%s:%d: no connection %r" % (self.transcript.path, self.line, self.name))
        return self.clients[self.name]

    def connect(self, name):
        self.clients[name] = Client(self.server, protocol=3 if self.protocol == 3 else 2, unix=self.unix)
        self.name = name

    # Directives. Whatever depends on what was sent before starts by flushing it.

    def do_let(self, step):
        name, _, rest = step.text.partition(" ")
        self.variables[name] = raw_bytes(rest, self.variables)

    def do_connect(self, step):
        self.flush()
        self.connect(step.text)

    def do_on(self, step):
        self.flush()
        self.name = step.text

    def do_close(self, step):
        self.flush()
        self.clients.pop(self.name).close()

    def do_reset(self, step):
        self.flush()
        self.clients.pop(self.name).reset()

    def do_half_close(self, step):
        """The pipeline and the FIN go out together; the replies are read afterwards."""
        self.push_out()
        self.client.half_close()
        self.collect()

    def do_closed(self, step):
        self.flush()
        rest = self.client.read_until_closed(REPLY_WAIT_S)
        if rest:
            raise Mismatch("more than expected before the close: %s" % show(rest))
        self.clients.pop(self.name).close()

    def do_sync(self, step):
        self.flush()

    def do_send(self, step):
        data = self.bytes_of(step)
        if step.eventually_s:
            self.flush()
            self.repeat(step, data)
            return
        self.block += data
        self.waiting.append(step)
        if not self.pipelined:
            self.flush()

    def bytes_of(self, step):
        try:
            return self.encode(step)
        except KeyError:
            self.flush()  # the value of a variable is in a reply that was not read yet
        try:
            return self.encode(step)
        except KeyError as name:
            raise BadTranscript("%s:%d: %s is not known" % (self.transcript.path, step.line, name)) from None

    def encode(self, step):
        if step.is_raw:
            return raw_bytes(step.text, self.variables)
        return resp.encode(*(substitute(a, self.variables) for a in resp.split_arguments(step.text)))

    # Sending and checking.

    def flush(self):
        self.push_out()
        self.collect()

    def push_out(self):
        block, self.block = self.block, b""
        if not block:
            return
        pieces = self.cut(block, self.sent_bytes) if self.cut else [block]
        self.sent_bytes += len(block)
        try:
            if self.cut:
                self.client.send_pieces(pieces)
            else:
                self.client.send(block)
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed by the server in the middle: the replies tell whether that was right

    def collect(self):
        waiting, self.waiting = self.waiting, []
        for step in waiting:
            self.line = step.line
            self.check(step)

    def expectation(self, step):
        try:
            return Expectation(step, self.protocol, self.literal, self.variables)
        except KeyError as name:
            raise BadTranscript("%s:%d: %s is not known" % (self.transcript.path, step.line, name)) from None

    def check(self, step):
        expected, got = self.expectation(step), b""
        if expected.is_nothing:
            return
        deadline = Deadline("the reply %s" % show(expected.raw), REPLY_WAIT_S)
        while True:
            deadline.left()
            try:
                got += self.client.read_raw("the reply %s" % show(expected.raw), REPLY_WAIT_S)
            except (Timeout, Closed) as error:
                if not got:
                    raise
                raise Mismatch(self.difference(step, expected, got) + "\n    " + str(error)) from error
            match = expected.matches(got)
            if match:
                if expected.is_pattern:
                    self.variables.update({k: v for k, v in match.groupdict().items() if v is not None})
                return
            if expected.hopeless(got):
                raise Mismatch(self.difference(step, expected, got))

    def repeat(self, step, data):
        """Who asks without a pause takes the CPU from those for whom he waits."""
        expected = self.expectation(step)
        deadline = Deadline("the reply to be %s" % show(expected.raw), step.eventually_s)
        while True:
            self.client.send(data)
            got = self.client.read_raw()
            if expected.matches(got):
                return
            try:
                time.sleep(min(REPEAT_S, deadline.left()))
            except Timeout as timeout:
                raise Mismatch("%s; last: %s" % (timeout, show(got))) from None

    def difference(self, step, expected, got):
        return "%s\n    expected %s%s\n    got      %s" % (
            step.text[:200], "(pattern) " if expected.is_pattern else "", show(expected.raw), show(got))

    def expect_quiet(self):
        """No connection has anything more to say: the next thing that each one says answers our last question."""
        for name, client in self.clients.items():
            if client.eof:
                continue
            client.send(resp.encode("ECHO", END_MARK))
            got = client.read_raw("the answer to ECHO %s on connection %s" % (END_MARK, name), REPLY_WAIT_S)
            if END_MARK.encode() not in got and got != b"+QUEUED\r\n" and not got.startswith((b"-NOAUTH", b"-ERR Can't execute 'echo'")):
                raise Mismatch("connection %s: more replies than expected: %s" % (name, show(got)))


# ---- All the ways to run it --------------------------------------------------------------------------------------------------


def cut_bytes(block, start):
    return [block[i : i + 1] for i in range(len(block))]


def cut_at(positions):
    """Cuts at absolute positions in all that is sent."""

    def cut(block, start):
        here = sorted(p - start for p in positions if 0 < p - start < len(block))
        return [block[a:b] for a, b in zip([0] + here, here + [len(block)])]

    return cut


def clean(server):
    """Back to where a run starts. What a run changed elsewhere (CONFIG SET), its transcript puts back."""
    password = None
    for name, value in zip(server.arguments, server.arguments[1:]):
        if name == "--requirepass":
            password = value
    with server.client() as client:
        if password:
            client.call("AUTH", password)
        reply = client.call("FLUSHALL")
        if reply != "OK":
            raise Mismatch("FLUSHALL between runs: %r" % reply)


def ways(transcript, protocol, total_bytes, options, seed):
    """(name, pipelined, cut) for each run that follows the plain ones."""
    if transcript.whole:
        return
    if total_bytes <= options.bytes_limit:
        yield "bytes", True, cut_bytes
    if total_bytes <= SHORT_TRANSCRIPT_BYTES:
        for position in range(1, total_bytes):
            yield "split at %d" % position, True, cut_at([position])
        return
    generator = random.Random("%s %s %d" % (seed, os.path.basename(transcript.path), protocol))
    for _ in range(options.splits):
        positions = sorted(generator.randrange(1, total_bytes) for _ in range(SPLITS_PER_LONG_RUN))
        yield "split at %s" % positions, True, cut_at(positions)


def run_all_ways(transcript, server, protocol, options, seed):
    """Returns the number of runs."""
    runs, where = 0, "%s, RESP%d" % ("%d shards" % server.shards if server.shards else "redis-server", protocol)
    way = "step"
    try:
        first = Run(server, transcript, protocol, pipelined=False)
        first.run()
        clean(server)
        way = "pipeline"
        Run(server, transcript, protocol, pipelined=True).run()
        clean(server)
        runs = 2
        if server.is_redis and not options.split_redis:
            return runs
        for way, pipelined, cut in ways(transcript, protocol, first.sent_bytes, options, seed):
            Run(server, transcript, protocol, pipelined, cut).run()
            clean(server)
            runs += 1
    except Mismatch as error:
        raise Mismatch("(%s, %s) %s" % (where, way, error)) from error
    return runs


def run_transcript(path, options, seed):
    """True if it holds everywhere."""
    transcript = Transcript(path)
    name, runs = os.path.basename(path), 0
    if options.server == "redis":
        if transcript.kevy_only:
            print("skipped %s: it is for kevy only" % name)
            return True
        configurations = [(None, find_redis())]
    else:
        configurations = [(shards, program()) for shards in options.shards]
    for shards, binary in configurations:
        try:
            with Server(*transcript.server_arguments, shards=shards, path=binary) as server:
                for protocol in transcript.protocols:
                    runs += run_all_ways(transcript, server, protocol, options, seed)
        except (Mismatch, ServerFailed, Timeout) as error:
            print("FAILED %s: %s (seed %s)" % (name, error, seed))
            return False
    print("ok %s: %d runs, seed %s" % (name, runs, seed))
    return True


def main():
    parser = argparse.ArgumentParser(description="Runs wire transcripts; see the head of this file for their format.")
    parser.add_argument("files", nargs="*", help="transcripts (default: all beside this file)")
    parser.add_argument("--server", choices=("kevy", "redis"), default="kevy")
    parser.add_argument("--shards", type=lambda s: [int(n) for n in s.split(",")], default=os.environ.get("KEVY_WIRE_SHARDS", "1,4"))
    parser.add_argument("--splits", type=int, default=20, help="random split runs of a long transcript")
    parser.add_argument("--bytes-limit", type=int, default=20000, help="longest transcript sent byte by byte")
    parser.add_argument("--split-redis", action="store_true", help="split runs against redis-server too")
    parser.add_argument("--seed", default=run_seed())
    options = parser.parse_args()
    files = options.files or sorted(glob.glob(os.path.join(HERE, "*.txt")))
    if not files:
        sys.exit("no transcripts")
    if options.server == "redis" and not find_redis():
        sys.exit("no redis-server is installed")
    failed = [path for path in files if not run_transcript(path, options, options.seed)]
    if failed:
        sys.exit("%d of %d transcripts failed" % (len(failed), len(files)))


if __name__ == "__main__":
    main()
