// ioredis.cjs - scenarios with ioredis, which speaks RESP3 of its own accord and shows it as RESP2 unless told otherwise.
"use strict";
const { Redis, Cluster } = require("ioredis");
const { assert, port, clusterPort, eventually, Inbox, largeValue, rejects, run } = require("./scenarios.cjs");

const open = [];

function connect(options = {}) {
    const client = new Redis({ port, ...options });
    client.on("error", () => {}); // connections that a scenario has ended; a command that fails tells of it
    open.push(client);
    return client;
}

const c = connect();

async function pipelines() {
    const pipeline = c.pipeline();
    for (let i = 0; i < 5000; i++) pipeline.set(`p:${i}`, i).get(`p:${i}`);
    pipeline.lpush("p:0", "x").incr("p:1");
    const replies = await pipeline.exec();
    assert.equal(replies.length, 10002);
    for (let i = 0; i < 5000; i++) assert.deepEqual([replies[2 * i], replies[2 * i + 1]], [[null, "OK"], [null, String(i)]]);
    assert.match(replies[10000][0].message, /^WRONGTYPE/);
    assert.deepEqual(replies[10001], [null, 2]);
    // What is not awaited is one pipeline too.
    const all = [];
    for (let i = 0; i < 1000; i++) all.push(c.incr("p:count"));
    assert.deepEqual(await Promise.all(all), Array.from({ length: 1000 }, (_, i) => i + 1));
}

async function transactions() {
    const replies = await c.multi().set("t", 1).incr("t").lpush("t", "x").get("t").exec();
    assert.deepEqual([replies[0], replies[1], replies[3]], [[null, "OK"], [null, 2], [null, "2"]]);
    assert.match(replies[2][0].message, /^WRONGTYPE/);
    await rejects(c.multi().set("t").get("t").exec(), /^EXECABORT/);
    await c.multi({ pipeline: false });
    assert.equal(await c.set("t", 9), "QUEUED");
    assert.equal(await c.discard(), "OK");
    assert.equal(await c.get("t"), "2");
}

async function watchConflicts() {
    const other = connect();
    await c.set("w", 1);
    await c.watch("w");
    await other.incr("w");
    assert.equal(await c.multi().set("w", "mine").exec(), null);
    assert.equal(await c.get("w"), "2");
    await c.watch("w");
    assert.deepEqual(await c.multi().set("w", "mine").exec(), [[null, "OK"]]);
    await c.watch("w");
    await other.set("w", "theirs");
    await c.unwatch();
    assert.deepEqual(await c.multi().get("w").exec(), [[null, "theirs"]]);
}

async function publishAndSubscribe() {
    const subscriber = connect();
    const inbox = new Inbox();
    subscriber.on("message", (channel, message) => inbox.put(["message", channel, message]));
    subscriber.on("pmessage", (pattern, channel, message) => inbox.put(["pmessage", pattern, channel, message]));
    subscriber.on("smessage", (channel, message) => inbox.put(["smessage", channel, message]));
    assert.equal(await subscriber.subscribe("news", "sport"), 2);
    assert.equal(await subscriber.psubscribe("n*"), 3);
    await subscriber.ssubscribe("shard");
    const counts = await Promise.all(Array.from({ length: 1000 }, (_, i) => c.publish("sport", i)));
    assert.deepEqual(new Set(counts), new Set([1]));
    assert.deepEqual(await inbox.take(1000, "messages"), Array.from({ length: 1000 }, (_, i) => ["message", "sport", String(i)]));
    assert.equal(await c.publish("news", "hello"), 2);
    assert.deepEqual((await inbox.take(2, "messages")).map((m) => m[0]).sort(), ["message", "pmessage"]);
    assert.equal(await c.spublish("shard", "here"), 1);
    assert.deepEqual(await inbox.take(1, "message"), [["smessage", "shard", "here"]]);
    await subscriber.unsubscribe("news", "sport");
    await subscriber.punsubscribe("n*");
    await subscriber.sunsubscribe("shard");
    assert.equal(await c.publish("news", "nobody"), 0);
    assert.equal(await subscriber.get("w"), "theirs");
}

