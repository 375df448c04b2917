#include "db/libpq.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/library.h"

/*
 * INVARIANTS
 * (1) libpq is all NULL or whole, and once whole it never changes: the library is never unloaded.
 */

struct libpq libpq;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_loaded; /* under lock */

/* The table is an array of pointers in the order of LIBPQ_FUNCTIONS. */
static const char *const names[] = {
#define NAME(name) #name,
	LIBPQ_FUNCTIONS(NAME)
#undef NAME
};

#define COUNT (sizeof(names) / sizeof(names[0]))
_Static_assert(sizeof(struct libpq) == COUNT * sizeof(void *), "one pointer for each name");

int libpq_open(const char *file, struct libpq *out, struct err *err)
{
	static const struct library library = { .what = "PostgreSQL's client library",
		.hint = "install PostgreSQL's client library: apt-get install libpq5",
		.names = names,
		.count = COUNT };
	return library_open(&library, file, out, err);
}

int libpq_load(struct err *err)
{
	int rc = 0;
	(void)pthread_mutex_lock(&lock); /* fails only for a mutex that is none */
	if (!is_loaded)
		rc = libpq_open(LIBPQ_FILE, &libpq, err);
	is_loaded = rc == 0;
	(void)pthread_mutex_unlock(&lock); /* as above */
	return rc;
}

void libpq_finish(PGconn *c)
{
	if (c != NULL)
		libpq.PQfinish(c);
}

void libpq_clear(PGresult *r)
{
	if (r != NULL)
		libpq.PQclear(r);
}
