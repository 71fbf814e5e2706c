/* pubsub.c - subscriptions of clients, messages, and the inboxes in between.
 *
 * What a shard's thread has taken from its inbox waits in `taken` until it is delivered. Each message has a number, so that
 * a client that was written some of them ahead of the others (pubsub_catch_up) is not written them again. */
#include "server/clients/pubsub.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "protocol/buffer.h"
#include "server/clients/clients.h"
#include "server/report/info.h"

/* ---- Messages ------------------------------------------------------------------------------------- */

struct delivery {
    struct delivery *next, *prev;
    struct message *message;
};

/* One allocation: the message, its deliveries, its channels, and its text if that is short. */
struct message {
    uint64_t sequence;
    uint64_t ticket;     /* of the journal: as of struct wakes */
    uint32_t references; /* atomic: a shard each */
    uint32_t channel_count;
    struct channel **channels; /* with a reference to each: the channel itself, then patterns */
    struct block *block;       /* of a long text; else NULL */
    struct bytes
        text; /* "3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n": all but the first byte, which the protocol says */
    size_t body_at; /* of the channel's name in it: patterns have a head of their own */
    size_t size;    /* bytes that it takes */
    struct delivery deliveries[];
};

/* What is published. */
struct draft {
    enum channel_kind kind;
    const struct channel_name *name;
    struct bytes payload;
};

enum { TEXT_OVERHEAD = 96 }; /* bytes of a text beside the channel and the payload, at most */

