#include "tests/lib/walker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

struct walker walker_now;

/* A helper that cannot go on ends its test. */
static void must(bool is_ok, const char *what)
{
	if (is_ok)
		return;
	fprintf(stderr, "walker: %s: %s; %s; told: %s\n", what, strerror(errno), walker_now.err.msg,
		walker_now.warned);
	abort();
}

static void tell(void *arg, const char *path, size_t len, const char *why)
{
	char *text = arg == NULL ? walker_now.warned : arg;
	size_t used = strlen(text), skip = strlen(walker_now.dir);
	if (len >= skip && memcmp(path, walker_now.dir, skip) == 0) {
		path += skip;
		len -= skip;
	}
	snprintf(text + used, WALKER_TEXT_BYTES - used, "%.*s: %s\n", (int)len, path, why);
}

static void tell_note(void *arg, const char *path, size_t len, const char *why)
{
	(void)arg;
	tell(walker_now.noted, path, len, why);
}

void walker_setup(void)
{
	snprintf(walker_now.dir, sizeof(walker_now.dir), "/tmp/test_files.XXXXXX");
	must(mkdtemp(walker_now.dir) != NULL, "mkdtemp");
	must(chmod(walker_now.dir, 0755) == 0, "chmod");
	must(chdir(walker_now.dir) == 0, "chdir");
	umask(022);
	must(root_list_new(&walker_now.roots, NULL) == 0, "root_list_new");
	must(path_filter_new(&walker_now.filter, NULL) == 0, "path_filter_new");
	walker_now.opts = (struct files_opts){ .roots = walker_now.roots,
		.filter = walker_now.filter,
		.on_warning = tell,
		.on_note = tell_note };
}

void walker_teardown(void)
{
	char command[256];
	files_free(walker_now.files);
	root_list_free(walker_now.roots);
	path_filter_free(walker_now.filter);
	must(seteuid(0) == 0 || getuid() != 0, "seteuid");
	must(chdir("/") == 0, "chdir");
	snprintf(command, sizeof(command),
		"chattr -R -i -a '%s' 2>/dev/null; rm -rf --one-file-system '%s'", walker_now.dir,
		walker_now.dir);
	must(system(command) == 0, "system");
}

/* ---- making a tree --------------------------------------------------------------------------- */

void walker_put(const char *name, const char *text)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen(name, "we");
	must(f != NULL, name);
	must(fwrite(text, 1, strlen(text), f) == strlen(text), "fwrite");
}

void walker_append(const char *name, const char *text)
{
	CLEANUP(cleanup_fclose_p) FILE *f = fopen(name, "ae");
	must(f != NULL, name);
	must(fwrite(text, 1, strlen(text), f) == strlen(text), "fwrite");
}

void walker_make_dir(const char *name)
{
	must(mkdir(name, 0755) == 0, "mkdir");
}

void walker_add_root(const char *name, const char *prefix)
{
	must(root_list_add(walker_now.roots, name, prefix, &walker_now.err) == 0, "root_list_add");
}

void walker_exclude(const char *pattern)
{
	must(path_filter_add(walker_now.filter, pattern, &walker_now.err) == 0, "path_filter_add");
}

/* ---- walking --------------------------------------------------------------------------------- */

void walker_begin(void)
{
	must(files_new(&walker_now.opts, &walker_now.files, &walker_now.err) == 0, "files_new");
	walker_now.source = files_source(walker_now.files);
}

int walker_next(void)
{
	int rc =
		walker_now.source->next(walker_now.source->self, &walker_now.item, &walker_now.err);
	must(rc == 0 || rc == 1, "next");
	return rc;
}

/* The item's key with '/' for 00, without the scratch directory's. */
const char *walker_key(void)
{
	static char text[ENTRY_MAX_KEY_BYTES + 1];
	memcpy(text, walker_now.item.key, walker_now.item.key_len);
	text[walker_now.item.key_len] = '\0';
	for (size_t i = 0; i < walker_now.item.key_len; i++)
		text[i] = text[i] == '\0' ? '/' : text[i];
	size_t skip = strlen(walker_now.dir) - 1;
	if (walker_now.item.key_len == skip && memcmp(text, walker_now.dir + 1, skip) == 0)
		return "";
	if (walker_now.item.key_len > skip && memcmp(text, walker_now.dir + 1, skip) == 0 &&
		text[skip] == '/')
		return text + skip + 1;
	return text;
}

/* All keys that are left, joined by blanks; each greater than the one before. */
const char *walker_walk(void)
{
	static char text[WALKER_TEXT_BYTES];
	uint8_t last[ENTRY_MAX_KEY_BYTES];
	size_t last_len = 0;
	text[0] = '\0';
	while (walker_next() == 1) {
		int c = entry_key_compare(
			last, last_len, walker_now.item.key, walker_now.item.key_len);
		must(c < 0, "keys out of order");
		must(entry_key_check(walker_now.item.key, walker_now.item.key_len, NULL) == 0,
			"entry_key_check");
		memcpy(last, walker_now.item.key, walker_now.item.key_len);
		last_len = walker_now.item.key_len;
		snprintf(
			text + strlen(text), WALKER_TEXT_BYTES - strlen(text), "%s ", walker_key());
	}
	return text;
}

/* Go on to the entry ${want}. */
void walker_go_to(const char *want)
{
	while (walker_next() == 1) {
		if (strcmp(walker_key(), want) == 0)
			return;
	}
	must(false, want);
}

void walker_walk_dir(void)
{
	walker_add_root(walker_now.dir, "d"); /* mapped: no ancestors */
	walker_begin();
}

/* ${levels} directories called ${name} in each other, with files before and behind each. */
void walker_make_well(const char *name, int levels)
{
	for (int i = 0; i < levels; i++) {
		walker_put("a", "a");
		walker_put("z", "z");
		walker_make_dir(name);
		must(chdir(name) == 0, "chdir");
	}
	walker_put("bottom", "of the well");
}

bool walker_become_user(void)
{
	return getuid() != 0 || seteuid(65534) == 0;
}
