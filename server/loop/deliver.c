/* deliver.c - posts reach the connections of their shard, and their senders wake it.
 *
 * A wake-up needs room among what the sender asks of the kernel, and room may take time: the kernel may lack memory, or
 * want its events read first, which only the sender's turn does. So the sender never waits for it.
 *
 * Nor does it trust the kernel, which may take a wake-up and lose it: its target is looked at again a moment later, and
 * if it has not woken since, it is woken another way. */
#include "server/loop/deliver.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/clients/invalidation.h"
#include "server/clients/post.h"
#include "server/clients/pubsub.h"
#include "server/config/config.h"
#include "server/exec/blocking.h"
#include "server/loop/accept.h"
#include "server/loop/send.h"
#include "server/loop/shard.h"
#include "server/loop/waiting.h"

/* ---- Waking --------------------------------------------------------------------------------------- */

enum { HEARD_WITHIN_US = 8 * 1000 }; /* with a turn and a late timer on top less than 10 ms */

static void expect_heard(struct shard *shard, unsigned target) {
    if (!shard->unheard.any) shard->unheard_until_us = shard->exec.clock.now_us + HEARD_WITHIN_US;
    wakes_add(&shard->unheard, target);
}

/* Wakes the target if it sleeps. False where that must be tried again; others who find it parked may try as well. */
static bool nudge(struct shard *shard, unsigned target) {
    if (!post_claim_wake(&mailboxes[target])) return true;
    if (io_wake(&shard->io, &shards[target].io, target)) {
        expect_heard(shard, target);
        return true;
    }
    post_give_wake(&mailboxes[target]);
    return false;
}

static void wake_owed(struct shard *shard) {
    struct wakes owed = shard->exec.wakes;
    shard->exec.wakes = (struct wakes){0};
    for (unsigned target; wakes_take(&owed, &target);) {
        assert(target < mailbox_count);
        if (!nudge(shard, target)) wakes_add(&shard->exec.wakes, target);
    }
}

/* Of those that were woken, who has not heard it yet? A descriptor that is written to takes another way through the kernel
 * than a message, and if that fails too, it is tried again. */
static void wake_unheard(struct shard *shard) {
    struct wakes unheard = shard->unheard;
    bool late = shard->exec.clock.now_us >= shard->unheard_until_us;
    shard->unheard = (struct wakes){0};
    for (unsigned target; wakes_take(&unheard, &target);) {
        assert(target < mailbox_count);
        if (!post_wake_unheard(&mailboxes[target])) continue;
        if (late) {
            (void)io_wake_fd(mailboxes[target].wake_fd);
            metric_add(&shard->exec.metrics.wakes_repeated, 1);
            expect_heard(shard, target);
        } else {
            wakes_add(&shard->unheard, target);
        }
    }
}

void deliver_wakes(struct shard *shard) {
    if (shard->unheard.any) wake_unheard(shard);
    if (shard->exec.wakes.any) wake_owed(shard);
}

uint64_t deliver_unheard_us(const struct shard *shard) {
    uint64_t now_us = shard->exec.clock.now_us;
    if (!shard->unheard.any) return UINT64_MAX;
    assert(shard->unheard_until_us <= now_us + HEARD_WITHIN_US);
    return shard->unheard_until_us > now_us ? shard->unheard_until_us - now_us : 0;
}

void deliver_wake_failed(struct shard *shard, unsigned target) {
    assert(target < mailbox_count);
    post_give_wake(&mailboxes[target]);
    wakes_add(&shard->exec.wakes, target);
}

/* Each is woken whether it sleeps or not, for that it does may be said a moment later. */
bool deliver_stop(void) {
    bool taken = true;
    assert(shard_count == mailbox_count);
    for (unsigned i = 0; i < shard_count; i++) {
        struct post *post = shards[i].stop;
        if (post) {
            shards[i].stop = NULL; /* before it is posted: the shard looks at this afterwards */
            post_push(&mailboxes[i], post);
        }
        if (client_get(shards[i].stopping)) continue;
        taken = false;
        (void)io_wake_fd(mailboxes[i].wake_fd);
    }
    return taken;
}

/* ---- Running -------------------------------------------------------------------------------------- */

static bool comes_near(size_t bytes, size_t limit) {
    return limit && bytes >= limit / 4;
}

/* Pushes wait for their slice of a turn, and gather meanwhile: until there are so many bytes of them that they are worth a
 * send of their own, or that a limit of who does not read comes near. Who is not to be sent anything now takes no place
 * in the slice. */
static void wants_push(struct conn *conn) {
    size_t unsent = output_unsent(&conn->output);
    if (unsent >= OUTPUT_CHUNK_SIZE || comes_near(unsent, send_limit(conn)) ||
        comes_near(unsent, send_soft_limit(conn)) || conn->output.reply.failed ||
        output_in_flight(&conn->output))
        conn_wants_flush(conn);
    else
        conn_wants_push(conn);
}

