#include <criterion/criterion.h>
#include <criterion/hooks.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/drill.h"
#include "restore/drill_points_near.h"
#include "tests/lib/drill_fixture.h"
#include "vault/snapshot.h"

/* The negative control, and what runs in the sandbox against the drill around it. */

__attribute__((constructor)) static void start(int argc, char **argv)
{
	drill_fixture_be_process_1(argc, argv);
}

ReportHook(PRE_ALL)(struct criterion_test_set *set)
{
	(void)set;
	drill_fixture_make();
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
	(void)stats;
	drill_fixture_remove();
}

TestSuite(drill_control, .timeout = 120);

#define HASH "{ id = \"files\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; }"
#define RECORDS                                                                                    \
	"{ id = \"opened\"; type = \"open_record\"; mandatory = true; sample = 5; expect = "       \
	"\"all\"; }"
#define XML "{ id = \"xml\"; type = \"xml\"; mandatory = true; expect = \"all\"; }"
#define ROWS                                                                                       \
	"{ id = \"samples\"; type = \"row_count\"; mandatory = true; object = \"sqlt_data_*\";"    \
	" expect = \"==manifest\"; }"

/* One system ${id} of the fixture's source ${source} with these checks. */
static void add_system(char plan[4096], const char *id, const char *source, const char *checks)
{
	const bool is_database = strcmp(source, "hist3") == 0;
	const size_t len = strlen(plan);
	(void)snprintf(plan + len, 4096 - len,
		"%s{ id = \"%s\"; type = \"%s\"; tier = 1; mtpd = \"12h\"; rto = \"30m\";\n"
		"  rpo = \"1h\"; source = \"source:%s\";\n"
		"  steps = ( { name = \"restore\"; do = \"restore\"; }%s );\n"
		"  checks = ( %s ); }\n",
		len == 0 ? "plan = { id = \"p\"; version = 1; title = \"t\"; systems = (\n" : ", ",
		id, is_database ? "historian" : "plc_project", source,
		is_database ? ", { name = \"start\"; do = \"start\"; }" : "", checks);
}

static struct report *run(char plan[4096], void (*change)(struct drill_opts *o))
{
	static const char end[] =
		" );\ncleanup = { on_success = \"erase\"; on_fail = \"erase\"; }; };\n";
	struct report *r = NULL;
	struct err err = ERR_INIT;
	const size_t len = strlen(plan);
	(void)snprintf(plan + len, 4096 - len, "%s", end);
	cr_assert(eq(int, drill_fixture_run(plan, change, &r, &err), 0), "%s", err.msg);
	for (size_t i = 0; i < r->findings_count; i++)
		(void)fprintf(stderr, "finding %s: %s\n", r->findings[i]->id,
			r->findings[i]->description);
	cr_expect(eq(int, drill_fixture_left(), 0));
	return r;
}

static bool has_finding(const struct report *r, const char *text)
{
	for (size_t i = 0; i < r->findings_count; i++) {
		if (strstr(r->findings[i]->description, text) != NULL)
			return true;
	}
	return false;
}

/* Run a shell command in the fixture's directory. */
static void shell(const char *script)
{
	char command[PATH_MAX + 512];
	(void)snprintf(
		command, sizeof(command), "cd '%s' && %s", getenv("DRILL_FIXTURE_DIR"), script);
	cr_assert(eq(int, system(command), 0), "%s", script);
}

/* The one path that ${pattern} means in the data directory of the drill that runs; false = none. */
static bool find_data(const char *pattern, char out[PATH_MAX])
{
	char whole[PATH_MAX];
	glob_t found;
	(void)snprintf(whole, sizeof(whole), "%s/drills/holdfast-drill-*/data/%s",
		getenv("DRILL_FIXTURE_DIR"), pattern);
	if (glob(whole, 0, NULL, &found) != 0)
		return false;
	(void)snprintf(out, PATH_MAX, "%s", found.gl_pathv[0]);
	globfree(&found);
	return true;
}

/* ---- a directory that is swapped for a link to a place of the host ---- */

static void swap_for_link(const char *path)
{
	char moved[PATH_MAX + 16], host[PATH_MAX];
	(void)snprintf(moved, sizeof(moved), "%s.moved", path);
	(void)snprintf(host, sizeof(host), "%s/host", getenv("DRILL_FIXTURE_DIR"));
	cr_assert(eq(int, rename(path, moved), 0));
	cr_assert(eq(int, symlink(host, path), 0));
}

