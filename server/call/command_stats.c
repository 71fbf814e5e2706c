/* command_stats.c - how often each command ran and how long: INFO's section commandstats. */
#include "server/call/command.h"
#include "server/report/info.h"

static void section_commandstats(struct info *info) {
    for (unsigned id = 0; id < command_count(); id++) {
        const struct command_metrics *m = &info->metrics.commands[id];
        char name[COMMAND_FULL_NAME_MAX];
        if (!m->calls && !m->rejected && !m->failed) continue;
        size_t len = command_full_name(command_at(id), name);
        INFO_LINE(
            info,
            "cmdstat_%.*s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu",
            (int)len, name, (unsigned long long)m->calls, (unsigned long long)(m->nanoseconds / 1000),
            info_ratio((double)m->nanoseconds / 1000, (double)m->calls), (unsigned long long)m->rejected,
            (unsigned long long)m->failed);
    }
}
INFO_SECTION(commandstats) = {
    .name = "commandstats", .title = "Commandstats", .order = 90, .write = section_commandstats};
