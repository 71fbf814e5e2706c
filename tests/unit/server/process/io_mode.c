/* What io-mode leads to on kernels that have io_uring and on those that refuse it. */
#include "server/process/io_mode.h"

#include "server/config/config.h"
#include "server/log.h"
#include "tests/check.h"
#include "tests/unit/options.h"
#include "tests/unit/ring_calls.h"

static int setup_error; /* a negative errno, or 0 */
static unsigned setups;
static char text[2048];

int ring_sys_setup(unsigned entries, struct io_uring_params *params) {
    setups++;
    return setup_error ? setup_error : ring_setup_granted(entries, params);
}

static bool choose(const char *option, int error) {
    config_defaults();
    options_set(option);
    setup_error = error;
    setups = 0;
    text[0] = '\0';
    return io_mode_choose(text, sizeof text);
}

/* What the log has gained, in `text`. */
static const char *logged(void) {
    char path[] = "/tmp/kevy-io-mode-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && log_open(path) == 0);
    io_mode_log();
    ssize_t n = read(fd, text, sizeof text - 1);
    CHECK(n >= 0);
    text[n] = '\0';
    close(fd);
    CHECK_INT(log_open("/dev/null"), 0);
    unlink(path);
    return text;
}

static void io_uring_is_taken_where_it_is_to_be_had(void) {
    static const char *const options[] = {"", "io-mode auto\n", "io-mode uring\n"};
    for (unsigned i = 0; i < 3; i++) {
        CHECK(choose(options[i], 0));
        CHECK(!io_mode_is_epoll() && setups > 0);
        CHECK(logged()[0] == '\0');
    }
}

static void where_it_is_refused_auto_goes_without_and_uring_does_not(void) {
    static const int errors[] = {-EPERM, -ENOSYS, -ENOMEM};
    for (unsigned i = 0; i < 3; i++) {
        CHECK(choose("", errors[i]) && io_mode_is_epoll());
        CHECK(strstr(logged(), "goes by epoll") && strstr(text, "a system call of its own"));
        CHECK(strstr(text, strerror(-errors[i])));
        CHECK(!choose("io-mode uring\n", errors[i]) && !io_mode_is_epoll());
        CHECK(strstr(text, "The kernel refused io_uring") && strstr(text, strerror(-errors[i])));
        CHECK(logged()[0] == '\0');
    }
}

/* Of descriptors epoll needs as many. */
static void a_lack_of_descriptors_is_told_as_one(void) {
    CHECK(!choose("", -EMFILE) && !io_mode_is_epoll() && strstr(text, "ulimit -n"));
    CHECK(!choose("", -ENFILE) && !io_mode_is_epoll() && strstr(text, "fs.file-max"));
    CHECK(choose("", 0) && !io_mode_fall_back(-EMFILE, "no descriptor") && !io_mode_is_epoll());
}

static void epoll_asks_for_no_ring(void) {
    CHECK(choose("io-mode epoll\n", 0));
    CHECK(io_mode_is_epoll() && setups == 0);
    CHECK(logged()[0] == '\0'); /* whoever asks for it is not told what it costs */
    CHECK(!io_mode_fall_back(-ENOMEM, "a reason"));
}

/* The probe had a ring, and a shard has none. */
static void a_ring_that_is_refused_later_is_a_reason_once(void) {
    CHECK(choose("", 0) && io_mode_fall_back(-ENOMEM, "no ring for shard 2.") && io_mode_is_epoll());
    CHECK(strstr(logged(), "no ring for shard 2."));
    CHECK(!io_mode_fall_back(-ENOMEM, "epoll does not work either"));
    CHECK(strstr(logged(), "no ring for shard 2."));
    CHECK(choose("io-mode uring\n", 0) && !io_mode_fall_back(-ENOMEM, "no ring for shard 2.") &&
          !io_mode_is_epoll());
}

int main(void) {
    log_set_level(LOG_LEVEL_WARNING);
    CHECK_INT(log_open("/dev/null"), 0);
    RUN(io_uring_is_taken_where_it_is_to_be_had);
    RUN(where_it_is_refused_auto_goes_without_and_uring_does_not);
    RUN(a_lack_of_descriptors_is_told_as_one);
    RUN(epoll_asks_for_no_ring);
    RUN(a_ring_that_is_refused_later_is_a_reason_once);
    return 0;
}
