/* Lists that connections enter, leave and are run from: against a plain array that says who stands where. */
#include "server/loop/conn_list.h"

#include "server/loop/conn.h"
#include "tests/check.h"

enum { CONNS = 20, STEPS = 20000 };

static struct conn conns[CONNS];
static struct conn_list first, second, other; /* the first two go by one link */

static void open_lists(void) {
    memset((void *)conns, 0, sizeof conns);
    conn_list_open(&first, offsetof(struct conn, turn_link));
    conn_list_open(&second, offsetof(struct conn, turn_link));
    conn_list_open(&other, offsetof(struct conn, flush_link));
}

static void the_first_to_come_is_the_first_to_be_had(void) {
    open_lists();
    CHECK(conn_list_empty(&first) && !conn_list_first(&first) && !conn_link_in(&conns[0].turn_link));
    for (unsigned i = 0; i < 3; i++) {
        conn_list_add(&first, &conns[i]);
        conn_list_add(&other, &conns[2 - i]);
    }
    CHECK(conn_list_first(&first) == &conns[0] && conn_list_first(&other) == &conns[2]);
    conn_link_out(&conns[0].turn_link);
    conn_link_out(&conns[0].turn_link); /* which is no mistake */
    CHECK(conn_list_first(&first) == &conns[1] && !conn_link_in(&conns[0].turn_link));
    CHECK(conn_link_in(&conns[0].flush_link)); /* the other link is another matter */
    for (unsigned i = 1; i < 3; i++) conn_link_out(&conns[i].turn_link);
    CHECK(conn_list_empty(&first) && !conn_list_empty(&other));
}

static void taking_moves_all_and_leaving_works_as_before(void) {
    struct conn_list taken;
    open_lists();
    conn_list_take(&taken, &first);
    CHECK(conn_list_empty(&taken) && conn_list_empty(&first));
    for (unsigned i = 0; i < 3; i++) conn_list_add(&first, &conns[i]);
    conn_list_take(&taken, &first);
    CHECK(conn_list_empty(&first) && conn_list_first(&taken) == &conns[0]);
    conn_list_add(&first, &conns[3]);
    conn_link_out(&conns[0].turn_link);
    conn_link_out(&conns[2].turn_link);
    CHECK(conn_list_first(&taken) == &conns[1] && conn_list_first(&first) == &conns[3]);
    conn_link_out(&conns[1].turn_link);
    CHECK(conn_list_empty(&taken));
}

static unsigned ran[CONNS], runs;

/* The first runs again next time, the second takes the third off the list, the fifth goes to another list. */
static void run(struct conn *conn) {
    unsigned number = (unsigned)(conn - conns);
    CHECK(!conn_link_in(&conn->turn_link));
    ran[runs++] = number;
    if (number == 0) conn_list_add(&first, conn);
    if (number == 1) conn_link_out(&conns[2].turn_link);
    if (number == 4) conn_list_add(&second, conn);
}

static void each_is_run_once_whatever_the_runs_do_to_the_list(void) {
    static const unsigned expected[] = {0, 1, 3, 4};
    open_lists();
    conn_list_run(&first, run);
    CHECK_INT(runs, 0);
    for (unsigned i = 0; i < 5; i++) conn_list_add(&first, &conns[i]);
    conn_list_run(&first, run);
    CHECK_INT(runs, 4);
    CHECK(memcmp(ran, expected, sizeof expected) == 0);
    CHECK(conn_list_first(&first) == &conns[0] && conn_list_first(&second) == &conns[4]);
    runs = 0;
    conn_list_run(&first, run);
    CHECK(runs == 1 && ran[0] == 0);
}

/* What a list holds, in order. */
struct model {
    unsigned count, number[CONNS];
};

static void model_out(struct model *model, unsigned number) {
    for (unsigned i = 0; i < model->count; i++)
        if (model->number[i] == number) {
            memmove(&model->number[i], &model->number[i + 1], (--model->count - i) * sizeof model->number[0]);
            return;
        }
}

static void check_list(const struct conn_list *list, const struct model *model) {
    const struct conn_link *link = list->head.next;
    for (unsigned i = 0; i < model->count; i++, link = link->next)
        CHECK(link == &conns[model->number[i]].turn_link && link->next->prev == link);
    CHECK(link == &list->head);
}

static void random_steps_leave_what_a_plain_array_would_hold(void) {
    struct model models[2] = {{0}, {0}};
    struct conn_list *lists[2] = {&first, &second};
    unsigned long long random = check_seed();
    open_lists();
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned number = check_random(&random) % CONNS, which = check_random(&random) % 2;
        if (conn_link_in(&conns[number].turn_link)) {
            conn_link_out(&conns[number].turn_link);
            model_out(&models[0], number);
            model_out(&models[1], number);
        } else {
            conn_list_add(lists[which], &conns[number]);
            models[which].number[models[which].count++] = number;
        }
        for (unsigned i = 0; i < 2; i++) check_list(lists[i], &models[i]);
    }
}

int main(void) {
    RUN(the_first_to_come_is_the_first_to_be_had);
    RUN(taking_moves_all_and_leaving_works_as_before);
    RUN(each_is_run_once_whatever_the_runs_do_to_the_list);
    RUN(random_steps_leave_what_a_plain_array_would_hold);
    return 0;
}
