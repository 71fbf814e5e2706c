/* errorstats.h - how often each error code was replied: the errorstats section of INFO. Any thread. */
#ifndef KEVY_SERVER_REPORT_ERRORSTATS_H
#define KEVY_SERVER_REPORT_ERRORSTATS_H

#include <stdint.h>

#include "protocol/bytes.h"
#include "server/limits.h"

struct errorstat {
    char code[ERRORSTATS_CODE_MAX];
    uint8_t code_len;
    uint64_t count;
};

/* An error reply was sent, `code` its first word ("ERR", "WRONGTYPE"). Bytes that would break INFO's
 * lines become '_'. */
void errorstats_note(struct bytes code);
/* Writes what was noted since the last reset, in order of the codes, and returns how many codes there are. */
unsigned errorstats_list(struct errorstat list[ERRORSTATS_MAX]);
void errorstats_reset(void);

#endif
