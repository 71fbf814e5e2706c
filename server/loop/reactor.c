/* reactor.c - the turn. An event only records and queues; work happens in a later phase, so nothing recurses and a turn
 * is bounded: by the queue of events, by TURN_REQUESTS a connection, and by the budgets of upkeep. */
#include "server/loop/reactor.h"

#include "protocol/assert.h"
#include "server/call/gate.h"
#include "server/config/config.h"
#include "server/exec/blocking.h"
#include "server/exec/durable.h"
#include "server/exec/pause.h"
#include "server/journal/aof_rewrite.h"
#include "server/journal/snapshot.h"
#include "server/journal/snapshot_walk.h"
#include "server/log.h"
#include "server/loop/accept.h"
#include "server/loop/conn.h"
#include "server/loop/deliver.h"
#include "server/loop/execute.h"
#include "server/loop/listener.h"
#include "server/loop/move.h"
#include "server/loop/receive.h"
#include "server/loop/send.h"
#include "server/loop/shard.h"
#include "server/loop/silence.h"
#include "server/loop/spread.h"
#include "server/loop/upkeep.h"
#include "server/loop/waiting.h"
#include "server/report/info.h"
#include "server/report/rates.h"

static void take_events(struct shard *shard);
static void answer_short(struct shard *shard);
static void reply_early(struct shard *shard);
static void tick(struct shard *shard);
static void commit(struct shard *shard);
static void flush(struct shard *shard);
static void free_closing(struct shard *shard);
static void rearm(struct shard *shard);
static void wait_for_more(struct shard *shard);

static void turn(struct shard *shard) {
    take_events(shard);   /* events become queued data, room to send, ended operations */
    deliver_posts(shard); /* what other shards asked of this one's connections */
    answer_short(shard);  /* where others have long turns: whose request is short is answered first */
    execute(shard);       /* requests are parsed in batches and run */
    reply_early(shard);   /* where CPU time is to spare: replies leave before the rest of the turn */
    tick(shard);          /* what is due: expiry, memory to free, idle clients, limits, the end of a pause */
    commit(shard);        /* replies that were held, and may be shown now */
    flush(shard);         /* one send per connection with replies, and for a slice of those with pushes */
    spread_turn(shard);   /* connections leave for shards that are in use, or have less to do */
    rearm(shard);         /* receives and accepts that ended start again */
    free_closing(shard);  /* connections whose last event has come are freed */
    wait_for_more(shard); /* one system call: submit, and gather, spin or sleep */
}

enum {
    TICK_US = 100 * 1000,
    CLOCK_CHECK_MS =
        10 * 1000, /* a sleep until a Unix time is no longer: the clock may be set forward meanwhile */
    STOP_GRACE_TURNS = 100, /* replies that are under way when the server ends get this many waits of ... */
    STOP_WAIT_US = 10 * 1000,
    SENDS_AT_ONCE = 4, /* where replies wait for the journal */
};

/* ---- Take events ---------------------------------------------------------------------------------- */

static void heard(struct shard *shard, const struct io_event *event) {
    struct conn *conn = event->socket ? conn_of_socket(event->socket) : NULL;
    debug_assert(conn || event->operation == IO_NOTHING || event->operation == IO_WAKE_FAILED);
    switch (event->operation) {
    case IO_RECEIVE:
        pace_heard(&shard->pace, &conn->heard_epoch);
        receive_heard(conn, event);
        break;
    case IO_READ:
        pace_heard(&shard->pace, &conn->heard_epoch);
        receive_read_ended(conn, event);
        break;
    case IO_SEND: send_ended(conn, event->result); break;
    case IO_ACCEPT: accept_heard(shard, listener_of_socket(event->socket), event); break;
    case IO_WAKE_FAILED: deliver_wake_failed(shard, (unsigned)event->data); break;
    default:
        assert(event->operation == IO_NOTHING);
        if (conn) silence_unanswered(&shard->silence);
    }
}

/* At most RECEIVE_BUFFERS events carry data, for that is how many buffers there are. */
static void take_events(struct shard *shard) {
    unsigned count = io_ready(&shard->io);
    assert(shard->received_count == 0); /* all that came before was executed */
    shard->pace.receives = 0;
    shard->turn++;
    for (unsigned i = 0; i < count; i++) {
        struct io_event event = io_event(&shard->io, i);
        heard(shard, &event);
    }
    io_advance(&shard->io, count);
    for (struct io_socket *sent; (sent = io_settled(&shard->io));) send_settled(conn_of_socket(sent));
    shard->pace.epoch_receives += shard->pace.receives;
    metric_add(&shard->exec.metrics.ring_completions, count);
    metric_add(&shard->exec.metrics.ring_turns, 1);
}

/* ---- Tick ----------------------------------------------------------------------------------------- */

