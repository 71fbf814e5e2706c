// node_redis.cjs - scenarios with node-redis, which speaks RESP3 unless told otherwise and has a cache of its own.
"use strict";
const { createClient, createCluster, RESP_TYPES, WatchError, ErrorReply } = require("redis");
const { assert, port, clusterPort, eventually, Inbox, largeValue, rejects, run } = require("./scenarios.cjs");

const open = [];

async function connect(options = {}) {
    const client = createClient({ ...options, socket: { host: "127.0.0.1", port, reconnectStrategy: () => 5 } });
    client.on("error", () => {}); // connections that a scenario has ended; a command that fails tells of it
    open.push(client);
    await client.connect();
    return client;
}

let c;

async function somebodyBlocked() {
    await eventually("somebody to be blocked", async () => /blocked_clients:1/.test(await c.info("clients")));
}

async function pipelines() {
    const all = [];
    for (let i = 0; i < 5000; i++) all.push(c.set(`p:${i}`, String(i)), c.get(`p:${i}`));
    const replies = await Promise.all(all);
    for (let i = 0; i < 5000; i++) assert.deepEqual([replies[2 * i], replies[2 * i + 1]], ["OK", String(i)]);
    await rejects(c.lPush("p:0", "x"), /^WRONGTYPE/);
    assert.deepEqual(await c.multi().set("p:a", "1").incr("p:a").execAsPipeline(), ["OK", 2]);
}

async function transactions() {
    assert.deepEqual(await c.multi().set("t", "1").incr("t").get("t").exec(), ["OK", 2, "2"]);
    await rejects(c.multi().incr("t").lPush("t", "x").exec(), /./);
    assert.equal(await c.get("t"), "3");
    await rejects(c.multi().addCommand(["GET"]).get("t").exec(), /EXECABORT|wrong number/);
}

async function watchConflicts() {
    const other = await connect();
    const own = await connect();
    await own.set("w", "1");
    await own.watch("w");
    await other.incr("w");
    await assert.rejects(own.multi().set("w", "mine").exec(), WatchError);
    assert.equal(await own.get("w"), "2");
    await own.watch("w");
    assert.deepEqual(await own.multi().set("w", "mine").exec(), ["OK"]);
    await own.watch("w");
    await other.set("w", "theirs");
    await own.unwatch();
    assert.deepEqual(await own.multi().get("w").exec(), ["theirs"]);
}

async function publishAndSubscribe() {
    const subscriber = await connect();
    const inbox = new Inbox();
    const note = (message, channel) => inbox.put([channel, message]);
    await subscriber.subscribe(["news", "sport"], note);
    await subscriber.pSubscribe("n*", note);
    await subscriber.sSubscribe("shard", note);
    const counts = await Promise.all(Array.from({ length: 1000 }, (_, i) => c.publish("sport", String(i))));
    assert.deepEqual(new Set(counts), new Set([1]));
    assert.deepEqual(await inbox.take(1000, "messages"), Array.from({ length: 1000 }, (_, i) => ["sport", String(i)]));
    assert.equal(await c.publish("news", "hello"), 2);
    assert.deepEqual(await inbox.take(2, "messages"), [["news", "hello"], ["news", "hello"]]);
    assert.equal(await c.sPublish("shard", "here"), 1);
    assert.deepEqual(await inbox.take(1, "message"), [["shard", "here"]]);
    // RESP3: a subscriber may send everything else.
    assert.equal(await subscriber.get("w"), "theirs");
    await subscriber.unsubscribe();
    await subscriber.pUnsubscribe();
    await subscriber.sUnsubscribe();
    assert.equal(await c.publish("news", "nobody"), 0);
}

async function blockingPops() {
    const waiter = await connect();
    const popped = waiter.blPop(["b:none", "b:list"], 20);
    await somebodyBlocked();
    await c.rPush("b:list", ["one", "two"]);
    assert.deepEqual({ ...(await popped) }, { key: "b:list", element: "one" });
    assert.deepEqual({ ...(await waiter.brPop("b:list", 20)) }, { key: "b:list", element: "two" });
    assert.equal(await waiter.blPop("b:list", 0.01), null);
    const moved = waiter.blMove("b:from", "b:to", "LEFT", "RIGHT", 20);
    await c.rPush("b:from", "x");
    assert.equal(await moved, "x");
    const least = waiter.bzPopMin("b:zset", 20);
    await c.zAdd("b:zset", [{ score: 2, value: "b" }, { score: 1.5, value: "a" }]);
    assert.deepEqual({ ...(await least) }, { key: "b:zset", value: "a", score: 1.5 });
}

