/* scribe.c - turn after turn; in between it sleeps until there is something to write.
 *
 * Under `always` a reply waits for each change, so it is written at once, and what comes meanwhile is the next batch.
 * Otherwise nobody waits: after a turn the thread rests for some milliseconds, in which changes gather without
 * waking it each time. */
#include "server/process/scribe.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/assert.h"
#include "server/call/gate.h"
#include "server/clients/post.h"
#include "server/clock.h"
#include "server/config/config.h"
#include "server/journal/aof_switch.h"
#include "server/journal/appender.h"
#include "server/journal/journal.h"
#include "server/limits.h"
#include "server/log.h"
#include "server/loop/shard.h"

static pthread_t thread;
static bool running;
static _Atomic bool ending;

enum { REST_MS = 10, GATHER_MOST_US = 1000, HALVED_LEAST = 16, HALVED_CYCLE = 8 };
enum { TIMER_SLACK_NS = 1000, RUN_NS = 100 * 1000 };

static int64_t now_ms(void) {
    return (int64_t)(clock_monotonic_us() / 1000);
}

/* ---- What the server is told ---------------------------------------------------------------------- */

static void look_again(void) {
    struct wakes wakes = {0};
    post_look_again(&wakes);
    for (unsigned shard; wakes_take(&wakes, &shard);)
        if (mailboxes[shard].wake_fd >= 0) (void)io_wake_fd(mailboxes[shard].wake_fd);
}

static void wake(void) {
    for (unsigned i = 0; i < shard_count; i++)
        if (mailboxes[i].wake_fd >= 0) (void)io_wake_fd(mailboxes[i].wake_fd);
}

static void refuse(bool on) {
    if (on)
        gate_raise(GATE_MISCONF);
    else
        gate_lower(GATE_MISCONF);
}

/* Who is held has seen the gate raised, and looks at nothing until it is told to. */
static bool end_holding(void) {
    if (!(atomic_load(&gates_up) & GATE_MASK(GATE_ROOM))) return false;
    gate_lower(GATE_ROOM);
    look_again();
    return true;
}

static const struct aof_log_server server = {
    .look_again = look_again, .refuse = refuse, .wake = wake, .holds = end_holding};

/* ---- The thread ----------------------------------------------------------------------------------- */

/* As Redis does: those who wait for what they were promised must not be told that it is safe. */
static void die(void) {
    log_warning("Can't persist AOF for fsync error when the AOF fsync policy is 'always': %s. Exiting...",
                strerror(-appender_fatal()));
    _exit(1);
}

static void rest(void) {
    static const struct timespec moment = {.tv_nsec = REST_MS * 1000 * 1000};
    if (!appender_hurries()) nanosleep(&moment, NULL);
}

/* What sched_getattr(2) tells, without what later kernels have added. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

/* For how many nanoseconds it wants to run at a time; 0: as long as is usual. A sync sleeps twice, for the data and for the
 * disk's cache, and a thread that wakes on a CPU where a shard runs may have to wait until that sleeps. From Linux 6.12
 * on one that asks for shorter runs is given the CPU at once, as long as it has had no more than its share. */
static void ask_to_run(uint64_t ns) {
    struct scheduling how = {0};
    if (syscall(SYS_sched_getattr, 0, &how, sizeof how, 0) != 0 || how.policy != SCHED_OTHER) return;
    how.runtime = ns;
    (void)syscall(SYS_sched_setattr, 0, &how, 0);
}

/* `briefly`: it has asked for short runs. */
static bool run_as_needed(bool briefly) {
    bool hurries = appender_hurries();
    if (hurries != briefly) ask_to_run(hurries ? RUN_NS : 0);
    return hurries;
}

/* Waiting that was in vain is tried more and more seldom. */
struct patience {
    unsigned most;           /* batches without it, at most */
    unsigned rests, resting; /* batches until it is tried again, and what that was when it was tried last */
};

static bool tries(struct patience *patience) {
    if (!patience->rests) return true;
    patience->rests--;
    return false;
}

static void learns(struct patience *patience, bool gained) {
    assert(patience->rests == 0 && patience->resting <= patience->most);
    patience->resting = gained ? 0 : 2 * patience->resting + 1;
    if (patience->resting > patience->most) patience->resting = patience->most;
    patience->rests = patience->resting;
}

