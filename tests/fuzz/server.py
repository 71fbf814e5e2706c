#!/usr/bin/env python3
"""A whole server under many connections at once: random commands of every kind, and payloads of RESTORE that are altered and sealed again.

    server.py [--seconds N | --cpu-seconds N] [--shards N] [--links N] [--echoes N] [--appendfsync HOW] [--seed N] [--plant death|hang|report|deaf|leak]

Meant for builds with a sanitizer, where it looks for what two threads do to each other. A round has some links: connections that send
pipelines of commands over the same few keys, whole or in pieces, in transactions or not, wait for elements, hear of messages and of
changed keys, unblock and kill each other, stop reading for a while, and are closed, reset or half closed, in the middle of a command
too; new ones take their place.
What must hold:

    during a round   the server lives, and reports nothing; eight connections of their own get PONG within 30 s ($KEVY_TIME_SCALE times); all replies are whole
    at its end       every link that is left, and is unblocked, gets the answers to RESET and PING; nobody is connected or blocked
                     who should not be; each value is, dumped and restored, the same again (DEBUG DIGEST-VALUE); and after
                     FLUSHALL no memory is left behind
    after some       the server ends with status 0 when it is asked to (a sanitizer tells then of what leaks)

Every link draws from a seed of its own, made of the run's, the round's and its number, so that a run with the same seed sends the same
commands; how threads share them out is left to chance. With --echoes so many more connections send again what links have sent, and read
replies without looking: drawing commands takes longer than running them, and so the server has more to do. With --appendfsync the servers
have an append-only file, which is rewritten often. A failure shows the last commands of all links. --plant spoils one of these, which must
be found.
"""
import argparse
import collections
import contextlib
import itertools
import os
import random
import re
import select
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "oracle")]
import commands  # noqa: E402
import families  # noqa: E402
from grammar import Forms, Grammar  # noqa: E402
from kevy import SANITIZER_REPORT, Client, Closed, Deadline, Error, Server, ServerFailed, Timeout, encode, eventually, run_seed, show  # noqa: E402
from payloads import FOOTER, Payloads  # noqa: E402
from resp import ProtocolError  # noqa: E402

AGAIN = "restored again"
ROUND_S = 4
ROUNDS_OF_A_SERVER = 12
WATCHERS = 8
SHOWN = 150  # commands, when something was found
PAUSE_MS = 30
ECHOED = 200  # batches that may be sent again
NOT_ECHOED = {b"PAUSE", b"SLEEP", b"RELOAD", b"LOADAOF", b"SAVE", b"BGSAVE", b"BGREWRITEAOF", b"MONITOR"}  # in which all would wait
DRAWN_MOST = 100000  # elements drawn from a collection at a time
MEMORY_SLACK = 2 << 20  # what buffers and tables that are kept may differ by
OPTIONS = ("--proto-max-bulk-len", "4mb", "--notify-keyspace-events", "KEA", "--enable-debug-command", "yes", "--maxclients", "200")

