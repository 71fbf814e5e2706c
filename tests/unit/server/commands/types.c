/* Commands for keys of any type, with a type that none of them knows (tests/unit/store/tiny.h): they ask its row. Those of
 * strings refuse it. */
#include "server/loop/upkeep.h"
#include "tests/unit/commands_fixture.h"
#include "tests/unit/store/tiny.h"

enum { PACK = 3, GIANT = 1000 };

static struct keyspace *keyspace_of(struct key key) {
    return stripe_of(key.hash)->keyspace;
}
static struct key key_of(const char *name) {
    return (struct key){bytes_of(name), hash_bytes(&stripes.seed, bytes_of(name))};
}

/* A stack of the numbers below `count`. */
static void make(const char *name, int count) {
    struct key key = key_of(name);
    struct edit edit = {.keyspace = keyspace_of(key), .key = key, .type = TYPE_LIST};
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (int i = 0; i < count; i++) CHECK(tiny_push(&edit, i));
    CHECK(!edit_close(&edit));
}

static void begin_with_tiny(void) {
    begin();
    config.enable_debug_command = CONFIG_YES;
    for (unsigned i = 0; i < stripes.count; i++) stripes.all[i].keyspace->types = tiny_rows;
    make("pack", PACK);
    make("chain", GIANT);
}

static void end_without_tiny(void) {
    end();
    CHECK_INT(tiny_nodes, 0);
}

static uint64_t buried(void) {
    uint64_t count = 0;
    for (unsigned i = 0; i < stripes.count; i++) count += keyspace_buried(stripes.all[i].keyspace);
    return count;
}

static void upkeep(void) {
    for (unsigned i = 0; i < stripes.count; i++)
        while (keyspace_upkeep(stripes.all[i].keyspace, 100)) {
        }
}

#define WRONG_TYPE_ERROR "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

static void commands_of_strings_refuse_another_type(void) {
    static const char *const refused[] = {
        "get",
        "strlen",
        "getset k v",
        "getdel",
        "getex",
        "getex k ex 5",
        "append k v",
        "setrange k 0 v",
        "setrange k 0 \"\"",
        "getrange k 0 1",
        "substr k 0 1",
        "incr",
        "decr",
        "incrby k 2",
        "decrby k 2",
        "incrbyfloat k 1",
        "set k v get",
        "set k v nx get",
        "setbit k 0 1",
        "getbit k 0",
        "bitcount",
        "bitcount k 0 1",
        "bitpos k 1",
        "bitfield k get u8 0",
        "bitfield k set u8 0 1",
        "bitfield_ro k get u8 0",
        "bitop and d k",
        "bitop not d k",
        "pfadd",
        "pfcount",
        "pfcount d k",
        "pfmerge d k",
        "pfmerge k d",
        "pfdebug encoding k",
    };
    begin_with_tiny();
    EXPECT("set string v\n", OK);
    for (size_t i = 0; i < 2 * sizeof refused / sizeof *refused; i++) {
        const char *key = i % 2 ? "pack" : "chain", *text = refused[i / 2], *place = strstr(text, " k");
        char line[100];
        int before = (int)(place ? place - text : (long)strlen(text));
        snprintf(line, sizeof line, "%.*s %s%s\n", before, text, key, place ? place + 2 : "");
        if (!bytes_equal(run(bytes_of(line)), BYTES(WRONG_TYPE_ERROR))) {
            fprintf(stderr, "%s", line);
            CHECK(!"it is refused");
        }
    }
    EXPECT("lcs string chain\n", "-ERR The specified keys must contain string values\r\n");
    EXPECT("mget pack string chain\n", "*3\r\n" NIL "$1\r\nv\r\n" NIL);
    EXPECT("setnx pack v\nmsetnx chain v other v\nset pack v nx\n", ":0\r\n:0\r\n" NIL);
    EXPECT("type pack\ntype chain\nexists d other\n", "+tiny\r\n+tiny\r\n:0\r\n");
    end_without_tiny();
}

static void questions_are_answered_by_the_row(void) {
    begin_with_tiny();
    EXPECT("object encoding pack\nobject encoding chain\n", "$4\r\npack\r\n$5\r\nchain\r\n");
    EXPECT("object refcount pack\nobject refcount chain\n", ":1\r\n:1\r\n");
    EXPECT("set string v\nscan 0 count 100 type string\nkeys string\n",
           OK "*2\r\n$1\r\n0\r\n*1\r\n$6\r\nstring\r\n*1\r\n$6\r\nstring\r\n");
    EXPECT("del pack\nscan 0 count 100 type TINY\n", ":1\r\n*2\r\n$1\r\n0\r\n*1\r\n$5\r\nchain\r\n");
    EXPECT("scan 0 count 100 type list\n", "*2\r\n$1\r\n0\r\n*0\r\n");
    struct bytes reply = run(BYTES("memory usage chain\n"));
    long usage = strtol(reply.data + 1, NULL, 10), nodes = GIANT * (long)sizeof(struct tiny_node);
    CHECK(usage > nodes && usage < nodes + 300);
    reply = run(BYTES("debug object chain\n"));
    CHECK(memmem(reply.data, reply.len, "refcount:1 encoding:chain serializedlength:2874 ", 47));
    end_without_tiny();
}

