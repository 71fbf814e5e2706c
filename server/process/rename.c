/* rename.c - rename-command's lines, one after the other: each sees what those before it did. */
#include "server/process/rename.h"

#include "server/call/command.h"
#include "server/config/renames.h"

bool rename_commands(struct config_errors *errors) {
    unsigned before = errors->count;
    const struct config_rename *rename;
    for (unsigned i = 0; (rename = config_rename_at(i)); i++) {
        const char *error = command_set_name(rename->from, rename->to);
        if (error) config_error(errors, &rename->place, "%s", error);
    }
    config_renames_forget();
    return errors->count == before;
}
