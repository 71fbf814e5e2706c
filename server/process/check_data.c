/* check_data.c - finds out what there is, and has each of it loaded to nowhere. */
#include "server/process/check_data.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/config/config.h"
#include "server/exec/replay.h"
#include "server/journal/claim.h"
#include "server/journal/snapshot.h"
#include "server/log.h"
#include "server/stripes/stripes.h"

static const char suffix[] = ".manifest";
static const char rdb_name[] = "dump.rdb", aof_name[] = "appendonly.aof";

struct check {
    bool repairs;
    bool faulty;
    unsigned found;
    int64_t now_ms;
    struct aof_runner *runner;
};

static void complain(struct check *check, const char *what, const char *why) {
    fprintf(stderr, "kevy: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    check->faulty = true;
}

/* ---- One of them ---------------------------------------------------------------------------------- */

static void check_rdb(struct check *check, const char *name) {
    struct snapshot_load load = {
        .disk = &disk_kernel, .name = name, .only_looks = true, .summed = true, .now_ms = check->now_ms};
    check->found++;
    if (snapshot_load_run(&load) != SNAPSHOT_LOADED)
        complain(check, load.why, NULL);
    else
        printf("%s: %" PRIu64 " keys, %" PRIu64 " expired, %" PRIu64 " of %" PRIu64 " bytes: no fault\n",
               name, load.keys, load.expired, load.taken, load.size);
}

static void repair(struct check *check, const struct aof_load *load) {
    const char *failed;
    int error = aof_load_cut(load, &failed);
    if (error) {
        fprintf(stderr, "kevy: %s: could not %s: %s\n", load->last, failed, strerror(-error));
        check->faulty = true;
    } else {
        const char *directory = load->single ? "" : load->place.directory, *slash = load->single ? "" : "/";
        printf("%s%s%s: was cut off at offset %" PRIu64 "%s; what stood there is in %s.torn-%" PRIu64 "\n",
               directory, slash, load->last, load->torn_at,
               load->drops ? ", and all files behind it at 0" : "", load->last, load->torn_at);
    }
}

static void tell_torn(struct check *check, const struct aof_load *load) {
    if (check->repairs) {
        repair(check, load);
        return;
    }
    fprintf(stderr,
            "kevy: %s: offset %" PRIu64
            ": the file is torn from here on%s; --repair cuts that off, and keeps it in a file of its own\n",
            load->last, load->torn_at,
            load->drops ? ", and the files behind it were begun when it could not be synced" : "");
    check->faulty = true;
}

static void check_aof(struct check *check, const struct manifest_place *place, bool single) {
    struct aof_load load = {.disk = &disk_kernel,
                            .place = *place,
                            .single = single,
                            .runner = check->runner,
                            .now_ms = check->now_ms,
                            .keeps_disk = true,
                            .only_looks = true,
                            .summed = true};
    check->found++;
    enum aof_loaded loaded = aof_load(&load);
    if (loaded == AOF_FAILED)
        complain(check, load.why, NULL);
    else if (load.torn)
        tell_torn(check, &load);
    if (loaded == AOF_LOADED && !load.torn)
        printf("%s%s%s: %" PRIu64 " keys, %" PRIu64 " commands, %" PRIu64 " bytes: no fault\n",
               single ? "" : place->directory, single ? "" : "/", place->name, load.keys, load.commands,
               load.size);
    manifest_free(&load.manifest);
}

/* ---- What there is -------------------------------------------------------------------------------- */

static bool ends_with_suffix(const char *name, size_t *len) {
    size_t all = strlen(name), end = sizeof suffix - 1;
    if (all <= end || strcmp(name + all - end, suffix) != 0) return false;
    *len = all - end;
    return true;
}

/* Each ends with a NUL. Zero-initialised there are none. */
struct names {
    struct buffer all;
    bool lacks; /* some, for there was no memory */
};

static void note(struct names *names, struct bytes name) {
    if (!buffer_append(&names->all, name, SIZE_MAX) || !buffer_append(&names->all, BYTES("\0"), SIZE_MAX))
        names->lacks = true;
}

static void note_manifest(void *context, const char *name) {
    size_t len;
    bool counts = ends_with_suffix(name, &len) && strncmp(name, "temp-", 5) != 0 && len <= MANIFEST_NAME_MAX;
    if (counts) note(context, (struct bytes){name, len});
}

static void note_directory(void *context, const char *name) {
    struct stat status;
    if (stat(name, &status) == 0 && S_ISDIR(status.st_mode)) note(context, bytes_of(name));
}

/* Calls `each` for what `noted` notes of a directory. */
static void check_names(struct check *check, const char *directory,
                        void (*noted)(void *context, const char *name),
                        void (*each)(struct check *check, const char *directory, const char *name)) {
    struct names names = {0};
    (void)disk_kernel.list(&disk_kernel, directory, noted, &names);
    if (names.lacks) complain(check, directory, "no memory for the names in it");
    for (size_t at = 0; at < names.all.len && !names.lacks; at += strlen(names.all.data + at) + 1)
        each(check, directory, names.all.data + at);
    buffer_free(&names.all);
}

static void check_manifest(struct check *check, const char *directory, const char *name) {
    struct manifest_place place = {directory, name};
    check_aof(check, &place, false);
}

/* The manifests in this directory. */
static void check_manifests(struct check *check, const char *directory) {
    check_names(check, directory, note_manifest, check_manifest);
}

static void check_directory(struct check *check, const char *above, const char *name) {
    assert(strcmp(above, ".") == 0);
    check_manifests(check, name);
}

/* Whoever has it may replace what is looked at, and is not to lose what it writes. In a container its number may be one
 * that cannot be seen. */
static bool is_free(struct check *check, const char *directory, bool within) {
    int64_t holder = claim_holder(directory);
    char pid[32] = "";
    if (holder < 0 && (!check->repairs || claim_for_repair(directory, within))) return true;
    if (holder > 0) snprintf(pid, sizeof pid, " (pid %" PRId64 ")", holder);
    fprintf(stderr, "kevy: %s: in use by a server%s, which may replace what is looked at\n", directory, pid);
    if (check->repairs) complain(check, "nothing is repaired there", NULL);
    return !check->repairs;
}

static bool is_root(void) {
    struct stat here, above;
    return stat(".", &here) < 0 || stat("..", &above) < 0 ||
           (here.st_dev == above.st_dev && here.st_ino == above.st_ino);
}

static bool has_manifest(void) {
    struct names names = {0};
    (void)disk_kernel.list(&disk_kernel, ".", note_manifest, &names);
    bool has = names.all.len > 0 || names.lacks;
    buffer_free(&names.all);
    return has;
}

/* At the working directory: a server's, or the one of its append-only files, which lies in that. */
static bool may_look(struct check *check) {
    return is_free(check, ".", false) && (!has_manifest() || is_root() || is_free(check, "..", true));
}

/* The working directory. */
static void check_all(struct check *check) {
    if (access(rdb_name, F_OK) == 0) check_rdb(check, rdb_name);
    if (access(aof_name, F_OK) == 0) check_aof(check, &(struct manifest_place){".", aof_name}, true);
    check_manifests(check, ".");
    check_names(check, ".", note_directory, check_directory);
    if (check->found == 0) complain(check, "there is no dump.rdb, and there are no append-only files", NULL);
}

/* A file of the working directory. An append-only file may begin as an RDB file does, and goes on behind it. */
static void check_file(struct check *check, const char *name) {
    struct manifest_place place = {".", name};
    char known[MANIFEST_NAME_MAX + 1];
    size_t len;
    if (ends_with_suffix(name, &len) && len <= MANIFEST_NAME_MAX) {
        snprintf(known, sizeof known, "%.*s", (int)len, name);
        place.name = known;
        check_aof(check, &place, false);
        return;
    }
    size_t all = strlen(name);
    bool rdb = all > 4 && strcmp(name + all - 4, ".rdb") == 0;
    if (rdb)
        check_rdb(check, name);
    else
        check_aof(check, &place, true);
}

/* Goes to the directory, or to that of the file, and looks. */
static void check_path(struct check *check, const char *path) {
    struct stat status;
    const char *slash = strrchr(path, '/');
    if (stat(path, &status) < 0) {
        complain(check, path, strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        if (chdir(path) < 0)
            complain(check, path, strerror(errno));
        else if (may_look(check))
            check_all(check);
    } else {
        char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
        if (slash && (!directory || chdir(directory) < 0))
            complain(check, path, strerror(directory ? errno : ENOMEM));
        else if (may_look(check))
            check_file(check, slash ? slash + 1 : path);
        free(directory);
    }
}

int check_data(const char *path, bool repairs) {
    struct check check = {.repairs = repairs, .now_ms = clock_unix_ms()};
    config.databases = MAX_DATABASES;
    int error = stripes_open(1, MAX_DATABASES);
    if (error) {
        fprintf(stderr, "kevy: no room to look at values: %s\n", strerror(-error));
        return 1;
    }
    log_set_level(LOG_LEVEL_NOTHING);
    check.runner = replay_new(check.now_ms, true);
    if (check.runner)
        check_path(&check, path);
    else
        complain(&check, "no memory to look at commands", NULL);
    if (check.runner) replay_free(check.runner);
    stripes_close();
    return check.faulty;
}
