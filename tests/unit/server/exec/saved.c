/* Requests that are kept: what is copied, what is shared, and what it all takes. */
#include "server/exec/saved.h"

#include "tests/unit/batch_fixture.h"

/* The call of the batch's first request, as it runs. */
static struct call call_of_first(void) {
    const struct request *request = &shards->exec.batch[0];
    return (struct call){.argv = request->args.argv,
                         .argc = request->args.argc,
                         .hash = request->hash,
                         .command = request->command,
                         .client = &client,
                         .effects = &shards->exec.effects};
}

static void prepare(struct bytes line) {
    struct request_parser parser = {0};
    size_t used;
    CHECK(request_parse(&parser, &shards->limits, line, &shards->exec.batch[0].args, &used) == REQUEST_READY);
    CHECK(prepare_request(&shards->exec, &client, &shards->exec.batch[0], NULL));
}

static void small_arguments_are_copied(void) {
    begin(4);
    prepare(BYTES("rename from \"\"\n"));
    struct call call = call_of_first();
    struct saved *saved = saved_new(&call, &shards->exec.batch[0], SIZE_MAX);
    CHECK(saved && saved->command == call.command);
    CHECK_INT(saved->argc, 3);
    CHECK_INT(saved->block_count, 0);
    CHECK_BYTES(saved->argv[0], BYTES("rename"));
    CHECK_BYTES(saved->argv[1], BYTES("from"));
    CHECK_BYTES(saved->argv[2], BYTES(""));
    CHECK(saved->argv[1].data != call.argv[1].data);
    for (unsigned i = 1; i < 3; i++) {
        CHECK(saved->hash[i] == hash_bytes(&stripes.seed, call.argv[i]));
        CHECK(stripe_set_has(&saved->stripes, stripe_index(saved->hash[i])));
    }
    saved_free(saved);
    end();
}

/* Where many stripes cannot be told from the arguments, all are needed. */
static void stripes_are_those_that_it_may_look_at(void) {
    static const struct {
        const char *line;
        unsigned stripes; /* of 64; 0: all */
    } cases[] = {{"get a\n", 1},  {"ping\n", 64},    {"flushall\n", 0},
                 {"scan 0\n", 0}, {"mget a a\n", 1}, {"unwatch\n", 64}};
    begin(4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned count = 0, expected = cases[i].stripes == 64 ? 0
                                       : cases[i].stripes     ? cases[i].stripes
                                                              : stripes.count;
        prepare(bytes_of(cases[i].line));
        struct call call = call_of_first();
        struct saved *saved = saved_new(&call, &shards->exec.batch[0], SIZE_MAX);
        for (unsigned s = 0; s < stripes.count; s++) count += stripe_set_has(&saved->stripes, s);
        CHECK_INT(count, expected);
        saved_free(saved);
    }
    end();
}

static void large_arguments_are_shared_and_counted(void) {
    begin(4);
    struct block *large = block_new_zeroed(DIRECT_READ_MIN, DIRECT_READ_MIN);
    struct block *other = block_new_zeroed(DIRECT_READ_MIN + 1, DIRECT_READ_MIN + 1);
    struct block *blocks[] = {other, large};
    prepare(BYTES("mset a 1 b 2 c 3\n"));
    shards->exec.batch[0].args.argv[2] = block_bytes(large);
    shards->exec.batch[0].args.argv[6] = block_bytes(other);
    struct call call = call_of_first();
    size_t copied = 0;
    call.arg_blocks = blocks;
    call.arg_block_count = 2;
    struct saved *saved = saved_new(&call, &shards->exec.batch[0], SIZE_MAX);
    CHECK(saved->block_count == 2 && block_shared(large) && block_shared(other));
    CHECK(saved->argv[2].data == large->data && saved->argv[6].data == other->data);
    CHECK_BYTES(saved->argv[4], BYTES("2"));
    copied = saved->size - large->len - other->len;
    CHECK(copied > sizeof *saved && copied < 1024);
    saved_free(saved);
    CHECK(!block_shared(large) && !block_shared(other));
    /* Exactly so much, and not a byte less. */
    size_t size = copied + large->len + other->len;
    saved = saved_new(&call, &shards->exec.batch[0], size);
    CHECK(saved && saved->size == size);
    saved_free(saved);
    CHECK(!saved_new(&call, &shards->exec.batch[0], size - 1));
    CHECK(!block_shared(large) && !block_shared(other));
    block_release(large);
    block_release(other);
    end();
}

int main(void) {
    RUN(small_arguments_are_copied);
    RUN(stripes_are_those_that_it_may_look_at);
    RUN(large_arguments_are_shared_and_counted);
    return 0;
}
