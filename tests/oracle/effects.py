#!/usr/bin/env python3
"""What each write command tells of its change, beside redis-server's: keyspace events in order, their classes, changes counted,
what the journal gets, whether a watching transaction fails.

    effects.py PROBE [--plant]

Each case is a few commands, run from every state of the keys `a` and `b` that they name: absent, there, there with an expiry,
expired but not deleted yet. Behind "<-" stand commands of other clients, parted by "&", which wait and are served. Redis tells its events to a subscriber (notify-keyspace-events), its changes as
rdb_changes_since_last_save, its records in its append-only file, which is compared as text; kevy's side is PROBE (probe.c), which
runs the same requests without a socket. Fields of hashes that expire are compared with a later redis-server, where there is one
(find_later_redis); other commands that Redis 7.0 has not stand below with what is expected of them.

--plant renames an event and drops another in what kevy said, counts a change too many, records a relative time, and lets a
watcher sleep; each must be found.
"""
import argparse
import itertools
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import families  # noqa: E402
from kevy import Server, encode, eventually, find_later_redis, find_redis, parse, show  # noqa: E402

CLASSES = "g$xnmlshzt"
FAR_MS = 4102444800000  # the year 2100
PROBE_MS = 1700000000000  # kevy's clock
CLOCKS = PROBE_MS, time.time() * 1000  # which it reads anew behind EXEC, as Redis does, before it serves who has waited
# States of a key; the time of the last one is over.
STATES = {"absent": [], "there": [["SET", "{}", "5"]], "expiring": [["SET", "{}", "5", "PXAT", FAR_MS]], "expired": [["SET", "{}", "5", "PXAT", "1"]]}

# Commands of a case are parted by ";". Its keys are a and b.
CASES = """
SET a 1 | SET a 1 EX 100 | SET a 1 PX 100000 | SET a 1 EXAT 4102444800 | SET a 1 PXAT 4102444800000 | SET a 1 PXAT 1 | SET a 1 KEEPTTL
SET a 1 NX | SET a 1 XX | SET a 1 GET | SET a 1 NX GET | SET a 1 XX GET | SET a 1 EX 100 NX | SET a 1 EX 100 XX | SET a 1 EX 100 GET
SET a 1 PXAT 1 XX GET | SET a 1 XX KEEPTTL | SET a 1 NX GET KEEPTTL | SELECT 3;SET a 1 | SETNX a 1 | SETEX a 100 1 | PSETEX a 100000 1 | GETSET a 1 | GETDEL a | GETEX a | GETEX a EX 100 | GETEX a PX 100000
GETEX a EXAT 4102444800 | GETEX a PXAT 4102444800000 | GETEX a PXAT 1 | GETEX a PERSIST | APPEND a 1 | APPEND a ''
SETRANGE a 0 x | SETRANGE a 5 x | SETRANGE a 2 '' | MSET a 1 b 2 | MSET a 1 a 2 | MSETNX a 1 b 2 | MSETNX a 1 a 2
INCR a | DECR a | INCRBY a 7 | INCRBY a 0 | DECRBY a 7 | INCRBYFLOAT a 1.5 | INCRBYFLOAT a 0 | INCRBY a x
SETBIT a 0 1 | SETBIT a 0 0 | SETBIT a 7 1 | SETBIT a 30 0 | SETBIT a 30 1 | BITOP AND a b | BITOP OR a b b | BITOP XOR a a b | BITOP NOT a b
BITFIELD a SET u8 0 5 | BITFIELD a SET u8 0 53 | BITFIELD a SET u8 0 53 SET u8 8 0 | BITFIELD a INCRBY u4 0 1 INCRBY u4 4 1 GET u8 0
BITFIELD a OVERFLOW FAIL INCRBY u2 0 9 | BITFIELD a OVERFLOW FAIL INCRBY u2 100 9 | BITFIELD a GET u8 0 | BITFIELD_RO a GET u8 0
BITFIELD a OVERFLOW SAT INCRBY u8 0 255 INCRBY u8 0 255 | BITFIELD a SET u1 64 0 SET u1 3 1
DEL a | DEL a b | DEL a a | UNLINK a | UNLINK a b | RENAME a b | RENAME a a | RENAMENX a b | RENAMENX a a | COPY a b | COPY a b REPLACE
COPY a a | COPY a a DB 1 | COPY a b DB 1 REPLACE | MOVE a 1 | MOVE a 0 | SELECT 1;MOVE a 0 | SELECT 1;SET a 1;SELECT 0;MOVE a 1
EXPIRE a 100 | EXPIRE a 0 | EXPIRE a -1 | PEXPIRE a 100000 | EXPIREAT a 4102444800 | EXPIREAT a 1 | PEXPIREAT a 4102444800000 | PEXPIREAT a 1
EXPIRE a 100 NX | EXPIRE a 100 XX | EXPIRE a 100 GT | EXPIRE a 100 LT | EXPIRE a 100 XX LT | PEXPIREAT a 4102444800001 GT | PEXPIREAT a 4102444800001 LT
PEXPIREAT a 1 LT | PEXPIREAT a 1 GT | PERSIST a | FLUSHDB | FLUSHDB ASYNC | FLUSHALL | FLUSHALL SYNC | SWAPDB 0 1 | SWAPDB 0 0 | SWAPDB 1 2
SELECT 1;FLUSHDB | SELECT 1;SET a 1;FLUSHALL | SELECT 1;SET a 1;SWAPDB 0 1 | GET a | MGET a b | STRLEN a | EXISTS a b | TOUCH a | TYPE a
TTL a | OBJECT ENCODING a | MEMORY USAGE a | GETRANGE a 0 -1 | GETBIT a 0 | BITCOUNT a | BITPOS a 1 | LCS a b | DBSIZE | KEYS * | WATCH a | RANDOMKEY | SCAN 0
DEBUG POPULATE 2 a | SET a:0 1;DEBUG POPULATE 2 a 20 | MULTI;DEBUG POPULATE 1 a;DEL a:0;EXEC | MULTI;SET b 1;DEBUG POPULATE 1 b;EXEC
MULTI;EXEC | MULTI;SET a 1;EXEC | MULTI;SET a 1;SET b 2;EXEC | MULTI;GET a;EXEC | MULTI;GET a;SET a 1;EXEC | MULTI;INCR a;INCR a;DEL b;EXEC
MULTI;SET a 1 EX 100;PERSIST a;EXPIRE a 100;EXEC | MULTI;SET a 1;SELECT 1;SET a 2;EXEC | MULTI;SET a 1;DISCARD | MULTI;EXPIRE a 0;SET a 1;EXEC
MULTI;RENAME a b;RENAME b a;EXEC | MULTI;FLUSHALL;SET a 1;EXEC | MULTI;SWAPDB 0 1;GETDEL a;EXEC | MULTI;COPY a b;EXEC | MULTI;GETEX a PXAT 1;EXEC
MULTI;SET a;EXEC | MULTI;INCRBY a x;APPEND a 1;EXEC | MULTI;BITFIELD a SET u8 0 1 SET u8 8 2;BITOP NOT b a;EXEC
"""

