"""Streams for the oracle: templates, what stands behind their $, and which commands the clock would answer differently.

Entries have numbers that are said (`5-1`) or half said (`5-*`), never `*`, for that is the clock's. Times of pending entries are set so
far apart that a least idle time is passed or is not whatever the moment: see SURELY.
"""
from resp import Map

STREAMS = [b"x1", b"x2"]
UNDISTURBED = [b"y1", b"y2"]  # no command of another family has to do with these
GROUPS = [b"g1"] * 12 + [b"g2"] * 3 + [b""]
CONSUMERS = [b"alice", b"bob"] * 3 + [b"carol", b""]
SURELY = (0, -1, 3600000, 10**11)  # least idle times in milliseconds
AGES = (0, 100, 7200000, 2**62)  # idle times that are set; the last one is longer than the time since 1970, and then it is now
POINTS = (0, 1000, 10**15)  # points in time, in milliseconds: long ago, or not yet

TEMPLATES = {
    "stream": """
24 XADD $stream $trim_sometimes $new_id $stream_fields
2  XADD $stream NOMKSTREAM $trim_sometimes $new_id $stream_fields
5  XDEL $stream $ids
4  XTRIM $stream $trim
2  XLEN $stream
3  XRANGE $stream $id_bound $id_bound $count?
3  XRANGE $stream - +
5  XREVRANGE $stream $id_bound $id_bound $count?
4  XREAD $count? STREAMS $streams_and_ids
2  XSETID $stream $new_id $set_id_options
6  XINFO STREAM $stream
1  XINFO STREAM $stream FULL $count?
1  XINFO HELP
1  XINFO $junk $stream
2  CONFIG SET stream-node-max-entries $node_entries
2  CONFIG SET stream-node-max-bytes $node_bytes
""",
    "stream_groups": """
12 XGROUP CREATE $stream $group $group_id $group_options
3  XGROUP SETID $stream $group $group_id $entries_read?
1  XGROUP DESTROY $stream $group
2  XGROUP CREATECONSUMER $stream $group $consumer
2  XGROUP DELCONSUMER $stream $group $consumer
1  XGROUP HELP
1  XGROUP $junk $stream $group
12 XREADGROUP GROUP $group $consumer $count? $no_ack? STREAMS $stream >
4  XREADGROUP GROUP $group $consumer $count? $no_ack? STREAMS $stream $id
3  XREADGROUP GROUP $group $consumer $count? STREAMS $streams_and_news
6  XACK $stream $group $ids
4  XPENDING $stream $group
5  XPENDING $stream $group $least_idle_option? $id_bound $id_bound $small_count $consumer?
6  XCLAIM $stream $group $consumer $least_idle $ids $claim_options
6  XAUTOCLAIM $stream $group $consumer $least_idle $id_bound $count? $just_id?
5  XINFO GROUPS $stream
3  XINFO CONSUMERS $stream $group
4  XINFO STREAM $stream FULL $count?
""",
    "stream_waiting": """
3  XREAD $count? BLOCK $block_ms STREAMS $streams_and_ids
4  XREADGROUP GROUP $group $consumer $count? BLOCK $block_ms $no_ack? STREAMS $stream >
""",
}

SYSTEMATIC = {
    "stream": [("XADD x 5-5 a 1", "XADD x I b 2"), ("XADD x 5-5 a 1", "XADD x 6-0 I F"), ("XADD x 5-5 a 1", "XRANGE x I F"),
               ("XADD x 5-5 a 1", "XRANGE x - + COUNT I"), ("XADD x 5-5 a 1", "XREVRANGE x + F COUNT F"), ("XADD x 5-5 a 1", "XDEL x I"),
               ("XADD x 5-5 a 1", "XTRIM x MAXLEN I"), ("XADD x 5-5 a 1", "XTRIM x MINID I"), ("XADD x 5-5 a 1", "XTRIM x MAXLEN ~ F LIMIT I"),
               ("XADD x 5-5 a 1", "XADD x MAXLEN I 6-0 b 2"), ("XADD x 5-5 a 1", "XADD x MINID ~ I LIMIT F 6-0 b 2"),
               ("XADD x 5-5 a 1", "XREAD COUNT I STREAMS x F"), ("XADD x 5-5 a 1", "XSETID x I"),
               ("XADD x 5-5 a 1", "XSETID x 7-7 ENTRIESADDED I MAXDELETEDID F"), ("XADD x 5-5 a 1", "XINFO STREAM x FULL COUNT I")],
    "stream_groups": [("XADD x 5-5 a 1", "XGROUP CREATE x g I ENTRIESREAD F"), ("XGROUP CREATE x g $ MKSTREAM", "XGROUP SETID x g F ENTRIESREAD I"),
                      ("XGROUP CREATE x g $ MKSTREAM", "XREADGROUP GROUP g c COUNT I STREAMS x F"),
                      ("XGROUP CREATE x g $ MKSTREAM", "XPENDING x g - + I"), ("XGROUP CREATE x g $ MKSTREAM", "XACK x g I"),
                      ("XGROUP CREATE x g $ MKSTREAM", "XAUTOCLAIM x g c 0 I COUNT F"), ("XGROUP CREATE x g $ MKSTREAM", "XPENDING x g F I 10"),
                      ("XADD x 5-5 a 1", "XGROUP CREATE x g 0 ENTRIESREAD I")],
    "stream_waiting": [],
}
CONTAINERS = ("XGROUP", "XINFO")  # what has subcommands
NODE_BYTES = (b"60", b"300", b"4096", b"4096", b"0")
THRESHOLDS = {b"stream-node-max-entries": b"100", b"stream-node-max-bytes": NODE_BYTES[0]}
CREATES = {b"XADD": b"XRANGE"}
WHOLE = {b"XADD": [b"-", b"+"]}


