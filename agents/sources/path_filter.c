#include "agents/sources/path_filter.h"

#include <stdlib.h>
#include <string.h>

#include "agents/sources/name_glob.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) Every part of a kept pattern passed name_glob_check(); there is at least one part.
 * (2) A pattern that is not anchored begins with a part that is_any.
 * (3) No two parts that are is_any follow each other.
 */

/* One component of a pattern; text borrowed from its pattern. */
struct part {
	const char *text;
	size_t len;
	bool is_any;   /* "**": any number of components */
	bool is_plain; /* no special characters: compared as it is */
};

struct pattern {
	char *text;         /* owned */
	struct part *parts; /* owned */
	size_t count;
	bool is_dir_only;
	bool is_include;
	bool is_tail; /* only the first part is_any: matches the last components of a path */
};

struct path_filter {
	struct pattern *patterns; /* owned */
	size_t count, cap;
};

int path_filter_new(struct path_filter **out, struct err *err)
{
	struct path_filter *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = f;
	return 0;
}

static void pattern_done(struct pattern *p)
{
	free(p->text);
	free(p->parts);
}

void path_filter_free(struct path_filter *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->count; i++)
		pattern_done(&f->patterns[i]);
	free(f->patterns);
	free(f);
}

/* ---- patterns into parts --------------------------------------------------------------------- */

static void add_any(struct pattern *p)
{
	if (p->count == 0 || !p->parts[p->count - 1].is_any)
		p->parts[p->count++].is_any = true;
}

static int add_part(struct pattern *p, const char *text, size_t len, struct err *err)
{
	if (len == 2 && memcmp(text, "**", 2) == 0) {
		add_any(p);
		return 0;
	}
	if (len == 0)
		return err_set(err, ERR_USAGE, "'//' names nothing");
	if (text[0] == '.' && (len == 1 || (len == 2 && text[1] == '.')))
		return err_set(err, ERR_USAGE, "'.' and '..' are no names");
	int rc = name_glob_check(text, len, err);
	if (rc != 0)
		return rc;
	struct part *part = &p->parts[p->count++];
	part->text = text;
	part->len = len;
	part->is_plain = true;
	for (size_t i = 0; i < len; i++)
		part->is_plain = part->is_plain && strchr("*?[\\", text[i]) == NULL;
	return 0;
}

