/* probe.c - the RDB codec as a program, for run.py: DUMP's payloads come in, what is in them and what kevy
 * writes goes out.
 *
 * On standard input, for each payload, its length (u32, lowest byte first) and its bytes. On standard output as
 * many parts, each a length and bytes: first what became of it ("ok", "empty", "corrupt", "stream", "module" or
 * "footer"); if it is "ok", its text (rdb_model.h), then payloads of the same value: plain, plain and compressed,
 * packed, packed and compressed; of a stream four empty ones.
 *
 * Each payload is read whole and in pieces of several sizes, which must agree. */
#include <stdio.h>

#include "store/rdb/crc64.h"
#include "store/rdb/payload.h"
#include "tests/rdb_model.h"

static bool read_part(struct text *part) {
    uint32_t len;
    if (fread(&len, sizeof len, 1, stdin) != 1) return false;
    free(part->data);
    *part = (struct text){.data = malloc(len + 1), .room = len + 1};
    CHECK(part->data && fread(part->data, 1, len, stdin) == len);
    part->len = len;
    return true;
}

static void write_part(struct bytes bytes) {
    uint32_t len = (uint32_t)bytes.len;
    CHECK(len == bytes.len && fwrite(&len, sizeof len, 1, stdout) == 1);
    if (len) CHECK(fwrite(bytes.data, 1, len, stdout) == len);
}

static void write_payload(struct model *model, enum rdb_form form, struct rdb_compressor *compressor) {
    bool may_pack = rdb_may_pack(model_source(model), UINT64_MAX, SIZE_MAX);
    if (!may_pack) form = RDB_FORM_PLAIN;
    char type = (char)rdb_type_of(model_source(model), form), footer[PAYLOAD_FOOTER];
    struct text whole = {0}, value = model_write(model, form, compressor, 1000);
    text_add(&whole, &type, 1);
    text_add(&whole, value.data, value.len);
    payload_close(footer, crc64(0, text_bytes(&whole)), rdb_version_of(model_source(model)));
    text_add(&whole, footer, sizeof footer);
    write_part(text_bytes(&whole));
    free(whole.data), free(value.data);
}

/* In pieces it must be the same. */
static void read_in_pieces(const struct payload *payload, const struct model *whole, enum rdb_read expected) {
    static const size_t pieces[] = {1, 7, 1000, 65536};
    for (size_t i = payload->value.len > 100000 ? 2 : 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct model model;
        enum rdb_read read = model_read(&model, payload->type, payload->version, payload->value, pieces[i]);
        CHECK(read == expected || (expected == RDB_READ_CORRUPT && read == RDB_READ_MORE));
        struct text one = model_text(whole), other = model_text(&model);
        if (read == RDB_READ_DONE) CHECK_BYTES(text_bytes(&other), text_bytes(&one));
        free(one.data), free(other.data);
        model_clear(&model);
    }
}

static struct bytes name_of(enum rdb_read read) {
    switch (read) {
    case RDB_READ_DONE: return BYTES("ok");
    case RDB_READ_EMPTY: return BYTES("empty");
    case RDB_READ_MODULE: return BYTES("module");
    case RDB_READ_CORRUPT: return BYTES("corrupt");
    default: return BYTES("no memory");
    }
}

static void probe(struct bytes bytes) {
    static struct rdb_compressor compressor;
    struct payload payload;
    struct model model;
    if (!payload_open(bytes, PAYLOAD_CHECKED, &payload)) {
        write_part(BYTES("footer"));
        return;
    }
    enum rdb_read read = model_read(&model, payload.type, payload.version, payload.value, 0);
    read_in_pieces(&payload, &model, read);
    write_part(name_of(read));
    if (read == RDB_READ_DONE) {
        struct text text = model_text(&model);
        write_part(text_bytes(&text));
        free(text.data);
    }
    bool stream = read == RDB_READ_DONE && model.source.kind == RDB_STREAM; /* which others write */
    for (unsigned i = 0; stream && i < 4; i++) write_part((struct bytes){NULL, 0});
    if (read == RDB_READ_DONE && !stream) {
        write_payload(&model, RDB_FORM_PLAIN, NULL);
        write_payload(&model, RDB_FORM_PLAIN, &compressor);
        write_payload(&model, RDB_FORM_PACKED, NULL);
        write_payload(&model, RDB_FORM_PACKED, &compressor);
    }
    model_clear(&model);
}

int main(void) {
    struct text part = {0};
    while (read_part(&part)) {
        probe(text_bytes(&part));
        fflush(stdout);
    }
    free(part.data);
    return 0;
}
