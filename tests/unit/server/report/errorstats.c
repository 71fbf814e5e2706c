/* The table of error codes: sorted, bounded, safe to print. */
#include "server/report/errorstats.h"

#include <pthread.h>

#include "tests/check.h"

static struct errorstat list[ERRORSTATS_MAX];

static struct bytes code_of(const struct errorstat *stat) {
    return (struct bytes){stat->code, stat->code_len};
}

static void codes_are_counted_and_listed_in_order(void) {
    errorstats_reset();
    CHECK_INT(errorstats_list(list), 0);
    errorstats_note(BYTES("WRONGTYPE"));
    errorstats_note(BYTES("ERR"));
    errorstats_note(BYTES("NOAUTH"));
    errorstats_note(BYTES("ERR"));
    errorstats_note(BYTES("ER"));
    CHECK_INT(errorstats_list(list), 4);
    CHECK_BYTES(code_of(&list[0]), BYTES("ER"));
    CHECK_BYTES(code_of(&list[1]), BYTES("ERR"));
    CHECK_BYTES(code_of(&list[2]), BYTES("NOAUTH"));
    CHECK_BYTES(code_of(&list[3]), BYTES("WRONGTYPE"));
    CHECK_INT(list[1].count, 2);
    errorstats_reset();
    CHECK_INT(errorstats_list(list), 0);
}

static void a_code_cannot_break_a_line_of_info(void) {
    errorstats_reset();
    errorstats_note(BYTES("A:B,C=D#E F\r\n\0\x7f\xff"));
    CHECK_INT(errorstats_list(list), 1);
    CHECK_BYTES(code_of(&list[0]), BYTES("A_B_C_D_E_F_____"));
    errorstats_note(BYTES(""));
    CHECK_INT(errorstats_list(list), 2);
    CHECK_INT(list[0].code_len, 0);
}

static void long_codes_are_cut_and_counted_together(void) {
    errorstats_reset();
    errorstats_note(BYTES("A23456789012345678901234xyz"));
    errorstats_note(BYTES("A23456789012345678901234"));
    CHECK_INT(errorstats_list(list), 1);
    CHECK_INT(list[0].code_len, ERRORSTATS_CODE_MAX);
    CHECK_INT(list[0].count, 2);
}

static void a_flood_of_codes_ends_at_the_table_and_those_in_it_go_on_counting(void) {
    char code[16];
    errorstats_reset();
    for (unsigned i = 0; i < 3 * ERRORSTATS_MAX; i++) /* descending: each goes to the front */
        errorstats_note((struct bytes){code, (size_t)snprintf(code, sizeof code, "E%04u", 9999 - i)});
    CHECK_INT(errorstats_list(list), ERRORSTATS_MAX);
    for (unsigned i = 1; i < ERRORSTATS_MAX; i++)
        CHECK(bytes_compare(code_of(&list[i - 1]), code_of(&list[i])) < 0);
    errorstats_note(BYTES("E9999"));
    errorstats_note(BYTES("LATE"));
    CHECK_INT(errorstats_list(list), ERRORSTATS_MAX);
    CHECK_BYTES(code_of(&list[ERRORSTATS_MAX - 1]), BYTES("E9999"));
    CHECK_INT(list[ERRORSTATS_MAX - 1].count, 2);
}

enum { THREADS = 4, NOTES = 5000 };

static void *note(void *unused) {
    for (unsigned i = 0; i < NOTES; i++) errorstats_note(i % 2 ? BYTES("ONE") : BYTES("TWO"));
    return unused;
}

static void threads_lose_no_count(void) {
    pthread_t threads[THREADS];
    errorstats_reset();
    for (unsigned i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, note, NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK_INT(errorstats_list(list), 2);
    CHECK(list[0].count == THREADS * NOTES / 2 && list[1].count == THREADS * NOTES / 2);
}

int main(void) {
    RUN(codes_are_counted_and_listed_in_order);
    RUN(a_code_cannot_break_a_line_of_info);
    RUN(long_codes_are_cut_and_counted_together);
    RUN(a_flood_of_codes_ends_at_the_table_and_those_in_it_go_on_counting);
    RUN(threads_lose_no_count);
    return 0;
}
