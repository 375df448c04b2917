#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "conf/conf_problems.h"
#include "controller/audit.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_report.h"
#include "controller/drill_desk.h"
#include "db/db.h"
#include "msg/msg_work.h"
#include "restore/erase_tree.h"
#include "tests/lib/catalog_fixture.h"

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
static struct err err;

static bool has_source(void *arg, const char *source)
{
	(void)arg, (void)source;
	return true;
}

static void open_desk(void)
{
	static const uint8_t seed[32] = { 2 };
	const struct drill_desk_opts opts = { .db = f.db,
		.name = "plant3",
		.reports = reports,
		.report_seed = seed,
		.has_source = has_source };
	cr_assert(eq(int, drill_desk_new(&opts, &desk, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	catalog_fixture_init(&f);
	(void)snprintf(reports, sizeof(reports), "%s/reports", f.dir);
	cr_assert(eq(int, mkdir(reports, 0700), 0));
	agent = (struct catalog_agent){
		.name = "box", .id = { 1 }, .role = MSG_ROLE_SANDBOX, .state = AGENT_ACTIVE
	};
	open_desk();
}

static void teardown(void)
{
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	drill_desk_free(desk);
	cr_expect(eq(int, erase_tree_run(top, reports + 1, NULL, NULL), 0));
	(void)close(top);
	catalog_fixture_done(&f);
}

TestSuite(drill_desk_sweep, .init = setup, .fini = teardown);

/* As far as the desk comes before dispatch has the job. */
static struct catalog_job prepared(void)
{
	struct catalog_job j = { .id = "" };
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	const struct drill_desk_order o = { .plan_name = "line3.plan",
		.plan = plan_text,
		.plan_len = strlen(plan_text),
		.agent = &agent,
		.trigger = "manual" };
	cr_assert(eq(int, drill_desk_prepare(desk, &o, &j, &problems, &err), 0), "%s", err.msg);
	conf_problems_done(&problems);
	return j;
}

static void record_job(struct catalog_job *j, const char *id)
{
	(void)snprintf(j->id, sizeof(j->id), "%s", id);
	j->state = JOB_WAITING;
	cr_assert(eq(int, catalog_job_add(f.db, j, &err), 0), "%s", err.msg);
}

static void path_of(char out[256], const char *exercise, const char *tail)
{
	(void)snprintf(out, 256, "%s/%s%s", reports, exercise, tail);
}

static bool is_there(const char *exercise)
{
	char path[256];
	path_of(path, exercise, "");
	return access(path, F_OK) == 0;
}

/* The controller begins anew. */
static size_t sweep(void)
{
	size_t dropped = 99;
	drill_desk_free(desk);
	catalog_fixture_reopen(&f);
	open_desk();
	cr_assert(eq(int, drill_desk_sweep(desk, &dropped, &err), 0), "%s", err.msg);
	return dropped;
}

struct seen {
	const char *exercise;
	int count;
};

static int match(void *arg, const struct audit_record *r)
{
	struct seen *s = arg;
	s->count += strcmp(r->action, "drill.drop") == 0 && strcmp(r->object, s->exercise) == 0 &&
		    strcmp(r->who, "controller") == 0;
	return 0;
}

static int records_of(const char *exercise)
{
	struct seen s = { .exercise = exercise };
	cr_assert(eq(int, audit_each(f.db, 100, match, &s, &err), 0));
	return s.count;
}

Test(drill_desk_sweep, what_got_no_job_goes_with_a_record_and_what_has_one_stays)
{
	struct catalog_report row;
	struct catalog_job orphan = prepared(), waits = prepared(), begun = prepared();
	struct msg_order order = { .attempt = 1 };
	record_job(&waits, "00112233445566778899aabbccddee01");
	record_job(&begun, "00112233445566778899aabbccddee02");
	cr_assert(eq(int, drill_desk_fill(desk, &begun, &order, &err), 0), "%s", err.msg);
	msg_work_order_done(&order);

	cr_expect(eq(sz, sweep(), 1));
	cr_expect(not(is_there(orphan.drill)));
	cr_expect(eq(int, catalog_report_get(f.db, orphan.drill, &row, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, records_of(orphan.drill), 1));
	cr_expect(is_there(waits.drill));
	cr_expect(is_there(begun.drill));
	cr_expect(eq(int, catalog_report_get(f.db, waits.drill, &row, &err), 0));
	cr_expect(eq(int, drill_desk_fill(desk, &waits, &order, &err), 0), "%s", err.msg);
	msg_work_order_done(&order);
	cr_expect(eq(sz, sweep(), 0), "once is enough");
}

Test(drill_desk_sweep, files_without_a_row_go_unless_they_tell_of_an_exercise_that_was_begun)
{
	char path[256];
	struct catalog_job cut = prepared(), begun = prepared(), ended = prepared();
	struct msg_order order = { .attempt = 1 };
	static const char bare[] = "01234567-89ab-4def-8123-456789abcdef";
	cr_assert(eq(int, drill_desk_fill(desk, &begun, &order, &err), 0), "%s", err.msg);
	msg_work_order_done(&order);
	path_of(path, bare, "");
	cr_assert(eq(int, mkdir(path, 0700), 0)); /* ended before its plan was written */
	path_of(path, ended.drill, ".json");
	FILE *file = fopen(path, "w");
	cr_assert(ne(ptr, file, NULL));
	(void)fclose(file);
	path_of(path, "not-an-exercise", "");
	cr_assert(eq(int, mkdir(path, 0700), 0));
	/* a catalog that was rebuilt knows none of them */
	cr_assert(eq(int, db_run(f.db, "DELETE FROM drill", DB_NO_ARGS, NULL, &err), 0));

	cr_expect(eq(sz, sweep(), 2));
	cr_expect(not(is_there(cut.drill)));
	cr_expect(not(is_there(bare)));
	cr_expect(eq(int, records_of(cut.drill), 1));
	cr_expect(eq(int, records_of(bare), 1));
	cr_expect(is_there(begun.drill), "its evidence may be all there is of it");
	cr_expect(is_there(ended.drill));
	cr_expect(is_there("not-an-exercise"));
}

Test(drill_desk_sweep, an_order_that_cannot_be_read_stays)
{
	char path[256];
	struct catalog_job hurt = prepared();
	cr_assert(eq(int, db_run(f.db, "DELETE FROM drill", DB_NO_ARGS, NULL, &err), 0));
	path_of(path, hurt.drill, "/order.json");
	FILE *file = fopen(path, "w");
	cr_assert(ne(ptr, file, NULL));
	(void)fputs("{", file);
	(void)fclose(file);
	cr_expect(eq(sz, sweep(), 0));
	cr_expect(is_there(hurt.drill));
}
