"""The commands that the oracle asks: templates for random ones, products of integer edges for systematic ones.

A template is a line `weight NAME argument...`; an argument that begins with $ is drawn by the method of that name in Generator,
and may turn into none or several. To cover a new command, add its lines here.

Only what both servers must answer alike whatever the time and the machine is asked: no expiry within the next minutes, no
two times of which the moment decides which is later, no offset that makes half a gigabyte of zeros (see unsuitable()).
"""
import itertools
import time

import families

TEMPLATES = """
12 SET $key $value
8  SET $key $value $set_options
3  SET $key $integer
2  SETNX $key $value
2  SETEX $key $seconds $value
2  PSETEX $key $milliseconds $value
6  GET $key
3  GETSET $key $value
2  GETDEL $key
4  GETEX $key $getex_options
6  APPEND $key $value
3  STRLEN $key
5  GETRANGE $key $index $index
2  SUBSTR $key $index $index
6  SETRANGE $key $offset $value
4  INCR $key
4  DECR $key
4  INCRBY $key $integer
4  DECRBY $key $integer
5  INCRBYFLOAT $key $float
4  MGET $keys
4  MSET $pairs
2  MSETNX $pairs
4  LCS $key $key $lcs_options
4  SETBIT $key $bit_offset $bit
3  GETBIT $key $bit_offset
4  BITCOUNT $key $range?
4  BITPOS $key $bit $range?
4  BITOP $bit_operation $key $keys
8  BITFIELD $key $bitfield
3  BITFIELD_RO $key $bitfield_gets
4  DEL $keys
2  UNLINK $keys
4  EXISTS $keys
2  TOUCH $keys
2  TYPE $key
6  EXPIRE $key $seconds $expire_option
3  PEXPIRE $key $milliseconds $expire_option
3  EXPIRE $key $seconds_apart $comparison
2  PEXPIRE $key $milliseconds_apart $comparison
3  EXPIREAT $key $at $expire_option
3  PEXPIREAT $key $at_milliseconds $expire_option
3  PERSIST $key
2  TTL $key
2  PTTL $key
2  EXPIRETIME $key
2  PEXPIRETIME $key
5  RENAME $key $key
3  RENAMENX $key $key
6  COPY $key $key $copy_options
4  MOVE $key $db
2  KEYS $pattern
2  RANDOMKEY
3  SCAN $cursor $scan_options
3  OBJECT ENCODING $key
1  OBJECT REFCOUNT $key
1  OBJECT FREQ $key
1  OBJECT IDLETIME $key
1  OBJECT $junk $key
2  MEMORY USAGE $key
3  DBSIZE
1  FLUSHDB $flush_option
1  FLUSHALL $flush_option
2  SWAPDB $db $db
6  SELECT $db
8  MULTI
10 EXEC
2  DISCARD
6  WATCH $keys
2  UNWATCH
2  PING
1  PING $value
1  ECHO $value
1  TIME
1  LASTSAVE
1  ROLE
1  RESET
1  AUTH $value
1  AUTH $value $value
1  HELLO $hello
1  CLIENT SETNAME $name
1  CLIENT GETNAME
1  CLIENT ID
1  CLIENT $junk
1  CLIENT KILL USER $junk
1  CLIENT LIST TYPE $junk
1  CLIENT NO-EVICT $on_off
1  COMMAND COUNT
2  COMMAND GETKEYS MSET $pairs
1  COMMAND GETKEYS SET $key $value
1  COMMAND GETKEYS GET
1  COMMAND GETKEYS BITOP AND $keys
1  COMMAND GETKEYS $junk $key
1  CONFIG $junk
1  CONFIG SET $junk $value
1  HELLO 3 $junk
2  $junk $value
"""

KEYS = [b"a", b"b", b"c", b"k1", b"k2", b"k3", b"{tag}x", b"{tag}y", b"", b"\x00", b"\xff\xfe\r\n", b"key with spaces",
        b"long:" + b"x" * 300]
INTEGER_EDGES = [b"0", b"1", b"-1", b"2", b"7", b"8", b"10", b"100", b"127", b"128", b"255", b"256", b"32767", b"65536",
                 b"2147483647", b"2147483648", b"-2147483648", b"-2147483649", b"4294967296", b"4294967297",
                 b"9223372036854775806", b"9223372036854775807", b"-9223372036854775807", b"-9223372036854775808"]
