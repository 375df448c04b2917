#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "codec/truth.h"
#include "plans/plan.h"
#include "restore/check_open_record.h"
#include "restore/check_sql.h"
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
 * (2) Every damage is made for a mandatory check, in what that check reads; a check that must see
 *     one of them and passes all the same makes the drill void, and one that none is made for is
 *     named.  A check that could not look has seen nothing.
 * (3) A database is damaged after its recovery, shut down: recovery can neither repair the damage
 *     nor fail because of it, so that what fails is the check.
 * (4) T6 is long set: none of this is in the recovery time.
 */

#define CONTROL_MAX_ROWS 16 /* tables damaged in one database */

/* A damaged row, or the page it is on. */
struct control_row {
	struct check_sql_row row;
	bool is_page;
};

struct control {
	struct drill *d;
	struct drill_system *s;
	char name[DRILL_SERVICE_BYTES]; /* directory and service */
	int dirfd;                      /* owned */
	struct damage damage;
	struct control_row rows[CONTROL_MAX_ROWS];
	size_t row_count;
	uint64_t sampled; /* bit i: check i opens a file that was cut */
	uint64_t told;    /* bit i: that check i is unproven */
	bool has_xml_cut;
	struct service_postgres *database; /* owned */
};

static void control_done(struct control *c)
{
	service_postgres_free(c->database);
	cleanup_close_p(&c->dirfd);
}

