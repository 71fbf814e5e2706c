/* fuzz_rdb.c - the RDB reader: the same bytes, whole and in pieces, give the same value; and one that was read and is
 * written gives the same again, in every form.
 *
 * The first byte of an input is the size of the pieces, the second the version, the third the type; the rest
 * is the value. */
#include "fuzz.h"

#include "tests/rdb_model.h"

/* Writes what was read, and reads it back. */
static void round_trip(struct model *model, enum rdb_form form, size_t budget) {
    static struct rdb_compressor compressor;
    struct model back;
    unsigned type = rdb_type_of(model_source(model), form), version = rdb_version_of(model_source(model));
    struct text value = model_write(model, form, budget % 2 ? &compressor : NULL, budget);
    CHECK(model_read(&back, type, version, text_bytes(&value), 0) == RDB_READ_DONE && back.rest == 0);
    struct text before = model_text(model), after = model_text(&back);
    CHECK_BYTES(text_bytes(&after), text_bytes(&before));
    free(value.data), free(before.data), free(after.data);
    model_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    struct bytes value = {(const char *)data + 3, size - 3};
    struct model whole, pieces;
    size_t piece = 1 + data[0];
    enum rdb_read read = model_read(&whole, data[2], data[1], value, 0);
    enum rdb_read in_pieces = model_read(&pieces, data[2], data[1], value, piece);
    CHECK(in_pieces == read || (in_pieces == RDB_READ_MORE && read == RDB_READ_CORRUPT));
    if (read == RDB_READ_DONE) {
        struct text one = model_text(&whole), other = model_text(&pieces);
        CHECK_BYTES(text_bytes(&other), text_bytes(&one));
        CHECK(pieces.rest == whole.rest);
        free(one.data), free(other.data);
        bool stream = whole.source.kind == RDB_STREAM; /* which the writer has nothing to do with */
        if (!stream) round_trip(&whole, RDB_FORM_PLAIN, piece);
        if (!stream && rdb_may_pack(model_source(&whole), UINT64_MAX, SIZE_MAX))
            round_trip(&whole, RDB_FORM_PACKED, piece);
    }
    model_clear(&whole);
    model_clear(&pieces);
    return 0;
}
