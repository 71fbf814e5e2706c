/* input.c - bytes become requests, in batches, and run; what is not whole, or must wait, is kept. */
#include "server/loop/input.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/clients/clients.h"
#include "server/clients/pubsub.h"
#include "server/config/config.h"
#include "server/exec/dispatch.h"
#include "server/exec/monitor.h"
#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/log.h"
#include "server/loop/receive.h"
#include "server/loop/send.h"
#include "server/loop/shard.h"
#include "server/loop/waiting.h"
#include "server/report/errorstats.h"

/* How far a run through received bytes came. */
struct progress {
    size_t used; /* bytes of requests that are done with */
    size_t end;  /* bytes that are still of interest: those behind went into a large argument */
    bool again;  /* there may be more to do without more bytes */
};

enum { TURN_BATCHES = TURN_REQUESTS / BATCH_REQUESTS };
_Static_assert(TURN_REQUESTS % BATCH_REQUESTS == 0 && TURN_BATCHES <= UINT8_MAX,
               "a turn is a number of batches");

static unsigned batch_size(const struct conn *conn) {
    if (conn->arg_block_count) return 1;
    return client_must_authenticate(&conn->client) ? 1 : BATCH_REQUESTS;
}

static void pending_drop(struct conn *conn) {
    buffer_free(&conn->pending);
    conn->pending_done = 0;
}

/* Who wants no reply gets none to this either. It is counted in any case. */
static void fail_protocol(struct conn *conn) {
    char text[REQUEST_ERROR_MAX];
    request_error(&conn->parser, text);
    metric_add(&conn->shard->exec.metrics.error_replies, 1);
    errorstats_note(BYTES("ERR"));
    if (!(conn->client.flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP_NEXT)))
        reply_errorf(&conn->output.reply, "ERR %s", text);
    client_set(conn->client.flags, conn->client.flags | CLIENT_CLOSE_AFTER_REPLY);
    conn_wants_flush(conn);
}

/* CLIENT PAUSE holds this request back: it is written out again as RESP in front of the bytes that followed it. */
static void hold(struct conn *conn, const struct request *request, const char *rest, size_t len) {
    assert(request->args.argc > 0 && !conn->bulk);
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
        conn_fail_memory(conn);
        return;
    }
    pending_drop(conn);
    conn->pending = held;
    request_parser_reset(&conn->parser); /* what it knows of a request behind the held one is read again */
    receive_drop_blocks(conn);
    conn_hold(conn);
}

struct next_request {
    struct request_args *args;
    size_t used;                 /* the bytes it took */
    const struct command *known; /* its row where it begins as the one before, else NULL */
};

/* Fills in `next`, all but its args. Of requests that are alike the first that is not whole comes here. */
static inline enum request_status parse_request(struct conn *conn, const struct request_limits *limits,
                                                struct bytes data, struct next_request *next) {
    struct shard *shard = conn->shard;
    next->known = NULL;
    if (!conn->parser.saved) {
        if (!shard->head_lone && request_head_is(&shard->head, data) &&
            request_parse_behind(&shard->head, limits, data, next->args, &next->used)) {
            next->known = shard->head_command;
            return REQUEST_READY;
        }
        if (request_parse_whole(limits, data, next->args, &next->used)) return REQUEST_READY;
    }
    return request_parse(&conn->parser, limits, data, next->args, &next->used);
}

/* The next request may begin as this one. A container's name says nothing yet: OBJECT begins many commands. */
static void note_head(struct shard *shard, const struct request *request, const char *data) {
    if (!request->plain || request->command->container) return;
    if (!request_head_note(&shard->head, data, &request->args)) return;
    shard->head_command = request->command;
    shard->head_lone = prepare_is_lone(request->command, request->args.argc);
}

struct parsed {
    unsigned count;             /* requests, in the shard's batch */
    uint32_t args;              /* of all of them */
    size_t used;                /* the bytes they took */
    enum request_status status; /* of what stands behind them; READY: it was not looked at */
};

/* Does the next request begin as the one before, and are such requests plain and of one key? */
static inline bool is_alike(const struct conn *conn, struct bytes rest) {
    const struct shard *shard = conn->shard;
    return shard->head_lone && request_head_is(&shard->head, rest) && !conn->parser.saved;
}

