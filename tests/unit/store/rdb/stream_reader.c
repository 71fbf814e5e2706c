/* Streams by hand: read whole and in pieces, cut off everywhere, and wrong in each way that a part can be. */
#include "store/memory/memory.h"
#include "tests/rdb_model.h"

static unsigned memory_left = UINT32_MAX; /* allocations that succeed from now on */

void *memory_resize(void *old, size_t size) {
    if (memory_left == 0) return NULL;
    memory_left -= memory_left != UINT32_MAX;
    return realloc(old, size);
}

/* A node that begins with 5-6: 5-6 {f v}, 5-7 deleted, 6-0 {g w}. Every element is a byte, or a byte before a text. */
#define KEY "\x10\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6"
#define MASTER                                                                                               \
    "\2\1\1\1\1\1\x81"                                                                                       \
    "f\2\0\1"
#define ENTRY                                                                                                \
    "\2\1\0\1\0\1\x81"                                                                                       \
    "v\2\4\1"
#define GONE                                                                                                 \
    "\3\1\0\1\1\1\x81"                                                                                       \
    "x\2\4\1"
#define OTHER                                                                                                \
    "\0\1\1\1\xdf\xfa\2\1\1\x81"                                                                             \
    "g\2\x81"                                                                                                \
    "w\2\6\1"
#define HEAD     "\x39\0\0\0\x16\0"
#define NODE     "\x39" HEAD MASTER ENTRY GONE OTHER "\xff"
#define ID       "\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\7"
#define TIME     "\x39\5\0\0\0\0\0\0" /* 1337 */
#define GROUP    "\1\1g\5\7\3\1" ID TIME "\4\1\1c" TIME
#define STATE    "\2\6\0\5\6\5\7\3"
#define OTHER_ID "\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\x8"
/* Two are pending, the one for nobody; no producers. */
#define RELEASING                                                                                            \
    "\1\1g\5\7\3\2" ID TIME "\4" OTHER_ID TIME "\1"                                                          \
    "\1\1c" TIME TIME "\1" ID "\1" OTHER_ID
#define PRODUCERS "\x40\x64\x40\x64\0\0\0"

static const struct sample {
    unsigned type;
    struct bytes value;
    struct bytes text;
} samples[] = {
    {RDB_TYPE_STREAM, BYTES_INIT("\0\0\0\0\0"), BYTES_INIT("stream\n  state 0-0 1 0 0-0 0 0 0\n")},
    {RDB_TYPE_STREAM_2, BYTES_INIT("\1" KEY NODE STATE "\0"),
     BYTES_INIT("stream\n  entry 5-6 \"f\" \"v\"\n  entry 6-0 \"g\" \"w\"\n  state 6-0 0 3 5-7 0 0 0\n")},
    {RDB_TYPE_STREAM_2, BYTES_INIT("\0\0\6\0\0\0\0\0\0" GROUP "\1" ID),
     BYTES_INIT("stream\n  state 6-0 0 0 0-0 0 0 0\n  group 5-7 \"g\" 0 0 0-0 3 0 0\n"
                "  consumer 0-0 \"c\" 0 0 0-0 0 1337 0\n  pending 5-7 0 0 0-0 0 1337 4\n")},
    {RDB_TYPE_STREAM_3, BYTES_INIT("\0\0\6\0\0\0\0\0\0" GROUP TIME "\1" ID),
     BYTES_INIT("stream\n  state 6-0 0 0 0-0 0 0 0\n  group 5-7 \"g\" 0 0 0-0 3 0 0\n"
                "  consumer 0-0 \"c\" 0 0 0-0 0 1337 0\n  pending 5-7 0 0 0-0 0 1337 4\n")},
    {RDB_TYPE_STREAM_4, BYTES_INIT("\0\0\6\0\0\0\0\0\0" GROUP TIME "\1" ID PRODUCERS),
     BYTES_INIT("stream\n  state 6-0 0 0 0-0 0 0 0\n  group 5-7 \"g\" 0 0 0-0 3 0 0\n"
                "  consumer 0-0 \"c\" 0 0 0-0 0 1337 0\n  pending 5-7 0 0 0-0 0 1337 4\n")},
    {RDB_TYPE_STREAM_5, BYTES_INIT("\0\0\6\0\0\0\0\0\0" RELEASING PRODUCERS),
     BYTES_INIT("stream\n  state 6-0 0 0 0-0 0 0 0\n  group 5-7 \"g\" 0 0 0-0 3 0 0\n"
                "  consumer 0-0 \"c\" 0 0 0-0 0 1337 0\n  pending 5-7 0 0 0-0 0 1337 4\n"
                "  released 5-8 0 0 0-0 0 1337 1\n")},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void streams_are_read_in_pieces_of_any_size(void) {
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t piece = 0; piece <= samples[i].value.len; piece++) {
            struct model model;
            CHECK_INT(model_read(&model, samples[i].type, 10, samples[i].value, piece), RDB_READ_DONE);
            struct text text = model_text(&model);
            CHECK_BYTES(text_bytes(&text), samples[i].text);
            CHECK_INT(model.rest, 0);
            free(text.data);
            model_clear(&model);
        }
    }
}

