/* file.c - the header, the opcodes, the footer.
 *
 * An opcode is a row of a table: what stands behind it, numbers or texts, and what it means once that was read. A step that
 * lacks input leaves it there, or keeps what it took in the reader, and is entered again. */
#include "store/rdb/file.h"

#include "protocol/assert.h"
#include "store/rdb/rdb.h"
#include "store/rdb/reader.h"
#include "store/rdb/writer.h"

enum opcode {
    OPCODE_FIRST = 240, /* no type of values is so high */
    OPCODE_SLOT = 0xf4,
    OPCODE_FUNCTION = 0xf5,
    OPCODE_FUNCTION_DRAFT,
    OPCODE_MODULE,
    OPCODE_IDLE,
    OPCODE_FREQUENCY,
    OPCODE_AUX,
    OPCODE_SIZE,
    OPCODE_EXPIRY_MS,
    OPCODE_EXPIRY_S,
    OPCODE_DATABASE,
    OPCODE_END
};

enum step { STEP_HEADER, STEP_OPCODE, STEP_NUMBERS, STEP_NAME, STEP_VALUE, STEP_KEY, STEP_TOLD, STEP_END };

/* Numbers that stand behind an opcode: so many lengths, or one of so many bytes, lowest first. */
static const struct {
    uint8_t lengths, bytes;
} numbers_of[] = {
    [OPCODE_SLOT - OPCODE_FIRST] = {.lengths = 3},    [OPCODE_IDLE - OPCODE_FIRST] = {.lengths = 1},
    [OPCODE_FREQUENCY - OPCODE_FIRST] = {.bytes = 1}, [OPCODE_SIZE - OPCODE_FIRST] = {.lengths = 2},
    [OPCODE_EXPIRY_MS - OPCODE_FIRST] = {.bytes = 8}, [OPCODE_EXPIRY_S - OPCODE_FIRST] = {.bytes = 4},
    [OPCODE_DATABASE - OPCODE_FIRST] = {.lengths = 1}};

/* A step that went well, and after which reading goes on. No caller of rdb_file_read sees it. */
enum { RDB_FILE_ON = -1 };

static int bad(struct rdb_file_reader *reader, const char *why) {
    reader->why = why;
    return RDB_FILE_BAD;
}

static struct bytes behind(struct bytes input, size_t len) {
    assert(len <= input.len);
    return (struct bytes){input.data + len, input.len - len};
}

static uint64_t low_first(const char *at, unsigned len) {
    uint64_t number = 0;
    for (unsigned i = 0; i < len; i++) number |= (uint64_t)(unsigned char)at[i] << 8 * i;
    return number;
}

/* ---- The header ----------------------------------------------------------------------------------- */

static bool digits(const char *at, unsigned len, unsigned *number) {
    *number = 0;
    for (unsigned i = 0; i < len; i++) {
        if (at[i] < '0' || at[i] > '9') return false;
        *number = *number * 10 + (unsigned)(at[i] - '0');
    }
    return true;
}

/* Valkey counts on from 80, so that nobody takes its files for Redis's. */
static int read_header(struct rdb_file_reader *reader, struct bytes *input) {
    if (input->len < RDB_HEADER_LEN) return RDB_FILE_MORE;
    bool redis = memcmp(input->data, "REDIS", 5) == 0, valkey = memcmp(input->data, "VALKEY", 6) == 0;
    bool known = redis    ? digits(input->data + 5, 4, &reader->version)
                 : valkey ? digits(input->data + 6, 3, &reader->version)
                          : false;
    if (!known) return bad(reader, "it is no RDB file");
    bool read = redis ? reader->version >= 1 && reader->version <= RDB_VERSION_MAX
                      : reader->version == RDB_VERSION_VALKEY;
    if (!read) return bad(reader, "it is of a version that kevy does not read");
    *input = behind(*input, RDB_HEADER_LEN);
    reader->step = STEP_OPCODE;
    return RDB_FILE_ON;
}

/* ---- Opcodes -------------------------------------------------------------------------------------- */

/* What was said of the key before belongs to it alone. */
static void forget(struct rdb_file_reader *reader) {
    rdb_text_drop(&reader->name);
    rdb_text_drop(&reader->value);
    if (reader->opcode < OPCODE_FIRST) reader->expires = reader->idle = false;
    reader->step = STEP_OPCODE;
}

static int read_opcode(struct rdb_file_reader *reader, struct bytes *input) {
    if (input->len == 0) return RDB_FILE_MORE;
    unsigned opcode = (unsigned char)input->data[0];
    reader->opcode = opcode;
    reader->numbers = 0;
    switch (opcode) {
    case OPCODE_FUNCTION:
    case OPCODE_FUNCTION_DRAFT: return bad(reader, "it holds functions, and kevy has no scripts yet");
    case OPCODE_MODULE: return bad(reader, "it holds data of a module, and kevy has no modules");
    default: break;
    }
    if (opcode >= OPCODE_FIRST && opcode < OPCODE_SLOT) return bad(reader, "nothing begins with this byte");
    *input = behind(*input, 1);
    reader->type = opcode;
    reader->step = opcode < OPCODE_FIRST  ? STEP_KEY
                   : opcode == OPCODE_AUX ? STEP_NAME
                   : opcode == OPCODE_END ? STEP_END
                                          : STEP_NUMBERS;
    return opcode == OPCODE_END ? RDB_FILE_END : RDB_FILE_ON;
}

