/* replay.c - a file's bytes become requests, and these run, as a connection's do (server/loop/input.c), but for who
 * waits for them. */
#include "server/exec/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/assert.h"
#include "protocol/text.h"
#include "server/config/config.h"
#include "server/exec/dispatch.h"
#include "server/exec/prepare.h"
#include "server/journal/intake.h"
#include "server/missing.h"
#include "store/rdb/payload.h"

enum {
    INPUT_FIRST = 1 << 18, /* bytes of the window at first, and again when a long request has gone */
    TELL_EVERY = 1 << 20,  /* bytes from one call of progress to the next */
    TIDY_STEP = 1000,      /* of what commands have left to be freed, while a stripe is held */
    TIDY_STEPS = 1000,     /* for each stripe at a time, at most */
    TIDY_GROWTH = 4 << 20, /* bytes of large values from one time to the next */
};

struct replay {
    struct aof_runner runner;
    struct executor executor;
    struct client client; /* in whose name they run */
    struct reply reply;
    struct request_parser parser;
    struct request_limits limits;
    struct request_head head;
    const struct command *head_command;
    bool only_looks;
    const struct stripe_set *held; /* all stripes, where they are held already; or NULL */
    unsigned count;                /* requests in the batch */
    bool unbounded;                /* one of them may make more than it has bytes */
    uint64_t batch_at;             /* the offset of the first of them */
    /* The file that is run. */
    struct aof_part *part;
    int file;
    struct buffer input;
    size_t taken;        /* bytes of the input */
    uint64_t read_to;    /* the offset up to which the file was read */
    uint64_t request_at; /* the offset of the request that is being read */
    uint64_t told;
    uint64_t tidied;       /* bytes of large values, or of what is left of them, that there were then */
    struct block **blocks; /* large arguments of the request that is being read; malloc'd */
    unsigned block_count, block_capacity;
};

/* ---- Faults --------------------------------------------------------------------------------------- */

/* Always false. */
static bool fail_at(struct replay *replay, uint64_t offset, const char *why) {
    struct text out = text_fixed(replay->part->why, sizeof replay->part->why);
    replay->part->fault = offset;
    text_string(&out, why);
    return false;
}

/* The offset of what is read next. */
static uint64_t here(const struct replay *replay) {
    assert(replay->taken <= replay->input.len && replay->read_to >= replay->input.len - replay->taken);
    return replay->read_to - (replay->input.len - replay->taken);
}

static bool fail(struct replay *replay, const char *why) {
    return fail_at(replay, replay->request_at, why);
}

/* As for Redis: the name as it stands there. `missing` ends a sentence that begins with "kevy"; or NULL. */
static bool fail_because(struct replay *replay, const char *what, struct bytes name, const char *missing) {
    char memory[AOF_WHY_SIZE];
    struct text text = text_fixed(memory, sizeof memory);
    text_format(&text, "%s '", what);
    text_escaped(&text, name, 64);
    text_string(&text, "'");
    if (missing) text_format(&text, " (kevy %s)", missing);
    return fail(replay, memory);
}

static bool fail_name(struct replay *replay, const char *what, struct bytes name) {
    return fail_because(replay, what, name, NULL);
}

/* ---- Running -------------------------------------------------------------------------------------- */

static void drop_blocks(struct replay *replay) {
    for (unsigned i = 0; i < replay->block_count; i++) block_release(replay->blocks[i]);
    replay->block_count = 0;
}

/* What was answered with an error when it was recorded is so now. */
static void note_errors(struct replay *replay, uint64_t errors) {
    struct aof_part *part = replay->part;
    if (part->refused == 0) part->first_refused = replay->batch_at;
    part->refused += errors;
}

/* Whoever asks for delays looks at how far it is. */
static void delay(struct replay *replay, unsigned count) {
    struct aof_part *part = replay->part;
    for (unsigned i = 0; i < count; i++) intake_delay();
    part->taken = replay->batch_at;
    if (part->progress) part->progress(part);
}

