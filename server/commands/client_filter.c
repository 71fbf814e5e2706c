/* client_filter.c - the filters of CLIENT LIST and CLIENT KILL: those of Redis 7.0, and what Valkey 9 has beside them. Where
 * a request can be read as Redis 7.0 does, its error is Redis's. */
#include "server/commands/client_filter.h"

#include <stdlib.h>

#include "server/clients/clients.h"
#include "server/config/config.h"

/* ---- What a client is like ------------------------------------------------------------------------ */

/* Redis's `d` (a watched key has changed) is left out: nobody marks a watcher here (server/stripes/watch.h): he compares
 * versions himself when he executes. */
void client_letters(uint32_t flags, char letters[CLIENT_LETTERS_MAX]) {
    static const struct {
        uint32_t flag;
        char letter;
    } all[] = {{CLIENT_MONITOR, 'O'},     {CLIENT_SUBSCRIBED, 'P'},        {CLIENT_MULTI, 'x'},
               {CLIENT_BLOCKED, 'b'},     {CLIENT_TRACKING, 't'},          {CLIENT_BROKEN_REDIRECT, 'R'},
               {CLIENT_BCAST, 'B'},       {CLIENT_CLOSE_AFTER_REPLY, 'c'}, {CLIENT_CLOSE_NOW, 'A'},
               {CLIENT_UNIX_SOCKET, 'U'}, {CLIENT_READONLY, 'r'},          {CLIENT_NO_EVICT, 'e'},
               {CLIENT_NO_TOUCH, 'T'}};
    char *at = letters;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (flags & all[i].flag) *at++ = all[i].letter;
    if (at == letters) *at++ = 'N';
    *at = '\0';
}

/* The letters of Redis and Valkey, also of what kevy's clients never are. */
#define ALL_LETTERS      "SMOPxbtRBcuAUreTIdN"
#define ALL_CAPABILITIES "r"

static bool is_of_type(const struct client *client, enum client_type type) {
    bool subscribed = client_get(client->flags) & CLIENT_SUBSCRIBED;
    return type == (subscribed ? TYPE_PUBSUB : TYPE_NORMAL);
}

/* An address without its port, and without the brackets around it. */
static struct bytes ip_of(struct bytes address) {
    while (address.len > 0 && address.data[address.len - 1] != ':') address.len--;
    if (address.len > 0) address.len--;
    if (address.len > 2 && address.data[0] == '[' && address.data[address.len - 1] == ']')
        return (struct bytes){address.data + 1, address.len - 2};
    return address;
}

/* data NULL: it has none. */
static struct bytes text_of(struct client *client, enum filter_text which, char letters[CLIENT_LETTERS_MAX]) {
    uint32_t flags = client_get(client->flags);
    const char *text = letters;
    switch (which) {
    case FILTER_ADDR: text = client_peer(client); break;
    case FILTER_LADDR: text = client_local(client); break;
    case FILTER_NAME: text = client_text(client, CLIENT_NAME); break;
    case FILTER_LIB_NAME: text = client_text(client, CLIENT_LIB_NAME); break;
    case FILTER_LIB_VER: text = client_text(client, CLIENT_LIB_VER); break;
    case FILTER_IP: return ip_of(bytes_of(client_peer(client)));
    case FILTER_FLAGS: client_letters(flags, letters); break;
    default: return flags & CLIENT_CAN_REDIRECT ? BYTES(ALL_CAPABILITIES) : BYTES("");
    }
    return text ? bytes_of(text) : (struct bytes){0};
}

/* Are all letters of the first one in the second? */
static bool letters_within(struct bytes letters, struct bytes all) {
    for (size_t i = 0; i < letters.len; i++)
        if (!memchr(all.data, letters.data[i], all.len)) return false;
    return true;
}

static bool has_letters(enum filter_text which) {
    return which == FILTER_FLAGS || which == FILTER_CAPA;
}

static bool passes_text(struct client *client, const struct client_filter *filter, enum filter_text which) {
    char letters[CLIENT_LETTERS_MAX];
    if (!filter->has_text[which][0] && !filter->has_text[which][1]) return true;
    struct bytes text = text_of(client, which, letters);
    for (unsigned without = 0; without < 2; without++) {
        struct bytes wanted = filter->text[which][without];
        if (!filter->has_text[which][without]) continue;
        bool is = has_letters(which) ? letters_within(wanted, text) : text.data && bytes_equal(wanted, text);
        if (is == without) return false;
    }
    return true;
}

