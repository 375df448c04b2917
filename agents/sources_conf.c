#include "agents/sources_conf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "conf/conf.h"
#include "conf/conf_problems.h"
#include "db/libpq.h"

/*
 * INVARIANTS
 * (1) A list that was returned holds no source twice, and each has exactly the keys of its type.
 */

#define SOURCES_MAX 256
#define PATHS_MAX 1024
#define NAME_MAX_BYTES 200

static const char *const types[] = { "files", "postgres", NULL };
static const char *const consistencies[] = { "fuzzy", "quiesced", "crash", "application", NULL };
static const char *const truths[] = { "none", "files", "batches", "tables", NULL };

const struct conf_option sources_conf_members[] = {
	{ .key = "name",
		.type = CONF_STRING,
		.is_required = true,
		.min = 1,
		.max = NAME_MAX_BYTES,
		.help = "the name of the source; it names the chain of snapshots" },
	{ .key = "type",
		.type = CONF_WORD,
		.is_required = true,
		.words = types,
		.help = "files or postgres" },
	{ .key = "consistency",
		.type = CONF_WORD,
		.words = consistencies,
		.help = "how consistent the content is when it is read" },
	{ .key = "truth",
		.type = CONF_WORD,
		.words = truths,
		.help = "which truth manifest is taken" },
	{ .key = "tags", .type = CONF_STRINGS, .max = 64, .help = "tags of every snapshot" },
	{ .key = "paths",
		.type = CONF_STRINGS,
		.min = 1,
		.max = PATHS_MAX,
		.help = "absolute paths of files and directories" },
	{ .key = "prefix", .type = CONF_STRING, .help = "stands for the one path in the backup" },
	{ .key = "exclude", .type = CONF_STRINGS, .help = "patterns that are left out" },
	{ .key = "exclude_caches",
		.type = CONF_BOOL,
		.help = "leave out what is in directories tagged as caches" },
	{ .key = "one_file_system",
		.type = CONF_BOOL,
		.help = "stay on the file systems of the paths" },
	{ .key = "conninfo",
		.type = CONF_STRING,
		.help = "connection string of the database server, without a password" },
	{ .key = "passfile",
		.type = CONF_STRING,
		.help = "absolute path of a password file, mode 0600" },
	{ .key = "tables",
		.type = CONF_STRING,
		.help = "LIKE pattern of the history tables in the truth manifest" },
	{ .key = NULL },
};

static const struct conf_option file_options[] = {
	{ .key = "sources",
		.type = CONF_GROUPS,
		.is_required = true,
		.min = 1,
		.max = SOURCES_MAX,
		.members = sources_conf_members,
		.help = "what this host backs up" },
	{ .key = NULL },
};

struct sources_conf {
	struct conf *conf; /* owned: every text lies in it; NULL = the caller keeps it */
	struct sources_conf_source *at;
	size_t count;
};

/* Keys that only one type has. */
static const struct {
	const char *key;
	enum sources_conf_type type;
} own_keys[] = {
	{ "paths", SOURCES_CONF_FILES },
	{ "prefix", SOURCES_CONF_FILES },
	{ "exclude", SOURCES_CONF_FILES },
	{ "exclude_caches", SOURCES_CONF_FILES },
	{ "one_file_system", SOURCES_CONF_FILES },
	{ "conninfo", SOURCES_CONF_POSTGRES },
	{ "passfile", SOURCES_CONF_POSTGRES },
	{ "tables", SOURCES_CONF_POSTGRES },
};

static const char *const *texts_of(const struct conf_node *g, const char *key, size_t *count)
{
	size_t n = conf_count(g, key);
	const char **texts = calloc(n + 1, sizeof(*texts));
	for (size_t i = 0; texts != NULL && i < n; i++)
		texts[i] = conf_item_text(g, key, i);
	*count = texts == NULL ? 0 : n;
	return texts;
}

