#include "cmd/backup_source.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agents/sources/files.h"
#include "agents/sources/path_filter.h"
#include "agents/sources/root_list.h"
#include "agents/sources/source_open.h"
#include "agents/sources/stdin_source.h"
#include "agents/sources_conf.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "cmd/cli.h"
#include "cmd/filter_options.h"
#include "cmd/paths.h"
#include "cmd/stop.h"
#include "codec/text.h"
#include "codec/truth.h"
#include "codec/truth_json.h"
#include "conf/conf_problems.h"
#include "crypto/hash.h"
#include "vault/label.h"

/*
 *   new (names, filters) --> capture --> source --> free
 *
 * INVARIANTS
 * (1) source is set exactly when there is something to read.
 */

#define LIST_FILE_MAX_BYTES ((size_t)256 << 20)
#define NAME_MAX_BYTES 1024
#define OWN_MAX 8
#define PRESENT_MAX 64

struct backup_source {
	struct cli *cli;
	char *name;
	enum root_consistency consistency;
	struct sources_conf *conf;
	const struct sources_conf_source *from; /* in conf; NULL = from the command line */
	struct root_list *roots;
	struct path_filter *filter;
	struct source_open *opened; /* owned; a source of a configuration file */
	struct files *files;
	struct stdin_source *input;
	const struct source *source; /* of opened, files or input */
	struct files_own own[OWN_MAX];
	size_t own_count;
	const char *present[PRESENT_MAX];
	size_t present_count;
	struct buf truth;
	char **paths, **tags; /* owned, for the label */
	size_t path_count, tag_count;
};

static void on_warning(void *arg, const char *path, size_t len, const char *why)
{
	struct backup_source *s = arg;
	console_warn(&s->cli->console, path, len, "%s", why);
}

static void on_note(void *arg, const char *path, size_t len, const char *why)
{
	char safe[PATH_MAX];
	struct backup_source *s = arg;
	(void)escape_text(safe, sizeof(safe), path, len); /* cut is fine */
	console_note(&s->cli->console, "holdfast: '%s': %s", safe, why);
}

