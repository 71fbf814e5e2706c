/* stream.h - what the commands of streams share: numbers of entries, options of trimming, replies with entries. */
#ifndef KEVY_SERVER_COMMANDS_STREAM_H
#define KEVY_SERVER_COMMANDS_STREAM_H

#include "server/commands/collection.h"
#include "store/types/stream.h"

/* ---- Numbers of entries --------------------------------------------------------------------------- */

enum { STREAM_ID_TEXT_MAX = 2 * NUMBER_I64_MAX_LEN + 1 };
/* "ms-sequence"; how many bytes. */
size_t stream_id_format(char *text, struct stream_id id);
/* The same as bytes that lie in `text`. */
static inline struct bytes stream_id_text(char text[STREAM_ID_TEXT_MAX], struct stream_id id) {
    return (struct bytes){text, stream_id_format(text, id)};
}
void stream_reply_id(struct reply *reply, struct stream_id id);

/* Reads "ms-sequence" or "ms", to which `sequence` belongs then. False after replying. */
bool stream_id_or_reply(struct call *call, uint32_t arg, uint64_t sequence, struct stream_id *id)
    __attribute__((warn_unused_result));

/* IDS at argv[arg], behind it a count, and so many arguments: how many. And are the `count` arguments from `first` on all
 * numbers? False after replying. */
bool stream_ids_counted_or_reply(struct call *call, uint32_t arg, uint32_t *count)
    __attribute__((warn_unused_result));
bool stream_ids_or_reply(struct call *call, uint32_t first, uint32_t count)
    __attribute__((warn_unused_result));

/* The same without a reply; and one that may also be "-" or "+", the lowest of all or the highest. */
bool stream_id_parse(struct bytes text, uint64_t sequence, struct stream_id *id)
    __attribute__((warn_unused_result));
bool stream_bound_parse(struct bytes text, uint64_t sequence, struct stream_id *id)
    __attribute__((warn_unused_result));
/* An end of a range: also "-", "+", and one behind "(", which is not in the range. False after replying. */
bool stream_end_or_reply(struct call *call, uint32_t arg, bool start, struct stream_id *id)
    __attribute__((warn_unused_result));

/* ---- Keys ----------------------------------------------------------------------------------------- */

/* The stream of the key argv[arg], to read it. NULL after replying that it is of another type; `absent` replies where there
 * is no such key. */
const struct stream *stream_or_reply(struct call *call, uint32_t arg, void (*absent)(struct reply *reply));

/* Opens the key argv[1], which is not created, to change it, by commands that look it up as readers do: hits and misses are
 * counted, and the latter told. False after replying. */
bool stream_open_as_reader(struct call *call, struct edit *edit);

/* The stream of an edit, as that has made it by now; NULL where it is to become one. */
static inline const struct stream *stream_in(const struct edit *edit) {
    struct value value = entry_value(edit->entry);
    return value.kind == VALUE_OBJECT ? stream_at(&value) : NULL;
}

/* ---- Groups --------------------------------------------------------------------------------------- */

/* Replies that there is no such key, or no such group. */
void stream_no_group(struct call *call, uint32_t key, uint32_t group);
/* Closes an edit that has changed nothing but groups; and tells of so many changes of them. No watcher feels these: so it
 * is in Redis. */
void stream_close(struct call *call, uint32_t arg, struct edit *edit);
void stream_told(struct call *call, uint32_t arg, enum event event, uint64_t count);
/* The consumer with this name, who has been heard of now, and may be new. NULL without memory. */
struct stream_consumer *stream_hear(struct call *call, struct edit *edit, struct stream_group *group,
                                    struct bytes name, bool *created);
/* Records, of the stream argv[arg], that an entry is pending as it is now, by XCLAIM; and what a group has read, by an
 * XGROUP SETID as Redis writes it. */
void stream_log_claim(struct call *call, uint32_t arg, const struct stream_group *group,
                      const struct stream_named *consumer, const struct stream_pending *pending);
