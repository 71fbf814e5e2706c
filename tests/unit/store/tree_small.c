/* The test of tree_change.c once more, with trees of small nodes: a few thousand elements make five levels of them. */
#define KEVY_TREE_SMALL
#include "tests/unit/store/values/tree_change.c"