/* Cut p->text into parts. */
static int cut(struct pattern *p, struct err *err)
{
	const char *text = p->text;
	size_t len = strlen(text), slashes = 0;
	if (len > 0 && text[len - 1] == '/') {
		p->is_dir_only = true;
		len--;
	}
	for (size_t i = 0; i < len; i++)
		slashes += text[i] == '/';
	p->parts = calloc(slashes + 2, sizeof(*p->parts));
	if (p->parts == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (len > 0 && text[0] == '/') {
		text++;
		len--;
	} else {
		add_any(p);
	}
	if (len == 0)
		return err_set(err, ERR_USAGE, "it names nothing");
	for (;;) {
		const char *slash = memchr(text, '/', len);
		size_t part_len = slash == NULL ? len : (size_t)(slash - text);
		int rc = add_part(p, text, part_len, err);
		if (rc != 0 || slash == NULL)
			return rc;
		text += part_len + 1;
		len -= part_len + 1;
	}
}

static int add(
	struct path_filter *f, const char *text, size_t len, bool is_include, struct err *err)
{
	if (len > PATH_FILTER_MAX_PATTERN_BYTES || f->count == PATH_FILTER_MAX_PATTERNS)
		return err_set(err, ERR_LIMIT, "a pattern of %zu bytes, or one after %zu others",
			len, f->count);
	if (f->count == f->cap) {
		size_t cap = f->cap == 0 ? 16 : f->cap * 2;
		struct pattern *grown = reallocarray(f->patterns, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		f->patterns = grown;
		f->cap = cap;
	}
	struct pattern p = { .is_include = is_include, .text = strndup(text, len) };
	if (p.text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = strlen(p.text) == len ? cut(&p, err)
				       : err_set(err, ERR_USAGE, "it holds a zero byte");
	if (rc != 0) {
		pattern_done(&p);
		return rc == -ERR_USAGE
			       ? err_wrap(err, "unable to use the pattern '%.*s'", (int)len, text)
			       : rc;
	}
	size_t any = 0;
	for (size_t i = 0; i < p.count; i++)
		any += p.parts[i].is_any;
	p.is_tail = any == 1 && p.parts[0].is_any && p.count > 1;
	f->patterns[f->count++] = p;
	return 0;
}

static int add_signed(struct path_filter *f, const char *text, size_t len, struct err *err)
{
	bool is_include = len > 0 && text[0] == '!';
	return add(f, text + is_include, len - is_include, is_include, err);
}

int path_filter_add(struct path_filter *f, const char *pattern, struct err *err)
{
	return add_signed(f, pattern, strlen(pattern), err);
}

/* The line's length without the blanks at its end; an escaped one stays. */
static size_t trimmed(const char *line, size_t len)
{
	while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL && line[len - 1] != '\0') {
		size_t slashes = 0;
		while (slashes < len - 1 && line[len - 2 - slashes] == '\\')
			slashes++;
		if (slashes % 2 == 1)
			break;
		len--;
	}
	return len;
}

int path_filter_add_text(struct path_filter *f, const char *text, size_t len, struct err *err)
{
	static const char bom[] = "\xef\xbb\xbf";
	if (len >= 3 && memcmp(text, bom, 3) == 0) {
		text += 3;
		len -= 3;
	}
	for (size_t number = 1; len > 0; number++) {
		const char *end = memchr(text, '\n', len);
		size_t line_len = end == NULL ? len : (size_t)(end - text);
		size_t used = trimmed(text, line_len);
		if (used > 0 && text[0] != '#') {
			int rc = add_signed(f, text, used, err);
			if (rc != 0)
				return err_wrap(err, "line %zu", number);
		}
		size_t step = line_len + (end != NULL);
		text += step;
		len -= step;
	}
	return 0;
}

/* ---- matching -------------------------------------------------------------------------------- */

static bool part_is_match(const struct part *part, const char *name, size_t len)
{
	if (part->is_plain)
		return part->len == len && memcmp(part->text, name, len) == 0;
	return name_glob_is_match(part->text, part->len, name, len);
}

/* What is left of a path, from the start of a component; p is NULL when there is none. */
struct rest {
	const char *p, *end;
};

static size_t component_len(const struct rest *r)
{
	const char *slash = memchr(r->p, '/', (size_t)(r->end - r->p));
	return (size_t)((slash == NULL ? r->end : slash) - r->p);
}

static struct rest behind(const struct rest *r, size_t len)
{
	const char *next = r->p + len;
	return (struct rest){ .p = next == r->end ? NULL : next + 1, .end = r->end };
}

static bool parts_are_match(const struct pattern *p, struct rest r)
{
	size_t i = 0, back_i = 0;
	struct rest back = { NULL, NULL };
	while (r.p != NULL) {
		if (i < p->count && p->parts[i].is_any) {
			if (++i == p->count)
				return true; /* ends with "**": all that lies below */
			back_i = i;
			back = r;
			continue;
		}
		size_t len = component_len(&r);
		if (i < p->count && part_is_match(&p->parts[i], r.p, len)) {
			i++;
			r = behind(&r, len);
			continue;
		}
		if (back.p == NULL)
			return false;
		i = back_i;
		back = behind(&back, component_len(&back));
		r = back;
	}
	return i == p->count;
}

/* The last components of the path against the parts behind the first. */
static bool tail_is_match(const struct pattern *p, struct rest r)
{
	const char *end = r.end;
	for (size_t i = p->count - 1; i > 0; i--) {
		if (end <= r.p)
			return false;
		const char *slash = memrchr(r.p, '/', (size_t)(end - r.p));
		const char *name = slash == NULL ? r.p : slash + 1;
		if (!part_is_match(&p->parts[i], name, (size_t)(end - name)))
			return false;
		end = slash == NULL ? r.p : slash;
	}
	return true;
}

bool path_filter_is_excluded(const struct path_filter *f, const char *path, size_t len, bool is_dir)
{
	if (f == NULL || len < 2)
		return false;
	struct rest all = { .p = path + 1, .end = path + len };
	for (size_t i = f->count; i > 0; i--) {
		const struct pattern *p = &f->patterns[i - 1];
		if (p->is_dir_only && !is_dir)
			continue;
		if (p->is_tail ? tail_is_match(p, all) : parts_are_match(p, all))
			return !p->is_include;
	}
	return false;
}
