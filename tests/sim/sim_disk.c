/* sim_disk.c - the disk that forgets. */
#include "tests/sim/sim_disk.h"

#include <errno.h>

enum sector { SECTOR_CLEAN, SECTOR_DIRTY, SECTOR_ABANDONED };

static struct sim_disk *sim_of(struct disk *disk) {
    return (struct sim_disk *)(void *)disk;
}

static unsigned pick(struct sim_disk *disk, unsigned count) {
    return (unsigned)(check_random(&disk->random) >> 33) % count;
}

static bool one_in(struct sim_disk *disk, unsigned count) {
    return count && pick(disk, count) == 0;
}

/* Others run now, and the power may go. */
static void begin_call(struct sim_disk *disk, const char *call, const char *path) {
    disk->calls++;
    if (disk->traced) printf("%s %s\n", call, path);
    if (disk->yield) disk->yield(disk->context);
}

static bool lies(const struct sim_disk *disk, enum sim_lie lie, const char *path) {
    return disk->lie == lie && (!disk->lie_about || strstr(path, disk->lie_about));
}

/* ---- Names ---------------------------------------------------------------------------------------- */

static struct sim_name *find_name(struct sim_name *names, const char *path) {
    for (int i = 0; i < SIM_NAMES; i++)
        if (strcmp(names[i].path, path) == 0) return &names[i];
    return NULL;
}

static void set_name(struct sim_name *name, const char *path, int file) {
    CHECK(strlen(path) < SIM_PATH);
    snprintf(name->path, sizeof name->path, "%s", path);
    name->file = file;
}

static void apply_change(struct sim_name *names, const struct sim_change *change) {
    if (change->gone.path[0]) {
        struct sim_name *gone = find_name(names, change->gone.path);
        if (gone && gone->file == change->gone.file) gone->path[0] = '\0';
    }
    if (change->come.path[0]) {
        struct sim_name *come = find_name(names, change->come.path);
        if (!come) come = find_name(names, "");
        CHECK(come);
        *come = change->come;
    }
}

static bool same_name(const struct sim_name *one, const struct sim_name *other) {
    return one->path[0] && one->file == other->file && strcmp(one->path, other->path) == 0;
}

static void change_names(struct sim_disk *disk, struct sim_name gone, struct sim_name come) {
    CHECK(disk->change_count < SIM_CHANGES);
    struct sim_change *change = &disk->changes[disk->change_count++];
    *change = (struct sim_change){gone, come};
    apply_change(disk->names, change);
}

/* "." or what stands before the last slash. */
static bool is_in(const char *path, const char *directory) {
    const char *slash = strrchr(path, '/');
    size_t len = strlen(directory);
    if (!slash) return strcmp(directory, ".") == 0;
    return (size_t)(slash - path) == len && memcmp(path, directory, len) == 0;
}

static bool directory_is_there(struct sim_name *names, const char *path) {
    char directory[SIM_PATH];
    const char *slash = strrchr(path, '/');
    if (!slash) return true;
    snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    const struct sim_name *found = find_name(names, directory);
    return found && found->file == SIM_DIRECTORY;
}

/* ---- Contents ------------------------------------------------------------------------------------- */

static void make_room(struct sim_file *file, size_t len) {
    size_t capacity = file->capacity ? file->capacity : 8 * SIM_SECTOR;
    CHECK(len <= SIM_FILE_MAX);
    while (capacity < len) capacity *= 2;
    if (capacity == file->capacity) return;
    file->data = realloc(file->data, capacity);
    file->durable = realloc(file->durable, capacity);
    file->sectors = realloc(file->sectors, capacity / SIM_SECTOR);
    CHECK(file->data && file->durable && file->sectors);
    memset(file->data + file->capacity, 0, capacity - file->capacity);
    memset(file->durable + file->capacity, 0, capacity - file->capacity);
    memset(file->sectors + file->capacity / SIM_SECTOR, SECTOR_CLEAN,
           (capacity - file->capacity) / SIM_SECTOR);
    file->capacity = capacity;
}

