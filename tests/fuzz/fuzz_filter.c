/*
 * fuzz_filter: patterns of what a backup leaves out: pattern lines, an empty line, then a path.
 */
#include <stdlib.h>
#include <string.h>

#include "agents/sources/path_filter.h"
#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"

static void run(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	struct path_filter *f = NULL;
	const uint8_t *cut = memmem(data, len, "\n\n", 2);
	size_t n = cut == NULL ? len : (size_t)(cut - data);
	FUZZ_CHECK(path_filter_new(&f, &err) == 0);
	fuzz_verdict(path_filter_add_text(f, (const char *)data, n, &err), &err);
	if (cut != NULL) {
		const char *path = (const char *)cut + 2;
		size_t path_len = strnlen(path, len - n - 2);
		bool is_file_out = path_filter_is_excluded(f, path, path_len, false);
		FUZZ_CHECK(is_file_out == path_filter_is_excluded(f, path, path_len, false));
		(void)path_filter_is_excluded(f, path, path_len, true);
	}
	path_filter_free(f);
}

static void seeds(void)
{
	static const char *const texts[] = { "*.tmp\n/var/cache/**\n!keep\n\n/var/cache/a/b.tmp",
		"# remark\n[a-c]?\\*x/\n**/log\n\na/b/log" };
	for (size_t i = 0; i < 2; i++)
		fuzz_seed(texts[i], strlen(texts[i]));
}

const struct fuzz_target fuzz_filter = { "filter", run, seeds };
