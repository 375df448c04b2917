/*
 * child: run another program: an argument array, never a shell.
 * Knows: process groups, pipes, time limits, bounded output, death with the parent.
 * Hides: fork and exec, descriptor hygiene, reaping.
 * Every child leads a process group of its own.  Whatever way a struct child ends, its group gets
 * SIGKILL and the leader is reaped; should this process die first, the kernel sends the child
 * death_signal.  (A grandchild that makes itself a session of its own is out of reach.)
 * Threading: one struct child belongs to one thread at a time, and that thread must outlive it:
 * the kernel counts the parent as dead when the thread that forked ends.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct child;
struct err;

#define CHILD_KEEP_MAX 16
/* What to do where the kernel makes no user namespace. */
#define CHILD_NAMESPACE_HINT                                                                       \
	"this machine must allow user namespaces (sysctl user.max_user_namespaces and "            \
	"kernel.unprivileged_userns_clone); inside a chroot the kernel never does: enter the "     \
	"directory with pivot_root instead, as systemd-nspawn does"

/* What a standard stream is; a positive number is a descriptor of ours (borrowed). */
enum child_stream {
	CHILD_NULL = 0,     /* /dev/null */
	CHILD_PIPE = -1,    /* a pipe; our end by child_stdin() and so on */
	CHILD_INHERIT = -2, /* ours */
};

struct child_opts {
	const char *const *argv; /* NULL at the end; argv[0] must hold a '/' */
	const char *const *envp; /* NULL at the end; NULL itself = our environment */
	const char *dir;         /* working directory; NULL = ours */
	int in, out, err;        /* enum child_stream or a descriptor */
	const int *keep;         /* descriptors > 2 the child gets under the same number */
	size_t keep_count;       /* at most CHILD_KEEP_MAX */
	int death_signal;        /* when this process dies; 0 = SIGKILL */
	/* If not 0 and we are uid 0: the program runs in a user namespace that shows our uid and
	 * gid as this number, without capabilities.  Files it makes still belong to us. */
	unsigned not_root_id;
};

/* How a child ended. */
struct child_end {
	bool is_signal; /* true: by signal ${status}; false: exit status ${status} */
	int status;
};

/**
 * child_spawn(opts, out, err):
 * Start the program.  On success *${out} is owned; end it with child_free().  A program that
 * cannot be executed is found here.  Return 0, -ERR_NOT_FOUND (no such program) or -ERR_IO.
 */
int child_spawn(const struct child_opts *opts, struct child **out, struct err *err);

/* Return the leader's process id, good until the child was waited for. */
pid_t child_pid(const struct child *c);

/* Our ends of the pipes, or -1; borrowed. */
int child_stdin(const struct child *c);
int child_stdout(const struct child *c);
int child_stderr(const struct child *c);

/* Close our end of the child's standard input, so that it sees end of file. */
void child_close_stdin(struct child *c);

/**
 * child_wait(c, timeout_ms, end, err):
 * Wait until the leader has ended (< 0: for ever), then kill what is left of its group and reap.
 * May be called again: the answer stays.  Return 0, -ERR_BUSY (it still runs) or -ERR_IO.
 */
int child_wait(struct child *c, int timeout_ms, struct child_end *end, struct err *err);

/* Send ${sig} to the leader alone; nothing when it has ended. */
void child_signal(struct child *c, int sig);

/**
 * child_stop(c, sig, grace_ms, end):
 * Send ${sig} to the leader, wait up to ${grace_ms}, then SIGKILL the group; reaped on return.
 * ${end} may be NULL.  Return true if it ended by itself in time.
 */
bool child_stop(struct child *c, int sig, int grace_ms, struct child_end *end);

/* Kill the group if it still runs, reap, close the pipes.  NULL is fine. */
void child_free(struct child *c);

/**
 * child_run(opts, timeout_ms, out, errout, end, err):
 * Spawn, collect standard output and standard error, wait.  ${opts}'s streams out and err are
 * ignored; in must not be CHILD_PIPE.  ${out} and ${errout} may be NULL (thrown away) or the same
 * buf; what passes a buf's max is thrown away, the program is never blocked by it.  A bad exit
 * status is no error of this call.  Return 0, -ERR_BUSY (${timeout_ms} passed; it was killed), or
 * as child_spawn().
 */
int child_run(const struct child_opts *opts, int timeout_ms, struct buf *out, struct buf *errout,
	struct child_end *end, struct err *err);

/**
 * child_check(end, what, output, err):
 * Turn a bad end into an error that quotes the last line of ${output} (may be NULL).
 * Return 0 for exit status 0, else -ERR_FAILED.
 */
int child_check(
	const struct child_end *end, const char *what, const struct buf *output, struct err *err);

#endif
