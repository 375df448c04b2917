#include "db/db_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "db/db_driver.h"

/*
 * INVARIANTS
 * (1) The file is locked for this process from open to close (locking_mode=EXCLUSIVE before the
 *     first access), and the one connection writes and checkpoints: SQLite before 3.51.3 can lose
 *     pages of the log when two connections do.
 * (2) A statement in the cache is either free (reset, nothing bound) or is_busy with one caller.
 * (3) Once a transaction is committed it is on the disk (synchronous=FULL).
 */

#define CACHE_STATEMENTS 64
#define MAX_VALUE_BYTES (64 << 20)
#define MAX_PATH_BYTES 4096
#define LOCK_WAIT_MS 2000 /* for who reads or copies it, or ends */

struct statement {
	char *sql; /* owned */
	sqlite3_stmt *stmt;
	uint64_t used; /* when last: the oldest makes room */
	bool is_busy;
	bool is_cached;
};

struct sqlite {
	sqlite3 *handle;
	char path[MAX_PATH_BYTES];
	struct statement *cache[CACHE_STATEMENTS];
	uint64_t uses;
};

struct sqlite_rows {
	struct db_rows head;
	struct sqlite *s;
	struct statement *st;
};

/* ---- errors -----------------------------------------------------------------------------------
 */

static enum err_code code_of(sqlite3 *handle, int rc)
{
	int os = sqlite3_system_errno(handle);
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_FULL:
		return ERR_NOSPACE;
	case SQLITE_IOERR:
		return os == ENOSPC || os == EDQUOT || os == EFBIG ? ERR_NOSPACE : ERR_IO;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return ERR_IO;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_READONLY:
		return ERR_READONLY;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY
			       ? ERR_EXISTS
			       : ERR_FAILED;
	default:
		return ERR_FAILED;
	}
}

static int fail(const struct sqlite *s, int rc, struct err *err)
{
	enum err_code code = code_of(s->handle, rc);
	switch ((int)code) {
	case ERR_BUSY:
		(void)err_set(err, code, "catalog %s is in use by another process", s->path);
		return err_hint(err, "stop the controller that holds it, or ask that controller");
	case ERR_CORRUPT:
		(void)err_set(
			err, code, "catalog %s is damaged: %s", s->path, sqlite3_errmsg(s->handle));
		return err_hint(err, "stop the controller, move the file away and run 'holdfast "
				     "catalog rebuild', or put back a copy of it");
	case ERR_NOSPACE:
		(void)err_set(err, code, "no space left for catalog %s: %s", s->path,
			sqlite3_errmsg(s->handle));
		return err_hint(err, "make room on its disk; what was not acknowledged is undone");
	default:
		return err_set(err, code, "catalog %s: %s", s->path, sqlite3_errmsg(s->handle));
	}
}

/* ---- statements -------------------------------------------------------------------------------
 */

static void free_statement(struct statement *st)
{
	if (st == NULL)
		return;
	(void)sqlite3_finalize(st->stmt); /* tells the error of the last step again */
	free(st->sql);
	free(st);
}

DEFINE_CLEANUP(struct statement *, free_statement)

