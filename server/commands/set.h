/* set.h - what the two files of commands on sets have in common. */
#ifndef KEVY_SERVER_COMMANDS_SET_H
#define KEVY_SERVER_COMMANDS_SET_H

#include "server/commands/collection.h"
#include "server/config/config.h"
#include "store/types/set.h"

/* How many integers a set may have that Redis would call an intset. */
static inline uint64_t set_integers_allowed(void) {
    return (uint64_t)config.set_max_intset_entries;
}

static inline void set_reply_member(struct call *call, const struct element *member) {
    collection_reply_element(call->reply, call->effects->metrics, member);
}
/* All members, behind the header of the caller's. Many are written when there is room for them. */
void set_reply_members(struct call *call, const struct value *value);

#endif
