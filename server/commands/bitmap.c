/* bitmap.c - strings as arrays of bits: single bits, counting, finding, combining. Fields of several bits are
 * in bitfield.c; whatever passes over a whole value is in store/values/bits. */
#include "server/commands/bitmap.h"

#include <stdlib.h>

#include "server/commands/string.h"
#include "server/config/config.h"
#include "store/values/bits.h"

bool bitmap_offset_or_reply(struct call *call, uint32_t arg, unsigned width, uint64_t *offset) {
    struct bytes text = call->argv[arg];
    int64_t number;
    bool times = width > 0 && text.len > 0 && text.data[0] == '#';
    if (times) text = (struct bytes){text.data + 1, text.len - 1};
    bool ok = number_parse_i64(text, &number) && number >= 0 &&
              !__builtin_mul_overflow(number, times ? (int64_t)width : 1, &number) &&
              number >> 3 < config.proto_max_bulk_len;
    if (ok)
        *offset = (uint64_t)number;
    else
        reply_error(call->reply, "ERR bit offset is not an integer or out of range");
    return ok;
}

/* ---- Single bits ---------------------------------------------------------------------------------- */

static void getbit(struct call *call) {
    char scratch[NUMBER_I64_MAX_LEN];
    uint64_t offset;
    if (!bitmap_offset_or_reply(call, 2, 0, &offset)) return;
    struct entry *e = call_read(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    struct bytes bits = e ? entry_string(e, scratch) : BYTES("");
    reply_int(call->reply,
              offset / 8 < bits.len ? (unsigned char)bits.data[offset / 8] >> (7 - offset % 8) & 1 : 0);
}
COMMAND(getbit) = {.name = "getbit",
                   .arity = 3,
                   .flags = CMD_READONLY | CMD_FAST,
                   .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                   .run = getbit,
                   .group = GROUP_BITMAP,
                   .since = "2.2.0",
                   .complexity = "O(1)",
                   .summary = "Returns the bit value at offset in the string value stored at key",
                   .syntax = "<key:key> <offset:integer>"};

static void setbit(struct call *call) {
    uint64_t offset;
    int64_t bit;
    if (!bitmap_offset_or_reply(call, 2, 0, &offset)) return;
    if (!call_int_range_or_reply(
            call, 3, (struct call_range){0, 1, "ERR bit is not an integer or out of range"}, &bit))
        return;
    struct entry *e = call_peek(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    size_t len = e ? entry_string_len(e) : 0, byte = offset / 8;
    bool grows = byte >= len;
    char *data = string_edit_or_reply(call, 1, &e, grows ? byte + 1 : len);
    if (!data) return;
    unsigned char mask = (unsigned char)(0x80 >> offset % 8), old = (unsigned char)data[byte];
    data[byte] = (char)(bit ? old | mask : old & ~mask);
    if (grows || data[byte] != (char)old) call_changed(call, 1, EVENT_SETBIT);
    reply_int(call->reply, (old & mask) != 0);
}
COMMAND(setbit) = {.name = "setbit",
                   .arity = 4,
                   .flags = CMD_WRITE | CMD_DENYOOM,
                   .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)},
                   .run = setbit,
                   .group = GROUP_BITMAP,
                   .since = "2.2.0",
                   .complexity = "O(1)",
                   .summary = "Sets or clears the bit at offset in the string value stored at key",
                   .syntax = "<key:key> <offset:integer> <value:integer>"};

/* ---- Counting and finding ------------------------------------------------------------------------- */

/* Bits first..last of the data, both inclusive and inside it. */
static uint64_t count_bit_range(const char *data, size_t first, size_t last) {
    unsigned before = (unsigned char)data[first / 8] & ~(0xffu >> first % 8);
    unsigned behind = (unsigned char)data[last / 8] & 0x7fu >> last % 8;
    uint64_t count = bits_count((struct bytes){data + first / 8, last / 8 - first / 8 + 1});
    return count - (uint64_t)__builtin_popcount(before) - (uint64_t)__builtin_popcount(behind);
}

/* The place of the first bit with this value among bits first..last of the data, both inclusive; -1 if
 * there is none. */
