/* appendonly.h - what INFO says of the append-only file. */
#ifndef KEVY_SERVER_COMMANDS_APPENDONLY_H
#define KEVY_SERVER_COMMANDS_APPENDONLY_H

#include "server/report/info.h"

/* The lines of section persistence that begin with aof_, in Redis's order. */
void appendonly_info(struct info *info);

#endif
