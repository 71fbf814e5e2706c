/* The bounded buffer: never over its maximum, and unchanged by what it refuses. */
#include "protocol/buffer.h"

#include <stdint.h>

#include "tests/check.h"

/* Lets an absurd malloc fail under AddressSanitizer too, as it does without. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

static void an_empty_buffer_owns_nothing(void) {
    struct buffer b = {0};
    CHECK(buffer_reserve(&b, 0, 0));
    CHECK(buffer_append(&b, (struct bytes){NULL, 0}, 0));
    buffer_consume(&b, 0);
    CHECK(b.data == NULL && b.capacity == 0);
    buffer_free(&b);
}

static void bytes_come_back_in_order(void) {
    struct buffer b = {0};
    char expected[5000];
    for (size_t i = 0; i < sizeof expected; i++) {
        expected[i] = (char)(i * 7);
        CHECK(buffer_append(&b, (struct bytes){&expected[i], 1}, sizeof expected));
    }
    CHECK_BYTES(buffer_bytes(&b), ((struct bytes){expected, sizeof expected}));
    CHECK_INT(b.capacity, sizeof expected); /* the last doubling stops at the maximum */
    buffer_consume(&b, 1234);
    CHECK_BYTES(buffer_bytes(&b), ((struct bytes){expected + 1234, sizeof expected - 1234}));
    buffer_consume(&b, b.len);
    CHECK_INT(b.len, 0);
    buffer_free(&b);
    CHECK(b.data == NULL && b.len == 0 && b.capacity == 0);
}

static void the_maximum_holds_to_the_byte(void) {
    struct buffer b = {0};
    CHECK(!buffer_append(&b, BYTES("abcd"), 3));
    CHECK(b.data == NULL);
    CHECK(buffer_append(&b, BYTES("abc"), 3));
    CHECK_INT(b.capacity, 3);
    CHECK(!buffer_append(&b, BYTES("d"), 3));
    CHECK(!buffer_reserve(&b, 1, 3));
    CHECK(!buffer_reserve(&b, 0, 2)); /* already over a smaller maximum */
    CHECK_BYTES(buffer_bytes(&b), BYTES("abc"));
    buffer_free(&b);
}

static void absurd_sizes_fail_without_harm(void) {
    struct buffer b = {0};
    CHECK(buffer_append(&b, BYTES("abc"), SIZE_MAX));
    CHECK(!buffer_reserve(&b, SIZE_MAX, SIZE_MAX));     /* the sum overflows */
    CHECK(!buffer_reserve(&b, SIZE_MAX - 3, SIZE_MAX)); /* no such memory */
    CHECK_BYTES(buffer_bytes(&b), BYTES("abc"));
    buffer_free(&b);
}

int main(void) {
    RUN(an_empty_buffer_owns_nothing);
    RUN(bytes_come_back_in_order);
    RUN(the_maximum_holds_to_the_byte);
    RUN(absurd_sizes_fail_without_harm);
    return 0;
}