static char *append(char *at, struct bytes bytes) {
    if (bytes.len) memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

static char *append_bulk(char *at, struct bytes bytes) {
    *at++ = '$';
    at += number_format_u64(at, bytes.len);
    return append(append(append(at, BYTES("\r\n")), bytes), BYTES("\r\n"));
}

static size_t text_max(const struct draft *draft) {
    return TEXT_OVERHEAD + draft->name->bytes.len + draft->payload.len;
}

/* Writes the text; returns its length. */
static size_t text_write(char *dst, const struct draft *draft, size_t *body_at) {
    bool shard = draft->kind == CHANNEL_SHARD;
    char *at = append(dst, shard ? BYTES("3\r\n$8\r\nsmessage\r\n") : BYTES("3\r\n$7\r\nmessage\r\n"));
    *body_at = (size_t)(at - dst);
    at = append_bulk(append_bulk(at, draft->name->bytes), draft->payload);
    assert((size_t)(at - dst) <= text_max(draft));
    return (size_t)(at - dst);
}

/* A long text is made before the lock is taken. */
static struct block *text_block(const struct draft *draft, size_t *body_at) {
    struct block *block = block_new_full(text_max(draft), text_max(draft));
    if (block) block_set_len(block, text_write(block->data, draft, body_at));
    return block;
}

static void message_release(struct message *message) {
    uint32_t before = __atomic_fetch_sub(&message->references, 1, __ATOMIC_ACQ_REL);
    assert(before > 0);
    if (before > 1) return;
    for (uint32_t i = 0; i < message->channel_count; i++) channel_release(message->channels[i]);
    if (message->block) block_release(message->block);
    free(message);
}

/* What a client is sent behind the first byte, in two pieces. */
static void message_pieces(const struct message *message, const struct channel *channel,
                           struct bytes pieces[2]) {
    struct bytes text = message->text;
    bool pattern = channel->kind == CHANNEL_PATTERN;
    size_t from = pattern ? message->body_at : 0;
    pieces[0] = pattern ? channel->head : BYTES("");
    pieces[1] = (struct bytes){text.data + from, text.len - from};
}

uint64_t pubsub_ticket(const struct message *message) {
    return message->ticket;
}

void pubsub_write(const struct message *message, const struct channel *channel, struct reply *reply) {
    struct bytes pieces[2];
    message_pieces(message, channel, pieces);
    reply_raw_short(reply, reply->resp == 3 ? ">" : "*", 1);
    reply_raw(reply, pieces[0]);
    if (!message->block) {
        reply_raw(reply, pieces[1]);
    } else if (!reply->failed) {
        if (!reply->sink->attach(reply, pieces[1], block_retain(message->block))) reply->failed = true;
    }
}

/* ---- Inboxes -------------------------------------------------------------------------------------- */

struct deliveries {
    struct delivery *first, *last;
};

struct inbox {
    struct post post;
    bool posted;                /* it is on its way: under the lock, like the next three */
    bool full;                  /* more bytes wait than should */
    size_t bytes;               /* of messages that wait here */
    struct deliveries incoming; /* not taken yet */
    struct deliveries taken;    /* the rest is of the shard's thread */
    uint64_t seen;              /* the highest number up to which a client of it has been written ahead */
} __attribute__((aligned(128)));

static struct inbox inboxes[MAX_SHARDS];
static uint64_t published;    /* messages so far: the number of the last one; under the lock */
static uint32_t full_inboxes; /* atomic for who has not the lock */
static uint32_t subscribers;  /* clients in the mode: atomic */

static void deliveries_add(struct deliveries *list, struct delivery *delivery) {
    delivery->next = NULL;
    delivery->prev = list->last;
    if (list->last)
        list->last->next = delivery;
    else
        list->first = delivery;
    list->last = delivery;
}

static struct delivery *deliveries_pop(struct deliveries *list) {
    struct delivery *first = list->first;
    list->first = first->next;
    if (first->next)
        first->next->prev = NULL;
    else
        list->last = NULL;
    return first;
}

/* With the lock. Returns the number of the last message that there was until now. */
static uint64_t take(struct inbox *inbox) {
    struct deliveries *incoming = &inbox->incoming, *taken = &inbox->taken;
    if (incoming->first) {
        incoming->first->prev = taken->last;
        if (taken->last)
            taken->last->next = incoming->first;
        else
            taken->first = incoming->first;
        taken->last = incoming->last;
        *incoming = (struct deliveries){0};
    }
    return published;
}

/* With the lock. */
static void weigh(struct wakes *wakes, struct inbox *inbox, size_t more, size_t less) {
    assert(inbox->bytes + more >= less);
    inbox->bytes = inbox->bytes + more - less;
    bool full = inbox->full ? inbox->bytes > MESSAGES_LOW : inbox->bytes > MESSAGES_HIGH;
    if (full == inbox->full) return;
    inbox->full = full;
    uint32_t left = __atomic_add_fetch(&full_inboxes, full ? 1u : UINT32_MAX, __ATOMIC_SEQ_CST);
    if (!left) post_look_again(wakes); /* publishers that were held go on */
}

bool pubsub_is_full(void) {
    return __atomic_load_n(&full_inboxes, __ATOMIC_SEQ_CST) != 0;
}

/* ---- Publishing ----------------------------------------------------------------------------------- */

/* Whom it reaches: what the register found, and the shards of all that. */
struct reached {
    struct channel *const *channels;
    uint32_t count;
    uint64_t shards[MAX_SHARDS / 64];
    uint32_t shard_count;
    int64_t subscribers;
};

static void reach(struct reached *reached, const struct draft *draft) {
    *reached = (struct reached){0};
    reached->channels = channels_reached(draft->kind, draft->name, &reached->count);
    for (uint32_t i = 0; i < reached->count; i++) {
        const struct channel *channel = reached->channels[i];
        assert(channel->subscribers > 0);
        reached->subscribers += channel->subscribers;
        for (unsigned w = 0; w < MAX_SHARDS / 64; w++) reached->shards[w] |= channel->shards[w];
    }
    for (unsigned w = 0; w < MAX_SHARDS / 64; w++)
        reached->shard_count += (uint32_t)__builtin_popcountll(reached->shards[w]);
}

/* A message without a number. With a block, that has its text. */
static struct message *message_new(const struct draft *draft, const struct reached *reached,
                                   struct block *block, size_t body_at) {
    size_t tables = reached->shard_count * sizeof(struct delivery) +
                    reached->count * sizeof(struct channel *),
           size = sizeof(struct message) + tables + (block ? 0 : text_max(draft));
    struct message *message = malloc(size);
    if (!message) return NULL;
    *message = (struct message){.references = reached->shard_count,
                                .channel_count = reached->count,
                                .body_at = body_at,
                                .size = size + (block ? block->len : 0)};
    message->channels = (struct channel **)(void *)(message->deliveries + reached->shard_count);
    for (uint32_t i = 0; i < reached->count; i++) {
        message->channels[i] = reached->channels[i];
        __atomic_fetch_add(&message->channels[i]->references, 1, __ATOMIC_RELAXED);
    }
    if (block) {
        message->block = block_retain(block);
        message->text = block_bytes(block);
    } else {
        char *text = (char *)(message->channels + reached->count);
        message->text = (struct bytes){text, text_write(text, draft, &message->body_at)};
    }
    return message;
}

static void send(struct wakes *wakes, struct message *message, const struct reached *reached) {
    struct delivery *delivery = message->deliveries;
    message->sequence = ++published;
    message->ticket = wakes->shows;
    for (unsigned shard = 0; shard < mailbox_count; shard++) {
        struct inbox *inbox = &inboxes[shard];
        if (!(reached->shards[shard / 64] >> (shard % 64) & 1)) continue;
        delivery->message = message;
        deliveries_add(&inbox->incoming, delivery++);
        weigh(wakes, inbox, message->size, 0);
        if (inbox->posted) continue;
        inbox->posted = true;
        inbox->post = (struct post){.kind = POST_MESSAGES};
        post_push(&mailboxes[shard], &inbox->post);
        wakes_add(wakes, shard);
    }
    assert(delivery == message->deliveries + reached->shard_count);
}

int64_t pubsub_publish(struct wakes *wakes, enum channel_kind kind, const struct channel_name *name,
                       struct bytes payload) {
    struct draft draft = {kind, name, payload};
    struct reached reached;
    struct block *block = NULL;
    size_t body_at = 0;
    assert(kind != CHANNEL_PATTERN);
    if (!channels_may_hear(kind, name->hash)) return 0;
    if (text_max(&draft) >= PIN_MIN && !(block = text_block(&draft, &body_at))) return -1;
    channels_lock();
    reach(&reached, &draft);
    if (reached.count) {
        struct message *message = message_new(&draft, &reached, block, body_at);
        if (message)
            send(wakes, message, &reached);
        else
            reached.subscribers = -1;
    }
    channels_unlock();
    if (block) block_release(block);
    return reached.subscribers;
}

uint32_t pubsub_subscribers(enum channel_kind kind, const struct channel_name *name) {
    if (!channels_may_hear(kind, name->hash)) return 0;
    channels_lock();
    const struct channel *channel = channels_find(kind, name);
    uint32_t count = channel ? channel->subscribers : 0;
    channels_unlock();
    return count;
}

/* ---- Subscriptions -------------------------------------------------------------------------------- */

struct subscription {
    struct client *client;
    struct channel *channel;
    struct subscription *next; /* in its bucket of the client's */
    uint32_t place;            /* among the listeners of the shard */
    bool left; /* counts with the channel no more, but has a reference to it: under the lock */
};

/* Changed by the client's thread alone, with the lock, so that whoever has the lock may read it. */
struct subscriptions {
    struct subscription **buckets;
    uint32_t bucket_count, count; /* buckets: 0 or a power of two */
};

/* What a client subscribes to. Its thread's own, but for what it subscribes to; made and freed with the lock. */
struct subscriber {
    struct subscriptions of[CHANNEL_KINDS];
    uint64_t seen;        /* it has been written all messages up to this number */
    struct buffer behind; /* messages that are to come behind the replies of EXEC */
};

enum { SUBSCRIPTIONS_MIN = 4, LISTENERS_MIN = 2 };

static struct subscription **bucket_of(const struct subscriptions *all, const struct channel *channel) {
    uint64_t mixed = ((uintptr_t)channel >> 4) * 0x9e3779b97f4a7c15ull;
    return &all->buckets[mixed >> 32 & (all->bucket_count - 1)];
}

static struct subscription *find(const struct subscriptions *all, const struct channel *channel) {
    struct subscription *subscription = all->count ? *bucket_of(all, channel) : NULL;
    while (subscription && subscription->channel != channel) subscription = subscription->next;
    return subscription;
}

static bool subscriptions_grow(struct subscriptions *all) {
    if (all->count < all->bucket_count) return true;
    struct subscriptions grown = {
        .count = all->count, .bucket_count = all->bucket_count ? 2 * all->bucket_count : SUBSCRIPTIONS_MIN};
    grown.buckets = calloc(grown.bucket_count, sizeof(struct subscription *));
    if (!grown.buckets) return false;
    for (uint32_t i = 0; i < all->bucket_count; i++) {
        for (struct subscription *subscription = all->buckets[i], *next; subscription; subscription = next) {
            struct subscription **bucket = bucket_of(&grown, subscription->channel);
            next = subscription->next;
            subscription->next = *bucket;
            *bucket = subscription;
        }
    }
    free(all->buckets);
    *all = grown;
    return true;
}

static bool listeners_grow(struct listeners *listeners) {
    if (listeners->count < listeners->capacity) return true;
    uint32_t capacity = listeners->capacity ? 2 * listeners->capacity : LISTENERS_MIN;
    struct subscription **all = realloc(listeners->all, capacity * sizeof(struct subscription *));
    if (!all) return false;
    listeners->all = all;
    listeners->capacity = capacity;
    return true;
}

static uint32_t total(const struct subscriber *subscriber) {
    return subscriber->of[CHANNEL_PLAIN].count + subscriber->of[CHANNEL_PATTERN].count +
           subscriber->of[CHANNEL_SHARD].count;
}

/* Notes what others see of it. */
static void note(struct client *client, enum channel_kind kind) {
    const struct subscriber *subscriber = client->subscriber;
    bool is = client->flags & CLIENT_SUBSCRIBED, shall = total(subscriber);
    client_set(client->more->subscriptions[kind], subscriber->of[kind].count);
    if (is == shall) return;
    client_set(client->flags, client->flags ^ CLIENT_SUBSCRIBED);
    __atomic_fetch_add(&subscribers, shall ? 1u : UINT32_MAX, __ATOMIC_RELAXED);
}

/* With the lock. */
static void link_in(struct subscription *subscription, enum channel_kind kind) {
    struct client *client = subscription->client;
    struct subscriptions *all = &client->subscriber->of[kind];
    struct listeners *listeners = &subscription->channel->of_shard[client->shard];
    struct subscription **bucket = bucket_of(all, subscription->channel);
    assert(listeners->count < listeners->capacity);
    subscription->place = listeners->count;
    listeners->all[listeners->count++] = subscription;
    subscription->next = *bucket;
    *bucket = subscription;
    all->count++;
    note(client, kind);
}

/* With the lock. */
static void link_out(struct subscription *subscription, enum channel_kind kind) {
    struct client *client = subscription->client;
    struct subscriptions *all = &client->subscriber->of[kind];
    struct listeners *listeners = &subscription->channel->of_shard[client->shard];
    struct subscription **link = bucket_of(all, subscription->channel),
                        *last = listeners->all[--listeners->count];
    listeners->all[subscription->place] = last;
    last->place = subscription->place;
    while (*link != subscription) link = &(*link)->next;
    *link = subscription->next;
    assert(all->count > 0);
    all->count--;
    note(client, kind);
}

/* An idle client pays for nothing. */
static void drop_if_idle(struct client *client) {
    struct subscriber *subscriber = client->subscriber;
    if (!subscriber || total(subscriber) || subscriber->behind.len) return;
    channels_lock();
    client->subscriber = NULL;
    channels_unlock();
    for (unsigned kind = 0; kind < CHANNEL_KINDS; kind++) free(subscriber->of[kind].buckets);
    free(subscriber);
}

/* ---- Catching up ---------------------------------------------------------------------------------- */

/* The first that the client has not been written: it is looked for from the end, for there is little behind it. */
static struct delivery *first_unseen(const struct inbox *inbox, uint64_t seen) {
    struct delivery *first = NULL;
    for (struct delivery *d = inbox->taken.last; d && d->message->sequence > seen; d = d->prev) first = d;
    return first;
}

/* Within EXEC. Without memory for it the connection ends. */
static void keep_behind(struct subscriber *subscriber, const struct message *message,
                        const struct channel *channel, struct reply *reply) {
    struct bytes pieces[2];
    struct buffer *behind = &subscriber->behind;
    message_pieces(message, channel, pieces);
    if (!buffer_append(behind, reply->resp == 3 ? BYTES(">") : BYTES("*"), SIZE_MAX) ||
        !buffer_append(behind, pieces[0], SIZE_MAX) || !buffer_append(behind, pieces[1], SIZE_MAX))
        reply->failed = true;
}

/* Writes what was published up to this number and is not written yet. */
static void catch_up(struct client *client, uint64_t last, struct reply *reply) {
    struct subscriber *subscriber = client->subscriber;
    struct inbox *inbox = &inboxes[client->shard];
    bool within = client->flags & CLIENT_IN_EXEC;
    if (!within && subscriber->behind.len) {
        reply_raw(reply, buffer_bytes(&subscriber->behind));
        buffer_free(&subscriber->behind);
    }
    struct delivery *d = total(subscriber) ? first_unseen(inbox, subscriber->seen) : NULL;
    for (; d; d = d->next) {
        for (uint32_t i = 0; i < d->message->channel_count; i++) {
            const struct channel *channel = d->message->channels[i];
            if (!find(&subscriber->of[channel->kind], channel)) continue;
            if (within)
                keep_behind(subscriber, d->message, channel, reply);
            else
                pubsub_write(d->message, channel, reply);
        }
    }
    assert(subscriber->seen <= last && inbox->seen <= last);
    subscriber->seen = inbox->seen = last;
}

void pubsub_catch_up(struct client *client, struct reply *reply) {
    if (!client->subscriber) return;
    channels_lock();
    uint64_t last = take(&inboxes[client->shard]);
    channels_unlock();
    catch_up(client, last, reply);
    drop_if_idle(client);
}

/* ---- Beginning and ending ------------------------------------------------------------------------- */

static const struct {
    const char *begun, *ended;
} words[CHANNEL_KINDS] = {[CHANNEL_PLAIN] = {"subscribe", "unsubscribe"},
                          [CHANNEL_PATTERN] = {"psubscribe", "punsubscribe"},
                          [CHANNEL_SHARD] = {"ssubscribe", "sunsubscribe"}};

/* Channels and patterns are counted together. No data: the name is a null. */
static void confirm(const struct client *client, enum channel_kind kind, const char *word, struct bytes name,
                    struct reply *reply) {
    uint32_t count = client_subscriptions(client, kind);
    if (kind != CHANNEL_SHARD)
        count = client_subscriptions(client, CHANNEL_PLAIN) + client_subscriptions(client, CHANNEL_PATTERN);
    reply_push(reply, 3);
    reply_bulk_text(reply, word);
    if (name.data)
        reply_bulk(reply, name);
    else
        reply_null(reply);
    reply_int(reply, count);
}

/* With the lock: counts the client with the channel, which may be a new one, and makes room. NULL without memory. */
static struct channel *enroll(struct client *client, enum channel_kind kind,
                              const struct channel_name *name) {
    struct channel *channel = channels_find(kind, name);
    bool made = !channel;
    if (!subscriptions_grow(&client->subscriber->of[kind])) return NULL;
    if (made && !(channel = channels_add(kind, name))) return NULL;
    if (!listeners_grow(&channel->of_shard[client->shard])) {
        if (made) {
            channels_remove(channel);
            channel_release(channel);
        }
        return NULL;
    }
    channel->subscribers++;
    channel->shards[client->shard / 64] |= 1ull << (client->shard % 64);
    return channel;
}

/* With the lock, by any thread: the client counts with the channel no more. It is still linked with it, so the subscription
 * gets a reference, the register's where nobody subscribes any more: others may leave, and release theirs, before it is
 * unlinked. Its shard may be told of messages that nobody there gets. */
static void uncount(struct subscription *subscription) {
    struct channel *channel = subscription->channel;
    if (subscription->left) return;
    subscription->left = true;
    assert(channel->subscribers > 0);
    channel->subscribers--;
    if (channel->subscribers)
        __atomic_fetch_add(&channel->references, 1, __ATOMIC_RELAXED);
    else
        channels_remove(channel);
}

/* The same by the client's own thread, before it is unlinked. */
static void leave(struct subscription *subscription) {
    struct channel *channel = subscription->channel;
    unsigned shard = subscription->client->shard;
    assert(channel->of_shard[shard].count > 0);
    if (channel->of_shard[shard].count == 1) channel->shards[shard / 64] &= ~(1ull << (shard % 64));
    uncount(subscription);
}

/* The client may have subscriptions from now on. NULL without memory. */
static struct subscriber *subscriber_of(struct client *client) {
    clients_lock();
    bool ok = clients_more(client);
    clients_unlock();
    if (ok && !client->subscriber) {
        struct subscriber *made = calloc(1, sizeof *made);
        channels_lock();
        client->subscriber = made;
        channels_unlock();
    }
    return ok ? client->subscriber : NULL;
}

bool pubsub_subscribe(struct client *client, enum channel_kind kind, const struct channel_name *name,
                      struct reply *reply) {
    struct subscription *made = malloc(sizeof *made);
    struct subscriber *subscriber = made ? subscriber_of(client) : NULL;
    if (!subscriber) {
        free(made);
        return false;
    }
    channels_lock();
    uint64_t last = take(&inboxes[client->shard]);
    struct channel *channel = channels_find(kind, name);
    bool there = channel && find(&subscriber->of[kind], channel);
    if (!there) channel = enroll(client, kind, name);
    channels_unlock();
    catch_up(client, last, reply);
    if (there || !channel) {
        free(made);
        made = NULL;
    }
    if (made) {
        *made = (struct subscription){.client = client, .channel = channel};
        channels_lock();
        link_in(made, kind);
        if (__atomic_load_n(&client->killed, __ATOMIC_RELAXED))
            uncount(made); /* pubsub_kill has not seen it */
        channels_unlock();
    }
    if (channel) confirm(client, kind, words[kind].begun, channel->name, reply);
    drop_if_idle(client);
    return channel != NULL;
}

/* Behind leave. The subscription's channel may go with it, so it is confirmed before that. */
static void end(struct subscription *subscription, enum channel_kind kind, struct reply *reply) {
    struct client *client = subscription->client;
    struct channel *channel = subscription->channel;
    channels_lock();
    link_out(subscription, kind);
    channels_unlock();
    free(subscription);
    if (reply) confirm(client, kind, words[kind].ended, channel->name, reply);
    channel_release(channel);
}

void pubsub_unsubscribe(struct client *client, enum channel_kind kind, const struct channel_name *name,
                        struct reply *reply) {
    struct subscriber *subscriber = client->subscriber;
    struct subscription *subscription = NULL;
    if (subscriber) {
        channels_lock();
        uint64_t last = take(&inboxes[client->shard]);
        struct channel *channel = channels_find(kind, name);
        if (channel) subscription = find(&subscriber->of[kind], channel);
        if (subscription) leave(subscription);
        channels_unlock();
        catch_up(client, last, reply);
    }
    if (subscription)
        end(subscription, kind, reply);
    else
        confirm(client, kind, words[kind].ended, name->bytes, reply);
    drop_if_idle(client);
}

/* Each by itself, for others wait for the lock. reply NULL: nothing is written. */
static void end_all(struct client *client, enum channel_kind kind, struct reply *reply) {
    struct subscriptions *all = &client->subscriber->of[kind];
    for (uint32_t i = 0; i < all->bucket_count; i++) {
        for (struct subscription *subscription; (subscription = all->buckets[i]);) {
            channels_lock();
            uint64_t last = take(&inboxes[client->shard]);
            leave(subscription);
            channels_unlock();
            if (reply) catch_up(client, last, reply);
            end(subscription, kind, reply);
        }
    }
    assert(all->count == 0);
}

void pubsub_unsubscribe_all(struct client *client, enum channel_kind kind, struct reply *reply) {
    bool any = client_subscriptions(client, kind);
    pubsub_catch_up(client, reply);
    if (any)
        end_all(client, kind, reply);
    else
        confirm(client, kind, words[kind].ended, (struct bytes){0}, reply);
    drop_if_idle(client);
}

void pubsub_leave(struct client *client) {
    if (!client->subscriber) return;
    for (unsigned kind = 0; kind < CHANNEL_KINDS; kind++) end_all(client, (enum channel_kind)kind, NULL);
    buffer_free(&client->subscriber->behind);
    drop_if_idle(client);
    assert(!client->subscriber);
}

/* Each bucket by itself, for others wait for the lock. Meanwhile a table may grow, and what a bucket has goes to no earlier
 * one then; or be freed, and a new one has only what link_in was followed by uncount for. */
void pubsub_kill(struct client *client) {
    assert(client->killed);
    for (unsigned kind = 0; kind < CHANNEL_KINDS; kind++) {
        for (uint32_t i = 0, buckets = 1; i < buckets; i++) {
            channels_lock();
            const struct subscriptions *all = client->subscriber ? &client->subscriber->of[kind] : NULL;
            buckets = all ? all->bucket_count : 0;
            struct subscription *subscription = i < buckets ? all->buckets[i] : NULL;
            for (; subscription; subscription = subscription->next) uncount(subscription);
            channels_unlock();
        }
    }
}

/* ---- Delivering ----------------------------------------------------------------------------------- */

/* Returns to how many clients. */
static uint32_t hand_out(const struct inbox *inbox, const struct message *message,
                         void (*write)(struct client *client, const struct message *message,
                                       const struct channel *channel)) {
    unsigned shard = (unsigned)(inbox - inboxes);
    bool all_new = message->sequence > inbox->seen; /* nobody has been written it ahead */
    uint32_t count = 0;
    for (uint32_t i = 0; i < message->channel_count; i++) {
        const struct channel *channel = message->channels[i];
        const struct listeners *listeners = &channel->of_shard[shard];
        for (uint32_t j = 0; j < listeners->count; j++, count++) {
            struct client *client = listeners->all[j]->client;
            if (all_new || message->sequence > client->subscriber->seen) write(client, message, channel);
        }
    }
    return count;
}

void pubsub_deliver(struct wakes *wakes, unsigned shard,
                    void (*write)(struct client *client, const struct message *message,
                                  const struct channel *channel)) {
    struct inbox *inbox = &inboxes[shard];
    uint32_t handed = 0;
    size_t bytes = 0;
    channels_lock();
    (void)take(inbox);
    channels_unlock();
    while (inbox->taken.first && handed < MESSAGES_PER_TURN) {
        struct message *message = deliveries_pop(&inbox->taken)->message;
        handed += 1 + hand_out(inbox, message, write);
        bytes += message->size;
        message_release(message);
    }
    channels_lock();
    assert(inbox->posted);
    weigh(wakes, inbox, 0, bytes);
    inbox->posted = inbox->taken.first || inbox->incoming.first;
    if (inbox->posted) post_push(&mailboxes[shard], &inbox->post);
    channels_unlock();
}

void pubsub_drop(unsigned shard) {
    struct inbox *inbox = &inboxes[shard];
    channels_lock();
    (void)take(inbox);
    if (inbox->full) __atomic_fetch_sub(&full_inboxes, 1, __ATOMIC_SEQ_CST);
    while (inbox->taken.first) message_release(deliveries_pop(&inbox->taken)->message);
    inbox->posted = inbox->full = false;
    inbox->bytes = 0;
    channels_unlock();
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

static uint32_t channels_there(enum channel_kind kind) {
    return __atomic_load_n(&channels_of_kind[kind], __ATOMIC_RELAXED);
}

static void measure_channels(struct info *info) {
    info->figures.pubsub_channels = channels_there(CHANNEL_PLAIN);
    info->figures.pubsub_patterns = channels_there(CHANNEL_PATTERN);
    info->figures.pubsubshard_channels = channels_there(CHANNEL_SHARD);
}
INFO_MEASURE(STATS, measure_channels);

static void measure_subscribers(struct info *info) {
    info->figures.pubsub_clients = __atomic_load_n(&subscribers, __ATOMIC_RELAXED);
}
INFO_MEASURE(CLIENTS, measure_subscribers);
