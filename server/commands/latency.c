/* latency.c - LATENCY: what the latency monitor knows. */
#include "server/report/latency.h"

#include <stdio.h>

#include "protocol/text.h"
#include "server/call/call.h"
#include "server/call/help.h"
#include "server/config/config.h"
#include "server/report/histogram.h"

COMMAND(latency) = {.name = "latency",
                    .arity = -2,
                    .group = GROUP_SERVER,
                    .since = "2.8.13",
                    .complexity = "Depends on subcommand.",
                    .summary = "A container for latency diagnostics commands"};

/* What the rows of all that look say. */
#define LATENCY_ROW                                                                                          \
    .container = "latency", .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,                     \
    .group = GROUP_SERVER, .since = "2.8.13", .complexity = "O(1)"
#define LATENCY_TIPS "nondeterministic_output,request_policy:all_nodes,response_policy:special"

/* LATENCY_EVENTS: no such event. */
static enum latency_event event_of(struct bytes name) {
    unsigned event = 0;
    while (event < LATENCY_EVENTS && !bytes_equal(name, bytes_of(latency_names[event]))) event++;
    return (enum latency_event)event;
}

/* What is known of argv[2]; nothing of an event that there is not. */
static struct latency_history history_of(const struct call *call) {
    struct latency_history history = {.count = 0};
    enum latency_event event = event_of(call->argv[2]);
    if (event < LATENCY_EVENTS) latency_history(event, &history);
    return history;
}

static void latency_latest(struct call *call) {
    struct latency_history histories[LATENCY_EVENTS];
    unsigned events = 0;
    for (unsigned event = 0; event < LATENCY_EVENTS; event++) {
        latency_history((enum latency_event)event, &histories[event]);
        events += histories[event].count > 0;
    }
    reply_array(call->reply, events);
    for (unsigned event = 0; event < LATENCY_EVENTS; event++) {
        const struct latency_history *history = &histories[event];
        if (history->count == 0) continue;
        const struct latency_sample *last = &history->samples[history->count - 1];
        reply_array(call->reply, 4);
        reply_bulk_text(call->reply, latency_names[event]);
        reply_int(call->reply, last->time_s);
        reply_int(call->reply, (int64_t)last->milliseconds);
        reply_int(call->reply, (int64_t)history->longest_ms);
    }
}
COMMAND(latency_latest) = {LATENCY_ROW,
                           .name = "latest",
                           .arity = 2,
                           .run = latency_latest,
                           .summary = "Return the latest latency samples for all events.",
                           .tips = LATENCY_TIPS};

static void latency_history_(struct call *call) {
    struct latency_history history = history_of(call);
    reply_array(call->reply, history.count);
    for (unsigned i = 0; i < history.count; i++) {
        reply_array(call->reply, 2);
        reply_int(call->reply, history.samples[i].time_s);
        reply_int(call->reply, (int64_t)history.samples[i].milliseconds);
    }
}
COMMAND(latency_history_) = {LATENCY_ROW,
                             .name = "history",
                             .arity = 3,
                             .run = latency_history_,
                             .summary = "Return timestamp-latency samples for the event.",
                             .tips = LATENCY_TIPS,
                             .syntax = "<event>"};

static void latency_reset_(struct call *call) {
    int64_t reset = 0;
    for (unsigned event = 0; event < LATENCY_EVENTS && call->argc == 2; event++)
        reset += latency_reset((enum latency_event)event);
    for (uint32_t i = 2; i < call->argc; i++) {
        enum latency_event event = event_of(call->argv[i]);
        if (event < LATENCY_EVENTS) reset += latency_reset(event);
    }
    reply_int(call->reply, reset);
}
COMMAND(latency_reset_) = {LATENCY_ROW,
                           .name = "reset",
                           .arity = -2,
                           .run = latency_reset_,
                           .summary = "Reset latency data for one or more events.",
                           .tips = "request_policy:all_nodes,response_policy:all_succeeded",
                           .syntax = "[<event>]..."};

