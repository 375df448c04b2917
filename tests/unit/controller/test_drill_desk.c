#include "controller/drill_desk.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"
#include "conf/conf_problems.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_report.h"
#include "crypto/dsse.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "msg/msg_vault.h"
#include "restore/erase_tree.h"
#include "restore/report.h"
#include "restore/report_check.h"
#include "restore/report_json.h"
#include "restore/report_judge.h"
#include "tests/lib/catalog_fixture.h"
#include "vault/snapshot_body.h"

#define JOB "00112233445566778899aabbccddeeff"
#define MIN_MS INT64_C(60000)
#define BEFORE_MS (5 * MIN_MS) /* the snapshot began so long before the first moment */

static const char plan_text[] =
	"plan = { id = \"bcp\"; version = 3; title = \"Line 3\"; systems = (\n"
	"{ id = \"batch3\"; type = \"batch_records\"; tier = 1; mtpd = \"12h\"; rto = \"30m\";\n"
	"  rpo = \"1h\"; source = \"source:batch3\";\n"
	"  steps = ( { name = \"restore\"; do = \"restore\"; budget = \"10m\"; } );\n"
	"  checks = (\n"
	"  { id = \"files\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; },\n"
	"  { id = \"xml\"; type = \"xml\"; mandatory = true; expect = \"all\"; } ); } );\n"
	"sandbox = { must_not_reach = ( { host = \"192.0.2.10\"; port = 502; } ); };\n"
	"cleanup = { on_success = \"erase\"; on_fail = \"erase\"; }; };\n";

static struct catalog_fixture f;
static char reports[96];
static struct drill_desk *desk;
static struct catalog_agent agent;
static struct catalog_job job;
static struct msg_order order;
static struct report *r;
static struct err err;
static char snapshot[65], root_id[65];
static const uint8_t agent_seed[32] = { 1 };
static const uint8_t desk_seed[32] = { 2 };
static char agent_keyid[DSSE_KEYID_BYTES], desk_keyid[DSSE_KEYID_BYTES];
static bool is_source_there;

/* Time goes on only when a test says so. */
#define FIRST_MS INT64_C(1795487993120)
static int64_t now_ms;

static int64_t fake_now(void)
{
	return now_ms * 1000000;
}

static int64_t fake_mono(void)
{
	return (now_ms - 1000000) * 1000000;
}

static bool has_source(void *arg, const char *source)
{
	(void)arg;
	return is_source_there && strcmp(source, "batch3") == 0;
}

static void open_desk(void)
{
	const struct drill_desk_opts opts = { .db = f.db,
		.name = "plant3",
		.reports = reports,
		.report_seed = desk_seed,
		.has_source = has_source };
	cr_assert(eq(int, drill_desk_new(&opts, &desk, &err), 0), "%s", err.msg);
}

static void keyid_of(const uint8_t seed[32], char out[DSSE_KEYID_BYTES])
{
	uint8_t pk[32];
	ed25519_public(seed, pk);
	dsse_keyid(pk, out);
}

static void setup(void)
{
	static struct env_ops ops;
	ops = *env_real();
	ops.now_ns = fake_now;
	ops.mono_ns = fake_mono;
	now_ms = FIRST_MS;
	(void)env_swap(&ops);
	catalog_fixture_init(&f);
	(void)snprintf(reports, sizeof(reports), "%s/reports", f.dir);
	cr_assert(eq(int, mkdir(reports, 0700), 0));
	agent = (struct catalog_agent){ .name = "sandbox1",
		.id = { 1, 2, 3 },
		.role = MSG_ROLE_SANDBOX,
		.state = AGENT_ACTIVE };
	ed25519_public(agent_seed, agent.report);
	keyid_of(agent_seed, agent_keyid);
	keyid_of(desk_seed, desk_keyid);
	is_source_there = true;
	open_desk();
}

static void teardown(void)
{
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	report_free(r);
	r = NULL;
	msg_work_order_done(&order);
	drill_desk_free(desk);
	cr_expect(eq(int, erase_tree_run(top, reports + 1, NULL, NULL), 0));
	(void)close(top);
	catalog_fixture_done(&f);
	(void)env_swap(NULL);
}

