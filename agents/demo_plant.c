#include "agents/demo_plant.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/demo_batch.h"
#include "agents/demo_historian.h"
#include "agents/demo_plc.h"
#include "agents/demo_postgres.h"
#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"

/*
 * INVARIANTS
 * (1) plant.state exists only once every part is whole, and is replaced only after a day's changes
 *     were all made.
 * (2) Batch numbers up to state.batches - 1 exist; number state.running is the running one, for
 *     ever: later batches run beside it on other units.
 */

#define DEMO_PLANT_STATE_BYTES 512
#define DEMO_PLANT_DAY_SCANS 144
#define DEMO_PLANT_DAY_BATCHES 5
#define DEMO_PLANT_DAY_EDITS 2
#define DEMO_PLANT_DAY_EVENTS 40

struct state {
	uint64_t seed;
	int64_t made_ms;
	int64_t last_ms; /* of the last day's changes */
	unsigned day;    /* 1 = as made */
	unsigned batches;
	unsigned running;
	unsigned projects;
};

struct demo_plant {
	char *dir; /* owned */
	int dirfd;
	struct state state;
	struct demo_postgres *postgres; /* owned */
};

DEFINE_CLEANUP(struct demo_plant *, demo_plant_free)

static int new_plant(const char *dir, struct demo_plant **out, struct err *err)
{
	CLEANUP(demo_plant_free_p) struct demo_plant *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	p->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dirfd < 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
			"unable to open the plant's directory '%s'", dir);
	p->dir = strdup(dir);
	if (p->dir == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = TAKE(p);
	return 0;
}

/* ---- the state file ---- */

static int write_state(const struct demo_plant *p, struct err *err)
{
	char text[DEMO_PLANT_STATE_BYTES];
	const struct state *s = &p->state;
	int n = snprintf(text, sizeof(text),
		"demo plant 1\nseed %" PRIu64 "\nmade_ms %" PRId64 "\nlast_ms %" PRId64
		"\nday %u\nbatches %u\nrunning %u\nprojects %u\n",
		s->seed, s->made_ms, s->last_ms, s->day, s->batches, s->running,
		s->projects); /* fits */
	return atomic_file_write(p->dirfd, DEMO_PLANT_STATE, 0644, text, (size_t)n, err);
}

static int read_state(struct demo_plant *p, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(DEMO_PLANT_STATE_BYTES);
	int rc = fdio_read_file(p->dirfd, DEMO_PLANT_STATE, &text, err);
	if (rc != 0)
		return rc;
	struct state *s = &p->state;
	int end = -1;
	const char *from = buf_cstr(&text);
	if (from == NULL ||
		sscanf(from,
			"demo plant 1\nseed %" SCNu64 "\nmade_ms %" SCNd64 "\nlast_ms %" SCNd64
			"\nday %u\nbatches %u\nrunning %u\nprojects %u\n%n",
			&s->seed, &s->made_ms, &s->last_ms, &s->day, &s->batches, &s->running,
			&s->projects, &end) != 7 ||
		end < 0 || (size_t)end != text.len || s->running >= s->batches ||
		s->batches > DEMO_BATCH_MAX || s->projects == 0 || s->projects > DEMO_PLC_MAX)
		return err_set(err, ERR_CORRUPT, "'%s/%s' is not a demo plant's state", p->dir,
			DEMO_PLANT_STATE);
	return 0;
}

/* ---- the parts ---- */

static int64_t clock_ms(int64_t now_ms)
{
	return now_ms != 0 ? now_ms : env_now_ns() / 1000000;
}

