/* fuzz_manifest.c - manifests of any bytes: refused with a reason, or read; and what was read is the same when it was
 * printed and read again, also with the files of the next rewrite. */
#include "fuzz.h"

#include <errno.h>

#include "server/journal/manifest.h"
#include "tests/check.h"

static void check_files(const struct manifest *manifest) {
    unsigned bases = 0;
    uint64_t incr = 0, deleted = 0;
    for (size_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        CHECK(file->name[0] != '\0' && !strchr(file->name, '/') && strlen(file->name) <= MANIFEST_NAME_MAX);
        bases += file->type == MANIFEST_BASE;
        if (file->type == MANIFEST_HISTORY && strstr(file->name, ".incr.") && file->seq > deleted)
            deleted = file->seq;
        if (file->type != MANIFEST_INCR) continue;
        CHECK(file->seq > incr);
        incr = file->seq;
    }
    CHECK(bases <= 1 && manifest->incr_seq == (deleted > incr ? deleted : incr));
}

static void rewrite(struct manifest *manifest) {
    struct manifest_place place = {"directory", "appendonly.aof"};
    char name[MANIFEST_NAME_MAX + 1];
    bool room = manifest->incr_seq < INT64_MAX, base_room = manifest->base_seq < INT64_MAX;
    CHECK(manifest_add_incr(manifest, &place) == (room ? 0 : -EOVERFLOW));
    CHECK(manifest_next_base(name, manifest, &place, true));
    CHECK(manifest_add_base(manifest, name, manifest->incr_seq) == (base_room ? 0 : -EOVERFLOW));
}

static void print_and_read_again(const struct manifest *manifest) {
    struct manifest again = {0};
    struct buffer text = {0}, same = {0};
    char why[MANIFEST_WHY_SIZE];
    CHECK(manifest_print(manifest, &text) == 0);
    CHECK(manifest_parse(&again, buffer_bytes(&text), why) == 0);
    CHECK(manifest_print(&again, &same) == 0);
    CHECK_BYTES(buffer_bytes(&same), buffer_bytes(&text));
    CHECK(again.count == manifest->count);
    manifest_free(&again);
    buffer_free(&text);
    buffer_free(&same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct manifest manifest = {0};
    char why[MANIFEST_WHY_SIZE] = "";
    int error = manifest_parse(&manifest, (struct bytes){(const char *)data, size}, why);
    CHECK(!error == !why[0]);
    CHECK(!error || manifest.count == 0);
    if (!error && manifest.count) {
        check_files(&manifest);
        print_and_read_again(&manifest);
        rewrite(&manifest);
        print_and_read_again(&manifest);
    }
    manifest_free(&manifest);
    return 0;
}
