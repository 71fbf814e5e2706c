/* list.h - what the commands of lists that wait share with those that do not: ends, popping, moving. */
#ifndef KEVY_SERVER_COMMANDS_LIST_H
#define KEVY_SERVER_COMMANDS_LIST_H

#include "server/commands/collection.h"
#include "store/types/list.h"

/* LEFT or RIGHT. False after replying that it is neither. */
bool list_end_or_reply(struct call *call, uint32_t arg, enum tree_end *end)
    __attribute__((warn_unused_result));

/* What popping, and moving, has come to. Where it has failed, and where it is done, it has replied. */
enum list_popped {
    LIST_ABSENT, /* there is no such key; nothing is replied */
    LIST_FAILED, /* it is of another type, or there was no memory */
    LIST_POPPED,
};

/* Pops one element of the key argv[arg]. Replies with it, or with the key and it. */
enum list_popped list_pop_one(struct call *call, uint32_t arg, enum tree_end end, bool names_key);
/* Pops up to `count` elements of the first of `keys` keys from argv[first] on that is there, and replies with the key and
 * them. What it did is recorded as LPOP or RPOP. */
enum list_popped list_pop_first(struct call *call, uint32_t first, uint32_t keys, enum tree_end end,
                                uint64_t count);
/* Moves an element from the list argv[1] to the list argv[2], and replies with it. */
enum list_popped list_move(struct call *call, enum tree_end from, enum tree_end to);

/* What LMPOP has from argv[at] on: a number of keys, the keys, LEFT or RIGHT, COUNT once at most. Reading it is false
 * after an error has been replied. */
struct list_mpop {
    uint32_t keys;
    enum tree_end end;
    int64_t count;
};
bool list_mpop_or_reply(struct call *call, uint32_t at, struct list_mpop *mpop)
    __attribute__((warn_unused_result));

#endif
