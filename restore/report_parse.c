#include "restore/report_parse.h"

#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/escape.h"
#include "base/human.h"
#include "codec/jsonx.h"
#include "restore/report.h"
#include "restore/report_form.h"
#include "restore/report_json.h"
#include "restore/report_shape.h"

/*
 * INVARIANTS
 * (1) report_json_encode() of what was taken gives the very bytes that were read; checked here.
 * (2) Sizes are checked against REPORT_JSON_MAX, REPORT_ITEMS_MAX and REPORT_TEXT_MAX before
 *     anything is copied.
 */

DEFINE_CLEANUP(json_t *, json_decref)
DEFINE_CLEANUP(struct report *, report_free)

/* What a reader needs everywhere. */
struct reader {
	struct report_form_place at;
	struct err *err;
	struct report *r;
};

static int read_object(
	struct reader *rd, const struct report_shape *shape, const json_t *json, void *object);

static int refuse(struct reader *rd, const char *what)
{
	return err_set(rd->err, ERR_CORRUPT, "%s: %s",
		rd->at.path[0] == '\0' ? "report" : rd->at.path, what);
}

static int read_text(
	struct reader *rd, const struct report_shape_field *f, const json_t *json, void *at)
{
	const char *text = json_string_value(json);
	if (text == NULL)
		return refuse(rd, "must be a string");
	if (!report_form_is_text(f->kind, text))
		return refuse(rd, f->kind == REPORT_SHAPE_UUID ? "must be a lower-case UUID"
				  : f->kind == REPORT_SHAPE_HEX32
					  ? "must be 64 lower-case hex digits"
					  : "must not be empty or that long");
	const char *copy = report_text(rd->r, text);
	memcpy(at, &copy, sizeof(copy));
	return 0;
}

static int read_number(
	struct reader *rd, const struct report_shape_field *f, const json_t *json, void *at)
{
	int64_t v;
	if (f->kind == REPORT_SHAPE_TIME) {
		const char *text = json_string_value(json);
		if (text == NULL || human_parse_time(text, &v) != 0)
			return refuse(rd, "must be an RFC 3339 time");
		v = report_ms(v);
	} else if (json_is_integer(json)) {
		v = json_integer_value(json);
	} else {
		return refuse(rd, "must be a whole number");
	}
	if (!report_form_is_number(f->kind, v))
		return refuse(rd, "is out of range");
	memcpy(at, &v, sizeof(v));
	return 0;
}

static int read_word(
	struct reader *rd, const struct report_shape_field *f, const json_t *json, void *at)
{
	const char *text = json_string_value(json);
	if (text == NULL)
		return refuse(rd, "must be a string");
	for (unsigned i = 0; f->words[i] != NULL; i++) {
		if (strcmp(f->words[i], text) != 0)
			continue;
		unsigned value = i + 1;
		memcpy(at, &value, sizeof(value));
		return 0;
	}
	return refuse(rd, "is not one of the words of its schema");
}

static int check_array(struct reader *rd, const json_t *json)
{
	if (!json_is_array(json) || json_array_size(json) == 0)
		return refuse(rd, "must be a list that is not empty");
	if (json_array_size(json) > REPORT_ITEMS_MAX)
		return refuse(rd, "has too many items");
	return 0;
}

static int read_texts(struct reader *rd, const json_t *json, void *at)
{
	struct report_texts list = { .items = NULL };
	int rc = check_array(rd, json);
	for (size_t i = 0; rc == 0 && i < json_array_size(json); i++) {
		const char *text = json_string_value(json_array_get(json, i));
		if (text == NULL || !report_form_is_text(REPORT_SHAPE_TEXT, text))
			return refuse(rd, "must hold strings, none empty or that long");
		report_add_text(rd->r, &list, text);
	}
	if (rc == 0)
		memcpy(at, &list, sizeof(list));
	return rc;
}

static int read_list(
	struct reader *rd, const struct report_shape_field *f, const json_t *json, void *object)
{
	int rc = check_array(rd, json);
	size_t count = 0;
	for (size_t i = 0; rc == 0 && i < json_array_size(json); i++) {
		void *item = report_append(rd->r, (char *)object + f->offset, &count, f->shape);
		if (item == NULL)
			return err_set(rd->err, ERR_NOMEM, "out of memory");
		memcpy((char *)object + f->count_offset, &count, sizeof(count));
		size_t up = report_form_enter(&rd->at, NULL, i);
		rc = read_object(rd, f->shape, json_array_get(json, i), item);
		if (rc == 0)
			report_form_leave(&rd->at, up);
	}
	return rc;
}