/* Dead ones too. */
static uint64_t bytes_of_values(void) {
    return heaps_used(stripes.heaps) + heaps_blocks(stripes.heaps);
}

/* Else what commands have left behind is freed by shards, which may not run yet, or free less than is made. */
static void tidy(struct replay *replay) {
    for (unsigned i = 0; i < stripes.count && !replay->only_looks; i++) {
        struct stripe *stripe = &stripes.all[i];
        bool more = true;
        for (unsigned steps = 0; more && steps < TIDY_STEPS; steps++) {
            if (!replay->held) stripe_lock(stripe);
            more = keyspace_upkeep(stripe->keyspace, TIDY_STEP);
            if (!replay->held) stripe_unlock(stripe);
        }
    }
    replay->tidied = bytes_of_values();
}

static bool run_batch(struct replay *replay) {
    struct executor *executor = &replay->executor;
    uint64_t errors = replay->reply.errors;
    unsigned count = replay->count;
    if (count == 0) return true;
    replay->count = 0;
    replay->part->commands += count;
    if (replay->only_looks) return true;
    executor->call.arg_blocks = replay->blocks;
    executor->call.arg_block_count = replay->block_count;
    executor->call.arg_block_next = 0;
    unsigned done = count;
    if (replay->held)
        dispatch_held(executor, &replay->client, &replay->reply, count, replay->held);
    else
        done = dispatch_batch(executor, &replay->client, &replay->reply, count);
    assert(done == count && !replay->client.waiter && !replay->client.transaction);
    if (intake_delays()) delay(replay, count);
    if (replay->reply.errors != errors) note_errors(replay, replay->reply.errors - errors);
    if (replay->unbounded && bytes_of_values() >= replay->tidied + TIDY_GROWTH) tidy(replay);
    replay->unbounded = false;
    if (!executor->effects.starved) return true;
    executor->effects.starved = false;
    return fail_at(replay, replay->batch_at, "Out of memory");
}

/* ---- Requests ------------------------------------------------------------------------------------- */

/* What a file says beside its commands. */
enum beside { BESIDE_NO, BESIDE_SELECT, BESIDE_NOTHING };

/* What leaves no functions, and what brings those of a server that had none, as redis-cli does where it adds a node to a
 * cluster: both are done with nothing. Whatever brings one is an unknown command. */
static bool is_of_no_functions(const struct request_args *args) {
    struct payload payload;
    if (args->argc < 2 || args->argc > 4 || !bytes_is(args->argv[0], "function")) return false;
    if (bytes_is(args->argv[1], "flush")) return args->argc < 4;
    return bytes_is(args->argv[1], "restore") && args->argc > 2 && args->argv[2].len == PAYLOAD_FOOTER &&
           payload_open(args->argv[2], PAYLOAD_CHECKED, &payload);
}

/* Transactions are whole, or were left out before: so what stands in them can run at once. */
static enum beside is_beside(const struct request_args *args) {
    if (is_of_no_functions(args)) return BESIDE_NOTHING;
    if (args->argc > 2) return BESIDE_NO;
    struct bytes name = args->argv[0];
    if (args->argc == 2) return bytes_is(name, "select") ? BESIDE_SELECT : BESIDE_NO;
    bool nothing = bytes_is(name, "multi") || bytes_is(name, "exec") || bytes_is(name, "ping");
    return nothing ? BESIDE_NOTHING : BESIDE_NO;
}

static bool select_database(struct replay *replay, struct bytes text) {
    char why[96];
    uint64_t number;
    if (!number_parse_u64(text, &number)) return fail_name(replay, "SELECT of no number", text);
    if (number >= (uint64_t)config.databases) {
        snprintf(why, sizeof why, "Database %llu, where the option `databases` is %lld",
                 (unsigned long long)number, (long long)config.databases);
        return fail(replay, why);
    }
    if (!run_batch(replay)) return false;
    client_set(replay->client.db, (uint16_t)number);
    return true;
}

