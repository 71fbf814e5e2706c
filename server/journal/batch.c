/* batch.c - small pieces are copied side by side, large ones are noted. */
#include "server/journal/batch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/text.h"
#include "server/journal/crc32c.h"

enum {
    COPIED_FIRST = BATCH_BYTES + (64 << 10),
    COPIED_KEPT = 16 << 20, /* bytes: more memory is given back when its batch was written */
    PIECES_FIRST = 64,
};

bool batch_open(struct batch *batch) {
    _Static_assert((int)COPIED_FIRST > (int)BATCH_BYTES + (int)BATCH_PIECE_MIN,
                   "a batch of small pieces fits");
    *batch = (struct batch){.capacity = COPIED_FIRST, .piece_capacity = PIECES_FIRST};
    batch->memory = malloc(BATCH_HEAD_MAX + batch->capacity);
    batch->pieces = malloc(batch->piece_capacity * sizeof *batch->pieces);
    if (batch->memory && batch->pieces) return true;
    batch_close(batch);
    return false;
}

void batch_close(struct batch *batch) {
    free(batch->memory);
    free(batch->pieces);
    *batch = (struct batch){0};
}

/* ---- Gathering ------------------------------------------------------------------------------------ */

static bool reserve_copied(struct batch *batch, size_t more) {
    size_t need, size;
    if (more <= batch->capacity - batch->copied) return true;
    if (__builtin_add_overflow(batch->copied, more, &need) || __builtin_add_overflow(need, need / 2, &need) ||
        __builtin_add_overflow(need, BATCH_HEAD_MAX, &size))
        return false;
    char *memory = realloc(batch->memory, size);
    if (!memory) return false;
    batch->memory = memory;
    batch->capacity = need;
    return true;
}

/* A transaction may have been as large as the data; nothing is in the memory now. */
static void shrink(struct batch *batch) {
    if (batch->capacity <= COPIED_KEPT) return;
    char *memory = realloc(batch->memory, BATCH_HEAD_MAX + COPIED_FIRST);
    if (!memory) return;
    batch->memory = memory;
    batch->capacity = COPIED_FIRST;
}

static bool reserve_piece(struct batch *batch) {
    if (batch->piece_count < batch->piece_capacity) return true;
    size_t capacity = 2 * batch->piece_capacity;
    struct batch_piece *pieces = realloc(batch->pieces, capacity * sizeof *pieces);
    if (!pieces) return false;
    batch->pieces = pieces;
    batch->piece_capacity = capacity;
    return true;
}

static void take(void *context, struct bytes bytes) {
    struct batch *batch = context;
    assert(batch->copied <= batch->capacity && batch->piece_count <= batch->piece_capacity);
    if (batch->failed || bytes.len == 0) return;
    if (bytes.len >= BATCH_PIECE_MIN) {
        batch->failed = !reserve_piece(batch);
        if (batch->failed) return;
        batch->pieces[batch->piece_count++] = (struct batch_piece){batch->copied, bytes};
    } else {
        batch->failed = !reserve_copied(batch, bytes.len);
        if (batch->failed) return;
        memcpy(batch->memory + BATCH_HEAD_MAX + batch->copied, bytes.data, bytes.len);
        batch->copied += bytes.len;
    }
    batch->len += bytes.len; /* both are in memory: no overflow */
}

/* `most` tickets at most, of those that are but copied. */
static uint64_t copy_some(struct batch *batch, struct merge *merge, uint64_t most) {
    struct queue_copy copy = {.to = batch->memory + BATCH_HEAD_MAX + batch->copied,
                              .room = batch->capacity - batch->copied,
                              .enough = BATCH_BYTES - batch->len,
                              .shorter = BATCH_PIECE_MIN,
                              .most = most};
    uint64_t count = merge_copy(merge, &copy);
    assert(count <= most && copy.len <= copy.room);
    batch->copied += copy.len;
    batch->len += copy.len;
    return count;
}

