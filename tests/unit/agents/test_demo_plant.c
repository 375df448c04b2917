#include "agents/demo_plant.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/demo_batch.h"
#include "agents/demo_historian.h"
#include "agents/demo_pdf.h"
#include "agents/demo_postgres.h"
#include "agents/sources/pg_conn.h"
#include "agents/sources/postgres_truth.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/truth.h"
#include "restore/tree_truth.h"
#include "tests/lib/store_scratch.h"

#define NOW_MS INT64_C(1795489280876) /* 2026-11-24 */

DEFINE_CLEANUP(struct demo_plant *, demo_plant_free)
DEFINE_CLEANUP(struct truth *, truth_free)

static const char *dir;
static int top = -1;

static void setup(void)
{
	dir = store_scratch_new();
	cr_assert(dir != NULL);
	top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(ge(int, top, 0));
}

static void teardown(void)
{
	cleanup_close_p(&top);
	store_scratch_done();
}

TestSuite(demo_plant, .init = setup, .fini = teardown, .timeout = 240);

static const struct demo_plant_opts small = {
	.seed = 5, .now_ms = NOW_MS, .scans = 50, .batches = 12, .projects = 6
};

static struct demo_plant *make(const char *name)
{
	char path[PATH_MAX];
	struct demo_plant *p = NULL;
	struct err err = ERR_INIT;
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert(eq(int, mkdir(path, 0700), 0));
	cr_expect(not(demo_plant_is_there(path)));
	cr_assert(eq(int, demo_plant_create(path, &small, &p, &err), 0), "%s", err.msg);
	cr_expect(demo_plant_is_there(path));
	return p;
}

