"""The families of commands beyond strings and keys: what is drawn for them, and what of them cannot be asked.

A family is a name, templates as in commands.py, and lines of integer edges. It takes part when the server knows all its commands.
The keys of a type are its own more often than not, so that commands meet values of their type; all others meet WRONGTYPE.
"""
import streams

TEMPLATES = {
    "hash": """
10 HSET $hash $fields
3  HMSET $hash $fields
4  HSETNX $hash $member $value
5  HGET $hash $member
4  HMGET $hash $members
6  HDEL $hash $members
4  HGETALL $hash
2  HKEYS $hash
2  HVALS $hash
3  HLEN $hash
3  HEXISTS $hash $member
3  HSTRLEN $hash $member
6  HINCRBY $hash $member $integer
6  HINCRBYFLOAT $hash $member $float
3  HRANDFIELD $hash
4  HRANDFIELD $hash $small_count $with_values?
4  HSCAN $hash $cursor $element_scan_options
1  CONFIG SET hash-max-listpack-entries $threshold
1  CONFIG SET hash-max-listpack-value $length_threshold
""",
    "set": """
10 SADD $set $members
4  SADD $set $many_integers
6  SREM $set $members
3  SCARD $set
4  SISMEMBER $set $member
3  SMISMEMBER $set $members
4  SMEMBERS $set
4  SMOVE $set $set $member
3  SPOP $set
3  SPOP $set $small_count
3  SRANDMEMBER $set
3  SRANDMEMBER $set $small_count
4  SSCAN $set $cursor $element_scan_options
4  SINTER $sets
4  SUNION $sets
4  SDIFF $sets
4  SINTERSTORE $set $sets
4  SUNIONSTORE $set $sets
4  SDIFFSTORE $set $sets
4  SINTERCARD $counted_sets $limit?
1  CONFIG SET set-max-intset-entries $threshold
""",
    "zset": """
10 ZADD $zset $scored
6  ZADD $zset $zadd_options $scored
4  ZADD $zset $zadd_options INCR $score $member
4  ZADD $zset $same_scored
5  ZINCRBY $zset $score $member
5  ZREM $zset $members
3  ZCARD $zset
4  ZSCORE $zset $member
3  ZMSCORE $zset $members
3  ZRANK $zset $member
3  ZREVRANK $zset $member
4  ZCOUNT $zset $score_bound $score_bound
3  ZLEXCOUNT $zset $lex_bound $lex_bound
5  ZRANGE $zset $index $index $with_scores?
2  ZREVRANGE $zset $index $index $with_scores?
6  ZRANGE $zset $range_words
3  ZRANGEBYSCORE $zset $score_bound $score_bound $with_scores? $limits?
3  ZREVRANGEBYSCORE $zset $score_bound $score_bound $with_scores? $limits?
3  ZRANGEBYLEX $zset $lex_bound $lex_bound $limits?
3  ZREVRANGEBYLEX $zset $lex_bound $lex_bound $limits?
4  ZRANGESTORE $zset $zset $range_words
3  ZREMRANGEBYRANK $zset $index $index
3  ZREMRANGEBYSCORE $zset $score_bound $score_bound
2  ZREMRANGEBYLEX $zset $lex_bound $lex_bound
3  ZPOPMIN $zset $pop_count?
3  ZPOPMAX $zset $pop_count?
3  ZMPOP $counted_zsets $min_max $count?
3  ZRANDMEMBER $zset
3  ZRANDMEMBER $zset $small_count $with_scores?
4  ZSCAN $zset $cursor $element_scan_options
4  ZUNION $counted_mixed $weight_words? $aggregate? $with_scores?
4  ZINTER $counted_mixed $weight_words? $aggregate? $with_scores?
3  ZDIFF $counted_mixed $with_scores?
4  ZUNIONSTORE $zset $counted_mixed $weight_words? $aggregate?
4  ZINTERSTORE $zset $counted_mixed $weight_words? $aggregate?
3  ZDIFFSTORE $zset $counted_mixed
3  ZINTERCARD $counted_mixed $limit?
1  CONFIG SET zset-max-listpack-entries $threshold
1  CONFIG SET zset-max-listpack-value $length_threshold
""",
    "list": """
8  RPUSH $list $elements
8  LPUSH $list $elements
3  LPUSHX $list $elements
3  RPUSHX $list $elements
5  LPOP $list $pop_count?
5  RPOP $list $pop_count?
4  LLEN $list
6  LRANGE $list $index $index
4  LINDEX $list $index
5  LSET $list $index $element
5  LINSERT $list $before_after $element $element
4  LREM $list $index $element
4  LTRIM $list $index $index
5  LPOS $list $element $lpos_options
4  LMOVE $list $list $left_right $left_right
3  RPOPLPUSH $list $list
3  LMPOP $counted_lists $left_right $count?
1  CONFIG SET list-max-listpack-size $node_size
1  CONFIG SET list-compress-depth $depth
""",
    "zset_waiting": """
2  BZPOPMIN $zset $timeout
2  BZPOPMAX $zset $zset $timeout
2  BZMPOP $timeout $counted_zsets $min_max $count?
""",
    "list_waiting": """
2  BLPOP $list $list $timeout
2  BRPOP $list $timeout
2  BLMOVE $list $list $left_right $left_right $timeout
2  BRPOPLPUSH $list $list $timeout
2  BLMPOP $timeout $counted_lists $left_right $count?
""",
    "geo": """
10 GEOADD $geo $geo_options $places
3  GEOPOS $geo $places_names
3  GEODIST $geo $place $place $unit?
3  GEOHASH $geo $places_names
8  GEOSEARCH $geo $from_where $by $geo_order $geo_count $geo_with
4  GEOSEARCHSTORE $geo $geo $from_where $by $geo_order $geo_store_count $store_dist?
3  GEORADIUS $geo $longitude $latitude $radius $unit $geo_order $geo_count $geo_with
2  GEORADIUS $geo $longitude $latitude $radius $unit $geo_store $geo
2  GEORADIUS_RO $geo $longitude $latitude $radius $unit $geo_order $geo_count $geo_with
3  GEORADIUSBYMEMBER $geo $place $radius $unit $geo_order $geo_count $geo_with
2  GEORADIUSBYMEMBER $geo $place $radius $unit $geo_store $geo
2  GEORADIUSBYMEMBER_RO $geo $place $radius $unit $geo_order $geo_count $geo_with
""",
    "sort": """
8  SORT $sortable $sort_options
4  SORT $sortable $sort_options STORE $sortable
4  SORT_RO $sortable $sort_options
""",
    "hyperloglog": """
10 PFADD $hll $elements_to_count
6  PFCOUNT $hll
4  PFCOUNT $hlls
6  PFMERGE $hll $hlls
4  GET $hll
3  PFDEBUG DECODE $hll
2  PFDEBUG ENCODING $hll
1  PFDEBUG TODENSE $hll
1  PFDEBUG GETREG $hll
1  PFDEBUG $junk $hll
2  SET $hll $runs
3  DEL $hll
2  CONFIG SET hll-sparse-max-bytes $sparse_max
""",
    "wait": """
1  WAIT $wait_replicas 1
""",
    "dump": """
2  DUMP $any
8  RESTORE $any $restore_time @DUMP $any $restore_options
1  RESTORE $any 0 $value
""",
}

