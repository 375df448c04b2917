#include "codec/truth.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/truth_json.h"

TestSuite(truth, .timeout = 60);

DEFINE_CLEANUP(struct truth *, truth_free)

static char diffs[4096];

static void on_diff(void *ctx, const char *text)
{
	(void)ctx;
	size_t len = strlen(diffs);
	(void)snprintf(diffs + len, sizeof(diffs) - len, "%s\n", text);
}

static size_t compare(const struct truth *want, const struct truth *got)
{
	diffs[0] = '\0';
	return truth_compare(want, got, on_diff, NULL);
}

static void add_table(struct truth *t, const char *name, uint64_t rows)
{
	char schema[] = "public", own[64];
	(void)snprintf(own, sizeof(own), "%s", name);
	struct truth_table table = { .schema = schema, .name = own, .rows = rows };
	if (rows > 0) {
		table.min_ms = 1000;
		table.max_ms = 2000;
	}
	(void)snprintf(table.fingerprint, sizeof(table.fingerprint), "-9223372036854775808123");
	cr_assert(eq(int, truth_add_table(t, &table, NULL), 0));
}

static void add_file(struct truth *t, const char *path, uint64_t size, bool is_append)
{
	char own[64];
	(void)snprintf(own, sizeof(own), "%s", path);
	struct truth_file f = { .path = own, .size = size, .is_append = is_append };
	memset(f.sha256, 0xab, sizeof(f.sha256));
	cr_assert(eq(int, truth_add_file(t, &f, NULL), 0));
}

static void add_batch(struct truth *t, const char *id, bool is_running)
{
	char own[64];
	(void)snprintf(own, sizeof(own), "%s", id);
	struct truth_batch b = { .id = own, .is_running = is_running };
	cr_assert(eq(int, truth_add_batch(t, &b, NULL), 0));
}

static struct truth *sample(void)
{
	struct truth *t = truth_new();
	cr_assert(t != NULL);
	t->taken_ms = 1795489280876;
	t->has_database = t->has_files = t->has_batches = true;
	t->newest_ms = 5000;
	t->database.server_version = strdup("15.18");
	t->database.server_version_num = 150018;
	t->database.system_id = UINT64_MAX - 1;
	t->database.has_data_checksums = true;
	t->database.cutoff_ms = 3000;
	t->database.newest_ms = 4000;
	add_table(t, "sqlt_data_1_2026_11", 7);
	add_table(t, "sqlt_data_1_2026_10", 0);
	add_file(t, "b/journal.evt", 10, true);
	add_file(t, "a\xff\n", 20, false);
	add_batch(t, "L3-2", true);
	add_batch(t, "L3-1", false);
	cr_assert(eq(int, truth_seal(t, NULL), 0));
	return t;
}

static void format(const struct truth *t, struct buf *out)
{
	struct err err = ERR_INIT;
	cr_assert(eq(int, truth_json_format(t, out, &err), 0), "%s", err.msg);
}

static struct truth *copy_of(const struct truth *t)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	struct truth *copy = NULL;
	struct err err = ERR_INIT;
	format(t, &b);
	cr_assert(eq(int, truth_json_parse(b.data, b.len, &copy, &err), 0), "%s", err.msg);
	return copy;
}

Test(truth, parsing_gives_back_what_was_formatted)
{
	CLEANUP(truth_free_p) struct truth *t = sample();
	CLEANUP(truth_free_p) struct truth *copy = copy_of(t);
	CLEANUP(buf_done) struct buf a = BUF_INIT(65536);
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	format(t, &a);
	format(copy, &b);
	cr_expect(eq(str, (char *)buf_cstr(&a), (char *)buf_cstr(&b)));
	cr_expect(eq(u64, copy->database.system_id, UINT64_MAX - 1));
	cr_expect(eq(str, copy->files[0].path, "a\xff\n"));
	cr_expect(copy->files[1].is_append);
	cr_expect(eq(i64, copy->taken_ms, 1795489280876));
	cr_expect(eq(sz, compare(t, copy), 0), "%s", diffs);
}

Test(truth, absent_sections_stay_absent)
{
	CLEANUP(truth_free_p) struct truth *t = truth_new();
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	format(t, &b);
	cr_expect(eq(str, (char *)buf_cstr(&b),
		"{\"schema\":\"truth-manifest/1\",\"taken_at\":\"1970-01-01T00:00:00.000Z\"}\n"));
	CLEANUP(truth_free_p) struct truth *copy = copy_of(t);
	cr_expect(not(copy->has_database || copy->has_files || copy->has_batches));
	cr_expect(eq(i64, copy->newest_ms, TRUTH_NO_TIME));
}

Test(truth, every_kind_of_loss_is_a_difference)
{
	CLEANUP(truth_free_p) struct truth *want = sample();
	CLEANUP(truth_free_p) struct truth *got = copy_of(want);
	got->database.tables[1].rows--;
	got->database.tables[1].fingerprint[1] = '1';
	got->database.newest_ms--;
	got->database.has_data_checksums = false;
	got->database.system_id = 5;
	got->files[0].sha256[31] ^= 1;
	got->files[1].size--;
	got->batches[0].is_running = true;
	got->newest_ms--;
	cr_expect(eq(sz, compare(want, got), 9));
	cr_expect(eq(str, diffs,
		"database cluster 5, expected 18446744073709551614\n"
		"database pages carry no checksums, expected them\n"
		"newest sample 3999 ms, expected 4000 or later\n"
		"table 'sqlt_data_1_2026_11': 6 rows, expected 7\n"
		"table 'sqlt_data_1_2026_11': fingerprint -1223372036854775808123, expected "
		"-9223372036854775808123\n"
		"file 'a\xff\n': content differs\n"
		"file 'b/journal.evt': 9 bytes, expected 10 or more\n"
		"batch 'L3-1' was finished and has no end now\n"
		"newest record 4999 ms, expected 5000 or later\n"));
}

