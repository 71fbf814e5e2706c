/* conn.c - input, output and the end of a connection. The session's commands are dispatch.c's business. */
#include "server/loop/conn.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/clients/clients.h"
#include "server/config/config.h"
#include "server/exec/dispatch.h"
#include "server/exec/monitor.h"
#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/log.h"
#include "server/loop/shard.h"
#include "server/op.h"
#include "uring/prep.h"

/* ---- Lists of the shard --------------------------------------------------------------------------- */

#define LIST_PUSH(list, conn, next, flag)                                                                    \
    do {                                                                                                     \
        if ((conn)->flags & (flag)) break;                                                                   \
        (conn)->flags |= (flag);                                                                             \
        (conn)->next = NULL;                                                                                 \
        if ((list)->last)                                                                                    \
            (list)->last->next = (conn);                                                                     \
        else                                                                                                 \
            (list)->first = (conn);                                                                          \
        (list)->last = (conn);                                                                               \
    } while (0)

static void conn_wants_turn(struct conn *conn) {
    LIST_PUSH(&conn->shard->ready, conn, next_ready, CONN_IN_READY);
}

static void conn_wants_rearm(struct conn *conn) {
    LIST_PUSH(&conn->shard->rearm, conn, next_rearm, CONN_IN_REARM);
}

void conn_wants_flush(struct conn *conn) {
    LIST_PUSH(&conn->shard->flush, conn, next_flush, CONN_IN_FLUSH);
}

static void held_add(struct conn *conn) {
    struct conn_list *held = &conn->shard->held;
    conn->flags |= CONN_STOP_PAUSE;
    conn->prev_held = held->last;
    conn->next_held = NULL;
    if (held->last)
        held->last->next_held = conn;
    else
        held->first = conn;
    held->last = conn;
}

static void held_remove(struct conn *conn) {
    struct conn_list *held = &conn->shard->held;
    if (!(conn->flags & CONN_STOP_PAUSE)) return;
    conn->flags &= ~(uint32_t)CONN_STOP_PAUSE;
    if (conn->prev_held)
        conn->prev_held->next_held = conn->next_held;
    else
        held->first = conn->next_held;
    if (conn->next_held)
        conn->next_held->prev_held = conn->prev_held;
    else
        held->last = conn->prev_held;
}

/* ---- Submitting ----------------------------------------------------------------------------------- */

/* An SQE for this connection; its completion is counted. NULL when the queue is full even after a submit. */
static struct io_uring_sqe *conn_sqe(struct conn *conn) {
    struct ring *ring = &conn->shard->ring;
    struct io_uring_sqe *sqe = ring_sqe(ring);
    if (!sqe && ring_submit(ring) >= 0) sqe = ring_sqe(ring);
    if (sqe) conn->pending_ops++;
    return sqe;
}

static uint64_t conn_data(const struct conn *conn, enum op op) {
    return op_pack(op, conn->generation, conn->slot);
}

static int conn_target(struct conn *conn) {
    return conn->flags & CONN_FIXED ? (int)conn->slot : conn->fd;
}

static void conn_target_flag(struct conn *conn, struct io_uring_sqe *sqe) {
    if (conn->flags & CONN_FIXED) prep_fixed_file(sqe);
}

/* ---- Opening and closing -------------------------------------------------------------------------- */

static void socket_options(int fd, bool unix_socket) {
    int on = 1, interval = (int)config.tcp_keepalive;
    if (unix_socket) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (interval <= 0) return;
    int probe = interval / 3 > 0 ? interval / 3 : 1, count = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe, sizeof probe);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static void refuse(struct shard *shard, int fd, struct bytes text) {
    metric_add(&shard->exec.metrics.connections_rejected, 1);
    (void)!send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

/* Is the peer this machine itself? */
static bool from_loopback(int fd) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0) return false;
    if (peer.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    const struct in6_addr *address = &((struct sockaddr_in6 *)&peer)->sin6_addr;
    return peer.ss_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == IN_LOOPBACKNET);
}

/* protected-mode: without a password only this machine's own clients are served. */
static bool protected_from(int fd) {
    return config.protected_mode && !config_has_password() && !from_loopback(fd);
}

