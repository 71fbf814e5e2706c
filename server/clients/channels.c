/* channels.c - tables of chains, each in many parts that grow by themselves: no moment moves all of a million channels. */
#include "server/clients/channels.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "protocol/number.h"
#include "server/clients/post.h"
#include "server/lock_order.h"

struct part {
    struct channel **buckets; /* malloc'd; NULL while it is empty */
    uint32_t bucket_count;    /* a power of two, at least half of the channels */
};

uint32_t channels_in_part[CHANNEL_KINDS][CHANNEL_PARTS], channels_of_kind[CHANNEL_KINDS];

/* By itself, for what lies beside an initialized word is in the program's file, too. */
static struct mutex mutex = MUTEX(LOCK_CHANNELS);
static struct {
    struct part parts[CHANNEL_KINDS][CHANNEL_PARTS];
    struct channel **patterns; /* all of them, side by side */
    struct channel **reached;  /* what channels_reached finds: room for a channel and all patterns */
    uint32_t pattern_capacity;
} channels;

enum { BUCKETS_MIN = 4, PATTERNS_MIN = 16 };

void channels_lock(void) {
    mutex_lock(&mutex);
}

void channels_unlock(void) {
    mutex_unlock(&mutex);
}

/* ---- A channel ------------------------------------------------------------------------------------ */

