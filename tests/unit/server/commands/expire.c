/* EXPIRE and TTL and their kin, by a clock that a test moves. */
#include "tests/unit/commands_fixture.h"

static void every_form_sets_the_same_moment(void) {
    static const char *const forms[] = {"expire k 7", "pexpire k 7000", "expireat k 1700000007",
                                        "pexpireat k 1700000007000"};
    begin();
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char line[128];
        int len = snprintf(line, sizeof line, "set k v\n%s\nttl k\npttl k\nexpiretime k\npexpiretime k\n",
                           forms[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}),
                    BYTES(OK ":1\r\n:7\r\n:7000\r\n:1700000007\r\n:1700000007000\r\n"));
    }
    end();
}

static void seconds_are_rounded_to_the_nearest(void) {
    begin();
    static const struct exchange table[] = {
        {"set k v px 499", OK},
        {"ttl k", ":0\r\n"},
        {"set k v px 500", OK},
        {"ttl k", ":1\r\n"},
        {"set k v px 1499", OK},
        {"ttl k", ":1\r\n"},
        {"pexpireat k 1700000001499", ":1\r\n"},
        {"expiretime k", ":1700000001\r\n"},
        {"pexpireat k 1700000001500", ":1\r\n"},
        {"expiretime k", ":1700000002\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void what_is_not_there_and_what_never_expires_are_told_apart(void) {
    static const char *const questions[] = {"ttl", "pttl", "expiretime", "pexpiretime"};
    begin();
    EXPECT("set k v\n", OK);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%s none\n%s k\n", questions[i], questions[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(":-2\r\n:-1\r\n"));
    }
    end();
}

static void a_key_is_there_until_its_moment(void) {
    begin();
    EXPECT("set k v\npexpire k 100\n", OK ":1\r\n");
    now_ms += 99;
    EXPECT("pttl k\nget k\n", ":1\r\n$1\r\nv\r\n");
    now_ms += 1;
    EXPECT("pttl k\nget k\nexpire k 100\npersist k\n", ":-2\r\n" NIL ":0\r\n:0\r\n");
    end();
}

static void a_moment_that_has_passed_deletes(void) {
    static const char *const forms[] = {"expire k 0",
                                        "expire k -1",
                                        "pexpire k 0",
                                        "expireat k 1",
                                        "pexpireat k 1700000000000",
                                        "pexpireat k -9223372036854775808"};
    begin();
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char line[128];
        int len = snprintf(line, sizeof line, "set k v\n%s\nexists k\n", forms[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(OK ":1\r\n:0\r\n"));
    }
    EXPECT_CHANGES(2, "set k v\nexpire k 0\n", OK ":1\r\n");
    EXPECT_CHANGES(0, "dbsize\nexpire k 0\n", ":0\r\n:0\r\n"); /* deleted, not only invisible */
    end();
}

/* Redis's table: no expiry is an infinite one to GT and LT. */
static void conditions_look_at_the_expiry_that_is_there(void) {
    static const struct {
        const char *before, *option;
        bool set;
    } cases[] = {
        {"set k v", "nx", true},         {"set k v ex 10", "nx", false},    {"set k v", "xx", false},
        {"set k v ex 10", "xx", true},   {"set k v", "gt", false},          {"set k v ex 99", "gt", true},
        {"set k v ex 100", "gt", false}, {"set k v ex 101", "gt", false},   {"set k v", "lt", true},
        {"set k v ex 99", "lt", false},  {"set k v ex 100", "lt", false},   {"set k v ex 101", "lt", true},
        {"set k v", "xx lt", false},     {"set k v ex 101", "xx lt", true}, {"set k v ex 99", "gt xx", true},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[128];
        int len = snprintf(line, sizeof line, "%s\nexpire k 100 %s\n", cases[i].before, cases[i].option);
        struct bytes reply = run((struct bytes){line, (size_t)len});
        if (!bytes_equal(reply, cases[i].set ? BYTES(OK ":1\r\n") : BYTES(OK ":0\r\n"))) {
            fprintf(stderr, "after '%s' with '%s': %.*s\n", cases[i].before, cases[i].option, (int)reply.len,
                    reply.data);
            exit(1);
        }
        if (cases[i].set) EXPECT("ttl k\n", ":100\r\n");
    }
    /* A condition that does not hold keeps even a moment in the past from deleting. */
    EXPECT("set k v\nexpire k -1 gt\nexists k\n", OK ":0\r\n:1\r\n");
    end();
}

static void arguments_are_checked_before_the_key(void) {
    begin();
    EXPECT("set k v\n", OK);
    static const struct exchange table[] = {
        {"expire k x", NOT_AN_INTEGER},
        {"expire k 1.5", NOT_AN_INTEGER},
        {"expire none x", NOT_AN_INTEGER},
        {"expire k 9223372036854776", "-ERR invalid expire time in 'expire' command\r\n"},
        {"expire k 9223372036854775", "-ERR invalid expire time in 'expire' command\r\n"}, /* from now on */
        {"expireat k 9223372036854776", "-ERR invalid expire time in 'expireat' command\r\n"},
        {"pexpire k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command\r\n"},
        {"expire k -9223372036854775808", "-ERR invalid expire time in 'expire' command\r\n"},
        {"expire k 10 maybe", "-ERR Unsupported option maybe\r\n"},
        {"expire k x maybe", "-ERR Unsupported option maybe\r\n"},
        {"expire k 10 nx xx", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"},
        {"expire k 10 gt lt", "-ERR GT and LT options at the same time are not compatible\r\n"},
        {"ttl k", ":-1\r\n"},
        {"pexpireat k 9223372036854775807", ":1\r\n"},
        {"pexpiretime k", ":9223372036854775807\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void persist_ends_an_expiry_once(void) {
    begin();
    EXPECT("set k v ex 10\n", OK);
    EXPECT_CHANGES(1, "persist k\nttl k\n", ":1\r\n:-1\r\n");
    EXPECT_CHANGES(0, "persist k\npersist none\n", ":0\r\n:0\r\n");
    now_ms += 20000;
    EXPECT("get k\n", "$1\r\nv\r\n");
    end();
}

int main(void) {
    RUN(every_form_sets_the_same_moment);
    RUN(seconds_are_rounded_to_the_nearest);
    RUN(what_is_not_there_and_what_never_expires_are_told_apart);
    RUN(a_key_is_there_until_its_moment);
    RUN(a_moment_that_has_passed_deletes);
    RUN(conditions_look_at_the_expiry_that_is_there);
    RUN(arguments_are_checked_before_the_key);
    RUN(persist_ends_an_expiry_once);
    return 0;
}