/* Redis's words, byte for byte: each remedy that they name is one here too. */
static const struct bytes protected_text = BYTES_INIT(
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for "
    "the default user. In this mode connections are only accepted from the loopback interface. If you want "
    "to connect from external computers to Redis you may adopt one of the following solutions: 1) Just "
    "disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface "
    "by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not "
    "publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) "
    "Alternatively you can just disable the protected mode by editing the Redis configuration file, and "
    "setting the protected mode option to 'no', and then restarting the server. 3) If you started the server "
    "manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an "
    "authentication password for the default user. NOTE: You only need to do one of the above things in "
    "order for the server to start accepting connections from the outside.\r\n");

int conn_open(struct shard *shard, int fd, bool unix_socket) {
    if (!unix_socket && protected_from(fd)) {
        refuse(shard, fd, protected_text);
        return -EACCES;
    }
    struct conn *conn = shard_conn_new(shard);
    if (!conn) {
        refuse(shard, fd, BYTES("-ERR Out of memory\r\n"));
        return -ENOMEM;
    }
    conn->shard = shard;
    conn->fd = fd;
    conn->client = (struct client){.shard = (uint8_t)shard->index,
                                   .slot = conn->slot,
                                   .fd = fd,
                                   .resp = 2,
                                   .created_ms = shard->exec.clock.now_ms,
                                   .active_ms = shard->exec.clock.now_ms,
                                   .flags = unix_socket ? CLIENT_UNIX_SOCKET : 0};
    output_open(&conn->output, &shard->chunks);
    if (!clients_add(&conn->client)) {
        refuse(shard, fd, BYTES("-ERR max number of clients reached\r\n"));
        shard_conn_free(shard, conn);
        return -EMFILE;
    }
    metric_add(&shard->exec.metrics.connections_received, 1);
    socket_options(fd, unix_socket);
    conn->flags = CONN_OPEN;
    if (conn->slot < shard->files.count && files_set(&shard->files, conn->slot, fd) == 0)
        conn->flags |= CONN_FIXED;
    conn_arm(conn);
    return 0;
}

static void conn_cancel_receive(struct conn *conn) {
    if (!(conn->flags & CONN_RECEIVING) || conn->flags & CONN_CANCELLING) return;
    struct io_uring_sqe *sqe = conn_sqe(conn);
    if (!sqe) return; /* whoever wants it cancelled asks again, at the latest when data comes */
    prep_cancel(sqe, conn_data(conn, OP_RECEIVE), false, conn_data(conn, OP_CANCEL));
    conn->flags |= CONN_CANCELLING;
}

static void conn_wants_closing(struct conn *conn) {
    LIST_PUSH(&conn->shard->closing, conn, next_closing, CONN_IN_CLOSING);
}

void conn_shut(struct conn *conn) {
    if (conn->flags & CONN_CLOSING) return;
    held_remove(conn);
    conn->flags |= CONN_CLOSING;
    conn_wants_closing(conn);
}

/* A receive or send that is still armed ends when the socket is shut down: its completion then comes by
 * itself. The shutdown waits until no send is under way that could still deliver a last reply. */
bool conn_reap(struct conn *conn) {
    struct shard *shard = conn->shard;
    conn->flags &= ~(uint32_t)CONN_IN_CLOSING;
    if (conn->flags & (CONN_IN_READY | CONN_IN_FLUSH | CONN_IN_REARM | CONN_IN_AWAITING)) {
        conn_wants_closing(conn); /* those lists still name it: they let go of it within a turn */
        return false;
    }
    if (conn->pending_ops) {
        if (!(conn->flags & CONN_SHUT)) shutdown(conn->fd, SHUT_RDWR);
        conn->flags |= CONN_SHUT;
        return false;
    }
    transaction_close(&conn->client);
    if (conn->client.flags & CLIENT_MONITOR) monitor_remove(&conn->client);
    clients_remove(&conn->client);
    if (conn->flags & CONN_FIXED) (void)!files_set(&shard->files, conn->slot, -1);
    close(conn->fd);
    output_close(&conn->output);
    request_parser_reset(&conn->parser);
    buffer_free(&conn->pending);
    if (conn->bulk) block_release(conn->bulk);
    for (unsigned i = 0; i < conn->arg_block_count; i++) block_release(conn->arg_block[i]);
    free(conn->arg_block);
    shard_conn_free(shard, conn);
    __atomic_fetch_sub(&shard->connections, 1, __ATOMIC_RELAXED);
    return true;
}

