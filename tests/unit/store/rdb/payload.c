/* Envelopes: what redis-server 7.0 made of a key, and everything that may be wrong with one. */
#include "store/rdb/payload.h"

#include "store/rdb/crc64.h"
#include "tests/check.h"

/* SET key hello; DUMP key */
static const struct bytes hello = BYTES_INIT("\0\5hello\n\0cr\xdfve4 \n");

static struct bytes close(char *at, struct bytes body, unsigned version) {
    memcpy(at, body.data, body.len);
    payload_close(at + body.len, crc64(0, body), version);
    return (struct bytes){at, body.len + PAYLOAD_FOOTER};
}

static void what_redis_dumps_is_opened(void) {
    struct payload payload;
    char at[64];
    CHECK(payload_open(hello, PAYLOAD_CHECKED, &payload));
    CHECK_INT(payload.type, 0);
    CHECK_INT(payload.version, 10);
    CHECK_BYTES(payload.value, BYTES("\5hello"));
    CHECK_BYTES(close(at, BYTES("\0\5hello"), 10), hello);
}

static void a_changed_byte_is_noticed(void) {
    struct payload payload;
    char at[64];
    for (size_t i = 0; i < hello.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(at, hello.data, hello.len);
            at[i] = (char)(at[i] ^ 1 << bit);
            CHECK(!payload_open((struct bytes){at, hello.len}, PAYLOAD_CHECKED, &payload));
        }
        CHECK(!payload_open((struct bytes){hello.data, i}, PAYLOAD_CHECKED, &payload));
    }
}

static void versions_are_those_that_are_read(void) {
    struct payload payload;
    char at[64];
    for (unsigned version = 0; version < 300; version++) {
        bool known = version <= 14 || version == 80;
        CHECK(payload_open(close(at, BYTES("\0\5hello"), version), PAYLOAD_CHECKED, &payload) == known);
    }
}

static void a_footer_alone_has_no_type(void) {
    struct payload payload;
    char at[64];
    CHECK(payload_open(close(at, BYTES(""), 10), PAYLOAD_CHECKED, &payload));
    CHECK_INT(payload.type, 255);
    CHECK_INT(payload.value.len, 0);
}

int main(void) {
    RUN(what_redis_dumps_is_opened);
    RUN(a_changed_byte_is_noticed);
    RUN(versions_are_those_that_are_read);
    RUN(a_footer_alone_has_no_type);
    return 0;
}
