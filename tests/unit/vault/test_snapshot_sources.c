#include "vault/snapshot_sources.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "vault/snapshot.h"

#define COUNT 20

static char names[COUNT][1024];
static struct snapshot at[COUNT];
static struct snapshot_list list;
static char text[SNAPSHOT_SOURCES_BYTES];
static struct err err;

static void add(const char *name)
{
	char *own = names[list.count];
	(void)snprintf(own, sizeof(names[0]), "%s", name);
	at[list.count++].label = (struct label){ .source = own, .host = "h1" };
}

static void setup(void)
{
	list.at = at;
	list.count = 0;
}

TestSuite(snapshot_sources, .init = setup);

Test(snapshot_sources, each_is_named_once_and_in_order)
{
	cr_expect(eq(sz, snapshot_sources_text(&list, text), 0));
	add("hist3");
	cr_expect(eq(sz, snapshot_sources_text(&list, text), 1));
	cr_expect(eq(str, text, "'hist3'"));
	add("batch3");
	add("hist3");
	cr_expect(eq(sz, snapshot_sources_text(&list, text), 2));
	cr_expect(eq(str, text, "'batch3' and 'hist3'"));
	add("plc3");
	cr_expect(eq(sz, snapshot_sources_text(&list, text), 3));
	cr_expect(eq(str, text, "'batch3', 'hist3' and 'plc3'"));
}

Test(snapshot_sources, of_many_the_first_eight_are_named_and_the_rest_counted)
{
	for (char name[] = "a"; name[0] <= 'h'; name[0]++)
		add(name);
	cr_expect(eq(sz, snapshot_sources_text(&list, text), 8));
	cr_expect(eq(str, text, "'a', 'b', 'c', 'd', 'e', 'f', 'g' and 'h'"));
	add("i");
	add("k");
	cr_expect(eq(sz, snapshot_sources_text(&list, text), 10));
	cr_expect(eq(str, text, "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 2 more"));
}

Test(snapshot_sources, latest_of_several_sources_names_them_all)
{
	const struct snapshot *found = NULL;
	add("plc3");
	add("hist3");
	add("batch3");
	cr_expect(eq(int, snapshot_pick(&list, "latest", NULL, &found, &err), -ERR_USAGE));
	cr_expect(eq(str, err.msg,
		"'latest' is ambiguous: there are snapshots of 'batch3', 'hist3' and 'plc3'"));
	cr_expect(eq(ptr, (void *)found, NULL));
	for (char name[] = "a"; name[0] <= 'g'; name[0]++)
		add(name);
	at[1].is_writer_revoked = true;
	cr_expect(eq(int, snapshot_pick(&list, "latest", NULL, &found, &err), -ERR_USAGE));
	cr_expect(ne(ptr, strstr(err.msg, "'g' and 2 more"), NULL), "%s", err.msg);
}

Test(snapshot_sources, long_names_are_whole_or_counted)
{
	char name[1000];
	memset(name, 'x', sizeof(name));
	name[200] = '\0';
	add(name);
	name[200] = 'x';
	name[201] = '\0';
	add(name);
	name[201] = 'x';
	name[999] = '\0';
	add(name);
	cr_expect(eq(sz, snapshot_sources_text(&list, text), 3));
	cr_expect(eq(str, text + strlen(text) - 14, "xx' and 1 more"));
	cr_expect(eq(sz, strlen(text), 202 + 2 + 203 + strlen(" and 1 more")));
}

Test(snapshot_sources, a_source_without_a_snapshot_is_told_beside_those_there_are)
{
	cr_expect(eq(int, snapshot_sources_check(&list, "hist", &err), -ERR_NOT_FOUND));
	cr_expect(eq(str, err.hint, "there is no snapshot of any source yet"));
	add("hist3");
	add("plc3");
	cr_expect(eq(int, snapshot_sources_check(&list, "hist3", &err), 0));
	cr_expect(eq(int, snapshot_sources_check(&list, "h1/plc3", &err), 0));
	cr_expect(eq(int, snapshot_sources_check(&list, "hist", &err), -ERR_NOT_FOUND));
	cr_expect(eq(str, err.msg, "there is no snapshot of source 'hist'"));
	cr_expect(eq(str, err.hint, "there are snapshots of 'hist3' and 'plc3'"));
	const struct snapshot *found = NULL;
	cr_expect(eq(int, snapshot_pick(&list, "latest", "hist", &found, &err), -ERR_NOT_FOUND));
	cr_expect(eq(str, err.hint, "there are snapshots of 'hist3' and 'plc3'"));
}
