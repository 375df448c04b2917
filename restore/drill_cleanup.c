#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "plans/plan.h"
#include "restore/canary.h"
#include "restore/drill_internal.h"
#include "restore/erase_tree.h"
#include "restore/report_judge.h"
#include "restore/sandbox_left.h"
#include "restore/service_postgres.h"

/*
 * INVARIANTS
 * (1) Cleaning up is never interrupted: whoever asks to stop gets it done, and a drill that is
 *     noted as aborted.
 * (2) T7 is set only when nothing is left that should not be.
 * (3) Only the directory that this drill made is removed.
 * (4) Evidence has the drill's names, never those of whoever wrote into the log directory.
 */

#define DRILL_EVIDENCE_MAX ((size_t)16 << 20) /* of one file; longer ones are cut */
#define DRILL_LOGS_MAX ((size_t)64 << 20)     /* of what was said inside, together */
#define DRILL_LOGS_COUNT 200                  /* a controller takes 256 files */

/* ---- evidence ---- */

/* Write one file into the evidence directory and list it in the report. */
static void save(struct drill *d, const char *name, const char *kind, const void *data, size_t len)
{
	struct err why = ERR_INIT;
	uint8_t digest[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	CLEANUP(cleanup_close_p)
	int dirfd = open(d->evidence, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = atomic_file_write(dirfd, name, 0600, data, len, &why);
	if (rc != 0) {
		drill_find(d, REPORT_MINOR, NULL, "evidence '%s' could not be saved: %s", name,
			why.msg);
		return;
	}
	struct report_evidence *e = report_add_evidence(d->r);
	if (e == NULL)
		return; /* the report is marked as failed */
	hash_sha256(data, len, digest);
	text_hex(digest, sizeof(digest), hex);
	e->ref = report_textf(d->r, "%s/" DRILL_EVIDENCE "/%s", d->id, name);
	e->kind = report_text(d->r, kind);
	e->sha256 = report_text(d->r, hex);
	e->size_bytes = (int64_t)len;
}

/* What was said inside. */
struct logs {
	struct drill *d;
	int dirfd;
	size_t count, bytes, left_out;
};

/* Save what the log ${file} holds as ${name}; whoever runs inside could write both at will. */
static void save_log(struct logs *l, const char *file, const char *name)
{
	struct drill *d = l->d;
	struct stat st;
	CLEANUP(cleanup_close_p)
	int fd = openat(l->dirfd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return; /* it was never started */
	const bool is_file = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	if (is_file && st.st_size == 0)
		return;
	const size_t left = DRILL_LOGS_MAX - l->bytes;
	if (is_file && (l->count == DRILL_LOGS_COUNT || left == 0)) {
		l->left_out++;
		return;
	}
	CLEANUP(buf_done)
	struct buf text = BUF_INIT(left < DRILL_EVIDENCE_MAX ? left : DRILL_EVIDENCE_MAX);
	int rc = is_file ? fdio_read_all(fd, &text, NULL) : -ERR_IO;
	if (rc != 0 && rc != -ERR_LIMIT) {
		drill_find(d, REPORT_MINOR, NULL, "log '%s' could not be read", name);
		return;
	}
	if (rc == -ERR_LIMIT)
		drill_find(d, REPORT_OBSERVATION, NULL,
			"log '%s' is too long for the evidence, which holds its first %zu bytes",
			name, text.len);
	l->count++;
	l->bytes += text.len;
	save(d, name, "log", text.data, text.len);
}

/* The logs of what the drill itself started, under names that cannot meet another's. */
static void save_logs(struct drill *d)
{
	CLEANUP(cleanup_close_p) int dirfd = open(d->log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct logs l = { .d = d, .dirfd = dirfd };
	if (dirfd < 0) {
		drill_find(d, REPORT_MINOR, NULL, "the services' logs could not be saved");
		return;
	}
	save_log(&l, SANDBOX_LOG_NAME, SANDBOX_LOG_NAME);
	for (size_t i = 0; i < d->o->plan->system_count; i++) {
		const struct plan_system *s = d->systems[d->order[i]].plan;
		char service[DRILL_SERVICE_BYTES], file[DRILL_SERVICE_BYTES + 8],
			name[DRILL_SERVICE_BYTES + 16];
		if (!plan_system_type_is_database(s->type))
			continue;
		drill_control_name(s, service);
		(void)snprintf(file, sizeof(file), "%s.log", s->id);         /* fits */
		(void)snprintf(name, sizeof(name), "service-%s.log", s->id); /* fits */
		save_log(&l, file, name);
		(void)snprintf(file, sizeof(file), "%s.log", service);       /* fits */
		(void)snprintf(name, sizeof(name), "control-%s.log", s->id); /* fits */
		save_log(&l, file, name);
	}
	if (l.left_out > 0)
		drill_find(d, REPORT_OBSERVATION, NULL,
			"%zu logs of services are not in the evidence, which is full", l.left_out);
}

/* ---- the end of everything that runs ---- */

static void stop_services(struct drill *d)
{
	for (size_t i = d->o->plan->system_count; i > 0; i--) {
		struct drill_system *s = &d->systems[d->order[i - 1]];
		struct err why = ERR_INIT;
		if (s->database == NULL)
			continue;
		/* an interrupted conversation is over: the sandbox's end ends the service */
		if (service_postgres_stop(s->database, &why) != 0)
			drill_tell(d, "%s: %s", s->plan->id,
				drill_is_stopped(d) ? "the database ends with its sandbox"
						    : why.msg);
		service_postgres_free(TAKE(s->database));
	}
}

static void stop_sandbox(struct drill *d)
{
	struct err why = ERR_INIT;
	if (d->box == NULL)
		return;
	/* not freed yet: the numbers of its namespaces must stay its own until they were counted */
	if (sandbox_close(d->box, &why) != 0)
		drill_tell(d, "sandbox: %s", why.msg);
}

/* ---- what is left ---- */

/* Erase when the drill passed or was aborted, and otherwise as the plan says. */
static enum report_cleanup_rule rule_of(struct drill *d)
{
	const struct plan *plan = d->o->plan;
	report_judge_run(d->r); /* what it is so far; judged again at the end */
	enum report_verdict v = d->r->verdict.overall;
	if (d->r->exercise.abort_reason != NULL)
		return REPORT_ERASE;
	bool is_good = v == REPORT_PASS || v == REPORT_PASS_WITH_FINDINGS;
	enum plan_cleanup rule = is_good ? plan->on_success : plan->on_fail;
	return rule == PLAN_CLEANUP_KEEP ? REPORT_KEEP : REPORT_ERASE;
}

static void erase(struct drill *d)
{
	struct err why = ERR_INIT;
	uint64_t left = 0;
	cleanup_close_p(&d->data_fd);
	d->data_fd = -1;
	if (erase_tree_run(d->parent_fd, d->name, &left, &why) == 0)
		return;
	report_add_text(d->r, &d->r->cleanup.residue, d->work);
	drill_tell(d, "cleanup: %llu names could not be removed: %s", (unsigned long long)left,
		why.msg);
}

static void count_left(struct drill *d)
{
	struct report_cleanup *c = &d->r->cleanup;
	struct sandbox_left left;
	struct err why = ERR_INIT;
	const struct sandbox_ids *ids = d->box == NULL ? NULL : sandbox_ids(d->box);
	if (sandbox_left_count(ids, d->work, &left, &why) != 0) {
		drill_tell(d, "cleanup: %s", why.msg);
		return; /* absent: the judgement says "not shown" */
	}
	c->processes_left = left.processes;
	c->namespaces_left = left.namespaces;
	c->mounts_left = left.mounts;
	drill_tell(d, "cleanup: left: %lld processes, %lld namespaces, %lld mounts",
		(long long)left.processes, (long long)left.namespaces, (long long)left.mounts);
}

static bool is_clean(const struct report_cleanup *c)
{
	return c->residue.count == 0 && c->processes_left == 0 && c->namespaces_left == 0 &&
	       c->mounts_left == 0;
}

void drill_cleanup_run(struct drill *d)
{
	struct report_cleanup *c = &d->r->cleanup;
	struct stat st;
	stop_services(d);
	stop_sandbox(d);
	drill_isolation_count(d);
	canary_free(TAKE(d->canary));
	save_logs(d);
	/* the rule wants a verdict, and a verdict wants the rest to look as if it went well */
	*c = (struct report_cleanup){ .rule = REPORT_ERASE,
		.is_completed = true,
		.processes_left = 0,
		.mounts_left = 0,
		.namespaces_left = 0 };
	d->r->exercise.ended = clock_now_ms(&d->clock);
	if (drill_is_stopped(d))
		drill_note_stop(d);
	c->rule = rule_of(d);
	c->processes_left = c->mounts_left = c->namespaces_left = REPORT_NONE;
	if (c->rule == REPORT_ERASE)
		erase(d);
	count_left(d);
	sandbox_free(TAKE(d->box));
	if (c->rule == REPORT_ERASE &&
		fstatat(d->parent_fd, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		c->residue.count == 0)
		report_add_text(d->r, &c->residue, d->work);
	c->is_completed = is_clean(c);
	for (size_t i = 0; c->is_completed && i < d->o->plan->system_count; i++)
		clock_mark(&d->clock, CLOCK_CLEAN, &d->systems[i].report->timings);
	if (c->rule == REPORT_KEEP)
		drill_find(d, REPORT_OBSERVATION, NULL,
			"the restored data is kept for inspection in '%s', as the plan says",
			d->work);
	else
		drill_tell(
			d, "cleanup: '%s' is %s", d->work, c->is_completed ? "gone" : "not gone");
	if (drill_is_stopped(d))
		drill_note_stop(d);
	save(d, "drill.log", "log", d->text.data == NULL ? (const void *)"" : d->text.data,
		d->text.len);
	d->r->exercise.ended = clock_now_ms(&d->clock);
}
