/* config.h - the options: redis.conf's directives, as rows of options.def.
 *
 * One row makes a field, its line in --help and kevy.conf, its parser, and its CONFIG GET, SET and REWRITE. Numeric fields
 * (numbers, sizes, booleans, enumerations) are atomics that any thread reads as they are: config.maxclients. */
#ifndef KEVY_SERVER_CONFIG_H
#define KEVY_SERVER_CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include "protocol/bytes.h"
#include "protocol/buffer.h"

enum { CONFIG_NO = 0, CONFIG_YES = 1, CONFIG_AUTO = 2 };

struct config_output_limit {
    _Atomic int64_t hard, soft, soft_seconds; /* bytes, bytes, seconds; 0: no limit */
};
enum { OUTPUT_LIMIT_NORMAL, OUTPUT_LIMIT_REPLICA, OUTPUT_LIMIT_PUBSUB, OUTPUT_LIMIT_CLASSES };

struct config;
extern struct config config;

#endif
