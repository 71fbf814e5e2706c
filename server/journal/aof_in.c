/* aof_in.c - one pass over the file, which keeps nothing but a window, and from a fault on a second one, for what later
 * lines say of it. */
#include "server/journal/aof_in.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/assert.h"
#include "protocol/number.h"
#include "server/journal/batch.h"
#include "server/journal/crc32c.h"
#include "server/journal/file_in.h"
#include "server/journal/intake.h"

enum {
    LENGTH_DIGITS = 12, /* of a length: a terabyte is more than any file holds */
};

/* How a step along the file ended. */
enum step {
    STEP_ON,
    STEP_CUT,   /* the file ends in its middle, or it could not be read: scan->error */
    STEP_WRONG, /* something else stands there */
};

static const struct bytes mark = BYTES_INIT("#kevy ");

struct batch_line {
    uint64_t first, last, len, safe, doubt;
    bool doubts, named;
    uint32_t run;
    uint32_t crc;
};

struct scan {
    struct aof_look *look;
    int error;   /* a negative errno of reading */
    bool inside; /* a batch: what is taken counts in its checksum */
    bool in_multi;
    bool mixed; /* a batch stands within a transaction of plain commands: nobody writes that */
    bool
        gap; /* the tickets of a batch are not those behind the whole one before: one of the two lines is damaged */
    bool plain; /* there were commands behind the last batch */
    struct {
        bool known;
        uint32_t value;
    } run; /* of the last whole batch */
    uint32_t crc;
    const char *summed; /* within the window: what is taken before this is in the checksum */
    struct file_in in;
};

/* ---- The window ----------------------------------------------------------------------------------- */

static void sum_taken(struct scan *scan) {
    const char *taken = scan->in.input.data;
    assert(taken >= scan->summed);
    scan->crc = crc32c(scan->crc, (struct bytes){scan->summed, (size_t)(taken - scan->summed)});
    scan->summed = taken;
}

static bool more(struct scan *scan) {
    if (scan->inside) sum_taken(scan);
    int got = file_in_more(&scan->in);
    scan->summed = scan->in.input.data;
    if (got >= 0 && intake_cancelled()) got = -ECANCELED;
    if (scan->look->work) __atomic_fetch_add(scan->look->work, 1, __ATOMIC_RELAXED);
    if (got < 0) scan->error = got;
    return got > 0;
}

static inline bool have(struct scan *scan, size_t len) {
    while (scan->in.input.len < len)
        if (!more(scan)) return false;
    return true;
}

static inline void take(struct scan *scan, size_t len) {
    assert(len <= scan->in.input.len);
    scan->in.input.data += len;
    scan->in.input.len -= len;
}

static bool skip(struct scan *scan, uint64_t len) {
    while (len > scan->in.input.len) {
        len -= scan->in.input.len;
        take(scan, scan->in.input.len);
        if (!more(scan)) return false;
    }
    take(scan, (size_t)len);
    return true;
}

/* ---- Commands ------------------------------------------------------------------------------------- */

/* "*3\r\n", "$11\r\n" */
static inline enum step take_length(struct scan *scan, char kind, uint64_t *out) {
    uint64_t value = 0;
    size_t at = 1;
    if (!have(scan, 1)) return STEP_CUT;
    if (scan->in.input.data[0] != kind) return STEP_WRONG;
    for (;; at++) {
        if (!have(scan, at + 1)) return STEP_CUT;
        unsigned digit = (unsigned char)scan->in.input.data[at] - (unsigned)'0';
        if (digit > 9) break;
        if (at > LENGTH_DIGITS) return STEP_WRONG;
        value = value * 10 + digit;
    }
    if (at == 1 || scan->in.input.data[at] != '\r') return STEP_WRONG;
    if (!have(scan, at + 2)) return STEP_CUT;
    if (scan->in.input.data[at + 1] != '\n') return STEP_WRONG;
    take(scan, at + 2);
    assert(value <= INT64_MAX);
    *out = value;
    return STEP_ON;
}

static enum step take_line_end(struct scan *scan) {
    bool both = have(scan, 2);
    if (scan->in.input.len > 0 && scan->in.input.data[0] != '\r') return STEP_WRONG;
    if (!both) return STEP_CUT;
    if (scan->in.input.data[1] != '\n') return STEP_WRONG;
    take(scan, 2);
    return STEP_ON;
}