class Draws:
    """Methods for commands.Generator, as those of families.Draws."""

    def stream(self):
        return self.pick(*UNDISTURBED) if self.random.random() < 0.6 else self.of_type(STREAMS)

    def group(self):
        return self.random.choice(GROUPS)

    def consumer(self):
        return self.random.choice(CONSUMERS)

    def some_id(self):
        """Few, so that they are met again."""
        random = self.random
        ms = random.randrange(12) if random.random() < 0.8 else random.randrange(300) if random.random() < 0.9 else random.choice((2**63, 2**64 - 1))
        if random.random() < 0.25:
            return b"%d" % ms
        return b"%d-%d" % (ms, random.choice((0, 0, 1, 1, 2, 3, 4, 9) if random.random() < 0.97 else (2**64 - 1,)))

    def rising(self):
        """Numbers that rise as a round goes on: most of them are new to their stream."""
        self.risen = getattr(self, "risen", 0) + self.random.choice((0, 0, 0, 1, 1, 2))
        return self.risen

    def new_id(self):
        dice = self.random.random()
        if dice < 0.35:
            return b"%d-*" % self.rising()
        if dice < 0.9:
            return b"%d-%d" % (self.rising(), self.random.choice((0, 1, 2, 5, 9)))
        if dice < 0.91:
            return self.pick(b"18446744073709551615-18446744073709551614", b"x", b"x", b"x", b"-", b"+", b"5-x", b"1-*-1", b"0-*", b"0-0", b"")
        ms = self.some_id().partition(b"-")[0]  # behind the greatest sequence Redis gives one of two errors, by what it did before
        return ms if dice < 0.95 else ms + (b"-4" if dice < 0.98 else b"-*")

    def id(self):
        dice = self.random.random()
        if dice < 0.6:
            return b"%d-%d" % (max(0, getattr(self, "risen", 0) - self.random.randrange(12)), self.random.choice((0, 0, 1, 1, 2, 3, 5)))
        return self.some_id() if dice < 0.97 else self.pick(b"x", b"-", b"+", b"(1", b"", b"1-", b"*", b"$")

    def ids(self):
        return self.some(self.id)

    def id_bound(self):
        dice = self.random.random()
        if dice < 0.45:
            return self.pick(b"-", b"+")
        return (b"(" if dice < 0.6 else b"") + self.id()

    def stream_fields(self):
        if self.random.random() < 0.5:
            return [x for name in (b"f", b"g") for x in (name, self.member())]
        return [x for _ in range(self.random.choice((1, 1, 2, 3, 8))) for x in (self.member(), self.field_value())]

    def trim_sometimes(self):
        return self.trim() if self.random.random() < 0.3 else []

    def trim(self):
        random = self.random
        approximately = self.pick([], [b"="], [b"~"], [b"~"])
        limit = [b"LIMIT", self.pick(b"0", b"1", b"5", b"100", b"-1", b"x")] if random.random() < (0.3 if approximately == [b"~"] else 0.03) else []
        if random.random() < 0.7:
            return [b"MAXLEN"] + approximately + [self.pick(b"0", b"3", b"8", b"10", b"20", b"20", b"50", b"100", b"-1", b"x")] + limit
        return [b"MINID"] + approximately + [self.id()] + limit

    def streams_and_ids(self):
        streams = self.some(self.stream, (1, 1, 2, 3))
        ids = [self.id() if self.random.random() < 0.8 else self.pick(b"0", b"$") for _ in streams]
        return streams + (ids if self.random.random() < 0.97 else ids[1:])

    def streams_and_news(self):
        streams = self.some(self.stream, (2, 2, 3))
        return streams + [self.pick(b">", b">", b"0", self.id()) for _ in streams]

    def set_id_options(self):
        if self.random.random() < 0.5:
            return []
        return [b"ENTRIESADDED", self.pick(b"0", b"1", b"5", b"50", b"1000", self.integer()), b"MAXDELETEDID", self.id()]

    def node_entries(self):
        return self.pick(b"1", b"2", b"3", b"5", b"10", b"100", b"0")

    def node_bytes(self):
        """The same all through a round, and more than at its start: where it becomes less Redis 7.0.15 ends at times."""
        self.most_bytes = getattr(self, "most_bytes", None) or self.pick(*NODE_BYTES[1:])
        return self.most_bytes

    def group_id(self):
        return self.pick(b"$", b"0", b"0", self.id())

    def group_options(self):
        return self.pick([], [b"MKSTREAM"], [b"MKSTREAM"], [b"MKSTREAM"], [b"mkstream"], self.entries_read(), [b"MKSTREAM"] + self.entries_read())

    def entries_read(self):
        return [b"ENTRIESREAD", self.pick(b"0", b"1", b"3", b"10", b"-1", self.integer())]

    def no_ack(self):
        return b"NOACK"

    def just_id(self):
        return b"JUSTID"

    def least_idle(self):
        return b"%d" % self.random.choice(SURELY) if self.random.random() < 0.98 else b"x"

    def least_idle_option(self):
        return [b"IDLE", self.least_idle()] if self.random.random() < 0.5 else []

    def claim_options(self):
        options = []
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            options += self.pick([b"IDLE", b"%d" % self.random.choice(AGES)], [b"TIME", b"%d" % self.random.choice(POINTS)],
                                 [b"RETRYCOUNT", self.pick(b"0", b"1", b"7", b"-1", b"x")], [b"FORCE"], [b"JUSTID"], [b"LASTID", self.id()],
                                 [b"force"])
        return options

    def block_ms(self):
        return self.pick(b"1", b"2", b"1", b"-1", b"x")


