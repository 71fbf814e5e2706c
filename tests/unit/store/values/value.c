/* What strings are made from, and the references of values. */
#include "store/values/value.h"

#include "store/values/object.h"
#include "tests/check.h"

static void integers_are_recognised_by_their_text(void) {
    static const struct {
        struct bytes text;
        bool number;
        int64_t expected;
    } cases[] = {
        {BYTES_INIT("0"), true, 0},
        {BYTES_INIT("-1"), true, -1},
        {BYTES_INIT("007"), false, 0},
        {BYTES_INIT("+1"), false, 0},
        {BYTES_INIT(" 1"), false, 0},
        {BYTES_INIT("1 "), false, 0},
        {BYTES_INIT(""), false, 0},
        {BYTES_INIT("-0"), false, 0},
        {BYTES_INIT("a"), false, 0},
        {BYTES_INIT("9223372036854775807"), true, INT64_MAX},
        {BYTES_INIT("1\0"), false, 0},
        {BYTES_INIT("-9223372036854775808"), true, INT64_MIN},
        {BYTES_INIT("9223372036854775808"), false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char scratch[NUMBER_I64_MAX_LEN];
        struct value value = value_of_bytes(cases[i].text);
        CHECK(value.type == TYPE_STRING && !value.edited);
        CHECK(value.kind == (cases[i].number ? VALUE_INT : VALUE_INLINE));
        if (cases[i].number) CHECK_INT(value.number, cases[i].expected);
        CHECK_BYTES(value_text(&value, scratch), cases[i].text);
    }
}

static void blocks_and_objects_are_counted(void) {
    struct dead dead = {0};
    struct block *block = block_of(BYTES("bytes"));
    struct object object = {.references = 1};
    struct value bytes = {.kind = VALUE_BLOCK, .block = block},
                 held = {.kind = VALUE_OBJECT, .object = &object}, none = value_of_bytes(BYTES("12"));
    CHECK_BYTES(value_bytes(&bytes), BYTES("bytes"));
    value_retain(&bytes);
    value_retain(&held);
    value_retain(&none);
    CHECK_INT(block->references, 2);
    CHECK_INT(object.references, 2);
    value_release(&none, &dead);
    value_release(&bytes, &dead);
    value_release(&held, &dead);
    CHECK(!block_shared(block) && !object_shared(&object) && dead.count == 0);
    value_release(&held, &dead);
    CHECK(dead.count == 1 && dead.first == &object);
    value_release(&bytes, &dead);
}

int main(void) {
    RUN(integers_are_recognised_by_their_text);
    RUN(blocks_and_objects_are_counted);
    return 0;
}
