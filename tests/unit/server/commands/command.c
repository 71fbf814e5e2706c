/* COMMAND: rows in Redis's shapes, filters, and the keys of a request. */
#include "tests/unit/commands_fixture.h"

static unsigned top_level(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < command_count(); i++) count += !command_at(i)->container;
    return count;
}

/* The number in a reply's first line. */
static long long head_number(struct bytes reply, char type) {
    CHECK(reply.len > 3 && reply.data[0] == type);
    return strtoll(reply.data + 1, NULL, 10);
}

static void a_row_is_told_in_ten_parts(void) {
    begin();
    EXPECT(
        "command info GET\n",
        "*1\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
        "*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n"
        "*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n"
        "$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n:1\r\n"
        "$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n"
        "$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n");
    EXPECT("command info nosuch config|nosuch\n", "*2\r\n" NIL NIL);
    struct bytes reply = run(BYTES("command info config|get\n"));
    CHECK_BYTES(((struct bytes){reply.data, 31}), BYTES("*1\r\n*10\r\n$10\r\nconfig|get\r\n:-3\r\n"));
    reply = run(BYTES("command info config\n")); /* its subcommands are told with it */
    CHECK(memmem(reply.data, reply.len, "$13\r\nconfig|rewrite\r\n", 21) ||
          memmem(reply.data, reply.len, "config|rewrite", 14));
    end();
}

/* First, last and step, where several specs or odd ones make more of it. */
static void the_old_range_covers_what_it_can(void) {
    static const struct {
        const char *name, *range;
    } cases[] = {
        {"mget", ":1\r\n:-1\r\n:1\r\n"},  {"mset", ":1\r\n:-1\r\n:2\r\n"},
        {"bitop", ":2\r\n:-1\r\n:1\r\n"}, {"rename", ":1\r\n:2\r\n:1\r\n"},
        {"lcs", ":1\r\n:2\r\n:1\r\n"},    {"ping", ":0\r\n:0\r\n:0\r\n"},
        {"msetex", ":0\r\n:0\r\n:0\r\n"}, {"object|encoding", ":2\r\n:2\r\n:1\r\n"},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "command info %s\n", cases[i].name);
        struct bytes reply = run((struct bytes){line, (size_t)len});
        if (!memmem(reply.data, reply.len, cases[i].range, strlen(cases[i].range))) {
            fprintf(stderr, "%s: no %s in %.*s\n", cases[i].name, cases[i].range, (int)reply.len, reply.data);
            exit(1);
        }
    }
    end();
}

static void counts_agree(void) {
    begin();
    unsigned count = top_level();
    CHECK(count > 60 && count < command_count());
    CHECK_INT(head_number(run(BYTES("command count\n")), ':'), count);
    CHECK_INT(head_number(run(BYTES("command\n")), '*'), count);
    CHECK_INT(head_number(run(BYTES("command info\n")), '*'), count);
    CHECK_INT(head_number(run(BYTES("command docs\n")), '*'), 2 * count);
    CHECK_INT(head_number(run(BYTES("command list\n")), '*'), command_count());
    run(BYTES("hello 3\n"));
    CHECK_INT(head_number(run(BYTES("command docs\n")), '%'), count);
    end();
}

