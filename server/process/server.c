/* server.c - starting and ending the process: listeners, shards, signals. The main thread only waits for signals;
 * shards never see one. */
#include "server/process/server.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/config/config.h"
#include "server/journal/claim.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot.h"
#include "server/log.h"
#include "server/loop/deliver.h"
#include "server/loop/listener.h"
#include "server/loop/reactor.h"
#include "server/loop/shard.h"
#include "server/process/cpus.h"
#include "server/process/crash.h"
#include "server/process/explain.h"
#include "server/process/interrupt.h"
#include "server/process/io_mode.h"
#include "server/process/pidfile.h"
#include "server/process/reaper.h"
#include "server/process/recover.h"
#include "server/process/scribe.h"
#include "server/process/systemd.h"
#include "server/process/watchdog.h"
#include "uring/probe.h"

int64_t server_started_ms;

static pthread_t main_thread;
static _Atomic int exit_code;
static _Atomic bool save_at_end, stopping;
enum { SAVE_SECONDS = 600 }; /* that a service manager is asked to wait for it */

/* ---- Shards --------------------------------------------------------------------------------------- */

/* Shards open their rings one after the other (rings attach to those of shards before them) and begin to turn
 * together, when all are open. They close together too, and after the order to: until then any may post to any, and
 * the main thread may still be waking those that it told to stop. */
enum order { SHARDS_WAIT, SHARDS_RUN, SHARDS_CLOSE, SHARDS_GIVE_UP };

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned opened; /* shards that have tried */
    int error;       /* of the last that tried */
    enum order order;
    unsigned ended; /* shards that have left their loop */
} startup = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void pin(unsigned index, int cpu) {
    cpu_set_t set;
    if (cpu < 0) return;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    int error = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
    if (error) log_warning("Shard %u cannot run on CPU %d: %s", index, cpu, strerror(error));
}

/* Says how opening went; returns whether to run. */
static bool wait_for_order(int error) {
    pthread_mutex_lock(&startup.mutex);
    startup.error = error;
    startup.opened++;
    pthread_cond_broadcast(&startup.changed);
    while (!error && startup.order == SHARDS_WAIT) pthread_cond_wait(&startup.changed, &startup.mutex);
    bool run = !error && startup.order != SHARDS_GIVE_UP;
    pthread_mutex_unlock(&startup.mutex);
    return run;
}

static void wait_for_others(void) {
    pthread_mutex_lock(&startup.mutex);
    startup.ended++;
    pthread_cond_broadcast(&startup.changed);
    while (startup.ended < shard_count || startup.order != SHARDS_CLOSE)
        pthread_cond_wait(&startup.changed, &startup.mutex);
    pthread_mutex_unlock(&startup.mutex);
}

static void *shard_main(void *argument) {
    struct shard *shard = argument;
    struct shard_place place = cpus_place(shard->index);
    place.epoll = io_mode_is_epoll();
    char name[16];
    snprintf(name, sizeof name, "shard-%u", shard->index);
    pthread_setname_np(pthread_self(), name);
    pin(shard->index, place.cpu);
    if (wait_for_order(shard_open(shard, &place))) {
        reactor_run(shard);
        wait_for_others();
    }
    shard_close(shard);
    return NULL;
}

enum { WHY_SIZE = 1024 };
enum started { STARTED, NO_THREAD, NO_IO };

/* Why not stands in `why`, and of NO_IO the negative errno in *io_error. */
static enum started start_shard(struct shard *shard, int *io_error, char why[WHY_SIZE]) {
    unsigned number = shard->index + 1;
    int error = pthread_create(&shard->thread, NULL, shard_main, shard);
    if (error) {
        shard_close(shard);
        explain_thread(-error, number, shard_count, why, WHY_SIZE);
        return NO_THREAD;
    }
    pthread_mutex_lock(&startup.mutex);
    while (startup.opened <= shard->index) pthread_cond_wait(&startup.changed, &startup.mutex);
    error = startup.error;
    pthread_mutex_unlock(&startup.mutex);
    *io_error = error;
    if (!error) return STARTED;
    pthread_join(shard->thread, NULL);
    if (io_mode_is_epoll())
        explain_epoll(error, number, shard_count, why, WHY_SIZE);
    else
        probe_explain(error, number, shard_count, why, WHY_SIZE);
    return NO_IO;
}