TestSuite(drill_desk, .init = setup, .fini = teardown);

static int prepare(const char *text, struct conf_problems *problems)
{
	const struct drill_desk_order o = { .plan_name = "line3.plan",
		.plan = text,
		.plan_len = strlen(text),
		.agent = &agent,
		.trigger = "schedule",
		.scenario = "ransomware" };
	job = (struct catalog_job){ .id = JOB, .schedule = "weekly" };
	return drill_desk_prepare(desk, &o, &job, problems, &err);
}

static int fill(void)
{
	msg_work_order_done(&order);
	order = (struct msg_order){ .attempt = 1, .verb = MSG_VERB_DRILL };
	return drill_desk_fill(desk, &job, &order, &err);
}

/* Give the agent snapshot ${n} of the source. */
static void grant(uint8_t n)
{
	struct buf body = BUF_INIT(4096), bytes = BUF_INIT(65536);
	struct snapshot_body b = { .receipt_ns = 1 };
	const struct snaprec record = { .suite = 1,
		.seq = 1,
		.t_start_ns = (FIRST_MS - BEFORE_MS) * 1000000,
		.t_end_ns = (FIRST_MS - BEFORE_MS + MIN_MS) * 1000000,
		.root_id = { n } };
	struct snaprec signed_record = record;
	uint8_t hash[32];
	snaprec_sign(&signed_record, agent_seed, b.record);
	text_hex(record.root_id, 32, root_id);
	cr_assert(eq(int, snapshot_body_encode(&b, &body, NULL), 0));
	snaprec_hash(b.record, hash);
	text_hex(hash, 32, snapshot);
	struct msg_point point = { .source = "batch3",
		.snapshot = body.data,
		.snapshot_len = body.len,
		.envelopes = body.data,
		.envelopes_len = 34 };
	struct msg_points points = {
		.config = body.data, .config_len = body.len, .at = &point, .count = 1
	};
	cr_assert(eq(int, msg_vault_points_encode(&points, &bytes, &err), 0), "%s", err.msg);
	cr_assert(eq(int, drill_desk_granted(desk, &job, bytes.data, bytes.len, &err), 0), "%s",
		err.msg);
	buf_done(&body);
	buf_done(&bytes);
}

static void add_check(struct report_system *s, const char *id, const char *type)
{
	struct report_content_check *c = report_add_check(r, s);
	c->id = id;
	c->type = type;
	c->is_mandatory = true;
	c->expected = "all";
	c->observed = "12 of 12";
	c->items_examined = 12;
	c->status = REPORT_STATUS_PASS;
}

static void fill_system(int64_t t0)
{
	struct report_system *s = report_add_system(r);
	s->system_id = "batch3";
	s->type = "batch_records";
	s->tier = 1;
	s->mtpd_ms = 720 * MIN_MS;
	s->rto_ms = 30 * MIN_MS;
	s->rpo_ms = 60 * MIN_MS;
	s->recovery_point = (struct report_recovery_point){ .source = "batch3",
		.snapshot_id = snapshot,
		.seq = 1,
		.snapshot_at = FIRST_MS - BEFORE_MS,
		.data_as_of = REPORT_NONE,
		.root_id = root_id,
		.recovery_envelope = REPORT_ENVELOPE_RECOMPUTED };
	s->timings.t_declared = t0;
	s->timings.t_restored = t0 + 2000;
	s->timings.t_verified = t0 + 3000;
	struct report_step *step = report_add_step(r, s);
	step->name = "restore";
	step->action = "restore";
	step->started = t0 + 1000;
	step->ended = t0 + 2000;
	step->budget_ms = 10 * MIN_MS;
	step->status = REPORT_STATUS_PASS;
	add_check(s, "files", "hash_manifest");
	add_check(s, "xml", "xml");
}

