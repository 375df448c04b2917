/* docs/schema/drill-report.schema.json and the tables say the same.  Runs in the source tree. */
#include "restore/report_shape.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <string.h>

#include "restore/report.h"

static json_t *schema;

static void setup(void)
{
	json_error_t error;
	schema = json_load_file(
		"docs/schema/drill-report.schema.json", JSON_REJECT_DUPLICATES, &error);
	cr_assert(ne(ptr, schema, NULL), "%s", error.text);
}

static void teardown(void)
{
	json_decref(schema);
}

TestSuite(report_shape, .init = setup, .fini = teardown);

static bool is_required(const json_t *object, const char *name)
{
	const json_t *required = json_object_get(object, "required");
	for (size_t i = 0; i < json_array_size(required); i++) {
		if (strcmp(json_string_value(json_array_get(required, i)), name) == 0)
			return true;
	}
	return false;
}

static void compare_words(const json_t *words, const struct report_shape_field *f)
{
	size_t count = 0;
	for (; f->words[count] != NULL; count++)
		cr_expect(eq(str, (char *)json_string_value(json_array_get(words, count)),
			(char *)f->words[count]));
	cr_expect(eq(sz, json_array_size(words), count), "%s", f->name);
}

static void compare_ref(const json_t *member, const char *name)
{
	char ref[64];
	(void)snprintf(ref, sizeof(ref), "#/$defs/%s", name);
	cr_expect(eq(str, (char *)json_string_value(json_object_get(member, "$ref")), ref));
	cr_expect(ne(ptr, json_object_get(json_object_get(schema, "$defs"), name), NULL));
}

static size_t compare(const json_t *object, const struct report_shape *shape)
{
	static const char *const refs[] = {
		[REPORT_SHAPE_TEXT] = "text",
		[REPORT_SHAPE_UUID] = "uuid",
		[REPORT_SHAPE_HEX32] = "sha256",
		[REPORT_SHAPE_TIME] = "time",
		[REPORT_SHAPE_INT] = "count",
		[REPORT_SHAPE_SIGNED] = "signed",
		[REPORT_SHAPE_TEXTS] = "texts",
	};
	const json_t *members = json_object_get(object, "properties");
	size_t count = 0, all = 0;
	for (const struct report_shape_field *f = shape->fields; f->name != NULL; f++, count++) {
		const json_t *member = json_object_get(members, f->name);
		cr_assert(ne(ptr, (void *)member, NULL), "%s", f->name);
		cr_expect(eq(int, is_required(object, f->name), f->is_required), "%s", f->name);
		if (f->kind == REPORT_SHAPE_WORD)
			compare_words(json_object_get(member, "enum"), f);
		else if (f->kind == REPORT_SHAPE_OBJECT)
			all += compare(member, f->shape);
		else if (f->kind == REPORT_SHAPE_LIST)
			all += compare(json_object_get(member, "items"), f->shape);
		else if (f->kind == REPORT_SHAPE_BOOL)
			cr_expect(
				eq(str, (char *)json_string_value(json_object_get(member, "type")),
					"boolean"));
		else
			compare_ref(member, refs[f->kind]);
	}
	if (shape == &report_shape_root)
		count++; /* "schema" is a constant, no member */
	cr_expect(eq(sz, json_object_size(members), count));
	cr_expect(eq(int, json_is_false(json_object_get(object, "additionalProperties")), 1));
	return all + count;
}

Test(report_shape, the_schema_file_has_every_member_with_its_form_and_no_other)
{
	const json_t *predicate =
		json_object_get(json_object_get(schema, "properties"), "predicate");
	cr_expect(ge(sz, compare(predicate, &report_shape_root), ((size_t)90) + 1));
}

Test(report_shape, a_cleared_object_is_absent_and_any_member_makes_it_present)
{
	struct report *r = report_new();
	struct report_system *s = report_add_system(r);
	s->result.rta_basis = 0;
	cr_expect(report_shape_is_absent(&report_shape_system, s));
	s->recovery_point.seq = 0;
	cr_expect(not(report_shape_is_absent(&report_shape_system, s)));
	report_free(r);
}

Test(report_shape, words_stand_at_their_values)
{
	cr_expect(eq(str, (char *)report_shape_word(report_shape_verdicts, REPORT_FAIL), "fail"));
	cr_expect(eq(str, (char *)report_shape_word(report_shape_reaches, REPORT_NOT_PROBED),
		"not_probed"));
	cr_expect(eq(str, (char *)report_shape_word(report_shape_envelopes, REPORT_ENVELOPE_GONE),
		"absent"));
	cr_expect(eq(str, (char *)report_shape_word(report_shape_rules, REPORT_KEEP), "keep"));
	cr_expect(eq(str, (char *)report_shape_word(report_shape_verdicts, 0), ""));
	cr_expect(eq(str, (char *)report_shape_word(report_shape_verdicts, REPORT_FAIL + 1), ""));
}
