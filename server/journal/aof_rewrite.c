/* aof_rewrite.c - the steps of a rewrite, and when one is due. */
#include "server/journal/aof_rewrite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/journal/journal.h"
#include "server/journal/snapshot.h"
#include "server/journal/snapshot_walk.h"
#include "server/log.h"

enum step {
    STEP_NONE,
    STEP_ASKED,
    STEP_READY,
    STEP_SAVING, /* or whoever switches the log on makes files: the thread does nothing */
    STEP_SAVED,
    STEP_BARRED
};

enum {
    FAILURES_FREE = 3, /* so many in a row, and the next is tried at once; then it waits */
    WAIT_MS = 60 * 1000,
    AGAIN_MS = 1000,
    READY_MS = 50,      /* between two looks whether another snapshot has ended */
    GIVEN_UP_MS = 2000, /* that a claim waits for the end of what was given up */
    TEMPORARY_NAME_MAX = 48,
};

static struct {
    _Atomic enum step step;
    _Atomic bool cancelled;
    /* Whose the step is. */
    uint64_t first_incr;        /* the files from this one on stay */
    bool switches_on;           /* at the cut */
    struct record_queue *queue; /* of who takes it */
    bool saved;
    uint64_t saved_size; /* bytes */
    char temporary[TEMPORARY_NAME_MAX];
    /* The thread's. */
    int64_t may_begin_ms; /* by itself, */
    bool limited;         /* and that is later, for rewrites have failed, and nobody was told */
    /* Figures. */
    _Atomic bool ok;
    _Atomic int64_t begun_ms, last_s;
    _Atomic uint64_t begun, failures, peak;
} rewrite;

void aof_rewrite_open(void) {
    rewrite.step = STEP_NONE;
    rewrite.cancelled = rewrite.limited = false;
    rewrite.may_begin_ms = 0;
    rewrite.ok = true;
    rewrite.last_s = -1;
    rewrite.begun = rewrite.failures = 0;
}

static enum step step_now(void) {
    return atomic_load_explicit(&rewrite.step, memory_order_acquire);
}

static void step_to(enum step step) {
    atomic_store_explicit(&rewrite.step, step, memory_order_release);
}

/* False where the step is somebody's. */
static bool step_from_none(enum step to) {
    enum step none = STEP_NONE;
    return atomic_compare_exchange_strong(&rewrite.step, &none, to);
}

/* ---- Asked for ------------------------------------------------------------------------------------ */

enum aof_rewrite_answer aof_rewrite_ask(void) {
    if (!journal_queue_count() || aof_rewrite_is_barred()) return REWRITE_IMPOSSIBLE;
    if (!step_from_none(STEP_ASKED)) return REWRITE_GOES_ON;
    bell_ring(&aof_log_bell);
    return REWRITE_STARTED;
}

bool aof_rewrite_wants_cut(void) {
    return step_now() == STEP_READY;
}

static bool is_rewrite(enum step step) {
    return step != STEP_NONE && step != STEP_BARRED;
}

bool aof_rewrite_is_under_way(void) {
    return is_rewrite(step_now());
}

struct aof_rewrite_figures aof_rewrite_figures(void) {
    enum step step = step_now();
    return (struct aof_rewrite_figures){.asked = step == STEP_ASKED || step == STEP_READY,
                                        .under_way = is_rewrite(step),
                                        .ok = rewrite.ok,
                                        .begun_ms = rewrite.begun_ms,
                                        .last_s = rewrite.last_s,
                                        .begun = rewrite.begun,
                                        .failures = rewrite.failures,
                                        .peak = rewrite.peak};
}

/* ---- Beginning ------------------------------------------------------------------------------------ */

static void note_end(bool ok, int64_t now_ms) {
    assert(rewrite.step == STEP_ASKED || rewrite.step == STEP_SAVED);
    rewrite.ok = ok;
    rewrite.last_s = (now_ms - rewrite.begun_ms) / 1000;
    rewrite.limited = !ok && ++rewrite.failures >= FAILURES_FREE;
    if (ok) rewrite.failures = 0;
    if (!ok) rewrite.may_begin_ms = now_ms + (rewrite.limited ? WAIT_MS : AGAIN_MS);
    step_to(STEP_NONE);
}

/* The next file is made and listed before anything is to go into it. Where the log's own first one is not listed, neither is
 * this: both are with the base. */
