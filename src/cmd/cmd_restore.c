#include "cmd/cmd_restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/sources/path_filter.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "cmd/access.h"
#include "cmd/entry_show.h"
#include "cmd/filter_options.h"
#include "cmd/stop.h"
#include "cmd/view.h"
#include "restore/restore_run.h"
#include "restore/restore_writer.h"
#include "vault/entry.h"
#include "vault/fetch.h"

#define NOTES_SHOWN 20 /* of one kind; more are only counted */

static const char *const rules[] = { "never", "always", "if-changed", "keep", NULL };

static const struct {
	const char *name;
	const char *summary;
} notes[] = {
	[RESTORE_NOTE_OWNER] = { "owner", "owners could not be set (that takes root)" },
	[RESTORE_NOTE_MODE] = { "mode", "permissions could not be set" },
	[RESTORE_NOTE_RIGHTS] = { "rights", "rights that only root can give were left out" },
	[RESTORE_NOTE_XATTR] = { "xattr", "attributes could not be set" },
	[RESTORE_NOTE_TIME] = { "time", "times could not be set" },
	[RESTORE_NOTE_FLAGS] = { "flags", "inode flags could not be set" },
	[RESTORE_NOTE_DEVICE] = { "device", "device nodes could not be made" },
	[RESTORE_NOTE_LINK] = { "link", "hard links became copies" },
	[RESTORE_NOTE_RENAMED] = { "renamed", "names were taken and others given" },
};
#define NOTE_KINDS (sizeof(notes) / sizeof(notes[0]))

struct job {
	struct cli *cli;
	struct access *access;
	struct view view;
	struct path_filter *exclude, *include;
	struct restore_run_path *paths;
	struct buf *keys;
	size_t path_count;
	struct buf path; /* of the entry a rule is asked about */
	uint64_t note_counts[NOTE_KINDS];
	struct restore_run_result result;
	struct restore_stats stats;
	size_t missing;
	int64_t start_ns;
};

/* What an ordinary user cannot set is no fault of the restore, and nothing he could mend. */
static bool is_roots(enum restore_note_kind kind)
{
	return geteuid() != 0 && (kind == RESTORE_NOTE_OWNER || kind == RESTORE_NOTE_RIGHTS);
}

static void on_note(void *arg, enum restore_note_kind kind, const uint8_t *key, size_t key_len,
	const char *text)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(ENTRY_MAX_KEY_BYTES + 2);
	struct job *j = arg;
	struct console *c = &j->cli->console;
	if (is_roots(kind)) {
		j->note_counts[kind]++; /* told in one line */
		return;
	}
	if (j->note_counts[kind]++ >= NOTES_SHOWN && !c->is_json) {
		c->warnings++;
		return;
	}
	if (entry_key_path(key, key_len, &path, NULL) != 0)
		buf_clear(&path);
	console_warn(c, path.data == NULL ? "/" : (const char *)path.data,
		path.data == NULL ? 1 : path.len, "%s", text);
}

static void on_problem(void *arg, const uint8_t *key, size_t len, const struct err *why)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(ENTRY_MAX_KEY_BYTES + 2);
	struct job *j = arg;
	struct console *c = &j->cli->console;
	if (key == NULL || entry_key_path(key, len, &path, NULL) != 0) {
		console_warn(c, NULL, 0, "not everything could be restored: %s", why->msg);
		return;
	}
	console_warn(c, (const char *)path.data, path.len, "not restored: %s", why->msg);
}

static void on_progress(void *arg, const struct restore_run_progress *p)
{
	struct job *j = arg;
	struct console *c = &j->cli->console;
	access_beat(j->access);
	if (!progress_is_due(&c->progress))
		return;
	uint64_t total = j->paths == NULL && j->include == NULL && j->exclude == NULL
				 ? j->view.snapshot->record.raw_bytes
				 : 0;
	struct progress_state s = {
		.what = "files", .items = p->files, .bytes = p->bytes, .total = total
	};
	progress_draw(&c->progress, &s);
	if (c->wants_status)
		(void)console_object(c, "restore", "status",
			json_pack("{s:I, s:I, s:I}", "files", (json_int_t)p->files, "bytes",
				(json_int_t)p->bytes, "total",
				(json_int_t)total)); /* the next one comes */
}

