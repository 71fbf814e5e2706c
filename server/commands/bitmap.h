/* bitmap.h - what the commands on bits share. Bit 0 is the highest bit of the first byte. */
#ifndef KEVY_SERVER_COMMANDS_BITMAP_H
#define KEVY_SERVER_COMMANDS_BITMAP_H

#include "server/call/call.h"

/* Reads a bit offset. With `width` > 0 an offset "#n" means n * width. At most 8 * proto-max-bulk-len - 1;
 * false after replying otherwise. */
bool bitmap_offset_or_reply(struct call *call, uint32_t arg, unsigned width, uint64_t *offset)
    __attribute__((warn_unused_result));

#endif
