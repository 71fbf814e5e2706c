/* effect.c - the one change that no command makes: the time of a key has come, or of elements of its value. */
#include "server/call/effect.h"

void effect_expired(struct effects *x, struct stripe *stripe, const struct expired *what) {
    const struct entry *e = what->entry;
    struct value value = entry_value(e);
    bool last = what->kind == EXPIRED_LAST;
    if (what->kind == EXPIRED_KEY) metric_add(&x->metrics->expired_keys, 1);
    if (what->kind == EXPIRED_ELEMENT) metric_add(&x->metrics->expired_elements, 1);
    if (last) metric_add(&x->metrics->expired_elements, keyspace_type(stripe->keyspace, e)->count(&value));
    if (!stripe->ears) return; /* the key need not be hashed for nobody */
    struct effect said = {.kind = EFFECT_EXPIRED,
                          .event = EVENT_EXPIRED,
                          .db = what->db,
                          .key = {entry_key(e), hash_bytes(&stripes.seed, entry_key(e))},
                          .name = what->name};
    if (what->kind == EXPIRED_ELEMENTS || last) {
        said.kind = EFFECT_CHANGED;
        said.event = EVENT_HEXPIRED;
    } else if (what->kind == EXPIRED_ELEMENT) {
        said.kind = EFFECT_ELEMENT_EXPIRED;
        said.event = EVENT_NONE;
    }
    effect_heard(x, stripe, &said);
    if (!last) return;
    said.kind = EFFECT_EXPIRED;
    said.event = EVENT_DEL;
    effect_heard(x, stripe, &said);
}