static struct checks_place place_of(const struct control *c)
{
	struct drill *d = c->d;
	return (struct checks_place){ .system = c->s->plan,
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
}

/* The first mandatory check of the type, or NULL. */
static const struct plan_check *find_check(const struct control *c, enum plan_check_type type)
{
	for (size_t i = 0; i < c->s->plan->check_count; i++) {
		const struct plan_check *check = &c->s->plan->checks[i];
		if (check->is_mandatory && check->type == type)
			return check;
	}
	return NULL;
}

/* The facts that a row count compares with, or NULL. */
static const struct truth_database *facts_of(const struct control *c)
{
	const struct truth *t = c->s->truth;
	return t != NULL && t->has_database ? &t->database : NULL;
}

/* ---- what must be seen ---- */

/* True if a damaged row, or with ${is_page} a damaged page, is in a table of ${check}. */
static bool touches(const struct control *c, const struct plan_check *check, bool is_page)
{
	for (size_t i = 0; check->object != NULL && i < c->row_count; i++) {
		if (c->rows[i].is_page == is_page &&
			check_sql_is_meant(check->object, &c->rows[i].row))
			return true;
	}
	return false;
}

static uint64_t bit_of(const struct control *c, const struct plan_check *check)
{
	return UINT64_C(1) << (check - c->s->plan->checks);
}

/* True when one of the damages is of the kind that ${check} is there to see. */
static bool must_see(const struct control *c, const struct plan_check *check)
{
	const bool is_batch = c->s->plan->type == PLAN_SYSTEM_BATCH_RECORDS;
	switch (check->type) {
	case PLAN_CHECK_HASH_MANIFEST:
		return true;
	case PLAN_CHECK_ROW_COUNT: /* it reads every page, and counts where it knows how many */
		return touches(c, check, true) || (facts_of(c) != NULL && touches(c, check, false));
	case PLAN_CHECK_NEWEST_RECORD: /* it reads every page */
		return touches(c, check, true);
	case PLAN_CHECK_OPEN_RECORD:
		return (is_batch && c->damage.has_removal) || (c->sampled & bit_of(c, check)) != 0;
	case PLAN_CHECK_XML:
		return c->has_xml_cut;
	case PLAN_CHECK_SQL: /* nobody knows what it reads */
	case PLAN_CHECK_NONE:
		break;
	}
	return false;
}

/* ---- what to damage: files ---- */

/* The files to choose from. */
struct choice {
	const char *within; /* a folder they are in, "" = any */
	const char *but;    /* a folder they are not in; NULL = none */
	const char *suffix;
	uint64_t min_bytes;
};

static bool is_inside(const char *path, const char *dir)
{
	const size_t len = strlen(dir);
	return len == 0 || (strncmp(path, dir, len) == 0 && path[len] == '/');
}

static bool is_candidate(const struct snapshot_file *f, const struct choice *c)
{
	return tree_walk_has_suffix(f->path, c->suffix) && f->size >= c->min_bytes &&
	       is_inside(f->path, c->within) && (c->but == NULL || !is_inside(f->path, c->but));
}

/* One of the candidates, chosen by ${seed}; NULL when there is none. */
static const char *find_file(const struct snapshot_files *f, const struct choice *c, uint64_t seed)
{
	uint64_t count = 0;
	for (size_t i = 0; i < f->count; i++)
		count += is_candidate(&f->items[i], c);
	uint64_t left = count > 0 ? seed % count : 0;
	for (size_t i = 0; i < f->count; i++) {
		if (is_candidate(&f->items[i], c) && left-- == 0)
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
	static const struct choice journals = {
		.within = "", .suffix = "/" TREE_TRUTH_JOURNAL, .min_bytes = 0
	};
	for (size_t i = 0; i < s->files.count; i++) {
		const char *journal = find_file(&s->files, &journals, seed + i);
		size_t len = journal == NULL ? 0 : (size_t)(strrchr(journal, '/') - journal);
		if (journal == NULL || is_known_batch(s->truth, journal, len))
			return journal == NULL ? NULL : strndup(journal, len);
	}
	return NULL;
}

/* Cut a file that ${check} will open, where no missing batch shows it at work.  Samples begin
 * alike, so that a second check finds the ${cut} of the first. */
static int cut_for(
	struct control *c, const struct plan_check *check, char cut[PATH_MAX], struct err *err)
{
	const struct checks_place place = place_of(c);
	struct checks_case look = { .place = &place, .check = check };
	struct err why = ERR_INIT;
	char path[PATH_MAX];
	int rc = check_open_record_find(&look, path, &why);
	if (rc == 0 && strcmp(path, cut) != 0)
		rc = damage_cut(c->dirfd, path, &c->damage, &why);
	if (rc == -ERR_NOT_FOUND) {
		drill_find(c->d, REPORT_MINOR, c->s,
			"negative control: nothing that check %s samples can be damaged so that it "
			"must see it (%s): its passing is not shown to prove anything",
			check->id, why.msg);
		c->told |= bit_of(c, check);
		return 0;
	}
	if (rc != 0) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	(void)snprintf(cut, PATH_MAX, "%s", path); /* same size */
	c->sampled |= bit_of(c, check);
	c->has_xml_cut = c->has_xml_cut || tree_walk_has_suffix(path, ".xml");
	return 0;
}

static int cut_sampled(struct control *c, struct err *err)
{
	char cut[PATH_MAX] = "";
	int rc = 0;
	for (size_t i = 0; i < c->s->plan->check_count && rc == 0; i++) {
		const struct plan_check *check = &c->s->plan->checks[i];
		if (check->is_mandatory && check->type == PLAN_CHECK_OPEN_RECORD &&
			!must_see(c, check))
			rc = cut_for(c, check, cut, err);
	}
	return rc;
}

static int damage_tree(struct control *c, struct err *err)
{
	const struct snapshot_files *f = &c->s->files;
	const bool is_batch = c->s->plan->type == PLAN_SYSTEM_BATCH_RECORDS;
	CLEANUP(cleanup_free_p) char *batch = is_batch ? find_batch(c->s, c->d->seed) : NULL;
	int rc = batch == NULL ? 0 : damage_remove(c->dirfd, batch, &c->damage, err);
	if (rc == 0)
		rc = cut_sampled(c, err);
	const struct choice xmls = { .within = "", .but = batch, .suffix = ".xml", .min_bytes = 2 };
	const struct choice all = { .within = "", .but = batch, .suffix = "", .min_bytes = 1 };
	const char *xml = find_file(f, &xmls, c->d->seed / 3);
	if (rc == 0 && xml != NULL && !c->has_xml_cut) {
		rc = damage_cut(c->dirfd, xml, &c->damage, err);
		c->has_xml_cut = rc == 0;
	}
	const char *other = find_file(f, &all, c->d->seed / 5);
	if (rc == 0 && other != NULL && other != xml)
		rc = damage_flip(c->dirfd, other, c->d->seed, &c->damage, err);
	if (rc == 0 && c->damage.text[0] == '\0')
		rc = err_set(err, ERR_NOT_FOUND, "there is nothing to damage");
	return rc;
}

/* ---- what to damage: rows ---- */

/* Where a path of the cluster is from the top of the copy. */
static int whole_path(
	const struct control *c, const char *path, char out[PATH_MAX], struct err *err)
{
	const char *root = c->s->root;
	int n = snprintf(out, PATH_MAX, "%s%s%s", root, root[0] == '\0' ? "" : "/", path);
	return n < 0 || n >= PATH_MAX ? err_set(err, ERR_LIMIT, "the path '%s' is too long", path)
				      : 0;
}

static int add_row(
	struct control *c, const char *object, int64_t cutoff_ms, bool is_page, struct err *err)
{
	if (c->row_count == CONTROL_MAX_ROWS)
		return 0;
	struct control_row *r = &c->rows[c->row_count];
	int rc = check_sql_find_row(c->database, object, cutoff_ms, &r->row, err);
	if (rc == 0) {
		r->is_page = is_page;
		c->row_count++;
	}
	return rc;
}

/* A row for every check that counts rows, then a page for those that only read them. */
static int choose_rows(struct control *c, bool is_page, struct err *err)
{
	const struct truth_database *facts = facts_of(c);
	int rc = 0;
	for (size_t i = 0; i < c->s->plan->check_count && rc == 0; i++) {
		const struct plan_check *check = &c->s->plan->checks[i];
		const bool counts = check->type == PLAN_CHECK_ROW_COUNT && facts != NULL;
		const bool reads = check->type == PLAN_CHECK_ROW_COUNT ||
				   check->type == PLAN_CHECK_NEWEST_RECORD;
		if (!check->is_mandatory || check->object == NULL || (is_page ? !reads : !counts))
			continue;
		/* a page that cannot be read would hide the missing row beside it */
		if (touches(c, check, false) || touches(c, check, true))
			continue;
		rc = add_row(
			c, check->object, is_page ? INT64_MAX : facts->cutoff_ms, is_page, err);
	}
	return rc;
}

static int damage_rows(struct control *c, struct err *err)
{
	char path[PATH_MAX];
	int rc = 0;
	for (size_t i = 0; i < c->row_count && rc == 0; i++) {
		const struct control_row *r = &c->rows[i];
		rc = whole_path(c, r->row.path, path, err);
		if (rc == 0)
			rc = r->is_page ? damage_page(c->dirfd, path, &r->row.at, &c->damage, err)
					: damage_row(c->dirfd, path, &r->row.at, &c->damage, err);
	}
	return rc;
}

/* ---- the checks once more ---- */

static int run_one(struct control *c, const struct plan_check *check, struct err *err)
{
	struct drill *d = c->d;
	const struct checks_place place = place_of(c);
	struct checks_result result;
	int rc = checks_run(&place, check, &result, err);
	if (rc != 0)
		return rc;
	if (result.is_broken_off)
		return err_set(err, ERR_FAILED, "check %s could not look: %.600s", check->id,
			result.observed);
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

static void tell_damage(const struct control *c)
{
	drill_tell(c->d, "negative control: %s: %s", c->s->plan->id, c->damage.text);
}

static int run_tree(struct control *c, struct err *err)
{
	int rc = damage_tree(c, err);
	if (rc != 0)
		return rc;
	tell_damage(c);
	rc = run_checks(c, true, err);
	return rc == 0 ? run_checks(c, false, err) : rc;
}

/* One bit of one file, for the check that reads every file; then it is put right again. */
static int run_hash(struct control *c, struct err *err)
{
	char base[PATH_MAX];
	int rc = whole_path(c, "base", base, err);
	if (rc != 0)
		return rc;
	const struct choice tables = { .within = base, .suffix = "", .min_bytes = 1 };
	const char *path = find_file(&c->s->files, &tables, c->d->seed);
	if (path == NULL)
		return err_set(err, ERR_NOT_FOUND, "the copy has no table file to damage");
	rc = damage_flip(c->dirfd, path, c->d->seed, &c->damage, err);
	if (rc != 0)
		return rc;
	tell_damage(c);
	rc = run_checks(c, true, err);
	return rc == 0 ? damage_undo_flip(c->dirfd, path, &c->damage, err) : rc;
}

/* Shut down and forget; both copies would want the same socket. */
static int end_service(struct service_postgres **database, struct err *err)
{
	int rc = *database == NULL ? 0 : service_postgres_stop(*database, err);
	service_postgres_free(TAKE(*database));
	return rc;
}

static int start_copy(struct control *c, struct err *err)
{
	const struct drill_start what = {
		.name = c->name, .tree = c->dirfd, .ignore_checksums = true
	};
	return drill_system_start(c->d, c->s, &what, &c->database, err);
}

/* Rows for the checks that ask the database.  Its own checksums stay out of it: they would see any
 * damage, and what has to show that it sees is the check. */
static int run_rows(struct control *c, struct err *err)
{
	struct err why = ERR_INIT;
	const bool is_asked = find_check(c, PLAN_CHECK_ROW_COUNT) != NULL ||
			      find_check(c, PLAN_CHECK_NEWEST_RECORD) != NULL;
	if (end_service(&c->s->database, &why) != 0)
		drill_tell(c->d, "%s: %s", c->s->plan->id, why.msg);
	int rc = start_copy(c, err);
	if (rc == 0)
		rc = choose_rows(c, false, err);
	if (rc == 0)
		rc = choose_rows(c, true, err);
	/* no check reads rows: what would such a plan notice? */
	if (rc == 0 && !is_asked)
		rc = add_row(c, NULL, 0, true, err);
	if (rc == 0)
		rc = end_service(&c->database, err);
	if (rc == 0)
		rc = damage_rows(c, err);
	if (rc == 0) {
		tell_damage(c);
		rc = start_copy(c, err);
	}
	return rc == 0 ? run_checks(c, false, err) : rc;
}

static int run_database(struct control *c, struct err *err)
{
	const bool has_hash = find_check(c, PLAN_CHECK_HASH_MANIFEST) != NULL;
	const bool has_rows = find_check(c, PLAN_CHECK_ROW_COUNT) != NULL ||
			      find_check(c, PLAN_CHECK_NEWEST_RECORD) != NULL;
	int rc = has_hash ? run_hash(c, err) : 0;
	if (rc != 0 || (has_hash && !has_rows))
		return rc;
	return run_rows(c, err);
}

/* Name the mandatory checks that no damage was made for: they passed, and that proves nothing. */
static void tell_unproven(struct control *c)
{
	for (size_t i = 0; i < c->s->plan->check_count; i++) {
		const struct plan_check *check = &c->s->plan->checks[i];
		/* what a query reads is not known; a missing row stands beside its newest record */
		if (!check->is_mandatory || check->type == PLAN_CHECK_SQL || must_see(c, check) ||
			(c->told & bit_of(c, check)) != 0 ||
			(check->type == PLAN_CHECK_NEWEST_RECORD && touches(c, check, false)))
			continue;
		drill_find(c->d, REPORT_MINOR, c->s,
			"negative control: no damage was made for check %s (%s): its passing is "
			"not shown to prove anything",
			check->id, plan_check_type_name(check->type));
	}
}

static int run(struct control *c, struct err *err)
{
	struct drill *d = c->d;
	int rc = drill_system_make(d, c->name, &c->dirfd, err);
	if (rc == 0)
		rc = drill_system_restore(d, c->s, c->dirfd, NULL, NULL, err);
	if (rc != 0)
		return rc;
	rc = c->s->database != NULL ? run_database(c, err) : run_tree(c, err);
	/* only now has every check had its look: a control that was broken off says nothing */
	if (rc != 0)
		return rc;
	c->s->report->negative_control.damage = report_text(d->r, c->damage.text);
	tell_unproven(c);
	return 0;
}

void drill_control_name(const struct plan_system *s, char out[DRILL_SERVICE_BYTES])
{
	(void)snprintf(out, DRILL_SERVICE_BYTES, "%s~control", s->id); /* fits; ids have no '~' */
}

int drill_control_run(struct drill *d, struct drill_system *s, struct err *err)
{
	CLEANUP(control_done) struct control c = { .d = d, .s = s, .dirfd = -1 };
	struct err why = ERR_INIT;
	if (!s->is_recovered)
		return 0; /* its checks failed already: there is nothing more to show */
	drill_control_name(s->plan, c.name);
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