static int id_order(const void *a, const void *b) {
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

static bool passes_numbers(const struct client_filter *filter, const struct client *client,
                           unsigned without) {
    const uint64_t *ids = filter->ids[without];
    bool found = ids && bsearch(&client->id, ids, filter->id_count[without], sizeof *ids, id_order);
    if (ids && found == without) return false;
    enum client_type type = filter->type[without];
    if (type != TYPE_ANY && is_of_type(client, type) == without) return false;
    return filter->db[without] < 0 || (filter->db[without] == client_get(client->db)) != without;
}

bool client_filter_passes(const struct call *call, const struct client_filter *filter,
                          struct client *client) {
    int64_t now_ms = call->effects->now_ms;
    if (client->killed || filter->nobody || (filter->skip_me && client == call->client)) return false;
    if (filter->max_age_s && (now_ms - client->created_ms) / 1000 < filter->max_age_s) return false;
    if (filter->idle_s && (now_ms - client_get(client->active_ms)) / 1000 < filter->idle_s) return false;
    if (!passes_numbers(filter, client, 0) || !passes_numbers(filter, client, 1)) return false;
    for (unsigned which = 0; which < FILTER_TEXTS; which++)
        if (!passes_text(client, filter, (enum filter_text)which)) return false;
    return true;
}

/* ---- Reading -------------------------------------------------------------------------------------- */

struct client_filter client_filter_all(bool skip_me) {
    return (struct client_filter){.type = {TYPE_ANY, TYPE_ANY}, .db = {-1, -1}, .skip_me = skip_me};
}

void client_filter_free(struct client_filter *filter) {
    free(filter->ids[0]);
    free(filter->ids[1]);
}

/* A filter that is being read. */
struct reading {
    struct call *call;
    struct client_filter *filter;
    uint32_t arg; /* of its word; then of what comes next */
    unsigned without;
    bool kill;
};

static struct bytes value_of(const struct reading *reading) {
    return reading->call->argv[reading->arg + 1];
}

static bool read_type(struct reading *reading) {
    struct bytes name = value_of(reading);
    enum client_type type = TYPE_ANY;
    if (bytes_is(name, "normal"))
        type = TYPE_NORMAL;
    else if (bytes_is(name, "slave") || bytes_is(name, "replica"))
        type = TYPE_REPLICA;
    else if (bytes_is(name, "pubsub"))
        type = TYPE_PUBSUB;
    else if (bytes_is(name, "master") || bytes_is(name, "primary"))
        type = TYPE_MASTER;
    else
        reply_errorf(reading->call->reply, "ERR Unknown client type '%.*s'", reply_repeated(name), name.data);
    reading->filter->type[reading->without] = type;
    return type != TYPE_ANY;
}

static bool read_user(struct reading *reading) {
    struct bytes name = value_of(reading);
    if (!bytes_equal(name, BYTES("default"))) {
        reply_errorf(reading->call->reply, "ERR No such user '%.*s'", reply_repeated(name), name.data);
        return false;
    }
    reading->filter->nobody = reading->filter->nobody || reading->without;
    return true;
}

/* Seconds, above 0. */
static bool read_seconds(struct reading *reading, const char *name, int64_t *seconds) {
    if (!number_parse_i64(value_of(reading), seconds))
        reply_errorf(reading->call->reply, "ERR %s is not an integer or out of range", name);
    else if (*seconds <= 0)
        reply_errorf(reading->call->reply, "ERR %s should be greater than 0", name);
    else
        return true;
    return false;
}
static bool read_max_age(struct reading *reading) {
    return read_seconds(reading, "maxage", &reading->filter->max_age_s);
}
static bool read_idle(struct reading *reading) {
    return read_seconds(reading, "idle", &reading->filter->idle_s);
}

static bool read_db(struct reading *reading) {
    const char *name = reading->without ? "NOT-DB" : "DB";
    int64_t db, last = (int64_t)config.databases - 1;
    if (!number_parse_i64(value_of(reading), &db))
        reply_errorf(reading->call->reply, "ERR %s is not an integer or out of range", name);
    else if (db < 0 || db > last)
        reply_errorf(reading->call->reply, "ERR %s number should be between 0 and %lld", name,
                     (long long)last);
    else {
        reading->filter->db[reading->without] = db;
        return true;
    }
    return false;
}

static bool read_skip_me(struct reading *reading) {
    bool yes = bytes_is(value_of(reading), "yes");
    if (!yes && !bytes_is(value_of(reading), "no")) {
        call_syntax_error(reading->call);
        return false;
    }
    reading->filter->skip_me = yes;
    return true;
}

/* Is the argument another filter's word? */
static bool is_filter(struct bytes word);

/* All numbers that follow; those of an earlier filter of this kind stay. */
static bool read_ids(struct reading *reading) {
    struct call *call = reading->call;
    struct client_filter *filter = reading->filter;
    uint64_t **ids = &filter->ids[reading->without];
    uint32_t first = reading->arg + 1, i = first;
    if (!*ids) *ids = malloc(call->argc * sizeof **ids);
    if (!*ids) {
        call_out_of_memory(call);
        return false;
    }
    const char *error = NULL;
    for (int64_t id; i < call->argc && number_parse_i64(call->argv[i], &id) && !error; i++) {
        (*ids)[filter->id_count[reading->without]++] = (uint64_t)id;
        if (id <= 0) error = "ERR client-id should be greater than 0";
    }
    if (!error && i < call->argc && (i == first || (!reading->kill && !is_filter(call->argv[i]))))
        error = reading->without ? "ERR syntax error"
                : reading->kill  ? "ERR client-id should be greater than 0"
                                 : "ERR Invalid client ID";
    if (error) reply_error(call->reply, error);
    qsort(*ids, filter->id_count[reading->without], sizeof **ids, id_order);
    reading->arg = i - 2; /* two behind this one the next filter is looked for */
    return !error;
}

static bool read_text(struct reading *reading, enum filter_text which) {
    struct bytes value = value_of(reading);
    const char *what = which == FILTER_FLAGS ? "flags" : "capa";
    if (has_letters(which) &&
        !letters_within(value, which == FILTER_FLAGS ? BYTES(ALL_LETTERS) : BYTES(ALL_CAPABILITIES))) {
        const char *where = !reading->without ? "provided" : which == FILTER_FLAGS ? "NOT-FLAGS" : "NOT-CAPA";
        reply_errorf(reading->call->reply, "ERR Unknown %s found in the %s filter: %.*s", what, where,
                     reply_repeated(value), value.data);
        return false;
    }
    reading->filter->has_text[which][reading->without] = true;
    reading->filter->text[which][reading->without] = value;
    return true;
}

static const struct filter_word {
    const char *word;
    bool (*read)(struct reading *reading); /* NULL: a text */
    enum filter_text text;
    bool has_not;
} filter_words[] = {{"id", read_ids, 0, true},
                    {"type", read_type, 0, true},
                    {"user", read_user, 0, true},
                    {"addr", NULL, FILTER_ADDR, true},
                    {"laddr", NULL, FILTER_LADDR, true},
                    {"skipme", read_skip_me, 0, false},
                    {"maxage", read_max_age, 0, false},
                    {"flags", NULL, FILTER_FLAGS, true},
                    {"name", NULL, FILTER_NAME, true},
                    {"idle", read_idle, 0, false},
                    {"lib-name", NULL, FILTER_LIB_NAME, true},
                    {"lib-ver", NULL, FILTER_LIB_VER, true},
                    {"db", read_db, 0, true},
                    {"capa", NULL, FILTER_CAPA, true},
                    {"ip", NULL, FILTER_IP, true}};

/* NULL: it is none. */
static const struct filter_word *find_word(struct bytes word, unsigned *without) {
    enum { NOT_LEN = 4 };
    *without = word.len > NOT_LEN && bytes_is(((struct bytes){word.data, NOT_LEN}), "not-");
    if (*without) word = (struct bytes){word.data + NOT_LEN, word.len - NOT_LEN};
    for (size_t i = 0; i < sizeof filter_words / sizeof *filter_words; i++)
        if (bytes_equal_nocase(word, bytes_of(filter_words[i].word)))
            return *without && !filter_words[i].has_not ? NULL : &filter_words[i];
    return NULL;
}

static bool is_filter(struct bytes word) {
    unsigned without;
    return find_word(word, &without) != NULL;
}

bool client_filter_read(struct call *call, uint32_t arg, bool kill, struct client_filter *filter) {
    struct reading reading = {.call = call, .filter = filter, .arg = arg, .kill = kill};
    *filter = client_filter_all(kill);
    for (; reading.arg < call->argc; reading.arg += 2) {
        const struct filter_word *word = find_word(call->argv[reading.arg], &reading.without);
        bool valid = word && reading.arg + 1 < call->argc;
        if (!valid) call_syntax_error(call);
        if (valid && (word->read ? word->read(&reading) : read_text(&reading, word->text))) continue;
        client_filter_free(filter);
        return false;
    }
    return true;
}
