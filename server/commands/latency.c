/* latency.c - LATENCY: what the latency monitor knows. */
#include "server/report/latency.h"

#include <stdio.h>

#include "protocol/text.h"
#include "server/call/call.h"
#include "server/call/help.h"

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
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
    };
    HELP_REPLY(call, lines);
}
COMMAND(latency_help) = {.container = "latency",
                         .name = "help",
                         HELP_ROW,
                         .run = latency_help,
                         .group = GROUP_SERVER,
                         .since = "2.8.13"};