TEMPLATES.update(streams.TEMPLATES)

# (set up, command) as in commands.py: I every integer edge, F a few of them.
SYSTEMATIC = {
    "hash": [("HSET h f F", "HINCRBY h f I"), ("HSET h f I", "HINCRBY h f F"), ("HSET h f F", "HINCRBYFLOAT h f I"),
             ("HSET h f 1 g 2", "HRANDFIELD h I"), ("HSET h f 1 g 2", "HRANDFIELD h I WITHVALUES"), ("HSET h f 1", "HSCAN h 0 COUNT I")],
    "set": [("SADD s F", "SISMEMBER s I"), ("SADD s I", "OBJECT ENCODING s"), ("SADD s 1 2 3", "SRANDMEMBER s I"),
            ("SADD s 1", "SPOP s I"), ("SADD s 1 2", "SINTERCARD I s s"), ("SADD s 1 2", "SINTERCARD 1 s LIMIT I"),
            ("SADD s 1 2", "SSCAN s 0 COUNT I")],
    "zset": [("ZADD z I m", "ZSCORE z m"), ("ZADD z F m", "ZINCRBY z I m"), ("ZADD z 1 a 2 b 3 c 4 d", "ZRANGE z F I"),
             ("ZADD z 1 a 2 b 3 c 4 d", "ZREVRANGE z F F WITHSCORES"), ("ZADD z 1 a 2 b 3 c 4 d", "ZREMRANGEBYRANK z F F"),
             ("ZADD z 1 a 2 b 3 c 4 d", "ZRANGEBYSCORE z F I"), ("ZADD z 1 a 2 b 3 c 4 d", "ZRANGEBYSCORE z -inf +inf LIMIT F F"),
             ("ZADD z 1 a 2 b 3 c 4 d", "ZRANGE z -inf +inf BYSCORE LIMIT F F"), ("ZADD z 0 a 0 b 0 c", "ZRANGEBYLEX z - + LIMIT F F"),
             ("ZADD z 1 a 2 b 3 c 4 d", "ZPOPMIN z I"), ("ZADD z 1 a 2 b 3 c 4 d", "ZMPOP I z MIN"),
             ("ZADD z 1 a 2 b 3 c 4 d", "ZMPOP 1 z MAX COUNT I"), ("ZADD z 1 a 2 b", "ZRANDMEMBER z I"),
             ("ZADD z 1 a 2 b", "ZRANDMEMBER z I WITHSCORES"), ("ZADD z 1 a 2 b", "ZUNION I z z"),
             ("ZADD z 1 a 2 b", "ZUNION 1 z WEIGHTS I WITHSCORES"), ("ZADD z 1 a 2 b", "ZINTERCARD 1 z LIMIT I"),
             ("ZADD z 1 a 2 b", "ZUNIONSTORE z I z"), ("ZADD z 1 a 2 b", "ZCOUNT z I F")],
    "list": [("RPUSH l a b c d e", "LRANGE l F I"), ("RPUSH l a b c d e", "LRANGE l I F"),
             ("RPUSH l a b c d e", "LINDEX l I"), ("RPUSH l a b c d e", "LSET l I x"),
             ("RPUSH l a b a b a", "LREM l I a"), ("RPUSH l a b c d e", "LTRIM l F F"), ("RPUSH l a b a b a", "LPOS l a RANK I"),
             ("RPUSH l a b a b a", "LPOS l a COUNT I"), ("RPUSH l a b a b a", "LPOS l a MAXLEN I COUNT F"),
             ("RPUSH l a b a b a", "LPOS l a RANK F COUNT F"), ("RPUSH l a b c d e", "LPOP l I"), ("RPUSH l a b c d e", "RPOP l I"),
             ("RPUSH l a b c d e", "LMPOP I l LEFT"), ("RPUSH l a b c d e", "LMPOP 1 l LEFT COUNT I"),
             ("RPUSH l F", "LPOS l I"), ("RPUSH l I", "LINSERT l BEFORE F x")],
    "zset_waiting": [("ZADD z 1 a 2 b", "BZPOPMIN z I")],
    "list_waiting": [("RPUSH l a", "BLPOP l I")],
    "geo": [("GEOADD g 1 1 p0", "GEOADD g I F p1"), ("GEOADD g 1 1 p0 2 2 p1", "GEOSEARCH g FROMLONLAT 1 1 BYRADIUS I km ASC"),
            ("GEOADD g 1 1 p0 2 2 p1", "GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 900 km ASC COUNT I"),
            ("GEOADD g 1 1 p0 2 2 p1", "GEOSEARCH g FROMLONLAT I F BYRADIUS 1 km ASC")],
    "sort": [("RPUSH l I 5", "SORT l"), ("RPUSH l 3 1 2", "SORT l LIMIT I F"), ("RPUSH l 3 1 2", "SORT l LIMIT F F DESC GET #")],
    "hyperloglog": [("PFADD p F", "PFADD p I"), ("PFADD p I F", "PFMERGE p2 p")],
    "wait": [],
    "dump": [("SET k v", "RESTORE r I @DUMP k REPLACE"), ("SET k v", "RESTORE r I @DUMP k REPLACE ABSTTL"),
             ("SET k v", "RESTORE r 0 @DUMP k REPLACE IDLETIME I"), ("SET k v", "RESTORE r 0 @DUMP k REPLACE FREQ I")],
}
SYSTEMATIC.update(streams.SYSTEMATIC)

