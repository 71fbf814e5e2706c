/* lock.pml - the lock of a stripe: an exchange takes it, a plain store gives it back, and who sleeps for it is woken.
 *
 * What is modelled, and where it stands in C:
 *   take            stripe_lock and stripe_lock_slow: the spin in front of it is the first try
 *   give            stripe_unlock and stripe_unlock_slow
 *   others_pass     membarrier(2): it returns when every other CPU has passed a barrier since it was called
 *   sleep, wake     FUTEX_WAIT while `waited` is 1, FUTEX_WAKE of one of those who sleep; the kernel looks and falls asleep
 *                   as one step, against every wake-up
 *
 * What is abstracted: memory is x86's and weaker. The store that gives the lock back may stay with its CPU for as long as it
 * likes, behind the look at `waited` too; exchanges, system calls and barriers of that CPU push it out, and the CPU itself
 * sees it. Nothing else that a thread stores is read without the lock. A sleep does not end by its time.
 *
 * What must hold, whatever the order of steps:
 *   1. No two hold the lock.
 *   2. When nothing moves any more everybody has had it ROUNDS times: nobody sleeps for ever.
 *
 * must pass:
 * must pass: -DTHREADS=2 -DROUNDS=4
 * must fail: -DDEFECT=NO_BARRIER
 * must fail: -DDEFECT=BARRIER_EARLY
 * must fail: -DDEFECT=NOT_SAID_AGAIN
 * must fail: -DDEFECT=SLEEPS_ON_LOCK */
#ifndef THREADS
#define THREADS 3
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef DEFECT
#define DEFECT 0
#endif
#define NO_BARRIER     1 /* who waits does not make the others pass a barrier */
#define BARRIER_EARLY  2 /* ... or makes them before it says that it waits */
#define NOT_SAID_AGAIN 3 /* who was woken tries the lock without saying again that it is waited for */
#define SLEEPS_ON_LOCK 4 /* the sleep is for as long as the lock is held, whatever `waited` says */

#define NOBODY 255

byte lock = 0, waited = 0, holders = 0, done = 0;
byte pending = NOBODY; /* whose store of 0 to the lock is still with its CPU: only a holder has one, so there is one at most */
bit asleep[3];

/* A barrier of one's own: exchanges and system calls. */
inline drain() {
    if
    :: pending == _pid -> lock = 0; pending = NOBODY
    :: else
    fi
}

inline others_pass() {
    d_step {
        if
        :: pending != NOBODY -> lock = 0; pending = NOBODY
        :: else
        fi
    }
}

/* Whoever holds the lock by his own eyes gives it back; `seen` is what he saw of `waited`. */
inline give() {
    d_step {
        assert(holders == 1 && lock == 1 && pending == NOBODY);
        holders--;
        pending = _pid
    }
    d_step { seen = waited }
    if
    :: seen ->
        d_step { drain(); waited = 0 }
        atomic { /* of those who sleep one is woken, whichever */
            if
            :: asleep[0] -> asleep[0] = 0
            :: asleep[1] -> asleep[1] = 0
            :: asleep[2] -> asleep[2] = 0
            :: else
            fi
        }
    :: else
    fi
}

inline try() {
    d_step {
        drain();
        if
        :: lock == 0 -> lock = 1; assert(holders == 0); holders++; taken = 1
        :: else -> taken = 0
        fi
    }
}

inline take() {
    try();
    first = 1;
    do
    :: taken -> break
    :: else ->
        if
        :: DEFECT == BARRIER_EARLY -> others_pass()
        :: else
        fi;
        if
        :: DEFECT == NOT_SAID_AGAIN && !first
        :: else -> d_step { drain(); waited = 1 }
        fi;
        first = 0;
        if
        :: DEFECT != NO_BARRIER && DEFECT != BARRIER_EARLY -> others_pass()
        :: else
        fi;
        try();
        if
        :: taken
        :: else ->
            d_step {
                if
                :: DEFECT == SLEEPS_ON_LOCK -> asleep[_pid] = lock
                :: else -> asleep[_pid] = waited
                fi
            }
            asleep[_pid] == 0
        fi
    od
}

active [THREADS] proctype thread() {
    byte rounds;
    bit taken, first, seen;
    do
    :: rounds == ROUNDS -> break
    :: else -> take(); give(); rounds++
    od;
    done++
}

/* The store comes out by itself, whenever it likes. */
active proctype memory() {
    do
    :: d_step { pending != NOBODY -> lock = 0; pending = NOBODY }
    :: timeout -> break
    od;
    assert(done == THREADS)
}
