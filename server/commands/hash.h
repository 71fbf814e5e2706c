/* hash.h - what the commands of hashes have in common: fields that are overdue are not there. */
#ifndef KEVY_SERVER_COMMANDS_HASH_H
#define KEVY_SERVER_COMMANDS_HASH_H

#include "server/commands/collection.h"
#include "store/types/hash.h"

/* The value of a field of a hash that the call may read. False if there is none. */
bool hash_find(struct call *call, const struct value *value, struct bytes field, struct element *found);
/* The same of the field argv[arg]. */
bool hash_there(struct call *call, const struct value *value, uint32_t arg, struct element *found);

/* A field that is overdue goes before something is done with it, and that is told. False without memory: it stays. */
bool hash_forget(struct call *call, struct edit *edit, struct bytes field);
/* Sets the field argv[arg] to the value that follows it; kept: it expires when it did before, else never. What passes
 * Redis's thresholds marks the hash. As hash_set. */
enum hash_changed hash_set_argument(struct call *call, struct edit *edit, uint32_t arg, bool kept);

#endif