def unsuitable(name, arguments, words, as_integer):
    """What hangs on the clock, waits for ever, or is an error in Redis 7.0 alone."""
    if name == b"XADD":
        return b"*" in arguments[2:]
    if name == b"CONFIG" and b"STREAM-NODE-MAX-BYTES" in words:
        return not set(arguments[3:]) <= set(NODE_BYTES[1:])
    if name in (b"XREAD", b"XREADGROUP"):
        behind = words.index(b"STREAMS") if b"STREAMS" in words else len(words)
        if b"+" in arguments[behind + 1:]:
            return True
        return any(word == b"BLOCK" and as_integer(value) not in (None, -1, 1, 2) for word, value in zip(words[:behind], arguments[1:]))
    if name in (b"XCLAIM", b"XAUTOCLAIM") and len(arguments) > 4:
        least = as_integer(arguments[4])
        if least is not None and least > 0 and least not in SURELY:
            return True
    known = {b"IDLE": SURELY if name == b"XPENDING" else AGES, b"TIME": POINTS}
    if name in (b"XCLAIM", b"XPENDING"):
        said = [(known[word], as_integer(value)) for word, value in zip(words, arguments[1:]) if word in known]
        return any(number is not None and number > 0 and number not in numbers for numbers, number in said)
    return False


# ---- Replies that tell of times ------------------------------------------------------------------------------------------------------

TIMES = (b"idle", b"seen-time")


def same_told(a, b, close, names=()):
    """What XINFO tells: all is the same, and times are close. `names` are the keys under which this stands, outermost first."""
    if names and names[-1] in TIMES:
        return close(a, b)
    if not (isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and type(a) is type(b)):
        return type(a) is type(b) and a == b
    if names[-1:] in ((b"pel",), (b"pending",)):
        return same_pending(a, b, close, -2)
    if isinstance(a, Map):
        return all(x == y and same_told(x_value, y_value, close, names + (x,)) for (x, x_value), (y, y_value) in zip(a, b))
    if a[:1] in ([b"length"], [b"name"]) and len(a) % 2 == 0:  # a map in RESP2
        return all(a[i] == b[i] and same_told(a[i + 1], b[i + 1], close, names + (a[i],)) for i in range(0, len(a), 2))
    return all(same_told(x, y, close, names) for x, y in zip(a, b))


def same_pending(a, b, close, place):
    """Entries that are pending, with a time at this place of each."""
    if not (isinstance(a, list) and isinstance(b, list) and len(a) == len(b)):
        return False
    for x, y in zip(a, b):
        if not (isinstance(x, list) and isinstance(y, list) and len(x) == len(y) >= 3):
            return False
        at = len(x) + place
        if x[:at] + x[at + 1 :] != y[:at] + y[at + 1 :] or not close(x[at], y[at]):
            return False
    return True