static size_t sectors_of(size_t len) {
    return (len + SIM_SECTOR - 1) / SIM_SECTOR;
}

static void note_len(struct sim_file *file) {
    if (file->len < file->shortest) file->shortest = file->len;
    if (file->len > file->longest) file->longest = file->len;
}

/* These bytes were changed. */
static void soil(struct sim_file *file, size_t from, size_t to) {
    if (from < to)
        memset(file->sectors + from / SIM_SECTOR, SECTOR_DIRTY, sectors_of(to) - from / SIM_SECTOR);
    note_len(file);
}

static void put_bytes(struct sim_file *file, size_t at, const void *data, size_t len) {
    make_room(file, at + len);
    memcpy(file->data + at, data, len);
    if (at + len > file->len) file->len = at + len;
    soil(file, at, at + len);
}

/* What is behind the new end reads as zeros, should it ever be there again. */
static void cut_file(struct sim_file *file, size_t len) {
    size_t was = file->len;
    if (len >= was) return;
    memset(file->data + len, 0, was - len);
    file->len = len;
    soil(file, len, was);
}

/* All that is dirty is durable now; what a failed sync has given up is not. */
static void settle(struct sim_file *file) {
    for (size_t i = 0; i < sectors_of(file->longest); i++) {
        if (file->sectors[i] != SECTOR_DIRTY) continue;
        memcpy(file->durable + i * SIM_SECTOR, file->data + i * SIM_SECTOR, SIM_SECTOR);
        file->sectors[i] = SECTOR_CLEAN;
    }
    file->durable_len = file->shortest = file->longest = file->len;
    file->sync_owed = false;
}

/* The kernel tells of it once, and then takes the pages for clean. */
static void give_up(struct sim_disk *disk, struct sim_file *file) {
    for (size_t i = 0; i < sectors_of(file->longest); i++)
        if (file->sectors[i] == SECTOR_DIRTY && pick(disk, 2)) file->sectors[i] = SECTOR_ABANDONED;
}

/* ---- Calls ---------------------------------------------------------------------------------------- */

static struct sim_file *file_of(struct sim_disk *disk, int number) {
    CHECK(number >= 0 && number < SIM_OPEN && disk->open[number].file >= 0);
    return &disk->files[disk->open[number].file];
}

static int new_file(struct sim_disk *disk) {
    CHECK(disk->file_count < SIM_FILES);
    return (int)disk->file_count++;
}

static int sim_open(struct disk *base, const char *path, enum disk_mode mode) {
    struct sim_disk *disk = sim_of(base);
    int number = 0;
    begin_call(disk, mode == DISK_READ ? "open" : "create", path);
    struct sim_name *found = find_name(disk->names, path);
    if (one_in(disk, disk->faults.open_in)) return -EIO;
    if (!found && mode != DISK_CREATE) return -ENOENT;
    if (!directory_is_there(disk->names, path)) return -ENOENT;
    if (found && found->file == SIM_DIRECTORY) return -EISDIR;
    int file = found ? found->file : new_file(disk);
    if (!found) {
        struct sim_name made;
        set_name(&made, path, file);
        change_names(disk, (struct sim_name){"", SIM_NO_FILE}, made);
    } else if (mode == DISK_CREATE) {
        cut_file(&disk->files[file], 0);
    }
    while (disk->open[number].file >= 0) CHECK(++number < SIM_OPEN);
    disk->open[number].file = file;
    disk->open[number].reads = mode == DISK_READ;
    disk->open[number].at = 0;
    snprintf(disk->open[number].path, SIM_PATH, "%s", path);
    return number;
}

static int sim_close(struct disk *base, int number) {
    struct sim_disk *disk = sim_of(base);
    (void)file_of(disk, number);
    disk->open[number].file = SIM_NO_FILE;
    return 0;
}

