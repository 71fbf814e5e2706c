/* Streams that are dumped, in steps of any size: what is loaded from them is the same. */
#include "tests/unit/store/types/stream_rdb_fixture.h"

/* The value goes with it. */
static void check_dump_of(struct value value, size_t budget) {
    struct load_options options = options_of_ks(true);
    struct paper paper = {.most = 0};
    struct loading loading;
    CHECK(dump_all(&value, &paper, budget) == DUMP_DONE);
    struct bytes input = {paper.data, paper.len};
    load_begin(&loading, &options, type_stream.form(&value), RDB_VERSION_WRITTEN);
    CHECK(load_more(&loading, &input) == LOAD_DONE);
    CHECK_INT(input.len, 0);
    check_same(&value, &loading.value);
    load_end(&loading);
    value_release(&value, &ks->dead);
    free(paper.data);
    bury_all();
}

static void check_dump(unsigned entries, unsigned groups, unsigned pending, size_t budget) {
    check_dump_of(make_value(entries, groups, pending), budget);
}

static void a_dump_is_the_stream(void) {
    static const size_t budgets[] = {1, 100, 4096, 1 << 20};
    begin();
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        check_dump(0, 0, 0, budgets[i]);
        check_dump(1, 1, 0, budgets[i]);
        check_dump(500, 3, 200, budgets[i]);
        check_dump(3000, 0, 0, budgets[i]);
        check_dump(0, 4, 1000, budgets[i]);
    }
    end();
}

/* What was pending for consumers who have been deleted is in no dump, though it has not gone yet. */
static void who_leaves_is_left_out(void) {
    static const size_t budgets[] = {1, 100, 1 << 20};
    begin();
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        struct value value = make_value(10, 2, 1000);
        struct tree_context context = context_of_ks();
        struct stream_named_list *groups = &((struct stream *)(uintptr_t)stream_at(&value))->groups;
        struct stream_group *group = stream_group_edit(groups, &context, BYTES("group"));
        CHECK(stream_consumer_remove(group, &context, BYTES("b")));
        CHECK(stream_consumer_remove(group, &context, BYTES("d")));
        CHECK(group->leavers.count == 2 && stream_pending_count(group) < group->pending.count);
        check_dump_of(value, budgets[i]);
    }
    end();
}

/* However far it comes. */
static void a_sink_that_takes_no_more_ends_it(void) {
    begin();
    struct value value = make_value(60, 2, 40);
    struct paper whole = {.most = 0};
    CHECK(dump_all(&value, &whole, 100) == DUMP_DONE);
    for (size_t most = 1; most < whole.len; most++) {
        struct paper paper = {.most = most};
        CHECK(dump_all(&value, &paper, 100) == DUMP_FAILED);
        free(paper.data);
    }
    free(whole.data);
    value_release(&value, &ks->dead);
    bury_all();
    end();
}

/* Redis has no nodes without entries. */
static void nodes_whose_entries_are_deleted_are_left_out(void) {
    begin();
    struct edit edit = edit_of("key", TYPE_STREAM);
    open_short_nodes(&edit, 0);
    for (uint64_t i = 3; i <= 7; i++) CHECK(stream_delete(&edit, (struct stream_id){i, 0}) == STREAM_CHANGED);
    edit_close(&edit);
    struct value value = entry_value(keyspace_find(ks, 0, key_of("key")));
    struct paper paper = {.most = 0};
    CHECK(dump_all(&value, &paper, 1000) == DUMP_DONE);
    CHECK_INT(paper.data[0], 3); /* 1 and 2, 8, 9 */
    free(paper.data);
    end();
}

/* Behind the first entry of each node, which is gone, comes one with other fields. Those of the rest stand there once a node
 * in spite of both. */
static void fields_stand_there_once_a_node(void) {
    enum { ENTRIES = 200, FIELD = 1000 };
    static char field[FIELD];
    begin();
    struct edit edit = edit_of("key", TYPE_STREAM);
    struct stream_node_limits limits = {.entries = 100};
    memset(field, 'f', sizeof field);
    struct bytes words[] = {{field, sizeof field}, BYTES("v")}, others[] = {BYTES("g"), BYTES("v")};
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (uint64_t i = 0; i < ENTRIES; i++)
        CHECK(stream_add(&edit, (struct stream_id){i + 1, 0},
                         &(struct stream_pairs){i % 100 == 1 ? others : words, 1}, &limits));
    for (uint64_t i = 0; i < ENTRIES; i += 100)
        CHECK(stream_delete(&edit, (struct stream_id){i + 1, 0}) == STREAM_CHANGED);
    edit_close(&edit);
    struct value value = entry_value(keyspace_find(ks, 0, key_of("key")));
    struct paper paper = {.most = 0};
    CHECK(dump_all(&value, &paper, 1) == DUMP_DONE);
    CHECK(paper.len < 5 * FIELD + ENTRIES * 20);
    free(paper.data);
    end();
}

int main(void) {
    seed = check_seed();
    RUN(a_dump_is_the_stream);
    RUN(who_leaves_is_left_out);
    RUN(a_sink_that_takes_no_more_ends_it);
    RUN(nodes_whose_entries_are_deleted_are_left_out);
    RUN(fields_stand_there_once_a_node);
    return 0;
}