NOT_INTEGERS = [b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"-", b"1.0", b"1e3", b"0x10", b"abc", b"1\x00", b"\x00",
                b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"99999999999999999999999"]
FLOATS = [b"0", b"1", b"-1", b"0.1", b"-0.5", b"3.14159", b"1e3", b"1E-3", b"5.0e3", b"1e17", b"1e-17", b"123456789.123456789",
          b"0.00000000000000001", b"1e300", b"-1e300", b"1e4000", b"1e5000", b"-0", b".5", b"5.", b"inf", b"-inf", b"+inf",
          b"nan", b"0x1p3", b" 1", b"1 ", b"", b"1.5abc", b"1\x00", b"10.5", b"2.5e2", b"9223372036854775807"]
PATTERNS = [b"*", b"a", b"?", b"k?", b"k[12]", b"k[^1]", b"k[1-3]", b"[a-c]", b"[c-a]", b"{tag}*", b"*x*", b"\\*", b"k\\1", b"",
            b"[", b"[a", b"k[", b"*a*b*", b"**", b"\\", b"???*", b"[]", b"[^]a]", b"[\\]]", b"[a-", b"long:*x"]
JUNK = [b"", b"nosuch", b"no\r\nsuch", b"nosuch\r\n", b"\x00", b"no\x00such", b"EX", b"x" * 127, b"x" * 128, b"x" * 129,
        b"x" * 200, b"GETT", b"'", b"\xff"]
MILLISECONDS_2100 = 4102444800000
STARTED_S = time.time()

# Times from now that are a quarter of an hour away from each other, and a minute at least from all others that are drawn.
APART_S, APART_FIRST_S, APART_COUNT = 1000, 200037, 90000


# In one of five rounds: what comes back from the file is what was there. Counts of changes begin anew with each.
SAVING = """
3  DEBUG RELOAD
1  SAVE
"""


def lines_of(templates, share=1.0):
    """Templates as words, their weights first."""
    lines = [line.split() for line in templates.strip().splitlines()]
    return [[float(line[0]) * share] + line[1:] for line in lines]


