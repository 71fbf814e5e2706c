/* block.pml - clients that wait for keys are served by whoever creates them, at once, and once.
 *
 * What is modelled, and where it stands in C:
 *   shard           a client's own shard: its request looks at all keys and finds nothing (blocking_begin), or something;
 *                   then it waits for a post (waiting_posted), until its time is over (blocking_expired), or until its
 *                   connection ends (waiting_leave); at the end, release
 *   lock_reach      dispatch.c: stripes are locked, and what waiters of these may push to is added, until nothing is missing
 *   serve           blocking_serve: while a key that is held has elements and somebody waits for it
 *   feeder          a command, or a transaction, that creates keys
 *   outsider        CLIENT UNBLOCK (blocking_unblock), or CLIENT KILL (kill_client)
 *   claim           wait_claim: the compare-and-swap by which all of them decide who ends a wait
 *
 * What is abstracted: there are three keys, each in a stripe of its own, and two waiters on two shards; elements are counts.
 * What happens under all locks that it takes happens at once, but for the claim, the use of the waiter, and the post. Locks
 * of a set are taken in one step; with -DFINE one after the other, in their order, and then there are commands of more kinds,
 * but no outsider, and nobody's time is over. Only one of the two clients may leave or be named. Ready keys have no queue:
 * any key that has something for somebody is served.
 *
 * What must hold, whatever the order of steps:
 *   1. Whenever a stripe is given back, its key does not have both elements and somebody who waits for it. So nobody comes
 *      between a push and who is served by it, and nobody is left asleep.
 *   2. Who came first is served first.
 *   3. Who serves holds all that he touches; and nobody touches a waiter that was freed.
 *   4. Elements are neither lost nor doubled.
 *   5. Once CLIENT KILL has been answered the client is served no more.
 *   6. When nothing moves any more: nobody is locked out, and each wait goes on, or has ended, and its memory is free.
 *
 * must pass:
 * must pass: -DFINE
 * must fail: -DDEFECT=LOSER_FREES
 * must fail: -DDEFECT=REACH_ONCE
 * must fail: -DDEFECT=POP_FIRST
 * must fail: -DDEFECT=SERVED_LATE
 * must fail: -DDEFECT=ONE_ROUND
 * must fail: -DDEFECT=LOCKED_ON_TOP -DFINE
 * must fail: -DDEFECT=POST_BEFORE
 * must fail: -DDEFECT=POST_DROPPED
 * must fail: -DDEFECT=LINKED_LATE
 * must fail: -DDEFECT=LOOKS_FIRST
 * must fail: -DDEFECT=KILL_UNSEEN
 * must fail: -DDEFECT=NO_CLAIM_AT_KILL */
#ifndef DEFECT
#define DEFECT 0
#endif
#define LOSER_FREES      1 /* whose time is over frees its wait at once, though somebody else has claimed it */
#define REACH_ONCE       2 /* when more has been locked, nobody looks whether that is enough now */
#define POP_FIRST        3 /* an element is popped, and then the claim fails */
#define SERVED_LATE      4 /* who waits is served when the locks have been given back */
#define ONE_ROUND        5 /* what a waiter pushes when it is served, serves nobody */
#define LOCKED_ON_TOP    6 /* what is missing is locked without giving back what is held */
#define POST_BEFORE      7 /* the post goes out, and then the waiter is taken out of the lists */
#define POST_DROPPED     8 /* posts to a connection that is being closed are dropped, as others are */
#define LINKED_LATE      9 /* between the look at the keys and the lists the locks are given back */
#define LOOKS_FIRST     10 /* UNBLOCK goes to the wait before it has claimed it */
#define KILL_UNSEEN     11 /* who begins to wait does not look whether it was killed meanwhile */
#define NO_CLAIM_AT_KILL 12 /* CLIENT KILL posts the end, and leaves the wait as it is */

#define KEYS 3
#define NONE 3
#define BIT(k) (1 << (k))

/* enum wait_state; of UNBLOCK's two one is enough. */
#define WAITING 1
#define SERVED 2
#define UNBLOCKED 3
#define KILLED 4
#define ENDED 5

byte lock[KEYS]; /* 0, or who holds it */
byte items[KEYS], pushed, popped;

/* Of each client: its memory stays. */
byte state[2], mail[2];
bit closes[2], marked[2], dead[2]; /* its end is posted; client->killed; CLIENT KILL has been answered */
bit is_over[2];

/* Of each wait, which is freed. */
bit allocated[2], written[2]; /* its memory; its reply */
byte keys[2], target[2] = NONE;
byte linked[2];          /* in the lists of which keys */
byte came[6], ticket = 1; /* when, [client * KEYS + key] */