async function scanIterators() {
    const names = Array.from({ length: 5000 }, (_, i) => `scan:${i}`).sort();
    await c.mSet(names.map((name) => [name, "v"]));
    await c.hSet("scanned:hash", names.map((name) => [name, "v"]));
    await c.sAdd("scanned:set", names);
    await c.zAdd("scanned:zset", names.map((value, score) => ({ value, score })));
    const drain = async (batches, name = (item) => item) => {
        const seen = new Set();
        for await (const batch of batches) for (const item of batch) seen.add(name(item));
        return [...seen].sort();
    };
    assert.deepEqual(await drain(c.scanIterator({ MATCH: "scan:*", COUNT: 100 })), names);
    assert.deepEqual(await drain(c.scanIterator({ MATCH: "scan*", TYPE: "zset" })), ["scanned:zset"]);
    assert.deepEqual(await drain(c.hScanIterator("scanned:hash", { COUNT: 50 }), (item) => item.field), names);
    assert.deepEqual(await drain(c.sScanIterator("scanned:set")), names);
    assert.deepEqual(await drain(c.zScanIterator("scanned:zset"), (item) => item.value), names);
}

async function streamsAreRead() {
    const reader = await connect();
    const id = await c.xAdd("s:plain", "*", { field: "one" });
    const waited = reader.xRead([{ key: "s:plain", id }], { BLOCK: 20000 });
    await somebodyBlocked();
    const next = await c.xAdd("s:plain", "*", { field: "two" });
    const [{ name, messages }] = await waited;
    assert.deepEqual([name, messages.map((m) => [m.id, { ...m.message }])], ["s:plain", [[next, { field: "two" }]]]);
    assert.deepEqual((await c.xRange("s:plain", "-", "+")).map((m) => m.id), [id, next]);
    assert.deepEqual((await c.xRevRange("s:plain", "+", "-", { COUNT: 1 })).map((m) => m.id), [next]);
    const info = await c.xInfoStream("s:plain");
    assert.deepEqual([info.length, info["last-generated-id"], info["first-entry"].id], [2, next, id]);
    assert.equal(await c.xTrim("s:plain", "MAXLEN", 1), 1);
    assert.equal(await c.xDel("s:plain", next), 1);
    assert.equal(await reader.xRead([{ key: "s:plain", id: "$" }], { BLOCK: 10 }), null);
}

async function consumerGroups() {
    await c.xGroupCreate("s", "workers", "$", { MKSTREAM: true });
    await rejects(c.xGroupCreate("s", "workers", "$"), /^BUSYGROUP/);
    const workers = [await connect(), await connect()];
    const done = [];
    const work = async (worker, i) => {
        for (;;) {
            const [{ messages }] = await worker.xReadGroup("workers", `worker${i}`, [{ key: "s", id: ">" }], { COUNT: 7, BLOCK: 20000 });
            for (const { id, message } of messages) {
                if (message.n === "stop") return;
                done.push(Number(message.n));
                if (Number(message.n) % 10) assert.equal(await worker.xAck("s", "workers", id), 1);
            }
        }
    };
    const working = workers.map(work);
    await Promise.all(Array.from({ length: 500 }, (_, i) => c.xAdd("s", "*", { n: String(i) })));
    await eventually("all entries to be read", () => done.length >= 500);
    assert.deepEqual(done.sort((a, b) => a - b), Array.from({ length: 500 }, (_, i) => i));
    // One after the other: one worker may have read both.
    let ended = 0;
    for (const one of working) one.then(() => ended++);
    for (let i = 0; i < 2; i++) {
        await c.xAdd("s", "*", { n: "stop" });
        await eventually("a worker to stop", () => ended > i);
    }
    await Promise.all(working);
    assert.equal((await c.xPending("s", "workers")).pending, 52);
    assert.equal((await c.xPendingRange("s", "workers", "-", "+", 100)).length, 52);
    const { nextId, messages } = await c.xAutoClaim("s", "workers", "heir", 0, "0-0", { COUNT: 1000 });
    assert.deepEqual([nextId, messages.length], ["0-0", 52]);
    assert.equal(await c.xAck("s", "workers", messages.map((m) => m.id)), 52);
    assert.equal((await c.xPending("s", "workers")).pending, 0);
    assert.equal((await c.xInfoConsumers("s", "workers")).length, 3);
    assert.deepEqual((await c.xInfoGroups("s")).map((g) => [g.name, g.consumers, g.pending]), [["workers", 3, 0]]);
}

async function caching() {
    const cached = await connect({ RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: "LRU" } });
    const calls = async (name) => Number(((await c.info("commandstats")).match(`cmdstat_${name}:calls=(\\d+)`) || [0, 0])[1]);
    await c.set("cached", "1");
    assert.equal(await cached.get("cached"), "1");
    const before = await calls("get");
    for (let i = 0; i < 100; i++) assert.equal(await cached.get("cached"), "1");
    assert.equal(await calls("get"), before);
    await c.set("cached", "2");
    await eventually("the new value to be seen", async () => (await cached.get("cached")) === "2");
    await c.hSet("cached:hash", "field", "1");
    assert.equal(await cached.hGet("cached:hash", "field"), "1");
    await c.hSet("cached:hash", "field", "2");
    await eventually("the new field to be seen", async () => (await cached.hGet("cached:hash", "field")) === "2");
    await c.flushAll();
    await eventually("the key to be gone", async () => (await cached.get("cached")) === null);
}