# Families that are little without others.
COMPANIONS = {"stream_groups": ("stream",), "stream_waiting": ("stream", "stream_groups"), "zset_waiting": ("zset",), "list_waiting": ("list",), "sort": ("list", "set", "zset", "hash"), "dump": ("hash", "set", "zset", "list")}

# What creates a key in a set-up above, and what shows all of it.
CREATES = {b"HSET": b"HGETALL", b"SADD": b"SMEMBERS", b"ZADD": b"ZRANGE", b"RPUSH": b"LRANGE", b"GEOADD": b"ZRANGE", **streams.CREATES}
WHOLE = {**streams.WHOLE, b"ZADD": [b"0", b"-1", b"WITHSCORES"], b"RPUSH": [b"0", b"-1"], b"GEOADD": [b"0", b"-1", b"WITHSCORES"]}

# Commands with options that came later: COMMAND INFO says so, other than Redis 7.0.
EXTENDED_LATER = ("ZRANK", "ZREVRANK")

HASHES, SETS, ZSETS, LISTS, GEOS, HLLS = ([b"%s%d" % (name, i) for i in (1, 2, 3)] for name in (b"h", b"s", b"z", b"l", b"g", b"p"))
KEYS = HASHES + SETS + ZSETS + LISTS + GEOS + HLLS + streams.STREAMS + [b"a", b"k1", b"{tag}x", b""]
MEMBERS = [b"a", b"b", b"c", b"d", b"", b"1", b"2", b"3", b"7", b"-1", b"01", b"100", b"40000", b"3000000000", b"\xff\x00", b"\x00",
           b"two words", b"\r\n", b"m" * 63, b"m" * 64, b"m" * 65, b"n" * 300]
