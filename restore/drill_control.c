#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/truth.h"
#include "plans/plan.h"
#include "restore/checks.h"
#include "restore/damage.h"
#include "restore/drill_internal.h"
#include "restore/erase_tree.h"
#include "restore/service_postgres.h"
#include "restore/snapshot_files.h"
#include "restore/tree_truth.h"
#include "restore/tree_walk.h"

/*
 * INVARIANTS
 * (1) The copy is restored anew from the same snapshot, so that what is wrong with it is the damage
 *     and nothing that running the original did to its files.
 * (2) A check that the damage concerns and that passes all the same makes the drill void.
 * (3) T6 is long set: none of this is in the recovery time.
 */

struct control {
	struct drill *d;
	struct drill_system *s;
	char name[PLAN_MAX_ID + 16]; /* directory and service */
	int dirfd;                   /* owned */
	struct damage damage;
	struct service_postgres *database; /* owned */
};

static void control_done(struct control *c)
{
	service_postgres_free(c->database);
	cleanup_close_p(&c->dirfd);
}

/* ---- what to damage ---- */

/* True if ${f} has something to damage, ends with ${suffix} and is not inside the folder ${but}. */
static bool is_candidate(const struct snapshot_file *f, const char *suffix, const char *but)
{
	const size_t but_len = but == NULL ? 0 : strlen(but);
	if (!tree_walk_has_suffix(f->path, suffix) || f->size < 2)
		return false;
	return but == NULL || strncmp(f->path, but, but_len) != 0 || f->path[but_len] != '/';
}

/* One of the candidates, chosen by ${seed}; NULL when there is none. */
static const char *find_file(
	const struct snapshot_files *f, const char *suffix, const char *but, uint64_t seed)
{
	uint64_t count = 0;
	for (size_t i = 0; i < f->count; i++)
		count += is_candidate(&f->items[i], suffix, but);
	uint64_t left = count > 0 ? seed % count : 0;
	for (size_t i = 0; i < f->count; i++) {
		if (is_candidate(&f->items[i], suffix, but) && left-- == 0)
			return f->items[i].path;
	}
	return NULL;
}

/* True if the source wrote down the batch whose folder is the first ${len} bytes of ${path}. */
static bool is_known_batch(const struct truth *t, const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);
	const char *id = slash == NULL ? path : slash + 1;
	const size_t id_len = len - (size_t)(id - path);
	for (size_t i = 0; t != NULL && i < t->batch_count; i++) {
		if (strlen(t->batches[i].id) == id_len && memcmp(t->batches[i].id, id, id_len) == 0)
			return true;
	}
	return false;
}

/* The folder of a batch that will be missed, chosen by the seed; owned by the caller, or NULL. */
static char *find_batch(const struct drill_system *s, uint64_t seed)
{
	for (size_t i = 0; i < s->files.count; i++) {
		const char *journal = find_file(&s->files, "/" TREE_TRUTH_JOURNAL, NULL, seed + i);
		size_t len = journal == NULL ? 0 : (size_t)(strrchr(journal, '/') - journal);
		if (journal == NULL || is_known_batch(s->truth, journal, len))
			return journal == NULL ? NULL : strndup(journal, len);
	}
	return NULL;
}

/* The file of the largest table, as seen from the top of the copy. */
static int heap_path(const struct control *c, char path[PATH_MAX], struct err *err)
{
	const char *root = c->s->root, *file = c->s->heap;
	if (file[0] == '\0')
		return err_set(err, ERR_NOT_FOUND, "no table file is known");
	int n = snprintf(path, PATH_MAX, "%s%s%s", root, root[0] == '\0' ? "" : "/", file);
	return n < 0 || n >= PATH_MAX
		       ? err_set(err, ERR_LIMIT, "the path of the table file is too long")
		       : 0;
}

static int damage_database(struct control *c, struct err *err)
{
	char path[PATH_MAX];
	int rc = heap_path(c, path, err);
	return rc == 0 ? damage_flip(c->dirfd, path, c->d->seed, &c->damage, err) : rc;
}

static int damage_tree(struct control *c, struct err *err)
{
	const struct snapshot_files *f = &c->s->files;
	const bool is_batch = c->s->plan->type == PLAN_SYSTEM_BATCH_RECORDS;
	CLEANUP(cleanup_free_p) char *batch = is_batch ? find_batch(c->s, c->d->seed) : NULL;
	int rc = batch == NULL ? 0 : damage_remove(c->dirfd, batch, &c->damage, err);
	const char *xml = find_file(f, ".xml", batch, c->d->seed / 3);
	if (rc == 0 && xml != NULL)
		rc = damage_cut(c->dirfd, xml, &c->damage, err);
	const char *other = find_file(f, "", batch, c->d->seed / 5);
	if (rc == 0 && other != NULL && other != xml)
		rc = damage_flip(c->dirfd, other, c->d->seed, &c->damage, err);
	if (rc == 0 && c->damage.text[0] == '\0')
		rc = err_set(err, ERR_NOT_FOUND, "there is nothing to damage");
	return rc;
}

/* ---- the checks once more ---- */