static void check_idle(struct conn *conn) {
    if (conn->flags & CONN_CLOSING) return;
    if (config.timeout && conn_is_idle(conn, config.timeout * 1000)) {
        log_verbose("Closing idle client");
        conn_shut(conn);
    } else if (conn->soft_limit_since_us) {
        conn_wants_flush(conn); /* the flush looks at the limits */
    }
}

/* Limits that were changed hold for those who are here already, whether they do anything or not. */
static void check_output(struct conn *conn) {
    if (conn->flags & CONN_CLOSING) return;
    if (output_unsent(&conn->output)) conn_wants_flush(conn); /* the flush looks at the limits */
}

/* An option was changed, or a pause has ended. Nobody needs to do anything to see it. */
static void look_again(struct shard *shard) {
    int64_t keepalive = config.tcp_keepalive;
    slots_each(&shard->slots, check_output);
    if (shard->keepalive == keepalive) return;
    shard->keepalive = keepalive;
    slots_each(&shard->slots, conn_keep_alive);
}

/* Whom the pause still holds back is held anew. */
static void resume_held(struct conn *conn) {
    conn_resume(conn, CONN_STOP_PAUSE);
}

static void tick(struct shard *shard) {
    bool all = upkeep_asked(shard), due = all || shard->exec.clock.now_us >= shard->next_tick_us;
    bool held = !conn_list_empty(&shard->held);
    upkeep_run(shard);
    upkeep_walk(shard);
    if (snapshot_is_full()) gate_raise(GATE_SNAPSHOT);
    if (snapshot_stops_writes()) gate_raise(GATE_DISK);
    waiting_expire(shard);
    silence_ask(shard);
    if (held && (all || shard->exec.clock.now_ms >= pause_until_ms()))
        conn_list_run(&shard->held, resume_held);
    if (all) look_again(shard);
    if (shard->index == 0 && aof_rewrite_wants_cut() && !snapshot_is_under_way()) upkeep_cut(shard);
    if (shard->index == 0 && snapshot_is_asked()) upkeep_save_asked(shard);
    if (shard->pace.receives) shard->worked = true;
    if (due || shard->exec.clock.now_ms >= shard->save_ms) upkeep_save(shard);
    if (!due) return;
    shard->worked = false;
    shard->next_tick_us = shard->exec.clock.now_us + TICK_US;
    rates_sample();
    if (config.timeout || shard->limits_watched) {
        shard->limits_watched = false;
        slots_each(&shard->slots, check_idle);
    }
    if (shard->ends_watched) {
        shard->ends_watched = false;
        slots_each(&shard->slots, conn_look_for_end);
    }
}

/* ---- Commit, flush, rearm, free ------------------------------------------------------------------- */

/* Has the journal come to where replies wait for it? */
static bool may_show(const struct shard *shard) {
    return shard->awaits != AWAITS_NOTHING && shard->awaits <= journal_safe();
}

/* What was changed is told of before anybody hears a reply. The flush puts back who has to wait longer. */
static void commit(struct shard *shard) {
    struct invalidator *tracking = &shard->exec.effects.tracking;
    if (invalidation_has_news(tracking)) {
        wakes_show(tracking->wakes, journal_next()); /* these are changes of several requests */
        invalidation_broadcast(tracking);
        if (invalidation_is_full()) gate_raise(GATE_MESSAGES);
    }
    if (!may_show(shard)) return;
    shard->awaits = AWAITS_NOTHING;
    conn_list_run(&shard->awaiting, conn_wants_flush);
}

/* A send takes the kernel some microseconds, and while it is at it, it may give the CPU to nobody else: the journal's
 * thread, for which others wait, gets it in between. */
static void flush_some(struct conn *conn) {
    struct io *io = &conn->shard->io;
    send_flush(conn);
    if (io_untold(io) >= SENDS_AT_ONCE) (void)io_submit(io);
}

enum {
    PUSHES_LEAST = 8, /* some 30 microseconds */
    PUSH_TURNS = 64,
};

/* A send takes microseconds, and a message may go to thousands. So replies leave first, and pushes in slices of a turn:
 * to as many connections as had something to ask, to PUSHES_LEAST, or to so many that all have had theirs within PUSH_TURNS.
 * What is published meanwhile leaves by the same sends. */
static void flush_pushed(struct shard *shard) {
    unsigned most = PUSHES_LEAST, part = shard->pushed_count / PUSH_TURNS;
    if (most < shard->pace.receives) most = shard->pace.receives;
    if (most < part) most = part;
    if (shard->stopping) most = shard->pushed_count;
    for (struct conn *conn; most > 0 && (conn = conn_list_first(&shard->pushed)); most--) {
        conn_unpush(conn);
        send_flush(conn);
    }
}