/* The report of a drill that took 4 s, as the agent would write it, not signed yet. */
static void make_report(void)
{
	static char sha256[65];
	const int64_t t0 = now_ms;
	report_free(r);
	r = report_new();
	text_hex(order.plan_sha256, 32, sha256);
	r->exercise = (struct report_exercise){ .exercise_id = job.drill,
		.kind = REPORT_FULL_RESTORE,
		.trigger = REPORT_TRIGGER_SCHEDULE,
		.scenario = "ransomware",
		.ordered_by = "schedule weekly",
		.started = t0,
		.t_declared = t0,
		.ended = t0 + 4000 };
	r->plan = (struct report_plan){
		.id = "bcp", .version = 3, .title = "Line 3", .sha256 = sha256, .file = "line3.plan"
	};
	r->environment.sandbox_kind = "process";
	r->environment.tool_version = "0.1.0";
	r->environment.network = REPORT_NETWORK_NONE;
	r->environment.agent = (struct report_agent){ .name = "sandbox1",
		.agent_id = "01020300000000000000000000000000",
		.keyid = agent_keyid };
	r->environment.controller =
		(struct report_controller){ .name = "plant3", .keyid = desk_keyid };
	r->environment.canary =
		(struct report_canary){ .address = "127.0.0.1:1", .connections_seen = 0 };
	struct report_isolation_check *c = report_add_isolation_check(r);
	c->target = "192.0.2.10:502";
	c->observed = REPORT_UNREACHABLE;
	c->at = t0 + 500;
	fill_system(t0);
	now_ms += 4000;
}

static int send(const uint8_t seed[32], struct buf *out)
{
	struct buf envelope = BUF_INIT(1 << 20);
	report_judge_run(r);
	cr_assert(eq(int, report_json_seal(r, seed, &envelope, &err), 0), "%s", err.msg);
	int rc = drill_desk_report(desk, &job, &agent, envelope.data, envelope.len, out, &err);
	buf_done(&envelope);
	return rc;
}

/* An exercise whose report is ready to be sent. */
static void begin(void)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	cr_assert(eq(int, prepare(plan_text, &problems), 0), "%s", err.msg);
	conf_problems_done(&problems);
	cr_assert(eq(int, fill(), 0), "%s", err.msg);
	grant(1);
	make_report();
}

static void expect_refused(int want, const char *text)
{
	struct buf out = BUF_INIT(1 << 20), there = BUF_INIT(1 << 20);
	int rc = send(agent_seed, &out);
	cr_expect(eq(int, rc, want), "%s: %s", text, err.msg);
	cr_expect(ne(ptr, strstr(err.msg, text), NULL), "%s", err.msg);
	cr_expect(eq(sz, out.len, 0));
	cr_expect(eq(int, drill_desk_read(desk, job.drill, &there, NULL), -ERR_NOT_FOUND));
	buf_done(&out);
	buf_done(&there);
}

/* ---- ordering ---- */

Test(drill_desk, an_order_says_what_was_prepared_and_how_long_ago)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct catalog_report row;
	const char *const *sources = NULL;
	size_t count = 0;
	int64_t declared = 0;
	cr_assert(eq(int, prepare(plan_text, &problems), 0), "%s", err.msg);
	const int64_t t0 = now_ms;
	cr_expect(eq(int, job.verb, MSG_VERB_DRILL));
	cr_expect(eq(sz, strlen(job.drill), 36));
	now_ms += 700;
	drill_desk_free(desk); /* a restart of the controller in between changes nothing */
	open_desk();
	cr_assert(eq(int, fill(), 0), "%s", err.msg);
	cr_expect(eq(i64, order.since_declared_ms, 700));
	cr_expect(eq(str, order.exercise, job.drill));
	cr_expect(eq(str, order.grant, (char *)JOB));
	cr_expect(eq(str, order.trigger, (char *)"schedule"));
	cr_expect(eq(str, order.scenario, (char *)"ransomware"));
	cr_expect(eq(str, order.controller, (char *)"plant3"));
	cr_expect(eq(str, order.ordered_by, (char *)"schedule weekly"));
	cr_expect(eq(str, order.plan, (char *)plan_text));
	cr_expect(eq(sz, order.plan_len, strlen(plan_text)));
	cr_assert(eq(int, drill_desk_sources(desk, &job, &sources, &count, &declared, &err), 0));
	cr_expect(eq(sz, count, 1));
	cr_expect(eq(str, (char *)sources[0], (char *)"batch3"));
	cr_expect(eq(i64, declared, t0));
	cr_assert(eq(int, catalog_report_get(f.db, job.drill, &row, &err), 0));
	cr_expect(eq(str, row.job, (char *)JOB));
	cr_expect(eq(str, row.plan_id, (char *)"bcp"));
	cr_expect(eq(i64, row.declared_ms, t0));
	conf_problems_done(&problems);
}

