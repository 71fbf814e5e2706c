/* fuzz_config.c - configuration files of any bytes: read or refused with a reason, and what they left in
 * force reads back.
 *
 * Inputs that include other files are left out: what they do depends on the machine, not on the input. */
#include "fuzz.h"

#include "server/config/config.h"
#include "server/config/config_file.h"
#include "server/config/option.h"
#include "tests/check.h"

/* The word itself, or the \x escape with which it may be spelt otherwise. */
static bool may_include(const char *data, size_t size) {
    for (size_t i = 0; i + 7 <= size; i++)
        if (bytes_is(((struct bytes){data + i, 7}), "include")) return true;
    for (size_t i = 0; i + 2 <= size; i++)
        if (data[i] == '\\' && data[i + 1] == 'x') return true;
    return false;
}

/* A value in force, shown as CONFIG GET does, is accepted again and means the same. */
static void check_reads_back(const struct option *option) {
    struct option_value is, again;
    struct buffer text = {0};
    char error[OPTION_ERROR_MAX];
    CHECK(option_current(option, &is) && option_current(option, &again));
    CHECK(option_format(option, &is, &text));
    CHECK(option_parse(option, buffer_bytes(&text), &again, error));
    CHECK(option_value_equal(option, &is, &again));
    option_value_free(&is);
    option_value_free(&again);
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    if (size == 0 || may_include(text, size)) return 0;
    struct config_errors errors = {0};
    struct config_reading reading = {.errors = &errors};
    config_defaults();
    config_file_text(&reading, "fuzz", (struct bytes){text, size});
    CHECK(!errors.count == !errors.lines.len); /* never refused without a reason */
    CHECK(!errors.count || errors.lines.data[errors.lines.len - 1] == '\n');
    for (unsigned i = 0; i < option_count(); i++)
        if (option_at(i)->standard) check_reads_back(option_at(i));
    config_errors_free(&errors);
    return 0;
}
