/* DEBUG: who may, and what it tells. */
#include "server/process/server.h"
#include "tests/unit/commands_fixture.h"

#define REFUSED                                                                                              \
    "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run "   \
    "it from a local connection, otherwise you need to set this option in the configuration file, and then " \
    "restart the server.\r\n"

static void it_is_off_unless_the_configuration_says_otherwise(void) {
    begin();
    EXPECT("debug sleep 0\ndebug help\n", REFUSED REFUSED);
    config.enable_debug_command = CONFIG_LOCAL; /* and this client's address is not known */
    EXPECT("debug sleep 0\n", REFUSED);
    conn->client.flags |= CLIENT_UNIX_SOCKET;
    EXPECT("debug sleep 0\n", OK);
    end();
}

static void local_is_what_comes_from_this_machine(void) {
    static const struct {
        const char *peer;
        bool local;
    } cases[] = {
        {"127.0.0.1:5000", true}, {"[::1]:5000", true},   {"127.0.0.10:5000", false},
        {"10.0.0.1:5000", false}, {"[::12]:5000", false}, {"127.0.0.1.example:0", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        config.enable_debug_command = CONFIG_LOCAL;
        fixture_text(conn, CLIENT_PEER, cases[i].peer);
        CHECK_BYTES(run(BYTES("debug sleep 0\n")), cases[i].local ? BYTES(OK) : BYTES(REFUSED));
        end();
    }
}

static void arguments_are_checked(void) {
    begin();
    config.enable_debug_command = CONFIG_YES;
    static const struct exchange table[] = {
        {"debug", "-ERR wrong number of arguments for 'debug' command\r\n"},
        {"debug Fly", "-ERR unknown subcommand or wrong number of arguments for 'Fly'. Try DEBUG HELP.\r\n"},
        {"debug sleep",
         "-ERR unknown subcommand or wrong number of arguments for 'sleep'. Try DEBUG HELP.\r\n"},
        {"debug sleep -1", OK}, /* no number, no time: as atof reads it */
        {"debug sleep x", OK},
        {"debug sleep nan", OK},
        {"debug sleep 1e10", OK},
        {"debug error \"MY own\"", "-MY own\r\n"},
        {"debug log text", OK},
        {"debug protocol nope",
         "-ERR Wrong protocol type name. Please use one of the following: "
         "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false\r\n"},
    };
    EXPECT_ALL(table);
    struct bytes broken = run(BYTES("debug error \"TWO\\r\\nlines\"\n"));
    CHECK(!memchr(broken.data, '\n', broken.len - 1)); /* one error, not a second reply */
    end();
}

static void active_expiry_is_switched(void) {
    begin();
    config.enable_debug_command = CONFIG_YES;
    EXPECT("debug set-active-expire 0\n", OK);
    CHECK_INT(stripes_active_expire, 0);
    EXPECT("debug set-active-expire 1\n", OK);
    CHECK_INT(stripes_active_expire, 1);
    EXPECT("debug set-active-expire x\n", OK);
    CHECK_INT(stripes_active_expire, 0);
    stripes_active_expire = 1;
    end();
}

/* What stands behind the address, which differs. */
static struct bytes object(const char *line) {
    struct bytes reply = run(bytes_of(line));
    const char *rest = memmem(reply.data, reply.len, " refcount:", 10);
    CHECK(reply.len > 12 && memcmp(reply.data, "+Value at:0x", 12) == 0 && rest);
    return (struct bytes){rest, (size_t)(reply.data + reply.len - rest)};
}

static void object_tells_encoding_idle_time_and_serialized_length(void) {
    begin();
    config.enable_debug_command = CONFIG_YES;
    EXPECT("debug object none\n", "-ERR no such key\r\n");
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"127", "int serializedlength:2"},        {"-128", "int serializedlength:2"},
        {"128", "int serializedlength:3"},        {"-32769", "int serializedlength:5"},
        {"2147483647", "int serializedlength:5"}, {"2147483648", "int serializedlength:11"},
        {"abc", "embstr serializedlength:4"},     {"\"\"", "embstr serializedlength:1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[64], expected[160];
        struct bytes ok =
            run((struct bytes){line, (size_t)snprintf(line, sizeof line, "set k %s\n", cases[i].value)});
        CHECK_BYTES(ok, BYTES(OK));
        snprintf(expected, sizeof expected, " refcount:1 encoding:%s lru:%d lru_seconds_idle:0\r\n",
                 cases[i].expected, (int)(now_ms / 1000 & 0xffffff));
        CHECK_BYTES(object("debug object k\n"), bytes_of(expected));
    }
    EXPECT("set k v px 5000\n", OK);
    now_ms += 3000;
    struct bytes idle = object("debug object k\n");
    CHECK_BYTES(((struct bytes){idle.data + idle.len - 20, 20}), BYTES("lru_seconds_idle:3\r\n"));
    now_ms += 2000;
    EXPECT("debug object k\n", "-ERR no such key\r\n");
    end();
}

