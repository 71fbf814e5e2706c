/* tickets.pml - changes are recorded in the order in which they were made, whichever thread made them.
 *
 * What is modelled, and where it stands in C:
 *   executor        a shard that runs requests (run_plain, run_holding in server/exec/dispatch.c): the locks of its stripes
 *                   in ascending order, a change in each, effects_end, the locks back
 *   change          effect and effect_heard: a new version of what the stripe holds; where the journal listens to the
 *                   stripe, a record (queue_add)
 *   seal            journal_seal: a ticket for the request, which queue_seal writes into its records before it raises the
 *                   count `sealed`, up to which the merging thread may look. (Who takes one earlier is in durable.pml, and so
 *                   is all that happens behind the merger.)
 *   starter         journal_listen
 *   merger          merge_next: the ticket behind the last one, wherever it is; all records of that ticket, one after another
 *
 * What is abstracted: two stripes, and a number for all that a stripe holds. A request changes one of them or, a transaction,
 * both. Chunks and their memory are not here, nor what a record says. Spin's memory is sequentially consistent; that the
 * records are there when `sealed` says so is what its release and acquire are for, as the defect SEALED_EARLY shows. The
 * counter of tickets needs no order of its own: the locks give it.
 *
 * What must hold, whatever the order of steps:
 *   1. The merger sees the versions of each stripe one by one, in their order, from the moment on when the journal began to
 *      listen: so what it has seen is at any time what the stripes held at some time.
 *   2. It sees both changes of a transaction, or none, and nothing between them.
 *   3. When nothing moves any more, it has seen every record.
 *
 * LATE_SEAL=1: the ticket is taken under the locks, and only then are they given back, before the records are sealed. That holds
 * too: a late record is missing, and is waited for.
 *
 * must pass:
 * must pass: -DLATE_SEAL=1
 * must fail: -DDEFECT=TICKET_LATE
 * must fail: -DDEFECT=TWO_TICKETS
 * must fail: -DDEFECT=TICKET_TORN
 * must fail: -DDEFECT=SEALED_EARLY
 * must fail: -DDEFECT=MORE_FORGOTTEN
 * must fail: -DDEFECT=NOBODY_WAITS
 * must fail: -DDEFECT=EARS_ONE_BY_ONE */
#ifndef DEFECT
#define DEFECT 0
#endif
#define TICKET_LATE     1 /* the ticket is taken when the locks are free again */
#define TWO_TICKETS     2 /* a transaction takes a ticket for each of its changes */
#define TICKET_TORN     3 /* the counter is read and written in two steps */
#define SEALED_EARLY    4 /* `sealed` is raised before the records have their ticket */
#define MORE_FORGOTTEN  5 /* no record says that another one of its ticket follows */
#define NOBODY_WAITS    6 /* the merger takes whatever ticket it finds */
#define EARS_ONE_BY_ONE 7 /* the journal begins to listen to one stripe after the other */

#ifndef LATE_SEAL
#define LATE_SEAL 0
#endif

/* And the records of one of them, at most. */
#define EXECUTORS 3
#define RECORDS 3
#define NOBODY 9

typedef queue {
    byte ticket[RECORDS];
    byte version[RECORDS];
    byte stripe[RECORDS];
    bit half[RECORDS]; /* the first change of a transaction: its second one must come next */
    bit more[RECORDS];
    byte added, open, sealed, taken /* numbers of records: those from `open` on have no ticket yet */
};
queue q[EXECUTORS];
bit held[2], ear[2];
byte version[2], seen[2]; /* of each stripe: what it holds, and the last that the merger saw */
byte tickets, merged;

#define lock(s) atomic { !held[s] -> held[s] = 1 }
#define unlock(s) held[s] = 0

inline change(s, is_half) {
    atomic {
        version[s]++;
        if
        :: ear[s] ->
            q[me].version[q[me].added] = version[s];
            q[me].stripe[q[me].added] = s;
            q[me].half[q[me].added] = is_half;
            q[me].added++
        :: else
        fi
    }
}

