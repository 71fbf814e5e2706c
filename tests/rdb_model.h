/* rdb_model.h - a value as a plain list of elements, for tests of the RDB reader and writer: a loader that fills it,
 * a source that gives it back, and its text, a line an element.
 *
 * What is loaded is sorted at the end, but for lists, and two elements that are the same are refused then. */
#ifndef KEVY_TESTS_RDB_MODEL_H
#define KEVY_TESTS_RDB_MODEL_H

#include <math.h>
#include <stdlib.h>

#include "store/rdb/reader.h"
#include "store/rdb/writer.h"
#include "tests/check.h"

enum { MODEL_MAX_BYTES = 1 << 24 };

/* ---- Text ----------------------------------------------------------------------------------------- */

struct text {
    char *data;
    size_t len, room;
};
static inline void text_add(struct text *text, const char *data, size_t len) {
    if (text->room - text->len < len) {
        text->room = 2 * (text->len + len);
        text->data = realloc(text->data, text->room);
        CHECK(text->data);
    }
    memcpy(text->data + text->len, data, len);
    text->len += len;
}
static inline void text_put(struct text *text, const char *string) {
    text_add(text, string, strlen(string));
}
static inline void text_quoted(struct text *text, struct bytes bytes) {
    text_put(text, "\"");
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        char escaped[8];
        int len = c == '"' || c == '\\' ? snprintf(escaped, sizeof escaped, "\\%c", c)
                  : c >= ' ' && c < 127 ? snprintf(escaped, sizeof escaped, "%c", c)
                                        : snprintf(escaped, sizeof escaped, "\\x%02x", c);
        text_add(text, escaped, (size_t)len);
    }
    text_put(text, "\"");
}

struct model {
    struct rdb_loader loader;
    struct rdb_source source;
    struct rdb_element *elements; /* whose bytes are owned */
    size_t count, room;
    uint64_t hint;
    size_t rest; /* bytes behind the value that was read */
    bool begun, ended;
    struct text parts; /* of a stream, a line each */
};

static inline struct bytes model_copy(struct bytes bytes) {
    char *copy = malloc(bytes.len ? bytes.len : 1);
    CHECK(copy);
    if (bytes.len) memcpy(copy, bytes.data, bytes.len);
    return (struct bytes){copy, bytes.len};
}

static inline void model_add(struct model *model, const struct rdb_element *element) {
    if (model->count == model->room) {
        model->room = model->room ? 2 * model->room : 8;
        model->elements = realloc(model->elements, model->room * sizeof *model->elements);
        CHECK(model->elements);
    }
    struct rdb_element *own = &model->elements[model->count++];
    *own = *element;
    own->name = model_copy(element->name);
    own->value = model_copy(element->value);
}

/* Gives back what it holds; it may be filled again. */
static inline void model_clear(struct model *model) {
    for (size_t i = 0; i < model->count; i++) {
        free((char *)(uintptr_t)model->elements[i].name.data);
        free((char *)(uintptr_t)model->elements[i].value.data);
    }
    free(model->elements);
    free(model->parts.data);
    *model = (struct model){0};
}

/* ---- Order ---------------------------------------------------------------------------------------- */

static inline int model_by_name(const void *a, const void *b) {
    return bytes_compare(((const struct rdb_element *)a)->name, ((const struct rdb_element *)b)->name);
}
static inline int model_by_score(const void *a, const void *b) {
    double x = ((const struct rdb_element *)a)->score, y = ((const struct rdb_element *)b)->score;
    return x < y ? -1 : x > y ? 1 : model_by_name(a, b);
}
static inline int64_t model_number(const struct rdb_element *element) {
    int64_t number = 0;
    return number_parse_i64(element->name, &number) ? number : 0;
}
static inline int model_by_number(const void *a, const void *b) {
    int64_t x = model_number(a), y = model_number(b);
    return x < y ? -1 : x > y ? 1 : model_by_name(a, b);
}

