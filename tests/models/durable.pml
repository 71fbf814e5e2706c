/* durable.pml - nobody is shown what a crash may take back, and nobody is held for ever.
 *
 * What is modelled, and where it stands in C:
 *   writer      a request that changes a stripe and tells somebody of it (an event, an invalidation, a client that is served):
 *               effects_claim, effects_seal, the marks of the stripe; then its own reply (send_hold, output_ready)
 *   reader      a request that changes the other stripe, one that took its ticket early and has nothing to record (it records
 *               PING), and one that reads both stripes: shown_note
 *   rotator     the cut of a new file (a rewrite), and the connection that the message is for: pubsub_ticket, blocking_shows
 *   await       a shard that parks: `awaits` before `parked`, `parked` before the look at journal_safe (loop/reactor.c, park)
 *   journal     writer_turn: gather, write, sync, journal_publish, post_wake_awaiting; the cut at the head of a batch alone,
 *               the old file synced before
 *   crash       of each file any part is there of what was not synced; recovery reads the files that the manifest lists, each
 *               up to where something is missing
 *   asker       (ENDLESS=1, instead of all this) a client that never stops asking: output_hold, output_ready
 *
 * What is abstracted: a number for all that a stripe holds; queues, of which tickets.pml is the model; the thread of the journal
 * is not asleep when there is a ticket for it, or only for a bounded time (its bell is wake.pml's protocol); failed writes. Spin's memory is sequentially
 * consistent: that pairs of store and look are that too is said where they stand in C.
 *
 * What must hold, whatever the order of steps:
 *   1. Whatever was shown of a stripe is there after a crash at any moment.
 *   2. Of the second file nothing is there unless the first one is whole: there is no hole between them.
 *   3. When nothing moves any more, everybody has been answered, and all tickets may be shown.
 *   4. ENDLESS: no reply leaves before its ticket is safe, and each with the second batch that begins behind it.
 *
 * Spin 6.5.2 on a busy machine of two CPUs: the first pass is 4.9 million states in 78 seconds, the second one 5,900; all 16 lines
 * take less than three minutes.
 *
 * must pass:
 * must pass: -DENDLESS=1
 * must fail: -DDEFECT=READ_FREE
 * must fail: -DDEFECT=MARK_LATE
 * must fail: -DDEFECT=DURABLE_EARLY
 * must fail: -DDEFECT=MESSAGE_FREE
 * must fail: -DDEFECT=CLAIM_MISSING
 * must fail: -DDEFECT=NOTHING_RECORDED
 * must fail: -DDEFECT=CUT_UNSYNCED
 * must fail: -DDEFECT=LIST_LATE
 * must fail: -DDEFECT=CUT_UNPUBLISHED
 * must fail: -DDEFECT=SLEEP_BLIND
 * must fail: -DDEFECT=AWAITS_LATE
 * must fail: -DDEFECT=WAKE_FIRST
 * must fail: -DENDLESS=1 -DDEFECT=ONE_MARK
 * must fail: -DENDLESS=1 -DDEFECT=MARK_FORGOTTEN */
#ifndef DEFECT
#define DEFECT 0
#endif
#define READ_FREE        1 /* a reply to who only reads waits for nothing */
#define MARK_LATE        2 /* the stripe's mark is written when its lock is free again */
#define DURABLE_EARLY    3 /* what was written is published before it is synced */
#define MESSAGE_FREE     4 /* a message says nothing of what it shows */
#define CLAIM_MISSING    5 /* who tells somebody in the middle of a request says what he knows of the ticket: the last one */
#define NOTHING_RECORDED 6 /* a ticket that was taken early has no record in the end */
#define CUT_UNSYNCED     7 /* one batch over both files */
#define LIST_LATE        8 /* the manifest lists the new file when the journal has come to it */
#define CUT_UNPUBLISHED  9 /* the cut has no bytes, and its ticket is not published */
#define SLEEP_BLIND      10 /* who parks does not look at what is safe once more */
#define AWAITS_LATE      11 /* `awaits` is written behind that look */
#define WAKE_FIRST       12 /* who is parked is looked at before what is safe is stored */
#define ONE_MARK         13 /* a connection has one mark, which each reply raises */
#define MARK_FORGOTTEN   14 /* the newer mark is dropped when the older one is over */
#ifndef ENDLESS
#define ENDLESS 0
#endif

