/* fuzz_pack.c - packs, lists and sets of integers that somebody else wrote: what the validator passes stays valid
 * whatever is done to it, and no operation touches a byte outside of it.
 *
 * The first byte of an input says which of them, the second how many bytes of it there are, which follow; the rest
 * are operations, three bytes each: what, where, and how long an element. */
#include "fuzz.h"

#include "store/values/intset.h"
#include "store/values/list_pack.h"
#include "tests/unit/store/values/elements.h"

enum kind { SINGLES, PAIRS, LIST, INTEGERS, KINDS };

static bool valid(enum kind kind, const struct pack *pack) {
    struct bytes bytes = pack_bytes(pack);
    return kind == LIST       ? list_pack_valid(bytes)
           : kind == INTEGERS ? intset_valid(bytes)
                              : pack_valid(bytes, 1 + kind);
}

static char filler[ELEMENT_INLINE_MAX];

static struct element element_with(unsigned len) {
    return element_of((struct bytes){filler, len < 250 ? len : 254 + (len - 250) * 100});
}

/* ---- Operations ----------------------------------------------------------------------------------- */

static void change_pack(struct pack *pack, unsigned step, unsigned what, unsigned where, unsigned len) {
    uint32_t count = pack_count(pack_bytes(pack)), index = where % (count / step + 1) * step;
    struct element elements[2] = {element_with(len), element_with(where)};
    if (what % 3 == 0) {
        size_t need = pack_insert(pack, index, elements, step);
        if (need > pack->capacity && need != PACK_NEVER) {
            give_room(pack, need);
            CHECK(pack_insert(pack, index, elements, step) == need);
        }
        CHECK(need == PACK_NEVER || pack_count(pack_bytes(pack)) == count + step);
        CHECK(need == PACK_NEVER || pack_find(pack_bytes(pack), step, elements[0].bytes) <= index);
    } else if (index < count && what % 3 == 1) {
        pack_delete(pack, index, step);
        CHECK(pack_count(pack_bytes(pack)) == count - step);
    } else if (index < count) {
        size_t need = pack_replace(pack, index, elements);
        if (need > pack->capacity) give_room(pack, need);
        CHECK(pack_replace(pack, index, elements) == pack->len);
        CHECK_BYTES(pack_at(pack_bytes(pack), index).bytes, elements[0].bytes);
    }
}

static void change_list(struct pack *pack, unsigned what, unsigned where, unsigned len) {
    uint32_t count = list_pack_count(pack_bytes(pack)), index = where % (count + 1);
    struct element element = element_with(len);
    size_t place = list_pack_seek(pack_bytes(pack), index);
    if (what % 3 == 0) {
        size_t need = list_pack_insert(pack, place, &element);
        if (need > pack->capacity && need != PACK_NEVER) {
            give_room(pack, need + what);
            need = list_pack_insert(pack, place, &element);
        }
        CHECK(need == PACK_NEVER || list_pack_count(pack_bytes(pack)) == count + 1);
    } else if (index < count && what % 3 == 1) {
        list_pack_delete(pack, place, 1 + len % (count - index));
    } else if (index < count) {
        size_t need = list_pack_replace(pack, place, &element);
        if (need == PACK_NEVER) return;
        if (need > pack->capacity) give_room(pack, need);
        CHECK(list_pack_replace(pack, place, &element) == pack->len);
        CHECK_BYTES(list_pack_at(pack_bytes(pack), place).bytes, element.bytes);
    }
}

static void change_integers(struct pack *set, unsigned what, unsigned where, unsigned len) {
    int64_t number = (int64_t)((uint64_t)where << len % 57);
    uint32_t index;
    if (what & 1) number = -number;
    if (intset_find(pack_bytes(set), number, &index)) {
        intset_delete(set, index);
        return;
    }
    size_t need = intset_insert(set, index, number);
    if (need > set->capacity) {
        give_room(set, need);
        CHECK(intset_insert(set, index, number) == need);
    }
    CHECK(intset_at(pack_bytes(set), index) == number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || (size_t)2 + data[1] > size) return 0;
    enum kind kind = (enum kind)(data[0] % KINDS);
    struct pack pack = {0};
    give_room(&pack, data[1]);
    memcpy(pack.data, data + 2, data[1]);
    pack.len = data[1];
    const uint8_t *at = data + 2 + data[1], *end = data + size;
    for (; valid(kind, &pack) && end - at >= 3; at += 3) {
        if (kind == LIST)
            change_list(&pack, at[0], at[1], at[2]);
        else if (kind == INTEGERS)
            change_integers(&pack, at[0], at[1], at[2]);
        else
            change_pack(&pack, 1 + kind, at[0], at[1], at[2]);
        CHECK(valid(kind, &pack));
        give_room(&pack, pack.len);
    }
    free(pack.data);
    return 0;
}