static void what_is_cut_off_is_noticed(void) {
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t len = 0; len < samples[i].value.len; len++) {
            struct model model;
            struct bytes part = {samples[i].value.data, len};
            CHECK_INT(model_read(&model, samples[i].type, 10, part, 0), RDB_READ_CORRUPT);
            model_clear(&model);
            CHECK_INT(model_read(&model, samples[i].type, 10, part, 3), RDB_READ_MORE);
            model_clear(&model);
        }
    }
}

static void without_memory_it_ends(void) {
    for (size_t i = 1; i < SAMPLES; i++) {
        enum rdb_read read = RDB_READ_NO_MEMORY;
        for (unsigned left = 0; read != RDB_READ_DONE; left++) {
            struct model model;
            memory_left = left;
            read = model_read(&model, samples[i].type, 10, samples[i].value, i == 1 ? 5 : 0);
            memory_left = UINT32_MAX;
            CHECK(read == RDB_READ_DONE || read == RDB_READ_NO_MEMORY);
            model_clear(&model);
        }
    }
}

static void check_refused(struct bytes value) {
    struct model model;
    CHECK_INT(model_read(&model, RDB_TYPE_STREAM_2, 10, value, 0), RDB_READ_CORRUPT);
    model_clear(&model);
}

/* A sample with one byte of it changed is none. */
static void check_change(size_t sample, size_t at, char to) {
    char changed[200];
    struct bytes value = samples[sample].value;
    CHECK(at < value.len && value.len < sizeof changed && value.data[at] != to);
    memcpy(changed, value.data, value.len);
    changed[at] = to;
    check_refused((struct bytes){changed, value.len});
}

static void nodes_that_are_wrong_are_refused(void) {
    enum { AT = 1 + 17 + 1 + 6, ENTRIES = AT + 11 };
    check_change(1, 1, 15);     /* a number of 15 bytes */
    check_change(1, AT, 1);     /* fewer entries than there are */
    check_change(1, AT + 2, 2); /* more deleted ones */
    check_change(1, AT + 4, 0); /* no fields, and more than may come */
    check_change(1, AT + 4, 100);
    check_change(1, ENTRIES - 2, 1);      /* no end of the master entry */
    check_change(1, ENTRIES, 6);          /* flags that there are not */
    check_change(1, ENTRIES + 9, 5);      /* another count of elements */
    check_change(1, ENTRIES + 22 + 2, 0); /* 5-0 behind 5-6 */
    check_change(1, ENTRIES + 22 + 7, 0); /* an entry without fields, and one of too many */
    check_change(1, ENTRIES + 22 + 7, 90);
}

/* A thousand entries of twelve bytes that repeat a name. */
static void check_repeated(unsigned name, enum rdb_read expected) {
    enum { ENTRIES = 1000, ENTRY_LEN = 12, NAME_MOST = 5000, ROOM = NAME_MOST + ENTRIES * ENTRY_LEN + 100 };
    static const char master[] = "\xc3\xe8\2\0\1\1\1"; /* so many, none of them deleted, one field */
    static const char state[] = "\x43\xe8\x43\xec\6\5\6\0\0\x43\xe8\0";
    char value[ROOM], *at = value;
    uint32_t bytes = 6 + sizeof master - 1 + 5 + name + 2 + 2 + ENTRIES * ENTRY_LEN + 1;
    struct model model;
    CHECK(name <= NAME_MOST);
    *at++ = 1;
    at = (char *)memcpy(at, KEY, sizeof KEY - 1) + sizeof KEY - 1;
    *at++ = (char)0x80;
    for (unsigned shift = 32; shift > 0; shift -= 8) *at++ = (char)(bytes >> (shift - 8));
    at = (char *)memcpy(at, &bytes, 4) + 4;
    *at++ = (char)0xff, *at++ = (char)0xff; /* how many elements, nobody says */
    at = (char *)memcpy(at, master, sizeof master - 1) + sizeof master - 1;
    *at++ = (char)0xf0;
    at = (char *)memcpy(at, &name, 4) + 4;
    at = (char *)memset(at, 'f', name) + name;
    *at++ = (char)((name + 5) >> 7), *at++ = (char)(((name + 5) & 127) | 128);
    *at++ = 0, *at++ = 1;
    for (unsigned i = 0; i < ENTRIES; i++) {
        char entry[ENTRY_LEN] = {2, 1, (char)(0xc0 | i >> 8), (char)i, 2, 0, 1, (char)0x81, 'v', 2, 4, 1};
        at = (char *)memcpy(at, entry, ENTRY_LEN) + ENTRY_LEN;
    }
    *at++ = (char)0xff;
    at = (char *)memcpy(at, state, sizeof state - 1) + sizeof state - 1;
    CHECK(at <= value + sizeof value);
    CHECK_INT(model_read(&model, RDB_TYPE_STREAM_2, 10, (struct bytes){value, (size_t)(at - value)}, 0),
              expected);
    model_clear(&model);
}