LONG_MEMBERS = [b"o" * 5000, b"p" * 20000]
# Fractions that a double holds exactly: sums are the same in any order.
SCORES = [b"0", b"1", b"2", b"3", b"-1", b"0.5", b"-0.25", b"1e3", b"1e10", b"-0", b"10", b"100000", b"9007199254740992", b"inf", b"-inf",
          b"1.5", b"+inf", b"2.0", b"0x10", b"17", b"17.125"]
NOT_SCORES = [b"nan", b"abc", b"", b" 1", b"1 ", b"1e400", b"(1", b"1\x00"]
LEX_BOUNDS = [b"-", b"+", b"[a", b"(a", b"[b", b"(c", b"[", b"(", b"[m", b"(n", b"[\xff", b"[1", b"x", b"", b"-x"]
PLACES = [b"p%d" % i for i in range(8)]
THRESHOLDS = {b"hash-max-listpack-entries": b"512", b"hash-max-listpack-value": b"64", b"zset-max-listpack-entries": b"128",
              b"zset-max-listpack-value": b"64", b"set-max-intset-entries": b"512", b"list-max-listpack-size": b"-2",
              b"list-compress-depth": b"0", b"hll-sparse-max-bytes": b"3000", **streams.THRESHOLDS}


def names(family):
    """The commands of a family; of what has subcommands these (Redis lists those of one container in no order)."""
    lines = [line.split() for line in TEMPLATES[family].strip().splitlines()]
    return sorted({"|".join(words[1:3]) if words[1] in streams.CONTAINERS else words[1] for words in lines if words[2:3] != ["$junk"]} - {"CONFIG"})