static int prepare(struct sqlite *s, const char *sql, struct statement **out, struct err *err)
{
	CLEANUP(free_statement_p) struct statement *st = calloc(1, sizeof(*st));
	if (st == NULL || (st->sql = strdup(sql)) == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a statement");
	const char *tail = "";
	int rc =
		sqlite3_prepare_v3(s->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->stmt, &tail);
	if (rc != SQLITE_OK)
		return fail(s, rc, err);
	if (st->stmt == NULL || tail[strspn(tail, " \t\n;")] != '\0')
		return err_set(err, ERR_FAILED, "not one statement: %s", sql);
	*out = TAKE(st);
	return 0;
}

/* Where a new statement may stay: a free place, or that of the oldest not in use; NULL = none. */
static struct statement **find_place(struct sqlite *s)
{
	struct statement **place = NULL;
	for (size_t i = 0; i < CACHE_STATEMENTS; i++) {
		struct statement **at = &s->cache[i];
		if (*at == NULL)
			return at;
		if (!(*at)->is_busy && (place == NULL || (*at)->used < (*place)->used))
			place = at;
	}
	return place;
}

static int take_statement(
	struct sqlite *s, const char *sql, struct statement **out, struct err *err)
{
	struct statement *st = NULL;
	for (size_t i = 0; st == NULL && i < CACHE_STATEMENTS; i++) {
		struct statement *at = s->cache[i];
		if (at != NULL && !at->is_busy && strcmp(at->sql, sql) == 0)
			st = at;
	}
	if (st == NULL) {
		int rc = prepare(s, sql, &st, err);
		if (rc != 0)
			return rc;
		struct statement **place = find_place(s);
		if (place != NULL) {
			free_statement(*place);
			*place = st;
			st->is_cached = true;
		}
	}
	st->is_busy = true;
	st->used = ++s->uses;
	*out = st;
	return 0;
}

static void release_statement(struct statement *st)
{
	(void)sqlite3_reset(st->stmt);          /* tells the error of the last step again */
	(void)sqlite3_clear_bindings(st->stmt); /* cannot fail */
	st->is_busy = false;
	if (!st->is_cached)
		free_statement(st);
}

static int bind_value(
	sqlite3_stmt *stmt, int index, const struct db_value *v, sqlite3_destructor_type how)
{
	const void *data = v->data != NULL ? v->data : "";
	switch (v->kind) {
	case DB_INT:
		return sqlite3_bind_int64(stmt, index, v->number);
	case DB_TEXT:
		return sqlite3_bind_text64(stmt, index, data, v->len, how, SQLITE_UTF8);
	case DB_BYTES:
		return sqlite3_bind_blob64(stmt, index, data, v->len, how);
	case DB_NULL:
		break;
	}
	return sqlite3_bind_null(stmt, index);
}

/* "$7" -> 7; 0 = no parameter of ours. */
static size_t number_of(const char *name)
{
	size_t n = 0;
	if (name == NULL || name[0] != '$' || name[1] == '\0' || strlen(name) > 4)
		return 0;
	for (const char *p = name + 1; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return 0;
		n = n * 10 + (size_t)(*p - '0');
	}
	return n;
}

static int bind_all(struct sqlite *s, const struct statement *st, const struct db_value *args,
	size_t count, sqlite3_destructor_type how, struct err *err)
{
	int places = sqlite3_bind_parameter_count(st->stmt);
	if ((size_t)places != count)
		return err_set(err, ERR_FAILED, "%d parameters but %zu arguments: %s", places,
			count, st->sql);
	for (int i = 1; i <= places; i++) {
		size_t n = number_of(sqlite3_bind_parameter_name(st->stmt, i));
		if (n == 0 || n > count)
			return err_set(err, ERR_FAILED, "parameter without argument: %s", st->sql);
		int rc = bind_value(st->stmt, i, &args[n - 1], how);
		if (rc != SQLITE_OK)
			return fail(s, rc, err);
	}
	return 0;
}

static int sqlite_run(void *self, const char *sql, const struct db_value *args, size_t count,
	int64_t *changed, struct err *err)
{
	struct sqlite *s = self;
	struct statement *st = NULL;
	int rc = take_statement(s, sql, &st, err);
	if (rc != 0)
		return rc;
	rc = bind_all(s, st, args, count, SQLITE_STATIC, err);
	if (rc == 0) {
		int step;
		while ((step = sqlite3_step(st->stmt)) == SQLITE_ROW)
			;
		if (step != SQLITE_DONE)
			rc = fail(s, step, err);
		else if (changed != NULL)
			*changed =
				sqlite3_stmt_readonly(st->stmt) ? 0 : sqlite3_changes64(s->handle);
	}
	release_statement(st);
	return rc;
}

static int sqlite_query(void *self, const char *sql, const struct db_value *args, size_t count,
	struct db_rows **out, struct err *err)
{
	struct sqlite *s = self;
	struct sqlite_rows *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a query");
	r->s = s;
	int rc = take_statement(s, sql, &r->st, err);
	if (rc == 0) {
		rc = bind_all(s, r->st, args, count, SQLITE_TRANSIENT, err);
		if (rc != 0)
			release_statement(r->st);
	}
	if (rc != 0) {
		free(r);
		return rc;
	}
	*out = &r->head;
	return 0;
}

static int sqlite_next(struct db_rows *head, struct err *err)
{
	const struct sqlite_rows *r = (const struct sqlite_rows *)head;
	int step = sqlite3_step(r->st->stmt);
	if (step == SQLITE_ROW)
		return 1;
	return step == SQLITE_DONE ? 0 : fail(r->s, step, err);
}

static sqlite3_stmt *stmt_of(const struct db_rows *head)
{
	return ((const struct sqlite_rows *)head)->st->stmt;
}

static bool sqlite_is_null(const struct db_rows *r, int column)
{
	return sqlite3_column_type(stmt_of(r), column) == SQLITE_NULL;
}

static int64_t sqlite_get_int(const struct db_rows *r, int column)
{
	return sqlite3_column_int64(stmt_of(r), column);
}

static const char *sqlite_get_text(const struct db_rows *r, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt_of(r), column);
	return text != NULL ? text : "";
}

