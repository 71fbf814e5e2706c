/* writer.c - gather, write, sync, publish. */
#include "server/journal/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "protocol/text.h"
#include "server/journal/journal.h"
#include "server/log.h"

const struct writer_padding writer_padding = {.from = 64 << 10, .least = 64 << 10, .most = 1 << 20};

bool writer_open(struct writer *writer, struct disk *disk, struct record_queue *queues, unsigned count) {
    *writer = (struct writer){.disk = disk,
                              .file = -1,
                              .since_ms = WRITER_NEVER,
                              .retry_ms = WRITER_NEVER,
                              .doubted = BATCH_NO_DOUBT,
                              .policy = WRITER_EVERYSEC,
                              .padding = writer_padding};
    merge_open(&writer->merge, queues, count, 0);
    return batch_open(&writer->batch);
}

/* Where that fails, who loads the file does it. */
static void cut_padding(struct writer *writer) {
    assert(writer->padded == 0 || writer->file >= 0);
    if (writer->padded > writer->size && !writer->torn) {
        (void)writer->disk->truncate(writer->disk, writer->file, writer->size);
        writer->shortened = true;
    }
    writer->padded = 0;
}

static void close_file(struct writer *writer) {
    assert(!writer->torn || writer->error);
    cut_padding(writer);
    if (writer->file >= 0) (void)writer->disk->close(writer->disk, writer->file); /* what counts was synced */
    writer->file = -1;
    writer->name[0] = '\0';
    writer->size = 0;
    writer->unpadded = writer->shortened = false;
}

void writer_close(struct writer *writer) {
    close_file(writer);
    batch_close(&writer->batch);
}

/* ---- Failures ------------------------------------------------------------------------------------- */

/* Each is told once, until something went well. */
static void fail(struct writer *writer, int error, int64_t now_ms, const char *what) {
    assert(error < 0);
    if (writer->error != error)
        log_warning("Cannot %s the append-only file %s: %s. It is tried again each second; writes are "
                    "refused meanwhile",
                    what, writer->name, strerror(-error));
    writer->error = error;
    writer->error_is_sync = writer->doubt != 0;
    writer->retry_ms = now_ms + WRITER_RETRY_MS;
}

static void mend(struct writer *writer) {
    if (writer->doubt) return;
    if (writer->error)
        log_notice("The append-only file is written again: all that was changed meanwhile is in it");
    writer->error = 0;
    writer->error_is_sync = false;
    writer->retry_ms = WRITER_NEVER;
}

/* Makes the file end with its last whole batch. */
static bool cut_off(struct writer *writer, int64_t now_ms) {
    if (!writer->torn) return true;
    int error = writer->disk->truncate(writer->disk, writer->file, writer->size);
    if (error) {
        fail(writer, error, now_ms, "truncate");
        return false;
    }
    writer->torn = false;
    writer->padded = 0;
    return true;
}

/* The last batch has come to where the padding ends: more of it is synced together with that. It is worth nothing where it
 * takes the room that changes need. */
static void pad(struct writer *writer) {
    const struct writer_padding *padding = &writer->padding;
    uint64_t more = (uint64_t)WRITER_PAD_BATCHES * writer->batch.len;
    if (writer->policy != WRITER_ALWAYS || writer->unpadded || writer->size < padding->from ||
        writer->size < writer->padded)
        return;
    if (more < padding->least) more = padding->least;
    if (more > padding->most) more = padding->most;
    assert(writer->file >= 0 && !writer->torn && more > 1); /* 2 */
    writer->padded = writer->size + more;
    writer->padded += writer->padded % DISK_SECTOR == 0; /* no line ends with a sector: aof_in.c */
    if (writer->disk->pad(writer->disk, writer->file, writer->size, writer->padded, BATCH_PAD) == 0) return;
    writer->unpadded = true;
    cut_padding(writer);
}

/* ---- Syncing -------------------------------------------------------------------------------------- */

void writer_has_base(struct writer *writer) {
    if (!writer->doubt || writer->doubt > writer->begun) return;
    writer->doubt = 0;
    writer->doubted = BATCH_NO_DOUBT;
    writer->error_is_sync = false;
    if (!writer->torn) mend(writer); /* else that is an error of its own */
}

