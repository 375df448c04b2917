#include "cmd/cmd_dump.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "cmd/access.h"
#include "cmd/content_stream.h"
#include "cmd/entry_show.h"
#include "cmd/stop.h"
#include "cmd/tar_out.h"
#include "cmd/view.h"
#include "vault/fetch.h"
#include "vault/tree_reader.h"

struct dump {
	struct cli *cli;
	struct access *access;
	struct tree_reader *reader;
	struct buf key;
	uint64_t entries, bytes;
};

DEFINE_CLEANUP(struct tar_out *, tar_out_free)

static int write_out(void *arg, const void *data, size_t len, struct err *err)
{
	struct dump *d = arg;
	if (env_write_all(STDOUT_FILENO, data, len) != 0) {
		d->cli->console.is_reader_gone = errno == EPIPE;
		return err_sys(err, ERR_IO, "unable to write to standard output");
	}
	d->bytes += len;
	return 0;
}

static int dump_file(struct dump *d, const struct entry *e, struct err *err)
{
	d->entries = 1;
	return content_stream_run(fetch_source(d->access->fetch), d->reader, e, write_out, d, err);
}

static int dump_tree(struct dump *d, struct err *err)
{
	CLEANUP(tar_out_free_p) struct tar_out *tar = NULL;
	int rc = tar_out_new(write_out, d, &tar, err);
	if (rc == 0)
		rc = tree_reader_seek(d->reader, d->key.data, d->key.len, err);
	while (rc == 0) {
		const uint8_t *key;
		size_t len;
		struct entry e;
		if (stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED, "the dump was stopped");
		int more = tree_reader_next(d->reader, &key, &len, &e, err);
		if (more < 0)
			return more;
		if (more == 0 || !view_is_within(key, len, &d->key))
			return tar_out_finish(tar, err);
		d->entries++;
		rc = tar_out_add(tar, fetch_source(d->access->fetch), d->reader, key, len, &e, err);
	}
	return rc;
}

static int dump_path(struct dump *d, const char *path, struct err *err)
{
	struct entry e;
	bool wants_tar = cli_is_set(d->cli, "archive");
	int rc = entry_path_key(path, &d->key, err);
	if (rc != 0)
		return rc;
	if (d->key.len == 0)
		return dump_tree(d, err);
	rc = view_lookup(d->reader, &d->key, &e, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, ERR_USAGE, "there is no '%s' in the snapshot", path);
	if (e.kind == ENTRY_DIR || wants_tar)
		return dump_tree(d, err);
	if (e.kind != ENTRY_FILE) {
		err_set(err, ERR_USAGE, "'%s' is a %s and has no content", path,
			entry_show_kind(&e));
		return err_hint(err, "give --archive tar to get it as an archive");
	}
	return dump_file(d, &e, err);
}

static int dump(struct cli *cli, struct access *a, struct err *err)
{
	struct dump d = { .cli = cli, .access = a, .key = BUF_INIT(ENTRY_MAX_KEY_BYTES) };
	struct view view;
	const char *path = cli->arg_count > 1 ? cli->args[1] : "/";
	int rc = view_open(cli, a, cli->args[0], &view, err);
	if (rc == 0)
		rc = view_reader(a, &view, &d.reader, err);
	if (rc == 0) {
		rc = dump_path(&d, path, err);
		if (rc != 0)
			rc = err_wrap(err, "unable to dump '%s'", path);
	}
	if (rc == 0 && cli->console.is_json &&
		console_object(&cli->console, "dump", "summary",
			json_pack("{s:I, s:I}", "entries", (json_int_t)d.entries, "bytes",
				(json_int_t)d.bytes)) != 0)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	tree_reader_free(d.reader);
	buf_done(&d.key);
	return rc;
}

static int run(struct cli *cli, struct err *err)
{
	struct access a = ACCESS_INIT;
	cli->console.json = stderr; /* standard output is the content */
	if (isatty(STDOUT_FILENO) == 1 && !cli_is_set(cli, "force")) {
		err_set(err, ERR_USAGE, "standard output is a terminal");
		return err_hint(err, "send it into a file or a program, or give --force");
	}
	int rc = access_open(cli, ACCESS_CONTENT, DRIVERS_READ, &a, err);
	if (rc == 0)
		rc = access_snapshots(cli, &a, err);
	if (rc == 0)
		rc = dump(cli, &a, err);
	access_done(&a);
	if (rc == 0 && cli->console.warnings > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	return rc;
}

static const char *const archives[] = { "tar", NULL };

static const struct cli_option options[] = {
	{ .name = "archive",
		.kind = CLI_WORD,
		.argument = "tar",
		.words = archives,
		.help = "write a tar stream also for a single file" },
	{ .name = "force", .help = "write to a terminal, too" },
	{ .name = "source",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "the source that 'latest' means" },
	{ .name = NULL },
};

const struct cli_verb cmd_dump_verb = {
	.name = "dump",
	.arguments = "SNAP [PATH]",
	.summary = "write a file, or a directory as a tar stream, to standard output",
	.about = "The content is compared with its digest while it is written: only exit status 0 "
		 "(or 3) says that all of it is right.  The tar stream is in pax form with owners, "
		 "times, hard links, holes, access lists and extended attributes; what tar cannot "
		 "hold (inode flags, attribute names that are no text) is not in it: 'restore' "
		 "gives that, too.",
	.json = "JSON lines on standard error: warning, summary; standard output is the content",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