static int fail_rename(int from_dir, const char *from, int to_dir, const char *to)
{
	(void)from_dir;
	(void)from;
	(void)to_dir;
	if (strstr(to, "order.json") == NULL)
		return env_real()->renameat(from_dir, from, to_dir, to);
	errno = EIO;
	return -1;
}

/* Things in the directory of reports. */
static int count_reports(void)
{
	DIR *dir = opendir(reports);
	int n = 0;
	cr_assert(dir != NULL);
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

static int count_row(void *arg, const struct catalog_report *row)
{
	(void)row;
	(*(int *)arg)++;
	return 0;
}

static int count_rows(void)
{
	int n = 0;
	cr_assert(eq(int, catalog_report_each(f.db, 0, count_row, &n, &err), 0));
	return n;
}

Test(drill_desk, a_drill_that_is_not_taken_leaves_nothing_behind)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	cr_assert(eq(int, prepare(plan_text, &problems), 0), "%s", err.msg);
	const struct catalog_job taken = job;
	cr_assert(eq(int, fill(), 0), "%s", err.msg);
	cr_assert(eq(int, prepare(plan_text, &problems), 0), "%s", err.msg);
	cr_expect(eq(int, count_reports(), 2));
	cr_expect(eq(int, count_rows(), 2));
	cr_assert(eq(int, drill_desk_drop(desk, &job, &err), 0), "%s", err.msg);
	cr_expect(eq(int, count_reports(), 1));
	cr_expect(eq(int, count_rows(), 1));
	cr_expect(eq(int, drill_desk_drop(desk, &job, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, fill(), -ERR_NOT_FOUND));
	/* one that an agent was told of stays */
	cr_expect(eq(int, drill_desk_drop(desk, &taken, &err), -ERR_EXISTS));
	cr_expect(eq(int, count_reports(), 1));
	cr_expect(eq(int, count_rows(), 1));
	conf_problems_done(&problems);
}

Test(drill_desk, a_drill_that_cannot_be_kept_leaves_nothing_behind)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct env_ops ops = *env_real();
	ops.renameat = fail_rename;
	const struct env_ops *before = env_swap(&ops);
	cr_expect(eq(int, prepare(plan_text, &problems), -ERR_IO));
	(void)env_swap(before);
	cr_expect(eq(int, count_reports(), 0));
	cr_expect(eq(int, count_rows(), 0));
	conf_problems_done(&problems);
}

Test(drill_desk, a_plan_that_cannot_work_is_not_ordered)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	cr_expect(eq(int, prepare("plan = { id = 1; };\n", &problems), -ERR_CONFIG));
	cr_expect(conf_problems_has_errors(&problems));
	conf_problems_done(&problems);
	is_source_there = false;
	cr_expect(eq(int, prepare(plan_text, &problems), -ERR_CONFIG));
	cr_assert(eq(sz, problems.errors, 1));
	cr_expect(ne(ptr, strstr(problems.items[0].text, "there is no snapshot of source 'batch3'"),
		NULL));
	conf_problems_done(&problems);
	/* what lint says and what only the vault knows, together and by line */
	cr_expect(eq(int,
		prepare("plan = { id = 1;\n systems = ( {\n id = \"b\"; source = "
			"\"source:batch3\"; } ); };\n",
			&problems),
		-ERR_CONFIG));
	cr_expect(ge(sz, problems.errors, 3));
	cr_expect(ne(ptr, strstr(problems.items[problems.count - 1].text, "no snapshot of source"),
		NULL));
	conf_problems_done(&problems);
	is_source_there = true;
	agent.role = MSG_ROLE_CAPTURE;
	cr_expect(eq(int, prepare(plan_text, &problems), -ERR_USAGE));
	agent.role = MSG_ROLE_SANDBOX;
	agent.state = AGENT_REVOKED;
	cr_expect(eq(int, prepare(plan_text, &problems), -ERR_USAGE));
	conf_problems_done(&problems);
}

