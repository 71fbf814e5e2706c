/* Lengths and integers of RDB files: the bytes that Redis writes, and what is read back, whole or cut off. */
#include "store/rdb/rdb.h"

#include "tests/check.h"

static void lengths_are_written_as_redis_does(void) {
    static const struct {
        uint64_t len;
        struct bytes bytes;
    } cases[] = {
        {0, BYTES_INIT("\0")},
        {63, BYTES_INIT("\x3f")},
        {64, BYTES_INIT("\x40\x40")},
        {16383, BYTES_INIT("\x7f\xff")},
        {16384, BYTES_INIT("\x80\0\0\x40\0")},
        {UINT32_MAX, BYTES_INIT("\x80\xff\xff\xff\xff")},
        {1ull << 32, BYTES_INIT("\x81\0\0\0\1\0\0\0\0")},
        {UINT64_MAX, BYTES_INIT("\x81\xff\xff\xff\xff\xff\xff\xff\xff")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char at[RDB_LEN_MAX];
        struct bytes written = {at, rdb_put_len(at, cases[i].len)}, rest = written;
        uint64_t len = 1;
        int64_t number;
        CHECK_BYTES(written, cases[i].bytes);
        CHECK(rdb_take(&rest, &len, &number) == RDB_LEN && len == cases[i].len && rest.len == 0);
        for (size_t cut = 0; cut < written.len; cut++) {
            rest = (struct bytes){at, cut};
            CHECK(rdb_take(&rest, &len, &number) == RDB_SHORT && rest.data == at && rest.len == cut);
        }
    }
}

static void integers_are_written_as_redis_does(void) {
    static const struct {
        int64_t number;
        struct bytes bytes;
    } cases[] = {
        {0, BYTES_INIT("\xc0\0")},
        {127, BYTES_INIT("\xc0\x7f")},
        {-128, BYTES_INIT("\xc0\x80")},
        {128, BYTES_INIT("\xc1\x80\0")},
        {-32768, BYTES_INIT("\xc1\0\x80")},
        {-32769, BYTES_INIT("\xc2\xff\x7f\xff\xff")},
        {INT32_MAX, BYTES_INIT("\xc2\xff\xff\xff\x7f")},
        {(int64_t)INT32_MAX + 1, BYTES_INIT("")},
        {INT64_MIN, BYTES_INIT("")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char at[RDB_INT_MAX];
        struct bytes written = {at, rdb_put_int(at, cases[i].number)}, rest = written;
        uint64_t len;
        int64_t number = 1;
        CHECK_BYTES(written, cases[i].bytes);
        if (written.len == 0) continue;
        CHECK(rdb_take(&rest, &len, &number) == RDB_INT && number == cases[i].number && rest.len == 0);
        rest = (struct bytes){at, written.len - 1};
        CHECK(rdb_take(&rest, &len, &number) == RDB_SHORT && rest.len == written.len - 1);
    }
}

/* Of all bytes that something may begin with, and nothing behind it. */
static void every_first_byte_means_something_or_is_refused(void) {
    unsigned counts[RDB_CORRUPT + 1] = {0};
    for (int first = 0; first < 256; first++) {
        char at[RDB_LEN_MAX] = {(char)first};
        struct bytes input = {at, sizeof at};
        uint64_t len;
        int64_t number;
        enum rdb_taken taken = rdb_take(&input, &len, &number);
        counts[taken]++;
        CHECK((taken == RDB_CORRUPT) == (input.len == sizeof at));
    }
    CHECK_INT(counts[RDB_SHORT], 0);
    CHECK_INT(counts[RDB_LEN], 128 + 2);
    CHECK_INT(counts[RDB_INT], 3);
    CHECK_INT(counts[RDB_COMPRESSED], 1);
}

int main(void) {
    RUN(lengths_are_written_as_redis_does);
    RUN(integers_are_written_as_redis_does);
    RUN(every_first_byte_means_something_or_is_refused);
    return 0;
}