# What of these families is run when the server knows all commands of a family: states of a key as above, {} being its name, and cases.
OTHER = {"absent": [], "text": [["SET", "{}", "5"]]}
FAMILY_STATES = {
    "hash": {**OTHER, "there": [["HSET", "{}", "f", "1", "g", "x"]],
             "expiring": [["HSET", "{}", "f", "1"], ["PEXPIREAT", "{}", FAR_MS]]},
    "set": {**OTHER, "there": [["SADD", "{}", "1", "2", "{}"]], "expiring": [["SADD", "{}", "1", "x"], ["PEXPIREAT", "{}", FAR_MS]]},
    "zset": {**OTHER, "there": [["ZADD", "{}", "1", "m", "2", "n", "3", "{}"]],
             "expiring": [["ZADD", "{}", "1", "m"], ["PEXPIREAT", "{}", FAR_MS]]},
    "hyperloglog": {**OTHER, "there": [["PFADD", "{}", "1", "2", "{}"]], "expiring": [["PFADD", "{}", "1"], ["PEXPIREAT", "{}", FAR_MS]]},
    "list": {**OTHER, "there": [["RPUSH", "{}", "1", "2", "{}"]], "expiring": [["RPUSH", "{}", "1"], ["PEXPIREAT", "{}", FAR_MS]]},
}
GROUP = [["XADD", "{}", "1-1", "f", "v"], ["XADD", "{}", "2-0", "f", "v"], ["XADD", "{}", "3-0", "f", "v"], ["XGROUP", "CREATE", "{}", "g", "0"]]
FAMILY_STATES.update(
    stream={**OTHER, "there": GROUP[:3], "empty": GROUP[:1] + [["XDEL", "{}", "1-1"]], "expiring": GROUP[:1] + [["PEXPIREAT", "{}", FAR_MS]]},
    stream_groups={**OTHER, "there": GROUP, "empty": [["XGROUP", "CREATE", "{}", "g", "$", "MKSTREAM"]],
                   "read": GROUP + [["XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", "{}", ">"]]})
# More elements than a small collection has, for what is done in another way then.
MANY = ["m%d" % i for i in range(600)]
FAMILY_STATES.update(list_large={"large": [["RPUSH", "{}", *MANY]], "due": [["RPUSH", "{}", *MANY], ["PEXPIREAT", "{}", FAR_MS]]},
                     hash_large={"large": [["HSET", "{}", *(word for name in MANY for word in (name, "x"))]]},
                     set_large={"large": [["SADD", "{}", *MANY]]})
