/* manifest.c - a few lines of text, read with suspicion; written so that a whole one is there at any moment. */
#include "server/journal/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/assert.h"
#include "protocol/number.h"
#include "protocol/request.h"
#include "protocol/text.h"

static void free_files(struct manifest *manifest) {
    for (size_t i = 0; i < manifest->count; i++) free(manifest->files[i].name);
    free(manifest->files);
}

void manifest_free(struct manifest *manifest) {
    free_files(manifest);
    *manifest = (struct manifest){0};
}

/* ---- Names ---------------------------------------------------------------------------------------- */

static bool whole(int len, size_t size) {
    assert(len > 0);
    return (size_t)len < size;
}

bool manifest_path(char path[MANIFEST_PATH_SIZE], const struct manifest_place *place, const char *name) {
    return whole(snprintf(path, MANIFEST_PATH_SIZE, "%s/%s", place->directory, name), MANIFEST_PATH_SIZE);
}

bool manifest_next_base(char name[MANIFEST_NAME_MAX + 1], const struct manifest *manifest,
                        const struct manifest_place *place, bool rdb) {
    int len = snprintf(name, MANIFEST_NAME_MAX + 1, "%s.%" PRIu64 ".base.%s", place->name,
                       manifest->base_seq + 1, rdb ? "rdb" : "aof");
    return whole(len, MANIFEST_NAME_MAX + 1);
}

/* ---- Printing ------------------------------------------------------------------------------------- */

/* Bytes that would end a word, or mean something else within it. */
static bool must_be_quoted(const char *name) {
    for (; *name; name++)
        if (*name <= ' ' || *name > '~' || *name == '"' || *name == '\\' || *name == '\'') return true;
    return false;
}

static void print_file(struct text *line, const struct manifest_file *file) {
    bool quoted = must_be_quoted(file->name);
    text_string(line, quoted ? "file \"" : "file ");
    if (quoted)
        text_escaped(line, bytes_of(file->name), SIZE_MAX);
    else
        text_string(line, file->name);
    text_format(line, "%s seq %" PRIu64 " type %c\n", quoted ? "\"" : "", file->seq, (char)file->type);
}

static int print_type(const struct manifest *manifest, enum manifest_type type, struct buffer *text) {
    char memory[MANIFEST_LINE_MAX + 1];
    for (size_t i = 0; i < manifest->count; i++) {
        if (manifest->files[i].type != type) continue;
        struct text line = text_fixed(memory, sizeof memory);
        print_file(&line, &manifest->files[i]);
        assert(!line.cut); /* manifest_add has looked */
        if (!buffer_append(text, text_bytes(&line), SIZE_MAX)) return -ENOMEM;
    }
    return 0;
}

/* In Redis's order. */
int manifest_print(const struct manifest *manifest, struct buffer *text) {
    int error = print_type(manifest, MANIFEST_BASE, text);
    if (!error) error = print_type(manifest, MANIFEST_HISTORY, text);
    if (!error) error = print_type(manifest, MANIFEST_INCR, text);
    return error;
}

/* ---- Files in memory ------------------------------------------------------------------------------ */

static void raise_to(uint64_t *highest, uint64_t seq) {
    if (seq > *highest) *highest = seq;
}

static bool reserve_file(struct manifest *manifest) {
    if (manifest->count < manifest->capacity) return true;
    size_t capacity = manifest->capacity * 2 + 4;
    struct manifest_file *files = realloc(manifest->files, capacity * sizeof *files);
    if (!files) return false;
    assert(capacity > manifest->count);
    manifest->files = files;
    manifest->capacity = capacity;
    return true;
}

int manifest_add(struct manifest *manifest, enum manifest_type type, uint64_t seq, const char *name) {
    char memory[MANIFEST_LINE_MAX + 1];
    struct text line = text_fixed(memory, sizeof memory);
    struct manifest_file file = {type, seq, (char *)name};
    assert(seq > 0 && seq <= INT64_MAX && name[0] != '\0');
    assert(type == MANIFEST_BASE || type == MANIFEST_INCR || type == MANIFEST_HISTORY);
    print_file(&line, &file);
    if (line.cut || strlen(name) > MANIFEST_NAME_MAX) return -ENAMETOOLONG;
    if (!reserve_file(manifest)) return -ENOMEM;
    file.name = strdup(name);
    if (!file.name) return -ENOMEM;
    manifest->files[manifest->count++] = file;
    if (type != MANIFEST_HISTORY)
        raise_to(type == MANIFEST_BASE ? &manifest->base_seq : &manifest->incr_seq, seq);
    return 0;
}