/* Is it one that may stand in such a file? */
static bool check_request(struct replay *replay, const struct request *request) {
    struct bytes name = request->args.argv[0];
    if (!request->command) return fail_because(replay, "Unknown command", name, missing_command(name));
    if (request->bad_subcommand || !request->command->run)
        return fail_name(replay, "Unknown subcommand of", name);
    if (request->bad_arity) return fail_name(replay, "Wrong number of arguments for", name);
    if (request->command->flags & (CMD_WRITE | CMD_READONLY)) return true;
    return fail_name(replay, "A command that changes no data", name);
}

/* Changes are recorded as clients call a command, by the name that rename-command gave it, and what the server makes of one
 * (DEL of what has expired, say) by the names that all commands have: it must load what it has written. */
static bool prepare_by_own_name(struct replay *replay, struct request *request) {
    bool bad_subcommand;
    const struct request_args *args = &request->args;
    const struct command *own = command_find_own(args->argv, args->argc, &bad_subcommand);
    if (!own || bad_subcommand || !own->run || !command_arity_ok(own, args->argc)) return true;
    return prepare_request(&replay->executor, &replay->client, request, own);
}

static void note_head(struct replay *replay, const struct request *request, const char *data) {
    if (!request->plain || request->command->container) return;
    if (request_head_note(&replay->head, data, &request->args)) replay->head_command = request->command;
}

/* A request that was parsed; `known` is its row, or NULL. */
static inline bool take_request(struct replay *replay, const char *data, size_t used,
                                const struct command *known) {
    struct request *request = &replay->executor.batch[replay->count];
    enum beside beside = known ? BESIDE_NO : is_beside(&request->args);
    if (beside == BESIDE_SELECT && !select_database(replay, request->args.argv[1])) return false;
    if (beside == BESIDE_NO) {
        bool ok = prepare_request(&replay->executor, &replay->client, request, known);
        if (ok && !request->command) ok = prepare_by_own_name(replay, request);
        if (!ok) return fail(replay, "Out of memory");
        if (!known && !check_request(replay, request)) return false;
        if (!known) note_head(replay, request, data);
        if (!(request->command->flags & (CMD_FAST | CMD_BOUNDED))) replay->unbounded = true;
        if (replay->count == 0) replay->batch_at = replay->request_at;
        replay->count++;
    }
    replay->taken += used;
    if (replay->count < BATCH_REQUESTS && replay->block_count == 0) return true;
    bool ok = run_batch(replay);
    drop_blocks(replay);
    return ok;
}

static inline enum request_status parse(struct replay *replay, struct bytes data, size_t *used,
                                        const struct command **known) {
    struct request_args *args = &replay->executor.batch[replay->count].args;
    *known = NULL;
    if (!replay->parser.saved && request_head_is(&replay->head, data) &&
        request_parse_behind(&replay->head, &replay->limits, data, args, used)) {
        *known = replay->head_command;
        return REQUEST_READY;
    }
    return request_parse(&replay->parser, &replay->limits, data, args, used);
}

/* ---- Input ---------------------------------------------------------------------------------------- */

static bool fail_read(struct replay *replay, ssize_t got) {
    char why[AOF_WHY_SIZE];
    snprintf(why, sizeof why, "%s", got < 0 ? strerror((int)-got) : "The file has become shorter");
    return fail_at(replay, replay->read_to, why);
}

static void tell(struct replay *replay) {
    struct aof_part *part = replay->part;
    if (part->work) __atomic_fetch_add(part->work, 1, __ATOMIC_RELAXED);
    part->taken = here(replay);
    if (part->taken - replay->told < TELL_EVERY) return;
    replay->told = part->taken;
    tidy(replay);
    if (part->progress) part->progress(part);
}

