#include "cmd/cmd_controller.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/version.h"
#include "cmd/access.h"
#include "cmd/lock_seen.h"
#include "cmd/paths.h"
#include "codec/jsonx.h"
#include "conf/conf_problems.h"
#include "controller/catalog.h"
#include "controller/catalog_snapshot.h"
#include "controller/controller.h"
#include "controller/controller_conf.h"
#include "controller/controller_files.h"
#include "controller/gateway_vault.h"
#include "controller/people.h"
#include "crypto/secret.h"
#include "db/db.h"
#include "vault/vault.h"
#include "web/api.h"

/*
 * INVARIANTS
 * (1) init replaces nothing: a directory that holds a controller is refused before a key is made.
 * (2) The officer's key is written once, by init, and never read by the daemon.
 */

#define CONTROLLER_AGENTS_PORT 7443
#define CONTROLLER_PEOPLE_PORT 7444
#define CONTROLLER_CONF_MAX 65536

/* ---- init ---- */

static int tell_problems(struct cli *cli, struct conf_problems *problems, int rc, struct err *err);

struct made {
	char dir[PATH_MAX], keys[PATH_MAX], state[PATH_MAX], conf[PATH_MAX], token[PATH_MAX],
		officer[PATH_MAX], vault[PATH_MAX];
	char name[MSG_NAME_BYTES];
};

