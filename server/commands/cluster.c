/* cluster.c - CLUSTER: with cluster-enabled a cluster of one node that has all slots, so that clients which speak to
 * clusters alone can speak to it. There is no bus, no slot moves, and keys of different slots may be used together. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "protocol/buffer.h"
#include "protocol/text.h"
#include "server/call/call.h"
#include "server/call/help.h"
#include "server/clients/clients.h"
#include "server/config/config.h"
#include "server/report/info.h"

enum { SLOTS = 16384, ID_LEN = 40, HOST_MAX = 256, PORT_MAX = 65535, BUS_PORT_ABOVE = 10000 };

static bool enabled_or_reply(struct call *call) {
    if (config.cluster_enabled) return true;
    reply_error(call->reply, "ERR This instance has cluster support disabled");
    return false;
}

/* What cannot be done to a cluster of one node. */
static void cluster_lone(struct call *call) {
    if (!enabled_or_reply(call)) return;
    reply_errorf(call->reply,
                 "ERR CLUSTER %.*s is not possible: kevy is a cluster of one node, which has all slots",
                 reply_repeated(call->argv[1]), call->argv[1].data);
}

/* What changes nothing. */
static void cluster_done(struct call *call) {
    if (enabled_or_reply(call)) reply_ok(call->reply);
}

/* There are no replicas to read from: it is shown, and that is all. */
static void set_readonly(struct call *call, bool on) {
    struct client *client = call->client;
    uint32_t others = client->flags & ~(uint32_t)CLIENT_READONLY;
    if (config.cluster_enabled) client_set(client->flags, on ? others | CLIENT_READONLY : others);
    cluster_done(call);
}

static void cluster_readonly(struct call *call) {
    set_readonly(call, true);
}

static void cluster_readwrite(struct call *call) {
    set_readonly(call, false);
}

static void reply_field(struct reply *reply, const char *field, const char *text) {
    reply_bulk_text(reply, field);
    reply_bulk_text(reply, text);
}

/* ---- Slots ---------------------------------------------------------------------------------------- */

/* CRC16 of the XMODEM protocol, four bits at a time. */
static unsigned crc16(struct bytes text) {
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
                                       0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    unsigned crc = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned byte = (unsigned char)text.data[i];
        crc = (crc << 4 & 0xffff) ^ table[crc >> 12 ^ byte >> 4];
        crc = (crc << 4 & 0xffff) ^ table[crc >> 12 ^ (byte & 15)];
    }
    return crc;
}

/* Of the part between the first { and the next }, if there is something in it, else of the whole key. */
static unsigned slot_of(struct bytes key) {
    const char *open = key.len ? memchr(key.data, '{', key.len) : NULL;
    const char *end = key.data + key.len;
    const char *close = open ? memchr(open, '}', (size_t)(end - open)) : NULL;
    if (close && close > open + 1) key = (struct bytes){open + 1, (size_t)(close - open - 1)};
    return crc16(key) % SLOTS;
}

static void cluster_keyslot_(struct call *call) {
    if (enabled_or_reply(call)) reply_int(call->reply, slot_of(call->argv[2]));
}

/* The keys of a slot, at most `max` of them; their names, each behind its length, where they are wanted. */
struct slot_search {
    unsigned slot;
    bool names_wanted, failed;
    uint64_t count, max;
    struct buffer names;
};

static void search_entry(void *context, struct entry *e) {
    struct slot_search *search = context;
    struct bytes name = entry_key(e);
    if (search->failed || search->count == search->max || slot_of(name) != search->slot) return;
    search->count++;
    if (!search->names_wanted) return;
    struct bytes len = {(const char *)&name.len, sizeof name.len};
    search->failed = !buffer_append(&search->names, len, SIZE_MAX) ||
                     !buffer_append(&search->names, name, SIZE_MAX);
}

