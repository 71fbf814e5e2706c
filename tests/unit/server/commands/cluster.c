/* CLUSTER: a server without a cluster says so to every subcommand; with cluster-enabled it is one node with all slots. */
#include "server/call/command.h"

#include "tests/unit/commands_fixture.h"

#define DISABLED "-ERR This instance has cluster support disabled\r\n"
#define LONE(name)                                                                                           \
    "-ERR CLUSTER " name " is not possible: kevy is a cluster of one node, which has all slots\r\n"

static void every_subcommand_says_that_there_is_no_cluster(void) {
    begin();
    static const struct exchange table[] = {
        {"cluster help", DISABLED},
        {"asking", DISABLED},
        {"readonly", DISABLED},
        {"readwrite", DISABLED},
        {"cluster keyslot", "-ERR wrong number of arguments for 'cluster|keyslot' command\r\n"},
        {"cluster", "-ERR wrong number of arguments for 'cluster' command\r\n"},
    };
    EXPECT_ALL(table);
    const struct command *list[64];
    const struct command *container = command_find_name(BYTES("cluster"));
    unsigned count = command_subcommands(container, list, 64);
    CHECK_INT(count, 28);
    for (unsigned i = 0; i < count; i++) {
        char line[100];
        size_t len = (size_t)snprintf(line, sizeof line, "cluster %s", list[i]->name);
        for (int arg = 2; arg < abs(list[i]->arity); arg++)
            len += (size_t)snprintf(line + len, sizeof line - len, " x");
        line[len++] = '\n';
        CHECK_BYTES(run((struct bytes){line, len}), BYTES(DISABLED));
    }
    end();
}

static void begin_cluster(void) {
    begin();
    config.cluster_enabled = CONFIG_YES;
}

static void keys_have_the_slots_of_redis(void) {
    begin_cluster();
    static const struct exchange table[] = {
        {"cluster keyslot foo", ":12182\r\n"},
        {"cluster keyslot 123456789", ":12739\r\n"}, /* 0x31c3, as CRC16/XMODEM says of these digits */
        {"cluster keyslot \"\"", ":0\r\n"},
        {"cluster keyslot foo{bar}x", ":5061\r\n"},
        {"cluster keyslot bar", ":5061\r\n"},
        {"cluster keyslot {bar}{foo}", ":5061\r\n"},
        {"set {bar}1 v", OK},
        {"set {bar}2 v", OK},
        {"set other v", OK},
        {"cluster countkeysinslot 5061", ":2\r\n"},
        {"cluster countkeysinslot 5062", ":0\r\n"},
        {"cluster countkeysinslot 16384", "-ERR Invalid slot\r\n"},
        {"cluster countkeysinslot -1", "-ERR Invalid slot\r\n"},
        {"cluster countkeysinslot x", NOT_AN_INTEGER},
        {"cluster getkeysinslot 5061 0", "*0\r\n"},
        {"cluster getkeysinslot 16384 1", "-ERR Invalid slot or number of keys\r\n"},
        {"cluster getkeysinslot 5061 -1", "-ERR Invalid slot or number of keys\r\n"},
        {"cluster getkeysinslot 5061 x", NOT_AN_INTEGER},
    };
    EXPECT_ALL(table);
    struct bytes tagless = run(BYTES("cluster keyslot {}bar\n"));
    CHECK(!bytes_equal(tagless, BYTES(":5061\r\n")));
    struct bytes one = run(BYTES("cluster getkeysinslot 5061 1\n"));
    CHECK(one.len == strlen("*1\r\n$6\r\n{bar}1\r\n") && memcmp(one.data, "*1\r\n$6\r\n{bar}", 13) == 0);
    CHECK(run(BYTES("cluster getkeysinslot 5061 9\n")).len ==
          strlen("*2\r\n$6\r\n{bar}1\r\n$6\r\n{bar}2\r\n"));
    EXPECT("mset {a} 1 {b} 2 {c} 3\n", OK); /* of three slots */
    end();
}