/* The meaning of the number at this place. */
static void note_number(struct rdb_file_reader *reader, unsigned place, uint64_t number) {
    switch (reader->opcode) {
    case OPCODE_DATABASE: reader->db = number; break;
    case OPCODE_SIZE: *(place ? &reader->expiring : &reader->keys) = number; break;
    case OPCODE_IDLE:
        reader->idle = true;
        reader->idle_s = number;
        break;
    case OPCODE_EXPIRY_S:
        reader->expires = true;
        reader->expiry_ms = (int64_t)(int32_t)(uint32_t)number * 1000;
        break;
    case OPCODE_EXPIRY_MS:
        reader->expires = true;
        reader->expiry_ms = (int64_t)number;
        break;
    default: break; /* frequencies and slots are of no use */
    }
    if (reader->expires && reader->expiry_ms == -1) reader->expires = false; /* as Redis has it in memory */
}

static int told(const struct rdb_file_reader *reader) {
    return reader->opcode == OPCODE_DATABASE ? RDB_FILE_DATABASE
           : reader->opcode == OPCODE_SIZE   ? RDB_FILE_SIZE
                                             : RDB_FILE_ON;
}

static int read_numbers(struct rdb_file_reader *reader, struct bytes *input) {
    unsigned lengths = numbers_of[reader->opcode - OPCODE_FIRST].lengths;
    unsigned bytes = numbers_of[reader->opcode - OPCODE_FIRST].bytes;
    assert((lengths == 0) != (bytes == 0));
    if (bytes) {
        if (input->len < bytes) return RDB_FILE_MORE;
        note_number(reader, 0, low_first(input->data, bytes));
        *input = behind(*input, bytes);
    }
    for (; reader->numbers < lengths; reader->numbers++) {
        uint64_t number;
        int64_t unused;
        enum rdb_taken taken = rdb_take(input, &number, &unused);
        if (taken == RDB_SHORT) return RDB_FILE_MORE;
        if (taken != RDB_LEN) return bad(reader, "no number is like this");
        note_number(reader, reader->numbers, number);
    }
    reader->step = STEP_OPCODE;
    return told(reader);
}

/* ---- Texts ---------------------------------------------------------------------------------------- */

static int read_text(struct rdb_file_reader *reader, struct rdb_text *text, struct bytes *input) {
    switch (rdb_text_read(text, input, true, reader->max_bytes)) {
    case TEXT_DONE: return RDB_FILE_ON;
    case TEXT_MORE: return RDB_FILE_MORE;
    case TEXT_NO_MEMORY: return RDB_FILE_NO_MEMORY;
    default: return bad(reader, "no string is like this, or it is too long");
    }
}

static int read_name(struct rdb_file_reader *reader, struct bytes *input) {
    int read = read_text(reader, &reader->name, input);
    if (read != RDB_FILE_ON) return read;
    bool key = reader->step == STEP_KEY;
    reader->step = key ? STEP_TOLD : STEP_VALUE;
    return key ? RDB_FILE_KEY : RDB_FILE_ON;
}

static int read_value(struct rdb_file_reader *reader, struct bytes *input) {
    int read = read_text(reader, &reader->value, input);
    if (read == RDB_FILE_MORE && !rdb_text_keep(&reader->name)) return RDB_FILE_NO_MEMORY;
    if (read != RDB_FILE_ON) return read;
    reader->step = STEP_TOLD;
    return RDB_FILE_AUX;
}

/* ---- Reading -------------------------------------------------------------------------------------- */

static int read_step(struct rdb_file_reader *reader, struct bytes *input) {
    switch ((enum step)reader->step) {
    case STEP_HEADER: return read_header(reader, input);
    case STEP_OPCODE: return read_opcode(reader, input);
    case STEP_NUMBERS: return read_numbers(reader, input);
    case STEP_NAME:
    case STEP_KEY: return read_name(reader, input);
    case STEP_VALUE: return read_value(reader, input);
    default: return RDB_FILE_END;
    }
}

enum rdb_file_read rdb_file_read(struct rdb_file_reader *reader, struct bytes *input) {
    int read;
    if (reader->step == STEP_TOLD) forget(reader);
    do {
        size_t left = input->len;
        if (reader->step == STEP_OPCODE) reader->item_begin = reader->taken;
        read = read_step(reader, input);
        assert(input->len <= left);
        reader->taken += left - input->len;
    } while (read == RDB_FILE_ON);
    return (enum rdb_file_read)read;
}

