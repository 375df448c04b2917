#include "restore/report_json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/human.h"
#include "codec/jsonx.h"
#include "crypto/dsse.h"
#include "restore/report.h"
#include "restore/report_form.h"
#include "restore/report_order.h"
#include "restore/report_shape.h"

/*
 * INVARIANTS
 * (1) The same report gives the same bytes: the tables of report_shape and sorted keys decide.
 * (2) A member that is absent in the report is absent in the JSON; no text, list or object is
 * empty. (3) No number in the JSON has a fraction or passes 2^53.
 */

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"

DEFINE_CLEANUP(json_t *, json_decref)

struct writer {
	struct report_form_place at;
	struct err *err;
};

static int write_object(
	struct writer *p, const struct report_shape *shape, const void *object, json_t **out);

static int no_memory(struct writer *p)
{
	return err_set(p->err, ERR_NOMEM, "out of memory");
}

static int write_number(
	struct writer *p, const struct report_shape_field *f, const void *at, json_t **out)
{
	int64_t v;
	char text[HUMAN_BYTES];
	memcpy(&v, at, sizeof(v));
	if (!report_form_is_number(f->kind, v))
		return err_set(
			p->err, ERR_FAILED, "unable to write '%s': out of range", p->at.path);
	*out = f->kind == REPORT_SHAPE_TIME ? json_string(human_time_utc(text, v * 1000000))
					    : json_integer(v);
	return *out == NULL ? no_memory(p) : 0;
}

static int write_text(
	struct writer *p, const struct report_shape_field *f, const void *at, json_t **out)
{
	const char *text;
	memcpy(&text, at, sizeof(text));
	if (!report_form_is_text(f->kind, text))
		return err_set(
			p->err, ERR_FAILED, "unable to write '%s': not in its form", p->at.path);
	*out = json_string(text);
	return *out == NULL
		       ? err_set(p->err, ERR_FAILED, "unable to write '%s': not UTF-8", p->at.path)
		       : 0;
}

static int write_word(
	struct writer *p, const struct report_shape_field *f, const void *at, json_t **out)
{
	unsigned v;
	memcpy(&v, at, sizeof(v));
	const char *word = report_shape_word(f->words, v);
	if (*word == '\0')
		return err_set(p->err, ERR_FAILED, "unable to write '%s': unknown value %u",
			p->at.path, v);
	*out = json_string(word);
	return *out == NULL ? no_memory(p) : 0;
}

static int write_texts(struct writer *p, const void *at, json_t **out)
{
	struct report_texts list;
	CLEANUP(json_decref_p) json_t *array = json_array();
	memcpy(&list, at, sizeof(list));
	for (size_t i = 0; i < list.count; i++) {
		if (json_array_append_new(array, json_string(list.items[i])) != 0)
			return no_memory(p);
	}
	*out = TAKE(array);
	return *out == NULL ? no_memory(p) : 0;
}

static int write_list(
	struct writer *p, const struct report_shape_field *f, const void *object, json_t **out)
{
	CLEANUP(json_decref_p) json_t *array = json_array();
	size_t count = report_shape_count(f, object);
	for (size_t i = 0; i < count; i++) {
		json_t *item = NULL;
		size_t up = report_form_enter(&p->at, NULL, i);
		int rc = write_object(p, f->shape, report_shape_item(f, object, i), &item);
		if (rc != 0)
			return rc;
		report_form_leave(&p->at, up);
		if (json_array_append_new(array, item) != 0)
			return no_memory(p);
	}
	*out = TAKE(array);
	return *out == NULL ? no_memory(p) : 0;
}