MORE = """
70 RESTORE $any $restore_time $payload REPLACE
8  RESTORE $key $restore_time $payload $restore_options
4  DUMP $any
4  BLPOP $list $list $timeout
3  BRPOP $list $timeout
3  BLMOVE $list $list $left_right $left_right $timeout
2  BLMPOP $timeout $counted_lists $left_right $count?
3  BZPOPMIN $zset $zset $timeout
2  BZMPOP $timeout $counted_zsets $min_max $count?
6  XADD $stream * $stream_fields
6  XADD $stream IDMP $member $member * $stream_fields
2  XADD $stream IDMPAUTO $member MAXLEN 20 * $stream_fields
1  XCFGSET $stream IDMP-DURATION $bit IDMP-MAXSIZE $small_db
1  XIDMPRECORD $stream $member $member $some_id
3  XREAD BLOCK $block_ms STREAMS $stream $
4  XREADGROUP GROUP $group $consumer BLOCK $block_ms STREAMS $stream >
2  WAITAOF $bit $bit $bit
4  XNACK $stream $group $nack_mode IDS 1 $some_id
2  XACKDEL $stream $group $references IDS 1 $some_id
2  XDELEX $stream $references IDS 1 $some_id
6  CLIENT TRACKING ON $tracking_options
2  CLIENT TRACKING OFF
3  CLIENT CACHING $yes_or_no
3  SUBSCRIBE $channel $channel
2  PSUBSCRIBE $channels
2  SSUBSCRIBE $key
2  UNSUBSCRIBE
2  PUNSUBSCRIBE
8  PUBLISH $channel $value
3  SPUBLISH $key $value
2  RESET
3  CLIENT UNBLOCK $client_id $unblock_how
2  CLIENT KILL ID $client_id
1  CLIENT LIST
1  CLIENT PAUSE 20 $pause_mode
1  CLIENT UNPAUSE
1  CLIENT REPLY $reply_mode
1  SWAPDB $small_db $small_db
1  FLUSHALL $flush_option
1  FLUSHDB $flush_option
3  COPY $any $any $copy_options
3  RENAME $any $any
2  MOVE $any $small_db
2  SELECT $small_db
1  UNLINK $any $any $any
1  MONITOR
1  DEBUG SLEEP 0.002
1  DEBUG DIGEST
1  DEBUG RELOAD
1  DEBUG LOADAOF
1  SAVE
2  BGSAVE
1  BGSAVE SCHEDULE
1  DEBUG OBJECT $any
1  DEBUG DIGEST-VALUE $any $any
1  DEBUG SET-ACTIVE-EXPIRE $bit
1  OBJECT ENCODING $any
1  SCAN $cursor $scan_options
1  INFO
2  PEXPIRE $any $soon_ms
1  SUNIONCARD $counted_sets $limit?
1  ZUNIONSTORE $zset $counted_mixed AGGREGATE COUNT
3  HPEXPIRE $hash $soon_ms FIELDS 1 $member
2  HSETEX $hash PX $soon_ms FIELDS 1 $member $value
2  HGETEX $hash PX $soon_ms FIELDS 1 $member
2  SADD $set $hundreds
2  RPUSH $list $hundreds
2  ZADD $zset $hundreds_of_pairs
2  HSET $hash $hundreds_of_pairs
1  HPEXPIRE $hash $soon_ms FIELDS 100 $hundred
"""


LINES = commands.lines_of(commands.TEMPLATES, 0.3) + commands.lines_of(MORE) + [
    line for family, templates in families.TEMPLATES.items() if family not in ("dump", "zset_waiting", "list_waiting", "stream_waiting", "wait")
    for line in commands.lines_of(templates)]
WEIGHTS = list(itertools.accumulate(line[0] for line in LINES))


class Found(Exception):
    """What this program looks for."""


class Draws(commands.Generator):
    """The oracle's commands over all families, those that it cannot compare too, and what links do to each other."""

    def __init__(self, dice, payloads):
        super().__init__(dice, past_expiry=True, others=())
        self.payloads = payloads
        self.keys_drawn = commands.KEYS + families.KEYS

    def command(self):
        words = []
        for word in self.random.choices(LINES, cum_weights=WEIGHTS)[0][1:]:
            words += self.draw(word)
        return self.disturb(words)

    @staticmethod
    def now_ms():
        return int(time.time() * 1000)

    def value(self):
        """Mostly short ones: long ones cost time, not insight."""
        dice = self.random
        if dice.random() < 0.4:
            return self.pick(self.integer(), dice.choice(commands.FLOATS), b"", b"\x00", b"\r\n", b"foobar", b"ohmytext")
        return dice.randbytes(dice.choice((1, 3, 10, 20, 43, 44, 45, 64, 100, 300) if dice.random() < 0.97 else (4096, 16384, 40000)))

    def payload(self):
        return self.payloads.draw(self.random)

    def timeout(self):
        return self.pick(b"0", b"0", b"0.01", b"0.05", b"0.3", b"1", b"100", b"-1", b"x", b"1e300")

    def client_id(self):
        return b"%d" % self.random.randrange(1, 400)

    def unblock_how(self):
        return self.pick([], [b"ERROR"], [b"TIMEOUT"])

    def pause_mode(self):
        return self.pick([], [b"WRITE"], [b"ALL"])

    def reply_mode(self):
        return self.pick(b"ON", b"ON", b"SKIP", b"OFF")

    def nack_mode(self):
        return self.pick(b"SILENT", b"FAIL", b"FATAL")

    def references(self):
        return self.pick(b"KEEPREF", b"DELREF", b"ACKED")

    def tracking_options(self):
        return self.pick([], [], [b"NOLOOP"], [b"OPTIN"], [b"OPTOUT"], [b"BCAST"], [b"BCAST", b"PREFIX", b"k"], [b"BCAST", b"NOLOOP", b"PREFIX", b"", b"PREFIX", b"a"],
                         [b"REDIRECT", self.client_id()], [b"REDIRECT", self.client_id(), b"BCAST"])

    def yes_or_no(self):
        return self.pick(b"YES", b"NO")

    def channel(self):
        return self.pick(b"c1", b"c2", b"__redis__:invalidate", b"__keyevent@0__:del", b"__keyspace@0__:" + self.key())

    def channels(self):
        return self.pick(b"*", b"c*", b"__key*", b"__keyevent@*__:*", b"[")

    def small_db(self):
        return self.pick(b"0", b"0", b"1", b"2")

    def names(self, count):
        """Elements that stand in many leaves of a tree: commands over these take steps, and freeing them too."""
        first, form = self.random.randrange(3000), self.pick(b"%d", b"element %06d", b"%040d")
        return [form % (first + i) for i in range(count)]

    def hundred(self):
        return self.names(100)

    def hundreds(self):
        return self.names(self.pick(100, 500, 3000))

    def hundreds_of_pairs(self):
        """Scores and members, or fields and values."""
        return [word for i, name in enumerate(self.names(self.pick(100, 500, 2000))) for word in (b"%d" % (i % 700), name)]

    def soon_ms(self):
        return self.pick(b"1", b"3", b"20", b"200", b"1000000")