class Draws(streams.Draws):
    """What stands behind each $ of the templates above: methods for commands.Generator."""

    def of_type(self, own):
        return self.random.choice(own) if self.random.random() < 0.93 else self.any()

    def any(self):
        return self.random.choice(KEYS)

    def hash(self):
        return self.of_type(HASHES)

    def set(self):
        return self.of_type(SETS)

    def zset(self):
        return self.of_type(ZSETS)

    def list(self):
        return self.of_type(LISTS)

    def geo(self):
        return self.of_type(GEOS)

    def hll(self):
        return self.of_type(HLLS)

    def hlls(self):
        return self.some(self.hll)

    def elements_to_count(self):
        random = self.random
        few = random.choice((10, 500, 10**9))
        return [b"%d" % random.randrange(few) + b"x" * random.randrange(9) for _ in range(random.choice((0, 1, 1, 2, 5, 200)))]

    def sparse_max(self):
        return self.pick(b"0", b"40", b"300", b"3000", b"3000", b"1000000", b"-1")

    def runs(self):
        """A HyperLogLog made up of runs, right or not; none ends with half a run, of which Redis reads the other half behind it."""
        random, runs, left = self.random, b"", 16384 + self.random.choice((0, 0, 0, 1, -1))
        while left > 0:
            kind = random.randrange(3)
            span = min(left, random.randint(1, (64, random.choice((70, 3000)), 4)[kind]))
            less = span - 1
            runs += bytes(([less], [0x40 | less >> 8, less & 255], [0x80 | random.choice((0, 0, 1, 31)) << 2 | less])[kind])
            left -= span
        return b"HYLL\x01\0\0\0\5\0\0\0\0\0\0" + random.choice((b"\x80", b"\0")) + runs

    def mixed(self):
        return self.of_type(ZSETS + SETS)

    def sortable(self):
        return self.of_type(LISTS + SETS + ZSETS)

    def some(self, draw, counts=(1, 1, 2, 3, 5)):
        return [draw() for _ in range(self.random.choice(counts))]

    def member(self):
        dice = self.random.random()
        if dice < 0.75:
            return self.random.choice(MEMBERS)
        return b"%d" % self.random.randrange(-20, 60) if dice < 0.99 else self.random.choice(LONG_MEMBERS)

    def members(self):
        return self.some(self.member)

    def many_integers(self):
        first, step = self.random.choice((-40, 0, 30000, 2**31 - 20, 2**40)), self.random.choice((1, 1, 3))
        return [b"%d" % (first + step * i) for i in range(self.random.choice((3, 10, 40, 150)))]

    def element(self):
        return self.member()

    def elements(self):
        return self.some(self.element, (1, 1, 2, 3, 5, 20))

    def fields(self):
        return [x for _ in range(self.random.choice((1, 1, 2, 3, 8, 30))) for x in (self.member(), self.field_value())]

    def field_value(self):
        return self.value() if self.random.random() < 0.4 else self.member()

    def small_count(self):
        if self.random.random() < 0.9:
            return b"%d" % self.random.choice((0, 1, 2, 3, 5, 10, 60, 1000, -1, -2, -5, -20))
        return self.integer()

    def pop_count(self):
        return b"%d" % self.random.choice((0, 1, 1, 2, 3, 10, 1000, -1)) if self.random.random() < 0.9 else self.integer()

    def with_values(self):
        return self.pick(b"WITHVALUES", b"withvalues", b"WITHVALUES", b"WITHSCORES")

    def with_scores(self):
        return self.pick(b"WITHSCORES", b"withscores", b"WITHSCORES")

    def element_scan_options(self):
        options = []
        for _ in range(self.random.choice((0, 1, 2))):
            options += self.pick([b"MATCH", self.pattern()], [b"COUNT", self.pick(b"1", b"10", b"1000", b"0", b"-1", b"x")], [b"NOPE"])
        return options

    def threshold(self):
        return self.pick(b"0", b"1", b"3", b"8", b"30", b"128", b"512")

    def length_threshold(self):
        return self.pick(b"0", b"5", b"64", b"64", b"300")

    def node_size(self):
        return self.pick(b"1", b"3", b"16", b"-1", b"-2", b"-5")

    def depth(self):
        return self.pick(b"0", b"1", b"2")

    def sets(self):
        return self.some(self.set, (1, 2, 2, 3, 4))

    def counted(self, draw):
        keys = self.some(draw, (1, 2, 2, 3))
        count = len(keys) if self.random.random() < 0.93 else self.random.choice((0, -1, 1, 5))
        return [b"%d" % count if self.random.random() < 0.97 else self.integer()] + keys

    def counted_sets(self):
        return self.counted(self.set)

    def counted_zsets(self):
        return self.counted(self.zset)

    def counted_lists(self):
        return self.counted(self.list)

    def counted_mixed(self):
        return self.counted(self.mixed)

    def limit(self):
        return [b"LIMIT", self.pick(b"0", b"1", b"2", b"100", b"-1", b"x")]

    def limits(self):
        return [b"LIMIT", self.pick(b"0", b"1", b"2", b"-1", self.index()), self.pick(b"1", b"2", b"-1", b"100", b"0", self.index())]

    def count(self):
        return [b"COUNT", self.pick(b"1", b"2", b"10", b"0", b"-1", b"x")]

    def score(self):
        dice = self.random.random()
        return b"%d" % self.random.randrange(-9, 30) if dice < 0.45 else self.random.choice(SCORES if dice < 0.97 else NOT_SCORES)

    def scored(self):
        return [x for _ in range(self.random.choice((1, 1, 2, 3, 8, 30))) for x in (self.score(), self.member())]

    def same_scored(self):
        return [x for member in self.some(self.member, (3, 8, 20)) for x in (b"0", member)]

    def zadd_options(self):
        return [x for _ in range(self.random.choice((1, 1, 2, 3)))
                for x in self.pick([b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"CH"], [b"ch"])]

    def score_bound(self):
        if self.random.random() < 0.3:
            return self.pick(b"-inf", b"+inf", b"inf", b"(inf", b"(-inf")
        return self.pick(b"", b"", b"(") + self.score()

    def lex_bound(self):
        return self.random.choice(LEX_BOUNDS)

    def range_words(self):
        kind = self.pick(b"BYSCORE", b"BYLEX", b"BYSCORE", None)
        draw = {b"BYSCORE": self.score_bound, b"BYLEX": self.lex_bound, None: self.index}[kind]
        words = [draw(), draw()] + ([kind] if kind else []) + self.pick([], [], [b"REV"])
        return words + (self.limits() if self.random.random() < 0.3 else []) + self.pick([], [], [], [b"WITHSCORES"])

    def weight_words(self):
        return [b"WEIGHTS"] + [self.pick(b"1", b"2", b"0.5", b"-1", b"0", b"x", b"inf", b"3") for _ in range(self.random.choice((1, 2, 2, 3)))]

    def aggregate(self):
        return [b"AGGREGATE", self.pick(b"SUM", b"MIN", b"MAX", b"min", b"AVG")]

    def min_max(self):
        return self.pick(b"MIN", b"MAX", b"min", b"MAX", b"MID")

    def timeout(self):
        return self.pick(b"0.001", b"0.002", b".001", b"1e-3", b"-1", b"x")

    def before_after(self):
        return self.pick(b"BEFORE", b"AFTER", b"before", b"AFTER", b"BEYOND")

    def left_right(self):
        return self.pick(b"LEFT", b"RIGHT", b"left", b"RIGHT", b"LEFT", b"RIGHT", b"UP")

    def lpos_options(self):
        return [x for _ in range(self.random.choice((0, 1, 1, 2, 3)))
                for x in self.pick([b"RANK", self.index()], [b"COUNT", self.small_count()], [b"MAXLEN", self.small_count()], [b"rank", b"-1"])]

    # ---- Positions: each member has places of its own, so that no two are equally far from anywhere ----

    def place(self):
        return self.random.choice(PLACES)

    def places_names(self):
        return self.some(self.place)

    def places(self):
        return [x for member in self.some(self.place) for x in self.position_of(member)]

    def position_of(self, member):
        number, step = PLACES.index(member), self.random.randrange(3)
        return [b"%.6f" % (-179.3 + 47.318271 * number + 0.734519 * step), b"%.6f" % (-83.7 + 20.914283 * number + 1.318467 * step), member]

    def longitude(self):
        if self.random.random() < 0.95:
            return b"%.6f" % self.random.uniform(-180, 180)
        return self.pick(b"180", b"-180", b"181", b"x", b"nan")

    def latitude(self):
        if self.random.random() < 0.95:
            return b"%.6f" % self.random.uniform(-85, 85)
        return self.pick(b"85.05112878", b"-85.05112878", b"86", b"x", b"inf")

    def radius(self):
        return b"%.3f" % 10 ** self.random.uniform(0, 4.5) if self.random.random() < 0.95 else self.pick(b"0", b"-1", b"x", b"1e9", b"nan")

    def unit(self):
        return self.pick(b"km", b"km", b"KM", b"m", b"mi", b"ft", b"yd")

    def geo_options(self):
        return self.pick([], [], [b"NX"], [b"XX"], [b"CH"], [b"NX", b"CH"], [b"NX", b"XX"])

    def from_where(self):
        return [b"FROMMEMBER", self.place()] if self.random.random() < 0.5 else [b"FROMLONLAT", self.longitude(), self.latitude()]

    def by(self):
        if self.random.random() < 0.5:
            return [b"BYRADIUS", self.radius(), self.unit()]
        return [b"BYBOX", self.radius(), self.radius(), self.unit()]

    def geo_order(self):
        return self.pick([], [b"ASC"], [b"DESC"], [b"asc"])

    def geo_count(self):
        return self.pick([], [], [b"COUNT", b"2"], [b"COUNT", b"1"], [b"COUNT", b"100"], [b"COUNT", b"2", b"ANY"], [b"COUNT", b"0"], [b"ANY"])

    def geo_store_count(self):
        return self.pick([], [], [b"COUNT", b"2"], [b"COUNT", b"100"])

    def geo_with(self):
        return [word for word in (b"WITHCOORD", b"WITHDIST", b"WITHHASH") if self.random.random() < 0.3]

    def geo_store(self):
        return self.pick(b"STORE", b"STOREDIST")

    def store_dist(self):
        return b"STOREDIST"

    # ---- SORT, DUMP, WAIT ----

    def sort_options(self):
        options = []
        for _ in range(self.random.choice((0, 1, 2, 3))):
            options += self.pick([b"ALPHA"], [b"ALPHA"], [b"DESC"], [b"ASC"], self.limits(), [b"BY", self.sort_pattern()], [b"BY", b"nosort"],
                                 [b"GET", self.sort_pattern()], [b"GET", b"#"])
        return options

    def sort_pattern(self):
        return self.pick(b"k*", b"nosuch*", b"*", b"h*->a", b"h*->1", b"h1->a", b"{tag}*", b"k*->", b"long*")

    def wait_replicas(self):
        return self.pick(b"0", b"1", b"-1", b"x")

    def restore_time(self):
        return self.pick(b"0", b"0", b"0", b"1000000", b"-1", b"x")

    def restore_options(self):
        return self.pick([], [b"REPLACE"], [b"REPLACE"], [b"replace"], [b"REPLACE", b"FREQ", b"5"], [b"NOPE"])


