/* recover.c - shards serve already, and refuse whatever needs data until all that was saved is here. */
#include "server/process/recover.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/call/gate.h"
#include "server/clients/post.h"
#include "server/clock.h"
#include "server/config/config.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot.h"
#include "server/log.h"
#include "server/process/scribe.h"
#include "server/process/systemd.h"
#include "server/stripes/stripes.h"
#include "uring/io.h"

enum { TELL_EVERY_MS = 5000, PATIENCE_S = 60 };

static uint64_t told_us; /* when progress was told of last */

static unsigned percent(const struct snapshot_load *load) {
    return load->size ? (unsigned)(load->taken * 100 / load->size) : 100;
}

/* A service manager would end a start that takes long, if it heard nothing. */
static void tell(const struct snapshot_load *load) {
    uint64_t now_us = clock_monotonic_us();
    intake_note(load->taken, load->used_memory);
    if (now_us - told_us < TELL_EVERY_MS * 1000) return;
    told_us = now_us;
    log_notice("Loading %s: %u%%, %" PRIu64 " keys", load->name, percent(load), load->keys);
    systemd_extend(PATIENCE_S);
    systemd_status("Loading: %u%%", percent(load));
}

/* A file that cannot be looked at is to be loaded too: then the load tells why it cannot be. */
void recover_begin(void) {
    struct stat status = {0};
    int64_t now_ms = clock_unix_ms();
    snapshot_open(&disk_kernel, now_ms);
    if (stat(config.dbfilename, &status) < 0 && errno == ENOENT) return;
    intake_begin(status.st_size < 0 ? 0 : (uint64_t)status.st_size, now_ms / 1000);
    stripes_share();
    gate_raise(GATE_LOADING);
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

bool recover(void) {
    struct snapshot_load load = {.now_ms = clock_unix_ms(), .shared = true, .progress = tell};
    uint64_t begun_us = told_us = clock_monotonic_us();
    if (!intake_going()) return true;
    enum snapshot_loaded loaded = snapshot_load(&load);
    if (intake_cancelled()) return true;
    if (loaded == SNAPSHOT_FAILED) {
        log_warning("Fatal error loading the DB: nothing was changed on the disk. Exiting.");
        return false;
    }
    if (!scribe_start()) return false;
    begin_upkeep(load.now_ms);
    if (loaded == SNAPSHOT_LOADED)
        log_notice("DB loaded from disk: %.3f seconds", (double)(clock_monotonic_us() - begun_us) / 1e6);
    return true;
}

static int print_result(enum snapshot_loaded loaded, const struct snapshot_load *load) {
    if (loaded == SNAPSHOT_LOADED)
        printf("%s: %" PRIu64 " keys, %" PRIu64 " expired, %" PRIu64 " of %" PRIu64 " bytes: no fault\n",
               load->name, load->keys, load->expired, load->taken, load->size);
    else
        fprintf(stderr, "kevy: %s\n", load->why);
    return loaded == SNAPSHOT_LOADED ? 0 : 1;
}

int recover_check(const char *directory) {
    struct snapshot_load load = {.only_looks = true, .now_ms = clock_unix_ms()};
    config.databases = MAX_DATABASES;
    if (chdir(directory) < 0) {
        fprintf(stderr, "kevy: %s: %s\n", directory, strerror(errno));
        return 1;
    }
    int error = stripes_open(1, MAX_DATABASES);
    if (error) {
        fprintf(stderr, "kevy: no room to look at values: %s\n", strerror(-error));
        return 1;
    }
    log_set_level(LOG_LEVEL_NOTHING);
    snapshot_open(&disk_kernel, load.now_ms);
    int status = print_result(snapshot_load(&load), &load);
    stripes_close();
    return status;
}
