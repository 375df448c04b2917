#include "cmd/demo_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/demo_plant.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/cli.h"
#include "cmd/demo_conf.h"
#include "cmd/demo_crew.h"
#include "cmd/demo_enrol.h"
#include "cmd/demo_home.h"
#include "cmd/demo_jobs.h"
#include "cmd/demo_local.h"
#include "cmd/demo_stage.h"
#include "cmd/demo_verb.h"
#include "cmd/paths.h"
#include "cmd/stop.h"

/*
 *	network -> plant -> vault, controller -> agents -> [writer runs: two rounds of scheduled
 *	backups, a day between] -> historian and its agents gone -> drill by the sandbox -> verify
 *
 * INVARIANTS
 * (1) Everything but the plant and the network is done by the public verbs and programs.
 * (2) The network's form (conf/network) stays that of the first run: the agents were told an
 *     address.
 * (3) Programs are stopped before the plant, the plant before the network goes.
 */

#define NET_STEPS 9
#define NET_FORM "conf/network"
#define NET_FORM_MAX 256
#define NET_AGENTS_PORT 7443
#define NET_PEOPLE_PORT 7444

struct net {
	struct demo_stage *stage;
	struct demo_crew *crew; /* owned */
	struct demo_desk desk;
	bool is_lan;
	int agents_port, people_port;
	char server[64], dir[PATH_MAX], conf[PATH_MAX], token[PATH_MAX], ca[PATH_MAX],
		officer[PATH_MAX], report_pub[PATH_MAX];
};

static void net_done(struct net *n)
{
	demo_crew_free(n->crew);
}

static int make_paths(struct net *n, struct err *err)
{
	const struct {
		const char *name;
		char *out;
	} paths[] = {
		{ "controller", n->dir },
		{ DEMO_CONF_CONTROLLER, n->conf },
		{ "controller/keys/officer.token", n->token },
		{ "controller/keys/ca.pem", n->ca },
		{ "controller/keys/officer.key", n->officer },
		{ "controller/keys/report.key.pub", n->report_pub },
	};
	int rc = 0;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && rc == 0; i++)
		rc = demo_home_join(n->stage->home, paths[i].name, paths[i].out, err);
	return rc;
}

/* ---- 1: the network ---- */

/* Two ports that nobody uses now. */
static int free_ports(struct net *n, struct err *err)
{
	int fds[2] = { -1, -1 }, ports[2] = { 0, 0 };
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in a = { .sin_family = AF_INET,
			.sin_addr = { htonl(INADDR_LOOPBACK) } };
		socklen_t len = sizeof(a);
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i] >= 0 && bind(fds[i], (struct sockaddr *)&a, len) == 0 &&
			getsockname(fds[i], (struct sockaddr *)&a, &len) == 0)
			ports[i] = ntohs(a.sin_port);
	}
	cleanup_close_p(&fds[0]);
	cleanup_close_p(&fds[1]);
	n->agents_port = ports[0];
	n->people_port = ports[1];
	return ports[0] != 0 && ports[1] != 0 ? 0 : err_sys(err, ERR_IO, "unable to find a port");
}

/* What an earlier run wrote; *${is_there} false if none did. */
static int read_form(struct net *n, bool *is_there, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(NET_FORM_MAX);
	char path[PATH_MAX], word[16] = "";
	*is_there = demo_home_has(n->stage->home, NET_FORM);
	int rc = *is_there ? demo_home_join(n->stage->home, NET_FORM, path, err) : 0;
	if (rc == 0 && *is_there)
		rc = fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc != 0 || !*is_there)
		return rc;
	const char *line = buf_cstr(&text);
	if (line == NULL || sscanf(line, "%15s %d %d", word, &n->agents_port, &n->people_port) != 3)
		return err_set(err, ERR_CORRUPT, "'%s' is not what a demonstration wrote", path);
	n->is_lan = strcmp(word, "namespaces") == 0;
	return 0;
}

static int write_form(struct net *n, struct err *err)
{
	char line[NET_FORM_MAX];
	(void)snprintf(line, sizeof(line), "%s %d %d\n", n->is_lan ? "namespaces" : "127.0.0.1",
		n->agents_port, n->people_port); /* fits */
	return demo_home_write(n->stage->home, NET_FORM, line, false, err);
}

