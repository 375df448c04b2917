#include "restore/libxml.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/library.h"

/*
 * INVARIANTS
 * (1) libxml is all NULL or whole, and once whole it never changes: the library is never unloaded.
 */

struct libxml libxml;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_loaded; /* under lock */

/* The table is an array of pointers in the order of LIBXML_FUNCTIONS. */
static const char *const names[] = {
#define NAME(name) #name,
	LIBXML_FUNCTIONS(NAME)
#undef NAME
};

#define COUNT (sizeof(names) / sizeof(names[0]))
_Static_assert(sizeof(struct libxml) == COUNT * sizeof(void *), "one pointer for each name");

int libxml_open(const char *file, struct libxml *out, struct err *err)
{
	static const struct library library = { .what = "the XML library",
		.hint = "install it: apt-get install libxml2",
		.names = names,
		.count = COUNT };
	return library_open(&library, file, out, err);
}

int libxml_load(struct err *err)
{
	int rc = 0;
	(void)pthread_mutex_lock(&lock); /* fails only for a mutex that is none */
	if (!is_loaded)
		rc = libxml_open(LIBXML_FILE, &libxml, err);
	is_loaded = rc == 0;
	(void)pthread_mutex_unlock(&lock); /* as above */
	return rc;
}
