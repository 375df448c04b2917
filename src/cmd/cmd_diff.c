#include "cmd/cmd_diff.h"

#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/entry_diff.h"
#include "cmd/entry_show.h"
#include "cmd/stop.h"
#include "cmd/view.h"
#include "vault/tree_reader.h"

/* One of the two trees, with the entry it stands at. */
struct side {
	struct view view;
	struct tree_reader *reader;
	const uint8_t *key;
	size_t len;
	struct entry entry;
	bool is_ended;
};

struct compare {
	struct cli *cli;
	struct side a, b;
	struct buf under; /* --path */
	uint64_t added, removed, modified, metadata, types;
	uint64_t added_bytes, removed_bytes;
};

static int step(struct compare *c, struct side *s, struct err *err)
{
	int rc = tree_reader_next(s->reader, &s->key, &s->len, &s->entry, err);
	if (rc < 0)
		return rc;
	s->is_ended = rc == 0 || !view_is_within(s->key, s->len, &c->under);
	return 0;
}

static uint64_t bytes_of(const struct entry *e)
{
	return e->kind == ENTRY_FILE ? e->size : 0;
}

static void count(struct compare *c, char sign, const struct entry *before, const struct entry *now)
{
	c->added += sign == '+';
	c->removed += sign == '-';
	c->modified += sign == 'M';
	c->metadata += sign == 'U';
	c->types += sign == 'T';
	c->removed_bytes += before != NULL && sign != 'U' ? bytes_of(before) : 0;
	c->added_bytes += now != NULL && sign != 'U' ? bytes_of(now) : 0;
}

/* ${before} or ${now} may be NULL: there is none. */
static int tell(struct compare *c, char sign, const struct side *at, const struct entry *before,
	const struct entry *now, struct err *err)
{
	struct console *console = &c->cli->console;
	const char text[2] = { sign, '\0' };
	count(c, sign, before, now);
	console_print(console, "%s ", text);
	entry_show_line(console, at->key, at->len, &at->entry, false);
	if (!console->is_json)
		return 0;
	json_t *o =
		json_pack("{s:o, s:s}", "path", entry_show_path(at->key, at->len), "change", text);
	if (o != NULL && before != NULL)
		(void)json_object_set_new(o, "before", entry_show_object(at->key, at->len, before));
	if (o != NULL && now != NULL)
		(void)json_object_set_new(o, "after", entry_show_object(at->key, at->len, now));
	if (console_object(console, "snapshot-diff", "change", o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

/* Look at the smaller key of both sides and go on behind it. */
static int compare_next(struct compare *c, struct err *err)
{
	int order = c->a.is_ended   ? 1
		    : c->b.is_ended ? -1
				    : entry_key_compare(c->a.key, c->a.len, c->b.key, c->b.len);
	int rc = 0;
	if (order < 0)
		rc = tell(c, '-', &c->a, &c->a.entry, NULL, err);
	else if (order > 0)
		rc = tell(c, '+', &c->b, NULL, &c->b.entry, err);
	else {
		char sign = entry_diff_sign(&c->a.entry, &c->b.entry);
		if (sign == 'U' && cli_is_set(c->cli, "content-only"))
			sign = '\0';
		if (sign != '\0')
			rc = tell(c, sign, &c->b, &c->a.entry, &c->b.entry, err);
	}
	if (rc == 0 && order <= 0)
		rc = step(c, &c->a, err);
	return rc == 0 && order >= 0 ? step(c, &c->b, err) : rc;
}

static int compare_trees(struct compare *c, struct err *err)
{
	int rc = tree_reader_seek(c->a.reader, c->under.data, c->under.len, err);
	if (rc == 0)
		rc = tree_reader_seek(c->b.reader, c->under.data, c->under.len, err);
	if (rc == 0)
		rc = step(c, &c->a, err);
	if (rc == 0)
		rc = step(c, &c->b, err);
	while (rc == 0 && !(c->a.is_ended && c->b.is_ended) && !console_is_broken()) {
		if (stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED, "the comparison was stopped");
		rc = compare_next(c, err);
	}
	return rc;
}

static int sum_up(struct compare *c, struct err *err)
{
	char before[HUMAN_BYTES];
	char now[HUMAN_BYTES];
	struct console *console = &c->cli->console;
	if (console->is_json) {
		json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "added",
			(json_int_t)c->added, "removed", (json_int_t)c->removed, "modified",
			(json_int_t)c->modified, "metadata", (json_int_t)c->metadata, "types",
			(json_int_t)c->types, "added_bytes", (json_int_t)c->added_bytes,
			"removed_bytes", (json_int_t)c->removed_bytes);
		if (console_object(console, "snapshot-diff", "summary", o) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	console_note(console,
		"%llu added, %llu removed, %llu modified, %llu with other metadata, %llu of "
		"another "
		"type; %s in, %s out",
		(unsigned long long)c->added, (unsigned long long)c->removed,
		(unsigned long long)c->modified, (unsigned long long)c->metadata,
		(unsigned long long)c->types, human_size(now, c->added_bytes),
		human_size(before, c->removed_bytes));
	return 0;
}

static int compare(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	struct compare *c = arg;
	const char *under = cli_text(cli, "path");
	int rc = under == NULL ? 0 : entry_path_key(under, &c->under, err);
	if (rc == 0)
		rc = view_open(cli, a, cli->args[0], &c->a.view, err);
	if (rc == 0)
		rc = view_open(cli, a, cli->args[1], &c->b.view, err);
	if (rc == 0)
		rc = view_reader(a, &c->a.view, &c->a.reader, err);
	if (rc == 0)
		rc = view_reader(a, &c->b.view, &c->b.reader, err);
	if (rc == 0)
		rc = compare_trees(c, err);
	return rc != 0 ? rc : sum_up(c, err);
}

static int run(struct cli *cli, struct err *err)
{
	struct compare c = { .cli = cli, .under = BUF_INIT(ENTRY_MAX_KEY_BYTES) };
	int rc = access_read(cli, ACCESS_CONTENT, compare, &c, err);
	tree_reader_free(c.a.reader);
	tree_reader_free(c.b.reader);
	buf_done(&c.under);
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "path", .kind = CLI_TEXT, .argument = "PATH", .help = "compare below PATH only" },
	{ .name = "content-only", .help = "other metadata alone is no difference" },
	{ .name = "source",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "the source that 'latest' means" },
	{ .name = NULL },
};

const struct cli_verb cmd_diff_verb = {
	.name = "snapshot diff",
	.arguments = "SNAP SNAP",
	.summary = "compare two snapshots",
	.about = "Signs: + added, - removed, M other content, U other metadata, T another type.",
	.json = "JSON lines: change, warning, summary",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