/* Closes what has nothing left to do. */
static void conn_settle(struct conn *conn) {
    uint32_t client = client_get(conn->client.flags);
    if (conn->flags & CONN_CLOSING) return;
    if (conn->output.reply.failed && output_unsent(&conn->output) > MAX_OUTPUT_UNAUTHENTICATED) {
        log_notice("Client id=%llu closed for overcoming of output buffer limits.",
                   (unsigned long long)conn->client.id);
        metric_add(&conn->shard->exec.metrics.output_limit_closes, 1);
    }
    if (client & CLIENT_CLOSE_NOW || conn->output.reply.failed) {
        conn_shut(conn);
        return;
    }
    bool ended = conn->flags & CONN_EOF && !(conn->flags & (CONN_IN_READY | CONN_STOPPED | CONN_READING));
    if ((ended || client & CLIENT_CLOSE_AFTER_REPLY) && !(conn->flags & CONN_SENDING) &&
        output_unsent(&conn->output) == 0)
        conn_shut(conn);
}

/* ---- Receiving ------------------------------------------------------------------------------------ */

static bool conn_wants_read(const struct conn *conn) {
    return conn->bulk && conn->bulk->capacity - conn->bulk_have >= DIRECT_READ_MIN;
}

static void conn_start_read(struct conn *conn) {
    struct io_uring_sqe *sqe = conn_sqe(conn);
    if (!sqe) {
        conn_wants_rearm(conn);
        return;
    }
    size_t left = conn->bulk->capacity - conn->bulk_have;
    unsigned len = left < (1u << 30) ? (unsigned)left : 1u << 30;
    prep_recv(sqe, conn_target(conn), conn->bulk->data + conn->bulk_have, len, MSG_WAITALL,
              conn_data(conn, OP_READ));
    conn_target_flag(conn, sqe);
    conn->flags |= CONN_READING;
    metric_add(&conn->shard->exec.metrics.ring_direct_reads, 1);
}

/* More requests wait for their turn than one turn could do. */
static bool conn_has_backlog(const struct conn *conn) {
    return conn->flags & CONN_IN_READY && conn->pending.len - conn->pending_done > TURN_BYTES;
}

/* After the last large argument so many single receives come before the connection goes back to multishot, of so many bytes:
 * what comes by a buffer is copied into the value, what comes behind it is not. */
enum { LARGE_FORGOTTEN = 16, LARGE_HEAD = 4096 };

void conn_arm(struct conn *conn) {
    if (conn->flags & (CONN_RECEIVING | CONN_READING | CONN_CLOSING | CONN_EOF) || conn_has_backlog(conn))
        return;
    if (conn_wants_read(conn)) {
        conn_start_read(conn);
        return;
    }
    struct io_uring_sqe *sqe = conn_sqe(conn);
    if (!sqe) {
        conn_wants_rearm(conn);
        return;
    }
    if (conn->flags & CONN_LARGE && ++conn->receives_since_large > LARGE_FORGOTTEN)
        conn->flags &= ~(uint32_t)CONN_LARGE;
    if (conn->flags & CONN_LARGE) {
        prep_recv(sqe, conn_target(conn), NULL, LARGE_HEAD, 0, conn_data(conn, OP_RECEIVE));
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = conn->shard->buffers.group;
    } else {
        prep_recv_multishot(sqe, conn_target(conn), conn->shard->buffers.group, conn_data(conn, OP_RECEIVE));
    }
    conn_target_flag(conn, sqe);
    conn->flags |= CONN_RECEIVING;
}

/* A receive that ended with 0 bytes is the end of the stream, or only a wake-up: kernels differ in what
 * IORING_CQE_F_SOCK_NONEMPTY says beside it, so the socket itself is asked. */
