#include "agents/sources/look_ahead.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/sources/file_meta.h"
#include "agents/sources/gentle_open.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/lineup.h"

/*
 * A run is the names from..to of one directory, all said to be regular files.  The looks of all
 * runs are numbered through: that at name i of a run is first + i - from.
 *
 * INVARIANTS
 * (1) A look is claimed by one of the two before it is made: ${claimed} is the next one that is
 *     not, NOBODY while the thread is to end what it does.  The thread claims none from
 *     asked + LOOK_AHEAD_MAX on.
 * (2) A slot is written by the thread alone, in ascending order; look n is in slot n modulo their
 *     number once that slot's ready is n + 1, and stays there while it can be asked for, by (1).
 * (3) ${now} is the caller's run, ${work} the thread's: the same, or, once next is READ or has
 *     been, the one behind it.  The caller changes either in IDLE alone, but for now = work.
 * (4) state, work and next's state change under lock.  The rest of next is the thread's in READING,
 *     else the caller's.
 */

#define BATCH 4       /* looks the thread claims at once */
#define SPINS 4000    /* some microseconds: longer than the looks of a batch take */
#define LINE_BYTES 64 /* what two processors do not share without waiting for each other */
#define NOBODY UINT64_MAX
#define READS 16 /* files of several names that are read while LOOK_AHEAD_MAX are passed: few */
#define DIR_MAX_BYTES (4u << 20) /* of a directory that is read ahead: two are in memory then */
#define NS_PER_MS INT64_C(1000000)

enum state {
	IDLE,  /* the thread sleeps or is about to; also: there is none */
	GIVEN, /* it is to begin */
	BUSY,
};

/* What comes behind the thread's run. */
enum next_state { NONE, WANTED, READING, READ };

struct run {
	struct name_list names; /* borrowed */
	int dirfd;
	size_t from, to;
	uint64_t first, end; /* numbers of from and to */
};

struct slot {
	_Atomic uint64_t ready;
	int error; /* errno of the look, or 0 */
	struct statx sx;
};

struct next {
	_Atomic int state;
	int dirfd;
	char name[NAME_MAX + 1];
	struct look_ahead_dir dir; /* owned in READ */
	int64_t read_ns;           /* on the clock of env_mono_ns() */
};

/* Looks before ${until} at the file ${ino} are too old. */
struct read {
	uint64_t ino, until;
};

struct look_ahead {
	look_ahead_fn look;
	bool has_thread;
	bool is_alone;  /* there is no use in a thread, or none to be had */
	bool is_ending; /* under lock */
	bool is_new;    /* look_ahead_begin() has not told of the run */
	bool is_active; /* there is a run */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t given; /* GIVEN, or is_ending */
	pthread_cond_t done;  /* IDLE, or READING is over */
	_Atomic int state;
	struct run runs[2];
	struct run *now, *work;
	struct next next;
	struct read reads[READS]; /* the last ones */
	size_t read_at;           /* the oldest of them */
	uint64_t old_until;       /* of those before */
	_Alignas(LINE_BYTES) _Atomic uint64_t claimed;
	_Alignas(LINE_BYTES) _Atomic uint64_t asked;
	_Alignas(LINE_BYTES) struct slot slots[LOOK_AHEAD_MAX];
};

static void fill_run(
	struct run *r, uint64_t first, int dirfd, const struct name_list *names, size_t from)
{
	*r = (struct run){
		.names = *names, .dirfd = dirfd, .from = from, .to = from, .first = first
	};
	while (r->to < names->count && name_list_is_file(names, r->to))
		r->to++;
	r->end = first + (r->to - from);
}

static const char *name_of(const struct run *r, uint64_t n)
{
	return name_list_at(&r->names, r->from + (size_t)(n - r->first));
}