/* `most` tickets, or up to BATCH_BYTES. */
static int gather(struct batch *batch, struct merge *merge, uint64_t most) {
    batch->copied = batch->len = batch->piece_count = 0;
    shrink(batch);
    batch->failed = false;
    batch->first = merge->merged + 1;
    batch->last = merge->merged;
    while (most > 0 && batch->len < BATCH_BYTES) {
        if (!copy_some(batch, merge, most) && !merge_next(merge, take, batch)) break;
        if (batch->failed) return -ENOMEM;
        most -= merge->merged - batch->last;
        batch->last = merge->merged;
    }
    assert((batch->last >= batch->first) == (batch->len > 0) && batch->copied <= batch->len);
    assert(batch->last == merge->merged);
    return batch->last >= batch->first ? 0 : -EAGAIN;
}

int batch_gather(struct batch *batch, struct merge *merge) {
    assert(batch->memory && merge->merged == merge->released);
    int error = gather(batch, merge, batch->most ? batch->most : UINT64_MAX);
    if (error != -ENOMEM) return error;
    uint64_t whole = batch->last - batch->first + 1;
    merge_rewind(merge);
    if (whole == 0) return error;
    error = gather(batch, merge, whole); /* what there was memory for */
    assert(error != -EAGAIN);
    return error;
}

/* ---- Writing -------------------------------------------------------------------------------------- */

static void put(struct batch_out *out, const char *data, size_t len) {
    while (len > 0 && !out->error) {
        ssize_t wrote = out->disk->write(out->disk, out->file, data, len);
        if (wrote < 0) {
            out->error = (int)wrote;
            return;
        }
        assert(wrote > 0 && (size_t)wrote <= len);
        data += wrote;
        len -= (size_t)wrote;
        out->wrote += (uint64_t)wrote;
    }
}

static uint32_t checksum(const struct batch *batch) {
    const char *text = batch->memory + BATCH_HEAD_MAX;
    uint32_t crc = 0;
    size_t at = 0;
    for (size_t i = 0; i < batch->piece_count; i++) {
        const struct batch_piece *piece = &batch->pieces[i];
        assert(piece->at >= at && piece->at <= batch->copied);
        crc = crc32c(crc, (struct bytes){text + at, piece->at - at});
        crc = crc32c(crc, piece->bytes);
        at = piece->at;
    }
    return crc32c(crc, (struct bytes){text + at, batch->copied - at});
}

/* Puts the lines right before what was copied; returns how long they are. */
static size_t put_head(struct batch *batch, const struct batch_out *out, struct bytes lines,
                       struct batch_sayings says) {
    char memory[BATCH_HEAD_MAX + 1];
    struct text head = text_fixed(memory, sizeof memory);
    text_add(&head, lines);
    text_format(&head, "#kevy seq=%" PRIu64 "-%" PRIu64 " len=%zu crc=%08" PRIx32 " safe=%" PRIu64,
                batch->first, batch->last, batch->len, checksum(batch), says.safe);
    if (says.doubt != BATCH_NO_DOUBT) text_format(&head, " doubt=%" PRId64, says.doubt);
    text_format(&head, " run=%08" PRIx32, says.run);
    while (disk_pad_byte(out->at + head.len + 1 + batch->len, out->padded, BATCH_PAD) != BATCH_PAD)
        text_add(&head, BYTES(" "));
    text_add(&head, BYTES("\n"));
    assert(!head.cut && head.len <= BATCH_HEAD_MAX);
    memcpy(batch->memory + BATCH_HEAD_MAX - head.len, memory, head.len);
    return head.len;
}

int batch_write(struct batch *batch, struct batch_out *out, struct bytes lines, struct batch_sayings says) {
    size_t at = BATCH_HEAD_MAX - put_head(batch, out, lines, says);
    assert(batch->last >= batch->first && says.safe < batch->first);
    assert(batch->len > 0 && !batch->failed && (out->padded == 0 || out->padded >= out->at));
    out->error = 0;
    out->wrote = 0;
    for (size_t i = 0; i < batch->piece_count; i++) {
        const struct batch_piece *piece = &batch->pieces[i];
        put(out, batch->memory + at, BATCH_HEAD_MAX + piece->at - at);
        put(out, piece->bytes.data, piece->bytes.len);
        at = BATCH_HEAD_MAX + piece->at;
    }
    put(out, batch->memory + at, BATCH_HEAD_MAX + batch->copied - at);
    return out->error;
}
