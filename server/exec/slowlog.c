/* slowlog.c - a list under a mutex, newest first, one allocation an entry.
 *
 *     newest -> entry -> entry -> ... -> entry -> NULL
 *
 * There are at most slowlog-max-len of them, once one is added.
 *
 * An entry is written before the mutex is taken, so that a slow command makes nobody else wait for its copying. */
#include "server/exec/slowlog.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "protocol/text.h"
#include "server/call/secret.h"
#include "server/clients/clients.h"
#include "server/lock_order.h"

static struct {
    struct mutex mutex;
    struct slowlog_entry *newest;
    uint64_t count, next_id;
} slowlog = {.mutex = MUTEX(LOCK_SLOWLOG)};

/* ---- An entry's text ------------------------------------------------------------------------------ */

enum {
    TAIL_MAX = 48,         /* bytes of "... (n more arguments)" */
    CLIENT_TEXT_MAX = 255, /* of a client's address, and of its name */
    ENTRY_TEXT_MAX = SLOWLOG_MAX_ARGS * (SLOWLOG_ARG_BYTES + TAIL_MAX) + 2 * CLIENT_TEXT_MAX,
};
_Static_assert(TAIL_MAX > sizeof "... (18446744073709551615 more arguments)", "a tail fits");

/* What an entry tells, written one behind the other: the arguments that are kept, the client's address, its name. */
struct told {
    char memory[ENTRY_TEXT_MAX + 1];
    struct text text;
    uint32_t argc;
    size_t ends[SLOWLOG_MAX_ARGS + 2]; /* where each of them ends */
};

static void tell_argument(struct text *text, const struct call *call, uint32_t i) {
    struct bytes arg = secret_argument(call->command, call->argv, i) ? SECRET_SHOWN : call->argv[i];
    if (i == SLOWLOG_MAX_ARGS - 1 && call->argc > SLOWLOG_MAX_ARGS) {
        text_format(text, "... (%u more arguments)", call->argc - SLOWLOG_MAX_ARGS + 1);
    } else if (arg.len > SLOWLOG_ARG_BYTES) {
        text_add(text, (struct bytes){arg.data, SLOWLOG_ARG_BYTES});
        text_format(text, "... (%zu more bytes)", arg.len - SLOWLOG_ARG_BYTES);
    } else {
        text_add(text, arg);
    }
}

static void tell(struct told *told, const struct call *call) {
    struct client *client = call->client;
    told->text = text_fixed(told->memory, sizeof told->memory);
    told->argc = call->argc < SLOWLOG_MAX_ARGS ? call->argc : SLOWLOG_MAX_ARGS;
    for (uint32_t i = 0; i < told->argc; i++) {
        tell_argument(&told->text, call, i);
        told->ends[i] = told->text.len;
    }
    const char *name;
    clients_lock(); /* other threads may read, and make, the strings of a client */
    text_format(&told->text, "%.*s", CLIENT_TEXT_MAX, client_peer(client));
    told->ends[told->argc] = told->text.len;
    name = client_text(client, CLIENT_NAME);
    text_format(&told->text, "%.*s", CLIENT_TEXT_MAX, name ? name : "");
    told->ends[told->argc + 1] = told->text.len;
    clients_unlock();
    assert(!told->text.cut);
}

/* What was told as the i-th, where the text was copied to. */
static struct bytes told_piece(const struct told *told, const char *text, uint32_t i) {
    size_t begin = i ? told->ends[i - 1] : 0;
    return (struct bytes){text + begin, told->ends[i] - begin};
}

static struct slowlog_entry *entry_new(const struct call *call, uint64_t nanoseconds) {
    struct told told;
    tell(&told, call);
    size_t argv_bytes = told.argc * sizeof(struct bytes);
    struct slowlog_entry *entry = malloc(sizeof *entry + argv_bytes + told.text.len);
    if (!entry) return NULL;
    *entry = (struct slowlog_entry){
        .time_s = call->effects->now_ms / 1000, .microseconds = nanoseconds / 1000, .argc = told.argc};
    char *text = (char *)(entry->argv + told.argc);
    memcpy(text, told.memory, told.text.len);
    for (uint32_t i = 0; i < told.argc; i++) entry->argv[i] = told_piece(&told, text, i);
    entry->peer = told_piece(&told, text, told.argc);
    entry->name = told_piece(&told, text, told.argc + 1);
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
    assert(rest);
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
    mutex_lock(&slowlog.mutex);
    entry->id = slowlog.next_id++;
    entry->older = slowlog.newest;
    slowlog.newest = entry;
    slowlog.count++;
    rest = cut((uint64_t)config.slowlog_max_len);
    mutex_unlock(&slowlog.mutex);
    free_list(rest);
}

uint64_t slowlog_count(void) {
    mutex_lock(&slowlog.mutex);
    uint64_t count = slowlog.count;
    mutex_unlock(&slowlog.mutex);
    return count;
}

void slowlog_reset(void) {
    mutex_lock(&slowlog.mutex);
    struct slowlog_entry *rest = cut(0);
    mutex_unlock(&slowlog.mutex);
    free_list(rest);
}

void slowlog_walk(uint64_t max, void (*begin)(void *context, uint64_t count),
                  void (*each)(void *context, const struct slowlog_entry *entry), void *context) {
    mutex_lock(&slowlog.mutex);
    uint64_t count = slowlog.count < max ? slowlog.count : max;
    begin(context, count);
    for (const struct slowlog_entry *entry = slowlog.newest; count; entry = entry->older, count--)
        each(context, entry);
    mutex_unlock(&slowlog.mutex);
}