Test(truth, missing_and_unexpected_things_are_differences)
{
	CLEANUP(truth_free_p) struct truth *want = sample();
	CLEANUP(truth_free_p) struct truth *got = copy_of(want);
	got->database.tables[0].name[0] = 'a';
	got->files[0].path[0] = 'z';
	got->batches[1].id[0] = 'M';
	cr_assert(eq(int, truth_seal(got, NULL), 0));
	cr_expect(eq(sz, compare(want, got), 6));
	CLEANUP(truth_free_p) struct truth *empty = truth_new();
	cr_expect(eq(sz, compare(want, empty), 4), "%s", diffs);
	cr_expect(eq(sz, compare(empty, want), 0), "%s", diffs);
}

Test(truth, later_content_is_no_difference)
{
	CLEANUP(truth_free_p) struct truth *want = sample();
	CLEANUP(truth_free_p) struct truth *got = copy_of(want);
	got->database.newest_ms += 100;
	got->files[1].size += 5; /* the journal grew */
	got->files[1].sha256[0] ^= 1;
	got->batches[1].is_running = false; /* and ended */
	cr_expect(eq(sz, compare(want, got), 0), "%s", diffs);
}

Test(truth, doubles_are_refused)
{
	CLEANUP(truth_free_p) struct truth *t = sample();
	struct err err = ERR_INIT;
	add_file(t, "b/journal.evt", 1, false);
	cr_expect(eq(int, truth_seal(t, &err), -ERR_CORRUPT));
	cr_expect(eq(str, err.msg, "file 'b/journal.evt' occurs twice in a truth manifest"));
}

static int parse_changed(const char *from, const char *to, struct err *err)
{
	CLEANUP(truth_free_p) struct truth *t = sample();
	CLEANUP(truth_free_p) struct truth *got = NULL;
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	format(t, &b);
	char text[8192];
	const char *all = buf_cstr(&b);
	const char *at = strstr(all, from);
	cr_assert(at != NULL, "%s is not in %s", from, all);
	int n = snprintf(
		text, sizeof(text), "%.*s%s%s", (int)(at - all), all, to, at + strlen(from));
	return truth_json_parse(text, (size_t)n, &got, err);
}

Test(truth, malformed_manifests_are_refused_with_the_place)
{
	struct err err = ERR_INIT;
	static const char *const changes[][2] = {
		{ "\"rows\":7", "\"rows\":-7" },
		{ "\"rows\":7", "\"rows\":\"7\"" },
		{ "\"max_ms\":2000,", "" },
		{ "\"fingerprint\":\"-9", "\"fingerprint\":\"x9" },
		{ "\"data_checksums\":true", "\"data_checksums\":1" },
		{ "\"system_identifier\":\"1", "\"system_identifier\":\"-1" },
		{ "\"state\":\"running\"", "\"state\":\"walking\"" },
		{ "\"size\":10", "\"size\":1.5" },
		{ "\"path\":\"b/journal.evt\"", "\"path\":\"\"" },
		{ "\"path\":\"b/journal.evt\"", "\"path\":{\"base64\":\"!\"}" },
		{ "\"sha256\":\"abab", "\"sha256\":\"xbab" },
		{ "\"taken_at\":\"2026", "\"taken_at\":\"when" },
		{ "\"tables\":[", "\"tables\":[1," },
		{ "\"id\":\"L3-2\"", "\"id\":\"L3-1\"" },
	};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		cr_expect(eq(int, parse_changed(changes[i][0], changes[i][1], &err), -ERR_CORRUPT),
			"%s", changes[i][1]);
	cr_expect(eq(int, parse_changed("manifest/1", "manifest/2", &err), -ERR_UNSUPPORTED));
	cr_expect(eq(int, parse_changed("postgresql", "oracle", &err), -ERR_UNSUPPORTED));
	cr_expect(eq(int, parse_changed("\"rows\":7", "\"rows\":null", &err), -ERR_CORRUPT));
	cr_expect(eq(
		str, err.msg, "truth manifest: sqlt_data_1_2026_11: 'rows' is missing or wrong"));
}

Test(truth, truncated_manifests_are_refused)
{
	CLEANUP(truth_free_p) struct truth *t = sample();
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	format(t, &b);
	for (size_t len = 0; len + 1 < b.len; len++) {
		struct truth *got = NULL;
		cr_expect(eq(int, truth_json_parse(b.data, len, &got, NULL), -ERR_CORRUPT),
			"length %zu", len);
	}
}

Test(truth, names_in_sql_are_quoted)
{
	CLEANUP(buf_done) struct buf b = BUF_INIT(65536);
	char schema[] = "pub\"lic", name[] = "x; DROP TABLE y";
	struct truth_table table = { .schema = schema, .name = name };
	cr_assert(eq(int, truth_table_query(&table, -5, &b, NULL), 0));
	cr_expect(ne(ptr,
		(void *)strstr(buf_cstr(&b), " FROM \"pub\"\"lic\".\"x; DROP TABLE y\" AS "),
		NULL));
	cr_expect(ne(ptr, (void *)strstr(buf_cstr(&b), "t_stamp <= -5"), NULL));
}
