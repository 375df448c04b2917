#include "tests/lib/report_fixture.h"

#include <stdlib.h>

#include "restore/report.h"

#define MIN_MS INT64_C(60000)
#define HOUR_MS (60 * MIN_MS)
#define HEX_A "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"
#define HEX_B "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"

struct report_content_check *report_fixture_check(struct report *r, struct report_system *s,
	const char *id, const char *type, int64_t items, const char *observed)
{
	struct report_content_check *c = report_add_check(r, s);
	if (c == NULL)
		abort();
	c->id = report_text(r, id);
	c->type = report_text(r, type);
	c->is_mandatory = true;
	c->expected = report_text(r, "all");
	c->observed = report_text(r, observed);
	c->items_examined = items;
	c->status = REPORT_STATUS_PASS;
	c->duration_ms = 412;
	return c;
}

static void fill_exercise(struct report *r)
{
	r->exercise = (struct report_exercise){
		.exercise_id = report_text(r, "5e0f3c1a-7b7e-4c55-9d39-0a6f1f2b3c4d"),
		.kind = REPORT_FULL_RESTORE,
		.trigger = REPORT_TRIGGER_MANUAL,
		.started = REPORT_FIXTURE_T0 - 800,
		.t_declared = REPORT_FIXTURE_T0,
		.ended = REPORT_FIXTURE_T0 + 70000,
	};
	r->plan = (struct report_plan){
		.id = report_text(r, "bcp-line3"),
		.version = 7,
		.title = report_text(r, "Packaging line 3: batch and historian recovery"),
		.sha256 = report_text(r, HEX_B),
		.file = report_text(r, "conf/line3.plan"),
	};
}

static void fill_environment(struct report *r)
{
	struct report_environment *e = &r->environment;
	e->sandbox_kind = report_text(r, "process");
	e->host = (struct report_host){
		.kernel = report_text(r, "Linux 6.1.0-28-amd64"),
		.os = report_text(r, "Debian GNU/Linux 12 (bookworm)"),
		.cpu_count = 4,
		.memory_bytes = INT64_C(8) << 30,
	};
	e->tool_version = report_text(r, "0.1.0");
	e->network = REPORT_NETWORK_NONE;
	static const char *const targets[] = { "192.0.2.10:502", "192.0.2.10:102",
		"127.0.0.1:45731" };
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct report_isolation_check *c = report_add_isolation_check(r);
		if (c == NULL)
			abort();
		c->target = report_text(r, targets[i]);
		c->observed = REPORT_UNREACHABLE;
		c->detail = report_text(r, i < 2 ? "Network is unreachable" : "Connection refused");
		c->at = REPORT_FIXTURE_T0 + 2400 + (int64_t)i;
	}
	e->canary = (struct report_canary){ .address = report_text(r, "127.0.0.1:45731"),
		.connections_seen = 0 };
}

static struct report_system *fill_system(
	struct report *r, const char *id, const char *type, int64_t rto_ms, int64_t offset_ms)
{
	const int64_t t0 = REPORT_FIXTURE_T0;
	struct report_system *s = report_add_system(r);
	if (s == NULL)
		abort();
	s->system_id = report_text(r, id);
	s->type = report_text(r, type);
	s->tier = 1;
	s->mtpd_ms = 12 * HOUR_MS;
	s->rto_ms = rto_ms;
	s->rpo_ms = HOUR_MS;
	s->recovery_point = (struct report_recovery_point){
		.source = report_text(r, id),
		.snapshot_id = report_text(r, HEX_A),
		.seq = 4,
		.snapshot_at = t0 - 5 * MIN_MS,
		.consistency = REPORT_APPLICATION,
		.data_as_of = t0 - 6 * MIN_MS - offset_ms / 10,
		.root_id = report_text(r, HEX_B),
		.recovery_envelope = REPORT_ENVELOPE_RECOMPUTED,
	};
	s->timings = (struct report_timings){
		.t_declared = t0,
		.t_approved = t0 + 40,
		.t_selected = t0 + 900,
		.t_sandbox = t0 + 2600,
		.t_restored = t0 + 14800 + offset_ms,
		.t_started = t0 + 21300 + offset_ms,
		.t_verified = t0 + 33150 + offset_ms,
		.t_clean = t0 + 68200,
	};
	s->volume = (struct report_volume){
		.logical_bytes = 48123904, .transferred_bytes = 11911232, .objects = 1264
	};
	for (int i = 0; i < 2; i++) {
		struct report_step *p = report_add_step(r, s);
		if (p == NULL)
			abort();
		p->name = report_text(r, i == 0 ? "restore data files" : "start service");
		p->action = report_text(r, i == 0 ? "restore" : "start");
		p->started = t0 + (i == 0 ? 2600 : 14800 + offset_ms);
		p->ended = t0 + (i == 0 ? 14800 : 21300) + offset_ms;
		p->budget_ms = (i == 0 ? 10 : 5) * MIN_MS;
		p->status = REPORT_STATUS_PASS;
		p->observed = report_text(r, i == 0 ? "1264 files" : "accepts connections");
	}
	return s;
}

