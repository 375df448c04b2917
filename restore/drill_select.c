#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "codec/text.h"
#include "codec/truth.h"
#include "codec/truth_json.h"
#include "plans/plan.h"
#include "restore/drill_internal.h"
#include "vault/record_io.h"

/*
 * INVARIANTS
 * (1) Snapshots are opened with the drill key; whoever opens them makes the recovery envelope again
 *     and compares it, so a drill also shows that the recovery key would have worked.
 */

#define DRILL_SELECT_SAMPLE 32 /* facts that are looked for to find where the content begins */

static enum report_consistency consistency_of(uint8_t value)
{
	switch ((enum root_consistency)value) {
	case ROOT_FUZZY:
		return REPORT_FUZZY;
	case ROOT_QUIESCED:
		return REPORT_QUIESCED;
	case ROOT_CRASH:
		return REPORT_CRASH;
	case ROOT_APPLICATION:
		return REPORT_APPLICATION;
	}
	return 0;
}

static void fill_point(struct drill *d, struct drill_system *s)
{
	struct report_recovery_point *p = &s->report->recovery_point;
	const struct snaprec *record = &s->snap->record;
	char hex[65];
	text_hex(s->snap->hash, 32, hex);
	p->source = report_text(d->r, s->plan->source);
	p->snapshot_id = report_text(d->r, hex);
	p->seq = record->seq <= (uint64_t)REPORT_INT_MAX ? (int64_t)record->seq : REPORT_NONE;
	p->snapshot_at = report_ms(record->t_start_ns);
	text_hex(record->root_id, 32, hex);
	p->root_id = report_text(d->r, hex);
	p->consistency = consistency_of(s->point.opened.root.consistency);
	p->recovery_envelope = s->point.opened.is_recovery_recomputed ? REPORT_ENVELOPE_RECOMPUTED
								      : REPORT_ENVELOPE_GONE;
}

static int read_truth(struct drill *d, struct drill_system *s, struct err *err)
{
	CLEANUP(buf_done) struct buf raw = BUF_INIT(TRUTH_JSON_MAX_BYTES);
	const struct record_source *source = d->o->points->content;
	if (!s->point.opened.root.has_truth)
		return 0;
	int rc = source->get(source->self, &s->point.opened.root.truth, RECORD_ATTR, &raw, err);
	return rc == 0 ? truth_json_parse(raw.data, raw.len, &s->truth, err) : rc;
}

/* ---- where the content begins ---- */

/* The data directory of a cluster: the outermost directory with PG_VERSION and global/. */
static char *cluster_root(const struct snapshot_files *f)
{
	static const char name[] = "PG_VERSION", control[] = "global/pg_control";
	const char *best = NULL;
	size_t best_len = SIZE_MAX;
	for (size_t i = 0; i < f->count; i++) {
		const char *path = f->items[i].path;
		size_t len = strlen(path), tail = sizeof(control) - 1;
		if (len < tail || strcmp(path + len - tail, control) != 0 || len - tail >= best_len)
			continue;
		if (len > tail && path[len - tail - 1] != '/')
			continue;
		best = path;
		best_len = len - tail;
	}
	if (best == NULL)
		return strdup("");
	CLEANUP(cleanup_free_p) char *version = malloc(best_len + sizeof(name));
	if (version == NULL)
		return NULL;
	memcpy(version, best, best_len);
	memcpy(version + best_len, name, sizeof(name));
	if (snapshot_files_find(f, version) == NULL)
		return strdup("");
	return strndup(best, best_len > 0 ? best_len - 1 : 0);
}

/* How many of the first facts are below the first ${len} bytes of ${path}. */
static size_t count_facts(
	const struct snapshot_files *f, const struct truth *t, const char *path, size_t len)
{
	size_t found = 0;
	for (size_t i = 0; i < t->file_count && i < DRILL_SELECT_SAMPLE; i++) {
		const char *name = t->files[i].path;
		CLEANUP(cleanup_free_p) char *whole = malloc(len + strlen(name) + 2);
		if (whole == NULL)
			return found; /* the root is then taken for the top: the check fails */
		memcpy(whole, path, len);
		if (len > 0)
			whole[len] = '/';
		memcpy(whole + len + (len > 0), name, strlen(name) + 1);
		found += snapshot_files_find(f, whole) != NULL;
	}
	return found;
}

