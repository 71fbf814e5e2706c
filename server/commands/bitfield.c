/* bitfield.c - BITFIELD: integers of any width from 1 to 64 bits at any bit of a string.
 *
 * All operations are parsed before the first one runs, so a request with an error in it changes nothing. A
 * field is read and written through a 128-bit integer that holds the at most nine bytes which it touches. */
#include <stdlib.h>

#include "server/commands/bitmap.h"
#include "server/commands/string.h"

enum field_action { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SATURATE, OVERFLOW_FAIL };

struct field { /* one operation */
    enum field_action action;
    enum field_overflow overflow;
    bool is_signed;
    unsigned width;  /* bits: 1..64, or 63 if unsigned */
    uint64_t offset; /* of its highest bit */
    int64_t operand; /* of SET and INCRBY */
};

struct field_list {
    struct field *fields; /* malloc'd */
    uint32_t count;
    bool writes;
    uint64_t last_bit; /* that is written */
};

/* ---- Bits ----------------------------------------------------------------------------------------- */

/* The field's bytes as one number, zero where the string has ended; the field's bits are its `*below`th and up. */
static unsigned __int128 load_bytes(struct bytes bits, const struct field *f, unsigned *bytes,
                                    unsigned *below) {
    unsigned __int128 number = 0;
    size_t first = f->offset / 8;
    *bytes = (unsigned)(f->offset % 8 + f->width + 7) / 8;
    *below = *bytes * 8 - (unsigned)(f->offset % 8) - f->width;
    for (unsigned i = 0; i < *bytes; i++)
        number = number << 8 | (first + i < bits.len ? (unsigned char)bits.data[first + i] : 0);
    return number;
}

static uint64_t field_mask(const struct field *f) {
    return UINT64_MAX >> (64 - f->width);
}

/* The value as a number that any field's value fits. */
static __int128 field_load(struct bytes bits, const struct field *f) {
    unsigned bytes, below;
    unsigned __int128 number = load_bytes(bits, f, &bytes, &below);
    uint64_t value = (uint64_t)(number >> below) & field_mask(f);
    bool negative = f->is_signed && value >> (f->width - 1);
    return (__int128)value - (negative ? (__int128)1 << f->width : 0);
}

/* All its bytes are inside the data. */
static void field_store(char *data, size_t len, const struct field *f, __int128 value) {
    unsigned bytes, below;
    unsigned __int128 number = load_bytes((struct bytes){data, len}, f, &bytes, &below);
    unsigned __int128 mask = field_mask(f);
    number = (number & ~(mask << below)) | ((unsigned __int128)value & mask) << below;
    for (unsigned i = bytes; i-- > 0; number >>= 8) data[f->offset / 8 + i] = (char)(unsigned char)number;
}

/* Brings a value that the field cannot hold to one that it can, as OVERFLOW says. False: FAIL. */
static bool field_fit(const struct field *f, __int128 *value) {
    __int128 least = f->is_signed ? -((__int128)1 << (f->width - 1)) : 0;
    __int128 most = least + field_mask(f);
    if (*value >= least && *value <= most) return true;
    if (f->overflow == OVERFLOW_FAIL) return false;
    if (f->overflow == OVERFLOW_SATURATE)
        *value = *value < least ? least : most;
    else
        *value = least + (__int128)((uint64_t)(*value - least) & field_mask(f));
    return true;
}

/* ---- Parsing -------------------------------------------------------------------------------------- */

/* "i5", "u63": false after replying. */
static bool field_type_or_reply(struct call *call, uint32_t arg, struct field *f) {
    struct bytes text = call->argv[arg];
    int64_t width;
    f->is_signed = text.len > 0 && text.data[0] == 'i';
    bool ok = text.len > 0 && (f->is_signed || text.data[0] == 'u') &&
              number_parse_i64((struct bytes){text.data + 1, text.len - 1}, &width) && width >= 1 &&
              width <= (f->is_signed ? 64 : 63);
    if (ok)
        f->width = (unsigned)width;
    else
        reply_error(call->reply,
                    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported "
                    "but i64 is.");
    return ok;
}

static bool overflow_or_reply(struct call *call, struct bytes word, enum field_overflow *overflow) {
    if (bytes_is(word, "WRAP")) {
        *overflow = OVERFLOW_WRAP;
    } else if (bytes_is(word, "SAT")) {
        *overflow = OVERFLOW_SATURATE;
    } else if (bytes_is(word, "FAIL")) {
        *overflow = OVERFLOW_FAIL;
    } else {
        reply_error(call->reply, "ERR Invalid OVERFLOW type specified");
        return false;
    }
    return true;
}

/* Reads the operation whose name is argv[*arg]; *arg is then its last argument. */
static bool field_or_reply(struct call *call, uint32_t *arg, struct field *f) {
    struct bytes word = call->argv[*arg];
    uint32_t left = call->argc - *arg - 1, at = *arg;
    if (bytes_is(word, "GET") && left >= 2) {
        f->action = FIELD_GET;
    } else if (left >= 3 && (bytes_is(word, "SET") || bytes_is(word, "INCRBY"))) {
        f->action = bytes_is(word, "SET") ? FIELD_SET : FIELD_INCRBY;
    } else {
        call_syntax_error(call);
        return false;
    }
    if (!field_type_or_reply(call, at + 1, f) || !bitmap_offset_or_reply(call, at + 2, f->width, &f->offset))
        return false;
    *arg += f->action == FIELD_GET ? 2 : 3;
    return f->action == FIELD_GET || call_int_or_reply(call, *arg, &f->operand);
}

