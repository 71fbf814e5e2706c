/* The checksum against its definition, bit by bit, and in parts. */
#include "store/rdb/crc64.h"

#include "tests/check.h"

static uint64_t plainly(struct bytes bytes) {
    uint64_t crc = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned char)bytes.data[i];
        for (unsigned bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x95ac9329ac4bc9b5ull : 0);
    }
    return crc;
}

/* 0xad93d23594c935a9 read from behind. */
static void the_check_value_is_that_of_the_catalogue(void) {
    CHECK(crc64(0, BYTES("123456789")) == 0xe9c6d914c4b8d9caull);
    CHECK(crc64(0, BYTES("")) == 0);
}

static void it_is_what_its_bits_say_in_any_parts(void) {
    unsigned long long seed = check_seed();
    char data[700];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)check_random(&seed);
    for (size_t len = 0; len <= sizeof data; len++) {
        struct bytes whole = {data, len};
        size_t cut = len ? check_random(&seed) % len : 0;
        uint64_t first = crc64(0, (struct bytes){data, cut});
        CHECK(crc64(0, whole) == plainly(whole));
        CHECK(crc64(first, (struct bytes){data + cut, len - cut}) == plainly(whole));
    }
}

int main(void) {
    RUN(the_check_value_is_that_of_the_catalogue);
    RUN(it_is_what_its_bits_say_in_any_parts);
    return 0;
}
