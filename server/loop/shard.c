/* shard.c - a shard opens what it is made of: io, slots, limits, mail. */
#include "server/loop/shard.h"

#include <errno.h>

#include "server/config/config.h"
#include "server/loop/deliver.h"
#include "server/loop/listener.h"

struct shard *shards;
unsigned shard_count;

enum {
    POLL_IDLE_MS = 10,
};

/* The socket that an event means: a listener's or a connection's. */
static struct io_socket *find_socket(void *context, uint64_t name) {
    const struct shard *shard = context;
    if (name & LISTENER_NAME) {
        assert(shard->index == 0 && (name ^ LISTENER_NAME) < listener_count);
        return &listeners[name ^ LISTENER_NAME].socket;
    }
    struct conn *conn = slots_find(&shard->slots, name);
    return conn ? &conn->socket : NULL;
}

static int open_io(struct shard *shard, const struct shard_place *place) {
    assert(place->poll_leader <= shard->index); /* a poll thread is shared with one that is open already */
    struct io_options options = {
        .epoll = place->epoll,
        .submissions = SQ_ENTRIES,
        .events = CQ_ENTRIES,
        .buffers = RECEIVE_BUFFERS,
        .buffers_least = RECEIVE_BUFFERS_LEAST,
        .buffer_size = RECEIVE_BUFFER_SIZE,
        .places = FILE_TABLE_MAX,
        .poll_thread = place->poll_thread && !place->epoll,
        .share = place->poll_leader == shard->index ? NULL : &shards[place->poll_leader].io,
        .poll_cpu = place->poll_cpu,
        .poll_idle_ms = POLL_IDLE_MS,
        .find = find_socket,
        .context = shard,
    };
    return io_open(&shard->io, &options);
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
    conn_list_open(&shard->waiting, offsetof(struct conn, turn_link));
    conn_list_open(&shard->flush, offsetof(struct conn, flush_link));
    conn_list_open(&shard->pushed, offsetof(struct conn, flush_link));
    conn_list_open(&shard->awaiting, offsetof(struct conn, flush_link));
    conn_list_open(&shard->rearm, offsetof(struct conn, receive_link));
    conn_list_open(&shard->closing, offsetof(struct conn, receive_link));
    move_open(&shard->moves);
}

void shard_init(struct shard *shard, unsigned index) {
    assert(index < MAX_SHARDS);
    memset((void *)shard, 0, sizeof *shard);
    shard->index = index;
    shard->cpu = -1;
    shard->want_ms = shard->walk_ms = shard->save_ms = DUE_NEVER;
    shard->walked = index;
    shard->awaits = AWAITS_NOTHING;
    shard->keepalive = config.tcp_keepalive;
    shard->mailbox = &mailboxes[index];
    *shard->mailbox = (struct mailbox){
        .due_ms = DUE_ALL, .awaits = AWAITS_NOTHING, .wake_fd = -1}; /* its first turn looks at everything */
    open_limits(shard);
    open_lists(shard);
    slots_open(&shard->slots);
    executor_open(&shard->exec, index);
    spread_init(shard);
}

int shard_open(struct shard *shard, const struct shard_place *place) {
    shard->cpu = place->cpu;
    if (!deliver_open(shard)) return -ENOMEM;
    spread_open(shard, place->poll_thread && !place->epoll);
    int error = open_io(shard, place);
    if (!error) shard->mailbox->wake_fd = shard->io.wake_fd;
    return error;
}

void shard_close(struct shard *shard) {
    deliver_close(shard);
    spread_close(shard);
    executor_close(&shard->exec);
    io_close(&shard->io);
    slots_close(&shard->slots);
    chunk_pool_close(&shard->chunks);
}