static size_t piece_of(struct sim_disk *disk, size_t len) {
    if (!disk->faults.piece) return len;
    size_t most = 1 + pick(disk, (unsigned)disk->faults.piece);
    return len < most ? len : most;
}

static ssize_t sim_read(struct disk *base, int number, void *data, size_t len) {
    struct sim_disk *disk = sim_of(base);
    struct sim_file *file = file_of(disk, number);
    size_t at = disk->open[number].at;
    CHECK(len > 0 && disk->open[number].reads);
    if (at >= file->len) return 0;
    len = piece_of(disk, len);
    if (len > file->len - at) len = file->len - at;
    memcpy(data, file->data + at, len);
    disk->open[number].at += len;
    return (ssize_t)len;
}

/* Of these bytes at `at`, those for which there is room: which a file has already need none. */
static size_t take_room(struct sim_disk *disk, const struct sim_file *file, size_t at, size_t len) {
    size_t inside = file->len > at ? file->len - at : 0;
    if (disk->faults.room == SIZE_MAX || len <= inside) return len;
    if (len - inside > disk->faults.room) len = inside + disk->faults.room;
    disk->faults.room -= len - inside;
    return len;
}

/* What fails may have been done in part. */
static ssize_t sim_write(struct disk *base, int number, const void *data, size_t len) {
    struct sim_disk *disk = sim_of(base);
    begin_call(disk, "write", disk->open[number].path);
    struct sim_file *file = file_of(disk, number);
    CHECK(len > 0 && !disk->open[number].reads);
    if (one_in(disk, disk->faults.write_in)) return -EIO;
    if (disk->faults.room == 0) return -ENOSPC;
    size_t at = disk->open[number].at;
    len = take_room(disk, file, at, piece_of(disk, len));
    put_bytes(file, at, data, len);
    disk->open[number].at += len;
    return (ssize_t)len;
}

static int sim_pad(struct disk *base, int number, uint64_t from, uint64_t to, char with) {
    struct sim_disk *disk = sim_of(base);
    begin_call(disk, "pad", disk->open[number].path);
    struct sim_file *file = file_of(disk, number);
    CHECK(from <= to && from <= file->len && !disk->open[number].reads);
    bool fails = one_in(disk, disk->faults.write_in);
    uint64_t end = fails && to > from ? from + pick(disk, (unsigned)(to - from)) : to;
    while (from < end) {
        char bytes[SIM_SECTOR];
        if (disk->faults.room == 0) return -ENOSPC;
        size_t len = end - from < SIM_SECTOR ? (size_t)(end - from) : SIM_SECTOR;
        len = take_room(disk, file, from, len);
        for (size_t i = 0; i < len; i++) bytes[i] = disk_pad_byte(from + i, to, with);
        put_bytes(file, from, bytes, len);
        from += len;
    }
    return fails ? -EIO : 0;
}

static int sim_sync(struct disk *base, int number) {
    struct sim_disk *disk = sim_of(base);
    begin_call(disk, "sync", disk->open[number].path);
    struct sim_file *file = file_of(disk, number);
    if (one_in(disk, disk->faults.sync_in)) {
        give_up(disk, file);
        return -EIO;
    }
    if (lies(disk, LIE_SYNC, disk->open[number].path)) return 0;
    if (lies(disk, LIE_SYNC_LATE, disk->open[number].path))
        file->sync_owed = true;
    else
        settle(file);
    if (disk->yield) disk->yield(disk->context);
    return 0;
}

static int64_t sim_size(struct disk *base, int number) {
    return (int64_t)file_of(sim_of(base), number)->len;
}

static int sim_rename(struct disk *base, const char *from, const char *to) {
    struct sim_disk *disk = sim_of(base);
    begin_call(disk, "rename", to);
    struct sim_name *found = find_name(disk->names, from), come;
    if (one_in(disk, disk->faults.open_in)) return -EIO;
    if (!found) return -ENOENT;
    set_name(&come, to, found->file);
    change_names(disk, *found, come);
    return 0;
}

