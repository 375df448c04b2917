#include "controller/controller.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "base/notify.h"
#include "codec/text.h"
#include "conf/conf_problems.h"
#include "controller/agent_routes.h"
#include "controller/audit.h"
#include "controller/catalog.h"
#include "controller/catalog_agent.h"
#include "controller/catalog_snapshot.h"
#include "controller/controller_conf.h"
#include "controller/controller_files.h"
#include "controller/controller_keys.h"
#include "controller/dispatch.h"
#include "controller/drill_desk.h"
#include "controller/fleet.h"
#include "controller/gateway.h"
#include "controller/maintenance.h"
#include "controller/schedule.h"
#include "crypto/secret.h"
#include "db/db.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "vault/snapshot.h"

/*
 * INVARIANTS
 * (1) Nothing is listened on before catalog, config and vault were found good.
 * (2) At the end: no new requests, then maintenance and gateway (their answers still find
 * requests), then what waits, then the servers, then the catalog. (3) Ticks are asked for by one
 * timer, set to the earliest time any room named. (4) Threads read of a controller what is set
 * before they begin and stays: o, first, files.  A reload replaces conf, which is the loop's.
 */

#define CONTROLLER_AGENT_BODY (((size_t)16 << 20) + 65536)
#define CONTROLLER_PEOPLE_BODY ((size_t)1 << 20)
#define CONTROLLER_PEOPLE_MEMORY                                                                   \
	(16 * CONTROLLER_PEOPLE_BODY) /* strangers take it from people only */
#define CONTROLLER_IDLE_S 75          /* longer than a long poll */
#define CONTROLLER_TICK_MAX_MS 5000
#define CONTROLLER_CERT_DAYS 90
#define CONTROLLER_CERT_LEFT_S (30 * INT64_C(86400))
#define CONTROLLER_CERT_RETRY_S 3600

struct controller {
	struct controller_opts o;
	char *conf_path; /* owned */
	struct controller_conf *conf;
	struct controller_conf *first; /* rooms keep its texts; may be conf */
	struct controller_files files; /* keys; wiped */
	struct gateway_vault vault;
	struct db *db;
	struct loop *loop;
	struct loop_timer *timer;
	struct fleet *fleet;
	struct dispatch *dispatch;
	struct schedule *schedule;
	struct gateway *gateway;
	struct maintenance *maintenance;
	struct drill_desk *desk;
	struct agent_routes *routes;
	struct http_server *agents, *people;
	int64_t cert_until_s, cert_try_s; /* not tried again before */
	int64_t watchdog_ms;              /* 0 = the manager wants no signs of life */
	int64_t watched_ms;               /* monotonic: the clock may be set at any time */
	struct audit_some agents_say;     /* records that agents cause */
	bool is_stopping, is_kicked;
};

static int64_t now_ms(void)
{
	return env_now_ns() / 1000000;
}

/* Nobody listening is nobody's trouble. */
static void tell_manager(const struct controller *c, const char *state)
{
	(void)notify_send(c->o.notify_socket, state);
}

/* ---- what the rooms ask of each other ---- */

static int open_store(void *arg, bool is_read_only, struct store **out, struct err *err)
{
	const struct controller *c = arg;
	return c->o.open_store(c->first->vault, is_read_only, out, err); /* invariant 4 */
}

static int open_place(
	void *arg, const struct gateway_place *place, struct store **out, struct err *err)
{
	const struct controller *c = arg;
	return c->o.open_place(place, out, err);
}

static int put_config(void *arg, const void *config, size_t len, struct err *err)
{
	struct controller *c = arg;
	return gateway_vault_put_config(&c->vault, config, len, err);
}

static void on_config(void *arg, const struct domain *newest)
{
	struct controller *c = arg;
	gateway_set_readers(c->gateway, newest); /* there before anything is approved */
}

static int fill_drill(
	void *arg, const struct catalog_job *j, struct msg_order *out, struct err *err)
{
	struct controller *c = arg;
	return drill_desk_fill(c->desk, j, out, err);
}

