/* scribe.c - turn after turn; in between it sleeps until there is something to write.
 *
 * Under `always` a reply waits for each change, so it is written at once, and what comes meanwhile is the next batch.
 * Otherwise nobody waits: after a turn the thread rests for some milliseconds, in which changes gather without
 * waking it each time. */
#include "server/process/scribe.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "server/call/gate.h"
#include "server/clients/post.h"
#include "server/clock.h"
#include "server/config/config.h"
#include "server/journal/appender.h"
#include "server/journal/journal.h"
#include "server/limits.h"
#include "server/log.h"
#include "server/loop/shard.h"

static pthread_t thread;
static bool running;
static _Atomic bool ending;

enum { REST_MS = 10, GATHER_PART = 4, GATHER_LEAST_US = 60, GATHER_MOST_US = 1000 };

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

static const struct appender_server server = {
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

/* Clients that were answered together ask again together. Without a moment for that the first of them would have a sync for
 * itself, and all others wait for it: two groups that take turns, each half as large. A moment is a part of what the last
 * turn took, and nothing where that is too short to sleep, or where there was one client. */
static void gather(uint64_t took_us, uint64_t tickets) {
    uint64_t moment_us = took_us / GATHER_PART;
    if (moment_us > GATHER_MOST_US) moment_us = GATHER_MOST_US;
    if (tickets < 2 || moment_us < GATHER_LEAST_US) return;
    struct timespec moment = {.tv_nsec = (long)moment_us * 1000};
    nanosleep(&moment, NULL);
}

/* A turn, and what follows it under `always`. When the next one is due. */
static int64_t turn(int64_t now) {
    uint64_t begun_us = clock_monotonic_us(), before = journal_safe();
    int64_t due = appender_turn(now);
    if (appender_fatal()) die();
    if (appender_hurries()) gather(clock_monotonic_us() - begun_us, journal_safe() - before);
    return due;
}

static void *write_all(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "kevy-journal");
    while (!ending) {
        int64_t now = now_ms(), due = turn(now);
        if (due <= now) {
            rest();
            continue;
        }
        bell_park(&appender_bell);
        now = now_ms();
        due = ending ? now : turn(now);
        if (due > now)
            bell_sleep(&appender_bell, due == WRITER_NEVER ? -1 : due - now);
        else
            bell_leave(&appender_bell);
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
    if (!appender_begin(from_files)) {
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
    bell_ring(&appender_bell);
    pthread_join(thread, NULL);
    running = false;
    if (appender_finish(now_ms())) return true;
    log_warning("The last changes could not be written to the append-only file");
    return false;
}

void scribe_close(void) {
    appender_close();
}
