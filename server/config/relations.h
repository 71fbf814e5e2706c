/* relations.h - what no option's row can see alone: relations between options, and with the machine. */
#ifndef KEVY_SERVER_CONFIG_RELATIONS_H
#define KEVY_SERVER_CONFIG_RELATIONS_H

#include <stdbool.h>

#include "server/config/config_error.h"

/* False after appending lines. */
bool relations_check(struct config_errors *errors) __attribute__((warn_unused_result));

#endif
