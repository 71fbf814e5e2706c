// scenarios.cjs - what the scenarios of the clients from the npm registry stand on.
//
// A file of scenarios exports nothing: it calls run() with a list of {name, needs, body}. `needs` names commands without which the
// scenario cannot be; where the server has one of them not, the scenario is left out, and a line says so. Every scenario has a
// deadline, and the first that fails ends the program with status 1. run.py says by the environment where the servers are.
"use strict";
const assert = require("node:assert");

const TIME_SCALE = Number(process.env.KEVY_TIME_SCALE || "1");
const port = Number(process.env.KEVY_PORT);
const clusterPort = Number(process.env.KEVY_CLUSTER_PORT);
const SCENARIO_MS = 30000 * TIME_SCALE;
const LARGE_BYTES = 8 * 1024 * 1024;

function deadline(what, promise, milliseconds = SCENARIO_MS) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`waited ${milliseconds} ms for ${what}`)), milliseconds);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Asks again and again until the answer is true.
async function eventually(what, condition) {
    const end = Date.now() + SCENARIO_MS;
    while (!(await condition())) {
        if (Date.now() > end) throw new Error(`waited ${SCENARIO_MS} ms for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
    }
}

// What comes one after the other, such as messages: put() adds one, take(n) waits until there are n and gives them.
class Inbox {
    constructor() {
        this.items = [];
    }
    put(item) {
        this.items.push(item);
    }
    async take(count, what) {
        await eventually(`${count} ${what}, of which ${this.items.length} have come`, () => this.items.length >= count);
        return this.items.splice(0, count);
    }
}

function largeValue() {
    const value = Buffer.alloc(LARGE_BYTES);
    for (let i = 0; i < value.length; i++) value[i] = (i * 2654435761) >>> 13;
    return value;
}

async function rejects(promise, pattern) {
    await assert.rejects(promise, (error) => {
        assert.match(error.message, pattern);
        return true;
    });
}

// info(name) tells of a command as COMMAND INFO does: null where the server has it not.
async function run(scenarios, info, end) {
    const missing = async (names) => {
        for (const name of names) if (!(await info(name))) return name;
        return null;
    };
    for (const { name, needs = [], body } of scenarios) {
        const lacks = await missing(needs);
        if (lacks) {
            console.log(`left out: ${name}: the server has no ${lacks}`);
            continue;
        }
        try {
            await deadline(`the scenario to end: ${name}`, body());
        } catch (error) {
            console.log(`FAILED: ${name}: ${error.stack}`);
            process.exit(1);
        }
        console.log(`passed: ${name}`);
    }
    await end();
}

module.exports = { assert, port, clusterPort, deadline, eventually, Inbox, largeValue, rejects, run };
