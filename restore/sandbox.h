/*
 * sandbox: a place on this machine where restored systems run and can reach nothing else: own
 * mounts, processes, network (only its own loopback), users and names, made by bubblewrap without
 * any privilege.  Inside, this program runs again as process 1 (sandbox_init) and does what it is
 * asked over one socket; a fixed set of verbs, never a shell.
 * Knows: what is mounted where.  What is left of one: sandbox_left.
 * Hides: bubblewrap's options, the messages.
 * What runs inside is uid 1000 there and the caller outside; it has no capabilities.
 * Threading: one thread at a time, and the one that opened it must outlive it.
 */
#ifndef RESTORE_SANDBOX_H
#define RESTORE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/child.h"

struct buf;
struct err;
struct sandbox;

/* What is where inside. */
#define SANDBOX_DATA "/drill"        /* the restored data, writable */
#define SANDBOX_LOG "/drill-log"     /* what services say, writable */
#define SANDBOX_RUN "/drill-run"     /* empty memory: sockets */
#define SANDBOX_ETC "/drill-etc"     /* files given at the start, read only */
#define SANDBOX_PROGRAM "/drill-bin" /* this program, read only */

#define SANDBOX_LOG_NAME "sandbox.log" /* inside SANDBOX_LOG: what the sandbox itself says */

#define SANDBOX_MAX_FILES 8
#define SANDBOX_MAX_ARGS 128
#define SANDBOX_MAX_OUTPUT_BYTES ((size_t)1 << 20) /* of one program */
#define SANDBOX_MAX_ROWS 10000
#define SANDBOX_NAMESPACES 7
#define SANDBOX_DETAIL_BYTES 160

struct sandbox_file {
	const char *name; /* inside SANDBOX_ETC */
	const char *text;
};

struct sandbox_opts {
	const char *program; /* NULL = the program that runs now */
	const char *data;    /* host directory at SANDBOX_DATA */
	const char *log;     /* host directory at SANDBOX_LOG; gets SANDBOX_LOG_NAME */
	const struct sandbox_file *files;
	size_t file_count;
	/* Leave the host's network in: what a drill must find out.  For tests of that. */
	bool share_network;
	bool (*is_stopped)(void *arg); /* not NULL: waits end when it says true */
	void *arg;
};

/* Who the sandbox is to the kernel. */
struct sandbox_ids {
	pid_t pid; /* its process 1, as seen outside */
	struct {
		const char *name; /* "net" */
		uint64_t inode;   /* 0 = not of its own */
		int fd;           /* holds the namespace, so that the number is not given again */
	} ns[SANDBOX_NAMESPACES];
};

/**
 * sandbox_open(opts, out, err):
 * Make a sandbox and wait until it answers.  *${out} is owned; end it with sandbox_close() or
 * sandbox_free().  Return 0, -ERR_NOT_FOUND (no bubblewrap), -ERR_FAILED (it could not be made; its
 * last words are quoted) or -ERR_INTERRUPTED.
 */
int sandbox_open(const struct sandbox_opts *opts, struct sandbox **out, struct err *err);

/* Kill everything inside and wait until it is gone.  NULL is fine. */
void sandbox_free(struct sandbox *b);

/* Borrowed; good after sandbox_close(), until sandbox_free(). */
const struct sandbox_ids *sandbox_ids(const struct sandbox *b);

/*
 * The verbs.  Each may return -ERR_UNREACHABLE (the sandbox is gone, or an earlier call failed in
 * the middle), -ERR_BUSY (no answer in time) or -ERR_INTERRUPTED besides what is named.
 */

/**
 * sandbox_run(b, argv, timeout_ms, out, end, err):
 * Run a program to its end; its output and errors are appended to ${out} (may be NULL), at most
 * SANDBOX_MAX_OUTPUT_BYTES.  Return 0 whatever its exit status, -ERR_NOT_FOUND, -ERR_BUSY (killed).
 */
int sandbox_run(struct sandbox *b, const char *const *argv, int timeout_ms, struct buf *out,
	struct child_end *end, struct err *err);

/**
 * sandbox_start(b, service, argv, err):
 * Start a program that stays; what it says goes to <service>.log in SANDBOX_LOG.  ${service} is a
 * file name.  Return 0, -ERR_EXISTS (one of that name runs), -ERR_NOT_FOUND or -ERR_LIMIT.
 */
int sandbox_start(struct sandbox *b, const char *service, const char *const *argv, struct err *err);

/* Say if the service still runs, and how it ended if not.  Return 0 or -ERR_NOT_FOUND. */
int sandbox_look(struct sandbox *b, const char *service, bool *is_running, struct child_end *end,
	struct err *err);

/* Send ${sig}, wait ${grace_ms}, then kill.  Return 0, or -ERR_NOT_FOUND (no such service). */
int sandbox_stop(struct sandbox *b, const char *service, int sig, int grace_ms,
	struct child_end *end, struct err *err);

enum sandbox_reach { SANDBOX_UNREACHABLE, SANDBOX_REACHED };

/**
 * sandbox_connect(b, address, port, timeout_ms, out, detail, err):
 * Try a TCP connection to a numeric address from inside and say what became of it.  A refusal by
 * another host is an answer of that host, so it counts as reached; the sandbox's own loopback that
 * refuses has reached nothing.  Return 0, or -ERR_USAGE (not an address).
 */
int sandbox_connect(struct sandbox *b, const char *address, int port, int timeout_ms,
	enum sandbox_reach *out, char detail[SANDBOX_DETAIL_BYTES], struct err *err);

/* A question to a database inside. */
struct sandbox_sql {
	const char *socket_dir;
	const char *role;
	const char *database;
	const char *const *statements; /* run in order in one session; the last one's rows count */
	size_t statement_count;
	int timeout_ms;
};

/* Rows as text; a NULL value is NULL. */
struct sandbox_rows {
	size_t rows, columns;
	char **cells; /* rows * columns; owned */
};

/**
 * sandbox_sql(b, q, rows, err):
 * Ask.  Return 0 (end ${rows} with sandbox_rows_done()), -ERR_BUSY (the server takes no connections
 * yet, or broke a statement off: its time, its end, something it lacks), or -ERR_FAILED with the
 * server's own words.
 */
int sandbox_sql(
	struct sandbox *b, const struct sandbox_sql *q, struct sandbox_rows *rows, struct err *err);
void sandbox_rows_done(struct sandbox_rows *rows);
/* Borrowed; NULL for a NULL value or beyond the end. */
const char *sandbox_rows_at(const struct sandbox_rows *rows, size_t row, size_t column);

/**
 * sandbox_interfaces(b, names, err):
 * Append the names of the network interfaces inside, separated by blanks ("lo").
 */
int sandbox_interfaces(struct sandbox *b, struct buf *names, struct err *err);

/**
 * sandbox_close(b, err):
 * Ask process 1 to end, wait, and kill if it does not.  ${b} still has to be freed.  Return 0 when
 * all of its processes are reaped.
 */
int sandbox_close(struct sandbox *b, struct err *err);

#endif
