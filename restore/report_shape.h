/*
 * report_shape: the schema of the drill report as tables: for each section its members, their JSON
 * names, forms and words.  One walk over the tables makes the writer, another the reader, a third
 * the empty report, so that the three cannot drift apart.  Constant data; thread-safe.
 */
#ifndef RESTORE_REPORT_SHAPE_H
#define RESTORE_REPORT_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The versions of the schema have the same members; what is concluded from them differs
 * (docs/REPORT.md, Judgement).  NULL = there is no such version. */
const char *report_shape_schema(unsigned version);
const char *report_shape_predicate_type(unsigned version);

enum report_shape_kind {
	REPORT_SHAPE_TEXT,   /* const char * */
	REPORT_SHAPE_UUID,   /* const char *, 36 characters */
	REPORT_SHAPE_HEX32,  /* const char *, 64 lower-case hex digits */
	REPORT_SHAPE_TIME,   /* int64_t ms, RFC 3339 in JSON */
	REPORT_SHAPE_INT,    /* int64_t from 0 */
	REPORT_SHAPE_SIGNED, /* int64_t */
	REPORT_SHAPE_BOOL,   /* bool; written whenever its object is */
	REPORT_SHAPE_WORD,   /* enum with a table of words; 0 = absent */
	REPORT_SHAPE_TEXTS,  /* struct report_texts */
	REPORT_SHAPE_OBJECT, /* embedded struct; absent when all but its bools are */
	REPORT_SHAPE_LIST,   /* array of pointers and a size_t count */
};

struct report_shape;

struct report_shape_field {
	const char *name;
	enum report_shape_kind kind;
	bool is_required; /* of the object, when the object is there */
	size_t offset;
	size_t count_offset;              /* LIST: where the count is */
	const char *const *words;         /* WORD: words[0] is for value 1; NULL-terminated */
	const struct report_shape *shape; /* OBJECT, LIST */
};

struct report_shape {
	size_t size;
	const struct report_shape_field *fields; /* ends with a NULL name */
};

/* The shape of struct report itself. */
extern const struct report_shape report_shape_root;
/* The shapes of what lists hold. */
extern const struct report_shape report_shape_system;
extern const struct report_shape report_shape_step;
extern const struct report_shape report_shape_check;
extern const struct report_shape report_shape_isolation_check;
extern const struct report_shape report_shape_finding;
extern const struct report_shape report_shape_evidence;

/* Make every number of the zeroed ${object} absent. */
void report_shape_clear(const struct report_shape *shape, void *object);

/* Return true when nothing but bools could be said about ${object}. */
bool report_shape_is_absent(const struct report_shape *shape, const void *object);

/* The same for one member of ${object}. */
bool report_shape_is_field_absent(const struct report_shape_field *field, const void *object);

/* Read an array of pointers without caring what they point to. */
void *report_shape_item(const struct report_shape_field *list, const void *object, size_t i);
size_t report_shape_count(const struct report_shape_field *list, const void *object);

/* The JSON word of an enum value, "" for 0 or unknown. */
const char *report_shape_word(const char *const *words, unsigned value);

extern const char *const report_shape_kinds[];
extern const char *const report_shape_triggers[];
extern const char *const report_shape_reaches[];
extern const char *const report_shape_consistencies[];
extern const char *const report_shape_envelopes[];
extern const char *const report_shape_rpa_bases[];
extern const char *const report_shape_rta_bases[];
extern const char *const report_shape_statuses[];
extern const char *const report_shape_mets[];
extern const char *const report_shape_detects[];
extern const char *const report_shape_verdicts[];
extern const char *const report_shape_grades[];
extern const char *const report_shape_rules[];

#endif
