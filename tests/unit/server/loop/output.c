/* What a connection still has to send, with a test in the place of the kernel: it takes as many bytes as it likes. */
#include "server/loop/output.h"

#include "tests/check.h"

enum { TEXT_MAX = 1 << 20, BLOCKS = 8 };

struct text {
    size_t len;
    char data[TEXT_MAX];
};

static struct chunk_pool pool;
static struct output out;
static struct text expected, sent;

static void begin(void) {
    output_open(&out, &pool);
    expected.len = sent.len = 0;
}

static void text_add(struct text *text, struct bytes bytes) {
    CHECK(bytes.len <= TEXT_MAX - text->len);
    memcpy(text->data + text->len, bytes.data, bytes.len);
    text->len += bytes.len;
}

/* Bytes that tell where in the stream they belong. */
static void say(size_t len) {
    static char data[TEXT_MAX];
    for (size_t i = 0; i < len; i++) data[i] = (char)('a' + (expected.len + i) % 25);
    reply_raw(&out.reply, (struct bytes){data, len});
    text_add(&expected, (struct bytes){data, len});
}

static struct block *block_named(char name, size_t len) {
    struct block *block = block_new(len, len);
    CHECK(block);
    memset(block->data, name, len);
    return block;
}

static void pin(struct block *block) {
    CHECK(output_attach(&out, block_retain(block)));
    text_add(&expected, block_bytes(block));
}

static unsigned references(const struct block *block) {
    return __atomic_load_n(&block->references, __ATOMIC_RELAXED);
}

/* As the kernel does: takes `most` bytes of the vector, or all of it. Returns how many. */
static size_t take(size_t most) {
    const struct iovec *iov;
    unsigned count = output_in_flight(&out) ? output_rest(&out, &iov) : output_begin(&out, SIZE_MAX, &iov);
    size_t taken = 0;
    CHECK(count <= MAX_IOV);
    CHECK((count > 0) == output_in_flight(&out)); /* a send of no bytes would be under way unseen */
    for (unsigned i = 0; i < count; i++) CHECK(iov[i].iov_len > 0);
    for (unsigned i = 0; i < count && taken < most; i++) {
        size_t n = iov[i].iov_len < most - taken ? iov[i].iov_len : most - taken;
        text_add(&sent, (struct bytes){iov[i].iov_base, n});
        taken += n;
    }
    if (count) CHECK(output_sent(&out, taken) == !output_in_flight(&out));
    CHECK_INT(output_unsent(&out), expected.len - sent.len);
    return taken;
}

static void take_all(void) {
    while (take(SIZE_MAX)) {
    }
}

static void owns_nothing(void) {
    CHECK_INT(output_unsent(&out), 0);
    CHECK(!output_in_flight(&out) && !out.chunk && !out.run && !out.reply.at);
    CHECK(out.queued.count == 0 && out.queued.iov == out.queued.inline_iov);
    CHECK(out.inflight.count == 0 && out.inflight.iov == out.inflight.inline_iov);
}

static void all_came(void) {
    CHECK_BYTES(((struct bytes){sent.data, sent.len}), ((struct bytes){expected.data, expected.len}));
    owns_nothing();
}

static void nothing_to_send_is_nothing_to_begin(void) {
    const struct iovec *iov;
    begin();
    owns_nothing();
    CHECK_INT(output_begin(&out, SIZE_MAX, &iov), 0);
    owns_nothing();
    output_close(&out);
}

static void text_comes_out_as_it_went_in_and_its_chunks_go_back(void) {
    begin();
    for (size_t len = 1; len < 3 * OUTPUT_CHUNK_SIZE; len = len * 3 + 1) say(len);
    take_all();
    all_came();
    unsigned chunks = pool.count;
    CHECK(chunks > 0 && chunks <= CHUNK_POOL_MAX);
    say(10);
    CHECK_INT(pool.count, chunks - 1);
    take_all();
    all_came();
    CHECK_INT(pool.count, chunks);
    output_close(&out);
}

