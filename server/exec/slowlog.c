/* slowlog.c - a list under a mutex, newest first, one allocation an entry.
 *
 *     newest -> entry -> entry -> ... -> entry -> NULL         at most slowlog-max-len of them, once one is
 * added
 *
 * An entry is written before the mutex is taken, so that a slow command makes nobody else wait for its
 * copying. */
#include "server/exec/slowlog.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/call/secret.h"
#include "server/clients/clients.h"

static struct {
    pthread_mutex_t mutex;
    struct slowlog_entry *newest;
    uint64_t count, next_id;
} slowlog = {.mutex = PTHREAD_MUTEX_INITIALIZER};

enum { TAIL_MAX = 48, CLIENT_TEXT_MAX = 256 };
_Static_assert(TAIL_MAX > sizeof "... (18446744073709551615 more arguments)", "a tail fits");

/* ---- An entry's text ------------------------------------------------------------------------------ */

/* Text that is being laid out: measured while `at` is NULL, then written. */
struct pen {
    char *at;
    size_t len;
};

static struct bytes pen_write(struct pen *pen, struct bytes head, const char *tail) {
    size_t tail_len = strlen(tail);
    struct bytes written = {pen->at, head.len + tail_len};
    if (pen->at) {
        if (head.len) memcpy(pen->at, head.data, head.len);
        memcpy(pen->at + head.len, tail, tail_len);
        pen->at += written.len;
    }
    pen->len += written.len;
    return written;
}

static uint32_t shown_args(const struct call *call) {
    return call->argc < SLOWLOG_MAX_ARGS ? call->argc : SLOWLOG_MAX_ARGS;
}

static struct bytes pen_argument(struct pen *pen, const struct call *call, uint32_t i) {
    struct bytes arg = secret_argument(call->command, call->argv, i) ? SECRET_SHOWN : call->argv[i];
    char tail[TAIL_MAX] = "";
    if (i == SLOWLOG_MAX_ARGS - 1 && call->argc > SLOWLOG_MAX_ARGS) {
        snprintf(tail, sizeof tail, "... (%u more arguments)", call->argc - SLOWLOG_MAX_ARGS + 1);
        arg.len = 0;
    } else if (arg.len > SLOWLOG_ARG_BYTES) {
        snprintf(tail, sizeof tail, "... (%zu more bytes)", arg.len - SLOWLOG_ARG_BYTES);
        arg.len = SLOWLOG_ARG_BYTES;
    }
    return pen_write(pen, arg, tail);
}

/* Who asked; copied, because other threads may change the strings of a client that is not locked. */
struct asker {
    char peer[CLIENT_TEXT_MAX], name[CLIENT_TEXT_MAX];
};

static void asker_of(const struct call *call, struct asker *asker) {
    clients_lock();
    snprintf(asker->peer, sizeof asker->peer, "%s", client_peer(call->client));
    snprintf(asker->name, sizeof asker->name, "%s", call->client->name ? call->client->name : "");
    clients_unlock();
}

static struct slowlog_entry *entry_new(const struct call *call, uint64_t nanoseconds) {
    struct pen pen = {0};
    struct asker asker;
    uint32_t argc = shown_args(call);
    asker_of(call, &asker);
    for (uint32_t i = 0; i < argc; i++) pen_argument(&pen, call, i);
    pen.len += strlen(asker.peer) + strlen(asker.name);
    struct slowlog_entry *entry = malloc(sizeof *entry + argc * sizeof *entry->argv + pen.len);
    if (!entry) return NULL;
    *entry = (struct slowlog_entry){
        .time_s = call->now_ms / 1000, .microseconds = nanoseconds / 1000, .argc = argc};
    pen.at = (char *)(entry->argv + argc);
    for (uint32_t i = 0; i < argc; i++) entry->argv[i] = pen_argument(&pen, call, i);
    entry->peer = pen_write(&pen, bytes_of(asker.peer), "");
    entry->name = pen_write(&pen, bytes_of(asker.name), "");
    return entry;
}

/* ---- The log -------------------------------------------------------------------------------------- */

/* Cuts the list behind its first `keep` entries; returns what was cut off. */
static struct slowlog_entry *cut(uint64_t keep) {
    struct slowlog_entry **end = &slowlog.newest, *rest;
    if (slowlog.count <= keep) return NULL;
    for (uint64_t i = 0; i < keep; i++) end = &(*end)->older;
    rest = *end;
    *end = NULL;
    slowlog.count = keep;
    return rest;
}

static void free_list(struct slowlog_entry *entry) {
    for (struct slowlog_entry *older; entry; entry = older) {
        older = entry->older;
        free(entry);
    }
}

void slowlog_push(const struct call *call, uint64_t nanoseconds) {
    struct slowlog_entry *entry = entry_new(call, nanoseconds), *rest;
    if (!entry) return;
    pthread_mutex_lock(&slowlog.mutex);
    entry->id = slowlog.next_id++;
    entry->older = slowlog.newest;
    slowlog.newest = entry;
    slowlog.count++;
    rest = cut((uint64_t)config.slowlog_max_len);
    pthread_mutex_unlock(&slowlog.mutex);
    free_list(rest);
}

uint64_t slowlog_count(void) {
    pthread_mutex_lock(&slowlog.mutex);
    uint64_t count = slowlog.count;
    pthread_mutex_unlock(&slowlog.mutex);
    return count;
}

void slowlog_reset(void) {
    pthread_mutex_lock(&slowlog.mutex);
    struct slowlog_entry *rest = cut(0);
    pthread_mutex_unlock(&slowlog.mutex);
    free_list(rest);
}

void slowlog_walk(uint64_t max, void (*begin)(void *context, uint64_t count),
                  void (*each)(void *context, const struct slowlog_entry *entry), void *context) {
    pthread_mutex_lock(&slowlog.mutex);
    uint64_t count = slowlog.count < max ? slowlog.count : max;
    begin(context, count);
    for (const struct slowlog_entry *entry = slowlog.newest; count; entry = entry->older, count--)
        each(context, entry);
    pthread_mutex_unlock(&slowlog.mutex);
}
