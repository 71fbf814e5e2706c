/* gate.c - the rows lie scattered, pointers to them side by side in the linker section `gates`. */
#include "server/call/gate.h"

#include <stddef.h>

#include "server/call/command.h"

extern const struct gate *const __start_gates[];
extern const struct gate *const __stop_gates[];

/* DEBUG's stays up: it concerns no other row, and what it asks is cheap enough for that one. */
_Atomic uint32_t gates_up = GATE_MASK(GATE_PROTECTED);
uint32_t gates_client_flags;

static const struct gate *table[GATE_BITS];
static uint32_t gates_of_flag[32]; /* that each client flag raises */

const char *gate_table_open(void) {
    for (const struct gate *const *row = __start_gates; row < __stop_gates; row++) {
        const struct gate *gate = *row;
        if (gate->bit >= GATE_BITS) return "a gate's bit is out of range";
        if (table[gate->bit] && table[gate->bit] != gate) return "two gates have the same bit";
        if (!gate->concerns) return "a gate concerns nobody";
        if ((gate->ask == NULL) != (gate->bit >= MODE_FIRST)) return "gates ask, and modes do not";
        table[gate->bit] = gate;
        gates_client_flags |= gate->flags;
        for (unsigned flag = 0; flag < 32; flag++)
            if (gate->flags >> flag & 1) gates_of_flag[flag] |= GATE_MASK(gate->bit);
    }
    return NULL;
}

const struct gate *gate_at(unsigned bit) {
    return bit < GATE_BITS ? table[bit] : NULL;
}

uint32_t gates_of_command(const struct command *command) {
    uint32_t gates = 0;
    for (unsigned bit = 0; bit < GATE_BITS; bit++)
        if (table[bit] && table[bit]->concerns(command)) gates |= GATE_MASK(bit);
    return gates;
}

uint32_t gates_of_flags(uint32_t flags) {
    uint32_t gates = 0;
    for (uint32_t bits = flags & gates_client_flags; bits; bits &= bits - 1)
        gates |= gates_of_flag[__builtin_ctz(bits)];
    return gates;
}
