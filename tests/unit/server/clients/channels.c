/* The register of channels: who is found, whom a message reaches, and what is listed. */
#include "server/clients/channels.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/clients/post.h"
#include "tests/check.h"
#include "tests/unit/failing_memory.h"

static struct channel_name name_with(const char *text, uint64_t hash) {
    return (struct channel_name){bytes_of(text), hash};
}
static struct channel_name name_of(const char *text) {
    uint64_t hash = 7;
    for (const char *c = text; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x9e3779b97f4a7c15ull;
    return name_with(text, hash);
}

static struct channel *add(enum channel_kind kind, const char *text) {
    struct channel_name name = name_of(text);
    struct channel *channel = channels_add(kind, &name);
    CHECK(channel && channel->kind == kind && bytes_equal(channel->name, bytes_of(text)));
    CHECK_INT(channel->subscribers, 0);
    return channel;
}
static struct channel *found(enum channel_kind kind, const char *text) {
    struct channel_name name = name_of(text);
    return channels_find(kind, &name);
}
static void drop(struct channel *channel) {
    channels_remove(channel);
    channel_release(channel);
}
static bool may_hear(enum channel_kind kind, const char *text) {
    return channels_may_hear(kind, name_of(text).hash);
}

static void a_channel_is_found_by_kind_and_name(void) {
    channels_lock();
    CHECK(!found(CHANNEL_PLAIN, "news") && !may_hear(CHANNEL_PLAIN, "news"));
    struct channel *plain = add(CHANNEL_PLAIN, "news"), *shard = add(CHANNEL_SHARD, "news");
    CHECK(found(CHANNEL_PLAIN, "news") == plain && found(CHANNEL_SHARD, "news") == shard);
    CHECK(!found(CHANNEL_PATTERN, "news") && !found(CHANNEL_PLAIN, "new"));
    CHECK(may_hear(CHANNEL_PLAIN, "news") && may_hear(CHANNEL_SHARD, "news"));
    /* Another name with the same hash is another channel. */
    struct channel_name same = name_with("other", name_of("news").hash);
    CHECK(!channels_find(CHANNEL_PLAIN, &same));
    struct channel *other = channels_add(CHANNEL_PLAIN, &same);
    CHECK(other && channels_find(CHANNEL_PLAIN, &same) == other && found(CHANNEL_PLAIN, "news") == plain);
    CHECK_INT(channels_of_kind[CHANNEL_PLAIN], 2);
    drop(plain);
    CHECK(!found(CHANNEL_PLAIN, "news") && channels_find(CHANNEL_PLAIN, &same) == other);
    drop(other);
    drop(shard);
    CHECK_INT(channels_of_kind[CHANNEL_PLAIN] + channels_of_kind[CHANNEL_SHARD], 0);
    CHECK(!may_hear(CHANNEL_PLAIN, "news") && !may_hear(CHANNEL_SHARD, "news"));
    channels_unlock();
}

/* Which of these a message to the channel reaches, by their first letters. */
static const char *reached(enum channel_kind kind, const char *text) {
    static char letters[16];
    struct channel_name name = name_of(text);
    uint32_t count;
    struct channel *const *list = channels_reached(kind, &name, &count);
    CHECK(count < sizeof letters);
    for (uint32_t i = 0; i < count; i++) letters[i] = list[i]->name.data[0];
    letters[count] = 0;
    return letters;
}
#define CHECK_REACHED(kind, channel, expected) CHECK(strcmp(reached(kind, channel), expected) == 0)

static void a_message_reaches_its_channel_and_the_patterns_that_match(void) {
    channels_lock();
    struct channel *channel = add(CHANNEL_PLAIN, "news"), *any = add(CHANNEL_PATTERN, "*"),
                   *some = add(CHANNEL_PATTERN, "n*"), *none = add(CHANNEL_PATTERN, "xnews");
    CHECK_BYTES(some->head, BYTES("4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n"));
    CHECK_REACHED(CHANNEL_PLAIN, "news", "n*n");
    CHECK_REACHED(CHANNEL_PLAIN, "sport", "*");
    CHECK_REACHED(CHANNEL_SHARD, "news", ""); /* patterns are no concern of shard channels */
    CHECK(may_hear(CHANNEL_PLAIN, "whatever") && !may_hear(CHANNEL_SHARD, "whatever"));
    drop(any); /* the last pattern takes its place */
    CHECK_REACHED(CHANNEL_PLAIN, "xnews", "x");
    CHECK_REACHED(CHANNEL_PLAIN, "news", "nn");
    drop(none);
    drop(channel);
    CHECK_REACHED(CHANNEL_PLAIN, "news", "n");
    drop(some);
    CHECK(!may_hear(CHANNEL_PLAIN, "news"));
    channels_unlock();
}

enum { MANY = 20000 };

static void many_are_found_and_listed(void) {
    struct channel **all = calloc(MANY, sizeof *all);
    struct glob glob;
    size_t count;
    char text[32];
    CHECK(all && glob_compile(&glob, BYTES("*77"), false));
    channels_lock();
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "c%u", i);
        all[i] = add(CHANNEL_PLAIN, text);
    }
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "c%u", i);
        CHECK(found(CHANNEL_PLAIN, text) == all[i]);
    }
    struct channel **list = channels_list(CHANNEL_PLAIN, NULL, &count);
    CHECK(list && count == MANY);
    free(list);
    list = channels_list(CHANNEL_PLAIN, &glob, &count);
    CHECK(list && count == MANY / 100);
    free(list);
    for (unsigned i = 0; i < MANY; i += 2) drop(all[i]);
    CHECK(!found(CHANNEL_PLAIN, "c2") && found(CHANNEL_PLAIN, "c3") == all[3]);
    for (unsigned i = 1; i < MANY; i += 2) drop(all[i]);
    list = channels_list(CHANNEL_PLAIN, NULL, &count);
    CHECK(list && count == 0);
    free(list);
    channels_unlock();
    glob_free(&glob);
    free(all);
}

static void who_still_needs_a_channel_keeps_it(void) {
    channels_lock();
    struct channel *channel = add(CHANNEL_PATTERN, "held*");
    channel->references++;
    channels_remove(channel);
    channels_unlock();
    channel_release(channel);
    CHECK_BYTES(channel->name, BYTES("held*"));
    channel_release(channel);
}

static void without_memory_nothing_is_added(void) {
    struct channel_name name = name_of("never*");
    size_t count;
    channels_lock();
    for (unsigned allocations = 0;; allocations++) {
        memory_left = allocations;
        struct channel *channel = channels_add(CHANNEL_PATTERN, &name);
        memory_left = UINT_MAX;
        if (channel) {
            CHECK(allocations > 0);
            drop(channel);
            break;
        }
        CHECK(!channels_find(CHANNEL_PATTERN, &name) && channels_of_kind[CHANNEL_PATTERN] == 0);
    }
    memory_left = 0;
    CHECK(!channels_list(CHANNEL_PLAIN, NULL, &count));
    memory_left = UINT_MAX;
    channels_unlock();
}

int main(void) {
    mailbox_count = 3;
    RUN(without_memory_nothing_is_added);
    RUN(a_channel_is_found_by_kind_and_name);
    RUN(a_message_reaches_its_channel_and_the_patterns_that_match);
    RUN(many_are_found_and_listed);
    RUN(who_still_needs_a_channel_keeps_it);
    return 0;
}