static void give_order(enum order order) {
    pthread_mutex_lock(&startup.mutex);
    startup.order = order;
    pthread_cond_broadcast(&startup.changed);
    pthread_mutex_unlock(&startup.mutex);
}

/* All or none. */
static enum started try_shards(int *io_error, char why[WHY_SIZE]) {
    startup.opened = 0;
    startup.order = SHARDS_WAIT;
    for (unsigned i = 0; i < shard_count; i++) {
        shard_init(&shards[i], i);
        enum started started = start_shard(&shards[i], io_error, why);
        if (started == STARTED) continue;
        give_order(SHARDS_GIVE_UP);
        while (i-- > 0) pthread_join(shards[i].thread, NULL);
        return started;
    }
    give_order(SHARDS_RUN);
    return STARTED;
}

/* Where one shard gets no ring, none has one. */
static bool start_shards(void) {
    char why[WHY_SIZE];
    int error = 0;
    enum started started = try_shards(&error, why);
    if (started == NO_IO && io_mode_fall_back(error, why)) started = try_shards(&error, why);
    if (started != STARTED) log_warning("%s", why);
    if (started == STARTED) io_mode_log();
    return started == STARTED;
}

/* Whoever writes the journal lets held replies go until the shards have left their loops, and may be about to wake one of
 * them: it ends before they close what it wakes them by. False where it could not write all. */
static bool stop_shards(void) {
    static const struct timespec moment = {.tv_nsec = 1000 * 1000};
    while (!deliver_stop()) nanosleep(&moment, NULL);
    pthread_mutex_lock(&startup.mutex);
    while (startup.ended < shard_count) pthread_cond_wait(&startup.changed, &startup.mutex);
    pthread_mutex_unlock(&startup.mutex);
    snapshot_close();
    bool ok = scribe_stop();
    give_order(SHARDS_CLOSE);
    for (unsigned i = 0; i < shard_count; i++) pthread_join(shards[i].thread, NULL);
    return ok;
}

/* ---- Start and end -------------------------------------------------------------------------------- */

static const int handled_signals[] = {SIGINT, SIGTERM, SIGHUP};

static sigset_t signal_set(void) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof handled_signals / sizeof handled_signals[0]; i++)
        sigaddset(&set, handled_signals[i]);
    return set;
}

/* kevy waits for no process. What becomes its child is another's, inherited by the first process of a container, or that
 * of a script which became kevy: the kernel removes those that end from now on, and these calls those that have. */
