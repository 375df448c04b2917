/*
 * demo_crew: the programs of a demonstration that go on running: a controller and its agents, each
 * on a host of its own where the machine allows it.
 * Hides: where hosts are, how they are started, watched and stopped.  One thread.
 */
#ifndef CMD_DEMO_CREW_H
#define CMD_DEMO_CREW_H

#include <stdbool.h>
#include <stddef.h>

struct child;
struct cli;
struct demo_crew;
struct demo_home;
struct demo_verb;
struct err;

enum demo_crew_host {
	DEMO_CREW_CONTROLLER,
	DEMO_CREW_HISTORIAN,
	DEMO_CREW_RECORDS,
	DEMO_CREW_SANDBOX,
	DEMO_CREW_HOSTS,
};

/**
 * demo_crew_new(is_lan, cli, out, err):
 * Make the hosts: with ${is_lan} in namespaces, and the calling thread is on the historian's host
 * then; else all are 127.0.0.1.  The process must have one thread.  *${out} is ended by
 * demo_crew_free().  Return 0, -ERR_FAILED (why there can be no namespaces) or -ERR_NOMEM.
 */
int demo_crew_new(bool is_lan, struct cli *cli, struct demo_crew **out, struct err *err);
/* What the others call ${host}; borrowed. */
const char *demo_crew_address(const struct demo_crew *c, enum demo_crew_host host);
const char *demo_crew_name(enum demo_crew_host host);

/* Start a program on ${host} that is not watched: as demo_verb_start() with a pipe. */
int demo_crew_spawn(struct demo_crew *c, struct demo_home *h, enum demo_crew_host host,
	const struct demo_verb *v, struct child **out, struct err *err);
/* Start the program that ${host} is there for; it goes on until demo_crew_stop(). */
int demo_crew_start(struct demo_crew *c, struct demo_home *h, enum demo_crew_host host,
	const struct demo_verb *v, struct err *err);
/* Wait until the controller's ${port} takes calls.  Return 0, -ERR_FAILED (it ended: its last
 * line), -ERR_BUSY (it takes too long) or -ERR_INTERRUPTED. */
int demo_crew_wait(struct demo_crew *c, int port, struct err *err);
/* Does everything run that was started?  Return 0 or -ERR_FAILED: what ended, and where its log
 * is. */
int demo_crew_check(struct demo_crew *c, struct err *err);
/* SIGTERM, and wait for its end; nothing when it does not run.  Return 0 or -ERR_FAILED. */
int demo_crew_stop(struct demo_crew *c, enum demo_crew_host host, struct err *err);
/* Stop all that runs, agents before the controller, killed if it must be.  NULL is fine.  Return 0
 * or -ERR_FAILED: the first that had to be killed. */
int demo_crew_end(struct demo_crew *c, struct err *err);
/* demo_crew_end(), and give the hosts back.  NULL is fine. */
void demo_crew_free(struct demo_crew *c);

#endif