static bool at_end_of_stream(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void received_data(struct conn *conn, int res, unsigned cqe_flags) {
    struct shard *shard = conn->shard;
    unsigned id = buffers_id(cqe_flags);
    buffers_take(&shard->buffers, id);
    if (res <= 0 || conn->flags & CONN_CLOSING) {
        buffers_return(&shard->buffers, id);
        return;
    }
    assert(shard->received_count < RECEIVE_BUFFERS);
    shard->received[shard->received_count++] =
        (struct received){.conn = conn, .generation = conn->generation, .buffer = id, .len = (uint32_t)res};
}

void conn_received(struct conn *conn, int res, unsigned cqe_flags) {
    bool ended = !(cqe_flags & IORING_CQE_F_MORE);
    if (ended) {
        conn->pending_ops--;
        conn->flags &= ~(uint32_t)(CONN_RECEIVING | CONN_CANCELLING);
    }
    if (cqe_flags & IORING_CQE_F_BUFFER) received_data(conn, res, cqe_flags);
    if (conn->flags & CONN_CLOSING) {
        conn_wants_closing(conn);
        return;
    }
    if (res == -ENOBUFS) metric_add(&conn->shard->exec.metrics.ring_receives_starved, 1);
    if (res < 0 && res != -ENOBUFS && res != -ECANCELED && res != -EINTR && res != -EAGAIN) {
        conn_shut(conn);
        return;
    }
    if (res == 0 && at_end_of_stream(conn->fd)) {
        conn->flags |= CONN_EOF;
        conn_wants_turn(conn);
    } else if (ended) {
        conn_wants_rearm(conn);
    }
}

void conn_cancelled(struct conn *conn, int res) {
    (void)res; /* ENOENT and EALREADY: the receive has ended or will; its own completion says so */
    conn->pending_ops--;
    if (conn->flags & CONN_CLOSING) conn_wants_closing(conn);
}

static bool keep_block(struct conn *conn, struct block *block) {
    if (conn->arg_block_count == conn->arg_block_capacity) {
        unsigned capacity = conn->arg_block_capacity ? conn->arg_block_capacity * 2 : 4;
        struct block **grown = realloc(conn->arg_block, capacity * sizeof(struct block *));
        if (!grown) return false;
        conn->arg_block = grown;
        conn->arg_block_capacity = capacity;
    }
    conn->arg_block[conn->arg_block_count++] = block;
    return true;
}

static void drop_blocks(struct conn *conn) {
    for (unsigned i = 0; i < conn->arg_block_count; i++) block_release(conn->arg_block[i]);
    conn->arg_block_count = 0;
}

/* Who wants no reply gets none to this either. */
static void fail_protocol(struct conn *conn, const char *text) {
    if (!(conn->client.flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT)))
        reply_errorf(&conn->output.reply, "ERR %s", text);
    client_set(conn->client.flags, conn->client.flags | CLIENT_CLOSE_AFTER_REPLY);
    conn_wants_flush(conn);
}

static void fail_memory(struct conn *conn) {
    log_warning("Out of memory for the requests of client id=%llu: connection closed.",
                (unsigned long long)conn->client.id);
    conn_shut(conn);
}

/* A large argument is whole: the parser gets it. */
static void bulk_given(struct conn *conn) {
    struct block *block = conn->bulk;
    conn->bulk = NULL;
    block->len = block->capacity - 2;
    if (!keep_block(conn, block)) {
        block_release(block);
        fail_memory(conn);
        return;
    }
    request_bulk_given(&conn->parser, block->data);
}

/* Takes what belongs to the large argument from received data; returns how much. */
static size_t bulk_feed(struct conn *conn, const char *data, size_t len) {
    size_t want = conn->bulk->capacity - conn->bulk_have, n = len < want ? len : want;
    if (n) memcpy(conn->bulk->data + conn->bulk_have, data, n);
    conn->bulk_have += n;
    if (n == want)
        bulk_given(conn);
    else if (conn_wants_read(conn))
        conn_cancel_receive(conn);
    return n;
}

/* The parser announced a large argument: `have` bytes of it are here, at data. */
static bool bulk_begin(struct conn *conn, const char *data, size_t have) {
    size_t len = (size_t)conn->parser.bulk_len;
    conn->bulk = block_new(len + 2, len + 2);
    if (!conn->bulk) {
        fail_memory(conn);
        return false;
    }
    conn->bulk_have = 0;
    conn->flags |= CONN_LARGE;
    conn->receives_since_large = 0;
    bulk_feed(conn, data, have);
    return true;
}

void conn_read_done(struct conn *conn, int res) {
    conn->pending_ops--;
    conn->flags &= ~(uint32_t)CONN_READING;
    if (conn->flags & CONN_CLOSING) {
        conn_wants_closing(conn);
        return;
    }
    if (res == 0) conn->flags |= CONN_EOF;
    if (res < 0 && res != -EINTR && res != -EAGAIN) {
        conn_shut(conn);
        return;
    }
    if (res > 0) {
        metric_add(&conn->shard->exec.metrics.input_bytes, (uint64_t)res);
        conn->bulk_have += (size_t)res;
        if (conn->bulk_have == conn->bulk->capacity) bulk_given(conn);
    }
    conn_wants_rearm(conn);
    conn_wants_turn(conn);
}

