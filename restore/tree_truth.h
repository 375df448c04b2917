/*
 * tree_truth: the truth manifest of a file tree, taken at the source: every regular file with size
 * and SHA-256; for batch records also the batch ids, which of them still run, and the newest
 * business time.
 * Knows: a batch is a directory that holds journal.evt; the journal's lines begin with a time
 * (RFC 3339) and a tab, and its last line says "End Of BATCH" once the batch is finished.
 * Follows no symbolic link and looks at nothing but directories and regular files.
 */
#ifndef RESTORE_TREE_TRUTH_H
#define RESTORE_TREE_TRUTH_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct truth;

#define TREE_TRUTH_JOURNAL "journal.evt"
#define TREE_TRUTH_END "End Of BATCH"
#define TREE_TRUTH_DEPTH 64

struct tree_truth_opts {
	const char *prefix; /* put before every path with a '/'; NULL = none */
	bool has_batches;   /* the tree holds batch records */
	/* Told of what vanished or cannot be read, which is then left out; NULL = that is an error.
	 * ${path} is as in the manifest. */
	void (*on_left)(void *arg, const char *path, size_t len, const char *why);
	void *arg;
};

/**
 * tree_truth_add(dirfd, opts, t, err):
 * Walk the tree below ${dirfd} (borrowed) and add it to ${t}, which is sealed by the caller after
 * the last tree.  A file that grows meanwhile is taken as long as it was when opened.
 * Return 0, -ERR_IO (without on_left: what vanished or cannot be read; it is named) or -ERR_LIMIT.
 */
int tree_truth_add(int dirfd, const struct tree_truth_opts *opts, struct truth *t, struct err *err);

#endif
