/* CRC-32C: of what RFC 3720 gives, and the same by either way and in any pieces. */
#include "server/journal/crc32c.h"

#include "tests/check.h"

static char data[5000];

static void known_checksums(void) {
    char bytes[32];
    CHECK_INT(crc32c(0, BYTES("")), 0);
    CHECK_INT(crc32c(0, BYTES("123456789")), 0xe3069283u);
    memset(bytes, 0, sizeof bytes);
    CHECK_INT(crc32c(0, (struct bytes){bytes, sizeof bytes}), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    CHECK_INT(crc32c(0, (struct bytes){bytes, sizeof bytes}), 0x62a8ab43u);
    for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (char)i;
    CHECK_INT(crc32c(0, (struct bytes){bytes, sizeof bytes}), 0x46dd794eu);
}

static void both_ways_agree_in_any_pieces(void) {
    unsigned long long state = 1;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)check_random(&state);
    for (size_t len = 0; len < sizeof data; len += 1 + len / 7)
        for (size_t at = 0; at <= len; at += 1 + at / 3) {
            uint32_t whole = crc32c(0, (struct bytes){data, len});
            CHECK_INT(crc32c_by_table(0, (struct bytes){data, len}), whole);
            CHECK_INT(crc32c(crc32c(0, (struct bytes){data, at}), (struct bytes){data + at, len - at}),
                      whole);
        }
}

int main(void) {
    RUN(known_checksums);
    RUN(both_ways_agree_in_any_pieces);
    return 0;
}
