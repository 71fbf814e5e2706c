/* invalidation.c - notices, the inboxes that they wait in, and what is gathered before they are made. */
#include "server/clients/invalidation.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "protocol/number.h"
#include "server/limits.h"

/* ---- Inboxes -------------------------------------------------------------------------------------- */

struct recipient {
    uint64_t id;
    uint32_t slot;
    bool redirected;
    uint8_t null;
};

/* One allocation: the notice, who is to get it on one shard, and the text if that is short. */
struct notice {
    struct notice *next;
    size_t size;         /* bytes that it takes */
    struct bytes keys;   /* an array in RESP; data NULL: all keys */
    struct block *block; /* of a long text; else NULL */
    uint32_t count;
    struct recipient recipients[];
};

struct inbox {
    struct post post;
    bool posted, full;
    size_t bytes;
    struct notice *first, *last;
    struct tracker *owed; /* clients of the shard that are to be told what there was no memory for */
    uint64_t ticket;      /* of the journal: whatever has come here shows no later changes */
} __attribute__((aligned(128)));

/* All of it is under the register's lock. */
static struct inbox inboxes[MAX_SHARDS];
static uint32_t full_inboxes; /* atomic for who has not the lock */

bool invalidation_is_full(void) {
    return __atomic_load_n(&full_inboxes, __ATOMIC_SEQ_CST) != 0;
}

static void weigh(struct wakes *wakes, struct inbox *inbox, size_t more, size_t less) {
    assert(inbox->bytes + more >= less);
    inbox->bytes += more - less;
    bool full = inbox->bytes > (inbox->full ? (size_t)MESSAGES_LOW : (size_t)MESSAGES_HIGH);
    if (full == inbox->full) return;
    inbox->full = full;
    if (!__atomic_add_fetch(&full_inboxes, full ? 1u : UINT32_MAX, __ATOMIC_SEQ_CST)) post_look_again(wakes);
}

static void wake(struct wakes *wakes, unsigned shard) {
    struct inbox *inbox = &inboxes[shard];
    if (wakes->shows > inbox->ticket) inbox->ticket = wakes->shows;
    if (inbox->posted) return;
    inbox->posted = true;
    inbox->post = (struct post){.kind = POST_INVALIDATIONS};
    post_push(&mailboxes[shard], &inbox->post);
    wakes_add(wakes, shard);
}

static void owe(struct wakes *wakes, struct tracker *tracker) {
    struct inbox *inbox = &inboxes[tracker->shard];
    if (!tracker->owed) {
        tracker->owed = true;
        tracker->next_owed = inbox->owed;
        inbox->owed = tracker;
    }
    wake(wakes, tracker->shard);
}

static void notice_free(struct notice *notice) {
    if (notice->block) block_release(notice->block);
    free(notice);
}

/* ---- Who is to be told ---------------------------------------------------------------------------- */

/* Those who are chosen, by the shards of the clients that are sent it. */
struct chosen {
    struct tracker *first[MAX_SHARDS];
    uint32_t count[MAX_SHARDS];
    uint32_t total;
};

static void choose_nobody(struct chosen *chosen) {
    for (unsigned i = 0; i < mailbox_count; i++) chosen->first[i] = NULL, chosen->count[i] = 0;
    chosen->total = 0;
}

enum { BROKEN_OWED_MAX = 1024 }; /* to a client that does not listen: each says the same */

/* After the reply to QUIT its peer knows that it has gone, though its shard may still be about to close it. */
static bool has_gone(const struct tracker *tracker) {
    const struct client *client = tracker->client;
    return !client || client_get(client->flags) & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW);
}

/* Where its target has gone, the tracker is told that instead. */
static void choose(struct wakes *wakes, struct chosen *chosen, struct tracker *tracker) {
    const struct tracker *receiver = tracker->target ? tracker->target : tracker;
    if (tracker->target ? has_gone(receiver) : !receiver->client) {
        tracker->owed_broken += tracker->owed_broken < BROKEN_OWED_MAX;
        owe(wakes, tracker);
        return;
    }
    tracker->next_chosen = chosen->first[receiver->shard];
    chosen->first[receiver->shard] = tracker;
    chosen->count[receiver->shard]++;
    chosen->total++;
}

