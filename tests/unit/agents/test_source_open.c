#include "agents/sources/source_open.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/sources_conf.h"
#include "base/err.h"

static char dir[] = "/tmp/source-open-XXXXXX";
static char data[64], own[80];
static const char *paths[2] = { data, NULL };
static size_t warnings;

static void touch(const char *name, const char *text)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", data, name);
	FILE *f = fopen(path, "w");
	cr_assert(ne(ptr, f, NULL));
	(void)fputs(text, f);
	(void)fclose(f);
}

static void set_up(void)
{
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)snprintf(data, sizeof(data), "%s/data", dir);
	(void)snprintf(own, sizeof(own), "%s/own", data);
	cr_assert(eq(int, mkdir(data, 0755), 0));
	cr_assert(eq(int, mkdir(own, 0755), 0));
	touch("a", "1");
	touch("b.tmp", "22");
	touch("own/c", "333");
	warnings = 0;
}

static void tear_down(void)
{
	char command[128];
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_expect(eq(int, system(command), 0));
}

TestSuite(source_open, .init = set_up, .fini = tear_down);

static void on_warning(void *arg, const char *path, size_t len, const char *why)
{
	(void)arg;
	(void)path;
	(void)len;
	(void)why;
	warnings++;
}

static struct sources_conf_source files_source_conf(void)
{
	return (struct sources_conf_source){ .name = "share",
		.type = SOURCES_CONF_FILES,
		.consistency = ROOT_FUZZY,
		.paths = paths,
		.path_count = 1,
		.prefix = "p" };
}

/* The number of regular files that the source gives. */
static size_t count_files(const struct source_open *s)
{
	const struct source *source = source_open_source(s);
	struct source_item item;
	size_t n = 0;
	while (source->next(source->self, &item, NULL) == 1)
		n += item.entry.kind == ENTRY_FILE;
	return n;
}

Test(source_open, files_come_without_what_is_excluded_and_what_is_our_own)
{
	static const char *const exclude[] = { "*.tmp" };
	const char *const mine[] = { NULL, own };
	struct sources_conf_source from = files_source_conf();
	struct source_open *s = NULL;
	struct source_kinds_opts o = { .from = &from, .on_warning = on_warning };
	cr_assert(eq(int, source_open_new(&o, &s, NULL), 0));
	cr_expect(eq(sz, count_files(s), 3));
	source_open_free(s);
	from.exclude = exclude;
	from.exclude_count = 1;
	o.own = mine;
	o.own_count = 2;
	cr_assert(eq(int, source_open_new(&o, &s, NULL), 0));
	cr_expect(eq(sz, count_files(s), 1));
	source_open_free(s);
	cr_expect(eq(sz, warnings, 0));
}

Test(source_open, a_truth_manifest_is_taken_unless_the_caller_has_one)
{
	struct sources_conf_source from = files_source_conf();
	struct source_open *s = NULL;
	struct source_kinds_opts o = { .from = &from, .on_warning = on_warning };
	size_t len = 0;
	from.truth = SOURCES_CONF_TRUTH_FILES;
	cr_assert(eq(int, source_open_new(&o, &s, NULL), 0));
	const char *truth = source_open_truth(s, &len);
	cr_assert(ne(ptr, (void *)(uintptr_t)truth, NULL));
	cr_expect(ne(ptr, memmem(truth, len, "p/own/c", 7), NULL));
	source_open_free(s);
	o.has_truth = true;
	cr_assert(eq(int, source_open_new(&o, &s, NULL), 0));
	cr_expect(eq(ptr, (void *)(uintptr_t)source_open_truth(s, &len), NULL));
	source_open_free(s);
}

Test(source_open, a_path_that_is_not_there_is_told)
{
	struct sources_conf_source from = files_source_conf();
	struct source_open *s = NULL;
	struct source_kinds_opts o = { .from = &from, .on_warning = on_warning };
	paths[0] = "/nowhere/at/all";
	cr_expect(eq(int, source_open_new(&o, &s, NULL), -ERR_USAGE));
	cr_expect(eq(sz, warnings, 1));
	paths[0] = data;
}

Test(source_open, a_database_that_cannot_be_reached_leaves_no_staging_behind)
{
	char staging[96];
	struct sources_conf_source from = { .name = "db",
		.type = SOURCES_CONF_POSTGRES,
		.consistency = ROOT_APPLICATION,
		.truth = SOURCES_CONF_TRUTH_NONE,
		.conninfo = "host=127.0.0.1 port=1 connect_timeout=2" };
	struct source_open *s = NULL;
	struct source_kinds_opts o = {
		.from = &from, .staging = staging, .on_warning = on_warning
	};
	struct err err = ERR_INIT;
	(void)snprintf(staging, sizeof(staging), "%s/staging", dir);
	cr_expect(eq(int, source_open_new(&o, &s, &err), -ERR_UNREACHABLE));
	cr_expect(ne(int, access(staging, F_OK), 0));
	cr_expect_str_eq(source_open_path(&from, 0), "pgdata");
	cr_expect(eq(ptr, (void *)(uintptr_t)source_open_path(&from, 1), NULL));
}

Test(source_open, a_staging_directory_in_use_is_not_touched)
{
	char staging[96];
	char lock[128];
	struct sources_conf_source from = { .name = "db",
		.type = SOURCES_CONF_POSTGRES,
		.truth = SOURCES_CONF_TRUTH_NONE,
		.conninfo = "host=127.0.0.1 port=1 connect_timeout=2" };
	struct source_open *s = NULL;
	struct err err = ERR_INIT;
	struct source_kinds_opts o = {
		.from = &from, .staging = staging, .on_warning = on_warning
	};
	(void)snprintf(staging, sizeof(staging), "%s/staging", dir);
	(void)snprintf(lock, sizeof(lock), "%s.lock", staging);
	FILE *f = fopen(lock, "w");
	cr_assert(ne(ptr, f, NULL));
	cr_assert(eq(int, mkdir(staging, 0700), 0));
	cr_assert(eq(int, flock(fileno(f), LOCK_EX | LOCK_NB), 0));
	cr_expect(eq(int, source_open_new(&o, &s, &err), -ERR_BUSY));
	cr_expect(eq(int, access(staging, F_OK), 0));
	(void)fclose(f);
}