bool writer_sync(struct writer *writer, int64_t now_ms) {
    assert(writer->synced <= writer->written); /* 1 */
    if ((writer->synced == writer->written && !writer->shortened) || writer->file < 0) return true;
    int error = writer->disk->sync(writer->disk, writer->file);
    if (error) {
        writer->fatal |= writer->policy == WRITER_ALWAYS;
        writer->doubt = writer->written;
        fail(writer, error, now_ms, "sync");
        return false;
    }
    writer->syncs++;
    writer->shortened = false;
    if (writer->doubt) {
        writer->retry_ms = now_ms + WRITER_RETRY_MS;
        return false;
    }
    writer->synced = writer->written;
    writer->since_ms = WRITER_NEVER;
    return true;
}

/* When a sync is due: 0 for at once. */
static int64_t sync_due_ms(const struct writer *writer) {
    if (writer->synced == writer->written || writer->file < 0) return WRITER_NEVER;
    if (writer->doubt) return writer->retry_ms;
    if (writer->policy == WRITER_ALWAYS) return 0;
    if (writer->policy == WRITER_NO || writer->syncs_rest) return WRITER_NEVER;
    return writer->since_ms + WRITER_SYNC_MS;
}

/* False where a sync failed. */
static bool sync_if_due(struct writer *writer, int64_t now_ms) {
    int64_t due_ms = sync_due_ms(writer);
    if (writer->error_is_sync && now_ms < writer->retry_ms) return false;
    return due_ms > now_ms || writer_sync(writer, now_ms);
}

/* Where the policy became stricter, what was shown before is behind what is published now. It may have since this turn
 * began: then replies are held already. */
static void publish(struct writer *writer) {
    assert(writer->synced <= writer->written && writer->written <= writer->merge.merged); /* 1 */
    bool waits = writer->policy == WRITER_ALWAYS || journal_holds();
    uint64_t ticket = waits ? writer->synced : writer->written;
    if (ticket <= writer->published) return;
    writer->published = ticket;
    journal_publish(ticket);
}

/* ---- Another file --------------------------------------------------------------------------------- */

static void note_name(struct writer *writer, struct bytes name) {
    assert(writer->file < 0 && name.len < sizeof writer->name);
    memcpy(writer->name, name.data, name.len);
    writer->name[name.len] = '\0';
}

static bool open_file(struct writer *writer, struct bytes name, int64_t now_ms) {
    note_name(writer, name);
    writer->stamped_s = 0;
    if (name.len == 0) return true;
    writer->file = writer->disk->open(writer->disk, writer->name, DISK_CREATE);
    if (writer->file >= 0) return true;
    fail(writer, writer->file, now_ms, "open");
    writer->file = -1;
    return false;
}

bool writer_begin(struct writer *writer, const char *name) {
    assert(writer->merge.merged == 0);
    if (!open_file(writer, bytes_of(name), 0)) return false;
    writer->waits = false;
    mend(writer);
    return true;
}

void writer_wait(struct writer *writer, const char *name, int error, int64_t now_ms) {
    assert(writer->merge.merged == 0);
    writer->waits = true;
    note_name(writer, bytes_of(name));
    fail(writer, error, now_ms, "begin");
}

/* The old file is synced and done with before anything is in the new one. Where it is in doubt the cut is what ends that,
 * for a base is made with it, or nothing is written any more. */
static bool take_cut(struct writer *writer, struct bytes name, int64_t now_ms) {
    if (writer->padded) cut_padding(writer);
    bool synced = writer_sync(writer, now_ms);
    if (!synced && (!writer->doubt || writer->fatal)) return false;
    assert(writer->synced == writer->written || writer->file < 0 || writer->doubt); /* 3 */
    if (!writer->doubt)
        writer->doubted = BATCH_NO_DOUBT;
    else if (writer->size > 0)
        writer->doubted = (int64_t)writer->size; /* one without anything is passed over */
    close_file(writer);
    if (!open_file(writer, name, now_ms)) return false;
    assert(writer->size == 0 && !writer->torn);
    merge_pass_cut(&writer->merge);
    merge_release(&writer->merge);
    writer->written = writer->begun = writer->merge.merged;
    if (name.len == 0) writer->doubt = 0, writer->doubted = BATCH_NO_DOUBT;
    if (!writer->doubt) writer->synced = writer->written;
    if (!writer->doubt) writer->since_ms = WRITER_NEVER;
    mend(writer);
    publish(writer);
    return true;
}

/* ---- Batches -------------------------------------------------------------------------------------- */

/* As Redis writes it, where the second is another one than at the last. */
static struct bytes stamp(struct writer *writer, char memory[64]) {
    struct text text = text_fixed(memory, 64);
    if (!writer->timestamps || writer->unix_s == writer->stamped_s) return BYTES("");
    text_format(&text, "#TS:%" PRId64 "\r\n", writer->unix_s);
    return text_bytes(&text);
}

