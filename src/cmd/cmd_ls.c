#include "cmd/cmd_ls.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/access.h"
#include "cmd/entry_show.h"
#include "cmd/stop.h"
#include "cmd/view.h"
#include "vault/tree_reader.h"

DEFINE_CLEANUP(struct tree_reader *, tree_reader_free)

static int show(
	struct cli *cli, const uint8_t *key, size_t len, const struct entry *e, struct err *err)
{
	struct console *c = &cli->console;
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "the listing was stopped");
	entry_show_line(c, key, len, e, cli_is_set(cli, "long"));
	if (c->is_json &&
		console_object(c, "snapshot-ls", "entry", entry_show_object(key, len, e)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

/* Everything below ${dir}, or only its children.  ${shown} counts. */
static int list_below(struct cli *cli, struct tree_reader *r, const struct buf *dir,
	uint64_t *shown, struct err *err)
{
	bool is_deep = cli_is_set(cli, "recursive");
	int rc = tree_reader_seek(r, dir->data, dir->len, err);
	while (rc == 0 && !console_is_broken()) {
		const uint8_t *key;
		size_t len;
		struct entry e;
		int more = tree_reader_next(r, &key, &len, &e, err);
		if (more <= 0 || !view_is_within(key, len, dir))
			return more < 0 ? more : 0;
		if (len == dir->len)
			continue; /* the directory itself */
		rc = show(cli, key, len, &e, err);
		(*shown)++;
		if (rc == 0 && !is_deep && e.kind == ENTRY_DIR)
			rc = tree_reader_skip(r, key, len, err);
	}
	return rc;
}

static int list_path(struct cli *cli, struct tree_reader *r, const char *path, bool *is_found,
	uint64_t *shown, struct err *err)
{
	CLEANUP(buf_done) struct buf key = BUF_INIT(ENTRY_MAX_KEY_BYTES);
	struct entry e;
	int rc = entry_path_key(path, &key, err);
	if (rc != 0)
		return rc;
	int found = key.len == 0 ? 0 : view_lookup(r, &key, &e, err);
	if (found < 0)
		return found;
	*is_found = found == 1 || key.len == 0;
	if (!*is_found) {
		console_warn(&cli->console, path, strlen(path), "is not in the snapshot");
		return 0;
	}
	if (found == 1 && e.kind != ENTRY_DIR) {
		(*shown)++;
		return show(cli, key.data, key.len, &e, err);
	}
	return list_below(cli, r, &key, shown, err);
}

static int list(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	(void)arg;
	static const char *const everything[] = { "/" };
	CLEANUP(tree_reader_free_p) struct tree_reader *r = NULL;
	struct view view;
	uint64_t shown = 0;
	size_t missing = 0;
	size_t count = cli->arg_count > 1 ? cli->arg_count - 1 : 1;
	const char *const *paths = cli->arg_count > 1 ? cli->args + 1 : everything;
	int rc = view_open(cli, a, cli->args[0], &view, err);
	if (rc == 0)
		rc = view_reader(a, &view, &r, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		bool is_found = false;
		rc = list_path(cli, r, paths[i], &is_found, &shown, err);
		missing += !is_found;
	}
	if (rc != 0)
		return rc;
	if (missing == count)
		return err_set(err, ERR_USAGE, "none of the paths is in the snapshot");
	if (cli->console.is_json && console_object(&cli->console, "snapshot-ls", "summary",
					    json_pack("{s:I}", "entries", (json_int_t)shown)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int run(struct cli *cli, struct err *err)
{
	return access_read(cli, ACCESS_CONTENT, list, NULL, err);
}

static const struct cli_option options[] = {
	{ .name = "long", .letter = 'l', .help = "show mode, owner, size and time" },
	{ .name = "recursive", .letter = 'R', .help = "list everything below, too" },
	{ .name = "source",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "the source that 'latest' means" },
	{ .name = NULL },
};

const struct cli_verb cmd_ls_verb = {
	.name = "snapshot ls",
	.arguments = "SNAP [PATH...]",
	.summary = "list what a snapshot holds",
	.about = "SNAP is 'latest' or the beginning of an id (4 digits or more).",
	.json = "JSON lines: entry, warning, summary",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.min_args = 1,
	.max_args = CLI_ANY,
	.run = run,
};
