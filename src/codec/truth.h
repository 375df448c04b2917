/*
 * truth: the truth manifest: facts written down at the source when a backup is taken, with which
 * a drill compares what it restored.  Never computed from a backup.
 * Knows: the model, the comparison, and the one SQL text with which a historian table is summed up,
 * so that source and drill ask the same question.  The JSON form is truth_json's.
 * Hides: nothing.  No I/O.  Not thread-safe; a struct truth belongs to one thread at a time.
 *
 * A database table is summed up over the rows with t_stamp <= cutoff_ms.  The cutoff lies a little
 * before the capture, so that rows still being written then are outside.  A file that only grows
 * (append) is described by the prefix that was there.
 */
#ifndef CODEC_TRUTH_H
#define CODEC_TRUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

#define TRUTH_MAX_ITEMS ((size_t)2000000) /* files, batches or tables */
#define TRUTH_FINGERPRINT_BYTES 40        /* decimal digits, sign and NUL */
#define TRUTH_NO_TIME INT64_MIN           /* no business record, so no time */

struct truth_table {
	char *schema; /* owned, UTF-8 */
	char *name;   /* owned, UTF-8 */
	uint64_t rows;
	int64_t min_ms, max_ms; /* 0 when rows is 0 */
	char fingerprint[TRUTH_FINGERPRINT_BYTES];
};

struct truth_database {
	char *name;              /* of the database looked at; owned; NULL = not said */
	char *role;              /* that looked: it may read the tables; owned; or NULL */
	char *server_version;    /* "15.18 (Debian ...)"; owned */
	int server_version_num;  /* 150018 */
	uint64_t system_id;      /* of the cluster */
	bool has_data_checksums; /* pages carry checksums */
	int64_t cutoff_ms;       /* since 1970 UTC */
	int64_t newest_ms;       /* newest sample seen, beyond the cutoff too; or TRUTH_NO_TIME */
	struct truth_table *tables; /* sorted by schema, name once sealed */
	size_t table_count;
};

struct truth_file {
	char *path;    /* relative, '/' between components, any bytes but NUL; owned */
	uint64_t size; /* of the prefix when is_append */
	uint8_t sha256[32];
	bool is_append; /* grows at its end: a restored copy may be longer */
};

struct truth_batch {
	char *id; /* UTF-8; owned */
	bool is_running;
};

struct truth {
	int64_t taken_ms; /* when the facts were taken */
	bool has_database;
	struct truth_database database;
	bool has_files;
	struct truth_file *files; /* sorted by path bytes once sealed */
	size_t file_count;
	bool has_batches;
	struct truth_batch *batches; /* sorted by id once sealed */
	size_t batch_count;
	int64_t newest_ms; /* newest record in files or batches; or TRUTH_NO_TIME */
};

/* An empty manifest: no section, no time.  NULL when out of memory. */
struct truth *truth_new(void);
void truth_free(struct truth *t);

/* Append; strings are copied.  Return 0, -ERR_LIMIT (TRUTH_MAX_ITEMS) or -ERR_NOMEM. */
int truth_add_table(struct truth *t, const struct truth_table *table, struct err *err);
int truth_add_file(struct truth *t, const struct truth_file *file, struct err *err);
int truth_add_batch(struct truth *t, const struct truth_batch *batch, struct err *err);

/**
 * truth_seal(t, err):
 * Sort the lists.  Return 0, or -ERR_CORRUPT when a name occurs twice (it is named).
 */
int truth_seal(struct truth *t, struct err *err);

/* Called for each difference with a line of text; what it returns is added to nothing. */
typedef void truth_diff_fn(void *ctx, const char *text);

/**
 * truth_compare(want, got, diff, ctx):
 * Compare what was found in a restored copy (${got}) with the facts (${want}), section by section;
 * a section that ${want} has and ${got} lacks is a difference.  Tables: equal rows, bounds and
 * fingerprint at the same cutoff; newest sample not older.  Files: equal, or for append files at
 * least as long.  Batches: none missing, and a finished one still finished.  Tables, files and
 * batches only in ${got} are differences too.  ${diff} may be NULL.  Return their number.
 */
size_t truth_compare(
	const struct truth *want, const struct truth *got, truth_diff_fn *diff, void *ctx);

/* SQL that makes a session print values as truth_table_query() expects: run it first. */
const char *truth_session_query(void);

/**
 * truth_table_query(table, cutoff_ms, out, err):
 * Append the SELECT that sums up ${table}: one row of rows, min_ms, max_ms, fingerprint; and
 * newest_ms (NULL when empty).  Names are quoted.  Return as buf_add().
 */
int truth_table_query(
	const struct truth_table *table, int64_t cutoff_ms, struct buf *out, struct err *err);

#endif