static int sim_unlink(struct disk *base, const char *path) {
    struct sim_disk *disk = sim_of(base);
    begin_call(disk, "unlink", path);
    const struct sim_name *found = find_name(disk->names, path);
    if (!found) return -ENOENT;
    change_names(disk, *found, (struct sim_name){"", SIM_NO_FILE});
    return 0;
}

/* A part of it may be on the disk already: what is cut off may be there again when the power comes back. */
static int sim_truncate(struct disk *base, int number, uint64_t len) {
    struct sim_disk *disk = sim_of(base);
    begin_call(disk, "truncate", disk->open[number].path);
    struct sim_file *file = file_of(disk, number);
    CHECK(len <= file->len && !disk->open[number].reads);
    if (one_in(disk, disk->faults.truncate_in)) return -EIO;
    if (disk->faults.room != SIZE_MAX) disk->faults.room += file->len - len;
    if (!lies(disk, LIE_TRUNCATE, disk->open[number].path)) {
        cut_file(file, len);
        disk->open[number].at = len;
    }
    return 0;
}

static int sim_make_directory(struct disk *base, const char *path) {
    struct sim_disk *disk = sim_of(base);
    struct sim_name made;
    begin_call(disk, "make directory", path);
    if (find_name(disk->names, path)) return -EEXIST;
    if (one_in(disk, disk->faults.open_in)) return -EIO;
    set_name(&made, path, SIM_DIRECTORY);
    change_names(disk, (struct sim_name){"", SIM_NO_FILE}, made);
    return 0;
}

static int sim_list(struct disk *base, const char *path, void (*each)(void *context, const char *name),
                    void *context) {
    struct sim_disk *disk = sim_of(base);
    const struct sim_name *found = find_name(disk->names, path);
    if (strcmp(path, ".") != 0 && (!found || found->file != SIM_DIRECTORY)) return -ENOENT;
    for (int i = 0; i < SIM_NAMES; i++) {
        const char *name = disk->names[i].path, *slash = strrchr(name, '/');
        if (name[0] && is_in(name, path)) each(context, slash ? slash + 1 : name);
    }
    return 0;
}

static int sim_sync_directory(struct disk *base, const char *path) {
    struct sim_disk *disk = sim_of(base);
    unsigned kept = 0;
    begin_call(disk, "sync directory", path);
    if (one_in(disk, disk->faults.directory_in)) return -EIO;
    for (unsigned i = 0; i < disk->file_count; i++)
        if (disk->files[i].sync_owed) settle(&disk->files[i]);
    if (lies(disk, LIE_SYNC_DIRECTORY, path)) return 0;
    for (unsigned i = 0; i < disk->change_count; i++) {
        struct sim_change change = disk->changes[i];
        if (!is_in(change.come.path[0] ? change.come.path : change.gone.path, path)) {
            disk->changes[kept++] = change;
            continue;
        }
        apply_change(disk->durable_names, &change);
        /* A file that has moved to this directory was made in another one before. */
        unsigned left = 0;
        for (unsigned j = 0; j < kept; j++)
            if (!same_name(&disk->changes[j].come, &change.gone)) disk->changes[left++] = disk->changes[j];
        kept = left;
    }
    disk->change_count = kept;
    if (disk->yield) disk->yield(disk->context);
    return 0;
}

/* ---- The disk ------------------------------------------------------------------------------------- */

static const struct disk calls = {.open = sim_open,
                                  .close = sim_close,
                                  .read = sim_read,
                                  .write = sim_write,
                                  .pad = sim_pad,
                                  .sync = sim_sync,
                                  .size = sim_size,
                                  .truncate = sim_truncate,
                                  .make_directory = sim_make_directory,
                                  .list = sim_list,
                                  .rename = sim_rename,
                                  .unlink = sim_unlink,
                                  .sync_directory = sim_sync_directory};