FAMILY_STATES["stream_waiting"] = FAMILY_STATES["stream_groups"]
FAMILY_STATES.update(zset_waiting=FAMILY_STATES["zset"], list_waiting=FAMILY_STATES["list"], geo=FAMILY_STATES["zset"], sort=FAMILY_STATES["list"], dump=FAMILY_STATES["list"])
FAMILY_CASES = {
    "hash": """
HSET a f 1 | HSET a f 2 | HSET a n 1 | HSET a f 1 n 2 n 3 | HMSET a f 2 n 1 | HSETNX a f 1 | HSETNX a n 1 | HDEL a f | HDEL a f g | HDEL a n | HDEL a f g f n
HINCRBY a f 1 | HINCRBY a n 1 | HINCRBY a f 0 | HINCRBY a g 1 | HINCRBY a f x | HINCRBYFLOAT a f 0.5 | HINCRBYFLOAT a n 0 | HINCRBYFLOAT a g 1
HGET a f | HMGET a f g | HGETALL a | HKEYS a | HVALS a | HLEN a | HEXISTS a f | HSTRLEN a f | HSCAN a 0 | HRANDFIELD a 9
MULTI;HSET a f 9;HDEL a f g;EXEC | COPY a b | RENAME a b | DEL a | EXPIRE a 100 | MOVE a 1 | HSET a f 1;SET a 1 | FLUSHDB
""", "set": """
SADD a 1 | SADD a n | SADD a n n o | SADD a 1 2 | SREM a 1 | SREM a n | SREM a 1 2 a x | SREM a 1 n 2 | SMOVE a b 1 | SMOVE a b n | SMOVE a b a | SMOVE a a 1
SPOP a 10 | SPOP a 0 | SREM a 2 a x;SPOP a | SREM a 2 a x;SPOP a 1 | SREM a 2 a x;SPOP a 2 | SPOP a -1 | SRANDMEMBER a 9
SINTERSTORE a a b | SINTERSTORE a b | SUNIONSTORE a b | SUNIONSTORE b a a | SDIFFSTORE a b | SDIFFSTORE a a b | SDIFFSTORE a a a
SMEMBERS a | SCARD a | SISMEMBER a 1 | SMISMEMBER a 1 2 | SINTER a b | SUNION a b | SDIFF a b | SINTERCARD 2 a b | SSCAN a 0
MULTI;SADD a 9;SREM a 9;EXEC | RENAME a b | COPY a b REPLACE | DEL a
""", "zset": """
ZADD a 1 m | ZADD a 5 m | ZADD a 1 new | ZADD a 1 m 2 new 3 newer | ZADD a NX 1 m | ZADD a NX 1 new | ZADD a XX 1 new | ZADD a XX 7 m | ZADD a GT 0 m
ZADD a GT 9 m | ZADD a LT 0 m | ZADD a CH 9 m 1 new | ZADD a INCR 1 m | ZADD a INCR 0 m | ZADD a XX INCR 1 new | ZADD a GT INCR -1 m | ZADD a x m
ZINCRBY a 1 m | ZINCRBY a 0 m | ZINCRBY a 1 new | ZINCRBY a nan m | ZREM a m | ZREM a m n a | ZREM a new | ZREM a m new
ZPOPMIN a | ZPOPMAX a | ZPOPMIN a 10 | ZPOPMAX a 2 | ZPOPMIN a 0 | ZMPOP 1 a MIN | ZMPOP 2 a b MAX COUNT 10 | ZMPOP 2 a b MIN COUNT 2
ZREMRANGEBYRANK a 0 0 | ZREMRANGEBYRANK a 0 -1 | ZREMRANGEBYRANK a 8 9 | ZREMRANGEBYSCORE a 1 2 | ZREMRANGEBYSCORE a -inf inf | ZREMRANGEBYSCORE a 8 9
ZREMRANGEBYLEX a - + | ZREMRANGEBYLEX a [x [y | ZUNIONSTORE a 2 a b | ZUNIONSTORE a 1 b | ZINTERSTORE a 2 a b | ZINTERSTORE b 1 a | ZDIFFSTORE a 2 a b
ZDIFFSTORE a 2 a a | ZRANGESTORE a b 0 -1 | ZRANGESTORE a b 8 9 | ZRANGESTORE a a 0 0 | ZRANGE a 0 -1 | ZRANGEBYSCORE a 0 1 | ZSCORE a m | ZMSCORE a m
ZRANK a m | ZCARD a | ZCOUNT a 0 1 | ZUNION 2 a b | ZINTER 2 a b | ZDIFF 2 a b | ZINTERCARD 2 a b | ZSCAN a 0 | ZRANDMEMBER a 9
MULTI;ZADD a 9 z;ZREM a z;EXEC | RENAME a b | COPY a b | DEL a
""", "list": """
LPUSH a x | RPUSH a x y | LPUSHX a x | RPUSHX a x y | LPOP a | RPOP a | LPOP a 2 | RPOP a 10 | LPOP a 0 | LSET a 0 x | LSET a -1 1 | LSET a 9 x | LINSERT a BEFORE 1 x
LINSERT a AFTER none x | LREM a 0 1 | LREM a 0 none | LREM a 1 1 | LTRIM a 0 0 | LTRIM a 0 -1 | LTRIM a 5 9 | LMOVE a b LEFT RIGHT | LMOVE a a LEFT RIGHT
LMOVE b a RIGHT LEFT | RPOPLPUSH a b | RPOPLPUSH a a | LMPOP 1 a LEFT | LMPOP 2 a b RIGHT COUNT 10 | LMPOP 2 a b LEFT COUNT 2
LLEN a | LRANGE a 0 -1 | LINDEX a 0 | LPOS a 1
MULTI;RPUSH a x;LPOP a;EXEC | RENAME a b | COPY a b | DEL a
""", "list_large": """
LPUSH a x | RPUSH a x | LPUSHX a x | RPUSHX a x | LPOP a | RPOP a | MULTI;LPUSH a x;RPOP a;LPOP a;EXEC | LPUSH a x;LPOP a | RPUSH a x;RPOP a;LRANGE a 0 -1
COPY a c;LPUSH a x;LRANGE c 0 1 | SET a x;LPUSH a x | EXPIRE a -1;RPUSH a x
""", "hash_large": """
HSET a m7 y | HSET a m7 longer | HSET a none y | HGET a m7 | HGET a none | MULTI;HSET a m7 y;HGET a m7;HSET a none y;HGET a none;EXEC | SET a x;HSET a m7 y
COPY a c;HSET a m7 y;HGET c m7
""", "set_large": """
SADD a m7 | SADD a none | SADD a none;SADD a none;SCARD a | MULTI;SADD a m7;SADD a none;EXEC | SET a x;SADD a m7 | COPY a c;SADD a none;SCARD c
""", "zset_waiting": """
MULTI;BZPOPMIN a 0;EXEC | MULTI;BZPOPMAX a b 0;EXEC | MULTI;BZMPOP 0 2 a b MIN COUNT 2;EXEC
ZADD a 1 m <- BZPOPMIN a 0 | ZADD a 1 m 2 n <- BZPOPMAX a 0 | ZADD a 1 m 2 n <- BZMPOP 0 1 a MAX COUNT 5 | ZADD a 1 m 2 n 3 o <- BZMPOP 0 1 a MIN COUNT 2
ZADD a 1 m 2 n 3 o <- BZPOPMIN a 0 & BZPOPMAX a 0 | RENAME b a <- BZPOPMIN a 0 | COPY b a <- BZMPOP 0 1 a MIN COUNT 2 | ZUNIONSTORE a 1 b <- BZPOPMAX a 0
ZRANGESTORE a b 0 -1 <- BZPOPMIN a 0 | MULTI;ZADD a 1 m;ZADD a 2 n;EXEC <- BZPOPMIN a 0 | RPUSH a x <- BZPOPMIN a 0 | GEOADD a 1 1 m <- BZPOPMIN a 0
""", "list_waiting": """
MULTI;BLPOP a 0;EXEC | MULTI;BRPOP a b 0;EXEC | MULTI;BLMOVE a b LEFT RIGHT 0;EXEC | MULTI;BRPOPLPUSH a b 0;EXEC | MULTI;BLMPOP 0 2 a b LEFT COUNT 2;EXEC
RPUSH a x <- BLPOP a 0 | RPUSH a x y <- BRPOP a 0 | LPUSH a x y z <- BLPOP a 0 & BRPOP a 0 | RPUSH a x y <- BLMPOP 0 1 a LEFT COUNT 2
RPUSH a x y z <- BLMPOP 0 1 a RIGHT COUNT 2 | RPUSH a x <- BLMPOP 0 1 a LEFT | RPUSH a x <- BLMOVE a b LEFT RIGHT 0 | RPUSH a x y <- BRPOPLPUSH a b 0
RPUSH a x y <- BLMOVE a a LEFT RIGHT 0 | RPUSH a x <- BLMOVE a b LEFT LEFT 0 & BLPOP b 0 | LPUSH a x y <- BRPOPLPUSH a b 0 & BLMOVE b a LEFT LEFT 0
RPUSH a x <- BLPOP b a 0 & BLPOP a 0 | RENAME b a <- BLPOP a 0 | COPY b a <- BLPOP a 0 | LMOVE b a LEFT LEFT <- BLPOP a 0 | SORT b ALPHA STORE a <- BRPOP a 0
MULTI;RPUSH a x;RPUSH a y;EXEC <- BLPOP a 0 | MULTI;RPUSH a x;SET b y;EXEC <- BLMPOP 0 1 a LEFT COUNT 3 | MULTI;RPUSH a x;DEL a;EXEC <- BLPOP a 0
MULTI;RPUSH a x;EXPIREAT a 4102444800;EXEC <- BLPOP a 0 | ZADD a 1 m <- BLPOP a 0 | SELECT 1;RPUSH a x;MOVE a 0 <- BLPOP a 0 | SELECT 1;RPUSH a x;SWAPDB 0 1 <- BLPOP a 0
SELECT 1;RPUSH a x;COPY a a DB 0 <- BLMOVE a b LEFT LEFT 0 | SET b text;RPUSH a x <- BLMOVE a b LEFT LEFT 0 | DEL b;RPUSH a x <- BLPOP a 0 & BLPOP a 0
""", "geo": """
GEOADD a 1 1 p | GEOADD a 1 1 p;GEOADD a 1 1 p | GEOADD a NX 1 1 m | GEOADD a CH 2 2 m | GEOADD a 1 1 p 2 2 q
GEOADD b 1 1 p;GEOSEARCHSTORE a b FROMLONLAT 1 1 BYRADIUS 10 km | GEOSEARCHSTORE a b FROMLONLAT 90 1 BYRADIUS 1 m
GEOADD b 1 1 p;GEORADIUS b 1 1 10 km STORE a | GEORADIUS b 90 1 1 m STORE a | GEOADD b 1 1 p;GEORADIUSBYMEMBER b p 1 m STOREDIST a
GEOPOS a m | GEOHASH a m | GEODIST a m n | GEOSEARCH a FROMLONLAT 1 1 BYRADIUS 10 km | GEORADIUS a 1 1 10 km
""", "hyperloglog": """
PFADD a | PFADD a 1 | PFADD a x | PFADD a x y 1 x | PFADD a x;PFADD a x | PFCOUNT a | PFCOUNT a;PFCOUNT a | PFCOUNT a b | PFMERGE a | PFMERGE a b | PFMERGE a b a
PFMERGE b a a;PFCOUNT b | PFDEBUG ENCODING a | PFDEBUG DECODE a | MULTI;PFADD a x;PFCOUNT a;PFMERGE b a;EXEC | SET a 1;PFADD a 1
""", "stream": """
XADD a 9-0 f v | XADD a 9-* f v | XADD a 1-0 f v | XADD a NOMKSTREAM 9-0 f v | XADD a 9-0 f v;XADD a 9-* f v | XADD a MAXLEN 1 9-0 f v | XADD a MAXLEN 2 9-0 f v
XADD a MAXLEN = 0 9-0 f v | XADD a MAXLEN ~ 1 9-0 f v | XADD a MAXLEN 9 9-0 f v | XADD a MINID 3 9-0 f v | XADD a MINID ~ 3 9-0 f v | XADD a MINID 0 9-0 f v
XADD a MAXLEN ~ 1 LIMIT 10 9-* f v | XDEL a 1-1 | XDEL a 1-1 2-0 9-9 | XDEL a 9-9 | XDEL a 1-1 1-1 | XTRIM a MAXLEN 1 | XTRIM a MAXLEN 0 | XTRIM a MAXLEN 9
XTRIM a MAXLEN ~ 1 | XTRIM a MAXLEN ~ 0 | XTRIM a MINID 2 | XTRIM a MINID 3-1 | XTRIM a MINID ~ 9 | XTRIM a MINID 0 | XTRIM a MAXLEN ~ 0 LIMIT 100
XSETID a 9-0 | XSETID a 1-0 | XSETID a 9-0 ENTRIESADDED 100 MAXDELETEDID 2-0 | XLEN a | XRANGE a - + | XREVRANGE a + - | XREAD STREAMS a 0 | XREAD STREAMS a b 0 $
XINFO STREAM a | XINFO STREAM a FULL | MULTI;XADD a 9-0 f v;XADD a 9-1 f v;XTRIM a MAXLEN 1;EXEC | MULTI;XDEL a 1-1;XSETID a 9-0;EXEC | COPY a b | RENAME a b | DEL a
XADD a 9-0 f v;EXPIRE a 100 | MOVE a 1 | XADD a x f v | SET a 1 | FLUSHDB | SWAPDB 0 1
""", "stream_groups": """
XGROUP CREATE a h $ | XGROUP CREATE a h $ MKSTREAM | XGROUP CREATE a g 0 | XGROUP CREATE a h 2-0 ENTRIESREAD 2 | XGROUP CREATE a h 2 MKSTREAM ENTRIESREAD 5
XGROUP SETID a g 1-1 | XGROUP SETID a g $ | XGROUP SETID a g 2-0 ENTRIESREAD 2 | XGROUP SETID a none 0 | XGROUP DESTROY a g | XGROUP DESTROY a none
XGROUP CREATECONSUMER a g c | XGROUP CREATECONSUMER a g d | XGROUP CREATECONSUMER a none d | XGROUP DELCONSUMER a g c | XGROUP DELCONSUMER a g none
XREADGROUP GROUP g c STREAMS a > | XREADGROUP GROUP g c COUNT 1 STREAMS a > | XREADGROUP GROUP g d NOACK STREAMS a > | XREADGROUP GROUP g c STREAMS a 0
XREADGROUP GROUP g d STREAMS a 0 | XREADGROUP GROUP g d STREAMS a b > > | XREADGROUP GROUP g c STREAMS a b > 0 | XREADGROUP GROUP none c STREAMS a >
XREADGROUP GROUP g c STREAMS a >;XREADGROUP GROUP g c STREAMS a > | XREADGROUP GROUP g c NOACK COUNT 1 STREAMS a >;XREADGROUP GROUP g d COUNT 1 STREAMS a >
XDEL a 3-0;XREADGROUP GROUP g d STREAMS a > | XDEL a 2-0;XREADGROUP GROUP g c STREAMS a >
XACK a g 1-1 | XACK a g 1-1 2-0 9-9 | XACK a g 9-9 | XACK a none 1-1 | XPENDING a g | XPENDING a g - + 10 | XPENDING a g IDLE 0 - + 10 c
XCLAIM a g d 0 1-1 | XCLAIM a g d 0 1-1 2-0 9-9 | XCLAIM a g d 0 1-1 JUSTID | XCLAIM a g c 0 1-1 | XCLAIM a g d 3600000 1-1 | XCLAIM a g d 0 3-0 FORCE
XCLAIM a g d 0 9-0 FORCE | XCLAIM a g d 0 1-1 TIME 1000 RETRYCOUNT 7 | XCLAIM a g d 0 1-1 LASTID 9-0 | XCLAIM a g d 0 9-9 LASTID 9-9 | XCLAIM a g c 0 1-1 LASTID 1-0 JUSTID
XDEL a 1-1;XCLAIM a g d 0 1-1 2-0 | XCLAIM a none d 0 1-1
XAUTOCLAIM a g d 0 0 | XAUTOCLAIM a g d 0 0 COUNT 1 | XAUTOCLAIM a g d 0 0 JUSTID | XAUTOCLAIM a g c 0 0 | XAUTOCLAIM a g d 3600000 0 | XAUTOCLAIM a none d 0 0
XDEL a 1-1;XAUTOCLAIM a g d 0 0 | XDEL a 1-1 2-0;XAUTOCLAIM a g d 0 0
XINFO GROUPS a | XINFO CONSUMERS a g | XINFO STREAM a FULL | MULTI;XREADGROUP GROUP g c STREAMS a >;XACK a g 3-0;EXEC | XTRIM a MAXLEN 0 | XDEL a 2-0 | COPY a b | RENAME a b
XADD a MAXLEN 1 9-0 f v | XSETID a 9-0 | MULTI;XGROUP CREATE a h 0;XGROUP DESTROY a h;EXEC | DEL a
""", "stream_waiting": """
MULTI;XREAD BLOCK 0 STREAMS a $;EXEC | MULTI;XREADGROUP GROUP g c BLOCK 0 STREAMS a >;EXEC
XADD a 9-0 f v <- XREAD BLOCK 0 STREAMS a $ | XADD a 9-0 f v <- XREAD BLOCK 0 STREAMS a $ & XREAD BLOCK 0 STREAMS a 0 | XADD a MAXLEN 1 9-0 f v <- XREAD BLOCK 0 STREAMS a $
XADD a 9-0 f v <- BLPOP a 0 & XREAD BLOCK 0 STREAMS a $ | RENAME b a <- XREAD BLOCK 0 STREAMS a 0 | COPY b a <- XREAD BLOCK 0 STREAMS a 0
XADD a 9-0 f v <- XREADGROUP GROUP g c BLOCK 0 STREAMS a > | XADD a 9-0 f v <- XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS a >
XADD a 9-0 f v <- XREADGROUP GROUP g c BLOCK 0 STREAMS a > & XREADGROUP GROUP g d BLOCK 0 STREAMS a > | DEL a <- XREADGROUP GROUP g c BLOCK 0 STREAMS a >
MULTI;XADD a 9-0 f v;XADD a 10-0 f v;EXEC <- XREADGROUP GROUP g c COUNT 1 BLOCK 0 STREAMS a > & XREADGROUP GROUP g d BLOCK 0 STREAMS a >
XGROUP DESTROY a g <- XREADGROUP GROUP g c BLOCK 0 STREAMS a > | SET a 1 <- XREADGROUP GROUP g c BLOCK 0 STREAMS a > | RENAME a b <- XREADGROUP GROUP g c BLOCK 0 STREAMS a >
XGROUP CREATECONSUMER a g d <- XREADGROUP GROUP g c BLOCK 0 STREAMS a > | FLUSHALL <- XREADGROUP GROUP g c BLOCK 0 STREAMS a >
MULTI;XADD a 9-0 f v;XADD a 10-0 f v;EXEC <- XREAD BLOCK 0 STREAMS a $ | MULTI;XADD a 9-0 f v;DEL a;EXEC <- XREAD BLOCK 0 STREAMS a $
""", "sort": """
SORT a ALPHA | SORT a ALPHA STORE b | SORT a BY nosort STORE b | SORT a ALPHA LIMIT 0 0 STORE b | SORT a BY nosort STORE a | SORT_RO a ALPHA
""", "dump": """
DUMP a | RESTORE a 0 x
"""}

