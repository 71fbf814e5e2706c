/* digest.c - digests of parts, in order or in any. */
#include "store/values/digest.h"

void digest_join(struct digest *digest, struct bytes part) {
    unsigned char hash[SHA1_LEN];
    sha1(part, hash);
    for (unsigned i = 0; i < SHA1_LEN; i++) digest->bytes[i] ^= hash[i];
}

void digest_mix(struct digest *digest, struct bytes part) {
    digest_join(digest, part);
    sha1(digest_bytes(digest), digest->bytes);
}

void digest_mix_number(struct digest *digest, uint32_t number) {
    char big_endian[4] = {(char)(number >> 24), (char)(number >> 16), (char)(number >> 8), (char)number};
    digest_mix(digest, (struct bytes){big_endian, sizeof big_endian});
}