async function keyspaceEvents() {
    const subscriber = connect();
    const inbox = new Inbox();
    await c.config("SET", "notify-keyspace-events", "KEA");
    subscriber.on("pmessage", (pattern, channel, message) => inbox.put([channel, message]));
    await subscriber.psubscribe("__key*__:*");
    await c.set("e", 1);
    assert.deepEqual(await inbox.take(2, "events"), [["__keyspace@0__:e", "set"], ["__keyevent@0__:set", "e"]]);
    await c.config("SET", "notify-keyspace-events", "");
}

async function blockingPops() {
    const waiter = connect();
    const popped = waiter.blpop("b:none", "b:list", 20);
    await c.ping();
    await eventually("somebody to be blocked", async () => /blocked_clients:1/.test(await c.info("clients")));
    await c.rpush("b:list", "one", "two");
    assert.deepEqual(await popped, ["b:list", "one"]);
    assert.deepEqual(await waiter.brpop("b:list", 20), ["b:list", "two"]);
    assert.equal(await waiter.blpop("b:list", 0.01), null);
    const moved = waiter.blmove("b:from", "b:to", "LEFT", "RIGHT", 20);
    await c.rpush("b:from", "x");
    assert.equal(await moved, "x");
    const least = waiter.bzpopmin("b:zset", 20);
    await c.zadd("b:zset", 2, "b", 1.5, "a");
    const [key, member, score] = await least;
    assert.deepEqual([key, member, Number(score)], ["b:zset", "a", 1.5]);
}

async function scanIterators() {
    const names = Array.from({ length: 5000 }, (_, i) => `scan:${i}`).sort();
    await c.mset(...names.flatMap((name) => [name, "v"]));
    await c.hset("scanned:hash", ...names.flatMap((name) => [name, "v"]));
    await c.sadd("scanned:set", ...names);
    await c.zadd("scanned:zset", ...names.flatMap((name, i) => [i, name]));
    const drain = async (stream, step) => {
        const seen = new Set();
        for await (const batch of stream) for (let i = 0; i < batch.length; i += step) seen.add(batch[i]);
        return [...seen].sort();
    };
    assert.deepEqual(await drain(c.scanStream({ match: "scan:*", count: 100 }), 1), names);
    assert.deepEqual(await drain(c.scanStream({ match: "scan*", type: "zset" }), 1), ["scanned:zset"]);
    assert.deepEqual(await drain(c.hscanStream("scanned:hash", { count: 50 }), 2), names);
    assert.deepEqual(await drain(c.sscanStream("scanned:set"), 1), names);
    assert.deepEqual(await drain(c.zscanStream("scanned:zset"), 2), names);
}

async function streamsAreRead() {
    const reader = connect();
    const id = await c.xadd("s:plain", "*", "field", "one");
    const waited = reader.xread("BLOCK", 20000, "STREAMS", "s:plain", id);
    await eventually("somebody to be blocked", async () => /blocked_clients:1/.test(await c.info("clients")));
    const next = await c.xadd("s:plain", "*", "field", "two");
    assert.deepEqual(await waited, [["s:plain", [[next, ["field", "two"]]]]]);
    assert.deepEqual(await c.xrange("s:plain", "-", "+"), [[id, ["field", "one"]], [next, ["field", "two"]]]);
    assert.equal(await reader.xread("BLOCK", 10, "STREAMS", "s:plain", "$"), null);
}

