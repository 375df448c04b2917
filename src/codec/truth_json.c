#include "codec/truth_json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "codec/truth.h"

/*
 * The JSON form.  What is absent is absent: no section, bound or time is written as null.
 *
 * INVARIANTS
 * (1) The system identifier is a string: it does not fit a JSON number that others parse as double.
 * (2) A path that is not UTF-8 is {"base64": ..}; parsing gives the same bytes back.
 * (3) Every function here that takes a json_t borrows it, but put() consumes.
 */

#define TRUTH_PATH_BYTES 65536

/* Consume ${value}; 0 also for a NULL value is never returned. */
static int put(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value);
}

static json_t *time_value(int64_t ms)
{
	char text[HUMAN_BYTES];
	return json_string(human_time_utc(text, ms * 1000000));
}

static json_t *table_value(const struct truth_table *t)
{
	json_t *o = json_object();
	int bad = o == NULL;
	bad |= put(o, "schema", json_string(t->schema));
	bad |= put(o, "name", json_string(t->name));
	bad |= put(o, "rows", json_integer((json_int_t)t->rows));
	if (t->rows > 0) {
		bad |= put(o, "min_ms", json_integer(t->min_ms));
		bad |= put(o, "max_ms", json_integer(t->max_ms));
	}
	bad |= put(o, "fingerprint", json_string(t->fingerprint));
	if (bad != 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *database_value(const struct truth_database *d)
{
	char id[24];
	(void)snprintf(id, sizeof(id), "%" PRIu64, d->system_id); /* fits */
	json_t *o = json_object();
	json_t *tables = json_array();
	int bad = o == NULL || tables == NULL;
	bad |= put(o, "kind", json_string("postgresql"));
	if (d->name != NULL)
		bad |= put(o, "name", json_string(d->name));
	if (d->role != NULL)
		bad |= put(o, "role", json_string(d->role));
	bad |= put(o, "server_version", json_string(d->server_version));
	bad |= put(o, "server_version_num", json_integer(d->server_version_num));
	bad |= put(o, "system_identifier", json_string(id));
	bad |= put(o, "data_checksums", json_boolean(d->has_data_checksums));
	bad |= put(o, "cutoff_ms", json_integer(d->cutoff_ms));
	bad |= put(o, "fingerprint_rule", json_string(TRUTH_JSON_FINGERPRINT_RULE));
	if (d->newest_ms != TRUTH_NO_TIME)
		bad |= put(o, "newest_ms", json_integer(d->newest_ms));
	for (size_t i = 0; i < d->table_count; i++)
		bad |= json_array_append_new(tables, table_value(&d->tables[i]));
	bad |= put(o, "tables", tables);
	if (bad != 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *files_value(const struct truth *t)
{
	json_t *list = json_array();
	int bad = list == NULL;
	for (size_t i = 0; i < t->file_count; i++) {
		const struct truth_file *f = &t->files[i];
		char hex[65];
		text_hex(f->sha256, sizeof(f->sha256), hex);
		json_t *o = json_object();
		bad |= put(o, "path", jsonx_name(f->path, strlen(f->path)));
		bad |= put(o, "size", json_integer((json_int_t)f->size));
		bad |= put(o, "sha256", json_string(hex));
		if (f->is_append)
			bad |= put(o, "append", json_true());
		bad |= json_array_append_new(list, o);
	}
	if (bad != 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *batches_value(const struct truth *t)
{
	json_t *list = json_array();
	int bad = list == NULL;
	for (size_t i = 0; i < t->batch_count; i++) {
		json_t *o = json_object();
		bad |= put(o, "id", json_string(t->batches[i].id));
		bad |= put(
			o, "state", json_string(t->batches[i].is_running ? "running" : "finished"));
		bad |= json_array_append_new(list, o);
	}
	if (bad != 0) {
		json_decref(list);
		return NULL;
	}
	return list;
}

int truth_json_format(const struct truth *t, struct buf *out, struct err *err)
{
	json_t *root = json_object();
	int bad = root == NULL;
	bad |= put(root, "schema", json_string(TRUTH_JSON_SCHEMA));
	bad |= put(root, "taken_at", time_value(t->taken_ms));
	if (t->newest_ms != TRUTH_NO_TIME)
		bad |= put(root, "newest_ms", json_integer(t->newest_ms));
	if (t->has_database)
		bad |= put(root, "database", database_value(&t->database));
	if (t->has_files)
		bad |= put(root, "files", files_value(t));
	if (t->has_batches)
		bad |= put(root, "batches", batches_value(t));
	int rc = bad != 0 ? err_set(err, ERR_NOMEM, "unable to build a truth manifest")
			  : jsonx_encode(root, out, err);
	json_decref(root);
	return rc == 0 ? buf_add8(out, '\n', err) : rc;
}

/* ---- parsing ---- */

static int bad_member(const char *where, const char *key, struct err *err)
{
	return err_set(
		err, ERR_CORRUPT, "truth manifest: %s: '%s' is missing or wrong", where, key);
}

/* Borrowed text of ${key}, or NULL with the error set. */
static const char *get_text(const json_t *o, const char *where, const char *key, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	const char *s = json_string_value(v);
	if (s == NULL || strlen(s) != json_string_length(v)) {
		(void)bad_member(where, key, err); /* the caller returns the code */
		return NULL;
	}
	return s;
}

static int get_int(
	const json_t *o, const char *where, const char *key, int64_t *out, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	if (!json_is_integer(v))
		return bad_member(where, key, err);
	*out = json_integer_value(v);
	return 0;
}

static int get_size(
	const json_t *o, const char *where, const char *key, uint64_t *out, struct err *err)
{
	int64_t v = 0;
	int rc = get_int(o, where, key, &v, err);
	if (rc == 0 && v < 0)
		rc = bad_member(where, key, err);
	if (rc == 0)
		*out = (uint64_t)v;
	return rc;
}

/* The list ${key} of at most TRUTH_MAX_ITEMS objects. */
static int get_list(
	const json_t *o, const char *where, const char *key, const json_t **out, struct err *err)
{
	const json_t *v = json_object_get(o, key);
	if (!json_is_array(v) || json_array_size(v) > TRUTH_MAX_ITEMS)
		return bad_member(where, key, err);
	*out = v;
	return 0;
}

static bool is_decimal(const char *s)
{
	s += *s == '-';
	size_t n = strspn(s, "0123456789");
	return n > 0 && s[n] == '\0';
}

static int parse_table(const json_t *o, struct truth *t, struct err *err)
{
	struct truth_table table = { .rows = 0 };
	const char *schema = get_text(o, "table", "schema", err);
	const char *name = schema == NULL ? NULL : get_text(o, "table", "name", err);
	const char *print = name == NULL ? NULL : get_text(o, "table", "fingerprint", err);
	if (print == NULL)
		return -ERR_CORRUPT;
	if (!is_decimal(print) || strlen(print) >= sizeof(table.fingerprint))
		return bad_member(name, "fingerprint", err);
	memcpy(table.fingerprint, print, strlen(print) + 1);
	int rc = get_size(o, name, "rows", &table.rows, err);
	if (rc == 0 && table.rows > 0)
		rc = get_int(o, name, "min_ms", &table.min_ms, err);
	if (rc == 0 && table.rows > 0)
		rc = get_int(o, name, "max_ms", &table.max_ms, err);
	if (rc != 0)
		return rc;
	CLEANUP(cleanup_free_p) char *s = strdup(schema);
	CLEANUP(cleanup_free_p) char *n = strdup(name);
	if (s == NULL || n == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	table.schema = s; /* copied by truth_add_table() */
	table.name = n;
	return truth_add_table(t, &table, err);
}

static int parse_identifier(const json_t *o, uint64_t *out, struct err *err)
{
	const char *text = get_text(o, "database", "system_identifier", err);
	if (text == NULL)
		return -ERR_CORRUPT;
	if (!is_decimal(text) || text[0] == '-' || strlen(text) > 20)
		return bad_member("database", "system_identifier", err);
	*out = strtoull(text, NULL, 10);
	return 0;
}

/* A name that may be absent; *${out} is owned. */
static int get_name(const json_t *o, const char *key, char **out, struct err *err)
{
	if (json_object_get(o, key) == NULL)
		return 0;
	const char *text = get_text(o, "database", key, err);
	if (text == NULL)
		return -ERR_CORRUPT;
	*out = strdup(text);
	return *out == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int parse_database(const json_t *o, struct truth *t, struct err *err)
{
	struct truth_database *d = &t->database;
	int64_t number = 0;
	const char *kind = get_text(o, "database", "kind", err);
	const char *version = kind == NULL ? NULL : get_text(o, "database", "server_version", err);
	const char *rule =
		version == NULL ? NULL : get_text(o, "database", "fingerprint_rule", err);
	if (rule == NULL)
		return -ERR_CORRUPT;
	if (strcmp(kind, "postgresql") != 0 || strcmp(rule, TRUTH_JSON_FINGERPRINT_RULE) != 0)
		return err_set(err, ERR_UNSUPPORTED,
			"truth manifest: database '%s' with fingerprints '%s' is not known", kind,
			rule);
	d->server_version = strdup(version);
	if (d->server_version == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = get_name(o, "name", &d->name, err);
	if (rc == 0)
		rc = get_name(o, "role", &d->role, err);
	if (rc == 0)
		rc = get_int(o, "database", "server_version_num", &number, err);
	if (rc == 0 && (number < 0 || number > INT32_MAX))
		rc = bad_member("database", "server_version_num", err);
	d->server_version_num = (int)number;
	if (rc == 0)
		rc = parse_identifier(o, &d->system_id, err);
	if (rc == 0)
		rc = get_int(o, "database", "cutoff_ms", &d->cutoff_ms, err);
	if (rc == 0 && json_object_get(o, "newest_ms") != NULL)
		rc = get_int(o, "database", "newest_ms", &d->newest_ms, err);
	const json_t *sums = json_object_get(o, "data_checksums");
	if (rc == 0 && !json_is_boolean(sums))
		rc = bad_member("database", "data_checksums", err);
	d->has_data_checksums = json_is_true(sums);
	const json_t *list = NULL;
	if (rc == 0)
		rc = get_list(o, "database", "tables", &list, err);
	for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
		rc = parse_table(json_array_get(list, i), t, err);
	t->has_database = true;
	return rc;
}

/* Append the bytes of a name made by jsonx_name(), and a NUL. */
static int parse_path(const json_t *o, struct buf *out, struct err *err)
{
	const json_t *v = json_object_get(o, "path");
	const json_t *coded = json_is_object(v) ? json_object_get(v, "base64") : NULL;
	int rc = 0;
	if (json_is_string(v))
		rc = buf_add(out, json_string_value(v), json_string_length(v), err);
	else if (json_is_string(coded) && json_object_size(v) == 1)
		rc = text_unbase64(json_string_value(coded), json_string_length(coded), out, err);
	else
		return bad_member("files", "path", err);
	if (rc == 0 && (out->len == 0 || memchr(out->data, '\0', out->len) != NULL))
		return bad_member("files", "path", err);
	return rc == 0 ? buf_add8(out, 0, err) : rc;
}

static int parse_file(const json_t *o, struct truth *t, struct err *err)
{
	CLEANUP(buf_done) struct buf path = BUF_INIT(TRUTH_PATH_BYTES);
	struct truth_file f = { .is_append = json_is_true(json_object_get(o, "append")) };
	int rc = parse_path(o, &path, err);
	if (rc != 0)
		return rc;
	f.path = (char *)path.data; /* copied by truth_add_file() */
	rc = get_size(o, f.path, "size", &f.size, err);
	if (rc != 0)
		return rc;
	const char *hex = get_text(o, f.path, "sha256", err);
	if (hex == NULL)
		return -ERR_CORRUPT;
	if (strlen(hex) != 64 || text_unhex(hex, 32, f.sha256) != 0)
		return bad_member(f.path, "sha256", err);
	return truth_add_file(t, &f, err);
}

static int parse_batch(const json_t *o, struct truth *t, struct err *err)
{
	const char *id = get_text(o, "batches", "id", err);
	const char *state = id == NULL ? NULL : get_text(o, id, "state", err);
	if (state == NULL)
		return -ERR_CORRUPT;
	bool is_running = strcmp(state, "running") == 0;
	if (!is_running && strcmp(state, "finished") != 0)
		return bad_member(id, "state", err);
	CLEANUP(cleanup_free_p) char *copy = strdup(id);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct truth_batch b = { .id = copy, .is_running = is_running };
	return truth_add_batch(t, &b, err);
}

static int parse_sections(const json_t *root, struct truth *t, struct err *err)
{
	int64_t ns;
	const char *taken = get_text(root, "top", "taken_at", err);
	if (taken == NULL)
		return -ERR_CORRUPT;
	if (human_parse_time(taken, &ns) != 0)
		return bad_member("top", "taken_at", err);
	t->taken_ms = ns / 1000000;
	int rc = 0;
	if (json_object_get(root, "newest_ms") != NULL)
		rc = get_int(root, "top", "newest_ms", &t->newest_ms, err);
	const json_t *part = json_object_get(root, "database");
	if (rc == 0 && part != NULL)
		rc = parse_database(part, t, err);
	t->has_files = json_object_get(root, "files") != NULL;
	if (rc == 0 && t->has_files)
		rc = get_list(root, "top", "files", &part, err);
	for (size_t i = 0; rc == 0 && t->has_files && i < json_array_size(part); i++)
		rc = parse_file(json_array_get(part, i), t, err);
	t->has_batches = json_object_get(root, "batches") != NULL;
	if (rc == 0 && t->has_batches)
		rc = get_list(root, "top", "batches", &part, err);
	for (size_t i = 0; rc == 0 && t->has_batches && i < json_array_size(part); i++)
		rc = parse_batch(json_array_get(part, i), t, err);
	return rc;
}

DEFINE_CLEANUP(struct truth *, truth_free)
DEFINE_CLEANUP(json_t *, json_decref)

int truth_json_parse(const void *data, size_t len, struct truth **out, struct err *err)
{
	if (len > TRUTH_JSON_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "truth manifest: %zu bytes are too many", len);
	CLEANUP(json_decref_p) json_t *root = NULL;
	CLEANUP(truth_free_p) struct truth *t = truth_new();
	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = jsonx_parse(data, len, "truth manifest", &root, err);
	if (rc != 0)
		return rc;
	const char *schema = get_text(root, "top", "schema", err);
	if (schema == NULL)
		return -ERR_CORRUPT;
	if (strcmp(schema, TRUTH_JSON_SCHEMA) != 0)
		return err_set(
			err, ERR_UNSUPPORTED, "truth manifest: schema '%s' is not known", schema);
	rc = parse_sections(root, t, err);
	if (rc == 0)
		rc = truth_seal(t, err);
	if (rc != 0)
		return rc;
	*out = TAKE(t);
	return 0;
}