static inline enum step take_bulk(struct scan *scan) {
    uint64_t len;
    enum step step = take_length(scan, '$', &len);
    if (step != STEP_ON) return step;
    if (!skip(scan, len)) return STEP_CUT;
    return take_line_end(scan);
}

/* A command of one word may be the beginning or the end of a transaction. */
static enum step take_word(struct scan *scan) {
    uint64_t len;
    enum step step = take_length(scan, '$', &len);
    if (step != STEP_ON) return step;
    bool multi = false, exec = false;
    if (len <= 5) {
        if (!have(scan, (size_t)len)) return STEP_CUT;
        struct bytes word = {scan->in.input.data, (size_t)len};
        multi = bytes_is(word, "multi");
        exec = bytes_is(word, "exec");
    }
    if (!skip(scan, len)) return STEP_CUT;
    step = take_line_end(scan);
    if (step == STEP_ON && (multi || exec)) scan->in_multi = multi;
    return step;
}

static enum step take_command(struct scan *scan) {
    uint64_t count;
    enum step step = take_length(scan, '*', &count);
    if (step != STEP_ON) return step;
    if (count == 0 || count > INT32_MAX) return STEP_WRONG;
    if (count == 1) return take_word(scan);
    for (; count > 0 && step == STEP_ON; count--) step = take_bulk(scan);
    return step;
}

/* ---- Lines that begin with # ---------------------------------------------------------------------- */

/* The line that the input begins with, without its end. */
static enum step see_line(struct scan *scan, struct bytes *line) {
    size_t seen = 0;
    for (;;) {
        const char *end = scan->in.input.len > seen
                              ? memchr(scan->in.input.data + seen, '\n', scan->in.input.len - seen)
                              : NULL;
        if (end) {
            *line = (struct bytes){scan->in.input.data, (size_t)(end - scan->in.input.data)};
            bool text = !memchr(line->data, '\0', line->len); /* else a part of it did not come to the disk */
            return text && line->len < AOF_LINE_MAX ? STEP_ON : STEP_WRONG;
        }
        seen = scan->in.input.len;
        if (seen >= AOF_LINE_MAX) return STEP_WRONG;
        if (!more(scan)) return STEP_CUT;
    }
}

static bool parse_hex(struct bytes text, uint32_t *out) {
    uint32_t value = 0;
    if (text.len != 8) return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = byte_lower(text.data[i]);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = value;
    return true;
}

static bool parse_tickets(struct bytes text, struct batch_line *out) {
    const char *dash = memchr(text.data, '-', text.len);
    if (!dash) return false;
    size_t len = (size_t)(dash - text.data);
    return number_parse_u64((struct bytes){text.data, len}, &out->first) &&
           number_parse_u64((struct bytes){dash + 1, text.len - len - 1}, &out->last);
}

/* "name=value", the value in *value. */
static bool is_word(struct bytes word, struct bytes name, struct bytes *value) {
    if (word.len <= name.len || memcmp(word.data, name.data, name.len) != 0) return false;
    *value = (struct bytes){word.data + name.len, word.len - name.len};
    return true;
}

/* A bit of `found` for each word that must be there. False where one is not what it should be. */
static bool parse_word(struct bytes word, struct batch_line *out, unsigned *found) {
    struct bytes value;
    unsigned bit = 0;
    bool ok = true;
    if (is_word(word, BYTES("seq="), &value))
        bit = 1, ok = parse_tickets(value, out);
    else if (is_word(word, BYTES("len="), &value))
        bit = 2, ok = number_parse_u64(value, &out->len);
    else if (is_word(word, BYTES("crc="), &value))
        bit = 4, ok = parse_hex(value, &out->crc);
    else if (is_word(word, BYTES("safe="), &value))
        bit = 8, ok = number_parse_u64(value, &out->safe);
    else if (is_word(word, BYTES("doubt="), &value))
        bit = 16, ok = number_parse_u64(value, &out->doubt) && out->doubt <= INT64_MAX;
    else if (is_word(word, BYTES("run="), &value))
        bit = 32, ok = parse_hex(value, &out->run);
    ok = ok && !(*found & bit);
    *found |= bit;
    return ok;
}