class Generator(families.Draws):
    """Random commands; those of `others` (names of families) beside strings and keys, in most rounds of one or two of them."""

    def __init__(self, random, past_expiry, others=()):
        self.random, self.past_expiry = random, past_expiry
        self.apart = random.randrange(APART_COUNT)
        others = list(others)
        if len(others) > 2 and random.random() < 0.7:
            few = random.sample(others, random.choice((1, 2)))
            others = [one for one in others if one in few or any(one in families.COMPANIONS.get(other, ()) for other in few)]
        self.keys_drawn = KEYS if not others else KEYS + families.KEYS
        lines = lines_of(TEMPLATES, 0.3 if others else 1.0)
        for family in others:
            lines += lines_of(families.TEMPLATES[family])
        if random.random() < 0.2:
            lines += lines_of(SAVING)
        # A key whose time has passed is counted until it is found: then the two servers may differ.
        lines = [line for line in lines if not (past_expiry and line[1] in ("DBSIZE", "MEMORY"))]
        self.templates = [line[1:] for line in lines]
        self.weights = [line[0] for line in lines]

    def command(self):
        while True:
            template = self.random.choices(self.templates, self.weights)[0]
            arguments = []
            for word in template:
                arguments += self.draw(word)
            arguments = self.disturb(arguments)
            if not unsuitable(arguments) and (self.past_expiry or not leaves_expired(arguments)):
                return arguments

    def draw(self, word):
        if word[0] != "$" or word == "$":
            return [word.encode()]
        if word[-1] == "?":
            return self.draw(word[:-1]) if self.random.random() < 0.7 else []
        drawn = getattr(self, word[1:])()
        return drawn if isinstance(drawn, list) else [drawn]

    def disturb(self, arguments):
        """Now and then: other case, wrong arity, an argument that does not belong."""
        random, dice = self.random, self.random.random()
        if dice < 0.1:
            return [bytes(arguments[0].lower())] + arguments[1:]
        if dice < 0.12 and len(arguments) > 1:
            return arguments[:-1]
        if dice < 0.14:
            return arguments + [random.choice(NOT_INTEGERS + JUNK)]
        if dice < 0.16 and len(arguments) > 1:
            i = random.randrange(1, len(arguments))
            return arguments[:i] + [random.choice(NOT_INTEGERS + INTEGER_EDGES + JUNK)] + arguments[i + 1 :]
        if dice < 0.165:
            return arguments[:1]
        return arguments

    def pick(self, *choices):
        return self.random.choice(choices)

    # ---- What stands behind each $ ----

    def key(self):
        return self.random.choice(self.keys_drawn)

    def keys(self):
        return [self.key() for _ in range(self.random.choice((1, 1, 2, 3, 8)))]

    def pairs(self):
        return [x for _ in range(self.random.choice((1, 2, 3, 8))) for x in (self.key(), self.value())]

    def value(self):
        random, dice = self.random, self.random.random()
        if dice < 0.3:
            return self.integer()
        if dice < 0.4:
            return random.choice(FLOATS)
        if dice < 0.5:
            return random.choice((b"", b"\x00", b"\r\n", b"$-1\r\n", b"\xff" * 9, b"foobar", b"mynewtext", b"ohmytext"))
        length = random.choice((1, 3, 10, 20, 43, 44, 45, 64, 100, 300)) if dice < 0.98 else random.choice(
            (1000, 4096, 16383, 16384, 32767, 32768, 40000, 65536, 100000))
        if random.random() < 0.5:
            return bytes(random.choices(b"abc01", k=length))
        return random.randbytes(length)

    def integer(self):
        random, dice = self.random, self.random.random()
        if dice < 0.5:
            return b"%d" % random.randrange(-1000, 11000)
        if dice < 0.9:
            return random.choice(INTEGER_EDGES)
        return random.choice(NOT_INTEGERS)

    def index(self):
        return b"%d" % self.random.randrange(-20, 20) if self.random.random() < 0.7 else self.integer()

    def offset(self):
        dice = self.random.random()
        if dice < 0.7:
            return b"%d" % self.random.randrange(0, 60)
        return self.pick(b"1000", b"40000", b"536870911", b"536870912", b"9223372036854775807", b"-1", self.integer())

    def float(self):
        return self.random.choice(FLOATS) if self.random.random() < 0.7 else b"%r" % self.random.uniform(-1e6, 1e6)

    def seconds(self):
        return self.pick(b"1000", b"100000", b"0", b"-1", b"9223372036854775", b"9223372036854776", b"%d" % 10**8,
                         self.random.choice(INTEGER_EDGES + NOT_INTEGERS))

    def milliseconds(self):
        return self.pick(b"1000000", b"123456789", b"0", b"-1", b"%d" % 10**11, self.random.choice(INTEGER_EDGES + NOT_INTEGERS))

    def seconds_apart(self):
        """No two in a round are the same: a prime step visits all places before it comes back to one."""
        self.apart = (self.apart + 31013) % APART_COUNT
        return b"%d" % (APART_FIRST_S + APART_S * self.apart)

    def milliseconds_apart(self):
        return self.seconds_apart() + b"000"

    def comparison(self):
        return self.pick([b"GT"], [b"LT"], [b"GT"], [b"LT"], [b"XX", b"GT"], [b"lt", b"xx"])

    def at(self):
        soonest = [b"1", b"1000000000"] if self.past_expiry else []
        return self.random.choice(soonest + [b"4102444800", b"4102444801", b"5000000000", b"9223372036854775",
                                             b"9223372036854776", b"abc"])

    def at_milliseconds(self):
        soonest = [b"1", b"1000000000000"] if self.past_expiry else []
        return self.random.choice(soonest + [b"%d" % (MILLISECONDS_2100 + self.random.randrange(5000)), b"abc",
                                             b"9223372036854775807"])

    def expiry(self):
        form = self.pick(b"EX", b"PX", b"EXAT", b"PXAT", b"ex", b"pXaT")
        return [form, {b"EX": self.seconds, b"PX": self.milliseconds, b"EXAT": self.at,
                       b"PXAT": self.at_milliseconds}[form.upper()]()]

    def set_options(self):
        options = []
        for _ in range(self.random.choice((1, 1, 2, 3))):
            options += self.pick([b"NX"], [b"XX"], [b"GET"], [b"KEEPTTL"], [b"get"], self.expiry(), self.expiry(), self.expiry())
        return options

    def getex_options(self):
        return self.pick([], [b"PERSIST"], self.expiry(), self.expiry(), [b"PERSIST"] + self.expiry())

    def expire_option(self):
        return self.pick([], [], [b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"gt"], [b"NX", b"XX"], [b"GT", b"LT"], [b"XX", b"GT"],
                         [b"NX", b"GT"], [b"nope"])

    def lcs_options(self):
        options = []
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            options += self.pick([b"LEN"], [b"IDX"], [b"IDX", b"WITHMATCHLEN"], [b"MINMATCHLEN", self.integer()], [b"idx"])
        return options

    def bit(self):
        return self.pick(b"0", b"1", b"0", b"1", b"0", b"1", b"2", b"-1", b"x")

    def bit_offset(self):
        return b"%d" % self.random.randrange(0, 500) if self.random.random() < 0.8 else self.pick(
            b"100000", b"4294967296", b"-1", b"abc", b"01", b"9223372036854775807")

    def range(self):
        bounds = [self.index() for _ in range(self.random.choice((1, 2, 2, 2)))]
        return bounds + self.pick([], [], [b"BIT"], [b"BYTE"], [b"bit"], [b"HEX"])

    def bit_operation(self):
        return self.pick(b"AND", b"OR", b"XOR", b"NOT", b"not", b"and", b"NAND")

    def bitfield_type(self):
        return self.pick(b"u8", b"i8", b"u1", b"i1", b"u4", b"i5", b"u16", b"i16", b"u32", b"i32", b"u63", b"i64", b"i63",
                         b"u64", b"u0", b"i65", b"x8", b"8", b"u", b"u08")

    def bitfield_offset(self):
        return self.pick(b"0", b"1", b"7", b"8", b"9", b"63", b"64", b"100", b"#0", b"#1", b"#2", b"#10", b"%d" %
                         self.random.randrange(300), b"-1", b"#-1", b"#", b"4294967296", b"#9223372036854775807", b"abc")

    def bitfield(self):
        words = []
        for _ in range(self.random.choice((1, 1, 2, 3, 5))):
            if self.random.random() < 0.3:
                words += [b"OVERFLOW", self.pick(b"WRAP", b"SAT", b"FAIL", b"sat", b"NONE")]
            kind, place = self.random.randrange(3), [self.bitfield_type(), self.bitfield_offset()]
            words += [[b"GET"] + place, [b"SET"] + place + [self.integer()], [b"INCRBY"] + place + [self.integer()]][kind]
        if b"FAIL" in words:  # where all operations fail, Redis makes the string longer and says that nothing has changed
            words += [b"OVERFLOW", b"WRAP", b"SET", b"u1", b"0", b"1"]
        return words

    def bitfield_gets(self):
        words = [w for _ in range(self.random.choice((1, 2))) for w in (b"GET", self.bitfield_type(), self.bitfield_offset())]
        return words + (self.bitfield() if self.random.random() < 0.2 else [])

    def copy_options(self):
        options = []
        for _ in range(self.random.choice((0, 1, 2))):
            options += self.pick([b"REPLACE"], [b"DB", self.db()], [b"replace"], [b"DB"])
        return options

    def db(self):
        return self.pick(b"0", b"1", b"0", b"1", b"0", b"2", b"15", b"16", b"-1", b"abc", b"4294967296")

    def pattern(self):
        return self.random.choice(PATTERNS)

    def cursor(self):
        return self.pick(b"0", b"0", b"0", b"0", b"0", b"abc", b"-1", b"", b"18446744073709551616")

    def scan_options(self):
        options = []
        for _ in range(self.random.choice((0, 1, 2))):
            options += self.pick([b"MATCH", self.pattern()], [b"COUNT", self.pick(b"1", b"10", b"1000", b"0", b"-1", b"x")],
                                 [b"TYPE", self.pick(b"string", b"list", b"STRING", b"nosuch")], [b"NOPE"])
        return options

    def flush_option(self):
        return self.pick([], [], [b"ASYNC"], [b"SYNC"], [b"sync"], [b"NOW"])

    def hello(self):
        return self.pick([], [b"2"], [b"3"], [b"1"], [b"4"], [b"x"], [b"3", b"SETNAME", b"me"], [b"3", b"AUTH", b"default"],
                         [b"2", b"AUTH", b"nobody", b"nothing"], [b"3", b"NOPE"], [b"2", b"SETNAME", b"a b"])

    def name(self):
        return self.pick(b"me", b"", b"with space", b"new\nline", b"\xff", b"ok-name")

    def on_off(self):
        return self.pick(b"on", b"off", b"ON", b"maybe")

    def junk(self):
        return self.random.choice(JUNK)


