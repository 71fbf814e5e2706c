/* Digests: what minds the order of its parts, and what does not. Redis's own are compared in the tests of DEBUG. */
#include "store/values/digest.h"

#include "tests/check.h"

static bool same(struct digest a, struct digest b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

static void mixing_minds_the_order_and_joining_does_not(void) {
    struct digest ab = {{0}}, ba = {{0}}, joined = {{0}}, backwards = {{0}};
    digest_mix(&ab, BYTES("a"));
    digest_mix(&ab, BYTES("b"));
    digest_mix(&ba, BYTES("b"));
    digest_mix(&ba, BYTES("a"));
    CHECK(!same(ab, ba));
    digest_join(&joined, BYTES("a"));
    digest_join(&joined, BYTES("b"));
    digest_join(&backwards, BYTES("b"));
    CHECK(!same(joined, backwards));
    digest_join(&backwards, BYTES("a"));
    CHECK(same(joined, backwards));
    digest_join(&joined, BYTES("a"));
    digest_join(&joined, BYTES("b"));
    CHECK(same(joined, (struct digest){{0}}));
    struct digest number = {{0}}, bytes = {{0}};
    digest_mix_number(&number, 0x01020304);
    digest_mix(&bytes, BYTES("\1\2\3\4"));
    CHECK(same(number, bytes));
}

int main(void) {
    RUN(mixing_minds_the_order_and_joining_does_not);
    return 0;
}
