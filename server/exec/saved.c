/* saved.c - one allocation for each:
 *
 *     struct saved | argv | hash | blocks | bytes of small arguments */
#include "server/exec/saved.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/exec/prepare.h"

/* What has to be kept: bytes to copy, bytes that stay where they are, and how many arguments those are. */
struct extent {
    size_t copied, shared;
    uint32_t blocks;
};

/* An argument's block, if it has one: short ones never do. They are asked for in their order. */
static struct block *block_of_argument(const struct call *call, uint32_t arg, uint32_t *from) {
    return call->argv[arg].len >= DIRECT_READ_MIN
               ? block_find(call->arg_blocks, call->arg_block_count, call->argv[arg], from)
               : NULL;
}

/* False if all of it would be larger than `room`. */
static bool measure(const struct call *call, size_t room, struct extent *extent) {
    uint32_t from = 0;
    *extent = (struct extent){0};
    for (uint32_t i = 0; i < call->argc; i++) {
        size_t len = call->argv[i].len;
        if (len > room - extent->copied - extent->shared) return false;
        if (block_of_argument(call, i, &from))
            extent->shared += len, extent->blocks++;
        else
            extent->copied += len;
    }
    return true;
}

static void keep_arguments(struct saved *saved, const struct call *call, char *bytes) {
    uint32_t from = 0;
    for (uint32_t i = 0; i < call->argc; i++) {
        struct bytes arg = call->argv[i];
        struct block *block = block_of_argument(call, i, &from);
        if (block) {
            saved->argv[i] = arg;
            saved->blocks[saved->block_count++] = block_retain(block);
        } else {
            if (arg.len) memcpy(bytes, arg.data, arg.len);
            saved->argv[i] = (struct bytes){bytes, arg.len};
            bytes += arg.len;
        }
    }
}

struct saved *saved_copy(const struct call *call, size_t room) {
    struct extent extent;
    if (!measure(call, room, &extent)) return NULL;
    size_t tables = call->argc * (sizeof(struct bytes) + sizeof(uint64_t)) +
                    extent.blocks * sizeof(struct block *);
    size_t size = sizeof(struct saved) + tables + extent.copied;
    if (size > room - extent.shared) return NULL;
    struct saved *saved = malloc(size);
    if (!saved) return NULL;
    *saved = (struct saved){.command = call->command, .argc = call->argc, .size = size + extent.shared};
    saved->argv = (struct bytes *)(saved + 1);
    saved->hash = (uint64_t *)(saved->argv + saved->argc);
    saved->blocks = (struct block **)(saved->hash + saved->argc);
    memcpy(saved->hash, call->hash, saved->argc * sizeof(uint64_t));
    keep_arguments(saved, call, (char *)(saved->blocks + extent.blocks));
    assert(saved->block_count == extent.blocks && saved->size <= room);
    return saved;
}

struct saved *saved_new(const struct call *call, const struct request *request, size_t room) {
    assert(call->command == request->command && call->argc == request->args.argc);
    struct saved *saved = saved_copy(call, room);
    if (saved) prepare_saved_stripes(call, request, &saved->stripes);
    return saved;
}

void saved_free(struct saved *saved) {
    for (uint32_t i = 0; i < saved->block_count; i++) block_release(saved->blocks[i]);
    free(saved);
}
