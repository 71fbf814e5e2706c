/* fuzz_aof.c - append-only files of any bytes, as a start loads them.
 *
 * What is found in a file is the same in pieces of any size; what is whole runs, or is refused with a reason, and so
 * does what is left when it is cut off where it is torn; that is whole then. Nothing is left of it at the end.
 *
 * The first byte of an input is the size of the pieces, the second one's lowest bit says that the file has no plain
 * commands but batches: each line "#kevy ..." gets the checksum of what follows it, so that more than its refusal is
 * seen. The rest is the file. */
#include "fuzz.h"

#include "server/call/command.h"
#include "server/clients/post.h"
#include "server/config/config.h"
#include "server/exec/replay.h"
#include "server/journal/crc32c.h"
#include "server/journal/snapshot.h"
#include "server/log.h"
#include "server/stripes/stripes.h"
#include "tests/unit/failing_disk.h"

enum { DATABASES = 16 };

static struct failing_disk disk; /* has the file, and what FLUSHALL saves, as there are save points */
static struct aof_runner *runner;

static void open_all(void) {
    config_defaults();
    log_set_level(LOG_LEVEL_NOTHING);
    CHECK(command_table_open() == NULL);
    CHECK_INT(stripes_open(1, DATABASES), 0);
    mailbox_count = 1;
    runner = replay_new(1700000000000, false);
    CHECK(runner);
    disk_new(&disk);
    snapshot_open(&disk.disk, 0);
}

static void empty_all(void) {
    struct keyspace *ks = stripes.all[0].keyspace;
    for (unsigned db = 0; db < DATABASES; db++) keyspace_flush(ks, db);
    while (keyspace_upkeep(ks, 1000)) {
    }
    keyspace_take_news(ks, 1);
    CHECK_INT(heaps_used(stripes.heaps) + heaps_blocks(stripes.heaps) + keyspace_memory(ks), 0);
}

static enum aof_found look_at(struct aof_look *look, size_t piece) {
    *look = (struct aof_look){.disk = &disk.disk, .path = "given"};
    disk_mend(&disk);
    disk.piece = piece;
    enum aof_found found = aof_look(look);
    CHECK((found == AOF_BAD || found == AOF_UNREAD) == (look->why[0] != '\0'));
    CHECK(found != AOF_UNREAD && look->end <= look->size && look->fault <= look->size);
    return found;
}

/* How many commands ran; of a file that is refused that depends on the pieces: 0. */
static uint64_t run_whole(uint64_t end, size_t piece) {
    struct aof_part part = {.disk = &disk.disk, .path = "given", .end = end};
    disk_mend(&disk);
    disk.piece = piece;
    bool ok = runner->run(runner, &part);
    CHECK(ok == (part.why[0] == '\0') && part.fault <= end);
    empty_all();
    return ok ? part.commands : 0;
}

/* Gives each batch whose line can be read the checksum of its bytes. */
static void mend_checksums(char *data, size_t len) {
    char *at = data, *end = data + len;
    while ((at = memmem(at, (size_t)(end - at), "#kevy seq=", 10))) {
        char *line = memchr(at, '\n', (size_t)(end - at)), *crc = memmem(at, (size_t)(end - at), "crc=", 4);
        char *size = memmem(at, (size_t)(end - at), "len=", 4);
        if (!line || !crc || !size || crc + 12 > line || size > line) return;
        size_t bytes = 0;
        for (size += 4; size < line && *size >= '0' && *size <= '9' && bytes < DISK_FILE_MAX; size++)
            bytes = bytes * 10 + (size_t)(*size - '0');
        if (bytes > (size_t)(end - line - 1)) return;
        char text[16];
        snprintf(text, sizeof text, "%08x", crc32c(0, (struct bytes){line + 1, bytes}));
        memcpy(crc + 4, text, 8);
        at = line + 1 + bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct aof_look whole, pieces, again;
    if (size < 2 || size > DISK_FILE_MAX) return 0;
    if (stripes.count == 0) open_all();
    disk_put(&disk, "given", (struct bytes){(const char *)data + 2, size - 2});
    struct failing_file *file = &disk.files[disk_find(&disk, "given")];
    if (data[1] & 1) mend_checksums(file->data, file->len);
    enum aof_found found = look_at(&whole, 0);
    CHECK(look_at(&pieces, 1 + data[0]) == found);
    CHECK(pieces.end == whole.end && pieces.commands == whole.commands && pieces.batches == whole.batches);
    CHECK(pieces.last == whole.last && pieces.doubt == whole.doubt);
    CHECK(pieces.fault == whole.fault && strcmp(pieces.why, whole.why) == 0);
    if (found == AOF_BAD) return 0;
    uint64_t commands = run_whole(whole.end, 0);
    CHECK(run_whole(whole.end, 1 + data[0]) == commands && commands <= whole.commands);
    file->len = whole.end;
    CHECK(look_at(&again, 0) == AOF_WHOLE && again.end == whole.end && again.commands == whole.commands);
    return 0;
}