static void check_keys(
	const struct conf_node *g, enum sources_conf_type type, struct conf_problems *problems)
{
	for (size_t i = 0; i < sizeof(own_keys) / sizeof(own_keys[0]); i++) {
		if (own_keys[i].type != type && conf_has(g, own_keys[i].key))
			conf_problems_add(problems, CONF_ERROR, conf_line(g, own_keys[i].key),
				"a source of type %s has no '%s'", types[type], own_keys[i].key);
	}
}

static void check_files(const struct conf_node *g, struct conf_problems *problems)
{
	size_t count = conf_count(g, "paths");
	if (count == 0)
		conf_problems_add(problems, CONF_ERROR, conf_node_line(g),
			"a source of type files needs 'paths'");
	for (size_t i = 0; i < count; i++) {
		if (conf_item_text(g, "paths", i)[0] != '/')
			conf_problems_add(problems, CONF_ERROR, conf_item_line(g, "paths", i),
				"path '%s' is not absolute", conf_item_text(g, "paths", i));
	}
	if (conf_has(g, "prefix") && count != 1)
		conf_problems_add(problems, CONF_ERROR, conf_line(g, "prefix"),
			"'prefix' goes with exactly one path");
	if (conf_number(g, "truth", 0) == SOURCES_CONF_TRUTH_TABLES)
		conf_problems_add(problems, CONF_ERROR, conf_line(g, "truth"),
			"truth 'tables' is for databases");
}

/* True for a password in any form: "password=..", user:..@ of a URI, an escaped parameter.  Without
 * libpq only the first is seen, and there is no connection either. */
static bool has_password(const char *conninfo)
{
	bool found = strstr(conninfo, "password") != NULL;
	if (libpq_load(NULL) != 0)
		return found;
	PQconninfoOption *options = libpq.PQconninfoParse(conninfo, NULL);
	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
		found = found || (o->val != NULL && strstr(o->keyword, "password") != NULL);
	libpq.PQconninfoFree(options);
	return found;
}

static void check_postgres(const struct conf_node *g, struct conf_problems *problems)
{
	const char *passfile = conf_text(g, "passfile");
	int64_t truth = conf_number(g, "truth", SOURCES_CONF_TRUTH_TABLES);
	struct err why = ERR_INIT;
	/* the other sources of this host are backed up all the same */
	if (libpq_load(&why) != 0)
		conf_problems_add(problems, CONF_WARNING, conf_node_line(g),
			"this source cannot be backed up: %s (%s)", why.msg, why.hint);
	if (!conf_has(g, "conninfo"))
		conf_problems_add(problems, CONF_ERROR, conf_node_line(g),
			"a source of type postgres needs 'conninfo'");
	else if (has_password(conf_text(g, "conninfo")))
		conf_problems_add(problems, CONF_ERROR, conf_line(g, "conninfo"),
			"a password does not belong here: use 'passfile'");
	if (passfile != NULL && passfile[0] != '/')
		conf_problems_add(problems, CONF_ERROR, conf_line(g, "passfile"),
			"path '%s' is not absolute", passfile);
	if (truth != SOURCES_CONF_TRUTH_TABLES && truth != SOURCES_CONF_TRUTH_NONE)
		conf_problems_add(problems, CONF_ERROR, conf_line(g, "truth"),
			"truth of a database is 'tables' or 'none'");
	if (conf_has(g, "consistency"))
		conf_problems_add(problems, CONF_ERROR, conf_line(g, "consistency"),
			"a base backup is always consistent by the application");
}

