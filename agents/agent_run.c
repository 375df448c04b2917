#include "agents/agent_run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agents/agent_backup.h"
#include "agents/agent_conf.h"
#include "agents/agent_drill.h"
#include "agents/agent_link.h"
#include "agents/agent_state.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "base/notify.h"
#include "conf/conf_problems.h"

/*
 *   set up --> hello --> (poll --> order --> result)* --> hello again after a 410 or a gap
 *
 * INVARIANTS
 * (1) An order is done only after hello was answered, and its result is told before the next poll.
 * (2) Trouble with the controller never ends the agent; it is told once a minute.
 * (3) A stop or a reload ends every wait of an agent without an order; an order is ended by a stop
 *     alone.
 */

#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS 60000
#define TELL_NS INT64_C(60000000000)
#define CLOSING_NS INT64_C(5000000000)
#define RENEW_NS INT64_C(600000000000) /* how often it is looked whether it is time */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_BEST_EFFORT_LOWEST (2 << 13 | 7)

struct agent {
	const struct agent_run_opts *opts;
	struct agent_conf *conf; /* owned */
	const struct agent_conf_values *values;
	struct agent_state state;
	int lock;                /* on the state directory; -1 = none */
	struct agent_link *link; /* owned */
	int64_t poll_ms, watchdog_ms;
	int64_t told_ns, closing_ns, renew_ns; /* monotonic; 0 = not yet */
	int backoff_ms;
	bool has_hello, is_ready, has_order;
};

static bool is_stopped(void *arg)
{
	struct agent *a = arg;
	return a->opts->is_stopped(a->opts->arg);
}

/* A result is told even when a stop was asked, for a few seconds. */
static bool is_link_stopped(void *arg)
{
	struct agent *a = arg;
	if (!a->has_order && a->opts->has_reload(a->opts->arg))
		return true;
	return is_stopped(a) && (a->closing_ns == 0 || env_mono_ns() > a->closing_ns);
}

static void beat(void *arg)
{
	struct agent *a = arg;
	if (a->watchdog_ms > 0)
		(void)notify_send(a->opts->notify_socket, "WATCHDOG=1");
}

/* Wait, and keep the watchdog fed. */
static void rest(struct agent *a, int ms)
{
	int step = a->watchdog_ms > 0 && a->watchdog_ms < ms ? (int)a->watchdog_ms : ms;
	for (; ms > 0 && !is_stopped(a); ms -= step) {
		a->opts->on_wait(a->opts->arg, ms < step ? ms : step);
		beat(a);
	}
}

/* ---- set up ---------------------------------------------------------------------------------- */

static int load_conf(struct agent *a, struct agent_conf **out, struct err *err)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	int rc = agent_conf_load(a->opts->config, out, &problems, err);
	if (problems.errors + problems.warnings > 0)
		conf_problems_print(&problems, stderr);
	conf_problems_done(&problems);
	return rc == 0 ? 0 : err_wrap(err, "configuration '%s'", a->opts->config);
}

static void stand_back(const struct agent_conf_values *v)
{
	if (setpriority(PRIO_PROCESS, 0, v->nice) != 0)
		log_warn("agent_run.nice", "unable to set the priority, continuing");
	if (v->nice > 0 &&
		syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_BEST_EFFORT_LOWEST) != 0)
		log_warn("agent_run.ioprio", "unable to set the priority of I/O, continuing");
}

static int open_link(struct agent *a, struct err *err)
{
	struct agent_link_opts o = {
		.state = &a->state, .conf = a->values, .is_stopped = is_link_stopped, .arg = a
	};
	agent_link_free(a->link);
	a->link = NULL;
	a->has_hello = false;
	return agent_link_new(&o, &a->link, err);
}

static int tell_role(const struct agent *a, struct err *err)
{
	const char *is = msg_enrol_role_name(a->state.request.role);
	(void)err_set(err, ERR_CONFIG,
		"the agent in '%s' is enrolled as %s, and '%s' configures it as %s",
		a->values->state, is, a->opts->config, msg_enrol_role_name(a->values->role));
	return err_hint(err,
		"set 'role' to %s; or revoke the agent, remove that directory and enrol again", is);
}

