#include "cmd/cmd_report.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/access.h"
#include "cmd/drill_far.h"
#include "cmd/report_shelf.h"
#include "codec/jsonx.h"
#include "crypto/dsse.h"
#include "crypto/ed25519.h"
#include "crypto/secret.h"
#include "restore/report.h"
#include "restore/report_check.h"
#include "restore/report_json.h"
#include "restore/report_key.h"
#include "restore/report_secret.h"
#include "restore/report_shape.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) "valid" is said only of a report signed by every key that was given, and at least one.
 * (2) No key file is ever replaced.
 */

/* ---- key new ---- */

static int write_keys(const char *secret, const uint8_t seed[32], char keyid[DSSE_KEYID_BYTES],
	char public[PATH_MAX], struct err *err)
{
	CLEANUP(buf_wipe) struct buf own = BUF_INIT(REPORT_KEY_FILE_MAX);
	CLEANUP(buf_done) struct buf other = BUF_INIT(REPORT_KEY_FILE_MAX);
	uint8_t pk[ED25519_KEY_BYTES];
	ed25519_public(seed, pk);
	dsse_keyid(pk, keyid);
	if (snprintf(public, PATH_MAX, "%s.pub", secret) >= PATH_MAX)
		return err_set(err, ERR_LIMIT, "path '%s' is too long", secret);
	if (access(public, F_OK) == 0)
		return err_set(err, ERR_EXISTS, "'%s' is there already", public);
	int rc = report_secret_format(seed, &own, err);
	if (rc == 0)
		rc = report_key_format(pk, &other, err);
	if (rc == 0)
		rc = access_write_secret(secret, own.data, own.len, err);
	if (rc != 0)
		return rc;
	rc = atomic_file_create(AT_FDCWD, public, 0644, other.data, other.len, err);
	if (rc != 0)
		(void)unlink(secret); /* half a pair is of no use */
	return rc;
}

static int run_key(struct cli *cli, struct err *err)
{
	uint8_t seed[32];
	char keyid[DSSE_KEYID_BYTES], public[PATH_MAX];
	const char *out = cli_text(cli, "out");
	struct console *c = &cli->console;
	if (strcmp(cli->args[0], "new") != 0)
		return err_set(err, ERR_USAGE, "'report key' wants 'new', not '%s'", cli->args[0]);
	if (out == NULL)
		return err_set(err, ERR_USAGE, "--out FILE is needed: where the key goes");
	int rc = env_random(seed, sizeof(seed), err);
	if (rc == 0)
		rc = write_keys(out, seed, keyid, public, err);
	secret_wipe(seed, sizeof(seed));
	if (rc != 0)
		return err_wrap(err, "unable to make a report key");
	if (c->is_json)
		(void)console_object(c, "report-key", NULL,
			json_pack("{s:o, s:o, s:s}", "secret_key", jsonx_name(out, strlen(out)),
				"public_key", jsonx_name(public, strlen(public)), "keyid",
				keyid)); /* console_flush() tells */
	console_print(c, "report key   ");
	console_print_name(c, out, strlen(out));
	console_print(c, "\npublic key   ");
	console_print_name(c, public, strlen(public));
	console_print(c, "\nfingerprint  %s\n", keyid);
	console_note(c, "Give the public key to whoever checks reports, by another way than the "
			"reports.");
	return 0;
}

/* ---- verify ---- */

static int read_key(const char *key, char keyid[DSSE_KEYID_BYTES], struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(REPORT_KEY_FILE_MAX);
	if (report_key_fingerprint(key, keyid) == 0)
		return 0;
	int rc = fdio_read_file(AT_FDCWD, key, &text, err);
	if (rc == -ERR_NOT_FOUND)
		return err_hint(err, "--key takes a file, or a fingerprint of 64 hex digits");
	if (rc == 0)
		rc = report_key_parse((const char *)text.data, text.len, keyid, err);
	return rc == 0 ? 0 : err_wrap(err, "unable to read key '%s'", key);
}

static void print_systems(struct console *c, const struct report *r)
{
	char took[REPORT_WORDS_BYTES], rto[REPORT_WORDS_BYTES], age[REPORT_WORDS_BYTES],
		rpo[REPORT_WORDS_BYTES];
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		console_print(c, "  ");
		console_print_name(c, s->system_id, strlen(s->system_id));
		console_print(c, ": %s; recovery time %s of %s: %s; age of data %s of %s: %s\n",
			report_words_verdict(s->result.verdict),
			report_words_duration(took, s->result.rta_total_ms),
			report_words_duration(rto, s->rto_ms), report_words_met(s->result.rto_met),
			report_words_duration(age, s->result.rpa_ms),
			report_words_duration(rpo, s->rpo_ms), report_words_met(s->result.rpo_met));
	}
}

