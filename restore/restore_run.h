/*
 * restore_run: walks the tree of an opened snapshot in key order and gives what is selected to a
 * restore writer, every file's content compared with the digest taken at backup.
 * Knows: selection by path and by the caller's rule, ancestors.  Hides: records, extents.
 * Not thread-safe.
 */
#ifndef RESTORE_RESTORE_RUN_H
#define RESTORE_RESTORE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct err;
struct record_source;
struct ref;
struct restore_writer;

/* What a rule says of an entry. */
enum restore_run_choice {
	RESTORE_RUN_TAKE,  /* restore it */
	RESTORE_RUN_PASS,  /* not this one; what is below is asked */
	RESTORE_RUN_PRUNE, /* not this one and nothing below */
};

/* One selected path; "" (length 0) is everything. */
struct restore_run_path {
	const uint8_t *key; /* borrowed */
	size_t key_len;
	bool is_found; /* set by the run */
};

struct restore_run_progress {
	uint64_t files, bytes;
};

struct restore_run_opts {
	const struct record_source *source; /* borrowed */
	const struct ref *top;              /* of the tree */
	struct restore_writer *writer;      /* borrowed; NULL = only count */
	struct restore_run_path *paths;     /* NULL = everything */
	size_t path_count;
	void *arg;
	/* OPTIONAL rule. */
	enum restore_run_choice (*choose)(void *arg, const uint8_t *key, size_t len, bool is_dir);
	/* OPTIONAL: something was left out.  ${key} is NULL when it is more than one entry. */
	void (*on_problem)(void *arg, const uint8_t *key, size_t len, const struct err *why);
	/* OPTIONAL. */
	void (*on_progress)(void *arg, const struct restore_run_progress *p);
	/* OPTIONAL: return true to stop early (-ERR_INTERRUPTED). */
	bool (*is_stopped)(void *arg);
};

struct restore_run_result {
	uint64_t files, dirs, others; /* restored, kept or (dry run) counted */
	uint64_t bytes;               /* of content */
	uint64_t damaged;             /* left out: the vault's copy is not what was backed up */
	uint64_t failed;              /* left out: the target did not take it */
};

/**
 * restore_run_tree(opts, out, err):
 * Restore and, when ${opts}->writer is there, restore_writer_finish().  Damaged and refused
 * entries are told and counted, the run goes on.  *${out} is filled also on failure.
 * Return 0 (look at damaged and failed), -ERR_INTERRUPTED, -ERR_NOSPACE, or what the store says.
 */
int restore_run_tree(
	const struct restore_run_opts *opts, struct restore_run_result *out, struct err *err);

#endif