static void search_slot(struct slot_search *search) {
    for (unsigned i = 0; i < stripes.count; i++) {
        uint64_t cursor = 0;
        do cursor = keyspace_scan(stripes.all[i].keyspace, 0, cursor, search_entry, search);
        while (cursor && !search->failed && search->count < search->max);
    }
}

static void cluster_countkeysinslot_(struct call *call) {
    int64_t slot;
    if (!enabled_or_reply(call) || !call_int_or_reply(call, 2, &slot)) return;
    if (slot < 0 || slot >= SLOTS) {
        reply_error(call->reply, "ERR Invalid slot");
        return;
    }
    struct slot_search search = {.slot = (unsigned)slot, .max = UINT64_MAX};
    search_slot(&search);
    reply_int(call->reply, (int64_t)search.count);
}

static void cluster_getkeysinslot_(struct call *call) {
    int64_t slot, max;
    if (!enabled_or_reply(call) || !call_int_or_reply(call, 2, &slot) || !call_int_or_reply(call, 3, &max))
        return;
    if (slot < 0 || slot >= SLOTS || max < 0) {
        reply_error(call->reply, "ERR Invalid slot or number of keys");
        return;
    }
    struct slot_search search = {.slot = (unsigned)slot, .names_wanted = true, .max = (uint64_t)max};
    search_slot(&search);
    if (search.failed) {
        call_out_of_memory(call);
    } else {
        const char *at = search.names.data;
        reply_array(call->reply, search.count);
        for (uint64_t i = 0; i < search.count; i++) {
            struct bytes name;
            memcpy(&name.len, at, sizeof name.len);
            name.data = at + sizeof name.len;
            reply_bulk(call->reply, name);
            at = name.data + name.len;
        }
    }
    buffer_free(&search.names);
}

/* ---- The node ------------------------------------------------------------------------------------- */

/* Both are other ones after each start: nothing of a lone node is remembered. */
static struct { char node[ID_LEN + 1], shard[ID_LEN + 1]; } ids;

