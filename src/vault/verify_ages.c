#include "vault/verify_ages.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/text.h"
#include "vault/id_set.h"

/*
 * The file: a line "holdfast-verified 1", then one line an object: 64 hex digits and the second.
 *
 * INVARIANTS
 * (1) places[id] is 1 + the place of id in at, for every entry.
 */

#define TITLE "holdfast-verified 1\n"
#define LINE_BYTES 96 /* 64 digits, a blank, 20 digits, newline */

struct entry {
	uint8_t id[32];
	int64_t second;
	bool is_seen; /* asked for, or set, since the load */
};

struct verify_ages {
	struct entry *at; /* owned */
	size_t count, cap;
	struct id_set *places; /* owned */
};

int verify_ages_new(struct verify_ages **out, struct err *err)
{
	struct verify_ages *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = id_set_new(&a->places, err);
	if (rc == 0)
		*out = a;
	else
		free(a);
	return rc;
}

void verify_ages_free(struct verify_ages *a)
{
	if (a == NULL)
		return;
	id_set_free(a->places);
	free(a->at);
	free(a);
}

static struct entry *find(struct verify_ages *a, const uint8_t id[32])
{
	uint32_t place = id_set_find(a->places, id);
	return place == 0 ? NULL : &a->at[place - 1];
}

/* Return 0 or -ERR_NOMEM. */
static int add(struct verify_ages *a, const uint8_t id[32], int64_t second, bool is_seen)
{
	if (a->count == VERIFY_AGES_MAX)
		return 0;
	if (a->at == NULL || a->count == a->cap) {
		size_t cap = a->cap == 0 ? 256 : a->cap * 2;
		struct entry *grown = reallocarray(a->at, cap, sizeof(*grown));
		if (grown == NULL)
			return -ERR_NOMEM;
		a->at = grown;
		a->cap = cap;
	}
	int rc = id_set_add(a->places, id, (uint32_t)a->count + 1, NULL, NULL);
	if (rc != 0)
		return rc;
	struct entry *e = &a->at[a->count++];
	memcpy(e->id, id, sizeof(e->id));
	e->second = second;
	e->is_seen = is_seen;
	return 0;
}

int64_t verify_ages_get(struct verify_ages *a, const uint8_t id[32])
{
	struct entry *e = find(a, id);
	if (e == NULL)
		return VERIFY_AGES_NEVER;
	e->is_seen = true;
	return e->second;
}

void verify_ages_set(struct verify_ages *a, const uint8_t id[32], int64_t second)
{
	struct entry *e = find(a, id);
	if (e == NULL) {
		(void)add(a, id, second, true); /* then it is read again */
		return;
	}
	e->second = second;
	e->is_seen = true;
}

int verify_ages_damaged(const struct verify_ages *a, struct id_set *out, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < a->count; i++) {
		if (a->at[i].second == VERIFY_AGES_DAMAGED)
			rc = id_set_add(out, a->at[i].id, 1, NULL, err);
	}
	return rc;
}

static int parse_line(struct verify_ages *a, const char *line)
{
	char hex[65];
	uint8_t id[32];
	int64_t second;
	int end = 0;
	if (sscanf(line, "%64s %" SCNi64 "%n", hex, &second, &end) != 2 || line[end] != '\0' ||
		strlen(hex) != 64 || second < VERIFY_AGES_DAMAGED ||
		text_unhex(hex, sizeof(id), id) != 0)
		return -ERR_CORRUPT;
	return find(a, id) != NULL ? 0 : add(a, id, second, false);
}

int verify_ages_load(struct verify_ages *a, const char *path, struct err *err)
{
	CLEANUP(buf_done)
	struct buf text = BUF_INIT((size_t)VERIFY_AGES_MAX * LINE_BYTES + sizeof(TITLE) + 1);
	char *rest = NULL;
	int rc = fdio_read_file(AT_FDCWD, path, &text, err);
	if (rc == -ERR_NOT_FOUND) {
		if (err != NULL)
			err_clear(err);
		return 0;
	}
	if (rc == 0)
		rc = buf_add8(&text, 0, err);
	if (rc != 0)
		return rc;
	if (strncmp((char *)text.data, TITLE, strlen(TITLE)) != 0)
		return err_set(err, ERR_CORRUPT, "'%s' is no memory of verifications", path);
	for (char *line = strtok_r((char *)text.data + strlen(TITLE), "\n", &rest); line != NULL;
		line = strtok_r(NULL, "\n", &rest)) {
		rc = parse_line(a, line);
		if (rc == -ERR_NOMEM)
			return err_set(err, ERR_NOMEM, "out of memory");
		if (rc != 0)
			return err_set(err, ERR_CORRUPT, "'%s' is damaged at '%.40s'", path, line);
	}
	return 0;
}

int verify_ages_store(struct verify_ages *a, const char *path, bool is_whole, struct err *err)
{
	CLEANUP(buf_done)
	struct buf text = BUF_INIT((size_t)VERIFY_AGES_MAX * LINE_BYTES + sizeof(TITLE));
	int rc = buf_add(&text, TITLE, strlen(TITLE), err);
	for (size_t i = 0; rc == 0 && i < a->count; i++) {
		char hex[65];
		char line[LINE_BYTES];
		if (is_whole && !a->at[i].is_seen)
			continue;
		text_hex(a->at[i].id, 32, hex);
		int n = snprintf(line, sizeof(line), "%s %" PRId64 "\n", hex, a->at[i].second);
		rc = buf_add(&text, line, (size_t)n, err);
	}
	return rc != 0 ? rc : atomic_file_write(AT_FDCWD, path, 0600, text.data, text.len, err);
}

struct candidate {
	struct verify_ages_item *item;
	int64_t second;
};

static int compare(const void *left, const void *right)
{
	const struct candidate *a = left;
	const struct candidate *b = right;
	if (a->second != b->second)
		return a->second < b->second ? -1 : 1;
	return memcmp(a->item->id, b->item->id, 32);
}

int verify_ages_choose(struct verify_ages *a, struct verify_ages_item *items, size_t count,
	int64_t older_than_s, uint64_t budget, int64_t now_s, struct err *err)
{
	CLEANUP(cleanup_free_p) struct candidate *c = calloc(count + 1, sizeof(*c));
	uint64_t taken = 0;
	size_t n = 0;
	if (c == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		int64_t at = verify_ages_get(a, items[i].id);
		if (at > now_s) /* the clock went back: what it says is worth nothing */
			at = VERIFY_AGES_NEVER;
		items[i].is_left =
			at > VERIFY_AGES_NEVER && older_than_s > 0 && now_s - at < older_than_s;
		if (!items[i].is_left)
			c[n++] = (struct candidate){ .item = &items[i], .second = at };
	}
	qsort(c, n, sizeof(*c), compare);
	for (size_t i = 0; budget > 0 && i < n; i++) {
		if (c[i].second == VERIFY_AGES_DAMAGED)
			continue; /* on top: they must not keep the others from their turn */
		c[i].item->is_left = taken > 0 && c[i].item->size > budget - taken;
		taken = c[i].item->is_left || c[i].item->size > budget - taken
				? budget /* nor anything younger */
				: taken + c[i].item->size;
	}
	return 0;
}