static void a_short_send_at_every_offset_goes_on_where_it_ended(void) {
    struct block *a = block_named('A', 13), *b = block_named('B', 7);
    for (size_t first = 1, total = 2; first < total; first++) {
        begin();
        say(5);
        pin(a);
        say(3);
        pin(b);
        pin(a);
        say(2);
        total = expected.len;
        CHECK_INT(take(first), first);
        CHECK_INT(take(SIZE_MAX), total - first);
        all_came();
        CHECK(references(a) == 1 && references(b) == 1);
        output_close(&out);
    }
    block_release(a);
    block_release(b);
}

static void single_bytes_arrive_too(void) {
    struct block *a = block_named('A', 40);
    begin();
    for (int i = 0; i < 10; i++) say(9), pin(a);
    while (take(1)) {
    }
    all_came();
    CHECK_INT(references(a), 1);
    output_close(&out);
    block_release(a);
}

/* A chunk that ends behind a pin has no text left to go with, and one that was never written to has none at all. */
static void chunks_end_without_empty_parts(void) {
    struct block *a = block_named('A', 3);
    for (unsigned pins = 1; pins < 4; pins++) {
        begin();
        unsigned chunks = pool.count;
        say(5);
        for (unsigned i = 0; i < pins; i++) pin(a);
        take(1);
        CHECK(!out.chunk); /* the text has taken it along */
        take(SIZE_MAX);
        all_came();
        CHECK(reply_reserve(&out.reply, 100) != NULL);
        pin(a);
        CHECK(take(SIZE_MAX) == 3 && !out.chunk);
        CHECK(reply_reserve(&out.reply, 100) != NULL);
        CHECK(take(SIZE_MAX) == 0 && !out.chunk);
        say(OUTPUT_CHUNK_SIZE);
        pin(a);
        say(1); /* the chunk is full to its last byte: the next one follows the pin */
        take_all();
        all_came();
        output_close(&out);
        CHECK(pool.count >= chunks && references(a) == 1);
    }
    block_release(a);
}

/* The parts of one flush, and behind them the end of a chunk: nothing is left to be sent by itself. */
static void a_full_flush_leaves_no_empty_one_behind(void) {
    struct block *a = block_named('A', 2);
    begin();
    say(1);
    for (unsigned i = 0; i < MAX_IOV - 1; i++) pin(a);
    CHECK_INT(take(SIZE_MAX), 1 + 2 * (MAX_IOV - 1));
    all_came();
    CHECK_INT(references(a), 1);
    output_close(&out);
    block_release(a);
}

static void a_pin_is_held_until_its_last_byte_has_gone(void) {
    struct block *a = block_named('A', 20), *b = block_named('B', 20);
    begin();
    say(4);
    pin(a);
    pin(b);
    take(4 + 19);
    CHECK(references(a) == 2 && references(b) == 2);
    take(1);
    CHECK(references(a) == 1 && references(b) == 2);
    take(SIZE_MAX);
    CHECK_INT(references(b), 1);
    all_came();
    output_close(&out);
    block_release(a);
    block_release(b);
}

static void a_pin_outlives_its_value(void) {
    struct block *a = block_named('A', 100);
    begin();
    pin(a);
    block_release(a); /* deleted from the store: the output's reference is the last one */
    take(50);
    take_all();
    all_came();
    output_close(&out);
}

