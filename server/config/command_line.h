/* command_line.h - what kevy was started with: `kevy [file|-] [--name value ...]`. */
#ifndef KEVY_SERVER_CONFIG_COMMAND_LINE_H
#define KEVY_SERVER_CONFIG_COMMAND_LINE_H

#include <stdbool.h>

#include "server/config/config_error.h"

/* What is asked for: --check-config, --check-data, --help or -h, --version or -v, --probe, --ping, or none of these; -h, -v,
 * --ping and --check-data are meant as the first word only. */
enum command_line_mode {
    COMMAND_LINE_SERVE,
    COMMAND_LINE_CHECK,
    COMMAND_LINE_CHECK_DATA,
    COMMAND_LINE_HELP,
    COMMAND_LINE_VERSION,
    COMMAND_LINE_PROBE,
    COMMAND_LINE_PING,
};
enum command_line_mode command_line_mode(int argc, char **argv);

/* Reads the file, then the options, which override it, and puts all in force. What is wrong is appended, and the reading
 * goes on, so that all is told at once. False if there was any. */
bool command_line_load(int argc, char **argv, struct config_errors *errors)
    __attribute__((warn_unused_result));

#endif
