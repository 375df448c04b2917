#include "restore/check_sql.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/checks.h"
#include "restore/sandbox.h"
#include "restore/sandbox_init.h"
#include "restore/sandbox_wire.h"
#include "restore/service_postgres.h"
#include "tests/lib/store_scratch.h"

/*
 * A real sandbox, and in the place of its process 1 one that answers as a hostile server would;
 * which answer is the name of the database that is asked.
 */

/* ---- inside ---- */

static json_t *rows_of(size_t columns, json_t *cells)
{
	return json_pack(
		"{s:i,s:i,s:i,s:o}", "code", 0, "rows", 1, "columns", (int)columns, "cells", cells);
}

static json_t *table_of(const char *how)
{
	if (strcmp(how, "nameless") == 0)
		return rows_of(2, json_pack("[n,n]"));
	return rows_of(2, json_pack("[s,s]", "public", "sqlt_data_1"));
}

static json_t *place_of(const char *how)
{
	if (strcmp(how, "nameless") == 0)
		return rows_of(6, json_pack("[n,n,n,n,n,n]"));
	return rows_of(6, json_pack("[s,s,s,s,s,s]", "public", "t", "public.t", "base/1/2", "8192",
				  "131072"));
}

static json_t *sum_of(const char *how)
{
	const char *rows = "2", *newest = "2000";
	if (strcmp(how, "countless") == 0)
		return rows_of(5, json_pack("[n,n,n,s,n]", "7"));
	if (strcmp(how, "silent") == 0)
		return json_pack("{s:i,s:s}", "code", ERR_BUSY, "message", "statement timeout");
	if (strcmp(how, "many") == 0)
		rows = "9007199254740993";
	if (strcmp(how, "old") == 0)
		newest = "-1";
	if (strcmp(how, "far") == 0)
		newest = "9300000000000000000";
	return rows_of(5, json_pack("[s,s,s,s,s]", rows, "1000", "2000", "7", newest));
}

static json_t *answer_sql(const json_t *request)
{
	const char *how = json_string_value(json_object_get(request, "database"));
	const json_t *all = json_object_get(request, "statements");
	const char *sql = json_string_value(json_array_get(all, json_array_size(all) - 1));
	if (strstr(sql, "zero_damaged_pages") != NULL)
		return rows_of(2, json_pack("[s,s]", strcmp(how, "zeroing") == 0 ? "on" : "off",
					  strcmp(how, "ignoring") == 0 ? "on" : "off"));
	if (strstr(sql, "pg_relation_filepath") != NULL)
		return place_of(how);
	return strstr(sql, "FROM pg_class") != NULL ? table_of(how) : sum_of(how);
}

static json_t *answer(const json_t *request)
{
	const char *verb = json_string_value(json_object_get(request, "verb"));
	if (strcmp(verb, "sql") == 0)
		return answer_sql(request);
	return json_pack("{s:i,s:i,s:s,s:b,s:i,s:b}", "code", 0, "pid", (int)getpid(), "output", "",
		"is_signal", 0, "status", 0, "running", 1);
}

__attribute__((constructor)) static void be_process_1(int argc, char **argv)
{
	if (argc < 3 || strcmp(argv[1], SANDBOX_INIT_VERB) != 0)
		return;
	const int fd = (int)strtol(argv[2], NULL, 10);
	json_t *request = NULL;
	while (sandbox_wire_recv(fd, -1, NULL, NULL, &request, NULL) == 0) {
		json_t *reply = answer(request);
		(void)sandbox_wire_send(fd, reply, NULL); /* the next read tells */
		json_decref(reply);
		json_decref(request);
	}
	_exit(0);
}

/* ---- outside ---- */

static struct sandbox *box;
static int cluster = -1;

/* The version of a server that is installed here: the drill looks for its program. */
static void write_version(void)
{
	char version[16] = "";
	glob_t found;
	cr_assert(eq(int, glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found), 0));
	cr_assert(eq(int, sscanf(found.gl_pathv[0], "/usr/lib/postgresql/%15[0-9]", version), 1));
	globfree(&found);
	int fd = openat(cluster, "PG_VERSION", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(write(fd, version, strlen(version)) == (ssize_t)strlen(version));
	(void)close(fd);
}