struct report *report_fixture_good(void)
{
	struct report *r = report_new();
	if (r == NULL)
		abort();
	fill_exercise(r);
	fill_environment(r);

	struct report_system *hist = fill_system(r, "hist3", "historian", 30 * MIN_MS, 0);
	report_fixture_check(r, hist, "c1", "hash_manifest", 1264, "1264 of 1264 equal");
	report_fixture_check(r, hist, "c2", "newest_record", 1, "lag 58 s");
	report_fixture_check(r, hist, "c3", "row_count", 300418, "300418 rows");
	hist->negative_control.damage = report_text(r, "one byte changed in base/16384/16402");
	report_add_text(r, &hist->negative_control.checks_failed, "c1");
	report_add_text(r, &hist->negative_control.checks_failed, "c3");

	struct report_system *batch = fill_system(r, "batch3", "batch_records", HOUR_MS, 14000);
	report_add_text(r, &batch->depends_on, "hist3");
	report_fixture_check(r, batch, "b1", "hash_manifest", 1620, "1620 of 1620 equal");
	report_fixture_check(r, batch, "b2", "open_record", 25, "25 of 25 readable");
	report_fixture_check(r, batch, "b3", "xml", 405, "405 of 405 well-formed");

	batch->negative_control.damage = report_text(r, "removed 2026/11/B0417");
	report_add_text(r, &batch->negative_control.checks_failed, "b2");

	struct report_system *plc = fill_system(r, "plc3", "plc_project", 8 * HOUR_MS, 21000);
	plc->tier = 2;
	report_fixture_check(r, plc, "p1", "hash_manifest", 40, "40 of 40 equal");
	report_fixture_check(r, plc, "p2", "xml", 14, "14 of 14 well-formed")->is_mandatory = false;
	plc->negative_control.damage = report_text(r, "one bit changed in line3.xml");
	report_add_text(r, &plc->negative_control.checks_failed, "p1");

	r->cleanup = (struct report_cleanup){ .rule = REPORT_ERASE,
		.is_completed = true,
		.processes_left = 0,
		.mounts_left = 0,
		.namespaces_left = 0 };
	struct report_evidence *e = report_add_evidence(r);
	if (e == NULL)
		abort();
	e->ref = report_text(r, "logs/drill.log");
	e->kind = report_text(r, "log");
	e->sha256 = report_text(r, HEX_A);
	e->size_bytes = 18344;
	return r;
}

struct report *report_fixture_bad(void)
{
	struct report *r = report_fixture_good();
	struct report_system *hist = r->systems[0], *batch = r->systems[1];

	hist->rto_ms = 30000;
	hist->steps[0]->budget_ms = 10000;
	batch->checks[1]->status = REPORT_STATUS_FAIL;
	batch->checks[1]->observed = report_text(
		r, "24 of 25 readable: \x1b[31m2026/11/B0417/record.xml\x1b[0m <cut> & \"torn\"");
	batch->timings.t_verified = REPORT_NONE;
	batch->negative_control.damage = NULL; /* what was not recovered gets none */
	batch->negative_control.checks_failed.count = 0;
	r->systems[2]->checks[1]->items_examined = 0;
	r->environment.isolation_checks[0]->observed = REPORT_REACHED;
	r->environment.isolation_checks[0]->detail = report_text(r, "connected");
	r->environment.canary.connections_seen = 1;
	report_add_text(
		r, &r->cleanup.residue, "/var/tmp/holdfast-drill-5e0f3c1a/pg/postmaster.pid");
	r->cleanup.processes_left = 2;
	return r;
}

struct report *report_fixture_small(void)
{
	struct report *r = report_new();
	if (r == NULL)
		abort();
	fill_exercise(r);
	r->environment.sandbox_kind = report_text(r, "process");
	r->environment.tool_version = report_text(r, "0.1.0");
	r->environment.network = REPORT_NETWORK_NONE;
	struct report_system *s = fill_system(r, "hist3", "historian", 30 * MIN_MS, 0);
	report_fixture_check(r, s, "c1", "hash_manifest", 1264, "1264 of 1264 equal");
	return r;
}
