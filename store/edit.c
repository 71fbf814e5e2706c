/* edit.c - opening, changing and closing a value. */
#include "store/edit.h"

enum opened edit_create(struct edit *edit) {
    struct value empty = {.type = edit->type, .bytes = BYTES("")};
    edit->entry = keyspace_set(edit->keyspace, edit->db, edit->key, &empty, EXPIRY_NONE);
    edit->created = edit->entry;
    return edit->entry ? EDIT_OPENED : EDIT_NO_MEMORY;
}

struct object *edit_object(struct edit *edit) {
    struct object *object = keyspace_edit_object(edit->keyspace, edit->db, edit->entry);
    if (object) edit->changed = true;
    return object;
}

bool edit_become(struct edit *edit, const struct value *value) {
    struct entry *e = keyspace_replace(edit->keyspace, edit->db, edit->entry, value);
    if (e == NULL) return false;
    edit->entry = e;
    edit->changed = true;
    return true;
}

static __attribute__((noinline)) bool is_empty(const struct edit *edit) {
    struct value value = entry_value(edit->entry);
    return keyspace_type(edit->keyspace, edit->entry)->count(&value) == 0;
}

/* Is there something left? Of a key that was there before, where nothing was taken out there is, and it takes no
 * counting to know it. */
static inline bool stays(const struct edit *edit, const struct type *type) {
    if (edit->created && !edit->changed) return false;
    if (type->keeps_empty) return true;
    bool may_be_empty = edit->created || edit->lost;
    debug_assert(may_be_empty || !is_empty(edit));
    return !may_be_empty || !is_empty(edit);
}

bool edit_close(struct edit *edit) {
    const struct type *type = keyspace_type(edit->keyspace, edit->entry);
    assert(type->number == edit->type);
    if (stays(edit, type)) {
        if (entry_timed(edit->entry)) edit->entry = keyspace_refile(edit->keyspace, edit->db, edit->entry, 0);
        return false;
    }
    keyspace_delete_entry(edit->keyspace, edit->db, edit->key, edit->entry);
    edit->entry = NULL;
    return !edit->created;
}
