/* wake.pml - a shard that sleeps is woken by whoever leaves it something to do.
 *
 * What is modelled, and where it stands in C:
 *   shard           one turn of reactor.c: take_events (completion = 0), deliver_posts and execute, tick, wait_for_more and park
 *   take_mail       post_take_all and upkeep_asked: of `due`, the shard keeps the earliest in a word of its own, want_ms
 *   upkeep, look_at upkeep_run, and upkeep_stripe: one bounded step in a stripe, under its lock
 *   executor        another shard that runs commands on these stripes, and wakes before it sleeps itself
 *   leave_*         such a command, between stripe_lock and stripe_leave. What it leaves that is due earlier than all before
 *                   is news (keyspace_news), and stripe_announce passes it on: post_due lowers `due` by compare-and-swap
 *   wake_owed       deliver_wakes, post_claim_wake, MSG_RING, and what a completion with an error does, deliver_wake_failed;
 *                   and wake_unheard, a moment later: who was woken and has not heard it is woken by its descriptor
 *   administrator   CLIENT PAUSE, CLIENT UNPAUSE, CONFIG SET: a word that all shards read is changed, then post_look_again
 *
 * What is abstracted: time is a small number and moves on at any moment (that the clock may be set is not here). A stripe
 * has one expiry, the lower bound that its keyspace knows, and garbage of two steps. What happens under a stripe's lock
 * happens at once: nothing of it can be seen before the lock is given back, but for `due`, which is lowered last. The queue
 * of posts is a count. The owner's plain loads of queue and `due` may see old values. Spin's memory is sequentially
 * consistent; that `parked` and queue, `parked` and `due` need this, as pairs, is what the defect PARKED_LATE shows.
 *
 * What must hold, whatever the order of steps:
 *   1. When nothing moves any more, the shard sleeps and nothing is left that is due: no post, no expired key, no garbage,
 *      no request held by a pause that is over, no option that was changed and not heard of.
 *   2. A sleep that ends by its timer ends for something; unless the shard was `prompted` since its last look: somebody
 *      lowered `due` (perhaps for what that look saw already), or a pause began (what was due is put off). That costs one
 *      needless turn.
 *   3. The shard sleeps without a limit where nothing is to come.
 *
 * PAUSE is when the administrator's pause ends by itself: at the last moment there is, or behind it.
 *
 * must pass:
 * must pass: -DPAUSE=3
 * must pass: -DPAUSE=4
 * must fail: -DDEFECT=PARKED_LATE
 * must fail: -DDEFECT=DUE_OVERSEEN
 * must fail: -DDEFECT=NOBODY_WAKES
 * must fail: -DDEFECT=DUE_STORED
 * must fail: -DDEFECT=DUE_HANDED_BACK
 * must fail: -DDEFECT=TAKEN_AFTER
 * must fail: -DDEFECT=ONE_BOUND -DPAUSE=4
 * must fail: -DDEFECT=ERROR_IGNORED
 * must fail: -DDEFECT=NO_ROOM_IGNORED
 * must fail: -DDEFECT=CLAIM_KEPT
 * must fail: -DDEFECT=LOSS_IGNORED
 * must fail: -DDEFECT=NEWS_TOO_EARLY -DPAUSE=4
 * must fail: -DDEFECT=POLLS
 * must fail: -DDEFECT=PAUSE_FORGOTTEN -DPAUSE=3
 * must fail: -DDEFECT=RECALL_IS_TIMER -DPAUSE=4 */
#define NEVER 9
#define AT_ONCE 0 /* in `due`: everything of the shard's is to be looked at; in `tidy_at`: garbage that has no moment yet */
#define FIRST 1
#define LAST 3

#ifndef DEFECT
#define DEFECT 0
#endif
#define PARKED_LATE      1 /* `parked` is stored after the look at queue and `due`, as release and acquire would allow */
#define DUE_OVERSEEN     2 /* parking looks at the queue alone */
#define NOBODY_WAKES     3 /* `due` is lowered, and the sleeper is left asleep */
#define DUE_STORED       4 /* `due` is lowered by a load and a store */
#define DUE_HANDED_BACK  5 /* the shard keeps what it found in `due` instead of in a word of its own */
#define TAKEN_AFTER      6 /* the shard empties `due` after its look at the stripes */
#define ONE_BOUND        7 /* what is due later than an expiry of its stripe is not announced, though a pause put that off */
#define ERROR_IGNORED    8 /* a wake-up that fails in the kernel is not owed again */
#define NO_ROOM_IGNORED  9 /* nor is one that found no room in the queue */
#define CLAIM_KEPT      10 /* ... or it is tried again, but the target passes for woken */
#define NEWS_TOO_EARLY  11 /* shards are called to look before the word that they look at has changed */
#define POLLS           12 /* the shard wakes up now and then to see */
#define PAUSE_FORGOTTEN 13 /* a shard that holds requests sleeps past the end of the pause */
#define RECALL_IS_TIMER 14 /* AT_ONCE makes the shard look at its stripes, and at nothing else */
#define LOSS_IGNORED    15 /* what the kernel takes is believed to arrive */

