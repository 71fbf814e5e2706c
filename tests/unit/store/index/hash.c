/* hash.c - the hash of keys: every byte and the length count, and all bit ranges that others use are even. */
#include "store/values/hash.h"

#include "tests/check.h"

static const struct hash_seed seed = {
    {0x9ddfea08eb382d69, 0x2545f4914f6cdd1d, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9}};

enum { LEN_MAX = 100 };

/* Exactly `len` bytes on the heap, so that a read beyond them is seen by the address sanitizer. */
static char *filled(size_t len, char with) {
    char *bytes = malloc(len ? len : 1);
    CHECK(bytes);
    memset(bytes, with, len);
    return bytes;
}

static void every_bit_of_every_length_matters(void) {
    for (size_t len = 0; len <= LEN_MAX; len++) {
        char *bytes = filled(len, 'x');
        uint64_t plain = hash_bytes(&seed, (struct bytes){bytes, len});
        CHECK(plain == hash_bytes(&seed, (struct bytes){bytes, len}));
        for (size_t bit = 0; bit < len * 8; bit++) {
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            CHECK(hash_bytes(&seed, (struct bytes){bytes, len}) != plain);
            bytes[bit / 8] ^= (char)(1 << bit % 8);
        }
        free(bytes);
    }
}

static void lengths_of_equal_bytes_differ(void) {
    char *zeroes = filled(LEN_MAX, 0);
    for (size_t a = 0; a <= LEN_MAX; a++)
        for (size_t b = 0; b < a; b++)
            CHECK(hash_bytes(&seed, (struct bytes){zeroes, a}) !=
                  hash_bytes(&seed, (struct bytes){zeroes, b}));
    free(zeroes);
}

static void every_word_of_the_seed_matters(void) {
    for (size_t len = 0; len <= LEN_MAX; len++) {
        char *bytes = filled(len, 'k');
        uint64_t plain = hash_bytes(&seed, (struct bytes){bytes, len});
        for (unsigned word = 0; word < 4; word++) {
            if (len == 0 && (word == 1 || word == 2)) continue; /* these mask the bytes */
            struct hash_seed other = seed;
            other.words[word] ^= 1ull << (len % 64);
            CHECK(hash_bytes(&other, (struct bytes){bytes, len}) != plain);
        }
        free(bytes);
    }
}

/* Chi-squared of 256 equal cells: mean 255, standard deviation 22.6. */
static double spread(unsigned shift, const char *prefix, int width) {
    enum { KEYS = 200000 };
    static unsigned cells[256];
    memset(cells, 0, sizeof cells);
    for (int i = 0; i < KEYS; i++) {
        char key[64];
        int len = snprintf(key, sizeof key, "%s%0*d", prefix, width, i);
        cells[hash_bytes(&seed, (struct bytes){key, (size_t)len}) >> shift & 255]++;
    }
    double chi = 0, mean = KEYS / 256.0;
    for (int i = 0; i < 256; i++) chi += ((double)cells[i] - mean) * ((double)cells[i] - mean) / mean;
    return chi;
}

static void counting_keys_spread_evenly_over_buckets_tags_and_stripes(void) {
    static const unsigned shifts[] = {0, 8, 16, 40, HASH_TAG_SHIFT, HASH_STRIPE_SHIFT};
    static const char *const prefixes[] = {"", "key:", "a rather long prefix of more than 16 bytes:"};
    for (size_t s = 0; s < sizeof shifts / sizeof *shifts; s++)
        for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
            double chi = spread(shifts[s], prefixes[p], p == 1 ? 12 : 1);
            CHECK(chi > 255 - 6 * 22.6 && chi < 255 + 6 * 22.6);
        }
}

int main(void) {
    RUN(every_bit_of_every_length_matters);
    RUN(lengths_of_equal_bytes_differ);
    RUN(every_word_of_the_seed_matters);
    RUN(counting_keys_spread_evenly_over_buckets_tags_and_stripes);
    return 0;
}
