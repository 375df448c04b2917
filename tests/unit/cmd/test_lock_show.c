#include "cmd/lock_show.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "cmd/console.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "vault/lock_keep.h"

Test(lock_show, programs_are_told_every_number)
{
	struct err err = ERR_INIT;
	struct store_mem *mem = NULL;
	struct store *s = NULL;
	const struct lock_keep_result r = { .objects = 9,
		.bytes = 100,
		.asked = 8,
		.locked = 5,
		.ending = 3,
		.unlocked = 1,
		.extended = 4,
		.hidden = 2 };
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &s, &err), 0));
	json_t *o = lock_show_json(s, &r);
	char *text = json_dumps(o, JSON_SORT_KEYS | JSON_COMPACT);
	cr_expect(eq(str, text,
		"{\"all\":false,\"asked\":8,\"bytes\":100,\"earliest\":null,\"ending\":3,"
		"\"extended\":4,"
		"\"failed\":0,\"hidden\":2,\"locked\":5,\"objects\":9,\"policy\":\"off\","
		"\"unlocked\":1}"));
	free(text);
	json_decref(o);
	store_free(s);
}

Test(lock_show, what_is_not_as_it_should_be_is_a_warning)
{
	struct console c;
	struct lock_keep_result r = { .objects = 9 };
	console_init(&c);
	lock_show_warn(&c, &r);
	cr_expect(eq(sz, (size_t)c.warnings, (size_t)0));
	r.hidden = 2;
	r.failed = 1;
	lock_show_warn(&c, &r);
	cr_expect(eq(sz, (size_t)c.warnings, (size_t)2));
}