static json_t *summary_object(const struct report_check *check)
{
	const struct report *r = check->report;
	char at[REPORT_WORDS_BYTES];
	return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:I}", "exercise_id",
		r->exercise.exercise_id, "plan_id", r->plan.id, "plan_version",
		(json_int_t)r->plan.version, "declared",
		report_words_time(at, r->exercise.t_declared), "verdict",
		report_shape_word(report_shape_verdicts, r->verdict.overall), "keyid",
		check->signed_by.signers[0].keyid, "findings", (json_int_t)r->findings_count);
}

static json_t *signers_array(const struct report_check *check, const struct report_check_keys *keys)
{
	json_t *list = json_array();
	for (size_t i = 0; i < check->signed_by.count; i++)
		(void)json_array_append_new(list,
			json_pack("{s:s, s:b}", "keyid", check->signed_by.signers[i].keyid,
				"checked", report_check_is_given(check, i, keys))); /* as above */
	return list;
}

static void print_signers(
	struct console *c, const struct report_check *check, const struct report_check_keys *keys)
{
	const struct report_environment *e = &check->report->environment;
	for (size_t i = 0; i < check->signed_by.count; i++) {
		const bool is_other = keys->count > 0 && !report_check_is_given(check, i, keys);
		console_print(c, "%s  %s%s\n", is_other ? "also signed by" : "signed by",
			check->signed_by.signers[i].keyid,
			is_other ? ", not checked against a key" : "");
	}
	if (!check->is_controller_missing)
		return;
	console_print(c, "not signed by  %s, controller ", e->controller.keyid);
	console_print_name(c, e->controller.name, strlen(e->controller.name));
	console_print(c, ", which the report names\n");
}

static int tell_verified(struct cli *cli, const struct report_check *check,
	const struct report_check_keys *keys, struct err *err)
{
	const char *result = keys->count == 0 ? "intact, signer not checked" : "valid";
	struct console *c = &cli->console;
	const struct report *r = check->report;
	if (c->is_json) {
		json_t *o = summary_object(check);
		if (o == NULL || json_object_set_new(o, "result", json_string(result)) != 0 ||
			json_object_set_new(o, "signers", signers_array(check, keys)) != 0 ||
			(check->is_controller_missing &&
				json_object_set_new(o, "not_signed_by",
					json_string(r->environment.controller.keyid)) != 0) ||
			json_object_set_new(o, "summary", json_string(r->verdict.summary)) != 0) {
			json_decref(o);
			return err_set(err, ERR_NOMEM, "out of memory");
		}
		(void)console_object(c, "report-verify", NULL, o); /* console_flush() tells */
		return 0;
	}
	console_print(c, "%s\n", result);
	print_signers(c, check, keys);
	console_print(c, "plan       ");
	console_print_name(c, r->plan.title, strlen(r->plan.title));
	console_print(c, "\nverdict    %s. ", report_words_verdict(r->verdict.overall));
	console_print_name(c, r->verdict.summary, strlen(r->verdict.summary));
	console_print(c, "\n");
	print_systems(c, r);
	return 0;
}

static int read_keys(const struct cli *cli, struct report_check_keys *keys, struct err *err)
{
	const char *key;
	for (size_t i = 0; (key = cli_nth(cli, "key", i)) != NULL; i++) {
		if (i == DSSE_MAX_SIGNATURES)
			return err_set(err, ERR_USAGE,
				"more keys than a report can have signatures (%d)",
				DSSE_MAX_SIGNATURES);
		int rc = read_key(key, keys->keyid[i], err);
		if (rc != 0)
			return rc;
		keys->count = i + 1;
	}
	return 0;
}