def as_integer(text):
    try:
        return int(text)
    except ValueError:
        return None


def saves(arguments):
    return arguments[0].upper() == b"SAVE" or [word.upper() for word in arguments[:2]] == [b"DEBUG", b"RELOAD"]


def leaves_expired(arguments):
    """SET of a key whose time has already passed. (EXPIREAT and GETEX delete it at once.)"""
    if arguments[0].upper() != b"SET":
        return False
    unit_s = {b"EXAT": 1, b"PXAT": 0.001}
    times = [(as_integer(value), unit_s[form.upper()]) for form, value in zip(arguments[3:], arguments[4:]) if form.upper() in unit_s]
    return any(n is not None and 0 < n * unit < STARTED_S for n, unit in times)


def extra_writes(arguments):
    """How many more than one change a BITFIELD may make."""
    words = [word.upper() for word in arguments] if arguments[0].upper() == b"BITFIELD" else []
    return max(0, words.count(b"SET") + words.count(b"INCRBY") - 1)


def hangs_on_the_moment(arguments):
    """EXPIRE key 100 GT after EXPIRE key 100: whether that is later depends on the millisecond."""
    unit = {b"EXPIRE": 1, b"PEXPIRE": 1000}.get(arguments[0].upper())
    if not unit or not any(option.upper() in (b"GT", b"LT") for option in arguments[3:]):
        return False
    n = as_integer(arguments[2])
    return n is not None and 0 < n < 2**63 // 1000 * unit and n % (APART_S * unit) != APART_FIRST_S * unit % (APART_S * unit)


