/* edit.h - the door to values for commands that change them: one opening, any number of changes, one close.
 *
 *     struct edit edit = {.keyspace = ks, .db = db, .key = key, .entry = found, .type = TYPE_HASH};
 *     switch (edit_open(&edit, true)) { ... }       EDIT_ABSENT, EDIT_WRONG_TYPE and EDIT_NO_MEMORY have changed nothing
 *     edit_room, edit_object, edit_become           as often as need be; each may fail for memory alone, and what was
 *                                                   done before it stays
 *     if (edit_close(&edit)) ...                    the last element went, and the key with it: it was deleted
 *
 * Between them nobody else changes the keyspace. edit.entry is where the entry is at the moment. */
#ifndef KEVY_STORE_EDIT_H
#define KEVY_STORE_EDIT_H

#include "store/change.h"

enum opened { EDIT_ABSENT, EDIT_OPENED, EDIT_WRONG_TYPE, EDIT_NO_MEMORY };

struct tree_guess;

struct edit {
    struct keyspace *keyspace;
    unsigned db;
    struct key key;
    struct entry *entry; /* what keyspace_find has found; NULL: nothing */
    enum entry_type type;
    bool created; /* by edit_open */
    bool changed; /* something has succeeded */
    bool lost;    /* an element was taken out: it may have been the last one */
    const struct tree_guess
        *guesses; /* of the way to the element that is taken out, as its type has them; or NULL */
};

/* Opens a value of the edit's type. An absent key is created, if it shall be, with a value of no bytes. */
static inline enum opened edit_open(struct edit *edit, bool create);

/* Makes the value, which is no object, `len` bytes of its own to write to, as keyspace_edit does. NULL without memory. */
static inline char *edit_room(struct edit *edit, size_t len);
/* The value's object, to change it in place. NULL without memory. */
struct object *edit_object(struct edit *edit);
/* Replaces the value by another of its type: bytes by an object, or the other way round. The entry takes a reference of
 * its own. False without memory. */
bool edit_become(struct edit *edit, const struct value *value);

/* Sets the mark of the value (`edited` of struct value), of which a change was made. */
static inline void edit_mark(struct edit *edit) {
    assert(edit->changed);
    edit->entry->edited = true;
}

/* Ends it. A value without elements goes, unless its type keeps such; so does a key that was created in vain. True if a
 * key that was there before is gone. */
bool edit_close(struct edit *edit);

/* ---- Definitions of the above --------------------------------------------------------------------- */

/* The half of edit_open that creates. */
enum opened edit_create(struct edit *edit);

static inline enum opened edit_open(struct edit *edit, bool create) {
    const struct entry *e = edit->entry;
    debug_assert(keyspace_find(edit->keyspace, edit->db, edit->key) == e);
    if (e) return entry_type(e) == edit->type ? EDIT_OPENED : EDIT_WRONG_TYPE;
    return create ? edit_create(edit) : EDIT_ABSENT;
}

static inline char *edit_room(struct edit *edit, size_t len) {
    char *data = keyspace_edit(edit->keyspace, edit->db, &edit->entry, len);
    if (data) edit->changed = true;
    return data;
}

#endif