static int make_crew(struct net *n, struct err *err)
{
	struct err why = ERR_INIT;
	struct cli *cli = n->stage->cli;
	bool is_there = false;
	int rc = read_form(n, &is_there, err);
	if (rc != 0)
		return rc;
	if (is_there) {
		rc = demo_crew_new(n->is_lan, cli, &n->crew, err);
		return rc == 0 ? 0
			       : err_hint(err, "the first run had a network of its own; name a new "
					       "directory");
	}
	n->is_lan = true;
	n->agents_port = NET_AGENTS_PORT;
	n->people_port = NET_PEOPLE_PORT;
	rc = demo_crew_new(true, cli, &n->crew, &why);
	if (rc == -ERR_FAILED) {
		n->is_lan = false;
		console_print(&cli->console, "  not here: %s\n", why.msg);
		rc = free_ports(n, err);
		if (rc == 0)
			rc = demo_crew_new(false, cli, &n->crew, err);
	} else if (rc != 0) {
		*err = why;
	}
	return rc == 0 ? write_form(n, err) : rc;
}

static int do_network(struct net *n, struct err *err)
{
	struct demo_stage *s = n->stage;
	int rc = demo_stage_chapter(s, "A network",
		"A controller, the historian's host, the records' host and a sandbox, each in a "
		"network namespace of its own on one bridge, with no way out.",
		err);
	if (rc == 0)
		rc = make_crew(n, err);
	if (rc != 0)
		return rc;
	if (!n->is_lan)
		console_print(&s->cli->console, "  all of them are plain processes on 127.0.0.1\n");
	for (int i = 0; i < DEMO_CREW_HOSTS && n->is_lan; i++)
		console_print(&s->cli->console, "  %-12s %s\n",
			demo_crew_name((enum demo_crew_host)i),
			demo_crew_address(n->crew, (enum demo_crew_host)i));
	(void)snprintf(n->server, sizeof(n->server), "%s:%d",
		demo_crew_address(n->crew, DEMO_CREW_CONTROLLER), n->people_port); /* fits */
	n->desk = (struct demo_desk){ .stage = s,
		.crew = n->crew,
		.server = n->server,
		.token = n->token,
		.ca = n->ca,
		.officer = n->officer };
	return demo_home_tell(s->home, err,
		"   Controller: %s.  The commands ran on the historian's host%s.\n", n->server,
		n->is_lan ? ", daemons each on their own; the network goes with the demonstration"
			  : ", which is 127.0.0.1 as all others");
}

/* ---- 2: the plant ---- */

static int do_plant(struct net *n, struct err *err)
{
	struct demo_home *h = n->stage->home;
	int rc = demo_stage_plant(n->stage, err);
	for (int i = DEMO_CREW_HISTORIAN; i < DEMO_CREW_HOSTS && rc == 0; i++)
		rc = demo_conf_agent(h, demo_plant_postgres(n->stage->plant),
			demo_crew_name((enum demo_crew_host)i), err);
	return rc == 0 ? demo_conf_plan(h, demo_plant_postgres(n->stage->plant), err) : rc;
}

/* ---- 3: the vault and the controller ---- */

/* Each agent's directory; the sandbox's with room for reports. */
static int make_rooms(const struct demo_stage *s, struct err *err)
{
	static const char *const rooms[] = { "agents/" DEMO_CONF_HISTORIAN,
		"agents/" DEMO_CONF_RECORDS, "agents/" DEMO_CONF_SANDBOX "/reports" };
	int rc = 0;
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]) && rc == 0; i++) {
		char path[PATH_MAX];
		rc = demo_home_join(s->home, rooms[i], path, err);
		if (rc == 0)
			rc = paths_make(path, err);
	}
	return rc;
}