static int read_field(
	struct reader *rd, const struct report_shape_field *f, const json_t *json, void *object)
{
	char *at = (char *)object + f->offset;
	bool flag = json_is_true(json);
	switch (f->kind) {
	case REPORT_SHAPE_TEXT:
	case REPORT_SHAPE_UUID:
	case REPORT_SHAPE_HEX32:
		return read_text(rd, f, json, at);
	case REPORT_SHAPE_TIME:
	case REPORT_SHAPE_INT:
	case REPORT_SHAPE_SIGNED:
		return read_number(rd, f, json, at);
	case REPORT_SHAPE_BOOL:
		if (!json_is_boolean(json))
			return refuse(rd, "must be true or false");
		memcpy(at, &flag, sizeof(flag));
		return 0;
	case REPORT_SHAPE_WORD:
		return read_word(rd, f, json, at);
	case REPORT_SHAPE_TEXTS:
		return read_texts(rd, json, at);
	case REPORT_SHAPE_LIST:
		return read_list(rd, f, json, object);
	case REPORT_SHAPE_OBJECT:
		return read_object(rd, f->shape, json, at);
	}
	return refuse(rd, "has no form");
}

static int read_object(
	struct reader *rd, const struct report_shape *shape, const json_t *json, void *object)
{
	size_t known = 0;
	if (!json_is_object(json))
		return refuse(rd, "must be an object");
	for (const struct report_shape_field *f = shape->fields; f->name != NULL; f++) {
		const json_t *value = json_object_get(json, f->name);
		size_t up = report_form_enter(&rd->at, f->name, 0);
		if (value == NULL && f->is_required)
			return refuse(rd, "is missing");
		if (value != NULL) {
			int rc = read_field(rd, f, value, object);
			if (rc != 0)
				return rc;
			known++;
		}
		report_form_leave(&rd->at, up);
	}
	if (shape == &report_shape_root && json_object_get(json, "schema") != NULL)
		known++;
	return known == json_object_size(json) ? 0 : refuse(rd, "has a member its schema does not");
}

/* The outer members of the statement; what they hold is compared byte for byte afterwards. */
static int check_statement(const json_t *statement, unsigned *version, struct err *err)
{
	char shown[128];
	const char *type = json_string_value(json_object_get(statement, "predicateType"));
	const json_t *predicate = json_object_get(statement, "predicate");
	const char *schema = json_string_value(json_object_get(predicate, "schema"));
	if (type == NULL || schema == NULL)
		return err_set(err, ERR_CORRUPT, "the signed text is not a drill report");
	const char *odd = type;
	for (unsigned v = 1; v <= REPORT_VERSION; v++) {
		if (strcmp(type, report_shape_predicate_type(v)) != 0)
			continue;
		*version = v;
		odd = strcmp(schema, report_shape_schema(v)) == 0 ? NULL : schema;
	}
	if (odd == NULL)
		return 0;
	(void)escape_str(shown, sizeof(shown), odd);
	return err_set(err, ERR_UNSUPPORTED,
		"the report is written in '%s', this program reads '%s' and older ones", shown,
		report_shape_schema(REPORT_VERSION));
}

/* Say where the bytes begin to differ from the only form there is. */
static int check_canonical(
	const uint8_t *data, size_t len, const struct buf *again, struct err *err)
{
	size_t i = 0;
	while (i < len && i < again->len && data[i] == again->data[i])
		i++;
	if (i == len && i == again->len)
		return 0;
	return err_set(err, ERR_CORRUPT,
		"the statement is not in its canonical form, or its subjects are not those of the "
		"report, at byte %zu",
		i);
}

int report_parse_statement(const void *data, size_t len, struct report **out, struct err *err)
{
	CLEANUP(json_decref_p) json_t *statement = NULL;
	CLEANUP(buf_done) struct buf again = BUF_INIT(REPORT_JSON_MAX);
	unsigned version = 0;

	if (len > REPORT_JSON_MAX)
		return err_set(
			err, ERR_CORRUPT, "the report is larger than %zu bytes", REPORT_JSON_MAX);
	int rc = jsonx_parse(data, len, "report", &statement, err);
	if (rc == 0)
		rc = check_statement(statement, &version, err);
	if (rc != 0)
		return rc;
	CLEANUP(report_free_p) struct report *r = report_new();
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->version = version;
	struct reader rd = { .err = err, .r = r };
	rc = read_object(&rd, &report_shape_root, json_object_get(statement, "predicate"), r);
	if (rc == 0)
		rc = report_json_encode(r, &again, err);
	if (rc == 0)
		rc = check_canonical(data, len, &again, err);
	if (rc == 0)
		*out = TAKE(r);
	return rc;
}