/* ---- the report ---- */

Test(drill_desk, the_report_comes_back_signed_by_both_and_the_same_one_again)
{
	struct buf out = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20), there = BUF_INIT(1 << 20);
	struct report_check check = { .report = NULL };
	struct report_check_keys keys = { .count = 2 };
	struct catalog_report row;
	struct stat st;
	char page[192];
	uint8_t digest[32];
	begin();
	cr_assert(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	memcpy(keys.keyid[0], agent_keyid, sizeof(agent_keyid));
	memcpy(keys.keyid[1], desk_keyid, sizeof(desk_keyid));
	cr_assert(eq(int, report_check_envelope(out.data, out.len, &keys, &check, &err), 0), "%s",
		err.msg);
	cr_expect(eq(sz, check.signed_by.count, 2));
	cr_expect(not(check.is_controller_missing));
	cr_assert(eq(int, drill_desk_read(desk, job.drill, &there, &err), 0));
	cr_assert(eq(sz, there.len, out.len));
	cr_expect_arr_eq(there.data, out.data, out.len);
	cr_assert(eq(int, catalog_report_get(f.db, job.drill, &row, &err), 0));
	cr_expect(eq(str, row.verdict, (char *)"not_demonstrated"));
	cr_expect(eq(i64, row.ended_ms, now_ms));
	hash_sha256(out.data, out.len, digest);
	cr_expect_arr_eq(row.sha256, digest, 32);
	(void)snprintf(page, sizeof(page), "%s/%s.html", reports, job.drill);
	cr_expect(eq(int, stat(page, &st), 0));
	now_ms += 3600000; /* the answer was lost, and asked for late */
	cr_assert(eq(int, send(agent_seed, &again), 0), "%s", err.msg);
	cr_assert(eq(sz, again.len, out.len));
	cr_expect_arr_eq(again.data, out.data, out.len);
	cr_assert(eq(int, catalog_report_get(f.db, job.drill, &row, &err), 0));
	cr_expect(eq(i64, row.ended_ms, now_ms - 3600000));
	/* another one about the same exercise */
	r->systems[0]->checks[0]->items_examined = 13;
	buf_clear(&again);
	cr_expect(eq(int, send(agent_seed, &again), -ERR_EXISTS));
	cr_expect(eq(sz, again.len, 0));
	report_check_done(&check);
	buf_done(&out);
	buf_done(&again);
	buf_done(&there);
}

Test(drill_desk, another_signer_is_refused)
{
	struct buf out = BUF_INIT(1 << 20);
	const uint8_t stranger[32] = { 77 };
	begin();
	cr_expect(eq(int, send(stranger, &out), -ERR_AUTH));
	cr_expect(eq(int, send(desk_seed, &out), -ERR_AUTH));
	cr_expect(eq(sz, out.len, 0));
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	buf_done(&out);
}

Test(drill_desk, a_report_of_something_else_is_refused)
{
	static char other[65];
	begin();
	r->exercise.exercise_id = "5e0f3c1a-7b7e-4c55-9d39-0a6f1f2b3c4d";
	expect_refused(-ERR_CORRUPT, "exercise");
	r->exercise.exercise_id = job.drill;
	memset(other, 'a', 64);
	const char *right = r->plan.sha256;
	r->plan.sha256 = other;
	expect_refused(-ERR_CORRUPT, "plan SHA-256");
	r->plan.sha256 = right;
	r->systems[0]->recovery_point.snapshot_id = other;
	expect_refused(-ERR_CORRUPT, "was not granted");
	r->systems[0]->recovery_point.snapshot_id = snapshot;
	r->exercise.trigger = REPORT_TRIGGER_MANUAL;
	expect_refused(-ERR_CORRUPT, "trigger");
	r->exercise.trigger = REPORT_TRIGGER_SCHEDULE;
	r->exercise.ordered_by = "person mallory";
	expect_refused(-ERR_CORRUPT, "ordered by");
	r->exercise.ordered_by = "schedule weekly";
	r->environment.agent.name = "sandbox2";
	expect_refused(-ERR_CORRUPT, "agent");
	r->environment.agent.name = "sandbox1";
	r->environment.controller.keyid = other;
	expect_refused(-ERR_CORRUPT, "controller key");
	r->environment.controller = (struct report_controller){ .name = NULL };
	expect_refused(-ERR_CORRUPT, "controller");
}