static int make_vault(struct net *n, struct err *err)
{
	static const char *const half[] = { "vault", "keys", "controller", "agents", "conf/state",
		"conf/cache" };
	static const char note[] =
		"These keys belong to a demonstration.  In a real plant nobody keeps the\n"
		"passphrase, the recovery file, the officer's key and the vault in one place.\n";
	struct demo_stage *s = n->stage;
	char agents[16], people[16], keys[PATH_MAX];
	(void)snprintf(agents, sizeof(agents), "%d", n->agents_port); /* fits */
	(void)snprintf(people, sizeof(people), "%d", n->people_port); /* fits */
	const char *const init[] = { "init", "--vault", s->vault, "--writer-key", s->writer_key,
		"--recovery-file", s->recovery, "--passphrase-file", s->passphrase, NULL };
	const char *const controller[] = { "controller", "init", "--dir", n->dir, "--name", "plant",
		"--host", demo_crew_address(n->crew, DEMO_CREW_CONTROLLER), "--agents-port", agents,
		"--people-port", people, "--vault", s->vault, "--writer-key", s->writer_key,
		"--recovery-file", s->recovery, "--passphrase-file", s->passphrase, NULL };
	int rc = demo_home_join(s->home, "keys", keys, err);
	for (size_t i = 0; i < sizeof(half) / sizeof(half[0]) && rc == 0; i++)
		rc = demo_home_remove(s->home, half[i], err);
	if (rc == 0 && mkdir(keys, 0700) != 0)
		rc = err_sys(err, ERR_IO, "unable to create '%s'", keys);
	if (rc == 0)
		rc = make_rooms(s, err);
	if (rc == 0)
		rc = demo_home_write(s->home, "keys/DEMO-ONLY", note, false, err);
	if (rc == 0)
		rc = demo_stage_passphrase(s, err);
	if (rc == 0)
		rc = demo_stage_verb(s, init, err);
	if (rc == 0)
		rc = demo_stage_verb(s, controller, err);
	if (rc == 0)
		rc = demo_conf_controller(
			s->home, n->is_lan ? "\"0.0.0.0\"" : "\"127.0.0.1\"", err);
	if (rc != 0)
		return rc;
	console_print(&s->cli->console, "  schedules were put into " DEMO_CONF_CONTROLLER "\n");
	return demo_home_tell(
		s->home, err, "    # schedules were put into " DEMO_CONF_CONTROLLER " by hand\n");
}

static int do_controller(struct net *n, struct err *err)
{
	struct demo_stage *s = n->stage;
	const bool is_there = demo_home_has(s->home, DEMO_NET_DONE);
	const char *const words[] = { "controller", "run", "--config", n->conf, NULL };
	const struct demo_verb call = { .words = words };
	int rc = demo_stage_chapter(s, "A vault and its controller",
		is_there ? "Those made before are used again."
			 : "The controller gets keys that take backups in, none that opens them; "
			   "the officer's key stays with a person.",
		err);
	if (rc == 0 && !is_there)
		rc = make_vault(n, err);
	if (rc == 0)
		rc = demo_crew_start(n->crew, s->home, DEMO_CREW_CONTROLLER, &call, err);
	return rc == 0 ? demo_crew_wait(n->crew, n->people_port, err) : rc;
}

/* ---- 4: the agents ---- */

static int do_agents(struct net *n, struct err *err)
{
	struct demo_stage *s = n->stage;
	const bool is_there = demo_home_has(s->home, DEMO_NET_DONE);
	int rc = demo_stage_chapter(s, "Three agents",
		is_there
			? "Enrolled before; they go on."
			: "Each shows a fingerprint on its own screen; the officer compares it and "
			  "signs the agent in.",
		err);
	if (rc == 0 && !is_there)
		rc = demo_enrol_all(&n->desk, err);
	if (rc == 0 && !is_there)
		rc = demo_home_write(s->home, DEMO_NET_DONE, "yes\n", false, err);
	return rc == 0 ? demo_enrol_run(&n->desk, err) : rc;
}

/* ---- 5, 6: backups ---- */

static int do_first(struct net *n, struct err *err)
{
	const int64_t since_ns = env_now_ns();
	int rc = demo_stage_chapter(n->stage, "Backups come by schedule",
		"A writer inserts samples all the time; nobody orders anything: the controller "
		"does, every ten seconds.",
		err);
	if (rc == 0)
		rc = demo_stage_start_writer(n->stage, err);
	return rc == 0 ? demo_jobs_round(&n->desk, since_ns, err) : rc;
}

