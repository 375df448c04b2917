#include "restore/sandbox.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/jsonx.h"
#include "restore/sandbox_init.h"
#include "restore/sandbox_wire.h"

/*
 * INVARIANTS
 * (1) The sandbox has no file of the host but /usr and the loader's cache (read only), this program
 *     (read only) and the two directories that were given.
 * (2) After a failure in the middle of a conversation is_broken is set and no verb talks any more;
 *     ending the sandbox never needs to talk.
 * (3) The descriptors in ids pin the numbers of the sandbox's namespaces until sandbox_free().
 * (4) Whatever happens to this process, the kernel kills bubblewrap, and that kills process 1, and
 *     with it every process of its pid namespace.
 */

#define SANDBOX_READY_MS 20000
#define SANDBOX_GRACE_MS 15000 /* for an answer, beyond the time the work itself may take */
#define SANDBOX_END_MS 10000
#define SANDBOX_MAX_BWRAP_ARGS 128
#define SANDBOX_INFO_BYTES 4096

static const char *const ns_names[SANDBOX_NAMESPACES] = { "pid", "net", "mnt", "ipc", "uts",
	"cgroup", "user" };

struct sandbox {
	struct child *bwrap; /* owned */
	int fd;              /* owned; our end of the socket */
	bool is_broken;
	bool (*is_stopped)(void *arg);
	void *arg;
	struct sandbox_ids ids;
};

DEFINE_CLEANUP(struct sandbox *, sandbox_free)
DEFINE_CLEANUP(json_t *, json_decref)

/* ---- the command line of bubblewrap ---- */

/* What the start needs; every descriptor is owned. */
struct start {
	const char *argv[SANDBOX_MAX_BWRAP_ARGS + 1];
	size_t argc;
	bool is_full;
	int keep[CHILD_KEEP_MAX];
	size_t keep_count;
	int files[SANDBOX_MAX_FILES + 2];
	size_t file_count;
	char texts[SANDBOX_MAX_FILES + 4][PATH_MAX]; /* words made here */
	size_t text_count;
	int socket[2];
	int info[2];
	int log;
};

static void start_done(struct start *s)
{
	for (size_t i = 0; i < s->file_count; i++)
		cleanup_close_p(&s->files[i]);
	for (int i = 0; i < 2; i++) {
		cleanup_close_p(&s->socket[i]);
		cleanup_close_p(&s->info[i]);
	}
	cleanup_close_p(&s->log);
}

static void word(struct start *s, const char *text)
{
	if (s->argc == SANDBOX_MAX_BWRAP_ARGS)
		s->is_full = true;
	else
		s->argv[s->argc++] = text;
}

static void words(struct start *s, const char *const *list)
{
	for (; *list != NULL; list++)
		word(s, *list);
}

/* A word that is made here and lives in ${s}. */
__attribute__((format(printf, 2, 3))) static void wordf(struct start *s, const char *fmt, ...)
{
	if (s->text_count == sizeof(s->texts) / sizeof(s->texts[0])) {
		s->is_full = true;
		return;
	}
	char *text = s->texts[s->text_count++];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, PATH_MAX, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= PATH_MAX)
		s->is_full = true;
	word(s, text);
}

static void keep(struct start *s, int fd)
{
	if (s->keep_count == CHILD_KEEP_MAX)
		s->is_full = true;
	else
		s->keep[s->keep_count++] = fd;
}

/* Give the sandbox the read-only file ${path} with ${text}. */
static int put_file(struct start *s, const char *path, const char *text, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = memfd_create("sandbox", MFD_CLOEXEC);
	const size_t len = strlen(text);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) != 0)
		return err_sys(err, ERR_IO, "unable to make '%s' for the sandbox", path);
	word(s, "--ro-bind-data");
	wordf(s, "%d", fd);
	wordf(s, "%s", path);
	keep(s, fd);
	s->files[s->file_count++] = TAKE_FD(fd); /* as many as checked by the caller */
	return 0;
}

