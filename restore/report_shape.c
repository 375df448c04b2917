#include "restore/report_shape.h"

#include <string.h>

#include "restore/report.h"

/*
 * INVARIANTS
 * (1) Every member of every struct in report.h that is not memory management has one row here.
 *     The version of the schema has two functions instead: it stands in two places of the JSON.
 * (2) A word's place in its table is the enum value less one.
 */

#define WORDS(name, ...) const char *const report_shape_##name[] = { __VA_ARGS__, NULL }

WORDS(kinds, "full_restore");
WORDS(triggers, "schedule", "manual", "change", "incident");
WORDS(reaches, "unreachable", "reached", "not_probed");
WORDS(consistencies, "application", "crash", "quiesced", "fuzzy");
WORDS(envelopes, "present_and_recomputed", "differs", "absent");
WORDS(rpa_bases, "content", "snapshot_time");
WORDS(rta_bases, "measured", "extrapolated");
WORDS(statuses, "pass", "fail", "not_demonstrated", "skipped");
WORDS(mets, "met", "missed", "not_demonstrated");
WORDS(detects, "detected", "not_detected");
WORDS(verdicts, "pass", "pass_with_findings", "not_demonstrated", "aborted", "fail");
WORDS(grades, "nonconformity_major", "nonconformity_minor", "observation");
WORDS(rules, "erase", "keep");

static const char *const networks[] = { "none", NULL };
static const char *const logs[] = { "none", NULL };
static const char *const expectations[] = { "unreachable", NULL };

#define PLAIN(type, json, member, k, req)                                                          \
	{                                                                                          \
		.name = (json), .kind = REPORT_SHAPE_##k, .is_required = (req),                    \
		.offset = offsetof(struct type, member)                                            \
	}
#define MAY(type, member, k) PLAIN(type, #member, member, k, false)
#define MUST(type, member, k) PLAIN(type, #member, member, k, true)
#define WORD(type, member, table, req)                                                             \
	{                                                                                          \
		.name = #member, .kind = REPORT_SHAPE_WORD, .is_required = (req),                  \
		.offset = offsetof(struct type, member), .words = (table)                          \
	}
#define OBJECT(type, member, sh, req)                                                              \
	{                                                                                          \
		.name = #member, .kind = REPORT_SHAPE_OBJECT, .is_required = (req),                \
		.offset = offsetof(struct type, member), .shape = &(sh)                            \
	}