static int64_t find_bit(const char *data, size_t first, size_t last, bool bit) {
    unsigned char flip = bit ? 0 : 0xff; /* then it is a 1 that is looked for */
    size_t at = first / 8;
    unsigned byte = ((unsigned char)data[at] ^ flip) & 0xffu >> first % 8;
    if (!byte) {
        at = bits_skip(data, at + 1, last / 8 + 1, flip);
        if (at > last / 8) return -1;
        byte = (unsigned char)data[at] ^ flip;
    }
    size_t found = at * 8 + (size_t)__builtin_clz(byte) - 24;
    return found <= last ? (int64_t)found : -1;
}

/* argv[arg], where it is given, says BYTE or BIT. False after replying. */
static bool unit_or_reply(struct call *call, uint32_t arg, bool *in_bits) {
    *in_bits = arg < call->argc && bytes_is(call->argv[arg], "BIT");
    if (arg >= call->argc || *in_bits || bytes_is(call->argv[arg], "BYTE")) return true;
    call_syntax_error(call);
    return false;
}

/* Clamps a range of bytes, or of bits, of a value of len bytes and makes it one of bits. False if nothing is left. */
static bool bit_range(int64_t *start, int64_t *end, size_t len, bool in_bits) {
    if (!string_range(start, end, (int64_t)len * (in_bits ? 8 : 1))) return false;
    if (!in_bits) {
        *start *= 8;
        *end = *end * 8 + 7;
    }
    return true;
}

static void bitcount(struct call *call) {
    char scratch[NUMBER_I64_MAX_LEN];
    int64_t start = 0, end = -1;
    bool in_bits = false;
    struct entry *e = call_read(call, 1);
    if (!e || !call_is_string_or_reply(call, e)) {
        if (!e) reply_int(call->reply, 0); /* whatever the other arguments are, as Redis 7.0 */
        return;
    }
    if (call->argc == 3 || call->argc > 5) {
        call_syntax_error(call);
        return;
    }
    if (call->argc > 3 && (!call_int_or_reply(call, 2, &start) || !call_int_or_reply(call, 3, &end))) return;
    struct bytes bits = entry_string(e, scratch);
    if (start < 0 && end < 0 && start > end) {
        reply_int(call->reply, 0);
        return;
    }
    if (!unit_or_reply(call, 4, &in_bits)) return;
    bool some = bit_range(&start, &end, bits.len, in_bits);
    reply_int(call->reply, some ? (int64_t)count_bit_range(bits.data, (size_t)start, (size_t)end) : 0);
}
COMMAND(bitcount) = {
    .name = "bitcount",
    .arity = -2,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = bitcount,
    .group = GROUP_BITMAP,
    .since = "2.6.0",
    .complexity = "O(N)",
    .summary = "Count set bits in a string",
    .history = "7.0.0: Added the `BYTE|BIT` option.",
    .syntax = "<key:key> [index:{ <start:integer> <end:integer> [index_unit:( BYTE | BIT )@7.0.0] }]"};

static void bitpos(struct call *call) {
    char scratch[NUMBER_I64_MAX_LEN];
    int64_t bit, start = 0, end = -1;
    bool in_bits = false;
    if (!call_int_or_reply(call, 2, &bit)) return;
    if (bit != 0 && bit != 1) {
        reply_error(call->reply, "ERR The bit argument must be 1 or 0.");
        return;
    }
    struct entry *e = call_read(call, 1);
    if (!e || !call_is_string_or_reply(call, e)) {
        if (!e) reply_int(call->reply, bit ? -1 : 0); /* whatever the other arguments are */
        return;
    }
    if (call->argc > 6) {
        call_syntax_error(call);
        return;
    }
    if (call->argc > 3 && !call_int_or_reply(call, 3, &start)) return;
    if (!unit_or_reply(call, 5, &in_bits)) return;
    if (call->argc > 4 && !call_int_or_reply(call, 4, &end)) return;
    struct bytes bits = entry_string(e, scratch);
    int64_t found = -1;
    if (bit_range(&start, &end, bits.len, in_bits)) {
        found = find_bit(bits.data, (size_t)start, (size_t)end, bit);
        /* Without an end, the value goes on in zeroes. */
        if (found < 0 && !bit && call->argc < 5) found = (int64_t)bits.len * 8;
    }
    reply_int(call->reply, found);
}
COMMAND(bitpos) = {.name = "bitpos",
                   .arity = -3,
                   .flags = CMD_READONLY,
                   .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                   .run = bitpos,
                   .group = GROUP_BITMAP,
                   .since = "2.8.7",
                   .complexity = "O(N)",
                   .summary = "Find first bit set or clear in a string",
                   .history = "7.0.0: Added the `BYTE|BIT` option.",
                   .syntax = "<key:key> <bit:integer> [index:{ <start:integer> [end_index:{ <end:integer> "
                             "[index_unit:( BYTE | BIT )@7.0.0] }] }]"};