static void empty_file(struct sim_file *file) {
    size_t used = sectors_of(file->longest > file->durable_len ? file->longest : file->durable_len);
    if (file->capacity) {
        memset(file->data, 0, used * SIM_SECTOR);
        memset(file->durable, 0, used * SIM_SECTOR);
        memset(file->sectors, SECTOR_CLEAN, used);
    }
    file->len = file->durable_len = file->shortest = file->longest = 0;
    file->sync_owed = false;
}

void sim_disk_new(struct sim_disk *disk, unsigned long long seed) {
    disk->disk = calls;
    disk->random = seed;
    disk->faults = (struct sim_faults){.room = SIZE_MAX};
    disk->lie = LIE_NOTHING;
    disk->lie_about = NULL;
    disk->yield = NULL;
    disk->calls = disk->change_count = 0;
    disk->traced = false;
    for (unsigned i = 0; i < disk->file_count; i++) empty_file(&disk->files[i]);
    disk->file_count = 0;
    memset(disk->names, 0, sizeof disk->names);
    memset(disk->durable_names, 0, sizeof disk->durable_names);
    for (int i = 0; i < SIM_OPEN; i++) disk->open[i].file = SIM_NO_FILE;
}

void sim_disk_free(struct sim_disk *disk) {
    for (unsigned i = 0; i < SIM_FILES; i++) {
        free(disk->files[i].data);
        free(disk->files[i].durable);
        free(disk->files[i].sectors);
    }
    *disk = (struct sim_disk){0};
}

struct bytes sim_disk_contents(const struct sim_disk *disk, const char *path) {
    for (int i = 0; i < SIM_NAMES; i++) {
        const struct sim_name *name = &disk->names[i];
        if (strcmp(name->path, path) != 0 || name->file < 0) continue;
        const struct sim_file *file = &disk->files[name->file];
        return (struct bytes){file->data ? file->data : "", file->len};
    }
    return (struct bytes){NULL, 0};
}

void sim_disk_put(struct sim_disk *disk, const char *path, struct bytes bytes) {
    struct sim_name *found = find_name(disk->names, path);
    if (!found) {
        found = find_name(disk->names, "");
        set_name(found, path, new_file(disk));
    }
    struct sim_file *file = &disk->files[found->file];
    cut_file(file, 0);
    if (bytes.len) put_bytes(file, 0, bytes.data, bytes.len);
    settle(file);
    memcpy(disk->durable_names, disk->names, sizeof disk->names);
}

void sim_disk_make_directory(struct sim_disk *disk, const char *path) {
    CHECK(!find_name(disk->names, path));
    set_name(find_name(disk->names, ""), path, SIM_DIRECTORY);
    memcpy(disk->durable_names, disk->names, sizeof disk->names);
}

void sim_disk_show(const struct sim_disk *disk, FILE *out) {
    for (int i = 0; i < SIM_NAMES; i++) {
        const struct sim_name *name = &disk->names[i];
        if (!name->path[0]) continue;
        fprintf(out, "---- %s", name->path);
        if (name->file == SIM_DIRECTORY) {
            fprintf(out, "/\n");
            continue;
        }
        const struct sim_file *file = &disk->files[name->file];
        fprintf(out, ": %zu bytes\n", file->len);
        for (size_t at = 0; at < file->len; at++) {
            unsigned char c = (unsigned char)file->data[at];
            if (c == '\n' || (c >= ' ' && c < 127))
                fputc(c, out);
            else if (c != '\r')
                fprintf(out, "\\x%02x", c);
        }
        fputc('\n', out);
    }
}

/* ---- Cutting the power ---------------------------------------------------------------------------- */

/* In their order up to one of them, or each by itself: file systems differ. */
static void cut_names(const struct sim_disk *disk, struct sim_disk *after) {
    bool in_order = pick(after, 2);
    unsigned done = pick(after, disk->change_count + 1);
    memcpy(after->names, disk->durable_names, sizeof after->names);
    for (unsigned i = 0; i < disk->change_count; i++)
        if (in_order ? i < done : pick(after, 2) == 0) apply_change(after->names, &disk->changes[i]);
    for (int i = 0; i < SIM_NAMES; i++)
        if (!directory_is_there(after->names, after->names[i].path)) after->names[i].path[0] = '\0';
    memcpy(after->durable_names, after->names, sizeof after->names);
}