static enum restore_run_choice choose(void *arg, const uint8_t *key, size_t len, bool is_dir)
{
	struct job *j = arg;
	buf_clear(&j->path);
	if (entry_key_path(key, len, &j->path, NULL) != 0)
		return RESTORE_RUN_TAKE; /* no memory: more is safer than less */
	const char *path = (const char *)j->path.data;
	if (path_filter_is_excluded(j->exclude, path, j->path.len, is_dir))
		return RESTORE_RUN_PRUNE;
	if (j->include == NULL || filter_options_is_within(j->include, path, j->path.len, is_dir))
		return RESTORE_RUN_TAKE;
	return RESTORE_RUN_PASS;
}

static int add_paths(struct job *j, struct err *err)
{
	size_t count = j->cli->arg_count - 1;
	if (count == 0)
		return 0;
	j->paths = calloc(count, sizeof(*j->paths));
	j->keys = calloc(count, sizeof(*j->keys));
	if (j->paths == NULL || j->keys == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		j->keys[i].max = ENTRY_MAX_KEY_BYTES;
		int rc = entry_path_key(j->cli->args[i + 1], &j->keys[i], err);
		if (rc != 0)
			return rc;
		j->paths[i].key = j->keys[i].data;
		j->paths[i].key_len = j->keys[i].len;
	}
	j->path_count = count;
	return 0;
}

static int open_writer(struct job *j, struct restore_writer **out, struct err *err)
{
	const struct cli *cli = j->cli;
	struct restore_writer_opts opts = { .overwrite = (enum restore_overwrite)cli_number(
						    cli, "overwrite", RESTORE_REFUSE),
		.sparse = !cli_is_set(cli, "no-sparse"),
		.numeric_ids = cli_is_set(cli, "numeric-ids"),
		.no_owner = cli_is_set(cli, "no-owner"),
		.sync = !cli_is_set(cli, "no-sync"),
		.note = on_note,
		.note_arg = j };
	CLEANUP(cleanup_close_p) int fd = -1;
	int rc = restore_writer_target(cli_text(cli, "to"), &fd, err);
	if (rc == 0)
		rc = restore_writer_new(fd, &opts, out, err);
	if (rc == -ERR_EXISTS)
		return err_hint(err, "name an empty or new directory, or say what to do with "
				     "existing files: --overwrite always|if-changed|keep");
	return rc;
}

DEFINE_CLEANUP(struct restore_writer *, restore_writer_free)

static int give_back(struct job *j, struct err *err)
{
	CLEANUP(restore_writer_free_p) struct restore_writer *writer = NULL;
	if (!cli_is_set(j->cli, "dry-run")) {
		int rc = open_writer(j, &writer, err);
		if (rc != 0)
			return rc;
	}
	struct restore_run_opts opts = { .source = fetch_source(j->access->fetch),
		.top = &j->view.opened.root.top,
		.writer = writer,
		.paths = j->paths,
		.path_count = j->path_count,
		.arg = j,
		.choose = j->exclude != NULL || j->include != NULL ? choose : NULL,
		.on_problem = on_problem,
		.on_progress = on_progress,
		.is_stopped = stop_is_asked };
	int rc = restore_run_tree(&opts, &j->result, err);
	if (writer != NULL)
		j->stats = *restore_writer_stats(writer);
	return rc;
}

/* Name paths that were not found; -ERR_USAGE when none was. */
static int check_paths(struct job *j, struct err *err)
{
	for (size_t i = 0; i < j->path_count; i++) {
		const char *path = j->cli->args[i + 1];
		if (j->paths[i].is_found)
			continue;
		j->missing++;
		console_warn(&j->cli->console, path, strlen(path), "is not in the snapshot");
	}
	if (j->path_count > 0 && j->missing == j->path_count) {
		err_set(err, ERR_USAGE, "none of the paths is in the snapshot");
		return err_hint(err, "see 'holdfast snapshot ls'; paths are absolute, as they were "
				     "backed up");
	}
	return 0;
}

