#include "cmd/cmd_agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/human.h"
#include "cmd/remote.h"

#define TTL_MIN_NS 1000000 /* what is less would be sent as 0, which is no end */

/* ---- token ---- */

static int run_token(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	int64_t ttl_ns = 0;
	const char *role = cli_text(cli, "role"), *ttl = cli_text(cli, "ttl");
	if (role == NULL)
		return err_set(err, ERR_USAGE, "--role capture or --role sandbox is needed");
	if (ttl != NULL && (human_parse_duration(ttl, &ttl_ns) != 0 || ttl_ns < TTL_MIN_NS))
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
	console_print(c, "%-20s %-8s %-8s %-26s %-9s %s\n", remote_text(a, "name"),
		remote_text(a, "role"), remote_text(a, "state"), remote_time(a, "seen", seen),
		json_is_true(json_object_get(a, "in_config")) ? "yes" : "no",
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
	console_print(&cli->console, "%-20s %-8s %-8s %-26s %-9s %s\n", "NAME", "ROLE", "STATE",
		"LAST SEEN", "IN CONFIG", "FINGERPRINT");
	json_array_foreach(json_object_get(answer, "agents"), i, a) print_agent(&cli->console, a);
	json_array_foreach(json_object_get(answer, "agents"), i, a)
	{
		if (strcmp(remote_text(a, "state"), "revoked") == 0 &&
			json_is_true(json_object_get(a, "in_config")))
			console_note(&cli->console,
				"The key of %s is still in the vault's configuration: 'holdfast "
				"agent "
				"revoke' with the officer's key strikes it.",
				remote_text(a, "name"));
	}
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
		} else if (json_is_boolean(v)) {
			console_print(c, "%-18s %s\n", key, json_is_true(v) ? "yes" : "no");
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

int cmd_agent_path(const char *name, const char *tail, char out[256], struct err *err)
{
	int rc = remote_check_word(name, err);
	if (rc == 0 && snprintf(out, 256, "agents/%s%s", name, tail) >= 256)
		rc = err_set(err, ERR_USAGE, "'%s' is no name of an agent", name);
	return rc;
}

static int run_show(struct cli *cli, struct err *err)
{
	char path[256];
	int rc = cmd_agent_path(cli->args[0], "", path, err);
	if (rc == 0)
		rc = show(cli, "agent-show", path, err);
	return rc == 0 ? 0 : err_wrap(err, "unable to show agent '%s'", cli->args[0]);
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
