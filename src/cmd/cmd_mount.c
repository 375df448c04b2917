#include "cmd/cmd_mount.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/access.h"
#include "cmd/cli.h"
#include "cmd/stop.h"
#include "codec/jsonx.h"
#include "mount/mount_fuse.h"
#include "mount/mount_ops.h"
#include "mount/mount_snaps.h"
#include "vault/record_cache.h"

/*
 * INVARIANTS
 * (1) What is held ends in the reverse of the order it began in: first no more requests, then what
 *     answers them.
 */
#define ANSWER_THREADS 4
#define AHEAD_THREADS 2

DEFINE_CLEANUP(struct mount_snaps *, mount_snaps_free)
DEFINE_CLEANUP(struct mount_ops *, mount_ops_free)
DEFINE_CLEANUP(struct mount_fuse *, mount_fuse_free)

/* The operations' threads take turns here (mount_ops). */
static void on_problem(void *arg, const char *path, size_t len, const struct err *why)
{
	struct cli *cli = arg;
	console_warn(&cli->console, path, len, "unable to read: %s", why->msg);
	(void)console_flush(&cli->console); /* told at the end, if it is broken */
}

/* Say that the mount is there: whoever waits for it reads a line. */
static int tell_mounted(struct cli *cli, const char *mountpoint, size_t snapshots, struct err *err)
{
	struct console *c = &cli->console;
	if (c->is_json) {
		if (console_object(c, "mount", "mounted",
			    json_pack("{s:o, s:I}", "mountpoint",
				    jsonx_name(mountpoint, strlen(mountpoint)), "snapshots",
				    (json_int_t)snapshots)) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
	} else {
		console_print(c, "mounted at ");
		console_print_name(c, mountpoint, strlen(mountpoint));
		console_print(c, "; Ctrl-C or fusermount3 -u ends it\n");
	}
	(void)console_flush(c); /* told at the end, if it is broken */
	return 0;
}

static int tell_unmounted(struct cli *cli, struct mount_snaps *snaps, struct err *err)
{
	struct record_cache_stats stats;
	record_cache_get_stats(mount_snaps_cache(snaps), &stats);
	if (cli->console.is_json &&
		console_object(&cli->console, "mount", "summary",
			json_pack("{s:I, s:I, s:I, s:I, s:I}", "records_from_cache",
				(json_int_t)stats.hits, "records_from_store",
				(json_int_t)stats.misses, "records_ahead", (json_int_t)stats.ahead,
				"cache_peak_bytes", (json_int_t)stats.peak, "warnings",
				(json_int_t)cli->console.warnings)) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

/* Asked for once a minute at least: an idle mount gives signs of life as well. */
static bool is_stopped(void *arg)
{
	access_beat(arg);
	return stop_is_asked(NULL);
}

static int serve(struct cli *cli, struct access *a, struct mount_snaps *snaps,
	const struct snapshot *only, struct err *err)
{
	struct mount_ops_opts ops_opts = { .snaps = snaps,
		.snapshot = only != NULL ? only->hash : NULL,
		.on_problem = on_problem,
		.arg = cli };
	struct mount_fuse_opts fuse_opts = { .mountpoint = cli->args[0],
		.allow_other = cli_is_set(cli, "allow-other"),
		.threads = ANSWER_THREADS };
	CLEANUP(mount_ops_free_p) struct mount_ops *ops = NULL;
	CLEANUP(mount_fuse_free_p) struct mount_fuse *fuse = NULL;
	int rc = mount_ops_new(&ops_opts, &ops, err);
	if (rc == 0)
		rc = mount_fuse_new(ops, &fuse_opts, &fuse, err);
	if (rc == 0)
		rc = tell_mounted(cli, cli->args[0], a->list.count, err);
	if (rc == 0)
		rc = mount_fuse_run(fuse, is_stopped, a, err);
	return rc;
}

static int mount_vault(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	(void)arg;
	const struct snapshot *only = NULL;
	struct mount_snaps_opts opts = { .vault = a->vault,
		.sk = a->content_sk,
		.source = cli_text(cli, "source"),
		.cache_bytes = (size_t)cli_number(cli, "cache", RECORD_CACHE_DEFAULT_BYTES),
		.ahead = AHEAD_THREADS };
	CLEANUP(mount_snaps_free_p) struct mount_snaps *snaps = NULL;
	int rc = 0;
	if (cli_is_set(cli, "snapshot"))
		rc = access_pick(cli, a, cli_text(cli, "snapshot"), &only, err);
	else if (opts.source != NULL) /* a name that no snapshot has is a mistake */
		rc = access_pick(cli, a, "latest", &only, err);
	if (rc == 0)
		rc = mount_snaps_new(&opts, &snaps, err);
	if (rc == 0)
		rc = serve(cli, a, snaps, cli_is_set(cli, "snapshot") ? only : NULL, err);
	return rc != 0 ? rc : tell_unmounted(cli, snaps, err);
}

static int run(struct cli *cli, struct err *err)
{
	return access_read(cli, ACCESS_CONTENT, mount_vault, NULL, err);
}

static const struct cli_option options[] = {
	{ .name = "snapshot",
		.kind = CLI_TEXT,
		.argument = "SNAP",
		.help = "show this snapshot alone, at the mount point itself" },
	{ .name = "source",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "show snapshots of this source only; the source that 'latest' means" },
	{ .name = "allow-other",
		.help = "let other users look in; then owners, modes and access lists are "
			"enforced" },
	{ .name = "cache",
		.kind = CLI_SIZE,
		.argument = "BYTES",
		.help = "memory for opened records; default 64MiB" },
	{ .name = NULL },
};

const struct cli_verb cmd_mount_verb = {
	.name = "mount",
	.arguments = "MOUNTPOINT",
	.summary = "show snapshots as files, read-only, without restoring them",
	.about = "Runs in the foreground until Ctrl-C, SIGTERM or an unmount.  The mount point, an "
		 "empty directory, shows snapshots/ID, sources/NAME/TIME and links called latest; "
		 "new snapshots appear when a directory is listed again.  Only what is read is "
		 "fetched and checked; damaged content is an input/output error and a warning.  "
		 "Files, owners, modes, times, links, devices, holes, access lists, capabilities, "
		 "attributes and inode flags are shown as they were; only with --allow-other are "
		 "they enforced.  An ordinary user needs fusermount3 (package fuse3) and may open "
		 "/dev/fuse.",
	.json = "JSON lines: mounted, warning, summary",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
