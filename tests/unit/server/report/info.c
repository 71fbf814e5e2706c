/* INFO's text: sections and their names, and that the figures are those of the data. */
#include "server/report/info.h"

#include <unistd.h>

#include "server/process/server.h"
#include "server/report/errorstats.h"
#include "tests/unit/commands_fixture.h"

static struct text text;

/* The text of these sections, as a string. */
static const char *info(const char *words) {
    uint32_t sections = 0;
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        sections |= info_sections((struct bytes){at, len});
        at += len;
    }
    text_free(&text);
    text = text_growing(NULL, 0, INFO_TEXT_MAX);
    info_write(sections, now_ms, &text);
    CHECK(!text.cut);
    return text.data ? text.data : "";
}

static bool has_line(const char *all, const char *line) {
    size_t len = strlen(line);
    for (const char *at = all; (at = strstr(at, line)); at++)
        if ((at == all || at[-1] == '\n') && at[len] == '\r') return true;
    return false;
}

/* The number of a line. */
static long long figure(const char *all, const char *name) {
    char key[80];
    snprintf(key, sizeof key, "\n%s:", name);
    const char *at = strstr(all, key);
    if (!at) fprintf(stderr, "no %s in %s\n", name, all);
    CHECK(at);
    return strtoll(at + strlen(key), NULL, 10);
}

static void a_section_is_named_in_any_case(void) {
    uint32_t every = info_sections(BYTES("all")), standard = info_sections(BYTES("default"));
    CHECK(every && every == info_sections(BYTES("Everything")));
    CHECK(standard && (standard & every) == standard && standard != every);
    CHECK(info_sections(BYTES("KeySpace")) &&
          info_sections(BYTES("keyspace")) == info_sections(BYTES("KEYSPACE")));
    CHECK(!(standard & info_sections(BYTES("commandstats"))) &&
          (every & info_sections(BYTES("commandstats"))));
    CHECK(standard & info_sections(BYTES("errorstats")));
    CHECK(!info_sections(BYTES("nosuch")) && !info_sections(BYTES("")) && !info_sections(BYTES("keyspaces")));
}

static void sections_come_in_their_order_with_a_blank_line_between(void) {
    begin();
    CHECK_BYTES(bytes_of(info("keyspace cluster modules")),
                BYTES("# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"));
    CHECK_BYTES(bytes_of(info("")), BYTES(""));
    end();
}

/* Whoever reads INFO splits lines at CRLF and those at the first colon. */
static void every_line_is_a_title_or_a_name_and_a_value(void) {
    begin();
    EXPECT("set k v ex 100\nget none\nnosuch\n",
           OK NIL "-ERR unknown command 'nosuch', with args beginning with: \r\n");
    const char *all = info("all");
    unsigned lines = 0;
    for (const char *at = all; *at; lines++) {
        size_t len = strcspn(at, "\r\n");
        CHECK(memcmp(at + len, "\r\n", 2) == 0);
        CHECK(len == 0 || at[0] == '#' || memchr(at, ':', len));
        for (size_t i = 0; len && at[0] != '#' && at[i] != ':'; i++)
            CHECK((at[i] >= 'a' && at[i] <= 'z') || (at[i] >= '0' && at[i] <= '9') || strchr("_-|ER", at[i]));
        at += len + 2;
    }
    CHECK(lines > 150);
    end();
}

static void the_server_s_section_tells_who_it_is(void) {
    begin();
    server_started_ms = now_ms - 90061 * 1000ll;
    const char *server = info("server");
    char line[64];
    CHECK(has_line(server, "redis_version:7.0.15") && has_line(server, "redis_mode:standalone"));
    snprintf(line, sizeof line, "process_id:%d", (int)getpid());
    CHECK(has_line(server, line) && has_line(server, "tcp_port:0") && has_line(server, "config_file:"));
    CHECK_INT(figure(server, "uptime_in_seconds"), 90061);
    CHECK_INT(figure(server, "uptime_in_days"), 1);
    CHECK_INT(figure(server, "server_time_usec"), now_ms * 1000);
    CHECK_INT(figure(server, "lru_clock"), now_ms / 1000 & 0xffffff);
    CHECK_INT(figure(server, "stripes"), stripes.count);
    const char *id = strstr(server, "run_id:") + 7;
    CHECK_INT(strspn(id, "0123456789abcdef"), 40);
    char first[41];
    memcpy(first, id, 40), first[40] = 0;
    CHECK(strstr(info("server"), first)); /* the same for the whole run */
    const char *other = strstr(info("replication"), "master_replid:") + 14;
    CHECK(strspn(other, "0123456789abcdef") == 40 && memcmp(first, other, 40) != 0);
    end();
}

static void the_keyspace_is_counted_by_database(void) {
    begin();
    CHECK(!strstr(info("keyspace"), "db0"));
    EXPECT("mset a 1 b 2\nset c 3 px 5000\nselect 7\nset d 4\nset e 5 px 1\nselect 0\n", OK OK OK OK OK OK);
    const char *keyspace = info("keyspace");
    CHECK(strstr(keyspace, "db0:keys=3,expires=1,avg_ttl="));
    CHECK(strstr(keyspace, "db7:keys=2,expires=1,avg_ttl=") && !strstr(keyspace, "db1:"));
    /* The average is taken from random keys: where all are alike it is exact. */
    EXPECT("flushall\n", OK);
    for (int k = 0; k < 1000; k++) {
        char line[64];
        int len = snprintf(line, sizeof line, "set %d v px 5000\n", k);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(OK));
    }
    CHECK(has_line(info("keyspace"), "db0:keys=1000,expires=1000,avg_ttl=5000"));
    now_ms += 6000; /* they are still there, but over */
    CHECK(has_line(info("keyspace"), "db0:keys=1000,expires=1000,avg_ttl=0"));
    end();
}