static void lists_are_filtered(void) {
    begin();
    static const struct exchange table[] = {
        {"command list filterby pattern GE?", "*1\r\n$3\r\nget\r\n"},
        {"command list filterby pattern mset*", "*3\r\n$4\r\nmset\r\n$6\r\nmsetex\r\n$6\r\nmsetnx\r\n"},
        {"command list filterby pattern config|get", "*1\r\n$10\r\nconfig|get\r\n"},
        {"command list filterby aclcat nosuch", "*0\r\n"},
        {"command list filterby aclcat scripting", "*0\r\n"},
        {"command list filterby module any", "*0\r\n"},
        {"command list filterby colour red", SYNTAX_ERROR},
        {"command list filterby pattern", SYNTAX_ERROR},
        {"command list all", SYNTAX_ERROR},
        {"command list filterby aclcat TRANSACTION",
         "*5\r\n$7\r\ndiscard\r\n$4\r\nexec\r\n$5\r\nmulti\r\n$7\r\nunwatch\r\n$5\r\nwatch\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void docs_tell_what_the_row_says(void) {
    begin();
    EXPECT("command docs PERSIST nosuch\n",
           "*2\r\n$7\r\npersist\r\n*10\r\n$7\r\nsummary\r\n$32\r\nRemove the expiration from a key\r\n"
           "$5\r\nsince\r\n$5\r\n2.2.0\r\n$5\r\ngroup\r\n$7\r\ngeneric\r\n$10\r\ncomplexity\r\n$4\r\nO(1)\r\n"
           "$9\r\narguments\r\n*1\r\n*6\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n"
           "$14\r\nkey_spec_index\r\n:0\r\n");
    EXPECT("command docs nosuch\n", "*0\r\n");
    struct bytes reply = run(BYTES("command docs getset\n"));
    static const char deprecated[] = "$9\r\ndoc_flags\r\n*1\r\n+deprecated\r\n"
                                     "$16\r\ndeprecated_since\r\n$5\r\n6.2.0\r\n"
                                     "$11\r\nreplaced_by\r\n$30\r\n`SET` with the `!GET` argument\r\n";
    CHECK(memmem(reply.data, reply.len, deprecated, sizeof deprecated - 1));
    reply = run(BYTES("command docs expire\n"));
    static const char history[] = "$7\r\nhistory\r\n*1\r\n*2\r\n$5\r\n7.0.0\r\n";
    CHECK(memmem(reply.data, reply.len, history, sizeof history - 1));
    /* Two keys of two specs. */
    reply = run(BYTES("command docs rename\n"));
    CHECK(memmem(reply.data, reply.len, "key_spec_index\r\n:0", 18) &&
          memmem(reply.data, reply.len, "key_spec_index\r\n:1", 18));
    end();
}

static void keys_of_a_request_are_told(void) {
    begin();
    static const struct exchange table[] = {
        {"command getkeys get k", "*1\r\n$1\r\nk\r\n"},
        {"command getkeys mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
        {"command getkeys bitop and d a b", "*3\r\n$1\r\nd\r\n$1\r\na\r\n$1\r\nb\r\n"},
        {"command getkeys msetex 2 a 1 b 2 ex 10", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
        {"command getkeys object encoding k", "*1\r\n$1\r\nk\r\n"},
        {"command getkeys nosuch k", "-ERR Invalid command specified\r\n"},
        {"command getkeys object nosuch k", "-ERR Invalid command specified\r\n"},
        {"command getkeys echo hello", "-ERR The command has no key arguments\r\n"},
        {"command getkeys get a b", "-ERR Invalid number of arguments specified for command\r\n"},
        {"command getkeys msetex 9 a 1", "-ERR Invalid arguments specified for command\r\n"},
        {"command getkeysandflags get k", "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+RO\r\n+access\r\n"},
        {"command getkeysandflags set k v", "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+OW\r\n+update\r\n"},
        {"command getkeysandflags set k v get", "*1\r\n*2\r\n$1\r\nk\r\n*3\r\n+RW\r\n+access\r\n+update\r\n"},
        {"command getkeysandflags rename a b", "*2\r\n*2\r\n$1\r\na\r\n*3\r\n+RW\r\n+access\r\n+delete\r\n*"
                                               "2\r\n$1\r\nb\r\n*2\r\n+OW\r\n+update\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

int main(void) {
    RUN(a_row_is_told_in_ten_parts);
    RUN(the_old_range_covers_what_it_can);
    RUN(counts_agree);
    RUN(lists_are_filtered);
    RUN(docs_tell_what_the_row_says);
    RUN(keys_of_a_request_are_told);
    return 0;
}