static void write_id(char id[ID_LEN + 1]) {
    unsigned char random[ID_LEN / 2];
    if (getrandom(random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        memset(random, 0xa5, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) snprintf(id + 2 * i, 3, "%02x", random[i]);
}

static void write_ids(void) {
    write_id(ids.node);
    write_id(ids.shard);
}

static const char *node_id(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_ids);
    return ids.node;
}

/* Where this node is for who asks: as announced, else where the client itself has reached it. */
struct address {
    char host[HOST_MAX];
    int port, bus_port;
};

static struct address address_for(struct call *call) {
    struct address address = {.port = (int)config.port};
    char local[HOST_MAX] = "";
    if (!(call->client->flags & CLIENT_UNIX_SOCKET)) {
        clients_lock();
        snprintf(local, sizeof local, "%s", client_local(call->client));
        clients_unlock();
    }
    char *colon = strrchr(local, ':');
    if (colon) {
        size_t brackets = *local == '[';
        int64_t port;
        if (number_parse_i64(bytes_of(colon + 1), &port)) address.port = (int)port;
        snprintf(address.host, sizeof address.host, "%.*s", (int)(colon - local - 2 * (ptrdiff_t)brackets),
                 local + brackets);
    }
    if (*config.cluster_announce_ip)
        snprintf(address.host, sizeof address.host, "%s", config.cluster_announce_ip);
    if (config.cluster_announce_port) address.port = (int)config.cluster_announce_port;
    int64_t bus_port = config.cluster_announce_bus_port;
    if (!bus_port) bus_port = config.cluster_port;
    if (!bus_port && address.port <= PORT_MAX - BUS_PORT_ABOVE) bus_port = address.port + BUS_PORT_ABOVE;
    address.bus_port = (int)bus_port;
    return address;
}

static void cluster_myid_(struct call *call) {
    if (enabled_or_reply(call)) reply_bulk_text(call->reply, node_id());
}

static void cluster_myshardid_(struct call *call) {
    if (!enabled_or_reply(call)) return;
    node_id();
    reply_bulk_text(call->reply, ids.shard);
}

static void cluster_info_(struct call *call) {
    if (!enabled_or_reply(call)) return;
    reply_verbatim(call->reply, "txt",
                   BYTES("cluster_state:ok\r\n"
                         "cluster_slots_assigned:16384\r\n"
                         "cluster_slots_ok:16384\r\n"
                         "cluster_slots_pfail:0\r\n"
                         "cluster_slots_fail:0\r\n"
                         "cluster_known_nodes:1\r\n"
                         "cluster_size:1\r\n"
                         "cluster_current_epoch:0\r\n"
                         "cluster_my_epoch:0\r\n"
                         "cluster_stats_messages_sent:0\r\n"
                         "cluster_stats_messages_received:0\r\n"
                         "total_cluster_links_buffer_limit_exceeded:0\r\n"));
}

static void cluster_nodes_(struct call *call) {
    if (!enabled_or_reply(call)) return;
    char line[HOST_MAX + 128];
    struct text text = text_fixed(line, sizeof line);
    struct address address = address_for(call);
    text_format(&text, "%s %s:%d@%d myself,master - 0 0 0 connected 0-%d\n", node_id(), address.host,
                address.port, address.bus_port, SLOTS - 1);
    reply_verbatim(call->reply, "txt", text_bytes(&text));
}

static void cluster_slots_(struct call *call) {
    if (!enabled_or_reply(call)) return;
    struct address address = address_for(call);
    reply_array(call->reply, 1);
    reply_array(call->reply, 3);
    reply_int(call->reply, 0);
    reply_int(call->reply, SLOTS - 1);
    reply_array(call->reply, 4);
    reply_bulk_text(call->reply, address.host);
    reply_int(call->reply, address.port);
    reply_bulk_text(call->reply, node_id());
    reply_map(call->reply, 0);
}

static void cluster_shards_(struct call *call) {
    if (!enabled_or_reply(call)) return;
    struct address address = address_for(call);
    struct reply *reply = call->reply;
    reply_array(reply, 1);
    reply_map(reply, 2);
    reply_bulk_text(reply, "slots");
    reply_array(reply, 2);
    reply_int(reply, 0);
    reply_int(reply, SLOTS - 1);
    reply_bulk_text(reply, "nodes");
    reply_array(reply, 1);
    reply_map(reply, 7);
    reply_field(reply, "id", node_id());
    reply_bulk_text(reply, "port");
    reply_int(reply, address.port);
    reply_field(reply, "ip", address.host);
    reply_field(reply, "endpoint", address.host);
    reply_field(reply, "role", "master");
    reply_bulk_text(reply, "replication-offset");
    reply_int(reply, 0);
    reply_field(reply, "health", "online");
}

static void cluster_links_(struct call *call) {
    if (enabled_or_reply(call)) reply_array(call->reply, 0);
}

/* argv[2] is this node. False after replying that there is no other. */
static bool is_me_or_reply(struct call *call) {
    if (bytes_equal_nocase(call->argv[2], bytes_of(node_id()))) return true;
    reply_errorf(call->reply, "ERR Unknown node %.*s", reply_repeated(call->argv[2]), call->argv[2].data);
    return false;
}

static void cluster_replicas_(struct call *call) {
    if (enabled_or_reply(call) && is_me_or_reply(call)) reply_array(call->reply, 0);
}

static void cluster_count_failure_reports_(struct call *call) {
    if (enabled_or_reply(call) && is_me_or_reply(call)) reply_int(call->reply, 0);
}

static void cluster_forget_(struct call *call) {
    if (enabled_or_reply(call) && is_me_or_reply(call))
        reply_error(call->reply, "ERR I tried hard but I can't forget myself...");
}

static void cluster_replicate_(struct call *call) {
    if (enabled_or_reply(call) && is_me_or_reply(call))
        reply_error(call->reply, "ERR Can't replicate myself");
}

static void cluster_failover_(struct call *call) {
    if (enabled_or_reply(call)) reply_error(call->reply, "ERR You should send CLUSTER FAILOVER to a replica");
}

static void section_cluster(struct info *info) {
    INFO_LINE(info, "cluster_enabled:%d", config.cluster_enabled != 0);
}
INFO_SECTION(cluster) = {
    .name = "cluster", .title = "Cluster", .order = 130, .by_default = true, .write = section_cluster};

/* ---- HELP ----------------------------------------------------------------------------------------- */

static void cluster_help_(struct call *call) {
    static const char *const lines[] = {
        "COUNT-FAILURE-REPORTS <node-id>",
        "    Return number of failure reports for <node-id>.",
        "COUNTKEYSINSLOT <slot>",
        "    Return the number of keys in <slot>.",
        "GETKEYSINSLOT <slot> <count>",
        "    Return key names stored by current node in a slot.",
        "INFO",
        "    Return information about the cluster.",
        "KEYSLOT <key>",
        "    Return the hash slot for <key>.",
        "MYID",
        "    Return the node id.",
        "MYSHARDID",
        "    Return the shard id of the node.",
        "NODES",
        "    Return cluster configuration seen by node. Output format:",
        "    <id> <ip:port> <flags> <master> <pings> <pongs> <epoch> <link> <slot> ...",
        "REPLICAS <node-id>",
        "    Return <node-id> replicas.",
        "SAVECONFIG",
        "    Force saving cluster configuration on disk.",
        "SLOTS",
        "    Return information about slots range mappings. Each range is made of:",
        "    start, end, master and replicas IP addresses, ports and ids",
        "SHARDS",
        "    Return information about slot range mappings and the nodes associated with them.",
        "LINKS",
        "    Return information about all network links between this node and its peers.",
        "    Output format is an array where each array element is a map containing attributes of a link",
    };
    if (enabled_or_reply(call)) HELP_REPLY(call, lines);
}

/* ---- Rows ----------------------------------------------------------------------------------------- */

COMMAND(asking) = {.name = "asking",
                   .arity = 1,
                   .flags = CMD_FAST,
                   .run = cluster_done,
                   .group = GROUP_CLUSTER,
                   .since = "3.0.0",
                   .complexity = "O(1)",
                   .summary = "Sent by cluster clients after an -ASK redirect",
                   .acl = "connection"};
COMMAND(readonly) = {.name = "readonly",
                     .arity = 1,
                     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
                     .run = cluster_readonly,
                     .group = GROUP_CLUSTER,
                     .since = "3.0.0",
                     .complexity = "O(1)",
                     .summary = "Enables read queries for a connection to a cluster replica node",
                     .acl = "connection"};
COMMAND(readwrite) = {.name = "readwrite",
                      .arity = 1,
                      .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
                      .run = cluster_readwrite,
                      .group = GROUP_CLUSTER,
                      .since = "3.0.0",
                      .complexity = "O(1)",
                      .summary = "Disables read queries for a connection to a cluster replica node",
                      .acl = "connection"};
COMMAND(cluster) = {.name = "cluster",
                    .arity = -2,
                    .group = GROUP_CLUSTER,
                    .since = "3.0.0",
                    .complexity = "Depends on subcommand.",
                    .summary = "A container for cluster commands"};
COMMAND(cluster_addslots) = {.container = "cluster",
                             .name = "addslots",
                             .arity = -3,
                             .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                             .run = cluster_lone,
                             .group = GROUP_CLUSTER,
                             .since = "3.0.0",
                             .complexity = "O(N) where N is the total number of hash slot arguments",
                             .summary = "Assign new hash slots to receiving node",
                             .syntax = "<slot:integer> ..."};
COMMAND(cluster_addslotsrange) = {
    .container = "cluster",
    .name = "addslotsrange",
    .arity = -4,
    .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
    .run = cluster_lone,
    .group = GROUP_CLUSTER,
    .since = "7.0.0",
    .complexity =
        "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
    .summary = "Assign new hash slots to receiving node",
    .syntax = "start-slot_end-slot:{<start-slot:integer> <end-slot:integer>} ..."};
COMMAND(cluster_bumpepoch) = {.container = "cluster",
                              .name = "bumpepoch",
                              .arity = 2,
                              .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                              .run = cluster_lone,
                              .group = GROUP_CLUSTER,
                              .since = "3.0.0",
                              .complexity = "O(1)",
                              .summary = "Advance the cluster config epoch",
                              .tips = "nondeterministic_output"};
COMMAND(cluster_count_failure_reports) = {
    .container = "cluster",
    .name = "count-failure-reports",
    .arity = 3,
    .flags = CMD_ADMIN | CMD_STALE,
    .run = cluster_count_failure_reports_,
    .group = GROUP_CLUSTER,
    .since = "3.0.0",
    .complexity = "O(N) where N is the number of failure reports",
    .summary = "Return the number of failure reports active for a given node",
    .tips = "nondeterministic_output",
    .syntax = "<node-id>"};
COMMAND(cluster_countkeysinslot) = {.container = "cluster",
                                    .name = "countkeysinslot",
                                    .arity = 3,
                                    .flags = CMD_STALE | CMD_ALL_STRIPES | CMD_SLOW_CLOCK,
                                    .run = cluster_countkeysinslot_,
                                    .group = GROUP_CLUSTER,
                                    .since = "3.0.0",
                                    .complexity = "O(1)",
                                    .summary = "Return the number of local keys in the specified hash slot",
                                    .syntax = "<slot:integer>"};
COMMAND(cluster_delslots) = {.container = "cluster",
                             .name = "delslots",
                             .arity = -3,
                             .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                             .run = cluster_lone,
                             .group = GROUP_CLUSTER,
                             .since = "3.0.0",
                             .complexity = "O(N) where N is the total number of hash slot arguments",
                             .summary = "Set hash slots as unbound in receiving node",
                             .syntax = "<slot:integer> ..."};
COMMAND(cluster_delslotsrange) = {
    .container = "cluster",
    .name = "delslotsrange",
    .arity = -4,
    .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
    .run = cluster_lone,
    .group = GROUP_CLUSTER,
    .since = "7.0.0",
    .complexity =
        "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
    .summary = "Set hash slots as unbound in receiving node",
    .syntax = "start-slot_end-slot:{<start-slot:integer> <end-slot:integer>} ..."};
COMMAND(cluster_failover) = {.container = "cluster",
                             .name = "failover",
                             .arity = -2,
                             .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                             .run = cluster_failover_,
                             .group = GROUP_CLUSTER,
                             .since = "3.0.0",
                             .complexity = "O(1)",
                             .summary = "Forces a replica to perform a manual failover of its master.",
                             .syntax = "[options:(FORCE | TAKEOVER)]"};
COMMAND(cluster_flushslots) = {.container = "cluster",
                               .name = "flushslots",
                               .arity = 2,
                               .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                               .run = cluster_lone,
                               .group = GROUP_CLUSTER,
                               .since = "3.0.0",
                               .complexity = "O(1)",
                               .summary = "Delete a node's own slots information"};
COMMAND(cluster_forget) = {.container = "cluster",
                           .name = "forget",
                           .arity = 3,
                           .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                           .run = cluster_forget_,
                           .group = GROUP_CLUSTER,
                           .since = "3.0.0",
                           .complexity = "O(1)",
                           .summary = "Remove a node from the nodes table",
                           .syntax = "<node-id>"};
COMMAND(cluster_getkeysinslot) = {.container = "cluster",
                                  .name = "getkeysinslot",
                                  .arity = 4,
                                  .flags = CMD_STALE | CMD_ALL_STRIPES | CMD_SLOW_CLOCK,
                                  .run = cluster_getkeysinslot_,
                                  .group = GROUP_CLUSTER,
                                  .since = "3.0.0",
                                  .complexity = "O(log(N)) where N is the number of requested keys",
                                  .summary = "Return local key names in the specified hash slot",
                                  .tips = "nondeterministic_output",
                                  .syntax = "<slot:integer> <count:integer>"};
COMMAND(cluster_help) = {.container = "cluster",
                         .name = "help",
                         HELP_ROW,
                         .run = cluster_help_,
                         .group = GROUP_CLUSTER,
                         .since = "5.0.0"};
COMMAND(cluster_info) = {.container = "cluster",
                         .name = "info",
                         .arity = 2,
                         .flags = CMD_STALE,
                         .run = cluster_info_,
                         .group = GROUP_CLUSTER,
                         .since = "3.0.0",
                         .complexity = "O(1)",
                         .summary = "Provides info about Redis Cluster node state",
                         .tips = "nondeterministic_output"};
COMMAND(cluster_keyslot) = {.container = "cluster",
                            .name = "keyslot",
                            .arity = 3,
                            .flags = CMD_STALE,
                            .run = cluster_keyslot_,
                            .group = GROUP_CLUSTER,
                            .since = "3.0.0",
                            .complexity = "O(N) where N is the number of bytes in the key",
                            .summary = "Returns the hash slot of the specified key",
                            .syntax = "<key>"};
COMMAND(cluster_links) = {.container = "cluster",
                          .name = "links",
                          .arity = 2,
                          .flags = CMD_STALE,
                          .run = cluster_links_,
                          .group = GROUP_CLUSTER,
                          .since = "7.0.0",
                          .complexity = "O(N) where N is the total number of Cluster nodes",
                          .summary = "Returns a list of all TCP links to and from peer nodes in cluster",
                          .tips = "nondeterministic_output"};
COMMAND(cluster_meet) = {.container = "cluster",
                         .name = "meet",
                         .arity = -4,
                         .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                         .run = cluster_lone,
                         .group = GROUP_CLUSTER,
                         .since = "3.0.0",
                         .complexity = "O(1)",
                         .summary = "Force a node cluster to handshake with another node",
                         .history = "4.0.0: Added the optional `cluster_bus_port` argument.",
                         .syntax = "<ip> <port:integer> [<cluster_bus_port:integer>]@4.0.0"};
COMMAND(cluster_myid) = {.container = "cluster",
                         .name = "myid",
                         .arity = 2,
                         .flags = CMD_STALE,
                         .run = cluster_myid_,
                         .group = GROUP_CLUSTER,
                         .since = "3.0.0",
                         .complexity = "O(1)",
                         .summary = "Return the node id"};
COMMAND(cluster_myshardid) = {.container = "cluster",
                              .name = "myshardid",
                              .arity = 2,
                              .flags = CMD_STALE,
                              .run = cluster_myshardid_,
                              .group = GROUP_CLUSTER,
                              .since = "7.2.0",
                              .complexity = "O(1)",
                              .summary = "Returns the shard ID of a node."};
COMMAND(cluster_nodes) = {.container = "cluster",
                          .name = "nodes",
                          .arity = 2,
                          .flags = CMD_STALE,
                          .run = cluster_nodes_,
                          .group = GROUP_CLUSTER,
                          .since = "3.0.0",
                          .complexity = "O(N) where N is the total number of Cluster nodes",
                          .summary = "Get Cluster config for the node",
                          .tips = "nondeterministic_output"};
COMMAND(cluster_replicas) = {.container = "cluster",
                             .name = "replicas",
                             .arity = 3,
                             .flags = CMD_ADMIN | CMD_STALE,
                             .run = cluster_replicas_,
                             .group = GROUP_CLUSTER,
                             .since = "5.0.0",
                             .complexity = "O(1)",
                             .summary = "List replica nodes of the specified master node",
                             .tips = "nondeterministic_output",
                             .syntax = "<node-id>"};
COMMAND(cluster_replicate) = {.container = "cluster",
                              .name = "replicate",
                              .arity = 3,
                              .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                              .run = cluster_replicate_,
                              .group = GROUP_CLUSTER,
                              .since = "3.0.0",
                              .complexity = "O(1)",
                              .summary = "Reconfigure a node as a replica of the specified master node",
                              .syntax = "<node-id>"};
COMMAND(cluster_reset) = {
    .container = "cluster",
    .name = "reset",
    .arity = -2,
    .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_STALE,
    .run = cluster_lone,
    .group = GROUP_CLUSTER,
    .since = "3.0.0",
    .complexity =
        "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.",
    .summary = "Reset a Redis Cluster node",
    .syntax = "[hard_soft:(HARD | SOFT)]"};
COMMAND(cluster_saveconfig) = {.container = "cluster",
                               .name = "saveconfig",
                               .arity = 2,
                               .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                               .run = cluster_done,
                               .group = GROUP_CLUSTER,
                               .since = "3.0.0",
                               .complexity = "O(1)",
                               .summary = "Forces the node to save cluster state on disk"};
COMMAND(cluster_set_config_epoch) = {.container = "cluster",
                                     .name = "set-config-epoch",
                                     .arity = 3,
                                     .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                                     .run = cluster_lone,
                                     .group = GROUP_CLUSTER,
                                     .since = "3.0.0",
                                     .complexity = "O(1)",
                                     .summary = "Set the configuration epoch in a new node",
                                     .syntax = "<config-epoch:integer>"};
COMMAND(cluster_setslot) = {.container = "cluster",
                            .name = "setslot",
                            .arity = -4,
                            .flags = CMD_ADMIN | CMD_STALE | CMD_NO_ASYNC_LOADING,
                            .run = cluster_lone,
                            .group = GROUP_CLUSTER,
                            .since = "3.0.0",
                            .complexity = "O(1)",
                            .summary = "Bind a hash slot to a specific node",
                            .syntax = "<slot:integer> subcommand:({IMPORTING <node-id>} | {MIGRATING "
                                      "<node-id>} | {NODE <node-id>} | STABLE)"};
COMMAND(cluster_shards) = {.container = "cluster",
                           .name = "shards",
                           .arity = 2,
                           .flags = CMD_STALE,
                           .run = cluster_shards_,
                           .group = GROUP_CLUSTER,
                           .since = "7.0.0",
                           .complexity = "O(N) where N is the total number of cluster nodes",
                           .summary = "Get array of cluster slots to node mappings",
                           .tips = "nondeterministic_output"};
COMMAND(cluster_slaves) = {.container = "cluster",
                           .name = "slaves",
                           .arity = 3,
                           .flags = CMD_ADMIN | CMD_STALE,
                           .run = cluster_replicas_,
                           .group = GROUP_CLUSTER,
                           .since = "3.0.0",
                           .complexity = "O(1)",
                           .summary = "List replica nodes of the specified master node",
                           .tips = "nondeterministic_output",
                           .deprecated_since = "5.0.0",
                           .replaced_by = "`CLUSTER REPLICAS`",
                           .syntax = "<node-id>"};
COMMAND(cluster_slots) = {
    .container = "cluster",
    .name = "slots",
    .arity = 2,
    .flags = CMD_STALE,
    .run = cluster_slots_,
    .group = GROUP_CLUSTER,
    .since = "3.0.0",
    .complexity = "O(N) where N is the total number of Cluster nodes",
    .summary = "Get array of Cluster slot to node mappings",
    .tips = "nondeterministic_output",
    .history = "4.0.0: Added node IDs.\n7.0.0: Added additional networking metadata field.",
    .deprecated_since = "7.0.0",
    .replaced_by = "`CLUSTER SHARDS`"};