/* Parses requests that are the same as the one before them in the batch up to the end of their key, up to the first that is
 * not, or is not whole: the key need not be read, hashed and asked for again. False: there was no whole one. `data` is
 * what the batch is parsed from. */
static __attribute__((noinline)) bool parse_same_key(struct conn *conn, const struct request_limits *limits,
                                                     struct bytes data, unsigned most,
                                                     struct parsed *parsed) {
    struct request *first = &conn->shard->exec.batch[parsed->count], *request = first;
    const struct request *other = first - 1, *last = &conn->shard->exec.batch[most];
    const struct request_lead lead =
        request_lead(data.data + other->begin, &other->args, other->lone_key + 1);
    size_t used = parsed->used, took;
    assert(parsed->count > 0 && other->plain && other->lone_key > 0 && other->end == used);
    for (; request < last && used < BATCH_INPUT; request++) {
        struct bytes rest = {data.data + used, data.len - used};
        if (!request_lead_is(&lead, rest) || !request_parse_led(&lead, limits, rest, &request->args, &took) ||
            !prepare_same(request, other))
            break;
        request->begin = used;
        request->end = used += took;
    }
    parsed->used = used;
    parsed->count += (unsigned)(request - first);
    parsed->args += lead.count * (uint32_t)(request - first);
    debug_assert(parsed->count <= most);
    conn->shard->head_repeats = request > first;
    return request > first;
}

/* Parses requests that are alike, up to the first that is not, or is not whole; `most` in the batch, but at its beginning
 * one alone, where those behind it are likely to have its key. `rest` begins with one that is. Whatever is the same for all
 * of them is looked at once, and nothing is called. False: there was no whole one. */
static __attribute__((noinline)) bool parse_alike(struct conn *conn, const struct request_limits *limits,
                                                  struct bytes rest, unsigned most, struct parsed *parsed) {
    struct shard *shard = conn->shard;
    const struct request_head head = shard->head;
    const struct command *known = shard->head_command;
    bool brief = head.count <= BATCH_ARGS / BATCH_REQUESTS; /* else the batch may end behind each */
    struct request *first = &shard->exec.batch[parsed->count],
                   *last = brief && (parsed->count || !shard->head_repeats) ? &shard->exec.batch[most]
                                                                            : first + 1;
    struct request *request = first;
    uint32_t lone_key = known->lone_key, db = conn->client.db;
    size_t used = parsed->used, took;
    debug_assert(prepare_is_lone(known, head.count) && !conn->parser.saved);
    debug_assert(first < last && used < BATCH_INPUT);
    do {
        if (!request_parse_behind(&head, limits, rest, &request->args, &took) ||
            !prepare_lone(request, db, known, lone_key))
            break;
        request->begin = used;
        request->end = used += took;
        rest = (struct bytes){rest.data + took, rest.len - took};
    } while (++request < last && used < BATCH_INPUT && request_head_is(&head, rest));
    parsed->used = used;
    parsed->count += (unsigned)(request - first);
    parsed->args += head.count * (uint32_t)(request - first);
    debug_assert(parsed->count <= most);
    if (request - first > 1) shard->head_repeats = first[0].hash[lone_key] == first[1].hash[lone_key];
    return request > first;
}

/* Is the batch's first request, behind which nothing was parsed yet, of the head's command and form, and does it lie in the
 * batch's bytes? Then its key may come again. */
static inline bool may_come_again(const struct shard *shard, const struct parsed *parsed, const char *data) {
    const struct request *first = &shard->exec.batch[0];
    return parsed->count == 1 && shard->head_repeats && first->plain && first->end == parsed->used &&
           shard->head.count <= BATCH_ARGS / BATCH_REQUESTS && first->command == shard->head_command &&
           first->args.argc == shard->head.count && first->args.argv[0].data == data + first->begin + 8;
}

