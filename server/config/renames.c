/* renames.c - a list of rename-command's lines. */
#include "server/config/renames.h"

#include <stdlib.h>

/* All texts of one lie in one allocation, which place.file begins. */
static struct {
    struct config_rename *list; /* malloc'd */
    unsigned count;
} renames;

static struct bytes copy(char **at, struct bytes text) {
    struct bytes copied = {*at, text.len};
    if (text.len) memcpy(*at, text.data, text.len);
    *at += text.len;
    return copied;
}

bool config_rename_keep(const struct config_rename *rename) {
    struct config_rename *list = realloc(renames.list, (renames.count + 1) * sizeof *list);
    if (!list) return false;
    renames.list = list;
    size_t file_len = strlen(rename->place.file) + 1;
    char *at = malloc(file_len + rename->place.text.len + rename->from.len + rename->to.len);
    if (!at) return false;
    struct config_rename *kept = &list[renames.count++];
    *kept = (struct config_rename){.place = {.file = at, .line = rename->place.line}};
    (void)copy(&at, (struct bytes){rename->place.file, file_len});
    kept->place.text = copy(&at, rename->place.text);
    kept->from = copy(&at, rename->from);
    kept->to = copy(&at, rename->to);
    return true;
}

const struct config_rename *config_rename_at(unsigned i) {
    return i < renames.count ? &renames.list[i] : NULL;
}

void config_renames_forget(void) {
    for (unsigned i = 0; i < renames.count; i++) free((char *)renames.list[i].place.file);
    free(renames.list);
    renames.list = NULL;
    renames.count = 0;
}
