#include "controller/replica_conf.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf_problems.h"
#include "vault/id_set.h"
#include "vault/snapshot.h"

static struct conf_problems problems;
static struct replica_conf_list list;
static struct buf told;
static struct err err;

static void setup(void)
{
	problems = (struct conf_problems)CONF_PROBLEMS_INIT;
	told = (struct buf)BUF_INIT(65536);
}

static void teardown(void)
{
	replica_conf_done(&list);
	conf_problems_done(&problems);
	buf_done(&told);
}

TestSuite(replica_conf, .init = setup, .fini = teardown);

static const struct conf_option options[] = {
	{ .key = "replicas", .type = CONF_GROUPS, .max = 10, .members = replica_conf_options },
	{ .key = NULL },
};

static char *place_of(const char *file, const char *place)
{
	char *out = NULL;
	return asprintf(&out, "%s%s%s", place[0] == '/' ? "" : file, place[0] == '/' ? "" : "/",
		       place) < 0
		       ? NULL
		       : out;
}

static void take(const char *text)
{
	struct conf *conf = NULL;
	cr_assert(eq(
		int, conf_parse("t.conf", text, strlen(text), options, &conf, &problems, &err), 0));
	const struct conf_node *root = conf_root(conf);
	for (size_t i = 0; i < conf_count(root, "replicas"); i++)
		cr_assert(eq(int,
			replica_conf_take(conf_item(root, "replicas", i), "/dir/vault", place_of,
				"/dir", &list, &problems, &err),
			0));
	conf_free(conf); /* nothing is borrowed from it */
	cr_assert(eq(int, conf_problems_format(&problems, &told, NULL), 0));
}

static void says(const char *text)
{
	cr_expect(ne(ptr, strstr(buf_cstr(&told), text), NULL), "'%s' is not in: %s", text,
		buf_cstr(&told));
}

Test(replica_conf, takes_what_is_there_and_finds_it_by_name)
{
	take("replicas = ( { name = \"offsite\"; place = \"/mnt/far\"; },\n"
	     "{ name = \"cellar\"; place = \"x\"; sources = [ \"line3\", \"srv/line4\" ];\n"
	     "newest = 2; bytes_per_s = \"1MiB\"; } );");
	cr_assert(eq(sz, problems.errors, 0), "%s", buf_cstr(&told));
	const struct replica_conf *r = replica_conf_find(&list, "offsite");
	cr_assert(ne(ptr, (void *)r, NULL));
	cr_expect(eq(str, r->place, "/mnt/far"));
	cr_expect(eq(i64, r->newest, 0));
	cr_expect(eq(i64, r->bytes_per_s, 0));
	struct replica_conf copy;
	cr_assert(eq(int, replica_conf_copy(replica_conf_find(&list, "cellar"), &copy, &err), 0));
	cr_expect(eq(str, copy.place, "/dir/x"));
	cr_expect(eq(sz, copy.source_count, 2));
	cr_expect(eq(str, copy.sources[1], "srv/line4"));
	cr_expect(eq(i64, copy.newest, 2));
	cr_expect(eq(i64, copy.bytes_per_s, 1 << 20));
	replica_conf_clear(&copy);
	cr_expect(eq(ptr, (void *)replica_conf_find(&list, "attic"), NULL));
}

Test(replica_conf, what_means_nothing_is_told_with_its_reason)
{
	take("replicas = ( { name = \"a\"; place = \"vault\"; },\n"
	     "{ name = \"a\"; place = \"/y\"; }, { name = \"B!\"; place = \"/y\"; },\n"
	     "{ place = \"/z\"; bytes_per_s = \"1KiB\"; newest = 0; } );");
	says("'/dir/vault' is the vault itself");
	says("the replica 'a' is there twice, first in line 1");
	says("'B!' is no name");
	says("the replica in line 2 lies at '/y', too");
	says("name");
	says("bytes_per_s");
	says("newest");
	cr_expect(eq(sz, problems.errors, 7), "%s", buf_cstr(&told));
}

/* Snapshot ${seq} of ${source}. */
static struct snapshot snap(const char *source, uint8_t seq)
{
	struct snapshot s = { .record = { .seq = seq },
		.label = { .source = (char *)(uintptr_t)source, .host = (char *)"srv" } };
	memset(s.record.source_id, source[0], sizeof(s.record.source_id));
	memset(s.hash, seq + 10 * source[0], sizeof(s.hash));
	return s;
}

Test(replica_conf, chooses_the_newest_of_each_source_it_is_for)
{
	struct snapshot at[] = { snap("a", 1), snap("a", 2), snap("b", 1), snap("a", 3),
		snap("c", 1), snap("b", 2), snap("b", 3) };
	const struct snapshot_list snapshots = { .at = at, .count = 7 };
	static const struct {
		const char *conf;
		int want[7];
	} cases[] = {
		{ "", { 1, 1, 1, 1, 1, 1, 1 } },
		{ "newest = 2;", { 0, 1, 0, 1, 1, 1, 1 } },
		{ "sources = [ \"srv/b\" ]; newest = 1;", { 0, 0, 0, 0, 0, 0, 1 } },
		{ "sources = [ \"a\", \"c\" ];", { 1, 1, 0, 1, 1, 0, 0 } },
		{ "sources = [ \"other/b\" ];", { 0 } },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200];
		struct id_set *set = NULL;
		(void)snprintf(text, sizeof(text),
			"replicas = ( { name = \"r\"; place = \"/p\"; %s } );", cases[i].conf);
		replica_conf_done(&list);
		take(text);
		cr_assert(eq(sz, problems.errors, 0), "%s", buf_cstr(&told));
		cr_assert(eq(int, replica_conf_choose(&list.at[0], &snapshots, &set, &err), 0));
		for (size_t k = 0; k < 7; k++)
			cr_expect(eq(int, id_set_find(set, at[k].hash) > 0, cases[i].want[k]),
				"%s: %zu", cases[i].conf, k);
		id_set_free(set);
	}
}
