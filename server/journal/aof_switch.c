/* aof_switch.c - on, off, and on as soon as there is room. */
#include "server/journal/aof_switch.h"

#include <string.h>

#include "server/clock.h"
#include "server/journal/aof_rewrite.h"
#include "server/journal/journal.h"
#include "server/journal/snapshot_walk.h"
#include "server/log.h"
#include "server/stripes/stripes.h"

/* As aof_files_make. What is written to these files is theirs from now on. */
static int make_files(bool anew, int64_t unix_ms) {
    int error = aof_files_make(&aof_log.files, anew, unix_ms);
    if (!error || aof_log.files.lacks_room) aof_log_note_sizes(aof_log.files.incr_path);
    return error;
}

/* Replies wait for the disk. */
static bool policy_holds(void) {
    return config.appendonly && aof_log_policy() == WRITER_ALWAYS;
}

/* ---- At the start --------------------------------------------------------------------------------- */

static void wait_for_room(int error) {
    aof_rewrite_bar();
    writer_wait(&aof_log.writer, aof_log.files.incr_path, error, 0);
    aof_log.error = error;
    aof_log.refused = true;
    aof_log.server->refuse(true);
}

/* All stripes are held. */
static bool begin(bool from_files) {
    assert(!aof_log.begun && !aof_log_is_on() && journal_next() == 0);
    if (!config.appendonly) return true;
    int error = make_files(!from_files, clock_unix_ms());
    if (error && !aof_log.files.lacks_room) return false;
    if (error)
        wait_for_room(error);
    else if (!writer_begin(&aof_log.writer, aof_log.files.incr_path))
        return false;
    aof_log.state = AOF_LOG_LISTED;
    journal_switch(true);
    if (policy_holds()) journal_switch_hold(true);
    if (!error) log_notice("Changes are appended to %s", aof_log.files.incr_path);
    return true;
}

bool aof_switch_begin(bool from_files) {
    struct stripe_set all = {{0}};
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    bool ok = begin(from_files);
    aof_log.begun = true; /* INFO says till then that it will be on, and a first base may take long */
    stripe_set_unlock(&all);
    return ok;
}

/* ---- As soon as there is room --------------------------------------------------------------------- */

static int list_incr(struct aof_files *files) {
    mutex_lock(&files->mutex);
    files->quiet = true;
    int error = aof_files_list_incr(files);
    if (!error) aof_files_delete_history(files);
    files->quiet = false;
    mutex_unlock(&files->mutex);
    return error;
}

static void try_again(struct writer *writer, int64_t now_ms) {
    int error = list_incr(&aof_log.files);
    if (!error) aof_log_note_sizes(aof_log.files.incr_path);
    if (!error && !writer_begin(writer, aof_log.files.incr_path)) error = writer->error;
    if (error)
        writer_wait(writer, aof_log.files.incr_path, error, now_ms);
    else
        aof_rewrite_release();
}

/* What waits is dropped, up to the cut with which the log was switched off. */
static void give_up(struct writer *writer) {
    aof_files_drop_unlisted(&aof_log.files);
    writer->abandons = true;
    aof_rewrite_release();
}

void aof_switch_again(int64_t now_ms) {
    struct writer *writer = &aof_log.writer;
    assert(aof_rewrite_is_barred() && writer->waits);
    if (aof_log_is_on())
        try_again(writer, now_ms);
    else
        give_up(writer);
}

/* ---- While the server runs ------------------------------------------------------------------------ */

static void tell_on(const char *path) {
    log_notice("Changes are appended to %s from now on", path);
}

static bool switch_on_at_once(struct record_queue *queue, int64_t unix_ms) {
    if (make_files(true, unix_ms)) return false;
    assert(!journal_listens());
    journal_switch(true);
    aof_log.state = AOF_LOG_LISTED; /* before the cut, as the thread may fail at that */
    aof_rewrite_cut_to(queue, aof_log.files.incr_path);
    tell_on(aof_log.files.incr_path);
    return true;
}

/* When the base is begun the claim is no longer this thread's, and neither is the name of the file. */
static bool switch_on_by_and_by(struct record_queue *queue, int64_t unix_ms) {
    char path[MANIFEST_PATH_SIZE];
    if (aof_files_make_first(&aof_log.files)) return false;
    memcpy(path, aof_log.files.incr_path, sizeof path);
    bool on = aof_rewrite_first(queue, unix_ms);
    if (on) tell_on(path);
    return on;
}

/* A rewrite that goes on was given up when the log was switched off, or has a base to no file: another one is made. */
static bool switch_on(struct record_queue *queue, int64_t unix_ms) {
    if (!aof_rewrite_claim()) {
        log_warning("The append-only file cannot be switched on while it is being made anew");
        return false;
    }
    bool at_once = snapshot_is_under_way();
    bool on = at_once ? switch_on_at_once(queue, unix_ms) : switch_on_by_and_by(queue, unix_ms);
    if (at_once || !on) aof_rewrite_release();
    return on;
}

static void switch_off(struct record_queue *queue) {
    assert(journal_listens());
    aof_log.state = AOF_LOG_OFF;
    aof_rewrite_give_up();
    aof_rewrite_cut_to(queue, "");
    journal_switch(false);
    log_notice("Changes are no longer appended to a file");
}

bool aof_switch_follow(struct record_queue *queue, int64_t unix_ms) {
    bool ok = true;
    if (!aof_log.begun) return true; /* data are loaded yet; then it looks at the options */
    if (config.appendonly && !aof_log_is_on())
        ok = switch_on(queue, unix_ms);
    else if (!config.appendonly && aof_log_is_on())
        switch_off(queue);
    bool holds = ok && policy_holds();
    if (holds != journal_holds()) journal_switch_hold(holds);
    bell_ring(&aof_log_bell);
    return ok;
}

/* ---- At the end ----------------------------------------------------------------------------------- */

bool aof_switch_list_first(void) {
    const char *name = aof_log.writer.name;
    if (make_files(true, clock_unix_ms())) return false;
    aof_log.state = AOF_LOG_LISTED;
    if (name[0]) (void)aof_log.files.disk->unlink(aof_log.files.disk, name);
    return true;
}