static int in_dir(char out[PATH_MAX], const char *dir, const char *name, struct err *err)
{
	if (snprintf(out, PATH_MAX, "%s", dir) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", dir);
	return paths_join(out, name, err);
}

static int find_name(const struct cli *cli, struct made *m, struct err *err)
{
	char host[256] = "";
	const char *name = cli_text(cli, "name");
	if (name == NULL && gethostname(host, sizeof(host) - 1) == 0) {
		host[strcspn(host, ".")] = '\0';
		for (char *p = host; *p != '\0'; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		name = host;
	}
	const char *shown = name == NULL ? "" : name;
	if (!msg_enrol_is_name(shown)) {
		err_set(err, ERR_USAGE, "'%s' is no name for a controller", shown);
		return err_hint(
			err, "give one with --name: lower-case letters, digits, '.', '_', '-'");
	}
	(void)snprintf(m->name, sizeof(m->name), "%.*s", MSG_NAME_BYTES - 1, shown); /* fits */
	return 0;
}

static int find_paths(const struct cli *cli, struct made *m, struct err *err)
{
	const char *dir = cli_text(cli, "dir");
	const char *local = drivers_directory(cli);
	if (dir == NULL)
		return err_set(err, ERR_USAGE, "--dir DIR is needed: where the controller lives");
	int rc = paths_make(dir, err);
	if (rc == 0 && realpath(dir, m->dir) == NULL)
		rc = err_sys(err, ERR_IO, "unable to find '%s'", dir);
	if (rc == 0 && local != NULL && realpath(local, m->vault) == NULL)
		rc = err_sys(err, ERR_NOT_FOUND, "unable to find '%s'", local);
	if (rc == 0 && local == NULL)
		rc = snprintf(m->vault, sizeof(m->vault), "%s", drivers_location(cli)) >= PATH_MAX
			     ? err_set(err, ERR_LIMIT, "the vault's name is too long")
			     : 0;
	if (rc == 0)
		rc = in_dir(m->keys, m->dir, "keys", err);
	if (rc == 0)
		rc = in_dir(m->state, m->dir, "state", err);
	if (rc == 0)
		rc = in_dir(m->conf, m->dir, "controller.conf", err);
	if (rc == 0)
		rc = in_dir(m->token, m->keys, "officer.token", err);
	if (rc == 0)
		rc = in_dir(m->officer, m->keys, "officer.key", err);
	if (rc == 0 && access(m->conf, F_OK) == 0) {
		(void)err_set(err, ERR_EXISTS, "there is a controller in '%s' already", m->dir);
		rc = err_hint(err, "run it with 'holdfast controller run --config %s'", m->conf);
	}
	return rc;
}

static int add_quoted(struct buf *b, const char *text, struct err *err)
{
	int rc = buf_add8(b, '"', err);
	for (const char *p = text; rc == 0 && *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			rc = buf_add8(b, '\\', err);
		if (rc == 0)
			rc = buf_add8(b, (uint8_t)*p, err);
	}
	return rc != 0 ? rc : buf_add8(b, '"', err);
}

static int add_setting(struct buf *b, const char *key, const char *text, struct err *err)
{
	int rc = buf_addf(b, err, "%s = ", key);
	if (rc == 0)
		rc = add_quoted(b, text, err);
	return rc != 0 ? rc : buf_add(b, ";\n", 2, err);
}

static bool has_host(const struct cli *cli, const char *host)
{
	for (size_t i = 0; cli_nth(cli, "host", i) != NULL; i++) {
		if (strcmp(cli_nth(cli, "host", i), host) == 0)
			return true;
	}
	return false;
}

/* The names that agents and people use, for the certificate; the first is told to agents. */
static int add_hosts(const struct cli *cli, struct buf *b, const char **first, struct err *err)
{
	static const char *const loopback[] = { "localhost", "127.0.0.1", "::1" };
	int rc = buf_addf(b, err, "hosts = [ ");
	*first = cli_nth(cli, "host", 0);
	const char *comma = "";
	for (size_t i = 0; rc == 0 && cli_nth(cli, "host", i) != NULL; i++) {
		rc = buf_addf(b, err, "%s", comma);
		if (rc == 0)
			rc = add_quoted(b, cli_nth(cli, "host", i), err);
		comma = ", ";
	}
	for (size_t i = 0; rc == 0 && i < 3; i++) {
		if (has_host(cli, loopback[i]))
			continue;
		rc = buf_addf(b, err, "%s\"%s\"", comma, loopback[i]);
		comma = ", ";
	}
	if (*first == NULL)
		*first = "127.0.0.1";
	return rc != 0 ? rc : buf_addf(b, err, " ];   # names and addresses in the certificate\n");
}

static int format_conf(const struct cli *cli, const struct made *m, struct buf *b, struct err *err)
{
	const int64_t agents = cli_number(cli, "agents-port", CONTROLLER_AGENTS_PORT);
	const int64_t people = cli_number(cli, "people-port", CONTROLLER_PEOPLE_PORT);
	const char *first = NULL;
	int rc = buf_addf(b, err, "# Holdfast controller; every key: docs/CONTROLLER.md\n");
	if (rc == 0)
		rc = add_setting(b, "name", m->name, err);
	if (rc == 0)
		rc = add_setting(b, "vault", m->vault, err);
	if (rc == 0)
		rc = buf_addf(b, err, "keys = \"keys\";\nstate = \"state\";\n");
	if (rc == 0)
		rc = add_hosts(cli, b, &first, err);
	if (rc == 0)
		rc = buf_addf(b, err,
			"agents_host = \"0.0.0.0\";     # agents call here, with certificates\n"
			"agents_port = %" PRId64 ";\n"
			"people_host = \"0.0.0.0\";     # people and tools, and agents that enrol\n"
			"people_port = %" PRId64 ";\n"
			"agents_address = \"%s:%" PRId64 "\";\n"
			"people_address = \"%s:%" PRId64 "\";\n\n"
			"# What runs when (docs/SCHEDULE.md); for instance\n"
			"# { name = \"historian\"; agent = \"line3\"; source = \"historian\"; "
			"at = \"*:0/15 Europe/Berlin\"; },\n"
			"# { name = \"drill\"; agent = \"sandbox1\"; plan = \"line3.plan\"; "
			"at = \"monthly\"; }\n"
			"schedules = ( );\n",
			agents, people, first, agents, first, people);
	return rc;
}

/* What 'run' would say of the configuration, before anything is made. */
static int check_conf(struct cli *cli, const struct buf *text, struct err *err)
{
	CLEANUP(cleanup_close_p) int fd = memfd_create("controller.conf", MFD_CLOEXEC);
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct controller_conf *conf = NULL;
	char path[64];
	if (fd < 0)
		return err_sys(err, ERR_IO, "unable to check the configuration");
	int rc = 0;
	if (write(fd, text->data, text->len) != (ssize_t)text->len) /* memory takes it whole */
		rc = err_sys(err, ERR_IO, "unable to check the configuration");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
	conf_problems_set_file(&problems, "controller.conf as it would be");
	if (rc == 0)
		rc = controller_conf_load(path, &conf, &problems, err);
	rc = tell_problems(cli, &problems, rc, err);
	controller_conf_free(conf);
	conf_problems_done(&problems);
	return rc;
}

static int open_catalog(const char *state, struct db **out, struct err *err)
{
	char location[PATH_MAX + 32];
	if (snprintf(location, sizeof(location), "sqlite:%s/catalog.db", state) >=
		(int)sizeof(location))
		return err_set(err, ERR_LIMIT, "path '%s' is too long", state);
	struct db *db = NULL;
	int rc = db_open(location, &db, err);
	if (rc == 0)
		rc = catalog_open(db, err);
	if (rc == 0)
		*out = db;
	else
		db_close(db);
	return rc;
}

/* The first token: an officer's, who makes the others. */
static int write_token(const struct made *m, struct err *err)
{
	struct db *db = NULL;
	struct people_token t = { .name = "officer", .role = PEOPLE_OFFICER };
	char text[PEOPLE_TOKEN_TEXT_BYTES + 1] = "";
	int rc = open_catalog(m->state, &db, err);
	t.made_ms = env_now_ns() / 1000000;
	if (rc == 0)
		rc = people_add(db, &t, text, err);
	db_close(db);
	size_t len = strlen(text);
	text[len] = '\n';
	if (rc == 0)
		rc = access_write_secret(m->token, text, len + 1, err);
	secret_wipe(text, sizeof(text));
	return rc;
}

/* What the recovery key gives a controller; the gateway's name is the file's. */
static void fill_keys(const struct access *a, struct controller_keys *k)
{
	const struct sealed_key *key = vault_sealed_key(a->vault);
	*k = (struct controller_keys){ .kv_epoch = key->kv_epoch };
	memcpy(k->vault_id, a->vault_id, sizeof(k->vault_id));
	memcpy(k->domain_id, a->root.domain_id, sizeof(k->domain_id));
	memcpy(k->k_vault, key->k_vault, sizeof(k->k_vault));
	memcpy(k->k_dom, a->root.k_dom, sizeof(k->k_dom));
	memcpy(k->rk_pk, a->root.rk_pk, sizeof(k->rk_pk));
	memcpy(k->officer_pk, a->root.officer_pk, sizeof(k->officer_pk));
}

static int make_keys(const struct access *a, const struct made *m, struct err *err)
{
	struct controller_keys k;
	fill_keys(a, &k);
	int rc = env_random(k.gateway, sizeof(k.gateway), err);
	if (rc == 0)
		rc = controller_files_make(m->keys, m->name, &k, a->root.officer_seed, err);
	secret_wipe(&k, sizeof(k));
	return rc;
}

static void tell_made(struct cli *cli, const struct made *m)
{
	struct console *c = &cli->console;
	if (c->is_json)
		(void)console_object(c, "controller-init", NULL,
			json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", m->name, "config",
				jsonx_name(m->conf, strlen(m->conf)), "keys",
				jsonx_name(m->keys, strlen(m->keys)), "officer_key",
				jsonx_name(m->officer, strlen(m->officer)), "officer_token",
				jsonx_name(
					m->token, strlen(m->token)))); /* console_flush() tells */
	console_print(c, "controller     %s\nconfiguration  ", m->name);
	console_print_name(c, m->conf, strlen(m->conf));
	console_print(c, "\nofficer key    ");
	console_print_name(c, m->officer, strlen(m->officer));
	console_print(c, "\nofficer token  ");
	console_print_name(c, m->token, strlen(m->token));
	console_print(c, "\n");
	console_note(c, "Move the officer key to where agents are approved, off this host: whoever "
			"has it can add writers and readers to the vault.");
	console_note(c, "Next: holdfast controller run --config '%s'", m->conf);
}

static int run_init(struct cli *cli, struct err *err)
{
	struct made m = { .name = "" };
	struct access a = ACCESS_INIT;
	CLEANUP(buf_done) struct buf b = BUF_INIT(CONTROLLER_CONF_MAX);
	int rc = find_paths(cli, &m, err);
	if (rc == 0)
		rc = find_name(cli, &m, err);
	if (rc == 0)
		rc = format_conf(cli, &m, &b, err);
	if (rc == 0)
		rc = check_conf(cli, &b, err);
	if (rc == 0)
		rc = access_open(cli, ACCESS_RECOVERY, DRIVERS_READ, &a, err);
	if (rc == 0)
		rc = make_keys(&a, &m, err);
	access_done(&a);
	if (rc == 0)
		rc = paths_make(m.state, err);
	if (rc == 0)
		rc = write_token(&m, err);
	if (rc == 0)
		rc = atomic_file_create(AT_FDCWD, m.conf, 0644, b.data, b.len,
			err); /* last: invariant 1 looks for it */
	if (rc != 0)
		return err_wrap(err, "unable to make a controller");
	tell_made(cli, &m);
	return 0;
}

/* ---- run ---- */

static int open_location(
	const char *location, bool is_read_only, struct store **out, struct err *err)
{
	int rc = drivers_open_location(
		location, is_read_only ? DRIVERS_READ : DRIVERS_WRITE, out, err);
	if (rc == 0)
		(void)lock_seen_use(NULL, location, !is_read_only, *out); /* it is told */
	return rc;
}

static int open_place(const struct gateway_place *place, struct store **out, struct err *err)
{
	const struct drivers_limits limits = { .upload_bps = place->bytes_per_s,
		.download_bps = place->bytes_per_s,
		.is_stopped = place->is_stopped,
		.arg = place->arg };
	int rc = drivers_open_limited(
		place->location, place->is_new ? DRIVERS_CREATE : DRIVERS_WRITE, &limits, out, err);
	if (rc == 0)
		(void)lock_seen_use(NULL, place->location, true, *out); /* it is told */
	return rc;
}

/* Everything wrong with a configuration, on standard error. */
static int tell_problems(struct cli *cli, struct conf_problems *problems, int rc, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT((size_t)1 << 20);
	if (problems->count > 0 && conf_problems_format(problems, &text, NULL) == 0)
		(void)fprintf(stderr, "%s", buf_cstr(&text)); /* stderr: nobody left to tell */
	(void)cli;
	if (rc == -ERR_CONFIG && problems->errors > 0)
		return err_set(err, ERR_CONFIG, "the configuration has %zu error%s",
			problems->errors, problems->errors == 1 ? "" : "s");
	return rc;
}

static int config_path(const struct cli *cli, const char **out, struct err *err)
{
	*out = cli_text(cli, "config");
	if (*out != NULL)
		return 0;
	(void)err_set(err, ERR_USAGE, "--config FILE is needed");
	return err_hint(err, "'holdfast controller init' writes one");
}

static int run_run(struct cli *cli, struct err *err)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct controller *controller = NULL;
	struct controller_opts opts = {
		.version = VERSION_TEXT,
		.open_store = open_location,
		.open_place = open_place,
		.on_people = api_handle,
		.on_people_head = api_admit,
		.notify_socket = getenv("NOTIFY_SOCKET"),
		.watchdog_ms = notify_watchdog_ms(
			getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid()),
	};
	int rc = config_path(cli, &opts.conf_path, err);
	if (rc != 0)
		return rc;
	if (!log_is_on(LOG_INFO))
		log_setup(LOG_INFO, NULL);
	conf_problems_set_file(&problems, opts.conf_path);
	rc = controller_new(&opts, &controller, &problems, err);
	rc = tell_problems(cli, &problems, rc, err);
	conf_problems_done(&problems);
	if (rc != 0)
		return err_wrap(err, "unable to run the controller");
	console_print(&cli->console, "agents port %d, people port %d\n",
		controller_agents_port(controller), controller_people_port(controller));
	(void)console_flush(&cli->console); /* told at the end too */
	rc = controller_run(controller, err);
	controller_free(controller);
	return rc;
}