def unsuitable(arguments):
    """What depends on the moment, on half a gigabyte of memory, or on undefined behaviour."""
    name = arguments[0].upper()
    numbers = [as_integer(a.lstrip(b"#")) for a in arguments[1:]]
    if hangs_on_the_moment(arguments) or families.unsuitable(arguments, as_integer):
        return True
    if name in (b"SETBIT", b"BITFIELD") and any(n is not None and 2**24 < n < 2**32 for n in numbers):
        return True
    if name == b"BITFIELD" and any(a.upper() == b"SAT" for a in arguments) and any(n is not None and n < -2**62 for n in numbers):
        return True  # Redis loses an overflow of its own there, and saturates upwards
    if name == b"SETRANGE" and any(n is not None and 2**20 < n < 2**29 for n in numbers):
        return True
    near = {b"EXPIRE": (2, 120), b"SETEX": (2, 120), b"PEXPIRE": (2, 120000), b"PSETEX": (2, 120000)}
    if name in near and len(numbers) >= 2:
        place, limit = near[name]
        return numbers[place - 1] is not None and 0 < numbers[place - 1] < limit
    if name in (b"SET", b"GETEX"):
        for form, value in zip(arguments[1:], numbers[1:]):
            if form.upper() in (b"EX", b"PX") and value is not None and 0 < value < 120000 // (1000 if form.upper() == b"EX" else 1):
                return True
    return False


# ---- Systematic: every edge in every numeric place ----------------------------------------------------------------------------