bit fed, decided;

#define WAITS(w, k) (state[w] == WAITING && (linked[w] & BIT(k)))
#define FIRST(w, k) (WAITS(w, k) && !(WAITS(1 - (w), k) && came[(1 - (w)) * KEYS + k] < came[(w) * KEYS + k]))

inline lock_one(k, set) {
    if
    :: (set & BIT(k)) && lock[k] != me -> atomic { lock[k] == 0 -> lock[k] = me }
    :: else
    fi
}
#ifdef FINE
#define AT_ONCE
#define MANY 1
#else
#define MANY 0
#define AT_ONCE atomic
#endif
inline lock_set(set) { AT_ONCE { lock_one(0, set); lock_one(1, set); lock_one(2, set) } }

inline unlock_all() {
    d_step {
        n = 0;
        do
        :: n == KEYS -> break
        :: n < KEYS ->
           if
           :: lock[n] == me -> lock[n] = 0; assert(!items[n] || !(WAITS(0, n) || WAITS(1, n)))
           :: else
           fi;
           n++
        od;
        n = 0
    }
}

/* waiters_reach: of the stripes that are held. */
inline reach() {
    d_step {
        more = set; n = 0;
        do
        :: n == 2 * KEYS -> break
        :: n < 2 * KEYS ->
           if
           :: (set & BIT(n % KEYS)) && (linked[n / KEYS] & BIT(n % KEYS)) && target[n / KEYS] != NONE ->
              more = more | BIT(target[n / KEYS])
           :: else
           fi;
           n++
        od;
        n = 0
    }
}

inline lock_reach(first) {
    AT_ONCE {
        set = first;
        lock_set(set);
        do
        :: true ->
           reach();
           if
           :: !(more & ~set) -> break
           :: else ->
#if DEFECT != LOCKED_ON_TOP
              unlock_all();
#endif
              set = more;
              lock_set(set);
#if DEFECT == REACH_ONCE
              break
#endif
           fi
        od;
        set = 0; more = 0
    }
}

inline claim(w, to) {
    d_step {
        if :: state[w] == WAITING -> state[w] = to; won = 1 :: else -> won = 0 fi
    }
}

inline unlink_held() {
    n = 0;
    do
    :: n == KEYS -> break
    :: n < KEYS -> if :: lock[n] == me -> linked[w] = linked[w] & ~BIT(n) :: else fi; n++
    od;
    n = 0
}

inline serve() {
    do
    :: d_step {
           w = 2; k = 0;
           do
           :: k == KEYS -> break
           :: k < KEYS && lock[k] == me && items[k] && FIRST(0, k) -> w = 0; break
           :: k < KEYS && lock[k] == me && items[k] && FIRST(1, k) -> w = 1; break
           :: else -> k++
           od;
           skip
       };
       if
       :: w == 2 -> break
       :: else ->
#if DEFECT == POP_FIRST
          items[k]--;
#endif
          atomic {
              claim(w, SERVED);
              assert(!won || (!dead[w] && !(WAITS(1 - w, k) && came[(1 - w) * KEYS + k] < came[w * KEYS + k])))
          };
          if
          :: !won
          :: won ->
#if DEFECT == POST_BEFORE
             mail[w]++;
#endif
             d_step { /* run_served, for this key alone */
                 assert(allocated[w]);
#if DEFECT != POP_FIRST
                 items[k]--;
#endif
                 popped++;
                 written[w] = 1;
                 if
                 :: target[w] != NONE -> assert(lock[target[w]] == me); items[target[w]]++; pushed++
                 :: else
                 fi;
                 unlink_held()
             };
#if DEFECT != POST_BEFORE
             mail[w]++;
#endif
#if DEFECT == ONE_ROUND
             break
#endif
          fi;
          won = 0
       fi
    od;
    w = 0; k = 0
}

proctype feeder(byte me) {
    byte set, more, n, w, k, a, b;
    bit won;
    if :: a = 0 :: a = 1 fi;
    AT_ONCE {
        if
        :: b = a; lock_reach(BIT(a)); d_step { items[a]++; pushed++ }
        :: MANY -> b = a; lock_reach(BIT(a)); d_step { items[a] = items[a] + 2; pushed = pushed + 2 }
        :: b = a + 1; lock_reach(BIT(a) | BIT(b)); d_step { items[a]++; items[b]++; pushed = pushed + 2 }
        :: MANY -> b = a; lock_reach(BIT(a)); d_step { items[a]++; pushed++; items[a]--; popped++ } /* it is gone at the end of EXEC */
        fi;
        a = 0; b = 0
    }
#if DEFECT == SERVED_LATE
    unlock_all();
    lock_set(7);
#endif
    serve();
    atomic { unlock_all(); fed = 1 }
}