#define ZEROES "+0000000000000000000000000000000000000000\r\n"

/* The digests are redis-server's for the same keys. Which stripe holds a key, and which came first, does not matter. */
static void a_digest_is_of_all_keys_and_values(void) {
    begin();
    config.enable_debug_command = CONFIG_YES;
    EXPECT("debug digest\ndebug digest-value\ndebug digest-value none\n", ZEROES "*0\r\n*1\r\n" ZEROES);
    EXPECT("set t x ex 100000\nmset \"\" \"\" n -12345 a hello\n", OK OK);
    EXPECT("debug digest-value a n t none \"\"\n", "*5\r\n+36b23a1456b2dce2c3ed252c456761301dba8060\r\n"
                                                   "+9364d007acb0ba24016c9866e6283671e674924f\r\n"
                                                   "+0745672cb1bf060476eedeb8a28f5ffe1ff5a2be\r\n" ZEROES
                                                   "+8b3447c33a834b810e3e181b6fd6a2ee1020921c\r\n");
    EXPECT("debug digest\n", "+9aed907e614a2ffbd2047e81ea370af05d0d7b75\r\n");
    EXPECT("select 3\nset a hello\ndebug digest\n", OK OK "+9485c0276d52645b8dec51dce0af41ad89541464\r\n");
    EXPECT("del a\nselect 0\nsetrange big 9999 x\nappend n 6\n", ":1\r\n" OK ":10000\r\n:7\r\n");
    EXPECT("debug digest\n", "+e83040c7bbc3f16e7e0381c0f2308854898f65a3\r\n");
    now_ms += 100000001;
    EXPECT("debug digest\n", "+e83040c7bbc3f16e7e0381c0f2308854898f65a3\r\n"); /* expired, but not deleted */
    EXPECT("flushall\ndebug digest\n", OK ZEROES);
    end();
}

static void protocol_shows_every_type_in_either_version(void) {
    begin();
    config.enable_debug_command = CONFIG_YES;
    static const struct exchange in_2[] = {
        {"debug protocol string", "$11\r\nHello World\r\n"},
        {"debug protocol integer", ":12345\r\n"},
        {"debug protocol double", "$5\r\n3.141\r\n"},
        {"debug protocol bignum", "$37\r\n1234567999999999999999999999999999999\r\n"},
        {"debug protocol null", NIL},
        {"debug protocol array", "*3\r\n:0\r\n:1\r\n:2\r\n"},
        {"debug protocol set", "*3\r\n:0\r\n:1\r\n:2\r\n"},
        {"debug protocol map", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n"},
        {"debug protocol attrib", "$39\r\nSome real reply following the attribute\r\n"},
        {"debug protocol push", "-ERR RESP2 is not supported by this command\r\n"},
        {"debug protocol verbatim", "$25\r\nThis is a verbatim\nstring\r\n"},
        {"debug protocol TRUE", ":1\r\n"},
        {"debug protocol false", ":0\r\n"},
    };
    static const struct exchange in_3[] = {
        {"debug protocol double", ",3.141\r\n"},
        {"debug protocol bignum", "(1234567999999999999999999999999999999\r\n"},
        {"debug protocol null", "_\r\n"},
        {"debug protocol set", "~3\r\n:0\r\n:1\r\n:2\r\n"},
        {"debug protocol map", "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"},
        {"debug protocol attrib", "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
                                  "$39\r\nSome real reply following the attribute\r\n"},
        {"debug protocol push", ">2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n"
                                "$40\r\nSome real reply following the push reply\r\n"},
        {"debug protocol verbatim", "=29\r\ntxt:This is a verbatim\nstring\r\n"},
        {"debug protocol true", "#t\r\n"},
    };
    EXPECT_ALL(in_2);
    run(BYTES("hello 3\n"));
    EXPECT_ALL(in_3);
    end();
}

int main(void) {
    RUN(it_is_off_unless_the_configuration_says_otherwise);
    RUN(local_is_what_comes_from_this_machine);
    RUN(arguments_are_checked);
    RUN(active_expiry_is_switched);
    RUN(object_tells_encoding_idle_time_and_serialized_length);
    RUN(a_digest_is_of_all_keys_and_values);
    RUN(protocol_shows_every_type_in_either_version);
    return 0;
}