/* A copy of what was restored stands for the files of the host. */
static void copy_restored(void *arg, enum drill_phase phase, const char *system, const char *dir)
{
	(void)arg, (void)dir;
	if (phase == DRILL_HASHED && strcmp(system, "plc3") == 0)
		shell("cp -a drills/holdfast-drill-*/data/plc3 host && cp -a host before");
}

static bool swap_while_restoring(void *arg)
{
	char path[PATH_MAX];
	struct stat st;
	(void)arg;
	if (find_data("plc3*control*", path) && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
		strstr(path, ".moved") == NULL)
		swap_for_link(path);
	return false;
}

static void with_swap_while_restoring(struct drill_opts *o)
{
	o->on_phase = copy_restored;
	o->is_stopped = swap_while_restoring;
}

Test(drill_control, a_copy_swapped_for_a_link_leads_no_damage_to_the_host)
{
	char plan[4096] = "";
	shell("rm -rf host before");
	add_system(plan, "plc3", "plc3", HASH ", " RECORDS);
	struct report *r = run(plan, with_swap_while_restoring);
	shell("test -d host && diff -r host before");
	report_free(r);
}

static void swap_when_told(void *arg, const char *text)
{
	char path[PATH_MAX];
	(void)arg;
	if (strstr(text, "negative control: hist3: one bit changed at byte") != NULL &&
		find_data("hist3*control*", path))
		swap_for_link(path);
}

static void with_swap_before_start(struct drill_opts *o)
{
	o->on_tell = swap_when_told;
}

Test(drill_control, a_copy_swapped_for_a_link_leads_no_start_to_the_host)
{
	char plan[4096] = "";
	shell("rm -rf host && mkdir -p host/pgdata && chmod 755 host/pgdata && "
	      "echo 15 >host/pgdata/PG_VERSION && touch host/pgdata/standby.signal");
	add_system(plan, "hist3", "hist3", HASH ", " ROWS);
	struct report *r = run(plan, with_swap_before_start);
	shell("test -e host/pgdata/standby.signal");
	shell("test \"$(stat -c %a host/pgdata)\" = 755");
	cr_expect(has_finding(r, "the negative control could not be run"));
	report_free(r);
}

/* ---- what a control shows, and what not ---- */

static bool has_seen(const struct report *r, const char *id)
{
	const struct report_texts *t = &r->systems[0]->negative_control.checks_failed;
	for (size_t i = 0; i < t->count; i++) {
		if (strcmp(t->items[i], id) == 0)
			return true;
	}
	return false;
}

/* Passes on the sound copy; asked of the damaged one it ends its own connection. */
#define BROKEN_OFF                                                                                 \
	"{ id = \"asked\"; type = \"sql\"; mandatory = true; expect = \"==1\"; query = \"SELECT "  \
	"CASE WHEN current_setting('ignore_checksum_failure') = 'on' THEN "                        \
	"pg_terminate_backend(pg_backend_pid())::int ELSE 1 END\"; }"

Test(drill_control, a_check_that_could_not_look_has_seen_no_damage)
{
	char plan[4096] = "";
	add_system(plan, "hist3", "hist3", BROKEN_OFF);
	struct report *r = run(plan, NULL);
	cr_expect(eq(int, r->systems[0]->checks[0]->status, REPORT_STATUS_PASS));
	cr_expect(not(has_seen(r, "asked")));
	cr_expect(has_finding(
		r, "the negative control could not be run: check asked could not look"));
	report_free(r);
}

Test(drill_control, a_mandatory_check_that_no_damage_is_made_for_is_named)
{
	char plan[4096] = "";
	add_system(plan, "hist3", "hist3", ROWS ", " RECORDS);
	struct report *r = run(plan, NULL);
	cr_expect(has_seen(r, "samples"));
	cr_expect(eq(sz, r->findings_count, 1));
	cr_expect(has_finding(r, "no damage was made for check opened (open_record)"));
	cr_expect(eq(int, r->verdict.overall, REPORT_PASS_WITH_FINDINGS));
	report_free(r);
}