void stream_log_last(struct call *call, uint32_t arg, const struct stream_group *group);
/* That an entry is pending no more, by XACK; that it is pending, but for nobody, by XNACK. */
void stream_log_ack(struct call *call, uint32_t arg, const struct stream_group *group, struct stream_id id);
void stream_log_nack(struct call *call, uint32_t arg, const struct stream_group *group,
                     const struct stream_pending *pending);
/* That the consumer is new whose name follows argv[group], where nothing else that is recorded names it. */
void stream_log_consumer(struct call *call, uint32_t arg, uint32_t group);

/* ---- References ----------------------------------------------------------------------------------- */

/* What becomes of an entry that is to go and of its references: that it is pending in groups. */
enum stream_refs {
    STREAM_KEEPREF, /* it goes, and they stay */
    STREAM_DELREF,  /* both go */
    STREAM_ACKED,   /* it goes if there are none, and no group has yet to read it */
};
/* Is it one of these words? */
bool stream_refs_read(struct bytes word, enum stream_refs *refs);
/* Takes what is pending up to a number out of all groups, which is recorded; *forgotten is raised by how many they were.
 * False without memory; some are gone by then. */
bool stream_forget_until(struct call *call, struct edit *edit, struct stream_id until, uint64_t *forgotten);
/* Deletes of the first `looks` entries those that no group needs, `most` of them at most, which is recorded. How many are
 * gone; *failed: memory ran out. */
uint64_t stream_trim_acked(struct call *call, struct edit *edit, uint64_t looks, uint64_t most, bool *failed);

/* ---- Producers ------------------------------------------------------------------------------------ */

/* What XADD says of its producer: IDMP with his name and an id, or IDMPAUTO with his name. */
struct stream_idmp {
    uint32_t word_arg, words; /* where that stands, and how many arguments it is; 0: nothing is said */
    char made[16];            /* IDMPAUTO's id */
    struct stream_once once;
    bool apart; /* the entry is recorded without that, and stream_idmp_log is to follow */
};
/* Reads the option at argv[arg], if it is one of these. The last argument that belongs to it; 0 after replying; or
 * UINT32_MAX where it is none of them. */
uint32_t stream_idmp_read(struct call *call, uint32_t arg, struct stream_idmp *idmp);
/* After all options. False after replying that the number of the entry, which was given, must not be: only a file that is
 * run says which one it was. */
bool stream_idmp_allows(struct call *call, bool id_given) __attribute__((warn_unused_result));
/* Makes idmp->once of it. If the stream of the edit knows that id the edit is closed, the number of its entry is the answer,
 * and the stream counts it: true. `told`: the number that a file says. */
bool stream_idmp_answer(struct call *call, struct edit *edit, struct stream_idmp *idmp,
                        const struct stream_pairs *pairs, struct stream_id told);
/* Records that the stream of the key argv[1] has limits, which it got with its first producer, and his id. */
void stream_idmp_log(struct call *call, const struct stream_once *once, struct stream_id entry);

/* ---- Replies -------------------------------------------------------------------------------------- */

/* Its number, and an array of its fields and values. */
void stream_reply_item(struct reply *reply, struct metrics *metrics, const struct block *names,
                       const struct stream_item *item);

/* What writes the rest of a long reply about a stream, from the stream as it is now, when there is room: the first member
 * of whatever that takes. `source.more` is the caller's: it writes about so many bytes, and says whether more are left. */
struct stream_parts {
    struct reply_source source;
    struct effects *effects; /* of the executor that the connection belongs to */
    unsigned stripe;         /* one that the command held: there, dead nodes are looked after */
    struct value value;
};
/* Writes the first part now; for the others `parts` is copied: `size` bytes. */
void stream_reply_parts(struct call *call, const struct stream *stream, struct stream_parts *parts,
                        size_t size);

/* The entries from one number to another, both included, at most so many of them. */
struct stream_range {
    struct stream_id from, to;
    uint64_t count;
    bool backwards;
};
/* An array of them. Where they are many they are written when there is room for them, and from the stream as it is now. */
void stream_reply_range(struct call *call, const struct stream *stream, const struct stream_range *range);
/* The same of a walk that has at least so many. */
void stream_reply_entries(struct call *call, const struct stream *stream, const struct stream_walk *walk,
                          uint64_t count);

#endif