static int write_field(
	struct writer *p, const struct report_shape_field *f, const void *object, json_t **out)
{
	const char *at = (const char *)object + f->offset;
	bool flag;
	switch (f->kind) {
	case REPORT_SHAPE_TEXT:
	case REPORT_SHAPE_UUID:
	case REPORT_SHAPE_HEX32:
		return write_text(p, f, at, out);
	case REPORT_SHAPE_TIME:
	case REPORT_SHAPE_INT:
	case REPORT_SHAPE_SIGNED:
		return write_number(p, f, at, out);
	case REPORT_SHAPE_BOOL:
		memcpy(&flag, at, sizeof(flag));
		*out = json_boolean(flag);
		return 0;
	case REPORT_SHAPE_WORD:
		return write_word(p, f, at, out);
	case REPORT_SHAPE_TEXTS:
		return write_texts(p, at, out);
	case REPORT_SHAPE_LIST:
		return write_list(p, f, object, out);
	case REPORT_SHAPE_OBJECT:
		return write_object(p, f->shape, at, out);
	}
	return err_set(p->err, ERR_FAILED, "unable to write '%s'", p->at.path);
}

static int write_object(
	struct writer *p, const struct report_shape *shape, const void *object, json_t **out)
{
	CLEANUP(json_decref_p) json_t *json = json_object();
	if (json == NULL)
		return no_memory(p);
	for (const struct report_shape_field *f = shape->fields; f->name != NULL; f++) {
		json_t *value = NULL;
		size_t up = report_form_enter(&p->at, f->name, 0);
		if (f->kind != REPORT_SHAPE_BOOL && report_shape_is_field_absent(f, object)) {
			if (f->is_required)
				return err_set(p->err, ERR_FAILED,
					"unable to write '%s': it is absent", p->at.path);
			report_form_leave(&p->at, up);
			continue;
		}
		int rc = write_field(p, f, object, &value);
		if (rc != 0)
			return rc;
		report_form_leave(&p->at, up);
		if (json_object_set_new(json, f->name, value) != 0)
			return no_memory(p);
	}
	*out = TAKE(json);
	return 0;
}

static int add_subject(json_t *subjects, const char *kind, const char *name, const char *sha256)
{
	CLEANUP(cleanup_free_p) char *full = NULL;
	if (asprintf(&full, "%s:%s", kind, name) < 0) {
		full = NULL;
		return -1;
	}
	return json_array_append_new(
		subjects, json_pack("{s:s, s:{s:s}}", "name", full, "digest", "sha256", sha256));
}

static json_t *write_subjects(const struct report *r)
{
	CLEANUP(json_decref_p) json_t *subjects = json_array();
	if (add_subject(subjects, "plan", r->plan.id, r->plan.sha256) != 0)
		return NULL;
	for (size_t i = 0; i < r->systems_count; i++) {
		const struct report_system *s = r->systems[i];
		if (s->recovery_point.snapshot_id != NULL &&
			add_subject(subjects, "snapshot", s->system_id,
				s->recovery_point.snapshot_id) != 0)
			return NULL;
	}
	return TAKE(subjects);
}

int report_json_encode(struct report *r, struct buf *out, struct err *err)
{
	struct writer p = { .err = err };
	CLEANUP(json_decref_p) json_t *predicate = NULL;

	if (r->has_failed)
		return err_set(err, ERR_NOMEM,
			"unable to write the report: out of memory, or more than %d items in a "
			"list",
			REPORT_ITEMS_MAX);
	int rc = write_object(&p, &report_shape_root, r, &predicate);
	if (rc != 0)
		return rc;
	CLEANUP(json_decref_p) json_t *statement = json_object();
	if (json_object_set_new(
		    predicate, "schema", json_string(report_shape_schema(r->version))) != 0 ||
		json_object_set_new(statement, "_type", json_string(STATEMENT_TYPE)) != 0 ||
		json_object_set_new(statement, "subject", write_subjects(r)) != 0 ||
		json_object_set_new(statement, "predicateType",
			json_string(report_shape_predicate_type(r->version))) != 0 ||
		json_object_set(statement, "predicate", predicate) != 0)
		return no_memory(&p);
	return jsonx_encode(statement, out, err);
}

int report_json_seal(struct report *r, const uint8_t seed[32], struct buf *out, struct err *err)
{
	CLEANUP(buf_done) struct buf statement = BUF_INIT(REPORT_JSON_MAX);
	int rc = report_order_check(r, err);
	if (rc == 0)
		rc = report_json_encode(r, &statement, err);
	if (rc == 0)
		rc = dsse_seal(
			seed, REPORT_JSON_PAYLOAD_TYPE, statement.data, statement.len, out, err);
	return rc;
}
