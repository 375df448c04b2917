#include "cmd/demo_crew.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agents/demo_lan.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "cmd/cli.h"
#include "cmd/demo_conf.h"
#include "cmd/demo_verb.h"
#include "cmd/stop.h"

/*
 * INVARIANTS
 * (1) The calling thread is on the historian's host between calls, so that the plant, its writer
 *     and the verbs are there.
 * (2) Everything that was started is stopped and reaped on every way out, agents before the
 *     controller.
 */

#define CREW_READY_MS 30000
#define CREW_STEP_MS 50
#define CREW_STOP_MS 60000

struct demo_crew {
	struct cli *cli;
	struct demo_lan *lan;                   /* owned; NULL = all on 127.0.0.1 */
	struct child *program[DEMO_CREW_HOSTS]; /* owned */
};

static const char *const names[DEMO_CREW_HOSTS] = { "controller", DEMO_CONF_HISTORIAN,
	DEMO_CONF_RECORDS, DEMO_CONF_SANDBOX };

const char *demo_crew_name(enum demo_crew_host host)
{
	return names[host];
}

DEFINE_CLEANUP(struct demo_crew *, demo_crew_free)

int demo_crew_new(bool is_lan, struct cli *cli, struct demo_crew **out, struct err *err)
{
	CLEANUP(demo_crew_free_p) struct demo_crew *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->cli = cli;
	int rc = is_lan ? demo_lan_new(DEMO_CREW_HOSTS, &c->lan, err) : 0;
	if (rc == 0 && is_lan)
		rc = demo_lan_enter(c->lan, DEMO_CREW_HISTORIAN, err);
	if (rc != 0)
		return rc;
	*out = TAKE(c);
	return 0;
}

const char *demo_crew_address(const struct demo_crew *c, enum demo_crew_host host)
{
	return c->lan == NULL ? "127.0.0.1" : demo_lan_address(c->lan, host);
}

static int start(struct demo_crew *c, struct demo_home *h, enum demo_crew_host host,
	const struct demo_verb *v, bool has_pipe, struct child **out, struct err *err)
{
	char log[64];
	(void)snprintf(log, sizeof(log), "%s.log", names[host]); /* fits */
	int rc = c->lan == NULL ? 0 : demo_lan_enter(c->lan, host, err);
	if (rc == 0)
		rc = demo_verb_start(h, &c->cli->console, v, log, has_pipe, out, err);
	/* invariant 1, also after an error */
	int back = c->lan == NULL ? 0 : demo_lan_enter(c->lan, DEMO_CREW_HISTORIAN, NULL);
	return rc == 0 && back != 0 ? err_set(err, ERR_IO, "unable to come back to our host") : rc;
}

int demo_crew_spawn(struct demo_crew *c, struct demo_home *h, enum demo_crew_host host,
	const struct demo_verb *v, struct child **out, struct err *err)
{
	return start(c, h, host, v, true, out, err);
}

int demo_crew_start(struct demo_crew *c, struct demo_home *h, enum demo_crew_host host,
	const struct demo_verb *v, struct err *err)
{
	return start(c, h, host, v, false, &c->program[host], err);
}

static bool takes_calls(const struct demo_crew *c, int port)
{
	CLEANUP(cleanup_close_p) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	(void)inet_pton(
		AF_INET, demo_crew_address(c, DEMO_CREW_CONTROLLER), &a.sin_addr); /* made by us */
	return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
}

int demo_crew_wait(struct demo_crew *c, int port, struct err *err)
{
	int64_t give_up = env_mono_ns() + CREW_READY_MS * INT64_C(1000000);
	for (;;) {
		int rc = demo_crew_check(c, err);
		if (rc != 0)
			return rc;
		if (takes_calls(c, port))
			return 0;
		if (stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		if (env_mono_ns() > give_up)
			return err_set(err, ERR_BUSY, "the controller is not ready after %d s",
				CREW_READY_MS / 1000);
		(void)poll(NULL, 0, CREW_STEP_MS); /* a pause; a signal is seen above */
	}
}

int demo_crew_check(struct demo_crew *c, struct err *err)
{
	struct child_end end;
	for (size_t i = 0; i < DEMO_CREW_HOSTS; i++) {
		if (c->program[i] == NULL || child_wait(c->program[i], 0, &end, NULL) != 0)
			continue;
		(void)err_set(err, ERR_FAILED, "%s ended by itself with %s %d", names[i],
			end.is_signal ? "signal" : "status", end.status);
		return err_hint(err, "it says why in logs/%s.log", names[i]);
	}
	return 0;
}

int demo_crew_stop(struct demo_crew *c, enum demo_crew_host host, struct err *err)
{
	struct child_end end;
	if (c->program[host] == NULL)
		return 0;
	bool in_time = child_stop(c->program[host], SIGTERM, CREW_STOP_MS, &end);
	child_free(TAKE(c->program[host]));
	if (!in_time || end.is_signal)
		return err_set(err, ERR_FAILED, "%s did not stop and was killed", names[host]);
	return 0;
}

int demo_crew_end(struct demo_crew *c, struct err *err)
{
	int rc = 0;
	if (c == NULL)
		return 0;
	/* all are asked before any is waited for */
	for (size_t i = 0; i < DEMO_CREW_HOSTS; i++) {
		if (c->program[i] != NULL && i != DEMO_CREW_CONTROLLER)
			child_signal(c->program[i], SIGTERM);
	}
	for (size_t i = DEMO_CREW_HOSTS; i-- > 0;) {
		int one = demo_crew_stop(c, (enum demo_crew_host)i, rc == 0 ? err : NULL);
		rc = rc == 0 ? one : rc;
	}
	return rc;
}

void demo_crew_free(struct demo_crew *c)
{
	if (c == NULL)
		return;
	(void)demo_crew_end(c, NULL); /* killed if it must be */
	demo_lan_free(c->lan);
	free(c);
}