static bool parse_batch_line(struct bytes line, struct batch_line *out) {
    unsigned found = 0;
    *out = (struct batch_line){0};
    if (line.len < mark.len || memcmp(line.data, mark.data, mark.len) != 0) return false;
    line = (struct bytes){line.data + mark.len, line.len - mark.len};
    while (line.len) {
        const char *space = memchr(line.data, ' ', line.len);
        size_t len = space ? (size_t)(space - line.data) : line.len;
        if (!parse_word((struct bytes){line.data, len}, out, &found)) return false;
        len += space != NULL;
        line = (struct bytes){line.data + len, line.len - len};
    }
    bool empty = out->len == 0 && out->last == 0;
    out->doubts = found & 16;
    out->named = found & 32;
    return (found & 15) == 15 && out->last >= out->first && (empty || out->safe < out->first);
}

/* ---- Batches -------------------------------------------------------------------------------------- */

static enum step take_commands(struct scan *scan, uint64_t end) {
    struct aof_look *look = scan->look;
    uint64_t commands = 0;
    while (file_in_at(&scan->in) < end) {
        enum step step = take_command(scan);
        if (step != STEP_ON) return step;
        commands++;
    }
    assert(scan->inside && end <= look->size);
    if (file_in_at(&scan->in) > end || scan->in_multi) return STEP_WRONG;
    look->commands += commands;
    return STEP_ON;
}

/* All lines of a file that say so say the same. */
static void note_doubt(struct aof_look *look, const struct batch_line *line) {
    if (line->doubts && look->doubt == AOF_NO_DOUBT) look->doubt = (int64_t)line->doubt;
}

static void note_run(struct scan *scan, const struct batch_line *line) {
    scan->run.known = line->named;
    scan->run.value = line->run;
}

static enum step take_batch(struct scan *scan, const struct batch_line *line) {
    struct aof_look *look = scan->look;
    uint64_t begin = file_in_at(&scan->in);
    scan->gap = look->last && line->last && line->first != look->last + 1;
    if (scan->gap) return STEP_WRONG;
    if (line->len > look->size - begin) return STEP_CUT;
    assert(!scan->inside && !scan->in_multi);
    scan->crc = 0;
    scan->summed = scan->in.input.data;
    scan->inside = true;
    enum step step = take_commands(scan, begin + line->len);
    if (step == STEP_ON) sum_taken(scan);
    scan->inside = false;
    if (step == STEP_ON && scan->crc != line->crc) step = STEP_WRONG;
    if (step != STEP_ON) {
        scan->in_multi = false; /* it is the batch that is not whole */
        return step;
    }
    if (line->last) look->last = line->last;
    note_doubt(look, line);
    note_run(scan, line);
    look->batches++;
    scan->plain = false;
    return STEP_ON;
}

static enum step take_annotation(struct scan *scan) {
    struct bytes text;
    struct batch_line line;
    enum step step = see_line(scan, &text);
    if (step != STEP_ON) return step;
    bool batch = text.len >= mark.len && memcmp(text.data, mark.data, mark.len) == 0;
    scan->mixed = batch && scan->in_multi;
    if (batch && (scan->mixed || !parse_batch_line(text, &line))) return STEP_WRONG;
    take(scan, text.len + 1);
    return batch ? take_batch(scan, &line) : STEP_ON;
}

/* ---- What later lines say of a fault -------------------------------------------------------------- */

struct told {
    uint64_t first; /* ticket of what is at fault, if its line can be read; else 0 */
    uint64_t last;  /* of the last line that was read */
    uint64_t safe;  /* the highest of the lines behind it */
};

/* The line at the input, if one is there that may follow on those before, of the same run. Stays there. */
static bool see_batch_line(struct scan *scan, const struct told *told, struct batch_line *line, size_t *len) {
    struct bytes text;
    if (see_line(scan, &text) != STEP_ON || !parse_batch_line(text, line)) return false;
    *len = text.len + 1;
    if (scan->run.known && !(line->named && line->run == scan->run.value)) return false;
    return line->first > told->last;
}

