#include "cmd/demo_verb.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/console.h"
#include "cmd/demo_home.h"
#include "cmd/stop.h"

/*
 * INVARIANTS
 * (1) The child is waited for in every case: nothing of it runs on.
 * (2) A verb gets its own state, cache and configuration directories inside the demonstration, so
 *     that it neither uses nor leaves anything elsewhere on the host.
 */

#define DEMO_VERB_SLICE_MS 200
#define DEMO_VERB_LINE_BYTES 65536
#define DEMO_VERB_GRACE_MS 60000

struct verb {
	struct demo_home *home;
	struct console *console;
	const char *argv[DEMO_VERB_MAX_WORDS + 2];
	char program[PATH_MAX];
	char env[3][PATH_MAX + 64];
	const char *envp[8];
	int out[2];
	FILE *log;
};

static void verb_done(struct verb *v)
{
	cleanup_close_p(&v->out[0]);
	cleanup_close_p(&v->out[1]);
	cleanup_fclose_p(&v->log);
}

static int find_program(char out[PATH_MAX], struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	if (n < 0)
		return err_sys(err, ERR_IO, "unable to find this program");
	out[n] = '\0';
	return 0;
}

static int make_env(struct verb *v, struct err *err)
{
	static const char *const names[] = { "HOLDFAST_CONFIG_DIR", "HOLDFAST_STATE_DIR",
		"HOLDFAST_CACHE_DIR" };
	static const char *const dirs[] = { "keys", "conf/state", "conf/cache" };
	for (int i = 0; i < 3; i++) {
		char path[PATH_MAX];
		int rc = demo_home_join(v->home, dirs[i], path, err);
		if (rc != 0)
			return rc;
		(void)snprintf(v->env[i], sizeof(v->env[i]), "%s=%s", names[i], path); /* fits */
		v->envp[i] = v->env[i];
	}
	v->envp[3] = "PATH=/usr/local/bin:/usr/bin:/bin";
	v->envp[4] = "LC_ALL=C.UTF-8";
	return 0;
}

/* Open logs/<verb>.log to append. */
static int open_log(struct verb *v, const char *const *words, struct err *err)
{
	char name[64], path[PATH_MAX];
	bool has_two = words[1] != NULL && words[1][0] != '-' && strchr(words[1], '/') == NULL;
	(void)snprintf(name, sizeof(name), "logs/%.20s%s%.20s.log", words[0], has_two ? "-" : "",
		has_two ? words[1] : ""); /* fits */
	int rc = demo_home_join(v->home, name, path, err);
	if (rc != 0)
		return rc;
	v->log = fopen(path, "ae");
	return v->log == NULL ? err_sys(err, ERR_IO, "unable to write '%s'", path) : 0;
}

/* The words as a shell takes them; *${out} is borrowed from ${line}. */
static int make_line(const char *const *words, struct buf *line, const char **out, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; words[i] != NULL && rc == 0; i++) {
		if (i > 0)
			rc = buf_add8(line, ' ', err);
		if (rc == 0)
			rc = demo_home_quote(words[i], line, err);
	}
	if (rc != 0)
		return rc;
	*out = buf_cstr(line);
	return *out == NULL ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

/* Say which command comes now: on the terminal short, in README and log whole. */
static int announce(struct verb *v, const char *const *words, struct err *err)
{
	CLEANUP(buf_done) struct buf whole = BUF_INIT(DEMO_VERB_LINE_BYTES);
	CLEANUP(buf_done) struct buf shown = BUF_INIT(DEMO_VERB_LINE_BYTES);
	const char *text = "", *brief = "";
	int rc = make_line(v->argv, &whole, &text, err);
	if (rc == 0)
		rc = make_line(words, &shown, &brief, err);
	if (rc != 0)
		return rc;
	(void)fprintf(v->log, "$ %s\n", text); /* the log is a convenience */
	console_print(v->console, "  $ holdfast %s\n", brief);
	(void)fflush(stdout); /* console_flush() tells */
	return demo_home_tell(v->home, err, "\n    %s\n", text);
}

/* Show what the verb said, indented, and keep it. */
static void show(struct verb *v, const char *data, size_t len, bool *is_line_start)
{
	(void)fwrite(data, 1, len, v->log); /* the log is a convenience */
	if (v->console->is_json)
		return;
	for (size_t i = 0; i < len; i++) {
		if (*is_line_start)
			(void)fputs("    ", stdout); /* console_flush() tells */
		*is_line_start = data[i] == '\n';
		(void)fputc(data[i], stdout); /* escaped by the verb; as above */
	}
	(void)fflush(stdout); /* as above */
}

/* Take in what it says until it has no more to say. */
static int listen_to(struct verb *v, struct child *child, struct err *err)
{
	bool is_line_start = true, was_told = false;
	for (;;) {
		char bytes[8192];
		struct pollfd p = { .fd = v->out[0], .events = POLLIN };
		if (stop_is_asked(NULL) && !was_told) {
			child_signal(child, SIGTERM);
			was_told = true;
		}
		int n = poll(&p, 1, DEMO_VERB_SLICE_MS);
		if (n == 0 || (n < 0 && errno == EINTR))
			continue;
		ssize_t got = n < 0 ? -1 : read(v->out[0], bytes, sizeof(bytes));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, ERR_IO, "unable to hear a verb");
		if (got == 0)
			return 0;
		show(v, bytes, (size_t)got, &is_line_start);
	}
}

DEFINE_CLEANUP(struct child *, child_free)

static int run(struct verb *v, int *status, struct err *err)
{
	CLEANUP(child_free_p) struct child *child = NULL;
	const struct child_opts opts = { .argv = v->argv,
		.envp = v->envp,
		.out = v->out[1],
		.err = v->out[1],
		.death_signal = SIGTERM };
	struct child_end end;
	int rc = child_spawn(&opts, &child, err);
	if (rc != 0)
		return rc;
	(void)close(TAKE_FD(v->out[1])); /* the child has its own */
	rc = listen_to(v, child, err);
	if (rc == 0)
		rc = child_wait(child, DEMO_VERB_GRACE_MS, &end, err);
	if (rc != 0)
		return rc;
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	*status = end.is_signal ? EXIT_STATUS_SIGNAL + end.status : end.status;
	(void)fprintf(v->log, "exit status %d\n\n", *status); /* the log is a convenience */
	return 0;
}

int demo_verb_run(struct demo_home *h, struct console *c, const char *const *words, int *status,
	struct err *err)
{
	CLEANUP(verb_done) struct verb v = { .home = h, .console = c, .out = { -1, -1 } };
	size_t count = 0;
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	int rc = find_program(v.program, err);
	v.argv[count++] = v.program;
	while (words[count - 1] != NULL && count <= DEMO_VERB_MAX_WORDS) {
		v.argv[count] = words[count - 1];
		count++;
	}
	if (rc == 0)
		rc = make_env(&v, err);
	if (rc == 0)
		rc = open_log(&v, words, err);
	if (rc == 0)
		rc = announce(&v, words, err);
	if (rc == 0 && pipe2(v.out, O_CLOEXEC) != 0)
		rc = err_sys(err, ERR_IO, "unable to make a pipe");
	if (rc == 0)
		rc = run(&v, status, err);
	return rc == 0 ? demo_home_tell(h, err, "    # exit status %d\n", *status) : rc;
}