/* False if two are the same. */
static inline bool model_sort(struct model *model) {
    if (model->source.kind == RDB_STRING || model->source.kind == RDB_LIST || model->count == 0) return true;
    qsort(model->elements, model->count, sizeof *model->elements, model_by_name);
    for (size_t i = 1; i < model->count; i++)
        if (model_by_name(&model->elements[i - 1], &model->elements[i]) == 0) return false;
    if (model->source.kind == RDB_ZSET)
        qsort(model->elements, model->count, sizeof *model->elements, model_by_score);
    if (model->source.kind == RDB_SET)
        qsort(model->elements, model->count, sizeof *model->elements, model_by_number);
    return true;
}

/* ---- Loading and giving --------------------------------------------------------------------------- */

static inline struct model *model_of(struct rdb_loader *loader) {
    return (struct model *)(void *)loader;
}
static inline enum rdb_answer model_begin(struct rdb_loader *loader, enum rdb_kind kind, uint64_t hint) {
    CHECK(!model_of(loader)->begun);
    model_of(loader)->begun = true;
    model_of(loader)->source.kind = kind;
    model_of(loader)->hint = hint;
    return RDB_TAKEN;
}

/* A part of a stream as a line; of producers, what is unusual. What Redis 7.0 would reckon is left to its reader. */
static inline void text_part(struct text *text, const struct rdb_stream_part *part) {
    static const char *const names[] = {"entry",    "state",  "group",    "consumer", "pending",
                                        "released", "limits", "producer", "known",    "counts"};
    char line[250];
    bool plain_limits = part->part == RDB_PART_LIMITS && part->seconds == 100 && part->most == 100;
    bool nothing_counted = part->part == RDB_PART_COUNTS && part->added == 0 && part->repeated == 0;
    if (plain_limits || nothing_counted) return;
    text_put(text, "  ");
    text_put(text, names[part->part]);
    snprintf(line, sizeof line, " %llu-%llu", (unsigned long long)part->id.ms,
             (unsigned long long)part->id.sequence);
    text_put(text, line);
    if (part->name.len > 0 || part->part == RDB_PART_GROUP || part->part == RDB_PART_CONSUMER) {
        text_put(text, " ");
        text_quoted(text, part->name);
    }
    for (uint32_t i = 0; part->part == RDB_PART_ENTRY && i < 2 * part->count; i++) {
        text_put(text, " ");
        text_quoted(text, part->pairs[i]);
    }
    snprintf(line, sizeof line, " %d %llu %llu-%llu %lld %lld %llu", part->old,
             (unsigned long long)part->added, (unsigned long long)part->max_deleted.ms,
             (unsigned long long)part->max_deleted.sequence, (long long)part->read, (long long)part->time_ms,
             (unsigned long long)part->deliveries);
    if (part->part != RDB_PART_ENTRY) text_put(text, line);
    snprintf(line, sizeof line, " %u %u %llu", part->seconds, part->most, (unsigned long long)part->repeated);
    if (part->part >= RDB_PART_LIMITS) text_put(text, line);
    text_put(text, "\n");
}
static inline enum rdb_answer model_element(struct rdb_loader *loader, const struct rdb_element *element) {
    CHECK(model_of(loader)->begun && !model_of(loader)->ended);
    CHECK((element->part != NULL) == (model_of(loader)->source.kind == RDB_STREAM));
    if (element->part) {
        text_part(&model_of(loader)->parts, element->part);
        return RDB_TAKEN;
    }
    CHECK(!isnan(element->score) && element->expiry_ms >= 0);
    model_add(model_of(loader), element);
    return RDB_TAKEN;
}
static inline enum rdb_answer model_end(struct rdb_loader *loader) {
    bool stream = model_of(loader)->source.kind == RDB_STREAM;
    CHECK((stream || model_of(loader)->count > 0) && !model_of(loader)->ended);
    model_of(loader)->ended = true;
    return model_sort(model_of(loader)) ? RDB_TAKEN : RDB_REFUSED;
}
static const struct rdb_loader model_loader = {model_begin, model_element, model_end, NULL};