# Compared with a later Redis. In the last state, which is not, the field f is overdue and g stays: a payload, for nothing sets such a field.
OVERDUE = b"\x18\xe8\x03\0\0\0\0\0\0\x02\x01\x01f\x011\0\x01g\x01x\x0c\0Z\xe2\x98\xbb\xcfv\x9d\xde"
LATER_STATES = {**OTHER, "there": [["HSET", "{}", "f", "1", "g", "x"]],
                "timed": [["HSET", "{}", "f", "1", "g", "x"], ["HPEXPIREAT", "{}", FAR_MS, "FIELDS", "1", "f"]]}
OVERDUE_STATE = {"overdue": [["RESTORE", "{}", "0", OVERDUE]]}
LATER_CASES = """
HEXPIRE a 100 FIELDS 1 f | HPEXPIRE a 100000 FIELDS 2 f g | HEXPIREAT a 4102444801 FIELDS 3 f g n | HPEXPIREAT a 4102444800000 FIELDS 1 f
HEXPIRE a 100 NX FIELDS 2 f g | HEXPIRE a 100 XX FIELDS 2 f g | HEXPIRE a 100 GT FIELDS 2 f g | HEXPIRE a 100 LT FIELDS 2 f g | HEXPIRE a 100 FIELDS 1 n
HEXPIRE a 0 FIELDS 1 f | HEXPIRE a 0 FIELDS 2 f g | HPEXPIREAT a 1 FIELDS 3 g n f | HEXPIRE a 100 FIELDS 2 f f | HEXPIRE a x FIELDS 1 f
HPERSIST a FIELDS 1 f | HPERSIST a FIELDS 3 f g n | HTTL a FIELDS 2 f g | HPTTL a FIELDS 1 f | HEXPIRETIME a FIELDS 1 f | HPEXPIRETIME a FIELDS 1 f
HGETEX a FIELDS 2 f g | HGETEX a EX 100 FIELDS 2 f g | HGETEX a PXAT 4102444800000 FIELDS 2 f n | HGETEX a PERSIST FIELDS 2 f g | HGETEX a EX 0 FIELDS 1 f
HGETEX a PXAT 1 FIELDS 2 f g | HGETDEL a FIELDS 1 f | HGETDEL a FIELDS 3 f n g | HGETDEL a FIELDS 1 n
HSETEX a FIELDS 1 f 2 | HSETEX a FIELDS 2 f 2 n 3 | HSETEX a EX 100 FIELDS 1 f 2 | HSETEX a PXAT 4102444800000 FIELDS 2 f 2 n 3 | HSETEX a KEEPTTL FIELDS 1 f 2
HSETEX a FNX EX 100 FIELDS 1 f 2 | HSETEX a FXX EX 100 FIELDS 1 f 2 | HSETEX a FNX FIELDS 1 n 2 | HSETEX a PXAT 1 FIELDS 1 f 2 | HSETEX a PXAT 1 FIELDS 2 f 2 g 3
HSET a f 2 | HSET a n 1 | HSETNX a f 2 | HDEL a f | HDEL a f g | HINCRBY a f 1 | HINCRBYFLOAT a f 1 | HGET a f | HGET a g | HMGET a f g | HGETALL a | HEXISTS a f
HSTRLEN a f | HLEN a | HSCAN a 0 NOVALUES | COPY a b | RENAME a b | DEL a | MULTI;HEXPIRE a 100 FIELDS 1 g;HGETDEL a FIELDS 1 g;EXEC | HEXPIRE a 100 FIELDS 1 g;PERSIST a
PEXPIREAT a 4102444800000;HGETDEL a FIELDS 2 f g | SUNIONSTORE a b | EXPIRE a 100
"""

