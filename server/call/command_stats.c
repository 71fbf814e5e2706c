/* command_stats.c - how often each command ran and how long: INFO's section commandstats. */
#include <stdio.h>

#include "server/call/command.h"
#include "server/config/config.h"
#include "server/report/histogram.h"
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

/* ---- latencystats --------------------------------------------------------------------------------- */

static void add_percentiles(struct info *info, const struct command *command, const struct histogram *sum,
                            uint64_t calls) {
    double percents[CONFIG_PERCENTILES_MAX];
    unsigned count = config_percentiles(percents, CONFIG_PERCENTILES_MAX);
    char name[COMMAND_FULL_NAME_MAX], percent[CONFIG_PERCENT_MAX];
    size_t len = command_full_name(command, name);
    text_format(info->text, "latency_percentiles_usec_%.*s:", (int)len, name);
    for (unsigned i = 0; i < count; i++) {
        uint64_t ns = histogram_percentile(sum, calls, percents[i]);
        len = config_write_percent(percent, percents[i]);
        text_format(info->text, "%sp%.*s=%.3f", i ? "," : "", (int)len, percent, (double)ns / 1000);
    }
    text_string(info->text, "\r\n");
}

static void section_latencystats(struct info *info) {
    struct histogram sum;
    for (unsigned id = 0; config.latency_tracking && id < command_count(); id++) {
        uint64_t calls = histogram_sum(id, &sum);
        if (calls) add_percentiles(info, command_at(id), &sum, calls);
    }
}
INFO_SECTION(latencystats) = {
    .name = "latencystats", .title = "Latencystats", .order = 110, .write = section_latencystats};
