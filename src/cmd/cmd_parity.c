#include "cmd/cmd_parity.h"

#include "base/err.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/stop.h"
#include "vault/parity_cover.h"

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct cli *cli = arg;
	struct console *c = &cli->console;
	if (!progress_is_due(&c->progress))
		return;
	struct progress_state s = { .what = "parity", .items = 0, .bytes = done, .total = total };
	progress_draw(&c->progress, &s);
	if (c->wants_status)
		(void)console_object(c, "parity", "status",
			json_pack("{s:I, s:I}", "bytes", (json_int_t)done, "total",
				(json_int_t)total)); /* the next one comes */
}

static int tell_json(struct cli *cli, const struct parity_cover_opts *opts,
	const struct parity_cover_result *r, struct err *err)
{
	json_t *o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"dry_run", (int)opts->is_dry_run, "rows", (json_int_t)r->rows, "groups",
		(json_int_t)r->groups, "members", (json_int_t)r->members, "member_bytes",
		(json_int_t)r->member_bytes, "parity_objects", (json_int_t)r->parity_objects,
		"parity_bytes", (json_int_t)r->parity_bytes, "made", (json_int_t)r->made, "dropped",
		(json_int_t)r->dropped, "damaged", (json_int_t)r->damaged, "held",
		(json_int_t)r->held, "too_long", (json_int_t)r->too_long);
	if (console_object(&cli->console, "parity", "summary", o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static void tell_text(
	struct cli *cli, const struct parity_cover_opts *opts, const struct parity_cover_result *r)
{
	char a[HUMAN_BYTES];
	char b[HUMAN_BYTES];
	struct console *c = &cli->console;
	const char *would = opts->is_dry_run ? "would be " : "";
	console_count(c, r->members, "object ", "objects ");
	console_print(c, "(%s) in ", human_size(a, r->member_bytes));
	console_count(c, r->groups, "group, ", "groups, ");
	console_print(c, "%s of parity; ", human_size(b, r->parity_bytes));
	console_count(c, r->made, "group ", "groups ");
	console_print(c, "%smade, %llu %sdropped\n", would, (unsigned long long)r->dropped, would);
	if (r->too_long > 0)
		console_count(c, r->too_long, "object is longer than parity takes\n",
			"objects are longer than parity takes\n");
}

static int run(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	struct parity_cover_result r;
	struct parity_cover_opts opts = { .rows = (unsigned)cli_number(cli, "rows", 0),
		.is_dry_run = cli_is_set(cli, "dry-run"),
		.arg = cli,
		.on_progress = on_progress,
		.is_stopped = stop_is_asked };
	if (opts.rows == 0 && cli_is_set(cli, "rows"))
		return err_set(err, ERR_USAGE, "--rows: parity has 1 or 2 rows, not 0");
	int rc = access_open(
		cli, ACCESS_LIST, opts.is_dry_run ? DRIVERS_READ : DRIVERS_WRITE, &a, err);
	if (rc == 0)
		rc = parity_cover_run(a.vault, &opts, &r, err);
	progress_clear(&cli->console.progress);
	if (rc == 0 && cli->console.is_json)
		rc = tell_json(cli, &opts, &r, err);
	else if (rc == 0)
		tell_text(cli, &opts, &r);
	if (rc == 0 && r.damaged + r.held > 0)
		console_warn(&cli->console, NULL, 0,
			"%llu objects are damaged and in no new group, %llu groups stay for what "
			"may be repaired by them; see 'holdfast repair'",
			(unsigned long long)r.damaged, (unsigned long long)r.held);
	if (rc == 0 && cli->console.warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	access_done(&a);
	return rc;
}

static const struct cli_option options[] = {
	{ .name = "rows",
		.kind = CLI_COUNT,
		.argument = "N",
		.help = "parity objects of each group: 1 or 2, as many objects of a group may be "
			"lost; default: as the vault has it, 1 in one without parity" },
	{ .name = "dry-run", .help = "say what would be done, change nothing" },
	ACCESS_RECOVERY_OPTION,
	{ .name = NULL },
};

const struct cli_verb cmd_parity_verb = {
	.name = "parity",
	.arguments = "",
	.summary = "make parity for what the vault holds",
	.about = "Reed-Solomon parity over groups of ten packs of one class, and of thirty-two "
		 "smaller objects that nothing else could bring back.  It lies in the vault and "
		 "needs no key to repair: see 'holdfast repair'.  Run it after each backup, or "
		 "each night: it adds what is new and makes groups anew from which objects went.  "
		 "'holdfast gc' keeps the parity of a vault that has some up to date before it "
		 "deletes.",
	.json = "JSON lines: status, summary",
	.options = options,
	.groups = CLI_VAULT,
	.run = run,
};
