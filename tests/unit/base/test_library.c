#include "base/library.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"

static struct err err = ERR_INIT;

Test(library, each_name_is_found_in_its_order)
{
	static const char *const names[] = { "ZSTD_versionNumber", "ZSTD_isError" };
	const struct library zstd = { "a library", "get it", names, 2 };
	struct {
		unsigned (*version)(void);
		unsigned (*is_error)(size_t code);
	} table;
	cr_assert(eq(int, library_open(&zstd, "libzstd.so.1", &table, &err), 0), "%s", err.msg);
	cr_expect(ge(uint, table.version(), 10001));
	cr_expect(eq(uint, table.is_error(7), 0));
	cr_expect(eq(uint, table.is_error((size_t)-1), 1));
}

Test(library, one_that_is_not_there_or_lacks_a_name_says_what_to_do_and_leaves_the_table)
{
	static const char *const names[] = { "ZSTD_versionNumber", "of_nobody" };
	const struct library zstd = { "a library", "get it", names, 2 };
	void *table[2] = { NULL, NULL };
	cr_expect(eq(int, library_open(&zstd, "libzstd.so.1", table, &err), -ERR_NOT_FOUND));
	cr_expect(eq(str, err.msg, "unable to use a library: libzstd.so.1 has no of_nobody"));
	cr_expect(eq(str, err.hint, "get it"));
	cr_expect(eq(int, library_open(&zstd, "libnobody.so.1", table, &err), -ERR_NOT_FOUND));
	cr_expect(eq(ptr, strstr(err.msg, "unable to load a library: "), err.msg), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.msg, "libnobody.so.1"), NULL), "%s", err.msg);
	cr_expect(eq(ptr, table[0], NULL));
}
