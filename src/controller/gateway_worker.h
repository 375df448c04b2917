/*
 * gateway_worker: a thread that does tasks one after the other and hands each back to the loop.
 *
 *	loop:   post --> [queue] --> thread: run --> [home's list] --> loop: done
 *
 * Hides: locks and joining.  Doors are for the loop's thread; run() is called on the worker's.
 */
#ifndef CONTROLLER_GATEWAY_WORKER_H
#define CONTROLLER_GATEWAY_WORKER_H

#include "base/err.h"

struct gateway_home;
struct gateway_worker;
struct loop;

/* One piece of work; the first member of the caller's own struct. */
struct gateway_task {
	struct gateway_task *next;
	void (*run)(struct gateway_task *t);  /* on the worker; sets rc and err */
	void (*done)(struct gateway_task *t); /* on the loop; frees the task */
	int rc;
	struct err err;
};

/* Where finished tasks come back: one for all workers. */
int gateway_worker_home_new(struct loop *loop, struct gateway_home **out, struct err *err);
/* Call done() of what came back: when every worker is gone, nothing comes later. */
void gateway_worker_home_drain(struct gateway_home *h);
/* Wait until something came back. */
void gateway_worker_home_wait(struct gateway_home *h);
/* After its workers; drains, and takes back what the loop still holds for it. */
void gateway_worker_home_free(struct gateway_home *h);

int gateway_worker_new(struct gateway_home *home, struct gateway_worker **out, struct err *err);
/* Every task posted is run and comes back, also when the worker is freed after it. */
void gateway_worker_post(struct gateway_worker *w, struct gateway_task *t);
/* Finish what is queued and end the thread; waits for it. */
void gateway_worker_free(struct gateway_worker *w);

#endif
