/* missing.c - a sorted table, searched by halves: unknown names are what an attacker sends. */
#include "server/missing.h"

#include <stddef.h>

static const struct row {
    const char *name, *why;
} rows[] = {
#define MISSING(name, why) {name, why},
#include "server/missing.def"
#undef MISSING
};

enum { ROW_COUNT = sizeof rows / sizeof *rows, NAME_MAX_LEN = 64 };

/* As strcmp, of a text in lower case and one in any. */
static int compare(const char *row, struct bytes name) {
    size_t i = 0;
    for (; i < name.len && row[i]; i++) {
        int order = (unsigned char)row[i] - (unsigned char)byte_lower(name.data[i]);
        if (order) return order;
    }
    return (row[i] != '\0') - (i < name.len);
}

const char *missing_command(struct bytes name) {
    unsigned first = 0, end = ROW_COUNT;
    while (first < end) {
        unsigned middle = first + (end - first) / 2;
        int order = compare(rows[middle].name, name);
        if (order == 0) return rows[middle].why;
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

const char *missing_subcommand(struct bytes container, struct bytes name) {
    char both[NAME_MAX_LEN];
    if (container.len + 1 + name.len > sizeof both) return NULL;
    memcpy(both, container.data, container.len);
    both[container.len] = '|';
    memcpy(both + container.len + 1, name.data, name.len);
    return missing_command((struct bytes){both, container.len + 1 + name.len});
}
