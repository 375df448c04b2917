#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Between fork and exec only async-signal-safe calls run: another thread may hold any lock.
 * (2) The group is killed while its leader is still unreaped, so the number cannot be another's.
 * (3) pid > 0 exactly while the leader is unreaped.
 * (4) No descriptor but 0, 1, 2 and keep[] crosses exec, whatever flags others forgot.
 */

#define CHILD_LINE_BYTES 256
#define CHILD_EXEC_FAILED 127

struct child {
	pid_t pid;
	int pidfd;
	int fd[3]; /* our ends; -1 */
	struct child_end end;
};

/* What the forked process needs, made before the fork. */
struct launch {
	const struct child_opts *opts;
	char *const *argv;
	char *const *envp;
	int std[3]; /* become 0, 1, 2 */
	int report; /* write end: struct fault when exec fails */
	pid_t parent;
	char uid_map[64];
	char gid_map[64];
};

struct fault {
	int stage;
	int err_no;
};

enum stage { STAGE_SETUP, STAGE_NAMESPACE, STAGE_DIR, STAGE_EXEC };

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* a pipe end or pidfd: nothing to lose */
	*fd = -1;
}

static int put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t len = strlen(text);
	int rc = write(fd, text, len) == (ssize_t)len ? 0 : -1;
	(void)close(fd); /* the kernel took the map at write */
	return rc;
}

static int enter_namespace(const struct launch *l)
{
	if (l->opts->not_root_id == 0 || geteuid() != 0)
		return 0;
	if (unshare(CLONE_NEWUSER) != 0 || put_text("/proc/self/setgroups", "deny") != 0)
		return -1;
	if (put_text("/proc/self/uid_map", l->uid_map) != 0)
		return -1;
	return put_text("/proc/self/gid_map", l->gid_map);
}

static int set_streams(const struct launch *l)
{
	/* lift the sources above 2 first: one may sit where another has to go */
	int from[3];
	for (int i = 0; i < 3; i++) {
		from[i] = fcntl(l->std[i], F_DUPFD_CLOEXEC, 3);
		if (from[i] < 0)
			return -1;
	}
	for (int i = 0; i < 3; i++) {
		if (dup2(from[i], i) < 0)
			return -1;
	}
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC); /* ours are O_CLOEXEC anyway */
	for (size_t i = 0; i < l->opts->keep_count; i++) {
		if (fcntl(l->opts->keep[i], F_SETFD, 0) != 0)
			return -1;
	}
	return 0;
}

static void reset_signals(void)
{
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* SIGKILL and the library's own refuse, fine */
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void run_child(const struct launch *l)
{
	struct fault fault = { .stage = STAGE_SETUP };
	int death = l->opts->death_signal != 0 ? l->opts->death_signal : SIGKILL;

	reset_signals();
	if (setpgid(0, 0) != 0 || set_streams(l) != 0)
		goto fail;
	fault.stage = STAGE_NAMESPACE;
	if (enter_namespace(l) != 0)
		goto fail;
	fault.stage = STAGE_SETUP;
	/* after the namespace: a change of credentials clears it */
	if (prctl(PR_SET_PDEATHSIG, death) != 0)
		goto fail;
	if (getppid() != l->parent)
		_exit(CHILD_EXEC_FAILED);
	fault.stage = STAGE_DIR;
	if (l->opts->dir != NULL && chdir(l->opts->dir) != 0)
		goto fail;
	fault.stage = STAGE_EXEC;
	(void)execve(l->argv[0], l->argv, l->envp);
fail:
	fault.err_no = errno;
	if (write(l->report, &fault, sizeof(fault)) < 0)
		_exit(CHILD_EXEC_FAILED);
	_exit(CHILD_EXEC_FAILED);
}

/* Make stream ${i}: store the child's end in *${theirs} and, for a pipe, ours in *${ours}. */
static int open_stream(int i, int want, int *theirs, int *ours)
{
	if (want == CHILD_PIPE) {
		int p[2];
		if (pipe2(p, O_CLOEXEC) != 0)
			return -1;
		*theirs = i == 0 ? p[0] : p[1];
		*ours = i == 0 ? p[1] : p[0];
		return 0;
	}
	if (want == CHILD_NULL)
		*theirs = open("/dev/null", O_RDWR | O_CLOEXEC);
	else
		*theirs = fcntl(want == CHILD_INHERIT ? i : want, F_DUPFD_CLOEXEC, 3);
	return *theirs < 0 ? -1 : 0;
}

static int check_opts(const struct child_opts *o, struct err *err)
{
	if (o->argv == NULL || o->argv[0] == NULL || strchr(o->argv[0], '/') == NULL)
		return err_set(err, ERR_USAGE, "a program is named by its path");
	if (o->keep_count > CHILD_KEEP_MAX)
		return err_set(err, ERR_LIMIT, "more than %d descriptors to keep", CHILD_KEEP_MAX);
	return 0;
}

static int explain(const struct fault *f, const struct child_opts *o, struct err *err)
{
	errno = f->err_no;
	if (f->stage == STAGE_NAMESPACE) {
		(void)err_sys(err, ERR_IO, "unable to make a user namespace for '%s'", o->argv[0]);
		return err_hint(err, CHILD_NAMESPACE_HINT);
	}
	if (f->stage == STAGE_DIR)
		return err_sys(err, ERR_IO, "unable to enter '%s'", o->dir);
	enum err_code code = f->stage == STAGE_EXEC && errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	return err_sys(err, code, "unable to run '%s'", o->argv[0]);
}

/* Fork and wait for exec to happen.  On failure the process is gone and reaped. */
static int launch(struct child *c, struct launch *l, struct err *err)
{
	int report[2];
	if (pipe2(report, O_CLOEXEC) != 0)
		return err_sys(err, ERR_IO, "unable to make a pipe");
	/* out of the way of 0, 1, 2 should those be closed in this process */
	l->report = fcntl(report[1], F_DUPFD_CLOEXEC, 3);
	(void)close(report[1]); /* the duplicate lives on */
	l->parent = getpid();
	c->pid = fork();
	if (c->pid == 0)
		run_child(l);
	int fork_errno = errno;
	close_fd(&l->report);
	if (c->pid < 0) {
		(void)close(report[0]); /* read side */
		errno = fork_errno;
		return err_sys(err, ERR_IO, "unable to fork");
	}
	(void)setpgid(c->pid, c->pid); /* both sides do it: whoever comes first */

	struct fault fault;
	ssize_t n;
	do {
		n = read(report[0], &fault, sizeof(fault));
	} while (n < 0 && errno == EINTR);
	(void)close(report[0]); /* read side */
	if (n == (ssize_t)sizeof(fault))
		return explain(&fault, l->opts, err);
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0)
		return err_sys(err, ERR_IO, "unable to watch '%s'", l->opts->argv[0]);
	return 0;
}

