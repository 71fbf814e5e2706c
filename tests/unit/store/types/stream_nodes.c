/* The account of Redis's nodes: where they end, what of them goes whole, and how many nodes a radix tree of their numbers
 * has, beside a plain model of it. */
#include "store/types/stream_nodes.h"

#include "tests/unit/store/types/collection_fixture.h"

enum { MOST = 2000 };

static struct tree_context context;
static struct graves graves;
static struct tree entries;
static struct stream_nodes nodes;

static void open_empty(void) {
    begin();
    context = (struct tree_context){.heap = &heap, .seed = &hash_seed, .graves = &graves};
    entries = tree_empty(TREE_STREAM);
    nodes = stream_nodes_empty();
}
static void close_all(void) {
    unsigned budget = UINT32_MAX;
    tree_release(&entries, &graves);
    tree_release(&nodes.closed, &graves);
    graves_dig(&graves, &budget);
    end();
}

static void add(struct stream_id id, struct bytes value, struct stream_node_limits limits) {
    struct bytes list[2] = {BYTES("f"), value};
    struct tree_item item = {.key = stream_key(id)};
    CHECK(tree_push(&entries, &context, &item, TREE_BACK));
    stream_nodes_add(&nodes, &context, &(struct stream_added){id, &(struct stream_pairs){list, 1}, 1},
                     &limits);
}
static void delete (struct stream_id id) {
    struct tree_item item = {.key = stream_key(id)};
    CHECK(tree_remove(&entries, &context, &item) == TREE_REMOVED);
    stream_nodes_delete(&nodes, &context, &entries, id);
}

static void nodes_end_after_so_many_entries(void) {
    open_empty();
    for (unsigned i = 1; i <= 35; i++)
        add((struct stream_id){i, 0}, BYTES("v"), (struct stream_node_limits){.entries = 10});
    CHECK_INT(stream_nodes_count(&nodes), 4);
    CHECK_INT(stream_nodes_whole(&nodes, &entries, 9), 0);
    CHECK_INT(stream_nodes_whole(&nodes, &entries, 10), 10);
    CHECK_INT(stream_nodes_whole(&nodes, &entries, 34), 30);
    CHECK_INT(stream_nodes_whole(&nodes, &entries, 35), 35);
    delete ((struct stream_id){5, 0});
    CHECK_INT(stream_nodes_whole(&nodes, &entries, 9), 9);
    CHECK(tree_remove_range(&entries, &context, 0, 12));
    stream_nodes_trim(&nodes, &context, &entries, STREAM_ID_MAX);
    CHECK_INT(stream_nodes_count(&nodes), 3);
    CHECK_INT(stream_nodes_whole(&nodes, &entries, 7), 7);
    close_all();
}

static void nodes_end_after_so_many_bytes(void) {
    static char text[50];
    open_empty();
    memset(text, 'x', sizeof text);
    for (unsigned i = 1; i <= 10; i++)
        add((struct stream_id){i, 0}, (struct bytes){text, sizeof text},
            (struct stream_node_limits){.bytes = 200, .entries = 100});
    CHECK_INT(stream_nodes_count(&nodes), 4); /* as redis-server has it */
    close_all();
}

static void nodes_without_entries_are_gone(void) {
    const struct stream_node_limits limits = {.entries = 3};
    open_empty();
    for (unsigned i = 1; i <= 8; i++) add((struct stream_id){i, 0}, BYTES("v"), limits);
    CHECK_INT(stream_nodes_count(&nodes), 3);
    for (unsigned i = 4; i <= 6; i++) delete ((struct stream_id){i, 0});
    CHECK_INT(stream_nodes_count(&nodes), 2);
    for (unsigned i = 7; i <= 8; i++) delete ((struct stream_id){i, 0});
    CHECK_INT(stream_nodes_count(&nodes), 1);
    add((struct stream_id){9, 0}, BYTES("v"), limits); /* the first is the last now, and full */
    CHECK_INT(stream_nodes_count(&nodes), 2);
    for (unsigned i = 1; i <= 3; i++) delete ((struct stream_id){i, 0});
    delete ((struct stream_id){9, 0});
    CHECK_INT(stream_nodes_count(&nodes), 0);
    CHECK_INT(stream_nodes_radix(&nodes), 1);
    close_all();
}