/* ---- rekey ---- */

static int rekey(struct cli *cli, const struct access *a, const struct controller_conf *conf,
	struct err *err)
{
	struct console *c = &cli->console;
	struct controller_keys k;
	fill_keys(a, &k);
	int rc = controller_files_rekey(conf->keys, &k, err);
	const uint32_t epoch = k.kv_epoch;
	secret_wipe(&k, sizeof(k));
	if (rc != 0)
		return rc;
	if (c->is_json) {
		if (console_object(c, "controller-rekey", NULL,
			    json_pack("{s:o, s:I}", "keys",
				    jsonx_name(conf->keys, strlen(conf->keys)), "kv_epoch",
				    (json_int_t)epoch)) != 0)
			return err_set(err, ERR_NOMEM, "out of memory");
		return 0;
	}
	console_print(c, "controller.key of key epoch %u in ", epoch);
	console_print_name(c, conf->keys, strlen(conf->keys));
	console_print(c, "\n");
	console_note(c, "A controller that runs reads it when it is started again.");
	return 0;
}

static int run_rekey(struct cli *cli, struct err *err)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct controller_conf *conf = NULL;
	struct access a = ACCESS_INIT;
	const char *path;
	int rc = config_path(cli, &path, err);
	if (rc != 0)
		return rc;
	conf_problems_set_file(&problems, path);
	rc = controller_conf_load(path, &conf, &problems, err);
	rc = tell_problems(cli, &problems, rc, err);
	if (rc == 0)
		rc = access_open(cli, ACCESS_RECOVERY, DRIVERS_READ, &a, err);
	if (rc == 0)
		rc = rekey(cli, &a, conf, err);
	access_done(&a);
	controller_conf_free(conf);
	conf_problems_done(&problems);
	return rc;
}

