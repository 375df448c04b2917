#include "cmd/demo_enrol.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "cmd/cli.h"
#include "cmd/demo_conf.h"
#include "cmd/demo_crew.h"
#include "cmd/demo_home.h"
#include "cmd/demo_stage.h"
#include "cmd/demo_verb.h"
#include "cmd/remote.h"
#include "cmd/stop.h"
#include "codec/jsonx.h"

/*
 * INVARIANTS
 * (1) The fingerprint that is approved is read from the agent's own output.
 * (2) A token is passed in a file, never as an argument.
 */

#define ENROL_SAYS_MAX 65536
#define ENROL_WAIT_MS 60000
#define ENROL_STEP_MS 200
#define ENROL_FINGERPRINT "fingerprint  "

DEFINE_CLEANUP(struct child *, child_free)

/* One agent on its way. */
struct newcomer {
	const struct demo_desk *desk;
	enum demo_crew_host host;
	const char *name;
	char conf[PATH_MAX], token[PATH_MAX];
	char fingerprint[64];
	struct child *child; /* owned */
};

static int find_conf(
	const struct demo_desk *d, enum demo_crew_host host, char out[PATH_MAX], struct err *err)
{
	char name[64];
	(void)snprintf(name, sizeof(name), "conf/%s.conf", demo_crew_name(host)); /* fits */
	return demo_home_join(d->stage->home, name, out, err);
}

/* Run a verb whose output is taken and not shown. */
static int take(
	const struct demo_desk *d, const char *const *words, struct buf *out, struct err *err)
{
	const struct demo_verb call = { .words = words, .out = out };
	int status = 0;
	int rc = demo_verb_run(d->stage->home, &d->stage->cli->console, &call, &status, err);
	if (rc != 0 || status == EXIT_STATUS_OK)
		return rc;
	return err_set(err, ERR_FAILED, "'holdfast %s %s' ended with status %d", words[0], words[1],
		status);
}

static int make_token(struct newcomer *n, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(ENROL_SAYS_MAX);
	const struct demo_desk *d = n->desk;
	const bool is_sandbox = n->host == DEMO_CREW_SANDBOX;
	const char *const words[] = { "agent", "token", "--role",
		is_sandbox ? "sandbox" : "capture", "--name", n->name, "--server", d->server,
		"--token-file", d->token, "--ca", d->ca, is_sandbox ? "--group" : NULL, "line3",
		NULL };
	char name[64];
	(void)snprintf(name, sizeof(name), "keys/%s.token", n->name); /* fits */
	int rc = demo_home_join(d->stage->home, name, n->token, err);
	if (rc == 0)
		rc = take(d, words, &text, err);
	const char *token = rc == 0 ? buf_cstr(&text) : NULL;
	if (rc == 0 && token == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0)
		rc = demo_home_write(d->stage->home, name, token, true, err);
	return rc == 0 ? demo_home_tell(
				 d->stage->home, err, "    # what it printed is in %s\n", name)
		       : rc;
}

/* Wait for output of the child.  Return the bytes, 0 at its end, or an error. */
static ssize_t hear(struct newcomer *n, char *out, size_t size, int64_t give_up, struct err *err)
{
	struct pollfd p = { .fd = child_stdout(n->child), .events = POLLIN };
	for (;;) {
		if (stop_is_asked(NULL))
			return err_set(err, ERR_INTERRUPTED, "interrupted");
		int rc = demo_crew_check(n->desk->crew, err);
		if (rc != 0)
			return rc;
		if (env_mono_ns() > give_up)
			return err_set(err, ERR_BUSY, "agent %s takes too long", n->name);
		int ready = poll(&p, 1, ENROL_STEP_MS);
		ssize_t got = ready > 0 ? read(p.fd, out, size) : -1;
		if (got >= 0)
			return got;
		if (ready > 0 && errno != EINTR && errno != EAGAIN)
			return err_sys(err, ERR_IO, "unable to hear agent %s", n->name);
	}
}