/* ---- Requests ------------------------------------------------------------------------------------- */

/* How far a run through received bytes came. */
struct progress {
    size_t used; /* bytes of requests that are done with */
    size_t end;  /* bytes that are still of interest: those behind went into a large argument */
    bool again;  /* there may be more to do without more bytes */
};

static unsigned batch_size(const struct conn *conn) {
    if (conn->arg_block_count) return 1;
    return client_must_authenticate(&conn->client) ? 1 : BATCH_REQUESTS;
}

static void pending_drop(struct conn *conn) {
    buffer_free(&conn->pending);
    conn->pending_done = 0;
}

/* CLIENT PAUSE holds request i of the batch: it is put back, in RESP as it came, in front of the bytes behind
 * it. */
static void hold(struct conn *conn, const struct request *request, const char *rest, size_t len) {
    struct buffer held = {0};
    char header[32];
    bool ok = true;
    for (uint32_t i = 0; ok && i < request->args.argc; i++) {
        struct bytes arg = request->args.argv[i];
        char *at = header;
        if (i == 0) *at++ = '*', at += number_format_u64(at, request->args.argc), *at++ = '\r', *at++ = '\n';
        *at++ = '$', at += number_format_u64(at, arg.len), *at++ = '\r', *at++ = '\n';
        ok = buffer_append(&held, (struct bytes){header, (size_t)(at - header)}, SIZE_MAX) &&
             buffer_append(&held, arg, SIZE_MAX) && buffer_append(&held, BYTES("\r\n"), SIZE_MAX);
    }
    ok = ok && buffer_append(&held, (struct bytes){rest, len}, SIZE_MAX);
    if (!ok) {
        buffer_free(&held);
        fail_memory(conn);
        return;
    }
    pending_drop(conn);
    conn->pending = held;
    request_parser_reset(&conn->parser); /* what it knows of a request behind the held one is read again */
    drop_blocks(conn);
    held_add(conn);
}

/* How much may lie unsent at once, as of now: a batch is of one mind about authentication. */
static size_t output_limit(const struct conn *conn) {
    if (client_must_authenticate(&conn->client)) return MAX_OUTPUT_UNAUTHENTICATED;
    return (size_t)config.client_output_buffer_limit[OUTPUT_LIMIT_NORMAL].hard;
}

/* The next request; where it begins as the one before, `known` is its row. */
static inline enum request_status parse_request(struct conn *conn, const struct request_limits *limits,
                                                const char *at, size_t left, struct request_args *args,
                                                size_t *used, const struct command **known) {
    struct shard *shard = conn->shard;
    *known = NULL;
    if (!conn->parser.saved) {
        if (request_head_is(&shard->head, at, left) &&
            request_parse_behind(&shard->head, limits, at, left, args, used)) {
            *known = shard->head_command;
            return REQUEST_READY;
        }
        if (request_parse_whole(limits, at, left, args, used)) return REQUEST_READY;
    }
    return request_parse(&conn->parser, limits, at, left, args, used);
}

/* The next request may begin as this one. A container's name says nothing yet: OBJECT begins many commands. */
static void note_head(struct shard *shard, const struct request *request, const char *data) {
    if (!request->plain || request->command->container) return;
    if (request_head_note(&shard->head, data, &request->args)) shard->head_command = request->command;
}

struct parsed {
    unsigned count;             /* requests, in the shard's batch */
    size_t used;                /* the bytes they took */
    enum request_status status; /* of what stands behind them; READY: it was not looked at */
};

/* Parses a batch and prefetches its keys. False without memory: the connection is shut. */
static inline bool parse_batch(struct conn *conn, const struct request_limits *limits, const char *data,
                               size_t len, struct parsed *parsed) {
    struct shard *shard = conn->shard;
    unsigned most = batch_size(conn);
    *parsed = (struct parsed){.status = REQUEST_READY};
    while (parsed->count < most && parsed->used < len) {
        struct request *request = &shard->exec.batch[parsed->count];
        const char *at = data + parsed->used;
        const struct command *known;
        size_t used;
        parsed->status = parse_request(conn, limits, at, len - parsed->used, &request->args, &used, &known);
        if (parsed->status != REQUEST_READY) break;
        parsed->used += used;
        request->end = parsed->used;
        if (request->args.argc == 0) continue;
        if (!prepare_request(&shard->exec, &conn->client, parsed->count, known)) {
            fail_memory(conn);
            return false;
        }
        if (!known) note_head(shard, request, at);
        parsed->count++;
    }
    return true;
}

