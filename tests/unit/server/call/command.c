/* The command table: its rows, lookup and key extraction. */
#include "server/call/command.h"

#include "tests/check.h"

static void run_nothing(struct call *call) {
}

/* A row with nothing wrong; tests change one thing. */
static struct command good_row(void) {
    return (struct command){.name = "planted",
                            .arity = 2,
                            .flags = CMD_READONLY | CMD_FAST,
                            .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                            .run = run_nothing,
                            .group = GROUP_STRING,
                            .since = "7.0.0",
                            .complexity = "O(1)",
                            .summary = "Is there for tests",
                            .syntax = "<key:key>"};
}

static const struct command *find(const char *name) {
    bool bad;
    return command_find(&(struct bytes){name, strlen(name)}, 1, &bad);
}

/* ---- Rows ----------------------------------------------------------------------------------------- */

static void every_row_passes_the_check(void) {
    CHECK(command_table_open() == NULL);
    CHECK(command_count() > 40);
    for (unsigned i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        CHECK_INT(command->id, i);
        CHECK(command_check_row(command) == NULL);
        CHECK(command_categories(command) != 0);
    }
}

/* The check says so, and names the row. */
#define CHECK_BAD(change, words)                                                                             \
    do {                                                                                                     \
        struct command row = good_row();                                                                     \
        CHECK(command_check_row(&row) == NULL);                                                              \
        change;                                                                                              \
        const char *error = command_check_row(&row);                                                         \
        CHECK(error != NULL && strstr(error, words) != NULL);                                                \
    } while (0)

static void a_bad_row_is_refused(void) {
    CHECK_BAD(row.name = "Planted", "'Planted': bad name");
    CHECK_BAD(row.name = "", "bad name");
    CHECK_BAD(row.name = "a-name-that-is-longer-than-31-bytes", "bad name");
    CHECK_BAD(row.container = "Config", "bad container");
    CHECK_BAD(row.arity = 0, "bad arity");
    CHECK_BAD((row.container = "config", row.arity = 1), "bad arity");
    CHECK_BAD(row.since = NULL, ".since");
    CHECK_BAD(row.since = "soon", ".since");
    CHECK_BAD(row.summary = NULL, ".summary");
    CHECK_BAD(row.summary = "two\r\nlines", ".summary");
    CHECK_BAD(row.complexity = NULL, ".complexity");
    CHECK_BAD(row.deprecated_since = "6.0.0", ".replaced_by");
    CHECK_BAD(row.acl = "dangerous conection", ".acl");
    CHECK_BAD(row.flags |= CMD_WRITE, "both CMD_WRITE and CMD_READONLY");
    CHECK_BAD(row.group = (enum command_group)99, "unknown group");
}

static void a_bad_key_spec_is_refused(void) {
    CHECK_BAD(row.keys[0].flags = KEY_ACCESS, "exactly one of");
    CHECK_BAD(row.keys[0].flags = KEY_RO | KEY_RW, "exactly one of");
    CHECK_BAD(row.keys[0].flags = KEY_RW, "needs CMD_WRITE");
    CHECK_BAD(row.keys[0].flags = KEY_NOT_KEY | KEY_RO | KEY_RW, "exactly one of");
    CHECK_BAD((row.keys[0].flags = KEY_NOT_KEY, row.keys[0].first = 0), "begins at the name");
    CHECK_BAD(row.hashed = 1, "has no keys");
    CHECK_BAD((row.keys[0].flags = 0, row.hashed = 9), "beyond the arity");
    CHECK_BAD(row.keys[0].first = 0, "begins at the name");
    CHECK_BAD(row.keys[0].step = 0, "no step");
    CHECK_BAD((row.keys[0].first = 2, row.keys[0].last = 2), "beyond the arity");
    CHECK_BAD(row.keys[0].last = 5, "out of place");
    CHECK_BAD(row.keys[0].flags |= KEY_INCOMPLETE, "needs find_keys");
    CHECK_BAD(row.keys[1] = (struct key_spec)KEY_BEHIND("STORE", 1, KEY_RO), "needs find_keys");
    CHECK_BAD(row.keys[1] = (struct key_spec)KEY_SOMEWHERE(KEY_RO, NULL), "needs find_keys");
    CHECK_BAD(row.keys[2] = row.keys[0], "gap");
    CHECK_BAD(row.keys[0] = (struct key_spec)KEYS_COUNTED(3, 1, KEY_RO), "beyond the arity");
}

