/*
 * fake_controller: the other end of an agent for tests: real TLS, real messages, no catalog and no
 * vault: it takes every record and says yes.  Runs in a thread of its own.
 */
#ifndef FAKE_CONTROLLER_H
#define FAKE_CONTROLLER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "msg/msg_enrol.h"
#include "msg/msg_work.h"
#include "net/http_server.h"
#include "net/loop.h"

struct fake_controller {
	struct loop *loop;
	struct http_server *people, *agents;
	pthread_t thread;
	char ca[MSG_PEM_BYTES], ca_key[MSG_PEM_BYTES];
	struct msg_token token;
	struct msg_enrol request; /* of the agent that enrolled */
	struct msg_enrol_answer answer;
	struct buf config;
	/* what it is told to do; set before the agent begins */
	int refuse_collects;  /* so many collects are answered with 202 */
	bool wrong_domain;    /* the config that is delivered does not list the agent */
	const char *order_of; /* one backup order for this source; NULL = none */
	bool say_stop;        /* progress is answered with go = false */
	bool hold_polls;      /* polls are asked to wait for 50 s, and never answered */
	bool hold_batches;    /* batches are taken and never answered */
	bool refuse_renewals; /* certificates are not renewed: its disk has an error */
	int64_t cert_from_s;  /* what certificates of agents begin with; 0 = now */
	/* what it saw; read after the agent has ended */
	size_t hellos, polls, progresses, results, commits, renewals, deletes;
	size_t records_bytes;
	struct msg_hello hello;
	struct msg_result result;
	volatile bool is_done; /* a result has come */
};

/* Listen on free ports of 127.0.0.1.  Ends the test when it cannot. */
void fake_controller_start(struct fake_controller *c);
void fake_controller_stop(struct fake_controller *c);

#endif