/* What stands behind a batch: another one, half a request, a large argument, nonsense, or nothing. */
static inline struct progress look_behind(struct conn *conn, const struct request_limits *limits,
                                          const struct parsed *parsed, const char *data, size_t len) {
    struct progress progress = {.used = parsed->used, .end = len, .again = false};
    if (parsed->status == REQUEST_READY) {
        progress.again = parsed->used < len;
    } else if (limits == &conn->shard->limits && client_must_authenticate(&conn->client)) {
        request_parser_reset(&conn->parser); /* it is read again, under the tighter limits */
        progress.again = parsed->used < len;
    } else if (parsed->status == REQUEST_BAD) {
        fail_protocol(conn, conn->parser.error);
    } else if (parsed->status == REQUEST_BULK) {
        size_t at = parsed->used + conn->parser.bulk_offset;
        progress.end = at;
        progress.again = bulk_begin(conn, data + at, len - at) && !conn->bulk;
    }
    return progress;
}

/* Parses a batch, runs it, and looks at what stands behind it. */
static struct progress run_batch(struct conn *conn, const char *data, size_t len) {
    struct shard *shard = conn->shard;
    const struct request_limits *limits =
        client_must_authenticate(&conn->client) ? &shard->limits_unauthenticated : &shard->limits;
    struct parsed parsed;
    conn->output.limit = output_limit(conn);
    if (!parse_batch(conn, limits, data, len, &parsed)) return (struct progress){parsed.used, len, false};
    shard->exec.call.arg_blocks = conn->arg_block;
    shard->exec.call.arg_block_count = conn->arg_block_count;
    unsigned done = dispatch_batch(&shard->exec, &conn->client, &conn->output.reply, parsed.count);
    bool ends = client_get(conn->client.flags) & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW);
    if (done < parsed.count && !ends) {
        size_t behind = shard->exec.batch[done].end;
        hold(conn, &shard->exec.batch[done], data + behind, len - behind);
        return (struct progress){SIZE_MAX, SIZE_MAX, false};
    }
    if (parsed.count) drop_blocks(conn);
    if (ends) return (struct progress){parsed.used, len, false};
    return look_behind(conn, limits, &parsed, data, len);
}

static bool conn_may_run(const struct conn *conn) {
    return !(conn->flags & (CONN_CLOSING | CONN_STOPPED)) && !conn->output.reply.failed &&
           !(client_get(conn->client.flags) & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW));
}

/* Replies that the peer does not read hold its requests back, with hysteresis. */
static void check_output(struct conn *conn) {
    size_t unsent = output_unsent(&conn->output);
    if (unsent >= OUTPUT_HIGH_WATER) conn->flags |= CONN_STOP_OUTPUT;
}

/* What a connection may still do in this turn, in batches; the others have their turn then. */
static bool has_budget(struct conn *conn) {
    if (conn->turn != conn->shard->turn) {
        conn->turn = conn->shard->turn;
        conn->turn_requests = 0;
        conn->turn_bytes = 0;
    }
    return conn->turn_requests < TURN_REQUESTS && conn->turn_bytes < TURN_BYTES;
}

/* Runs what data[0, len) holds; returns how many bytes were consumed, SIZE_MAX if conn->pending was replaced,
 * and shortens *len by what went into a large argument. */
static size_t run(struct conn *conn, const char *data, size_t *len) {
    size_t used = 0;
    for (bool again = true; again && conn_may_run(conn) && used < *len && !conn->bulk;) {
        if (!has_budget(conn)) {
            conn_wants_turn(conn);
            break;
        }
        struct progress progress = run_batch(conn, data + used, *len - used);
        if (progress.used == SIZE_MAX) return SIZE_MAX;
        *len = used + progress.end;
        used += progress.used;
        again = progress.again;
        conn->turn_requests += BATCH_REQUESTS;
        conn->turn_bytes += progress.used;
        check_output(conn);
    }
    return used;
}