static void a_bad_syntax_is_refused(void) {
    CHECK_BAD(row.syntax = "<key:key> <value>", "disagree");
    CHECK_BAD(row.syntax = "[<key:key>]", "disagree");
    CHECK_BAD((row.arity = -2, row.syntax = "<key:key> <value>"), "more arguments");
    CHECK_BAD(row.syntax = "<key:quay>", "unknown type");
    CHECK_BAD((row.arity = 3, row.syntax = "<key:key> <other:key>"), "more keys");
}

/* ---- Lookup --------------------------------------------------------------------------------------- */

static void every_name_is_found_in_any_case(void) {
    for (unsigned i = 0; i < command_count(); i++) {
        const struct command *command = command_at(i);
        char name[COMMAND_FULL_NAME_MAX];
        size_t len = command_full_name(command, name);
        CHECK(command_find_name((struct bytes){name, len}) == command);
        for (size_t c = 0; c < len; c += 2)
            if (name[c] >= 'a' && name[c] <= 'z') name[c] = (char)(name[c] - 32);
        CHECK(command_find_name((struct bytes){name, len}) == command);
        for (size_t c = 0; c < len;
             c++) { /* one byte that differs by the case bit, but is no letter's other case */
            char kept = name[c];
            name[c] = kept == '-' ? '\r' : kept == '|' ? '\\' : (char)(kept ^ 0x80);
            CHECK(command_find_name((struct bytes){name, len}) == NULL);
            name[c] = kept;
        }
        CHECK(command_find_name((struct bytes){name, len - 1}) != command);
    }
}