/* What only root could have set, in one line. */
static void tell_roots(struct job *j)
{
	char rights_text[96] = "";
	uint64_t owners = j->note_counts[RESTORE_NOTE_OWNER];
	uint64_t rights = j->note_counts[RESTORE_NOTE_RIGHTS];
	if (geteuid() == 0 || owners + rights == 0)
		return;
	if (rights > 0)
		(void)snprintf(rights_text, sizeof(rights_text),
			"; set-id bits, capabilities or the like left out: %llu",
			(unsigned long long)rights); /* fits */
	console_note(&j->cli->console,
		"only root can set owners; entries that are yours now instead: %llu%s",
		(unsigned long long)owners, rights_text);
}

static void tell_text(struct job *j)
{
	char size[HUMAN_BYTES];
	char took[HUMAN_BYTES];
	struct console *c = &j->cli->console;
	const struct restore_run_result *r = &j->result;
	for (size_t i = 0; i < NOTE_KINDS; i++) {
		if (!is_roots((enum restore_note_kind)i) && j->note_counts[i] > NOTES_SHOWN)
			console_note(c, "%s: %llu times in all", notes[i].summary,
				(unsigned long long)j->note_counts[i]);
	}
	tell_roots(j);
	if (j->stats.leftovers > 0)
		console_note(c, "removed %llu temporary file%s that a killed restore had left",
			(unsigned long long)j->stats.leftovers, j->stats.leftovers == 1 ? "" : "s");
	if (c->is_quiet)
		return;
	console_print(c, "%s ", cli_is_set(j->cli, "dry-run") ? "would restore" : "restored");
	console_count(c, r->files, "file, ", "files, ");
	console_count(c, r->dirs, "directory, ", "directories, ");
	console_count(c, r->others, "other, ", "others, ");
	console_print(c, "%s", human_size(size, r->bytes));
	if (j->stats.kept > 0)
		console_print(c, "; %llu left as they were", (unsigned long long)j->stats.kept);
	uint64_t left_out = r->damaged + r->failed;
	if (left_out > 0)
		console_print(c, "; %llu left out", (unsigned long long)left_out);
	console_print(c, ", in %s\n", human_duration(took, env_mono_ns() - j->start_ns));
}

