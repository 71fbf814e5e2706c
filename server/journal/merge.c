/* merge.c - ticket after ticket. */
#include "server/journal/merge.h"

#include "protocol/number.h"
#include "protocol/text.h"

void merge_open(struct merge *merge, struct record_queue *queues, unsigned count, uint64_t merged) {
    *merge = (struct merge){.queues = queues, .count = count, .merged = merged, .db = MERGE_NO_DB};
    merge->released = merged;
    merge->released_db = MERGE_NO_DB;
    assert(count > 0);
}

/* The first record of the next ticket, or NULL. */
static struct record *find(struct merge *merge) {
    for (unsigned i = 0, at = merge->found; i < merge->count; i++, at = at + 1 < merge->count ? at + 1 : 0) {
        struct record *record = queue_first(&merge->queues[at]);
        if (!record || record->ticket != merge->merged + 1) {
            assert(!record || record->ticket > merge->merged); /* a queue's tickets ascend */
            continue;
        }
        merge->found = at;
        return record;
    }
    return NULL;
}

static void select_db(struct merge *merge, uint32_t db, void (*piece)(void *context, struct bytes bytes),
                      void *context) {
    char memory[64];
    struct text text = text_fixed(memory, sizeof memory);
    text_format(&text, "*2\r\n$6\r\nSELECT\r\n$%zu\r\n%u\r\n", number_digits_u64(db), db);
    assert(!text.cut && merge->db != db);
    piece(context, text_bytes(&text));
    merge->db = db;
}

bool merge_next(struct merge *merge, void (*piece)(void *context, struct bytes bytes), void *context) {
    struct record *record = find(merge);
    if (!record || record->cut) return false;
    struct record_queue *queue = &merge->queues[merge->found];
    bool several = record->more;
    if (several) piece(context, BYTES("*1\r\n$5\r\nMULTI\r\n"));
    for (;;) {
        if (record->db != merge->db) select_db(merge, record->db, piece, context);
        record_read(record, piece, context);
        bool more = record->more;
        queue_pass_first(queue, record);
        if (!more) break;
        record = queue_first(queue);
        assert(record && record->ticket == merge->merged + 1);
    }
    if (several) piece(context, BYTES("*1\r\n$4\r\nEXEC\r\n"));
    merge->merged++;
    return true;
}

uint64_t merge_copy(struct merge *merge, struct queue_copy *copy) {
    copy->len = 0;
    if (!find(merge)) return 0;
    copy->ticket = merge->merged + 1;
    copy->db = merge->db;
    uint64_t count = queue_copy(&merge->queues[merge->found], copy);
    assert(count <= copy->most && (count > 0 || copy->len == 0));
    assert(count == 0 || copy->db != MERGE_NO_DB); /* SELECT was shown before */
    merge->merged += count;
    return count;
}

bool merge_is_cut(struct merge *merge, struct bytes *name) {
    struct record *record = find(merge);
    if (!record || !record->cut) return false;
    assert(!record->more);
    *name = (struct bytes){record_text(record), record->len};
    return true;
}

void merge_pass_cut(struct merge *merge) {
    struct record_queue *queue = &merge->queues[merge->found];
    assert(queue_first(queue)->cut && queue_first(queue)->ticket == merge->merged + 1);
    queue_pass(queue);
    merge->merged++;
    merge->db = MERGE_NO_DB;
}

void merge_release(struct merge *merge) {
    assert(merge->merged >= merge->released);
    for (unsigned i = 0; i < merge->count; i++) queue_release(&merge->queues[i]);
    merge->released = merge->merged;
    merge->released_db = merge->db;
}

void merge_rewind(struct merge *merge) {
    assert(merge->merged >= merge->released);
    for (unsigned i = 0; i < merge->count; i++) queue_rewind(&merge->queues[i]);
    merge->merged = merge->released;
    merge->db = merge->released_db;
}