static void drop_drill(void *arg, const struct catalog_job *j)
{
	struct controller *c = arg;
	struct err why = ERR_INIT;
	if (drill_desk_drop(c->desk, j, &why) != 0) /* it stays as one that was never begun */
		log_error("controller.drop_drill", "%s", why.msg);
}

static void on_end(void *arg, const struct catalog_job *j)
{
	struct controller *c = arg;
	gateway_end_job(c->gateway, j->id);
	controller_kick(c);
}

static void on_maintenance_end(void *arg)
{
	controller_kick(arg);
}

static void alarm_now(struct controller *c, const char *object, const char *text)
{
	log_warn("controller.alarm", "object=%s text=\"%s\", continuing", object, text);
	if (audit_add(c->db, "controller", "", "alarm", object, "raised", text, NULL) != 0)
		log_error("controller.alarm", "unable to record the alarm");
}

static void on_job_alarm(void *arg, const struct catalog_job *j, const char *text)
{
	alarm_now(arg, j->id, text);
}

static void on_named_alarm(void *arg, const char *name, const char *text)
{
	alarm_now(arg, name, text);
}

/* What an agent says can raise it again and again. */
static void on_agent_alarm(void *arg, const char *name, const char *text)
{
	struct controller *c = arg;
	log_warn("controller.alarm", "object=%s text=\"%s\", continuing", name, text);
	if (audit_add_some(&c->agents_say, c->db, "controller", "", "alarm", name, "raised", text,
		    NULL) != 0)
		log_error("controller.alarm", "unable to record the alarm");
}

static void on_ready(void *arg, const uint8_t agent_id[16])
{
	struct controller *c = arg;
	if (c->routes != NULL)
		agent_routes_wake(c->routes, agent_id);
}

static void fill_snapshot(struct catalog_snapshot *out, const struct snapshot *s, const char *job)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->hash, s->hash, sizeof(out->hash));
	memcpy(out->agent_id, s->record.agent_id, 16);
	memcpy(out->source_id, s->record.source_id, 16);
	(void)snprintf(out->source, sizeof(out->source), "%s", s->label.source); /* <= 4096 */
	(void)snprintf(out->host, sizeof(out->host), "%s", s->label.host);       /* cut is fine */
	out->seq = s->record.seq;
	out->receipt_ms = s->body.receipt_ns / 1000000;
	out->start_ms = s->record.t_start_ns / 1000000;
	out->end_ms = s->record.t_end_ns / 1000000;
	out->raw_bytes = (int64_t)s->record.raw_bytes;
	out->files = (int64_t)s->label.files;
	(void)snprintf(out->job, sizeof(out->job), "%s", job); /* an id */
}

static void on_commit(void *arg, const char *job, const struct snapshot *made)
{
	struct controller *c = arg;
	struct err why = ERR_INIT;
	char hex[65];
	text_hex(made->hash, 32, hex);
	CLEANUP(cleanup_free_p) struct catalog_snapshot *s = calloc(1, sizeof(*s));
	int rc = s == NULL ? err_set(&why, ERR_NOMEM, "out of memory") : 0;
	if (rc == 0) {
		fill_snapshot(s, made, job);
		rc = catalog_snapshot_add(c->db, s, &why);
	}
	if (rc == 0)
		rc = dispatch_committed(c->dispatch, job, hex, &why);
	log_info("controller.commit", "job=%s snapshot=%s source=%s", job, hex, made->label.source);
	if (rc != 0) /* it is in the vault: the next start finds it */
		log_error("controller.commit", "catalog: %s", why.msg);
}

static void on_refused(void *arg, const uint8_t agent_id[16], const char *grant, const char *why)
{
	struct controller *c = arg;
	char who[40];
	memcpy(who, "agent:", 6);
	text_hex(agent_id, 16, who + 6);
	if (audit_add_some(&c->agents_say, c->db, who, "", "grant.refused", grant, "not-found", why,
		    NULL) != 0)
		log_error("controller.refused", "unable to record that %s was refused", who);
}

