#include "restore/report_summary.h"

#include "restore/report.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) The texts depend on the rest of the report alone, so that they can be written again and
 *     compared.
 */

/* Return true if a of a_limit is nearer to its limit, or further over, than b of b_limit. */
static bool is_tighter(int64_t a, int64_t a_limit, int64_t b, int64_t b_limit)
{
	return (__int128)a * b_limit > (__int128)b * a_limit;
}

/* The systems nearest to their objectives, of those that measured; NULL when none did. */
static void find_tightest(
	const struct report *r, const struct report_system **rto, const struct report_system **rpo)
{
	*rto = *rpo = NULL;
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		const struct report_result *res = &s->result;
		if (res->rta_total_ms != REPORT_NONE && s->rto_ms != REPORT_NONE &&
			(*rto == NULL || is_tighter(res->rta_total_ms, s->rto_ms,
						 (*rto)->result.rta_total_ms, (*rto)->rto_ms)))
			*rto = s;
		if (res->rpa_ms != REPORT_NONE && s->rpo_ms != REPORT_NONE &&
			(*rpo == NULL || is_tighter(res->rpa_ms, s->rpo_ms, (*rpo)->result.rpa_ms,
						 (*rpo)->rpo_ms)))
			*rpo = s;
	}
}

/* The first finding of the worst grade there is, or NULL; and how many are major. */
static const struct report_finding *find_worst(const struct report *r, size_t *major)
{
	const struct report_finding *worst = NULL;
	*major = 0;
	for (size_t i = 0; i < r->findings_count; i++) {
		const struct report_finding *f = r->findings[i];
		*major += f->grade == REPORT_MAJOR;
		if (worst == NULL || f->grade < worst->grade)
			worst = f;
	}
	return worst;
}

static void summarize(struct report *r)
{
	size_t recovered = 0, major = 0;
	const struct report_system *rto, *rpo;
	char took[REPORT_WORDS_BYTES], limit[REPORT_WORDS_BYTES];

	find_tightest(r, &rto, &rpo);
	for (size_t i = 0; i < r->systems_count; i++) {
		enum report_verdict v = r->systems[i]->result.verdict;
		recovered += v == REPORT_PASS || v == REPORT_PASS_WITH_FINDINGS;
	}
	const struct report_finding *first = find_worst(r, &major);
	const char *text =
		report_textf(r, "%zu of %zu systems recovered in the sandbox as the plan demands.",
			recovered, r->systems_count);
	if (rto != NULL)
		text = report_textf(r, "%s Closest to its recovery time: %s, %s of %s allowed.",
			text, rto->system_id, report_words_duration(took, rto->result.rta_total_ms),
			report_words_duration(limit, rto->rto_ms));
	if (rpo != NULL)
		text = report_textf(r, "%s Closest to its data loss limit: %s, %s of %s allowed.",
			text, rpo->system_id, report_words_duration(took, rpo->result.rpa_ms),
			report_words_duration(limit, rpo->rpo_ms));
	if (r->exercise.abort_reason != NULL)
		text = report_textf(r, "%s Aborted: %s.", text, r->exercise.abort_reason);
	if (first != NULL)
		text = report_textf(r, "%s %s: %zu, the first: %s%s%s.", text,
			major > 0 ? "Major nonconformities" : "Findings",
			major > 0 ? major : r->findings_count,
			first->system == NULL ? "" : first->system,
			first->system == NULL ? "" : ": ", first->description);
	r->verdict.summary = text;
}

static void tell_limits(struct report *r)
{
	struct report_texts *limits = &r->verdict.limits_of_this_evidence;
	report_add_text(r, limits,
		"log: none. The report is signed but not recorded in a tamper-evident log: it "
		"cannot "
		"show that no other report of this drill was made or withheld.");
	report_add_text(r, limits,
		"All times come from the clock of the drill host; its offset was not measured.");
	if (r->environment.controller.name != NULL)
		report_add_text(r, limits,
			report_textf(r,
				"With its signature the controller %s says that the exercise, the "
				"plan and the recovery points are those it ordered and that the "
				"times fit into what its own clock saw; without it nobody says so.",
				r->environment.controller.name));
	report_add_text(r, limits,
		"Recovery was timed on the drill host, not on the production hardware; operating "
		"systems, licences and plant networks were not recovered.");
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		if (s->recovery_point.rpa_basis == REPORT_RPA_SNAPSHOT_TIME)
			report_add_text(r, limits,
				report_textf(r,
					"%s: the age of the data is the time of the snapshot, not "
					"read from the restored data.",
					s->system_id));
		if (s->recovery_point.consistency == REPORT_FUZZY)
			report_add_text(r, limits,
				report_textf(r,
					"%s: the files were captured while in use, one after the "
					"other; they are not of one moment.",
					s->system_id));
	}
}

void report_summary_write(struct report *r)
{
	summarize(r);
	tell_limits(r);
}
