#include "cmd/cmd_snapshot.h"

#include <string.h>

#include "base/err.h"
#include "cmd/access.h"
#include "cmd/snapshot_show.h"
#include "vault/snapshot_sources.h"

/* Damaged snapshot objects were named: the list is whole only without them. */
static int verdict(const struct access *a, struct err *err)
{
	if (a->damaged == 0)
		return 0;
	err_set(err, ERR_CORRUPT, "%llu snapshot object%s damaged", (unsigned long long)a->damaged,
		a->damaged == 1 ? " is" : "s are");
	return err_hint(err, "see 'holdfast verify'");
}

static bool has_tag(const struct label *l, const char *tag)
{
	for (size_t i = 0; i < l->tag_count; i++) {
		if (strcmp(l->tags[i], tag) == 0)
			return true;
	}
	return false;
}

static bool is_wanted(const struct cli *cli, const struct snapshot *s)
{
	const char *source = cli_text(cli, "source");
	const char *host = cli_text(cli, "host");
	if (source != NULL && !snapshot_is_of(s, source))
		return false;
	if (host != NULL && strcmp(host, s->label.host) != 0)
		return false;
	for (size_t i = 0; cli_nth(cli, "tag", i) != NULL; i++) {
		if (!has_tag(&s->label, cli_nth(cli, "tag", i)))
			return false;
	}
	return true;
}

/* Is it among the newest ${latest} of its source that are wanted? */
static bool is_recent(
	const struct cli *cli, const struct snapshot_list *l, size_t at, int64_t latest)
{
	const struct snaprec *own = &l->at[at].record;
	int64_t newer = 0;
	for (size_t i = 0; i < l->count && newer < latest; i++) {
		const struct snaprec *r = &l->at[i].record;
		newer += is_wanted(cli, &l->at[i]) &&
			 memcmp(r->source_id, own->source_id, 16) == 0 &&
			 memcmp(r->agent_id, own->agent_id, 16) == 0 &&
			 (r->seq > own->seq || (r->seq == own->seq && i > at));
	}
	return newer < latest;
}

static int show_list(struct cli *cli, const struct snapshot_list *l, struct err *err)
{
	struct console *c = &cli->console;
	int64_t latest = cli_number(cli, "latest", INT64_MAX);
	json_t *rows = json_array();
	uint64_t shown = 0;
	struct snapshot_show_columns columns = SNAPSHOT_SHOW_COLUMNS_INIT;
	for (size_t i = 0; i < l->count; i++) {
		if (is_wanted(cli, &l->at[i]) && is_recent(cli, l, i, latest))
			snapshot_show_fit(&columns, &l->at[i]);
	}
	snapshot_show_head(c, &columns);
	for (size_t i = 0; i < l->count; i++) {
		if (!is_wanted(cli, &l->at[i]) || !is_recent(cli, l, i, latest))
			continue;
		shown++;
		if (c->is_json)
			(void)json_array_append_new(rows, snapshot_show_object(&l->at[i]));
		else
			snapshot_show_line(c, &columns, &l->at[i]);
	}
	if (!c->is_json) {
		json_decref(rows);
		console_note(
			c, "%llu snapshot%s", (unsigned long long)shown, shown == 1 ? "" : "s");
		return 0;
	}
	if (json_array_size(rows) != shown) {
		json_decref(rows);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	if (console_object(c, "snapshot-list", NULL, json_pack("{s:o}", "snapshots", rows)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int list(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	(void)arg;
	const char *source = cli_text(cli, "source");
	int rc = show_list(cli, &a->list, err);
	if (rc == 0)
		rc = verdict(a, err);
	if (rc == 0 && source != NULL) /* a name that no snapshot has is a mistake */
		rc = snapshot_sources_check(&a->list, source, err);
	return rc;
}

static int run_list(struct cli *cli, struct err *err)
{
	return access_read(cli, ACCESS_LIST, list, NULL, err);
}

static int count_refs(void *arg, const uint8_t id[32], uint32_t cr_len, struct err *err)
{
	(void)id;
	(void)err;
	*(uint64_t *)arg += cr_len;
	return 0;
}

static int show_one(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	(void)arg;
	const struct snapshot *s;
	struct console *c = &cli->console;
	uint64_t stored = 0;
	int rc = access_pick(cli, a, cli->args[0], &s, err);
	if (rc == 0)
		rc = snapshot_check_envelopes(a->vault, s, err);
	if (rc == 0)
		rc = snapshot_refs(a->vault, s, count_refs, &stored, err);
	if (rc != 0)
		return rc;
	if (!c->is_json) {
		snapshot_show_text(c, s);
		console_print(c, "%-14s there, one for the recovery key\n", "envelopes");
		return 0;
	}
	json_t *o = snapshot_show_object(s);
	if (o != NULL) {
		snapshot_show_record(o, s);
		(void)json_object_set_new(o, "record_bytes", json_integer((json_int_t)stored));
		(void)json_object_set_new(o, "recovery_envelope", json_true());
	}
	if (console_object(c, "snapshot-show", NULL, o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int run_show(struct cli *cli, struct err *err)
{
	return access_read(cli, ACCESS_LIST, show_one, NULL, err);
}

static const struct cli_option list_options[] = {
	{ .name = "source", .kind = CLI_TEXT, .argument = "NAME", .help = "of this source only" },
	{ .name = "host", .kind = CLI_TEXT, .argument = "NAME", .help = "of this host only" },
	{ .name = "tag",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "TAG",
		.help = "with this tag only; with all of them when given more than once" },
	{ .name = "latest",
		.kind = CLI_COUNT,
		.argument = "N",
		.help = "the newest N of every source" },
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_snapshot_list_verb = {
	.name = "snapshot list",
	.arguments = "",
	.summary = "list the snapshots",
	.json = "one object",
	.options = list_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_list,
};

static const struct cli_option show_options[] = {
	{ .name = "source",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "the source that 'latest' means" },
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_snapshot_show_verb = {
	.name = "snapshot show",
	.arguments = "SNAP",
	.summary = "show what is known of a snapshot without opening it",
	.json = "one object",
	.options = show_options,
	.groups = CLI_VAULT | CLI_PASS,
	.min_args = 1,
	.max_args = 1,
	.run = run_show,
};
