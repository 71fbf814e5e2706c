/* rename.h - gives commands the names that the configuration asks for. */
#ifndef KEVY_SERVER_PROCESS_RENAME_H
#define KEVY_SERVER_PROCESS_RENAME_H

#include <stdbool.h>

#include "server/config/config_error.h"

/* Once, when the configuration was read, and before threads. False after appending lines. */
bool rename_commands(struct config_errors *errors);

#endif