/* Whoever may write his own objectives passes every drill. */
Test(drill_desk, objectives_steps_and_checks_are_those_of_the_plan)
{
	begin();
	struct report_system *s = r->systems[0];
	s->rto_ms *= 10;
	expect_refused(-ERR_CORRUPT, "RTO");
	s->rto_ms /= 10;
	s->rpo_ms *= 10;
	expect_refused(-ERR_CORRUPT, "RPO");
	s->rpo_ms /= 10;
	s->checks[1]->is_mandatory = false;
	expect_refused(-ERR_CORRUPT, "mandatory");
	s->checks[1]->is_mandatory = true;
	s->checks[1]->expected = "some";
	expect_refused(-ERR_CORRUPT, "expected");
	s->checks[1]->expected = "all";
	s->checks_count = 1;
	expect_refused(-ERR_CORRUPT, "checks");
	s->checks_count = 2;
	s->steps[0]->budget_ms *= 2;
	expect_refused(-ERR_CORRUPT, "budget");
	s->steps[0]->budget_ms /= 2;
	s->steps_count = 0;
	expect_refused(-ERR_CORRUPT, "steps");
	s->steps_count = 1;
	fill_system(r->exercise.t_declared);
	expect_refused(-ERR_CORRUPT, "systems");
	r->systems_count = 0;
	expect_refused(-ERR_CORRUPT, "systems");
}

Test(drill_desk, a_verdict_that_does_not_follow_is_refused)
{
	struct buf envelope = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	begin();
	report_judge_run(r);
	r->verdict.overall = REPORT_PASS;
	cr_assert(eq(int, report_json_seal(r, agent_seed, &envelope, &err), 0), "%s", err.msg);
	cr_expect(eq(int,
		drill_desk_report(desk, &job, &agent, envelope.data, envelope.len, &out, &err),
		-ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "verdict"), NULL), "%s", err.msg);
	buf_done(&envelope);
	buf_done(&out);
}

static void move_t0(int64_t by_ms)
{
	r->exercise.t_declared += by_ms;
	r->systems[0]->timings.t_declared += by_ms;
}

Test(drill_desk, t0_is_the_declared_one_within_what_clocks_may_differ)
{
	struct buf out = BUF_INIT(1 << 20);
	begin();
	now_ms += 3600000;
	move_t0(-DRILL_DESK_CLOCK_MS - 1);
	expect_refused(-ERR_CORRUPT, "T0 in the report");
	move_t0(1);
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	buf_done(&out);
}

Test(drill_desk, no_span_is_longer_than_our_clock_saw)
{
	struct buf out = BUF_INIT(1 << 20);
	begin();
	r->exercise.ended += DRILL_DESK_SLACK_MS + 1;
	expect_refused(-ERR_CORRUPT, "from its start to its end");
	r->exercise.ended -= 1;
	move_t0(-2000);
	expect_refused(-ERR_CORRUPT, "from T0 to its end");
	move_t0(2000);
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	buf_done(&out);
}

Test(drill_desk, what_an_earlier_attempt_was_granted_counts_no_more)
{
	struct buf out = BUF_INIT(1 << 20);
	begin();
	cr_assert(eq(int, fill(), 0), "%s", err.msg); /* the agent was lost: the next attempt */
	cr_expect(eq(i64, order.since_declared_ms, 4000));
	expect_refused(-ERR_CORRUPT, "was not granted");
	grant(1);
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	buf_done(&out);
}

