#include "restore/report_check.h"

#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "codec/jsonx.h"
#include "restore/report.h"
#include "restore/report_form.h"
#include "restore/report_json.h"
#include "restore/report_judge.h"
#include "restore/report_order.h"
#include "restore/report_parse.h"

/*
 * INVARIANTS
 * (1) Nothing of the report is believed before the signature over its bytes was checked.
 * (2) The fingerprints compared are those of the keys that checked the signatures.
 * (3) Texts of the report reach an error only escaped and cut.
 */

#define SHOWN_BYTES 96

DEFINE_CLEANUP(struct report *, report_free)
DEFINE_CLEANUP(json_t *, json_decref)

void report_check_done(struct report_check *c)
{
	report_free(c->report);
	c->report = NULL;
}

static void show(const json_t *value, char out[SHOWN_BYTES])
{
	CLEANUP(cleanup_free_p)
	char *text = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	size_t len = escape_str(out, SHOWN_BYTES - 4, text == NULL ? "nothing" : text);
	/* what came this near to the end was very likely cut */
	if (len + 16 >= SHOWN_BYTES - 4)
		memcpy(out + len, "...", 4);
}

static int differs(const struct report_form_place *at, const json_t *said, const json_t *follows,
	struct err *err)
{
	char a[SHOWN_BYTES], b[SHOWN_BYTES];
	show(said, a);
	show(follows, b);
	return err_set(err, ERR_CORRUPT,
		"verdict does not follow from its measurements: %s says %s, from the measurements "
		"follows %s",
		at->path, a, b);
}

static int compare(
	struct report_form_place *at, const json_t *said, const json_t *follows, struct err *err);

static int compare_members(
	struct report_form_place *at, const json_t *said, const json_t *follows, struct err *err)
{
	/* the measured systems say more than the findings made from them, so they come first */
	static const char *const first[] = { "systems", "findings", "verdict" };
	const char *key;
	json_t *value;
	int rc = 0;

	for (size_t i = 0; rc == 0 && at->path[0] == '\0' && i < sizeof(first) / sizeof(first[0]);
		i++) {
		size_t up = report_form_enter(at, first[i], 0);
		rc = compare(at, json_object_get(said, first[i]),
			json_object_get(follows, first[i]), err);
		report_form_leave(at, up);
	}
	/* jansson's iteration macros take no const object; nothing is changed */
	json_object_foreach(((json_t *)(uintptr_t)said), key, value)
	{
		size_t up = report_form_enter(at, key, 0);
		if (rc == 0)
			rc = compare(at, value, json_object_get(follows, key), err);
		report_form_leave(at, up);
	}
	json_object_foreach(((json_t *)(uintptr_t)follows), key, value)
	{
		size_t up = report_form_enter(at, key, 0);
		if (rc == 0 && json_object_get(said, key) == NULL)
			rc = differs(at, NULL, value, err);
		report_form_leave(at, up);
	}
	return rc;
}

static int compare(
	struct report_form_place *at, const json_t *said, const json_t *follows, struct err *err)
{
	int rc = 0;
	if (json_equal(said, follows) || (said == NULL && follows == NULL))
		return 0;
	if (json_is_object(said) && json_is_object(follows))
		return compare_members(at, said, follows, err);
	if (!json_is_array(said) || !json_is_array(follows))
		return differs(at, said, follows, err);
	size_t count = json_array_size(said);
	if (json_array_size(follows) > count)
		count = json_array_size(follows);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		size_t up = report_form_enter(at, NULL, i);
		rc = compare(at, json_array_get(said, i), json_array_get(follows, i), err);
		report_form_leave(at, up);
	}
	return rc;
}

/* Find the first difference of two statements that are known to differ. */
static int compare_statements(const void *a, size_t a_len, const struct buf *b, struct err *err)
{
	CLEANUP(json_decref_p) json_t *said = NULL;
	CLEANUP(json_decref_p) json_t *follows = NULL;
	struct report_form_place at = { .path = "" };
	int rc = jsonx_parse(a, a_len, "report", &said, err);
	if (rc == 0)
		rc = jsonx_parse(b->data, b->len, "report", &follows, err);
	if (rc == 0)
		rc = compare(&at, json_object_get(said, "predicate"),
			json_object_get(follows, "predicate"), err);
	if (rc == 0)
		rc = err_set(err, ERR_CORRUPT, "verdict does not follow from its measurements");
	return rc;
}

