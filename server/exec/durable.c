/* durable.c - what is asked of the journal before a command runs, and what it is told when some have. */
#include "server/exec/durable.h"

#include "server/exec/gates.h"
#include "server/exec/transaction.h"
#include "server/journal/appender.h"

void durable_prepare(struct executor *executor) {
    queue_prepare(executor->effects.journal);
    if (journal_listens() && !appender_has_room(executor->clock.now_us / 1000)) gate_raise(GATE_ROOM);
}

void durable_note(struct executor *executor) {
    const struct record_queue *queue = executor->effects.journal;
    if (queue && queue_has_news(queue)) appender_note(executor->clock.now_us / 1000);
}

void durable_tell(struct executor *executor, bool came) {
    struct record_queue *queue = executor->effects.journal;
    bool news = queue && queue_take_news(queue);
    if (news || came) bell_ring_aloud(&aof_log_bell, aof_log_loudness(crowd_level()));
}

/* EXEC is what it would run. */
static bool writes(const struct call *call) {
    uint32_t flags = call->command->flags;
    if (flags & CMD_RUNS_QUEUE) flags |= transaction_flags(call->client);
    return flags & CMD_WRITE;
}

static bool may_write(const struct command *command) {
    return command->flags & (CMD_WRITE | CMD_RUNS_QUEUE);
}

/* Only who makes room lowers it, for he alone wakes those who are held. */
static enum verdict ask_room(const struct call *call, struct text *why) {
    (void)why;
    if (!journal_listens() || !writes(call)) return PASS;
    atomic_thread_fence(
        memory_order_seq_cst); /* raised before this look; who makes room looks the other way round */
    return appender_has_room(executor_of(call)->clock.now_us / 1000) ? PASS : HELD;
}
GATE(room) = {.bit = GATE_ROOM, .outermost = true, .concerns = may_write, .ask = ask_room};

/* PING is refused too, so that whoever watches over the server knows, as in Redis. */
static bool is_refused(const struct command *command) {
    return may_write(command) || (!command->container && strcmp(command->name, "ping") == 0);
}
static enum verdict ask_disk(const struct call *call, struct text *why) {
    bool is_ping = !(call->command->flags & (CMD_WRITE | CMD_RUNS_QUEUE));
    if (!appender_figures().on || appender_figures().write_ok || (!is_ping && !writes(call))) return PASS;
    text_format(why, "MISCONF Errors writing to the AOF file: %s", appender_error());
    return REFUSED;
}
GATE(disk) = {.bit = GATE_MISCONF, .outermost = true, .concerns = is_refused, .ask = ask_disk};