static bool write_batch(struct writer *writer, int64_t now_ms) {
    struct batch_out out = {
        .disk = writer->disk, .at = writer->size, .padded = writer->padded, .file = writer->file};
    char memory[64];
    struct bytes lines = stamp(writer, memory);
    assert(writer->file >= 0 && !writer->torn);
    if (writer->since_ms > now_ms) writer->since_ms = now_ms;
    struct batch_sayings says = {.safe = writer->synced > writer->begun ? writer->synced : 0,
                                 .doubt = writer->doubted,
                                 .run = writer->run};
    int error = batch_write(&writer->batch, &out, lines, says);
    if (error) {
        writer->torn = out.wrote > 0;
        merge_rewind(&writer->merge);
        fail(writer, error, now_ms, "write");
        (void)cut_off(writer, now_ms);
        return false;
    }
    assert(out.wrote >= writer->batch.len && writer->batch.first == writer->written + 1);
    writer->size += out.wrote;
    if (writer->size >= writer->padded) writer->padded = 0; /* nothing is left of it */
    writer->written = writer->batch.last;
    writer->batches++;
    if (lines.len) writer->stamped_s = writer->unix_s;
    merge_release(&writer->merge);
    pad(writer);
    if (!writer->error_is_sync) mend(writer);
    return true;
}

static void forget(void *context, struct bytes piece) {
    (void)context;
    (void)piece;
}

/* With the cut at its end the log is nobody's, whatever is the matter with its file. */
static void end_abandoned(struct writer *writer) {
    log_notice("What could not be written to the append-only file is dropped, for it was switched off");
    close_file(writer);
    writer->torn = writer->abandons = writer->error_is_sync = false;
    writer->doubt = 0;
    writer->doubted = BATCH_NO_DOUBT;
    writer->error = 0;
    writer->retry_ms = WRITER_NEVER;
    writer->begun = writer->merge.merged;
}

/* Needs neither the disk nor memory. False: all is dropped that there is so far. */
static bool drop_next(struct writer *writer) {
    struct bytes name;
    assert(writer->abandons && writer->error);
    writer->waits = false;
    while (merge_next(&writer->merge, forget, NULL)) {
    }
    bool cut = merge_is_cut(&writer->merge, &name), ends = cut && name.len == 0;
    if (cut) merge_pass_cut(&writer->merge);
    merge_release(&writer->merge);
    writer->written = writer->synced = writer->merge.merged;
    writer->since_ms = WRITER_NEVER;
    if (ends) end_abandoned(writer);
    return cut;
}

/* False: there is nothing to write now, or it failed. */
static bool write_next(struct writer *writer, int64_t now_ms) {
    struct bytes name;
    if (writer->abandons) return drop_next(writer);
    if (writer->waits) return false;
    if (writer->retry_ms != WRITER_NEVER && now_ms < writer->retry_ms && !writer->error_is_sync) return false;
    if (writer->torn && !cut_off(writer, now_ms)) return false;
    if (merge_is_cut(&writer->merge, &name)) return take_cut(writer, name, now_ms);
    int error = batch_gather(&writer->batch, &writer->merge);
    if (error == -ENOMEM) fail(writer, error, now_ms, "find memory for");
    return !error && write_batch(writer, now_ms);
}

/* What holds between turns. */
static void check(const struct writer *writer) {
    assert(writer->merge.merged == writer->written && writer->synced <= writer->written); /* 1 */
    assert(writer->published <= writer->written && writer->begun <= writer->written);
    assert(writer->file >= 0 || (writer->size == 0 && writer->padded == 0));       /* 2 */
    assert(!writer->torn || (writer->error && writer->file >= 0));                 /* 2 */
    assert(writer->padded == 0 || writer->torn || writer->padded >= writer->size); /* 2 */
    assert(writer->doubt <= writer->written && (!writer->error_is_sync || writer->error));
    assert(!writer->waits || (writer->error && writer->file < 0 && writer->written == 0));
}

int64_t writer_turn(struct writer *writer, int64_t now_ms) {
    check(writer);
    bool wrote = write_next(writer, now_ms);
    bool synced = sync_if_due(writer, now_ms);
    publish(writer);
    check(writer);
    if (writer->fatal) return WRITER_NEVER;
    if (wrote) return now_ms;
    int64_t due_ms = synced ? sync_due_ms(writer) : WRITER_NEVER;
    return due_ms < writer->retry_ms ? due_ms : writer->retry_ms;
}