static void pass_timestamp(struct scan *scan) {
    struct bytes text;
    if (have(scan, 4) && memcmp(scan->in.input.data, "#TS:", 4) == 0 && see_line(scan, &text) == STEP_ON)
        take(scan, text.len + 1);
}

/* To the next line that has the mark. */
static bool find_mark(struct scan *scan) {
    static const struct bytes wanted = BYTES_INIT("\n#kevy ");
    for (;;) {
        struct bytes input = scan->in.input;
        const char *found = input.len >= wanted.len ? memmem(input.data, input.len, wanted.data, wanted.len)
                                                    : NULL;
        if (found) {
            take(scan, (size_t)(found - input.data) + 1);
            return true;
        }
        if (input.len >= wanted.len) take(scan, input.len - wanted.len + 1);
        if (!more(scan)) return false;
    }
}

/* From line to line, as their lengths say. Where that leads nowhere the next one is looked for. What stands in a value does
 * not have the run of the whole batches before; where there are none, a value may have been made to look like a line, and
 * then nothing is lost by it but an answer. False: the length at the fault leads into the middle of something, so it may be
 * what is damaged. */
static bool read_lines(struct scan *scan, struct told *told, bool at_fault) {
    struct batch_line line;
    size_t len;
    bool leads = true;
    for (;; at_fault = false) {
        pass_timestamp(scan);
        if (see_batch_line(scan, told, &line, &len)) {
            if (at_fault)
                told->first = line.first;
            else if (line.safe > told->safe)
                told->safe = line.safe;
            told->last = line.last;
            note_doubt(scan->look, &line);
            take(scan, len);
            if (line.len <= scan->look->size - file_in_at(&scan->in)) {
                if (!skip(scan, line.len)) return leads;
                if (scan->in.input.len == 0 && !more(scan)) return leads;
                if (scan->in.input.data[0] == '#') continue;
                if (at_fault) leads = false;
            }
        }
        if (!find_mark(scan)) return leads;
    }
}

/* Was something durable that stands at the fault, or behind it? A line tells of the tickets of its own file, or of the
 * last one of the file before. */
static bool is_covered(const struct aof_look *look, const struct told *told) {
    if (look->last) return told->safe > look->last;
    if (told->first) return told->safe >= told->first;
    return told->safe != 0 && told->safe != look->before;
}

/* ---- Judgement ------------------------------------------------------------------------------------ */

static enum aof_found unread(struct aof_look *look, int error) {
    snprintf(look->why, sizeof look->why, "%s", strerror(-error));
    return AOF_UNREAD;
}

/* 0 or a negative errno. */
static int begin_anew(struct scan *scan, uint64_t offset) {
    file_in_close(&scan->in);
    int error = file_in_open(&scan->in, scan->look->disk, scan->look->path);
    if (error) {
        scan->in.file = -1;
        return scan->error = error;
    }
    scan->in.unsummed = true;
    (void)skip(scan, offset);
    return scan->error;
}

static enum aof_found judge_by_lines(struct scan *scan) {
    struct aof_look *look = scan->look;
    struct told told = {.last = look->last};
    assert(look->end <= look->fault && look->fault <= look->size);
    scan->inside = false;
    int error = begin_anew(scan, look->fault);
    if (!error && !read_lines(scan, &told, true) && !is_covered(look, &told) && !scan->error) {
        told = (struct told){.first = told.first, .last = look->last};
        error = begin_anew(scan, look->fault + 1);
        if (!error && find_mark(scan)) (void)read_lines(scan, &told, false);
    }
    if (error || scan->error) return unread(look, error ? error : scan->error);
    if (!is_covered(look, &told)) return AOF_TORN;
    snprintf(look->why, sizeof look->why, "A batch is damaged that was safe on the disk once,");
    return AOF_BAD;
}

/* How the file goes on where something else was expected. */
struct run {
    bool some;
    bool rest; /* there is nothing else */
};

/* Of these two bytes. */
static struct run see_run(struct scan *scan, char of, char also) {
    assert(scan->in.file >= 0 && scan->error == 0);
    uint64_t count = 0;
    for (;;) {
        struct bytes input = scan->in.input;
        size_t i = 0;
        while (i < input.len && (input.data[i] == of || input.data[i] == also)) i++;
        count += i;
        take(scan, i);
        if (i < input.len || !more(scan)) break;
    }
    return (struct run){count > 0, count > 0 && scan->in.input.len == 0};
}

