#include "vault/snapshot_sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "vault/snapshot.h"

/*
 * INVARIANTS
 * (1) A name is written whole or counted among the rest.
 */

#define REST_BYTES 40 /* " and 18446744073709551615 more" */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names, sorted, each once.  Return how many. */
static size_t sort_names(const char **names, size_t count)
{
	size_t kept = 0;
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	}
	return kept;
}

size_t snapshot_sources_text(const struct snapshot_list *list, char out[SNAPSHOT_SOURCES_BYTES])
{
	CLEANUP(cleanup_free_p) const char **names = calloc(list->count + 1, sizeof(*names));
	size_t len = 0, shown = 0;
	if (names == NULL)
		return 0;
	for (size_t i = 0; i < list->count; i++)
		names[i] = list->at[i].label.source;
	const size_t count = sort_names(names, list->count);
	for (; shown < count && shown < SNAPSHOT_SOURCES_SHOWN; shown++) {
		const char *between = shown == 0 ? "" : shown + 1 == count ? " and " : ", ";
		if (len + strlen(between) + strlen(names[shown]) + 2 + REST_BYTES >=
			SNAPSHOT_SOURCES_BYTES)
			break;
		len += (size_t)snprintf(
			out + len, SNAPSHOT_SOURCES_BYTES - len, "%s'%s'", between, names[shown]);
	}
	if (shown < count) /* there is room: REST_BYTES */
		(void)snprintf(out + len, SNAPSHOT_SOURCES_BYTES - len, "%s%zu more",
			shown == 0 ? "" : " and ", count - shown);
	return count;
}

int snapshot_sources_check(const struct snapshot_list *list, const char *source, struct err *err)
{
	char text[SNAPSHOT_SOURCES_BYTES];
	for (size_t i = 0; i < list->count; i++) {
		if (snapshot_is_of(&list->at[i], source))
			return 0;
	}
	err_set(err, ERR_NOT_FOUND, "there is no snapshot of source '%s'", source);
	const size_t count = snapshot_sources_text(list, text);
	if (count == 0)
		return err_hint(err, "there is no snapshot of any source yet");
	return err_hint(err, "there are snapshots of %s", text);
}
