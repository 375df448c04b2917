#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stdio.h>
#include <string.h>

#include "restore/restore_note.h"

static char last[64];

static void keep(void *arg, enum restore_note_kind kind, const uint8_t *key, size_t key_len,
	const char *text)
{
	(void)arg, (void)kind, (void)key, (void)key_len;
	(void)snprintf(last, sizeof(last), "%s", text);
}

Test(restore_note, notes_are_counted_and_told_when_asked)
{
	struct restore_note n = { .fn = keep };
	restore_note_add(&n, RESTORE_NOTE_TIME, "year %d", 1600);
	cr_expect(eq(str, last, "year 1600"));
	n.fn = NULL;
	restore_note_add(&n, RESTORE_NOTE_TIME, "year %d", 1601);
	cr_expect(eq(str, last, "year 1600"));
	cr_expect(eq(u64, n.count, 2));
}

Test(restore_note, a_path_is_safe_to_show_and_cut_at_its_limit)
{
	char out[RESTORE_NOTE_PATH_BYTES];
	uint8_t key[4096];
	memset(key, 1, sizeof(key));
	cr_expect(
		eq(str, (char *)restore_note_path((const uint8_t *)"a\0b\nc", 5, out), "a/b\\nc"));
	cr_expect(eq(str, (char *)restore_note_path(key, 0, out), "."));
	cr_expect(lt(sz, strlen(restore_note_path(key, sizeof(key), out)), sizeof(out)));
}