/* Parts of the root directory that the distribution may have as links into /usr or for itself. */
static void root_dirs(struct start *s)
{
	static const char *const dirs[] = { "/lib", "/lib64", "/lib32", "/bin", "/sbin" };
	static const char *const targets[] = { "usr/lib", "usr/lib64", "usr/lib32", "usr/bin",
		"usr/sbin" };
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		struct stat st;
		if (lstat(dirs[i], &st) != 0)
			continue;
		word(s, S_ISLNK(st.st_mode) ? "--symlink" : "--ro-bind");
		word(s, S_ISLNK(st.st_mode) ? targets[i] : dirs[i]);
		word(s, dirs[i]);
	}
}

static int own_program(const struct sandbox_opts *opts, char out[PATH_MAX], struct err *err)
{
	if (opts->program != NULL) {
		int n = snprintf(out, PATH_MAX, "%s", opts->program);
		return n < 0 || n >= PATH_MAX ? err_set(err, ERR_LIMIT, "the path is too long") : 0;
	}
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	if (n < 0)
		return err_sys(err, ERR_IO, "unable to find this program");
	out[n] = '\0';
	return 0;
}

static int add_binds(
	struct start *s, const struct sandbox_opts *opts, const char *program, struct err *err)
{
	static const char *const base[] = { "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev",
		"/dev", "--tmpfs", "/tmp", "--tmpfs", SANDBOX_RUN, "--ro-bind-try",
		"/etc/ld.so.cache", "/etc/ld.so.cache", NULL };
	words(s, base);
	root_dirs(s);
	word(s, "--ro-bind");
	word(s, program);
	word(s, SANDBOX_PROGRAM "/holdfast");
	word(s, "--bind");
	word(s, opts->data);
	word(s, SANDBOX_DATA);
	word(s, "--bind");
	word(s, opts->log);
	word(s, SANDBOX_LOG);
	int rc =
		put_file(s, "/etc/passwd", "drill:x:1000:1000:drill:/tmp:/usr/sbin/nologin\n", err);
	if (rc == 0)
		rc = put_file(s, "/etc/group", "drill:x:1000:\n", err);
	for (size_t i = 0; i < opts->file_count && rc == 0; i++) {
		char path[NAME_MAX + sizeof(SANDBOX_ETC) + 1];
		(void)snprintf(path, sizeof(path), SANDBOX_ETC "/%.*s", NAME_MAX,
			opts->files[i].name); /* fits */
		rc = put_file(s, path, opts->files[i].text, err);
	}
	return rc;
}

static int make_words(struct start *s, const struct sandbox_opts *opts, const char *bwrap,
	const char *program, struct err *err)
{
	static const char *const first[] = { "--unshare-user", "--unshare-pid", "--unshare-ipc",
		"--unshare-uts", "--unshare-cgroup-try", "--disable-userns", "--hostname", "drill",
		"--uid", "1000", "--gid", "1000", "--cap-drop", "ALL", "--die-with-parent",
		"--new-session", "--as-pid-1", "--clearenv", "--setenv", "PATH", "/usr/bin:/bin",
		"--setenv", "LC_ALL", "C.UTF-8", "--setenv", "TZ", "UTC", NULL };
	word(s, bwrap);
	words(s, first);
	if (!opts->share_network)
		word(s, "--unshare-net");
	int rc = add_binds(s, opts, program, err);
	if (rc != 0)
		return rc;
	static const char *const last[] = { "--chdir", "/", "--remount-ro", "/", NULL };
	words(s, last);
	word(s, "--info-fd");
	wordf(s, "%d", s->info[1]);
	word(s, "--");
	word(s, SANDBOX_PROGRAM "/holdfast");
	word(s, SANDBOX_INIT_VERB);
	wordf(s, "%d", s->socket[1]);
	keep(s, s->info[1]);
	keep(s, s->socket[1]);
	return s->is_full ? err_set(err, ERR_LIMIT, "the sandbox has too many parts") : 0;
}

/* ---- the start ---- */