static int fill(const struct conf_node *g, struct sources_conf_source *s, struct err *err)
{
	s->name = conf_text(g, "name");
	s->type = (enum sources_conf_type)conf_number(g, "type", SOURCES_CONF_FILES);
	bool is_files = s->type == SOURCES_CONF_FILES;
	s->consistency =
		is_files ? (enum root_consistency)(conf_number(g, "consistency", 0) + ROOT_FUZZY)
			 : ROOT_APPLICATION;
	s->truth = (enum sources_conf_truth)conf_number(
		g, "truth", is_files ? SOURCES_CONF_TRUTH_NONE : SOURCES_CONF_TRUTH_TABLES);
	s->tags = texts_of(g, "tags", &s->tag_count);
	s->paths = texts_of(g, "paths", &s->path_count);
	s->exclude = texts_of(g, "exclude", &s->exclude_count);
	if (s->tags == NULL || s->paths == NULL || s->exclude == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	s->prefix = conf_text(g, "prefix");
	s->is_exclude_caches = conf_number(g, "exclude_caches", 0) != 0;
	s->is_one_file_system = conf_number(g, "one_file_system", 0) != 0;
	s->conninfo = conf_text(g, "conninfo");
	s->passfile = conf_text(g, "passfile");
	s->tables = conf_text(g, "tables");
	return 0;
}

void sources_conf_check(const struct conf_node *root, struct conf_problems *problems)
{
	for (size_t i = 0; i < conf_count(root, "sources"); i++) {
		const struct conf_node *g = conf_item(root, "sources", i);
		const char *name = conf_text(g, "name");
		for (size_t k = 0; name != NULL && k < i; k++) {
			const char *other = conf_text(conf_item(root, "sources", k), "name");
			if (other != NULL && strcmp(other, name) == 0)
				conf_problems_add(problems, CONF_ERROR, conf_line(g, "name"),
					"there are two sources '%s'", name);
		}
		if (!conf_has(g, "type"))
			continue; /* told by the reader */
		int64_t type = conf_number(g, "type", SOURCES_CONF_FILES);
		check_keys(g, (enum sources_conf_type)type, problems);
		if (type == SOURCES_CONF_FILES)
			check_files(g, problems);
		else
			check_postgres(g, problems);
	}
}

DEFINE_CLEANUP(struct sources_conf *, sources_conf_free)

static int fill_all(struct sources_conf *c, const struct conf_node *root, struct err *err)
{
	size_t count = conf_count(root, "sources");
	int rc = 0;
	c->at = calloc(count + 1, sizeof(*c->at));
	if (c->at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (; rc == 0 && c->count < count; c->count++)
		rc = fill(conf_item(root, "sources", c->count), &c->at[c->count], err);
	return rc;
}

int sources_conf_of(const struct conf_node *root, struct sources_conf **out, struct err *err)
{
	CLEANUP(sources_conf_free_p) struct sources_conf *c = calloc(1, sizeof(*c));
	int rc = c == NULL ? err_set(err, ERR_NOMEM, "out of memory") : fill_all(c, root, err);
	if (rc == 0)
		*out = TAKE(c);
	return rc;
}

int sources_conf_load(const char *path, struct sources_conf **out, struct conf_problems *problems,
	struct err *err)
{
	CLEANUP(sources_conf_free_p) struct sources_conf *c = calloc(1, sizeof(*c));
	CLEANUP(buf_done) struct buf text = BUF_INIT(CONF_MAX_BYTES);
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc == 0)
		rc = conf_parse(path, (const char *)text.data, text.len, file_options, &c->conf,
			problems, err);
	if (rc != 0)
		return rc;
	const struct conf_node *root = conf_root(c->conf);
	sources_conf_check(root, problems);
	conf_problems_sort(problems);
	rc = conf_problems_verdict(problems, "configuration", err);
	if (rc != 0)
		return rc;
	rc = fill_all(c, root, err);
	if (rc == 0)
		*out = TAKE(c);
	return rc;
}

void sources_conf_free(struct sources_conf *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->count; i++) {
		free((void *)(uintptr_t)c->at[i].tags); /* const for everybody else */
		free((void *)(uintptr_t)c->at[i].paths);
		free((void *)(uintptr_t)c->at[i].exclude);
	}
	free(c->at);
	conf_free(c->conf);
	free(c);
}

size_t sources_conf_count(const struct sources_conf *c)
{
	return c->count;
}

const struct sources_conf_source *sources_conf_at(const struct sources_conf *c, size_t i)
{
	return &c->at[i];
}

const struct sources_conf_source *sources_conf_find(const struct sources_conf *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->at[i].name, name) == 0)
			return &c->at[i];
	}
	return NULL;
}
