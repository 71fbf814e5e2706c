/* cgroup.c - finding the files that hold the limits, and reading them.
 *
 * /proc/self/cgroup says in which group the process is, /proc/self/mountinfo where the tree of groups is to be seen, and
 * which part of it:
 *
 *     0::/kube/pod7/kevy                                                 version 2 has one tree for all controllers
 *     4:cpu,cpuacct:/kube/pod7/kevy                                      version 1 one for each, or for some together
 *     31 30 0:28 /kube/pod7 /sys/fs/cgroup rw - cgroup2 cgroup2 rw       from pod7 on downwards
 *
 * so its own limits stand in /sys/fs/cgroup/kevy, those of pod7 in /sys/fs/cgroup, and those of kube cannot be seen from
 * here. In a namespace of groups both files speak of paths below the namespace's root, and of /.. for what is outside. */
#include "server/process/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/assert.h"
#include "protocol/number.h"

enum {
    LIMIT_TEXT_MAX = 64,          /* bytes of a file with a limit: two numbers at most */
    PLACE_MAX = 3 * PATH_MAX + 1, /* of a path below a mount point below `root` */
    /* "No limit" of version 1 is the greatest number of pages that the kernel counts, in bytes: with pages of any size
     * it is no further than this from 2^63. */
    MEMORY_SLACK = 1 << 20,
};

static void share_lower(uint64_t *least, uint64_t limit) {
    if (limit && limit < *least) *least = limit;
}

/* ---- Limits --------------------------------------------------------------------------------------- */

/* The only line of a file, without its end. False: no such file, or more than a limit. */
static bool line_read(const char *directory, const char *name, char text[LIMIT_TEXT_MAX]) {
    char path[PLACE_MAX + 64];
    int len = snprintf(path, sizeof path, "%s/%s", directory, name);
    assert(len > 0 && (size_t)len < sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return false;
    ssize_t got = read(fd, text, LIMIT_TEXT_MAX);
    close(fd);
    if (got < 2 || text[got - 1] != '\n') return false;
    text[got - 1] = '\0';
    return true;
}

static uint64_t millicpus(struct bytes quota, struct bytes period) {
    uint64_t quota_us, period_us, thousandfold;
    if (!number_parse_u64(quota, &quota_us) || !number_parse_u64(period, &period_us) || !period_us)
        return CGROUP_UNLIMITED; /* "max", and -1 in version 1 */
    if (__builtin_mul_overflow(quota_us, 1000, &thousandfold)) return CGROUP_UNLIMITED;
    return thousandfold / period_us + (thousandfold % period_us != 0);
}

static uint64_t memory_bytes(const char *text) {
    uint64_t bytes;
    if (!number_parse_u64(bytes_of(text), &bytes) || bytes > (uint64_t)INT64_MAX - MEMORY_SLACK)
        return CGROUP_UNLIMITED;
    return bytes;
}

/* "150000 100000": so many microseconds of CPU time in so many; "max 100000" for no quota. */
static void unified_limits(const char *directory, struct cgroup_share *share) {
    char text[LIMIT_TEXT_MAX], *period;
    if (line_read(directory, "cpu.max", text) && (period = strchr(text, ' '))) {
        *period++ = '\0';
        share_lower(&share->millicpus, millicpus(bytes_of(text), bytes_of(period)));
    }
    if (line_read(directory, "memory.max", text)) share_lower(&share->memory_bytes, memory_bytes(text));
}

static void cpu_limits(const char *directory, struct cgroup_share *share) {
    char quota[LIMIT_TEXT_MAX], period[LIMIT_TEXT_MAX];
    if (line_read(directory, "cpu.cfs_quota_us", quota) && line_read(directory, "cpu.cfs_period_us", period))
        share_lower(&share->millicpus, millicpus(bytes_of(quota), bytes_of(period)));
}

static void memory_limits(const char *directory, struct cgroup_share *share) {
    char text[LIMIT_TEXT_MAX];
    if (line_read(directory, "memory.limit_in_bytes", text))
        share_lower(&share->memory_bytes, memory_bytes(text));
}

/* ---- The group that the process is in ------------------------------------------------------------- */

enum { UNIFIED, CPU, MEMORY, TREES };

/* A tree of groups, as far as it has limits that concern us. */
static const struct tree {
    const char *file_system, *controller; /* NULL: all of them */
    void (*limits)(const char *directory, struct cgroup_share *share);
} trees[TREES] = {
    [UNIFIED] = {"cgroup2", NULL, unified_limits},
    [CPU] = {"cgroup", "cpu", cpu_limits},
    [MEMORY] = {"cgroup", "memory", memory_limits},
};

struct place {
    char group[PATH_MAX]; /* in this tree; "" for none */
    bool seen;            /* a mount shows it */
};

/* Is the word one of those between commas? */
static bool list_has(const char *list, const char *word) {
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += len)
        if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0')) return true;
    return false;
}

/* "hierarchy:controllers:group" */
static void group_note(struct place places[TREES], char *line) {
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group || group[1] != '/' || strlen(group + 1) >= PATH_MAX) return;
    *controllers++ = *group++ = '\0';
    for (unsigned i = 0; i < TREES; i++) {
        bool in = trees[i].controller ? list_has(controllers, trees[i].controller)
                                      : !*controllers && strcmp(line, "0") == 0;
        if (in) memcpy(places[i].group, group, strlen(group) + 1);
    }
}