async function consumerGroups() {
    await c.xgroup("CREATE", "s", "workers", "$", "MKSTREAM");
    await rejects(c.xgroup("CREATE", "s", "workers", "$"), /^BUSYGROUP/);
    const workers = [connect(), connect()];
    const done = [];
    const work = async (worker, i) => {
        for (;;) {
            const read = await worker.xreadgroup("GROUP", "workers", `worker${i}`, "COUNT", 7, "BLOCK", 20000, "STREAMS", "s", ">");
            for (const [id, [, value]] of read[0][1]) {
                if (value === "stop") return;
                done.push(Number(value));
                if (Number(value) % 10) assert.equal(await worker.xack("s", "workers", id), 1);
            }
        }
    };
    const working = workers.map(work);
    await Promise.all(Array.from({ length: 500 }, (_, i) => c.xadd("s", "*", "n", i)));
    await eventually("all entries to be read", () => done.length >= 500);
    assert.deepEqual(done.sort((a, b) => a - b), Array.from({ length: 500 }, (_, i) => i));
    // One after the other: one worker may have read both.
    let ended = 0;
    for (const one of working) one.then(() => ended++);
    for (let i = 0; i < 2; i++) {
        await c.xadd("s", "*", "n", "stop");
        await eventually("a worker to stop", () => ended > i);
    }
    await Promise.all(working);
    const [pending] = await c.xpending("s", "workers");
    assert.equal(pending, 52);
    const [cursor, claimed] = await c.xautoclaim("s", "workers", "heir", 0, "0-0", "COUNT", 1000);
    assert.deepEqual([cursor, claimed.length], ["0-0", 52]);
    assert.equal(await c.xack("s", "workers", ...claimed.map(([id]) => id)), 52);
    assert.equal((await c.xpending("s", "workers"))[0], 0);
    assert.equal((await c.xinfo("CONSUMERS", "s", "workers")).length, 3);
}

// ioredis keeps no cache; who builds one has a second connection told what is no longer true.
async function caching() {
    const told = connect({ protocol: 2 });
    const reader = connect();
    const inbox = new Inbox();
    told.on("message", (channel, message) => inbox.put([channel, message]));
    const id = await told.client("ID");
    await told.subscribe("__redis__:invalidate");
    assert.equal(await reader.client("TRACKING", "ON", "REDIRECT", id), "OK");
    await c.set("cached", 1);
    assert.equal(await reader.get("cached"), "1");
    await c.set("cached", 2);
    const [[channel, keys]] = await inbox.take(1, "invalidation");
    assert.equal(channel, "__redis__:invalidate");
    assert.deepEqual([].concat(keys).map(String), ["cached"]);
    assert.equal(await reader.get("cached"), "2");
}

async function resp3() {
    const three = connect({ replyMapping: "resp3" });
    assert.match(await three.client("INFO"), / resp=3/);
    await three.hset("r:hash", "a", "1", "b", "2");
    assert.deepEqual({ ...(await three.hgetall("r:hash")) }, { a: "1", b: "2" });
    await three.zadd("r:zset", 1.5, "m");
    assert.equal(await three.zscore("r:zset", "m"), 1.5);
    await three.sadd("r:set", "x");
    assert.deepEqual([...(await three.smembers("r:set"))], ["x"]);
    assert.equal(await three.get("r:none"), null);
    const config = await three.config("GET", "maxclients");
    assert.equal(Number(config.maxclients) > 0, true);
    // The same commands, by a client that speaks RESP2.
    const two = connect({ protocol: 2 });
    assert.match(await two.client("INFO"), / resp=2/);
    assert.deepEqual(await two.hgetall("r:hash"), { a: "1", b: "2" });
    assert.equal(await two.zscore("r:zset", "m"), "1.5");
}

