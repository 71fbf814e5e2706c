/* The slow log: what is kept of a command, what is cut, and for how long. */
#include "server/exec/slowlog.h"

#include "server/clients/client.h"
#include "tests/check.h"

static struct command plain = {.name = "plain"}, auth = {.name = "auth", .flags = CMD_NO_AUTH};
static struct client client = {.fd = -1};
static struct effects effects = {.now_ms = 1700000000123};

static void log_command(const struct command *command, const struct bytes *argv, uint32_t argc,
                        uint64_t microseconds) {
    struct call call = {
        .argv = argv, .argc = argc, .command = command, .client = &client, .effects = &effects};
    slowlog_add(&call, microseconds * 1000);
}

static void log_word(const char *word, uint64_t microseconds) {
    struct bytes argv = bytes_of(word);
    log_command(&plain, &argv, 1, microseconds);
}

/* The entries of a walk, copied as "id:first argument ". */
struct seen {
    uint64_t announced;
    char text[1024];
    char argv[SLOWLOG_MAX_ARGS][256];
    struct slowlog_entry newest; /* without its arguments */
};

static void begin(void *context, uint64_t count) {
    ((struct seen *)context)->announced = count;
}

static void each(void *context, const struct slowlog_entry *entry) {
    struct seen *seen = context;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof seen->text - len, "%llu:%.*s ", (unsigned long long)entry->id,
             (int)entry->argv[0].len, entry->argv[0].data);
    if (len) return;
    seen->newest = *entry;
    for (uint32_t i = 0; i < entry->argc; i++)
        snprintf(seen->argv[i], sizeof seen->argv[i], "%.*s", (int)entry->argv[i].len, entry->argv[i].data);
}

static struct seen walk(uint64_t max) {
    struct seen seen = {0};
    slowlog_walk(max, begin, each, &seen);
    return seen;
}

static void set_up(int64_t slower_than_us, int64_t max_len) {
    config.slowlog_log_slower_than = slower_than_us;
    config.slowlog_max_len = max_len;
    slowlog_reset();
}

static void only_what_takes_long_is_logged(void) {
    set_up(100, 10);
    log_word("quick", 99);
    CHECK_INT(slowlog_count(), 0);
    log_word("slow", 100);
    CHECK_INT(slowlog_count(), 1);
    set_up(-1, 10);
    log_word("slow", 1000000);
    CHECK_INT(slowlog_count(), 0);
    set_up(0, 10);
    log_word("every", 0);
    CHECK_INT(slowlog_count(), 1);
}

static void the_newest_come_first_and_the_oldest_go(void) {
    set_up(0, 3);
    uint64_t first;
    log_word("a", 1);
    first = walk(1).newest.id;
    log_word("b", 2);
    log_word("c", 3);
    log_word("d", 4);
    struct seen seen = walk(UINT64_MAX);
    char expected[128];
    snprintf(expected, sizeof expected, "%llu:d %llu:c %llu:b ", (unsigned long long)first + 3,
             (unsigned long long)first + 2, (unsigned long long)first + 1);
    CHECK_BYTES(bytes_of(seen.text), bytes_of(expected));
    CHECK_INT(seen.announced, 3);
    CHECK_INT(seen.newest.microseconds, 4);
    CHECK_INT(seen.newest.time_s, 1700000000);
    CHECK_INT(walk(2).announced, 2);
    CHECK_INT(walk(0).announced, 0);
    config.slowlog_max_len = 1; /* lowered: the next entry pushes the others out */
    log_word("e", 5);
    CHECK_INT(slowlog_count(), 1);
    config.slowlog_max_len = 0;
    log_word("f", 6);
    CHECK_INT(slowlog_count(), 0);
}

static void ids_go_on_after_a_reset(void) {
    set_up(0, 3);
    log_word("a", 1);
    uint64_t id = walk(1).newest.id;
    slowlog_reset();
    CHECK_INT(slowlog_count(), 0);
    log_word("b", 1);
    CHECK_INT(walk(1).newest.id, id + 1);
}

static void long_commands_are_cut_and_say_by_how_much(void) {
    static char long_text[1000];
    struct bytes argv[40];
    set_up(0, 3);
    memset(long_text, 'x', sizeof long_text);
    for (int i = 0; i < 40; i++) argv[i] = BYTES("arg");
    argv[1] = (struct bytes){long_text, SLOWLOG_ARG_BYTES};
    argv[2] = (struct bytes){long_text, sizeof long_text};
    log_command(&plain, argv, 40, 1);
    struct seen seen = walk(1);
    CHECK_INT(seen.newest.argc, SLOWLOG_MAX_ARGS);
    CHECK_INT(strlen(seen.argv[1]), SLOWLOG_ARG_BYTES);
    CHECK_BYTES(bytes_of(seen.argv[2] + SLOWLOG_ARG_BYTES), BYTES("... (872 more bytes)"));
    CHECK_BYTES(bytes_of(seen.argv[30]), BYTES("arg"));
    CHECK_BYTES(bytes_of(seen.argv[31]), BYTES("... (9 more arguments)"));
    log_command(&plain, argv, SLOWLOG_MAX_ARGS, 1);
    CHECK_BYTES(bytes_of(walk(1).argv[31]), BYTES("arg"));
}

static void passwords_are_not_kept(void) {
    struct bytes argv[] = {BYTES("AUTH"), BYTES("user"), BYTES("secret")};
    set_up(0, 3);
    log_command(&auth, argv, 3, 1);
    struct seen seen = walk(1);
    CHECK_BYTES(bytes_of(seen.argv[0]), BYTES("AUTH"));
    CHECK_BYTES(bytes_of(seen.argv[1]), BYTES("(redacted)"));
    CHECK_BYTES(bytes_of(seen.argv[2]), BYTES("(redacted)"));
    log_command(&plain, argv, 3, 1); /* a key that is called auth */
    CHECK_BYTES(bytes_of(walk(1).argv[2]), BYTES("secret"));
}

static void the_asker_is_named(void) {
    char name[] = "worker";
    set_up(0, 3);
    struct client_more more = {.texts[CLIENT_NAME] = name};
    client.more = &more;
    log_word("a", 1);
    client.more = NULL;
    struct seen seen = walk(1);
    CHECK_INT(seen.newest.name.len, strlen("worker"));
    CHECK_INT(seen.newest.peer.len, strlen("?:0"));
}

int main(void) {
    RUN(only_what_takes_long_is_logged);
    RUN(the_newest_come_first_and_the_oldest_go);
    RUN(ids_go_on_after_a_reset);
    RUN(long_commands_are_cut_and_say_by_how_much);
    RUN(passwords_are_not_kept);
    RUN(the_asker_is_named);
    slowlog_reset();
    return 0;
}
