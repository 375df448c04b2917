/*
 * holdfast-verify: the auditor's tool.  Checks one signed drill report offline: no network, no
 * configuration, no store.  docs/REPORT.md says what its words mean.
 */
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "codec/jsonx.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "restore/report.h"
#include "restore/report_check.h"
#include "restore/report_json.h"
#include "restore/report_key.h"
#include "restore/report_shape.h"
#include "restore/report_words.h"

/*
 * INVARIANTS
 * (1) "valid" is said only of a report signed by every key that was given, and at least one.
 * (2) Text of the report and of the command line is printed only by say(), which escapes it.
 * (3) stdout carries the result, stderr what kept us from having one.
 * (4) stdout is checked once, when it is flushed: writes before that are (void).
 */

#ifndef HOLDFAST_VERSION
#define HOLDFAST_VERSION "0.1.0"
#endif

#define OUTPUT_MAX ((size_t)1 << 20)
#define FINDINGS_SHOWN 20

struct job {
	const char *path;
	const char *key[DSSE_MAX_SIGNATURES]; /* as given */
	struct report_check_keys keys;        /* count: of both */
	bool is_json;
};

/* What came out; the words of the result are those of docs/REPORT.md. */
struct outcome {
	const char *result;
	int exit_status;
	char sha256[2 * HASH_BYTES + 1];
	size_t size;
	struct report_check check;
	struct err err; /* why it is broken */
};

static const char usage_text[] =
	"usage: holdfast-verify REPORT [--key FILE|FINGERPRINT].. [--json]\n"
	"\n"
	"Check a signed drill report offline: that it is unchanged, who signed it, and that\n"
	"its verdict follows from its measurements.\n"
	"\n"
	"  -k, --key FILE|FINGERPRINT  the key that must have signed: a file with one line\n"
	"                              'holdfast-report-key ed25519 BASE64', a PEM public key,\n"
	"                              or the 64 hex digits of its fingerprint; may be given\n"
	"                              several times: then every one of them must have signed\n"
	"      --json                  one JSON object instead of text\n"
	"  -h, --help                  this text\n"
	"      --version               the version\n"
	"\n"
	"exit status: 0 valid; 3 intact, signer not checked (no --key); 14 broken;\n"
	"             10 no such file; 2 wrong usage; 1 anything else\n";

/* Print text of any origin. */
static void say(FILE *to, const char *text)
{
	size_t size = strlen(text) * 4 + 1; /* \xHH is the longest a byte can become */
	CLEANUP(cleanup_free_p) char *safe = malloc(size);
	if (safe == NULL) {
		(void)fputs("(out of memory)", to); /* invariant 4 */
		return;
	}
	(void)escape_str(safe, size, text);
	(void)fputs(safe, to); /* invariant 4 */
}

static int complain(const struct err *err)
{
	(void)fputs("holdfast-verify: ", stderr); /* nowhere left to tell, here and below */
	say(stderr, err->msg);
	if (err->hint[0] != '\0') {
		(void)fputs("\nhint: ", stderr);
		say(stderr, err->hint);
	}
	(void)fputs("\n", stderr);
	return err_exit_status(err->code);
}

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
	if (rc == -ERR_LIMIT)
		rc = err_set(err, ERR_CONFIG, "longer than any report key");
	if (rc == -ERR_CONFIG)
		return err_wrap(err, "unable to read key '%s'", key);
	return rc;
}

static int read_keys(struct job *job, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < job->keys.count; i++)
		rc = read_key(job->key[i], job->keys.keyid[i], err);
	return rc;
}

static void put_finding(const struct report_finding *f)
{
	(void)printf("  %-9s ", "finding");
	say(stdout, f->id);
	(void)printf(" %s, ", report_words_grade(f->grade));
	say(stdout, f->system == NULL ? "the drill" : f->system);
	(void)printf(": ");
	say(stdout, f->description);
	(void)printf("\n");
}

static void put_system(const struct report_system *s)
{
	char actual[REPORT_WORDS_BYTES], limit[REPORT_WORDS_BYTES];
	(void)printf("  %-9s ", "system");
	say(stdout, s->system_id);
	(void)printf(": %s\n", report_words_verdict(s->result.verdict));
	(void)printf("  %-9s recovery time %s, objective %s: %s\n", "",
		report_words_duration(actual, s->result.rta_total_ms),
		report_words_duration(limit, s->rto_ms), report_words_met(s->result.rto_met));
	(void)printf("  %-9s age of data %s, objective %s: %s\n", "",
		report_words_duration(actual, s->result.rpa_ms),
		report_words_duration(limit, s->rpo_ms), report_words_met(s->result.rpo_met));
}