static int prepare_drill(
	void *arg, const struct controller_schedule *s, struct catalog_job *j, struct err *err)
{
	struct controller *c = arg;
	CLEANUP(buf_done) struct buf text = BUF_INIT(CONTROLLER_FILES_PLAN_MAX);
	CLEANUP(cleanup_free_p) struct catalog_agent *a = calloc(1, sizeof(*a));
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	int rc = a == NULL ? err_set(err, ERR_NOMEM, "out of memory")
			   : catalog_agent_find(c->db, s->agent, a, err);
	if (rc == 0)
		rc = controller_files_read_plan(s->plan, &text, err);
	if (rc == 0) {
		const char *slash = strrchr(s->plan, '/');
		const struct drill_desk_order order = { .plan_name =
								slash == NULL ? s->plan : slash + 1,
			.plan = text.data,
			.plan_len = text.len,
			.agent = a,
			.trigger = "schedule" };
		rc = drill_desk_prepare(c->desk, &order, j, &problems, err);
	}
	conf_problems_done(&problems);
	return rc;
}

struct source_search {
	const char *source;
	bool is_there;
};

static int found(void *arg, const struct catalog_snapshot *s)
{
	struct source_search *x = arg;
	x->is_there = snapshot_is_named(s->source, s->host, s->agent_id, x->source);
	return x->is_there ? 1 : 0; /* one is enough */
}

static bool has_source_named(void *arg, const char *source)
{
	struct controller *c = arg;
	struct source_search x = { .source = source };
	const char *slash = strchr(source, '/');
	(void)catalog_snapshot_each(c->db, source, 1, found, &x, NULL); /* 1 ends it */
	if (!x.is_there && slash != NULL)
		(void)catalog_snapshot_each(c->db, slash + 1, 0, found, &x, NULL); /* as above */
	return x.is_there;
}

/* ---- ticks and signals ---- */

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void renew_cert(struct controller *c);

/* Give a sign of life if one is due.  Return ms until the next. */
static int64_t feed_watchdog(struct controller *c)
{
	const int64_t mono = env_mono_ns() / 1000000;
	if (c->watched_ms == 0 || mono - c->watched_ms >= c->watchdog_ms) {
		c->watched_ms = mono;
		tell_manager(c, "WATCHDOG=1");
	}
	return c->watched_ms + c->watchdog_ms - mono;
}

static void tick(void *arg)
{
	struct controller *c = arg;
	const int64_t now = now_ms();
	int64_t next = now + CONTROLLER_TICK_MAX_MS;
	if (c->is_stopping)
		return;
	c->is_kicked = false;
	next = earlier(next, schedule_tick(c->schedule, now));
	next = earlier(next, dispatch_tick(c->dispatch, now));
	next = earlier(next, gateway_tick(c->gateway, now));
	next = earlier(next, maintenance_tick(c->maintenance, now));
	next = earlier(next, agent_routes_tick(c->routes, now));
	if (c->cert_until_s - now / 1000 < CONTROLLER_CERT_LEFT_S && now / 1000 >= c->cert_try_s)
		renew_cert(c);
	if (c->watchdog_ms > 0)
		next = earlier(next, now + feed_watchdog(c));
	loop_timer_set(c->timer, c->is_kicked || next <= now ? 0 : next - now);
}

void controller_kick(struct controller *c)
{
	c->is_kicked = true; /* also during a tick */
	if (c->timer != NULL && !c->is_stopping)
		loop_timer_set(c->timer, 0);
}

static void on_stop(void *arg)
{
	struct controller *c = arg;
	log_info("controller.stop", "ending");
	c->is_stopping = true;
	tell_manager(c, "STOPPING=1");
	loop_stop(c->loop);
}