static int run_verify(struct cli *cli, struct err *err)
{
	const char *path = cli->args[0];
	struct report_check_keys keys = { .count = 0 };
	CLEANUP(buf_done) struct buf file = BUF_INIT(REPORT_JSON_MAX);
	CLEANUP(report_check_done) struct report_check check = { .report = NULL };
	int rc = read_keys(cli, &keys, err);
	if (rc == 0)
		rc = report_check_read(path, &file, err);
	if (rc != 0)
		return rc;
	rc = report_check_envelope(file.data, file.len, &keys, &check, err);
	if (rc == -ERR_AUTH) /* another key is no key that may sign: the report is worth nothing */
		rc = err_set(err, ERR_CORRUPT, "not signed by every key that was given");
	if (rc != 0)
		return err_wrap(err, "report '%s' is not valid", path);
	if (keys.count == 0)
		cli->status = EXIT_STATUS_WARNINGS;
	return tell_verified(cli, &check, &keys, err);
}

/* ---- list ---- */

struct listing {
	struct cli *cli;
	size_t broken;
};

static int list_one(
	void *arg, const char *name, const struct report_check *check, const struct err *why)
{
	struct listing *l = arg;
	struct console *c = &l->cli->console;
	char at[REPORT_WORDS_BYTES];
	if (check == NULL) {
		l->broken++;
		console_print_name(c, name, strlen(name));
		console_print(c, "  broken, see the warning\n");
		console_warn(c, name, strlen(name), "%s", why->msg);
		return 0;
	}
	if (c->is_json)
		(void)console_object(c, "report-list", "report",
			summary_object(check)); /* console_flush() tells */
	const struct report *r = check->report;
	console_print(c, "%s  %s  %-20s ", r->exercise.exercise_id,
		report_words_time(at, r->exercise.t_declared),
		report_words_verdict(r->verdict.overall));
	console_print_name(c, r->plan.id, strlen(r->plan.id));
	console_print(c, " version %lld, key %.16s\n", (long long)r->plan.version,
		check->signed_by.signers[0].keyid);
	return 0;
}

static int run_list(struct cli *cli, struct err *err)
{
	struct listing l = { .cli = cli };
	const char *dir = cli->arg_count > 0 ? cli->args[0] : ".";
	int rc = report_shelf_walk(dir, list_one, &l, err);
	return rc == 0 ? report_shelf_verdict(dir, l.broken, err) : rc;
}

static const struct cli_option key_options[] = {
	{ .name = "out",
		.kind = CLI_TEXT,
		.argument = "FILE",
		.help = "where the secret key goes; the public key goes to FILE.pub" },
	{ .name = NULL },
};

const struct cli_verb cmd_report_key_verb = {
	.name = "report key",
	.arguments = "new",
	.summary = "make a key that signs drill reports",
	.json = "one object",
	.options = key_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_key,
};

static const struct cli_option verify_options[] = {
	{ .name = "key",
		.letter = 'k',
		.kind = CLI_TEXT,
		.argument = "FILE|FINGERPRINT",
		.is_many = true,
		.help = "a public key that must have signed; all of those given must have" },
	{ .name = NULL },
};

const struct cli_verb cmd_report_verify_verb = {
	.name = "report verify",
	.arguments = "FILE",
	.summary = "check that a drill report is unchanged, who signed it, and that its verdict "
		   "follows",
	.about =
		"Exit status 0: valid.  3: intact, but no --key was given.  14: changed, signed by "
		"another key, or its verdict does not follow from its measurements.  "
		"holdfast-verify does the same without the rest of the program.",
	.json = "one object",
	.options = verify_options,
	.min_args = 1,
	.max_args = 1,
	.run = run_verify,
};

static const struct cli_option get_options[] = {
	{ .name = "reports",
		.kind = CLI_TEXT,
		.argument = "DIR",
		.help = "where report and page go; default: the working directory" },
	{ .name = NULL },
};

const struct cli_verb cmd_report_get_verb = {
	.name = "report get",
	.arguments = "EXERCISE",
	.summary = "fetch the report of a drill from a controller",
	.about =
		"Keeps the signed report as it is and writes its page.  The exit status is that of "
		"the drill; report verify with --key checks who signed.",
	.json = "one object",
	.options = get_options,
	.groups = CLI_SERVER,
	.min_args = 1,
	.max_args = 1,
	.run = drill_far_get,
};

const struct cli_verb cmd_report_list_verb = {
	.name = "report list",
	.arguments = "[DIR]",
	.summary = "list the drill reports in a directory",
	.about = "Signatures are checked against the key each report carries; use report verify "
		 "with --key to check who signed.  A file that is no intact report is a warning, "
		 "and "
		 "the exit status is 14.",
	.json = "JSON lines: report, warning; at the end an error when a report is broken",
	.max_args = 1,
	.run = run_list,
};