/* ---- Where it is mounted -------------------------------------------------------------------------- */

struct mount {
    const char *root, *point, *file_system, *options; /* the options of the file system, not of the mount */
};

/* Blanks, tabs, newlines and backslashes are written as \040 and so on. */
static void unescape(char *text) {
    char *out = text;
    for (const char *at = text; *at; at++) {
        unsigned digits = 0, value = 0;
        while (*at == '\\' && digits < 3 && at[1 + digits] >= '0' && at[1 + digits] <= '7')
            value = value * 8 + (unsigned)(at[1 + digits++] - '0');
        bool whole = digits == 3 && value < 256 && value;
        *out++ = whole ? (char)value : *at;
        if (whole) at += 3;
    }
    *out = '\0';
}

/* "id parent device root point options optional... - file-system source options"; the source may be empty. */
static bool mount_parse(char *line, struct mount *mount) {
    char *words[5] = {0}, *word;
    for (unsigned i = 0; i < 5; i++)
        if (!(words[i] = strsep(&line, " "))) return false;
    while ((word = strsep(&line, " ")) && strcmp(word, "-") != 0) {
    }
    mount->file_system = strsep(&line, " ");
    (void)strsep(&line, " ");
    mount->options = strsep(&line, " ");
    if (!mount->options || words[3][0] != '/' || words[4][0] != '/') return false;
    unescape(words[3]);
    unescape(words[4]);
    mount->root = words[3];
    mount->point = words[4];
    return true;
}

static bool mount_is_of(const struct mount *mount, const struct tree *tree) {
    return strcmp(mount->file_system, tree->file_system) == 0 &&
           (!tree->controller || list_has(mount->options, tree->controller));
}

static bool leads_out(const char *path) {
    return strncmp(path, "/..", 3) == 0 && (path[3] == '/' || path[3] == '\0');
}

/* The group's path below the mount's root: "" for that itself, NULL where the mount does not show it. */
static const char *below(const char *root, const char *group) {
    size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(group, root, len) != 0 || (group[len] != '/' && group[len] != '\0')) return NULL;
    const char *rest = group + len;
    if (leads_out(rest)) return NULL;
    return strcmp(rest, "/") == 0 ? "" : rest;
}

/* The limits of the group and of those around it, up to the mount point. */
static void bound(const char *root, const char *point, const char *path, const struct tree *tree,
                  struct cgroup_share *share) {
    char directory[PLACE_MAX];
    size_t least = strlen(root) + strlen(point);
    int len = snprintf(directory, sizeof directory, "%s%s%s", root, point, path);
    if (len < 0 || (size_t)len >= sizeof directory) return;
    for (char *end = directory + len; end; end = strrchr(directory, '/')) {
        *end = '\0';
        if ((size_t)(end - directory) < least) break;
        tree->limits(directory, share);
    }
}

/* A runtime that makes no namespace of groups may mount the group's own directory, under whatever root, and nothing else of
 * the tree: where no mount shows the group by its path, what is mounted is taken for it. */
static void mount_look(const char *root, const struct mount *mount, struct place places[TREES], bool by_path,
                       struct cgroup_share *share) {
    for (unsigned i = 0; i < TREES; i++) {
        struct place *place = &places[i];
        if (!place->group[0] || !mount_is_of(mount, &trees[i])) continue;
        const char *path = below(mount->root, place->group);
        if (!by_path) path = place->seen || leads_out(place->group) ? NULL : "";
        if (!path) continue;
        if (by_path) place->seen = true;
        bound(root, mount->point, path, &trees[i], share);
    }
}

/* ---- All of it ------------------------------------------------------------------------------------ */

struct reading {
    const char *root;
    struct place *places;
    struct cgroup_share *share;
    bool by_path;
};

/* Calls back with each line of a file of /proc, without its end. */
static void lines_read(const struct reading *reading, const char *name,
                       void (*take)(const struct reading *reading, char *line)) {
    char path[PATH_MAX];
    int path_len = snprintf(path, sizeof path, "%s/proc/self/%s", reading->root, name);
    if (path_len < 0 || (size_t)path_len >= sizeof path) return;
    FILE *file = fopen(path, "re");
    if (!file) return;
    char *line = NULL;
    size_t size = 0;
    for (ssize_t len; (len = getline(&line, &size, file)) > 0;) {
        if (line[len - 1] == '\n') line[len - 1] = '\0';
        take(reading, line);
    }
    free(line);
    fclose(file);
}

static void take_group(const struct reading *reading, char *line) {
    group_note(reading->places, line);
}

static void take_mount(const struct reading *reading, char *line) {
    struct mount mount;
    if (mount_parse(line, &mount))
        mount_look(reading->root, &mount, reading->places, reading->by_path, reading->share);
}

struct cgroup_share cgroup_share(const char *root) {
    struct cgroup_share share = {.millicpus = CGROUP_UNLIMITED, .memory_bytes = CGROUP_UNLIMITED};
    struct place places[TREES] = {0};
    struct reading reading = {.root = root, .places = places, .share = &share};
    lines_read(&reading, "cgroup", take_group);
    reading.by_path = true;
    lines_read(&reading, "mountinfo", take_mount);
    reading.by_path = false;
    lines_read(&reading, "mountinfo", take_mount);
    assert(share.millicpus && share.memory_bytes);
    return share;
}
