/* digest.c - digests of values, of entries, and of all entries of a database. */
#include "store/digest.h"

#include "protocol/assert.h"

static struct bytes bytes_of_digest(const struct digest *digest) {
    return (struct bytes){(const char *)digest->bytes, sizeof digest->bytes};
}

void digest_join(struct digest *digest, struct bytes part) {
    unsigned char hash[SHA1_LEN];
    sha1(part, hash);
    for (unsigned i = 0; i < SHA1_LEN; i++) digest->bytes[i] ^= hash[i];
}

void digest_mix(struct digest *digest, struct bytes part) {
    digest_join(digest, part);
    sha1(bytes_of_digest(digest), digest->bytes);
}

void digest_mix_number(struct digest *digest, uint32_t number) {
    char big_endian[4] = {(char)(number >> 24), (char)(number >> 16), (char)(number >> 8), (char)number};
    digest_mix(digest, (struct bytes){big_endian, sizeof big_endian});
}

void digest_entry(struct digest *digest, const struct entry *e) {
    char scratch[NUMBER_I64_MAX_LEN];
    assert(entry_type(e) == TYPE_STRING);
    digest_mix_number(digest, entry_type(e));
    digest_mix(digest, entry_string(e, scratch));
    if (entry_expiry(e)) digest_join(digest, BYTES("!!expire!!"));
}

static void join_entry(void *context, struct entry *e) {
    struct digest digest = {{0}};
    digest_mix(&digest, entry_key(e));
    digest_entry(&digest, e);
    digest_join(context, bytes_of_digest(&digest));
}

void keyspace_digest(struct digest *digest, const struct keyspace *ks, unsigned db) {
    uint64_t cursor = 0;
    assert(db < ks->databases);
    do {
        cursor = keyspace_scan(ks, db, cursor, join_entry, digest);
    } while (cursor);
}