/* The loaded one counts from now on. */
static void take_conf(struct controller *c, struct controller_conf *conf)
{
	const bool has_new_hosts = !controller_conf_has_same_hosts(c->conf, conf);
	const char *key = NULL;
	for (size_t i = 0; (key = controller_conf_late(c->first, conf, i)) != NULL; i++)
		log_warn("controller.reload",
			"'%s' was changed: it counts from the next start on, continuing", key);
	schedule_set_conf(c->schedule, conf);
	maintenance_set_conf(c->maintenance, conf);
	dispatch_set_max_running(c->dispatch, conf->max_running);
	if (c->conf != c->first)
		controller_conf_free(c->conf);
	c->conf = conf;
	if (has_new_hosts)
		renew_cert(c);
	log_info("controller.reload", "schedules=%zu", conf->schedule_count);
}

static void tell_problems(const struct controller *c, const struct conf_problems *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct conf_problem *x = &p->items[i];
		if (x->severity == CONF_ERROR)
			log_error("controller.reload", "%s:%d: %s", c->conf_path, x->line, x->text);
		else
			log_warn("controller.reload", "%s:%d: %s, continuing", c->conf_path,
				x->line, x->text);
	}
}

static void on_reload(void *arg)
{
	struct controller *c = arg;
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct err why = ERR_INIT;
	struct controller_conf *conf = NULL;
	tell_manager(c, "RELOADING=1");
	int rc = controller_conf_load(c->conf_path, &conf, &problems, &why);
	if (rc == 0 && (strcmp(conf->vault, c->conf->vault) != 0 ||
			       strcmp(conf->state, c->conf->state) != 0 ||
			       strcmp(conf->keys, c->conf->keys) != 0)) {
		controller_conf_free(conf);
		rc = err_set(&why, ERR_CONFIG,
			"vault, state and keys cannot change while the controller runs");
	}
	tell_problems(c, &problems);
	if (rc == 0)
		take_conf(c, conf);
	else
		log_error("controller.reload", "%s: the configuration before stays in force",
			why.msg);
	conf_problems_done(&problems);
	tell_manager(c, "READY=1");
	controller_kick(c);
}

/* ---- starting ---- */

static int add_snapshot(void *arg, const struct snapshot *s, struct err *err)
{
	CLEANUP(cleanup_free_p) struct catalog_snapshot *row = calloc(1, sizeof(*row));
	if (row == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	fill_snapshot(row, s, "");
	return catalog_snapshot_add(arg, row, err);
}

int controller_catalog(
	struct db *db, const struct gateway_vault *vault, size_t *damaged, struct err *err)
{
	int rc = db_begin(db, err);
	if (rc != 0)
		return rc;
	rc = gateway_vault_snapshots(vault, add_snapshot, db, damaged, err);
	if (rc == 0)
		return db_commit(db, err);
	db_rollback(db);
	return rc;
}

/* One that is not there would be made anew, without anybody in it: nobody could come in. */
static int find_catalog(const char *path, struct err *err)
{
	struct stat st = { .st_size = 0 };
	int rc = stat(path, &st);
	if (rc == 0 && st.st_size > 0)
		return 0;
	if (rc != 0 && errno != ENOENT)
		return err_sys(err, ERR_IO, "catalog %s", path);
	if (rc != 0)
		(void)err_set(err, ERR_NOT_FOUND, "there is no catalog %s", path);
	else
		(void)err_set(err, ERR_CORRUPT, "catalog %s is empty", path);
	return err_hint(err, "run 'holdfast catalog rebuild', or put back a copy of it");
}

static int open_catalog(struct controller *c, struct err *err)
{
	static const char kind[] = "sqlite:";
	char location[PATH_MAX + 32];
	size_t damaged = 0;
	int n = snprintf(location, sizeof(location), "%s%s/catalog.db", kind, c->conf->state);
	if (n < 0 || (size_t)n >= sizeof(location))
		return err_set(err, ERR_LIMIT, "the path of the catalog is too long");
	int rc = find_catalog(location + sizeof(kind) - 1, err);
	if (rc == 0)
		rc = db_open(location, &c->db, err);
	if (rc == 0)
		rc = catalog_open(c->db, err);
	if (rc == 0)
		rc = controller_catalog(c->db, &c->vault, &damaged, err);
	if (rc == 0 && damaged > 0)
		alarm_now(c, "vault",
			"the vault has damaged snapshot objects: run 'holdfast verify'");
	return rc;
}

static int open_fleet(struct controller *c, struct err *err)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT((size_t)1 << 20);
	int rc = gateway_vault_get_config(&c->vault, &config, err);
	if (rc != 0)
		return rc;
	const struct fleet_opts opts = { .db = c->db,
		.keys = &c->files.keys,
		.ca_pem = c->files.ca_pem,
		.ca_key_pem = c->files.ca_key_pem,
		.agents_address = c->conf->agents_address,
		.people_address = c->conf->people_address,
		.put_config = put_config,
		.on_config = on_config,
		.arg = c };
	return fleet_new(&opts, config.data, config.len, &c->fleet, err);
}