static int set_up(struct agent *a, struct err *err)
{
	int rc = load_conf(a, &a->conf, err);
	if (rc != 0)
		return rc;
	a->values = agent_conf_get(a->conf);
	if (agent_drill_check(a->values, err) != 0)
		return err_wrap(err, "configuration '%s'", a->opts->config);
	rc = agent_state_lock(a->values->state, &a->lock, err);
	if (rc == 0)
		rc = agent_state_load(a->values->state, &a->state, err);
	if (rc != 0)
		return rc;
	if (a->state.stage != AGENT_STAGE_ENROLLED) {
		rc = err_set(err, ERR_NOT_FOUND, "the enrolment of this agent is not finished");
		(void)err_hint(err, "run 'holdfast-agent enrol' again, without a token");
		return rc;
	}
	if (a->state.request.role != a->values->role)
		return tell_role(a, err);
	stand_back(a->values);
	return open_link(a, err);
}

/* A configuration that is no good leaves the old one in force. */
static void reload(struct agent *a)
{
	struct err why = ERR_INIT;
	struct agent_conf *fresh = NULL;
	struct agent_conf *old = a->conf;
	int rc = load_conf(a, &fresh, &why);
	if (rc == 0 && agent_conf_get(fresh)->role != a->values->role)
		rc = err_set(&why, ERR_CONFIG, "the role cannot change");
	if (rc == 0)
		rc = agent_drill_check(agent_conf_get(fresh), &why);
	if (rc != 0) {
		log_error("agent_run.reload", "%s, continuing with what was", why.msg);
		agent_conf_free(fresh);
		return;
	}
	a->conf = fresh;
	a->values = agent_conf_get(fresh);
	stand_back(a->values);
	if (open_link(a, &why) != 0)
		log_error("agent_run.reload", "%s", why.msg); /* tried again with hello */
	agent_conf_free(old);
	log_info("agent_run.reload", "configuration '%s' is read again", a->opts->config);
}

/* ---- work ------------------------------------------------------------------------------------ */

static void do_order(struct agent *a, const struct msg_order *order)
{
	struct msg_result result = { .attempt = order->attempt };
	struct err why = ERR_INIT;
	log_info("agent_run.order", "job=%s attempt=%lld verb=%s source=%s", order->job,
		(long long)order->attempt, msg_work_verb_name(order->verb), order->source);
	if (order->verb == MSG_VERB_BACKUP && a->values->role == MSG_ROLE_CAPTURE) {
		struct agent_backup_opts o = { .state = &a->state,
			.conf = a->values,
			.link = a->link,
			.kinds = a->opts->kinds,
			.host = a->opts->host,
			.arg = a,
			.is_stopped = is_stopped,
			.on_beat = beat };
		agent_backup_run(&o, order, &result);
	} else if (order->verb == MSG_VERB_DRILL && a->values->role == MSG_ROLE_SANDBOX) {
		const struct agent_drill_opts o = { .state = &a->state,
			.conf = a->values,
			.link = a->link,
			.arg = a,
			.is_stopped = is_stopped,
			.on_beat = beat };
		agent_drill_run(&o, order, &result);
	} else {
		(void)err_set(&result.error, ERR_UNSUPPORTED, "an agent of the role %s does no %s",
			msg_enrol_role_name(a->values->role), msg_work_verb_name(order->verb));
	}
	if (result.error.code != 0)
		log_error("agent_run.failed", "job=%s error=%s: %s", order->job,
			err_id(result.error.code), result.error.msg);
	else
		log_info("agent_run.done", "job=%s snapshot=%s", order->job, result.snapshot);
	a->closing_ns = env_mono_ns() + CLOSING_NS;
	if (agent_link_result(a->link, order->job, &result, &why) != 0) {
		log_warn("agent_run.result", "job=%s: %s", order->job, why.msg);
		a->has_hello = false;
	}
	a->closing_ns = 0;
}