#define LIST(type, member, sh, req)                                                                \
	{                                                                                          \
		.name = #member, .kind = REPORT_SHAPE_LIST, .is_required = (req),                  \
		.offset = offsetof(struct type, member),                                           \
		.count_offset = offsetof(struct type, member##_count), .shape = &(sh)              \
	}
#define END                                                                                        \
	{                                                                                          \
		.name = NULL                                                                       \
	}
#define SHAPE(name, type)                                                                          \
	static const struct report_shape name = { sizeof(struct type), name##_fields }

static const struct report_shape_field exercise_fields[] = {
	MUST(report_exercise, exercise_id, UUID),
	WORD(report_exercise, kind, report_shape_kinds, true),
	WORD(report_exercise, trigger, report_shape_triggers, true),
	MAY(report_exercise, scenario, TEXT),
	MUST(report_exercise, started, TIME),
	MUST(report_exercise, t_declared, TIME),
	MUST(report_exercise, ended, TIME),
	MAY(report_exercise, abort_reason, TEXT),
	MAY(report_exercise, ordered_by, TEXT),
	MAY(report_exercise, approved_by, TEXT),
	END,
};
SHAPE(exercise, report_exercise);

static const struct report_shape_field plan_fields[] = {
	MUST(report_plan, id, TEXT),
	MUST(report_plan, version, INT),
	MUST(report_plan, title, TEXT),
	MUST(report_plan, sha256, HEX32),
	MAY(report_plan, file, TEXT),
	END,
};
SHAPE(plan, report_plan);

static const struct report_shape_field host_fields[] = {
	MAY(report_host, kernel, TEXT),
	MAY(report_host, os, TEXT),
	MAY(report_host, cpu_count, INT),
	MAY(report_host, memory_bytes, INT),
	END,
};
SHAPE(host, report_host);

static const struct report_shape_field isolation_check_fields[] = {
	MUST(report_isolation_check, target, TEXT),
	WORD(report_isolation_check, expected, expectations, true),
	WORD(report_isolation_check, observed, report_shape_reaches, true),
	MAY(report_isolation_check, detail, TEXT),
	MAY(report_isolation_check, at, TIME),
	END,
};
const struct report_shape report_shape_isolation_check = { sizeof(struct report_isolation_check),
	isolation_check_fields };

static const struct report_shape_field canary_fields[] = {
	MUST(report_canary, address, TEXT),
	MAY(report_canary, connections_seen, INT),
	END,
};
SHAPE(canary, report_canary);

static const struct report_shape_field agent_fields[] = {
	MUST(report_agent, name, TEXT),
	MUST(report_agent, agent_id, TEXT),
	MUST(report_agent, keyid, HEX32),
	END,
};
SHAPE(agent, report_agent);

static const struct report_shape_field controller_fields[] = {
	MUST(report_controller, name, TEXT),
	MUST(report_controller, keyid, HEX32),
	END,
};
SHAPE(controller, report_controller);

static const struct report_shape_field environment_fields[] = {
	MUST(report_environment, sandbox_kind, TEXT),
	OBJECT(report_environment, host, host, false),
	MUST(report_environment, tool_version, TEXT),
	WORD(report_environment, network, networks, true),
	LIST(report_environment, isolation_checks, report_shape_isolation_check, false),
	OBJECT(report_environment, canary, canary, false),
	OBJECT(report_environment, agent, agent, false),
	OBJECT(report_environment, controller, controller, false),
	END,
};
SHAPE(environment, report_environment);

static const struct report_shape_field recovery_point_fields[] = {
	MUST(report_recovery_point, source, TEXT),
	MUST(report_recovery_point, snapshot_id, HEX32),
	MAY(report_recovery_point, seq, INT),
	MUST(report_recovery_point, snapshot_at, TIME),
	WORD(report_recovery_point, consistency, report_shape_consistencies, false),
	MAY(report_recovery_point, data_as_of, TIME),
	WORD(report_recovery_point, rpa_basis, report_shape_rpa_bases, false),
	MAY(report_recovery_point, root_id, HEX32),
	WORD(report_recovery_point, recovery_envelope, report_shape_envelopes, false),
	END,
};
SHAPE(recovery_point, report_recovery_point);

static const struct report_shape_field timings_fields[] = {
	MUST(report_timings, t_declared, TIME),
	MAY(report_timings, t_approved, TIME),
	MAY(report_timings, t_selected, TIME),
	MAY(report_timings, t_sandbox, TIME),
	MAY(report_timings, t_restored, TIME),
	MAY(report_timings, t_started, TIME),
	MAY(report_timings, t_verified, TIME),
	MAY(report_timings, t_clean, TIME),
	END,
};
SHAPE(timings, report_timings);

static const struct report_shape_field volume_fields[] = {
	MAY(report_volume, logical_bytes, INT),
	MAY(report_volume, transferred_bytes, INT),
	MAY(report_volume, objects, INT),
	END,
};
SHAPE(volume, report_volume);

static const struct report_shape_field step_fields[] = {
	MUST(report_step, name, TEXT),
	PLAIN(report_step, "do", action, TEXT, true),
	MAY(report_step, started, TIME),
	MAY(report_step, ended, TIME),
	MAY(report_step, budget_ms, INT),
	WORD(report_step, status, report_shape_statuses, true),
	MAY(report_step, observed, TEXT),
	END,
};
const struct report_shape report_shape_step = { sizeof(struct report_step), step_fields };

static const struct report_shape_field check_fields[] = {
	MUST(report_content_check, id, TEXT),
	MUST(report_content_check, type, TEXT),
	PLAIN(report_content_check, "mandatory", is_mandatory, BOOL, true),
	MAY(report_content_check, expected, TEXT),
	MAY(report_content_check, observed, TEXT),
	MAY(report_content_check, items_examined, INT),
	WORD(report_content_check, status, report_shape_statuses, true),
	MAY(report_content_check, duration_ms, INT),
	END,
};
const struct report_shape report_shape_check = { sizeof(struct report_content_check),
	check_fields };

static const struct report_shape_field negative_control_fields[] = {
	MUST(report_negative_control, damage, TEXT),
	MAY(report_negative_control, checks_failed, TEXTS),
	WORD(report_negative_control, verdict, report_shape_detects, true),
	END,
};
SHAPE(negative_control, report_negative_control);

static const struct report_shape_field result_fields[] = {
	MAY(report_result, rta_total_ms, INT),
	MAY(report_result, rta_technical_ms, INT),
	WORD(report_result, rta_basis, report_shape_rta_bases, true),
	WORD(report_result, rto_met, report_shape_mets, true),
	MAY(report_result, rpa_ms, SIGNED),
	WORD(report_result, rpo_met, report_shape_mets, true),
	WORD(report_result, verdict, report_shape_verdicts, true),
	END,
};
SHAPE(result, report_result);

static const struct report_shape_field system_fields[] = {
	MUST(report_system, system_id, TEXT),
	MUST(report_system, type, TEXT),
	MUST(report_system, tier, INT),
	MUST(report_system, mtpd_ms, INT),
	MUST(report_system, rto_ms, INT),
	MUST(report_system, rpo_ms, INT),
	MAY(report_system, depends_on, TEXTS),
	OBJECT(report_system, recovery_point, recovery_point, false),
	OBJECT(report_system, timings, timings, true),
	OBJECT(report_system, volume, volume, false),
	LIST(report_system, steps, report_shape_step, false),
	LIST(report_system, checks, report_shape_check, false),
	OBJECT(report_system, negative_control, negative_control, false),
	OBJECT(report_system, result, result, true),
	END,
};
const struct report_shape report_shape_system = { sizeof(struct report_system), system_fields };

static const struct report_shape_field finding_fields[] = {
	MUST(report_finding, id, TEXT),
	WORD(report_finding, grade, report_shape_grades, true),
	MAY(report_finding, system, TEXT),
	MAY(report_finding, rule, TEXT),
	MUST(report_finding, description, TEXT),
	END,
};
const struct report_shape report_shape_finding = { sizeof(struct report_finding), finding_fields };

static const struct report_shape_field cleanup_fields[] = {
	WORD(report_cleanup, rule, report_shape_rules, true),
	PLAIN(report_cleanup, "completed", is_completed, BOOL, true),
	MAY(report_cleanup, residue, TEXTS),
	MAY(report_cleanup, processes_left, INT),
	MAY(report_cleanup, mounts_left, INT),
	MAY(report_cleanup, namespaces_left, INT),
	END,
};
SHAPE(cleanup, report_cleanup);

static const struct report_shape_field evidence_fields[] = {
	MUST(report_evidence, ref, TEXT),
	MUST(report_evidence, kind, TEXT),
	MUST(report_evidence, sha256, HEX32),
	MUST(report_evidence, size_bytes, INT),
	END,
};
const struct report_shape report_shape_evidence = { sizeof(struct report_evidence),
	evidence_fields };

static const struct report_shape_field conclusion_fields[] = {
	WORD(report_conclusion, overall, report_shape_verdicts, true),
	MUST(report_conclusion, summary, TEXT),
	MAY(report_conclusion, limits_of_this_evidence, TEXTS),
	END,
};
SHAPE(conclusion, report_conclusion);

static const struct report_shape_field root_fields[] = {
	OBJECT(report, exercise, exercise, true),
	OBJECT(report, plan, plan, true),
	OBJECT(report, environment, environment, true),
	LIST(report, systems, report_shape_system, false),
	LIST(report, findings, report_shape_finding, false),
	OBJECT(report, cleanup, cleanup, false),
	LIST(report, evidence, report_shape_evidence, false),
	WORD(report, log, logs, true),
	OBJECT(report, verdict, conclusion, true),
	END,
};
const struct report_shape report_shape_root = { sizeof(struct report), root_fields };

const char *report_shape_schema(unsigned version)
{
	static const char *const names[] = { NULL, "drill-report/1", "drill-report/2" };
	return version < sizeof(names) / sizeof(names[0]) ? names[version] : NULL;
}

const char *report_shape_predicate_type(unsigned version)
{
	static const char *const names[] = { NULL, "https://holdfast.dev/drill-report/v1",
		"https://holdfast.dev/drill-report/v2" };
	return version < sizeof(names) / sizeof(names[0]) ? names[version] : NULL;
}

static const char *at(const struct report_shape_field *f, const void *object)
{
	return (const char *)object + f->offset;
}

void report_shape_clear(const struct report_shape *shape, void *object)
{
	const int64_t none = REPORT_NONE;
	for (const struct report_shape_field *f = shape->fields; f->name != NULL; f++) {
		if (f->kind == REPORT_SHAPE_TIME || f->kind == REPORT_SHAPE_INT ||
			f->kind == REPORT_SHAPE_SIGNED)
			memcpy((char *)object + f->offset, &none, sizeof(none));
		else if (f->kind == REPORT_SHAPE_OBJECT)
			report_shape_clear(f->shape, (char *)object + f->offset);
	}
}

size_t report_shape_count(const struct report_shape_field *list, const void *object)
{
	size_t count;
	memcpy(&count, (const char *)object + list->count_offset, sizeof(count));
	return count;
}

void *report_shape_item(const struct report_shape_field *list, const void *object, size_t i)
{
	const char *items;
	void *item;
	memcpy(&items, at(list, object), sizeof(items));
	memcpy(&item, items + i * sizeof(item), sizeof(item));
	return item;
}

bool report_shape_is_field_absent(const struct report_shape_field *f, const void *object)
{
	const char *text;
	int64_t number;
	unsigned word;
	struct report_texts texts;

	switch (f->kind) {
	case REPORT_SHAPE_TEXT:
	case REPORT_SHAPE_UUID:
	case REPORT_SHAPE_HEX32:
		memcpy(&text, at(f, object), sizeof(text));
		return text == NULL;
	case REPORT_SHAPE_TIME:
	case REPORT_SHAPE_INT:
	case REPORT_SHAPE_SIGNED:
		memcpy(&number, at(f, object), sizeof(number));
		return number == REPORT_NONE;
	case REPORT_SHAPE_WORD:
		memcpy(&word, at(f, object), sizeof(word));
		return word == 0;
	case REPORT_SHAPE_TEXTS:
		memcpy(&texts, at(f, object), sizeof(texts));
		return texts.count == 0;
	case REPORT_SHAPE_OBJECT:
		return report_shape_is_absent(f->shape, at(f, object));
	case REPORT_SHAPE_LIST:
		return report_shape_count(f, object) == 0;
	case REPORT_SHAPE_BOOL:
		return true;
	}
	return true;
}

bool report_shape_is_absent(const struct report_shape *shape, const void *object)
{
	for (const struct report_shape_field *f = shape->fields; f->name != NULL; f++) {
		if (!report_shape_is_field_absent(f, object))
			return false;
	}
	return true;
}

const char *report_shape_word(const char *const *words, unsigned value)
{
	unsigned i = 0;
	while (words[i] != NULL) {
		if (++i == value)
			return words[i - 1];
	}
	return "";
}
