/* post.c - a lock-free stack per shard: producers push with compare-and-swap, the owner takes all and
 * reverses. */
#include "server/post.h"

#include <stdlib.h>

#include "server/op.h"
#include "server/shard.h"
#include "uring/prep.h"

enum post_kind { POST_DELIVER, POST_CLOSE, POST_RESUME, POST_STOP };

struct post {
    struct post *next;
    enum post_kind kind;
    uint32_t slot;
    uint64_t id;
    uint32_t flag; /* of the client: a delivery needs it still; 0: none */
    struct block *bytes;
};

/* ---- Sending -------------------------------------------------------------------------------------- */

static void wake(struct ring *ring, const struct shard *target) {
    struct io_uring_sqe *sqe;
    while (!(sqe = ring_sqe(ring))) ring_submit(ring); /* room comes as the kernel takes what is queued */
    prep_msg_ring(sqe, target->ring.fd, 0, op_pack(OP_WAKE, 0, 0), op_pack(OP_NONE, 0, 0));
}

/* The push and the look at `parked` are sequentially consistent, as are the owner's store to `parked` and its
 * look at the queue: one of the two sees the other. */
static void push(struct ring *ring, struct shard *target, struct post *post) {
    post->next = __atomic_load_n(&target->posts, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&target->posts, &post->next, post, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
    }
    if (__atomic_load_n(&target->parked, __ATOMIC_SEQ_CST) &&
        __atomic_exchange_n(&target->parked, 0, __ATOMIC_SEQ_CST))
        wake(ring, target);
}

static bool send_post(struct shard *from, unsigned to, struct post what) {
    struct post *post = malloc(sizeof *post);
    if (!post) return false;
    *post = what;
    push(&from->ring, &shards[to], post);
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

void post_stop_all(struct ring *ring) {
    for (unsigned i = 0; i < shard_count; i++) {
        struct post *post = shards[i].stop;
        shards[i].stop = NULL;
        if (post) push(ring, &shards[i], post);
    }
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
        if (conn && (conn->client.flags & post->flag) == post->flag)
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
    case POST_STOP: shard->stopping = true; break;
    }
    metric_add(&shard->metrics.posts_received, 1);
}

bool post_run(struct shard *shard) {
    if (!__atomic_load_n(&shard->posts, __ATOMIC_RELAXED)) return false;
    for (struct post *post = take_all(shard), *next; post; post = next) {
        next = post->next;
        run(shard, post);
        free(post);
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
        free(post);
    }
    free(shard->stop);
    shard->stop = NULL;
}
