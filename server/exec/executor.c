/* executor.c - the beginning and the end of an executor; dispatch.c makes it run. */
#include "server/exec/executor.h"

#include <stdlib.h>

void request_free(struct request *request) {
    request_args_free(&request->args);
    free(request->hash);
    free(request->keys);
    request->hash = NULL;
    request->keys = NULL;
    request->hash_capacity = request->key_capacity = request->key_count = 0;
}

void executor_open(struct executor *executor, unsigned index) {
    executor->index = index;
    executor->effects = (struct effects){
        .metrics = &executor->metrics, .wakes = &executor->wakes, .journal = journal_queue(index)};
    executor->effects.tracking.wakes = &executor->wakes;
    executor->call.effects = &executor->effects;
    executor->call.want = &executor->want;
    executor->call.wait = &executor->wait;
    clock_read(&executor->clock);
    metrics_register(&executor->metrics, command_count());
    histograms_register(&executor->histograms);
}

void executor_close(struct executor *executor) {
    buffer_free(&executor->own_lines);
    invalidator_close(&executor->effects.tracking);
    deadlines_close(&executor->deadlines);
    metrics_unregister(&executor->metrics);
    histograms_unregister(&executor->histograms);
    for (unsigned i = 0; i < BATCH_REQUESTS; i++) request_free(&executor->batch[i]);
}
