/* recover.c - shards serve already, and refuse whatever needs data until all that was saved is here. */
#include "server/process/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "server/call/gate.h"
#include "server/clients/post.h"
#include "server/clock.h"
#include "server/config/config.h"
#include "server/exec/replay.h"
#include "server/journal/claim.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot.h"
#include "server/log.h"
#include "server/process/scribe.h"
#include "server/process/systemd.h"
#include "server/stripes/stripes.h"
#include "uring/io.h"

enum { TELL_EVERY_MS = 5000, PATIENCE_S = 60 };

static uint64_t told_us; /* when progress was told of last */
static bool from_aof; /* what the option said at the start: it may be changed while an RDB file is loaded */

static struct manifest_place place(void) {
    return (struct manifest_place){config.appenddirname, config.appendfilename};
}

static unsigned percent(uint64_t taken, uint64_t size) {
    return size ? (unsigned)(taken * 100 / size) : 100;
}

/* A service manager would end a start that takes long, if it heard nothing. True when it is time for
 * the log to hear of it. */
static bool tell(unsigned part) {
    uint64_t now_us = clock_monotonic_us();
    if (now_us - told_us < TELL_EVERY_MS * 1000) return false;
    told_us = now_us;
    systemd_extend(PATIENCE_S);
    systemd_status("Loading: %u%%", part);
    return true;
}

static void tell_rdb(const struct snapshot_load *load) {
    unsigned part = percent(load->taken, load->size);
    intake_note(load->taken, load->used_memory);
    if (tell(part)) log_notice("Loading %s: %u%%, %" PRIu64 " keys", load->name, part, load->keys);
}

static void tell_aof(const struct aof_load *load) {
    unsigned part = percent(load->taken, load->size);
    intake_note(load->taken, 0);
    if (tell(part)) log_notice("Loading the append-only file: %u%%, at %s", part, load->file);
}

static uint64_t bytes_to_load(bool *any) {
    struct stat status = {0};
    struct manifest_place at = place();
    from_aof = config.appendonly;
    *any = from_aof || stat(config.dbfilename, &status) == 0 || errno != ENOENT;
    if (from_aof) return aof_size(&disk_kernel, &at);
    return status.st_size < 0 ? 0 : (uint64_t)status.st_size;
}

/* A file that cannot be looked at is to be loaded too: then the load tells why it cannot be. */
bool recover_begin(void) {
    char why[CLAIM_WHY_SIZE];
    int64_t now_ms = clock_unix_ms();
    bool any;
    uint64_t bytes = bytes_to_load(&any);
    snapshot_open(&disk_kernel, now_ms);
    claim_tidy();
    if (!any) return true;
    if (!claim_directory(why)) {
        log_warning("Cannot start: %s", why);
        return false;
    }
    intake_begin(bytes, now_ms / 1000);
    stripes_share();
    gate_raise(GATE_LOADING);
    return true;
}

/* What is left to be looked at, expiry above all, shards look at now. */
static void begin_upkeep(int64_t now_ms) {
    struct wakes wakes = {0};
    for (unsigned i = 0; i < stripes.count; i++) {
        stripe_lock(&stripes.all[i]);
        keyspace_take_news(stripes.all[i].keyspace, now_ms);
        stripe_unlock(&stripes.all[i]);
    }
    intake_end();
    gate_lower(GATE_LOADING);
    post_look_again(&wakes);
    for (unsigned shard; wakes_take(&wakes, &shard);)
        if (mailboxes[shard].wake_fd >= 0) (void)io_wake_fd(mailboxes[shard].wake_fd);
}

static bool load_rdb(int64_t now_ms, uint64_t begun_us) {
    struct snapshot_load load = {.now_ms = now_ms, .shared = true, .progress = tell_rdb};
    enum snapshot_loaded loaded = snapshot_load(&load);
    if (loaded == SNAPSHOT_LOADED)
        log_notice("DB loaded from disk: %.3f seconds", (double)(clock_monotonic_us() - begun_us) / 1e6);
    return loaded != SNAPSHOT_FAILED;
}

/* What is loaded is no change that a save is missing. */
static void forget_changes(int64_t now_ms) {
    struct stripe_set all = {{0}};
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    snapshot_open(&disk_kernel, now_ms);
    stripe_set_unlock(&all);
}

/* As in Redis, whose users have lost data by it: of two places where data may be, the option names one. */
static void tell_of_what_is_left_out(void) {
    struct stat status;
    if (stat(config.dbfilename, &status) < 0 || !S_ISREG(status.st_mode)) return;
    log_warning("There is no append-only file yet: %s is not loaded, and the next save will replace it. To "
                "take its data "
                "over, start with appendonly no, then CONFIG SET appendonly yes.",
                config.dbfilename);
}

static bool load_aof(int64_t now_ms, uint64_t begun_us) {
    struct aof_runner *runner = replay_new(now_ms, false);
    if (!runner) {
        log_warning("Out of memory for loading the append-only file");
        return false;
    }
    struct aof_load load = {.disk = &disk_kernel,
                            .place = place(),
                            .runner = runner,
                            .now_ms = now_ms,
                            .truncates = config.aof_load_truncated,
                            .summed = config.rdbchecksum,
                            .progress = tell_aof};
    enum aof_loaded loaded = aof_load(&load);
    replay_free(runner);
    manifest_free(&load.manifest);
    forget_changes(now_ms);
    if (loaded == AOF_FAILED && !intake_cancelled()) log_warning("%s", load.why);
    if (loaded == AOF_ABSENT) tell_of_what_is_left_out();
    if (loaded == AOF_LOADED)
        log_notice("DB loaded from append only file: %.3f seconds",
                   (double)(clock_monotonic_us() - begun_us) / 1e6);
    return loaded != AOF_FAILED;
}

bool recover(void) {
    int64_t now_ms = clock_unix_ms();
    uint64_t begun_us = told_us = clock_monotonic_us();
    if (!intake_going()) return true;
    bool loaded = from_aof ? load_aof(now_ms, begun_us) : load_rdb(now_ms, begun_us);
    if (intake_cancelled()) return true;
    if (!loaded && !from_aof) log_warning("Fatal error loading the DB. Exiting."); /* else that was told */
    if (!loaded || !scribe_start(from_aof)) return false;
    begin_upkeep(now_ms);
    return true;
}