static int prepare(struct aof_files *files) {
    enum aof_log_state state = aof_log.state; /* who switches the log off meanwhile gives this rewrite up */
    bool on = state != AOF_LOG_OFF;
    uint64_t given = files->given_incr;
    int error = on && files->manifest.count ? 0 : aof_files_read(files);
    if (!error) error = aof_files_make_directory(files);
    if (!error) error = aof_files_name_base(files);
    if (!error && on) error = aof_files_make_incr(files);
    if (!error && state == AOF_LOG_LISTED) error = aof_files_write(files);
    rewrite.first_incr = files->manifest.incr_seq + (on ? 0 : 1);
    if (!error) return 0;
    aof_files_fall_back(files);
    if (files->given_incr != given) aof_files_drop_incr(files); /* no cut leads into it */
    return error;
}

static void begin(int64_t now_ms) {
    rewrite.begun_ms = now_ms;
    rewrite.begun++;
    rewrite.cancelled = false;
    mutex_lock(&aof_log.files.mutex);
    int error = prepare(&aof_log.files);
    mutex_unlock(&aof_log.files.mutex);
    if (error) {
        note_end(false, now_ms);
        return;
    }
    log_notice("Background append only file rewriting started");
    assert(step_now() == STEP_ASKED && rewrite.first_incr > 0);
    step_to(STEP_READY);
}

/* ---- The base ------------------------------------------------------------------------------------- */

void aof_rewrite_cut_to(struct record_queue *queue, const char *path) {
    assert(!queue_is_open(queue)); /* what the command has changed before is sealed */
    queue_add_cut(queue, bytes_of(path));
    (void)journal_seal(queue, 0);
}

/* All stripes are held. */
static void cut(void *context) {
    (void)context;
    if (rewrite.switches_on) {
        assert(!journal_listens() && !aof_log_is_on());
        journal_switch(true);
        aof_log.state = AOF_LOG_WAITS;
    }
    if (aof_log_is_on()) aof_rewrite_cut_to(rewrite.queue, aof_log.files.incr_path);
    step_to(STEP_SAVING);
}

static void base_ended(bool saved, uint64_t bytes) {
    rewrite.saved = saved;
    rewrite.saved_size = bytes;
    step_to(STEP_SAVED);
    bell_ring(&aof_log_bell);
}

/* By the thread that has written it, or whoever gave it up. */
static void ended(void *context, const struct snapshot_written *written) {
    (void)context;
    rewrite.peak = snapshot_progress().peak;
    if (written->error)
        log_warning("Cannot %s for the append-only file: %s", written->failed, strerror(-written->error));
    base_ended(!written->error && !written->given_up, written->bytes);
}

/* All stripes are held, and no snapshot is under way. False where there is no cut. */
static bool start_base(struct record_queue *queue, int64_t unix_ms) {
    struct snapshot_order order = {
        .disk = aof_log.files.disk,
        .names = {rewrite.temporary, aof_log.files.base_path, config.appenddirname},
        .form = {config.rdbcompression, config.rdbchecksum, true, aof_log.files.commands},
        .aof_base = true,
        .by_hand = aof_log.server->by_hand,
        .cut = cut,
        .ended = ended};
    snprintf(rewrite.temporary, sizeof rewrite.temporary, "temp-rewriteaof-bg-%d.aof", (int)getpid());
    rewrite.queue = queue;
    int error = snapshot_start(&order, unix_ms);
    if (error) log_warning("Cannot begin a base for the append-only file: %s", strerror(-error));
    return !error;
}

bool aof_rewrite_cut(struct record_queue *queue, int64_t unix_ms) {
    if (!aof_rewrite_wants_cut() || snapshot_is_under_way()) return false;
    bool started = !rewrite.cancelled && start_base(queue, unix_ms);
    if (!started) base_ended(false, 0);
    return started;
}

bool aof_rewrite_first(struct record_queue *queue, int64_t unix_ms) {
    assert(step_now() == STEP_SAVING && !aof_log_is_on());
    rewrite.first_incr = aof_log.files.manifest.incr_seq;
    rewrite.cancelled = false;
    rewrite.switches_on = true;
    rewrite.begun_ms = (int64_t)(clock_monotonic_us() / 1000);
    rewrite.begun++;
    bool started = start_base(queue, unix_ms);
    rewrite.switches_on = false;
    return started;
}

/* ---- The end -------------------------------------------------------------------------------------- */

/* An executor may switch the log off at this moment. */
static void note_listed(void) {
    enum aof_log_state waits = AOF_LOG_WAITS;
    (void)atomic_compare_exchange_strong(&aof_log.state, &waits, AOF_LOG_LISTED);
}

/* Under the mutex. */
static bool list_saved(struct aof_files *files) {
    bool ok = aof_files_list_base(files, rewrite.first_incr) == 0 && aof_files_write(files) == 0;
    if (!ok) {
        aof_files_fall_back(files);
        return false;
    }
    note_listed();
    aof_files_delete_history(files);
    return true;
}