static void many_entries_do_not_repeat_long_names(void) {
    check_repeated(4096, RDB_READ_DONE); /* a stream keeps these once */
    check_repeated(5000, RDB_READ_CORRUPT);
}

static void states_that_are_wrong_are_refused(void) {
    check_change(1, 1 + 17 + 1 + 0x39 + 1, 4);    /* the last number is below an entry's */
    check_refused(BYTES("\0\2\6\0\5\6\5\7\3\0")); /* entries, and no nodes */
    check_refused(BYTES("\2" KEY NODE KEY NODE "\4\6\0\5\6\5\7\3\0")); /* the same ones again */
}

static void groups_that_are_wrong_are_refused(void) {
#define GROUPS "\0\0\6\0\0\0\0\0\0"
    check_refused(BYTES(GROUPS "\1\1g\5\7\3\1" ID TIME "\4\0")); /* pending for nobody */
    check_refused(BYTES(GROUPS GROUP "\0"));
    check_refused(BYTES(GROUPS GROUP "\2" ID ID));                  /* twice */
    check_refused(BYTES(GROUPS "\1\1g\5\7\3\0\1\1c" TIME "\1" ID)); /* not pending at all */
    check_refused(BYTES(GROUPS "\1\1g\5\7\3\2" ID TIME "\4" ID TIME "\4\1\1c" TIME "\1" ID));
    check_refused(
        BYTES(GROUPS "\1\1g\5\7\3\0\1\1c\xff\xff\xff\xff\xff\xff\xff\xff\0")); /* a time that is none */
}

static void what_is_released_is_pending_for_nobody_else(void) {
    static const struct {
        struct bytes value;
        enum rdb_read read;
    } tries[] = {
        {BYTES_INIT(GROUPS "\1\1g\5\7\3\1" ID TIME "\4\0\1" ID PRODUCERS), RDB_READ_DONE},
        {BYTES_INIT(GROUPS "\1\1g\5\7\3\1" ID TIME "\4\0\0" PRODUCERS),
         RDB_READ_CORRUPT}, /* nobody says for whom */
        {BYTES_INIT(GROUPS "\1\1g\5\7\3\1" ID TIME "\4\0\1" OTHER_ID PRODUCERS), RDB_READ_CORRUPT},
        {BYTES_INIT(GROUPS "\1\1g\5\7\3\1" ID TIME "\4\0\2" ID ID PRODUCERS), RDB_READ_CORRUPT},
        {BYTES_INIT(GROUPS GROUP TIME "\1" ID "\1" ID PRODUCERS), RDB_READ_CORRUPT}, /* a consumer has it */
        {BYTES_INIT(GROUPS "\0" PRODUCERS), RDB_READ_DONE},
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x65\x40\x64\0\0\0"),
         RDB_READ_DONE}, /* other limits of producers */
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x64\x40\x64\1\1p\1\1i\5\7\1\0"),
         RDB_READ_DONE}, /* one of them */
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x64\x40\x64\0\1\0"),
         RDB_READ_DONE},
        {BYTES_INIT(GROUPS "\0"
                           "\0\x40\x64\0\0\0"),
         RDB_READ_CORRUPT}, /* limits that cannot be */
        {BYTES_INIT(GROUPS "\0"
                           "\x80\0\1\x51\x81\x40\x64\0\0\0"),
         RDB_READ_CORRUPT},
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x64\0\0\0\0"),
         RDB_READ_CORRUPT},
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x64\x67\x11\0\0\0"),
         RDB_READ_CORRUPT},
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x64\x40\x64\1\0\1\1i\5\7\0\0"),
         RDB_READ_CORRUPT}, /* a producer without a name, or an empty id */
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x64\x40\x64\1\1p\1\0\5\7\0\0"),
         RDB_READ_CORRUPT},
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x64\x40\x64\2\1p\0\1q\2\1i\5\7\1j\5\7\2\3"),
         RDB_READ_DONE},
        {BYTES_INIT(GROUPS "\0"
                           "\x40\x64\x40\x64\2\1p\0"),
         RDB_READ_CORRUPT}, /* cut off */
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct model model;
        CHECK_INT(model_read(&model, RDB_TYPE_STREAM_5, 10, tries[i].value, 0), tries[i].read);
        model_clear(&model);
    }
}

int main(void) {
    RUN(streams_are_read_in_pieces_of_any_size);
    RUN(what_is_cut_off_is_noticed);
    RUN(without_memory_it_ends);
    RUN(nodes_that_are_wrong_are_refused);
    RUN(many_entries_do_not_repeat_long_names);
    RUN(states_that_are_wrong_are_refused);
    RUN(groups_that_are_wrong_are_refused);
    RUN(what_is_released_is_pending_for_nobody_else);
    return 0;
}