static void one_node_has_all_slots(void) {
    begin_cluster();
    char id[41] = {0}, line[200];
    struct bytes reply = run(BYTES("cluster myid\n"));
    CHECK(reply.len == 47 && memcmp(reply.data, "$40\r\n", 5) == 0);
    memcpy(id, reply.data + 5, sizeof id - 1);
    CHECK_INT(strspn(id, "0123456789abcdef"), sizeof id - 1);
    CHECK_INT(run(BYTES("cluster myshardid\n")).len, 47);
    config.cluster_announce_port = 7000;
    config.cluster_port = 7500;
    size_t len =
        (size_t)snprintf(line, sizeof line, ":7000@7500 myself,master - 0 0 0 connected 0-16383\n\r\n");
    reply = run(BYTES("cluster nodes\n"));
    CHECK(reply.len > len && memcmp(reply.data + reply.len - len, line, len) == 0);
    config.cluster_announce_bus_port = 7100;
    reply = run(BYTES("cluster nodes\n"));
    CHECK(memmem(reply.data, reply.len, ":7000@7100 ", 11) &&
          memmem(reply.data, reply.len, id, sizeof id - 1));
    reply = run(BYTES("cluster slots\n"));
    CHECK(memcmp(reply.data, "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n", 24) == 0 &&
          memmem(reply.data, reply.len, id, sizeof id - 1));
    reply = run(BYTES("cluster shards\n"));
    CHECK(memcmp(reply.data, "*1\r\n*4\r\n$5\r\nslots\r\n*2\r\n:0\r\n:16383\r\n", 35) == 0);
    config.cluster_announce_port = config.cluster_port = config.cluster_announce_bus_port = 0;
    len = (size_t)snprintf(
        line, sizeof line,
        "cluster replicas %.40s\ncluster count-failure-reports %.40s\ncluster forget %.40s\n", id, id, id);
    CHECK_BYTES(run((struct bytes){line, len}),
                BYTES("*0\r\n:0\r\n-ERR I tried hard but I can't forget myself...\r\n"));
    static const struct exchange table[] = {
        {"cluster replicas x", "-ERR Unknown node x\r\n"},
        {"cluster slaves x", "-ERR Unknown node x\r\n"},
        {"cluster forget x", "-ERR Unknown node x\r\n"},
        {"cluster replicate x", "-ERR Unknown node x\r\n"},
        {"cluster links", "*0\r\n"},
        {"cluster failover", "-ERR You should send CLUSTER FAILOVER to a replica\r\n"},
        {"cluster meet 127.0.0.1 7000", LONE("meet")},
        {"cluster addslots 5", LONE("addslots")},
        {"cluster reset", LONE("reset")},
        {"cluster saveconfig", OK},
        {"readonly", OK},
        {"readwrite", OK},
        {"asking", OK},
    };
    EXPECT_ALL(table);
    end();
}

static void there_is_one_database(void) {
    begin_cluster();
    static const struct exchange table[] = {
        {"select 0", OK},
        {"select 1", "-ERR SELECT is not allowed in cluster mode\r\n"},
        {"select x", "-ERR value is not an integer or out of range\r\n"},
        {"swapdb 0 0", "-ERR SWAPDB is not allowed in cluster mode\r\n"},
        {"set a 1", OK},
        {"move a 0", "-ERR MOVE is not allowed in cluster mode\r\n"},
        {"copy a b db 1", "-ERR Copying to another database is not allowed in cluster mode\r\n"},
        {"copy a b db 0", ":1\r\n"},
        {"info cluster", "$30\r\n# Cluster\r\ncluster_enabled:1\r\n\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

int main(void) {
    RUN(every_subcommand_says_that_there_is_no_cluster);
    RUN(keys_have_the_slots_of_redis);
    RUN(one_node_has_all_slots);
    RUN(there_is_one_database);
    return 0;
}