def unsuitable(arguments, as_integer):
    """What is answered otherwise by intention, takes for ever, or is left to chance."""
    name, words = arguments[0].upper(), [argument.upper() for argument in arguments]
    if name in (b"ZRANK", b"ZREVRANK"):
        return len(arguments) > 3
    if streams.unsuitable(name, arguments, words, as_integer):
        return True
    if name in (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER") and len(arguments) > 2:
        count = as_integer(arguments[2])
        return count is not None and -2**63 < count < -1000
    if name in (b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BZPOPMIN", b"BZPOPMAX", b"BLMPOP", b"BZMPOP"):
        return not is_short(arguments[1 if name in (b"BLMPOP", b"BZMPOP") else -1] if len(arguments) > 1 else b"x")
    if name in (b"GEOSEARCH", b"GEOSEARCHSTORE", b"GEORADIUS", b"GEORADIUSBYMEMBER"):
        stores = name == b"GEOSEARCHSTORE" or b"STORE" in words or b"STOREDIST" in words
        return stores and b"ANY" in words
    if name == b"SORT" or name == b"SORT_RO":
        return b"ALPHA" in words and any(word == b"BY" and b"*" in pattern for word, pattern in zip(words, words[1:]))
    if name == b"GEOADD":
        rest = arguments[2:]
        while rest and rest[0].upper() in (b"NX", b"XX", b"CH"):
            rest = rest[1:]
        return any(member not in PLACES for member in rest[2::3])
    if name == b"RESTORE" and len(arguments) > 2 and b"ABSTTL" not in words:
        time_ms = as_integer(arguments[2])
        return time_ms is not None and (0 < time_ms < 120000 or time_ms > 2**62)  # beyond, Redis loses an overflow of its own
    if name == b"WAIT":
        return len(arguments) != 3 or arguments[2] != b"1"
    if name == b"CONFIG":
        return len(arguments) == 4 and words[2].lower() in THRESHOLDS and as_integer(arguments[3]) is None
    return False


def is_short(timeout):
    """A time that passes soon, or that is none."""
    try:
        return not 0.005 < float(timeout.decode("latin-1")) and float(timeout) != 0
    except (ValueError, OverflowError):
        return True