/* More parts than fit inline, then a queue that grows several times while others are in flight. */
static void what_is_in_flight_does_not_move_while_more_is_queued(void) {
    for (unsigned flying = 1; flying < 4 * OUTPUT_INLINE_PARTS; flying++) {
        struct block *a = block_named('A', 11), *b = block_named('B', 3);
        struct iovec before[4 * OUTPUT_INLINE_PARTS];
        const struct iovec *iov, *same;
        begin();
        for (unsigned i = 0; i < flying; i++) pin(a);
        CHECK_INT(output_begin(&out, SIZE_MAX, &iov), flying);
        memcpy(before, iov, flying * sizeof *iov);
        for (unsigned i = 0; i < 100; i++) say(5), pin(b);
        CHECK_INT(output_rest(&out, &same), flying);
        CHECK(same == iov && memcmp(before, iov, flying * sizeof *iov) == 0);
        take(11 * flying - 1);
        take_all();
        all_came();
        CHECK(references(a) == 1 && references(b) == 1);
        output_close(&out);
        block_release(a);
        block_release(b);
    }
}

static void one_flush_takes_no_more_parts_than_the_kernel_does(void) {
    enum { PARTS = 2 * MAX_IOV + 100 };
    struct block *a = block_named('A', 2);
    const struct iovec *iov;
    begin();
    for (unsigned i = 0; i < PARTS / 2; i++) say(1), pin(a);
    CHECK_INT(output_begin(&out, SIZE_MAX, &iov), MAX_IOV);
    CHECK(take(SIZE_MAX) == MAX_IOV * 3 / 2 && !output_in_flight(&out));
    say(7); /* queues behind what was left */
    take_all();
    all_came();
    CHECK_INT(references(a), 1);
    output_close(&out);
    block_release(a);
}

static void a_reply_beyond_the_limit_fails_and_what_came_before_still_goes(void) {
    struct block *a = block_named('A', 600);
    begin();
    out.limit = 1000;
    say(300);
    pin(a);
    CHECK(!output_attach(&out, block_retain(a)));
    CHECK_INT(references(a), 2); /* the refused one gave its reference back */
    CHECK_INT(output_unsent(&out), 900);
    take_all();
    pin(a); /* sent bytes count no more */
    take_all();
    all_came();
    output_close(&out);
    block_release(a);
}

static void text_beyond_the_limit_fails_at_a_chunk_and_stays_failed(void) {
    begin();
    out.limit = OUTPUT_CHUNK_SIZE + 100;
    say(OUTPUT_CHUNK_SIZE);
    CHECK(!out.reply.failed);
    reply_raw(&out.reply, (struct bytes){expected.data, 101});
    CHECK(out.reply.failed);
    reply_literal(&out.reply, "x");
    CHECK_INT(output_unsent(&out), OUTPUT_CHUNK_SIZE);
    output_close(&out);
    owns_nothing();
}

static void closing_drops_what_is_queued_and_what_is_in_flight(void) {
    struct block *a = block_named('A', 30);
    const struct iovec *iov;
    for (unsigned gone = 0; gone < 90; gone += 10) {
        begin();
        for (int i = 0; i < 3; i++) pin(a), say(3);
        CHECK(output_begin(&out, SIZE_MAX, &iov) > 0);
        if (gone) take(gone);
        say(OUTPUT_CHUNK_SIZE + 5);
        pin(a);
        say(1);
        output_close(&out);
        owns_nothing();
        CHECK_INT(references(a), 1);
    }
    block_release(a);
}

/* ---- Sources -------------------------------------------------------------------------------------- */

/* Writes so many letters, `step` at a time, in whatever protocol it began. */
struct letters {
    struct reply_source source;
    size_t left, step;
    char letter;
    bool fails;
};
static unsigned letters_live;

static bool letters_more(struct reply_source *source, struct reply *reply, size_t budget) {
    struct letters *letters = (struct letters *)source;
    static char data[TEXT_MAX];
    CHECK(budget > 0 && letters->left > 0 && reply->resp == source->resp);
    size_t len = letters->left < letters->step ? letters->left : letters->step;
    memset(data, letters->letter, len);
    reply_raw(reply, (struct bytes){data, len});
    if (letters->fails) reply->failed = true;
    letters->left -= len;
    return letters->left > 0;
}
static void letters_drop(struct reply_source *source) {
    letters_live--;
    free(source);
}

