/*
 * postgres_dir: a base backup received into a staging directory that a files backup reads next.
 * Hides: the sink.  Nothing is synced: a staging directory that a crash tore is thrown away.
 */
#ifndef AGENTS_SOURCES_POSTGRES_DIR_H
#define AGENTS_SOURCES_POSTGRES_DIR_H

struct err;
struct pg_conn_opts;
struct postgres_info;

/**
 * postgres_dir_capture(opts, dirfd, name, info, err):
 * Make the directory ${name} (0700, must not exist) inside ${dirfd} and receive a base backup
 * there.  The room it needs is asked for first.  On failure the directory is left as it is, for
 * the caller to remove.  ${info} may be NULL.
 * Return 0, -ERR_EXISTS, -ERR_NOSPACE, -ERR_IO, or as postgres_capture().
 */
int postgres_dir_capture(const struct pg_conn_opts *opts, int dirfd, const char *name,
	struct postgres_info *info, struct err *err);

#endif
