/* LZF: what is compressed comes back; what somebody else wrote never leads beyond the buffers. */
#include "store/rdb/lzf.h"

#include <stdlib.h>

#include "tests/check.h"

static unsigned long long seed;
static struct lzf_table table;

static char *exact(struct bytes bytes) {
    char *copy = malloc(bytes.len ? bytes.len : 1);
    CHECK(copy);
    if (bytes.len) memcpy(copy, bytes.data, bytes.len);
    return copy;
}

/* Compresses into exactly what it takes, and into one byte less; returns how many bytes that is. */
static size_t round_trip(struct bytes input) {
    char *in = exact(input), *back = malloc(input.len ? input.len : 1);
    size_t room = input.len + input.len / 32 + 1;
    char *out = malloc(room);
    CHECK(back && out);
    size_t len = lzf_compress(&table, (struct bytes){in, input.len}, out, room);
    CHECK(len <= room && (len > 0) == (input.len > 0));
    char *packed = exact((struct bytes){out, len});
    CHECK(lzf_decompress((struct bytes){packed, len}, back, input.len));
    CHECK_BYTES(((struct bytes){back, input.len}), input);
    if (len > 0) {
        CHECK(lzf_compress(&table, (struct bytes){in, input.len}, packed, len) == len);
        CHECK(lzf_compress(&table, (struct bytes){in, input.len}, packed, len - 1) == 0);
        CHECK(!lzf_decompress((struct bytes){out, len}, back, input.len - 1));
        CHECK(len <= 1 || !lzf_decompress((struct bytes){out, len - 1}, back, input.len));
    }
    free(in), free(out), free(back), free(packed);
    return len;
}

static void what_is_compressed_comes_back(void) {
    static char data[70000];
    for (unsigned i = 0; i < 3000; i++) {
        size_t len = check_random(&seed) % (i % 100 ? 600 : sizeof data);
        unsigned letters = 1 + (unsigned)(check_random(&seed) % (i % 3 ? 3 : 256));
        for (size_t at = 0; at < len; at++) data[at] = (char)(check_random(&seed) % letters);
        round_trip((struct bytes){data, len});
    }
}

static void repetition_shrinks(void) {
    static char data[10000], text[9000];
    CHECK(round_trip((struct bytes){data, sizeof data}) < sizeof data / 80);
    for (size_t i = 0; i < sizeof text; i++) text[i] = "the same words again and again, "[i % 32];
    CHECK(round_trip((struct bytes){text, sizeof text}) < sizeof text / 20);
}