static void follow(char letter, size_t len, size_t step, bool fails) {
    struct letters *letters = malloc(sizeof *letters);
    static char data[TEXT_MAX];
    CHECK(letters);
    *letters = (struct letters){.source = {letters_more, letters_drop, 0},
                                .left = len,
                                .step = step,
                                .letter = letter,
                                .fails = fails};
    letters_live++;
    reply_source(&out.reply, &letters->source);
    memset(data, letter, len);
    text_add(&expected, (struct bytes){data, len});
}

/* As take_all, where what sources are going to write is not counted as unsent. */
static void take_written(size_t most) {
    const struct iovec *iov;
    for (unsigned count; output_unsent(&out);) {
        count = output_in_flight(&out) ? output_rest(&out, &iov) : output_begin(&out, SIZE_MAX, &iov);
        CHECK(count > 0 && count <= MAX_IOV);
        size_t n = iov[0].iov_len < most ? iov[0].iov_len : most;
        text_add(&sent, (struct bytes){iov[0].iov_base, n});
        output_sent(&out, n);
    }
}

static void sources_write_in_their_turn(void) {
    for (size_t most = 1000; most < 100000; most *= 7) {
        begin();
        struct block *block = block_named('#', 20000);
        say(100);
        follow('A', 200000, 30000, false);
        say(40000);
        follow('B', 10, 10, false);
        out.reply.resp = 3; /* what follows; 'C' begins with it, too */
        follow('C', 50000, 1000, false);
        pin(block);
        say(5);
        CHECK_INT(out.sources, 3);
        CHECK(output_unsent(&out) == 100 + 40000 + 20000 + 5 + 3);
        take_written(most);
        CHECK_BYTES(((struct bytes){sent.data, sent.len}), ((struct bytes){expected.data, expected.len}));
        CHECK(letters_live == 0 && out.sources == 0 && references(block) == 1);
        out.reply.resp = 2;
        owns_nothing();
        block_release(block);
        output_close(&out);
    }
    chunk_pool_close(&pool);
}

/* What it wrote until then goes, and nothing behind it. */
static void a_source_that_fails_ends_the_reply(void) {
    const struct iovec *iov;
    begin();
    say(10);
    follow('A', 3000, 1000, true);
    say(10);
    CHECK_INT(output_begin(&out, SIZE_MAX, &iov), 1);
    CHECK(output_sent(&out, 10));
    output_begin(&out, SIZE_MAX, &iov);
    CHECK(out.reply.failed && letters_live == 0 && out.sources == 0);
    output_close(&out);
    chunk_pool_close(&pool);
}

static void closing_drops_sources(void) {
    const struct iovec *iov;
    begin();
    follow('A', 300000, 1000, false);
    follow('B', 300000, 1000, false);
    CHECK(output_begin(&out, SIZE_MAX, &iov) == 1 && letters_live == 2);
    output_close(&out);
    CHECK_INT(letters_live, 0);
    begin();
    out.limit = 100;
    say(100);
    follow('A', 10, 10, false); /* there is no room for it */
    CHECK(out.reply.failed && letters_live == 0);
    output_close(&out);
    chunk_pool_close(&pool);
}

static void the_pool_keeps_a_bounded_number_of_chunks(void) {
    begin();
    for (unsigned i = 0; i < 2 * CHUNK_POOL_MAX && expected.len < TEXT_MAX - OUTPUT_CHUNK_SIZE; i++)
        say(OUTPUT_CHUNK_SIZE / 2 + 1);
    static struct output others[CHUNK_POOL_MAX + 3];
    for (unsigned i = 0; i < CHUNK_POOL_MAX + 3; i++) {
        output_open(&others[i], &pool);
        reply_ok(&others[i].reply);
    }
    for (unsigned i = 0; i < CHUNK_POOL_MAX + 3; i++) output_close(&others[i]);
    CHECK_INT(pool.count, CHUNK_POOL_MAX);
    take_all();
    all_came();
    CHECK_INT(pool.count, CHUNK_POOL_MAX);
    output_close(&out);
    chunk_pool_close(&pool);
    CHECK(pool.count == 0 && !pool.free);
}