int report_check_judgement(const void *statement, size_t len, struct err *err)
{
	CLEANUP(report_free_p) struct report *r = NULL;
	CLEANUP(buf_done) struct buf again = BUF_INIT(REPORT_JSON_MAX);
	int rc = report_parse_statement(statement, len, &r, err);
	if (rc != 0)
		return rc;
	report_judge_run(r);
	rc = report_json_encode(r, &again, err);
	if (rc != 0)
		return rc;
	if (again.len == len && memcmp(again.data, statement, len) == 0)
		return 0;
	return compare_statements(statement, len, &again, err);
}

bool report_check_is_given(
	const struct report_check *c, size_t i, const struct report_check_keys *keys)
{
	for (size_t k = 0; keys != NULL && k < keys->count; k++) {
		if (strcmp(c->signed_by.signers[i].keyid, keys->keyid[k]) == 0)
			return true;
	}
	return false;
}

static int check_keys(
	const struct dsse_opened *o, const struct report_check_keys *keys, struct err *err)
{
	for (size_t k = 0; keys != NULL && k < keys->count; k++) {
		if (dsse_find_signer(o, keys->keyid[k]) != NULL)
			continue;
		return err_set(err, ERR_AUTH, "signed by %s%s, expected %s", o->signers[0].keyid,
			o->count > 1 ? " and others" : "", keys->keyid[k]);
	}
	return 0;
}

/* Who a report names as its runner is who signs first: nobody else can speak for that agent. */
static int check_parties(const struct report *r, const struct dsse_opened *o,
	bool *is_controller_missing, struct err *err)
{
	const char *agent = r->environment.agent.keyid;
	const char *controller = r->environment.controller.keyid;
	if (agent != NULL && strcmp(o->signers[0].keyid, agent) != 0)
		return err_set(err, ERR_CORRUPT,
			"environment.agent.keyid is %s, but the first signature is by %s", agent,
			o->signers[0].keyid);
	*is_controller_missing = controller != NULL && dsse_find_signer(o, controller) == NULL;
	return 0;
}

/* Does it begin as pages do, ours and those that a browser saved? */
static bool is_page(const struct buf *file)
{
	static const char *const starts[] = { "<!DOCTYPE html", "<html" };
	const char *text = (const char *)file->data;
	size_t len = file->len;
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	for (; len > 0 && strchr(" \t\r\n", *text) != NULL && *text != '\0'; len--)
		text++;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		size_t n = strlen(starts[i]);
		if (len >= n && strncasecmp(text, starts[i], n) == 0)
			return true;
	}
	return false;
}

static int refuse_page(const char *path, struct err *err)
{
	char beside[PATH_MAX];
	size_t len = strlen(path);
	err_set(err, ERR_USAGE, "'%s' is a page for people, and no page is signed", path);
	if (len > 5 && strcmp(path + len - 5, ".html") == 0 && len < sizeof(beside)) {
		(void)snprintf(beside, sizeof(beside), "%.*s.json", (int)len - 5, path); /* fits */
		if (access(beside, F_OK) == 0)
			return err_hint(err,
				"check the signed file beside it, '%s'; the page shows the "
				"SHA-256 of the one it was made from",
				beside);
	}
	return err_hint(err, "check the signed .json that it was made from; the page shows its "
			     "SHA-256");
}

int report_check_read(const char *path, struct buf *file, struct err *err)
{
	int rc = fdio_read_file(AT_FDCWD, path, file, err);
	return rc == 0 && is_page(file) ? refuse_page(path, err) : rc;
}

int report_check_envelope(const void *data, size_t len, const struct report_check_keys *keys,
	struct report_check *out, struct err *err)
{
	CLEANUP(report_free_p) struct report *r = NULL;
	CLEANUP(buf_done) struct buf statement = BUF_INIT(REPORT_JSON_MAX);
	struct dsse_opened opened;
	bool is_missing = false;

	if (len > REPORT_JSON_MAX)
		return err_set(
			err, ERR_CORRUPT, "the file is larger than %zu bytes", REPORT_JSON_MAX);
	int rc = dsse_open(data, len, REPORT_JSON_PAYLOAD_TYPE, NULL, &statement, &opened, err);
	if (rc == 0)
		rc = check_keys(&opened, keys, err);
	if (rc == 0)
		rc = report_parse_statement(statement.data, statement.len, &r, err);
	if (rc == 0)
		rc = check_parties(r, &opened, &is_missing, err);
	if (rc == 0)
		rc = report_order_check(r, err);
	if (rc == 0)
		rc = report_check_judgement(statement.data, statement.len, err);
	if (rc != 0)
		return rc;
	out->signed_by = opened;
	out->is_controller_missing = is_missing;
	out->report = TAKE(r);
	return 0;
}
