/* shard.c - a shard opens what it is made of: rings, slots, limits, mail. */
#include "server/loop/shard.h"

#include <errno.h>

#include "server/config/config.h"
#include "server/loop/deliver.h"

struct shard *shards;
unsigned shard_count;

enum {
    FILE_TABLE_MAX = 32 * 1024, /* slots beyond this use plain descriptors */
    SQPOLL_IDLE_MS = 10,
};

static int open_ring(struct shard *shard, const struct shard_place *place) {
    assert(place->poll_leader <=
           shard->index); /* a ring shares the poll thread of one that is open already */
    struct ring_options options = {
        .sq_entries = SQ_ENTRIES,
        .cq_entries = CQ_ENTRIES,
        .mode = place->mode,
        .attach_fd = place->poll_leader == shard->index ? -1 : shards[place->poll_leader].ring.fd,
        .sq_cpu = place->poll_cpu,
        .sq_idle_ms = SQPOLL_IDLE_MS,
    };
    shard->quick_sends = options.mode == RING_INLINE;
    return ring_open(&shard->ring, &options);
}

static void open_limits(struct shard *shard) {
    shard->limits = (struct request_limits){
        .max_args = MAX_REQUEST_ARGS,
        .max_bulk = (uint64_t)config.proto_max_bulk_len,
        .max_inline = MAX_INLINE,
        .bulk_min = DIRECT_READ_MIN,
        .authenticated = true,
    };
    shard->limits_unauthenticated = (struct request_limits){
        .max_args = MAX_REQUEST_ARGS_UNAUTHENTICATED,
        .max_bulk = MAX_BULK_UNAUTHENTICATED,
        .max_inline = MAX_INLINE,
        .bulk_min = UINT64_MAX,
    };
}

static void open_lists(struct shard *shard) {
    conn_list_open(&shard->ready, offsetof(struct conn, turn_link));
    conn_list_open(&shard->held, offsetof(struct conn, turn_link));
    conn_list_open(&shard->flush, offsetof(struct conn, flush_link));
    conn_list_open(&shard->awaiting, offsetof(struct conn, flush_link));
    conn_list_open(&shard->rearm, offsetof(struct conn, receive_link));
    conn_list_open(&shard->closing, offsetof(struct conn, receive_link));
}

void shard_init(struct shard *shard, unsigned index) {
    memset((void *)shard, 0, sizeof *shard);
    shard->index = index;
    shard->cpu = -1;
    shard->ring.fd = -1;
    shard->want_ms = DUE_NEVER;
    shard->mailbox = &mailboxes[index];
    *shard->mailbox =
        (struct mailbox){.due_ms = DUE_ALL, .ring_fd = -1}; /* its first turn looks at everything */
    open_limits(shard);
    open_lists(shard);
    slots_open(&shard->slots);
    executor_open(&shard->exec, index);
}

int shard_open(struct shard *shard, const struct shard_place *place) {
    shard->cpu = place->cpu;
    if (!deliver_open(shard)) return -ENOMEM;
    int error = open_ring(shard, place);
    if (error) return error;
    shard->mailbox->ring_fd = shard->ring.fd;
    error = buffers_open(&shard->buffers, &shard->ring, 0, RECEIVE_BUFFERS, RECEIVE_BUFFERS_LEAST,
                         RECEIVE_BUFFER_SIZE);
    if (error) return error;
    if (files_open(&shard->files, &shard->ring, FILE_TABLE_MAX) < 0) shard->files.count = 0;
    return 0;
}

void shard_close(struct shard *shard) {
    deliver_close(shard);
    executor_close(&shard->exec);
    files_close(&shard->files);
    buffers_close(&shard->buffers);
    ring_close(&shard->ring);
    slots_close(&shard->slots);
    chunk_pool_close(&shard->chunks);
}
