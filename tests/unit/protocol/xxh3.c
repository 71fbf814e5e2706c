/* XXH3 against the reference implementation (libxxhash 0.8.1), in each of its ways and at their edges. */
#include "protocol/xxh3.h"

#include <stdlib.h>

#include "tests/check.h"

enum { MOST = 10000 };

static void hashes_are_those_of_the_reference(void) {
    static const struct {
        size_t len;
        uint64_t hash;
    } table[] = {
        {0, 0x2d06800538d394c2},    {1, 0x13e608bc156defed},    {3, 0xa9088dda485b481c},
        {4, 0x6d9253b16c8b1ed3},    {8, 0x60539db630471163},    {9, 0xfeff668361d723a8},
        {16, 0xb8c859b0f030b585},   {17, 0x714a04408e79b80f},   {32, 0x19ff4ee1d6ba1a55},
        {33, 0x3e44983ad21679c8},   {64, 0x287eb1fa9e4be2c1},   {65, 0x829218de4d798646},
        {96, 0xf084e7cfbc624743},   {97, 0x1daa83271a8e7b7c},   {128, 0x67425a03650261bf},
        {129, 0xc664bf3311c6abc4},  {144, 0x606a17fa700bb932},  {240, 0x64556dc6b462a6cf},
        {241, 0x8beadd3a8874fe17},  {256, 0x3c38817f6d79c0da},  {1024, 0x9b81661c641c72b1},
        {1025, 0x806c2072ed713576}, {4096, 0xd7428746842be37e}, {10000, 0xfcd0ecba1a48462d},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = table[i].len;
        char *text = malloc(len + 1); /* of its length, so that a sanitizer sees every byte beyond */
        CHECK(text && len <= MOST);
        for (size_t j = 0; j < len; j++) text[j] = (char)(j * 7 + 3);
        CHECK_INT(xxh3((struct bytes){text, len}), table[i].hash);
        free(text);
    }
}

/* A bit more or less anywhere is another hash. */
static void each_bit_counts(void) {
    static const size_t lens[] = {1, 3, 7, 12, 16, 20, 100, 128, 200, 240, 300, 1100};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        char text[1100] = {0};
        struct bytes bytes = {text, lens[i]};
        uint64_t before = xxh3(bytes);
        for (size_t bit = 0; bit < lens[i] * 8; bit++) {
            text[bit / 8] = (char)(1 << bit % 8);
            CHECK(xxh3(bytes) != before);
            text[bit / 8] = 0;
        }
        CHECK(xxh3(bytes) == before);
    }
}

int main(void) {
    RUN(hashes_are_those_of_the_reference);
    RUN(each_bit_counts);
    return 0;
}
