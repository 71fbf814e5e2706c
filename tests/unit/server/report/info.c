/* INFO's text: which sections there are, in what order, and what a line is. */
#include "server/report/info.h"

#include "tests/unit/commands_fixture.h"
#include "tests/unit/info_fixture.h"

static void a_section_is_named_in_any_case(void) {
    begin();
    uint32_t every = info_sections(BYTES("all")), standard = info_sections(BYTES("default"));
    CHECK(every && every == info_sections(BYTES("Everything")));
    CHECK(standard && (standard & every) == standard && standard != every);
    CHECK(info_sections(BYTES("KeySpace")) &&
          info_sections(BYTES("keyspace")) == info_sections(BYTES("KEYSPACE")));
    CHECK(!(standard & info_sections(BYTES("commandstats"))) &&
          (every & info_sections(BYTES("commandstats"))));
    CHECK(standard & info_sections(BYTES("errorstats")));
    CHECK(!info_sections(BYTES("nosuch")) && !info_sections(BYTES("")) && !info_sections(BYTES("keyspaces")));
    end();
}

static void sections_come_in_their_order_with_a_blank_line_between(void) {
    begin();
    CHECK_BYTES(bytes_of(info_text("keyspace cluster modules", now_ms)),
                BYTES("# Modules\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"));
    CHECK_BYTES(bytes_of(info_text("", now_ms)), BYTES(""));
    end();
}

/* Whoever reads INFO splits lines at CRLF and those at the first colon. */
static void every_line_is_a_title_or_a_name_and_a_value(void) {
    begin();
    EXPECT("set k v ex 100\nget none\nnosuch\n",
           OK NIL "-ERR unknown command 'nosuch', with args beginning with: \r\n");
    const char *all = info_text("all", now_ms);
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

/* Redis's order, with kevy's own section among them. */
static void all_sections_are_there(void) {
    static const char *const titles[] = {"Server",       "Clients", "Memory",  "Persistence",  "Stats",
                                         "Replication",  "CPU",     "Modules", "Commandstats", "Errorstats",
                                         "Latencystats", "IO",      "Cluster", "Keyspace"};
    begin();
    const char *at = info_text("all", now_ms);
    for (unsigned i = 0; i < sizeof titles / sizeof *titles; i++) {
        char heading[32];
        snprintf(heading, sizeof heading, "%s# %s\r\n", i ? "\r\n\r\n" : "", titles[i]);
        const char *found = strstr(at, heading);
        if (!found) fprintf(stderr, "no %s\n", titles[i]);
        CHECK(found && !memmem(at, (size_t)(found - at), "\r\n# ", 4));
        at = found + strlen(heading) - 2; /* the line end of a heading may begin the next */
    }
    CHECK(!strstr(at, "\r\n# "));
    end();
}

static void a_bad_row_is_found(void) {
    static const struct info_section good = {.name = "a", .title = "A", .order = 1},
                                     unnamed = {.title = "B", .order = 2},
                                     a_set = {.name = "all", .title = "B", .order = 2},
                                     capital = {.name = "Bee", .title = "B", .order = 2},
                                     untitled = {.name = "b", .title = "", .order = 2},
                                     same_place = {.name = "b", .title = "B", .order = 1},
                                     same_name = {.name = "a", .title = "B", .order = 2};
    static const struct {
        const struct info_section *row;
        const char *error;
    } bad[] = {{&unnamed, "INFO section '?': bad name"},
               {&a_set, "INFO section 'all': bad name"},
               {&capital, "INFO section 'Bee': bad name"},
               {&untitled, "INFO section 'b': no title"},
               {&same_place, "INFO section 'b': its place is taken"},
               {&same_name, "INFO section 'a': there twice"}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct info_section *rows[] = {&good, bad[i].row};
        CHECK(info_check(rows, 1) == NULL);
        CHECK_BYTES(bytes_of(info_check(rows, 2)), bytes_of(bad[i].error));
    }
    CHECK(info_open() == NULL); /* and the real ones are good */
}

static void lines_look_as_redis_writes_them(void) {
    struct text text = text_growing(NULL, 0, INFO_TEXT_MAX);
    struct info info = {.text = &text};
    info_fixed(&info, "a:0 b:x");
    info_number(&info, "n", INT64_MIN);
    info_human(&info, "s", 0);
    info_human(&info, "s", 1023);
    info_human(&info, "s", 1024 * 1024 - 1);
    info_human(&info, "s", 5ull << 40);
    info_human(&info, "s", 0x1p64);
    INFO_LINE(&info, "r:%.2f", info_ratio(1, 4) + info_ratio(1, 0));
    CHECK_BYTES(text_bytes(&text),
                BYTES("a:0\r\nb:x\r\nn:-9223372036854775808\r\ns_human:0B\r\ns_human:1023B\r\n"
                      "s_human:1024.00K\r\ns_human:5.00T\r\ns_human:16.00E\r\nr:0.25\r\n"));
    text_free(&text);
}

/* So an exporter can be made of the rows alone: no line of these sections is written without one. */
static void sections_of_figures_have_a_line_for_each_row_in_order(void) {
    static const struct {
        enum metric_section section;
        const char *name, *value;
    } rows[] = {
#define METRIC(field, kind, section, name, help)  {METRIC_##section, name, NULL},
#define FIGURE(name, kind, section, format, help) {METRIC_##section, #name, NULL},
#define HUMAN(name, section)                      {METRIC_##section, #name "_human", NULL},
#define ABSENT(section, name, value)              {METRIC_##section, name, value},
#include "server/report/metrics.def"
    };
    static const struct {
        enum metric_section section;
        const char *words, *title;
    } shown[] = {{METRIC_CLIENTS, "clients", "# Clients\r\n"},
                 {METRIC_MEMORY, "memory", "# Memory\r\n"},
                 {METRIC_STATS, "stats", "# Stats\r\n"},
                 {METRIC_CPU, "cpu", "# CPU\r\n"}};
    begin();
    for (unsigned i = 0; i < sizeof shown / sizeof *shown; i++) {
        const char *at = info_text(shown[i].words, now_ms);
        CHECK(strncmp(at, shown[i].title, strlen(shown[i].title)) == 0);
        at += strlen(shown[i].title);
        for (unsigned r = 0; r < sizeof rows / sizeof *rows; r++) {
            if (rows[r].section != shown[i].section) continue;
            size_t len = strcspn(at, ":\r");
            CHECK(at[len] == ':');
            CHECK_BYTES(((struct bytes){at, len}), bytes_of(rows[r].name));
            at += len + 1;
            len = strcspn(at, "\r");
            if (rows[r].value) CHECK_BYTES(((struct bytes){at, len}), bytes_of(rows[r].value));
            CHECK(len > 0 && memcmp(at + len, "\r\n", 2) == 0);
            CHECK(rows[r].value || (*at >= '0' && *at <= '9') || *at == '-'); /* and none is nan */
            at += len + 2;
        }
        CHECK(*at == 0);
    }
    end();
}

int main(void) {
    RUN(a_section_is_named_in_any_case);
    RUN(sections_come_in_their_order_with_a_blank_line_between);
    RUN(every_line_is_a_title_or_a_name_and_a_value);
    RUN(all_sections_are_there);
    RUN(a_bad_row_is_found);
    RUN(lines_look_as_redis_writes_them);
    RUN(sections_of_figures_have_a_line_for_each_row_in_order);
    return 0;
}