static int do_second(struct net *n, struct err *err)
{
	int rc = demo_stage_chapter(n->stage, "A day later, the next backups",
		"New samples, five more batches, two edited projects: only what changed is read "
		"and sent.",
		err);
	if (rc == 0)
		rc = demo_stage_next_day(n->stage, err);
	return rc == 0 ? demo_jobs_round(&n->desk, env_now_ns(), err) : rc;
}

/* ---- 7: the disaster ---- */

static int do_disaster(struct net *n, struct err *err)
{
	struct demo_stage *s = n->stage;
	const char *const words[] = { "verify", "--vault", s->vault, "--writer-key", s->writer_key,
		NULL };
	int rc = demo_stage_chapter(s, "The disaster",
		"The historian, its writer and both capture agents are gone.  What is left is the "
		"controller with the vault; is it whole?",
		err);
	if (rc == 0)
		rc = demo_crew_stop(n->crew, DEMO_CREW_HISTORIAN, err);
	if (rc == 0)
		rc = demo_crew_stop(n->crew, DEMO_CREW_RECORDS, err);
	if (rc == 0)
		rc = demo_stage_disaster(s, err);
	return rc == 0 ? demo_stage_verb(s, words, err) : rc;
}

/* ---- 8: the drill ---- */

static int do_drill(struct net *n, struct err *err)
{
	struct demo_stage *s = n->stage;
	const char *const lint[] = { "plan", "lint", s->plan, NULL };
	const char *const words[] = { "drill", "run", "--agent", DEMO_CONF_SANDBOX, "--plan",
		s->plan, "--reports", s->reports, "--scenario",
		"demonstration: the historian was stopped on purpose", "--server", n->server,
		"--token-file", n->token, "--ca", n->ca, NULL };
	const struct demo_verb call = { .words = words, .is_hushed = true };
	int status = 0;
	int rc = demo_stage_chapter(s, "The drill",
		"The continuity plan, ordered through the controller and carried out by the "
		"sandbox agent: restore, start, check, measure, break a copy on purpose, clean "
		"up.",
		err);
	if (rc == 0)
		rc = demo_stage_verb(s, lint, err);
	demo_stage_set_notice(s, "stopping the drill, cleaning the sandbox ...\n");
	if (rc == 0)
		rc = demo_verb_run(s->home, &s->cli->console, &call, &status, err);
	demo_stage_set_notice(s, DEMO_STAGE_NOTICE);
	return rc == 0 ? demo_stage_judge(s, status, err) : rc;
}

/* ---- 9: the report ---- */

static int do_report(struct net *n, struct err *err)
{
	char agent[DEMO_ENROL_KEYID_BYTES];
	int rc = demo_enrol_report_key(&n->desk, agent, err);
	const char *const keys[] = { n->report_pub, agent, NULL };
	return rc == 0 ? demo_stage_report(n->stage, "controller/state/reports", keys, err) : rc;
}

/* A directory belongs to one form. */
static int check_form(const struct demo_stage *s, struct err *err)
{
	if (!demo_home_has(s->home, DEMO_LOCAL_DONE))
		return 0;
	(void)err_set(err, ERR_EXISTS, "'%s' holds a demonstration made with --in-process",
		demo_home_path(s->home));
	return err_hint(err, "say --in-process again, or name another directory");
}

int demo_net_run(struct demo_stage *s, struct cli *cli, const char *dir, struct err *err)
{
	int (*const steps[])(struct net * n, struct err * err) = { do_network, do_plant,
		do_controller, do_agents, do_first, do_second, do_disaster, do_drill, do_report };
	CLEANUP(net_done) struct net n = { .stage = s };
	int rc = demo_stage_open(s, cli, dir, NET_STEPS, err);
	if (rc == 0)
		rc = check_form(s, err);
	if (rc == 0)
		rc = make_paths(&n, err);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc == 0; i++)
		rc = steps[i](&n, err);
	(void)demo_crew_end(n.crew, &s->left); /* told by the verb */
	return rc;
}
