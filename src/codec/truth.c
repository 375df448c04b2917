#include "codec/truth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) A list's pointer is NULL exactly while its count is 0; capacity is the next power of two.
 * (2) After truth_seal() lists are sorted and free of doubles; compare relies on it.
 */

#define TRUTH_LINE_BYTES 1024

struct truth *truth_new(void)
{
	struct truth *t = calloc(1, sizeof(*t));
	if (t != NULL) {
		t->newest_ms = TRUTH_NO_TIME;
		t->database.newest_ms = TRUTH_NO_TIME;
	}
	return t;
}

void truth_free(struct truth *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->database.table_count; i++) {
		free(t->database.tables[i].schema);
		free(t->database.tables[i].name);
	}
	for (size_t i = 0; i < t->file_count; i++)
		free(t->files[i].path);
	for (size_t i = 0; i < t->batch_count; i++)
		free(t->batches[i].id);
	free(t->database.tables);
	free(t->database.name);
	free(t->database.role);
	free(t->database.server_version);
	free(t->files);
	free(t->batches);
	free(t);
}

/* Make room for one more of ${size} bytes in *${list} with ${count} in use. */
static int grow(void **list, size_t count, size_t size, struct err *err)
{
	if (count >= TRUTH_MAX_ITEMS)
		return err_set(
			err, ERR_LIMIT, "more than %zu items in a truth manifest", TRUTH_MAX_ITEMS);
	if ((count & (count - 1)) != 0)
		return 0;
	void *more = realloc(*list, (count == 0 ? 1 : count * 2) * size);
	if (more == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*list = more;
	return 0;
}

int truth_add_table(struct truth *t, const struct truth_table *table, struct err *err)
{
	CLEANUP(cleanup_free_p) char *schema = strdup(table->schema);
	CLEANUP(cleanup_free_p) char *name = strdup(table->name);
	if (schema == NULL || name == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct truth_database *d = &t->database;
	void *list = d->tables;
	int rc = grow(&list, d->table_count, sizeof(*table), err);
	if (rc != 0)
		return rc;
	d->tables = list;
	struct truth_table *slot = &d->tables[d->table_count++];
	*slot = *table;
	slot->schema = TAKE(schema);
	slot->name = TAKE(name);
	return 0;
}

int truth_add_file(struct truth *t, const struct truth_file *file, struct err *err)
{
	CLEANUP(cleanup_free_p) char *path = strdup(file->path);
	if (path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	void *list = t->files;
	int rc = grow(&list, t->file_count, sizeof(*file), err);
	if (rc != 0)
		return rc;
	t->files = list;
	struct truth_file *slot = &t->files[t->file_count++];
	*slot = *file;
	slot->path = TAKE(path);
	return 0;
}

int truth_add_batch(struct truth *t, const struct truth_batch *batch, struct err *err)
{
	CLEANUP(cleanup_free_p) char *id = strdup(batch->id);
	if (id == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	void *list = t->batches;
	int rc = grow(&list, t->batch_count, sizeof(*batch), err);
	if (rc != 0)
		return rc;
	t->batches = list;
	struct truth_batch *slot = &t->batches[t->batch_count++];
	*slot = *batch;
	slot->id = TAKE(id);
	return 0;
}

static int compare_tables(const void *a, const void *b)
{
	const struct truth_table *x = a, *y = b;
	int order = strcmp(x->schema, y->schema);
	return order != 0 ? order : strcmp(x->name, y->name);
}

static int compare_files(const void *a, const void *b)
{
	const struct truth_file *x = a, *y = b;
	return strcmp(x->path, y->path);
}

static int compare_batches(const void *a, const void *b)
{
	const struct truth_batch *x = a, *y = b;
	return strcmp(x->id, y->id);
}

/* Sort; return the first element that equals its successor, or NULL. */
static const void *sort(
	void *list, size_t count, size_t size, int (*order)(const void *, const void *))
{
	if (count > 1)
		qsort(list, count, size, order);
	for (size_t i = 1; i < count; i++) {
		const char *at = (const char *)list + i * size;
		if (order(at - size, at) == 0)
			return at;
	}
	return NULL;
}

int truth_seal(struct truth *t, struct err *err)
{
	const struct truth_table *table = sort(t->database.tables, t->database.table_count,
		sizeof(struct truth_table), compare_tables);
	if (table != NULL)
		return err_set(err, ERR_CORRUPT, "table '%s' occurs twice in a truth manifest",
			table->name);
	const struct truth_file *file =
		sort(t->files, t->file_count, sizeof(struct truth_file), compare_files);
	if (file != NULL)
		return err_set(
			err, ERR_CORRUPT, "file '%s' occurs twice in a truth manifest", file->path);
	const struct truth_batch *batch =
		sort(t->batches, t->batch_count, sizeof(struct truth_batch), compare_batches);
	if (batch != NULL)
		return err_set(
			err, ERR_CORRUPT, "batch '%s' occurs twice in a truth manifest", batch->id);
	return 0;
}

/* ---- comparison ---- */

struct diff {
	truth_diff_fn *fn;
	void *ctx;
	size_t count;
};

__attribute__((format(printf, 2, 3))) static void tell(struct diff *d, const char *fmt, ...)
{
	d->count++;
	if (d->fn == NULL)
		return;
	char text[TRUTH_LINE_BYTES];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap); /* cut is fine */
	va_end(ap);
	d->fn(d->ctx, text);
}

static void compare_table(
	const struct truth_table *want, const struct truth_table *got, struct diff *d)
{
	if (want->rows != got->rows)
		tell(d, "table '%s': %" PRIu64 " rows, expected %" PRIu64, want->name, got->rows,
			want->rows);
	if (want->min_ms != got->min_ms || want->max_ms != got->max_ms)
		tell(d,
			"table '%s': samples from %" PRId64 " to %" PRId64 " ms, expected %" PRId64
			" to %" PRId64,
			want->name, got->min_ms, got->max_ms, want->min_ms, want->max_ms);
	if (strcmp(want->fingerprint, got->fingerprint) != 0)
		tell(d, "table '%s': fingerprint %s, expected %s", want->name, got->fingerprint,
			want->fingerprint);
}

static void compare_database(
	const struct truth_database *want, const struct truth_database *got, struct diff *d)
{
	if (want->system_id != got->system_id)
		tell(d, "database cluster %" PRIu64 ", expected %" PRIu64, got->system_id,
			want->system_id);
	if (want->has_data_checksums && !got->has_data_checksums)
		tell(d, "database pages carry no checksums, expected them");
	if (want->cutoff_ms != got->cutoff_ms)
		tell(d, "database looked at up to %" PRId64 " ms, expected %" PRId64,
			got->cutoff_ms, want->cutoff_ms);
	if (want->newest_ms != TRUTH_NO_TIME && got->newest_ms < want->newest_ms)
		tell(d, "newest sample %" PRId64 " ms, expected %" PRId64 " or later",
			got->newest_ms, want->newest_ms);
	size_t i = 0, j = 0;
	while (i < want->table_count || j < got->table_count) {
		int order = i == want->table_count ? 1
			    : j == got->table_count
				    ? -1
				    : compare_tables(&want->tables[i], &got->tables[j]);
		if (order < 0)
			tell(d, "table '%s' is missing", want->tables[i].name);
		else if (order > 0)
			tell(d, "table '%s' was not expected", got->tables[j].name);
		else
			compare_table(&want->tables[i], &got->tables[j], d);
		i += order <= 0;
		j += order >= 0;
	}
}

static void compare_file(
	const struct truth_file *want, const struct truth_file *got, struct diff *d)
{
	if (want->is_append && got->size > want->size)
		return; /* only the prefix is known; whoever has the bytes hashes that */
	if (want->size != got->size)
		tell(d, "file '%s': %" PRIu64 " bytes, expected %" PRIu64 "%s", want->path,
			got->size, want->size, want->is_append ? " or more" : "");
	else if (memcmp(want->sha256, got->sha256, sizeof(want->sha256)) != 0)
		tell(d, "file '%s': content differs", want->path);
}

static void compare_file_lists(const struct truth *want, const struct truth *got, struct diff *d)
{
	size_t i = 0, j = 0;
	while (i < want->file_count || j < got->file_count) {
		int order = i == want->file_count  ? 1
			    : j == got->file_count ? -1
						   : compare_files(&want->files[i], &got->files[j]);
		if (order < 0)
			tell(d, "file '%s' is missing", want->files[i].path);
		else if (order > 0)
			tell(d, "file '%s' was not expected", got->files[j].path);
		else
			compare_file(&want->files[i], &got->files[j], d);
		i += order <= 0;
		j += order >= 0;
	}
}

static void compare_batch_lists(const struct truth *want, const struct truth *got, struct diff *d)
{
	size_t i = 0, j = 0;
	while (i < want->batch_count || j < got->batch_count) {
		int order = i == want->batch_count ? 1
			    : j == got->batch_count
				    ? -1
				    : compare_batches(&want->batches[i], &got->batches[j]);
		if (order < 0)
			tell(d, "batch '%s' is missing", want->batches[i].id);
		else if (order > 0)
			tell(d, "batch '%s' was not expected", got->batches[j].id);
		else if (!want->batches[i].is_running && got->batches[j].is_running)
			tell(d, "batch '%s' was finished and has no end now", want->batches[i].id);
		i += order <= 0;
		j += order >= 0;
	}
}

size_t truth_compare(
	const struct truth *want, const struct truth *got, truth_diff_fn *diff, void *ctx)
{
	struct diff d = { .fn = diff, .ctx = ctx };
	if (want->has_database && !got->has_database)
		tell(&d, "the database was not looked at");
	else if (want->has_database)
		compare_database(&want->database, &got->database, &d);
	if (want->has_files && !got->has_files)
		tell(&d, "the files were not looked at");
	else if (want->has_files)
		compare_file_lists(want, got, &d);
	if (want->has_batches && !got->has_batches)
		tell(&d, "the batches were not looked at");
	else if (want->has_batches)
		compare_batch_lists(want, got, &d);
	if (want->newest_ms != TRUTH_NO_TIME && got->newest_ms < want->newest_ms)
		tell(&d, "newest record %" PRId64 " ms, expected %" PRId64 " or later",
			got->newest_ms, want->newest_ms);
	return d.count;
}

/* ---- SQL ---- */

const char *truth_session_query(void)
{
	/* the fingerprint is taken over the text form of rows, so that form must not depend on
	 * the server's configuration; pg_catalog alone keeps planted functions out */
	return "SET search_path = pg_catalog; SET extra_float_digits = 1; "
	       "SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; "
	       "SET TimeZone = 'UTC'; SET bytea_output = 'hex'; "
	       "SET client_encoding = 'UTF8'";
}

/* Append ${name} as a quoted identifier. */
static int add_identifier(const char *name, struct buf *out, struct err *err)
{
	int rc = buf_add8(out, '"', err);
	for (const char *p = name; *p != '\0' && rc == 0; p++) {
		if (*p == '"')
			rc = buf_add8(out, '"', err);
		if (rc == 0)
			rc = buf_add8(out, (uint8_t)*p, err);
	}
	return rc == 0 ? buf_add8(out, '"', err) : rc;
}

int truth_table_query(
	const struct truth_table *table, int64_t cutoff_ms, struct buf *out, struct err *err)
{
	/* a sum of 64 hash bits per row: rows may come back in any order */
	int rc = buf_addf(out, err,
		"SELECT count(*) FILTER (WHERE t_stamp <= %" PRId64 ") AS rows, "
		"coalesce(min(t_stamp) FILTER (WHERE t_stamp <= %" PRId64 "), 0) AS min_ms, "
		"coalesce(max(t_stamp) FILTER (WHERE t_stamp <= %" PRId64 "), 0) AS max_ms, "
		"coalesce(sum(('x' || left(md5(whole_row::text), 16))::bit(64)::bigint) "
		"FILTER (WHERE t_stamp <= %" PRId64 "), 0)::text AS fingerprint, "
		"max(t_stamp) AS newest_ms FROM ",
		cutoff_ms, cutoff_ms, cutoff_ms, cutoff_ms);
	if (rc == 0)
		rc = add_identifier(table->schema, out, err);
	if (rc == 0)
		rc = buf_add8(out, '.', err);
	if (rc == 0)
		rc = add_identifier(table->name, out, err);
	return rc == 0 ? buf_add(out, " AS whole_row", 13, err) : rc;
}