static int say_hello(struct agent *a, struct err *err)
{
	int rc = a->link == NULL ? open_link(a, err) : 0;
	if (rc == 0)
		rc = agent_link_hello(a->link, &a->poll_ms, err);
	if (rc != 0)
		return rc;
	a->has_hello = true;
	log_info("agent_run.hello", "controller=%s", a->state.agents);
	if (!a->is_ready)
		(void)notify_send(a->opts->notify_socket, "READY=1\nSTATUS=connected");
	else
		(void)notify_send(a->opts->notify_socket, "STATUS=connected");
	a->is_ready = true;
	return 0;
}

/* Whatever keeps a controller from renewing it: the certificate is good for another half of its
 * life, and so are backups.  Only who is not let in, or reached, begins anew. */
static int renew(struct agent *a, struct err *err)
{
	struct err why = ERR_INIT;
	const int64_t now = env_mono_ns();
	if (now <= a->renew_ns)
		return 0;
	int rc = agent_link_renew(a->link, env_now_ns() / 1000000000, &why);
	if (rc == -ERR_UNREACHABLE || rc == -ERR_INTERRUPTED || rc == -ERR_AUTH) {
		*err = why;
		return rc;
	}
	a->renew_ns = now + RENEW_NS;
	if (rc == 1)
		log_info("agent_run.renew", "the certificate is renewed");
	else if (rc < 0)
		log_warn("agent_run.renew", "the certificate was not renewed: %s, continuing",
			why.msg);
	return 0;
}

static int step(struct agent *a, struct err *err)
{
	struct msg_order order;
	int64_t wait = a->poll_ms;
	if (!a->has_hello)
		return say_hello(a, err);
	if (renew(a, err) != 0)
		return -err->code;
	if (a->watchdog_ms > 0 && wait > a->watchdog_ms)
		wait = a->watchdog_ms;
	int rc = agent_link_poll(a->link, wait, &order, err);
	if (rc == 1) {
		a->has_order = true;
		do_order(a, &order);
		a->has_order = false;
		msg_work_order_done(&order);
	}
	return rc < 0 ? rc : 0;
}

static void tell(struct agent *a, const struct err *why)
{
	int64_t now = env_mono_ns();
	char status[600];
	if (a->told_ns != 0 && now - a->told_ns < TELL_NS)
		return;
	a->told_ns = now;
	log_warn("agent_run.trouble", "%s%s%s; trying again", why->msg,
		why->hint[0] != '\0' ? ": " : "", why->hint);
	(void)snprintf(status, sizeof(status), "STATUS=%.500s", why->msg); /* cut is fine */
	(void)notify_send(a->opts->notify_socket, status);
}

static void live(struct agent *a)
{
	while (!is_stopped(a)) {
		struct err why = ERR_INIT;
		if (a->opts->take_reload(a->opts->arg))
			reload(a);
		int rc = step(a, &why);
		beat(a);
		if (rc == 0) {
			a->backoff_ms = BACKOFF_FIRST_MS;
			a->told_ns = 0;
			continue;
		}
		if (is_stopped(a))
			break;
		if (rc == -ERR_INTERRUPTED && a->opts->has_reload(a->opts->arg))
			continue;
		a->has_hello = false; /* whatever it was: say who we are, and begin anew */
		tell(a, &why);
		rest(a, a->backoff_ms);
		a->backoff_ms =
			a->backoff_ms * 2 < BACKOFF_MAX_MS ? a->backoff_ms * 2 : BACKOFF_MAX_MS;
	}
}

int agent_run(const struct agent_run_opts *opts, struct err *err)
{
	struct agent a = { .opts = opts, .lock = -1, .backoff_ms = BACKOFF_FIRST_MS };
	a.watchdog_ms =
		notify_watchdog_ms(opts->watchdog_usec, opts->watchdog_pid, (int64_t)getpid());
	int rc = set_up(&a, err);
	if (rc == 0) {
		live(&a);
		(void)notify_send(opts->notify_socket, "STOPPING=1");
	}
	agent_link_free(a.link);
	agent_state_done(&a.state);
	agent_conf_free(a.conf);
	if (a.lock >= 0)
		(void)close(a.lock); /* nothing is written through it */
	return rc;
}
