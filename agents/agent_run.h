/*
 * agent_run: the agent's life: hello, poll, work, renew, again.  A controller that cannot be
 * reached is waited for; only a stop, a refusal or a broken state ends it.
 */
#ifndef AGENTS_AGENT_RUN_H
#define AGENTS_AGENT_RUN_H

#include <stdbool.h>

struct err;
struct source_kinds;

struct agent_run_opts {
	const struct source_kinds *kinds;
	const char *config;        /* path of the configuration file */
	const char *host;          /* for labels */
	const char *notify_socket; /* NOTIFY_SOCKET, or NULL */
	const char *watchdog_usec, *watchdog_pid;
	void *arg;
	bool (*is_stopped)(void *arg); /* asked to end */
	bool (*take_reload)(
		void *arg); /* true once after it was asked to read its configuration again */
	bool (*has_reload)(void *arg);      /* it was asked, and not taken yet */
	void (*on_wait)(void *arg, int ms); /* waits, at most until a stop or a reload is asked */
};

/**
 * agent_run(opts, err):
 * Return 0 after a stop that was asked for, -ERR_NOT_FOUND (not enrolled), -ERR_CONFIG, -ERR_AUTH
 * (another role, others may read the keys), -ERR_CORRUPT.
 */
int agent_run(const struct agent_run_opts *opts, struct err *err);

#endif
