/* Digests: of what they depend, and of what they do not. Redis's own are compared in the tests of DEBUG. */
#include "store/digest.h"

#include "tests/check.h"

static const struct hash_seed hash_seed = {{1, 2, 3, 4}};

static struct keyspace *make(void) {
    struct keyspace *ks = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = 2});
    CHECK(ks);
    return ks;
}

static void set(struct keyspace *ks, unsigned db, const char *name, const char *text, int64_t expiry_ms) {
    struct key key = {bytes_of(name), hash_bytes(&hash_seed, bytes_of(name))};
    struct value value = value_of_bytes(bytes_of(text));
    CHECK(keyspace_set(ks, db, key, &value, expiry_ms));
}

static struct digest of(const struct keyspace *ks, const struct keyspace *more) {
    struct digest digest = {{0}};
    keyspace_digest(&digest, ks, 0);
    if (more) keyspace_digest(&digest, more, 0);
    return digest;
}
static bool same(struct digest a, struct digest b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

static void order_and_stripe_do_not_matter(void) {
    enum { COUNT = 1000 };
    struct keyspace *ks = make(), *backwards = make(), *one = make(), *other = make();
    char name[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "k%d", i);
        set(ks, 0, name, name + i % 2, EXPIRY_NONE);
        set(i % 3 ? one : other, 0, name, name + i % 2, EXPIRY_NONE);
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        snprintf(name, sizeof name, "k%d", i);
        set(backwards, 0, name, name + i % 2, EXPIRY_NONE);
    }
    CHECK(same(of(ks, NULL), of(backwards, NULL)));
    CHECK(same(of(ks, NULL), of(one, other)) && same(of(one, other), of(other, one)));
    CHECK(!same(of(ks, NULL), of(one, NULL)));
    set(one, 0, "k1", "other", EXPIRY_NONE);
    CHECK(!same(of(ks, NULL), of(one, other)));
    set(one, 0, "k1", "1", EXPIRY_NONE);
    CHECK(same(of(ks, NULL), of(one, other)));
    keyspace_free(ks);
    keyspace_free(backwards);
    keyspace_free(one);
    keyspace_free(other);
}

static void keys_values_and_whether_they_expire_matter(void) {
    struct keyspace *ks = make(), *other = make();
    set(ks, 0, "k", "12", EXPIRY_NONE);
    set(other, 0, "k", "12", EXPIRY_NONE);
    set(other, 1, "another", "database", EXPIRY_NONE);
    CHECK(same(of(ks, NULL), of(other, NULL)));
    set(other, 0, "k", "12", 5000);
    struct digest expiring = of(other, NULL);
    CHECK(!same(of(ks, NULL), expiring));
    set(other, 0, "k", "12", 6000);
    CHECK(same(of(other, NULL), expiring)); /* whenever it does */
    set(ks, 0, "1", "2k", EXPIRY_NONE);
    set(other, 0, "1", "2k", EXPIRY_NONE);
    set(other, 0, "k", "12", EXPIRY_NONE);
    CHECK(same(of(ks, NULL), of(other, NULL)));
    set(other, 0, "k", "2k", EXPIRY_NONE);
    set(other, 0, "1", "12", EXPIRY_NONE);
    CHECK(!same(of(ks, NULL), of(other, NULL))); /* two values that were swapped */
    keyspace_free(ks);
    keyspace_free(other);
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
    RUN(order_and_stripe_do_not_matter);
    RUN(keys_values_and_whether_they_expire_matter);
    RUN(mixing_minds_the_order_and_joining_does_not);
    return 0;
}