/* As its description has it. */
static void the_format_is_lzf(void) {
    static const struct {
        struct bytes packed, plain;
        bool valid;
    } cases[] = {
        {BYTES_INIT(""), BYTES_INIT(""), true},
        {BYTES_INIT("\2abc"), BYTES_INIT("abc"), true},
        {BYTES_INIT("\0a\x20\0"), BYTES_INIT("aaaa"), true},
        {BYTES_INIT("\2abc\x40\2"), BYTES_INIT("abcabca"), true},
        {BYTES_INIT("\1ab\xe0\1\1"), BYTES_INIT("abababababaB"), false},
        {BYTES_INIT("\1ab\xe0\1\1"), BYTES_INIT("abababababab"), true},
        {BYTES_INIT("\2ab"), BYTES_INIT("abc"), false},
        {BYTES_INIT("\0a\x20\1"), BYTES_INIT("aaaa"), false}, /* from before the beginning */
        {BYTES_INIT("\0a\x20"), BYTES_INIT("aaaa"), false},
        {BYTES_INIT("\0a\xe0\0"), BYTES_INIT("aaaaaaaaaa"), false},
        {BYTES_INIT("\0a\x20\0"), BYTES_INIT("aaa"), false},
        {BYTES_INIT("\0a\x20\0"), BYTES_INIT("aaaaa"), false},
        {BYTES_INIT("\x20\0"), BYTES_INIT("aaa"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *packed = exact(cases[i].packed), *plain = malloc(cases[i].plain.len + 1);
        struct bytes input = {packed, cases[i].packed.len}, made = {plain, cases[i].plain.len};
        CHECK(plain);
        bool done = lzf_decompress(input, plain, cases[i].plain.len);
        CHECK((done && bytes_equal(made, cases[i].plain)) == cases[i].valid);
        free(packed), free(plain);
    }
}

static void no_byte_makes_more_than_the_gain(void) {
    static const char packed[] = "\0a\xe0\xff\0";
    char plain[1 + 264];
    CHECK(lzf_decompress((struct bytes){packed, 5}, plain, sizeof plain));
    CHECK(sizeof plain <= 5 * LZF_GAIN_MAX && 264 <= 3 * LZF_GAIN_MAX);
}

static void nonsense_is_refused_or_decompressed(void) {
    for (unsigned i = 0; i < 100000; i++) {
        char data[40];
        size_t len = check_random(&seed) % sizeof data, plain_len = check_random(&seed) % 300;
        for (size_t at = 0; at < len; at++) data[at] = (char)(check_random(&seed) >> check_random(&seed) % 8);
        char *packed = exact((struct bytes){data, len}), *plain = malloc(plain_len + 1);
        CHECK(plain);
        if (lzf_decompress((struct bytes){packed, len}, plain, plain_len))
            CHECK(plain_len <= len * LZF_GAIN_MAX);
        free(packed), free(plain);
    }
}

/* A byte at a time. Returns how many there are; SIZE_MAX where the input is not right, or has more than `room`. */
static size_t plainly(struct bytes in, char *to, size_t room) {
    const unsigned char *at = (const unsigned char *)in.data, *end = at + in.len;
    size_t made = 0;
    while (at < end) {
        size_t first = *at++, literals = first < 32 ? first + 1 : 0, len = (first >> 5) + 2, distance;
        if (literals > (size_t)(end - at) || literals > room - made) return SIZE_MAX;
        for (; literals > 0; literals--) to[made++] = (char)*at++;
        if (first < 32) continue;
        if (end - at < (first >> 5 == 7 ? 2 : 1)) return SIZE_MAX;
        if (first >> 5 == 7) len += *at++;
        distance = ((first & 31) << 8 | *at++) + 1;
        if (distance > made || len > room - made) return SIZE_MAX;
        for (; len > 0; len--, made++) to[made] = to[made - distance];
    }
    return made;
}

/* Tokens of all kinds, most of them right. Returns how many bytes they take. */
static size_t random_tokens(unsigned char *to, size_t room) {
    size_t at = 0, made = 0, wanted = check_random(&seed) % room;
    while (at < wanted && at + 40 < room) {
        unsigned kind = check_random(&seed) % 16, near = check_random(&seed) % 4 == 0 ? 20 : 8192;
        if (kind < 7 || made == 0) {
            size_t literals = 1 + check_random(&seed) % (kind < 5 ? 4 : 32);
            to[at++] = (unsigned char)(literals - 1);
            for (size_t i = 0; i < literals; i++) to[at++] = (unsigned char)check_random(&seed);
            made += literals;
            continue;
        }
        size_t most = made < near ? made : near, distance = check_random(&seed) % most;
        if (check_random(&seed) % 2000 == 0) distance = 8191; /* from before the beginning, maybe */
        size_t len = kind < 15 ? 1 + check_random(&seed) % 6 : 7;
        to[at++] = (unsigned char)(len << 5 | distance >> 8);
        if (len == 7) len += to[at++] = (unsigned char)check_random(&seed);
        to[at++] = (unsigned char)distance;
        made += len + 2;
    }
    return at;
}

static void it_makes_what_a_plain_decoder_makes(void) {
    static unsigned char tokens[3000];
    static char plain[64 << 10];
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = random_tokens(tokens, 1 + check_random(&seed) % sizeof tokens);
        if (len && check_random(&seed) % 8 == 0) len -= 1 + check_random(&seed) % (len < 40 ? len : 40);
        struct bytes input = {exact((struct bytes){(char *)tokens, len}), len};
        size_t wanted = plainly(input, plain, sizeof plain);
        size_t room = wanted == SIZE_MAX ? 100 : wanted - (wanted > 0 && i % 5 == 0) + (i % 5 == 1);
        char *made = malloc(room ? room : 1);
        CHECK(made);
        CHECK(lzf_decompress(input, made, room) == (room == wanted));
        if (room == wanted) CHECK_BYTES(((struct bytes){made, room}), ((struct bytes){plain, room}));
        free((char *)input.data), free(made);
    }
}

int main(void) {
    seed = check_seed();
    RUN(what_is_compressed_comes_back);
    RUN(repetition_shrinks);
    RUN(the_format_is_lzf);
    RUN(no_byte_makes_more_than_the_gain);
    RUN(it_makes_what_a_plain_decoder_makes);
    RUN(nonsense_is_refused_or_decompressed);
    return 0;
}
