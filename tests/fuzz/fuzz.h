/* fuzz.h - what a fuzz target is: one function, fed by libFuzzer or by replay.c. It returns 0 and ends the
 * program, by an abort, a failed CHECK or a sanitizer, when the code under test is wrong. */
#ifndef KEVY_TESTS_FUZZ_FUZZ_H
#define KEVY_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