static void forget_children(void) {
    signal(SIGCHLD, SIG_IGN);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

static void prepare_signals(void) {
    sigset_t set = signal_set();
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* inherited by every shard */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    (void)crash_watch();
    forget_children();
}

static void close_all(void) {
    claim_release(); /* at once: to free all takes its time, and the next server may be waiting to start */
    reaper_stop();
    listeners_close();
    stripes_close();
    scribe_close();
    free(shards);
    shards = NULL;
    pidfile_remove(); /* the last: then all is over */
}

/* Those that systemd passed stand for what the configuration names. */
static bool open_listeners(void) {
    char error[256];
    int passed[LISTENERS_MAX + 1]; /* one more, so that too many are noticed */
    unsigned count = systemd_listen_fds(passed, LISTENERS_MAX + 1);
    bool ok = count ? listeners_adopt(passed, count, error, sizeof error)
                    : listeners_open(error, sizeof error);
    if (!ok) log_warning("%s", error);
    return ok;
}

static bool open_stripes(void) {
    char text[512];
    int error = stripes_open(shard_count, (unsigned)config.databases);
    if (error) log_warning("%s", explain_keyspace(error, text, sizeof text));
    if (!error) effects_publish();
    if (!error && explain_room(stripes_room(), text, sizeof text)) log_notice("%s", text);
    return !error;
}

static bool start_all(void) {
    shards = aligned_alloc(_Alignof(struct shard), shard_count * sizeof *shards);
    if (!shards) {
        log_warning("Out of memory for %u shards", shard_count);
        return false;
    }
    if (!open_stripes() || !scribe_open() || !open_listeners()) return false;
    log_notice("kevy %s listens, PID: %d", KEVY_VERSION, (int)getpid());
    if (!reaper_start()) log_warning("No thread to free large values on: shards free them themselves");
    if (!recover_begin() || (!intake_going() && !scribe_start(false)) || !start_shards()) return false;
    if (recover()) return true;
    (void)stop_shards();
    return false;
}

bool server_start(void) {
    main_thread = pthread_self();
    server_started_ms = clock_unix_ms();
    prepare_signals();
    interrupt_watch(INTERRUPT_START);
    pidfile_write();
    shard_count = mailbox_count = config_shards();
    cpus_find(shard_count);
    bool ok = start_all();
    if (!ok) (void)scribe_stop();
    if (!ok) close_all();
    interrupt_unwatch();
    return ok;
}

void server_stop(int code, bool saved) {
    exit_code = code;
    if (saved) save_at_end = true;
    stopping = true;
    listeners_refuse(); /* before who asked for it is put out */
    intake_cancel();
    pthread_kill(main_thread, SIGTERM);
}

bool server_stopping(void) {
    return stopping;
}

static void have_shards_look(void) {
    struct wakes wakes = {0};
    post_look_again(&wakes);
    for (unsigned shard; wakes_take(&wakes, &shard);) (void)io_wake_fd(mailboxes[shard].wake_fd);
}

/* Tells the service manager that all is well, if it is, and it is time to. Microseconds until it is again; -1: never. */
static int64_t show_life(void) {
    struct timespec interval;
    if (systemd_due() && watchdog_shards_turn()) systemd_watchdog();
    return systemd_interval(&interval) ? interval.tv_sec * 1000000 + interval.tv_nsec / 1000 : -1;
}

/* Somebody outside wants the end: what is not saved yet is, if there are save points or he says so. False: the server goes
 * on, for it could not be saved. */
static bool save_for_signal(int64_t how) {
    bool saves = how & CONFIG_SHUTDOWN_SAVE || (config_saves() && !(how & CONFIG_SHUTDOWN_NOSAVE));
    if (!saves || intake_going()) return true; /* half of a file must not replace it */
    log_notice("Saving the final RDB snapshot before exiting.");
    systemd_extend(SAVE_SECONDS);
    interrupt_watch(INTERRUPT_END); /* he need not wait for it */
    bool saved = snapshot_ask(have_shards_look, show_life);
    interrupt_unwatch();
    save_at_end = saved;
    if (!saved)
        log_warning(how & CONFIG_SHUTDOWN_FORCE ? "Error trying to save the DB, exiting anyway."
                                                : "Error trying to save the DB, can't exit.");
    return saved || how & CONFIG_SHUTDOWN_FORCE;
}

/* The next signal, or -1 when the watchdog is due. */
static int next_signal(const sigset_t *set, bool *from_here) {
    struct timespec interval, *limit = systemd_interval(&interval);
    siginfo_t info;
    int got = limit ? sigtimedwait(set, &info, limit) : sigwaitinfo(set, &info);
    *from_here = got >= 0 && info.si_pid == getpid(); /* server_stop's: who called it has told, and saved */
    if ((got == SIGTERM || got == SIGINT) && !*from_here) interrupt_tell(got);
    return got;
}

/* Who asked for the end has saved all, and gave the stripes back: others may have changed some of it until they stopped. */
static void save_the_rest(void) {
    if (snapshot_figures(clock_unix_ms()).changes == 0) return;
    systemd_extend(SAVE_SECONDS);
    if (snapshot_save(clock_unix_ms())) return;
    log_warning("What was changed while shutting down is not saved");
    exit_code = 1;
}

int server_run(void) {
    sigset_t set = signal_set();
    for (;;) {
        bool from_here;
        int got = next_signal(&set, &from_here);
        if (got == SIGHUP) {
            int error = log_reopen();
            if (error) log_warning("Cannot reopen the log: %s", strerror(-error));
        }
        if ((got == SIGTERM || got == SIGINT) &&
            (from_here ||
             save_for_signal(got == SIGINT ? config.shutdown_on_sigint : config.shutdown_on_sigterm)))
            break;
        (void)show_life();
    }
    interrupt_watch(INTERRUPT_END);
    log_notice("Shutting down");
    listeners_refuse();
    systemd_stopping();
    if (!stop_shards()) exit_code = 1;
    if (save_at_end && !intake_going()) save_the_rest();
    close_all();
    log_notice("kevy is now ready to exit, bye bye...");
    interrupt_unwatch();
    return exit_code;
}