static void setup(void)
{
	static char data[512], logs[512];
	struct err err = ERR_INIT;
	const char *dir = store_scratch_new();
	(void)snprintf(data, sizeof(data), "%s/data", dir);
	(void)snprintf(logs, sizeof(logs), "%s/log", dir);
	cr_assert(mkdir(data, 0700) == 0 && mkdir(logs, 0700) == 0);
	cluster = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	write_version();
	const struct sandbox_opts opts = { .data = data, .log = logs };
	cr_assert(eq(int, sandbox_open(&opts, &box, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	sandbox_free(box);
	(void)close(cluster);
	store_scratch_done();
}

TestSuite(check_sql, .init = setup, .fini = teardown, .timeout = 60);

static int start(
	const char *how, bool ignore_checksums, struct service_postgres **out, struct err *err)
{
	const struct service_postgres_opts opts = { .box = box,
		.name = "hist3",
		.dirfd = cluster,
		.data = SANDBOX_DATA,
		.role = "r",
		.database = how,
		.ignore_checksums = ignore_checksums };
	return service_postgres_start(&opts, out, err);
}

static struct checks_result run(const char *how, enum plan_check_type type)
{
	static char system_id[] = "hist3", check_id[] = "c", object[] = "sqlt_data_*",
		    expect[] = "some";
	struct plan_expect bound = { .kind = PLAN_EXPECT_VALUE, .op = PLAN_OP_GE, .number = 1 };
	if (type == PLAN_CHECK_NEWEST_RECORD)
		bound = (struct plan_expect){
			.kind = PLAN_EXPECT_LAG, .op = PLAN_OP_LE, .lag_ns = INT64_C(3600000000000)
		};
	const struct plan_system system = { .id = system_id, .type = PLAN_SYSTEM_HISTORIAN };
	const struct plan_check check = { .id = check_id,
		.type = type,
		.object = object,
		.expect_text = expect,
		.expect = bound };
	struct service_postgres *server = NULL;
	struct checks_result r;
	struct err err = ERR_INIT;
	cr_assert(eq(int, start(how, false, &server, &err), 0), "%s", err.msg);
	const struct checks_place place = { .system = &system,
		.dirfd = cluster,
		.root = "",
		.database = server,
		.snapshot_ns = INT64_C(3000000000) };
	cr_assert(eq(int, checks_run(&place, &check, &r, &err), 0), "%s", err.msg);
	service_postgres_free(server);
	return r;
}

static void expect_fault(const char *how, enum plan_check_type type, const char *text)
{
	struct checks_result r = run(how, type);
	cr_expect(eq(int, r.status, REPORT_STATUS_FAIL), "%s", r.observed);
	cr_expect(strstr(r.observed, text) != NULL, "%s", r.observed);
	cr_expect(eq(i64, r.newest_ms, REPORT_NONE));
	cr_expect(not(r.is_broken_off));
}

Test(check_sql, a_server_that_answers_is_believed)
{
	struct checks_result r = run("sound", PLAN_CHECK_ROW_COUNT);
	cr_expect(eq(int, r.status, REPORT_STATUS_PASS), "%s", r.observed);
	cr_expect(eq(i64, r.items, 2));
	r = run("sound", PLAN_CHECK_NEWEST_RECORD);
	cr_expect(eq(int, r.status, REPORT_STATUS_PASS), "%s", r.observed);
	cr_expect(eq(i64, r.newest_ms, 2000));
}

Test(check_sql, a_server_that_leaves_values_out_fails_the_check)
{
	expect_fault("countless", PLAN_CHECK_ROW_COUNT, "a strange answer");
	expect_fault("nameless", PLAN_CHECK_ROW_COUNT, "a table without a name");
}

Test(check_sql, what_no_report_can_hold_fails_the_check)
{
	expect_fault("many", PLAN_CHECK_ROW_COUNT, "a strange answer");
	expect_fault("far", PLAN_CHECK_NEWEST_RECORD, "a strange answer");
	expect_fault("old", PLAN_CHECK_NEWEST_RECORD, "is of no time (-1 ms)");
}

Test(check_sql, a_place_without_names_is_no_place)
{
	struct service_postgres *server = NULL;
	struct check_sql_row row;
	struct err err = ERR_INIT;
	cr_assert(eq(int, start("nameless", false, &server, &err), 0), "%s", err.msg);
	cr_expect(eq(int, check_sql_find_row(server, NULL, 0, &row, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, check_sql_find_row(server, "t", 0, &row, &err), -ERR_FAILED));
	service_postgres_free(server);
}

Test(check_sql, a_question_that_was_broken_off_fails_and_says_so)
{
	struct checks_result r = run("silent", PLAN_CHECK_ROW_COUNT);
	cr_expect(eq(int, r.status, REPORT_STATUS_FAIL));
	cr_expect(r.is_broken_off == true);
}

Test(check_sql, a_copy_that_lets_damaged_pages_pass_is_not_asked)
{
	struct service_postgres *server = NULL;
	struct err err = ERR_INIT;
	cr_expect(eq(int, start("zeroing", false, &server, &err), -ERR_FAILED));
	cr_expect(strstr(err.msg, "the copy sets zero_damaged_pages") != NULL, "%s", err.msg);
	cr_expect(eq(int, start("ignoring", false, &server, &err), -ERR_FAILED));
	cr_expect(strstr(err.msg, "the copy sets ignore_checksum_failure") != NULL, "%s", err.msg);
	cr_expect(eq(int, start("sound", true, &server, &err), -ERR_FAILED));
	cr_expect(eq(int, start("ignoring", true, &server, &err), 0), "%s", err.msg);
	service_postgres_free(server);
}
