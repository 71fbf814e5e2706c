/* aof_fixture.h - append-only files, put together by tests. */
#ifndef KEVY_TESTS_AOF_FIXTURE_H
#define KEVY_TESTS_AOF_FIXTURE_H

#include <stdarg.h>

#include "protocol/buffer.h"
#include "server/journal/crc32c.h"
#include "tests/check.h"
#include "tests/unit/failing_disk.h"

static inline void aof_add(struct buffer *file, struct bytes bytes) {
    CHECK(buffer_append(file, bytes, SIZE_MAX));
}

static inline void aof_format(struct buffer *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline void aof_format(struct buffer *file, const char *format, ...) {
    char text[512];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    CHECK(len >= 0 && len < (int)sizeof text);
    aof_add(file, (struct bytes){text, (size_t)len});
}

/* A command of words without blanks: "SET k v". */
static inline void aof_command(struct buffer *file, const char *line) {
    unsigned count = 1;
    for (const char *at = line; *at; at++) count += *at == ' ';
    aof_format(file, "*%u\r\n", count);
    while (*line) {
        size_t len = strcspn(line, " ");
        aof_format(file, "$%zu\r\n%.*s\r\n", len, (int)len, line);
        line += len + (line[len] == ' ');
    }
}

struct aof_batch {
    uint64_t first, last, safe;
    const char *more; /* words of its line, a blank before each; or NULL */
};

static inline void aof_batch(struct buffer *file, struct aof_batch batch, struct bytes commands) {
    aof_format(file, "#kevy seq=%llu-%llu len=%zu crc=%08x safe=%llu%s\n", (unsigned long long)batch.first,
               (unsigned long long)batch.last, commands.len, crc32c(0, commands),
               (unsigned long long)batch.safe, batch.more ? batch.more : "");
    aof_add(file, commands);
}

/* The same of one command. */
static inline void aof_batch_of(struct buffer *file, struct aof_batch batch, const char *line) {
    struct buffer commands = {0};
    aof_command(&commands, line);
    aof_batch(file, batch, buffer_bytes(&commands));
    buffer_free(&commands);
}

#endif