static int open_streams(struct start *s, const struct sandbox_opts *opts, struct err *err)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", opts->log, SANDBOX_LOG_NAME);
	if (n < 0 || n >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", opts->log);
	s->log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->log < 0)
		return err_sys(err, ERR_IO, "unable to open '%s'", path);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->socket) != 0 ||
		pipe2(s->info, O_CLOEXEC) != 0)
		return err_sys(err, ERR_IO, "unable to make a socket for the sandbox");
	return 0;
}

static const char *find_bwrap(void)
{
	static const char *const places[] = { "/usr/bin/bwrap", "/usr/local/bin/bwrap",
		"/bin/bwrap" };
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (access(places[i], X_OK) == 0)
			return places[i];
	}
	return NULL;
}

/* What bubblewrap tells of the namespaces it made. */
static int read_info(struct sandbox *b, struct start *s, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(SANDBOX_INFO_BYTES);
	CLEANUP(json_decref_p) json_t *info = NULL;
	(void)close(TAKE_FD(s->info[1])); /* bubblewrap has its own */
	int rc = fdio_read_all(s->info[0], &text, err);
	if (rc == 0 && text.len == 0)
		return err_set(err, ERR_FAILED, "bubblewrap made no sandbox");
	if (rc == 0)
		rc = jsonx_parse(text.data, text.len, "bubblewrap's answer", &info, err);
	if (rc != 0)
		return rc;
	b->ids.pid = (pid_t)json_integer_value(json_object_get(info, "child-pid"));
	if (b->ids.pid <= 0)
		return err_set(err, ERR_FAILED, "bubblewrap does not name its sandbox");
	return 0;
}

static int call(
	struct sandbox *b, json_t *take_request, int timeout_ms, json_t **out, struct err *err);

/* Hold the namespaces of process 1 that are not ours, so that their numbers stay theirs. */
static int hold_namespaces(struct sandbox *b, struct err *err)
{
	size_t own = 0;
	for (size_t i = 0; i < SANDBOX_NAMESPACES; i++) {
		char path[64];
		struct stat st, ours;
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", ns_names[i]); /* fits */
		if (stat(path, &ours) != 0)
			continue; /* this kernel has no such namespaces */
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)b->ids.pid,
			ns_names[i]); /* fits */
		CLEANUP(cleanup_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) != 0)
			return err_sys(err, ERR_FAILED, "unable to watch the sandbox's namespaces");
		if (st.st_ino == ours.st_ino)
			continue;
		b->ids.ns[i].inode = st.st_ino;
		b->ids.ns[i].fd = TAKE_FD(fd);
		own++;
	}
	return own > 0 ? 0 : err_set(err, ERR_FAILED, "the sandbox has no namespaces of its own");
}

static int greet(struct sandbox *b, struct err *err)
{
	CLEANUP(json_decref_p) json_t *reply = NULL;
	int rc = call(b, json_pack("{s:s}", "verb", "ping"), SANDBOX_READY_MS, &reply, err);
	if (rc == 0 && json_integer_value(json_object_get(reply, "pid")) != 1)
		rc = err_set(err, ERR_FAILED, "the sandbox has no process namespace of its own");
	return rc == 0 ? hold_namespaces(b, err) : rc;
}

/* The last words on the log, for an error. */
static int quote_log(int log, off_t from, struct err *err)
{
	char text[1024];
	ssize_t n = fdio_pread_full(log, text, sizeof(text) - 1, from);
	if (n <= 0)
		return err == NULL ? -ERR_FAILED : err_wrap(err, "unable to make a sandbox");
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	const char *line = strrchr(text, '\n');
	(void)err_set(
		err, ERR_FAILED, "unable to make a sandbox: %s", line == NULL ? text : line + 1);
	if (strstr(text, "namespace") != NULL || strstr(text, "Operation not permitted") != NULL)
		(void)err_hint(err, CHILD_NAMESPACE_HINT);
	return -ERR_FAILED;
}