/* Parses a batch and prefetches its keys. False without memory: the connection is shut. */
static inline bool parse_batch(struct conn *conn, const struct request_limits *limits, const char *data,
                               size_t len, struct parsed *parsed) {
    struct shard *shard = conn->shard;
    unsigned most = batch_size(conn);
    *parsed = (struct parsed){.status = REQUEST_READY};
    while (parsed->count < most && parsed->used < len && parsed->used < BATCH_INPUT &&
           parsed->args < BATCH_ARGS) {
        struct bytes rest = {data + parsed->used, len - parsed->used};
        if (is_alike(conn, rest)) {
            if (may_come_again(shard, parsed, data) &&
                parse_same_key(conn, limits, (struct bytes){data, len}, most, parsed))
                continue;
            if (parse_alike(conn, limits, rest, most, parsed)) continue;
        }
        struct request *request = &shard->exec.batch[parsed->count];
        struct next_request next;
        next.args = &request->args;
        parsed->status = parse_request(conn, limits, rest, &next);
        if (parsed->status != REQUEST_READY) break;
        parsed->used += next.used;
        debug_assert(next.used > 0 && parsed->used <= len);
        request->begin = parsed->used - next.used; /* behind empty ones, which are nothing to anybody */
        request->end = parsed->used;
        if (request->args.argc == 0) continue;
        if (!prepare_request(&shard->exec, &conn->client, request, next.known)) {
            conn_fail_memory(conn);
            return false;
        }
        if (!next.known) note_head(shard, request, rest.data);
        parsed->args += request->args.argc;
        parsed->count++;
    }
    return true;
}

/* What stands behind a batch: another one, half a request, a large argument, nonsense, or nothing. */
static inline struct progress look_behind(struct conn *conn, const struct request_limits *limits,
                                          const struct parsed *parsed, const char *data, size_t len) {
    struct progress progress = {.used = parsed->used, .end = len, .again = false};
    debug_assert(parsed->used <= len && parsed->count <= BATCH_REQUESTS);
    if (parsed->status == REQUEST_READY) {
        progress.again = parsed->used < len;
    } else if (limits == &conn->shard->limits && client_must_authenticate(&conn->client)) {
        request_parser_reset(&conn->parser); /* it is read again, under the tighter limits */
        progress.again = parsed->used < len;
    } else if (parsed->status == REQUEST_BAD) {
        fail_protocol(conn);
    } else if (parsed->status == REQUEST_BULK) {
        size_t at = parsed->used + conn->parser.bulk_offset;
        assert(at <= len);
        progress.end = at;
        progress.again = receive_bulk(conn, data + at, len - at) && !conn->bulk;
    }
    return progress;
}

/* The request that ends at `end` waits: what stands behind it is not looked at before it is answered. */
static struct progress wait_behind(struct conn *conn, size_t end, size_t len) {
    assert(end > 0 && end <= len && !conn->bulk);
    request_parser_reset(&conn->parser);
    receive_drop_blocks(conn);
    waiting_begin(conn);
    return (struct progress){.used = end, .end = len, .again = false};
}

/* What the batch that begins shows is at least what the replies in front of it do. */
static __attribute__((noinline)) void begin_held(struct conn *conn) {
    struct wakes *wakes = conn->shard->exec.effects.wakes;
    wakes->shows = output_shows(&conn->output);
    if (conn->client.subscriber) wakes_show(wakes, journal_next()); /* it may be written messages, too */
}

/* Its replies lie behind so many unsent bytes. */
static __attribute__((noinline)) void end_held(struct conn *conn, size_t from) {
    struct wakes *wakes = conn->shard->exec.effects.wakes;
    if (conn->client.subscriber) wakes_show(wakes, journal_next());
    send_hold(conn, from, wakes->shows);
}

static inline unsigned dispatch(struct conn *conn, unsigned count) {
    size_t from = output_unsent(&conn->output);
    if (journal_holds()) begin_held(conn);
    unsigned done = dispatch_batch(&conn->shard->exec, &conn->client, &conn->output.reply, count);
    if (journal_holds()) end_held(conn, from);
    return done;
}