static void sweep_drills(struct controller *c)
{
	struct err why = ERR_INIT;
	size_t dropped = 0;
	if (drill_desk_sweep(c->desk, &dropped, &why) != 0) /* the next start comes to it again */
		log_error("controller.sweep_drills", "%s", why.msg);
}

static int open_rooms(struct controller *c, struct err *err)
{
	const struct dispatch_opts dispatch = { .db = c->db,
		.max_running = c->conf->max_running,
		.fill_drill = fill_drill,
		.drop_drill = drop_drill,
		.on_end = on_end,
		.on_alarm = on_job_alarm,
		.on_ready = on_ready,
		.arg = c };
	const struct gateway_opts gateway = { .loop = c->loop,
		.vault = c->vault,
		.on_commit = on_commit,
		.on_refused = on_refused,
		.arg = c,
		.max_sessions = CONTROLLER_CONF_RUNNING_MAX,
		.max_grants = CONTROLLER_CONF_RUNNING_MAX };
	const struct drill_desk_opts desk = { .db = c->db,
		.name = c->conf->name,
		.reports = c->files.reports,
		.report_seed = c->files.report_seed,
		.has_source = has_source_named,
		.arg = c };
	int rc = gateway_new(&gateway, &c->gateway, err);
	if (rc == 0)
		gateway_set_readers(c->gateway, fleet_domain(c->fleet));
	if (rc == 0)
		rc = drill_desk_new(&desk, &c->desk, err);
	if (rc == 0)
		sweep_drills(c);
	if (rc == 0)
		rc = dispatch_new(&dispatch, &c->dispatch, err);
	const struct schedule_opts schedule = { .db = c->db,
		.dispatch = c->dispatch,
		.prepare_drill = prepare_drill,
		.on_alarm = on_named_alarm,
		.arg = c };
	if (rc == 0)
		rc = schedule_new(&schedule, c->conf, &c->schedule, err);
	const struct maintenance_opts maintenance = { .loop = c->loop,
		.db = c->db,
		.dispatch = c->dispatch,
		.vault = c->vault,
		.state = c->conf->state,
		.on_end = on_maintenance_end,
		.arg = c };
	if (rc == 0)
		rc = maintenance_new(&maintenance, c->conf, &c->maintenance, err);
	const struct agent_routes_opts routes = { .loop = c->loop,
		.db = c->db,
		.fleet = c->fleet,
		.dispatch = c->dispatch,
		.gateway = c->gateway,
		.desk = c->desk,
		.name = c->conf->name,
		.ca_pem = c->files.ca_pem,
		.on_alarm = on_agent_alarm,
		.arg = c };
	if (rc == 0)
		rc = agent_routes_new(&routes, &c->routes, err);
	return rc;
}

