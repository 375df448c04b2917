#include "cmd/cmd_find.h"

#include <fnmatch.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/access.h"
#include "cmd/entry_show.h"
#include "cmd/stop.h"
#include "cmd/view.h"
#include "vault/snapshot_sources.h"
#include "vault/tree_reader.h"

/* Reading every entry of a big snapshot takes a while: a stop is looked for this often. */
#define STOP_INTERVAL 4096

struct search {
	struct cli *cli;
	struct buf path; /* of the entry at hand */
	int flags;
	uint64_t found;
};

DEFINE_CLEANUP(struct tree_reader *, tree_reader_free)

/* A pattern with '/' is matched with the whole path, any other with the last name. */
static bool is_match(struct search *s)
{
	const char *path = buf_cstr(&s->path);
	if (path == NULL)
		return false;
	const char *name = strrchr(path, '/');
	name = name == NULL ? path : name + 1;
	for (size_t i = 0; i < s->cli->arg_count; i++) {
		const char *pattern = s->cli->args[i];
		const char *text = strchr(pattern, '/') != NULL ? path : name;
		if (fnmatch(pattern, text, s->flags) == 0)
			return true;
	}
	return false;
}

static int tell(struct search *s, const struct snapshot *snap, const uint8_t *key, size_t len,
	const struct entry *e, struct err *err)
{
	char id[VIEW_ID_BYTES];
	struct console *c = &s->cli->console;
	view_id(snap, id);
	s->found++;
	console_print(c, "%.8s  ", id);
	entry_show_line(c, key, len, e, cli_is_set(s->cli, "long"));
	if (!c->is_json)
		return 0;
	json_t *o = entry_show_object(key, len, e);
	if (o != NULL)
		(void)json_object_set_new(o, "snapshot", json_string(id));
	if (console_object(c, "snapshot-find", "match", o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int search_tree(
	struct search *s, const struct snapshot *snap, struct tree_reader *r, struct err *err)
{
	for (uint64_t n = 0; !console_is_broken(); n++) {
		const uint8_t *key;
		size_t len;
		struct entry e;
		if (n % STOP_INTERVAL == 0 && stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED, "the search was stopped");
		int rc = tree_reader_next(r, &key, &len, &e, err);
		if (rc <= 0)
			return rc;
		buf_clear(&s->path);
		rc = entry_key_path(key, len, &s->path, err);
		if (rc == 0 && is_match(s))
			rc = tell(s, snap, key, len, &e, err);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int search_one(struct search *s, struct access *a, const char *name, struct err *err)
{
	CLEANUP(tree_reader_free_p) struct tree_reader *r = NULL;
	struct view view;
	int rc = view_open(s->cli, a, name, &view, err);
	if (rc == 0)
		rc = view_reader(a, &view, &r, err);
	return rc != 0 ? rc : search_tree(s, view.snapshot, r, err);
}

static int search_all(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	struct search *s = arg;
	const char *source = cli_text(cli, "source");
	int rc = 0;
	for (size_t i = 0; rc == 0 && cli_nth(cli, "snapshot", i) != NULL; i++)
		rc = search_one(s, a, cli_nth(cli, "snapshot", i), err);
	if (cli_is_set(cli, "snapshot"))
		return rc;
	if (source != NULL) /* a name that no snapshot has is a mistake */
		rc = snapshot_sources_check(&a->list, source, err);
	for (size_t i = a->list.count; rc == 0 && i > 0; i--) { /* the newest first */
		char id[VIEW_ID_BYTES];
		const struct snapshot *snap = &a->list.at[i - 1];
		if (source != NULL && !snapshot_is_of(snap, source))
			continue;
		view_id(snap, id);
		rc = search_one(s, a, id, err);
	}
	return rc;
}

static int run(struct cli *cli, struct err *err)
{
	struct search s = { .cli = cli,
		.path = BUF_INIT(ENTRY_MAX_KEY_BYTES + 2),
		.flags = cli_is_set(cli, "ignore-case") ? FNM_CASEFOLD : 0 };
	int rc = access_read(cli, ACCESS_CONTENT, search_all, &s, err);
	if (rc == 0 && cli->console.is_json &&
		console_object(&cli->console, "snapshot-find", "summary",
			json_pack("{s:I}", "matches", (json_int_t)s.found)) != 0)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0 && s.found == 0)
		console_note(&cli->console, "nothing found");
	buf_done(&s.path);
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "snapshot",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "SNAP",
		.help = "look into this snapshot only" },
	{ .name = "source",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "look into snapshots of this source only" },
	{ .name = "ignore-case", .letter = 'i', .help = "letter case does not count" },
	{ .name = "long", .letter = 'l', .help = "show mode, owner, size and time" },
	{ .name = NULL },
};

const struct cli_verb cmd_find_verb = {
	.name = "snapshot find",
	.arguments = "PATTERN...",
	.summary = "find names in snapshots",
	.about = "PATTERN has *, ? and [..]; it is matched with the last name of a path, or, when "
		 "it "
		 "holds a '/', with the whole path, where * stands for '/' too.",
	.json = "JSON lines: match, warning, summary",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.min_args = 1,
	.max_args = CLI_ANY,
	.run = run,
};