static size_t cut_len(const struct sim_file *file, struct sim_disk *after) {
    switch (pick(after, 4)) {
    case 0: return file->durable_len;
    case 1: return file->len;
    default: break;
    }
    size_t least = file->shortest < file->durable_len ? file->shortest : file->durable_len;
    size_t most = file->longest > file->durable_len ? file->longest : file->durable_len;
    return least + pick(after, (unsigned)(most - least) + 1);
}

/* One range: as it was, as it is, or the beginning of one and the rest of the other. */
static void cut_sector(const struct sim_file *file, size_t at, struct sim_disk *after, char *into) {
    unsigned fate = pick(after, 8);
    if (file->sectors[at / SIM_SECTOR] == SECTOR_ABANDONED && fate > 0) fate = 3;
    memcpy(into, file->durable + at, SIM_SECTOR);
    if (fate < 3)
        memcpy(into, file->data + at, SIM_SECTOR);
    else if (fate == 7)
        memcpy(into, file->data + at, pick(after, SIM_SECTOR));
    else if (fate == 6) {
        size_t from = pick(after, SIM_SECTOR);
        memcpy(into + from, file->data + at + from, SIM_SECTOR - from);
    }
}

/* Where all of a file is unsynced, most often one fate is shared by all of it: else long batches never survive whole. */
static void cut_contents(const struct sim_file *file, struct sim_disk *after, struct sim_file *into) {
    bool alike = pick(after, 2), keeps = pick(after, 2);
    if (file->longest == 0 && file->durable_len == 0) return;
    size_t len = cut_len(file, after);
    make_room(into, len);
    for (size_t at = 0; at < len; at += SIM_SECTOR) {
        bool clean = file->sectors[at / SIM_SECTOR] == SECTOR_CLEAN;
        bool given_up = file->sectors[at / SIM_SECTOR] == SECTOR_ABANDONED;
        if (!clean && (!alike || given_up))
            cut_sector(file, at, after, into->data + at);
        else
            memcpy(into->data + at, (!clean && keeps ? file->data : file->durable) + at, SIM_SECTOR);
    }
    memset(into->data + len, 0, sectors_of(len) * SIM_SECTOR - len);
    into->len = into->longest = len;
    memset(into->sectors, SECTOR_DIRTY, sectors_of(len));
    settle(into);
}

void sim_disk_cut(const struct sim_disk *disk, struct sim_disk *after) {
    CHECK(after->file_count == 0);
    cut_names(disk, after);
    after->file_count = disk->file_count;
    for (unsigned i = 0; i < disk->file_count; i++) cut_contents(&disk->files[i], after, &after->files[i]);
}

static void copy_file(const struct sim_file *file, struct sim_file *into) {
    size_t most = file->longest > file->durable_len ? file->longest : file->durable_len;
    if (most == 0) return;
    make_room(into, most);
    memcpy(into->data, file->data, sectors_of(most) * SIM_SECTOR);
    memcpy(into->durable, file->durable, sectors_of(most) * SIM_SECTOR);
    memcpy(into->sectors, file->sectors, sectors_of(most));
    into->len = file->len;
    into->durable_len = file->durable_len;
    into->shortest = file->shortest;
    into->longest = file->longest;
}

void sim_disk_copy(const struct sim_disk *disk, struct sim_disk *after) {
    CHECK(after->file_count == 0);
    memcpy(after->names, disk->names, sizeof after->names);
    memcpy(after->durable_names, disk->durable_names, sizeof after->durable_names);
    memcpy(after->changes, disk->changes, sizeof after->changes);
    after->change_count = disk->change_count;
    after->file_count = disk->file_count;
    for (unsigned i = 0; i < disk->file_count; i++) copy_file(&disk->files[i], &after->files[i]);
}
