/* slots.c - pages of connections, and the list of those that are free. */
#include "server/loop/slots.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/loop/conn.h"
#include "server/loop/listener.h"

enum { PAGE_CONNS = 64 }; /* slots that are allocated together */

void slots_open(struct slots *slots) {
    *slots = (struct slots){.free = SLOT_NONE};
}

void slots_close(struct slots *slots) {
    for (unsigned i = 0; i < slots->page_count; i++) free(slots->pages[i]);
    free(slots->pages);
    slots_open(slots);
}

static struct conn *slot_conn(const struct slots *slots, uint32_t slot) {
    return slot < slots->page_count * PAGE_CONNS ? &slots->pages[slot / PAGE_CONNS][slot % PAGE_CONNS] : NULL;
}

/* A free slot keeps its generation. */
static bool add_page(struct slots *slots) {
    struct conn **pages = realloc(slots->pages, (slots->page_count + 1) * sizeof(struct conn *));
    if (!pages) return false;
    slots->pages = pages;
    assert(slots->page_count < LISTENER_NAME / PAGE_CONNS - 1); /* listeners have the names behind */
    struct conn *page = calloc(PAGE_CONNS, sizeof *page);
    if (!page) return false;
    uint32_t first = slots->page_count * PAGE_CONNS;
    for (uint32_t i = PAGE_CONNS; i-- > 0;) {
        page[i].client.slot = first + i;
        page[i].next_free = slots->free;
        slots->free = first + i;
    }
    pages[slots->page_count++] = page;
    return true;
}

struct conn *slots_take(struct slots *slots) {
    if (slots->free == SLOT_NONE && !add_page(slots)) return NULL;
    struct conn *conn = slot_conn(slots, slots->free);
    uint32_t slot = conn->client.slot, generation = conn->generation + 1;
    slots->free = conn->next_free;
    assert(!(conn->flags & CONN_OPEN));
    *conn = (struct conn){.client.slot = slot, .generation = generation & SLOT_GENERATION_MASK};
    return conn;
}

void slots_give(struct slots *slots, struct conn *conn) {
    assert(slot_conn(slots, conn->client.slot) == conn && conn->socket.owed == 0);
    conn->flags = 0;
    conn->next_free = slots->free;
    slots->free = conn->client.slot;
}

uint64_t slots_name(const struct conn *conn) {
    assert(conn->generation <= SLOT_GENERATION_MASK);
    return (uint64_t)conn->generation << 32 | conn->client.slot;
}

struct conn *slots_find(const struct slots *slots, uint64_t name) {
    struct conn *conn = slot_conn(slots, (uint32_t)name);
    return conn && conn->flags & CONN_OPEN && conn->generation == name >> 32 ? conn : NULL;
}

struct conn *slots_find_client(const struct slots *slots, uint32_t slot, uint64_t client_id) {
    struct conn *conn = slot_conn(slots, slot);
    if (!conn || !(conn->flags & CONN_OPEN) || conn->flags & CONN_CLOSING) return NULL;
    return conn->client.id == client_id ? conn : NULL;
}

bool slots_each_of(const struct slots *slots, unsigned page, void (*each)(struct conn *conn)) {
    if (page >= slots->page_count) return false;
    for (unsigned i = 0; i < PAGE_CONNS; i++)
        if (slots->pages[page][i].flags & CONN_OPEN) each(&slots->pages[page][i]);
    return page + 1 < slots->page_count;
}

void slots_each(const struct slots *slots, void (*each)(struct conn *conn)) {
    for (unsigned page = 0; slots_each_of(slots, page, each);) page++;
}