static void take_files(const char *name, const char *tree, bool has_batches, struct truth *t)
{
	char path[PATH_MAX];
	struct err err = ERR_INIT;
	(void)snprintf(path, sizeof(path), "%s/%s", name, tree);
	CLEANUP(cleanup_close_p) int fd = openat(top, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct tree_truth_opts o = { .prefix = tree, .has_batches = has_batches };
	cr_assert(eq(int, tree_truth_add(fd, &o, t, &err), 0), "%s", err.msg);
}

/* The whole truth of the plant ${name}, up to ${cutoff_ms}. */
static struct truth *take(struct demo_plant *p, const char *name, int64_t cutoff_ms)
{
	struct demo_postgres *pg = demo_plant_postgres(p);
	struct pg_conn_opts role = { .conninfo = demo_postgres_backup(pg),
		.passfile = demo_postgres_passfile(pg) };
	struct postgres_truth_opts what = { .cutoff_ms = cutoff_ms };
	struct err err = ERR_INIT;
	struct truth *t = truth_new();
	take_files(name, DEMO_PLANT_BATCH, true, t);
	take_files(name, DEMO_PLANT_PLC, false, t);
	cr_assert(eq(int, postgres_truth_take(&role, &what, t, &err), 0), "%s", err.msg);
	cr_assert(eq(int, truth_seal(t, &err), 0), "%s", err.msg);
	return t;
}

static void print_diff(void *ctx, const char *text)
{
	(void)ctx;
	(void)fprintf(stderr, "difference: %s\n", text);
}

Test(demo_plant, same_seed_and_clock_give_the_same_plant)
{
	CLEANUP(demo_plant_free_p) struct demo_plant *a = make("a");
	CLEANUP(demo_plant_free_p) struct demo_plant *b = make("b");
	CLEANUP(truth_free_p) struct truth *x = take(a, "a", NOW_MS);
	CLEANUP(truth_free_p) struct truth *y = take(b, "b", NOW_MS);
	cr_expect(eq(sz, x->file_count, 12 * 4 + 6 * 5));
	cr_expect(eq(sz, x->batch_count, 12));
	cr_expect(eq(i64, x->database.newest_ms, NOW_MS));
	cr_expect(eq(i64, x->newest_ms, NOW_MS / 1000 * 1000));
	x->database.system_id = y->database.system_id; /* the only thing that may differ */
	cr_expect(eq(sz, truth_compare(x, y, print_diff, NULL), 0));
}

Test(demo_plant, a_day_changes_a_little_and_survives_a_restart)
{
	struct err err = ERR_INIT;
	char path[PATH_MAX];
	CLEANUP(demo_plant_free_p) struct demo_plant *p = make("a");
	CLEANUP(truth_free_p) struct truth *before = take(p, "a", NOW_MS);
	cr_assert(eq(int, demo_plant_stop(p, &err), 0), "%s", err.msg);
	demo_plant_free(TAKE(p));

	(void)snprintf(path, sizeof(path), "%s/a", dir);
	cr_expect(eq(int, demo_plant_create(path, &small, &p, &err), -ERR_EXISTS));
	cr_assert(eq(int, demo_plant_open(path, &p, &err), 0), "%s", err.msg);
	cr_expect(eq(u64, demo_plant_seed(p), 5));
	CLEANUP(truth_free_p) struct truth *reopened = take(p, "a", NOW_MS);
	cr_expect(eq(sz, truth_compare(before, reopened, print_diff, NULL), 0));

	const int64_t tomorrow = NOW_MS + 86400000;
	cr_assert(eq(int, demo_plant_next_day(p, tomorrow, &err), 0), "%s", err.msg);
	CLEANUP(truth_free_p) struct truth *after = take(p, "a", NOW_MS);
	cr_expect(eq(i64, after->database.newest_ms, tomorrow));
	cr_expect(eq(sz, after->batch_count, 17));
	cr_expect(eq(i64, after->newest_ms, tomorrow / 1000 * 1000));
	/* 5 batches and their 20 files are new; 2 projects differ in 2 files each; samples up to
	 * the old time and every record of a finished batch are as they were */
	cr_expect(eq(sz, truth_compare(before, after, NULL, NULL), 5 + 20 + 4));
	size_t running = 0;
	for (size_t i = 0; i < after->batch_count; i++)
		running += after->batches[i].is_running;
	cr_expect(eq(sz, running, 1));

	/* a second day goes on from there */
	cr_assert(eq(int, demo_plant_next_day(p, tomorrow + 86400000, &err), 0), "%s", err.msg);
	CLEANUP(truth_free_p) struct truth *third = take(p, "a", NOW_MS);
	cr_expect(eq(sz, third->batch_count, 22));
}

static void read_file(const char *path, struct buf *out)
{
	struct err err = ERR_INIT;
	buf_clear(out);
	cr_assert(eq(int, fdio_read_file(top, path, out, &err), 0), "%s", err.msg);
}

Test(demo_plant, journals_run_forward_and_records_are_well_formed)
{
	struct err err = ERR_INIT;
	CLEANUP(buf_done) struct buf text = BUF_INIT(1 << 20);
	struct demo_batch_plan plan = { .seed = 3, .anchor_ms = NOW_MS, .running = 3 };
	for (unsigned i = 0; i < 6; i++)
		cr_assert(eq(int, demo_batch_write(top, &plan, i, &err), 0), "%s", err.msg);
	cr_assert(eq(int, demo_batch_grow(top, &plan, 9, NOW_MS, NOW_MS + 60000, &err), 0));
	cr_assert(eq(int, demo_batch_grow(top, &plan, 9, NOW_MS + 60000, NOW_MS + 99000, &err), 0));
	for (unsigned i = 0; i < 6; i++) {
		char id[DEMO_BATCH_ID_BYTES], where[DEMO_BATCH_PATH_BYTES], path[128];
		demo_batch_name(&plan, i, id, where);
		(void)snprintf(path, sizeof(path), "%s/journal.evt", where);
		read_file(path, &text);
		char last[24] = "", *save = NULL, *end = NULL;
		cr_assert(buf_cstr(&text) != NULL);
		for (char *line = strtok_r((char *)text.data, "\n", &save); line != NULL;
			line = strtok_r(NULL, "\n", &save)) {
			cr_expect(le(int, strncmp(last, line, 20), 0), "%s then %s", last, line);
			(void)snprintf(last, sizeof(last), "%.20s", line);
			end = line;
		}
		cr_assert(end != NULL);
		cr_expect(eq(int, strstr(end, TREE_TRUTH_END) != NULL, i != 3));
		(void)snprintf(path, sizeof(path), "%s/record.xml", where);
		read_file(path, &text);
		xmlDocPtr doc = xmlReadMemory((const char *)text.data, (int)text.len, path, NULL,
			XML_PARSE_NONET | XML_PARSE_NOERROR);
		cr_expect(doc != NULL, "%s", path);
		xmlFreeDoc(doc);
	}
	xmlCleanupParser();
}

Test(demo_plant, pdf_cross_references_point_at_their_objects)
{
	CLEANUP(buf_done) struct buf pdf = BUF_INIT(1 << 20);
	const char *lines[DEMO_PDF_LINES + 1];
	for (size_t i = 0; i <= DEMO_PDF_LINES; i++)
		lines[i] = "a (b) \\ \x01";
	cr_assert(eq(int, demo_pdf_make("title", lines, DEMO_PDF_LINES, &pdf, NULL), 0));
	const char *text = buf_cstr(&pdf);
	cr_assert(text != NULL);
	cr_expect(eq(int, strncmp(text, "%PDF-1.4\n", 9), 0));
	cr_expect(eq(str, (char *)text + pdf.len - 6, "%%EOF\n"));
	cr_expect(ne(ptr, (void *)strstr(text, "(a \\(b\\) \\\\ ?) Tj"), NULL));
	const char *start = strstr(text, "startxref\n");
	cr_assert(start != NULL);
	const char *xref = text + atol(start + 10);
	cr_assert(eq(int, strncmp(xref, "xref\n0 6\n", 9), 0));
	for (int i = 1; i < 6; i++) {
		char want[24];
		(void)snprintf(want, sizeof(want), "%d 0 obj\n", i);
		cr_expect(eq(int, strncmp(text + atol(xref + 9 + 20 * i), want, strlen(want)), 0));
	}
	size_t len = pdf.len;
	cr_expect(eq(int, demo_pdf_make("t", lines, DEMO_PDF_LINES + 1, &pdf, NULL), -ERR_LIMIT));
	cr_expect(eq(sz, pdf.len, len));
}

Test(demo_plant, a_half_made_or_foreign_plant_is_not_opened)
{
	struct err err = ERR_INIT;
	struct demo_plant *p = NULL;
	cr_expect(eq(int, demo_plant_open(dir, &p, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, demo_plant_open("/nonexistent", &p, &err), -ERR_NOT_FOUND));
	int fd = openat(top, DEMO_PLANT_STATE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(eq(int, (int)write(fd, "demo plant 1\nseed x", 19), 19));
	(void)close(fd);
	cr_expect(eq(int, demo_plant_open(dir, &p, &err), -ERR_CORRUPT));
	cr_expect(not(demo_plant_is_there(dir)));
	cr_expect(eq(ptr, p, NULL));
	struct demo_plant_opts huge = { .batches = UINT_MAX };
	cr_expect(eq(int, demo_plant_create(dir, &huge, &p, &err), -ERR_LIMIT));
}
