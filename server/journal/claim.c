/* claim.c - a lock on the directory's own descriptor. Who holds one, the kernel tells in /proc/locks:
 *
 *     1: FLOCK  ADVISORY  WRITE 4711 fe:01:2621441 0 EOF        kind, pid, major:minor:inode (numbers of devices in hex) */
#include "server/journal/claim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "protocol/assert.h"
#include "server/config/config.h"
#include "server/log.h"

static _Atomic int claimed = -1; /* the directory's descriptor */

/* ---- Who has it ----------------------------------------------------------------------------------- */

/* LOCK_EX, or LOCK_SH. The directory's descriptor in *directory, or -1. False with errno. */
static bool lock(const char *path, int how, int *directory) {
    int result;
    *directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    do result = *directory < 0 ? -1 : flock(*directory, how | LOCK_NB);
    while (result < 0 && errno == EINTR);
    assert(result == 0 || result == -1);
    return result == 0;
}

/* Does it tell of an flock for writing of something with the directory's inode? *same_device: and with its device. */
static bool line_is_of(const char *line, const struct stat *directory, int64_t *pid, bool *same_device) {
    char kind[16], mode[16];
    unsigned major_number, minor_number;
    unsigned long long inode;
    long long holder;
    if (sscanf(line, "%*d: %15s %*s %15s %lld %x:%x:%llu", kind, mode, &holder, &major_number, &minor_number,
               &inode) != 6)
        return false;
    *pid = holder > 0 ? holder : 0;
    *same_device = major_number == major(directory->st_dev) && minor_number == minor(directory->st_dev);
    return strcmp(kind, "FLOCK") == 0 && strcmp(mode, "WRITE") == 0 && inode == directory->st_ino;
}

/* Whoever starts at this very moment finds it taken: so this is asked only where there is a reason to. */
static bool is_locked(const char *path) {
    int directory;
    bool locked = !lock(path, LOCK_SH, &directory) && errno == EWOULDBLOCK;
    if (directory >= 0) close(directory);
    return locked;
}

/* Some file systems (btrfs) show another device here than stat does: who holds something of this inode on another device
 * may have this directory, and then it is locked. */
static int64_t find_holder(FILE *locks, const struct stat *directory, const char *path) {
    char line[256];
    int64_t pid, other = -1;
    bool same_device;
    while (fgets(line, sizeof line, locks)) {
        if (!line_is_of(line, directory, &pid, &same_device)) continue;
        if (same_device) return pid;
        if (other < 0) other = pid;
    }
    return other >= 0 && is_locked(path) ? other : -1;
}

int64_t claim_holder(const char *path) {
    struct stat directory;
    if (stat(path, &directory) < 0) return -1;
    FILE *locks = fopen("/proc/locks", "re");
    if (!locks) return -1;
    int64_t pid = find_holder(locks, &directory, path);
    fclose(locks);
    return pid;
}

/* ---- Claiming ------------------------------------------------------------------------------------- */

static void explain_taken(char why[CLAIM_WHY_SIZE]) {
    char holder[48] = "";
    int64_t pid = claim_holder(".");
    if (pid > 0) snprintf(holder, sizeof holder, " (pid %" PRId64 ")", pid);
    snprintf(why, CLAIM_WHY_SIZE,
             "another server%s keeps its data in the directory %s: each needs one of its own (option dir)",
             holder, config.dir);
}

/* Whoever saves asks for it anew. */
static void tell_unlocked(int error) {
    static _Atomic bool told;
    if (!told)
        log_notice("The directory %s cannot be locked: %s. See to it that no other server uses it.",
                   config.dir, strerror(error));
    told = true;
}

bool claim_directory(char why[CLAIM_WHY_SIZE]) {
    if (claimed >= 0) return true;
    int directory;
    if (lock(".", LOCK_EX, &directory)) {
        claimed = directory;
        return true;
    }
    int error = errno;
    if (directory >= 0) close(directory);
    if (error != EWOULDBLOCK) {
        tell_unlocked(error);
        return true;
    }
    explain_taken(why);
    return false;
}

/* Where it cannot be locked nobody has it. */
bool claim_for_repair(const char *path, bool within) {
    int directory;
    if (lock(path, within ? LOCK_SH : LOCK_EX, &directory)) return true; /* it stays open */
    bool taken = errno == EWOULDBLOCK;
    if (directory >= 0) close(directory);
    return !taken;
}

void claim_release(void) {
    if (claimed >= 0) close(claimed);
    claimed = -1;
}

/* ---- What was left behind ------------------------------------------------------------------------- */

/* Is it a temporary file's name (server/journal/snapshot.c, server/journal/appender.c) of a process that is no more? One
 * with this process's number is an earlier one's: as in a container, where each is number 1. */
static bool is_left_behind(const char *name) {
    static const char before[] = "temp-", before_base[] = "temp-rewriteaof-bg-";
    size_t digits = 0;
    bool base = strncmp(name, before_base, sizeof before_base - 1) == 0;
    if (strncmp(name, before, sizeof before - 1) != 0) return false;
    name += base ? sizeof before_base - 1 : sizeof before - 1;
    while (name[digits] >= '0' && name[digits] <= '9') digits++;
    const char *behind = name + digits;
    if (digits == 0 || digits > 9) return false;
    bool known = base ? strcmp(behind, ".aof") == 0
                      : strcmp(behind, ".rdb") == 0 || strcmp(behind, "-bg.rdb") == 0;
    if (!known) return false;
    pid_t pid = (pid_t)strtol(name, NULL, 10);
    assert(pid >= 0);
    return pid > 0 && (pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH));
}

unsigned claim_tidy(void) {
    char why[CLAIM_WHY_SIZE];
    unsigned removed = 0;
    DIR *directory = opendir(".");
    if (!directory) return 0;
    for (struct dirent *file; (file = readdir(directory));) {
        if (!is_left_behind(file->d_name) || !claim_directory(why) || unlink(file->d_name) < 0) continue;
        log_notice("Removed %s: it was left half written", file->d_name);
        removed++;
    }
    closedir(directory);
    return removed;
}