static void a_name_that_is_not_there_is_not_found(void) {
    static const char *const names[] = {"",
                                        "g",
                                        "ge",
                                        "gett",
                                        "gets",
                                        "getset2",
                                        "config|",
                                        "|get",
                                        "|",
                                        "config|get|get",
                                        "a-name-that-no-command-has-for-it-is-far-too-long"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        CHECK(command_find_name(bytes_of(names[i])) == NULL);
    CHECK(command_find_name((struct bytes){NULL, 0}) == NULL);
    CHECK(command_find_name((struct bytes){"get\0", 4}) == NULL);
    CHECK(command_find_name((struct bytes){"getx", 3}) == find("GET"));
}

/* Names are packed with reads of eight bytes: none may pass the end. Under ASan this fails otherwise. */
static void a_lookup_reads_no_byte_behind_the_name(void) {
    for (unsigned i = 0; i < command_count(); i++) {
        size_t len = strlen(command_at(i)->name);
        char *exact = malloc(len);
        memcpy(exact, command_at(i)->name, len);
        bool bad;
        command_find(&(struct bytes){exact, len}, 1, &bad);
        free(exact);
    }
}

static void a_container_leads_to_its_subcommands(void) {
    struct bytes argv[] = {BYTES("cLiEnT"), BYTES("ID")};
    bool bad = true;
    const struct command *command = command_find(argv, 2, &bad);
    CHECK(command && !bad && strcmp(command->name, "id") == 0 && strcmp(command->container, "client") == 0);
    command = command_find(argv, 1, &bad);
    CHECK(command && !bad && command->flags & CMD_CONTAINER && strcmp(command->name, "client") == 0);
    argv[1] = BYTES("nonesuch");
    CHECK(command_find(argv, 2, &bad) == command && bad);
    argv[1] = (struct bytes){"", 0};
    CHECK(command_find(argv, 2, &bad) == command && bad);
    argv[0] = BYTES("get");
    argv[1] = BYTES("id");
    CHECK(command_find(argv, 2, &bad) == find("get") && !bad);
    CHECK(find("id") == NULL);
}

static void subcommands_follow_their_container(void) {
    const struct command *list[4], *client = find("client");
    unsigned count = command_subcommands(client, list, 4);
    CHECK(count > 4);
    for (unsigned i = 0; i < 4; i++) CHECK(strcmp(list[i]->container, "client") == 0);
    CHECK_INT(command_subcommands(find("get"), list, 4), 0);
    CHECK_INT(command_subcommands(command_find_name(BYTES("client|id")), list, 4), 0);
}

static void arity_counts_the_name(void) {
    struct command row = {.arity = 2};
    CHECK(!command_arity_ok(&row, 1) && command_arity_ok(&row, 2) && !command_arity_ok(&row, 3));
    row.arity = -2;
    CHECK(!command_arity_ok(&row, 1) && command_arity_ok(&row, 2) && command_arity_ok(&row, 1000000));
}

static void flags_and_group_imply_categories(void) {
    struct command row = good_row();
    CHECK_INT(command_categories(&row), 1 << CATEGORY_READ | 1 << CATEGORY_STRING | 1 << CATEGORY_FAST);
    row.flags = CMD_ADMIN;
    row.acl = "connection";
    row.group = GROUP_SERVER;
    CHECK_INT(command_categories(&row),
              1 << CATEGORY_ADMIN | 1 << CATEGORY_DANGEROUS | 1 << CATEGORY_SLOW | 1 << CATEGORY_CONNECTION);
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

enum { ARGS_MAX = 12 };

/* Finds the keys of a request given as words, checks them against `expected` ("1 3 5", or "-1"). */
static void check_keys(const struct command *command, const char *request, const char *expected) {
    struct bytes argv[ARGS_MAX];
    struct command_key keys[ARGS_MAX];
    uint32_t argc = 0;
    char found[64] = "";
    for (const char *at = request; *at;) {
        size_t len = strcspn(at, " ");
        CHECK(argc < ARGS_MAX);
        argv[argc++] = (struct bytes){at, len};
        at += len + (at[len] == ' ');
    }
    int count = command_keys(command, argv, argc, keys, ARGS_MAX);
    if (count < 0) snprintf(found, sizeof(found), "-1");
    for (int i = 0; i < count; i++) {
        size_t used = strlen(found);
        snprintf(found + used, sizeof(found) - used, "%s%u", i ? " " : "", keys[i].arg);
    }
    CHECK_BYTES(bytes_of(found), bytes_of(expected));
    CHECK_INT(command_keys(command, argv, argc, NULL, 0), count);
}

static void ranges_of_keys_are_found(void) {
    struct command one = {.arity = -2, .keys = {KEY(1, KEY_RO)}};
    check_keys(&one, "get a b", "1");
    check_keys(&one, "get", "-1");
    struct command all = {.arity = -2, .keys = {KEYS(1, -1, 1, KEY_RO)}};
    check_keys(&all, "del a", "1");
    check_keys(&all, "del a b c", "1 2 3");
    check_keys(&all, "del", "-1");
    struct command pairs = {.arity = -3, .keys = {KEYS(1, -1, 2, KEY_OW)}};
    check_keys(&pairs, "mset a 1 b 2", "1 3");
    check_keys(&pairs, "mset a 1 b", "1 3");
    struct command but_last = {.arity = -3, .keys = {KEYS(1, -2, 1, KEY_RM)}};
    check_keys(&but_last, "blpop a b 0", "1 2");
    check_keys(&but_last, "blpop 0", "-1");
    struct command far = {.arity = -2, .keys = {KEYS(1, -9, 1, KEY_RO)}};
    check_keys(&far, "far a b", "-1");
    struct command two = {.arity = -4, .keys = {KEY(2, KEY_OW), KEYS(3, -1, 1, KEY_RO)}};
    check_keys(&two, "bitop and d a b", "2 3 4");
    check_keys(&two, "bitop and d", "-1");
}

static void counted_keys_are_bounded_by_the_request(void) {
    struct command counted = {.arity = -4, .keys = {KEYS_COUNTED(1, 1, KEY_RO)}};
    check_keys(&counted, "lmpop 2 a b left", "2 3");
    check_keys(&counted, "lmpop 3 a b c", "2 3 4");
    check_keys(&counted, "lmpop 4 a b c", "-1");
    check_keys(&counted, "lmpop 0 a b c", "-1");
    struct command free = {.arity = -4, .flags = CMD_NO_MANDATORY_KEYS, .keys = {KEYS_COUNTED(1, 1, KEY_RO)}};
    check_keys(&free, "eval 0 a b c", "");
    check_keys(&free, "eval 1 a b c", "2");
    check_keys(&counted, "lmpop -1 a b c", "-1");
    check_keys(&counted, "lmpop x a b c", "-1");
    check_keys(&counted, "lmpop 2147483648 a b c", "-1");
    check_keys(&counted, "lmpop 4294967298 a b c", "-1");
    check_keys(&counted, "lmpop 9223372036854775807 a b c", "-1");
    check_keys(&counted, "lmpop -9223372036854775808 a b c", "-1");
    check_keys(&counted, "lmpop 99999999999999999999 a b c", "-1");
    check_keys(&counted, "lmpop 1", "-1");
    check_keys(&counted, "lmpop", "-1");
    struct command pairs = {.arity = -4, .keys = {KEYS_COUNTED(1, 2, KEY_OW)}};
    check_keys(&pairs, "msetex 2 a 1 b 2", "2 4");
    check_keys(&pairs, "msetex 2 a 1 b", "2 4");
    check_keys(&pairs, "msetex 3 a 1 b 2", "-1");
    struct command stored = {.arity = -4, .keys = {KEY(1, KEY_OW), KEYS_COUNTED(2, 1, KEY_RO)}};
    check_keys(&stored, "zunionstore d 2 a b", "1 3 4");
}

static int find_last(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max) {
    if (bytes_is(argv[1], "bad")) return -1;
    if (max) keys[0] = (struct command_key){argc - 1, KEY_RW};
    return 1;
}

static void find_keys_has_the_last_word_where_specs_are_doubtful(void) {
    struct command sure = {.keys = {KEY(1, KEY_RO)}, .find_keys = find_last};
    check_keys(&sure, "x a b", "1");
    struct command variable = {.keys = {KEY(1, KEY_RW | KEY_VARIABLE_FLAGS)}, .find_keys = find_last};
    check_keys(&variable, "x a b", "2");
    struct command incomplete = {.keys = {KEY(1, KEY_RO | KEY_INCOMPLETE)}, .find_keys = find_last};
    check_keys(&incomplete, "x a b c", "3");
    check_keys(&incomplete, "x bad", "-1");
    struct command none = {.find_keys = find_last};
    check_keys(&none, "x a", "1");
    struct command behind = {.keys = {KEY(1, KEY_RO), KEY_BEHIND("STORE", 2, KEY_OW)},
                             .find_keys = find_last};
    check_keys(&behind, "x a store d", "3");
    struct command somewhere = {.keys = {KEY(1, KEY_RO), KEY_SOMEWHERE(KEY_RO, "note")},
                                .find_keys = find_last};
    check_keys(&somewhere, "x a b", "2");
    struct command not_keys = {.keys = {KEYS(1, -1, 1, KEY_RO | KEY_NOT_KEY)}};
    check_keys(&not_keys, "x a b", "");
}

static void no_key_is_written_beyond_max(void) {
    struct command all = {.keys = {KEYS(1, -1, 1, KEY_RO)}};
    struct bytes argv[] = {BYTES("del"), BYTES("a"), BYTES("b"), BYTES("c")};
    struct command_key keys[3] = {{0}, {0}, {77, 77}};
    CHECK_INT(command_keys(&all, argv, 4, keys, 2), 3);
    CHECK_INT(keys[1].arg, 2);
    CHECK_INT(keys[2].arg, 77);
}

/* ---- Renaming ------------------------------------------------------------------------------------- */

static const struct command *requested(const char *name, const char *argument, bool *bad) {
    struct bytes argv[] = {bytes_of(name), bytes_of(argument ? argument : "")};
    return command_find(argv, argument ? 2 : 1, bad);
}

#define RENAME(from, to) (command_set_name(BYTES(from), BYTES(to)))

static void a_new_name_stands_for_the_old_one(void) {
    bool bad;
    const struct command *get = find("get"), *set = find("set");
    CHECK(RENAME("GET", "GetIt") == NULL);
    CHECK(!find("get") && !find("GET") && find("getit") == get && find("GETIT") == get);
    CHECK(!command_find_name(BYTES("get")) && command_find_name(BYTES("getit")) == get);
    CHECK(find("set") == set && find("getset") && !get->disabled);
    CHECK_BYTES(bytes_of(get->name), BYTES("get"));
    CHECK(RENAME("set", "get") == NULL); /* the name is free now */
    CHECK(find("get") == set && !find("set"));
    CHECK(RENAME("get", "set") == NULL && RENAME("getit", "get") == NULL);
    CHECK(find("get") == get && find("set") == set && !find("getit") && !get->renamed);
    CHECK(RENAME("get", "GET") == NULL && find("get") == get);
    static const char long_name[] = "longer than COMMAND_NAME_MAX, with blanks, | and \xff";
    CHECK(command_set_name(BYTES("get"), bytes_of(long_name)) == NULL);
    CHECK(requested(long_name, "key", &bad) == get && !bad);
    CHECK(command_set_name(bytes_of(long_name), BYTES("get")) == NULL && find("get") == get);
}

static void subcommands_go_with_their_container(void) {
    bool bad;
    const struct command *id = command_find_name(BYTES("client|id")), *client = find("client");
    CHECK(RENAME("client", "people") == NULL);
    CHECK(requested("people", "id", &bad) == id && !bad);
    CHECK(requested("people", "nosuch", &bad) == client && bad);
    CHECK(!requested("client", "id", &bad) && !bad);
    CHECK(command_find_name(BYTES("People|ID")) == id && !command_find_name(BYTES("client|id")));
    CHECK(RENAME("people", "") == NULL);
    CHECK(!find("people") && !find("client") && client->disabled && id->disabled);
    CHECK(!command_find_name(BYTES("people|id")));
}

static void what_cannot_be_renamed_is_said(void) {
    static const char none[] = "No such command in rename-command",
                      taken[] = "Target command name already exists";
    unsigned count = command_count();
    CHECK(strcmp(RENAME("nosuch", "x"), none) == 0 && strcmp(RENAME("", "x"), none) == 0);
    CHECK(strcmp(RENAME("config|get", "x"), none) == 0 && strcmp(RENAME("client|tracking", "x"), none) == 0);
    CHECK(strcmp(RENAME("client", "x"), none) == 0); /* it was disabled above */
    CHECK(RENAME("failover", "") == NULL && RENAME("failover", "FAILOVER") == NULL); /* only Redis has it */
    CHECK(strcmp(RENAME("failover", "get"), taken) == 0 && strcmp(RENAME("incr", "decr"), taken) == 0);
    CHECK(strcmp(RENAME("decr", "lpush"), taken) == 0);
    CHECK_INT(command_count(), count);
}

int main(void) {
    RUN(every_row_passes_the_check);
    RUN(a_bad_row_is_refused);
    RUN(a_bad_key_spec_is_refused);
    RUN(a_bad_syntax_is_refused);
    RUN(every_name_is_found_in_any_case);
    RUN(a_name_that_is_not_there_is_not_found);
    RUN(a_lookup_reads_no_byte_behind_the_name);
    RUN(a_container_leads_to_its_subcommands);
    RUN(subcommands_follow_their_container);
    RUN(arity_counts_the_name);
    RUN(flags_and_group_imply_categories);
    RUN(ranges_of_keys_are_found);
    RUN(counted_keys_are_bounded_by_the_request);
    RUN(find_keys_has_the_last_word_where_specs_are_doubtful);
    RUN(no_key_is_written_beyond_max);
    RUN(a_new_name_stands_for_the_old_one);
    RUN(subcommands_go_with_their_container);
    RUN(what_cannot_be_renamed_is_said);
    return 0;
}