static void flush(struct shard *shard) {
    durable_note(&shard->exec);
    conn_list_run(&shard->flush, journal_holds() ? flush_some : send_flush);
    flush_pushed(shard);
    durable_tell(&shard->exec, crowd_tell(&shard->crowd));
}

/* A shard that sleeps long has a system call to spare, and caches have lost what the rest of the turn looks at: replies do
 * not wait for that. */
static void reply_early(struct shard *shard) {
    if (!pace_is_slow(&shard->pace) || conn_list_empty(&shard->flush)) return;
    commit(shard);
    flush(shard);
    (void)io_submit(&shard->io);
}

/* Who asks little need not wait for what others have asked: that is up to half a millisecond of this turn. */
static void answer_short(struct shard *shard) {
    if (!execute_short(shard) || conn_list_empty(&shard->flush)) return;
    commit(shard);
    flush(shard);
    (void)io_submit(&shard->io);
}

static void free_if_unnamed(struct conn *conn) {
    struct shard *shard = conn->shard;
    assert(conn->flags & CONN_CLOSING);
    if (conn_free(conn)) slots_give(&shard->slots, conn);
}

static void free_closing(struct shard *shard) {
    conn_list_run(&shard->closing, free_if_unnamed);
}

static void rearm(struct shard *shard) {
    conn_list_run(&shard->rearm, receive_arm);
    if (shard->index == 0 && !shard->stopping) accept_arm(shard);
}

/* ---- Wait ----------------------------------------------------------------------------------------- */

/* Sleep is measured by the monotonic clock. */
static uint64_t until_us(const struct shard *shard, int64_t unix_ms) {
    int64_t ms = unix_ms - shard->exec.clock.now_ms;
    return ms < 0 ? 0 : (uint64_t)(ms < CLOCK_CHECK_MS ? ms : CLOCK_CHECK_MS) * 1000;
}

/* When those that are held are to be asked again. Not all of them wait for the end of a pause. */
static int64_t held_until_ms(const struct shard *shard) {
    int64_t until_ms = pause_until_ms(), soon_ms = shard->exec.clock.now_ms + 1;
    return until_ms < soon_ms ? soon_ms : until_ms;
}

/* Microseconds until something is due that no event will announce. */
static uint64_t sleep_limit_us(const struct shard *shard) {
    uint64_t limit = UINT64_MAX, now_us = shard->exec.clock.now_us;
    int64_t want_ms = shard->want_ms;
    if (!conn_list_empty(&shard->held) && held_until_ms(shard) < want_ms) want_ms = held_until_ms(shard);
    if (shard->walk_ms < want_ms) want_ms = shard->walk_ms;
    if (shard->save_ms < want_ms) want_ms = shard->save_ms;
    if (want_ms != DUE_NEVER) limit = until_us(shard, want_ms);
    if ((config.timeout && client_get(shard->connections)) || shard->limits_watched || shard->ends_watched ||
        !conn_list_empty(&shard->rearm) || shard->awaits != AWAITS_NOTHING)
        limit = limit < TICK_US ? limit : TICK_US;
    if (shard->worked) {
        uint64_t tick_us = shard->next_tick_us > shard->exec.clock.now_us
                               ? shard->next_tick_us - shard->exec.clock.now_us
                               : 0;
        limit = limit < tick_us ? limit : tick_us;
    }
    uint64_t ask_us = silence_due_us(shard);
    if (ask_us < limit) limit = ask_us;
    uint64_t wait_us = blocking_due_us(&shard->exec);
    if (wait_us != UINT64_MAX) {
        wait_us = wait_us > now_us ? wait_us - now_us : 0;
        limit = limit < wait_us ? limit : wait_us;
    }
    uint64_t moves_us = move_due_us(shard);
    if (moves_us < limit) limit = moves_us;
    uint64_t unheard_us = deliver_unheard_us(shard);
    if (unheard_us < limit) limit = unheard_us;
    uint64_t pauses_us = shard->index == 0 ? accept_pauses_us(shard) : UINT64_MAX;
    return limit < pauses_us ? limit : pauses_us;
}

static bool work_waits(const struct shard *shard) {
    return shard->stopping || !conn_list_empty(&shard->ready) || !conn_list_empty(&shard->closing) ||
           !conn_list_empty(&shard->flush) || !conn_list_empty(&shard->pushed) || shard->exec.wakes.any ||
           may_show(shard) || blocking_has_news(&shard->exec) || spread_goes_on(shard) ||
           shard->want_ms <= shard->exec.clock.now_ms || shard->walk_ms <= shard->exec.clock.now_ms ||
           post_waiting(shard->mailbox, shard->want_ms);
}