static void deliver_bytes(struct conn *conn, struct block *bytes, uint64_t ticket) {
    assert(bytes->len > 0 && !(conn->flags & CONN_CLOSING));
    size_t from = output_unsent(&conn->output);
    if (bytes->len >= PIN_MIN) {
        if (!output_attach(&conn->output, bytes)) conn->output.reply.failed = true;
    } else {
        reply_raw(&conn->output.reply, block_bytes(bytes));
        block_release(bytes);
    }
    if (journal_holds()) send_hold(conn, from, ticket);
    wants_push(conn);
}

/* A subscriber that does not read reaches the limit of its class; the flush closes it. */
static void write_message(struct client *client, const struct message *message,
                          const struct channel *channel) {
    struct conn *conn = (struct conn *)(void *)client;
    if (conn->flags & CONN_CLOSING || client->flags & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW)) return;
    size_t from = output_unsent(&conn->output);
    conn->output.limit = send_limit(conn);
    pubsub_write(message, channel, &conn->output.reply);
    if (journal_holds()) send_hold(conn, from, pubsub_ticket(message));
    wants_push(conn);
}

/* Invalidations are bounded as messages are, apart from replies: what of them may be unsent yet is as much as the limit of
 * subscribers says, at most. */
static void write_word(void *context, const struct word *word) {
    struct shard *shard = context;
    struct conn *conn = slots_find_client(&shard->slots, word->slot, word->id);
    if (!conn || conn->client.flags & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW)) return;
    size_t limit = (size_t)config.client_output_buffer_limit[OUTPUT_LIMIT_PUBSUB].hard;
    size_t unsent = output_unsent(&conn->output);
    if (conn->client.pushed > unsent) conn->client.pushed = unsent; /* the others have been sent */
    conn->output.limit = send_limit(conn);
    if (journal_holds()) send_hold(conn, unsent, word->ticket);
    conn->client.pushed += invalidation_write(word, &conn->client, &conn->output.reply);
    if (limit && conn->client.pushed > limit) conn->output.reply.failed = true;
    if (comes_near(conn->client.pushed, limit))
        conn_wants_flush(conn);
    else
        wants_push(conn);
}

/* False for a post that is freed when it has run. */
static bool run_embedded(struct shard *shard, struct post *post) {
    if (post->kind == POST_WAIT)
        waiting_posted(shard, post); /* it goes with the wait */
    else if (post->kind == POST_MESSAGES)
        pubsub_deliver(&shard->exec.wakes, shard->index, write_message);
    else if (post->kind == POST_INVALIDATIONS)
        invalidation_deliver(&shard->exec.wakes, shard->index, write_word, shard);
    else if (post->kind == POST_MOVED)
        move_arrived(shard, post); /* and is freed by it */
    else
        return false;
    return true;
}

static void run_post(struct shard *shard, struct post *post) {
    metric_add(&shard->exec.metrics.posts_received, 1);
    if (run_embedded(shard, post)) return;
    struct conn *conn = slots_find_client(&shard->slots, post->slot, post->id);
    switch (post->kind) {
    case POST_DELIVER:
        if (conn && (conn->client.flags & (post->flag | CLIENT_REPLY_OFF)) == post->flag)
            deliver_bytes(conn, post->bytes, post->ticket);
        else
            block_release(post->bytes);
        break;
    case POST_CLOSE:
        if (conn) conn_shut(conn);
        break;
    case POST_ADOPT: accept_adopt(shard, post->fd, post->unix_socket); break;
    case POST_STOP:
        assert(!shard->stopping && !shard->stop); /* there is one, and main has sent it */
        client_set(shard->stopping, true);        /* and looks for this */
        break;
    case POST_WAIT:
    case POST_MESSAGES:
    case POST_INVALIDATIONS:
    case POST_MOVED: break;
    }
    free(post);
}

bool deliver_posts(struct shard *shard) {
    struct post *post = post_take_all(shard->mailbox);
    if (!post) return false;
    for (struct post *next; post; post = next) {
        next = post->next;
        run_post(shard, post);
    }
    return true;
}

bool deliver_open(struct shard *shard) {
    assert(!shard->stop);
    shard->stop = malloc(sizeof *shard->stop);
    if (!shard->stop) return false;
    *shard->stop = (struct post){.kind = POST_STOP};
    return true;
}

void deliver_close(struct shard *shard) {
    for (struct post *post = post_take_all(shard->mailbox), *next; post; post = next) {
        next = post->next;
        if (post->kind == POST_WAIT)
            blocking_drop(&shard->exec, post->client);
        else if (post->kind == POST_MOVED)
            move_drop(shard, post);
        else if (post->kind != POST_MESSAGES && post->kind != POST_INVALIDATIONS)
            post_drop(post);
    }
    pubsub_drop(shard->index);
    invalidation_drop(shard->index);
    shard->exec.wakes = shard->unheard = (struct wakes){0};
    free(shard->stop);
    shard->stop = NULL;
}