/* True when the damage is of the kind that ${check} is there to see. */
static bool must_see(const struct control *c, const struct plan_check *check)
{
	const bool is_batch = c->s->plan->type == PLAN_SYSTEM_BATCH_RECORDS;
	switch (check->type) {
	case PLAN_CHECK_HASH_MANIFEST:
		return true;
	case PLAN_CHECK_ROW_COUNT:
		/* of the table that was damaged; without checksums it may be in unused space */
		return check->object != NULL && c->damage.has_flip && c->s->truth != NULL &&
		       c->s->truth->database.has_data_checksums;
	case PLAN_CHECK_OPEN_RECORD:
		return is_batch && c->damage.has_removal;
	case PLAN_CHECK_XML:
		return c->damage.has_cut;
	case PLAN_CHECK_NEWEST_RECORD:
	case PLAN_CHECK_SQL:
	case PLAN_CHECK_NONE:
		break;
	}
	return false;
}

static int run_one(struct control *c, const struct plan_check *check, struct err *err)
{
	struct drill *d = c->d;
	const struct checks_place place = { .system = c->s->plan,
		.dirfd = c->dirfd,
		.root = c->s->root,
		.files = &c->s->files,
		.truth = c->s->truth,
		.database = c->database,
		.snapshot_ns = c->s->snap->record.t_end_ns,
		.seed = d->seed,
		.evidence = &d->text,
		.is_stopped = d->o->is_stopped,
		.arg = d->o->arg };
	struct checks_result result;
	int rc = checks_run(&place, check, &result, err);
	if (rc != 0)
		return rc;
	if (result.status == REPORT_STATUS_FAIL) {
		report_add_text(d->r, &c->s->report->negative_control.checks_failed, check->id);
		drill_tell(d, "negative control: %s: check %s saw it: %s", c->s->plan->id,
			check->id, result.observed);
	} else if (must_see(c, check)) {
		drill_find(d, REPORT_MAJOR, c->s,
			"negative control: check %s passed a damaged copy (%s): it proves nothing, "
			"the drill is void",
			check->id, c->damage.text);
	}
	return 0;
}

static int run_checks(struct control *c, bool is_before, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; i < c->s->plan->check_count && rc == 0; i++) {
		const struct plan_check *check = &c->s->plan->checks[i];
		if (check->is_mandatory && checks_is_before_start(check) == is_before)
			rc = run_one(c, check, err);
	}
	return rc;
}

/* Start the damaged database; that it does not start is a way of seeing the damage. */
static int start(struct control *c, struct err *err)
{
	struct err why = ERR_INIT;
	int rc = drill_system_start(c->d, c->s, c->name, &c->database, &why);
	if (drill_is_final(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc != 0)
		drill_tell(c->d, "negative control: %s: the damaged copy does not start: %s",
			c->s->plan->id, why.msg);
	return 0;
}

/*
 * A page that was written while the backup ran is in the log that comes with it, and recovery put
 * it right: the same byte again, now that recovery is over.
 */
static int damage_again(struct control *c, struct err *err)
{
	char path[PATH_MAX];
	int rc = heap_path(c, path, err);
	if (rc != 0 || damage_is_there(c->dirfd, path, &c->damage))
		return rc;
	drill_tell(c->d, "negative control: %s: recovery put the damaged page right, once more",
		c->s->plan->id);
	rc = service_postgres_stop(c->database, err);
	service_postgres_free(TAKE(c->database));
	if (rc == 0)
		rc = damage_flip(c->dirfd, path, c->d->seed, &c->damage, err);
	return rc == 0 ? start(c, err) : rc;
}

static int start_damaged(struct control *c, struct err *err)
{
	struct err why = ERR_INIT;
	if (c->s->database == NULL)
		return 0;
	/* both would want the same socket */
	if (service_postgres_stop(c->s->database, &why) != 0)
		drill_tell(c->d, "%s: %s", c->s->plan->id, why.msg);
	int rc = start(c, err);
	return rc == 0 && c->database != NULL ? damage_again(c, err) : rc;
}

static int run(struct control *c, struct err *err)
{
	struct drill *d = c->d;
	int rc = drill_system_restore(d, c->s, c->name, NULL, NULL, err);
	if (rc != 0)
		return rc;
	c->dirfd = openat(d->data_fd, c->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dirfd < 0)
		return err_sys(err, ERR_IO, "unable to open directory '%s'", c->name);
	rc = plan_system_type_is_database(c->s->plan->type) ? damage_database(c, err)
							    : damage_tree(c, err);
	if (rc != 0)
		return rc;
	drill_tell(d, "negative control: %s: %s", c->s->plan->id, c->damage.text);
	rc = run_checks(c, true, err);
	if (rc == 0)
		rc = start_damaged(c, err);
	if (rc == 0)
		rc = run_checks(c, false, err);
	/* only now has every check had its look: a control that was broken off says nothing */
	if (rc == 0)
		c->s->report->negative_control.damage = report_text(d->r, c->damage.text);
	return rc;
}

int drill_control_run(struct drill *d, struct drill_system *s, struct err *err)
{
	CLEANUP(control_done) struct control c = { .d = d, .s = s, .dirfd = -1 };
	struct err why = ERR_INIT;
	if (!s->is_recovered)
		return 0; /* its checks failed already: there is nothing more to show */
	(void)snprintf(c.name, sizeof(c.name), "%s.control", s->plan->id); /* fits */
	int rc = drill_settle(d, run(&c, &why), &why);
	if (rc != 0)
		s->report->negative_control.checks_failed.count = 0;
	if (drill_is_final(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	if (rc != 0)
		drill_find(
			d, REPORT_MINOR, s, "the negative control could not be run: %s", why.msg);
	service_postgres_free(TAKE(c.database));
	/* room for the next one; the cleaning up takes what stays */
	(void)erase_tree_run(d->data_fd, c.name, NULL, NULL);
	return 0;
}