/* What a radix tree of these keys has below a byte, plainly: keys [from, to) share all bytes before it. */
static uint64_t plain(unsigned char (*keys)[16], unsigned from, unsigned to, unsigned at) {
    unsigned run = at;
    while (run < 16 && memcmp(keys[from], keys[to - 1], run + 1) == 0) run++;
    uint64_t count = run > at;
    if (run == 16) return count + 1;
    count++;
    for (unsigned i = from, next; i < to; i = next) {
        for (next = i + 1; next < to && keys[next][run] == keys[i][run];) next++;
        count += plain(keys, i, next, run + 1);
    }
    return count;
}

static void a_radix_tree_has_as_many_nodes_as_its_model(void) {
    static unsigned char keys[MOST][16];
    for (unsigned round = 0; round < 40; round++) {
        struct stream_id id = {random_below(2) ? 1700000000000 : 1, 0};
        unsigned count = 1 + random_below(round < 20 ? 20 : 600);
        open_empty();
        for (unsigned i = 0; i < count; i++) {
            uint64_t step = random_below(3) ? 1 + random_below(3) : 1 + random_below(70000);
            if (random_below(2))
                id.ms += step;
            else
                id.sequence += step;
            add(id, BYTES("v"), (struct stream_node_limits){.entries = 1});
            for (unsigned k = 0; k < 8; k++) {
                keys[i][k] = (unsigned char)(id.ms >> (56 - 8 * k));
                keys[i][8 + k] = (unsigned char)(id.sequence >> (56 - 8 * k));
            }
        }
        CHECK_INT(stream_nodes_count(&nodes), count);
        CHECK_INT(stream_nodes_radix(&nodes), plain(keys, 0, count, 0));
        close_all();
    }
}

static void trim_below(uint64_t ms) {
    struct stream_id from = {ms, 0};
    CHECK(tree_remove_range(&entries, &context, 0, stream_rank(&entries, from)));
    stream_nodes_trim(&nodes, &context, &entries, from);
}

/* As redis-server has it. */
static void deleted_entries_keep_their_node(void) {
    const struct stream_node_limits limits = {.entries = 3};
    open_empty();
    for (unsigned i = 1; i <= 8; i++) add((struct stream_id){i, 0}, BYTES("v"), limits);
    CHECK_INT(stream_nodes_below(&nodes, &entries, (struct stream_id){4, 0}), 3);
    CHECK_INT(stream_nodes_below(&nodes, &entries, (struct stream_id){3, 0}), 0);
    delete ((struct stream_id){2, 0});
    delete ((struct stream_id){3, 0});
    delete ((struct stream_id){6, 0});
    delete ((struct stream_id){8, 0});
    CHECK_INT(stream_nodes_below(&nodes, &entries, (struct stream_id){3, 0}), 0);
    CHECK_INT(stream_nodes_below(&nodes, &entries, (struct stream_id){3, 1}), 1);
    CHECK_INT(stream_nodes_below(&nodes, &entries, (struct stream_id){6, 0}), 1);
    CHECK_INT(stream_nodes_below(&nodes, &entries, (struct stream_id){6, 1}), 3);
    CHECK_INT(stream_nodes_below(&nodes, &entries, (struct stream_id){8, 0}), 3);
    CHECK_INT(stream_nodes_below(&nodes, &entries, (struct stream_id){8, 1}), 4);
    trim_below(6);
    CHECK_INT(stream_nodes_count(&nodes), 2); /* the one of 4 to 6 is empty */
    trim_below(7);
    CHECK_INT(stream_nodes_count(&nodes), 1);
    trim_below(8);
    CHECK_INT(entries.count, 0);
    CHECK_INT(stream_nodes_count(&nodes), 1);
    trim_below(9);
    CHECK_INT(stream_nodes_count(&nodes), 0);
    close_all();
}

int main(void) {
    seed = check_seed();
    RUN(nodes_end_after_so_many_entries);
    RUN(nodes_end_after_so_many_bytes);
    RUN(nodes_without_entries_are_gone);
    RUN(deleted_entries_keep_their_node);
    RUN(a_radix_tree_has_as_many_nodes_as_its_model);
    return 0;
}