static int tell(struct job *j, struct err *err)
{
	char id[VIEW_ID_BYTES];
	struct console *c = &j->cli->console;
	const struct restore_run_result *r = &j->result;
	if (!c->is_json) {
		tell_text(j);
		return 0;
	}
	view_id(j->view.snapshot, id);
	json_t *kinds = json_object();
	for (size_t i = 0; i < NOTE_KINDS; i++) {
		if (j->note_counts[i] > 0)
			(void)json_object_set_new(kinds, notes[i].name,
				json_integer((json_int_t)j->note_counts[i])); /* NULL: seen below */
	}
	json_t *o = json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:f}",
		"snapshot_id", id, "dry_run", (int)cli_is_set(j->cli, "dry-run"), "files",
		(json_int_t)r->files, "dirs", (json_int_t)r->dirs, "others", (json_int_t)r->others,
		"bytes", (json_int_t)r->bytes, "kept", (json_int_t)j->stats.kept, "leftovers",
		(json_int_t)j->stats.leftovers, "damaged", (json_int_t)r->damaged, "failed",
		(json_int_t)r->failed, "warnings", (json_int_t)c->warnings, "notes", kinds,
		"duration_s", (double)(env_mono_ns() - j->start_ns) / 1e9);
	if (console_object(c, "restore", "summary", o) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int restore(struct job *j, struct err *err)
{
	int rc = add_paths(j, err);
	if (rc == 0)
		rc = filter_options_exclude(j->cli, &j->exclude, err);
	if (rc == 0)
		rc = filter_options_include(j->cli, &j->include, err);
	if (rc == 0)
		rc = view_open(j->cli, j->access, j->cli->args[0], &j->view, err);
	if (rc == 0)
		rc = give_back(j, err);
	if (rc == 0)
		rc = check_paths(j, err);
	if (rc == 0)
		rc = tell(j, err);
	if (rc == 0 && j->result.damaged > 0) {
		err_set(err, ERR_CORRUPT, "%llu entries are damaged in the vault and were left out",
			(unsigned long long)j->result.damaged);
		rc = err_hint(err, "they are named above; an older snapshot may hold them whole");
	}
	if (rc == 0 && j->result.failed > 0)
		j->cli->status = EXIT_STATUS_WARNINGS;
	return rc;
}

static void job_done(struct job *j)
{
	for (size_t i = 0; j->keys != NULL && i + 1 < j->cli->arg_count; i++)
		buf_done(&j->keys[i]);
	free(j->keys);
	free(j->paths);
	path_filter_free(j->exclude);
	path_filter_free(j->include);
	buf_done(&j->path);
}

static int restore_one(struct cli *cli, struct access *a, void *arg, struct err *err)
{
	const int64_t *start_ns = arg;
	struct job j = { .cli = cli,
		.access = a,
		.path = BUF_INIT(ENTRY_MAX_KEY_BYTES + 2),
		.start_ns = *start_ns };
	int rc = restore(&j, err);
	job_done(&j);
	return rc == 0 || rc == -ERR_USAGE ? rc
					   : err_wrap(err, "unable to restore '%s'", cli->args[0]);
}

static int run(struct cli *cli, struct err *err)
{
	int64_t start_ns = env_mono_ns();
	if (cli_text(cli, "to") == NULL && !cli_is_set(cli, "dry-run")) {
		err_set(err, ERR_USAGE, "--to DIR is needed: where the files go");
		return err_hint(err, "see 'holdfast restore --help'");
	}
	return access_read(cli, ACCESS_CONTENT, restore_one, &start_ns, err);
}

static const struct cli_option options[] = {
	{ .name = "to",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "restore into DIR, made if missing: /srv/x comes back as DIR/srv/x" },
	{ .name = "overwrite",
		.kind = CLI_WORD,
		.argument = "never|always|if-changed|keep",
		.words = rules,
		.help = "never (default): DIR must be empty; always: replace what is there; "
			"if-changed: but not a file of the same size and time; keep: leave what is "
			"there, add what is missing" },
	{ .name = "include",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "PATTERN",
		.help = "restore only what matches, and everything below it" },
	{ .name = "exclude",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "PATTERN",
		.help = "leave out what matches (docs/CLI-filters.md)" },
	{ .name = "exclude-file",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "FILE",
		.help = "leave out what the patterns in FILE match" },
	{ .name = "source",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "the source that 'latest' means" },
	{ .name = "dry-run", .letter = 'n', .help = "only say how much would be restored" },
	{ .name = "numeric-ids", .help = "set owners by number, never by name" },
	{ .name = "no-owner", .help = "do not set owners; what is restored is yours" },
	{ .name = "no-sparse", .help = "write zeros instead of holes" },
	{ .name = "no-sync", .help = "do not wait until everything is on the disk" },
	ACCESS_LIMIT_OPTIONS,
	{ .name = NULL },
};

const struct cli_verb cmd_restore_verb = {
	.name = "restore",
	.arguments = "SNAP [PATH...]",
	.summary = "give a snapshot, or parts of it, back into a directory",
	.about = "SNAP is 'latest' or the beginning of an id (4 digits or more).  Nothing outside "
		 "the directory is ever written; in the vault nothing but the marks that hold "
		 "collection back meanwhile, where they can be.  Every file's content is "
		 "compared with the digest taken at backup; one that differs is named, left out, "
		 "and the exit status is 14.  Owners, set-id bits and whatever else only root "
		 "can set are counted, and are no warning, when an ordinary user restores.",
	.json = "JSON lines: warning, status, summary",
	.options = options,
	.groups = CLI_VAULT | CLI_CONTENT,
	.min_args = 1,
	.max_args = CLI_ANY,
	.run = run,
};