static void put_drill(const struct report *r)
{
	char at[REPORT_WORDS_BYTES];
	(void)printf("  %-9s ", "plan");
	say(stdout, r->plan.title);
	(void)printf(" (");
	say(stdout, r->plan.id);
	(void)printf(" version %lld)\n", (long long)r->plan.version);
	(void)printf("  %-9s full restore, declared %s\n", "drill",
		report_words_time(at, r->exercise.t_declared));
	(void)printf("  %-9s %s. ", "verdict", report_words_verdict(r->verdict.overall));
	say(stdout, r->verdict.summary);
	(void)printf("\n");
	for (size_t i = 0; i < r->systems_count; i++)
		put_system(r->systems[i]);
	for (size_t i = 0; i < r->findings_count && i < FINDINGS_SHOWN; i++)
		put_finding(r->findings[i]);
	if (r->findings_count > FINDINGS_SHOWN)
		(void)printf("  %-9s and %zu more\n", "", r->findings_count - FINDINGS_SHOWN);
	(void)printf("not shown by this report:\n");
	for (size_t i = 0; i < r->verdict.limits_of_this_evidence.count; i++) {
		(void)printf("  - ");
		say(stdout, r->verdict.limits_of_this_evidence.items[i]);
		(void)printf("\n");
	}
}

/* What the report says of the key of signer ${i}: "agent sandbox1", "controller plant3", "". */
static void put_party(const struct report_check *c, size_t i)
{
	const struct report_environment *e = &c->report->environment;
	const char *keyid = c->signed_by.signers[i].keyid;
	if (e->agent.keyid != NULL && strcmp(keyid, e->agent.keyid) == 0) {
		(void)printf(", agent ");
		say(stdout, e->agent.name);
	} else if (e->controller.keyid != NULL && strcmp(keyid, e->controller.keyid) == 0) {
		(void)printf(", controller ");
		say(stdout, e->controller.name);
	}
}

static void put_signers(const struct job *job, const struct report_check *c)
{
	for (size_t i = 0; i < c->signed_by.count; i++) {
		const bool is_given = report_check_is_given(c, i, &job->keys);
		(void)printf("  %-9s %s ",
			is_given || job->keys.count == 0 ? "signed by" : "also signed by",
			c->signed_by.signers[i].keyid);
		if (is_given)
			(void)printf("(a key given)");
		else if (job->keys.count == 0)
			(void)printf("(as the file says; give --key to check)");
		else
			(void)printf("(not checked against a key)");
		put_party(c, i);
		(void)printf("\n");
	}
	if (c->is_controller_missing) {
		(void)printf(
			"  not signed by %s, controller ", c->report->environment.controller.keyid);
		say(stdout, c->report->environment.controller.name);
		(void)printf(", which the report names\n");
	}
}

static void put_text(const struct job *job, const struct outcome *o)
{
	bool is_broken = o->err.code != 0;
	(void)printf("%s%s", o->result, is_broken ? ": " : "");
	say(stdout, o->err.msg);
	(void)printf("\n  %-9s ", "file");
	say(stdout, job->path);
	(void)printf(" (%zu bytes)\n  %-9s %s\n", o->size, "sha256", o->sha256);
	if (is_broken)
		return;
	put_signers(job, &o->check);
	put_drill(o->check.report);
}

/* Add a member; a NULL ${value} (out of memory) marks the whole as failed. */
static void add(json_t *object, const char *name, json_t *value, bool *has_failed)
{
	if (json_object_set_new(object, name, value) != 0)
		*has_failed = true;
}

static json_t *system_json(const struct report_system *s, bool *has_failed)
{
	const struct report_result *res = &s->result;
	json_t *json = json_object();
	add(json, "system_id", json_string(s->system_id), has_failed);
	add(json, "rto_met", json_string(report_shape_word(report_shape_mets, res->rto_met)),
		has_failed);
	add(json, "rpo_met", json_string(report_shape_word(report_shape_mets, res->rpo_met)),
		has_failed);
	add(json, "verdict", json_string(report_shape_word(report_shape_verdicts, res->verdict)),
		has_failed);
	if (res->rta_total_ms != REPORT_NONE)
		add(json, "rta_total_ms", json_integer(res->rta_total_ms), has_failed);
	if (res->rpa_ms != REPORT_NONE)
		add(json, "rpa_ms", json_integer(res->rpa_ms), has_failed);
	return json;
}

static json_t *signers_json(const struct job *job, const struct report_check *c, bool *has_failed)
{
	json_t *list = json_array();
	for (size_t i = 0; i < c->signed_by.count; i++) {
		json_t *one = json_object();
		add(one, "keyid", json_string(c->signed_by.signers[i].keyid), has_failed);
		add(one, "checked", json_boolean(report_check_is_given(c, i, &job->keys)),
			has_failed);
		if (json_array_append_new(list, one) != 0)
			*has_failed = true;
	}
	return list;
}

