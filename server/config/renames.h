/* renames.h - what rename-command asks for, kept until the commands are there to be renamed. Main alone. */
#ifndef KEVY_SERVER_CONFIG_RENAMES_H
#define KEVY_SERVER_CONFIG_RENAMES_H

#include "server/config/config_error.h"

struct config_rename {
    struct config_place place;
    struct bytes from, to; /* to: empty, to disable it */
};

/* Keeps a copy. False without memory. */
bool config_rename_keep(const struct config_rename *rename) __attribute__((warn_unused_result));
/* In the order in which they were kept; NULL behind the last. */
const struct config_rename *config_rename_at(unsigned i);
void config_renames_forget(void);

#endif
