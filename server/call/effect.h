/* effect.h - where the changes that a command makes are felt.
 *
 * One for each executor: its commands share it through their calls. */
#ifndef KEVY_SERVER_CALL_EFFECT_H
#define KEVY_SERVER_CALL_EFFECT_H

struct wakes;

struct effects {
    struct wakes *wakes; /* shards that have been sent something, to be woken by the loop: clients/post.h */
};

#endif