/* Reads on. What was taken is gone, and so no request may be waiting to run. */
static bool more(struct replay *replay) {
    struct aof_part *part = replay->part;
    struct buffer *input = &replay->input;
    assert(replay->count == 0 && replay->read_to < part->end);
    if (intake_cancelled()) return fail(replay, "The server was told to end");
    tell(replay);
    buffer_consume(input, replay->taken);
    replay->taken = 0;
    if (input->len == 0 && input->capacity > INPUT_FIRST) buffer_free(input);
    size_t room = input->capacity - input->len;
    if (room < INPUT_FIRST / 2) {
        if (!buffer_reserve(input, INPUT_FIRST, SIZE_MAX)) return fail(replay, "Out of memory");
        room = input->capacity - input->len;
    }
    if (room > part->end - replay->read_to) room = (size_t)(part->end - replay->read_to);
    ssize_t got = part->disk->read(part->disk, replay->file, input->data + input->len, room);
    if (got <= 0) return fail_read(replay, got);
    input->len += (size_t)got;
    replay->read_to += (size_t)got;
    return true;
}

/* A request goes on behind what is there. */
static bool read_on(struct replay *replay) {
    if (replay->read_to < replay->part->end) return run_batch(replay) && more(replay);
    return fail(replay, "The file has changed");
}

/* Passes a line that begins with #. */
static bool skip_line(struct replay *replay) {
    for (;;) {
        const char *begin = replay->input.data + replay->taken;
        const char *end = memchr(begin, '\n', replay->input.len - replay->taken);
        if (end) {
            replay->taken += (size_t)(end - begin) + 1;
            return true;
        }
        if (!read_on(replay)) return false;
    }
}

/* ---- Large arguments ------------------------------------------------------------------------------ */

static bool keep_block(struct replay *replay, struct block *block) {
    if (replay->block_count == replay->block_capacity) {
        unsigned capacity = replay->block_capacity * 2 + 4;
        struct block **grown = realloc(replay->blocks, capacity * sizeof(struct block *));
        if (!grown) return false;
        replay->blocks = grown;
        replay->block_capacity = capacity;
    }
    replay->blocks[replay->block_count++] = block;
    return true;
}

/* The rest of it, of which `have` bytes are there, from the file. */
static bool fill_block(struct replay *replay, struct block *block, size_t have) {
    struct aof_part *part = replay->part;
    while (have < block->capacity) {
        size_t len = block->capacity - have;
        if (len > part->end - replay->read_to) return fail(replay, "The file has changed");
        ssize_t got = part->disk->read(part->disk, replay->file, block->data + have, len);
        if (got <= 0) return fail_read(replay, got);
        have += (size_t)got;
        replay->read_to += (size_t)got;
        if (part->work) __atomic_fetch_add(part->work, 1, __ATOMIC_RELAXED);
    }
    return true;
}

/* It is read into the memory that the store will keep. In the input it leaves no place behind. */
static bool take_bulk(struct replay *replay) {
    struct request_parser *parser = &replay->parser;
    struct buffer *input = &replay->input;
    size_t at = replay->taken + parser->bulk_offset, have = parser->bulk_have, len = (size_t)parser->bulk_len;
    assert(at + have == input->len && have < len + 2);
    struct block *block = block_new_full(len + 2, len + 2);
    if (!block) return fail(replay, "Out of memory");
    memcpy(block->data, input->data + at, have);
    bool ok = fill_block(replay, block, have) && (keep_block(replay, block) || fail(replay, "Out of memory"));
    if (!ok) {
        block_release(block);
        return false;
    }
    input->len = at;
    block->len = len;
    request_bulk_given(parser, block->data);
    return true;
}

