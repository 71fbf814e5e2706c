/* string.h - what the commands on string values share: sizes, ranges, expiry options, storing and editing in place. */
#ifndef KEVY_SERVER_COMMANDS_STRING_H
#define KEVY_SERVER_COMMANDS_STRING_H

#include "server/call/call.h"

/* ---- Expiry options ------------------------------------------------------------------------------- */

/* The expiry options of SET, GETEX, MSETEX and INCREX. Those with a time are in the order of enum expiry_form. */
enum string_expiry_kind {
    STRING_EXPIRY_ABSENT,
    STRING_EXPIRY_EX,
    STRING_EXPIRY_PX,
    STRING_EXPIRY_EXAT,
    STRING_EXPIRY_PXAT,
    STRING_EXPIRY_KEEPTTL,
    STRING_EXPIRY_PERSIST,
};
struct string_expiry {
    enum string_expiry_kind kind; /* zero-initialised: no such option was given */
    uint32_t arg;                 /* where the time stands, for a kind that has one */
};

static inline bool string_expiry_has_time(const struct string_expiry *expiry) {
    return expiry->kind >= STRING_EXPIRY_EX && expiry->kind <= STRING_EXPIRY_PXAT;
}

/* Takes argv[*arg] if it is an expiry option that this command has (`also` names its one option without a
 * time) and that does not contradict an earlier one; *arg is then its last argument. False: a syntax error,
 * unless it is something else. */
bool string_expiry_option(const struct call *call, uint32_t *arg, enum string_expiry_kind also,
                          struct string_expiry *expiry);

/* The expiry as keyspace_set takes it: absolute milliseconds, EXPIRY_KEEP for KEEPTTL, or EXPIRY_NONE. False
 * after replying. The time may lie in the past. */
bool string_expiry_or_reply(struct call *call, const struct string_expiry *expiry, int64_t *expiry_ms)
    __attribute__((warn_unused_result));

/* ---- Values --------------------------------------------------------------------------------------- */

/* Makes the string at argv[key] `len` writable bytes, zero beyond what was there. *e is its entry, or NULL to
 * create it; afterwards its entry wherever it is now. NULL after replying that memory ran out, with
 * everything as it was. */
char *string_edit_or_reply(struct call *call, uint32_t key, struct entry **e, size_t len);

/* Turns Redis's start and end, both inclusive, negative ones counted from the end, into positions inside len
 * elements. False if nothing is left. */
bool string_range(int64_t *start, int64_t *end, int64_t len);

#endif
