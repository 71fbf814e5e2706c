/* SHA-1 against the examples of FIPS 180, and at every length around the ends of blocks. */
#include "protocol/sha1.h"

#include "tests/check.h"

static const char *hex_of(struct bytes bytes) {
    static char text[2 * SHA1_LEN + 1];
    unsigned char hash[SHA1_LEN];
    sha1(bytes, hash);
    for (int i = 0; i < SHA1_LEN; i++) snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return text;
}
static void check(struct bytes bytes, const char *expected) {
    CHECK_BYTES(bytes_of(hex_of(bytes)), bytes_of(expected));
}

static void known_messages_have_known_hashes(void) {
    static char million[1000000];
    memset(million, 'a', sizeof million);
    check(BYTES(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check((struct bytes){NULL, 0}, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    check(BYTES("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    check(BYTES("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    check((struct bytes){million, sizeof million}, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

/* The hash of the hashes of 0 to 199 bytes, as sha1sum says. */
static void every_length_is_padded_as_it_must_be(void) {
    enum { LENGTHS = 200 };
    static unsigned char hashes[LENGTHS][SHA1_LEN];
    char bytes[LENGTHS];
    for (int i = 0; i < LENGTHS; i++) bytes[i] = (char)i;
    for (size_t len = 0; len < LENGTHS; len++) sha1((struct bytes){bytes, len}, hashes[len]);
    check((struct bytes){(char *)hashes, sizeof hashes}, "ab05664693b2d32b84dd4616c5284c285cc0684a");
}

int main(void) {
    RUN(known_messages_have_known_hashes);
    RUN(every_length_is_padded_as_it_must_be);
    return 0;
}