/* ---- catalog rebuild ---- */

struct rebuild {
	struct controller_conf *conf;
	struct controller_files files;
	struct db *db;
	char aside[PATH_MAX]; /* the catalog before, or "" */
};

static int open_conf_store(void *arg, bool is_read_only, struct store **out, struct err *err)
{
	const struct rebuild *r = arg;
	return open_location(r->conf->vault, is_read_only, out, err);
}

/* A catalog that cannot be opened is kept beside the new one. */
static int set_aside(struct rebuild *r, struct err *err)
{
	static const char *const tails[] = { "", "-wal", "-shm" };
	struct err why = ERR_INIT;
	int rc = open_catalog(r->conf->state, &r->db, &why);
	if (rc == 0)
		return 0;
	if (rc == -ERR_BUSY) {
		*err = why;
		return err_hint(err, "stop the controller first");
	}
	const long long stamp = (long long)(env_now_ns() / 1000000000);
	for (size_t i = 0; i < 3; i++) {
		char from[PATH_MAX], to[PATH_MAX];
		int n = snprintf(from, sizeof(from), "%s/catalog.db%s", r->conf->state, tails[i]);
		int k = snprintf(to, sizeof(to), "%s/catalog.db.damaged-%lld%s", r->conf->state,
			stamp, tails[i]);
		if (n >= PATH_MAX || k >= PATH_MAX)
			return err_set(err, ERR_LIMIT, "the path of the catalog is too long");
		if (env_renameat(AT_FDCWD, from, AT_FDCWD, to) != 0 && errno != ENOENT)
			return err_sys(err, ERR_IO, "unable to rename '%s'", from);
		if (i == 0)
			(void)snprintf(r->aside, sizeof(r->aside), "%s", to); /* same size */
	}
	return open_catalog(r->conf->state, &r->db, err);
}