static void on_agents(void *arg, struct http_request *q)
{
	struct controller *c = arg;
	agent_routes_handle(c->routes, q);
}

static bool on_agents_head(void *arg, struct http_request *q)
{
	struct controller *c = arg;
	return agent_routes_admit(c->routes, q);
}

/* Who enrols has no token yet, and its bodies are small: a large one is refused like a stranger's.
 */
static bool on_people_head(void *arg, struct http_request *q)
{
	struct controller *c = arg;
	return c->o.on_people_head(c->o.arg, c, q);
}

static void on_people(void *arg, struct http_request *q)
{
	struct controller *c = arg;
	if (!agent_routes_enrol(c->routes, q))
		c->o.on_people(c->o.arg, c, q);
}

static int make_cert(struct controller *c, struct buf *cert, struct buf *key, struct err *err)
{
	const int64_t now = env_now_ns() / 1000000000;
	int rc = controller_files_server_cert(&c->files, c->conf->name, c->conf->hosts,
		c->conf->host_count, now, CONTROLLER_CERT_DAYS, cert, key, err);
	if (rc == 0)
		c->cert_until_s = now + CONTROLLER_CERT_DAYS * INT64_C(86400);
	return rc;
}

static void renew_cert(struct controller *c)
{
	CLEANUP(buf_done) struct buf cert = BUF_INIT(65536);
	CLEANUP(buf_wipe) struct buf key = BUF_INIT(65536);
	struct err why = ERR_INIT;
	c->cert_try_s = env_now_ns() / 1000000000 + CONTROLLER_CERT_RETRY_S;
	int rc = make_cert(c, &cert, &key, &why);
	if (rc == 0)
		rc = http_server_set_cert(c->agents, buf_cstr(&cert), buf_cstr(&key), &why);
	if (rc == 0)
		rc = http_server_set_cert(c->people, buf_cstr(&cert), buf_cstr(&key), &why);
	if (rc != 0)
		alarm_now(c, "certificate", why.msg);
	else
		log_info("controller.certificate", "renewed");
}

static int listen_all(struct controller *c, struct err *err)
{
	CLEANUP(buf_done) struct buf cert = BUF_INIT(65536);
	CLEANUP(buf_wipe) struct buf key = BUF_INIT(65536);
	int rc = make_cert(c, &cert, &key, err);
	if (rc != 0)
		return rc;
	struct http_server_opts opts = { .loop = c->loop,
		.host = c->conf->agents_host,
		.port = c->conf->agents_port,
		.cert_pem = buf_cstr(&cert),
		.key_pem = buf_cstr(&key),
		.client_ca = c->files.ca_pem,
		.max_body = CONTROLLER_AGENT_BODY,
		.body_memory = (size_t)c->conf->body_memory,
		.max_connections = (int)c->conf->max_connections,
		.max_per_address = (int)c->conf->max_connections,
		.idle_s = CONTROLLER_IDLE_S,
		.on_head = on_agents_head,
		.on_request = on_agents,
		.arg = c };
	rc = http_server_open(&opts, &c->agents, err);
	opts.host = c->conf->people_host;
	opts.port = c->conf->people_port;
	opts.client_ca = NULL;
	opts.max_body = CONTROLLER_PEOPLE_BODY;
	opts.body_memory = CONTROLLER_PEOPLE_MEMORY;
	opts.on_head = on_people_head;
	opts.on_request = on_people;
	return rc != 0 ? rc : http_server_open(&opts, &c->people, err);
}