/* Behind what is said of the key; *type is its value's. */
static bool skip_about(struct bytes *input, unsigned *type) {
    while (input->len) {
        unsigned opcode = (unsigned char)input->data[0];
        *type = opcode;
        *input = behind(*input, 1);
        if (opcode < OPCODE_FIRST) return true;
        bool about = opcode == OPCODE_IDLE || opcode == OPCODE_FREQUENCY || opcode == OPCODE_EXPIRY_MS ||
                     opcode == OPCODE_EXPIRY_S;
        if (!about) return false;
        uint64_t number;
        int64_t unused;
        unsigned bytes = numbers_of[opcode - OPCODE_FIRST].bytes;
        if (input->len < bytes) return false;
        if (bytes)
            *input = behind(*input, bytes);
        else if (rdb_take(input, &number, &unused) != RDB_LEN)
            return false;
    }
    return false;
}

bool rdb_file_skip(unsigned version, struct bytes input, struct bytes *plain, struct bytes *skipped) {
    unsigned type;
    if (!skip_about(&input, &type) || !rdb_skip_text(&input, plain) || !rdb_skip_value(type, version, &input))
        return false;
    *skipped = input;
    return true;
}

void rdb_file_begin_at(struct rdb_file_reader *reader, unsigned version, uint64_t db, uint64_t taken) {
    *reader = (struct rdb_file_reader){
        .max_bytes = reader->max_bytes, .version = version, .db = db, .taken = taken, .step = STEP_OPCODE};
}

bool rdb_file_between(const struct rdb_file_reader *reader) {
    bool told = reader->step == STEP_TOLD;
    if (told && reader->opcode < OPCODE_FIRST) return true; /* what was said belonged to this key */
    return (told || reader->step == STEP_OPCODE) && !reader->expires && !reader->idle;
}

bool rdb_file_keep(struct rdb_file_reader *reader) {
    return reader->name.step != TEXT_WHOLE || rdb_text_keep(&reader->name);
}

void rdb_file_close(struct rdb_file_reader *reader) {
    rdb_text_drop(&reader->name);
    rdb_text_drop(&reader->value);
}

uint64_t rdb_file_footer(const char *at) {
    return low_first(at, RDB_FOOTER_LEN);
}

/* ---- Writing -------------------------------------------------------------------------------------- */

static bool put(struct sink *sink, const char *data, size_t len) {
    return sink->write(sink, (struct bytes){data, len});
}

static void put_low_first(char *at, uint64_t number, unsigned len) {
    for (unsigned i = 0; i < len; i++) at[i] = (char)(number >> 8 * i);
}

bool rdb_file_write_header(struct sink *sink, unsigned version) {
    char header[RDB_HEADER_LEN] = "REDIS";
    assert(version >= 1 && version <= RDB_VERSION_MAX);
    for (unsigned i = RDB_HEADER_LEN; i-- > 5; version /= 10) header[i] = (char)('0' + version % 10);
    return put(sink, header, sizeof header);
}

bool rdb_file_write_aux(struct sink *sink, struct bytes name, struct bytes value) {
    char opcode = (char)OPCODE_AUX;
    return put(sink, &opcode, 1) && rdb_write_text(sink, sink->compressor, name) &&
           rdb_write_text(sink, sink->compressor, value);
}

bool rdb_file_write_database(struct sink *sink, unsigned db, uint64_t keys, uint64_t expiring) {
    char at[2 + 3 * RDB_LEN_MAX] = {(char)OPCODE_DATABASE};
    size_t len = 1 + rdb_put_len(at + 1, db);
    at[len++] = (char)OPCODE_SIZE;
    len += rdb_put_len(at + len, keys);
    len += rdb_put_len(at + len, expiring);
    assert(expiring <= keys && len <= sizeof at);
    return put(sink, at, len);
}

bool rdb_file_write_select(struct sink *sink, unsigned db) {
    char at[1 + RDB_LEN_MAX] = {(char)OPCODE_DATABASE};
    return put(sink, at, 1 + rdb_put_len(at + 1, db));
}

bool rdb_file_write_key(struct sink *sink, struct bytes key, enum rdb_type type, int64_t expiry_ms) {
    char at[1 + 8 + 1] = {(char)OPCODE_EXPIRY_MS};
    size_t len = expiry_ms ? 9 : 0;
    assert((unsigned)type < OPCODE_FIRST);
    if (expiry_ms) put_low_first(at + 1, (uint64_t)expiry_ms, 8);
    at[len++] = (char)type;
    return put(sink, at, len) && rdb_write_text(sink, sink->compressor, key);
}

bool rdb_file_write_end(struct sink *sink) {
    char opcode = (char)OPCODE_END;
    return put(sink, &opcode, 1);
}

void rdb_file_put_footer(char *at, uint64_t checksum) {
    put_low_first(at, checksum, RDB_FOOTER_LEN);
}
