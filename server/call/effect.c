/* effect.c - the one change that no command makes: the time of a key has come. */
#include "server/call/effect.h"

void effect_expired(struct effects *x, struct stripe *stripe, unsigned db, const struct entry *e) {
    metric_add(&x->metrics->expired_keys, 1);
    if (!stripe->ears) return; /* the key need not be hashed for nobody */
    struct bytes name = entry_key(e);
    struct effect expired = {.kind = EFFECT_EXPIRED,
                             .event = EVENT_EXPIRED,
                             .db = db,
                             .key = {name, hash_bytes(&stripes.seed, name)}};
    effect_heard(x, stripe, &expired);
}