static int count_one(void *arg, const struct catalog_snapshot *s)
{
	(void)s; /* only counted */
	(*(int64_t *)arg)++;
	return 0;
}

static int ensure_officer(struct rebuild *r, struct cli *cli, struct err *err)
{
	struct people_token t = { .name = "officer", .role = PEOPLE_OFFICER };
	char text[PEOPLE_TOKEN_TEXT_BYTES];
	t.made_ms = env_now_ns() / 1000000;
	int rc = people_add(r->db, &t, text, NULL);
	if (rc == -ERR_EXISTS)
		return 0;
	if (rc != 0)
		return err_set(err, ERR_FAILED, "unable to make the officer's token");
	console_note(&cli->console, "new officer token: %s", text);
	secret_wipe(text, sizeof(text));
	return 0;
}

static int rebuild(struct cli *cli, struct rebuild *r, struct err *err)
{
	const struct gateway_vault vault = { .keys = &r->files.keys,
		.open_store = open_conf_store,
		.arg = r,
		.location = r->conf->vault };
	struct console *c = &cli->console;
	size_t damaged = 0;
	int64_t count = 0;
	int rc = set_aside(r, err);
	if (rc == 0)
		rc = catalog_snapshot_clear(r->db, err);
	if (rc == 0)
		rc = controller_catalog(r->db, &vault, &damaged, err);
	if (rc == 0)
		rc = ensure_officer(r, cli, err);
	if (rc == 0)
		rc = catalog_snapshot_each(r->db, NULL, 0, count_one, &count, err);
	if (rc != 0)
		return rc;
	if (c->is_json)
		(void)console_object(c, "catalog-rebuild", NULL,
			json_pack("{s:I, s:I}", "snapshots", (json_int_t)count, "damaged",
				(json_int_t)damaged)); /* console_flush() tells */
	console_print(c, "%lld snapshots in the catalog, %zu damaged objects passed over\n",
		(long long)count, damaged);
	if (r->aside[0] != '\0')
		console_note(
			c, "The catalog before was kept as '%s'; agents enrol again.", r->aside);
	if (damaged > 0)
		cli->status = EXIT_STATUS_WARNINGS;
	return 0;
}

