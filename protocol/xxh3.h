/* xxh3.h - XXH3, a fast hash of 64 bits that is the same on every machine: by it DIGEST tells values apart. It is no
 * protection against who looks for two values with the same hash. */
#ifndef KEVY_PROTOCOL_XXH3_H
#define KEVY_PROTOCOL_XXH3_H

#include <stdint.h>

#include "protocol/bytes.h"

/* With the seed 0 and the secret that the specification gives. */
uint64_t xxh3(struct bytes bytes);

#endif