/* The directory from which the source named its files: one above the first file of the snapshot. */
static char *tree_root(const struct snapshot_files *f, const struct truth *t)
{
	if (f->count == 0 || t == NULL || !t->has_files)
		return strdup("");
	const char *path = f->items[0].path;
	size_t best_len = 0, best = count_facts(f, t, path, 0);
	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path), n = count_facts(f, t, path, len);
		if (n > best) {
			best = n;
			best_len = len;
		}
	}
	return strndup(path, best_len);
}

/* ---- */

/* What was received in this host's future: one of the two clocks is wrong. */
static void look_at_clocks(struct drill *d, const struct drill_system *s)
{
	char received[HUMAN_BYTES];
	const struct drill_points *points = d->o->points;
	const int64_t newest = points->newest(points->self, s->plan->source);
	if (report_ms(newest) <= s->report->timings.t_approved)
		return;
	drill_find(d, REPORT_OBSERVATION, s,
		"a snapshot of source '%s' was received at %s, in the future of this host: "
		"the clocks differ, so which snapshot there was at T0 is not certain",
		s->plan->source, human_time_utc(received, newest));
}

/* The newest point there was at T0.  Where T0 is the drill's own beginning, every one that could be
 * listed was there, whatever the clock of the vault's host said. */
static int open_point(struct drill *d, struct drill_system *s, struct err *err)
{
	const struct drill_points *points = d->o->points;
	const bool is_now = d->o->declared_ns == 0 && d->o->since_declared_ms == 0;
	int rc = points->open(points->self, s->plan->source,
		is_now ? INT64_MAX : d->r->exercise.t_declared * 1000000, &s->point, err);
	if (rc != 0)
		return rc;
	/* no report holds such times, and no check can reckon with them */
	if (s->point.record.t_start_ns < 0 || s->point.record.t_end_ns < 0)
		return err_set(err, ERR_CORRUPT, "the snapshot claims to be from before 1970");
	s->snap = &s->point;
	fill_point(d, s);
	rc = snapshot_files_read(d->o->points->content, &s->point.opened.root.top, &s->files, err);
	if (rc == 0)
		rc = read_truth(d, s, err);
	if (rc != 0)
		return rc;
	s->root = plan_system_type_is_database(s->plan->type) ? cluster_root(&s->files)
							      : tree_root(&s->files, s->truth);
	return s->root == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

int drill_select_run(struct drill *d, struct drill_system *s, struct err *err)
{
	struct err why = ERR_INIT;
	char time[HUMAN_BYTES];
	if (drill_is_stopped(d))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	look_at_clocks(d, s);
	int rc = drill_settle(d, open_point(d, s, &why), &why);
	if (drill_is_final(rc)) {
		if (err != NULL)
			*err = why;
		return rc;
	}
	clock_mark(&d->clock, CLOCK_SELECTED, &s->report->timings);
	if (rc != 0) {
		s->snap = NULL;
		drill_find(d, REPORT_MAJOR, s, "no recovery point of source '%s' can be used: %s",
			s->plan->source, why.msg);
		return 0;
	}
	drill_tell(d,
		"%s: snapshot %.12s of %s, %zu files, opened with the drill key; recovery "
		"envelope %s",
		s->plan->id, s->report->recovery_point.snapshot_id,
		human_time_utc(time, s->snap->record.t_start_ns), s->files.count,
		s->point.opened.is_recovery_recomputed ? "recomputed, equal" : "not there");
	if ((s->snap->record.flags & SNAPREC_PARTIAL) != 0)
		drill_find(d, REPORT_MINOR, s,
			"the recovery point is partial: its backup left out what it could not "
			"read, and the checks do not look for that");
	if (s->truth == NULL)
		drill_find(d, REPORT_OBSERVATION, s,
			"the source wrote no truth manifest: checks have less to compare with");
	return 0;
}