/* ---- DOCTOR --------------------------------------------------------------------------------------- */

enum { DOCTOR_TEXT_MAX = 2048 };

/* What an event's samples say, in a line; and how far they lie apart. */
static void describe(struct text *text, enum latency_event event, const struct latency_history *history) {
    uint64_t sum = 0, deviations = 0;
    unsigned count = history->count;
    for (unsigned i = 0; i < count; i++) sum += history->samples[i].milliseconds;
    uint64_t mean = sum / count;
    for (unsigned i = 0; i < count; i++) {
        uint64_t ms = history->samples[i].milliseconds;
        deviations += ms > mean ? ms - mean : mean - ms;
    }
    int64_t span_s = history->samples[count - 1].time_s - history->samples[0].time_s;
    text_format(text,
                "%s: %u seconds with a spike, mean %llu ms, mean deviation %llu ms, longest ever %llu ms",
                latency_names[event], count, (unsigned long long)mean,
                (unsigned long long)(deviations / count), (unsigned long long)history->longest_ms);
    if (count > 1) text_format(text, ", one in %lld s", (long long)(span_s / (count - 1)));
    text_string(text, ".\n");
}

static void advise(struct text *text) {
    text_string(text, "What to look at:\n"
                      "- SLOWLOG GET names the commands that took long, with their arguments.\n"
                      "- KEYS, SORT, SUNION and their like take as long as what they look at is large.\n"
                      "- Others that need the CPUs of the shards make all commands slow: see shard-cpus.\n");
}

static void latency_doctor(struct call *call) {
    char memory[DOCTOR_TEXT_MAX];
    struct text text = text_fixed(memory, sizeof memory);
    for (unsigned event = 0; event < LATENCY_EVENTS; event++) {
        struct latency_history history;
        latency_history((enum latency_event)event, &history);
        if (history.count > 0) describe(&text, (enum latency_event)event, &history);
    }
    if (text.len)
        advise(&text);
    else if (config.latency_monitor_threshold)
        text_string(&text, "No command has taken as long as latency-monitor-threshold says.\n");
    else
        text_string(
            &text,
            "Nothing is watched: set latency-monitor-threshold to the milliseconds from which on a command "
            "takes too long.\n");
    assert(!text.cut);
    reply_verbatim(call->reply, "txt", text_bytes(&text));
}
COMMAND(latency_doctor) = {LATENCY_ROW,
                           .name = "doctor",
                           .arity = 2,
                           .run = latency_doctor,
                           .summary = "Return a human readable latency analysis report.",
                           .tips = LATENCY_TIPS};

/* ---- HISTOGRAM ------------------------------------------------------------------------------------ */

enum { FIRST_BIT = 10, LAST_BIT = 30 }; /* of the levels: each is twice as long as the one before */

/* The longest time of the bucket with which a level begins. */
static uint64_t level_ns(unsigned bit) {
    return (UINT64_C(1) << bit) + (UINT64_C(1) << (bit - 7)) - 1;
}

/* Calls that took no longer than each level, for levels that have more than the one before. Returns how many these are. */
static unsigned find_levels(const struct histogram *sum, uint64_t at_most[LAST_BIT + 1]) {
    unsigned bucket = 0, levels = 0;
    uint64_t calls = 0;
    for (unsigned bit = FIRST_BIT; bit <= LAST_BIT; bit++) {
        uint64_t before = calls;
        for (; bucket < HISTOGRAM_BUCKETS && histogram_highest(bucket) <= level_ns(bit); bucket++)
            calls += sum->counts[bucket];
        at_most[bit] = calls > before ? calls : 0;
        levels += calls > before;
    }
    return levels;
}