int sandbox_open(const struct sandbox_opts *opts, struct sandbox **out, struct err *err)
{
	char program[PATH_MAX];
	CLEANUP(start_done)
	struct start s = { .socket = { -1, -1 }, .info = { -1, -1 }, .log = -1 };
	CLEANUP(sandbox_free_p) struct sandbox *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	b->fd = -1;
	for (size_t i = 0; i < SANDBOX_NAMESPACES; i++) {
		b->ids.ns[i].name = ns_names[i];
		b->ids.ns[i].fd = -1;
	}
	b->is_stopped = opts->is_stopped;
	b->arg = opts->arg;
	const char *bwrap = find_bwrap();
	if (bwrap == NULL) {
		(void)err_set(err, ERR_NOT_FOUND, "unable to find bubblewrap (bwrap)");
		(void)err_hint(err, "install the package bubblewrap");
		return -ERR_NOT_FOUND;
	}
	if (opts->file_count > SANDBOX_MAX_FILES)
		return err_set(err, ERR_LIMIT, "more than %d files", SANDBOX_MAX_FILES);
	int rc = own_program(opts, program, err);
	if (rc == 0)
		rc = open_streams(&s, opts, err);
	if (rc == 0)
		rc = make_words(&s, opts, bwrap, program, err);
	if (rc != 0)
		return rc;
	const off_t from = lseek(s.log, 0, SEEK_END);
	const struct child_opts child = {
		.argv = s.argv, .err = s.log, .keep = s.keep, .keep_count = s.keep_count
	};
	rc = child_spawn(&child, &b->bwrap, err);
	if (rc != 0)
		return rc;
	(void)close(TAKE_FD(s.socket[1])); /* the sandbox has its own */
	b->fd = TAKE_FD(s.socket[0]);
	rc = read_info(b, &s, err);
	if (rc == 0)
		rc = greet(b, err);
	if (rc == -ERR_INTERRUPTED || rc == -ERR_NOMEM)
		return rc;
	if (rc != 0)
		return quote_log(s.log, from < 0 ? 0 : from, err);
	*out = TAKE(b);
	return 0;
}

void sandbox_free(struct sandbox *b)
{
	if (b == NULL)
		return;
	cleanup_close_p(&b->fd);
	child_free(b->bwrap);
	for (size_t i = 0; i < SANDBOX_NAMESPACES; i++)
		cleanup_close_p(&b->ids.ns[i].fd);
	free(b);
}

const struct sandbox_ids *sandbox_ids(const struct sandbox *b)
{
	return &b->ids;
}

int sandbox_close(struct sandbox *b, struct err *err)
{
	(void)shutdown(b->fd, SHUT_RDWR); /* process 1 sees the end, also if it was shut before */
	b->is_broken = true;
	if (b->bwrap == NULL)
		return 0;
	if (child_wait(b->bwrap, SANDBOX_END_MS, NULL, NULL) == 0)
		return 0;
	(void)child_stop(b->bwrap, SIGKILL, SANDBOX_END_MS, NULL); /* asked next */
	return child_wait(b->bwrap, 0, NULL, err);
}

/* ---- talking ---- */

/* Take an answer's failure over as ours. */
static int refusal(const json_t *reply, json_int_t code, struct err *err)
{
	const char *text = json_string_value(json_object_get(reply, "message"));
	if (code < 0 || code > ERR_INTERRUPTED || text == NULL)
		return err_set(err, ERR_CORRUPT, "the sandbox answered nonsense");
	return err_set(err, (enum err_code)code, "%s", text);
}