static int add_text(char ***list, size_t *count, const char *text, struct err *err)
{
	if (*count == LABEL_MAX_ITEMS || strlen(text) > LABEL_MAX_TEXT)
		return 0; /* a label is for people: what it holds is enough to tell */
	char **grown = reallocarray(*list, *count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*list = grown;
	grown[*count] = strdup(text);
	if (grown[*count] == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	(*count)++;
	return 0;
}

static int check_usage(const struct cli *cli, struct err *err)
{
	bool has_paths = cli->arg_count > 0 || cli_is_set(cli, "files-from");
	bool has_stdin = cli_is_set(cli, "stdin");
	bool has_config = cli_text(cli, "config") != NULL;
	if (has_paths + has_stdin + has_config != 1) {
		err_set(err, ERR_USAGE,
			"a backup is of paths, of --stdin or of a source in --config FILE");
		return err_hint(err, "see 'holdfast backup --help'");
	}
	if (cli_is_set(cli, "stdin-name") && !has_stdin)
		return err_set(err, ERR_USAGE, "--stdin-name goes with --stdin");
	if (has_stdin && cli_is_set(cli, "dry-run"))
		return err_set(err, ERR_USAGE, "--stdin can be read only once: no --dry-run");
	return 0;
}

static int add_list_file(struct root_list *roots, const char *path, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(LIST_FILE_MAX_BYTES);
	int rc = strcmp(path, "-") == 0 ? fdio_read_all(STDIN_FILENO, &text, err)
					: fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc == 0)
		rc = root_list_add_text(roots, (const char *)text.data, text.len, err);
	return rc == 0 ? 0 : err_wrap(err, "--files-from '%s'", path);
}

static int add_roots(struct backup_source *s, struct err *err)
{
	const struct cli *cli = s->cli;
	int rc = root_list_new(&s->roots, err);
	for (size_t i = 0; rc == 0 && i < cli->arg_count; i++)
		rc = root_list_add(s->roots, cli->args[i], NULL, err);
	for (size_t i = 0; rc == 0 && cli_nth(cli, "files-from", i) != NULL; i++)
		rc = add_list_file(s->roots, cli_nth(cli, "files-from", i), err);
	return rc;
}

static int make_files(struct backup_source *s, struct err *err)
{
	const struct cli *cli = s->cli;
	struct files_opts opts = { .roots = s->roots,
		.filter = s->filter,
		.is_exclude_caches = cli_is_set(cli, "exclude-caches"),
		.exclude_if_present = s->present,
		.exclude_if_present_count = s->present_count,
		.is_one_file_system = cli_is_set(cli, "one-file-system"),
		.max_file_bytes = (uint64_t)cli_number(cli, "exclude-larger-than", 0),
		.own = s->own,
		.own_count = s->own_count,
		.arg = s,
		.on_warning = on_warning,
		.on_note = on_note };
	int rc = files_new(&opts, &s->files, err);
	if (rc == 0)
		s->source = files_source(s->files);
	return rc;
}

/* "host:/srv/data,/etc"; of very many paths their number and a hash. */
static int name_of_roots(struct backup_source *s, const char *host, struct err *err)
{
	CLEANUP(buf_done) struct buf all = BUF_INIT(LIST_FILE_MAX_BYTES);
	size_t count = root_list_count(s->roots);
	int rc = buf_addf(&all, err, "%s:", host);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = buf_addf(&all, err, "%s%s", i > 0 ? "," : "", root_list_at(s->roots, i)->path);
	if (rc == 0 && all.len > NAME_MAX_BYTES) {
		uint8_t hash[HASH_BYTES];
		char hex[2 * HASH_BYTES + 1];
		hash_sha256(all.data, all.len, hash);
		text_hex(hash, sizeof(hash), hex);
		buf_clear(&all);
		rc = buf_addf(&all, err, "%s:%zu paths %.16s", host, count, hex);
	}
	const char *name = rc == 0 ? buf_cstr(&all) : NULL;
	s->name = name == NULL ? NULL : strdup(name);
	if (rc == 0 && s->name == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc;
}

static int set_name(struct backup_source *s, const char *name, struct err *err)
{
	if (strlen(name) > NAME_MAX_BYTES)
		return err_set(
			err, ERR_LIMIT, "the source name is longer than %d bytes", NAME_MAX_BYTES);
	s->name = strdup(name);
	return s->name != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static int from_paths(struct backup_source *s, const char *host, struct err *err)
{
	const char *name = cli_text(s->cli, "source");
	int rc = add_roots(s, err);
	if (rc == 0)
		rc = root_list_resolve(s->roots, on_warning, s, err);
	if (rc == 0)
		rc = name != NULL ? set_name(s, name, err) : name_of_roots(s, host, err);
	for (size_t i = 0; rc == 0 && i < root_list_count(s->roots); i++)
		rc = add_text(&s->paths, &s->path_count, root_list_at(s->roots, i)->path, err);
	return rc;
}

static int from_stdin(struct backup_source *s, const char *host, struct err *err)
{
	const char *name = cli_text(s->cli, "source");
	const char *file = cli_text(s->cli, "stdin-name");
	char made[NAME_MAX_BYTES];
	if (file == NULL)
		file = "stdin";
	if (snprintf(made, sizeof(made), "%s:%s", host, file) >= (int)sizeof(made))
		return err_set(err, ERR_LIMIT, "--stdin-name is too long");
	int rc = set_name(s, name != NULL ? name : made, err);
	if (rc == 0)
		rc = stdin_source_new(STDIN_FILENO, file, on_warning, s, &s->input, err);
	if (rc != 0)
		return rc;
	s->source = stdin_source_source(s->input);
	return add_text(&s->paths, &s->path_count, file, err);
}

static int find_in_conf(struct backup_source *s, const char *path, struct err *err)
{
	const char *name = cli_text(s->cli, "source");
	if (name == NULL && sources_conf_count(s->conf) == 1)
		s->from = sources_conf_at(s->conf, 0);
	else if (name != NULL)
		s->from = sources_conf_find(s->conf, name);
	if (s->from != NULL)
		return 0;
	if (name == NULL) {
		err_set(err, ERR_USAGE, "'%s' holds %zu sources: say which", path,
			sources_conf_count(s->conf));
		return err_hint(err, "give --source NAME");
	}
	return err_set(err, ERR_USAGE, "there is no source '%s' in '%s'", name, path);
}

/* A base backup is complete or it is none: nothing may be left out of its copy. */
static int check_database_usage(const struct cli *cli, struct err *err)
{
	static const char *const others[] = { "dry-run", "exclude", "exclude-file",
		"exclude-caches", "exclude-if-present", "exclude-larger-than", "one-file-system" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (cli_is_set(cli, others[i]))
			return err_set(err, ERR_USAGE, "a database has no --%s", others[i]);
	}
	return 0;
}

static int from_conf(struct backup_source *s, struct err *err)
{
	const char *path = cli_text(s->cli, "config");
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	int rc = sources_conf_load(path, &s->conf, &problems, err);
	if (problems.errors + problems.warnings > 0)
		conf_problems_print(&problems, stderr);
	conf_problems_done(&problems);
	if (rc == -ERR_NOT_FOUND || rc == -ERR_IO)
		return err_wrap(err, "unable to read the configuration '%s'", path);
	if (rc == 0)
		rc = find_in_conf(s, path, err);
	if (rc == 0)
		rc = set_name(s, s->from->name, err);
	if (rc != 0)
		return rc;
	s->consistency = s->from->consistency;
	for (size_t i = 0; rc == 0 && i < s->from->tag_count; i++)
		rc = add_text(&s->tags, &s->tag_count, s->from->tags[i], err);
	for (size_t i = 0; rc == 0 && source_open_path(s->from, i) != NULL; i++)
		rc = add_text(&s->paths, &s->path_count, source_open_path(s->from, i), err);
	if (rc == 0 && s->from->type == SOURCES_CONF_POSTGRES)
		rc = check_database_usage(s->cli, err);
	return rc;
}

static int read_truth_file(struct backup_source *s, struct err *err)
{
	const char *path = cli_text(s->cli, "truth");
	struct truth *truth = NULL;
	if (path == NULL)
		return 0;
	int rc = fdio_read_file(AT_FDCWD, path, &s->truth, err);
	if (rc == 0)
		rc = truth_json_parse(s->truth.data, s->truth.len, &truth, err);
	truth_free(truth);
	return rc == 0 ? 0 : err_wrap(err, "truth manifest '%s'", path);
}

DEFINE_CLEANUP(struct backup_source *, backup_source_free)

int backup_source_new(
	struct cli *cli, const char *host, struct backup_source **out, struct err *err)
{
	int rc = check_usage(cli, err);
	if (rc != 0)
		return rc;
	CLEANUP(backup_source_free_p) struct backup_source *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->cli = cli;
	s->consistency = ROOT_FUZZY;
	s->truth = (struct buf)BUF_INIT(TRUTH_JSON_MAX_BYTES);
	rc = filter_options_exclude(cli, &s->filter, err);
	if (rc == 0 && cli_text(cli, "config") != NULL)
		rc = from_conf(s, err);
	else if (rc == 0 && cli_is_set(cli, "stdin"))
		rc = from_stdin(s, host, err);
	else if (rc == 0)
		rc = from_paths(s, host, err);
	for (size_t i = 0; rc == 0 && cli_nth(cli, "tag", i) != NULL; i++)
		rc = add_text(&s->tags, &s->tag_count, cli_nth(cli, "tag", i), err);
	if (cli_is_set(cli, "consistency"))
		s->consistency =
			(enum root_consistency)(cli_number(cli, "consistency", 0) + ROOT_FUZZY);
	if (rc == 0)
		rc = read_truth_file(s, err);
	if (rc == 0)
		*out = TAKE(s);
	return rc;
}

static int open_configured(struct backup_source *s, const char *staging, const char *const *own,
	size_t own_count, struct err *err)
{
	const struct cli *cli = s->cli;
	struct source_kinds_opts opts = { .from = s->from,
		.staging = staging,
		.own = own,
		.own_count = own_count,
		.has_truth = s->truth.len > 0, /* the user's own wins */
		.filter = s->filter,
		.is_exclude_caches = cli_is_set(cli, "exclude-caches"),
		.is_one_file_system = cli_is_set(cli, "one-file-system"),
		.exclude_if_present = s->present,
		.exclude_if_present_count = s->present_count,
		.max_file_bytes = (uint64_t)cli_number(cli, "exclude-larger-than", 0),
		.arg = s,
		.on_warning = on_warning,
		.on_note = on_note,
		.is_stopped = stop_is_asked };
	int rc = s->from->type == SOURCES_CONF_POSTGRES ? paths_make(staging, err) : 0;
	if (rc == 0)
		rc = source_open_new(&opts, &s->opened, err);
	if (rc == 0)
		s->source = source_open_source(s->opened);
	return rc;
}

int backup_source_capture(struct backup_source *s, const char *staging, const char *const *own,
	size_t own_count, struct err *err)
{
	if (s->source != NULL)
		return 0; /* standard input */
	for (size_t i = 0; i < PRESENT_MAX && cli_nth(s->cli, "exclude-if-present", i) != NULL; i++)
		s->present[s->present_count++] = cli_nth(s->cli, "exclude-if-present", i);
	if (s->from != NULL)
		return open_configured(s, staging, own, own_count, err);
	for (size_t i = 0; i < own_count && s->own_count < OWN_MAX; i++) {
		if (own[i] != NULL && files_own_find(own[i], &s->own[s->own_count], NULL) == 0)
			s->own_count++; /* one that is not there cannot be met */
	}
	return make_files(s, err);
}

static void free_list(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

void backup_source_free(struct backup_source *s)
{
	if (s == NULL)
		return;
	source_open_free(s->opened); /* may warn */
	files_free(s->files);
	stdin_source_free(s->input);
	path_filter_free(s->filter);
	root_list_free(s->roots);
	sources_conf_free(s->conf);
	free_list(s->paths, s->path_count);
	free_list(s->tags, s->tag_count);
	buf_done(&s->truth);
	free(s->name);
	free(s);
}

const char *backup_source_name(const struct backup_source *s)
{
	return s->name;
}

const struct source *backup_source_source(const struct backup_source *s)
{
	return s->source;
}

enum root_consistency backup_source_consistency(const struct backup_source *s)
{
	return s->consistency;
}

const void *backup_source_truth(const struct backup_source *s, size_t *len)
{
	if (s->truth.len == 0 && s->opened != NULL)
		return source_open_truth(s->opened, len);
	*len = s->truth.len;
	return s->truth.len > 0 ? s->truth.data : NULL;
}

char *const *backup_source_paths(const struct backup_source *s, size_t *count)
{
	*count = s->path_count;
	return s->paths;
}

char *const *backup_source_tags(const struct backup_source *s, size_t *count)
{
	*count = s->tag_count;
	return s->tags;
}