/* Both hold the registry's mutex: the client does not go meanwhile. */
proctype outsider(byte w) {
    bit won;
    if
    :: true -> /* UNBLOCK */
#if DEFECT == LOOKS_FIRST
       if :: state[w] == WAITING -> assert(allocated[w]) :: else fi;
#endif
       claim(w, UNBLOCKED);
       atomic { if :: won -> assert(allocated[w]); mail[w]++ :: else fi; decided = 1 }
    :: true -> /* KILL */
       closes[w] = 1;
       marked[w] = 1;
#if DEFECT != NO_CLAIM_AT_KILL
       claim(w, KILLED);
#endif
       d_step { dead[w] = 1; decided = 1 }
    fi
}

proctype shard(byte me, self, may_leave) {
    byte set, more, n, w, k;
    bit won, patient, closing, tried;
    if /* BLPOP of one key, or of two; BLMOVE along a chain, back, or in place */
    :: atomic { keys[self] = 1; target[self] = NONE }
    :: atomic { keys[self] = 1; target[self] = 1 }
    :: atomic { MANY || self == 0 -> keys[self] = 3; target[self] = NONE }
    :: atomic { MANY -> keys[self] = 2; target[self] = 0 }
    :: atomic { MANY || self == 1 -> keys[self] = 2; target[self] = 2 }
    fi;
    if :: patient = 1 :: may_leave -> patient = 0 fi;
    lock_reach(keys[self] | (target[self] == NONE -> 0 : BIT(target[self])));
    d_step { k = 0; do :: k < KEYS && !((keys[self] & BIT(k)) && items[k]) -> k++ :: else -> break od; skip };
    if
    :: d_step {
           k < KEYS ->
           items[k]--; popped++;
           if :: target[self] != NONE -> items[target[self]]++; pushed++ :: else fi;
           k = 0; target[self] = NONE
       };
       serve();
       atomic { unlock_all(); is_over[self] = 1 }
    :: else ->
#if DEFECT == LINKED_LATE
       unlock_all();
       lock_set(keys[self]);
#endif
       d_step {
           allocated[self] = 1; linked[self] = keys[self]; k = 0;
           do
           :: k < KEYS -> if :: linked[self] & BIT(k) -> came[self * KEYS + k] = ticket :: else fi; k++
           :: else -> break
           od;
           k = 0; ticket++
       };
       state[self] = WAITING;
#if DEFECT != KILL_UNSEEN
       if :: marked[self] -> claim(self, KILLED) :: else fi;
#endif
       unlock_all();
       won = 0;
end_wait:
       do
       :: mail[self] ->
          mail[self]--;
          assert(state[self] != SERVED || written[self]); /* blocking_answer */
#if DEFECT == POST_DROPPED
          if :: closing :: else -> break fi
#else
          break
#endif
       :: !patient && !tried && !closing ->
          tried = 1;
          claim(self, ENDED);
          if
          :: won -> break
#if DEFECT == LOSER_FREES
          :: else -> break
#else
          :: else /* the post will come */
#endif
          fi
       :: (!patient || closes[self]) && !closing -> /* the peer closes, or POST_CLOSE has come */
          closing = 1;
          claim(self, ENDED);
          if :: won || state[self] == KILLED -> break :: else fi
       od;
       if /* release */
       :: linked[self] -> set = linked[self]; lock_set(set); linked[self] = 0; unlock_all(); set = 0
       :: else
       fi;
       d_step { allocated[self] = 0; target[self] = NONE; state[self] = 0; is_over[self] = 1 }
    fi
}

init {
    atomic {
#ifdef FINE
        run shard(1, 0, 0);
        decided = 1;
#else
        run shard(1, 0, 1);
        run outsider(0);
#endif
        run shard(2, 1, 0);
        run feeder(3)
    }
    timeout; /* nothing can move any more */
    assert(fed && decided && !lock[0] && !lock[1] && !lock[2]);
    assert(pushed == popped + items[0] + items[1] + items[2]);
    assert((is_over[0] || (state[0] == WAITING && !dead[0])) && (is_over[1] || state[1] == WAITING));
    assert(allocated[0] == !is_over[0] && allocated[1] == !is_over[1]);
    assert(!mail[0] && !mail[1])
}