# What Redis 7.0 has not: {state of a: (changes, events, records)}. b is there. Records are commands that Redis 7.0 has.
SET, NEW, INCR, EXPIRE, DEL, EXPIRED = "$ 0 set a", "n 0 new a", "$ 0 incrby a", "g 0 expire a", "g 0 del a", "x 0 expired a"
SOON = "PXAT now+100"
OWN_CASES = {
    "MSETEX 1 a 1": {"absent": (1, [NEW, SET], ["SET a 1"]), "there": (1, [SET], ["SET a 1"]),
                     "expired": (1, [EXPIRED, NEW, SET], ["MULTI", "DEL a", "SET a 1", "EXEC"])},
    "MSETEX 1 a 1 EX 100": {"absent": (1, [NEW, SET, EXPIRE], ["SET a 1 " + SOON]), "there": (1, [SET, EXPIRE], ["SET a 1 " + SOON])},
    "MSETEX 2 a 1 c 2 PX 100000": {"there": (2, [SET, "n 0 new c", "$ 0 set c", EXPIRE, "g 0 expire c"],
                                             ["MULTI", "SET a 1 " + SOON, "SET c 2 " + SOON, "EXEC"])},
    "MSETEX 2 a 1 b 2 NX": {"absent": (0, [], []), "there": (0, [], []), "expired": (0, [EXPIRED], ["DEL a"])},
    "MSETEX 1 a 1 XX KEEPTTL": {"absent": (0, [], []), "there": (1, [SET], ["SET a 1 KEEPTTL"]), "expired": (0, [EXPIRED], ["DEL a"])},
    "INCREX a": {"absent": (1, [NEW, INCR], ["SET a 1 KEEPTTL"]), "there": (1, [INCR], ["SET a 6 KEEPTTL"]),
                 "expired": (1, [EXPIRED, NEW, INCR], ["MULTI", "DEL a", "SET a 1 KEEPTTL", "EXEC"])},
    "INCREX a BYFLOAT 0.5": {"there": (1, ["$ 0 incrbyfloat a"], ["SET a 5.5 KEEPTTL"])},
    "INCREX a UBOUND 5": {"absent": (1, [NEW, INCR], ["SET a 1 KEEPTTL"]), "there": (0, [], [])},
    "INCREX a EX 100": {"absent": (1, [NEW, INCR, EXPIRE], ["SET a 1 " + SOON]), "there": (1, [INCR, EXPIRE], ["SET a 6 " + SOON])},
    "INCREX a PERSIST": {"there": (1, [INCR], ["SET a 6"]), "expiring": (1, [INCR, "g 0 persist a"], ["SET a 6"])},
    "INCREX a PXAT 1": {"absent": (0, [], []), "there": (1, [DEL], ["DEL a"]), "expired": (0, [EXPIRED], ["DEL a"])},
    "DELIFEQ a 5": {"absent": (0, [], []), "there": (1, [DEL], ["DEL a"]), "expired": (0, [EXPIRED], ["DEL a"])},
    "DELEX a": {"absent": (0, [], []), "there": (1, [DEL], ["DEL a"]), "expired": (0, [EXPIRED], ["DEL a"])},
    "DELEX a IFEQ 5": {"absent": (0, [], []), "there": (1, [DEL], ["DEL a"]), "expired": (0, [EXPIRED], ["DEL a"])},
    "DELEX a IFNE 5": {"there": (0, [], [])},
    "SET a 1 IFDNE 0000000000000000": {"absent": (1, [NEW, SET], ["SET a 1"]), "there": (1, [SET], ["SET a 1"])},
    "DELIFEQ a 6": {"there": (0, [], []), "expired": (0, [EXPIRED], ["DEL a"])},
    "SET a 1 IFEQ 5": {"absent": (0, [], []), "there": (1, [SET], ["SET a 1"]), "expired": (0, [EXPIRED], ["DEL a"])},
    "SET a 1 IFEQ 5 KEEPTTL": {"expiring": (1, [SET], ["SET a 1 KEEPTTL"])},
    "SET a 1 IFNE 5 EX 100": {"absent": (1, [NEW, SET, EXPIRE], ["SET a 1 " + SOON]), "there": (0, [], []),
                              "expired": (1, [EXPIRED, NEW, SET, EXPIRE], ["MULTI", "DEL a", "SET a 1 " + SOON, "EXEC"])},
}

