#include "cmd/cmd_officer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/cmd_agent.h"
#include "cmd/officer_seen.h"
#include "cmd/paths.h"
#include "cmd/remote.h"
#include "codec/text.h"
#include "controller/catalog_agent.h"
#include "controller/controller_keys.h"
#include "controller/fleet.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "crypto/x509.h"
#include "msg/msg_enrol.h"
#include "vault/domain.h"

/*
 * INVARIANTS
 * (1) What is signed is computed here, from the agent's keys, the config of the controller and the
 *     officer's key, and says one change of one agent; the fingerprint that a person confirms is
 *     computed from the same keys, and from the CA file of this host: what the agent trusts, too.
 * (2) Nothing is signed upon a config that is older than one this key signed or saw here, and what
 *     was signed is remembered before it goes out.
 * (3) Shutting an agent out does not wait for the officer's key to be found good.
 * (4) Of the processes that sign here one at a time talks to the controller; none waits for another
 *     while a person is asked.
 */

#define OFFICER_CONFIG_MAX ((size_t)4 << 20)
#define OFFICER_KEY_MAX 4096
#define OFFICER_TRIES 3

/* ---- keys ---- */

static int read_officer(const struct cli *cli, uint8_t seed[32], struct err *err)
{
	CLEANUP(buf_wipe) struct buf raw = BUF_INIT(OFFICER_KEY_MAX);
	const char *path = cli_text(cli, "officer-key");
	if (path == NULL) {
		(void)err_set(err, ERR_USAGE,
			"--officer-key FILE is needed: the key that signs who may write and read");
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

static int ask(struct cli *cli, const struct catalog_agent *a, const char *print, struct err *err)
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
	if (strcasecmp(given, print) == 0)
		return 0;
	(void)err_set(err, ERR_AUTH, "the fingerprint of agent '%s' is %s, not %s", a->name, print,
		given);
	return err_hint(
		err, "do not approve: somebody may sit between, or the agent enrolled anew");
}

/* ---- what is signed ---- */

struct signing {
	struct catalog_agent agent;
	struct fleet_key key; /* of `agent strike` */
	uint8_t officer_seed[32], officer_pk[32], ca_hash[32];
	struct buf config; /* as the controller has it */
	struct domain next;
	struct buf body; /* next, signed */
	struct officer_seen seen_now, seen_next;
	const char *key_path; /* borrowed */
	char print[MSG_FINGERPRINT_BYTES], confirmed[MSG_FINGERPRINT_BYTES];
	bool is_struck;
};

static void signing_free(struct signing *x)
{
	domain_done(&x->next);
	buf_done(&x->config);
	buf_done(&x->body);
	secret_wipe(x->officer_seed, sizeof(x->officer_seed));
	free(x);
}

DEFINE_CLEANUP(struct signing *, signing_free)

static int signing_new(const struct cli *cli, struct signing **out, struct err *err)
{
	CLEANUP(signing_free_p) struct signing *x = calloc(1, sizeof(*x));
	if (x == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	x->config = (struct buf)BUF_INIT(OFFICER_CONFIG_MAX);
	x->body = (struct buf)BUF_INIT(OFFICER_CONFIG_MAX);
	int rc = read_officer(cli, x->officer_seed, err);
	x->key_path = cli_text(cli, "officer-key");
	if (rc == 0)
		rc = read_ca(cli, x->ca_hash, err);
	if (rc != 0)
		return rc;
	ed25519_public(x->officer_seed, x->officer_pk);
	*out = TAKE(x);
	return 0;
}

/* Once is enough, as long as it stays the same. */
static int confirm(struct cli *cli, struct signing *x, struct err *err)
{
	if (x->confirmed[0] != '\0' && strcmp(x->confirmed, x->print) == 0)
		return 0;
	int rc = ask(cli, &x->agent, x->print, err);
	if (rc == 0)
		memcpy(x->confirmed, x->print, sizeof(x->confirmed));
	return rc;
}

/* What the controller shows, as it will be remembered. */
static int read_now(struct signing *x, struct domain *now, struct err *err)
{
	int rc = domain_decode(x->config.data, x->config.len, x->officer_pk, now, err);
	if (rc != 0)
		return rc;
	x->seen_now.epoch = now->epoch;
	hash_sha256(x->config.data, x->config.len, x->seen_now.hash);
	return 0;
}

/* The config that comes next, signed; it stays here until hand_in(). */
static int make_next(struct signing *x, enum fleet_change change, struct err *err)
{
	CLEANUP(domain_done) struct domain now = { .agents = NULL };
	struct err why = ERR_INIT;
	int rc = read_now(x, &now, err);
	if (rc != 0)
		return rc;
	int made = fleet_next_config(
		x->config.data, x->config.len, x->officer_pk, change, &x->agent, &x->next, &why);
	if (made != 0) { /* also a config in which there is nothing to do must be the newest */
		rc = officer_seen_check(x->key_path, now.domain_id, &x->seen_now, NULL, err);
		if (rc == 0)
			rc = officer_seen_keep(x->key_path, now.domain_id, &x->seen_now, NULL, err);
		if (rc == 0 && err != NULL)
			*err = why;
		return rc != 0 ? rc : made;
	}
	rc = domain_encode(&x->next, x->officer_seed, &x->body, err);
	if (rc != 0)
		return rc;
	x->seen_next.epoch = x->next.epoch;
	hash_sha256(x->body.data, x->body.len, x->seen_next.hash);
	return officer_seen_check(x->key_path, now.domain_id, &x->seen_now, &x->seen_next, err);
}

/* What is signed and handed in; a person confirms the fingerprint when ${is_confirmed}. */
struct change {
	enum fleet_change what;
	char get[256], post[256]; /* paths */
	const char *key;          /* the id of a key, or its beginning; NULL = the agent shown */
	bool is_confirmed;
};

/* The key is looked for in the config itself, the officer's own signature on it. */
static int find_key(struct signing *x, const char *text, struct err *err)
{
	CLEANUP(domain_done) struct domain now = { .agents = NULL };
	int rc = domain_decode(x->config.data, x->config.len, x->officer_pk, &now, err);
	if (rc == 0)
		rc = fleet_key_find(&now, text, &x->key, err);
	if (rc == 0)
		x->agent = x->key.agent;
	return rc;
}

/* What the controller has of the agent, and the config that comes next. */
static int fetch(struct remote *r, const struct change *c, struct signing *x, struct err *err)
{
	json_t *answer = NULL;
	CLEANUP(cleanup_close_p) int lock = -1; /* invariant 4 */
	buf_clear(&x->config);
	buf_clear(&x->body);
	domain_done(&x->next);
	int rc = officer_seen_lock(x->key_path, &lock, err);
	if (rc == 0)
		rc = remote_get(r, c->get, &answer, err);
	if (rc == 0 && c->key == NULL)
		rc = take_agent(json_object_get(answer, "agent"), &x->agent, err);
	if (rc == 0) {
		const char *text = remote_text(answer, "config");
		rc = text_unbase64(text, strlen(text), &x->config, err);
	}
	json_decref(answer);
	if (rc == 0 && c->key != NULL)
		rc = find_key(x, c->key, err);
	if (rc == 0)
		rc = make_next(x, c->what, err);
	if (rc == 0)
		fingerprint(&x->agent, &x->next, x->officer_pk, x->ca_hash, x->print);
	return rc;
}

static int post_config(struct remote *r, const char *path, const struct buf *config,
	json_t **answer, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(2 * OFFICER_CONFIG_MAX);
	int rc = text_base64(config->data, config->len, &text, err);
	return rc != 0 ? rc
		       : remote_post(r, path, json_pack("{s:s}", "config", buf_cstr(&text)), answer,
				 err);
}

/* Where the change of a key is handed in: its whole id is known now. */
static void key_path(const struct signing *x, char out[256])
{
	char hex[65];
	text_hex(x->key.id, 32, hex);
	(void)snprintf(out, 256, "keys/%s/strike", hex); /* fits */
}

static int hand_in(struct remote *r, const struct change *c, struct signing *x, json_t **answer,
	struct err *err)
{
	CLEANUP(cleanup_close_p) int lock = -1; /* invariant 4 */
	char path[256];
	(void)snprintf(path, sizeof(path), "%s", c->post); /* same size */
	if (c->key != NULL)
		key_path(x, path);
	int rc = officer_seen_lock(x->key_path, &lock, err);
	if (rc == 0)
		rc = officer_seen_keep(
			x->key_path, x->next.domain_id, &x->seen_now, &x->seen_next, err);
	if (rc != 0)
		return rc;
	rc = post_config(r, path, &x->body, answer, err);
	if (rc == 0) /* else the next look finds out what became of it */
		(void)officer_seen_keep(x->key_path, x->next.domain_id, &x->seen_next, NULL, NULL);
	return rc;
}

/* Sign and hand in.  Another change that came first is signed upon; the last look is for what is
 * remembered. */
static int change(struct cli *cli, struct remote *r, const struct change *c, struct signing *x,
	json_t **answer, struct err *err)
{
	int rc = -ERR_BUSY;
	for (int i = 0; rc == -ERR_BUSY; i++) {
		rc = fetch(r, c, x, err);
		if (rc == 0 && i == OFFICER_TRIES) {
			(void)err_set(err, ERR_BUSY,
				"another change of the vault's configuration came first, %d times",
				OFFICER_TRIES);
			return err_hint(err, "nothing of this one counts: repeat it");
		}
		if (rc == 0 && c->is_confirmed)
			rc = confirm(cli, x, err);
		if (rc == 0)
			rc = hand_in(r, c, x, answer, err);
	}
	return rc;
}

/* ---- approve ---- */

static int run_approve(struct cli *cli, struct err *err)
{
	CLEANUP(signing_free_p) struct signing *x = NULL;
	struct remote *r = NULL;
	json_t *answer = NULL;
	int rc = signing_new(cli, &x, err);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	struct change c = { .what = FLEET_ADD, .is_confirmed = true };
	if (rc == 0)
		rc = cmd_agent_path(cli->args[0], "/approval", c.get, err);
	if (rc == 0)
		rc = cmd_agent_path(cli->args[0], "/approve", c.post, err);
	if (rc == 0)
		rc = change(cli, r, &c, x, &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to approve agent '%s'", cli->args[0]);
	console_print(&cli->console, "agent %s is approved: config %u is signed\n",
		remote_text(answer, "name"), x->next.epoch);
	if (x->agent.role == MSG_ROLE_SANDBOX)
		console_note(&cli->console,
			"Snapshots made from now on are sealed to it; it cannot drill older ones.");
	if (cli->console.is_json)
		(void)console_object(&cli->console, "agent-approve", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

/* ---- revoke ---- */

static int shut_out(struct cli *cli, struct remote *r, json_t **answer, struct err *err)
{
	char path[256];
	int rc = cmd_agent_path(cli->args[0], "/revoke", path, err);
	return rc != 0 ? rc : remote_post(r, path, json_object(), answer, err);
}

/* The config, which an officer signed, has no key of it.  As it may be that the controller ended
 * before it recorded the strike, it gets the same config once more. */
static int make_up(
	struct remote *r, const char *path, struct signing *x, json_t **answer, struct err *err)
{
	json_t *fresh = NULL;
	int rc = post_config(r, path, &x->config, &fresh, err);
	if (rc == 0) {
		json_decref(*answer);
		*answer = fresh;
	}
	return rc;
}

/* Take its key out of the config, if it is there. */
static int strike(
	struct cli *cli, struct remote *r, struct signing *x, json_t **answer, struct err *err)
{
	/* not by the name: another agent may have it by now */
	const char *id = remote_text(*answer, "id");
	struct change c = { .what = FLEET_STRIKE,
		.is_confirmed = cli_text(cli, "fingerprint") != NULL };
	json_t *fresh = NULL;
	int rc = cmd_agent_path(id, "/approval", c.get, err);
	if (rc == 0)
		rc = cmd_agent_path(id, "/revoke", c.post, err);
	rc = rc == 0 ? -ERR_BUSY : rc;
	for (int i = 0; rc == -ERR_BUSY && i < OFFICER_TRIES; i++) {
		rc = change(cli, r, &c, x, &fresh, err);
		if (rc != -ERR_NOT_FOUND || x->config.len == 0)
			break;
		rc = make_up(r, c.post, x, answer, err);
	}
	if (fresh != NULL) {
		json_decref(*answer);
		*answer = fresh;
		x->is_struck = rc == 0;
	}
	return rc;
}

static void tell_revoked(struct cli *cli, const json_t *answer, const struct signing *x)
{
	const char *name = remote_text(answer, "name");
	const bool is_sandbox = strcmp(remote_text(answer, "role"), "sandbox") == 0;
	console_print(&cli->console,
		"agent %s is revoked: its certificate counts no more; its snapshots stay\n", name);
	if (x != NULL && x->is_struck)
		console_print(&cli->console,
			"its key (fingerprint %s) is struck by config %u: %s\n", x->print,
			x->next.epoch,
			is_sandbox ? "new snapshots are not sealed to it"
				   : "the vault takes no snapshot signed by it");
	if (x != NULL && !x->is_struck)
		console_print(&cli->console, "no key of it is in the vault's configuration\n");
	if (x != NULL || !json_is_true(json_object_get(answer, "in_config")))
		return;
	console_warn(&cli->console, NULL, 0,
		"the key of agent '%s' is still in the vault's configuration: %s; an officer takes "
		"it out with 'holdfast agent revoke %s --officer-key FILE'",
		name,
		is_sandbox ? "new snapshots are sealed to it"
			   : "if another agent has a source of the same name, who reads the vault "
			     "without this controller must say whose",
		name);
	cli->status = EXIT_STATUS_WARNINGS;
}

static int run_revoke(struct cli *cli, struct err *err)
{
	CLEANUP(signing_free_p) struct signing *x = NULL;
	struct remote *r = NULL;
	json_t *answer = NULL;
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = shut_out(cli, r, &answer, err);
	if (rc != 0) {
		remote_close(r);
		return err_wrap(err, "unable to revoke agent '%s'", cli->args[0]);
	}
	if (cli_text(cli, "officer-key") != NULL) {
		rc = signing_new(cli, &x, err);
		if (rc == 0)
			rc = strike(cli, r, x, &answer, err);
	}
	remote_close(r);
	if (rc != 0) {
		json_decref(answer);
		return err_wrap(
			err, "agent '%s' is shut out, but its key is not struck", cli->args[0]);
	}
	tell_revoked(cli, answer, x);
	if (cli->console.is_json)
		(void)console_object(&cli->console, "agent-revoke", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

/* ---- strike ---- */

static json_t *struck_object(const struct signing *x, int64_t epoch)
{
	char key[65], id[33];
	const bool is_sandbox = x->agent.role == MSG_ROLE_SANDBOX;
	text_hex(x->key.id, 32, key);
	text_hex(x->agent.id, 16, id);
	return json_pack("{s:s, s:s, s:s, s:I}", "key", key, "role",
		msg_enrol_role_name(x->agent.role), is_sandbox ? "group" : "agent_id",
		is_sandbox ? x->agent.group : id, "config_epoch", (json_int_t)epoch);
}

static int run_strike(struct cli *cli, struct err *err)
{
	CLEANUP(signing_free_p) struct signing *x = NULL;
	struct remote *r = NULL;
	json_t *answer = NULL;
	const struct change c = { .what = FLEET_STRIKE, .get = "config", .key = cli->args[0] };
	int rc = signing_new(cli, &x, err);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = change(cli, r, &c, x, &answer, err);
	const bool is_old = rc == -ERR_NOT_FOUND && x != NULL && x->key.is_struck;
	if (is_old) { /* as make_up() */
		char path[256];
		key_path(x, path);
		rc = post_config(r, path, &x->config, &answer, err);
	}
	remote_close(r);
	const int64_t epoch = rc == 0 ? remote_number(answer, "config_epoch") : 0;
	json_decref(answer);
	if (rc != 0)
		return err_wrap(err, "unable to strike key '%s'", cli->args[0]);
	console_print(&cli->console, "key %s is struck%s %" PRId64 ": %s\n", x->agent.name,
		is_old ? " already in config" : " by config", epoch,
		x->agent.role == MSG_ROLE_SANDBOX ? "new snapshots are not sealed to it"
						  : "the vault takes no snapshot signed by it");
	if (cli->console.is_json)
		(void)console_object(&cli->console, "agent-strike", NULL,
			struck_object(x, epoch)); /* console_flush() tells */
	return 0;
}

/* ---- tables ---- */

static const struct cli_option officer_options[] = {
	{ .name = "officer-key",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_OFFICER_KEY",
		.help = "the officer's key; it does not leave this host" },
	{ .name = "fingerprint",
		.kind = CLI_TEXT,
		.argument = "TEXT",
		.help = "what the agent's own screen shows; approve asks without it" },
	{ .name = NULL },
};

const struct cli_verb cmd_officer_approve_verb = {
	.name = "agent approve",
	.arguments = "NAME",
	.summary = "let an agent that enrolled in: sign it into the vault's configuration",
	.about = "Compares the agent's fingerprint with what its own screen shows and signs, here "
		 "and "
		 "with the officer's key, the next configuration of the vault's domain.  The "
		 "controller only receives it: it cannot let anybody in by itself.",
	.json = "one object",
	.options = officer_options,
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_approve,
};

const struct cli_verb cmd_officer_revoke_verb = {
	.name = "agent revoke",
	.arguments = "NAME",
	.summary = "shut an agent out at once, and with the officer's key strike its own",
	.about =
		"Its certificate counts no more from its next request on.  With --officer-key also "
		"signs, here, the next configuration of the vault's domain without the agent's "
		"key: "
		"new snapshots are not sealed to a sandbox any more (those made before stay "
		"readable with its key; others of its drill group go on), and the vault takes "
		"nothing more that a capture agent signs.  Both can be done one after the other: "
		"without the officer's key a warning (status 3) says what is left to do.",
	.json = "one object",
	.options = officer_options,
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_revoke,
};

static const struct cli_option strike_options[] = {
	{ .name = "officer-key",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.env = "HOLDFAST_OFFICER_KEY",
		.help = "the officer's key; it does not leave this host" },
	{ .name = NULL },
};

const struct cli_verb cmd_officer_strike_verb = {
	.name = "agent strike",
	.arguments = "KEY",
	.summary = "strike a key that no agent of the controller has, by its id",
	.about = "For a key whose agent the catalog has lost ('catalog rebuild'), or of a writer "
		 "without a controller.  KEY is 8 or more digits of a signer, of a drill group's "
		 "key, or of an agent, as 'key show --vault' lists them.  Signs, here, the next "
		 "configuration without it: what follows is as with 'agent revoke', which is the "
		 "verb for agents that the controller knows; a key of one that is not revoked is "
		 "refused.",
	.json = "one object",
	.options = strike_options,
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_strike,
};
