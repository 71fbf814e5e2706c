/* spread.c - loads are published, one shard decides for all, and each looks after its own connections. */
#include "server/loop/spread.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "protocol/assert.h"
#include "protocol/number.h"
#include "server/clients/clients.h"
#include "server/config/config.h"
#include "server/log.h"
#include "server/loop/crew.h"
#include "server/loop/move.h"
#include "server/loop/shard.h"
#include "server/report/info.h"

enum {
    SPAN_US = 100 * 1000,  /* of which a shard says how busy it was; and from one decision to the next */
    STALE_US = 400 * 1000, /* who has not said anything for so long sleeps */
    SLOW_US = 5 * 1000,    /* requests that take so long keep all others of their shard waiting */
    ACTIVE_MS = 200,       /* a connection of which something came within this time is a busy one */
    AGAIN_US = 100 * 1000, /* from one round to the next, */
    AGAIN_MOST_US = 3200 * 1000, /* and where nobody could leave, again and again */
    EVEN_US = 1000 * 1000,       /* a full shard looks so often whether others have fewer connections */
    ROUNDS = 16,                 /* for what a shard in use gives to others */
    WAITED_PART = 3, /* of what a shard ran: for so long it may have waited for a CPU, for all that counts */
    LEAVING_MOST = 32,        /* connections that may be about to leave when more are looked for */
    LOAD_BITS = 10,           /* of a published word; the rest is the time */
    WAITED_TEXT_MAX = 3 * 24, /* bytes of three numbers */
};
_Static_assert(LEAVING_MOST <= (int)MOVES_MOST, "there is room for some of the next page");

static struct {
    atomic_flag deciding;    /* whoever sets it decides, and has: */
    struct crew crew;        /* shards 0: it is to be opened */
    _Atomic unsigned in_use; /* that decision */
    atomic_bool slow;        /* a request was slow, since the last decision */
    atomic_bool polled;      /* threads of the kernel work for shards: nobody knows how much */
} spread = {.deciding = ATOMIC_FLAG_INIT, .in_use = 1};

/* What each shard has said: microseconds, and thousandths. */
static struct { _Alignas(128) _Atomic uint64_t word; } loads[MAX_SHARDS];

/* ---- Who is in use -------------------------------------------------------------------------------- */

static bool all_are_used(void) {
    return config.shards_in_use == CONFIG_ALL || atomic_load_explicit(&spread.polled, memory_order_relaxed);
}

unsigned spread_in_use(void) {
    if (all_are_used()) return shard_count;
    unsigned in_use = atomic_load_explicit(&spread.in_use, memory_order_relaxed);
    return in_use < shard_count ? in_use : shard_count;
}

static unsigned fewest_but(unsigned other) {
    unsigned best = other == 0, in_use = spread_in_use();
    for (unsigned i = best; i < in_use; i++)
        if (i != other && client_get(shards[i].connections) < client_get(shards[best].connections)) best = i;
    return best;
}

unsigned spread_fewest(void) {
    return fewest_but(UINT32_MAX);
}

/* A shard in use keeps what it has, unless that makes them more even: then nothing goes back. */
unsigned spread_target(const struct shard *shard) {
    unsigned in_use = spread_in_use(), index = shard->index;
    if (shard_count == 1) return index;
    if (clients_stir_turns) return (index + 1) % shard_count;
    if (index < in_use && in_use == 1) return index;
    unsigned best = fewest_but(index);
    bool evens = client_get(shards[best].connections) + 1 < client_get(shard->connections);
    return index >= in_use || evens ? best : index;
}

/* ---- How busy ------------------------------------------------------------------------------------- */

/* Nanoseconds that the thread could have run, and had no CPU; 0 where the kernel does not tell. */
static uint64_t waited_ns(const struct spread *s) {
    char text[WAITED_TEXT_MAX + 1];
    unsigned long long ran, waited;
    ssize_t n = s->waited_fd < 0 ? -1 : pread(s->waited_fd, text, WAITED_TEXT_MAX, 0);
    if (n <= 0) return 0;
    text[n] = 0;
    return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? waited : 0;
}

void spread_init(struct shard *shard) {
    shard->spread = (struct spread){.waited_fd = -1, .seen = 1, .began_us = shard->exec.clock.now_us};
    atomic_store_explicit(&loads[shard->index].word, 0, memory_order_relaxed);
    if (shard->index > 0) return;
    spread.crew.shards = 0;
    atomic_store_explicit(&spread.polled, false, memory_order_relaxed);
    atomic_store_explicit(&spread.in_use, 1, memory_order_relaxed);
}