typedef Stripe {
    byte expires = NEVER; /* next_expiry_ms */
    byte garbage;         /* steps that freeing it will take */
    byte tidy_at = NEVER; /* tidy_ms: when that is to begin */
    bit news              /* one of these moments was lowered, and nobody has told the owner */
};
Stripe stripe[2];

/* The shard's mailbox, and its ring. */
byte posts, due = NEVER;
byte parked; /* enum parked */
bit completion;
#define PARKED 1
#define WOKEN 2

/* What all can see. */
byte now = FIRST, pause_until, option;

/* The shard's own. */
byte want = NEVER; /* when it will look at its stripes again */
byte heard;        /* the option, as of its last recall */
bit holds;         /* a request waits for the end of the pause */
bit asleep, prompted;

/* Requests that may still come to the shard's own connections, and wake-ups that may still go wrong. */
#ifdef PAUSE
byte arrivals = 1, mishaps;
#else
byte arrivals, mishaps = 1;
#endif

inline to_earlier(word, moment) { if :: moment < word -> word = moment :: else fi }

/* The end of every command, the lock still held. `old` was read from `due` before, for the defect's sake alone. */
inline announce(s) {
    if
    :: stripe[s].news ->
       stripe[s].news = 0;
       if :: stripe[s].tidy_at == AT_ONCE -> stripe[s].tidy_at = now + 1 :: else fi;
       t = stripe[s].expires;
       to_earlier(t, stripe[s].tidy_at);
#if DEFECT == DUE_STORED
       if :: t < old -> due = t :: else fi;
#else
       to_earlier(due, t);
#endif
       t = 0;
       owed = 1
    :: else
    fi
}

#if DEFECT == DUE_STORED
#define READ_DUE old = due;
#else
#define READ_DUE
#endif

inline expires_earlier(s, moment) {
    if
    :: moment < stripe[s].expires -> stripe[s].expires = moment; stripe[s].news = 1
    :: else
    fi
}

inline leave_expiry(s, moment) {
    READ_DUE
    atomic { expires_earlier(s, moment); announce(s) }
}

/* Garbage that is new gets a moment; to what has one, more is only added. */
inline leave_garbage(s) {
    READ_DUE
    atomic {
        if
        :: stripe[s].tidy_at == NEVER ->
           stripe[s].tidy_at = AT_ONCE;
           stripe[s].news = (DEFECT != ONE_BOUND || now < stripe[s].expires)
        :: else
        fi;
        stripe[s].garbage = 2;
        announce(s)
    }
}

inline lower(moment) { to_earlier(due, moment); owed = 1 }

/* post_give_wake */
inline give() {
    atomic { if :: parked == WOKEN -> parked = PARKED :: else fi }
}

/* Until nobody is owed a wake-up any more: the sender does not sleep before. */
inline wake_owed() {
    do
    :: !owed -> break
    :: owed ->
       owed = 0;
#if DEFECT != NOBODY_WAKES
       if
       :: parked != PARKED -> skip
       :: parked == PARKED ->
          atomic {
              got = (parked == PARKED);
              if :: got -> parked = WOKEN :: else fi
          };
          if
          :: !got
          :: got -> completion = 1
          :: atomic { got && mishaps -> mishaps--; got = 0 }; /* no room in the sender's queue */
#if DEFECT != CLAIM_KEPT
             give();
#endif
#if DEFECT != NO_ROOM_IGNORED
             owed = 1
#endif
          :: atomic { got && mishaps -> mishaps--; got = 0 }; /* the kernel takes it, and then reports an error */
#if DEFECT != ERROR_IGNORED
             give();
             owed = 1
#endif
          :: atomic { got && mishaps -> mishaps--; got = 0 }; /* the kernel takes it, and loses it */
#if DEFECT != LOSS_IGNORED
             if :: parked == WOKEN -> completion = 1 :: parked != WOKEN fi
#endif
          fi;
          got = 0
       fi
#endif
    od
}

proctype executor(byte mine, other, moment) {
    bit owed, got;
    byte old, t;
    if
    :: true -> leave_expiry(mine, moment); leave_garbage(other)
    :: true -> leave_garbage(mine); posts++; owed = 1
#ifndef PAUSE
    :: true -> leave_garbage(mine); wake_owed(); leave_expiry(mine, moment)
#endif
    fi;
    wake_owed()
}

/* Another one. */
proctype second_executor() {
    bit owed, got;
    byte old, t;
    leave_expiry(0, FIRST);
    wake_owed()
}

#ifdef PAUSE
proctype administrator() {
    bit owed, got;
    atomic { pause_until = PAUSE; prompted = 1 };
    if
    :: skip /* the pause ends by itself, if it ends */
    :: /* it is ended, and an option changed */
#if DEFECT == NEWS_TOO_EARLY
       lower(AT_ONCE);
       wake_owed();
       pause_until = 0;
       option = 1
#else
       pause_until = 0;
       option = 1;
       lower(AT_ONCE);
       wake_owed()
#endif
    fi
}
#endif