static int start_postgres(struct demo_plant *p, struct err *err)
{
	char data[PATH_MAX], passfile[PATH_MAX], log[PATH_MAX];
	int n = snprintf(data, sizeof(data), "%s/" DEMO_PLANT_PG "/" DEMO_POSTGRES_DATA, p->dir);
	int m = snprintf(
		passfile, sizeof(passfile), "%s/" DEMO_PLANT_PG "/" DEMO_POSTGRES_PASSFILE, p->dir);
	int k = snprintf(log, sizeof(log), "%s/" DEMO_PLANT_PG "/" DEMO_POSTGRES_LOG, p->dir);
	if (n < 0 || m < 0 || k < 0 || n >= PATH_MAX || m >= PATH_MAX || k >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", p->dir);
	return demo_postgres_start(data, passfile, log, &p->postgres, err);
}

static int make_postgres(struct demo_plant *p, unsigned scans, int64_t now_ms, struct err *err)
{
	char dir[PATH_MAX];
	int n = snprintf(dir, sizeof(dir), "%s/" DEMO_PLANT_PG, p->dir);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", p->dir);
	int rc = demo_postgres_init(dir, err);
	if (rc == 0)
		rc = start_postgres(p, err);
	if (rc != 0)
		return rc;
	/* the clock is read only now, so that the newest sample is new */
	return demo_historian_fill(p->postgres, p->state.seed, scans, clock_ms(now_ms), err);
}

/* Make the directory ${name} if ${is_new}, open it.  Return the descriptor or -ERR_. */
static int open_tree(const struct demo_plant *p, const char *name, bool is_new, struct err *err)
{
	if (is_new && env_mkdirat(p->dirfd, name, 0755) != 0)
		return err_sys(err, errno == EEXIST ? ERR_EXISTS : ERR_IO,
			"unable to create '%s/%s'", p->dir, name);
	int fd = openat(p->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? fd : err_sys(err, ERR_IO, "unable to open '%s/%s'", p->dir, name);
}

static struct demo_batch_plan batch_plan(const struct demo_plant *p)
{
	return (struct demo_batch_plan){
		.seed = p->state.seed, .anchor_ms = p->state.made_ms, .running = p->state.running
	};
}

static int make_batches(const struct demo_plant *p, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = open_tree(p, DEMO_PLANT_BATCH, true, err);
	struct demo_batch_plan plan = batch_plan(p);
	int rc = fd < 0 ? fd : 0;
	for (unsigned i = 0; i < p->state.batches && rc == 0; i++)
		rc = demo_batch_write(fd, &plan, i, err);
	return rc;
}

static int make_projects(const struct demo_plant *p, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = open_tree(p, DEMO_PLANT_PLC, true, err);
	int rc = fd < 0 ? fd : 0;
	for (unsigned i = 0; i < p->state.projects && rc == 0; i++) {
		/* commissioned a week apart */
		struct demo_plc plc = { .seed = p->state.seed,
			.number = i,
			.exported_ms = p->state.made_ms - INT64_C(604800000) * (i + 1) };
		rc = demo_plc_write(fd, &plc, err);
	}
	return rc;
}

int demo_plant_create(const char *dir, const struct demo_plant_opts *opts, struct demo_plant **out,
	struct err *err)
{
	CLEANUP(demo_plant_free_p) struct demo_plant *p = NULL;
	int rc = new_plant(dir, &p, err);
	if (rc != 0)
		return rc;
	if (opts->batches > DEMO_BATCH_MAX || opts->projects > DEMO_PLC_MAX)
		return err_set(err, ERR_LIMIT, "the plant would be too large");
	struct state *s = &p->state;
	s->seed = opts->seed;
	s->made_ms = clock_ms(opts->now_ms);
	s->last_ms = s->made_ms;
	s->day = 1;
	s->batches = opts->batches != 0 ? opts->batches : DEMO_BATCH_COUNT;
	s->running = s->batches - 1;
	s->projects = opts->projects != 0 ? opts->projects : DEMO_PLC_COUNT;
	rc = make_batches(p, err);
	if (rc == 0)
		rc = make_projects(p, err);
	if (rc == 0)
		rc = make_postgres(p, opts->scans != 0 ? opts->scans : DEMO_HISTORIAN_SCANS,
			opts->now_ms, err);
	if (rc == 0)
		rc = write_state(p, err);
	if (rc != 0)
		return rc;
	*out = TAKE(p);
	return 0;
}

bool demo_plant_is_there(const char *dir)
{
	CLEANUP(demo_plant_free_p) struct demo_plant *p = NULL;
	return new_plant(dir, &p, NULL) == 0 && read_state(p, NULL) == 0;
}

int demo_plant_open(const char *dir, struct demo_plant **out, struct err *err)
{
	CLEANUP(demo_plant_free_p) struct demo_plant *p = NULL;
	int rc = new_plant(dir, &p, err);
	if (rc == 0)
		rc = read_state(p, err);
	if (rc == 0)
		rc = start_postgres(p, err);
	if (rc != 0)
		return rc;
	*out = TAKE(p);
	return 0;
}

struct demo_postgres *demo_plant_postgres(struct demo_plant *p)
{
	return p->postgres;
}

uint64_t demo_plant_seed(const struct demo_plant *p)
{
	return p->state.seed;
}

static int add_batches(struct demo_plant *p, int64_t now_ms, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = open_tree(p, DEMO_PLANT_BATCH, false, err);
	struct demo_batch_plan plan = batch_plan(p);
	int rc = fd < 0 ? fd : 0;
	for (unsigned i = 0; i < DEMO_PLANT_DAY_BATCHES && rc == 0; i++)
		rc = demo_batch_write(fd, &plan, p->state.batches + i, err);
	return rc == 0 ? demo_batch_grow(
				 fd, &plan, DEMO_PLANT_DAY_EVENTS, p->state.last_ms, now_ms, err)
		       : rc;
}

static int edit_projects(const struct demo_plant *p, int64_t now_ms, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = open_tree(p, DEMO_PLANT_PLC, false, err);
	struct demo_rng rng = demo_rng_of(p->state.seed, UINT64_C(1) << 48 | p->state.day);
	unsigned first = demo_rng_below(&rng, p->state.projects);
	int rc = fd < 0 ? fd : 0;
	for (unsigned i = 0; i < DEMO_PLANT_DAY_EDITS && rc == 0; i++) {
		struct demo_plc plc = { .seed = p->state.seed,
			.number = (first + i) % p->state.projects,
			.revision = p->state.day,
			.exported_ms = now_ms };
		rc = demo_plc_write(fd, &plc, err);
	}
	return rc;
}

int demo_plant_next_day(struct demo_plant *p, int64_t now_ms, struct err *err)
{
	now_ms = clock_ms(now_ms);
	if (now_ms < p->state.last_ms)
		now_ms = p->state.last_ms; /* the clock was set back */
	int rc = add_batches(p, now_ms, err);
	if (rc == 0)
		rc = edit_projects(p, now_ms, err);
	if (rc == 0)
		rc = demo_historian_append(p->postgres, p->state.seed + p->state.day,
			DEMO_PLANT_DAY_SCANS, now_ms, err);
	if (rc != 0)
		return rc;
	p->state.batches += DEMO_PLANT_DAY_BATCHES;
	p->state.day++;
	p->state.last_ms = now_ms;
	return write_state(p, err);
}

int demo_plant_stop(struct demo_plant *p, struct err *err)
{
	return p->postgres == NULL ? 0 : demo_postgres_stop(p->postgres, err);
}

void demo_plant_free(struct demo_plant *p)
{
	if (p == NULL)
		return;
	demo_postgres_free(p->postgres);
	cleanup_close_p(&p->dirfd);
	free(p->dir);
	free(p);
}