void spread_open(struct shard *shard, bool polled) {
    if (polled) atomic_store_explicit(&spread.polled, true, memory_order_relaxed);
    if (shard_count > 1) shard->spread.waited_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

void spread_close(struct shard *shard) {
    if (shard->spread.waited_fd >= 0) close(shard->spread.waited_fd);
    shard->spread.waited_fd = -1;
}

/* What it ran, but for what it spun, and the time for which it wanted to and had no CPU: who is kept from running is
 * full. But who needs little is not, however long it waits for each bit of it: others keep the CPU busy, and more
 * shards would wait as well. */
static unsigned thousandths(const struct spread *s, uint64_t span_us, uint64_t cpu_ns, uint64_t waited) {
    uint64_t ran_us = (cpu_ns - s->said_cpu_ns) / 1000, waited_us = (waited - s->said_waited_ns) / 1000,
             spun_us = s->spun_us - s->said_spun_us;
    ran_us = ran_us > spun_us ? ran_us - spun_us : 0;
    if (waited_us > WAITED_PART * ran_us) waited_us = WAITED_PART * ran_us;
    uint64_t worked_us = ran_us + waited_us;
    return worked_us >= span_us ? 1000 : (unsigned)(worked_us * 1000 / span_us);
}

/* ---- Deciding ------------------------------------------------------------------------------------- */

static void read_loads(uint64_t now_us, uint16_t *busy) {
    for (unsigned i = 0; i < shard_count; i++) {
        uint64_t word = atomic_load_explicit(&loads[i].word, memory_order_relaxed),
                 said_us = word >> LOAD_BITS;
        bool stale = said_us + STALE_US < now_us;
        busy[i] = stale ? 0 : word & ((1u << LOAD_BITS) - 1);
    }
}

/* Others may sleep, and have connections that are to leave. */
static void tell(struct shard *shard, unsigned in_use) {
    log_verbose("%u of %u shards are in use", in_use, shard_count);
    for (unsigned i = 0; i < shard_count; i++)
        if (i != shard->index) post_due(&shard->exec.wakes, i, shard->exec.clock.now_ms);
}

static void decide(struct shard *shard) {
    struct crew *crew = &spread.crew;
    uint16_t busy[MAX_SHARDS];
    /* Others' clocks were read at another moment. */
    uint64_t now_us = shard->exec.clock.now_us > crew->looked_us ? shard->exec.clock.now_us : crew->looked_us;
    if (!crew->shards) crew_open(crew, shard_count, now_us);
    bool slow = atomic_load_explicit(&spread.slow, memory_order_relaxed);
    if (!slow && now_us - crew->looked_us < SPAN_US) return;
    atomic_store_explicit(&spread.slow, false, memory_order_relaxed);
    if (all_are_used()) {
        crew_all(crew, now_us);
        atomic_store_explicit(&spread.in_use, crew->in_use, memory_order_relaxed);
        return;
    }
    unsigned before = crew->in_use;
    read_loads(now_us, busy);
    unsigned in_use = crew_look(crew, now_us, busy, slow);
    if (in_use == before) return;
    atomic_store_explicit(&spread.in_use, in_use, memory_order_relaxed);
    tell(shard, in_use);
}

static void try_to_decide(struct shard *shard) {
    if (atomic_flag_test_and_set_explicit(&spread.deciding, memory_order_acquire)) return;
    decide(shard);
    atomic_flag_clear_explicit(&spread.deciding, memory_order_release);
}

void spread_epoch(struct shard *shard, uint64_t cpu_ns) {
    struct spread *s = &shard->spread;
    uint64_t now_us = shard->exec.clock.now_us, span_us = now_us - s->said_us;
    if (shard_count == 1 || span_us < SPAN_US) return;
    uint64_t waited = waited_ns(s);
    unsigned load = thousandths(s, span_us, cpu_ns, waited);
    assert(load <= 1000);
    atomic_store_explicit(&loads[shard->index].word, now_us << LOAD_BITS | load, memory_order_relaxed);
    s->said_us = now_us;
    s->said_cpu_ns = cpu_ns;
    s->said_waited_ns = waited;
    s->said_spun_us = s->spun_us;
    if (load > CREW_FULL && s->rounds == 0 && now_us >= s->evened_us) {
        s->rounds = 1; /* it may have more connections than others by now */
        s->evened_us = now_us + EVEN_US;
    }
    try_to_decide(shard);
}

/* By when the last batch ended. */
bool spread_is_slow(const struct shard *shard) {
    return shard_count > 1 && shard->exec.clock.timed_ns / 1000 >= shard->spread.began_us + SLOW_US;
}

/* At least so long the thread has run in this turn, of what its requests took. It may have waited for a CPU within it,
 * for all that it has waited since it last said so; or it may have run all the time from the beginning of the epoch to
 * that of the turn. */
static uint64_t ran_ns(const struct shard *shard) {
    const struct clock *clock = &shard->exec.clock;
    uint64_t began_us = shard->spread.began_us, took = clock->timed_ns - began_us * 1000,
             waited = waited_ns(&shard->spread) - shard->spread.said_waited_ns,
             ran = clock_thread_cpu_ns() - shard->pace.cpu_ns,
             before = (began_us - shard->pace.epoch_start_us) * 1000;
    took = took > waited ? took - waited : 0;
    ran = ran > before ? ran - before : 0;
    return took > ran ? took : ran;
}

void spread_note_slow(struct shard *shard) {
    if (client_get(shard->connections) < 2 || ran_ns(shard) < (uint64_t)SLOW_US * 1000) return;
    atomic_store_explicit(&spread.slow, true, memory_order_relaxed);
    try_to_decide(shard);
}

/* ---- Who leaves ----------------------------------------------------------------------------------- */

/* Of busy ones and of idle ones the same part stays, so that what they ask for is spread as well as they are. */
static bool keeps(struct spread *s, const struct conn *conn) {
    int64_t idle_ms = conn->shard->exec.clock.now_ms - conn->client.active_ms;
    unsigned *dealt = &s->dealt[idle_ms <= ACTIVE_MS];
    *dealt += s->kept;
    if (*dealt < s->of) return false;
    *dealt -= s->of;
    return true;
}

static void consider(struct conn *conn) {
    struct spread *s = &conn->shard->spread;
    if (!s->surplus || conn->flags & CONN_LEAVING || !conn_may_move(conn) || keeps(s, conn)) return;
    if (conn->shard->moves.count >= MOVES_MOST) return;
    move_begin(conn);
    s->surplus--;
}

static uint32_t all_connections(void) {
    uint32_t all = 0;
    for (unsigned i = 0; i < shard_count; i++) all += client_get(shards[i].connections);
    return all;
}

/* A round through all connections begins, if any are to leave. */
static void begin_round(struct shard *shard, unsigned in_use) {
    struct spread *s = &shard->spread;
    uint32_t own = client_get(shard->connections), fair = (all_connections() + in_use - 1) / in_use;
    s->gap_us = s->begun ? AGAIN_US : 2 * s->gap_us < AGAIN_MOST_US ? 2 * s->gap_us : AGAIN_MOST_US;
    s->begun = false;
    s->again_us = shard->exec.clock.now_us + s->gap_us;
    if (shard->index >= in_use) fair = 0;
    s->surplus = own > fair ? own - fair : 0;
    s->kept = fair < own ? fair : own;
    s->of = own ? own : 1;
    s->dealt[0] = s->dealt[1] = 0;
    s->page = 0;
    s->going = s->surplus > 0;
}

static void look_for_leavers(struct shard *shard) {
    struct spread *s = &shard->spread;
    unsigned in_use = spread_in_use();
    if (in_use != s->seen) {
        s->rounds = shard->index < in_use && in_use > s->seen ? ROUNDS : 0;
        s->again_us = 0;
        s->begun = true;
        s->seen = in_use;
    }
    bool wanted = shard->index >= in_use ? client_get(shard->connections) > 0 : s->rounds > 0;
    if (!s->going && wanted && shard->exec.clock.now_us >= s->again_us) {
        if (s->rounds > 0) s->rounds--;
        begin_round(shard, in_use);
        if (!s->going) s->rounds = 0;
    }
    if (s->going && shard->moves.count < LEAVING_MOST)
        s->going = slots_each_of(&shard->slots, s->page++, consider);
}

static void stir(struct conn *conn) {
    if (!(conn->flags & CONN_LEAVING) && conn_may_move(conn)) move_begin(conn);
}

void spread_turn(struct shard *shard) {
    uint32_t stir_turns = clients_stir_turns;
    if (shard_count == 1 || shard->stopping) return;
    if (!stir_turns)
        look_for_leavers(shard);
    else if (shard->turn % stir_turns == 0)
        slots_each(&shard->slots, stir);
    if (shard->moves.count) move_on(shard);
}

bool spread_goes_on(const struct shard *shard) {
    return shard->spread.going && shard->moves.count < LEAVING_MOST;
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

static void measure_spread(struct info *info) {
    info->figures.shards_in_use = shard_count ? spread_in_use() : 0;
}
INFO_MEASURE(IO, measure_spread);