/* Anything in any order: bytes come in order, and every reference is given back once. */
static void any_order_of_writing_and_sending(void) {
    unsigned long long seed = check_seed();
    struct block *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) blocks[i] = block_named((char)('A' + i), 1 + i * 97);
    for (unsigned round = 0; round < 200; round++) {
        begin();
        unsigned steps = (unsigned)(check_random(&seed) % 300);
        for (unsigned i = 0; i < steps && expected.len < TEXT_MAX / 2; i++) {
            unsigned long long random = check_random(&seed);
            if (random % 3 == 0)
                say(1 + random / 3 % (random % 16 ? 60 : 3 * OUTPUT_CHUNK_SIZE / 2));
            else if (random % 3 == 1)
                pin(blocks[random / 3 % BLOCKS]);
            else
                take(1 + random / 3 % 500);
            CHECK_INT(output_unsent(&out), expected.len - sent.len);
        }
        if (round % 2) {
            take_all();
            all_came();
        }
        output_close(&out);
        owns_nothing();
        for (unsigned i = 0; i < BLOCKS; i++) CHECK_INT(references(blocks[i]), 1);
    }
    for (unsigned i = 0; i < BLOCKS; i++) block_release(blocks[i]);
}

/* ---- Holds ---------------------------------------------------------------------------------------- */

/* Takes what may leave while all up to this ticket may be shown. */
static void take_shown(uint64_t safe) {
    const struct iovec *iov;
    for (;;) {
        size_t ready = output_ready(&out, safe);
        unsigned count = ready ? output_begin(&out, ready, &iov) : 0;
        if (!count) return;
        for (unsigned i = 0; i < count; i++) text_add(&sent, (struct bytes){iov[i].iov_base, iov[i].iov_len});
        CHECK(output_sent(&out, out.inflight_bytes));
    }
}

static void what_lies_behind_a_mark_waits_for_its_ticket(void) {
    begin();
    CHECK(output_ready(&out, 0) == SIZE_MAX && output_awaits(&out) == 0 && output_shows(&out) == 0);
    say(10);
    CHECK(output_hold(&out, 4, 7)); /* in the middle of what was written */
    CHECK(output_awaits(&out) == 7 && output_shows(&out) == 7);
    take_shown(6);
    CHECK_INT(sent.len, 4);
    CHECK_INT(output_ready(&out, 6), 0);
    say(5);
    CHECK(!output_hold(&out, 6, 7)); /* an older change needs nothing more */
    CHECK(output_hold(&out, 8, 9));  /* and this one a mark of its own */
    CHECK(!output_hold(&out, 11, 12));
    CHECK(output_awaits(&out) == 7 && output_shows(&out) == 12);
    take_shown(7);
    CHECK_INT(sent.len, 12);
    say(3);
    output_hold(&out, 3, 13);
    take_shown(11);
    CHECK_INT(sent.len, 12);
    take_shown(12);
    CHECK_INT(sent.len, 15);
    take_shown(13);
    all_came();
    output_close(&out);
    owns_nothing();
}

/* Where nothing was written behind a mark there is nothing that it could let go. */
static void a_mark_without_bytes_is_raised(void) {
    begin();
    CHECK(output_hold(&out, 0, 3));
    CHECK(!output_hold(&out, 0, 5));
    CHECK(output_awaits(&out) == 5 && output_shows(&out) == 5);
    say(3);
    take_shown(4);
    CHECK_INT(sent.len, 0);
    take_shown(5);
    all_came();
    output_close(&out);
}

