/* monitor.c - one line is formatted once, into a block that all monitors share; posts carry it to their
 * shards.
 *
 *     monitor_feed -> line_write -> block -> post_deliver to each monitor
 *
 * Posts to the feeding shard itself happen after the running command, so a monitor never finds a line inside
 * a reply. Lines of its own commands are written behind their replies at once: it may have been muted, or be no monitor any
 * more, when a post would come. */
#include "server/exec/monitor.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "protocol/text.h"
#include "server/call/gate.h"
#include "server/call/secret.h"
#include "server/clients/client.h"
#include "server/clients/clients.h"
#include "server/clients/post.h"
#include "server/clock.h"
#include "server/exec/executor.h"
#include "server/lock_order.h"

static struct {
    struct mutex mutex;
    struct client **all;
    unsigned count, capacity;
} monitors = {.mutex = MUTEX(LOCK_MONITORS)};

/* ---- Who listens ---------------------------------------------------------------------------------- */

static bool monitors_grow(void) {
    unsigned capacity = monitors.capacity ? monitors.capacity * 2 : 4;
    struct client **all = realloc(monitors.all, capacity * sizeof(struct client *));
    if (!all) return false;
    monitors.all = all, monitors.capacity = capacity;
    return true;
}

bool monitor_add(struct client *client) {
    assert(!(client->flags & CLIENT_MONITOR));
    mutex_lock(&monitors.mutex);
    bool room = monitors.count < monitors.capacity || monitors_grow();
    if (room) {
        assert(monitors.count < monitors.capacity);
        monitors.all[monitors.count++] = client;
        gate_raise(MODE_MONITORED);
        client_set(client->flags, client->flags | CLIENT_MONITOR);
    }
    mutex_unlock(&monitors.mutex);
    return room;
}

void monitor_remove(struct client *client) {
    mutex_lock(&monitors.mutex);
    for (unsigned i = 0; i < monitors.count; i++) {
        if (monitors.all[i] != client) continue;
        monitors.all[i] = monitors.all[--monitors.count];
        if (!monitors.count) gate_lower(MODE_MONITORED);
        client_set(client->flags, client->flags & ~(uint32_t)CLIENT_MONITOR);
        break;
    }
    mutex_unlock(&monitors.mutex);
}

/* ---- The line ------------------------------------------------------------------------------------- */

enum {
    LINE_FIRST = 512, /* bytes that most lines do with: on the stack */
    LINE_TAIL = 128,  /* what tells of a cut, and may be written behind MONITOR_LINE_MAX */
};

/* "+1339518083.107412 [0 127.0.0.1:60866]"; a Unix socket's client is shown by the socket, without client_peer's port 0. */
static void line_head(struct text *line, const struct call *call) {
    int64_t now_us = clock_unix_us();
    bool local = call->client->flags & CLIENT_UNIX_SOCKET;
    clients_lock();
    const char *peer = client_peer(call->client);
    int peer_len = (int)strlen(peer) - (local ? 2 : 0);
    text_format(line, "+%lld.%06lld [%u %s%.*s]", (long long)now_us / 1000000, (long long)now_us % 1000000,
                call->client->db, local ? "unix:" : "", peer_len, peer);
    clients_unlock();
}

static void line_argument(struct text *line, struct bytes arg) {
    text_string(line, " \"");
    size_t shown = text_escaped(line, arg, MONITOR_LINE_MAX);
    text_string(line, "\"");
    if (shown < arg.len) text_format(line, "... (%zu more bytes)", arg.len - shown);
}

static void line_write(struct text *line, const struct call *call) {
    uint32_t i = 0;
    line_head(line, call);
    for (; i < call->argc && line->len < MONITOR_LINE_MAX; i++)
        line_argument(line, secret_argument(call->command, call->argv, i) ? SECRET_SHOWN : call->argv[i]);
    if (i < call->argc) text_format(line, " ... (%u more arguments)", call->argc - i);
    text_string(line, "\r\n");
}

/* The line as a block with one reference; NULL without memory. */
static struct block *line_block(const struct call *call) {
    char memory[LINE_FIRST];
    struct text line = text_growing(memory, sizeof memory, MONITOR_LINE_MAX + LINE_TAIL);
    line_write(&line, call);
    struct block *block = line.cut ? NULL : block_of(text_bytes(&line));
    text_free(&line);
    return block;
}

/* ---- Gates ---------------------------------------------------------------------------------------- */

/* Monitors are replicas of a kind to Redis. */
static bool touches_keys(const struct command *command) {
    return command->flags & (CMD_READONLY | CMD_WRITE | CMD_MAY_REPLICATE);
}
static enum verdict ask_keys(const struct call *call, struct text *why) {
    text_string(why, "ERR Replica can't interact with the keyspace");
    return call->client->flags & CLIENT_MONITOR ? REFUSED : PASS;
}
GATE(keys) = {.bit = GATE_KEYSPACE, .flags = CLIENT_MONITOR, .concerns = touches_keys, .ask = ask_keys};

static bool is_shown(const struct command *command) {
    return !(command->flags & (CMD_ADMIN | CMD_SKIP_MONITOR));
}
GATE(shown) = {.bit = MODE_MONITORED, .concerns = is_shown};

/* ---- Feeding -------------------------------------------------------------------------------------- */

enum {
    CLIENT_HEARS_NOT = CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW
};

/* A monitor's own command: its line goes right behind its reply, or behind all of EXEC's. */
static void tell_self(const struct call *call, struct bytes line) {
    struct executor *executor = executor_of(call);
    if (call->client->flags & CLIENT_HEARS_NOT) return;
    if (call->client->flags & CLIENT_IN_EXEC)
        (void)!buffer_append(&executor->own_lines, line, MONITOR_UNREAD_MAX); /* without memory it is lost */
    else
        reply_raw(call->reply, line);
}

/* EXEC has ended: what its queue had to tell goes first. */
static void tell_own_lines(const struct call *call) {
    struct executor *executor = executor_of(call);
    if (!executor->own_lines.len || call->client->flags & CLIENT_IN_EXEC) return;
    reply_raw(call->reply, buffer_bytes(&executor->own_lines));
    buffer_free(&executor->own_lines);
}

static void deliver(struct wakes *wakes, const struct client *monitor, struct block *line) {
    struct client_address to = {.shard = monitor->shard, .slot = monitor->slot, .id = monitor->id};
    if (client_get(monitor->output_bytes) > MONITOR_UNREAD_MAX)
        post_close(wakes, to);
    else
        post_deliver(wakes, to, CLIENT_MONITOR, block_retain(line));
}

void monitor_feed(const struct call *call) {
    struct block *line = line_block(call);
    effects_claim_changed(call->effects);
    tell_own_lines(call);
    if (!line) return;
    mutex_lock(&monitors.mutex);
    for (unsigned i = 0; i < monitors.count; i++)
        if (monitors.all[i] != call->client) deliver(call->effects->wakes, monitors.all[i], line);
    assert(monitors.count <= monitors.capacity);
    mutex_unlock(&monitors.mutex);
    if (call->client->flags & CLIENT_MONITOR) tell_self(call, block_bytes(line));
    block_release(line);
}
