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
#include "vault/file_reader.h"
#include "vault/record_cache.h"
#include "vault/tree_reader.h"

#define RANGE_BYTES ((size_t)1 << 20) /* read and written at a time */

struct dump {
	struct cli *cli;
	struct access *access;
	struct tree_reader *reader;
	struct buf key;
	uint64_t entries, bytes;
};

DEFINE_CLEANUP(struct tar_out *, tar_out_free)
DEFINE_CLEANUP(struct file_reader *, file_reader_free)
DEFINE_CLEANUP(struct record_cache *, record_cache_free)

static int write_out(void *arg, const void *data, size_t len, struct err *err)
{
	struct dump *d = arg;
	if (env_write_all(STDOUT_FILENO, data, len) != 0) {
		d->cli->console.is_reader_gone = errno == EPIPE;
		return err_sys(err, ERR_IO, "unable to write to standard output");
	}
	d->bytes += len;
	access_beat(d->access);
	return 0;
}

static bool wants_range(const struct dump *d)
{
	return cli_is_set(d->cli, "offset") || cli_is_set(d->cli, "length");
}

/* Only the records in which the range lies are read. */
static int dump_range(struct dump *d, const struct entry *e, struct err *err)
{
	struct record_cache_opts opts = { .max_bytes = RECORD_CACHE_DEFAULT_BYTES };
	uint64_t at = (uint64_t)cli_number(d->cli, "offset", 0);
	uint64_t left = (uint64_t)cli_number(d->cli, "length", INT64_MAX);
	CLEANUP(record_cache_free_p) struct record_cache *cache = NULL;
	CLEANUP(file_reader_free_p) struct file_reader *file = NULL;
	CLEANUP(cleanup_free_p) uint8_t *data = malloc(RANGE_BYTES);
	if (data == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = record_cache_new(fetch_store(d->access->fetch), &opts, &cache, err);
	if (rc == 0)
		rc = file_reader_new(cache, e, &file, err);
	while (rc == 0 && left > 0) {
		size_t got = 0;
		if (stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED, "the dump was stopped");
		rc = file_reader_read(
			file, at, data, left < RANGE_BYTES ? (size_t)left : RANGE_BYTES, &got, err);
		if (rc == 0 && got == 0)
			break;
		if (rc == 0)
			rc = write_out(d, data, got, err);
		at += got;
		left -= got;
	}
	return rc;
}

static int dump_file(struct dump *d, const struct entry *e, struct err *err)
{
	d->entries = 1;
	if (wants_range(d))
		return dump_range(d, e, err);
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
	if (wants_range(d) && (wants_tar || d->key.len == 0))
		return err_set(err, ERR_USAGE, "--offset and --length go with a single file");
	if (d->key.len == 0)
		return dump_tree(d, err);
	rc = view_lookup(d->reader, &d->key, &e, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, ERR_USAGE, "there is no '%s' in the snapshot", path);
	if (e.kind == ENTRY_DIR && wants_range(d))
		return err_set(err, ERR_USAGE,
			"'%s' is a directory: --offset and --length go with a file", path);
	if (e.kind == ENTRY_DIR || wants_tar)
		return dump_tree(d, err);
	if (e.kind != ENTRY_FILE) {
		err_set(err, ERR_USAGE, "'%s' is a %s and has no content", path,
			entry_show_kind(&e));
		return err_hint(err, "give --archive tar to get it as an archive");
	}
	return dump_file(d, &e, err);
}

static int dump(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	(void)arg;
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
	cli->console.json = stderr; /* standard output is the content */
	if (isatty(STDOUT_FILENO) == 1 && !cli_is_set(cli, "force")) {
		err_set(err, ERR_USAGE, "standard output is a terminal");
		return err_hint(err, "send it into a file or a program, or give --force");
	}
	return access_read(cli, ACCESS_CONTENT, dump, NULL, err);
}

static const char *const archives[] = { "tar", NULL };

static const struct cli_option options[] = {
	{ .name = "archive",
		.kind = CLI_WORD,
		.argument = "tar",
		.words = archives,
		.help = "write a tar stream also for a single file" },
	{ .name = "force", .help = "write to a terminal, too" },
	{ .name = "offset",
		.kind = CLI_SIZE,
		.argument = "BYTES",
		.help = "of a file: begin there; behind the end there is nothing" },
	{ .name = "length",
		.kind = CLI_SIZE,
		.argument = "BYTES",
		.help = "of a file: so many bytes, or fewer where it ends" },
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
		 "gives that, too.  "
		 "With --offset or --length only the records that hold the range are read; each is "
		 "checked by its own hash and tag, the file's digest cannot be.",
	.json = "JSON lines on standard error: warning, summary; standard output is the content",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
