/* intake.c - a few words that one thread writes and all may read. */
#include "server/journal/intake.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/config/config.h"
#include "server/journal/delay.h"

static struct {
    _Atomic bool going, cancelled;
    _Atomic int64_t begun_s;
    _Atomic uint64_t total, taken, memory;
    _Atomic uint64_t keys; /* that a delay was asked for: several threads may load */
} intake;

void intake_begin(uint64_t total, int64_t now_s) {
    intake.begun_s = now_s;
    intake.total = total;
    intake.taken = intake.memory = 0;
    intake.cancelled = false;
    intake.going = true;
}

void intake_note(uint64_t taken, uint64_t memory) {
    intake.taken = taken;
    if (memory) intake.memory = memory;
}

void intake_end(void) {
    assert(intake.taken <= INT64_MAX && intake.total <= INT64_MAX);
    intake.going = false;
}

bool intake_going(void) {
    return intake.going;
}

void intake_cancel(void) {
    intake.cancelled = true;
}

bool intake_cancelled(void) {
    return intake.going && intake.cancelled;
}

bool intake_delays(void) {
    return config.key_load_delay != 0;
}

void intake_delay(void) {
    int64_t delay_us = config.key_load_delay;
    if (delay_us) delay_sleep(delay_after_key(delay_us, intake.keys++));
}

/* Where the length of the files is not known, the memory that their keys took stands for it. */
struct intake_figures intake_figures(int64_t now_s) {
    struct intake_figures figures = {
        .begun_s = intake.begun_s, .total = intake.total, .taken = intake.taken, .memory = intake.memory};
    uint64_t whole = figures.total ? figures.total : figures.memory;
    if (whole && whole < figures.taken) whole = figures.taken;
    uint64_t left = whole ? whole - figures.taken : 1;
    int64_t elapsed_s = now_s - figures.begun_s;
    if (whole) figures.percent = (double)figures.taken / (double)whole * 100;
    figures.eta_s =
        elapsed_s <= 0 ? 1 : (int64_t)((double)elapsed_s * (double)left / (double)(figures.taken + 1));
    return figures;
}
