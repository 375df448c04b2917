#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"
#include "plans/plan.h"
#include "plans/plan_order.h"
#include "restore/canary.h"
#include "restore/drill_internal.h"
#include "restore/erase_tree.h"
#include "restore/report_form.h"
#include "restore/report_shape.h"

/*
 * INVARIANTS
 * (1) Whatever takes time and is no part of a recovery (names, directories) comes before T0.
 * (2) The drill's own directory did not exist before: nothing of others is ever in it.
 * (3) A report that is there is never lost, nor the evidence it names, whoever orders the same
 *     exercise again: both go aside under a number.
 */

#define DRILL_OS_RELEASE "/etc/os-release"
#define DRILL_ASIDE_MAX 99 /* earlier reports of one exercise */

/* The exercise that somebody else chose; its directory bears the whole id. */
static int take_id(struct drill *d, struct err *err)
{
	if (!report_form_is_text(REPORT_SHAPE_UUID, d->o->exercise))
		return err_set(err, ERR_USAGE, "the exercise id is no UUID in lower case");
	(void)snprintf(d->id, sizeof(d->id), "%s", d->o->exercise);           /* fits */
	(void)snprintf(d->name, sizeof(d->name), "holdfast-drill-%s", d->id); /* fits */
	return 0;
}

static int make_id(struct drill *d, struct err *err)
{
	uint8_t raw[24];
	char hex[33];
	int rc = env_random(raw, sizeof(raw), err);
	if (rc != 0)
		return rc;
	d->seed = bytes_get64(raw + 16);
	if (d->o->exercise != NULL)
		return take_id(d, err);
	raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
	raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
	text_hex(raw, 16, hex);
	(void)snprintf(d->id, sizeof(d->id), "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		hex + 16, hex + 20);                                          /* fits */
	(void)snprintf(d->name, sizeof(d->name), "holdfast-drill-%.8s", hex); /* fits */
	return 0;
}

static int join(char out[PATH_MAX], const char *a, const char *b, const char *c, struct err *err)
{
	int n = snprintf(out, PATH_MAX, "%s/%s%s", a, b, c);
	return n < 0 || n >= PATH_MAX ? err_set(err, ERR_LIMIT, "path '%s/%s' is too long", a, b)
				      : 0;
}

static int make_dir(const char *path, struct err *err)
{
	if (env_mkdirat(AT_FDCWD, path, 0700) != 0)
		return err_sys(err, ERR_IO, "unable to create directory '%s'", path);
	return 0;
}

static bool is_there(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Invariant 3.  The report goes last: what was cut off in the middle goes on with this number. */
static int set_aside(const struct drill *d, int reports, struct err *err)
{
	static const char *const ends[] = { "", ".html", ".json" };
	char from[DRILL_ID_BYTES + 16], to[DRILL_ID_BYTES + 16];
	int n = 1;
	(void)snprintf(from, sizeof(from), "%s.json", d->id); /* fits, and below */
	if (!is_there(reports, from))
		return 0;
	for (; n <= DRILL_ASIDE_MAX; n++) {
		(void)snprintf(to, sizeof(to), "%s.%d.json", d->id, n);
		if (!is_there(reports, to))
			break;
	}
	if (n > DRILL_ASIDE_MAX) {
		(void)err_set(err, ERR_LIMIT, "'%s' holds %d reports of exercise %s already",
			d->o->reports, DRILL_ASIDE_MAX + 1, d->id);
		return err_hint(err, "an exercise is ordered once; order another one");
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		(void)snprintf(from, sizeof(from), "%s%s", d->id, ends[i]);
		(void)snprintf(to, sizeof(to), "%s.%d%s", d->id, n, ends[i]);
		if (env_renameat(reports, from, reports, to) != 0 && errno != ENOENT)
			return err_sys(err, ERR_IO, "unable to set the earlier '%s' aside in '%s'",
				from, d->o->reports);
	}
	return 0;
}

/* What a try at the same exercise left: its report stays, the rest did not come to its end. */
static int clear_earlier(const struct drill *d, struct err *err)
{
	CLEANUP(cleanup_close_p)
	int reports = open(d->o->reports, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (reports < 0)
		return err_sys(err, ERR_IO, "unable to open directory '%s'", d->o->reports);
	int rc = set_aside(d, reports, err);
	if (rc == 0)
		rc = erase_tree_run(reports, d->id, NULL, err);
	return rc == 0 ? erase_tree_run(d->parent_fd, d->name, NULL, err) : rc;
}

static int make_dirs(struct drill *d, struct err *err)
{
	char base[PATH_MAX], absolute[PATH_MAX];
	/* the sandbox and the search for mounts want the real name */
	if (realpath(d->o->work, absolute) == NULL)
		return err_sys(err, ERR_IO, "unable to find directory '%s'", d->o->work);
	int rc = join(d->work, absolute, d->name, "", err);
	if (rc == 0)
		rc = join(d->data, d->work, "data", "", err);
	if (rc == 0)
		rc = join(d->log, d->work, "log", "", err);
	if (rc == 0)
		rc = join(base, d->o->reports, d->id, "", err);
	if (rc == 0)
		rc = join(d->evidence, base, DRILL_EVIDENCE, "", err);
	if (rc != 0)
		return rc;
	d->parent_fd = open(absolute, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->parent_fd < 0)
		return err_sys(err, ERR_IO, "unable to open directory '%s'", absolute);
	if (d->o->exercise != NULL)
		rc = clear_earlier(d, err);
	if (rc == 0)
		rc = make_dir(base, err);
	if (rc == 0)
		rc = make_dir(d->evidence, err);
	if (rc == 0)
		rc = make_dir(d->work, err);
	if (rc == 0)
		rc = make_dir(d->data, err);
	if (rc == 0)
		rc = make_dir(d->log, err);
	if (rc == 0)
		d->data_fd = open(d->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rc == 0 && d->data_fd < 0)
		rc = err_sys(err, ERR_IO, "unable to open directory '%s'", d->data);
	return rc;
}

/* The value of PRETTY_NAME, or "". */
static void read_os(char out[128])
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(65536);
	out[0] = '\0';
	if (fdio_read_file(AT_FDCWD, DRILL_OS_RELEASE, &text, NULL) != 0)
		return;
	const char *all = buf_cstr(&text);
	const char *line = all == NULL ? NULL : strstr(all, "PRETTY_NAME=");
	if (line == NULL)
		return;
	line += strlen("PRETTY_NAME=");
	line += *line == '"';
	(void)snprintf(out, 128, "%.*s", (int)strcspn(line, "\"\n"), line); /* cut is fine */
}

/* Who runs the drill, and for whom. */
static void fill_parties(struct drill *d)
{
	const struct report_agent *a = d->o->agent;
	const struct report_controller *c = d->o->controller;
	struct report_environment *e = &d->r->environment;
	if (a != NULL)
		e->agent = (struct report_agent){ .name = report_text(d->r, a->name),
			.agent_id = report_text(d->r, a->agent_id),
			.keyid = report_text(d->r, a->keyid) };
	if (c != NULL)
		e->controller = (struct report_controller){ .name = report_text(d->r, c->name),
			.keyid = report_text(d->r, c->keyid) };
}

static void fill_environment(struct drill *d)
{
	struct report_environment *e = &d->r->environment;
	struct utsname name;
	char os[128];
	read_os(os);
	e->sandbox_kind = report_text(d->r, "process");
	e->network = REPORT_NETWORK_NONE;
	e->tool_version = report_text(d->r, d->o->tool);
	if (uname(&name) == 0)
		e->host.kernel =
			report_textf(d->r, "%s %s %s", name.sysname, name.release, name.machine);
	e->host.os = report_text(d->r, os);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
	if (cpus > 0)
		e->host.cpu_count = cpus;
	if (pages > 0)
		e->host.memory_bytes = (int64_t)pages * sysconf(_SC_PAGESIZE);
	fill_parties(d);
}

static void fill_exercise(struct drill *d)
{
	const struct plan *plan = d->o->plan;
	char hex[2 * HASH_BYTES + 1];
	text_hex(plan->sha256, sizeof(plan->sha256), hex);
	d->r->exercise.exercise_id = report_text(d->r, d->id);
	d->r->exercise.kind = REPORT_FULL_RESTORE;
	d->r->exercise.trigger = d->o->trigger;
	d->r->exercise.scenario = report_text(d->r, d->o->scenario);
	d->r->exercise.started = clock_now_ms(&d->clock);
	d->r->exercise.ordered_by = report_text(d->r, d->o->ordered_by);
	d->r->exercise.approved_by = report_text(d->r, d->o->approved_by);
	d->r->plan = (struct report_plan){ .id = report_text(d->r, plan->id),
		.version = plan->version,
		.title = report_text(d->r, plan->title),
		.sha256 = report_text(d->r, hex),
		.file = report_text(d->r, plan->file) };
}

/* One system's place in the report, in order of recovery. */
static void add_system(struct drill *d, const struct plan_system *plan, struct drill_system *s)
{
	struct report_system *r = report_add_system(d->r);
	s->plan = plan;
	s->report = r;
	if (r == NULL)
		return; /* the report is marked as failed; begin ends then */
	r->system_id = report_text(d->r, plan->id);
	r->type = report_text(d->r, plan_system_type_name(plan->type));
	r->tier = plan->tier;
	r->mtpd_ms = plan->mtpd_ns / 1000000;
	r->rto_ms = plan->rto_ns / 1000000;
	r->rpo_ms = plan->rpo_ns / 1000000;
	for (size_t i = 0; i < plan->after_count; i++)
		report_add_text(d->r, &r->depends_on, plan->after[i].id);
}

static int add_systems(struct drill *d, struct err *err)
{
	const struct plan *plan = d->o->plan;
	d->systems = calloc(plan->system_count + 1, sizeof(*d->systems));
	d->order = calloc(plan->system_count + 1, sizeof(*d->order));
	if (d->systems == NULL || d->order == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = plan_order_find(plan, d->order, err);
	for (size_t i = 0; i < plan->system_count && rc == 0; i++)
		add_system(d, &plan->systems[d->order[i]], &d->systems[d->order[i]]);
	if (rc == 0 && d->r->has_failed)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc;
}

/* Every address behind a target. */
static size_t resolve(const struct plan_target *t, struct probe_target *out)
{
	char port[16];
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	(void)snprintf(port, sizeof(port), "%d", t->port); /* fits */
	if (getaddrinfo(t->host, port, &hints, &list) != 0)
		list = NULL;
	size_t count = probe_target_expand(t->host, t->port, list, out);
	if (list != NULL)
		freeaddrinfo(list);
	return count;
}

static int add_targets(struct drill *d, struct err *err)
{
	const struct plan *plan = d->o->plan;
	for (size_t i = 0; i < plan->must_not_reach_count; i++) {
		struct probe_target *grown = realloc(
			d->targets, (d->target_count + PROBE_TARGET_MAX + 1) * sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		d->targets = grown;
		d->target_count += resolve(&plan->must_not_reach[i], d->targets + d->target_count);
	}
	return 0;
}

/* T0 and T1: nobody is asked for approval, so the drill begins at once. */
static void declare(struct drill *d)
{
	const int64_t now = clock_now_ms(&d->clock);
	int64_t declared = now - d->o->spent_ms;
	if (d->o->declared_ns != 0)
		declared = report_ms(d->o->declared_ns);
	else if (d->o->since_declared_ms > 0) /* on the clock of whoever declared it */
		declared = report_ms(d->clock.wall_ns) - d->o->since_declared_ms;
	if (declared > now)
		declared = now; /* a disruption in the future is a slip of the clock */
	d->r->exercise.t_declared = declared;
	for (size_t i = 0; i < d->o->plan->system_count; i++) {
		d->systems[i].report->timings.t_declared = declared;
		d->systems[i].report->timings.t_approved = now;
	}
}

int drill_begin_run(struct drill *d, struct err *err)
{
	int rc = make_id(d, err);
	if (rc == 0)
		rc = add_targets(d, err);
	if (rc == 0)
		rc = canary_new(&d->canary, err);
	if (rc == 0) {
		fill_exercise(d);
		fill_environment(d);
		rc = add_systems(d, err);
	}
	if (rc == 0)
		rc = make_dirs(d, err);
	if (rc != 0) {
		/* whatever of it was made; without the parent nothing was */
		if (d->parent_fd >= 0)
			(void)erase_tree_run(d->parent_fd, d->name, NULL, NULL);
		return rc;
	}
	declare(d);
	drill_tell(d, "drill %s of plan %s version %lld begins", d->id, d->o->plan->id,
		(long long)d->o->plan->version);
	return 0;
}
