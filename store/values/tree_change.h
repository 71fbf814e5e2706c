/* tree_change.h - changes of trees.
 *
 * A change that fails for memory leaves every element as it was: what it did before (nodes copied, nodes split) changes the
 * shape alone. Bytes that are given must not lie in the tree itself. The longest step is to give up one leaf; what takes
 * longer is left to context->graves. */
#ifndef KEVY_STORE_VALUES_TREE_CHANGE_H
#define KEVY_STORE_VALUES_TREE_CHANGE_H

#include "store/values/tree.h"

enum tree_changed { TREE_NO_MEMORY, TREE_UNCHANGED, TREE_REPLACED, TREE_ADDED, TREE_REMOVED };

/* Puts an item at the place that its key has. Where one equal to it is there already (the same member, field, or
 * number; never in TREE_INDEX), it is replaced if it shall be, else left alone. Not for lists. */
enum tree_changed tree_put(struct tree *tree, const struct tree_context *context,
                           const struct tree_item *item, bool replace);
/* Leaves give up the room that they do not need, of a tree no node of which is shared, and that was changed last by a
 * tree_put. Where there is no memory they keep it. O(n). */
void tree_fit(struct tree *tree, const struct tree_context *context);
/* The same of a short member of TREE_SET, which is not replaced, or of a short field of TREE_HASH and its short value, which
 * is: parts of up to LEAF_PART_LEAST bytes. What is there, or has a value of the same length, takes the shortest way. */
enum tree_changed tree_put_short(struct tree *tree, const struct tree_context *context, uint64_t hash,
                                 const struct bytes parts[TREE_PARTS]);
/* Takes the equal one out; of TREE_INDEX, one with the same hash and score. Not for lists. */
enum tree_changed tree_remove(struct tree *tree, const struct tree_context *context,
                              const struct tree_item *item);

typedef bool tree_seer(void *seer, const struct tree_item *found, const struct tree_guess *way);
/* The same of TREE_PENDING, but `see` is shown the element before it goes, and which way leads to it, which is a guess for a
 * tree of the same numbers: where it says no, nothing is changed, and that is TREE_NO_MEMORY. It may change other trees. */
enum tree_changed tree_remove_seen(struct tree *tree, const struct tree_context *context,
                                   const struct tree_item *item, tree_seer *see, void *seer);

/* Puts an item before all others, or behind them, in O(1) as a rule: so a tree is built of full leaves. In ordered trees
 * it must belong there, and before all others it is put in lists and TREE_SCORES alone. False without memory. */
bool tree_push(struct tree *tree, const struct tree_context *context, const struct tree_item *item,
               enum tree_end end);
/* Puts elements of a list behind all others, as many of these as the last leaf has room for; how many, which may be
 * none. What comes next is for tree_push. */
unsigned tree_push_some(struct tree *tree, const struct bytes *texts, unsigned count);
/* A short element of a list is put at this end, or goes from there, where its leaf is known and is neither too full nor too
 * empty for it. False, and nothing is changed: it is for tree_push or tree_pop. The bytes of what went stay where they are
 * until the tree changes. */
bool tree_push_short(struct tree *tree, struct bytes text, enum tree_end end);
bool tree_pop_short(struct tree *tree, enum tree_end end, struct bytes *text);
/* Takes the first or last one out of a tree that is not empty. False without memory. */
bool tree_pop(struct tree *tree, const struct tree_context *context, enum tree_end end);

/* TREE_INDEX alone: an entry with the hash and score of the item gets another score. Once this has been done, it can be
 * undone without memory. */
enum tree_changed tree_rescore(struct tree *tree, const struct tree_context *context,
                               const struct tree_item *item, double score);

/* What a cursor is at that was found since the last change of the tree is changed without a way to it, where nothing is
 * shared and memory does not run out; else false, and no element is changed: it is taken out; an entry of TREE_INDEX gets
 * another score; an element of TREE_SCORES goes and this item comes, which is the same but for its score. */
bool tree_take_at(struct tree *tree, const struct tree_context *context, const struct tree_cursor *cursor);
bool tree_rescore_at(struct tree *tree, const struct tree_cursor *cursor, double score);
bool tree_move_from(struct tree *tree, const struct tree_context *context, const struct tree_cursor *cursor,
                    const struct tree_item *item);
/* By position. Lists alone: an item is put before the one at the position (which may be the count), or in its place. */
bool tree_insert_at(struct tree *tree, const struct tree_context *context, uint64_t position,
                    const struct tree_item *item);
bool tree_replace_at(struct tree *tree, const struct tree_context *context, uint64_t position,
                     const struct tree_item *item);
/* All kinds: `count` elements from the position on go. */
bool tree_remove_range(struct tree *tree, const struct tree_context *context, uint64_t position,
                       uint64_t count);

#endif