static bool list_or_drop(struct aof_files *files) {
    mutex_lock(&files->mutex);
    bool ok = rewrite.saved && !rewrite.cancelled && list_saved(files);
    if (!ok && rewrite.saved) aof_files_drop_base(files);
    mutex_unlock(&files->mutex);
    if (ok) aof_log_note_sizes(aof_log.writer.name);
    if (!ok && !aof_log_is_on()) aof_files_drop_unlisted(files);
    return ok;
}

static void end(int64_t now_ms) {
    assert(rewrite.first_incr > 0 && aof_log.files.base_name[0]);
    bool ok = list_or_drop(&aof_log.files);
    if (ok && aof_log_is_on()) writer_has_base(&aof_log.writer);
    if (aof_log.writer.doubt)
        rewrite.may_begin_ms = now_ms + AGAIN_MS; /* what follows could not be synced either */
    if (ok)
        log_notice("Background AOF rewrite finished successfully: %" PRIu64 " bytes", rewrite.saved_size);
    else
        log_warning("Background AOF rewrite has failed");
    note_end(ok, now_ms);
}

void aof_rewrite_finish(bool synced, int64_t now_ms) {
    if (synced && step_now() == STEP_SAVED) end(now_ms);
}

/* ---- When one is due ------------------------------------------------------------------------------ */

static bool has_grown(void) {
    uint64_t size = aof_log.other_size + aof_log.writer.size,
             base = aof_log.base_size ? aof_log.base_size : 1;
    int64_t percentage = config.auto_aof_rewrite_percentage;
    if (!percentage || !aof_log_is_on() || size <= (uint64_t)config.auto_aof_rewrite_min_size || size < base)
        return false;
    return (size - base) / base >= (uint64_t)percentage / 100 &&
           (double)(size - base) * 100 >= (double)base * (double)percentage;
}

bool aof_rewrite_needs_first(void) {
    return aof_log.state == AOF_LOG_WAITS;
}

/* The first one has failed, or what is in the files is in doubt. */
static bool needs_base(void) {
    return aof_rewrite_needs_first() || (aof_log_is_on() && aof_log.writer.doubt);
}

/* One that has to wait for its time is told of once. */
static void begin_by_itself(int64_t now_ms) {
    if (!needs_base() && !has_grown()) return;
    if (now_ms < rewrite.may_begin_ms) {
        if (rewrite.limited)
            log_warning("Background AOF rewrite has repeatedly failed and triggered the limit, will retry in "
                        "%d minutes",
                        WAIT_MS / 60 / 1000);
        rewrite.limited = false;
        return;
    }
    if (!step_from_none(STEP_ASKED)) return;
    log_notice("Starting automatic rewriting of AOF");
    begin(now_ms);
}

static void take_step(enum step step, int64_t now_ms) {
    switch (step) {
    case STEP_NONE: begin_by_itself(now_ms); break;
    case STEP_ASKED: begin(now_ms); break;
    case STEP_READY:
        if (!snapshot_is_under_way()) aof_log.server->look_again();
        break;
    case STEP_SAVING: break;
    case STEP_SAVED:
        if (aof_log_is_on() || aof_log.writer.written == journal_next()) end(now_ms);
        break;
    case STEP_BARRED: break;
    }
}

int64_t aof_rewrite_turn(int64_t now_ms) {
    enum step before = step_now();
    take_step(before, now_ms);
    if (step_now() != before) return now_ms;
    if (before == STEP_READY) return now_ms + READY_MS;
    return before == STEP_NONE && (needs_base() || has_grown()) ? rewrite.may_begin_ms : WRITER_NEVER;
}

/* ---- Who switches the log on or off --------------------------------------------------------------- */

void aof_rewrite_give_up(void) {
    if (step_now() != STEP_NONE) rewrite.cancelled = true;
    if (step_now() == STEP_SAVING) snapshot_give_up();
}

/* Nobody takes a cut meanwhile, for all stripes are held. */
static void await_given_up(void) {
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};
    for (unsigned i = 0; i < GIVEN_UP_MS && step_now() != STEP_NONE; i++) {
        rewrite.cancelled = true;                          /* it may have begun just now */
        if (aof_rewrite_wants_cut()) base_ended(false, 0); /* nobody will take its cut */
        bell_ring(&aof_log_bell);
        nanosleep(&moment, NULL);
    }
}

bool aof_rewrite_claim(void) {
    aof_rewrite_give_up();
    await_given_up();
    return step_from_none(STEP_SAVING);
}

void aof_rewrite_release(void) {
    assert(step_now() == STEP_SAVING || step_now() == STEP_BARRED);
    step_to(STEP_NONE);
}

void aof_rewrite_bar(void) {
    assert(step_now() == STEP_NONE);
    step_to(STEP_BARRED);
}

bool aof_rewrite_is_barred(void) {
    return step_now() == STEP_BARRED;
}