static void reply_histogram(struct call *call, const struct command *command) {
    struct histogram sum;
    uint64_t at_most[LAST_BIT + 1], calls = histogram_sum(command->id, &sum);
    char name[COMMAND_FULL_NAME_MAX];
    unsigned levels = find_levels(&sum, at_most);
    reply_bulk(call->reply, (struct bytes){name, command_full_name(command, name)});
    reply_map(call->reply, 2);
    reply_bulk_text(call->reply, "calls");
    reply_int(call->reply, (int64_t)calls);
    reply_bulk_text(call->reply, "histogram_usec");
    reply_map(call->reply, levels);
    for (unsigned bit = FIRST_BIT; bit <= LAST_BIT; bit++) {
        if (!at_most[bit]) continue;
        reply_int(call->reply, (int64_t)(level_ns(bit) / 1000));
        reply_int(call->reply, (int64_t)at_most[bit]);
    }
}

/* Commands that have run, in the order of their rows: noted once, for others run meanwhile. */
struct ran {
    bool is[MAX_COMMANDS];
};

/* The command and its subcommands: replies, or only counts. Returns how many. */
static unsigned each_of(struct call *call, const struct command *command, const struct ran *ran,
                        bool replies) {
    const struct command *subcommands[MAX_COMMANDS];
    unsigned count = ran->is[command->id],
             inner = command->flags & CMD_CONTAINER ? command_subcommands(command, subcommands, MAX_COMMANDS)
                                                    : 0;
    if (count && replies) reply_histogram(call, command);
    for (unsigned i = 0; i < inner; i++) {
        if (!ran->is[subcommands[i]->id]) continue;
        count++;
        if (replies) reply_histogram(call, subcommands[i]);
    }
    return count;
}

/* Those that the arguments name; without any, all. */
static unsigned each_named(struct call *call, const struct ran *ran, bool replies) {
    unsigned count = 0;
    for (unsigned id = 0; call->argc == 2 && id < command_count(); id++)
        if (!command_at(id)->container) count += each_of(call, command_at(id), ran, replies);
    for (uint32_t arg = 2; arg < call->argc; arg++) {
        const struct command *command = command_find_name(call->argv[arg]);
        if (command) count += each_of(call, command, ran, replies);
    }
    return count;
}

static void latency_histogram_(struct call *call) {
    struct histogram sum;
    struct ran ran;
    for (unsigned id = 0; id < command_count(); id++) ran.is[id] = histogram_sum(id, &sum) > 0;
    reply_map(call->reply, each_named(call, &ran, false));
    (void)each_named(call, &ran, true);
}
COMMAND(latency_histogram_) = {
    .container = "latency",
    .name = "histogram",
    .arity = -2,
    .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
    .run = latency_histogram_,
    .group = GROUP_SERVER,
    .since = "7.0.0",
    .complexity = "O(N) where N is the number of commands with latency information being retrieved.",
    .summary = "Return the cumulative distribution of latencies of a subset of commands or all.",
    .tips = LATENCY_TIPS,
    .syntax = "[<command>]..."};

/* ---- GRAPH ---------------------------------------------------------------------------------------- */

enum { GRAPH_COLUMNS = 80, GRAPH_ROWS = 4, GRAPH_MARKS = 3, AGO_MAX = 24, GRAPH_TEXT_MAX = 16384 };

/* A sample as a column: the height of its top in marks, of which a row has GRAPH_MARKS, and what stands below it. */
struct column {
    unsigned top;
    char ago[AGO_MAX];
};

static void write_ago(int64_t seconds, char ago[AGO_MAX]) {
    static const struct {
        int64_t from, unit;
        char letter;
    } units[] = {{86400, 86400, 'd'}, {3600, 3600, 'h'}, {60, 60, 'm'}, {INT64_MIN, 1, 's'}};
    unsigned i = 0;
    while (seconds < units[i].from) i++;
    snprintf(ago, AGO_MAX, "%lld%c", (long long)(seconds / units[i].unit), units[i].letter);
}

static void draw_row(struct text *text, const struct column *columns, unsigned count, unsigned row) {
    unsigned bottom = (GRAPH_ROWS - 1 - row) * GRAPH_MARKS;
    for (unsigned i = 0; i < count; i++) {
        unsigned top = columns[i].top;
        char mark = top < bottom ? ' ' : top >= bottom + GRAPH_MARKS ? '|' : "_o#"[top - bottom];
        text_add(text, (struct bytes){&mark, 1});
    }
    text_string(text, "\n");
}