static int start(struct controller *c, struct err *err)
{
	c->vault = (struct gateway_vault){ .keys = &c->files.keys,
		.open_store = open_store,
		.open_place = c->o.open_place == NULL ? NULL : open_place,
		.arg = c,
		.location = c->first->vault };
	int rc = loop_new(&c->loop, err);
	if (rc == 0)
		rc = open_catalog(c, err);
	if (rc == 0) /* not before: a mount that is not there stays an empty directory */
		rc = controller_files_make_dirs(&c->files, c->first->state, err);
	if (rc == 0 && c->files.cache[0] != '\0')
		c->vault.cache = c->files.cache;
	if (rc == 0)
		rc = open_fleet(c, err);
	if (rc == 0)
		rc = open_rooms(c, err);
	if (rc == 0)
		rc = loop_timer_new(c->loop, tick, c, &c->timer, err);
	if (rc == 0)
		rc = loop_signal(c->loop, SIGTERM, on_stop, c, err);
	if (rc == 0)
		rc = loop_signal(c->loop, SIGINT, on_stop, c, err);
	if (rc == 0)
		rc = loop_signal(c->loop, SIGHUP, on_reload, c, err);
	return rc != 0 ? rc : listen_all(c, err);
}

DEFINE_CLEANUP(struct controller *, controller_free)

int controller_new(const struct controller_opts *opts, struct controller **out,
	struct conf_problems *problems, struct err *err)
{
	CLEANUP(controller_free_p) struct controller *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	c->o = *opts;
	c->watchdog_ms = opts->watchdog_ms;
	c->conf_path = strdup(opts->conf_path);
	if (c->conf_path == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = controller_conf_load(c->conf_path, &c->conf, problems, err);
	c->first = c->conf;
	if (rc == 0)
		rc = controller_files_load(c->conf->keys, c->conf->state, &c->files, err);
	if (rc == 0)
		rc = start(c, err);
	if (rc != 0)
		return rc;
	*out = TAKE(c);
	return 0;
}

int controller_run(struct controller *c, struct err *err)
{
	log_info("controller.run", "name=%s agents=%d people=%d version=%s", c->conf->name,
		http_server_port(c->agents), http_server_port(c->people), c->o.version);
	loop_timer_set(c->timer, 0);
	tell_manager(c, "READY=1");
	return loop_run(c->loop, err);
}

void controller_free(struct controller *c)
{
	if (c == NULL)
		return;
	c->is_stopping = true;
	if (c->agents != NULL)
		http_server_pause(c->agents);
	if (c->people != NULL)
		http_server_pause(c->people);
	maintenance_free(c->maintenance);
	gateway_free(c->gateway); /* invariant 2 */
	agent_routes_free(c->routes);
	loop_timer_free(c->timer);
	http_server_close(c->agents);
	http_server_close(c->people);
	schedule_free(c->schedule);
	dispatch_free(c->dispatch);
	drill_desk_free(c->desk);
	fleet_free(c->fleet);
	db_close(c->db);
	loop_free(c->loop);
	controller_files_done(&c->files);
	if (c->conf != c->first)
		controller_conf_free(c->conf);
	controller_conf_free(c->first);
	free(c->conf_path);
	free(c);
}

struct db *controller_db(struct controller *c)
{
	return c->db;
}

struct fleet *controller_fleet(struct controller *c)
{
	return c->fleet;
}

struct dispatch *controller_dispatch(struct controller *c)
{
	return c->dispatch;
}

struct schedule *controller_schedule(struct controller *c)
{
	return c->schedule;
}

struct drill_desk *controller_desk(struct controller *c)
{
	return c->desk;
}

struct maintenance *controller_maintenance(struct controller *c)
{
	return c->maintenance;
}

const struct controller_conf *controller_configuration(const struct controller *c)
{
	return c->conf;
}

const char *controller_version(const struct controller *c)
{
	return c->o.version;
}

int controller_agents_port(const struct controller *c)
{
	return http_server_port(c->agents);
}

int controller_people_port(const struct controller *c)
{
	return http_server_port(c->people);
}

void controller_drop_agent(struct controller *c, const uint8_t agent_id[16])
{
	struct err why = ERR_INIT;
	agent_routes_drop(c->routes, agent_id);
	gateway_end_agent(c->gateway, agent_id);
	if (dispatch_drop(c->dispatch, agent_id, &why) != 0)
		log_error("controller.drop", "%s", why.msg);
}
