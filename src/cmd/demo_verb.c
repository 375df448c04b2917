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
	const struct demo_verb *call;
	const char *argv[DEMO_VERB_MAX_WORDS + 2];
	char program[PATH_MAX];
	char env[3][PATH_MAX + 64];
	const char *envp[8];
	int out[2], taken[2]; /* what is shown; what call->out takes */
	FILE *log;
};

static void verb_done(struct verb *v)
{
	for (int i = 0; i < 2; i++) {
		cleanup_close_p(&v->out[i]);
		cleanup_close_p(&v->taken[i]);
	}
	cleanup_fclose_p(&v->log);
}

/* This program, or another of ours that lies beside it. */
static int find_program(const char *name, char out[PATH_MAX], struct err *err)
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	if (n < 0)
		return err_sys(err, ERR_IO, "unable to find this program");
	out[n] = '\0';
	char *slash = strrchr(out, '/');
	if (name == NULL || slash == NULL)
		return 0;
	size_t room = PATH_MAX - (size_t)(slash + 1 - out);
	if ((size_t)snprintf(slash + 1, room, "%s", name) >= room)
		return err_set(err, ERR_LIMIT, "the path of '%s' is too long", name);
	if (access(out, X_OK) != 0) {
		(void)err_sys(err, ERR_NOT_FOUND, "unable to run '%s'", out);
		return err_hint(err, "build or install all programs of Holdfast");
	}
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

/* Open logs/${name} to append. */
static int open_log(struct verb *v, const char *name, struct err *err)
{
	char below[128], path[PATH_MAX];
	(void)snprintf(below, sizeof(below), "logs/%s", name); /* short names */
	int rc = demo_home_join(v->home, below, path, err);
	if (rc != 0)
		return rc;
	v->log = fopen(path, "ae");
	return v->log == NULL ? err_sys(err, ERR_IO, "unable to write '%s'", path) : 0;
}