inline take_ticket() {
    if
    :: DEFECT == TICKET_TORN -> t = tickets; tickets = t + 1; t = t + 1
    :: else -> atomic { tickets++; t = tickets }
    fi
}

/* The records that were added, up to `end`, are of this ticket. */
inline seal(end) {
    if
    :: DEFECT == SEALED_EARLY -> q[me].sealed = end
    :: else
    fi;
    do
    :: q[me].open < end ->
        q[me].ticket[q[me].open] = t;
        q[me].more[q[me].open] = (q[me].open + 1 < end && DEFECT != MORE_FORGOTTEN);
        q[me].open++
    :: else -> break
    od;
    q[me].sealed = end
}

inline end_request(first, last) {
    if
    :: DEFECT == TICKET_LATE || LATE_SEAL ->
        if :: LATE_SEAL && q[me].open < q[me].added -> take_ticket() :: else fi;
        unlock(first);
        if :: last != first -> unlock(last) :: else fi;
        if :: !LATE_SEAL && q[me].open < q[me].added -> take_ticket() :: else fi;
        if :: q[me].open < q[me].added -> seal(q[me].added) :: else fi
    :: else ->
        if
        :: DEFECT == TWO_TICKETS && q[me].open + 1 < q[me].added ->
            take_ticket();
            seal(q[me].open + 1)
        :: else
        fi;
        if :: q[me].open < q[me].added -> take_ticket(); seal(q[me].added) :: else fi;
        unlock(first);
        if :: last != first -> unlock(last) :: else fi
    fi
}

proctype executor(byte me; bit both) {
    byte t;
    /* A write to the first stripe, or a transaction. */
    lock(0);
    if :: both -> lock(1) :: else fi;
    change(0, both);
    if :: both -> change(1, 0) :: else fi;
    end_request(0, both);
    /* A write to the other one. */
    if
    :: !both ->
        lock(1);
        change(1, 0);
        end_request(1, 1)
    :: else
    fi
}

active proctype starter() {
    lock(0);
    if
    :: DEFECT == EARS_ONE_BY_ONE ->
        atomic { ear[0] = 1; seen[0] = version[0] };
        unlock(0);
        lock(1);
        atomic { ear[1] = 1; seen[1] = version[1] };
        unlock(1)
    :: else ->
        lock(1);
        atomic { ear[0] = 1; ear[1] = 1; seen[0] = version[0]; seen[1] = version[1] };
        unlock(0);
        unlock(1)
    fi
}

#define FIRST(e) q[e].ticket[q[e].taken]
#define HAS_NEXT(e) (q[e].taken < q[e].sealed && (FIRST(e) == merged + 1 || (DEFECT == NOBODY_WAITS && FIRST(e) > merged)))
byte expected = NOBODY; /* whose record must come next, for it is the second half of a transaction */

inline take_record(e) {
    atomic {
        at = q[e].taken;
        assert(at < q[e].sealed);
        assert(expected == NOBODY || expected == e); /* 2 */
        assert(q[e].version[at] == seen[q[e].stripe[at]] + 1); /* 1 */
        seen[q[e].stripe[at]] = q[e].version[at];
        expected = (q[e].half[at] -> e : NOBODY);
        more = q[e].more[at];
        q[e].taken++
    }
}

inline merge(e) {
    ticket = FIRST(e);
    more = 1;
    do
    :: more -> take_record(e)
    :: else -> break
    od;
    merged = ticket
}

active proctype merger() {
    byte at, ticket;
    bit more;
end:
    do
    :: HAS_NEXT(0) -> merge(0)
    :: HAS_NEXT(1) -> merge(1)
    :: HAS_NEXT(2) -> merge(2)
    od
}

init {
    atomic {
        run executor(0, 0);
        run executor(1, 1);
        run executor(2, 0)
    }
}

/* When nothing moves any more. */
active proctype judge() {
    timeout;
    assert(merged == tickets && expected == NOBODY);
    assert(q[0].taken == q[0].added && q[1].taken == q[1].added && q[2].taken == q[2].added);
    assert(seen[0] == version[0] && seen[1] == version[1])
}
