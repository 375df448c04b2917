/*
 * backup_source: what one backup reads: paths, standard input, or a source of a configuration file,
 * captured first where it must be.  The kinds of source are listed here and nowhere else.
 * Hides: staging, filters, how a source is named.  One thread.
 */
#ifndef CMD_BACKUP_SOURCE_H
#define CMD_BACKUP_SOURCE_H

#include <stddef.h>

#include "agents/source.h"
#include "vault/root.h"

struct backup_source;
struct cli;
struct err;

/**
 * backup_source_new(cli, host, out, err):
 * Read what the command line asks for and name it; nothing is captured yet.  Return 0, -ERR_USAGE,
 * -ERR_CONFIG (told line by line on standard error) or -ERR_NOT_FOUND.
 */
int backup_source_new(
	struct cli *cli, const char *host, struct backup_source **out, struct err *err);

/* End it and remove what was staged. */
void backup_source_free(struct backup_source *s);

/* The name of the chain of snapshots; borrowed until free, as everything below. */
const char *backup_source_name(const struct backup_source *s);

/**
 * backup_source_capture(s, staging, own, own_count, err):
 * Take the truth manifest and, for a database, its copy into the new directory ${staging}
 * (borrowed); then the source can be read.  ${own}: directories that are never backed up.
 * Return 0 or what the source says.
 */
int backup_source_capture(struct backup_source *s, const char *staging, const char *const *own,
	size_t own_count, struct err *err);

/* After capture. */
const struct source *backup_source_source(const struct backup_source *s);
enum root_consistency backup_source_consistency(const struct backup_source *s);
/* The truth manifest as JSON; NULL = none. */
const void *backup_source_truth(const struct backup_source *s, size_t *len);

/* For the label. */
char *const *backup_source_paths(const struct backup_source *s, size_t *count);
char *const *backup_source_tags(const struct backup_source *s, size_t *count);

#endif