/* Invariant 1. */
static int read_fingerprint(struct newcomer *n, struct err *err)
{
	CLEANUP(buf_done) struct buf said = BUF_INIT(ENROL_SAYS_MAX);
	const int64_t give_up = env_mono_ns() + ENROL_WAIT_MS * INT64_C(1000000);
	for (;;) {
		char bytes[4096];
		ssize_t got = hear(n, bytes, sizeof(bytes), give_up, err);
		if (got < 0)
			return (int)got;
		int rc = got == 0 ? 0 : buf_add(&said, bytes, (size_t)got, err);
		const char *text = rc == 0 ? buf_cstr(&said) : "";
		if (rc != 0)
			return rc;
		if (text == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		const char *at = strstr(text, ENROL_FINGERPRINT);
		if (at != NULL && strchr(at, '\n') != NULL) {
			at += strlen(ENROL_FINGERPRINT);
			size_t len = strcspn(at, "\n");
			(void)snprintf(n->fingerprint, sizeof(n->fingerprint), "%.*s", (int)len,
				at); /* a longer one is refused */
			return 0;
		}
		if (got == 0) {
			(void)err_set(err, ERR_FAILED, "agent %s showed no fingerprint", n->name);
			return err_hint(err, "it says why in logs/%s.log", n->name);
		}
	}
}

static int approve(const struct newcomer *n, struct err *err)
{
	const struct demo_desk *d = n->desk;
	const char *const words[] = { "agent", "approve", n->name, "--fingerprint", n->fingerprint,
		"--officer-key", d->officer, "--server", d->server, "--token-file", d->token,
		"--ca", d->ca, NULL };
	console_print(&d->stage->cli->console, "    %s shows %s\n", n->name, n->fingerprint);
	return demo_stage_verb(d->stage, words, err);
}

static int begin(struct newcomer *n, struct err *err)
{
	int rc = find_conf(n->desk, n->host, n->conf, err);
	if (rc == 0)
		rc = make_token(n, err);
	const char *const words[] = { "enrol", "--config", n->conf, "--token-file", n->token,
		NULL };
	const struct demo_verb call = { .program = "holdfast-agent", .words = words };
	if (rc == 0)
		rc = demo_crew_spawn(
			n->desk->crew, n->desk->stage->home, n->host, &call, &n->child, err);
	if (rc == 0)
		rc = read_fingerprint(n, err);
	return rc == 0 ? approve(n, err) : rc;
}

/* Wait until the agent has taken what was approved. */
static int finish(struct newcomer *n, struct err *err)
{
	const int64_t give_up = env_mono_ns() + ENROL_WAIT_MS * INT64_C(1000000);
	char bytes[4096];
	ssize_t got;
	struct child_end end;
	do
		got = hear(n, bytes, sizeof(bytes), give_up, err);
	while (got > 0);
	if (got < 0)
		return (int)got;
	int rc = child_wait(n->child, ENROL_WAIT_MS, &end, err);
	if (rc == 0)
		rc = child_check(&end, "holdfast-agent enrol", NULL, err);
	return rc == 0 || stop_is_asked(NULL)
		       ? rc
		       : err_hint(err, "it says why in logs/%s.log", n->name);
}

int demo_enrol_all(const struct demo_desk *d, struct err *err)
{
	struct newcomer all[DEMO_CREW_HOSTS] = { 0 };
	int rc = 0;
	for (int i = DEMO_CREW_HISTORIAN; i < DEMO_CREW_HOSTS && rc == 0; i++) {
		all[i].desk = d;
		all[i].host = (enum demo_crew_host)i;
		all[i].name = demo_crew_name(all[i].host);
		rc = begin(&all[i], err);
	}
	for (int i = DEMO_CREW_HISTORIAN; i < DEMO_CREW_HOSTS && rc == 0; i++)
		rc = finish(&all[i], err);
	for (int i = 0; i < DEMO_CREW_HOSTS; i++)
		child_free(all[i].child);
	return rc;
}

int demo_enrol_run(const struct demo_desk *d, struct err *err)
{
	int rc = 0;
	for (int i = DEMO_CREW_HISTORIAN; i < DEMO_CREW_HOSTS && rc == 0; i++) {
		char conf[PATH_MAX];
		const char *const words[] = { "run", "--config", conf, "--verbose", NULL };
		const struct demo_verb call = { .program = "holdfast-agent", .words = words };
		rc = find_conf(d, (enum demo_crew_host)i, conf, err);
		if (rc == 0)
			rc = demo_crew_start(
				d->crew, d->stage->home, (enum demo_crew_host)i, &call, err);
	}
	return rc;
}

int demo_enrol_report_key(
	const struct demo_desk *d, char out[DEMO_ENROL_KEYID_BYTES], struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(ENROL_SAYS_MAX);
	const char *const words[] = { "agent", "show", DEMO_CONF_SANDBOX, "--json", "--server",
		d->server, "--token-file", d->token, "--ca", d->ca, NULL };
	json_t *agent = NULL;
	int rc = take(d, words, &text, err);
	if (rc == 0)
		rc = jsonx_parse(text.data, text.len, "the agent", &agent, err);
	if (rc != 0)
		return rc;
	const char *id = remote_text(agent, "report_keyid");
	(void)snprintf(out, DEMO_ENROL_KEYID_BYTES, "%s", id); /* checked below */
	if (strlen(id) != DEMO_ENROL_KEYID_BYTES - 1)
		rc = err_set(err, ERR_FAILED, "the controller knows no report key of the sandbox");
	json_decref(agent);
	return rc;
}
