/*
 * sources_conf: the configuration file that names what a host backs up: a list `sources` of groups
 * with name, type and what the type needs (docs/CLI.md, "Sources").
 * Threading: a loaded list does not change.
 */
#ifndef AGENTS_SOURCES_CONF_H
#define AGENTS_SOURCES_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "vault/root.h"

struct conf_problems;
struct err;
struct sources_conf;

enum sources_conf_type { SOURCES_CONF_FILES, SOURCES_CONF_POSTGRES };

/* What truth manifest is taken at capture. */
enum sources_conf_truth {
	SOURCES_CONF_TRUTH_NONE,
	SOURCES_CONF_TRUTH_FILES,   /* every file with size and hash */
	SOURCES_CONF_TRUTH_BATCHES, /* and batch ids */
	SOURCES_CONF_TRUTH_TABLES,  /* postgres: rows and bounds of the history tables */
};

/* One source; texts are borrowed from the list. */
struct sources_conf_source {
	const char *name;
	enum sources_conf_type type;
	enum root_consistency consistency;
	enum sources_conf_truth truth;
	const char *const *tags;
	size_t tag_count;
	/* SOURCES_CONF_FILES */
	const char *const *paths; /* absolute */
	size_t path_count;
	const char *prefix; /* stands for the one path in the backup; NULL = the path itself */
	const char *const *exclude;
	size_t exclude_count;
	bool is_exclude_caches, is_one_file_system;
	/* SOURCES_CONF_POSTGRES */
	const char *conninfo;
	const char *passfile; /* absolute, or NULL */
	const char *tables;   /* LIKE pattern of the history tables, or NULL */
};

/**
 * sources_conf_load(path, out, problems, err):
 * Read ${path}; everything wrong goes to ${problems} (initialised by the caller, who ends it).
 * Return 0 and an owned *${out}, -ERR_CONFIG, -ERR_NOT_FOUND, -ERR_LIMIT or -ERR_IO.
 */
int sources_conf_load(const char *path, struct sources_conf **out, struct conf_problems *problems,
	struct err *err);

/* For a file that has a list `sources` among other things: the table of its members; what goes
 * beyond the table (${root}: the group with the list); and the list itself, whose texts lie in the
 * caller's configuration.  Return 0 or -ERR_NOMEM. */
extern const struct conf_option sources_conf_members[];
void sources_conf_check(const struct conf_node *root, struct conf_problems *problems);
int sources_conf_of(const struct conf_node *root, struct sources_conf **out, struct err *err);

void sources_conf_free(struct sources_conf *c);

size_t sources_conf_count(const struct sources_conf *c);
/* Borrowed until free. */
const struct sources_conf_source *sources_conf_at(const struct sources_conf *c, size_t i);
/* The source called ${name}, or NULL. */
const struct sources_conf_source *sources_conf_find(const struct sources_conf *c, const char *name);

#endif
