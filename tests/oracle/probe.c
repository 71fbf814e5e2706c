/* probe.c - kevy's side of effects.py: runs the requests that stand on its standard input, through dispatch and
 * without a socket, and writes down what they did.
 *
 * A line each: "reply HEX" for every request, and before it "event CLASS DB NAME HEX" for every keyspace event that
 * it brought, in order (HEX is the key). Requests are RESP. Some are for the probe itself: "!now MS" sets the clock,
 * "!client N" changes who asks, "!leave" makes all stop waiting who still do, "!changes" writes "changes N", the
 * changes of keys since start, and "!records" writes "records HEX", what a journal has heard since it was last asked:
 * the stream of changes, as an append-only file has it. */
#include "server/call/effect.h"
#include "server/exec/blocking.h"
#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/journal/journal.h"
#include "server/journal/merge.h"
#include "tests/unit/server_fixture.h"

enum { CLIENTS = 4, EAR_PROBE = 1u << 31, INPUT_MAX = 64 << 20 };

static struct client clients_here[CLIENTS];
static struct client *client = clients_here;
static struct output output;
static struct merge merge;
static int64_t now_ms;

static void print_hex(struct bytes bytes) {
    for (size_t i = 0; i < bytes.len; i++) printf("%02x", (unsigned char)bytes.data[i]);
}

void __real_effect_heard(struct effects *x, struct stripe *stripe, const struct effect *e);
void __wrap_effect_heard(struct effects *x, struct stripe *stripe, const struct effect *e);
void __wrap_effect_heard(struct effects *x, struct stripe *stripe, const struct effect *e) {
    static const struct {
        char class;
        const char *name;
    } events[] = {
        {0, ""},
#define EVENT(id, class, name) {class, name},
#include "server/call/events.def"
#undef EVENT
    };
    if (e->event != EVENT_NONE) {
        printf("event %c %u %s ", events[e->event].class, e->db, events[e->event].name);
        print_hex(e->key.name);
        printf("\n");
    }
    __real_effect_heard(x, stripe, e);
}

static uint64_t changes(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < stripes.count; i++) sum += stripes.all[i].changes;
    return sum;
}

static void append_piece(void *context, struct bytes bytes) {
    CHECK(buffer_append(context, bytes, INPUT_MAX));
}

static void print_records(void) {
    struct buffer stream = {0};
    while (merge_next(&merge, append_piece, &stream)) merge_release(&merge);
    printf("records ");
    print_hex(buffer_bytes(&stream));
    printf("\n");
    buffer_free(&stream);
}

static void leave_all(void) {
    for (unsigned i = 0; i < CLIENTS; i++) CHECK(blocking_leave(&shards->exec, &clients_here[i]));
}

/* False for a request that is the server's. */
static bool run_own(const struct request_args *args) {
    int64_t number = 0;
    if (args->argc > 1 && !number_parse_i64(args->argv[1], &number)) return false;
    if (bytes_equal(args->argv[0], BYTES("!now"))) {
        now_ms = number;
        return true;
    }
    if (bytes_equal(args->argv[0], BYTES("!client"))) {
        CHECK(number >= 0 && number < CLIENTS);
        client = &clients_here[number];
        return true;
    }
    if (bytes_equal(args->argv[0], BYTES("!records"))) {
        print_records();
        return true;
    }
    if (bytes_equal(args->argv[0], BYTES("!leave"))) {
        leave_all();
        return true;
    }
    if (!bytes_equal(args->argv[0], BYTES("!changes"))) return false;
    printf("changes %llu\n", (unsigned long long)changes());
    return true;
}

/* Who waited and was served gets a reply, which nobody reads. */
static void answer_who_waited(void) {
    struct buffer sent = {0};
    for (struct post *post = post_take_all(&mailboxes[0]), *next; post; post = next) {
        next = post->next;
        CHECK(post->kind == POST_WAIT);
        blocking_answer(&shards->exec, post->client, &output.reply);
    }
    fixture_take(&output, &sent);
    buffer_free(&sent);
}

static void run_request(struct bytes bytes) {
    struct buffer sent = {0};
    shards->exec.clock.now_ms = now_ms;
    shards->exec.bytes = bytes.data;
    shards->exec.batch[0].end = bytes.len;
    CHECK(prepare_request(&shards->exec, client, &shards->exec.batch[0], NULL));
    CHECK_INT(dispatch_batch(&shards->exec, client, &output.reply, 1), 1);
    fixture_take(&output, &sent);
    printf("reply ");
    print_hex(buffer_bytes(&sent));
    printf("\n");
    buffer_free(&sent);
    answer_who_waited();
}

static void run_all(struct bytes input) {
    struct request_parser parser = {0};
    struct request *request = &shards->exec.batch[0];
    while (input.len) {
        size_t used;
        CHECK(request_parse(&parser, &shards->limits, input, &request->args, &used) == REQUEST_READY);
        if (!run_own(&request->args)) run_request((struct bytes){input.data, used});
        input.data += used, input.len -= used;
    }
}

int main(void) {
    static char block[1 << 16];
    struct buffer input = {0};
    for (size_t len; (len = fread(block, 1, sizeof block, stdin)) > 0;)
        CHECK(buffer_append(&input, (struct bytes){block, len}, INPUT_MAX));
    CHECK(journal_open(4));
    fixture_open(4);
    config.enable_debug_command = CONFIG_YES;
    journal_listen();
    merge_open(&merge, journal_queue(0), journal_queue_count(), 0);
    metrics_reset();
    output_open(&output, &shards->chunks);
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients_here[i] = (struct client){.resp = 2};
        CHECK(clients_add(&clients_here[i]));
    }
    for (unsigned i = 0; i < stripes.count; i++) stripes.all[i].ears |= EAR_PROBE;
    run_all(buffer_bytes(&input));
    leave_all();
    for (unsigned i = 0; i < CLIENTS; i++) {
        transaction_close(&clients_here[i]);
        clients_remove(&clients_here[i]);
    }
    output_close(&output);
    buffer_free(&input);
    fixture_close();
    journal_close();
    return 0;
}