/* A text for all of them; without data it is a null. */
struct text_for_all {
    struct bytes bytes;
    struct block *block; /* where it is long; else NULL */
};

static struct notice *notice_new(uint32_t count, const struct text_for_all *text) {
    size_t tables = sizeof(struct notice) + count * sizeof(struct recipient),
           size = tables + (text->block ? 0 : text->bytes.len);
    struct notice *notice = malloc(size);
    if (!notice) return NULL;
    *notice = (struct notice){.size = size + (text->block ? text->bytes.len : 0)};
    if (!text->bytes.data) return notice;
    notice->keys = text->bytes;
    if (text->block) {
        notice->block = block_retain(text->block);
    } else {
        char *copy = (char *)notice + tables;
        memcpy(copy, text->bytes.data, text->bytes.len);
        notice->keys.data = copy;
    }
    return notice;
}

static void tell_shard(struct wakes *wakes, const struct chosen *chosen, unsigned shard,
                       const struct text_for_all *text) {
    struct inbox *inbox = &inboxes[shard];
    struct notice *notice = notice_new(chosen->count[shard], text);
    for (struct tracker *tracker = chosen->first[shard]; tracker; tracker = tracker->next_chosen) {
        struct tracker *receiver = tracker->target ? tracker->target : tracker;
        if (notice) {
            notice->recipients[notice->count++] =
                (struct recipient){receiver->id, receiver->slot, tracker->target != NULL,
                                   tracker->client ? client_get(tracker->client->resp) : 3};
        } else {
            receiver->owed_all = true;
            receiver->owed_redirected |= tracker->target != NULL;
            owe(wakes, receiver);
        }
    }
    if (!notice) return;
    assert(notice->count == chosen->count[shard]);
    if (inbox->last)
        inbox->last->next = notice;
    else
        inbox->first = notice;
    inbox->last = notice;
    weigh(wakes, inbox, notice->size, 0);
    wake(wakes, shard);
}

static void tell(struct wakes *wakes, const struct chosen *chosen, const struct text_for_all *text) {
    for (unsigned shard = 0; chosen->total && shard < mailbox_count; shard++)
        if (chosen->count[shard]) tell_shard(wakes, chosen, shard, text);
}

/* ---- Texts ---------------------------------------------------------------------------------------- */

enum {
    HEAD_MAX = 32,             /* bytes of the head of an array or a bulk, and the end of that */
    KEY_SHORT = 512,           /* bytes of a key whose text needs no memory */
    LONG_TEXT = 4096,          /* bytes from which on receivers share a text */
    BROADCAST_MAX = 64 * 1024, /* bytes of changed keys that are told of before the turn has ended */
};

