/* record.c - a command as RESP: "*<argc>\r\n", and for each argument "$<len>\r\n<bytes>\r\n". */
#include "server/journal/record.h"

#include "protocol/number.h"

enum { LINE_EXTRA = 3 /* bytes of a length line beside its digits: the type and CR LF */ };

static bool add(size_t *sum, size_t more) {
    return !__builtin_add_overflow(*sum, more, sum);
}

/* Nearly all lengths have one digit or two. */
static inline size_t digits(uint64_t number) {
    if (number < 10) return 1;
    return number < 100 ? 2 : number_digits_u64(number);
}

static size_t argument_len(struct bytes arg) {
    return LINE_EXTRA + digits(arg.len) + 2;
}

size_t record_resp_len(const struct record_command *command) {
    size_t len = LINE_EXTRA + digits(command->argc);
    for (uint32_t i = 0; i < command->argc; i++)
        if (!add(&len, argument_len(command->argv[i])) || !add(&len, command->argv[i].len)) return SIZE_MAX;
    return len;
}

uint32_t record_measure(const struct record_command *command, size_t *len) {
    uint32_t found = 0, from = 0;
    *len = record_resp_len(command);
    for (uint32_t i = 0; command->block_count && i < command->argc && *len != SIZE_MAX; i++) {
        if (!block_find(command->blocks, command->block_count, command->argv[i], &from)) continue;
        assert(command->argv[i].len < *len);
        *len -= command->argv[i].len;
        found++;
    }
    return found;
}

static char *write_line(char *at, char type, size_t number) {
    *at++ = type;
    at += number_format_u64(at, number);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

void record_fill(struct record *record, const struct record_command *command) {
    char *begin = record_text(record), *at = write_line(begin, '*', command->argc);
    struct record_block *next = record_blocks(record);
    uint32_t from = 0;
    for (uint32_t i = 0; i < command->argc; i++) {
        struct bytes arg = command->argv[i];
        struct block *block = block_find(command->blocks, command->block_count, arg, &from);
        at = write_line(at, '$', arg.len);
        if (block) {
            *next++ = (struct record_block){block_retain(block), (size_t)(at - begin)};
        } else if (arg.len) {
            memcpy(at, arg.data, arg.len);
            at += arg.len;
        }
        *at++ = '\r';
        *at++ = '\n';
    }
    assert((size_t)(at - begin) == record->len);
    assert(next == record_blocks(record) + record->block_count);
}

void record_read(struct record *record, void (*piece)(void *context, struct bytes bytes), void *context) {
    const char *text = record_text(record);
    size_t at = 0;
    for (uint32_t i = 0; i < record->block_count; i++) {
        const struct record_block *next = &record_blocks(record)[i];
        assert(next->at > at && next->at < record->len);
        piece(context, (struct bytes){text + at, next->at - at});
        piece(context, block_bytes(next->block));
        at = next->at;
    }
    piece(context, (struct bytes){text + at, record->len - at});
}

size_t record_release(struct record *record) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < record->block_count; i++) {
        bytes += record_blocks(record)[i].block->len;
        block_release(record_blocks(record)[i].block);
    }
    record->block_count = 0;
    return bytes;
}
