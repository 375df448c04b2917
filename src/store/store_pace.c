#include "store/store_pace.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "store/store_around.h"

/*
 * INVARIANTS
 * (1) free_ns of a lane is when all that went through it has had its time; whoever goes next begins
 *     there or now, whichever is later.  Threads that read at once stand in one line.
 */

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define SLICE_MS 100 /* so soon a stop is seen */

struct lane {
	int64_t bps; /* 0 = no limit */
	_Atomic int64_t free_ns;
};

struct store_pace {
	struct store_around around; /* first */
	struct store_pace_opts opts;
	struct lane up, down;
};

static void real_sleep_ms(unsigned ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
	(void)nanosleep(&ts, NULL); /* a signal ends it early: the rest is asked for again */
}

/* ${len} bytes went through the lane since ${begin_ns}: rest until they have had their time. */
static void rest(const struct store_pace *p, struct lane *lane, int64_t begin_ns, size_t len)
{
	if (lane->bps == 0)
		return;
	const int64_t need_ns = (int64_t)len * NS_PER_S / lane->bps;
	int64_t before = atomic_load(&lane->free_ns);
	int64_t until;
	do {
		until = (before > begin_ns ? before : begin_ns) + need_ns;
	} while (!atomic_compare_exchange_weak(&lane->free_ns, &before, until));
	for (;;) {
		const int64_t left_ms = (until - env_mono_ns()) / NS_PER_MS;
		if (left_ms <= 0 || (p->opts.is_stopped != NULL && p->opts.is_stopped(p->opts.arg)))
			return; /* who stops finds that out by itself */
		p->opts.sleep_ms(left_ms < SLICE_MS ? (unsigned)left_ms : SLICE_MS);
	}
}

static int pace_put(void *self, const char *name, const void *data, size_t len, struct err *err)
{
	struct store_pace *p = self;
	const int64_t begin = env_mono_ns();
	int rc = p->around.inner->put(p->around.self, name, data, len, err);
	if (rc == 0)
		rest(p, &p->up, begin, len);
	return rc;
}

static int pace_draft_add(void *self, void *draft, const void *data, size_t len, struct err *err)
{
	struct store_pace *p = self;
	const int64_t begin = env_mono_ns();
	int rc = p->around.inner->draft_add(p->around.self, draft, data, len, err);
	if (rc == 0)
		rest(p, &p->up, begin, len);
	return rc;
}

static int pace_get(void *self, const char *name, struct buf *out, struct err *err)
{
	struct store_pace *p = self;
	const int64_t begin = env_mono_ns();
	const size_t before = out->len;
	int rc = p->around.inner->get(p->around.self, name, out, err);
	if (rc == 0)
		rest(p, &p->down, begin, out->len - before);
	return rc;
}

static int pace_get_anew(void *self, const char *name, struct buf *out, struct err *err)
{
	struct store_pace *p = self;
	const int64_t begin = env_mono_ns();
	const size_t before = out->len;
	int rc = p->around.inner->get_anew(p->around.self, name, out, err);
	if (rc == 0)
		rest(p, &p->down, begin, out->len - before);
	return rc;
}

static int pace_get_range(
	void *self, const char *name, uint64_t offset, size_t len, struct buf *out, struct err *err)
{
	struct store_pace *p = self;
	const int64_t begin = env_mono_ns();
	int rc = p->around.inner->get_range(p->around.self, name, offset, len, out, err);
	if (rc == 0)
		rest(p, &p->down, begin, len);
	return rc;
}

static void pace_free(void *self)
{
	struct store_pace *p = self;
	store_around_end(&p->around);
	free(p);
}

static bool is_too_low(int64_t bps)
{
	return bps < 0 || (bps > 0 && bps < STORE_PACE_MIN_BPS);
}

int store_pace_check(const struct store_pace_opts *opts, struct err *err)
{
	if (!is_too_low(opts->upload_bps) && !is_too_low(opts->download_bps))
		return 0;
	return err_set(err, ERR_USAGE, "a limit is at least %dKiB a second",
		(int)(STORE_PACE_MIN_BPS >> 10));
}

int store_pace_add(struct store *s, const struct store_pace_opts *opts, struct err *err)
{
	int rc = store_pace_check(opts, err);
	if (rc != 0)
		return rc;
	if (opts->upload_bps == 0 && opts->download_bps == 0)
		return 0;
	struct store_pace *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->opts = *opts;
	if (p->opts.sleep_ms == NULL)
		p->opts.sleep_ms = real_sleep_ms;
	p->up.bps = opts->upload_bps;
	p->down.bps = opts->download_bps;
	store_around_begin(&p->around, s, pace_free);
	struct store_driver *d = &p->around.driver;
	d->put = pace_put;
	d->get = pace_get;
	d->get_range = pace_get_range;
	if (d->get_anew != NULL)
		d->get_anew = pace_get_anew;
	if (d->draft_add != NULL)
		d->draft_add = pace_draft_add;
	return 0;
}