INTEGERS = INTEGER_EDGES + NOT_INTEGERS
FEW = [b"0", b"1", b"-1", b"3", b"7", b"100", b"-100", b"9223372036854775807", b"-9223372036854775808", b"abc", b"", b"1.5"]
SYSTEMATIC = [
    # (set up, command; I: every integer edge, F: a few of them, J: all that is junk)
    ("SET k foobar", "GETRANGE k I I"),
    ("SET k foobar", "SUBSTR k F F"),
    ("SET k foobar", "SETRANGE k I xyz"),
    ("SET k foobar", "SETRANGE k I "),
    ("DEL k", "SETRANGE k I xyz"),
    ("DEL k", "SETRANGE k I "),
    ("SET k I", "INCRBY k I"),
    ("SET k I", "DECRBY k I"),
    ("SET k I", "INCR k"),
    ("SET k I", "DECR k"),
    ("SET k I", "INCRBYFLOAT k I"),
    ("SET k I", "OBJECT ENCODING k"),
    ("SET k foobar", "SETBIT k I F"),
    ("SET k foobar", "GETBIT k I"),
    ("SET k foobar", "BITCOUNT k I I"),
    ("SET k foobar", "BITCOUNT k F F BIT"),
    ("DEL k", "BITCOUNT k F F BIT"),
    ("SET k foobar", "BITPOS k F F"),
    ("SET k foobar", "BITPOS k 1 I I"),
    ("SET k foobar", "BITPOS k 0 F F BIT"),
    ("SET k foobar", "BITPOS k 1 F F BIT"),
    ("SET k \\xff\\xff", "BITPOS k 0 F F"),
    ("DEL k", "BITPOS k 0 F F"),
    ("DEL k", "BITPOS k 1 F"),
    ("SET k foobar", "BITFIELD k GET u8 I"),
    ("SET k foobar", "BITFIELD k SET i8 0 I"),
    ("SET k foobar", "BITFIELD k OVERFLOW SAT INCRBY i8 1 I"),
    ("SET k foobar", "BITFIELD k OVERFLOW FAIL INCRBY u8 1 I"),
    ("SET k foobar", "BITFIELD k OVERFLOW WRAP INCRBY i64 0 I"),
    ("SET k foobar", "BITFIELD k OVERFLOW SAT INCRBY i64 0 I"),
    ("SET k foobar", "BITFIELD k OVERFLOW SAT INCRBY u63 0 I"),
    ("SET k foobar", "BITFIELD k OVERFLOW WRAP INCRBY u63 #1 I"),
    ("SET k foobar", "EXPIRE k I"),
    ("SET k foobar", "PEXPIRE k I"),
    ("SET k foobar", "EXPIREAT k I"),
    ("SET k foobar", "PEXPIREAT k I"),
    ("SET k foobar", "SETEX k I v"),
    ("SET k foobar", "PSETEX k I v"),
    ("SET k foobar", "SET k v EX I"),
    ("SET k foobar", "SET k v PX I"),
    ("SET k foobar", "SET k v EXAT I GET"),
    ("SET k foobar", "SET k v PXAT I"),
    ("SET k foobar", "GETEX k EX I"),
    ("SET k foobar", "GETEX k PX I"),
    ("SET k foobar", "GETEX k EXAT I"),
    ("SET k foobar", "GETEX k PXAT I"),
    ("SET k foobar", "MOVE k I"),
    ("SET k foobar", "COPY k l DB I"),
    ("SET k foobar", "SWAPDB I F"),
    ("SET k foobar", "SCAN 0 COUNT I"),
    ("MSET k ohmytext l mynewtext", "LCS k l IDX MINMATCHLEN I"),
    ("MSET k ohmytext l mynewtext", "LCS k l IDX MINMATCHLEN F WITHMATCHLEN"),
    ("PING", "CLIENT NO-EVICT I"),
    ("PING", "HELLO I"),
    ("PING", "HELLO 3 J"),
    ("PING", "J x"),
    ("PING", "nosuch J J"),
    ("PING", "CLIENT J"),
    ("PING", "CLIENT LIST TYPE J"),
    ("PING", "CLIENT KILL USER J"),
    ("PING", "OBJECT J k"),
    ("PING", "COMMAND GETKEYS J k"),
    ("PING", "CONFIG SET J x"),
    ("SET k v", "EXPIRE k 1000 J"),
]
LONG = b"long" * 200


def systematic(lines):
    """Pairs of set-up and command with every edge in place of I and F, and behind each the state that it leaves."""
    for set_up, command in lines:
        words = [word.encode().replace(b"\\xff", b"\xff") for word in (set_up + " | " + command).split(" ")]
        choices = [{b"I": INTEGERS, b"F": FEW, b"J": JUNK + [LONG]}.get(word, [word]) for word in words]
        for chosen in itertools.product(*choices):
            bar = chosen.index(b"|")
            before, asked = list(chosen[:bar]), list(chosen[bar + 1 :])
            if not unsuitable(asked) and not unsuitable(before):
                if before[0] in families.CREATES:
                    yield [b"DEL", before[1]]
                yield before
                yield asked
                if asked[0] in (b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT", b"SET", b"SETEX", b"PSETEX", b"GETEX"):
                    yield [b"PEXPIRETIME", b"k"]
                elif before[0] in families.CREATES:
                    yield [families.CREATES[before[0]], before[1]] + families.WHOLE.get(before[0], [])
                elif asked[0] in (b"SETRANGE", b"SETBIT", b"BITFIELD", b"INCRBY", b"DECRBY"):
                    yield [b"GET", b"k"]