/* Parses a batch, runs it, and looks at what stands behind it. */
static struct progress run_batch(struct conn *conn, const char *data, size_t len) {
    struct shard *shard = conn->shard;
    shard->limits.max_bulk = (uint64_t)config.proto_max_bulk_len;
    const struct request_limits *limits =
        client_must_authenticate(&conn->client) ? &shard->limits_unauthenticated : &shard->limits;
    struct parsed parsed;
    conn->output.limit = send_limit(conn);
    if (!parse_batch(conn, limits, data, len, &parsed)) return (struct progress){parsed.used, len, false};
    shard->exec.call.arg_blocks = conn->arg_block;
    shard->exec.call.arg_block_count = conn->arg_block_count;
    shard->exec.bytes = data;
    unsigned done = dispatch(conn, parsed.count);
    bool ends = client_get(conn->client.flags) & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW);
    debug_assert(done <= parsed.count);
    if (conn->client.waiter) return wait_behind(conn, shard->exec.batch[done - 1].end, len);
    if (done < parsed.count && !ends) {
        size_t behind = shard->exec.batch[done].end;
        hold(conn, &shard->exec.batch[done], data + behind, len - behind);
        return (struct progress){SIZE_MAX, SIZE_MAX, false};
    }
    if (parsed.count) receive_drop_blocks(conn);
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
        conn->turn_batches = 0;
        conn->turn_us = 0;
        conn->turn_bytes = 0;
    }
    const struct clock *clock = &conn->shard->exec.clock; /* timed_ns: when the last batch ended */
    bool late = clock->timed_ns > clock->now_us * 1000 + TURN_MOST_NS && conn->turn_bytes >= TURN_BYTES_LEAST;
    return conn->turn_batches < TURN_BATCHES && conn->turn_us < TURN_US && conn->turn_bytes < TURN_BYTES &&
           !late;
}

/* A batch has ended. The time is the one that is read behind each batch anyway. */
static inline void spend_budget(struct conn *conn, uint64_t begun_ns, size_t bytes) {
    uint64_t us = conn->turn_us + (conn->shard->exec.clock.timed_ns - begun_ns) / 1000;
    conn->turn_us = us < UINT16_MAX ? (uint16_t)us : UINT16_MAX;
    conn->turn_bytes += (uint32_t)bytes;
    conn->turn_batches++;
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
        uint64_t begun_ns = conn->shard->exec.clock.timed_ns;
        struct progress progress = run_batch(conn, data + used, *len - used);
        if (progress.used == SIZE_MAX) return SIZE_MAX;
        debug_assert(progress.used <= progress.end && progress.end <= *len - used);
        *len = used + progress.end;
        used += progress.used;
        again = progress.again;
        spend_budget(conn, begun_ns, progress.used);
        check_output(conn);
    }
    return used;
}

/* The limit is for what is not understood yet: whole arguments of a request that is still coming do not count. A
 * large argument counts by itself (receive_bulk). */
static bool keep_pending(struct conn *conn, const char *data, size_t len) {
    size_t waiting = conn->pending.len - conn->pending_done + len, parsed = request_parsed(&conn->parser);
    assert(waiting >= parsed);
    if (waiting - parsed > (size_t)config.client_query_buffer_limit) {
        receive_over_limit(conn);
        return false;
    }
    if (buffer_append(&conn->pending, (struct bytes){data, len}, SIZE_MAX)) return true;
    conn_fail_memory(conn);
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
    assert(conn->pending_done <= conn->pending.len);
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

/* What belongs to a large argument goes there; the rest joins what is pending, or runs at once. */
static void run_input(struct conn *conn, const char *data, size_t len) {
    if (conn->bulk && len) {
        size_t n = receive_bulk_more(conn, data, len);
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
}

/* ---- The kind ------------------------------------------------------------------------------------- */

static bool open_client(struct conn *conn) {
    return clients_add(&conn->client);
}

static void close_client(struct conn *conn) {
    assert(conn->flags & CONN_CLOSING);
    transaction_close(&conn->client);
    if (conn->client.flags & CLIENT_MONITOR) monitor_remove(&conn->client);
    pubsub_leave(&conn->client);
    clients_remove(&conn->client);
    request_parser_reset(&conn->parser);
    if (conn->bulk) block_release(conn->bulk);
    receive_drop_blocks(conn);
    free(conn->arg_block);
}

const struct conn_kind input_client = {.open = open_client, .input = run_input, .closed = close_client};