Test(drill_control, an_id_that_ends_like_a_copy_is_a_system_like_others)
{
	char plan[4096] = "";
	add_system(plan, "plc3", "plc3", XML);
	add_system(plan, "plc3.control", "plc3", XML);
	struct report *r = run(plan, NULL);
	for (size_t i = 0; i < r->systems_count; i++)
		cr_expect(eq(int, r->systems[i]->negative_control.verdict, REPORT_DETECTED));
	cr_expect(eq(int, r->verdict.overall, REPORT_PASS), "%s", r->verdict.summary);
	report_free(r);
}

/* ---- evidence ---- */

/* What a hostile copy writes into the directory of logs. */
static void write_logs(void *arg, enum drill_phase phase, const char *system, const char *dir)
{
	(void)arg, (void)system, (void)dir;
	if (phase == DRILL_CHECKED)
		shell("cd drills/holdfast-drill-*/log && mkdir sub && touch 'a b' && "
		      "echo x | tee drill.log other.log sub/x.log >'c d.log' && "
		      "truncate -s 17M drill~control.log");
}

static void with_hostile_logs(struct drill_opts *o)
{
	o->on_phase = write_logs;
}

static const struct report_evidence *evidence_of(const struct report *r, const char *name)
{
	for (size_t i = 0; i < r->evidence_count; i++) {
		const char *slash = strrchr(r->evidence[i]->ref, '/');
		if (strcmp(slash == NULL ? r->evidence[i]->ref : slash + 1, name) == 0)
			return r->evidence[i];
	}
	return NULL;
}

Test(drill_control, the_evidence_holds_what_the_drill_started_under_names_of_its_own)
{
	char plan[4096] = "";
	add_system(plan, "drill", "hist3", ROWS);
	struct report *r = run(plan, with_hostile_logs);
	/* the sandbox itself need not have said anything */
	cr_expect(eq(sz, r->evidence_count, evidence_of(r, "sandbox.log") == NULL ? 3 : 4));
	cr_expect(evidence_of(r, "drill.log") != NULL);
	cr_expect(evidence_of(r, "service-drill.log") != NULL);
	const struct report_evidence *cut = evidence_of(r, "control-drill.log");
	cr_assert(cut != NULL);
	cr_expect(eq(i64, cut->size_bytes, 16 << 20));
	cr_expect(has_finding(r, "log 'control-drill.log' is too long for the evidence"));
	report_free(r);
}

/* ---- who stopped it ---- */

static bool is_asked_to_stop(void *arg)
{
	(void)arg;
	return true;
}

static void with_stop(struct drill_opts *o)
{
	o->is_stopped = is_asked_to_stop;
}

static void with_stop_by_an_agent(struct drill_opts *o)
{
	static const struct report_agent agent = { .name = "sandbox1",
		.agent_id = "00112233445566778899aabbccddeeff",
		.keyid = "1111111111111111111111111111111111111111111111111111111111111111" };
	o->agent = &agent;
	o->is_stopped = is_asked_to_stop;
}

Test(drill_control, an_aborted_drill_says_who_ended_it)
{
	char near[4096] = "", far[4096] = "";
	add_system(near, "plc3", "plc3", XML);
	struct report *r = run(near, with_stop);
	cr_expect(eq(str, (char *)r->exercise.abort_reason, "interrupted by the operator"));
	report_free(r);
	add_system(far, "plc3", "plc3", XML);
	r = run(far, with_stop_by_an_agent);
	cr_expect(strstr(r->exercise.abort_reason, "stopped by the agent") != NULL);
	report_free(r);
}

/* ---- times that cannot be ---- */

static struct snapshot_list early;

static void with_points_before_1970(struct drill_opts *o)
{
	struct drill_points_near *near = o->points->self;
	early.count = near->snapshots->count;
	early.at = calloc(early.count, sizeof(*early.at));
	cr_assert(early.at != NULL);
	for (size_t i = 0; i < early.count; i++) {
		early.at[i] = near->snapshots->at[i];
		early.at[i].record.t_start_ns = -1;
	}
	near->snapshots = &early;
}

Test(drill_control, a_point_from_before_1970_is_refused_and_leaves_a_report)
{
	char plan[4096] = "";
	add_system(plan, "plc3", "plc3", XML);
	struct report *r = run(plan, with_points_before_1970);
	cr_expect(has_finding(r, "the snapshot claims to be from before 1970"));
	cr_expect(eq(i64, r->systems[0]->recovery_point.snapshot_at, REPORT_NONE));
	free(early.at);
	report_free(r);
}