# The same of streams that groups have read.
XDEL, XTRIM, XADD = "t 0 xdel a", "t 0 xtrim a", "t 0 xadd a"
REFERENCES_CASES = {
    "XDELEX a IDS 2 1-1 9-9": {"there": (1, [XDEL], ["XDEL a 1-1"]), "read": (1, [XDEL], ["XDEL a 1-1"]), "empty": (0, [], [])},
    "XDELEX a DELREF IDS 2 1-1 3-0": {"there": (2, [XDEL], ["XDEL a 1-1 3-0"]), "absent": (0, [], []),
                                      "read": (3, [XDEL], ["MULTI", "XDEL a 1-1 3-0", "XACK a g 1-1", "EXEC"])},
    "XDELEX a ACKED IDS 3 1-1 2-0 3-0": {"there": (0, [], []), "read": (0, [], [])},
    "XDEL a 1-1;XDELEX a DELREF IDS 1 1-1": {"read": (2, [XDEL], ["XDEL a 1-1", "XACK a g 1-1"])},
    "XACK a g 1-1;XDELEX a ACKED IDS 2 1-1 2-0": {"read": (2, [XDEL], ["XACK a g 1-1", "XDEL a 1-1"])},
    "XACKDEL a g IDS 2 1-1 3-0": {"there": (0, [], []), "read": (2, [XDEL], ["MULTI", "XACK a g 1-1", "XDEL a 1-1", "EXEC"])},
    "XACKDEL a g ACKED IDS 2 1-1 3-0": {"absent": (0, [], []), "read": (2, [XDEL], ["MULTI", "XACK a g 1-1", "XDEL a 1-1", "EXEC"])},
    "XACKDEL a none IDS 1 1-1": {"read": (0, [], [])},
    "XNACK a g FAIL IDS 2 1-1 9-9": {"there": (0, [], []), "read": (1, [], ["XNACK a g FAIL IDS 1 1-1 RETRYCOUNT 1 FORCE"])},
    "XNACK a g FATAL IDS 1 3-0 FORCE": {"read": (1, [], ["XNACK a g FAIL IDS 1 3-0 RETRYCOUNT 9223372036854775807 FORCE"])},
    "XNACK a g SILENT IDS 1 1-1;XDEL a 1-1;XAUTOCLAIM a g d 0 0 COUNT 1": {
        "read": (3, [XDEL], ["XNACK a g FAIL IDS 1 1-1 RETRYCOUNT 0 FORCE", "XDEL a 1-1", "XACK a g 1-1"])},
    "XADD a IDMP p i * f v": {"absent": (1, ["n 0 new a", XADD], ["XADD a IDMP p i 1700000000000-0 f v"])},
    "XADD a IDMP p i * f v;XADD a IDMP p i MAXLEN 0 * f v": {"there": (2, [XADD], ["XADD a IDMP p i 1700000000000-0 f v", "XADD a IDMP p i 1700000000000-0 f v"])},
    "XADD a IDMPAUTO p NOMKSTREAM MAXLEN ~ 1 * f v": {"there": (1, [XADD], ["XADD a IDMPAUTO p NOMKSTREAM MAXLEN = 4 1700000000000-0 f v"]), "absent": (0, [], [])},
    "XADD a ACKED MAXLEN 1 IDMP p i * f v": {"read": (1, [XADD], ["XADD a IDMP p i 1700000000000-0 f v"])},
    "XCFGSET a IDMP-MAXSIZE 100": {"there": (0, [], []), "absent": (0, [], [])},
    "XCFGSET a IDMP-MAXSIZE 7": {"there": (1, [], ["XCFGSET a IDMP-MAXSIZE 7"])},
    "XIDMPRECORD a p i 1-1;XIDMPRECORD a p i 1-1": {"there": (1, [], ["XIDMPRECORD a p i 1-1"])},
    "XTRIM a MAXLEN 1 DELREF": {"there": (2, [XTRIM], ["XTRIM a MAXLEN = 1"]),
                                "read": (4, [XTRIM], ["MULTI", "XACK a g 1-1 2-0", "XTRIM a MAXLEN = 1", "EXEC"])},
    "XTRIM a MINID 2 DELREF": {"read": (2, [XTRIM], ["MULTI", "XACK a g 1-1", "XTRIM a MINID = 2-0", "EXEC"])},
    "XTRIM a MAXLEN 1 ACKED": {"there": (0, [], []), "read": (0, [], []), "empty": (0, [], [])},
    "XACK a g 1-1;XTRIM a MAXLEN 1 ACKED": {"read": (2, [XTRIM], ["XACK a g 1-1", "XDEL a 1-1"])},
    "XTRIM a MAXLEN 1 KEEPREF": {"read": (2, [XTRIM], ["XTRIM a MAXLEN 1"])},
    "XADD a MAXLEN 3 DELREF 9-0 f v": {"read": (2, [XADD, XTRIM], ["MULTI", "XADD a 9-0 f v", "XACK a g 1-1", "XTRIM a MAXLEN = 3", "EXEC"])},
    "XADD a ACKED MAXLEN 1 9-0 f v": {"read": (1, [XADD], ["XADD a 9-0 f v"]), "absent": (1, ["n 0 new a", XADD], ["XADD a MAXLEN 1 9-0 f v"])},
    "XADD a KEEPREF MAXLEN 1 9-0 f v": {"read": (1, [XADD, XTRIM], ["XADD a MAXLEN 1 9-0 f v"])},
}

# The same of a hash with a field that is overdue. Redis deletes it when somebody asks for it, and HEXPIRE revives it; kevy, whoever
# looks at the key. "a watched" is no case: WATCH deletes it, too.
HEXPIRED, HEXPIRE, HSET, HDEL, GONE = "h 0 hexpired a", "h 0 hexpire a", "h 0 hset a", "h 0 hdel a", "HDEL a f"
OVERDUE_CASES = {
    "HGET a f": (0, [HEXPIRED], [GONE]), "HGET a g": (0, [HEXPIRED], [GONE]), "HLEN a": (0, [HEXPIRED], [GONE]),
    "HTTL a FIELDS 1 f": (0, [HEXPIRED], [GONE]), "EXISTS a": (0, [HEXPIRED], [GONE]), "HGETEX a FIELDS 1 f": (0, [HEXPIRED], [GONE]),
    "HDEL a f": (0, [HEXPIRED], [GONE]), "HGETDEL a FIELDS 1 f": (0, [HEXPIRED], [GONE]), "HEXPIRE a 100 FIELDS 1 f": (0, [HEXPIRED], [GONE]),
    "HPERSIST a FIELDS 1 f": (0, [HEXPIRED], [GONE]), "HSETEX a FXX FIELDS 1 f 1": (0, [HEXPIRED], [GONE]),
    "HSET a f 1": (1, [HEXPIRED, HSET], ["MULTI", GONE, "HSET a f 1", "EXEC"]),
    "HINCRBY a f 7": (1, [HEXPIRED, "h 0 hincrby a"], ["MULTI", GONE, "HINCRBY a f 7", "EXEC"]),
    "HSETEX a FNX EX 100 FIELDS 1 f 1": (1, [HEXPIRED, HSET, HEXPIRE], ["MULTI", GONE, "HSETEX a PXAT now+100 FIELDS 1 f 1", "EXEC"]),
    "HEXPIRE a 0 FIELDS 2 f g": (1, [HEXPIRED, HDEL, DEL], ["MULTI", GONE, "HDEL a g", "EXEC"]),
    "COPY a c": (1, [HEXPIRED, "n 0 new c", "g 0 copy_to c"], ["MULTI", GONE, "COPY a c", "EXEC"]),
    "DEL a": (1, [HEXPIRED, DEL], ["MULTI", GONE, "DEL a", "EXEC"]),
}

