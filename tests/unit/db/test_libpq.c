#include "db/libpq.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"

static struct err err = ERR_INIT;

Test(libpq, nothing_is_there_before_it_is_loaded_and_all_of_it_after)
{
	cr_expect(libpq.PQexec == NULL);
	cr_assert(eq(int, libpq_load(&err), 0), "%s", err.msg);
#define IS_THERE(name) cr_expect(libpq.name != NULL, #name);
	LIBPQ_FUNCTIONS(IS_THERE)
	struct libpq before = libpq;
	cr_expect(eq(int, libpq_load(&err), 0));
	cr_expect(eq(int, memcmp(&before, &libpq, sizeof(libpq)), 0));
}

Test(libpq, each_name_leads_to_its_own_function)
{
	cr_assert(eq(int, libpq_load(&err), 0), "%s", err.msg);
	/* nobody listens there: one that parses, one that asks, one that reads, one that ends */
	const char *const keys[] = { "host", "port", "user", "dbname", NULL };
	const char *const values[] = { "127.0.0.1", "1", "anna", "plant", NULL };
	cr_expect(eq(int, libpq.PQpingParams(keys, values, 0), PQPING_NO_RESPONSE));
	CLEANUP(libpq_finish_p) PGconn *c = libpq.PQconnectdbParams(keys, values, 0);
	cr_assert(c != NULL);
	cr_expect(eq(int, libpq.PQstatus(c), CONNECTION_BAD));
	cr_expect(eq(str, libpq.PQuser(c), "anna"));
	cr_expect(eq(str, libpq.PQdb(c), "plant"));
	cr_expect(strstr(libpq.PQerrorMessage(c), "127.0.0.1") != NULL);
	PQconninfoOption *options = libpq.PQconninfoParse("host=a dbname=b", NULL);
	cr_expect(options != NULL);
	libpq.PQconninfoFree(options);
}

Test(libpq, what_is_not_installed_says_which_package_to_install)
{
	struct libpq table = { .PQexec = NULL };
	cr_expect(eq(int, libpq_open("libpq-of-nobody.so.5", &table, &err), -ERR_NOT_FOUND));
	cr_expect(strstr(err.msg, "libpq-of-nobody.so.5") != NULL, "%s", err.msg);
	cr_expect(strstr(err.hint, "apt-get install libpq5") != NULL, "%s", err.hint);
	cr_expect(table.PQexec == NULL);
}

Test(libpq, a_library_that_lacks_a_function_is_not_taken_in_part)
{
	struct libpq table = { .PQexec = NULL };
	cr_expect(eq(int, libpq_open("libzstd.so.1", &table, &err), -ERR_NOT_FOUND));
	cr_expect(strstr(err.msg, "libzstd.so.1 has no PQclear") != NULL, "%s", err.msg);
	cr_expect(strstr(err.hint, "libpq5") != NULL, "%s", err.hint);
	cr_expect(table.PQclear == NULL);
}

Test(libpq, nothing_is_ended_without_a_library)
{
	libpq_finish(NULL);
	libpq_clear(NULL);
	cr_expect(libpq.PQfinish == NULL);
}