static bool keep_pending(struct conn *conn, const char *data, size_t len) {
    size_t max = (size_t)config.client_query_buffer_limit + conn->pending_done;
    if (buffer_append(&conn->pending, (struct bytes){data, len}, max)) return true;
    if (conn->pending.len <= max && len <= max - conn->pending.len) {
        fail_memory(conn);
        return false;
    }
    log_warning("Closing client id=%llu that reached max query buffer length.",
                (unsigned long long)conn->client.id);
    metric_add(&conn->shard->exec.metrics.query_limit_closes, 1);
    conn_shut(conn);
    return false;
}

/* A long backlog is gone through in many turns: moving the rest down in each would cost its square. */
static void run_pending(struct conn *conn) {
    if (!conn->pending.len) return;
    size_t done = conn->pending_done, len = conn->pending.len - done;
    size_t used = run(conn, conn->pending.data + done, &len);
    if (used == SIZE_MAX || conn->flags & CONN_CLOSING) return;
    conn->pending.len = done + len;
    conn->pending_done = done + used;
    if (used == len) {
        pending_drop(conn);
    } else if (conn->pending_done >= conn->pending.len / 2) {
        buffer_consume(&conn->pending, conn->pending_done);
        conn->pending_done = 0;
    }
}

static void run_received(struct conn *conn, const char *data, size_t len) {
    size_t used = run(conn, data, &len);
    if (used == SIZE_MAX || conn->flags & CONN_CLOSING) return;
    if (used < len) keep_pending(conn, data + used, len - used);
}

/* A peer that sends faster than its turns go through is left to its socket's own flow control. */
static void check_backlog(struct conn *conn) {
    if (conn_has_backlog(conn))
        conn_cancel_receive(conn);
    else if (!(conn->flags & (CONN_RECEIVING | CONN_READING | CONN_EOF)))
        conn_wants_rearm(conn);
}

void conn_input(struct conn *conn, const char *data, size_t len) {
    if (conn->flags & CONN_CLOSING) return;
    metric_add(&conn->shard->exec.metrics.input_bytes, len);
    client_set(conn->client.active_ms, conn->shard->exec.clock.now_ms);
    if (conn->bulk && len) {
        size_t n = bulk_feed(conn, data, len);
        data += n, len -= n;
    }
    if (conn->flags & CONN_CLOSING) return;
    if (conn->pending.len || !conn_may_run(conn)) {
        if (client_get(conn->client.flags) & CLIENT_CLOSE_AFTER_REPLY)
            pending_drop(conn);
        else if (len && !keep_pending(conn, data, len))
            return;
        if (!conn->bulk) run_pending(conn);
    } else if (len || conn->parser.saved) {
        run_received(conn, data, len);
    }
    if (conn->flags & CONN_CLOSING) return;
    size_t pending = conn->pending.len - conn->pending_done;
    check_backlog(conn);
    client_set(conn->client.input_bytes, pending + (conn->bulk ? conn->bulk_have : 0));
    if (output_unsent(&conn->output)) conn_wants_flush(conn);
    conn_settle(conn);
}

void conn_resume(struct conn *conn, uint32_t stop_flag) {
    if (stop_flag & CONN_STOP_PAUSE) held_remove(conn);
    conn->flags &= ~stop_flag;
    conn_wants_turn(conn);
}

/* ---- Sending -------------------------------------------------------------------------------------- */

static void send_in_flight(struct conn *conn, bool quick) {
    const struct iovec *iov;
    unsigned count = output_rest(&conn->output, &iov);
    struct io_uring_sqe *sqe = conn_sqe(conn);
    conn->flags |= CONN_SENDING;
    if (!sqe) {
        conn->flags |= CONN_RETRY_SEND;
        conn_wants_flush(conn); /* the flush phase of the next turn tries again */
        return;
    }
    conn->flags &= ~(uint32_t)CONN_RETRY_SEND;
    if (quick) {
        prep_send(sqe, conn_target(conn), iov->iov_base, (unsigned)iov->iov_len,
                  MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL, conn_data(conn, OP_SEND_QUICK));
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        conn->next_quick = conn->shard->quick.first;
        conn->shard->quick.first = conn;
    } else if (count == 1 && iov->iov_len <= (1u << 30)) {
        prep_send(sqe, conn_target(conn), iov->iov_base, (unsigned)iov->iov_len, MSG_NOSIGNAL,
                  conn_data(conn, OP_SEND));
    } else {
        prep_writev(sqe, conn_target(conn), iov, count, conn_data(conn, OP_SEND));
    }
    conn_target_flag(conn, sqe);
}

