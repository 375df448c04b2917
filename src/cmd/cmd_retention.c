#include "cmd/cmd_retention.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/access.h"
#include "cmd/retention_rules.h"
#include "vault/prune.h"

/*
 * INVARIANTS
 * (1) Apply prunes what preview, asked at that moment with the same options, says goes; with a
 *     guard raised only under an approval.
 */

#define GUARD_BYTES 512
#define POLICY_BYTES PRUNE_ORDER_MAX_TEXT

/* The vault's snapshots, judged.  A snapshot that cannot be read could be any link of any chain:
 * then nothing is decided. */
static int judge(struct cli *cli, struct access *a, struct retention_rules *r, struct err *err)
{
	int rc = access_snapshots(cli, a, err);
	if (rc != 0)
		return rc;
	if (a->damaged > 0) {
		err_set(err, ERR_CORRUPT, "%llu snapshot objects cannot be read",
			(unsigned long long)a->damaged);
		return err_hint(
			err, "nothing is pruned from a damaged vault; see 'holdfast verify'");
	}
	return retention_rules_judge(cli, r, &a->list, err);
}

static int tell(struct cli *cli, const struct retention_rules *r, const struct access *a,
	const char *name, bool is_applied, struct err *err)
{
	char guards[GUARD_BYTES];
	struct console *c = &cli->console;
	CLEANUP(buf_done) struct buf policy = BUF_INIT(POLICY_BYTES);
	retention_rules_guards(r, &a->list, guards);
	int rc = retention_format(&r->policy, &policy, err);
	if (rc != 0)
		return rc;
	if (c->is_json) {
		json_t *o = json_pack("{s:s, s:I, s:I, s:s, s:o}", "policy", buf_cstr(&policy),
			"kept", (json_int_t)r->verdict.kept, is_applied ? "pruned" : "going",
			(json_int_t)r->verdict.going, "guards", guards, "snapshots",
			retention_rules_rows(r, &a->list));
		return console_object(c, name, NULL, o) == 0
			       ? 0
			       : err_set(err, ERR_NOMEM, "out of memory");
	}
	retention_rules_show(r, &a->list, c);
	console_count(c, r->verdict.kept, "snapshot stays, ", "snapshots stay, ");
	if (is_applied)
		console_count(c, r->verdict.going, "was pruned\n", "were pruned\n");
	else
		console_count(c, r->verdict.going, "would go\n", "would go\n");
	if (!is_applied && guards[0] != '\0')
		console_print(c, "an approval is wanted: %s\n", guards);
	return 0;
}

static int run_preview(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct retention_rules r;
	int rc = retention_rules_parse(cli, &r, err);
	if (rc != 0)
		return rc;
	rc = access_open(cli, ACCESS_LIST, DRIVERS_READ, &a, err);
	if (rc == 0)
		rc = judge(cli, &a, &r, err);
	if (rc == 0)
		rc = tell(cli, &r, &a, "retention-preview", false, err);
	retention_rules_done(&r);
	access_done(&a);
	return rc;
}

static int check_approval(const struct cli *cli, const struct retention_rules *r,
	const struct access *a, struct err *err)
{
	char guards[GUARD_BYTES];
	retention_rules_guards(r, &a->list, guards);
	if (guards[0] == '\0' || cli_text(cli, "approve") != NULL)
		return 0;
	err_set(err, ERR_FAILED, "nothing was pruned, an approval is wanted: %s", guards);
	return err_hint(err, "look at 'holdfast retention preview', then say who agreed and why: "
			     "--approve TEXT");
}

static int prune(
	struct cli *cli, const struct retention_rules *r, struct access *a, struct err *err)
{
	CLEANUP(buf_done) struct buf policy = BUF_INIT(POLICY_BYTES);
	CLEANUP(cleanup_free_p)
	const struct snapshot **going = calloc(r->count + 1, sizeof(const struct snapshot *));
	size_t count = 0;
	int rc = going == NULL ? err_set(err, ERR_NOMEM, "out of memory")
			       : retention_format(&r->policy, &policy, err);
	if (rc != 0)
		return rc;
	struct prune_opts opts = { .cause = PRUNE_ORDER_RETENTION,
		.policy = buf_cstr(&policy),
		.approval = cli_text(cli, "approve") };
	for (size_t i = 0; i < r->count; i++) {
		if (r->items[i].why == 0)
			going[count++] = &a->list.at[r->at[i]];
	}
	for (size_t at = 0; rc == 0 && at < count; at += PRUNE_ORDER_MAX)
		rc = prune_snapshots(a->vault, &opts, going + at,
			count - at < PRUNE_ORDER_MAX ? count - at : PRUNE_ORDER_MAX, err);
	return rc;
}

static int run_apply(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct retention_rules r;
	size_t resumed = 0;
	const char *approval = cli_text(cli, "approve");
	int rc = retention_rules_parse(cli, &r, err);
	if (rc != 0)
		return rc;
	if (approval != NULL && strlen(approval) > PRUNE_ORDER_MAX_TEXT)
		return err_set(
			err, ERR_USAGE, "--approve wants at most %d bytes", PRUNE_ORDER_MAX_TEXT);
	rc = access_open(cli, ACCESS_WRITER, DRIVERS_WRITE, &a, err);
	if (rc == 0)
		rc = prune_resume(a.vault, &resumed, err);
	if (rc == 0 && resumed > 0)
		console_note(&cli->console, "an earlier run that broke off was carried out");
	if (rc == 0)
		rc = judge(cli, &a, &r, err);
	if (rc == 0)
		rc = check_approval(cli, &r, &a, err);
	if (rc == 0)
		rc = prune(cli, &r, &a, err);
	if (rc == 0)
		rc = tell(cli, &r, &a, "retention-apply", true, err);
	retention_rules_done(&r);
	access_done(&a);
	return rc;
}

static const struct cli_option preview_options[] = {
	RETENTION_RULES_OPTIONS,
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_retention_preview_verb = {
	.name = "retention preview",
	.arguments = "",
	.summary = "say which snapshots would go by rules, and why the others stay",
	.about = "Rules only add to what stays; the newest snapshot of a source always stays, and "
		 "so does what is younger than --min-keep, forked or signed by nobody known. What "
		 "counts is when the vault received a snapshot. Nothing is changed.",
	.json = "one object",
	.options = preview_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_preview,
};

static const struct cli_option apply_options[] = {
	RETENTION_RULES_OPTIONS,
	{ .name = "approve",
		.kind = CLI_TEXT,
		.argument = "TEXT",
		.help = "who agreed and why; wanted when more than 20 % of a source would go, or "
			"when the clock is more than 36 hours after the newest snapshot; it is "
			"kept with the records" },
	{ .name = NULL },
};

const struct cli_verb cmd_retention_apply_verb = {
	.name = "retention apply",
	.arguments = "",
	.summary = "take snapshots away by rules",
	.about = "What 'retention preview' with the same options says goes is taken away: it is "
		 "not listed any more and cannot be restored. Its record stays, for the chain. "
		 "Space comes back with 'holdfast gc'. Broken off at any point, the next run "
		 "carries on.",
	.json = "one object",
	.options = apply_options,
	.groups = CLI_VAULT,
	.run = run_apply,
};