static inline void model_next(struct rdb_source *source, uint64_t *place, struct rdb_element *element) {
    const struct model *model =
        (const struct model *)(const void *)((char *)source - offsetof(struct model, source));
    CHECK(*place < model->count);
    *element = model->elements[(*place)++];
}
/* The source of what it has now. */
static inline struct rdb_source *model_source(struct model *model) {
    model->source.count = model->count;
    model->source.soonest_ms = 0;
    model->source.next = model_next;
    for (size_t i = 0; i < model->count; i++) {
        int64_t expiry_ms = model->elements[i].expiry_ms, *soonest_ms = &model->source.soonest_ms;
        if (expiry_ms && (*soonest_ms == 0 || expiry_ms < *soonest_ms)) *soonest_ms = expiry_ms;
    }
    return &model->source;
}

/* Reads a value that lies in memory, in pieces of so many bytes (0: whole, and no more will come). What an earlier
 * piece left is there again with the next, in memory of its own exact size. */
static inline enum rdb_read model_read(struct model *model, unsigned type, unsigned version,
                                       struct bytes value, size_t piece) {
    struct rdb_reader reader;
    *model = (struct model){.loader = model_loader};
    enum rdb_read read = rdb_reader_open(&reader, &model->loader, type, version);
    size_t at = 0, there = piece ? 0 : value.len;
    reader.whole = piece == 0;
    reader.max_bytes = MODEL_MAX_BYTES;
    model->rest = value.len;
    if (read != RDB_READ_DONE) return read;
    for (read = RDB_READ_MORE; read == RDB_READ_MORE;) {
        there = piece == 0 || value.len - there < piece ? value.len : there + piece;
        struct bytes copy = model_copy((struct bytes){value.data + at, there - at}), input = copy;
        read = rdb_read(&reader, &input);
        CHECK(input.data + input.len == copy.data + copy.len);
        at = there - input.len;
        free((char *)(uintptr_t)copy.data);
        if (there == value.len) break;
    }
    rdb_reader_close(&reader);
    model->rest = value.len - at;
    return read;
}

/* ---- Elements as text ------------------------------------------------------------------------------ */

static inline void text_element(struct text *text, enum rdb_kind kind, const struct rdb_element *element) {
    char number[64];
    text_put(text, "  ");
    if (kind == RDB_ZSET) {
        snprintf(number, sizeof number, "%.17g ", element->score + 0.0);
        text_put(text, number);
    }
    text_quoted(text, element->name);
    if (kind == RDB_HASH) {
        text_put(text, " ");
        text_quoted(text, element->value);
    }
    snprintf(number, sizeof number, " expire=%lld", (long long)element->expiry_ms);
    if (element->expiry_ms) text_put(text, number);
    text_put(text, "\n");
}
/* A value's kind, and its elements. */
static inline struct text model_text(const struct model *model) {
    static const char *const kinds[] = {"string", "list", "set", "zset", "hash", "stream"};
    struct text text = {0};
    text_put(&text, kinds[model->source.kind]);
    text_put(&text, "\n");
    if (model->parts.len) text_add(&text, model->parts.data, model->parts.len);
    for (size_t i = 0; i < model->count; i++) text_element(&text, model->source.kind, &model->elements[i]);
    return text;
}
static inline struct bytes text_bytes(const struct text *text) {
    return (struct bytes){text->data, text->len};
}

/* ---- Writing -------------------------------------------------------------------------------------- */

struct text_sink {
    struct sink sink;
    struct text text;
    unsigned left; /* writes until it takes no more; 0: it always does */
};
static inline bool text_sink_write(struct sink *sink, struct bytes bytes) {
    struct text_sink *to = (struct text_sink *)(void *)sink;
    if (to->left && --to->left == 0) return false;
    text_add(&to->text, bytes.data, bytes.len);
    return true;
}
/* The value of a model, written in steps of a budget. */
static inline struct text model_write(struct model *model, enum rdb_form form,
                                      struct rdb_compressor *compressor, size_t budget) {
    struct text_sink to = {.sink = {.write = text_sink_write}};
    struct cursor cursor = {0};
    enum dumped dumped;
    do {
        size_t before = to.text.len;
        dumped =
            rdb_write(model_source(model), form, &cursor, (struct rdb_target){&to.sink, compressor}, budget);
        CHECK(dumped != DUMP_FAILED);
        CHECK(dumped == DUMP_DONE || to.text.len > before);
    } while (dumped == DUMP_MORE);
    return to.text;
}

#endif
