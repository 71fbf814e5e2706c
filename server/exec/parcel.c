/* parcel.c - copied bytes in one growing piece of memory, and where blocks stand between them. */
#include "server/exec/parcel.h"

#include <stdlib.h>

#include "protocol/assert.h"

_Static_assert(offsetof(struct parcel, reply) == 0, "a reply leads to its parcel");

static size_t copied_len(const struct parcel *parcel) {
    assert(parcel->reply.at >= parcel->copied && parcel->reply.at <= parcel->copied + parcel->capacity);
    return (size_t)(parcel->reply.at - parcel->copied);
}

static bool more(struct reply *reply, size_t need) {
    struct parcel *parcel = (struct parcel *)(void *)reply;
    size_t len = copied_len(parcel), capacity;
    if (__builtin_add_overflow(len, need, &capacity)) return false;
    if (capacity < parcel->capacity * 2) capacity = parcel->capacity * 2;
    char *grown = realloc(parcel->copied, capacity);
    if (!grown) return false;
    parcel->copied = grown;
    parcel->capacity = capacity;
    reply->at = grown + len;
    reply->end = grown + capacity;
    return true;
}

static bool grow_parts(struct parcel *parcel) {
    unsigned capacity = parcel->parts_capacity * 2;
    struct parcel_part *parts = malloc(capacity * sizeof *parts);
    if (!parts) return false;
    memcpy(parts, parcel->parts ? parcel->parts : &parcel->first, parcel->count * sizeof *parts);
    free(parcel->parts);
    parcel->parts = parts;
    parcel->parts_capacity = capacity;
    return true;
}

static struct parcel_part *parts_of(struct parcel *parcel) {
    return parcel->parts ? parcel->parts : &parcel->first;
}

static bool attach(struct reply *reply, struct bytes bytes, void *block) {
    struct parcel *parcel = (struct parcel *)(void *)reply;
    if (parcel->count == parcel->parts_capacity && !grow_parts(parcel)) {
        block_release(block);
        return false;
    }
    assert(parcel->count < parcel->parts_capacity);
    parts_of(parcel)[parcel->count++] = (struct parcel_part){copied_len(parcel), bytes, block};
    return true;
}

/* Without .follow: a source writes all at once, for nobody would come back for its rest. */
static const struct reply_sink sink = {.more = more, .attach = attach};

bool parcel_open(struct parcel *parcel, uint8_t resp, size_t room) {
    char *copied = malloc(room);
    assert(room > 0);
    if (!copied) return false;
    *parcel = (struct parcel){.copied = copied, .capacity = room, .parts_capacity = 1};
    parcel->reply = (struct reply){.at = copied, .end = copied + room, .resp = resp, .sink = &sink};
    return true;
}

static void release_parts(struct parcel *parcel) {
    for (unsigned i = 0; i < parcel->count; i++) block_release(parts_of(parcel)[i].block);
    parcel->count = 0;
}

void parcel_send(struct parcel *parcel, struct reply *reply) {
    size_t sent = 0, len = copied_len(parcel);
    if (parcel->reply.failed) {
        reply->failed = true;
        reply->end = reply->at;
        parcel_close(parcel);
        return;
    }
    for (unsigned i = 0; i < parcel->count && !reply->failed; i++) {
        struct parcel_part *part = &parts_of(parcel)[i];
        assert(part->at >= sent && part->at <= len);
        reply_raw(reply, (struct bytes){parcel->copied + sent, part->at - sent});
        sent = part->at;
        if (!reply->failed && !reply->sink->attach(reply, part->bytes, block_retain(part->block)))
            reply->failed = true;
    }
    reply_raw(reply, (struct bytes){parcel->copied + sent, len - sent});
    parcel_close(parcel);
}

void parcel_close(struct parcel *parcel) {
    release_parts(parcel);
    free(parcel->parts);
    free(parcel->copied);
    *parcel = (struct parcel){0};
}