/* logs/<verb>.log */
static int open_verb_log(struct verb *v, struct err *err)
{
	const char *const *words = v->call->words;
	char name[64];
	bool has_two = words[1] != NULL && words[1][0] != '-' && strchr(words[1], '/') == NULL;
	(void)snprintf(name, sizeof(name), "%.20s%s%.20s.log", words[0], has_two ? "-" : "",
		has_two ? words[1] : ""); /* fits */
	return open_log(v, name, err);
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
static int announce(struct verb *v, struct err *err)
{
	CLEANUP(buf_done) struct buf whole = BUF_INIT(DEMO_VERB_LINE_BYTES);
	CLEANUP(buf_done) struct buf shown = BUF_INIT(DEMO_VERB_LINE_BYTES);
	const char *text = "", *brief = "", *name = v->call->program;
	if (v->call->is_untold)
		return 0;
	int rc = make_line(v->argv, &whole, &text, err);
	if (rc == 0)
		rc = make_line(v->call->words, &shown, &brief, err);
	if (rc != 0)
		return rc;
	(void)fprintf(v->log, "$ %s\n", text); /* the log is a convenience */
	console_print(v->console, "  $ %s %s\n", name == NULL ? "holdfast" : name, brief);
	(void)fflush(stdout); /* console_flush() tells */
	return demo_home_tell(v->home, err, "\n    %s\n", text);
}

/* Show what the verb said, indented, and keep it. */
static void show(struct verb *v, const char *data, size_t len, bool *is_line_start)
{
	(void)fwrite(data, 1, len, v->log); /* the log is a convenience */
	if (v->console->is_json || (v->call->is_hushed && stop_is_asked(NULL)))
		return;
	for (size_t i = 0; i < len; i++) {
		if (*is_line_start)
			(void)fputs("    ", stdout); /* console_flush() tells */
		*is_line_start = data[i] == '\n';
		(void)fputc(data[i], stdout); /* escaped by the verb; as above */
	}
	(void)fflush(stdout); /* as above */
}

/* Read what is there from ${fd}.  Return the bytes, 0 at the end, or -ERR_IO. */
static ssize_t hear(int fd, char *out, size_t size, struct err *err)
{
	ssize_t got;
	do
		got = read(fd, out, size);
	while (got < 0 && errno == EINTR);
	return got < 0 ? err_sys(err, ERR_IO, "unable to hear a verb") : got;
}

/* Take in what it says until it has no more to say. */
static int listen_to(struct verb *v, struct child *child, struct err *err)
{
	struct pollfd p[2] = { { .fd = v->out[0], .events = POLLIN },
		{ .fd = v->taken[0], .events = POLLIN } };
	bool is_line_start = true, was_told = false;
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		char bytes[8192];
		if (stop_is_asked(NULL) && !was_told) {
			child_signal(child, SIGTERM);
			was_told = true;
		}
		int n = poll(p, 2, DEMO_VERB_SLICE_MS);
		if (n < 0 && errno != EINTR)
			return err_sys(err, ERR_IO, "unable to hear a verb");
		for (int i = 0; i < 2 && n > 0; i++) {
			if (p[i].fd < 0 || p[i].revents == 0)
				continue;
			ssize_t got = hear(p[i].fd, bytes, sizeof(bytes), err);
			int rc = got < 0 ? (int)got : 0;
			if (got == 0)
				p[i].fd = -1;
			if (got > 0 && i == 0)
				show(v, bytes, (size_t)got, &is_line_start);
			if (got > 0 && i == 1)
				rc = buf_add(v->call->out, bytes, (size_t)got, err);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

DEFINE_CLEANUP(struct child *, child_free)

static int make_argv(struct verb *v, struct err *err)
{
	size_t count = 0;
	int rc = find_program(v->call->program, v->program, err);
	v->argv[count++] = v->program;
	while (v->call->words[count - 1] != NULL && count <= DEMO_VERB_MAX_WORDS) {
		v->argv[count] = v->call->words[count - 1];
		count++;
	}
	return rc == 0 ? make_env(v, err) : rc;
}

static int run(struct verb *v, int *status, struct err *err)
{
	CLEANUP(child_free_p) struct child *child = NULL;
	const struct child_opts opts = { .argv = v->argv,
		.envp = v->envp,
		.out = v->call->out == NULL ? v->out[1] : v->taken[1],
		.err = v->out[1],
		.death_signal = SIGTERM };
	struct child_end end;
	int rc = child_spawn(&opts, &child, err);
	if (rc != 0)
		return rc;
	cleanup_close_p(&v->out[1]); /* the child has its own */
	cleanup_close_p(&v->taken[1]);
	rc = listen_to(v, child, err);
	if (rc == 0)
		rc = child_wait(child, DEMO_VERB_GRACE_MS, &end, err);
	if (rc != 0)
		return rc;
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	*status = end.is_signal ? EXIT_STATUS_SIGNAL + end.status : end.status;
	if (v->call->is_untold)
		return 0;
	(void)fprintf(v->log, "exit status %d\n\n", *status); /* the log is a convenience */
	return demo_home_tell(v->home, err, "    # exit status %d\n", *status);
}

int demo_verb_run(struct demo_home *h, struct console *c, const struct demo_verb *call, int *status,
	struct err *err)
{
	CLEANUP(verb_done)
	struct verb v = {
		.home = h, .console = c, .call = call, .out = { -1, -1 }, .taken = { -1, -1 }
	};
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	int rc = make_argv(&v, err);
	if (rc == 0)
		rc = open_verb_log(&v, err);
	if (rc == 0)
		rc = announce(&v, err);
	if (rc == 0 && pipe2(v.out, O_CLOEXEC) != 0)
		rc = err_sys(err, ERR_IO, "unable to make a pipe");
	if (rc == 0 && call->out != NULL && pipe2(v.taken, O_CLOEXEC) != 0)
		rc = err_sys(err, ERR_IO, "unable to make a pipe");
	return rc == 0 ? run(&v, status, err) : rc;
}

int demo_verb_start(struct demo_home *h, struct console *c, const struct demo_verb *call,
	const char *log, bool has_pipe, struct child **out, struct err *err)
{
	CLEANUP(verb_done)
	struct verb v = {
		.home = h, .console = c, .call = call, .out = { -1, -1 }, .taken = { -1, -1 }
	};
	if (stop_is_asked(NULL))
		return err_set(err, ERR_INTERRUPTED, "interrupted");
	int rc = make_argv(&v, err);
	if (rc == 0)
		rc = open_log(&v, log, err);
	if (rc == 0)
		rc = announce(&v, err);
	if (rc != 0)
		return rc;
	(void)fflush(v.log); /* the log is a convenience */
	const struct child_opts opts = { .argv = v.argv,
		.envp = v.envp,
		.out = has_pipe ? CHILD_PIPE : fileno(v.log),
		.err = fileno(v.log),
		.death_signal = SIGTERM };
	return child_spawn(&opts, out, err);
}