static char *append(char *at, struct bytes bytes) {
    if (bytes.len) memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

static char *append_head(char *at, char kind, size_t number) {
    *at++ = kind;
    at += number_format_u64(at, number);
    return append(at, BYTES("\r\n"));
}

static char *append_key(char *at, struct bytes key) {
    return append(append(append_head(at, '$', key.len), key), BYTES("\r\n"));
}

/* ---- By keys that were read ----------------------------------------------------------------------- */

enum { ALL_KEYS = 0xff, ONE_KEY = 0 }; /* what an element of `own` is, in its first byte */

/* One key, or all of them, where name.data is NULL, for the client whose command runs. */
static void add_own(struct invalidator *by, struct bytes name) {
    char head[1 + sizeof(size_t)] = {name.data ? ONE_KEY : (char)ALL_KEYS};
    memcpy(head + 1, &name.len, sizeof name.len);
    if (by->own.all) return;
    size_t len = by->own.keys.len;
    if (buffer_append(&by->own.keys, (struct bytes){head, sizeof head}, SIZE_MAX) &&
        buffer_append(&by->own.keys, name, SIZE_MAX))
        return;
    by->own.keys.len = len;
    by->own.all = true;
}

void invalidation_unnoted(struct invalidator *by) {
    by->own.all = true;
}

static void tell_of_key(struct wakes *wakes, const struct chosen *chosen, struct bytes key) {
    char few[HEAD_MAX + KEY_SHORT];
    struct text_for_all text = {0};
    size_t most = HEAD_MAX + key.len;
    if (!chosen->total) return;
    char *at = few;
    if (key.len > KEY_SHORT) {
        text.block = block_new_full(most, most);
        at = text.block ? text.block->data : NULL;
    }
    if (at) {
        char *end = append_key(append(at, BYTES("*1\r\n")), key);
        text.bytes = (struct bytes){at, (size_t)(end - at)};
        assert(text.bytes.len <= most);
    }
    tell(wakes, chosen, &text); /* without memory for the key it is all of them */
    if (text.block) block_release(text.block);
}

static void choose_reader(struct invalidator *by, struct chosen *chosen, struct bytes key, uint32_t reader) {
    struct tracker *tracker = trackers_find(reader);
    bool own = tracker && tracker->id == by->own.client_id;
    if (!tracker || tracker->flags & CLIENT_BCAST || (own && tracker->flags & CLIENT_NOLOOP)) return;
    if (own)
        add_own(by, key.data ? key : BYTES(""));
    else
        choose(by->wakes, chosen, tracker);
}

void invalidation_key(struct invalidator *by, struct bytes key, const struct readers *readers) {
    struct chosen chosen;
    choose_nobody(&chosen);
    trackers_lock();
    for (uint32_t near = readers->near; near; near &= near - 1)
        choose_reader(by, &chosen, key, readers->first + (uint32_t)__builtin_ctz(near));
    for (uint32_t i = 0; i < readers->count; i++) choose_reader(by, &chosen, key, readers->others[i]);
    tell_of_key(by->wakes, &chosen, key);
    trackers_unlock();
}

struct everybody {
    struct invalidator *by;
    struct chosen chosen;
};

static void choose_each(void *context, struct tracker *tracker) {
    struct everybody *all = context;
    if (tracker->id == all->by->own.client_id)
        add_own(all->by, (struct bytes){0});
    else
        choose(all->by->wakes, &all->chosen, tracker);
}

void invalidation_all(struct invalidator *by) {
    struct everybody all;
    if (!trackers_count()) return;
    all.by = by;
    choose_nobody(&all.chosen);
    trackers_lock();
    trackers_each(choose_each, &all);
    tell(by->wakes, &all.chosen, &(struct text_for_all){0});
    trackers_unlock();
}

/* ---- One's own ------------------------------------------------------------------------------------ */

static void write_head(struct reply *reply) {
    if (reply->resp == 3)
        reply_literal(reply, ">2\r\n$10\r\ninvalidate\r\n");
    else
        reply_literal(reply, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n");
}

static void write_null(uint8_t resp, struct reply *reply) {
    if (resp == 3)
        reply_literal(reply, "_\r\n");
    else
        reply_literal(reply, "$-1\r\n");
}

static void write_broken(uint64_t target_id, struct reply *reply) {
    if (reply->resp != 3) return;
    reply_literal(reply, ">2\r\n$21\r\ntracking-redir-broken\r\n");
    reply_int(reply, (int64_t)target_id);
}

/* In RESP2 there are no pushes: only who subscribes to something can tell a message from a reply. */
static bool can_hear(const struct client *client, const struct reply *reply, bool redirected) {
    return reply->resp == 3 || (redirected && client_get(client->flags) & CLIENT_SUBSCRIBED);
}

/* A key, or all of them, to the client itself. */
static void write_own(const struct tracker *tracker, struct bytes name, struct reply *reply) {
    if (!can_hear(tracker->client, reply, tracker->target != NULL)) return;
    write_head(reply);
    if (!name.data) {
        write_null(reply->resp, reply);
        return;
    }
    reply_array(reply, 1);
    reply_bulk(reply, name);
}

/* The client NULL: it is another thread's. */
static void tell_one(struct invalidator *by, struct tracker *tracker, struct bytes name,
                     struct client *client, struct reply *reply) {
    struct chosen chosen;
    const struct tracker *target = tracker->target;
    if (reply && (!target || target == tracker)) {
        write_own(tracker, name, reply);
        return;
    }
    if (target && has_gone(target) && client) {
        client_set(client->flags, client->flags | CLIENT_BROKEN_REDIRECT);
        write_broken(target->id, reply);
        return;
    }
    choose_nobody(&chosen);
    choose(by->wakes, &chosen, tracker);
    if (name.data)
        tell_of_key(by->wakes, &chosen, name);
    else
        tell(by->wakes, &chosen, &(struct text_for_all){0});
}

static struct bytes take_own(const struct invalidator *by, size_t *at) {
    struct bytes name = {NULL, 0};
    bool all = by->own.keys.data[*at] != ONE_KEY;
    memcpy(&name.len, by->own.keys.data + *at + 1, sizeof name.len);
    *at += 1 + sizeof name.len;
    if (!all) name.data = by->own.keys.data + *at;
    *at += name.len;
    assert(*at <= by->own.keys.len);
    return name;
}

void invalidation_tell_own(struct invalidator *by, struct client *client, struct reply *reply) {
    trackers_lock();
    struct tracker *tracker = trackers_of(by->own.client_id);
    if (tracker && !tracker->tracks) tracker = NULL;
    if (tracker && by->own.all) tell_one(by, tracker, (struct bytes){0}, client, reply);
    for (size_t at = 0; tracker && !by->own.all && at < by->own.keys.len;)
        tell_one(by, tracker, take_own(by, &at), client, reply);
    trackers_unlock();
    by->own.all = false;
    by->own.keys.len = 0;
    if (by->own.keys.capacity > KEY_SHORT) buffer_free(&by->own.keys);
}

void invalidator_close(struct invalidator *by) {
    buffer_free(&by->own.keys);
    buffer_free(&by->changed);
}

/* ---- By prefixes ---------------------------------------------------------------------------------- */

struct changed {
    struct bytes key;
    uint64_t client_id; /* whose command changed it */
    size_t place;       /* in the order of the changes */
};

void invalidation_note(struct invalidator *by, struct bytes key, uint64_t client_id) {
    char head[sizeof(uint64_t) + sizeof(size_t)];
    memcpy(head, &client_id, sizeof(uint64_t));
    memcpy(head + sizeof(uint64_t), &key.len, sizeof(size_t));
    size_t len = by->changed.len;
    if (by->changed_all) return;
    if (!buffer_append(&by->changed, (struct bytes){head, sizeof head}, SIZE_MAX) ||
        !buffer_append(&by->changed, key, SIZE_MAX)) {
        by->changed.len = len;
        by->changed_all = true;
    }
    if (by->changed.len >= BROADCAST_MAX) invalidation_broadcast(by);
}

static size_t read_changes(const struct buffer *from, struct changed *all) {
    size_t count = 0;
    for (size_t at = 0; at < from->len; count++) {
        struct changed one = {.place = count};
        memcpy(&one.client_id, from->data + at, sizeof(uint64_t));
        memcpy(&one.key.len, from->data + at + sizeof(uint64_t), sizeof(size_t));
        at += sizeof(uint64_t) + sizeof(size_t);
        one.key.data = from->data + at;
        at += one.key.len;
        assert(at <= from->len);
        if (all) all[count] = one;
    }
    return count;
}

static int order_of_keys(const void *a, const void *b) {
    const struct changed *one = a, *other = b;
    int order = bytes_compare(one->key, other->key);
    return order ? order : (one->place < other->place) - (one->place > other->place);
}

/* In the order of their bytes, each once: the last change of a key counts. Returns how many are left. */
static size_t sort_changes(struct changed *all, size_t count) {
    size_t kept = 0;
    qsort(all, count, sizeof *all, order_of_keys);
    for (size_t i = 0; i < count; i++)
        if (!kept || !bytes_equal(all[kept - 1].key, all[i].key)) all[kept++] = all[i];
    return kept;
}

static bool has_prefix(struct bytes key, struct bytes prefix) {
    return key.len >= prefix.len && (!prefix.len || !memcmp(key.data, prefix.data, prefix.len));
}

/* Those with this prefix, but for what the client `without` changed. NULL where there are none, or no memory: *any tells. */
static struct block *text_of_changes(const struct changed *all, size_t count, struct bytes prefix,
                                     uint64_t without, bool *any) {
    size_t most = HEAD_MAX, keys = 0;
    for (size_t i = 0; i < count; i++) {
        if (all[i].client_id == without || !has_prefix(all[i].key, prefix)) continue;
        most += HEAD_MAX + all[i].key.len;
        keys++;
    }
    *any = keys > 0;
    struct block *block = keys ? block_new_full(most, most) : NULL;
    if (!block) return NULL;
    char *at = append_head(block->data, '*', keys);
    for (size_t i = 0; i < count; i++)
        if (all[i].client_id != without && has_prefix(all[i].key, prefix)) at = append_key(at, all[i].key);
    block_set_len(block, (size_t)(at - block->data));
    return block;
}

static bool has_changed(const struct changed *all, size_t count, const struct membership *member) {
    if (!(member->tracker->flags & CLIENT_NOLOOP)) return false;
    for (size_t i = 0; i < count; i++)
        if (all[i].client_id == member->tracker->id && has_prefix(all[i].key, member->prefix->name))
            return true;
    return false;
}

/* Without memory for the text they are told that all keys are invalid. */
static void tell_changes(struct wakes *wakes, const struct chosen *chosen, struct block *block) {
    struct text_for_all text = {0};
    if (block) {
        text.bytes = block_bytes(block);
        if (block->len >= LONG_TEXT) text.block = block;
    }
    tell(wakes, chosen, &text);
    if (block) block_release(block);
}

/* Who has changed some himself and does not want to hear of it gets a text of his own. */
static void tell_prefix(struct wakes *wakes, const struct prefix *prefix, const struct changed *all,
                        size_t count) {
    struct chosen chosen;
    bool any;
    struct block *block = text_of_changes(all, count, prefix->name, UINT64_MAX, &any);
    if (!any) return;
    choose_nobody(&chosen);
    for (const struct membership *member = prefix->members; member; member = member->next)
        if (!has_changed(all, count, member)) choose(wakes, &chosen, member->tracker);
    tell_changes(wakes, &chosen, block);
    for (const struct membership *member = prefix->members; member; member = member->next) {
        if (!has_changed(all, count, member)) continue;
        block = text_of_changes(all, count, prefix->name, member->tracker->id, &any);
        if (!any) continue;
        choose_nobody(&chosen);
        choose(wakes, &chosen, member->tracker);
        tell_changes(wakes, &chosen, block);
    }
}

static void choose_bcast(void *context, struct tracker *tracker) {
    struct everybody *all = context;
    if (tracker->flags & CLIENT_BCAST) choose(all->by->wakes, &all->chosen, tracker);
}

static void broadcast_all(struct invalidator *by) {
    struct everybody all;
    all.by = by;
    choose_nobody(&all.chosen);
    trackers_each(choose_bcast, &all);
    tell(by->wakes, &all.chosen, &(struct text_for_all){0});
}

void invalidation_broadcast(struct invalidator *by) {
    size_t count = read_changes(&by->changed, NULL);
    struct changed *all = by->changed_all ? NULL : malloc((count ? count : 1) * sizeof *all);
    if (all) {
        (void)read_changes(&by->changed, all);
        count = sort_changes(all, count);
    }
    trackers_lock();
    if (!all)
        broadcast_all(by);
    else
        for (const struct prefix *prefix = trackers_prefixes(); prefix; prefix = prefix->next)
            tell_prefix(by->wakes, prefix, all, count);
    trackers_unlock();
    free(all);
    by->changed_all = false;
    by->changed.len = 0;
    if (by->changed.capacity > BROADCAST_MAX) buffer_free(&by->changed);
}

/* ---- Delivering ----------------------------------------------------------------------------------- */

size_t invalidation_write(const struct word *word, struct client *client, struct reply *reply) {
    if (word->what == TOLD_BROKEN) {
        client_set(client->flags, client->flags | CLIENT_BROKEN_REDIRECT);
        write_broken(word->target_id, reply);
        return HEAD_MAX;
    }
    if (!can_hear(client, reply, word->redirected)) return 0;
    write_head(reply);
    if (word->what == TOLD_KEYS)
        reply_raw(reply, word->keys);
    else
        write_null(word->null, reply);
    return 2 * HEAD_MAX + word->keys.len;
}

/* With what it shows at most. */
static struct notice *pop(struct inbox *inbox, uint64_t *ticket) {
    struct notice *notice = inbox->first;
    *ticket = inbox->ticket;
    if (!notice) return NULL;
    inbox->first = notice->next;
    if (!inbox->first) inbox->last = NULL;
    return notice;
}

/* Takes a client out that is owed something, and says what. False: there is none. */
static bool pop_owed(struct inbox *inbox, struct word *word, uint32_t *broken, bool *all) {
    struct tracker *tracker = inbox->owed;
    if (!tracker) return false;
    inbox->owed = tracker->next_owed;
    *word = (struct word){.slot = tracker->slot,
                          .id = tracker->id,
                          .redirected = tracker->owed_redirected,
                          .null = 3,
                          .ticket = inbox->ticket,
                          .target_id = tracker->target ? tracker->target->id : 0};
    *broken = tracker->target ? tracker->owed_broken : 0;
    *all = tracker->owed_all;
    tracker->owed = tracker->owed_all = tracker->owed_redirected = false;
    tracker->owed_broken = 0;
    trackers_settle(tracker);
    return true;
}

typedef void write_word(void *context, const struct word *word);

static void deliver_owed(struct inbox *inbox, write_word *write, void *context) {
    struct word word;
    uint32_t broken;
    bool all;
    for (;;) {
        trackers_lock();
        bool any = pop_owed(inbox, &word, &broken, &all);
        trackers_unlock();
        if (!any) return;
        word.what = TOLD_ALL;
        if (all) write(context, &word);
        word.what = TOLD_BROKEN;
        while (broken-- > 0) write(context, &word);
    }
}

/* Returns to how many clients. */
static uint32_t hand_out(const struct notice *notice, uint64_t ticket, write_word *write, void *context) {
    struct word word = {
        .what = notice->keys.data ? TOLD_KEYS : TOLD_ALL, .keys = notice->keys, .ticket = ticket};
    for (uint32_t i = 0; i < notice->count; i++) {
        const struct recipient *to = &notice->recipients[i];
        word.slot = to->slot;
        word.id = to->id;
        word.redirected = to->redirected;
        word.null = to->null;
        write(context, &word);
    }
    return notice->count;
}

void invalidation_deliver(struct wakes *wakes, unsigned shard, write_word *write, void *context) {
    struct inbox *inbox = &inboxes[shard];
    uint32_t handed = 0;
    size_t bytes = 0;
    deliver_owed(inbox, write, context);
    while (handed < MESSAGES_PER_TURN) {
        uint64_t ticket;
        trackers_lock();
        struct notice *notice = pop(inbox, &ticket);
        trackers_unlock();
        if (!notice) break;
        handed += 1 + hand_out(notice, ticket, write, context);
        bytes += notice->size;
        notice_free(notice);
    }
    trackers_lock();
    assert(inbox->posted);
    weigh(wakes, inbox, 0, bytes);
    inbox->posted = inbox->first || inbox->owed;
    if (inbox->posted) post_push(&mailboxes[shard], &inbox->post);
    trackers_unlock();
}

bool invalidation_arrived(struct wakes *wakes, const struct client *client) {
    if (!trackers_know(client->id)) return true;
    trackers_lock();
    struct tracker *tracker = trackers_of(client->id);
    bool ok = !tracker || tracker->shard == client->shard;
    if (tracker) tracker->client = client;
    if (tracker && ok) {
        tracker->slot = client->slot;
        tracker->owed_all = tracker->owed_redirected = true;
        owe(wakes, tracker);
    }
    trackers_unlock();
    return ok;
}

void invalidation_drop(unsigned shard) {
    struct inbox *inbox = &inboxes[shard];
    struct word word;
    uint32_t broken;
    bool all;
    uint64_t ticket;
    trackers_lock();
    while (pop_owed(inbox, &word, &broken, &all)) {
    }
    for (struct notice *notice; (notice = pop(inbox, &ticket));) notice_free(notice);
    if (inbox->full) __atomic_fetch_sub(&full_inboxes, 1, __ATOMIC_SEQ_CST);
    inbox->posted = inbox->full = false;
    inbox->bytes = inbox->ticket = 0;
    trackers_unlock();
}