/* A recovery time without what went by before the drill began is shorter than it was. */
Test(drill_desk, what_went_by_before_the_drill_began_is_part_of_it)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct buf out = BUF_INIT(1 << 20);
	cr_assert(eq(int, prepare(plan_text, &problems), 0), "%s", err.msg);
	conf_problems_done(&problems);
	now_ms += 7000; /* nobody was there to take the order */
	cr_assert(eq(int, fill(), 0), "%s", err.msg);
	cr_expect(eq(i64, order.since_declared_ms, 7000));
	now_ms += 30000; /* the vault was opened, its snapshots listed */
	grant(1);
	make_report();
	/* T0 = the start */
	expect_refused(-ERR_CORRUPT, "from T0 to its start, our clock saw 37000 ms");
	/* what the order said, counted from the start of the drill */
	move_t0(-7000);
	expect_refused(-ERR_CORRUPT, "from T0 to its start, our clock saw 37000 ms");
	move_t0(-30000 + DRILL_DESK_SLACK_MS);
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	buf_done(&out);
}

/* The age of the data is made of the snapshot's times. */
Test(drill_desk, a_recovery_point_is_described_as_its_record_does)
{
	struct buf out = BUF_INIT(1 << 20);
	begin();
	struct report_recovery_point *p = &r->systems[0]->recovery_point;
	const int64_t end_ms = FIRST_MS - BEFORE_MS + MIN_MS;
	p->snapshot_at += 1;
	expect_refused(-ERR_CORRUPT, "the snapshot is of");
	p->snapshot_at -= 1;
	p->seq = 2;
	expect_refused(-ERR_CORRUPT, "snapshot number");
	p->seq = 1;
	p->root_id = snapshot;
	expect_refused(-ERR_CORRUPT, "root");
	p->root_id = root_id;
	p->data_as_of = end_ms + 1;
	expect_refused(-ERR_CORRUPT, "its data is of");
	p->data_as_of = r->exercise.t_declared;
	expect_refused(-ERR_CORRUPT, "its data is of");
	/* newer than T0: no age follows from it */
	p->data_as_of = r->exercise.t_declared + 1;
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	cr_expect(eq(int, r->systems[0]->result.rpo_met, REPORT_MET_NOT_DEMONSTRATED));
	buf_done(&out);
}

Test(drill_desk, data_as_of_the_end_of_its_snapshot_is_taken)
{
	struct buf out = BUF_INIT(1 << 20);
	begin();
	r->systems[0]->recovery_point.data_as_of = FIRST_MS - BEFORE_MS + MIN_MS;
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	buf_done(&out);
}

Test(drill_desk, every_target_that_the_plan_forbids_was_tried)
{
	struct buf out = BUF_INIT(1 << 20);
	begin();
	struct report_isolation_check *c = r->environment.isolation_checks[0];
	r->environment.isolation_checks_count = 0;
	expect_refused(-ERR_CORRUPT, "192.0.2.10 port 502");
	r->environment.isolation_checks_count = 1;
	c->target = "192.0.2.10:5020";
	expect_refused(-ERR_CORRUPT, "192.0.2.10 port 502");
	c->target = "192.0.2.10:502 at 192.0.2.10";
	r->environment.canary.address = NULL;
	r->environment.canary.connections_seen = REPORT_NONE;
	expect_refused(-ERR_CORRUPT, "names no canary");
	r->environment.canary.address = "127.0.0.1:1";
	r->environment.canary.connections_seen = 0;
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	buf_done(&out);
}

