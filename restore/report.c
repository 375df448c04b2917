#include "restore/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "restore/report_shape.h"

/*
 * INVARIANTS
 * (1) Everything a report points to was made by report_alloc() of the same report, and is freed
 *     with it and never before: a pointer into a report is good for its whole life.
 * (2) Lists hold pointers, so that growing one moves no item.
 * (3) A list's room is the smallest power of two from 4 that holds its count.
 * (4) Every text is UTF-8 and at most REPORT_TEXT_MAX bytes.
 */

struct report_block {
	struct report_block *next;
	max_align_t data[];
};

static const char cut_mark[] = "[cut]";

void *report_alloc(struct report *r, size_t size)
{
	struct report_block *block = calloc(1, sizeof(*block) + size);
	if (block == NULL) {
		r->has_failed = true;
		return NULL;
	}
	block->next = r->blocks;
	r->blocks = block;
	return block->data;
}

struct report *report_new(void)
{
	struct report *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return NULL;
	report_shape_clear(&report_shape_root, r);
	r->version = REPORT_VERSION;
	r->log = REPORT_LOG_NONE;
	return r;
}

void report_free(struct report *r)
{
	if (r == NULL)
		return;
	while (r->blocks != NULL) {
		struct report_block *block = r->blocks;
		r->blocks = block->next;
		free(block);
	}
	free(r);
}

/* The longest prefix of valid UTF-8 within ${max} bytes. */
static size_t cut_at(const char *text, size_t max)
{
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

const char *report_text(struct report *r, const char *text)
{
	char escaped[REPORT_TEXT_MAX + 16];
	if (text == NULL || *text == '\0')
		return NULL;
	size_t len = strnlen(text, REPORT_TEXT_MAX + 1);
	bool is_cut = len > REPORT_TEXT_MAX;
	if (is_cut)
		len = cut_at(text, REPORT_TEXT_MAX - sizeof(cut_mark));
	if (!escape_is_utf8(text, len)) {
		size_t room = REPORT_TEXT_MAX - sizeof(cut_mark);
		size_t all = escape_text(escaped, sizeof(escaped), text, len);
		if (all > room) {
			is_cut = true;
			all = cut_at(escaped, room);
		}
		text = escaped;
		len = all;
	}
	char *copy = report_alloc(r, len + sizeof(cut_mark) + 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy, text, len);
	if (is_cut)
		memcpy(copy + len, cut_mark, sizeof(cut_mark));
	return copy;
}

const char *report_textf(struct report *r, const char *fmt, ...)
{
	CLEANUP(cleanup_free_p) char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		text = NULL;
		r->has_failed = true;
		return NULL;
	}
	return report_text(r, text);
}

/* Room for one more pointer: the array to use, with the old pointers in it; NULL = failed. */
static void *grow(struct report *r, const void *items, size_t count)
{
	if (count >= REPORT_ITEMS_MAX) {
		r->has_failed = true;
		return NULL;
	}
	size_t room = 4;
	while (room < count + 1)
		room *= 2;
	void *bigger = report_alloc(r, room * sizeof(void *));
	if (bigger != NULL && count > 0)
		memcpy(bigger, items, count * sizeof(void *));
	return bigger;
}

static bool is_full(size_t count)
{
	return count == 0 || (count >= 4 && (count & (count - 1)) == 0) ||
	       count >= REPORT_ITEMS_MAX;
}

void report_add_text(struct report *r, struct report_texts *list, const char *text)
{
	const char *copy = report_text(r, text);
	if (copy == NULL)
		return;
	if (is_full(list->count)) {
		const char **bigger = grow(r, list->items, list->count);
		if (bigger == NULL)
			return;
		list->items = bigger;
	}
	list->items[list->count++] = copy;
}

void *report_append(struct report *r, void *list, size_t *count, const struct report_shape *shape)
{
	char *items;
	memcpy(&items, list, sizeof(items));
	if (is_full(*count)) {
		items = grow(r, items, *count);
		if (items == NULL)
			return NULL;
	}
	void *item = report_alloc(r, shape->size);
	if (item == NULL)
		return NULL;
	report_shape_clear(shape, item);
	memcpy(items + *count * sizeof(item), &item, sizeof(item));
	memcpy(list, &items, sizeof(items));
	*count += 1;
	return item;
}

struct report_system *report_add_system(struct report *r)
{
	struct report_system *s =
		report_append(r, &r->systems, &r->systems_count, &report_shape_system);
	if (s != NULL)
		s->result.rta_basis = REPORT_RTA_MEASURED;
	return s;
}

struct report_step *report_add_step(struct report *r, struct report_system *s)
{
	return report_append(r, &s->steps, &s->steps_count, &report_shape_step);
}

struct report_content_check *report_add_check(struct report *r, struct report_system *s)
{
	return report_append(r, &s->checks, &s->checks_count, &report_shape_check);
}

struct report_isolation_check *report_add_isolation_check(struct report *r)
{
	struct report_environment *e = &r->environment;
	struct report_isolation_check *c = report_append(
		r, &e->isolation_checks, &e->isolation_checks_count, &report_shape_isolation_check);
	if (c != NULL)
		c->expected = REPORT_UNREACHABLE;
	return c;
}

struct report_finding *report_add_finding(struct report *r)
{
	return report_append(r, &r->findings, &r->findings_count, &report_shape_finding);
}

struct report_evidence *report_add_evidence(struct report *r)
{
	return report_append(r, &r->evidence, &r->evidence_count, &report_shape_evidence);
}

void report_times(const struct report_timings *t, int64_t out[REPORT_T_COUNT])
{
	const int64_t all[REPORT_T_COUNT] = { t->t_declared, t->t_approved, t->t_selected,
		t->t_sandbox, t->t_restored, t->t_started, t->t_verified, t->t_clean };
	memcpy(out, all, sizeof(all));
}

int64_t report_ms(int64_t ns)
{
	return ns / 1000000 - (ns % 1000000 < 0);
}