#define MAX(a, b) (a > b -> a : b)
byte next, safe; /* tickets */

#if ENDLESS

#define REQUESTS 7
byte batch, batches, asked, left;         /* replies are numbered as their tickets */
byte older, older_from, newer, newer_from; /* marks: tickets, 0 for none, and how many replies lie in front */
byte begun[REQUESTS + 1];                  /* of a reply: how many batches had begun when it was written */

inline let_go() {
    do
    :: older && older <= safe ->
        older = newer;
        older_from = newer_from;
        newer = 0
    :: else -> break
    od;
    do
    :: left < asked && (!older || left < older_from) ->
        left++;
        assert(left <= safe) /* 4 */
    :: else -> break
    od;
    assert(left == asked || safe != batch || begun[left + 1] + 2 > batches) /* 4 */
}

active proctype asker() {
    do
    :: asked < REQUESTS ->
        d_step {
            next++;
            asked++;
            begun[asked] = batches;
            if
            :: !older || DEFECT == ONE_MARK ->
                if :: !older -> older_from = asked - 1 :: else fi;
                older = next
            :: else ->
                if :: !newer -> newer_from = asked - 1 :: else fi;
                newer = (DEFECT == MARK_FORGOTTEN -> 0 : next)
            fi;
            let_go()
        }
    :: asked == REQUESTS -> break
    od
}

active proctype committer() {
end:
    do
    :: batch == safe && next > safe -> d_step { batch = next; batches++ }
    :: batch > safe -> d_step { safe = batch; let_go() }
    od
}

#else

#define EXECUTORS 3
#define TICKETS 5
#define NEVER 99
bit held[2];
byte version[2], mark[2]; /* of a stripe */
byte shown[2];            /* the newest version that anybody was shown */
byte of0[TICKETS + 1], of1[TICKETS + 1]; /* the version of each stripe that a ticket made; 0: none */
bit sealed[TICKETS + 2];
byte cut = NEVER; /* the cut's ticket */
bit listed;
byte written, synced, synced2; /* tickets: all, of the first file, of the second one */
bit parked[EXECUTORS], awake[EXECUTORS], done[EXECUTORS];
byte awaits[EXECUTORS] = NEVER;
chan message = [1] of { byte, byte }; /* a version of stripe 0, and the ticket that it carries */
hidden byte p, q, i, last1, r0, r1;

/* A crash, with every part of what was not synced. */
inline crash() {
    d_step {
        last1 = (written < cut -> written : cut - 1);
        p = synced;
        do
        :: p <= last1 ->
            q = (written > cut -> MAX(synced2, cut) : cut);
            do
            :: q <= MAX(written, cut) ->
                r0 = 0;
                r1 = 0;
                i = 1;
                do
                :: i <= TICKETS ->
                    if
                    :: i <= p || (i > cut && i <= q && listed) ->
                        r0 = MAX(of0[i], r0);
                        r1 = MAX(of1[i], r1)
                    :: else
                    fi;
                    i++
                :: else -> break
                od;
                assert(!(listed && cut != NEVER && q > cut && p != cut - 1)); /* 2 */
                assert(r0 >= shown[0] && r1 >= shown[1]); /* 1 */
                q++
            :: else -> break
            od;
            p++
        :: else -> break
        od;
        p = 0; q = 0; i = 0; last1 = 0; r0 = 0; r1 = 0
    }
}

inline reveal(a, b) {
    d_step { shown[0] = MAX(a, shown[0]); shown[1] = MAX(b, shown[1]) };
    crash()
}

#define lock(s) atomic { !held[s] -> held[s] = 1 }
#define unlock(s) held[s] = 0

inline take(t) {
    atomic { next++; t = next; assert(next <= TICKETS) }
}

