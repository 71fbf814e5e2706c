/* log.c - lines of the log: their form, their length, whom they obey, and that threads do not mix them. */
#include "server/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/check.h"

/* The monotonic clock stands still, but for what a test adds: it says when the log looks where its file is. */
static uint64_t passed_us;

int __wrap_clock_gettime(clockid_t id, struct timespec *time);
int __real_clock_gettime(clockid_t id, struct timespec *time);
int __wrap_clock_gettime(clockid_t id, struct timespec *time) {
    if (id != CLOCK_MONOTONIC) return __real_clock_gettime(id, time);
    uint64_t now_us = __atomic_load_n(&passed_us, __ATOMIC_RELAXED);
    *time =
        (struct timespec){.tv_sec = (time_t)(now_us / 1000000), .tv_nsec = (long)(now_us % 1000000 * 1000)};
    return 0;
}

static void a_tick_passes(void) {
    __atomic_fetch_add(&passed_us, 100 * 1000, __ATOMIC_RELAXED);
}

static char dir[] = "/tmp/kevy-log-XXXXXX";
static char path[64];

/* What the log file holds; static memory. */
static const char *logged(const char *file) {
    static char text[1 << 20];
    FILE *in = fopen(file, "r");
    CHECK(in);
    size_t len = fread(text, 1, sizeof text - 1, in);
    text[len] = '\0';
    fclose(in);
    return text;
}