static void check_limits(struct conn *conn) {
    const struct config_output_limit *limit = &config.client_output_buffer_limit[OUTPUT_LIMIT_NORMAL];
    uint64_t now_us = conn->shard->exec.clock.now_us;
    size_t unsent = output_unsent(&conn->output), hard = output_limit(conn);
    if (hard && unsent > hard) conn->output.reply.failed = true;
    if (limit->soft == 0 || unsent < (size_t)limit->soft) {
        conn->soft_limit_since_us = 0;
        return;
    }
    conn->shard->limits_watched = true;
    if (!conn->soft_limit_since_us)
        conn->soft_limit_since_us = now_us ? now_us : 1;
    else if (now_us - conn->soft_limit_since_us > (uint64_t)limit->soft_seconds * 1000000)
        conn->output.reply.failed = true;
}

/* A quick send is as good as gone: CLIENT LIST counts nothing of it, for it may be long before anybody looks again. */
static void note_output(struct conn *conn, bool gone) {
    client_set(conn->client.output_bytes, gone ? 0 : output_unsent(&conn->output));
}

void conn_flush(struct conn *conn) {
    const struct iovec *iov;
    conn->flags &= ~(uint32_t)CONN_IN_FLUSH;
    if (conn->flags & CONN_CLOSING) return;
    check_limits(conn);
    if (conn->output.reply.failed) {
        conn_settle(conn);
        return;
    }
    if (output_in_flight(&conn->output)) {
        note_output(conn, false);
        if (conn->flags & CONN_RETRY_SEND) send_in_flight(conn, false);
        return;
    }
    if (conn->reply_sequence > conn->shard->durable_sequence) {
        note_output(conn, false);
        LIST_PUSH(&conn->shard->awaiting, conn, next_awaiting, CONN_IN_AWAITING);
        return;
    }
    unsigned count = output_begin(&conn->output, &iov);
    if (!count) return;
    /* A last reply must not be quick: the shard would sleep on it, and the close behind it come with the next tick. */
    bool last = conn->flags & CONN_EOF || client_get(conn->client.flags) & CLIENT_CLOSE_AFTER_REPLY;
    bool quick = conn->shard->quick_sends && !last && !(conn->flags & CONN_QUICK_FELL_SHORT) && count == 1 &&
                 iov->iov_len <= OUTPUT_CHUNK_SIZE;
    note_output(conn, quick);
    send_in_flight(conn, quick);
}

static void sent(struct conn *conn, size_t n) {
    metric_add(&conn->shard->exec.metrics.output_bytes, n);
    bool all = output_sent(&conn->output, n);
    note_output(conn, false);
    if (!all) {
        send_in_flight(conn, false);
        return;
    }
    conn->flags &= ~(uint32_t)CONN_SENDING;
    if (conn->flags & CONN_STOP_OUTPUT && output_unsent(&conn->output) <= OUTPUT_LOW_WATER)
        conn_resume(conn, CONN_STOP_OUTPUT);
    if (output_unsent(&conn->output)) conn_wants_flush(conn);
    conn_settle(conn);
}

/* What a send left undone is no error: the rest is sent by an operation that waits for room. */
static void send_fell_short(struct conn *conn, int res) {
    if (conn->flags & CONN_CLOSING)
        conn_wants_closing(conn);
    else if (res < 0 && res != -EAGAIN && res != -EINTR)
        conn_shut(conn);
    else
        sent(conn, res > 0 ? (size_t)res : 0);
}

void conn_send_done(struct conn *conn, int res) {
    conn->pending_ops--;
    send_fell_short(conn, res);
}

/* The operation stays owed until conn_quick_settle: until then the shard's list names the connection. */
void conn_quick_short(struct conn *conn, int res) {
    conn->flags |= CONN_QUICK_FELL_SHORT;
    send_fell_short(conn, res);
}

void conn_quick_settle(struct conn *conn) {
    bool short_of_it = conn->flags & CONN_QUICK_FELL_SHORT;
    conn->pending_ops--;
    conn->flags &= ~(uint32_t)CONN_QUICK_FELL_SHORT;
    if (conn->flags & CONN_CLOSING)
        conn_wants_closing(conn);
    else if (!short_of_it)
        sent(conn, conn->output.inflight_bytes);
}