DEFINE_CLEANUP(struct child *, child_free)

int child_spawn(const struct child_opts *opts, struct child **out, struct err *err)
{
	int rc = check_opts(opts, err);
	if (rc != 0)
		return rc;
	CLEANUP(child_free_p) struct child *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->pidfd = c->fd[0] = c->fd[1] = c->fd[2] = -1;

	struct launch l = { .opts = opts, .std = { -1, -1, -1 } };
	/* execve() takes char *const[] for history's sake and changes nothing */
	memcpy(&l.argv, &opts->argv, sizeof(l.argv));
	l.envp = environ;
	if (opts->envp != NULL)
		memcpy(&l.envp, &opts->envp, sizeof(l.envp));
	(void)snprintf(l.uid_map, sizeof(l.uid_map), "%u %u 1", opts->not_root_id, geteuid());
	(void)snprintf(l.gid_map, sizeof(l.gid_map), "%u %u 1", opts->not_root_id, getegid());

	const int want[3] = { opts->in, opts->out, opts->err };
	for (int i = 0; i < 3 && rc == 0; i++) {
		if (open_stream(i, want[i], &l.std[i], &c->fd[i]) != 0)
			rc = err_sys(
				err, ERR_IO, "unable to open a stream for '%s'", opts->argv[0]);
	}
	if (rc == 0)
		rc = launch(c, &l, err);
	for (int i = 0; i < 3; i++)
		close_fd(&l.std[i]);
	if (rc != 0)
		return rc;
	*out = TAKE(c);
	return 0;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

int child_stdin(const struct child *c)
{
	return c->fd[0];
}

int child_stdout(const struct child *c)
{
	return c->fd[1];
}

int child_stderr(const struct child *c)
{
	return c->fd[2];
}

void child_close_stdin(struct child *c)
{
	close_fd(&c->fd[0]);
}

static int64_t now_ms(void)
{
	return env_mono_ns() / 1000000;
}

/* Milliseconds for poll() until ${deadline} (< 0 = never comes). */
static int left_ms(int64_t deadline)
{
	if (deadline < 0)
		return -1;
	int64_t left = deadline - now_ms();
	if (left <= 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static int64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

/* The leader has ended or is told to: end the group, take the leader's status. */
static void reap(struct child *c)
{
	int status = 0;
	(void)kill(-c->pid, SIGKILL); /* ESRCH: nothing left but the leader */
	(void)kill(c->pid, SIGKILL);  /* before setpgid: not in the group yet */
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	c->pid = 0;
	c->end.is_signal = WIFSIGNALED(status);
	c->end.status = c->end.is_signal ? WTERMSIG(status) : WEXITSTATUS(status);
}

int child_wait(struct child *c, int timeout_ms, struct child_end *end, struct err *err)
{
	int64_t deadline = deadline_of(timeout_ms);
	while (c->pid > 0) {
		struct pollfd p = { .fd = c->pidfd, .events = POLLIN };
		int n = poll(&p, 1, left_ms(deadline));
		if (n < 0 && errno != EINTR)
			return err_sys(err, ERR_IO, "unable to wait for a program");
		if (n > 0)
			reap(c);
		else if (deadline >= 0 && now_ms() >= deadline)
			return err_set(
				err, ERR_BUSY, "the program still runs after %d ms", timeout_ms);
	}
	if (end != NULL)
		*end = c->end;
	return 0;
}

void child_signal(struct child *c, int sig)
{
	if (c->pid > 0)
		(void)kill(c->pid, sig); /* unreaped, so the number is its own */
}

bool child_stop(struct child *c, int sig, int grace_ms, struct child_end *end)
{
	child_signal(c, sig);
	bool in_time = child_wait(c, grace_ms, NULL, NULL) == 0;
	if (!in_time)
		reap(c);
	if (end != NULL)
		*end = c->end;
	return in_time;
}

void child_free(struct child *c)
{
	if (c == NULL)
		return;
	if (c->pid > 0)
		reap(c);
	for (int i = 0; i < 3; i++)
		close_fd(&c->fd[i]);
	close_fd(&c->pidfd);
	free(c);
}

/* Take what is there.  Return 1 at end of file, 0, or -1 and errno. */
static int drain(int fd, struct buf *out)
{
	char bytes[16384];
	ssize_t n = read(fd, bytes, sizeof(bytes));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	if (n == 0)
		return 1;
	if (out != NULL) {
		size_t room = out->max - out->len;
		size_t take = (size_t)n < room ? (size_t)n : room;
		if (buf_add(out, bytes, take, NULL) != 0)
			return -1;
	}
	return 0;
}

/* Read both pipes until they end, the leader ends or the time is over. */
static int collect(struct child *c, int64_t deadline, struct buf *bufs[2], struct err *err)
{
	for (;;) {
		struct pollfd p[3] = {
			{ .fd = c->fd[1], .events = POLLIN },
			{ .fd = c->fd[2], .events = POLLIN },
			{ .fd = c->pidfd, .events = POLLIN },
		};
		int n = poll(p, 3, left_ms(deadline));
		if (n < 0 && errno != EINTR)
			return err_sys(err, ERR_IO, "unable to wait for a program");
		if (n == 0)
			return err_set(err, ERR_BUSY, "the program took too long");
		if (n < 0)
			continue;
		bool had_bytes = false;
		for (int i = 0; i < 2; i++) {
			if (p[i].revents == 0)
				continue;
			int rc = drain(p[i].fd, bufs[i]);
			if (rc < 0)
				return err_sys(err, ERR_IO, "unable to read a program's output");
			if (rc == 1)
				close_fd(&c->fd[i + 1]);
			had_bytes = true;
		}
		/* a grandchild may hold the pipes open for ever: the leader's end counts */
		if (!had_bytes && p[2].revents != 0)
			return 0;
	}
}

int child_run(const struct child_opts *opts, int timeout_ms, struct buf *out, struct buf *errout,
	struct child_end *end, struct err *err)
{
	struct child_opts o = *opts;
	o.out = o.err = CHILD_PIPE;
	CLEANUP(child_free_p) struct child *c = NULL;
	int64_t deadline = deadline_of(timeout_ms);
	int rc = child_spawn(&o, &c, err);
	if (rc != 0)
		return rc;
	struct buf *bufs[2] = { out, errout };
	rc = collect(c, deadline, bufs, err);
	if (rc != 0)
		return err == NULL ? rc : err_wrap(err, "unable to finish '%s'", o.argv[0]);
	return child_wait(c, -1, end, err);
}

int child_check(
	const struct child_end *end, const char *what, const struct buf *output, struct err *err)
{
	if (!end->is_signal && end->status == 0)
		return 0;
	char line[CHILD_LINE_BYTES] = "";
	if (output != NULL && output->len > 0) {
		size_t to = output->len;
		while (to > 0 && (output->data[to - 1] == '\n' || output->data[to - 1] == '\r'))
			to--;
		size_t from = to;
		while (from > 0 && output->data[from - 1] != '\n')
			from--;
		(void)snprintf(line, sizeof(line), ": %.*s", (int)(to - from),
			(const char *)output->data + from); /* cut is fine */
	}
	if (end->is_signal)
		return err_set(
			err, ERR_FAILED, "%s was ended by signal %d%s", what, end->status, line);
	return err_set(err, ERR_FAILED, "%s ended with status %d%s", what, end->status, line);
}