static bool matches(const char *text, const char *pattern) {
    regex_t regex;
    CHECK_INT(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static void fresh(const char *name) {
    snprintf(path, sizeof path, "%s/%s", dir, name);
    CHECK_INT(log_open(path), 0);
    log_set_level(LOG_LEVEL_DEBUG);
}

static void a_line_has_redis_form(void) {
    fresh("form");
    log_write(LOG_LEVEL_DEBUG, "one %d", 1);
    log_verbose("two");
    log_notice("three");
    log_warning("four");
    char expected[512], *at = expected;
    const char *rest[] = {"\\. one 1\n", "- two\n", "\\* three\n", "# four\n"};
    *at++ = '^';
    for (int i = 0; i < 4; i++)
        at += snprintf(at, (size_t)(expected + sizeof expected - at),
                       "%d:M [0-9]{2} [A-Z][a-z]{2} [0-9]{4} %s %s", (int)getpid(),
                       "[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}", rest[i]);
    snprintf(at, (size_t)(expected + sizeof expected - at), "$");
    CHECK(matches(logged(path), expected));
    CHECK(!matches("1:M 22 Nov 2026 17:55:00.123 * three\n", expected)); /* the pattern can fail */
}

static void a_line_below_the_level_is_not_written(void) {
    fresh("level");
    log_set_level(LOG_LEVEL_WARNING);
    log_notice("hidden");
    log_warning("shown");
    CHECK(!strstr(logged(path), "hidden"));
    CHECK(strstr(logged(path), "shown"));
}

static void control_bytes_cannot_forge_lines(void) {
    fresh("forged");
    log_notice("name %s", "a\r\n1:M 01 Jan 2026 00:00:00.000 # forged\x1b[2J\x7f\tend");
    const char *text = logged(path);
    CHECK(strstr(text, "name a??1:M 01 Jan 2026 00:00:00.000 # forged?[2J?\tend\n"));
    CHECK(strchr(text, '\n') == text + strlen(text) - 1);
}

static void a_long_line_is_cut_and_still_ends(void) {
    fresh("long");
    char *long_text = malloc(5000);
    CHECK(long_text);
    memset(long_text, 'x', 4999);
    long_text[4999] = '\0';
    log_notice("%s", long_text);
    log_notice("next");
    free(long_text);
    const char *text = logged(path), *end = strchr(text, '\n');
    CHECK_INT(end - text, 1023);
    CHECK(strstr(end, "* next\n"));
}

static void reopening_follows_a_moved_file(void) {
    fresh("rotated");
    char old[80];
    snprintf(old, sizeof old, "%s.1", path);
    log_notice("before");
    CHECK_INT(rename(path, old), 0);
    log_notice("still the old");
    CHECK_INT(log_reopen(), 0);
    log_notice("after");
    CHECK(strstr(logged(old), "before") && strstr(logged(old), "still the old") &&
          !strstr(logged(old), "after"));
    CHECK(strstr(logged(path), "after") && !strstr(logged(path), "before"));
}

/* logrotate's file for redis-server sends no signal. */
static void a_file_that_was_moved_or_removed_is_noticed(void) {
    fresh("followed");
    char old[80];
    snprintf(old, sizeof old, "%s.1", path);
    a_tick_passes();
    log_notice("before");
    CHECK_INT(rename(path, old), 0);
    log_notice("within the tick");
    a_tick_passes();
    log_notice("after");
    CHECK(strstr(logged(old), "before") && strstr(logged(old), "within the tick") &&
          !strstr(logged(old), "after"));
    CHECK(strstr(logged(path), "after") && !strstr(logged(path), "within"));
    CHECK_INT(rename(old, path), 0); /* another file under the name */
    a_tick_passes();
    log_notice("replaced");
    CHECK(strstr(logged(path), "before") && strstr(logged(path), "replaced"));
    CHECK_INT(unlink(path), 0);
    a_tick_passes();
    log_notice("anew");
    CHECK(strstr(logged(path), "anew") && !strstr(logged(path), "replaced"));
}

static void what_cannot_be_begun_anew_is_tried_again(void) {
    char place[80], moved[96];
    snprintf(place, sizeof place, "%s/place", dir);
    snprintf(moved, sizeof moved, "%s.1", place);
    CHECK_INT(mkdir(place, 0700), 0);
    fresh("place/log");
    CHECK_INT(rename(place, moved), 0);
    a_tick_passes();
    log_notice("kept");
    CHECK_INT(mkdir(place, 0700), 0);
    a_tick_passes();
    log_notice("anew");
    CHECK(strstr(logged(path), "anew") && !strstr(logged(path), "kept"));
    snprintf(path, sizeof path, "%.50s/log", moved);
    CHECK(strstr(logged(path), "kept"));
}

static void what_is_no_file_stays(void) {
    char name[64], text[4096];
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[1]);
    CHECK_INT(log_open(name), 0);
    CHECK_INT(close(ends[1]), 0);
    a_tick_passes();
    log_notice("into the pipe");
    ssize_t len = read(ends[0], text, sizeof text - 1);
    CHECK(len > 0);
    text[len] = '\0';
    CHECK(strstr(text, "into the pipe"));
    fresh("after");
    close(ends[0]);
}

static void a_target_that_cannot_be_opened_leaves_the_old_one(void) {
    fresh("kept");
    char bad[96];
    snprintf(bad, sizeof bad, "%s/no/such/place", dir);
    CHECK(log_open(bad) < 0);
    CHECK(log_open(dir) < 0);
    log_notice("kept");
    CHECK(strstr(logged(path), "kept"));
    CHECK_INT(log_reopen(), 0);
}

enum { WRITERS = 4, LINES = 500 };

static void *writer(void *number) {
    for (int i = 0; i < LINES; i++) log_notice("writer %d line %d end", *(int *)number, i);
    return NULL;
}

static void threads_do_not_mix_lines_even_while_the_file_is_reopened(void) {
    fresh("threads");
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        CHECK_INT(pthread_create(&threads[i], NULL, writer, &numbers[i]), 0);
    }
    for (int i = 0; i < 50; i++) CHECK_INT(log_reopen(), 0);
    for (int i = 0; i < WRITERS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);

    int seen[WRITERS] = {0}, count = 0;
    for (const char *line = logged(path), *end; (end = strchr(line, '\n')); line = end + 1, count++) {
        int number, place;
        char tail[8];
        const char *text = strstr(line, "* ");
        CHECK(text && text < end);
        CHECK_INT(sscanf(text, "* writer %d line %d %3[end]", &number, &place, tail), 3);
        CHECK(number >= 0 && number < WRITERS);
        CHECK_INT(place, seen[number]++); /* in its own order, and none lost */
    }
    CHECK_INT(count, WRITERS * LINES);
}

int main(void) {
    CHECK(mkdtemp(dir));
    RUN(a_line_has_redis_form);
    RUN(a_line_below_the_level_is_not_written);
    RUN(control_bytes_cannot_forge_lines);
    RUN(a_long_line_is_cut_and_still_ends);
    RUN(reopening_follows_a_moved_file);
    RUN(a_file_that_was_moved_or_removed_is_noticed);
    RUN(what_cannot_be_begun_anew_is_tried_again);
    RUN(what_is_no_file_stays);
    RUN(a_target_that_cannot_be_opened_leaves_the_old_one);
    RUN(threads_do_not_mix_lines_even_while_the_file_is_reopened);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command) != 0;
}
