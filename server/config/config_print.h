/* config_print.h - options as a person reads them: lines of a file, kevy.conf, --help. For config*.c alone. */
#ifndef KEVY_SERVER_CONFIG_CONFIG_PRINT_H
#define KEVY_SERVER_CONFIG_CONFIG_PRINT_H

#include "protocol/buffer.h"
#include "server/config/option.h"

/* "name value" as a file has it, quoted where needed, without a newline. False without memory. */
bool config_print_directive(struct buffer *out, const struct option *option, struct bytes value);

#endif
