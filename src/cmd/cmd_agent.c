#include "cmd/cmd_agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/human.h"
#include "cmd/paths.h"
#include "cmd/remote.h"
#include "codec/text.h"
#include "controller/catalog_agent.h"
#include "controller/controller_keys.h"
#include "controller/fleet.h"
#include "crypto/ed25519.h"
#include "crypto/secret.h"
#include "crypto/x509.h"
#include "msg/msg_enrol.h"
#include "vault/domain.h"

/*
 * INVARIANTS
 * (1) approve signs only what it computed itself from the agent's keys, the config of the
 *     controller and the officer's key; the fingerprint that a person confirms is computed from the
 *     same keys, here, and from the CA file of this host: what the agent trusts, too.
 */

#define AGENT_CONFIG_MAX ((size_t)4 << 20)
#define AGENT_KEY_MAX 4096

/* ---- token ---- */

static int run_token(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	int64_t ttl_ns = 0;
	const char *role = cli_text(cli, "role"), *ttl = cli_text(cli, "ttl");
	if (role == NULL)
		return err_set(err, ERR_USAGE, "--role capture or --role sandbox is needed");
	if (ttl != NULL && human_parse_duration(ttl, &ttl_ns) != 0)
		return err_set(err, ERR_USAGE, "'%s' is no duration such as 15m", ttl);
	int rc = remote_open(cli, &r, err);
	if (rc == 0) {
		json_t *body = json_pack(
			"{s:s, s:I}", "role", role, "ttl", (json_int_t)(ttl_ns / 1000000));
		if (cli_text(cli, "name") != NULL)
			(void)json_object_set_new(body, "name", json_string(cli_text(cli, "name")));
		if (cli_text(cli, "group") != NULL)
			(void)json_object_set_new(
				body, "group", json_string(cli_text(cli, "group")));
		rc = remote_post(r, "enrolments", body, &answer, err);
	}
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to make an enrolment token");
	console_print(&cli->console, "%s\n", remote_text(answer, "token"));
	console_note(&cli->console, "Good once. On the agent's host: holdfast-agent enrol, which "
				    "reads it from standard "
				    "input.");
	if (cli->console.is_json)
		(void)console_object(&cli->console, "agent-token", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

/* ---- list, show ---- */

static void print_agent(struct console *c, const json_t *a)
{
	char seen[HUMAN_BYTES];
	console_print(c, "%-20s %-8s %-8s %-26s %s\n", remote_text(a, "name"),
		remote_text(a, "role"), remote_text(a, "state"), remote_time(a, "seen", seen),
		remote_text(a, "fingerprint"));
}

static int run_list(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, "agents", &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to list agents");
	size_t i;
	json_t *a;
	console_print(&cli->console, "%-20s %-8s %-8s %-26s %s\n", "NAME", "ROLE", "STATE",
		"LAST SEEN", "FINGERPRINT");
	json_array_foreach(json_object_get(answer, "agents"), i, a) print_agent(&cli->console, a);
	if (cli->console.is_json)
		(void)console_object(&cli->console, "agent-list", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

/* Every member of an object of texts and numbers, a line each. */
static void print_members(struct console *c, json_t *o)
{
	const char *key;
	json_t *v;
	json_object_foreach(o, key, v)
	{
		if (json_is_string(v)) {
			console_print(c, "%-18s ", key);
			console_print_name(c, json_string_value(v), json_string_length(v));
			console_print(c, "\n");
		} else if (json_is_integer(v)) {
			console_print(c, "%-18s %lld\n", key, (long long)json_integer_value(v));
		}
	}
}

/* Ask for one thing and show it. */
static int show(struct cli *cli, const char *schema, const char *path, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, path, &answer, err);
	remote_close(r);
	if (rc != 0)
		return rc;
	size_t i;
	json_t *s;
	print_members(&cli->console, answer);
	json_array_foreach(json_object_get(answer, "sources"), i, s) console_print(&cli->console,
		"%-18s %s (%s, %s)\n", "source", remote_text(s, "name"), remote_text(s, "type"),
		remote_text(s, "consistency"));
	if (cli->console.is_json)
		(void)console_object(&cli->console, schema, NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

static int agent_path(const char *name, const char *tail, char out[256], struct err *err)
{
	int rc = remote_check_word(name, err);
	if (rc == 0 && snprintf(out, 256, "agents/%s%s", name, tail) >= 256)
		rc = err_set(err, ERR_USAGE, "'%s' is no name of an agent", name);
	return rc;
}

static int run_show(struct cli *cli, struct err *err)
{
	char path[256];
	int rc = agent_path(cli->args[0], "", path, err);
	if (rc == 0)
		rc = show(cli, "agent-show", path, err);
	return rc == 0 ? 0 : err_wrap(err, "unable to show agent '%s'", cli->args[0]);
}

/* ---- approve ---- */

static int read_officer(const struct cli *cli, uint8_t seed[32], struct err *err)
{
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(AGENT_KEY_MAX);
	const char *path = cli_text(cli, "officer-key");
	if (path == NULL) {
		(void)err_set(
			err, ERR_USAGE, "--officer-key FILE is needed: the key that approves");
		return err_hint(err, "'holdfast controller init' made it");
	}
	int rc = paths_read_secret(path, "officer key", &raw, err);
	if (rc == 0)
		rc = controller_keys_officer_parse(raw.data, raw.len, seed, err);
	return rc;
}

static int read_ca(const struct cli *cli, uint8_t hash[32], struct err *err)
{
	CLEANUP(buf_done) struct buf pem = BUF_INIT(X509_MAX_PEM);
	struct x509_info info;
	const char *path = cli_text(cli, "ca");
	if (path == NULL)
		return err_set(err, ERR_USAGE, "--ca FILE is needed: the controller's CA");
	int rc = fdio_read_file(AT_FDCWD, path, &pem, err);
	if (rc == 0)
		rc = x509_inspect(buf_cstr(&pem), &info, err);
	if (rc == 0)
		memcpy(hash, info.key_hash, 32);
	return rc;
}

static int take_key(const json_t *o, const char *key, uint8_t *out, size_t len, struct err *err)
{
	const char *text = remote_text(o, key);
	if (text[0] == '\0') {
		memset(out, 0, len); /* not of this role */
		return 0;
	}
	if (strlen(text) != 2 * len || text_unhex(text, len, out) != 0)
		return err_set(err, ERR_CORRUPT, "the controller's answer has a bad '%s'", key);
	return 0;
}

static int take_agent(const json_t *o, struct catalog_agent *a, struct err *err)
{
	int rc = take_key(o, "id", a->id, 16, err);
	if (rc == 0)
		rc = take_key(o, "ik", a->ik, 32, err);
	if (rc == 0)
		rc = take_key(o, "delivery", a->delivery, 32, err);
	if (rc == 0)
		rc = take_key(o, "dk", a->dk, 32, err);
	if (rc == 0)
		rc = take_key(o, "report_key", a->report, 32, err);
	if (rc == 0)
		rc = take_key(o, "tls_key", a->tls_key_hash, 32, err);
	a->role = msg_enrol_role(remote_text(o, "role"));
	(void)snprintf(a->name, sizeof(a->name), "%s", remote_text(o, "name")); /* cut: refused */
	(void)snprintf(a->group, sizeof(a->group), "%s", remote_text(o, "group")); /* as above */
	if (rc == 0 && a->role == 0)
		rc = err_set(err, ERR_CORRUPT, "the controller's answer has no role");
	return rc;
}

/* Invariant 1: what the agent shows on its own screen. */
static void fingerprint(const struct catalog_agent *a, const struct domain *d,
	const uint8_t officer_pk[32], const uint8_t ca_hash[32], char out[MSG_FINGERPRINT_BYTES])
{
	struct msg_enrol *m = calloc(1, sizeof(*m));
	struct msg_enrol_answer answer = { .vault_id = { 0 } }; /* not part of it */
	out[0] = '\0';
	if (m == NULL)
		return; /* no fingerprint is confirmed by nobody */
	memcpy(m->ik, a->ik, 32);
	memcpy(m->delivery, a->delivery, 32);
	memcpy(m->dk, a->dk, 32);
	memcpy(m->report, a->report, 32);
	m->role = a->role;
	memcpy(answer.agent_id, a->id, 16);
	memcpy(answer.domain_id, d->domain_id, 16);
	memcpy(answer.officer, officer_pk, 32);
	msg_enrol_fingerprint(m, &answer, a->tls_key_hash, ca_hash, out);
	free(m);
}

static int confirm(
	struct cli *cli, const struct catalog_agent *a, const char *print, struct err *err)
{
	char line[64];
	const char *given = cli_text(cli, "fingerprint");
	if (print[0] == '\0')
		return err_set(err, ERR_NOMEM, "out of memory");
	if (given == NULL && (isatty(STDIN_FILENO) == 0 || cli->console.is_json)) {
		(void)err_set(err, ERR_USAGE, "--fingerprint is needed: what the agent shows");
		return err_hint(err, "compare it on the agent's own screen, not by the controller");
	}
	if (given == NULL) {
		(void)fprintf(stderr,
			"agent %s (%s) has the fingerprint\n\n    %s\n\nType it as the agent's own "
			"screen shows it: ",
			a->name, msg_enrol_role_name(a->role), print); /* stderr: a terminal */
		if (fgets(line, sizeof(line), stdin) == NULL)
			return err_set(err, ERR_INTERRUPTED, "nothing was typed");
		line[strcspn(line, "\n")] = '\0';
		given = line;
	}
	if (strcmp(given, print) == 0)
		return 0;
	(void)err_set(err, ERR_AUTH, "the fingerprint of agent '%s' is %s, not %s", a->name, print,
		given);
	return err_hint(
		err, "do not approve: somebody may sit between, or the agent enrolled anew");
}

struct approval {
	struct catalog_agent agent;
	uint8_t officer_seed[32], officer_pk[32], ca_hash[32];
	struct buf config;
	struct domain next;
};

static int read_approval(struct cli *cli, struct remote *r, struct approval *x, struct err *err)
{
	char path[256];
	json_t *answer = NULL;
	int rc = agent_path(cli->args[0], "/approval", path, err);
	if (rc == 0)
		rc = remote_get(r, path, &answer, err);
	if (rc == 0)
		rc = take_agent(json_object_get(answer, "agent"), &x->agent, err);
	if (rc == 0) {
		const char *text = remote_text(answer, "config");
		rc = text_unbase64(text, strlen(text), &x->config, err);
	}
	json_decref(answer);
	if (rc == 0)
		rc = fleet_next_config(
			x->config.data, x->config.len, x->officer_pk, &x->agent, &x->next, err);
	return rc;
}

static int send_approval(
	struct cli *cli, struct remote *r, struct approval *x, json_t **answer, struct err *err)
{
	char path[256];
	CLEANUP(buf_done) struct buf body = BUF_INIT(AGENT_CONFIG_MAX);
	CLEANUP(buf_done) struct buf text = BUF_INIT(2 * AGENT_CONFIG_MAX);
	int rc = domain_encode(&x->next, x->officer_seed, &body, err);
	if (rc == 0)
		rc = text_base64(body.data, body.len, &text, err);
	if (rc == 0)
		rc = agent_path(cli->args[0], "/approve", path, err);
	return rc != 0 ? rc
		       : remote_post(r, path, json_pack("{s:s}", "config", buf_cstr(&text)), answer,
				 err);
}

static int run_approve(struct cli *cli, struct err *err)
{
	CLEANUP(cleanup_free_p) struct approval *x = calloc(1, sizeof(*x));
	struct remote *r = NULL;
	json_t *answer = NULL;
	char print[MSG_FINGERPRINT_BYTES];
	if (x == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	x->config = (struct buf)BUF_INIT(AGENT_CONFIG_MAX);
	int rc = read_officer(cli, x->officer_seed, err);
	if (rc == 0)
		rc = read_ca(cli, x->ca_hash, err);
	if (rc == 0) {
		ed25519_public(x->officer_seed, x->officer_pk);
		rc = remote_open(cli, &r, err);
	}
	if (rc == 0)
		rc = read_approval(cli, r, x, err);
	if (rc == 0) {
		fingerprint(&x->agent, &x->next, x->officer_pk, x->ca_hash, print);
		rc = confirm(cli, &x->agent, print, err);
	}
	if (rc == 0)
		rc = send_approval(cli, r, x, &answer, err);
	remote_close(r);
	domain_done(&x->next);
	buf_done(&x->config);
	secret_wipe(x->officer_seed, sizeof(x->officer_seed));
	if (rc != 0)
		return err_wrap(err, "unable to approve agent '%s'", cli->args[0]);
	console_print(&cli->console, "agent %s is approved\n", remote_text(answer, "name"));
	if (cli->console.is_json)
		(void)console_object(&cli->console, "agent-approve", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

static int run_revoke(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	char path[256];
	int rc = agent_path(cli->args[0], "/revoke", path, err);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_post(r, path, json_object(), &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to revoke agent '%s'", cli->args[0]);
	console_print(&cli->console,
		"agent %s is revoked: its certificate counts no more; its snapshots stay\n",
		remote_text(answer, "name"));
	if (cli->console.is_json)
		(void)console_object(&cli->console, "agent-revoke", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

/* ---- tables ---- */

static const struct cli_option token_options[] = {
	{ .name = "role",
		.kind = CLI_TEXT,
		.argument = "capture|sandbox",
		.help = "what the agent will be: one that backs up, or one that carries out "
			"drills" },
	{ .name = "name",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "the agent must call itself so; default: as it likes" },
	{ .name = "group",
		.kind = CLI_TEXT,
		.argument = "NAME",
		.help = "sandbox: the drill group whose snapshots it can open" },
	{ .name = "ttl",
		.kind = CLI_TEXT,
		.argument = "DURATION",
		.help = "how long the token is good; default 15m" },
	{ .name = NULL },
};

const struct cli_verb cmd_agent_token_verb = {
	.name = "agent token",
	.arguments = "",
	.summary = "make a one-time token with which an agent enrols",
	.json = "one object",
	.options = token_options,
	.groups = CLI_SERVER,
	.run = run_token,
};

const struct cli_verb cmd_agent_list_verb = {
	.name = "agent list",
	.arguments = "",
	.summary = "list the agents of a controller",
	.json = "one object",
	.groups = CLI_SERVER,
	.run = run_list,
};

const struct cli_verb cmd_agent_show_verb = {
	.name = "agent show",
	.arguments = "NAME",
	.summary = "show one agent with its sources",
	.json = "one object",
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_show,
};

static const struct cli_option approve_options[] = {
	{ .name = "officer-key",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_OFFICER_KEY",
		.help = "the officer's key; it does not leave this host" },
	{ .name = "fingerprint",
		.kind = CLI_TEXT,
		.argument = "TEXT",
		.help = "what the agent's own screen shows; without it you are asked" },
	{ .name = NULL },
};

const struct cli_verb cmd_agent_approve_verb = {
	.name = "agent approve",
	.arguments = "NAME",
	.summary = "let an agent that enrolled in: sign it into the vault's configuration",
	.about = "Compares the agent's fingerprint with what its own screen shows and signs, here "
		 "and "
		 "with the officer's key, the next configuration of the vault's domain.  The "
		 "controller only receives it: it cannot let anybody in by itself.",
	.json = "one object",
	.options = approve_options,
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_approve,
};

const struct cli_verb cmd_agent_revoke_verb = {
	.name = "agent revoke",
	.arguments = "NAME",
	.summary = "shut an agent out at once",
	.json = "one object",
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_revoke,
};
