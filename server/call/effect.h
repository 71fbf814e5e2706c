/* effect.h - where the changes that a command makes are felt, and the time at which it makes them.
 *
 * One for each executor: its commands share it through their calls. */
#ifndef KEVY_SERVER_CALL_EFFECT_H
#define KEVY_SERVER_CALL_EFFECT_H

#include <stdbool.h>

#include "server/report/metrics.h"

struct wakes;

struct effects {
    uint64_t changes; /* by the running request so far, as Redis counts them: by keys, mostly */
    int64_t now_ms;   /* Unix time of whatever runs: of a batch, until a command of it has taken long */
    bool
        keeps_expired; /* CLIENT PAUSE is on: keys whose time has come are not there, but are not deleted either */
    struct metrics *metrics; /* of this executor */
    struct wakes *wakes; /* shards that have been sent something, to be woken by the loop: clients/post.h */
};

#endif