static void drop_dir(struct look_ahead_dir *d)
{
	if (d->fd >= 0)
		(void)close(d->fd); /* read only */
	name_list_done(&d->names);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* Claim up to BATCH looks from *${n} on.  Return how many; 0: no more may be made now. */
static size_t claim(struct look_ahead *a, uint64_t *n)
{
	uint64_t at = atomic_load(&a->claimed);
	for (;;) {
		uint64_t stop = atomic_load(&a->asked) + LOOK_AHEAD_MAX;
		if (stop > a->work->end)
			stop = a->work->end;
		if (at >= stop)
			return 0;
		size_t count = stop - at < BATCH ? (size_t)(stop - at) : BATCH;
		if (atomic_compare_exchange_weak(&a->claimed, &at, at + count)) {
			*n = at;
			return count;
		}
	}
}

static void look_on(struct look_ahead *a)
{
	const struct run *r = a->work;
	uint64_t n = 0;
	for (size_t count = claim(a, &n); count > 0; count = claim(a, &n)) {
		for (const uint64_t end = n + count; n < end; n++) {
			struct slot *s = &a->slots[n % LOOK_AHEAD_MAX];
			s->error = a->look(r->dirfd, name_of(r, n), &s->sx) == 0 ? 0 : errno;
			atomic_store_explicit(&s->ready, n + 1, memory_order_release);
		}
	}
}

/* Read the directory that comes next.  False: the caller will, and tell what there is to tell.
 * The names are read by another descriptor: to close the one they are read by takes its time. */
static bool read_next(struct next *next)
{
	struct look_ahead_dir *d = &next->dir;
	CLEANUP(cleanup_close_p) int fd = -1;
	*d = (struct look_ahead_dir){ .fd = gentle_open_dir(next->dirfd, next->name) };
	next->read_ns = env_mono_ns();
	if (d->fd >= 0 && file_meta_stat(d->fd, &d->sx) == 0 && d->sx.stx_size <= DIR_MAX_BYTES &&
		(fd = gentle_open_dir(d->fd, ".")) >= 0 && name_list_read(&d->names, fd, NULL) == 0)
		return true;
	drop_dir(d);
	return false;
}

/* Go on to the next run, under lock.  False: there is none, or looks are left in this one. */
static bool go_on(struct look_ahead *a)
{
	struct next *next = &a->next;
	if (next->state != WANTED || atomic_load(&a->claimed) < a->work->end)
		return false;
	next->state = READING;
	(void)pthread_mutex_unlock(&a->lock);
	bool is_read = read_next(next);
	(void)pthread_mutex_lock(&a->lock);
	next->state = is_read ? READ : NONE;
	if (is_read) {
		struct run *r = &a->runs[a->work == &a->runs[0]];
		fill_run(r, a->work->end, next->dir.fd, &next->dir.names, 0);
		a->work = r;
	}
	(void)pthread_cond_signal(&a->done); /* cannot fail */
	return is_read;
}

static void *work(void *self)
{
	struct look_ahead *a = self;
	(void)pthread_mutex_lock(&a->lock); /* fails for bad locks only, here and below */
	for (;;) {
		while (a->state != GIVEN && !a->is_ending)
			(void)pthread_cond_wait(&a->given, &a->lock); /* cannot fail */
		if (a->is_ending)
			break;
		a->state = BUSY;
		do {
			(void)pthread_mutex_unlock(&a->lock);
			look_on(a);
			(void)pthread_mutex_lock(&a->lock);
		} while (go_on(a));
		a->state = IDLE;
		(void)pthread_cond_signal(&a->done); /* cannot fail */
	}
	(void)pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

int look_ahead_new(look_ahead_fn look, struct look_ahead **out, struct err *err)
{
	struct look_ahead *a = aligned_alloc(LINE_BYTES, sizeof(*a));
	if (a == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memset(a, 0, sizeof(*a));
	a->look = look;
	a->is_alone = lineup_threads() < 2;
	a->now = a->work = &a->runs[0];
	(void)pthread_mutex_init(&a->lock, NULL); /* default attributes: cannot fail */
	(void)pthread_cond_init(&a->given, NULL);
	(void)pthread_cond_init(&a->done, NULL);
	*out = a;
	return 0;
}

void look_ahead_free(struct look_ahead *a)
{
	if (a == NULL)
		return;
	look_ahead_stop(a);
	if (a->has_thread) {
		(void)pthread_mutex_lock(&a->lock);
		a->is_ending = true;
		(void)pthread_cond_signal(&a->given);
		(void)pthread_mutex_unlock(&a->lock);
		(void)pthread_join(a->thread, NULL); /* it was started once */
	}
	(void)pthread_cond_destroy(&a->given);
	(void)pthread_cond_destroy(&a->done);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

static bool start(struct look_ahead *a)
{
	sigset_t all, before;
	if (a->has_thread)
		return true;
	(void)sigfillset(&all);                          /* cannot fail, neither do the masks */
	(void)pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are for the others */
	a->has_thread = pthread_create(&a->thread, NULL, work, a) == 0;
	a->is_alone = !a->has_thread;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return a->has_thread;
}

/* ---- the caller ------------------------------------------------------------------------------ */

/* The run that begins with name ${i}.  The thread is idle. */
static void begin(struct look_ahead *a, int dirfd, const struct name_list *names, size_t i)
{
	look_ahead_stop(a);
	fill_run(a->now, a->now->end, dirfd, names, i);
	a->is_active = true;
	a->is_new = true;
}

size_t look_ahead_begin(struct look_ahead *a, int dirfd, const struct name_list *names, size_t i)
{
	const struct run *r = a->now;
	if (!a->is_active || r->names.data != names->data || i < r->from || i >= r->to)
		begin(a, dirfd, names, i);
	bool is_told = a->is_new && !a->is_alone && r->to - i >= LOOK_AHEAD_MIN_RUN;
	a->is_new = false;
	return is_told ? r->to : 0;
}

/* Under lock. */
static void give(struct look_ahead *a)
{
	if (a->state == IDLE) {
		a->state = GIVEN;
		(void)pthread_cond_signal(&a->given); /* cannot fail */
	}
}

void look_ahead_expect(struct look_ahead *a, int dirfd, const char *name)
{
	if (strlen(name) > NAME_MAX || !start(a))
		return;
	(void)pthread_mutex_lock(&a->lock);
	if (a->next.state == NONE) {
		a->next.state = WANTED;
		a->next.dirfd = dirfd;
		memcpy(a->next.name, name, strlen(name) + 1);
		give(a);
	}
	(void)pthread_mutex_unlock(&a->lock);
}

/* Wake the thread where it has enough to do: not for a few names, and not for each that was taken.
 */
static void wake(struct look_ahead *a, uint64_t n, uint64_t claimed)
{
	const uint64_t end = a->now->end;
	if (atomic_load_explicit(&a->state, memory_order_relaxed) != IDLE || claimed >= end ||
		claimed - n > LOOK_AHEAD_MAX / 2)
		return;
	if (end - claimed < LOOK_AHEAD_MIN_RUN && atomic_load(&a->next.state) != WANTED)
		return;
	if (!start(a))
		return;
	(void)pthread_mutex_lock(&a->lock);
	give(a);
	(void)pthread_mutex_unlock(&a->lock);
}

/* True: look ${n} is the caller's, nobody else makes it. */
static bool is_ours(struct look_ahead *a, uint64_t n)
{
	uint64_t claimed = atomic_load(&a->claimed);
	bool is_claimed = false;
	while (claimed <= n && !is_claimed)
		is_claimed = atomic_compare_exchange_weak(&a->claimed, &claimed, n + 1);
	wake(a, n, is_claimed ? n + 1 : claimed);
	return is_claimed;
}

/* The thread's look ${n}, or NULL when it does not come: no processor, or a slow disk. */
static const struct slot *wait_for(const struct look_ahead *a, uint64_t n)
{
	const struct slot *s = &a->slots[n % LOOK_AHEAD_MAX];
	for (unsigned i = 0; i < SPINS; i++) {
		if (atomic_load_explicit(&s->ready, memory_order_acquire) == n + 1)
			return s;
	}
	return NULL;
}

void look_ahead_note_read(struct look_ahead *a, uint64_t ino)
{
	struct read *r = &a->reads[a->read_at];
	a->read_at = (a->read_at + 1) % READS;
	a->old_until = r->until;
	*r = (struct read){ .ino = ino, .until = atomic_load(&a->claimed) };
}

/* Is look ${n} too old, since the file was read under another name? */
static bool is_too_old(const struct look_ahead *a, uint64_t n, const struct slot *s)
{
	if (s->error != 0 || s->sx.stx_nlink < 2)
		return false;
	bool is_old = n < a->old_until;
	for (size_t i = 0; i < READS && !is_old; i++)
		is_old = a->reads[i].ino == s->sx.stx_ino && n < a->reads[i].until;
	return is_old;
}

int look_ahead_at(struct look_ahead *a, size_t i, struct statx *out)
{
	const struct run *r = a->now;
	const uint64_t n = r->first + (i - r->from);
	if (a->is_alone)
		return a->look(r->dirfd, name_of(r, n), out);
	atomic_store(&a->asked, n);
	const struct slot *s = is_ours(a, n) ? NULL : wait_for(a, n);
	if (s == NULL || is_too_old(a, n, s))
		return a->look(r->dirfd, name_of(r, n), out);
	if (s->error != 0) {
		errno = s->error;
		return -1;
	}
	*out = s->sx;
	return 0;
}

bool look_ahead_take(struct look_ahead *a, int dirfd, const char *name, struct look_ahead_dir *out)
{
	struct next *next = &a->next;
	if (atomic_load(&next->state) == NONE)
		return false;
	(void)pthread_mutex_lock(&a->lock);
	while (next->state == READING)
		(void)pthread_cond_wait(&a->done, &a->lock); /* cannot fail */
	bool is_taken = next->state == READ && next->dirfd == dirfd &&
			strcmp(next->name, name) == 0 &&
			env_mono_ns() - next->read_ns <= LOOK_AHEAD_DIR_MAX_MS * NS_PER_MS;
	if (is_taken) {
		*out = next->dir;
		next->state = NONE;
		a->now = a->work;
		a->is_new = true;
	}
	(void)pthread_mutex_unlock(&a->lock);
	return is_taken;
}

void look_ahead_leave(struct look_ahead *a)
{
	if (a == NULL || !a->is_active)
		return;
	(void)pthread_mutex_lock(&a->lock);
	bool is_past = a->next.state == READING || a->next.state == READ;
	(void)pthread_mutex_unlock(&a->lock);
	if (is_past)
		a->now->names.data = NULL; /* not to be taken for another one at its place */
	else
		look_ahead_stop(a);
}

void look_ahead_stop(struct look_ahead *a)
{
	if (a == NULL || !a->is_active)
		return;
	(void)pthread_mutex_lock(&a->lock);
	atomic_store(&a->claimed, NOBODY); /* nothing is begun from now on */
	if (a->state == GIVEN)
		a->state = IDLE; /* it did not come */
	if (a->next.state == WANTED)
		a->next.state = NONE;
	while (a->state != IDLE)
		(void)pthread_cond_wait(&a->done, &a->lock); /* cannot fail */
	if (a->next.state == READ)
		drop_dir(&a->next.dir);
	a->next.state = NONE;
	a->now = a->work;
	atomic_store(&a->claimed, a->now->end);
	a->is_active = false;
	(void)pthread_mutex_unlock(&a->lock);
}