static void add_drill(
	json_t *json, const struct job *job, const struct report_check *check, bool *has_failed)
{
	const struct report *r = check->report;
	json_t *systems = json_array();
	for (size_t i = 0; i < r->systems_count; i++) {
		if (json_array_append_new(systems, system_json(r->systems[i], has_failed)) != 0)
			*has_failed = true;
	}
	add(json, "keyid", json_string(check->signed_by.signers[0].keyid), has_failed);
	add(json, "signers", signers_json(job, check, has_failed), has_failed);
	if (check->is_controller_missing)
		add(json, "not_signed_by", json_string(r->environment.controller.keyid),
			has_failed);
	add(json, "exercise_id", json_string(r->exercise.exercise_id), has_failed);
	add(json, "plan_id", json_string(r->plan.id), has_failed);
	add(json, "verdict",
		json_string(report_shape_word(report_shape_verdicts, r->verdict.overall)),
		has_failed);
	add(json, "summary", json_string(r->verdict.summary), has_failed);
	add(json, "findings", json_integer((json_int_t)r->findings_count), has_failed);
	add(json, "log", json_string("none"), has_failed);
	add(json, "systems", systems, has_failed);
}

static int put_json(const struct job *job, const struct outcome *o, struct err *err)
{
	CLEANUP(buf_done) struct buf text = BUF_INIT(OUTPUT_MAX);
	bool has_failed = false;
	json_t *json = json_object();

	add(json, "schema", json_string("holdfast-verify/1"), &has_failed);
	add(json, "result", json_string(o->result), &has_failed);
	add(json, "exit_status", json_integer(o->exit_status), &has_failed);
	add(json, "file", jsonx_name(job->path, strlen(job->path)), &has_failed);
	add(json, "sha256", json_string(o->sha256), &has_failed);
	add(json, "size_bytes", json_integer((json_int_t)o->size), &has_failed);
	if (o->err.code != 0) {
		add(json, "error", json_string(err_id(o->err.code)), &has_failed);
		add(json, "why", jsonx_name(o->err.msg, strlen(o->err.msg)), &has_failed);
	} else {
		add_drill(json, job, &o->check, &has_failed);
	}
	int rc = has_failed ? err_set(err, ERR_NOMEM, "out of memory")
			    : jsonx_encode(json, &text, err);
	json_decref(json);
	if (rc == 0)
		(void)printf("%.*s\n", (int)text.len, (const char *)text.data);
	return rc;
}

/* Find out what the file is worth.  Return 0, or an error that is no verdict on it. */
static int judge(const struct job *job, struct outcome *o, struct err *err)
{
	CLEANUP(buf_done) struct buf file = BUF_INIT(REPORT_JSON_MAX);
	uint8_t digest[HASH_BYTES];

	int rc = report_check_read(job->path, &file, err);
	if (rc != 0)
		return rc;
	hash_sha256(file.data, file.len, digest);
	text_hex(digest, sizeof(digest), o->sha256);
	o->size = file.len;
	rc = report_check_envelope(file.data, file.len, &job->keys, &o->check, &o->err);
	if (rc == -ERR_NOMEM || rc == -ERR_UNSUPPORTED) {
		*err = o->err;
		return rc;
	}
	if (rc != 0) {
		o->result = "broken";
		o->exit_status = EXIT_STATUS_INTEGRITY;
	} else if (job->keys.count > 0) {
		o->result = "valid";
		o->exit_status = EXIT_STATUS_OK;
	} else {
		o->result = "intact, signer not checked";
		o->exit_status = EXIT_STATUS_WARNINGS;
	}
	return 0;
}

static int run(struct job *job)
{
	struct outcome o = { .result = "", .err = ERR_INIT };
	struct err err = ERR_INIT;

	int rc = read_keys(job, &err);
	if (rc == 0)
		rc = judge(job, &o, &err);
	if (rc == 0 && job->is_json)
		rc = put_json(job, &o, &err);
	else if (rc == 0)
		put_text(job, &o);
	report_check_done(&o.check);
	if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
		rc = err_sys(&err, ERR_IO, "unable to write the result");
	return rc == 0 ? o.exit_status : complain(&err);
}

static int usage(const char *why)
{
	(void)fprintf(stderr, "holdfast-verify: %s\n%s", why, usage_text); /* nowhere left */
	return EXIT_STATUS_USAGE;
}

static int print(const char *text)
{
	if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
		return EXIT_STATUS_OK;
	return EXIT_STATUS_FAILED;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct job job = { .path = NULL };
	int c;

	opterr = 0; /* its own message would carry the raw argument */
	while ((c = getopt_long(argc, argv, "k:h", options, NULL)) != -1) {
		switch (c) {
		case 'k':
			if (job.keys.count == DSSE_MAX_SIGNATURES)
				return usage("more keys than a report can have signatures");
			job.key[job.keys.count++] = optarg;
			break;
		case 'j':
			job.is_json = true;
			break;
		case 'h':
			return print(usage_text);
		case 'V':
			return print("holdfast-verify " HOLDFAST_VERSION "\n");
		default:
			return usage("unknown option, or an option without its value");
		}
	}
	if (optind + 1 != argc)
		return usage("give exactly one report");
	job.path = argv[optind];
	return run(&job);
}