inline await(t) {
    do
    :: safe >= t -> break
    :: else ->
        if :: DEFECT != AWAITS_LATE -> awaits[me] = t :: else fi;
        parked[me] = 1;
        if
        :: safe < t || DEFECT == SLEEP_BLIND ->
            if :: DEFECT == AWAITS_LATE -> awaits[me] = t :: else fi;
            awake[me]
        :: else
        fi;
        atomic { parked[me] = 0; awake[me] = 0; awaits[me] = NEVER }
    od
}

active proctype writer() {
    byte me = 0, t, v;
    lock(0);
    version[0]++;
    v = version[0];
    if
    :: DEFECT == CLAIM_MISSING -> message!v,mark[0]; take(t)
    :: DEFECT == MESSAGE_FREE -> take(t); message!v,0
    :: else -> take(t); message!v,t
    fi;
    atomic { of0[t] = v; sealed[t] = 1 };
    if
    :: DEFECT == MARK_LATE -> unlock(0); mark[0] = t
    :: else -> mark[0] = t; unlock(0)
    fi;
    await(t);
    reveal(v, 0);
    done[me] = 1
}

active proctype reader() {
    byte me = 1, t, v0, v1, h;
    lock(1);
    take(t);
    if :: DEFECT != NOTHING_RECORDED -> sealed[t] = 1 :: else fi;
    unlock(1);
    lock(1);
    version[1]++;
    v1 = version[1];
    take(t);
    atomic { of1[t] = v1; sealed[t] = 1 };
    mark[1] = t;
    unlock(1);
    lock(0);
    lock(1);
    v0 = version[0];
    v1 = version[1];
    h = (DEFECT == READ_FREE -> 0 : MAX(mark[0], mark[1]));
    unlock(1);
    unlock(0);
    await(h);
    reveal(v0, v1);
    done[me] = 1
}

active proctype rotator() {
    byte me = 2, t, v;
    if :: DEFECT != LIST_LATE -> listed = 1 :: else fi;
    lock(0);
    lock(1);
    atomic { take(t); cut = t };
    sealed[t] = 1;
    unlock(1);
    unlock(0);
    message?v,t;
    await(t);
    reveal(v, 0);
    done[me] = 1
}

inline wake(e) {
    if
    :: parked[e] && awaits[e] <= upto -> atomic { parked[e] = 0; awake[e] = 1 }
    :: else
    fi
}

inline publish() {
    upto = written;
    if
    :: DEFECT == WAKE_FIRST -> wake(0); wake(1); wake(2); safe = upto
    :: DEFECT == CUT_UNPUBLISHED && upto == cut
    :: else -> safe = upto; wake(0); wake(1); wake(2)
    fi
}

#define HAS_NEXT (written < TICKETS && sealed[written + 1])

active proctype journal() {
    byte upto;
end:
    do
    :: HAS_NEXT && written + 1 == cut ->
        if :: DEFECT != CUT_UNSYNCED -> synced = written; crash() :: else fi;
        written = cut;
        synced2 = cut;
        if :: DEFECT != CUT_UNSYNCED -> publish() :: else fi;
        if :: DEFECT == LIST_LATE && written < TICKETS -> HAS_NEXT :: else fi
    :: HAS_NEXT && written + 1 != cut ->
        do
        :: HAS_NEXT && written + 1 != cut -> written++; crash()
        :: written > safe || (DEFECT == CUT_UNPUBLISHED && written > cut) -> break
        od;
        if :: DEFECT == DURABLE_EARLY -> publish() :: else fi;
        if
        :: written < cut -> synced = written
        :: else ->
            synced2 = written;
            crash();
            if :: DEFECT == CUT_UNSYNCED -> synced = cut - 1 :: else fi
        fi;
        crash();
        publish();
        if :: DEFECT == LIST_LATE && written > cut -> listed = 1 :: else fi
    od
}

/* When nothing moves any more. */
active proctype judge() {
    timeout;
    assert(done[0] && done[1] && done[2] && safe == next) /* 3 */
}

#endif
