/* reload.c - the files are kept as they are meanwhile, and read twice: what cannot be loaded is to empty nothing. */
#include "server/exec/reload.h"

#include "protocol/assert.h"
#include "server/config/config.h"
#include "server/exec/replay.h"
#include "server/journal/appender.h"
#include "server/journal/snapshot.h"
#include "server/log.h"

/* False after logging why. What is torn was written by somebody else. */
static bool load_files(struct call *call, struct aof_load *load) {
    struct aof_runner *runner = replay_new(call->effects->now_ms, load->only_looks);
    if (!runner) {
        log_warning("Out of memory for loading the append-only file");
        return false;
    }
    replay_holds(runner, call->held);
    load->runner = runner;
    enum aof_loaded loaded = aof_load(load);
    struct ready ready = replay_take_ready(runner);
    waiters_join(&call->effects->ready, &ready);
    replay_free(runner);
    manifest_free(&load->manifest);
    if (loaded == AOF_FAILED) log_warning("%s", load->why);
    if (loaded == AOF_ABSENT) log_warning("There are no append-only files to be loaded");
    if (load->torn)
        log_warning("%s ends in the middle of something at offset %llu", load->last,
                    (unsigned long long)load->torn_at);
    return loaded == AOF_LOADED && !load->torn;
}

/* Nothing of it is recorded: it is in the files. */
static bool load_unheard(struct call *call, struct aof_load *load) {
    bool listens = journal_listens();
    if (listens) journal_switch(false);
    bool loaded = load_files(call, load);
    if (listens) journal_switch(true);
    snapshot_forget_changes();
    return loaded;
}

static bool load_twice(struct call *call, struct disk *disk, void (*flush)(struct call *call)) {
    struct aof_load load = {.disk = disk,
                            .place = {config.appenddirname, config.appendfilename},
                            .now_ms = call->effects->now_ms,
                            .held = true,
                            .keeps_disk = true,
                            .only_looks = true,
                            .summed = config.rdbchecksum && !snapshot_skips_checksums(),
                            .work = snapshot_work_counter()};
    if (!load_files(call, &load)) return false;
    flush(call);
    load.only_looks = false;
    return load_unheard(call, &load);
}

/* What EXEC has changed before is in no file yet. */
static bool is_pending(const struct effects *effects) {
    return effects->journal && (queue_is_open(effects->journal) || effects->ticket);
}

bool reload_aof(struct call *call, void (*flush)(struct call *call)) {
    assert(call->held);
    if (is_pending(call->effects)) {
        log_warning("The append-only file cannot be read within a transaction that has changed something");
        return false;
    }
    struct disk *disk = appender_keep_files();
    if (!disk) return false;
    bool loaded = load_twice(call, disk, flush);
    appender_give_files();
    return loaded;
}