static const void *sqlite_get_bytes(const struct db_rows *r, int column, size_t *len)
{
	const void *data = sqlite3_column_blob(stmt_of(r), column);
	*len = (size_t)sqlite3_column_bytes(stmt_of(r), column);
	return data;
}

static void sqlite_done(struct db_rows *head)
{
	struct sqlite_rows *r = (struct sqlite_rows *)head;
	release_statement(r->st);
	free(r);
}

/* ---- transactions -----------------------------------------------------------------------------
 */

static int sqlite_script(void *self, const char *sql, struct err *err)
{
	struct sqlite *s = self;
	int rc = sqlite3_exec(s->handle, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : fail(s, rc, err);
}

static int sqlite_begin(void *self, struct err *err)
{
	return sqlite_run(self, "BEGIN IMMEDIATE", NULL, 0, NULL, err);
}

static int sqlite_commit(void *self, struct err *err)
{
	return sqlite_run(self, "COMMIT", NULL, 0, NULL, err);
}

static void sqlite_rollback(void *self)
{
	(void)sqlite_run(self, "ROLLBACK", NULL, 0, NULL, NULL); /* at worst there is none */
}

static bool sqlite_is_in_transaction(void *self)
{
	return sqlite3_get_autocommit(((struct sqlite *)self)->handle) == 0;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

/* Make the file, private from its first moment.  It is opened only when it is new: closing any
 * descriptor of a file drops all locks that the process has on it. */
static int make_file(const char *path, struct err *err)
{
	int fd = env_openat(AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd); /* nothing was written */
	else if (errno != EEXIST)
		return err_sys(err, ERR_IO, "catalog %s", path);
	return 0;
}

static int set_up(const struct sqlite *s, struct err *err)
{
	static const char *const pragmas[] = {
		"PRAGMA locking_mode=EXCLUSIVE", /* before the first access */
		"PRAGMA journal_mode=WAL",
		"PRAGMA synchronous=FULL",
		"PRAGMA foreign_keys=ON",
		"PRAGMA wal_autocheckpoint=1000",
		"PRAGMA cell_size_check=ON",
		"PRAGMA trusted_schema=OFF",
		"PRAGMA temp_store=MEMORY",
	};
	/* a file from elsewhere brings no code with it */
	(void)sqlite3_db_config(s->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(s->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	(void)sqlite3_db_config(s->handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	(void)sqlite3_limit(s->handle, SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES);
	for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++) {
		int rc = sqlite3_exec(s->handle, pragmas[i], NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			return fail(s, rc, err);
	}
	return 0;
}

/* The first row of a pragma must be ${want}. */
static int check_pragma(struct sqlite *s, const char *sql, const char *want, char *got, size_t size,
	struct err *err)
{
	struct statement *st = NULL;
	int rc = take_statement(s, sql, &st, err);
	if (rc != 0)
		return rc;
	int step = sqlite3_step(st->stmt);
	if (step == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(st->stmt, 0);
		(void)snprintf(got, size, "%s", text != NULL ? text : "");
		rc = strcmp(got, want) == 0 ? 0 : -ERR_FAILED;
	} else {
		got[0] = '\0';
		rc = step == SQLITE_DONE ? -ERR_FAILED : fail(s, step, err);
	}
	release_statement(st);
	return rc;
}

/* What a check says, on one line: without the head, which names a database nobody knows. */
static void one_line(char *text)
{
	const char *head = strncmp(text, "***", 3) == 0 ? strchr(text, '\n') : NULL;
	if (head != NULL)
		memmove(text, head + 1, strlen(head + 1) + 1);
	text[strcspn(text, "\n")] = '\0'; /* the first finding is enough */
}

static int check_file(struct sqlite *s, struct err *err)
{
	char got[256] = "";
	struct err why = ERR_INIT;
	int rc = check_pragma(s, "PRAGMA journal_mode", "wal", got, sizeof(got), &why);
	if (rc == -ERR_FAILED) {
		(void)err_set(err, ERR_CONFIG,
			"catalog %s cannot have a write-ahead log here (its log is '%s')", s->path,
			got);
		return err_hint(err, "keep it on a local disk");
	}
	if (rc == 0) {
		rc = check_pragma(s, "PRAGMA quick_check(1)", "ok", got, sizeof(got), &why);
		if (rc == -ERR_FAILED) {
			one_line(got);
			(void)err_set(err, ERR_CORRUPT, "catalog %s is damaged: %s", s->path, got);
			return err_hint(err, "stop the controller, move the file away and run "
					     "'holdfast catalog rebuild', or put back a copy");
		}
	}
	if (rc != 0 && err != NULL)
		*err = why;
	return rc;
}

static void sqlite_close(void *self)
{
	struct sqlite *s = self;
	for (size_t i = 0; i < CACHE_STATEMENTS; i++)
		free_statement(s->cache[i]);
	(void)sqlite3_close_v2(s->handle); /* what is committed is in the log already */
	free(s);
}

static int open_handle(struct sqlite *s, struct err *err)
{
	int rc = sqlite3_open_v2(s->path, &s->handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
	if (rc != SQLITE_OK)
		return s->handle != NULL
			       ? fail(s, rc, err)
			       : err_set(err, ERR_NOMEM, "out of memory for catalog %s", s->path);
	(void)sqlite3_extended_result_codes(s->handle, 1);   /* cannot fail */
	(void)sqlite3_busy_timeout(s->handle, LOCK_WAIT_MS); /* cannot fail */
	return 0;
}

static int sqlite_open(const char *where, void **out, struct err *err)
{
	struct sqlite *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a catalog");
	/* "./": a name like ":memory:" is a file here */
	int len = snprintf(s->path, sizeof(s->path), "%s%s", where[0] == '/' ? "" : "./", where);
	int rc = len > 0 && (size_t)len < sizeof(s->path)
			 ? make_file(s->path, err)
			 : err_set(err, ERR_CONFIG, "path of the catalog is too long");
	if (rc == 0)
		rc = open_handle(s, err);
	if (rc == 0)
		rc = set_up(s, err);
	if (rc == 0)
		rc = check_file(s, err);
	if (rc != 0) {
		sqlite_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

/* ---- a copy -----------------------------------------------------------------------------------
 */

static int copy_into(const struct sqlite *s, struct sqlite *to, struct err *err)
{
	int rc = open_handle(to, err);
	if (rc != 0)
		return rc;
	sqlite3_backup *b = sqlite3_backup_init(to->handle, "main", s->handle, "main");
	if (b == NULL)
		return fail(to, sqlite3_extended_errcode(to->handle), err);
	(void)sqlite3_backup_step(b, -1); /* its error is that of finish */
	rc = sqlite3_backup_finish(b);
	return rc == SQLITE_OK ? 0 : fail(to, rc, err);
}

/* Sync the copy, then the directory that names it. */
static int sync_copy(const char *path, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = env_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0 || env_fsync(fd) != 0)
		return err_sys(err, ERR_IO, "sync %s", path);
	char parent[MAX_PATH_BYTES];
	(void)snprintf(parent, sizeof(parent), "%s", path); /* was checked to fit */
	char *slash = strrchr(parent, '/');
	slash[slash == parent ? 1 : 0] = '\0';
	CLEANUP(cleanup_close_p)
	int dir = env_openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0 || env_fsync(dir) != 0)
		return err_sys(err, ERR_IO, "sync %s", parent);
	return 0;
}

static int sqlite_backup(void *self, const char *path, struct err *err)
{
	const struct sqlite *s = self;
	struct sqlite to = { .handle = NULL };
	int len = snprintf(to.path, sizeof(to.path), "%s%s", path[0] == '/' ? "" : "./", path);
	if (len < 0 || (size_t)len >= sizeof(to.path))
		return err_set(err, ERR_USAGE, "path of the copy is too long");
	int fd = env_openat(AT_FDCWD, to.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		return err_set(err, ERR_EXISTS, "%s is there already", to.path);
	if (fd < 0)
		return err_sys(err, ERR_IO, "copy of the catalog, %s", to.path);
	(void)close(fd); /* nothing was written */
	int rc = sqlite3_wal_checkpoint_v2(s->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	rc = rc == SQLITE_OK ? copy_into(s, &to, err) : fail(s, rc, err);
	(void)sqlite3_close_v2(to.handle); /* the copy is synced below */
	if (rc == 0)
		rc = sync_copy(to.path, err);
	if (rc != 0)
		(void)env_unlinkat(AT_FDCWD, to.path, 0); /* half a copy helps nobody */
	return rc;
}

static const struct db_driver driver = {
	.scheme = "sqlite",
	.blob_word = "BLOB",
	.open = sqlite_open,
	.close = sqlite_close,
	.script = sqlite_script,
	.run = sqlite_run,
	.query = sqlite_query,
	.next = sqlite_next,
	.is_null = sqlite_is_null,
	.get_int = sqlite_get_int,
	.get_text = sqlite_get_text,
	.get_bytes = sqlite_get_bytes,
	.done = sqlite_done,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.is_in_transaction = sqlite_is_in_transaction,
	.backup = sqlite_backup,
};

const struct db_driver *db_sqlite(void)
{
	return &driver;
}