# Where kevy is other than Redis, and shall be.
OTHERWISE = {
    r"BITOP \w+ a [ab]( b)? \(a expired": "the target has expired: Redis deletes it as a key that is there, and counts that",
    r"BITFIELD a OVERFLOW FAIL": "every operation has failed, but the string is longer: a change that Redis neither counts nor logs",
    r"WATCH a \(a expired": "Redis leaves the deletion of an expired key to others",
    r"(ZINCRBY a|ZADD a (GT )?INCR) \S+ \w+ \(a \w+\): records": "a sum of doubles is recorded as what it is, as HINCRBYFLOAT is",
    r"MEMORY USAGE a \(a expired": "Redis shows what has expired and is still there",
    r"(XADD|XTRIM) a \w+ ~ \d+ LIMIT .*: records": "Redis keeps LIMIT where it has made = of ~, and refuses that when it is replayed",
    r"XREADGROUP GROUP g [cd] STREAMS a (0|b > 0) .*: records": "of a consumer that is made for what it has read before Redis keeps no record",
    r"(RANDOMKEY|SCAN 0) \(a expired": "kevy leaves the deletion of an expired key to others",
}
LATER_OTHERWISE = {
    r"(HEXPIRE a 100 (NX|XX|LT)|HSETEX a (FNX|FXX)) .*: records": "what was changed is recorded, without a condition",
    r"(HPERSIST|HGETDEL) a FIELDS 3 .*: records": "what was changed is recorded, not what was asked for",
    r"HGETEX a (PERSIST|PXAT 4102444800000) FIELDS 2 .*: records": "the same",
    r"(HEXPIRE a 0|HPEXPIREAT a 1|HGETEX a PXAT 1|HSETEX a PXAT 1) FIELDS [23] .*: records": "one HDEL is recorded, not one for each field",
    r"HSETEX a PXAT 1 .* \(a (there|timed)\): events": "Redis sets what it deletes at once",
    r"HSETEX a PXAT 1 .* \(a absent\)": "Redis makes a key for fields that it deletes at once, and deletes that",
    r"HINCRBYFLOAT a f 1 .*: records": "HSET, which Redis 7.0 knows, where the field does not expire",
}


def words(line):
    return [word if word != "''" else "" for word in line.split()]


class Case:
    """Commands, and the states of the keys that they begin with; the second connection may watch one key."""

    def __init__(self, line, states, watched=None, ways=None):
        ways = ways or STATES
        own, _, others = line.partition("<-")
        self.commands = [words(command) for command in own.split(";")]
        self.waits = [words(command) for command in others.split("&") if command.strip()]
        self.name = "%s (%s)%s" % (line, ", ".join("%s %s" % pair for pair in sorted(states.items())),
                                   ", %s watched" % watched if watched else "")
        self.setup = [[word if isinstance(word, bytes) else str(word).format(key) for word in command] for key, state in sorted(states.items()) for command in ways[state]]
        self.watch = [["WATCH", watched]] if watched else []


def waited_for(command):
    """The keys on which this command waits."""
    moves = command[0] in ("BLMOVE", "BRPOPLPUSH")
    return [word for word in (command[1:2] if moves else command[1:]) if word in ("a", "b")]


def needed_by(command):
    """The state of a key that makes this command wait."""
    return "empty" if command[0] == "XREADGROUP" else "absent"


class Told:
    """What was told of a case: events as "CLASS DB NAME KEY", changes counted, whether the watcher's EXEC failed, records."""

    def __init__(self, events, changes, touched, records):
        self.events, self.changes, self.touched, self.records = events, changes, touched, records


def plain(stream, clocks):
    """RESP as a list of lines, a command each; points in time that are near one of these clocks are told from it, in fifties
    of seconds: under a sanitizer on a busy machine the clocks of two servers are read seconds before a case comes to them."""
    lines, at = [], 0
    while at < len(stream):
        head = re.compile(rb"\*(\d+)\r\n").match(stream, at)
        at, found = head.end(), []
        for _ in range(int(head.group(1))):
            head = re.compile(rb"\$(\d+)\r\n").match(stream, at)
            end = head.end() + int(head.group(1))
            assert stream[end:end + 2] == b"\r\n", "no end of an argument at %d of %r" % (end, stream)
            word, at = stream[head.end():end].decode(), end + 2
            for now_ms in clocks:
                if re.fullmatch(r"\d{13}", word) and abs(int(word) - now_ms) < 1e9:
                    word = "now+%d" % (round((int(word) - now_ms) / 50000) * 50)
            found.append(word or "''")
        lines.append(" ".join(found))
    return lines


def cases(lines, ways):
    for line in filter(str.strip, re.split(r"[|\n]", lines)):
        line = line.strip()
        keys = [key for key in "ab" if re.search(r"\b%s\b" % key, line)] or ["a"]
        for states in itertools.product(ways, repeat=len(keys)):
            for watched in [None] + keys:
                states_of = dict(zip(keys, states))
                case = Case(line, states_of, watched, ways)
                if all(states_of[key] == needed_by(command) for command in case.waits for key in waited_for(command)):
                    yield case


def known_families(probe):
    """The families of which kevy knows all commands."""
    requests = b"".join(encode("COMMAND", "INFO", *families.names(family.replace("_large", ""))) for family in FAMILY_CASES)
    output = subprocess.run([probe], input=requests, stdout=subprocess.PIPE, check=True).stdout.decode()
    replies = [parse(bytes.fromhex(line.split()[1])) for line in output.splitlines() if line.startswith("reply ")]
    return [family for family, reply in zip(FAMILY_CASES, replies) if None not in reply]


# ---- kevy ------------------------------------------------------------------------------------------------------------------


def up_to_changes(lines):
    """The lines before the next "changes N", and N."""
    found = list(itertools.takewhile(lambda line: not line.startswith("changes"), lines.rest()))
    lines.at += len(found) + 1
    return found, int(lines.all[lines.at - 1].split()[1])


class Lines:
    def __init__(self, text):
        self.all, self.at = text.splitlines(), 0

    def rest(self):
        return itertools.islice(self.all, self.at, None)


def told_by_probe(probe, all_cases):
    """A Told for each case."""
    requests = [["!now", PROBE_MS]]
    for case in all_cases:
        requests += [["!leave"], ["!client", 0], ["SELECT", 0], ["UNWATCH"], ["FLUSHALL"]] + case.setup
        for number, wait in enumerate(case.waits):
            requests += [["!client", 2 + number], wait]
        requests += [["!client", 1]] + case.watch + [["!client", 0], ["!records"], ["!changes"]] + case.commands + [["!changes"], ["!records"]]
        requests += [["!client", 1], ["MULTI"], ["EXEC"]]
    output = subprocess.run([probe], input=b"".join(encode(*request) for request in requests), stdout=subprocess.PIPE, check=True)
    lines, told = Lines(output.stdout.decode()), []
    for case in all_cases:
        before = up_to_changes(lines)[1]
        found, after = up_to_changes(lines)
        records = plain(bytes.fromhex(lines.all[lines.at][len("records "):]), CLOCKS)
        lines.at += 3  # these, and what MULTI and EXEC reply
        events = ["%s %s %s %s" % (*line.split()[1:4], bytes.fromhex(line.split()[4]).decode())
                  for line in found if line.startswith("event")]
        told.append(Told(events, after - before, lines.all[lines.at - 1] == "reply " + b"*-1\r\n".hex(), records))
    return told