int manifest_add_incr(struct manifest *manifest, const struct manifest_place *place) {
    char name[MANIFEST_NAME_MAX + 1];
    int len = snprintf(name, sizeof name, "%s.%" PRIu64 ".incr.aof", place->name, manifest->incr_seq + 1);
    if (manifest->incr_seq >= INT64_MAX) return -EOVERFLOW;
    if (!whole(len, sizeof name)) return -ENAMETOOLONG;
    return manifest_add(manifest, MANIFEST_INCR, manifest->incr_seq + 1, name);
}

int manifest_add_base(struct manifest *manifest, const char *name, uint64_t first_incr) {
    if (manifest->base_seq >= INT64_MAX) return -EOVERFLOW;
    int error = manifest_add(manifest, MANIFEST_BASE, manifest->base_seq + 1, name);
    if (error) return error;
    assert(first_incr <= manifest->incr_seq + 1);
    for (size_t i = 0; i + 1 < manifest->count; i++) {
        struct manifest_file *file = &manifest->files[i];
        if (file->type == MANIFEST_BASE || (file->type == MANIFEST_INCR && file->seq < first_incr))
            file->type = MANIFEST_HISTORY;
    }
    return 0;
}

static const struct manifest_file *last_of(const struct manifest *manifest, enum manifest_type type) {
    for (size_t i = manifest->count; i > 0; i--)
        if (manifest->files[i - 1].type == type) return &manifest->files[i - 1];
    return NULL;
}

const struct manifest_file *manifest_base(const struct manifest *manifest) {
    return last_of(manifest, MANIFEST_BASE);
}

const struct manifest_file *manifest_last(const struct manifest *manifest) {
    return last_of(manifest, MANIFEST_INCR);
}

bool manifest_has(const struct manifest *manifest, const char *name) {
    for (size_t i = 0; i < manifest->count; i++)
        if (strcmp(manifest->files[i].name, name) == 0) return true;
    return false;
}

/* ---- Parsing -------------------------------------------------------------------------------------- */

static const char invalid[] = "Invalid AOF manifest file format";

/* What is wrong with a file's name, or NULL. */
static const char *check_name(struct bytes name) {
    if (name.len == 0 || memchr(name.data, '\0', name.len)) return invalid;
    if (memchr(name.data, '/', name.len) || memchr(name.data, '\\', name.len) ||
        bytes_equal(name, BYTES(".")) || bytes_equal(name, BYTES("..")))
        return "File can't be a path, just a filename";
    return name.len > MANIFEST_NAME_MAX ? "The file's name is too long" : NULL;
}

/* The words of a line in pairs, of which three are known; the others are for later versions. False where one is missing,
 * or there more than once. */
static bool find_pairs(const struct request_args *words, struct bytes found[3]) {
    static const struct bytes keys[3] = {BYTES_INIT("file"), BYTES_INIT("seq"), BYTES_INIT("type")};
    if (words->argc < 6 || words->argc % 2) return false;
    for (uint32_t i = 0; i < words->argc; i += 2)
        for (unsigned key = 0; key < 3; key++) {
            if (!bytes_equal_nocase(words->argv[i], keys[key])) continue;
            if (found[key].data) return false;
            found[key] = words->argv[i + 1];
        }
    return found[0].data && found[1].data && found[2].data;
}

/* A base must be the only one, incremental files come in order. */
static const char *check_order(const struct manifest *manifest, char type, uint64_t seq) {
    if (type == MANIFEST_BASE && manifest_base(manifest)) return "Found duplicate base file information";
    if (type == MANIFEST_INCR && seq <= manifest->incr_seq) return "Found a non-monotonic sequence number";
    bool known = type == MANIFEST_BASE || type == MANIFEST_INCR || type == MANIFEST_HISTORY;
    return known ? NULL : "Unknown AOF file type";
}

/* A base that history names may still be on the disk: its number is not given out anew. Those of incremental files are
 * looked at when all is read, for they are in order among themselves. */
static void note_history(struct manifest *manifest, const char *name, uint64_t seq) {
    if (strstr(name, ".base.")) raise_to(&manifest->base_seq, seq);
}

