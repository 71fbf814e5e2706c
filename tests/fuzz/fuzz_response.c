/* fuzz_response.c - the reply parser: sizes that are consistent, and a walk that stays inside what was measured. */
#include "fuzz.h"

#include "protocol/response.h"
#include "tests/check.h"

enum { MAX_BULK = 4096 };

static void visit(void *context, const struct response_item *item) {
    const struct bytes *reply = context;
    CHECK(item->depth <= RESPONSE_MAX_DEPTH);
    if (item->text.len == 0) return;
    CHECK(item->text.data >= reply->data && item->text.data + item->text.len <= reply->data + reply->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes rest = {(const char *)data, size};
    size_t used;
    while (response_size(rest.data, rest.len, MAX_BULK, &used) == RESPONSE_READY) {
        struct bytes reply = {rest.data, used};
        CHECK(used > 0 && used <= rest.len);
        size_t again = 0;
        CHECK(response_size(reply.data, used, MAX_BULK, &again) == RESPONSE_READY && again == used);
        CHECK(response_size(reply.data, used - 1, MAX_BULK, &again) == RESPONSE_MORE);
        response_walk(reply.data, reply.len, visit, &reply);
        rest.data += used, rest.len -= used;
    }
    return 0;
}