async function protocols() {
    for (const RESP of [2, 3]) {
        const client = await connect({ RESP });
        assert.match(await client.sendCommand(["CLIENT", "INFO"]), new RegExp(` resp=${RESP}`));
        await client.hSet("r:hash", { a: "1", b: "2" });
        assert.deepEqual({ ...(await client.hGetAll("r:hash")) }, { a: "1", b: "2" });
        await client.zAdd("r:zset", { score: 1.5, value: "m" });
        assert.equal(await client.zScore("r:zset", "m"), 1.5);
        assert.deepEqual(await client.zRangeWithScores("r:zset", 0, -1), [{ value: "m", score: 1.5 }]);
        await client.sAdd("r:set", "x");
        assert.deepEqual(await client.sMembers("r:set"), ["x"]);
        assert.equal(await client.get("r:none"), null);
        assert.equal(Number((await client.configGet("maxclients")).maxclients) > 0, true);
        const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
        const dumped = await bytes.dump("r:hash");
        assert.equal(await bytes.restore("r:copy", 0, dumped, { REPLACE: true }), "OK");
        assert.deepEqual({ ...(await client.hGetAll("r:copy")) }, { a: "1", b: "2" });
        await assert.rejects(client.incr("r:hash"), ErrorReply);
    }
}

async function cluster() {
    for (const RESP of [2, 3]) {
        const nodes = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${clusterPort}` }], RESP });
        nodes.on("error", () => {});
        open.push(nodes);
        await nodes.connect();
        await nodes.del("{a}n");
        await Promise.all(Array.from({ length: 200 }, (_, i) => nodes.set(`cl:${i}`, String(i))));
        assert.equal(await nodes.get("cl:77"), "77");
        assert.equal(nodes.masters.length, 1);
        await nodes.mSet({ "{a}1": "x", "{a}2": "y" });
        assert.deepEqual(await nodes.mGet(["{a}1", "{a}2"]), ["x", "y"]);
        assert.deepEqual(await nodes.multi().incr("{a}n").incr("{a}n").exec(), [1, 2]);
        const inbox = new Inbox();
        await nodes.subscribe("cl:news", (message) => inbox.put(message));
        await nodes.sSubscribe("cl:shard", (message) => inbox.put(message));
        await nodes.publish("cl:news", "hello");
        assert.deepEqual(await inbox.take(1, "message"), ["hello"]);
        await nodes.sPublish("cl:shard", "here");
        assert.deepEqual(await inbox.take(1, "message"), ["here"]);
    }
}

async function largeValues() {
    const value = largeValue();
    const bytes = c.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    assert.equal(await bytes.set("large", value), "OK");
    assert.equal(Buffer.compare(await bytes.get("large"), value), 0);
    await bytes.hSet("large:hash", "field", value);
    assert.equal(Buffer.compare(await bytes.hGet("large:hash", "field"), value), 0);
    const all = await Promise.all(Array.from({ length: 8 }, () => bytes.get("large")));
    for (const one of all) assert.equal(Buffer.compare(one, value), 0);
    await c.del(["large", "large:hash"]);
}

async function reconnects() {
    const client = await connect({ name: "again", database: 3 });
    await client.set("again", "first");
    const kill = async (id) => assert.equal(await c.sendCommand(["CLIENT", "KILL", "ID", String(id)]), 1);
    const before = await client.clientId();
    await kill(before);
    await eventually("the client to be back", async () => {
        try {
            return (await client.get("again")) === "first";
        } catch (error) {
            return false; // sent on the connection that has ended
        }
    });
    assert.notEqual(await client.clientId(), before);
    assert.equal(await client.clientGetName(), "again");
    // Who is subscribed is subscribed again.
    const subscriber = await connect();
    const inbox = new Inbox();
    const id = await subscriber.clientId();
    await subscriber.subscribe("again:news", (message) => inbox.put(message));
    await kill(id);
    await eventually("the channel to have its subscriber again", async () => (await c.publish("again:news", "hello")) === 1);
    assert.deepEqual(await inbox.take(1, "message"), ["hello"]);
}

async function main() {
    c = await connect();
    await run(
        [
            { name: "pipelines", body: pipelines },
            { name: "transactions", body: transactions },
            { name: "WATCH conflicts", body: watchConflicts },
            { name: "publish and subscribe", body: publishAndSubscribe },
            { name: "blocking pops", body: blockingPops },
            { name: "scan iterators", body: scanIterators },
            { name: "streams", needs: ["xadd", "xread", "xinfo|stream", "xtrim"], body: streamsAreRead },
            { name: "consumer groups", needs: ["xreadgroup", "xautoclaim"], body: consumerGroups },
            { name: "client-side caching", needs: ["client|tracking"], body: caching },
            { name: "RESP2 and RESP3", body: protocols },
            { name: "a cluster", body: cluster },
            { name: "values of 8 MiB", body: largeValues },
            { name: "reconnects", body: reconnects },
        ],
        async (name) => (await c.sendCommand(["COMMAND", "INFO", name]))[0],
        async () => open.forEach((client) => client.destroy()),
    );
}

main();