/* Ask and wait; ${take_request} is consumed, *${out} a new reference. */
static int call(
	struct sandbox *b, json_t *take_request, int timeout_ms, json_t **out, struct err *err)
{
	CLEANUP(json_decref_p) json_t *request = take_request;
	CLEANUP(json_decref_p) json_t *reply = NULL;
	if (request == NULL)
		return err_set(err, ERR_CORRUPT, "unable to ask the sandbox: not text");
	if (b->is_broken)
		return err_set(err, ERR_UNREACHABLE, "the sandbox is gone");
	int rc = sandbox_wire_send(b->fd, request, err);
	if (rc == 0)
		rc = sandbox_wire_recv(
			b->fd, timeout_ms + SANDBOX_GRACE_MS, b->is_stopped, b->arg, &reply, err);
	if (rc != 0) {
		b->is_broken = true;
		return rc;
	}
	const json_t *code = json_object_get(reply, "code");
	if (!json_is_integer(code))
		return err_set(err, ERR_CORRUPT, "the sandbox answered nonsense");
	if (json_integer_value(code) != 0)
		return refusal(reply, json_integer_value(code), err);
	*out = TAKE(reply);
	return 0;
}

static json_t *json_words(const char *const *list)
{
	json_t *array = json_array();
	for (; *list != NULL; list++) {
		if (json_array_append_new(array, json_string(*list)) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static int take_end(const json_t *reply, struct child_end *end, struct err *err)
{
	const json_t *status = json_object_get(reply, "status");
	const json_t *is_signal = json_object_get(reply, "is_signal");
	if (!json_is_integer(status) || !json_is_boolean(is_signal))
		return err_set(err, ERR_CORRUPT, "the sandbox answered nonsense");
	if (end != NULL)
		*end = (struct child_end){ .is_signal = json_is_true(is_signal),
			.status = (int)json_integer_value(status) };
	return 0;
}

int sandbox_run(struct sandbox *b, const char *const *argv, int timeout_ms, struct buf *out,
	struct child_end *end, struct err *err)
{
	CLEANUP(json_decref_p) json_t *reply = NULL;
	int rc = call(b,
		json_pack("{s:s,s:o,s:i}", "verb", "run", "argv", json_words(argv), "timeout_ms",
			timeout_ms),
		timeout_ms, &reply, err);
	if (rc != 0)
		return rc;
	const json_t *text = json_object_get(reply, "output");
	if (!json_is_string(text))
		return err_set(err, ERR_CORRUPT, "the sandbox answered nonsense");
	if (out != NULL)
		rc = buf_add(out, json_string_value(text), json_string_length(text), err);
	return rc == 0 ? take_end(reply, end, err) : rc;
}

int sandbox_start(struct sandbox *b, const char *service, const char *const *argv, struct err *err)
{
	CLEANUP(json_decref_p) json_t *reply = NULL;
	return call(b,
		json_pack("{s:s,s:s,s:o}", "verb", "start", "service", service, "argv",
			json_words(argv)),
		0, &reply, err);
}

int sandbox_look(struct sandbox *b, const char *service, bool *is_running, struct child_end *end,
	struct err *err)
{
	CLEANUP(json_decref_p) json_t *reply = NULL;
	int rc =
		call(b, json_pack("{s:s,s:s}", "verb", "look", "service", service), 0, &reply, err);
	if (rc == 0)
		rc = take_end(reply, end, err);
	if (rc == 0)
		*is_running = json_is_true(json_object_get(reply, "running"));
	return rc;
}

int sandbox_stop(struct sandbox *b, const char *service, int sig, int grace_ms,
	struct child_end *end, struct err *err)
{
	CLEANUP(json_decref_p) json_t *reply = NULL;
	int rc = call(b,
		json_pack("{s:s,s:s,s:i,s:i}", "verb", "stop", "service", service, "signal", sig,
			"grace_ms", grace_ms),
		grace_ms, &reply, err);
	return rc == 0 ? take_end(reply, end, err) : rc;
}

int sandbox_connect(struct sandbox *b, const char *address, int port, int timeout_ms,
	enum sandbox_reach *out, char detail[SANDBOX_DETAIL_BYTES], struct err *err)
{
	CLEANUP(json_decref_p) json_t *reply = NULL;
	int rc = call(b,
		json_pack("{s:s,s:s,s:i,s:i}", "verb", "connect", "address", address, "port", port,
			"timeout_ms", timeout_ms),
		timeout_ms, &reply, err);
	if (rc != 0)
		return rc;
	const json_t *reached = json_object_get(reply, "reached");
	const char *text = json_string_value(json_object_get(reply, "detail"));
	if (!json_is_boolean(reached) || text == NULL)
		return err_set(err, ERR_CORRUPT, "the sandbox answered nonsense");
	*out = json_is_true(reached) ? SANDBOX_REACHED : SANDBOX_UNREACHABLE;
	(void)snprintf(detail, SANDBOX_DETAIL_BYTES, "%s", text); /* cut is fine */
	return 0;
}

int sandbox_interfaces(struct sandbox *b, struct buf *names, struct err *err)
{
	CLEANUP(json_decref_p) json_t *reply = NULL;
	int rc = call(b, json_pack("{s:s}", "verb", "interfaces"), 0, &reply, err);
	if (rc != 0)
		return rc;
	const json_t *list = json_object_get(reply, "names");
	for (size_t i = 0; i < json_array_size(list) && rc == 0; i++) {
		const char *name = json_string_value(json_array_get(list, i));
		rc = buf_addf(names, err, "%s%s", i == 0 ? "" : " ", name == NULL ? "?" : name);
	}
	return rc;
}

/* ---- SQL ---- */

static json_t *sql_request(const struct sandbox_sql *q)
{
	json_t *statements = json_array();
	for (size_t i = 0; i < q->statement_count; i++) {
		if (json_array_append_new(statements, json_string(q->statements[i])) != 0) {
			json_decref(statements);
			return NULL;
		}
	}
	return json_pack("{s:s,s:s,s:s,s:s,s:o,s:i}", "verb", "sql", "socket_dir", q->socket_dir,
		"role", q->role, "database", q->database, "statements", statements, "timeout_ms",
		q->timeout_ms);
}

static int take_rows(const json_t *reply, struct sandbox_rows *out, struct err *err)
{
	CLEANUP(sandbox_rows_done) struct sandbox_rows rows = { .cells = NULL };
	const json_t *cells = json_object_get(reply, "cells");
	const json_int_t n = json_integer_value(json_object_get(reply, "rows"));
	const json_int_t m = json_integer_value(json_object_get(reply, "columns"));
	if (!json_is_array(cells) || n < 0 || n > SANDBOX_MAX_ROWS || m < 0 ||
		m > SANDBOX_MAX_ARGS || json_array_size(cells) != (size_t)(n * m))
		return err_set(err, ERR_CORRUPT, "the sandbox answered nonsense");
	rows.cells = calloc((size_t)(n * m) + 1, sizeof(*rows.cells));
	if (rows.cells == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	rows.rows = (size_t)n;
	rows.columns = (size_t)m;
	for (size_t i = 0; i < rows.rows * rows.columns; i++) {
		const char *text = json_string_value(json_array_get(cells, i));
		if (text != NULL && (rows.cells[i] = strdup(text)) == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	out->rows = rows.rows;
	out->columns = rows.columns;
	out->cells = TAKE(rows.cells);
	return 0;
}

int sandbox_sql(
	struct sandbox *b, const struct sandbox_sql *q, struct sandbox_rows *rows, struct err *err)
{
	CLEANUP(json_decref_p) json_t *reply = NULL;
	/* each statement has the time on its own */
	int rc =
		call(b, sql_request(q), q->timeout_ms * (int)(q->statement_count + 1), &reply, err);
	return rc == 0 ? take_rows(reply, rows, err) : rc;
}

void sandbox_rows_done(struct sandbox_rows *rows)
{
	for (size_t i = 0; rows->cells != NULL && i < rows->rows * rows->columns; i++)
		free(rows->cells[i]);
	free(rows->cells);
	*rows = (struct sandbox_rows){ .cells = NULL };
}

const char *sandbox_rows_at(const struct sandbox_rows *rows, size_t row, size_t column)
{
	if (row >= rows->rows || column >= rows->columns)
		return NULL;
	return rows->cells[row * rows->columns + column];
}