/* True when there is something to do. */
static bool spin_until(struct shard *shard) {
    uint64_t start_us = shard->exec.clock.now_us, most_us = (uint64_t)config.io_busy_poll_us;
    for (unsigned i = 0;; i++) {
        if (io_stirs(&shard->io) || post_waiting(shard->mailbox, shard->want_ms) || may_show(shard) ||
            blocking_has_news(&shard->exec))
            return true;
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
        if (i % 16 == 0) {
            clock_read(&shard->exec.clock);
            if (shard->exec.clock.now_us - start_us >= most_us) return false;
        }
    }
}

/* What it takes counts as waiting (spread.h); the time is as of the last look at the clock, a moment ago. */
static bool spin(struct shard *shard) {
    uint64_t start_us = shard->exec.clock.now_us;
    bool ready = spin_until(shard);
    shard->spread.spun_us += shard->exec.clock.now_us - start_us;
    return ready;
}

/* The thread that writes the journal looks at `awaits` when it sees that the shard is parked. */
static void park(struct shard *shard, unsigned want, uint64_t wait_us) {
    if (shard->mailbox->awaits != shard->awaits)
        __atomic_store_n(&shard->mailbox->awaits, shard->awaits, __ATOMIC_RELAXED);
    __atomic_store_n(&shard->mailbox->parked, PARKED, __ATOMIC_SEQ_CST);
    if (!post_waiting(shard->mailbox, shard->want_ms) && !may_show(shard) && !blocking_has_news(&shard->exec))
        (void)io_wait(&shard->io, want, wait_us, sleep_limit_us(shard));
    __atomic_store_n(&shard->mailbox->parked, PARKED_NOT, __ATOMIC_SEQ_CST);
}

static void wait_for_more(struct shard *shard) {
    uint64_t started_us = shard->exec.clock.now_us, wait_us;
    if (spread_is_slow(shard)) spread_note_slow(shard);
    if (pace_due(&shard->pace, started_us)) {
        uint64_t cpu_ns = clock_thread_cpu_ns();
        pace_next(&shard->pace, started_us, metric_get(&shard->exec.requests), cpu_ns);
        spread_epoch(shard, cpu_ns);
    }
    deliver_wakes(shard);
    unsigned want = pace_want(&shard->pace, (uint64_t)config.io_batch_wait_us, &wait_us);
    if (shard->awaits != AWAITS_NOTHING) want = 1; /* what the journal lets go leaves at once */
    bool ready = work_waits(shard) || io_has_events(&shard->io);
    if (!ready && want == 1 && io_can_spin(&shard->io) &&
        pace_may_spin(&shard->pace, (uint64_t)config.io_busy_poll_us)) {
        (void)io_submit(&shard->io);
        ready = spin(shard);
    }
    if (!ready)
        park(shard, want, wait_us);
    else
        (void)io_wait(&shard->io, 0, 0, 0);
    clock_read(&shard->exec.clock);
    shard->spread.began_us = shard->exec.clock.now_us;
    pace_waited(&shard->pace, shard->exec.clock.now_us - started_us);
    metric_add(&shard->exec.metrics.ring_enters,
               io_calls(&shard->io) - metric_get(&shard->exec.metrics.ring_enters));
}

/* ---- Running -------------------------------------------------------------------------------------- */

static void end_conn(struct conn *conn) {
    if (conn->flags & CONN_CLOSING) return;
    client_set(conn->client.flags, conn->client.flags | CLIENT_CLOSE_AFTER_REPLY);
    if (output_unsent(&conn->output))
        conn_wants_flush(conn);
    else
        conn_shut(conn);
}

static void shut_conn(struct conn *conn) {
    conn_shut(conn);
}

static void drain(struct shard *shard) {
    slots_each(&shard->slots, end_conn);
    for (unsigned i = 0; i < 2 * STOP_GRACE_TURNS && client_get(shard->connections); i++) {
        if (i == STOP_GRACE_TURNS) slots_each(&shard->slots, shut_conn);
        take_events(shard);
        deliver_posts(shard);
        execute(shard);
        commit(shard);
        flush(shard);
        rearm(shard);
        free_closing(shard);
        deliver_wakes(shard);
        (void)io_wait(&shard->io, client_get(shard->connections) ? 1 : 0, 0, STOP_WAIT_US);
        clock_read(&shard->exec.clock);
    }
}

void reactor_run(struct shard *shard) {
    pace_open(&shard->pace);
    while (!shard->stopping) turn(shard);
    drain(shard);
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

static void section_io(struct info *info) {
    if (shard_count) INFO_LINE(info, "io_mode:%s", io_is_epoll(&shards[0].io) ? "epoll" : "uring");
    info_metrics(info, METRIC_IO);
}
INFO_SECTION(io) = {.name = "io", .title = "IO", .order = 120, .write = section_io};