async function cluster() {
    const nodes = new Cluster([{ host: "127.0.0.1", port: clusterPort }]);
    open.push(nodes);
    for (let i = 0; i < 200; i++) assert.equal(await nodes.set(`cl:${i}`, i), "OK");
    assert.equal(await nodes.get("cl:77"), "77");
    assert.equal(nodes.nodes("master").length, 1);
    await nodes.mset("{a}1", "x", "{a}2", "y");
    assert.deepEqual(await nodes.mget("{a}1", "{a}2"), ["x", "y"]);
    assert.deepEqual(await nodes.multi().incr("{a}n").incr("{a}n").exec(), [[null, 1], [null, 2]]);
    const pipeline = nodes.pipeline();
    for (let i = 0; i < 200; i++) pipeline.get(`cl:${i}`);
    assert.deepEqual((await pipeline.exec()).map(([, value]) => value), Array.from({ length: 200 }, (_, i) => String(i)));
    const inbox = new Inbox();
    nodes.on("message", (channel, message) => inbox.put([channel, message]));
    await nodes.subscribe("cl:news");
    await nodes.publish("cl:news", "hello");
    assert.deepEqual(await inbox.take(1, "message"), [["cl:news", "hello"]]);
}

async function largeValues() {
    const value = largeValue();
    assert.equal(await c.set("large", value), "OK");
    assert.equal(Buffer.compare(await c.getBuffer("large"), value), 0);
    await c.hset("large:hash", "field", value);
    assert.equal(Buffer.compare(await c.hgetBuffer("large:hash", "field"), value), 0);
    const all = await Promise.all(Array.from({ length: 8 }, () => c.getBuffer("large")));
    for (const one of all) assert.equal(Buffer.compare(one, value), 0);
    assert.equal(await c.strlen("large"), value.length);
    await c.del("large", "large:hash");
}

async function reconnects() {
    const client = connect({ retryStrategy: () => 5, connectionName: "again", db: 3 });
    await client.set("again", "first");
    const kill = async (id) => assert.equal(await c.client("KILL", "ID", id), 1);
    const before = await client.client("ID");
    await kill(before);
    assert.equal(await client.get("again"), "first");
    assert.notEqual(await client.client("ID"), before);
    assert.equal(await client.client("GETNAME"), "again");
    // Who waits for an element waits again.
    const waiting = client.blpop("again:list", 0);
    await eventually("somebody to be blocked", async () => /blocked_clients:1/.test(await c.info("clients")));
    await kill((await c.client("LIST")).match(/id=(\d+).* name=again /)[1]);
    const pusher = connect({ db: 3 });
    await pusher.rpush("again:list", "x");
    assert.deepEqual(await waiting, ["again:list", "x"]);
    // Who is subscribed is subscribed again.
    const subscriber = connect({ retryStrategy: () => 5 });
    const inbox = new Inbox();
    subscriber.on("message", (channel, message) => inbox.put(message));
    const id = await subscriber.client("ID");
    await subscriber.subscribe("again:news");
    await kill(id);
    await eventually("the channel to have its subscriber again", async () => (await c.publish("again:news", "hello")) === 1);
    assert.deepEqual(await inbox.take(1, "message"), ["hello"]);
}

run(
    [
        { name: "pipelines", body: pipelines },
        { name: "transactions", body: transactions },
        { name: "WATCH conflicts", body: watchConflicts },
        { name: "publish and subscribe", body: publishAndSubscribe },
        { name: "keyspace events", body: keyspaceEvents },
        { name: "blocking pops", body: blockingPops },
        { name: "scan iterators", body: scanIterators },
        { name: "streams", needs: ["xadd", "xread", "xrange"], body: streamsAreRead },
        { name: "consumer groups", needs: ["xreadgroup", "xautoclaim"], body: consumerGroups },
        { name: "client-side caching", needs: ["client|tracking"], body: caching },
        { name: "RESP3", body: resp3 },
        { name: "a cluster", body: cluster },
        { name: "values of 8 MiB", body: largeValues },
        { name: "reconnects", body: reconnects },
    ],
    async (name) => (await c.call("COMMAND", "INFO", name))[0],
    async () => open.forEach((client) => client.disconnect()),
);
