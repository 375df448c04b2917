#include "cmd/cmd_people.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/human.h"
#include "cmd/access.h"
#include "cmd/remote.h"
#include "crypto/secret.h"

#define TTL_MIN_NS 1000000 /* what is less would be sent as 0, which is no end */

/*
 * INVARIANTS
 * (1) A token's text goes to a 0600 file or, when none is named, to standard output; never to a
 * log.
 */

static int keep_token(struct cli *cli, const json_t *answer, struct err *err)
{
	char line[128];
	const char *path = cli_text(cli, "out");
	if (path == NULL) {
		console_print(&cli->console, "%s\n", remote_text(answer, "token"));
		return 0;
	}
	int n = snprintf(line, sizeof(line), "%s\n", remote_text(answer, "token"));
	if (n < 0 || (size_t)n >= sizeof(line))
		return err_set(err, ERR_CORRUPT, "the controller's token is too long");
	int rc = access_write_secret(path, line, (size_t)n, err);
	secret_wipe(line, sizeof(line));
	console_print(&cli->console, "token file  ");
	console_print_name(&cli->console, path, strlen(path));
	console_print(&cli->console, "\n");
	return rc;
}

static int run_new(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	int64_t ttl_ns = 0;
	const char *role = cli_text(cli, "role"), *ttl = cli_text(cli, "ttl");
	if (role == NULL)
		return err_set(err, ERR_USAGE,
			"--role is needed: viewer, auditor, operator, approver or officer");
	if (ttl != NULL && (human_parse_duration(ttl, &ttl_ns) != 0 || ttl_ns < TTL_MIN_NS))
		return err_set(err, ERR_USAGE, "'%s' is no duration such as 90d", ttl);
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_post(r, "tokens",
			json_pack("{s:s, s:s, s:I}", "name", cli->args[0], "role", role, "ttl",
				(json_int_t)(ttl_ns / 1000000)),
			&answer, err);
	remote_close(r);
	if (rc == 0)
		rc = keep_token(cli, answer, err);
	if (rc == 0 && cli->console.is_json) {
		if (cli_text(cli, "out") != NULL)
			(void)json_object_del(answer, "token");
		(void)console_object(&cli->console, "token-new", NULL,
			json_incref(answer)); /* console_flush() tells */
	}
	json_decref(answer);
	return rc == 0 ? 0 : err_wrap(err, "unable to make a token");
}

static int run_list(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, "tokens", &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to list tokens");
	size_t i;
	json_t *t;
	char made[HUMAN_BYTES], used[HUMAN_BYTES];
	json_array_foreach(json_object_get(answer, "tokens"), i, t) console_print(&cli->console,
		"%-20s %-9s made %s, last used %s%s\n", remote_text(t, "name"),
		remote_text(t, "role"), remote_time(t, "made", made), remote_time(t, "used", used),
		remote_text(t, "revoked")[0] == '\0' ? "" : "  REVOKED");
	if (cli->console.is_json)
		(void)console_object(&cli->console, "token-list", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

static int run_revoke(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	char path[128];
	int rc = remote_check_word(cli->args[0], err);
	if (rc == 0 &&
		snprintf(path, sizeof(path), "tokens/%s/revoke", cli->args[0]) >= (int)sizeof(path))
		rc = err_set(err, ERR_USAGE, "'%s' is no name of a token", cli->args[0]);
	if (rc == 0)
		rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_post(r, path, json_object(), &answer, err);
	remote_close(r);
	json_decref(answer);
	if (rc != 0)
		return err_wrap(err, "unable to revoke token '%s'", cli->args[0]);
	console_print(&cli->console, "token %s is revoked\n", cli->args[0]);
	if (cli->console.is_json)
		(void)console_object(&cli->console, "token-revoke", NULL,
			json_pack("{s:s}", "name", cli->args[0])); /* console_flush() tells */
	return 0;
}

static int run_audit(struct cli *cli, struct err *err)
{
	struct remote *r = NULL;
	json_t *answer = NULL;
	char path[64], at[HUMAN_BYTES];
	(void)snprintf(path, sizeof(path), "audit?limit=%lld",
		(long long)cli_number(cli, "limit", 100)); /* fits */
	int rc = remote_open(cli, &r, err);
	if (rc == 0)
		rc = remote_get(r, path, &answer, err);
	remote_close(r);
	if (rc != 0)
		return err_wrap(err, "unable to show the audit records");
	size_t i;
	json_t *x;
	json_array_foreach(json_object_get(answer, "audit"), i, x)
	{
		console_print(&cli->console, "%6lld  %s  %s  %s  %s  %s  ",
			(long long)remote_number(x, "number"), remote_time(x, "at", at),
			remote_text(x, "who"), remote_text(x, "action"), remote_text(x, "object"),
			remote_text(x, "outcome"));
		console_print_name(
			&cli->console, remote_text(x, "detail"), strlen(remote_text(x, "detail")));
		console_print(&cli->console, "\n");
	}
	if (cli->console.is_json)
		(void)console_object(&cli->console, "audit", NULL,
			json_incref(answer)); /* console_flush() tells */
	json_decref(answer);
	return 0;
}

static const struct cli_option new_options[] = {
	{ .name = "role",
		.kind = CLI_TEXT,
		.argument = "ROLE",
		.help = "viewer, auditor, operator, approver or officer" },
	{ .name = "ttl",
		.kind = CLI_TEXT,
		.argument = "DURATION",
		.help = "how long it is good; default: until it is revoked" },
	{ .name = "out",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "where the token goes; default: standard output" },
	{ .name = NULL },
};

const struct cli_verb cmd_people_new_verb = {
	.name = "token new",
	.arguments = "NAME",
	.summary = "make a token for a person or a tool",
	.json = "one object",
	.options = new_options,
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_new,
};

const struct cli_verb cmd_people_list_verb = {
	.name = "token list",
	.arguments = "",
	.summary = "list tokens, not their texts",
	.json = "one object",
	.groups = CLI_SERVER,
	.run = run_list,
};

const struct cli_verb cmd_people_revoke_verb = {
	.name = "token revoke",
	.arguments = "NAME",
	.summary = "make a token count no more",
	.json = "one object",
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = run_revoke,
};

static const struct cli_option audit_options[] = {
	{ .name = "limit", .kind = CLI_COUNT, .argument = "N", .help = "how many; default 100" },
	{ .name = NULL },
};

const struct cli_verb cmd_people_audit_verb = {
	.name = "audit",
	.arguments = "",
	.summary = "show who did what, the newest first; the chain is checked",
	.json = "one object",
	.options = audit_options,
	.groups = CLI_SERVER,
	.run = run_audit,
};