/* ---- BITOP ---------------------------------------------------------------------------------------- */

enum { OPERATIONS = BITS_NOT + 1 };

static const struct bytes operation_names[OPERATIONS] = {[BITS_AND] = BYTES_INIT("AND"),
                                                         [BITS_OR] = BYTES_INIT("OR"),
                                                         [BITS_XOR] = BYTES_INIT("XOR"),
                                                         [BITS_NOT] = BYTES_INIT("NOT")};

static bool operation_or_reply(struct call *call, enum bits_operation *operation) {
    unsigned i = 0;
    while (i < OPERATIONS && !bytes_equal_nocase(call->argv[1], operation_names[i])) i++;
    if (i == OPERATIONS) {
        call_syntax_error(call);
        return false;
    }
    *operation = (enum bits_operation)i;
    if (*operation != BITS_NOT || call->argc == 4) return true;
    reply_error(call->reply, "ERR BITOP NOT must be called with a single source key.");
    return false;
}

/* Looks all sources up, which also removes the expired ones. False after replying that one is no string. */
static bool longest_source_or_reply(struct call *call, size_t *longest) {
    *longest = 0;
    for (uint32_t i = 3; i < call->argc; i++) {
        struct entry *e = call_read(call, i);
        if (!call_is_string_or_reply(call, e)) return false;
        size_t len = e ? entry_string_len(e) : 0;
        if (len > *longest) *longest = len;
    }
    return true;
}

/* The result, of `len` bytes; NULL without memory. The sources are strings or absent, none of them expired. */
static struct block *bitop_result(struct call *call, enum bits_operation operation, size_t len) {
    uint32_t count = call->argc - 3;
    struct bytes *arrays = malloc(count * sizeof *arrays);
    char(*scratch)[NUMBER_I64_MAX_LEN] = malloc(count * sizeof *scratch);
    struct block *result = arrays && scratch ? block_new_full(len, len) : NULL;
    for (uint32_t i = 0; i < count && result; i++) {
        const struct entry *e = call_peek(call, i + 3);
        arrays[i] = e ? entry_string(e, scratch[i]) : BYTES("");
    }
    if (result) bits_combine(operation, result->data, len, arrays, count);
    free(arrays);
    free(scratch);
    return result;
}

static bool bitop_store_or_reply(struct call *call, enum bits_operation operation, size_t len, bool creates) {
    struct keyspace *ks = call_keyspace(call, 2);
    struct value value = {.kind = VALUE_BLOCK, .block = bitop_result(call, operation, len)};
    struct entry *e = NULL;
    if (value.block) {
        e = keyspace_set(ks, call->db, call_key(call, 2), &value, EXPIRY_NONE);
        block_release(value.block);
    }
    if (!e) {
        call_out_of_memory(call);
        return false;
    }
    /* "raw", as all that was edited. The length stays, so this needs no memory. */
    keyspace_edit(ks, call->db, &e, len);
    call_touch(call, e);
    if (creates) call_created(call, 2);
    call_changed(call, 2, EVENT_SET);
    return true;
}

static void bitop(struct call *call) {
    enum bits_operation operation;
    size_t len;
    if (!operation_or_reply(call, &operation) || !longest_source_or_reply(call, &len)) return;
    struct entry *target = call_peek(call, 2);
    if (len > 0) {
        if (!bitop_store_or_reply(call, operation, len, !target)) return;
    } else if (target) {
        keyspace_delete_entry(call_keyspace(call, 2), call->db, call_key(call, 2), target);
        call_deleted(call, 2);
    }
    reply_int(call->reply, (int64_t)len);
}
COMMAND(bitop) = {.name = "bitop",
                  .arity = -4,
                  .flags = CMD_WRITE | CMD_DENYOOM,
                  .keys = {KEY(2, KEY_OW | KEY_UPDATE), KEYS(3, -1, 1, KEY_RO | KEY_ACCESS)},
                  .run = bitop,
                  .group = GROUP_BITMAP,
                  .since = "2.6.0",
                  .complexity = "O(N)",
                  .summary = "Perform bitwise operations between strings",
                  .syntax = "<operation> <destkey:key> <key:key>..."};