inline look_at(s) {
    atomic {
        if
        :: stripe[s].expires <= now && now >= pause_until -> stripe[s].expires = NEVER
        :: stripe[s].expires <= now && now >= pause_until -> skip /* more of them than a step may delete */
        :: else
        fi;
        if
        :: stripe[s].garbage > 1 -> stripe[s].garbage--; stripe[s].tidy_at = AT_ONCE
        :: else -> stripe[s].garbage = 0; stripe[s].tidy_at = NEVER
        fi;
        stripe[s].news = 0;
        if
        :: stripe[s].expires < pause_until -> to_earlier(want, pause_until)
        :: else -> to_earlier(want, stripe[s].expires)
        fi;
        to_earlier(want, stripe[s].tidy_at)
    }
}

/* Posts are run, and what others wrote into `due` becomes the shard's own. */
inline take_mail() {
    if
    :: true /* plain loads that saw neither yet */
    :: atomic {
           posts = 0;
           taken = due;
#if DEFECT != TAKEN_AFTER
           due = NEVER;
#endif
           if :: taken != NEVER -> prompted = 1 :: else fi;
           to_earlier(want, taken);
           if
           :: taken == AT_ONCE ->
#if DEFECT != RECALL_IS_TIMER
              heard = option;
              holds = holds && now < pause_until
#endif
           :: else
           fi;
           taken = NEVER
       }
    fi
}

/* A request of the shard's own clients is held back, or leaves an expiry in a stripe. */
inline serve() {
    atomic {
        if
        :: served && now < pause_until -> holds = 1; served = 0
        :: served && now >= pause_until -> expires_earlier(0, 2); announce(0); served = 0
        :: else
        fi;
        owed = 0 /* towards itself: it is awake */
    }
}

/* The clock is read once a turn. */
inline upkeep() {
    atomic {
        if :: holds && now >= pause_until -> holds = 0 :: else fi;
        looks = now >= want;
        if :: looks -> want = NEVER; prompted = 0 :: else fi
    };
    if
    :: looks ->
       look_at(0);
       look_at(1);
       atomic {
           looks = 0;
#if DEFECT == DUE_HANDED_BACK
           due = want;
#endif
#if DEFECT == TAKEN_AFTER
           due = NEVER;
#endif
           skip
       }
    :: else
    fi
}

#if DEFECT == DUE_OVERSEEN
#define LEFT_FOR_US (posts > 0)
#else
#define LEFT_FOR_US (posts > 0 || due < want)
#endif
#if DEFECT == POLLS
#define TIME_IS_UP (now > FIRST)
#elif DEFECT == PAUSE_FORGOTTEN
#define TIME_IS_UP (now >= want)
#else
#define TIME_IS_UP (now >= want || (holds && now >= pause_until))
#endif
#define EXPIRED(s) (stripe[s].expires <= now)
#define UNTIDY(s) (stripe[s].garbage && stripe[s].tidy_at <= now)
#define SOMETHING_IS_DUE ((now >= pause_until && (holds || EXPIRED(0) || EXPIRED(1))) || UNTIDY(0) || UNTIDY(1))

proctype shard() {
    bit owed, served, looks, left;
    byte taken = NEVER, old, t;
    do
    :: completion = 0;
       serve();
       take_mail();
       upkeep();
       if
       :: want == AT_ONCE || posts
       :: else ->
#if DEFECT == PARKED_LATE
          left = LEFT_FOR_US;
          parked = PARKED;
#else
          parked = PARKED;
          left = LEFT_FOR_US;
#endif
          if
          :: left -> left = 0
          :: else ->
             asleep = 1;
end_asleep:
             if
             :: atomic { completion -> asleep = 0 }
             :: atomic { arrivals -> arrivals--; served = 1; asleep = 0 }
             :: atomic { TIME_IS_UP -> assert(SOMETHING_IS_DUE || prompted); asleep = 0 }
             fi
          fi;
          parked = 0
       fi
    od
}

proctype clock() { do :: now < LAST -> now++ :: else -> break od }

init {
#ifdef PAUSE
    atomic { run shard(); run executor(0, 1, 1); run administrator(); run clock() }
#else
    atomic { run shard(); run executor(0, 1, 2); run second_executor(); run clock() }
#endif
    timeout; /* nothing can move any more */
    assert(asleep && !posts && arrivals == 0);
    assert(now < pause_until || !(EXPIRED(0) || EXPIRED(1) || holds));
    assert(stripe[0].tidy_at > now && stripe[1].tidy_at > now);
    assert(heard == option);
    assert(want > now);
    assert(want == NEVER || prompted || stripe[0].garbage || stripe[1].garbage ||
           stripe[0].expires != NEVER || stripe[1].expires != NEVER)
}