/* False where not so many came in that time, or not within a millisecond. */
static bool await(enum crowd_level level, uint64_t most_us) {
    bell_park_for(&aof_log_bell, aof_log_loudness(level));
    if (crowd_level() < level && !ending)
        bell_sleep(&aof_log_bell, (int64_t)(most_us < GATHER_MOST_US ? most_us : GATHER_MOST_US));
    else
        bell_leave(&aof_log_bell);
    return crowd_level() >= level;
}

/* Clients that were answered together ask again one after the other. A batch that began with the first of them would have
 * next to nothing in it, and all others would wait for two syncs. Which of two ways is better is the clients' doing:
 *
 *   all    where they all come sooner than a sync takes, the next batch is to have all of them
 *   half   where that takes longer: while the disk works for one half, the other one is answered and asks again, so that
 *          disk and CPUs work at the same time
 *
 * Who asks at a rate of its own is waited for in vain, and that is seldom tried. */
static void gather(uint64_t sync_us) {
    static struct patience for_all = {.most = 15}, for_half = {.most = 63};
    if (crowd_members() < 2) return;
    if (tries(&for_all)) {
        bool all = await(CROWD_ALL, sync_us / 2);
        learns(&for_all, all);
        if (all) return;
    }
    if (crowd_level() < CROWD_HALF && tries(&for_half)) learns(&for_half, await(CROWD_HALF, 3 * sync_us));
}

/* When the last turn ended that wrote something, and how long it took. */
static uint64_t ended_us, took_us;

/* Many have come, all of them, but slower than a sync is: one half is written now, and the other one while that half is
 * answered. Not where they have paused. */
static bool begin(uint64_t now_us, uint64_t tickets) {
    uint64_t since_us = now_us - ended_us;
    bool halve = tickets > 1 && crowd_members() >= HALVED_LEAST && crowd_level() == CROWD_ALL &&
                 since_us > took_us && since_us < HALVED_CYCLE * took_us;
    appender_limit(halve ? (tickets + 1) / 2 : 0);
    crowd_begin(now_us);
    return halve;
}

/* A turn, and what follows it under `always`. When the next one is due. */
static int64_t turn(int64_t now) {
    uint64_t begun_us = clock_monotonic_us(), before = journal_safe(), tickets = journal_next() - before;
    bool halved = tickets && appender_hurries() && begin(begun_us, tickets);
    int64_t due = appender_turn(now);
    if (halved) appender_limit(0);
    if (appender_fatal()) die();
    tickets = journal_safe() - before;
    if (!tickets || !appender_hurries()) return due;
    ended_us = clock_monotonic_us();
    took_us = ended_us - begun_us;
    if (!halved) gather(took_us);
    return due;
}

static void *write_all(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "kevy-journal");
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS); /* moments are short */
    for (bool briefly = false; !ending;) {
        briefly = run_as_needed(briefly);
        int64_t now = now_ms(), due = turn(now);
        if (due <= now) {
            rest();
            continue;
        }
        bell_park(&aof_log_bell);
        now = now_ms();
        due = ending ? now : turn(now);
        if (due > now)
            bell_sleep(&aof_log_bell, due == WRITER_NEVER ? -1 : (due - now) * 1000);
        else
            bell_leave(&aof_log_bell);
        if (due > now) rest();
    }
    return NULL;
}

/* ---- Start and end -------------------------------------------------------------------------------- */

bool scribe_open(void) {
    if (appender_open(&disk_kernel, &server, shard_count)) return true;
    log_warning("Out of memory for the journal");
    return false;
}

bool scribe_start(bool from_files) {
    if (!journal_queue_count()) return true; /* it was not opened */
    if (!aof_switch_begin(from_files)) {
        log_warning("Fatal error: the append-only file cannot be written. Exiting.");
        return false;
    }
    ending = false;
    running = pthread_create(&thread, NULL, write_all, NULL) == 0;
    if (!running) log_warning("No thread to write the append-only file on. Exiting.");
    return running;
}

bool scribe_stop(void) {
    if (!running) return true;
    ending = true;
    bell_ring(&aof_log_bell);
    pthread_join(thread, NULL);
    running = false;
    return appender_finish(now_ms());
}

void scribe_close(void) {
    appender_close();
}