/* Marks lie behind what a source is yet to write. */
static void what_follows_a_source_is_held_too(void) {
    begin();
    struct block *block = block_named('#', 20000);
    say(10);
    follow('A', 100000, 3000, false);
    size_t behind = output_unsent(&out);
    say(20);
    pin(block);
    output_hold(&out, behind, 5);
    take_shown(4);
    CHECK_INT(sent.len, 10 + 100000);
    size_t held = output_unsent(&out);
    follow('B', 5000, 3000, false);
    output_hold(&out, held, 6);
    take_shown(5);
    CHECK_INT(sent.len, 10 + 100000 + 20 + 20000);
    take_shown(6);
    CHECK_BYTES(((struct bytes){sent.data, sent.len}), ((struct bytes){expected.data, expected.len}));
    CHECK(letters_live == 0 && references(block) == 1);
    owns_nothing();
    block_release(block);
    output_close(&out);
}

/* What a byte shows, and how many batches of the journal had begun when it was written. */
static struct {
    uint64_t ticket;
    unsigned batches;
} of_byte[TEXT_MAX];

/* Whatever is written and sent in any order, nothing leaves that may not be shown, and everything with the second batch of
 * the journal that begins behind it, whatever is written meanwhile. */
static void nothing_leaves_too_early_nor_later_than_with_the_second_batch(void) {
    unsigned long long seed = check_seed();
    struct block *block = block_named('#', 300);
    for (unsigned round = 0; round < 200; round++) {
        uint64_t next = 0, shows = 0, batch = 0, safe = 0;
        unsigned batches = 0;
        begin();
        for (unsigned i = 0; i < 300; i++) {
            unsigned long long random = check_random(&seed);
            size_t from = output_unsent(&out), at = expected.len;
            if (random % 8 < 5) {
                if (random % 8 < 4)
                    say(1 + random / 8 % (random % 16 ? 60 : 2 * OUTPUT_CHUNK_SIZE));
                else
                    pin(block);
                if (random % 3) output_hold(&out, from, shows = ++next);
                for (; at < expected.len; at++) of_byte[at].ticket = shows, of_byte[at].batches = batches;
            } else if (random % 8 == 5 && batch == safe) {
                batch = next;
                batches++;
            } else if (random % 8 == 6) {
                safe = batch;
            }
            take_shown(safe);
            if (sent.len) CHECK(of_byte[sent.len - 1].ticket <= safe);
            if (sent.len < expected.len && safe == batch) CHECK(of_byte[sent.len].batches + 2 > batches);
        }
        take_shown(next);
        all_came();
        output_close(&out);
        owns_nothing();
    }
    CHECK_INT(references(block), 1);
    block_release(block);
}

int main(void) {
    RUN(nothing_to_send_is_nothing_to_begin);
    RUN(text_comes_out_as_it_went_in_and_its_chunks_go_back);
    RUN(a_short_send_at_every_offset_goes_on_where_it_ended);
    RUN(single_bytes_arrive_too);
    RUN(chunks_end_without_empty_parts);
    RUN(a_full_flush_leaves_no_empty_one_behind);
    RUN(a_pin_is_held_until_its_last_byte_has_gone);
    RUN(a_pin_outlives_its_value);
    RUN(what_is_in_flight_does_not_move_while_more_is_queued);
    RUN(one_flush_takes_no_more_parts_than_the_kernel_does);
    RUN(a_reply_beyond_the_limit_fails_and_what_came_before_still_goes);
    RUN(text_beyond_the_limit_fails_at_a_chunk_and_stays_failed);
    RUN(closing_drops_what_is_queued_and_what_is_in_flight);
    RUN(sources_write_in_their_turn);
    RUN(a_source_that_fails_ends_the_reply);
    RUN(closing_drops_sources);
    RUN(the_pool_keeps_a_bounded_number_of_chunks);
    RUN(any_order_of_writing_and_sending);
    RUN(what_lies_behind_a_mark_waits_for_its_ticket);
    RUN(a_mark_without_bytes_is_raised);
    RUN(what_follows_a_source_is_held_too);
    RUN(nothing_leaves_too_early_nor_later_than_with_the_second_batch);
    chunk_pool_close(&pool);
    return 0;
}
