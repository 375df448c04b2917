#include "restore/checks.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/truth.h"
#include "crypto/hash.h"
#include "restore/snapshot_files.h"
#include "restore/tree_truth.h"
#include "tests/lib/store_scratch.h"

static const char *dir;
static int top = -1;
static struct snapshot_files files;
static struct truth *facts;
static struct buf evidence = BUF_INIT(CHECKS_EVIDENCE_MAX);

static void write_file(const char *path, const char *text)
{
	int fd = openat(top, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
	(void)close(fd);
}

static void note_file(const char *path, const char *text)
{
	struct err err = ERR_INIT;
	char name[64];
	(void)snprintf(name, sizeof(name), "%s", path);
	struct snapshot_file f = {
		.path = name, .size = strlen(text), .digest_kind = ENTRY_DIGEST_SHA256
	};
	hash_sha256(text, strlen(text), f.digest);
	write_file(path, text);
	cr_assert(eq(int, snapshot_files_add(&files, &f, &err), 0), "%s", err.msg);
}

static void add_batch(const char *id, bool is_running)
{
	char path[64], text[256];
	(void)mkdirat(top, id, 0700);
	(void)snprintf(path, sizeof(path), "%s/record.xml", id);
	(void)snprintf(text, sizeof(text), "<Batch><Id>%s</Id></Batch>", id);
	note_file(path, text);
	(void)snprintf(path, sizeof(path), "%s/journal.evt", id);
	(void)snprintf(text, sizeof(text), "2026-01-01T00:00:00Z\t%s\n%s", id,
		is_running ? "" : "2026-01-01T02:00:00Z\tEnd Of BATCH\n");
	note_file(path, text);
	(void)snprintf(path, sizeof(path), "%s/lab.csv", id);
	note_file(path, "time,value\n1,2\n");
}

static void setup(void)
{
	struct err err = ERR_INIT;
	const struct tree_truth_opts opts = { .has_batches = true };
	dir = store_scratch_new();
	cr_assert(dir != NULL);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(ge(int, top, 0));
	add_batch("B1", false);
	add_batch("B2", false);
	add_batch("B3", true);
	snapshot_files_sort(&files);
	facts = truth_new();
	cr_assert(eq(int, tree_truth_add(top, &opts, facts, &err), 0), "%s", err.msg);
	cr_assert(eq(int, truth_seal(facts, &err), 0));
}

static void teardown(void)
{
	truth_free(facts);
	snapshot_files_done(&files);
	buf_done(&evidence);
	cleanup_close_p(&top);
	store_scratch_done();
}

TestSuite(checks, .init = setup, .fini = teardown, .timeout = 120);

static struct checks_result run_as(enum plan_system_type system_type, enum plan_check_type type)
{
	static char system_id[] = "batch3", check_id[] = "c", expect[] = "all";
	const struct plan_system system = { .id = system_id, .type = system_type };
	const struct plan_check check = { .id = check_id,
		.type = type,
		.expect_text = expect,
		.expect = { .kind = PLAN_EXPECT_ALL },
		.sample = 100 };
	const struct checks_place place = { .system = &system,
		.dirfd = top,
		.root = "",
		.files = &files,
		.truth = facts,
		.seed = 7,
		.evidence = &evidence };
	struct checks_result r;
	struct err err = ERR_INIT;
	cr_assert(eq(int, checks_run(&place, &check, &r, &err), 0), "%s", err.msg);
	return r;
}

static struct checks_result run(enum plan_check_type type)
{
	return run_as(PLAN_SYSTEM_BATCH_RECORDS, type);
}

static void expect_fault(enum plan_check_type type, const char *text)
{
	struct checks_result r = run(type);
	cr_expect(eq(int, r.status, REPORT_STATUS_FAIL), "%s", r.observed);
	cr_expect(strstr(r.observed, text) != NULL, "%s", r.observed);
	cr_expect(strstr(buf_cstr(&evidence), text) != NULL);
}

Test(checks, a_sound_tree_passes_and_every_item_is_counted)
{
	struct checks_result r = run(PLAN_CHECK_HASH_MANIFEST);
	cr_expect(eq(int, r.status, REPORT_STATUS_PASS), "%s", r.observed);
	cr_expect(eq(i64, r.items, 9));
	r = run(PLAN_CHECK_OPEN_RECORD);
	cr_expect(eq(int, r.status, REPORT_STATUS_PASS), "%s", r.observed);
	cr_expect(eq(i64, r.items, 3));
	cr_expect(eq(i64, r.newest_ms, INT64_C(1767232800000)));
	r = run(PLAN_CHECK_XML);
	cr_expect(eq(int, r.status, REPORT_STATUS_PASS), "%s", r.observed);
	cr_expect(eq(i64, r.items, 3));
}

Test(checks, changed_missing_and_extra_files_are_named)
{
	write_file("B1/lab.csv", "time,value\n1,3\n");
	expect_fault(
		PLAN_CHECK_HASH_MANIFEST, "the content of 'B1/lab.csv' is not what was backed up");
	write_file("B1/lab.csv", "time,value\n1,2\n");
	cr_assert(eq(int, unlinkat(top, "B2/lab.csv", 0), 0));
	expect_fault(PLAN_CHECK_HASH_MANIFEST, "'B2/lab.csv' is missing");
	write_file("B2/lab.csv", "time,value\n1,2\n");
	write_file("B2/more", "x");
	expect_fault(PLAN_CHECK_HASH_MANIFEST, "'B2/more' is not in the snapshot");
}

Test(checks, a_truth_that_differs_from_snapshot_and_copy_is_seen)
{
	facts->files[0].sha256[0] ^= 1;
	facts->taken_ms = INT64_MAX / 2;
	expect_fault(PLAN_CHECK_HASH_MANIFEST, "is not what the source wrote down");
}

Test(checks, a_fifo_in_the_place_of_a_file_is_a_fault_and_holds_up_nothing, .timeout = 20)
{
	cr_assert(eq(int, mkfifoat(top, "backup_manifest", 0600), 0));
	struct checks_result r = run_as(PLAN_SYSTEM_HISTORIAN, PLAN_CHECK_HASH_MANIFEST);
	cr_expect(eq(int, r.status, REPORT_STATUS_FAIL));
	cr_expect(strstr(r.observed, "backup_manifest is no file") != NULL, "%s", r.observed);
}

Test(checks, a_time_that_no_report_can_hold_is_a_fault_and_not_handed_on)
{
	write_file(
		"B1/journal.evt", "1960-01-01T00:00:00Z\tB1\n1960-01-01T02:00:00Z\tEnd Of BATCH\n");
	cr_assert(eq(int, unlinkat(top, "B2/journal.evt", 0), 0));
	cr_assert(eq(int, unlinkat(top, "B3/journal.evt", 0), 0));
	struct checks_result r = run(PLAN_CHECK_OPEN_RECORD);
	cr_expect(eq(int, r.status, REPORT_STATUS_FAIL));
	cr_expect(eq(i64, r.newest_ms, REPORT_NONE));
	cr_expect(strstr(buf_cstr(&evidence), "is of no time (-315") != NULL);
}

Test(checks, a_file_too_large_for_its_form_to_be_looked_at_is_told)
{
	const int fd = openat(top, "B1/lab.csv", O_WRONLY | O_CLOEXEC);
	cr_assert(ftruncate(fd, (off_t)65 << 20) == 0);
	(void)close(fd);
	struct checks_result r = run(PLAN_CHECK_OPEN_RECORD);
	cr_expect(eq(int, r.status, REPORT_STATUS_PASS), "%s", r.observed);
	cr_expect(strstr(r.observed, "the form of 1 large files not looked at") != NULL, "%s",
		r.observed);
	cr_expect(strstr(buf_cstr(&evidence), "'B1/lab.csv' is larger than") != NULL);
}

Test(checks, a_link_in_the_copy_is_not_followed)
{
	cr_assert(eq(int, unlinkat(top, "B1/lab.csv", 0), 0));
	cr_assert(eq(int, symlinkat("../B2/lab.csv", top, "B1/lab.csv"), 0));
	expect_fault(PLAN_CHECK_HASH_MANIFEST, "'B1/lab.csv' is missing");
}

Test(checks, a_batch_that_is_not_there_is_named)
{
	cr_assert(eq(int, unlinkat(top, "B2/journal.evt", 0), 0));
	expect_fault(PLAN_CHECK_OPEN_RECORD, "batch 'B2' is missing");
}

Test(checks, a_finished_batch_must_still_be_finished)
{
	write_file("B1/journal.evt", "2026-01-01T00:00:00Z\tB1\n");
	expect_fault(PLAN_CHECK_OPEN_RECORD, "batch 'B1' was finished and has no end now");
}

Test(checks, a_record_of_another_batch_is_seen)
{
	write_file("B1/record.xml", "<Batch><Id>B2</Id></Batch>");
	expect_fault(PLAN_CHECK_OPEN_RECORD, "'B1/record.xml' is the record of 'B2'");
}

Test(checks, records_without_their_form_are_named)
{
	write_file("B1/lab.csv", "time,value\n1\n");
	expect_fault(PLAN_CHECK_OPEN_RECORD, "a row has another number of values");
	write_file("B1/lab.csv", "time,value\n1,2\n");
	write_file("B1/report.pdf", "no");
	expect_fault(PLAN_CHECK_OPEN_RECORD, "it has no PDF header");
}

Test(checks, xml_that_is_cut_is_named_with_its_line)
{
	write_file("B2/record.xml", "<Batch><Id>B2</Id>");
	expect_fault(PLAN_CHECK_XML, "'B2/record.xml' is not well-formed: line 1");
}

Test(checks, what_examined_nothing_has_demonstrated_nothing)
{
	cr_assert(eq(int, unlinkat(top, "B1/record.xml", 0), 0));
	cr_assert(eq(int, unlinkat(top, "B2/record.xml", 0), 0));
	cr_assert(eq(int, unlinkat(top, "B3/record.xml", 0), 0));
	struct checks_result r = run(PLAN_CHECK_XML);
	cr_expect(eq(int, r.status, REPORT_STATUS_NOT_DEMONSTRATED));
	cr_expect(eq(i64, r.items, 0));
}

Test(checks, a_database_check_without_a_database_fails)
{
	struct checks_result r = run(PLAN_CHECK_SQL);
	cr_expect(eq(int, r.status, REPORT_STATUS_FAIL));
	cr_expect(eq(str, r.observed, "no database runs to be asked"));
}