static enum aof_found wrong(struct aof_look *look) {
    snprintf(look->why, sizeof look->why, "Bad file format");
    return AOF_BAD;
}

/* `marked`: a line of kevy's stands there. */
static enum aof_found judge(struct scan *scan, enum step step, bool marked) {
    struct aof_look *look = scan->look;
    look->open = scan->in_multi;
    if (scan->error) return unread(look, scan->error);
    if (scan->mixed || scan->gap) return wrong(look);
    /* Zero bytes stand where the disk had nothing yet. */
    struct run zeroes = step == STEP_WRONG ? see_run(scan, '\0', '\0') : (struct run){false, false};
    if (scan->error) return unread(look, scan->error);
    bool first = look->fault == 0 && zeroes.some; /* no file begins so that was ever written to its end */
    if (marked || (look->batches && !scan->plain) || first) return judge_by_lines(scan);
    return step == STEP_CUT || zeroes.rest ? AOF_TORN : wrong(look);
}

/* ---- Lines and commands --------------------------------------------------------------------------- */

/* Or does the mark stand there as far as it came to the disk? */
static bool is_marked(struct scan *scan) {
    struct bytes input = scan->in.input;
    size_t len = input.len < mark.len ? input.len : mark.len, text = strnlen(input.data, len);
    return (len > 1 || text < len) && text > 0 && memcmp(input.data, mark.data, text) == 0;
}

static enum step take_unit(struct scan *scan) {
    struct aof_look *look = scan->look;
    if (scan->in.input.data[0] == '#') return take_annotation(scan);
    enum step step = take_command(scan);
    if (step != STEP_ON) return step;
    look->commands++;
    scan->plain = true;
    return STEP_ON;
}

/* ---- Padding -------------------------------------------------------------------------------------- */

static bool is_pad(char c) {
    return c == BATCH_PAD || c == '\0';
}

/* Behind a batch, or the time that stood in front of the next one, and no line of kevy's, for none begins like that, nor is
 * any so short. There may be zero bytes in it: while it was being cut off, or made, its length could be on the disk
 * without its bytes. */
static bool is_padding(const struct scan *scan) {
    const struct aof_look *look = scan->look;
    struct bytes input = scan->in.input;
    if (look->batches == 0 || scan->plain || scan->in_multi) return false;
    return is_pad(input.data[0]) && (input.len == 1 || is_pad(input.data[1]) || input.data[1] == '\n');
}

/* A batch was torn where its beginning was not written over the padding, and more of it was, or where there are zero bytes
 * and nothing else. */
static enum aof_found judge_padding(struct scan *scan) {
    struct aof_look *look = scan->look;
    struct run one = {true, false};
    bool pads = false;
    assert(look->fault >= look->end && look->batches > 0);
    while (one.some && !one.rest && !scan->error) {
        struct run padding = see_run(scan, BATCH_PAD, '\n');
        pads |= padding.some;
        one = padding.rest || scan->error ? padding : see_run(scan, '\0', '\0');
    }
    if (scan->error) return unread(look, scan->error);
    return one.rest && pads ? AOF_WHOLE : judge_by_lines(scan);
}

/* The line at the input is padding. */
static bool see_padding(struct scan *scan, struct bytes *line) {
    if (!have(scan, 1) || scan->in.input.data[0] != BATCH_PAD || see_line(scan, line) != STEP_ON)
        return false;
    for (size_t i = 0; i < line->len; i++)
        if (line->data[i] != BATCH_PAD) return false;
    return true;
}

/* Up to what stands behind the padding. False where that is not whole lines. */
static bool pass_padding(struct scan *scan) {
    struct bytes line;
    if (begin_anew(scan, scan->look->fault)) return false;
    while (see_padding(scan, &line)) take(scan, line.len + 1);
    return scan->error == 0 && have(scan, 1);
}