/* Copies and moves, from stripe to stripe, carry a reference. */
static void copies_and_moves_touch_no_element(void) {
    begin_with_tiny();
    char digest[100] = "";
    struct bytes first = run(BYTES("debug digest-value chain\n"));
    CHECK(first.len < sizeof digest);
    memcpy(digest, first.data, first.len);
    long before = tiny_nodes;
    struct object *object = entry_object(keyspace_find(keyspace_of(key_of("chain")), 0, key_of("chain")));
    for (char to = 'a'; to < 'q'; to++) {
        char line[64], name[2] = {to};
        snprintf(line, sizeof line, "copy chain x replace\nrename x %s\ndebug digest-value %s\n", name, name);
        struct bytes replies = run(bytes_of(line));
        CHECK(replies.len > 9 && memcmp(replies.data, ":1\r\n+OK\r\n", 9) == 0);
        CHECK_BYTES(((struct bytes){replies.data + 9, replies.len - 9}), bytes_of(digest));
        CHECK(entry_object(keyspace_find(keyspace_of(key_of(name)), 0, key_of(name))) == object);
    }
    EXPECT("move a 3\nselect 3\ntype a\nselect 0\nexists a\n", ":1\r\n" OK "+tiny\r\n" OK ":0\r\n");
    CHECK(tiny_nodes == before && object_shared(object));
    EXPECT("del chain b c d e f g h i j k l m n o p\n", ":16\r\n");
    CHECK(tiny_nodes == before && !object_shared(object) && buried() == 0);
    EXPECT("flushall\n", OK);
    upkeep();
    CHECK_INT(tiny_nodes, 0);
    end_without_tiny();
}

/* Whichever way a value goes, little of it goes at once and nothing stays. */
static void all_ways_to_go_are_in_steps(void) {
    static const char *const ways[] = {"del chain\n",
                                       "unlink chain\n",
                                       "set chain v\n",
                                       "setex chain 10 v\n",
                                       "mset chain 1\n",
                                       "bitop or chain string string\n",
                                       "copy string chain replace\n",
                                       "rename string chain\n",
                                       "getset chain v\ndel chain\n",
                                       "pexpire chain 1\n"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        begin_with_tiny();
        run(BYTES("set string v\n"));
        long before = tiny_nodes;
        run(bytes_of(ways[i]));
        if (strstr(ways[i], "expire")) {
            now_ms += 10;
            EXPECT("exists chain\n", ":0\r\n");
        }
        CHECK(before - tiny_nodes <= 100 && buried() == 1);
        upkeep();
        CHECK(tiny_nodes == 0 && buried() == 0);
        end_without_tiny();
    }
}

/* Another shard's client kills a giant of a shard that sleeps: its owner hears of it, and buries it alone. */
static void who_kills_a_giant_wakes_its_owner(void) {
    char name[16], line[32];
    unsigned number = 0;
    begin_with_tiny();
    do snprintf(name, sizeof name, "giant%u", number++);
    while (stripe_of(key_of(name).hash)->owner == conn->client.shard);
    make(name, GIANT);
    EXPECT("del chain\n", ":1\r\n");
    upkeep();
    struct shard *owner = &shards[stripe_of(key_of(name).hash)->owner];
    owner->exec.clock.now_ms = now_ms;
    CHECK(upkeep_asked(owner));
    upkeep_run(owner);
    CHECK(owner->want_ms == DUE_NEVER && !upkeep_asked(owner) && owner->want_ms == DUE_NEVER);
    snprintf(line, sizeof line, "del %s\n", name);
    CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    CHECK(buried() == 1 && tiny_nodes > GIANT / 2);
    CHECK(!upkeep_asked(owner) && owner->want_ms == now_ms + TIDY_DELAY_MS);
    owner->exec.clock.now_ms = owner->want_ms;
    while (owner->want_ms <= owner->exec.clock.now_ms) upkeep_run(owner);
    CHECK(owner->want_ms == DUE_NEVER && buried() == 0 && tiny_nodes == 0);
    end_without_tiny();
}

static void an_expiry_and_a_transaction_make_no_difference(void) {
    begin_with_tiny();
    EXPECT("expire chain 100\nttl chain\npersist chain\nttl chain\n", ":1\r\n:100\r\n:1\r\n:-1\r\n");
    EXPECT("watch chain\nmulti\ntype chain\ndel pack\nexec\n",
           OK OK "+QUEUED\r\n+QUEUED\r\n*2\r\n+tiny\r\n:1\r\n");
    EXPECT("randomkey\ntouch chain\nobject idletime chain\n", "$5\r\nchain\r\n:1\r\n:0\r\n");
    end_without_tiny();
}

int main(void) {
    RUN(commands_of_strings_refuse_another_type);
    RUN(questions_are_answered_by_the_row);
    RUN(copies_and_moves_touch_no_element);
    RUN(all_ways_to_go_are_in_steps);
    RUN(who_kills_a_giant_wakes_its_owner);
    RUN(an_expiry_and_a_transaction_make_no_difference);
    return 0;
}
