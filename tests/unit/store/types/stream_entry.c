/* Entries of streams: what is written is read again, with lists of fields that are known and without, and lists are not kept
 * beyond their bounds. */
#include "store/types/stream_entry.h"

#include "tests/check.h"

enum { PAIRS_MOST = 6 };
static char memory[2000];

static void check_entry(const struct stream_pairs *pairs, const struct block *names, unsigned number) {
    size_t len = stream_entry_len(pairs, number);
    CHECK(len <= sizeof memory);
    stream_entry_write(memory, pairs, number);
    struct stream_fields fields = stream_fields((struct bytes){memory, len}, names);
    struct bytes field, value;
    CHECK_INT(fields.left, pairs->count);
    for (uint32_t i = 0; i < pairs->count; i++) {
        CHECK(stream_fields_next(&fields, &field, &value));
        CHECK_BYTES(field, pairs->list[2 * i]);
        CHECK_BYTES(value, pairs->list[2 * i + 1]);
    }
    CHECK(!stream_fields_next(&fields, &field, &value));
}

static void entries_are_read_as_they_were_written(void) {
    static char long_text[300];
    struct bytes list[] = {BYTES("a"), BYTES("1"),       BYTES(""),        BYTES(""),     BYTES("a"),
                           BYTES("3"), {long_text, 300}, {long_text, 200}, BYTES("last"), {long_text, 128}};
    for (uint32_t count = 0; count <= 5; count++) {
        struct stream_pairs pairs = {list, count};
        check_entry(&pairs, NULL, 0);
        struct block *names = stream_names_add(NULL, &pairs);
        CHECK((names != NULL) == (count > 0));
        if (names == NULL) continue;
        CHECK_INT(stream_names_find(names, &pairs, 0), 1);
        check_entry(&pairs, names, 1);
        block_release(names);
    }
}

static void lists_are_found_and_bounded(void) {
    struct block *names = NULL;
    char text[STREAM_NAMES_MOST + 1][8];
    unsigned known = 0;
    for (unsigned i = 0; i <= STREAM_NAMES_MOST; i++) {
        struct bytes list[2] = {{text[i], (size_t)snprintf(text[i], sizeof text[i], "%u", i)}, BYTES("v")};
        struct stream_pairs pairs = {list, 1};
        CHECK_INT(stream_names_find(names, &pairs, known), 0);
        struct block *more = stream_names_add(names, &pairs);
        CHECK((more != NULL) == (i < STREAM_NAMES_MOST));
        if (more == NULL) break;
        if (names) block_release(names);
        names = more;
        known++;
        CHECK_INT(stream_names_count(names), known);
        CHECK_INT(stream_names_find(names, &pairs, known), known);
        CHECK_INT(stream_names_find(names, &pairs, 1), known);
        check_entry(&pairs, names, known);
    }
    struct bytes first[2] = {{text[0], 1}, BYTES("")};
    CHECK_INT(stream_names_find(names, &(struct stream_pairs){first, 1}, known), 1);
    block_release(names);
}

static void long_lists_are_not_kept(void) {
    static char text[STREAM_NAMES_BYTES_MOST];
    struct bytes list[2] = {{text, sizeof text}, BYTES("v")};
    struct stream_pairs pairs = {list, 1};
    CHECK(stream_names_add(NULL, &pairs) == NULL);
    list[0].len -= 100;
    struct block *names = stream_names_add(NULL, &pairs);
    CHECK(names);
    CHECK(stream_names_add(names, &pairs) == NULL);
    block_release(names);
}

static void numbers_have_neighbours_but_at_the_ends(void) {
    struct stream_id id = {5, UINT64_MAX};
    CHECK(stream_id_next(&id) && id.ms == 6 && id.sequence == 0);
    CHECK(stream_id_previous(&id) && id.ms == 5 && id.sequence == UINT64_MAX);
    id = STREAM_ID_MAX;
    CHECK(!stream_id_next(&id) && stream_id_compare(id, STREAM_ID_MAX) == 0);
    id = (struct stream_id){0, 0};
    CHECK(!stream_id_previous(&id) && stream_id_is_zero(id));
}

static void sums_that_overflow_are_told(void) {
    struct bytes list[2] = {{memory, SIZE_MAX - 1}, {memory, 2}};
    CHECK(stream_pairs_bytes(&(struct stream_pairs){list, 1}) == SIZE_MAX);
}

int main(void) {
    RUN(entries_are_read_as_they_were_written);
    RUN(lists_are_found_and_bounded);
    RUN(long_lists_are_not_kept);
    RUN(numbers_have_neighbours_but_at_the_ends);
    RUN(sums_that_overflow_are_told);
    return 0;
}
