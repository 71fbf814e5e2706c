/* prepare.h - gives the process what the options ask of it: working directory, log file, limit on open files (or fewer
 * clients), no huge pages, title. */
#ifndef KEVY_SERVER_PROCESS_PREPARE_H
#define KEVY_SERVER_PROCESS_PREPARE_H

#include <stdbool.h>

#include "server/config/config_error.h"

/* After going into the background, before threads. False after appending lines. */
bool prepare_process(struct config_errors *errors) __attribute__((warn_unused_result));

#endif