static bool fail_parse(struct replay *replay) {
    char why[REQUEST_ERROR_MAX];
    request_error(&replay->parser, why);
    return fail(replay, why);
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static bool run_next(struct replay *replay) {
    struct bytes data = {replay->input.data + replay->taken, replay->input.len - replay->taken};
    const struct command *known;
    size_t used;
    if (!replay->parser.saved) replay->request_at = here(replay);
    if (!replay->parser.saved && data.data[0] == '#') return skip_line(replay);
    switch (parse(replay, data, &used, &known)) {
    case REQUEST_READY:
        if (replay->executor.batch[replay->count].args.argc == 0) return fail(replay, "An empty command");
        return take_request(replay, data.data, used, known);
    case REQUEST_MORE: return read_on(replay);
    case REQUEST_BULK: return run_batch(replay) && take_bulk(replay);
    default: return fail_parse(replay);
    }
}

static bool run_all(struct replay *replay) {
    struct aof_part *part = replay->part;
    while (here(replay) < part->end || replay->parser.saved) {
        bool empty = replay->taken == replay->input.len && !replay->parser.saved;
        if (!(empty ? read_on(replay) : run_next(replay))) return false;
    }
    bool ok = run_batch(replay);
    tell(replay);
    return ok;
}

/* Passes what is before the part. */
static bool skip_to(struct replay *replay, uint64_t offset) {
    char scratch[4096];
    while (replay->read_to < offset) {
        uint64_t left = offset - replay->read_to;
        ssize_t got = replay->part->disk->read(replay->part->disk, replay->file, scratch,
                                               left < sizeof scratch ? (size_t)left : sizeof scratch);
        if (got <= 0) return fail_read(replay, got);
        replay->read_to += (size_t)got;
    }
    return true;
}

static bool run(struct aof_runner *runner, struct aof_part *part) {
    struct replay *replay = (struct replay *)(void *)runner;
    replay->part = part;
    replay->count = 0;
    replay->read_to = replay->told = replay->taken = replay->input.len = 0;
    replay->head.size = 0;
    replay->client.db = 0;
    part->commands = part->refused = part->taken = 0;
    part->why[0] = '\0';
    replay->file = part->disk->open(part->disk, part->path, DISK_READ);
    if (replay->file < 0) return fail_read(replay, replay->file);
    bool ok = skip_to(replay, part->begin) && run_all(replay);
    part->disk->close(part->disk, replay->file);
    replay->count = 0; /* behind a fault nothing is run */
    request_parser_reset(&replay->parser);
    drop_blocks(replay);
    buffer_free(&replay->input);
    assert(ok == (part->why[0] == '\0'));
    return ok;
}
_Static_assert(offsetof(struct replay, runner) == 0, "a replay is found at its runner's address");

/* ---- Beginning and end ---------------------------------------------------------------------------- */

struct aof_runner *replay_new(int64_t now_ms, bool only_looks) {
    size_t align = _Alignof(struct replay), size = (sizeof(struct replay) + align - 1) / align * align;
    struct replay *replay = aligned_alloc(align, size);
    if (!replay) return NULL;
    memset(replay, 0, sizeof *replay);
    replay->runner.run = run;
    replay->only_looks = only_looks;
    replay->client.resp = 2;
    replay->limits = (struct request_limits){.max_args = INT32_MAX,
                                             .max_bulk = INT64_MAX,
                                             .max_inline = MAX_INLINE,
                                             .bulk_min = DIRECT_READ_MIN,
                                             .authenticated = true};
    executor_open(&replay->executor, 0);
    metrics_unregister(&replay->executor.metrics); /* that it is done again is nothing to count */
    histograms_unregister(&replay->executor.histograms);
    replay->executor.effects.journal = NULL;
    replay->executor.effects.replay_ms = now_ms;
    replay->executor.call.wait = NULL; /* nobody waits here */
    mute_forever(&replay->executor.mute, &replay->reply);
    return &replay->runner;
}

void replay_free(struct aof_runner *runner) {
    struct replay *replay = (struct replay *)(void *)runner;
    assert(replay->count == 0 && replay->block_count == 0);
    executor_close(&replay->executor);
    free(replay->blocks);
    free(replay);
}

static struct replay *replay_of(struct aof_runner *runner) {
    return (struct replay *)(void *)runner;
}

void replay_holds(struct aof_runner *runner, const struct stripe_set *all) {
    replay_of(runner)->held = all;
}

struct ready replay_take_ready(struct aof_runner *runner) {
    struct ready *ready = &replay_of(runner)->executor.effects.ready, taken = *ready;
    *ready = (struct ready){NULL, NULL};
    return taken;
}