static char *append(char *at, struct bytes bytes) {
    if (bytes.len) memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

enum { HEAD_MAX = 48 }; /* bytes of a pattern's head without the pattern */

/* "4\r\n$8\r\npmessage\r\n$5\r\nnews*\r\n" */
static struct bytes head_write(char *dst, struct bytes pattern) {
    char *at = append(dst, BYTES("4\r\n$8\r\npmessage\r\n$"));
    at += number_format_u64(at, pattern.len);
    at = append(append(append(at, BYTES("\r\n")), pattern), BYTES("\r\n"));
    assert((size_t)(at - dst) <= HEAD_MAX + pattern.len);
    return (struct bytes){dst, (size_t)(at - dst)};
}

static struct channel *channel_new(enum channel_kind kind, const struct channel_name *name) {
    bool pattern = kind == CHANNEL_PATTERN;
    size_t fixed = sizeof(struct channel) + mailbox_count * sizeof(struct listeners), len = name->bytes.len;
    struct channel *channel = calloc(1, fixed + len + (pattern ? HEAD_MAX + len : 0));
    if (!channel) return NULL;
    if (pattern && !glob_compile(&channel->glob, name->bytes, false)) {
        free(channel);
        return NULL;
    }
    char *bytes = (char *)channel + fixed;
    channel->hash = name->hash;
    channel->references = 1;
    channel->kind = (uint8_t)kind;
    channel->name = (struct bytes){bytes, len};
    bytes = append(bytes, name->bytes);
    if (pattern) channel->head = head_write(bytes, name->bytes);
    return channel;
}

void channel_release(struct channel *channel) {
    uint32_t before = __atomic_fetch_sub(&channel->references, 1, __ATOMIC_ACQ_REL);
    assert(before > 0);
    if (before > 1) return;
    assert(channel->subscribers == 0);
    for (unsigned i = 0; i < mailbox_count; i++) free(channel->of_shard[i].all);
    if (channel->kind == CHANNEL_PATTERN) glob_free(&channel->glob);
    free(channel);
}

/* ---- The register --------------------------------------------------------------------------------- */

static struct part *part_of(enum channel_kind kind, uint64_t hash) {
    return &channels.parts[kind][channel_part(hash)];
}

static struct channel **bucket_of(const struct part *part, uint64_t hash) {
    return &part->buckets[hash & (part->bucket_count - 1)];
}

/* The number of channels in a part, and in all, has changed by one. */
static void count(enum channel_kind kind, uint64_t hash, uint32_t by) {
    __atomic_fetch_add(&channels_in_part[kind][channel_part(hash)], by, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&channels_of_kind[kind], by, __ATOMIC_SEQ_CST);
}

static bool part_grow(struct part *part, uint32_t members) {
    if (part->buckets && members < 2 * part->bucket_count) return true;
    struct part grown = {.bucket_count = part->buckets ? 2 * part->bucket_count : BUCKETS_MIN};
    grown.buckets = calloc(grown.bucket_count, sizeof(struct channel *));
    if (!grown.buckets) return false;
    for (uint32_t i = 0; part->buckets && i < part->bucket_count; i++) {
        for (struct channel *channel = part->buckets[i], *next; channel; channel = next) {
            struct channel **bucket = bucket_of(&grown, channel->hash);
            next = channel->next;
            channel->next = *bucket;
            *bucket = channel;
        }
    }
    free(part->buckets);
    *part = grown;
    return true;
}

/* Room for one more pattern, and for all of them among those that are reached. */
static bool patterns_grow(void) {
    uint32_t patterns = channels_of_kind[CHANNEL_PATTERN];
    if (channels.reached && patterns < channels.pattern_capacity) return true;
    uint32_t capacity = channels.pattern_capacity ? 2 * channels.pattern_capacity : PATTERNS_MIN;
    struct channel **all = realloc(channels.patterns, capacity * sizeof(struct channel *));
    if (!all) return false;
    channels.patterns = all;
    struct channel **reached = realloc(channels.reached, (capacity + 1) * sizeof(struct channel *));
    if (!reached) return false;
    channels.reached = reached;
    channels.pattern_capacity = capacity;
    return true;
}

struct channel *channels_find(enum channel_kind kind, const struct channel_name *name) {
    const struct part *part = part_of(kind, name->hash);
    struct channel *channel = part->buckets ? *bucket_of(part, name->hash) : NULL;
    while (channel && (channel->hash != name->hash || !bytes_equal(channel->name, name->bytes)))
        channel = channel->next;
    return channel;
}

struct channel *channels_add(enum channel_kind kind, const struct channel_name *name) {
    struct part *part = part_of(kind, name->hash);
    debug_assert(!channels_find(kind, name));
    if (!patterns_grow() || !part_grow(part, channels_in_part[kind][channel_part(name->hash)])) return NULL;
    struct channel *channel = channel_new(kind, name), **bucket = bucket_of(part, name->hash);
    if (!channel) return NULL;
    if (kind == CHANNEL_PATTERN) {
        channel->place = channels_of_kind[CHANNEL_PATTERN];
        channels.patterns[channel->place] = channel;
    }
    channel->next = *bucket;
    *bucket = channel;
    count(kind, name->hash, 1);
    return channel;
}

void channels_remove(struct channel *channel) {
    enum channel_kind kind = channel->kind;
    struct part *part = part_of(kind, channel->hash);
    struct channel **link = bucket_of(part, channel->hash);
    assert(channel->subscribers == 0);
    while (*link != channel) link = &(*link)->next;
    *link = channel->next;
    count(kind, channel->hash, UINT32_MAX);
    if (kind == CHANNEL_PATTERN) {
        struct channel *last = channels.patterns[channels_of_kind[CHANNEL_PATTERN]];
        assert(channels.patterns[channel->place] == channel);
        channels.patterns[channel->place] = last;
        last->place = channel->place;
    }
    if (channels_in_part[kind][channel_part(channel->hash)]) return;
    free(part->buckets);
    *part = (struct part){0};
}

struct channel *const *channels_reached(enum channel_kind kind, const struct channel_name *name,
                                        uint32_t *count) {
    struct channel *channel = channels_find(kind, name);
    uint32_t patterns = kind == CHANNEL_PLAIN ? channels_of_kind[CHANNEL_PATTERN] : 0;
    *count = 0;
    if (channel) channels.reached[(*count)++] = channel;
    for (uint32_t i = 0; i < patterns; i++)
        if (glob_matches(&channels.patterns[i]->glob, name->bytes))
            channels.reached[(*count)++] = channels.patterns[i];
    assert(*count <= channels.pattern_capacity + 1);
    return channels.reached;
}

struct channel **channels_list(enum channel_kind kind, const struct glob *glob, size_t *count) {
    struct channel **list = malloc((channels_of_kind[kind] + 1) * sizeof(struct channel *));
    *count = 0;
    if (!list) return NULL;
    for (unsigned p = 0; p < CHANNEL_PARTS; p++) {
        const struct part *part = &channels.parts[kind][p];
        for (uint32_t i = 0; part->buckets && i < part->bucket_count; i++)
            for (struct channel *channel = part->buckets[i]; channel; channel = channel->next)
                if (!glob || glob_matches(glob, channel->name)) list[(*count)++] = channel;
    }
    assert(*count <= channels_of_kind[kind]);
    return list;
}
