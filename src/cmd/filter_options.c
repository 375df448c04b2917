#include "cmd/filter_options.h"

#include <fcntl.h>
#include <string.h>

#include "agents/sources/path_filter.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/cli.h"

#define FILTER_FILE_MAX_BYTES ((size_t)16 << 20)

DEFINE_CLEANUP(struct path_filter *, path_filter_free)

static int add_file(struct path_filter *f, const char *path, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(FILTER_FILE_MAX_BYTES);
	int rc = fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc == 0)
		rc = path_filter_add_text(f, (const char *)text.data, text.len, err);
	return rc == 0 ? 0 : err_wrap(err, "exclude file '%s'", path);
}

static int add_value(struct path_filter *f, const struct cli_value *v, struct err *err)
{
	if (strcmp(v->option->name, "exclude-file") == 0)
		return add_file(f, v->text, err);
	int rc = path_filter_add(f, v->text, err);
	return rc == 0 ? 0 : err_wrap(err, "--%s '%s'", v->option->name, v->text);
}

/* Rows called ${name} or ${other} (may be NULL), in the order given. */
static int collect(const struct cli *cli, const char *name, const char *other,
	struct path_filter **out, struct err *err)
{
	CLEANUP(path_filter_free_p) struct path_filter *f = NULL;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < cli->value_count; i++) {
		const char *said = cli->values[i].option->name;
		if (strcmp(said, name) != 0 && (other == NULL || strcmp(said, other) != 0))
			continue;
		if (f == NULL)
			rc = path_filter_new(&f, err);
		if (rc == 0)
			rc = add_value(f, &cli->values[i], err);
	}
	if (rc == 0)
		*out = TAKE(f);
	return rc;
}

int filter_options_exclude(const struct cli *cli, struct path_filter **out, struct err *err)
{
	return collect(cli, "exclude", "exclude-file", out, err);
}

int filter_options_include(const struct cli *cli, struct path_filter **out, struct err *err)
{
	return collect(cli, "include", NULL, out, err);
}

bool filter_options_is_within(
	const struct path_filter *f, const char *path, size_t len, bool is_dir)
{
	for (size_t i = 1; i < len; i++) {
		if (path[i] == '/' && path_filter_is_excluded(f, path, i, true))
			return true;
	}
	return path_filter_is_excluded(f, path, len, is_dir);
}