static bool fields_or_reply(struct call *call, struct field_list *list) {
    enum field_overflow overflow = OVERFLOW_WRAP;
    for (uint32_t i = 2; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "OVERFLOW") && i + 1 < call->argc) {
            if (!overflow_or_reply(call, call->argv[++i], &overflow)) return false;
            continue;
        }
        struct field *f = &list->fields[list->count++];
        *f = (struct field){.overflow = overflow};
        if (!field_or_reply(call, &i, f)) return false;
        if (f->action == FIELD_GET) continue;
        list->writes = true;
        if (f->offset + f->width - 1 > list->last_bit) list->last_bit = f->offset + f->width - 1;
    }
    return true;
}

/* ---- Running -------------------------------------------------------------------------------------- */

static void reply_value(struct call *call, __int128 value) {
    reply_int(call->reply, (int64_t)value); /* unsigned fields have 63 bits at most */
}

/* Runs SET or INCRBY. True if that is a change: the field has another value now, or it is in a string that
 * became longer for it. */
static bool field_write(struct call *call, char *data, size_t len, const struct field *f, bool grows) {
    __int128 old = field_load((struct bytes){data, len}, f), value = f->operand;
    if (f->action == FIELD_INCRBY)
        value += old;
    else if (!f->is_signed)
        value = (uint64_t)f->operand; /* a negative number is a large one */
    if (!field_fit(f, &value)) {
        reply_null(call->reply);
        return false;
    }
    reply_value(call, f->action == FIELD_SET ? old : value);
    if (value == old) return grows;
    field_store(data, len, f, value);
    return true;
}

static void run_reads(struct call *call, const struct field_list *list) {
    char scratch[NUMBER_I64_MAX_LEN];
    struct entry *e = call_read(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    struct bytes bits = e ? entry_string(e, scratch) : BYTES("");
    reply_array(call->reply, list->count);
    for (uint32_t i = 0; i < list->count; i++) reply_value(call, field_load(bits, &list->fields[i]));
}

static void run_writes(struct call *call, const struct field_list *list) {
    struct entry *e = call_peek(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    size_t len = e ? entry_string_len(e) : 0, end = list->last_bit / 8 + 1;
    bool grows = end > len;
    uint64_t changes = 0;
    if (len < end) len = end;
    char *data = string_edit_or_reply(call, 1, &e, len);
    if (!data) return;
    reply_array(call->reply, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct field *f = &list->fields[i];
        if (f->action == FIELD_GET)
            reply_value(call, field_load((struct bytes){data, len}, f));
        else
            changes += field_write(call, data, len, f, grows);
    }
    if (grows && !changes) changes = 1; /* every operation has failed, but the string is longer */
    if (changes) call_changed_times(call, 1, EVENT_SETBIT, changes);
}

static void run(struct call *call, bool may_write) {
    struct field_list list = {.fields = calloc(call->argc / 3 + 1, sizeof(*list.fields))};
    if (!list.fields) {
        call_out_of_memory(call);
        return;
    }
    if (fields_or_reply(call, &list)) {
        if (!list.writes)
            run_reads(call, &list);
        else if (may_write)
            run_writes(call, &list);
        else
            reply_error(call->reply, "ERR BITFIELD_RO only supports the GET subcommand");
    }
    free(list.fields);
}

static void bitfield(struct call *call) {
    run(call, true);
}

/* Without SET and INCRBY the key is only read: ACLs and COMMAND GETKEYSANDFLAGS care. */
static int bitfield_keys(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max) {
    uint32_t flags = KEY_RO | KEY_ACCESS;
    for (uint32_t i = 2; i < argc; i++)
        if (bytes_is(argv[i], "SET") || bytes_is(argv[i], "INCRBY")) flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    if (max > 0) keys[0] = (struct command_key){1, flags};
    return 1;
}
COMMAND(bitfield) = {
    .name = "bitfield",
    .arity = -2,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS,
              .first = 1,
              .last = 1,
              .step = 1,
              .note = "This command allows both access and modification of the key"}},
    .find_keys = bitfield_keys,
    .run = bitfield,
    .group = GROUP_BITMAP,
    .since = "3.2.0",
    .complexity = "O(1) for each subcommand specified",
    .summary = "Perform arbitrary bitfield integer operations on strings",
    .syntax =
        "<key:key> [operation:( {GET encoding_offset:{ <encoding> <offset:integer> }} | "
        "write:{ [{OVERFLOW wrap_sat_fail:( WRAP | SAT | FAIL )}] write_operation:( "
        "{SET encoding_offset_value:{ <encoding> <offset:integer> <value:integer> }} | "
        "{INCRBY encoding_offset_increment:{ <encoding> <offset:integer> <increment:integer> }} ) } )...]"};

static void bitfield_ro(struct call *call) {
    run(call, false);
}
COMMAND(bitfield_ro) = {
    .name = "bitfield_ro",
    .arity = -2,
    .flags = CMD_READONLY | CMD_FAST,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = bitfield_ro,
    .group = GROUP_BITMAP,
    .since = "6.0.0",
    .complexity = "O(1) for each subcommand specified",
    .summary = "Perform arbitrary bitfield integer operations on strings. Read-only variant of "
               "BITFIELD",
    .syntax = "<key:key> [{GET encoding_offset:{ <encoding> <offset:integer> }}...+]"};
