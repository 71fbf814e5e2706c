/* monitor.c - one line is formatted once, into a block that all monitors share; posts carry it to their
 * shards.
 *
 *     monitor_feed -> line_write (measured, then written) -> block -> post_deliver to each monitor
 *
 * Posts to the feeding shard itself happen after the running command, so a monitor never finds a line inside
 * a reply. */
#include "server/exec/monitor.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/call/secret.h"
#include "server/clients/client.h"
#include "server/clients/clients.h"
#include "server/clients/post.h"

_Atomic unsigned monitor_count;

static struct {
    pthread_mutex_t mutex;
    struct client **all;
    unsigned count, capacity;
} monitors = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- Who listens ---------------------------------------------------------------------------------- */

static bool monitors_grow(void) {
    unsigned capacity = monitors.capacity ? monitors.capacity * 2 : 4;
    struct client **all = realloc(monitors.all, capacity * sizeof(struct client *));
    if (!all) return false;
    monitors.all = all, monitors.capacity = capacity;
    return true;
}

bool monitor_add(struct client *client) {
    pthread_mutex_lock(&monitors.mutex);
    bool room = monitors.count < monitors.capacity || monitors_grow();
    if (room) {
        monitors.all[monitors.count++] = client;
        atomic_store_explicit(&monitor_count, monitors.count, memory_order_relaxed);
        client_set(client->flags, client->flags | CLIENT_MONITOR);
    }
    pthread_mutex_unlock(&monitors.mutex);
    return room;
}

void monitor_remove(struct client *client) {
    pthread_mutex_lock(&monitors.mutex);
    for (unsigned i = 0; i < monitors.count; i++) {
        if (monitors.all[i] != client) continue;
        monitors.all[i] = monitors.all[--monitors.count];
        atomic_store_explicit(&monitor_count, monitors.count, memory_order_relaxed);
        client_set(client->flags, client->flags & ~(uint32_t)CLIENT_MONITOR);
        break;
    }
    pthread_mutex_unlock(&monitors.mutex);
}

/* ---- The line ------------------------------------------------------------------------------------- */

enum { LINE_HEAD_MAX = 256, LINE_TAIL_MAX = 64, ESCAPE_MAX = 4 };

/* A growing line: counts while `text` is NULL, writes afterwards. */
struct line {
    char *text;
    size_t len;
};

static void line_put(struct line *line, const char *data, size_t len) {
    if (line->text) memcpy(line->text + line->len, data, len);
    line->len += len;
}

/* A byte as redis-cli would quote it. Returns the length of what dst holds then. */
static size_t escape(char c, char dst[ESCAPE_MAX + 1]) {
    static const char plain[] = "\\\"\n\r\t\a\b", letter[] = "\\\"nrtab";
    const char *at = c ? strchr(plain, c) : NULL;
    if (at) {
        dst[0] = '\\', dst[1] = letter[at - plain];
        return 2;
    }
    if (c >= ' ' && c < 127) {
        dst[0] = c;
        return 1;
    }
    return (size_t)snprintf(dst, ESCAPE_MAX + 1, "\\x%02x", (unsigned char)c);
}

static void line_argument(struct line *line, struct bytes arg) {
    char quoted[ESCAPE_MAX + 1];
    size_t i = 0;
    line_put(line, " \"", 2);
    for (; i < arg.len && line->len < MONITOR_LINE_MAX; i++)
        line_put(line, quoted, escape(arg.data[i], quoted));
    line_put(line, "\"", 1);
    if (i == arg.len) return;
    char tail[LINE_TAIL_MAX];
    int len = snprintf(tail, sizeof tail, "... (%zu more bytes)", arg.len - i);
    line_put(line, tail, (size_t)len);
}

static void line_write(struct line *line, const struct call *call, const char *head) {
    uint32_t i = 0;
    line_put(line, head, strlen(head));
    for (; i < call->argc && line->len < MONITOR_LINE_MAX; i++)
        line_argument(line, secret_argument(call->command, call->argv, i) ? SECRET_SHOWN : call->argv[i]);
    if (i < call->argc) {
        char tail[LINE_TAIL_MAX];
        int len = snprintf(tail, sizeof tail, " ... (%u more arguments)", call->argc - i);
        line_put(line, tail, (size_t)len);
    }
    line_put(line, "\r\n", 2);
}

/* "+1339518083.107412 [0 127.0.0.1:60866]"; a Unix socket's client is shown by the socket, without client_peer's port 0. */
static void line_head(const struct call *call, char head[LINE_HEAD_MAX]) {
    struct timespec now;
    bool local = call->client->flags & CLIENT_UNIX_SOCKET;
    clock_gettime(CLOCK_REALTIME, &now);
    clients_lock();
    const char *peer = client_peer(call->client);
    int peer_len = (int)strlen(peer) - (local ? 2 : 0);
    snprintf(head, LINE_HEAD_MAX, "+%lld.%06ld [%u %s%.*s]", (long long)now.tv_sec, now.tv_nsec / 1000,
             call->client->db, local ? "unix:" : "", peer_len, peer);
    clients_unlock();
}

/* The line as a block with one reference; NULL without memory. */
static struct block *line_block(const struct call *call) {
    char head[LINE_HEAD_MAX];
    struct line line = {0};
    line_head(call, head);
    line_write(&line, call, head);
    struct block *block = block_new(line.len, line.len);
    if (!block) return NULL;
    line = (struct line){.text = block->data};
    line_write(&line, call, head);
    return block;
}

/* ---- Feeding -------------------------------------------------------------------------------------- */

static void deliver(struct wakes *wakes, const struct client *monitor, struct block *line) {
    struct client_address to = {.shard = monitor->shard, .slot = monitor->slot, .id = monitor->id};
    if (client_get(monitor->output_bytes) > MONITOR_UNREAD_MAX)
        post_close(wakes, to);
    else
        post_deliver(wakes, to, CLIENT_MONITOR, block_retain(line));
}

void monitor_feed(const struct call *call) {
    if (call->command->flags & (CMD_ADMIN | CMD_SKIP_MONITOR)) return;
    struct block *line = line_block(call);
    if (!line) return;
    pthread_mutex_lock(&monitors.mutex);
    for (unsigned i = 0; i < monitors.count; i++) deliver(call->effects->wakes, monitors.all[i], line);
    pthread_mutex_unlock(&monitors.mutex);
    block_release(line);
}