Test(drill_desk, a_drill_that_did_not_come_to_its_sandbox_has_no_targets_to_show)
{
	struct buf out = BUF_INIT(1 << 20);
	begin();
	struct report_system *s = r->systems[0];
	r->environment.isolation_checks_count = 0;
	r->environment.canary.address = NULL;
	r->environment.canary.connections_seen = REPORT_NONE;
	s->timings.t_restored = s->timings.t_verified = REPORT_NONE;
	s->steps[0]->status = REPORT_STATUS_SKIPPED;
	s->checks[0]->status = s->checks[1]->status = REPORT_STATUS_SKIPPED;
	r->exercise.abort_reason = "the host was shut down";
	cr_expect(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	buf_done(&out);
}

Test(drill_desk, nobody_is_named_who_did_not_take_part)
{
	begin();
	r->exercise.approved_by = "the plant manager";
	expect_refused(-ERR_CORRUPT, "approved by");
	r->exercise.approved_by = NULL;
	report_add_text(r, &r->systems[0]->depends_on, "hist3");
	expect_refused(-ERR_CORRUPT, "depends on");
	r->systems[0]->depends_on.count = 0;
	r->version = 1; /* it concludes less */
	expect_refused(-ERR_CORRUPT, "written in 'drill-report/1'");
	r->version = REPORT_VERSION;
	r->plan.file = "line4.plan";
	expect_refused(-ERR_CORRUPT, "plan file");
}

/* ---- evidence ---- */

static void claim_evidence(const char *name, const char *data)
{
	static char ref[128], hex[65];
	uint8_t digest[32];
	struct report_evidence *e = report_add_evidence(r);
	hash_sha256(data, strlen(data), digest);
	text_hex(digest, 32, hex);
	(void)snprintf(ref, sizeof(ref), "%s/evidence/%s", job.drill, name);
	*e = (struct report_evidence){
		.ref = ref, .kind = "log", .sha256 = hex, .size_bytes = (int64_t)strlen(data)
	};
}

Test(drill_desk, evidence_is_kept_and_is_what_the_report_says)
{
	struct buf out = BUF_INIT(1 << 20);
	begin();
	claim_evidence("drill.log", "one line\n");
	expect_refused(-ERR_CORRUPT, "'drill.log' was not sent");
	cr_assert(eq(int, drill_desk_evidence(desk, &job, "drill.log", "two line\n", 9, &err), 0));
	expect_refused(-ERR_CORRUPT, "not what the report says");
	cr_assert(eq(int, drill_desk_evidence(desk, &job, "drill.log", "one line\n", 9, &err), 0));
	cr_assert(eq(int, send(agent_seed, &out), 0), "%s", err.msg);
	/* from now on it stays */
	cr_expect(eq(int, drill_desk_evidence(desk, &job, "drill.log", "one line\n", 9, &err), 0));
	cr_expect(eq(int, drill_desk_evidence(desk, &job, "drill.log", "two line\n", 9, &err),
		-ERR_EXISTS));
	cr_expect(eq(int, drill_desk_evidence(desk, &job, "new.log", "x", 1, &err), -ERR_EXISTS));
	buf_done(&out);
}

Test(drill_desk, evidence_stays_in_its_place_and_in_its_bounds)
{
	static const char *const bad[] = { "", ".", "..", ".hidden", "a/b", "../order.json",
		"with blank", "a\n", "\xc3\xa4" };
	char name[128];
	begin();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(
			eq(int, drill_desk_evidence(desk, &job, bad[i], "x", 1, &err), -ERR_USAGE),
			"%s", bad[i]);
	memset(name, 'n', 101);
	name[101] = '\0';
	cr_expect(eq(int, drill_desk_evidence(desk, &job, name, "x", 1, &err), -ERR_USAGE));
	cr_expect(eq(int, drill_desk_evidence(desk, &job, "big", "x", MSG_MAX_BODY + 1, &err),
		-ERR_LIMIT));
	for (int i = 0; i < DRILL_DESK_EVIDENCE_FILES; i++) {
		(void)snprintf(name, sizeof(name), "f%d", i);
		cr_assert(eq(int, drill_desk_evidence(desk, &job, name, "x", 1, &err), 0));
	}
	cr_expect(eq(int, drill_desk_evidence(desk, &job, "more", "x", 1, &err), -ERR_LIMIT));
	cr_expect(eq(int, drill_desk_evidence(desk, &job, "f0", "y", 1, &err), 0));
	(void)snprintf(job.drill, sizeof(job.drill), "../../../etc");
	cr_expect(eq(int, drill_desk_evidence(desk, &job, "f0", "y", 1, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, drill_desk_read(desk, "../../etc/passwd", &(struct buf)BUF_INIT(9), NULL),
		-ERR_NOT_FOUND));
}

Test(drill_desk, evidence_elsewhere_is_refused)
{
	begin();
	claim_evidence("../plan", plan_text);
	expect_refused(-ERR_CORRUPT, "evidence elsewhere");
}