static const char *take_pairs(struct manifest *manifest, const struct bytes found[3]) {
    char name[MANIFEST_NAME_MAX + 1];
    uint64_t seq;
    const char *why = check_name(found[0]);
    if (why) return why;
    if (!number_parse_u64(found[1], &seq) || seq == 0 || seq > INT64_MAX || found[2].len != 1) return invalid;
    char type = found[2].data[0];
    why = check_order(manifest, type, seq);
    if (why) return why;
    assert(found[0].len < sizeof name);
    memcpy(name, found[0].data, found[0].len);
    name[found[0].len] = '\0';
    if (manifest_add(manifest, (enum manifest_type)type, seq, name) != 0) return "out of memory";
    if (type == MANIFEST_HISTORY) note_history(manifest, name, seq);
    return NULL;
}

static const char *take_line(struct manifest *manifest, struct bytes line, struct request_args *words) {
    char scratch[MANIFEST_LINE_MAX];
    struct bytes found[3] = {{NULL, 0}};
    if (line.len > 0 && line.data[0] == '#') return NULL;
    if (line.len >= MANIFEST_LINE_MAX) return "The AOF manifest file contains too long line";
    if (!request_split_line(line, scratch, words) || !find_pairs(words, found)) return invalid;
    return take_pairs(manifest, found);
}

static int fail(struct manifest *manifest, char *why, unsigned line, const char *what) {
    if (line)
        snprintf(why, MANIFEST_WHY_SIZE, "line %u: %s", line, what);
    else
        snprintf(why, MANIFEST_WHY_SIZE, "%s", what);
    manifest_free(manifest);
    return -EINVAL;
}

static void note_deleted_incrs(struct manifest *manifest) {
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        if (file->type == MANIFEST_HISTORY && strstr(file->name, ".incr."))
            raise_to(&manifest->incr_seq, file->seq);
    }
}

int manifest_parse(struct manifest *manifest, struct bytes text, char *why) {
    struct request_args words = {0};
    const char *what = NULL;
    unsigned line = 0;
    assert(manifest->count == 0);
    if (text.len == 0) return fail(manifest, why, 0, "Found an empty AOF manifest");
    if (text.len > MANIFEST_BYTES_MAX) return fail(manifest, why, 0, "the manifest is too large");
    while (text.len && !what) {
        const char *end = memchr(text.data, '\n', text.len);
        size_t len = end ? (size_t)(end - text.data) : text.len;
        line++;
        what = end ? take_line(manifest, (struct bytes){text.data, len}, &words) : "the line has no end";
        len += end != NULL;
        text = (struct bytes){text.data + len, text.len - len};
    }
    request_args_free(&words);
    note_deleted_incrs(manifest);
    return what ? fail(manifest, why, line, what) : 0;
}

/* ---- On the disk ---------------------------------------------------------------------------------- */

static int read_all(struct disk *disk, int file, struct buffer *text) {
    for (;;) {
        if (!buffer_reserve(text, 4096, MANIFEST_BYTES_MAX + 4096))
            return text->len > MANIFEST_BYTES_MAX ? -EFBIG : -ENOMEM;
        ssize_t got = disk->read(disk, file, text->data + text->len, text->capacity - text->len);
        if (got <= 0) return (int)got;
        text->len += (size_t)got;
        assert(text->len <= text->capacity);
    }
}

static int read_text(struct disk *disk, const char *path, struct buffer *text) {
    int file = disk->open(disk, path, DISK_READ);
    if (file < 0) return file;
    int error = read_all(disk, file, text);
    disk->close(disk, file);
    return error;
}

/* What manifest_read says of an error: the path, and what is in `what`. */
static int fail_at(char *why, const char *path, const char *what, int error) {
    struct text out = text_fixed(why, MANIFEST_WHY_SIZE);
    text_format(&out, "%s: %s", path, what);
    return error;
}

/* "NAME.manifest" or "temp-NAME.manifest", as a path. */
static bool path_of(char path[MANIFEST_PATH_SIZE], const struct manifest_place *place, const char *prefix) {
    return whole(
        snprintf(path, MANIFEST_PATH_SIZE, "%s/%s%s.manifest", place->directory, prefix, place->name),
        MANIFEST_PATH_SIZE);
}

