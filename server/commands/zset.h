/* zset.h - what the commands of sorted sets have in common: scores in requests, how members are shown,
 * and how a result is stored. */
#ifndef KEVY_SERVER_COMMANDS_ZSET_H
#define KEVY_SERVER_COMMANDS_ZSET_H

#include "server/commands/collection.h"
#include "store/types/zset.h"

/* A score. False after replying "ERR value is not a valid float", or another error. */
bool zset_score_or_reply(struct call *call, uint32_t arg, const char *error, double *score)
    __attribute__((warn_unused_result));

/* How members are shown. */
enum zset_show {
    ZSET_SCORES = 1 << 0, /* each with its score behind it */
    ZSET_PAIRS = 1 << 1,  /* these two in an array of their own */
};
/* With scores, if they shall be: as pairs in RESP3. */
unsigned zset_show(const struct call *call, bool scores);
/* The header of an array of so many members, and one of them. */
void zset_reply_header(struct call *call, uint64_t count, unsigned show);
void zset_reply_item(struct reply *reply, struct metrics *metrics, const struct zset_item *item,
                     unsigned show);
/* Members of a value, without a header. Many are written when there is room for them. Where there are none in the range, the
 * value is not looked at. */
void zset_reply_range(struct call *call, const struct value *value, struct collection_range range,
                      unsigned show);

/* What ZPOPMIN and its kin shall do. */
struct zset_popping {
    bool max;
    uint64_t count;
    unsigned show;
    bool names_key;  /* the reply begins with the key */
    bool triple;     /* the reply is the key, one member, and its score: BZPOPMIN */
    bool other_name; /* it was not asked for by ZPOPMIN or ZPOPMAX, which is what is recorded */
};
/* Pops from the first of `keys` keys from argv[first] on that is there. False, and nothing is replied, if none is. */
bool zset_pop_first(struct call *call, uint32_t first, uint32_t keys, struct zset_popping *popping);
/* Reads what ZMPOP has behind its first arguments: a number of keys at argv[at], the keys, MIN or MAX, COUNT once at most.
 * False after replying. */
bool zset_mpop_or_reply(struct call *call, uint32_t at, uint32_t *keys, struct zset_popping *popping)
    __attribute__((warn_unused_result));

/* Does Redis make a skiplist of so many members, or of one with so many bytes? */
bool zset_is_large(uint64_t count, size_t longest);

/* Stores items, in the order of ranks, as the key argv[arg]: tells it by this event, as so many changes, and replies with
 * the number of items. None of them delete the key. */
void zset_store(struct call *call, uint32_t arg, struct zset_items items, enum event event, uint64_t changes);

/* ZADD. */
void zset_add(struct call *call);

#endif
