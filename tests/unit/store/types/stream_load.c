/* Streams that are loaded: in pieces of any size, without memory at every single allocation, and what is refused. */
#include "tests/load_in_pieces.h"
#include "tests/unit/store/types/stream_rdb_fixture.h"

static void pieces_make_the_same(void) {
    begin();
    for (unsigned i = 0; i < 20; i++) {
        struct value value = make_value(random_below(300), random_below(4), random_below(200));
        struct load_options options = options_of_ks(false);
        struct paper paper = {.most = 0};
        struct loading loading;
        CHECK(dump_all(&value, &paper, 500) == DUMP_DONE);
        load_begin(&loading, &options, type_stream.form(&value), RDB_VERSION_WRITTEN);
        CHECK(load_in_pieces(&loading, (struct bytes){paper.data, paper.len},
                             1 + random_below(i % 2 ? 10 : 2000)) == LOAD_DONE);
        check_same(&value, &loading.value);
        load_end(&loading);
        value_release(&value, &ks->dead);
        free(paper.data);
        bury_all();
    }
    end();
}

/* Also when the entry that had it is deleted, and in what was loaded again. */
static void nodes_keep_their_numbers(void) {
    begin();
    struct edit edit = edit_of("key", TYPE_STREAM);
    open_short_nodes(&edit, 1);
    for (uint64_t i = 1; i <= 5; i += 4)
        CHECK(stream_delete(&edit, (struct stream_id){i, i}) == STREAM_CHANGED);
    edit_close(&edit);
    struct value value = entry_value(keyspace_find(ks, 0, key_of("key")));
    struct paper first = {.most = 0}, second = {.most = 0};
    CHECK(dump_all(&value, &first, 1000) == DUMP_DONE);
    struct bytes input = {first.data, first.len};
    struct load_options options = options_of_ks(true);
    struct loading loading;
    load_begin(&loading, &options, type_stream.form(&value), RDB_VERSION_WRITTEN);
    CHECK(load_more(&loading, &input) == LOAD_DONE);
    const struct stream_nodes *nodes = &stream_at(&loading.value)->nodes;
    CHECK_INT(stream_nodes_count(nodes), 5);
    for (uint64_t i = 0; i < 5; i++) CHECK_INT(stream_nodes_at(nodes, i).first.ms, 2 * i + 1);
    CHECK(dump_all(&loading.value, &second, 1000) == DUMP_DONE);
    CHECK(bytes_equal((struct bytes){first.data, first.len}, (struct bytes){second.data, second.len}));
    load_end(&loading);
    free(first.data);
    free(second.data);
    bury_all();
    end();
}

static void without_memory_everything_is_given_back(void) {
    begin();
    struct value value = make_value(70, 2, 30);
    struct load_options options = options_of_ks(true);
    struct paper paper = {.most = 0};
    CHECK(dump_all(&value, &paper, 1000) == DUMP_DONE);
    enum loaded loaded = LOAD_NO_MEMORY;
    for (long at = 0; loaded != LOAD_DONE; at++) {
        struct bytes input = {paper.data, paper.len};
        struct loading loading;
        fail_at = at;
        load_begin(&loading, &options, type_stream.form(&value), RDB_VERSION_WRITTEN);
        loaded = load_more(&loading, &input);
        bool failed = fail_at < 0;
        fail_at = -1;
        /* The account of nodes does without what it cannot have. */
        CHECK(loaded == LOAD_DONE || (failed && loaded == LOAD_NO_MEMORY));
        load_end(&loading);
        bury_all();
        if (loaded == LOAD_DONE && failed) loaded = LOAD_NO_MEMORY;
    }
    free(paper.data);
    value_release(&value, &ks->dead);
    bury_all();
    end();
}

static enum loaded load(unsigned type, struct bytes input, struct loading *loading) {
    static struct load_options options;
    options = options_of_ks(true);
    load_begin(loading, &options, type, RDB_VERSION_WRITTEN);
    return load_more(loading, &input);
}

#define ID   "\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6"
#define TIME "\1\0\0\0\0\0\0\0"

static void names_that_are_there_are_refused(void) {
    static const struct {
        struct bytes value;
        enum loaded loaded;
    } cases[] = {
        {BYTES_INIT("\0\0\0\0\2\1g\0\0\0\0\1h\0\0\0\0"), LOAD_DONE},
        {BYTES_INIT("\0\0\0\0\2\1g\0\0\0\0\1g\0\0\0\0"), LOAD_CORRUPT},
        {BYTES_INIT("\0\0\0\0\1\1g\0\0\0\2\1c" TIME "\0\1d" TIME "\0"), LOAD_DONE},
        {BYTES_INIT("\0\0\0\0\1\1g\0\0\0\2\1c" TIME "\0\1c" TIME "\0"), LOAD_CORRUPT},
        {BYTES_INIT("\0\0\0\0\1\1g\0\0\1" ID TIME "\7\1\1c" TIME "\1" ID), LOAD_DONE},
        {BYTES_INIT("\0\0\0\0\1\1g\0\0\1" ID TIME "\7\0"), LOAD_CORRUPT},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct loading loading;
        CHECK_INT(load(RDB_TYPE_STREAM, cases[i].value, &loading), cases[i].loaded);
        load_end(&loading);
        bury_all();
    }
    end();
}

/* Streams from before it was counted: what Redis 7 reckons. */
static void what_old_streams_do_not_say_is_reckoned(void) {
    struct loading loading;
    begin();
    CHECK(load(RDB_TYPE_STREAM, BYTES("\0\0\5\6\1\1g\5\6\0\0"), &loading) == LOAD_DONE);
    const struct stream *stream = stream_at(&loading.value);
    CHECK(stream->last.ms == 5 && stream->last.sequence == 6);
    CHECK_INT(stream_group_at(&stream->groups, 0)->read, 0);
    load_end(&loading);
    bury_all();
    end();
}

int main(void) {
    seed = check_seed();
    RUN(pieces_make_the_same);
    RUN(nodes_keep_their_numbers);
    RUN(without_memory_everything_is_given_back);
    RUN(names_that_are_there_are_refused);
    RUN(what_old_streams_do_not_say_is_reckoned);
    return 0;
}
