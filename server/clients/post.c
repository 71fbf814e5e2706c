/* post.c - a lock-free stack per shard: producers push with compare-and-swap, the owner takes all and
 * reverses.
 *
 * A wake-up needs room in the sender's submission queue, and room may take time: the kernel may lack memory, or want its
 * completions read first, which only the sender's turn does. So the sender never waits for it. It owes the wake-up: a
 * reminder in its own queue keeps it from sleeping and brings it back here in its next turn. */
#include "server/clients/post.h"

#include <stdlib.h>

#include "server/loop/shard.h"
#include "server/op.h"
#include "uring/prep.h"

enum post_kind { POST_DELIVER, POST_CLOSE, POST_RESUME, POST_STOP, POST_REMINDER };

struct post {
    struct post *next;
    enum post_kind kind;
    uint32_t slot;
    uint64_t id;
    uint32_t flag; /* of the client: a delivery needs it still; 0: none */
    struct block *bytes;
};

/* ---- Sending -------------------------------------------------------------------------------------- */

/* Wake-ups that a shard owes; its own thread's. */
static struct debt {
    struct post reminder; /* in the shard's queue while anything is owed */
    bool reminded;
    bool owed[MAX_SHARDS]; /* to whom */
} debts[MAX_SHARDS];

/* False: no room in the submission queue, nor does the kernel make any now. What it takes and then cannot deliver for want
 * of memory is lost: the target looks around by itself, within a second while there are clients. */
static bool wake(struct ring *ring, const struct shard *target) {
    struct io_uring_sqe *sqe = ring_sqe(ring);
    if (!sqe && ring_submit(ring) >= 0) sqe = ring_sqe(ring);
    if (!sqe) return false;
    prep_msg_ring(sqe, target->ring.fd, 0, op_pack(OP_WAKE, 0, 0), op_pack(OP_NONE, 0, 0));
    return true;
}

/* The push and the look at `parked` are sequentially consistent, as are the owner's store to `parked` and its
 * look at the queue: one of the two sees the other. */
static void push(struct shard *target, struct post *post) {
    post->next = __atomic_load_n(&target->posts, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&target->posts, &post->next, post, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
    }
}

/* Wakes the target if it sleeps. False where that must be tried again; others who find it parked may try as well. (If it has
 * woken by itself meanwhile, it is marked as parked while it runs: somebody wakes it once too often.) */
static bool nudge(struct ring *ring, struct shard *target) {
    if (!__atomic_load_n(&target->parked, __ATOMIC_SEQ_CST) ||
        !__atomic_exchange_n(&target->parked, 0, __ATOMIC_SEQ_CST))
        return true;
    if (wake(ring, target)) return true;
    __atomic_store_n(&target->parked, 1, __ATOMIC_SEQ_CST);
    return false;
}

static void owe_wake(struct shard *from, unsigned to) {
    struct debt *debt = &debts[from->index];
    debt->owed[to] = true;
    if (debt->reminded) return;
    debt->reminded = true;
    debt->reminder = (struct post){.kind = POST_REMINDER};
    push(from, &debt->reminder);
}

static void pay_wakes(struct shard *from) {
    struct debt *debt = &debts[from->index];
    debt->reminded = false;
    for (unsigned to = 0; to < shard_count; to++) {
        if (!debt->owed[to]) continue;
        debt->owed[to] = false;
        if (!nudge(&from->ring, &shards[to])) owe_wake(from, to);
    }
}

static bool send_post(struct shard *from, unsigned to, struct post what) {
    struct post *post = malloc(sizeof *post);
    if (!post) return false;
    *post = what;
    push(&shards[to], post);
    if (!nudge(&from->ring, &shards[to])) owe_wake(from, to);
    return true;
}

bool post_deliver(struct shard *from, struct client_address to, uint32_t flag, struct block *bytes) {
    struct post post = {.kind = POST_DELIVER, .slot = to.slot, .id = to.id, .flag = flag, .bytes = bytes};
    if (send_post(from, to.shard, post)) return true;
    block_release(bytes);
    return false;
}

bool post_close(struct shard *from, struct client_address to) {
    return send_post(from, to.shard, (struct post){.kind = POST_CLOSE, .slot = to.slot, .id = to.id});
}

bool post_resume(struct shard *from) {
    bool ok = true;
    for (unsigned i = 0; i < shard_count; i++) ok &= send_post(from, i, (struct post){.kind = POST_RESUME});
    return ok;
}

bool post_stop_all(struct ring *ring) {
    bool taken = true;
    for (unsigned i = 0; i < shard_count; i++) {
        struct post *post = shards[i].stop;
        shards[i].stop = NULL;
        if (post) push(&shards[i], post);
        if (client_get(shards[i].stopping)) continue;
        taken = false;
        /* Whether it sleeps or not: an earlier wake-up may have come to nothing. */
        (void)wake(ring, &shards[i]);
    }
    (void)ring_wait(ring, 0, 0, 0);
    ring_advance(ring, ring_ready(ring));
    return taken;
}

/* ---- Running -------------------------------------------------------------------------------------- */

bool post_waiting(const struct shard *shard) {
    return __atomic_load_n(&shard->posts, __ATOMIC_SEQ_CST) != NULL;
}

static struct post *take_all(struct shard *shard) {
    struct post *newest = __atomic_exchange_n(&shard->posts, NULL, __ATOMIC_SEQ_CST), *oldest = NULL;
    while (newest) {
        struct post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void deliver(struct conn *conn, struct block *bytes) {
    if (bytes->len >= PIN_MIN) {
        if (!output_attach(&conn->output, bytes)) conn->output.reply.failed = true;
    } else {
        reply_raw(&conn->output.reply, block_bytes(bytes));
        block_release(bytes);
    }
    conn_wants_flush(conn);
}

static void run(struct shard *shard, struct post *post) {
    struct conn *conn = shard_conn_by_id(shard, post->slot, post->id);
    switch (post->kind) {
    case POST_DELIVER:
        if (conn && (conn->client.flags & (post->flag | CLIENT_REPLY_OFF)) == post->flag)
            deliver(conn, post->bytes);
        else
            block_release(post->bytes);
        break;
    case POST_CLOSE:
        if (conn) conn_shut(conn);
        break;
    case POST_RESUME:
        while (shard->held.first) conn_resume(shard->held.first, CONN_STOP_PAUSE);
        break;
    case POST_STOP: client_set(shard->stopping, true); break; /* main looks for it */
    case POST_REMINDER: pay_wakes(shard); break;
    }
    metric_add(&shard->metrics.posts_received, 1);
}

static void drop(struct post *post) {
    if (post->kind != POST_REMINDER) free(post);
}

bool post_run(struct shard *shard) {
    if (!__atomic_load_n(&shard->posts, __ATOMIC_RELAXED)) return false;
    for (struct post *post = take_all(shard), *next; post; post = next) {
        next = post->next;
        run(shard, post);
        drop(post);
    }
    return true;
}

bool post_open(struct shard *shard) {
    shard->stop = malloc(sizeof *shard->stop);
    if (!shard->stop) return false;
    *shard->stop = (struct post){.kind = POST_STOP};
    return true;
}

void post_close_all(struct shard *shard) {
    for (struct post *post = take_all(shard), *next; post; post = next) {
        next = post->next;
        if (post->kind == POST_DELIVER) block_release(post->bytes);
        drop(post);
    }
    debts[shard->index] = (struct debt){0};
    free(shard->stop);
    shard->stop = NULL;
}