/* One letter of each text below a column, from top to bottom. */
static void draw_letters(struct text *text, const struct column *columns, unsigned count) {
    size_t longest = 0;
    for (unsigned i = 0; i < count; i++)
        if (strlen(columns[i].ago) > longest) longest = strlen(columns[i].ago);
    for (unsigned i = 0; i < count; i++) text_string(text, " ");
    text_string(text, "\n");
    for (size_t at = 0; at < longest; at++) {
        for (unsigned i = 0; i < count; i++) {
            size_t len = strlen(columns[i].ago);
            text_add(text, at < len ? (struct bytes){columns[i].ago + at, 1} : BYTES(" "));
        }
        text_string(text, "\n");
    }
}

static void draw(struct text *text, const struct latency_history *history, int64_t now_s) {
    uint64_t high = 0, low = UINT64_MAX;
    for (unsigned i = 0; i < history->count; i++) {
        uint64_t ms = history->samples[i].milliseconds;
        if (ms > high) high = ms;
        if (ms < low) low = ms;
    }
    text_format(text, " - high %llu ms, low %llu ms (all time high %llu ms)\n", (unsigned long long)high,
                (unsigned long long)low, (unsigned long long)history->longest_ms);
    for (unsigned i = 0; i < GRAPH_COLUMNS; i++) text_string(text, "-");
    text_string(text, "\n");
    struct column columns[LATENCY_SAMPLES];
    const unsigned steps = GRAPH_ROWS * GRAPH_MARKS;
    for (unsigned i = 0; i < history->count; i++) {
        double share = high == low ? 0
                                   : (double)(history->samples[i].milliseconds - low) / (double)(high - low);
        unsigned top = (unsigned)(share * steps);
        columns[i].top = top < steps ? top : steps - 1;
        write_ago(now_s - history->samples[i].time_s, columns[i].ago);
    }
    for (unsigned first = 0; first < history->count; first += GRAPH_COLUMNS) {
        unsigned left = history->count - first, count = left < GRAPH_COLUMNS ? left : GRAPH_COLUMNS;
        if (first) text_string(text, "\n");
        for (unsigned row = 0; row < GRAPH_ROWS; row++) draw_row(text, columns + first, count, row);
        draw_letters(text, columns + first, count);
    }
}

static void latency_graph(struct call *call) {
    char memory[GRAPH_TEXT_MAX];
    struct text text = text_fixed(memory, sizeof memory);
    struct latency_history history = history_of(call);
    if (history.count == 0) {
        reply_errorf(call->reply, "ERR No samples available for event '%.*s'", reply_repeated(call->argv[2]),
                     call->argv[2].data);
        return;
    }
    text_add(&text, call->argv[2]);
    draw(&text, &history, call->effects->now_ms / 1000);
    assert(!text.cut);
    reply_verbatim(call->reply, "txt", text_bytes(&text));
}
COMMAND(latency_graph) = {LATENCY_ROW,
                          .name = "graph",
                          .arity = 3,
                          .run = latency_graph,
                          .summary = "Return a latency graph for the event.",
                          .tips = LATENCY_TIPS,
                          .syntax = "<event>"};

static void latency_help(struct call *call) {
    static const char *const lines[] = {
        "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        ("    Return a cumulative distribution of latencies in the format of a histogram for the specified "
         "command names."),
        "    If no commands are specified then all histograms are replied.",
    };
    HELP_REPLY(call, lines);
}
COMMAND(latency_help) = {.container = "latency",
                         .name = "help",
                         .arity = 2,
                         .flags = CMD_LOADING | CMD_STALE | CMD_BOUNDED,
                         .complexity = "O(1)",
                         .summary = "Show helpful text about the different subcommands.",
                         .run = latency_help,
                         .group = GROUP_SERVER,
                         .since = "2.8.13"};