int manifest_read(struct manifest *manifest, struct disk *disk, const struct manifest_place *place,
                  char *why) {
    char path[MANIFEST_PATH_SIZE], what[MANIFEST_WHY_SIZE];
    struct buffer text = {0};
    if (!path_of(path, place, ""))
        return fail_at(why, place->directory, strerror(ENAMETOOLONG), -ENAMETOOLONG);
    int error = read_text(disk, path, &text);
    if (error)
        fail_at(why, path, strerror(-error), error);
    else if ((error = manifest_parse(manifest, buffer_bytes(&text), what)))
        fail_at(why, path, what, error);
    buffer_free(&text);
    return error;
}

struct strays {
    struct manifest *manifest;
    const char *prefix;
};

/* "NAME.12.incr.aof" */
static void note_stray(void *context, const char *name) {
    struct strays *strays = context;
    size_t len = strlen(strays->prefix);
    if (strncmp(name, strays->prefix, len) != 0 || name[len] != '.') return;
    const char *digits = name + len + 1, *dot = strchr(digits, '.');
    uint64_t seq;
    if (!dot || !number_parse_u64((struct bytes){digits, (size_t)(dot - digits)}, &seq) || seq >= INT64_MAX)
        return;
    if (strncmp(dot, ".base.", 6) == 0) raise_to(&strays->manifest->base_seq, seq);
    if (strncmp(dot, ".incr.", 6) == 0) raise_to(&strays->manifest->incr_seq, seq);
}

int manifest_pass_strays(struct manifest *manifest, struct disk *disk, const struct manifest_place *place) {
    struct strays strays = {manifest, place->name};
    int error = disk->list(disk, place->directory, note_stray, &strays);
    return error == -ENOENT ? 0 : error;
}

/* A whole file that is on the disk, or none. */
static int write_file(struct disk *disk, const char *path, struct bytes text, const char **failed) {
    *failed = "create the temporary manifest";
    int file = disk->open(disk, path, DISK_CREATE);
    if (file < 0) return file;
    *failed = "write the temporary manifest";
    int error = disk_write_whole(disk, file, text);
    if (!error) {
        *failed = "sync the temporary manifest";
        error = disk->sync(disk, file);
    }
    int closed = disk->close(disk, file);
    if (!error) error = closed;
    if (error) disk->unlink(disk, path);
    return error;
}

static int put_in_place(struct disk *disk, const struct manifest_place *place, struct bytes text,
                        const char **failed) {
    char path[MANIFEST_PATH_SIZE], temporary[MANIFEST_PATH_SIZE];
    *failed = "name the manifest";
    if (!path_of(path, place, "") || !path_of(temporary, place, "temp-")) return -ENAMETOOLONG;
    int error = write_file(disk, temporary, text, failed);
    if (error) return error;
    *failed = "rename the temporary manifest";
    error = disk->rename(disk, temporary, path);
    if (error) {
        disk->unlink(disk, temporary);
        return error;
    }
    *failed = "sync the directory of the manifest";
    return disk->sync_directory(disk, place->directory);
}

int manifest_write(const struct manifest *manifest, struct disk *disk, const struct manifest_place *place,
                   const char **failed) {
    struct buffer text = {0};
    assert(manifest->count > 0); /* an empty one nobody reads */
    *failed = "print the manifest";
    int error = manifest_print(manifest, &text);
    if (!error) error = put_in_place(disk, place, buffer_bytes(&text), failed);
    buffer_free(&text);
    if (!error) *failed = NULL;
    return error;
}

bool manifest_delete_history(struct manifest *manifest, struct disk *disk, const struct manifest_place *place,
                             int *error) {
    char path[MANIFEST_PATH_SIZE];
    size_t kept = 0, count = manifest->count;
    *error = 0;
    for (size_t i = 0; i < count; i++) {
        struct manifest_file file = manifest->files[i];
        int deleted = -EEXIST;
        if (file.type == MANIFEST_HISTORY) {
            deleted = manifest_path(path, place, file.name) ? disk->unlink(disk, path) : -ENAMETOOLONG;
            if (deleted == -ENOENT) deleted = 0;
            if (deleted) *error = deleted;
        }
        if (deleted)
            manifest->files[kept++] = file;
        else
            free(file.name);
    }
    assert(kept <= count && manifest->count == count);
    manifest->count = kept;
    return kept < count;
}