/* It says of which database commands are, or that they are a transaction, or when it was. */
static bool begins_as_redis(struct scan *scan) {
    static const struct bytes begins[] = {BYTES_INIT("*2\r\n$6\r\nSELECT\r\n"),
                                          BYTES_INIT("*1\r\n$5\r\nMULTI\r\n"), BYTES_INIT("#TS:")};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++)
        if (have(scan, begins[i].len) && memcmp(scan->in.input.data, begins[i].data, begins[i].len) == 0)
            return true;
    return false;
}

static bool ends_with_padding(struct scan *scan) {
    static const char end[] = {BATCH_PAD, '\n'};
    if (begin_anew(scan, scan->look->size - sizeof end) || !have(scan, sizeof end)) return false;
    return memcmp(scan->in.input.data, end, sizeof end) == 0;
}

/* Redis goes on with a file as it finds it, and then commands stand behind the padding, up to the end. True: the input is at
 * the first of them. What is left of a torn batch is not taken for that: no line of the padding ends with a sector, so
 * what stands behind it there is padding, or the zero bytes behind the end that the file had. */
static bool goes_on(struct scan *scan) {
    struct aof_look *look = scan->look;
    uint64_t commands = look->commands;
    enum step step = STEP_ON;
    struct bytes line;
    if (!pass_padding(scan) || !begins_as_redis(scan)) return false;
    while (step == STEP_ON && have(scan, 1) && !see_padding(scan, &line)) {
        (void)have(scan, mark.len);
        step = is_marked(scan) ? STEP_WRONG : take_unit(scan);
    }
    if (scan->error) return false;
    bool ended = step == STEP_WRONG ? see_run(scan, '\0', '\0').rest : step == STEP_CUT || !have(scan, 1);
    look->commands = commands;
    scan->in_multi = scan->plain = false;
    if (!ended || ends_with_padding(scan) || scan->error) return false;
    scan->plain = true;
    return pass_padding(scan);
}

/* ---- The file -------------------------------------------------------------------------------------- */

static enum aof_found look_at_all(struct scan *scan) {
    struct aof_look *look = scan->look;
    uint64_t whole_commands = 0;
    for (;;) {
        look->fault = file_in_at(&scan->in);
        if (!have(scan, 1)) break;
        (void)have(scan, mark.len);
        if (is_padding(scan)) {
            enum aof_found found = judge_padding(scan);
            if (found != AOF_TORN || !goes_on(scan)) return scan->error ? unread(look, scan->error) : found;
            continue;
        }
        bool marked = is_marked(scan), annotation = scan->in.input.data[0] == '#';
        enum step step = take_unit(scan);
        if (step != STEP_ON) {
            look->commands = whole_commands;
            return judge(scan, step, marked);
        }
        if (scan->in_multi || (annotation && !marked)) continue;
        assert(look->end < file_in_at(&scan->in));
        look->end = file_in_at(&scan->in);
        whole_commands = look->commands;
    }
    look->commands = whole_commands;
    if (scan->error) return unread(look, scan->error);
    if (!scan->in_multi) {
        look->end = file_in_at(&scan->in); /* lines that say something may stand there */
        return AOF_WHOLE;
    }
    look->fault = look->end;
    look->open = true;
    return AOF_TORN;
}

enum aof_found aof_look(struct aof_look *look) {
    struct scan *scan = malloc(sizeof *scan);
    look->size = look->commands = look->batches = look->last = look->fault = 0;
    look->end = look->begin;
    look->open = false;
    look->doubt = AOF_NO_DOUBT;
    look->why[0] = '\0';
    if (!scan) return unread(look, -ENOMEM);
    assert(look->disk && look->path);
    scan->look = look;
    scan->error = 0;
    scan->inside = scan->in_multi = scan->mixed = scan->gap = scan->plain = false;
    scan->run.known = false;
    int error = file_in_open(&scan->in, look->disk, look->path);
    if (error) {
        free(scan);
        return unread(look, error);
    }
    scan->in.unsummed = true;
    look->size = scan->in.size;
    enum aof_found found;
    if (!skip(scan, look->begin))
        found = scan->error ? unread(look, scan->error) : wrong(look);
    else
        found = look_at_all(scan);
    if (scan->in.file >= 0) file_in_close(&scan->in);
    free(scan);
    assert(found != AOF_TORN || (look->end <= look->size && look->end >= look->begin));
    return found;
}