def is_left_out(words):
    """What ends the server, writes files, stops it for long, or makes replies without end in one piece."""
    name = words[0].upper()
    second = words[1].upper() if len(words) > 1 else b""
    if name == b"SHUTDOWN":
        return True
    if name == b"CONFIG":
        return second == b"REWRITE" or second == b"SET" and any(word.lower() not in families.THRESHOLDS for word in words[2::2])
    if name == b"DEBUG" and second == b"SLEEP":
        return words[2:] != [b"0.002"]
    if name == b"CLIENT" and second == b"PAUSE":
        return not (len(words) > 2 and words[2].isdigit() and int(words[2]) <= PAUSE_MS)
    if name == b"CLIENT" and second == b"KILL":  # others than one by its number end all links too often
        return len(words) != 4 or words[2].upper() != b"ID"
    if name in (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER"):
        return any(word.startswith(b"-") and word[1:].isdigit() and int(word[1:]) > DRAWN_MOST for word in words)
    return False


class Link(Client):
    """A connection that sends batches and never waits: turn() does what there is to do."""

    def __init__(self, server, number, dice, maker, grammar):
        super().__init__(server, unix=dice.random() < 0.3)
        self.number, self.dice, self.maker, self.grammar = number, dice, maker, grammar
        self.pieces, self.owed, self.dumps, self.last = collections.deque(), 0, [], collections.deque(maxlen=SHOWN)
        self.ends, self.patience, self.deaf_until = time.monotonic() + dice.choice((0.05, 0.3, 1, 3, 10)), 0, 0

    def draw(self):
        while True:
            words = (self.grammar if self.dice.random() < 0.4 else self.maker).command()
            if b"@DUMP" in words:
                continue
            if words[0].upper() == b"RESTORE" and len(words) > 3 and len(words[3]) <= FOOTER:
                words[3] = self.maker.payload()
            if not is_left_out(words):
                return words

    def not_queued(self, words):
        """CLIENT REPLY changes how many replies there are in those of a transaction: the server's answer is then no whole one."""
        return [[b"DISCARD"], words] if words[0].upper() == b"CLIENT" and words[1:2] and words[1].upper() == b"REPLY" else [words]

    def batch(self):
        dice = self.dice
        words = [self.draw() for _ in range(dice.choice((1, 1, 2, 5, 10, 30)))]
        if dice.random() < 0.15:
            words = [[b"MULTI"]] + [one for one in words if one[0].upper() != b"MULTI"] + [[b"EXEC"]]
            if dice.random() < 0.5:
                words.insert(0, [b"WATCH", self.maker.key(), self.maker.any()])
        if dice.random() < (0.02 if self.last else 0.5):
            words.insert(0, [b"HELLO", dice.choice((b"2", b"3", b"3", b"3"))])
        words = [one for drawn in words for one in self.not_queued(drawn)]
        data = b"".join(encode(*one) for one in words)
        self.owed = len(words)
        self.last.extend(words)
        self.said = data
        for _ in range(dice.choice((1, 1, 1, 2, 3)) - 1):
            at = dice.randrange(len(data) + 1)
            self.pieces.append(data[:at])
            data = data[at:]
        self.pieces.append(data)
        return words

    def hear(self):
        """Takes what has come, reply by reply. (Which command each answers is not known: MONITOR, CLIENT REPLY, pushes.)"""
        self.receive()
        while True:
            end = self.framer.end(self.buffer)
            if end is None:
                return
            if self.buffer[:1] == b"$" and end > 2 * FOOTER:
                body = bytes(self.buffer[self.buffer.index(b"\r\n") + 2 : end - 2])
                if body[-FOOTER + 1 : -FOOTER + 2] == b"\x00" and 0 < body[-FOOTER] <= 12:
                    self.dumps.append(body)
            del self.buffer[:end]
            self.framer.reset()
            self.owed -= 1

    def say(self):
        piece = self.pieces[0]
        try:
            sent = self.socket.send(piece) if piece else 0
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.eof = True
            return
        if sent < len(piece):
            self.pieces[0] = piece[sent:]
        else:
            self.pieces.popleft()

    def part(self):
        """Closes in one of several ways, in the middle of a command perhaps."""
        if self.dice.random() < 0.4 and not self.eof:
            data = b"".join(self.pieces) or encode(*self.draw())
            try:
                self.socket.send(data[: self.dice.randrange(len(data) + 1)])
            except OSError:
                pass
        how = self.dice.randrange(4)
        if how == 0 and not self.is_unix:
            self.reset()
            return
        if how == 1:
            try:
                self.half_close()
            except OSError:
                pass
        self.close()


class Echo(Client):
    """Sends again what links have sent, as long as it is answered."""

    def __init__(self, server, dice):
        super().__init__(server, unix=dice.random() < 0.3)
        self.dice, self.unsent, self.heard = dice, b"", time.monotonic()
        self.ends = self.heard + dice.choice((0.05, 0.2, 1))

    def hear(self):
        self.receive()
        self.buffer.clear()
        self.heard = time.monotonic()

    def say(self, said):
        """Returns what it began to say: batches, each its commands and their bytes."""
        batches = []
        if not self.unsent:
            batches = self.dice.choices(said, k=20)
            self.unsent = memoryview(b"".join(data for _, data in batches))
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.eof = True
        return batches

    def leave(self):
        """What the server has not read, because it waits, must not hide that."""
        self.close() if self.is_unix else self.reset()

    def is_over(self, now):
        return self.eof or now >= self.ends or now >= self.heard + 0.05


class Watcher(Client):
    """Says PING now and then; the answer must come, however long a whole machine of work may take."""

    def __init__(self, server, hang_s):
        super().__init__(server)
        self.hang_s, self.asked, self.deadline = hang_s, 0, None

    def turn(self, readable):
        if readable:
            self.receive()
            if self.eof:
                self.again()
            elif self.framer.end(self.buffer) is not None:
                self.buffer.clear()
                self.framer.reset()
                self.deadline = None
        if self.deadline:
            self.deadline.left()
        elif time.monotonic() - self.asked > 0.2:
            self.asked, self.deadline = time.monotonic(), Deadline("PONG", self.hang_s)
            try:
                self.send(encode("PING"))
            except OSError:
                self.again()

    def again(self):
        """A link may have killed it."""
        self.close()
        self.__init__(self.server, self.hang_s)


class Control:
    """A connection to ask with, which may be killed and then is another one."""

    def __init__(self, server):
        self.server, self.client, self.database = server, server.client(), 0

    def call(self, *words):
        for _ in range(50):
            try:
                if words[0] == "SELECT":
                    self.database = words[1]
                return self.client.call(*words)
            except (Closed, OSError):
                self.close()
                self.client = self.server.client()
                self.client.call("SELECT", self.database)
        raise Found("the connection is closed again and again, at %s" % (words,))

    def clients(self):
        text = self.call("INFO", "clients")
        return tuple(int(re.search(name + rb":(\d+)", text).group(1)) for name in (rb"connected_clients", rb"blocked_clients"))

    def unblock(self):
        for blocked in re.findall(rb"id=(\d+) [^\n]* flags=\w*b", self.call("CLIENT", "LIST")):
            self.call("CLIENT", "UNBLOCK", blocked)

    def close(self):
        self.client.close()


def has_answer(link, token):
    """Takes the replies that are there: is the last of them the token?"""
    while True:
        end = link.framer.end(link.buffer)
        if end is None:
            return False
        raw = bytes(link.buffer[:end])
        del link.buffer[:end]
        link.framer.reset()
        if raw == encode(token)[4:]:
            return True


def cpu_of(pid):
    """Seconds of CPU time that a process has used."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Run:
    def __init__(self, arguments):
        self.arguments, self.seed, self.number = arguments, arguments.seed, arguments.first_round
        self.payloads, self.recent = Payloads(), collections.deque(maxlen=SHOWN)
        self.sent, self.echoed, self.restored, self.cpu_s, self.base = 0, 0, 0, 0.0, None
        self.hang_s = arguments.hang_seconds
        self.ends = time.monotonic() + arguments.seconds if arguments.seconds else None
        self.enough = False
        signal.signal(signal.SIGINT, self.end)

    def end(self, *_):
        """Ctrl-C: the round is the last one."""
        self.enough = True

    def over(self, server=None):
        if self.enough:
            return True
        cpu = self.cpu_s + (cpu_of(server.pid) if server and self.arguments.cpu_seconds else 0)
        return cpu >= self.arguments.cpu_seconds if self.arguments.cpu_seconds else time.monotonic() >= self.ends

    # ---- Servers ----

    def all(self):
        """Servers of all kinds, one after the other."""
        modes = [os.environ["KEVY_IO_MODE"]] if os.environ.get("KEVY_IO_MODE") else ["auto", "epoll"]
        count = 0
        while not count or not self.over():
            options = OPTIONS + self.file_options() + (() if os.environ.get("KEVY_IO_MODE") else ("--io-mode", modes[count % len(modes)]))
            with Server(*options, shards=self.arguments.shards) as server:
                self.one(server)
                self.cpu_s += cpu_of(server.pid)
            count += 1
        return count

    def file_options(self):
        how = self.arguments.appendfsync
        return ("--appendonly", "yes", "--appendfsync", how, "--auto-aof-rewrite-min-size", "1mb") if how else ()

    def one(self, server):
        self.base, self.log_read = None, 0
        with server.client(protocol=3) as client:
            self.forms = Forms(client.call("COMMAND", "DOCS"))
        for _ in range(ROUNDS_OF_A_SERVER):
            try:
                self.watched_round(server)
            except (Found, Timeout, ServerFailed, ProtocolError) as found:
                print("seed %d, round %d, the last commands of all links:" % (self.seed, self.number))
                for number, words in self.recent:
                    print("  %3d  %s" % (number, " ".join(repr(word)[1:] if len(word) < 200 else "%d bytes, %r..." % (len(word), word[:150])
                                                         for word in words)))
                print("threads: %s" % (server.threads() if server.is_alive() else "none"))
                sys.stdout.flush()
                raise Found("%s (seed %d, round %d)" % (found, self.seed, self.number)) from found
            self.number += 1
            if self.over(server):
                return

    # ---- A round ----

    def watched_round(self, server):
        """A server that dies shows in many ways; why it did is told."""
        try:
            self.round(server)
        except (OSError, Closed) as error:
            select.select([server.pidfd], [], [], 1)
            self.look()
            raise Found("no connection: %s" % error) from error

    def round(self, server):
        dice = random.Random("%d %d" % (self.seed, self.number))
        self.made, self.server, self.said = 0, server, collections.deque(maxlen=ECHOED)
        echoes = [Echo(server, dice) for _ in range(self.arguments.echoes)]
        links = [self.link() for _ in range(self.arguments.links)]
        watchers = [Watcher(server, self.hang_s) for _ in range(WATCHERS)]
        try:
            end = time.monotonic() + (ROUND_S if self.ends is None else min(ROUND_S, max(self.ends - time.monotonic(), 1)))
            looked = 0
            while time.monotonic() < end:
                self.turn(links, watchers, dice)
                self.echo(echoes, dice)
                if time.monotonic() - looked > 0.2:
                    looked = time.monotonic()
                    self.look()
                    self.plant(looked)
            for one in echoes:
                one.leave()
            self.settle(links, watchers)
            for link in links[: len(links) // 2]:
                link.part()
        finally:
            for one in links + watchers + echoes:
                one.close()
        self.end_of_round()

    def link(self):
        """A new connection in the round."""
        self.made += 1
        own = random.Random("%d %d %d" % (self.seed, self.number, self.made))
        maker = Draws(own, self.payloads)
        return Link(self.server, self.made, own, maker, Grammar(self.forms, maker))

    def turn(self, links, watchers, dice):
        now = time.monotonic()
        reading = [one for one in links if not one.eof and now >= one.deaf_until]
        writing = [one for one in links if one.pieces and not one.eof]
        readable, writable, _ = select.select([one.socket for one in reading + watchers], [one.socket for one in writing], [], 0.01)
        readable, writable = set(readable), set(writable)
        for one in reading:
            if one.socket in readable:
                one.hear()
        for one in writing:
            if one.socket in writable:
                one.say()
        for i, one in enumerate(links):
            for payload in one.dumps:
                self.payloads.add(payload, dice)
            one.dumps.clear()
            if one.eof or now >= one.ends:
                one.part()
                links[i] = self.link()
            elif not one.pieces and (one.owed <= 0 or now >= one.patience) and now >= one.deaf_until:
                batch = one.batch()
                if not any(word.upper() in NOT_ECHOED for words in batch for word in words[:2]):
                    self.said.append((batch, one.said))
                self.sent += len(batch)
                self.restored += sum(words[0].upper() == b"RESTORE" for words in batch)
                self.recent.extend((one.number, words) for words in batch)
                one.patience = now + one.dice.choice((0.002, 0.01, 0.05, 0.3))
                if one.dice.random() < 0.01:
                    one.deaf_until = now + 0.3
        for one in watchers:
            one.turn(one.socket in readable)

    def echo(self, echoes, dice):
        if not echoes or not self.said:
            return
        readable, writable, _ = select.select([one.socket for one in echoes], [one.socket for one in echoes], [], 0)
        readable, writable, now = set(readable), set(writable), time.monotonic()
        for i, one in enumerate(echoes):
            if one.socket in readable:
                one.hear()
            if one.socket in writable and not one.eof:
                for batch, _ in one.say(self.said):
                    self.echoed += len(batch)
                    self.recent.extend((0, words) for words in batch)
            if one.is_over(now):
                one.leave()
                echoes[i] = Echo(self.server, dice)

    def look(self):
        if not self.server.is_alive():
            raise Found("the server ended by itself, with status %s" % self.server.process.returncode)
        with open(self.server.log_path, errors="replace") as log:
            log.seek(self.log_read)
            text = log.read()
            report = SANITIZER_REPORT.search(text)
            if report:
                raise Found("the server reports: " + text[report.start() :][:3000])
            self.log_read = log.tell()

    # ---- Its end ----

    def settle(self, links, watchers):
        """Each link that is left gets an answer, once whoever waits has been told not to."""
        control = Control(self.server)
        token = b"settled %d" % self.number
        for link in links:
            link.pieces.extend([encode("RESET"), encode("PING", token)])
        waiting = links if self.arguments.plant != "deaf" else []
        left, deadline, asked = set(links), Deadline("all links to be answered", self.hang_s), 0
        while left:
            now = time.monotonic()
            for link in list(left):
                if link.pieces and not link.eof:
                    link.say()
            readable = select.select([link.socket for link in left if link in waiting and not link.eof], [], [], 0.005)[0]
            for link in list(left):
                if link.socket in readable:
                    link.receive()
                    if has_answer(link, token):
                        link.buffer.clear()
                        left.discard(link)
                if link.eof:
                    left.discard(link)
            for watcher in watchers:
                watcher.turn(select.select([watcher.socket], [], [], 0)[0] != [])
            if now - asked > 0.05:
                asked = now
                self.look()
                control.call("CLIENT", "UNPAUSE")
                control.unblock()
            try:
                deadline.left()
            except Timeout as timeout:
                for link in left:
                    self.recent.extend((link.number, words) for words in link.last)
                raise Found("%s; not answered: %s\n%s" % (
                    timeout, "".join("\nlink %d, which has %d pieces to send and received %s at last" % (link.number, len(link.pieces), show(link.buffer, 2000)) for link in left),
                    control.call("CLIENT", "LIST").decode("latin-1"))) from None
        control.close()

    def end_of_round(self):
        control = Control(self.server)
        control.call("DEBUG", "SET-ACTIVE-EXPIRE", "1")
        with contextlib.ExitStack() as extra:
            if self.arguments.plant == "leak":
                extra.enter_context(self.server.client()).call("PING")
            try:
                eventually("nobody to be connected or blocked any more", lambda: control.clients() == (1, 0), self.hang_s)
            except Timeout as timeout:
                raise Found("%s; there are %s\n%s" % (timeout, control.clients(), control.call("CLIENT", "LIST").decode("latin-1"))) from None
        control.call("CONFIG", "SET", "zset-max-listpack-entries", 0)  # a score of -0 is 0 once it is in a listpack, as in Redis
        for db in (0, 1, 2):
            control.call("SELECT", db)
            for key in control.call("KEYS", "*"):
                self.compare(control, key)
        control.call("FLUSHALL")
        used = eventually("memory to be given back", lambda: self.memory(control), self.hang_s)
        self.base = max(self.base or 0, used)
        control.close()
        self.look()

    def compare(self, control, key):
        """A value that is dumped and restored is the same. Keys and fields whose time comes meanwhile may differ once, not thrice."""
        for _ in range(3):
            before, payload = control.call("DEBUG", "DIGEST-VALUE", key), control.call("DUMP", key)
            if payload is None:
                return
            reply = control.call("RESTORE", AGAIN, max(control.call("PEXPIRETIME", key), 0), payload, "REPLACE", "ABSTTL")
            if reply == "OK" and control.call("DEBUG", "DIGEST-VALUE", AGAIN) == before:
                return
        raise Found("%r is another value once it is dumped and restored: %s, payload %r" % (key, reply, payload[:2000]))

    def memory(self, control):
        """What is in use when there are no keys; 0 while it is more than it was the first time."""
        used = int(re.search(rb"used_memory:(\d+)", control.call("INFO", "memory")).group(1))
        return used if self.base is None or used <= self.base + MEMORY_SLACK else 0

    def plant(self, now):
        if self.sent < 200:
            return
        if self.arguments.plant == "death":
            self.server.process.send_signal(signal.SIGKILL)
        elif self.arguments.plant == "hang":
            self.server.process.send_signal(signal.SIGSTOP)
        elif self.arguments.plant == "report":
            with open(self.server.log_path, "a", encoding="ascii") as log:
                log.write("WARNING: ThreadSanitizer: planted\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--cpu-seconds", type=float, help="of the server, instead")
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--links", type=int, default=24)
    parser.add_argument("--echoes", type=int, default=0)
    parser.add_argument("--appendfsync", choices=("always", "everysec", "no"))
    parser.add_argument("--seed", type=int, default=run_seed())
    parser.add_argument("--first-round", type=int, default=0, help="its number, to repeat one")
    parser.add_argument("--hang-seconds", type=float, default=30)
    parser.add_argument("--plant", choices=("death", "hang", "report", "deaf", "leak"))
    arguments = parser.parse_args()
    if arguments.cpu_seconds:
        arguments.seconds = None
    run = Run(arguments)
    try:
        servers = run.all()
    except (Found, Timeout, ServerFailed) as found:
        print("FOUND: %s" % found)
        return 1
    print("nothing found: seed %d, %d servers, %d rounds, %d commands, %d of them RESTORE, %d sent again; %.0f s of CPU time, and %.0f s of this program's"
          % (run.seed, servers, run.number - arguments.first_round, run.sent, run.restored, run.echoed, run.cpu_s, time.process_time()))
    return 0


sys.exit(main())
