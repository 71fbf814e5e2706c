/* errorstats.c - a short sorted table under a mutex: errors are rare, and a server has a handful of codes. */
#include "server/report/errorstats.h"

#include "server/lock_order.h"
#include "server/report/info.h"

static struct {
    struct mutex mutex;
    unsigned count;
    struct errorstat all[ERRORSTATS_MAX]; /* ascending by code */
} table = {.mutex = MUTEX(LOCK_ERRORSTATS)};

static struct errorstat errorstat_of(struct bytes code) {
    struct errorstat stat = {.count = 1};
    stat.code_len = (uint8_t)(code.len < ERRORSTATS_CODE_MAX ? code.len : ERRORSTATS_CODE_MAX);
    for (unsigned i = 0; i < stat.code_len; i++) {
        char c = code.data[i];
        stat.code[i] = c > ' ' && c < 127 && !strchr(":,=#", c) ? c : '_';
    }
    return stat;
}

static int errorstat_order(const struct errorstat *a, const struct errorstat *b) {
    return bytes_compare((struct bytes){a->code, a->code_len}, (struct bytes){b->code, b->code_len});
}

void errorstats_note(struct bytes code) {
    struct errorstat stat = errorstat_of(code);
    unsigned at = 0;
    mutex_lock(&table.mutex);
    while (at < table.count && errorstat_order(&table.all[at], &stat) < 0) at++;
    if (at < table.count && errorstat_order(&table.all[at], &stat) == 0) {
        table.all[at].count++;
    } else if (table.count < ERRORSTATS_MAX) {
        memmove(&table.all[at + 1], &table.all[at], (table.count - at) * sizeof *table.all);
        table.all[at] = stat;
        table.count++;
    }
    mutex_unlock(&table.mutex);
}

unsigned errorstats_list(struct errorstat list[ERRORSTATS_MAX]) {
    mutex_lock(&table.mutex);
    unsigned count = table.count;
    memcpy(list, table.all, count * sizeof *list);
    mutex_unlock(&table.mutex);
    return count;
}

void errorstats_reset(void) {
    mutex_lock(&table.mutex);
    table.count = 0;
    mutex_unlock(&table.mutex);
}

static void section_errorstats(struct info *info) {
    struct errorstat list[ERRORSTATS_MAX];
    unsigned count = errorstats_list(list);
    for (unsigned i = 0; i < count; i++)
        INFO_LINE(info, "errorstat_%.*s:count=%llu", list[i].code_len, list[i].code,
                  (unsigned long long)list[i].count);
}
INFO_SECTION(errorstats) = {.name = "errorstats",
                            .title = "Errorstats",
                            .order = 100,
                            .by_default = true,
                            .write = section_errorstats};