static int run_rebuild(struct cli *cli, struct err *err)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct rebuild r = { .conf = NULL };
	const char *path;
	int rc = config_path(cli, &path, err);
	if (rc == 0) {
		conf_problems_set_file(&problems, path);
		rc = controller_conf_load(path, &r.conf, &problems, err);
		rc = tell_problems(cli, &problems, rc, err);
	}
	if (rc == 0)
		rc = controller_files_load(r.conf->keys, r.conf->state, &r.files, err);
	if (rc == 0)
		rc = controller_files_make_dirs(&r.files, r.conf->state, err);
	if (rc == 0)
		rc = rebuild(cli, &r, err);
	db_close(r.db);
	controller_files_done(&r.files);
	controller_conf_free(r.conf);
	conf_problems_done(&problems);
	return rc == 0 ? 0 : err_wrap(err, "unable to rebuild the catalog");
}

/* ---- tables ---- */

static const struct cli_option init_options[] = {
	{ .name = "dir",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "where the controller lives: configuration, keys, state" },
	{ .name = "name",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "what it is called in reports; default: the host's name" },
	{ .name = "host",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "HOST",
		.help = "name or address that agents and people call; the first is told to "
			"agents" },
	{ .name = "agents-port",
		.kind = CLI_COUNT,
		.argument = "PORT",
		.help = "where agents call; default 7443" },
	{ .name = "people-port",
		.kind = CLI_COUNT,
		.argument = "PORT",
		.help = "where people and tools call; default 7444" },
	{ .name = "recovery-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_RECOVERY_FILE",
		.help = "the recovery file; default: ./holdfast-recovery-ID, then the copy "
			"in the vault" },
	{ .name = NULL },
};

const struct cli_verb cmd_controller_init_verb = {
	.name = "controller init",
	.arguments = "",
	.summary = "make a controller for a vault",
	.about = "The vault is made before, with 'holdfast init'; its passphrase is needed this "
		 "once. "
		 " Makes a certificate authority, the controller's keys, its configuration and the "
		 "first token.  The recovery key does not stay on the controller.  The same verb "
		 "gives a vault a new controller when the old one is lost.",
	.json = "one object",
	.options = init_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_init,
};

static const struct cli_option run_options[] = {
	{ .name = "config",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_CONTROLLER_CONFIG",
		.help = "the controller's configuration" },
	{ .name = NULL },
};

const struct cli_verb cmd_controller_run_verb = {
	.name = "controller run",
	.arguments = "",
	.summary = "run the controller: ports, schedules, the vault's gateway",
	.about =
		"Runs in the foreground until SIGTERM or Ctrl-C and logs to standard error; SIGHUP "
		"reads the configuration again.  Under systemd use Type=notify.",
	.json = "nothing",
	.options = run_options,
	.run = run_run,
};

static const struct cli_option rekey_options[] = {
	{ .name = "config",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_CONTROLLER_CONFIG",
		.help = "the controller's configuration" },
	{ .name = "recovery-file",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_RECOVERY_FILE",
		.help = "the recovery file; default: ./holdfast-recovery-ID, then the copy "
			"in the vault" },
	{ .name = NULL },
};

const struct cli_verb cmd_controller_rekey_verb = {
	.name = "controller rekey",
	.arguments = "",
	.summary = "make the controller's key file anew from the recovery file",
	.about = "After 'holdfast key rotate', or when controller.key is lost or damaged.  What "
		 "else the controller has stays: its certificates, its catalog, its name in "
		 "snapshots.  Start it again then.",
	.json = "one object",
	.options = rekey_options,
	.groups = CLI_VAULT | CLI_PASS,
	.run = run_rekey,
};

const struct cli_verb cmd_controller_rebuild_verb = {
	.name = "catalog rebuild",
	.arguments = "",
	.summary = "bring the controller's catalog back from the vault",
	.about = "For a catalog that is lost or damaged, while the controller is stopped.  A "
		 "damaged "
		 "file is kept under another name.  Snapshots come back from the vault; agents, "
		 "jobs "
		 "and tokens are not in the vault: agents enrol again.",
	.json = "one object",
	.options = run_options,
	.run = run_rebuild,
};