static void commands_and_errors_are_counted_by_name(void) {
    begin();
    errorstats_reset();
    EXPECT("set k v\nincr k\nincr k\nget\nobject encoding k\n", OK NOT_AN_INTEGER NOT_AN_INTEGER
           "-ERR wrong number of arguments for 'get' command\r\n$6\r\nembstr\r\n");
    const char *stats = info("commandstats");
    CHECK(strstr(stats, "\r\ncmdstat_set:calls=1,usec=") &&
          strstr(stats, "\r\ncmdstat_object|encoding:calls=1,usec="));
    const char *incr = strstr(stats, "\r\ncmdstat_incr:calls=2,usec=");
    CHECK(incr && strstr(incr, ",rejected_calls=0,failed_calls=2\r\n") == strstr(incr, ",rejected_calls="));
    const char *get = strstr(
        stats, "\r\ncmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0\r\n");
    CHECK(get && get < incr); /* in order of names */
    CHECK(!strstr(stats, "cmdstat_mget"));
    CHECK(has_line(info("errorstats"), "errorstat_ERR:count=3"));
    CHECK_INT(figure(info("stats"), "total_error_replies"), 3);
    CHECK_INT(figure(info("stats"), "total_commands_processed"), 5);
    end();
}

static void memory_is_that_of_the_data_and_its_peak_stays(void) {
    begin();
    long long before = figure(info("memory"), "used_memory");
    EXPECT("setrange k 999999 x\n", ":1000000\r\n");
    const char *memory = info("memory");
    long long used = figure(memory, "used_memory");
    CHECK(used >= before + 1000000 && used < before + 2000000);
    CHECK(figure(memory, "used_memory_peak") >= used && figure(memory, "used_memory_rss") > 0);
    CHECK_INT(figure(memory, "used_memory_dataset"), used - figure(memory, "used_memory_overhead"));
    EXPECT("del k\n", ":1\r\n");
    memory = info("memory");
    CHECK(figure(memory, "used_memory") < used && figure(memory, "used_memory_peak") >= used);
    end();
}

static void people_read_sizes_in_units(void) {
    static const char *const units = "BKMGTPE";
    begin();
    EXPECT("setrange k 3145727 x\n", ":3145728\r\n");
    const char *memory = info("memory");
    long long used = figure(memory, "used_memory");
    const char *human = strstr(memory, "used_memory_human:") + 18;
    char *end_of;
    double value = strtod(human, &end_of);
    CHECK(strchr(units, *end_of) && end_of[1] == '\r');
    for (const char *unit = units; *unit != *end_of; unit++) value *= 1024;
    CHECK(value > (double)used * 0.99 && value < (double)used * 1.01);
    end();
}

/* A unit begins at 1024 of the one before, as Redis has it: 1010K are not 0.99M. */
static void units_are_1024_of_each_other(void) {
    begin();
    EXPECT("set k v\n", OK);
    size_t more = 1010 * 1024 + 512 - (size_t)figure(info("memory"), "used_memory");
    struct key key = {BYTES("k"), hash_bytes(&stripes.seed, BYTES("k"))};
    struct value value = {.kind = VALUE_BLOCK, .block = block_new_zeroed(more, more)};
    CHECK(value.block && keyspace_set(stripe_of(key.hash)->keyspace, 0, key, &value, EXPIRY_NONE));
    block_release(value.block);
    const char *human = strstr(info("memory"), "used_memory_human:");
    CHECK(human);
    /* malloc may round up by some KiB. */
    CHECK_BYTES(((struct bytes){human, 21}), BYTES("used_memory_human:101"));
    CHECK(human[22] == '.' && human[25] == 'K');
    end();
}

static void clients_and_changes_are_those_there_are(void) {
    begin();
    struct conn *other = fixture_conn(&shards[1]);
    other->client.input_bytes = 777;
    other->client.output_bytes = 888;
    const char *clients = info("clients");
    CHECK_INT(figure(clients, "connected_clients"), 2);
    CHECK_INT(figure(clients, "client_recent_max_input_buffer"), 777);
    CHECK_INT(figure(clients, "client_recent_max_output_buffer"), 888);
    fixture_conn_close(other);
    CHECK_INT(figure(info("clients"), "connected_clients"), 1);
    CHECK_INT(figure(info("persistence"), "rdb_changes_since_last_save"), 0);
    EXPECT("set k v\nget k\nset l w\n", OK "$1\r\nv\r\n" OK);
    CHECK_INT(figure(info("persistence"), "rdb_changes_since_last_save"), 2);
    end();
}

int main(void) {
    RUN(a_section_is_named_in_any_case);
    RUN(sections_come_in_their_order_with_a_blank_line_between);
    RUN(every_line_is_a_title_or_a_name_and_a_value);
    RUN(the_server_s_section_tells_who_it_is);
    RUN(the_keyspace_is_counted_by_database);
    RUN(commands_and_errors_are_counted_by_name);
    RUN(memory_is_that_of_the_data_and_its_peak_stays);
    RUN(people_read_sizes_in_units);
    RUN(units_are_1024_of_each_other);
    RUN(clients_and_changes_are_those_there_are);
    text_free(&text);
    return 0;
}
