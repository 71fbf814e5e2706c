/* snapshot.c - what saving and loading share. */
#include "server/journal/snapshot.h"

#include <inttypes.h>
#include <string.h>

#include "server/clock.h"
#include "server/config/config.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot_save.h"
#include "server/log.h"
#include "server/stripes/stripes.h"

/* What threads ask for without a lock is atomic. The rest is under the locks of all stripes. */
static struct {
    struct disk *disk;
    _Atomic int64_t saved_s;
    uint64_t work; /* atomic */
    uint64_t saves;
    uint64_t changes; /* of all stripes, when it was saved last */
    uint64_t loaded_keys, expired_keys;
} snapshot = {.disk = &disk_kernel};

static uint64_t changes_now(void) {
    uint64_t changes = 0;
    for (unsigned i = 0; i < stripes.count; i++) changes += stripes.all[i].changes;
    return changes;
}

void snapshot_open(struct disk *disk, int64_t now_ms) {
    snapshot.disk = disk;
    snapshot.saved_s = now_ms / 1000;
    snapshot.saves = snapshot.loaded_keys = snapshot.expired_keys = 0;
    snapshot.changes = changes_now();
}

bool snapshot_save(int64_t now_ms) {
    struct snapshot_save save = {.disk = snapshot.disk,
                                 .name = config.dbfilename,
                                 .compressed = config.rdbcompression,
                                 .summed = config.rdbchecksum,
                                 .work = &snapshot.work,
                                 .now_ms = now_ms};
    uint64_t begun_us = clock_monotonic_us();
    int error = snapshot_save_run(&save);
    if (error) {
        log_warning("Cannot save the data: could not %s for %s: %s", save.failed, save.name,
                    strerror(-error));
        return false;
    }
    snapshot.saved_s = clock_unix_ms() / 1000;
    snapshot.changes = changes_now();
    log_notice("DB saved on disk: %" PRIu64 " keys, %" PRIu64 " bytes, %.3f seconds", save.keys, save.bytes,
               (double)(clock_monotonic_us() - begun_us) / 1e6);
    return true;
}

static void tell_loaded(const struct snapshot_load *load) {
    if (load->version[0]) log_notice("Loading RDB produced by version %s", load->version);
    if (load->created_s) log_notice("RDB age %" PRId64 " seconds", load->now_ms / 1000 - load->created_s);
    if (load->empty) log_warning("%" PRIu64 " collections without elements were left out", load->empty);
    log_notice("Done loading RDB, keys loaded: %" PRIu64 ", keys expired: %" PRIu64 ".", load->keys,
               load->expired);
}

enum snapshot_loaded snapshot_load(struct snapshot_load *load) {
    uint64_t before = changes_now();
    load->disk = snapshot.disk;
    load->name = config.dbfilename;
    load->summed = config.rdbchecksum;
    load->work = &snapshot.work;
    enum snapshot_loaded loaded = snapshot_load_run(load);
    snapshot.changes += changes_now() - before;
    if (loaded == SNAPSHOT_FAILED && !intake_cancelled()) log_warning("Cannot load %s", load->why);
    if (loaded != SNAPSHOT_LOADED || load->only_looks) return loaded;
    snapshot.loaded_keys = load->keys;
    snapshot.expired_keys = load->expired;
    tell_loaded(load);
    return loaded;
}

void snapshot_count(void) {
    snapshot.saves++;
}

struct snapshot_figures snapshot_figures(void) {
    return (struct snapshot_figures){.saved_s = snapshot.saved_s,
                                     .saves = snapshot.saves,
                                     .changes = changes_now() - snapshot.changes,
                                     .loaded_keys = snapshot.loaded_keys,
                                     .expired_keys = snapshot.expired_keys};
}

int64_t snapshot_saved_s(void) {
    return snapshot.saved_s;
}

uint64_t snapshot_work(void) {
    return __atomic_load_n(&snapshot.work, __ATOMIC_RELAXED);
}