# ---- Redis -----------------------------------------------------------------------------------------------------------------


class Redis:
    def __init__(self, server):
        self.log = open(os.path.join(server.directory, "appendonlydir", "appendonly.aof.1.incr.aof"), "rb")
        self.asker, self.watcher, self.listener = server.client(), server.client(), server.client()
        self.waiters = [server.client() for _ in range(2)]
        self.ids = [waiter.call("CLIENT", "ID") for waiter in self.waiters]
        self.asker.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        self.listener.call("PSUBSCRIBE", "*")

    def listen_to(self, classes):
        self.asker.call("CONFIG", "SET", "notify-keyspace-events", "K" + classes)

    def events(self):
        """("DB NAME KEY") of all events until now."""
        self.asker.send(encode("PUBLISH", "now", ""))
        found = []
        while True:
            _, _, channel, name = self.listener.read()
            if channel == b"now":
                self.asker.read()
                return found
            db, key = re.fullmatch(r"__keyspace@(\d+)__:(.*)", channel.decode()).groups()
            found.append("%s %s %s" % (db, name.decode(), key))

    def blocked(self):
        return int(re.search(rb"blocked_clients:(\d+)", self.asker.call("INFO", "clients")).group(1))

    def run(self, case):
        self.asker.pipeline([["SELECT", 0], ["UNWATCH"], ["FLUSHALL"]] + case.setup)
        for number, wait in enumerate(case.waits):
            self.waiters[number].send(encode(*wait))
            eventually("%s to wait" % wait, lambda: self.blocked() == number + 1)
        self.events()
        self.watcher.pipeline(case.watch)
        self.log.read()
        now_ms = time.time() * 1000
        ask_changes = [["INFO", "persistence"]]
        replies = self.asker.pipeline(ask_changes + case.commands + ask_changes)
        before, after = (int(re.search(rb"rdb_changes_since_last_save:(\d+)", replies[i]).group(1)) for i in (0, -1))
        touched = self.watcher.pipeline([["MULTI"], ["EXEC"]])[1] is None
        for number in range(len(case.waits)):
            self.asker.call("CLIENT", "UNBLOCK", self.ids[number])
            self.waiters[number].read()
        return Told(self.events(), after - before, touched, plain(self.log.read(), (now_ms,)))


def classes_in_redis(redis, all_cases):
    """{event: the letter that asks for it}"""
    examples, found = {}, {}
    redis.listen_to("Amn")
    for case in all_cases:
        for event in redis.run(case).events:
            examples.setdefault(event.split()[1], case)
    for letter in CLASSES:
        redis.listen_to(letter)
        for case in {id(case): case for case in examples.values()}.values():
            for event in redis.run(case).events:
                name = event.split()[1]
                assert found.setdefault(name, letter) == letter, "%s is of two classes" % name
    return found


# ---- Comparing -------------------------------------------------------------------------------------------------------------


def differences(case, ours, theirs):
    """WATCH deletes an expired key in kevy, and not in Redis: what was told of a watched key's case is not compared.

    What serves somebody is recorded at once with what he gets, and in Redis one after the other; there the ends of lists are written small."""
    found = []
    if case.waits:
        for told in ours, theirs:
            told.records = [re.sub(" (left|right)", lambda word: word.group().upper(), record) for record in told.records
                            if record not in ("MULTI", "EXEC")]
    for what in ("touched",) if case.watch else ("events", "changes", "records"):
        mine, his = getattr(ours, what), getattr(theirs, what)
        if mine != his:
            found.append("%s: %s %s, in redis %s" % (case.name, what, show_all(mine), show_all(his)))
    return found


def show_all(value):
    return "[%s]" % ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def compare(path, all_cases, ours):
    """Differences between what was told of the cases here and by this redis-server."""
    found = []
    with Server("--appendonly", "yes", "--appendfsync", "no", path=path) as server:
        redis = Redis(server)
        classes = classes_in_redis(redis, [case for case in all_cases if not case.watch])
        redis.listen_to("Amn")
        for case, mine in zip(all_cases, ours):
            his = redis.run(case)
            his.events = ["%s %s" % (classes[event.split()[1]], event) for event in his.events]
            found += differences(case, mine, his)
    return found


def unexplained(found, otherwise):
    """Those that shall not be, and reasons for which there is no difference any more."""
    unneeded = [pattern for pattern in otherwise if not any(re.match(pattern, line) for line in found)]
    return ([line for line in found if not any(re.match(pattern, line) for pattern in otherwise)]
            + ["no different from Redis any more: " + pattern for pattern in unneeded])


def spoil(told):
    """One offence of each kind."""
    def first(condition):
        return next(each for each in told if condition(each))

    for each in told:
        each.events = [event.replace("rename_to", "rename-to") for event in each.events]
    first(lambda each: len(each.events) == 3).events.pop()
    timed = first(lambda each: any("PEXPIREAT" in record for record in each.records))
    timed.records = [record.replace("PEXPIREAT", "PEXPIRE") for record in timed.records]
    first(lambda each: each.changes == 2).changes += 1
    first(lambda each: each.touched).touched = False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("probe")
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    all_cases = list(cases(CASES, STATES))
    for family in known_families(options.probe):
        all_cases += cases(FAMILY_CASES[family], FAMILY_STATES[family])
    ours = told_by_probe(options.probe, all_cases)
    if options.plant:
        spoil(ours)
    found = compare(find_redis(), all_cases, ours)
    later = list(cases(LATER_CASES, LATER_STATES))
    later_redis = find_later_redis()
    later_found = compare(later_redis, later, told_by_probe(options.probe, later)) if later_redis else []
    own_cases = [(Case(line, {"a": state, "b": "there"}), expected) for line, states in OWN_CASES.items()
                 for state, expected in states.items()]
    own_cases += [(Case(line, {"a": state}, None, FAMILY_STATES["stream_groups"]), expected) for line, states in REFERENCES_CASES.items()
                  for state, expected in states.items()]
    own_cases += [(Case(line, {"a": "overdue"}, None, OVERDUE_STATE), expected) for line, expected in OVERDUE_CASES.items()]
    for (case, expected), mine in zip(own_cases, told_by_probe(options.probe, [case for case, _ in own_cases])):
        found += differences(case, mine, Told(expected[1], expected[0], False, expected[2]))
    found = unexplained(found, OTHERWISE) + (unexplained(later_found, LATER_OTHERWISE) if later_redis else [])
    if found:
        sys.exit("DIFFERENT in %d of %d cases:\n    %s" % (len(found), len(all_cases) + len(later), "\n    ".join(found[:40])))
    if not later_redis:
        print("skipped: no redis-server of version 8 or later; %d cases of fields that expire were compared with nobody" % len(later))
    print("ok: %d cases, %d events" % (len(all_cases) + len(own_cases) + len(later) * bool(later_redis), sum(len(each.events) for each in ours)))


if __name__ == "__main__":
    main()
