#include "db/libpq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) libpq is all NULL or whole, and once whole it never changes: the library is never unloaded.
 */

#define HINT "install PostgreSQL's client library: apt-get install libpq5"

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
	void *found[COUNT];
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		/* its text names the file and why */
		(void)err_set(err, ERR_NOT_FOUND, "unable to load PostgreSQL's client library: %s",
			dlerror());
		(void)err_hint(err, HINT);
		return -ERR_NOT_FOUND;
	}
	for (size_t i = 0; i < COUNT; i++) {
		found[i] = dlsym(library, names[i]);
		if (found[i] != NULL)
			continue;
		(void)err_set(err, ERR_NOT_FOUND,
			"unable to use PostgreSQL's client library: %s has no %s", file, names[i]);
		(void)err_hint(err, HINT);
		(void)dlclose(library); /* nothing of it was called */
		return -ERR_NOT_FOUND;
	}
	memcpy(out, found, sizeof(*out)); /* POSIX: a function's address fits a void pointer */
	return 0;
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
