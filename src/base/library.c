#include "base/library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

int library_open(const struct library *l, const char *file, void *out, struct err *err)
{
	CLEANUP(cleanup_free_p) void *memory = calloc(l->count, sizeof(void *));
	void **found = memory;
	if (found == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		/* its text names the file and why */
		(void)err_set(err, ERR_NOT_FOUND, "unable to load %s: %s", l->what, dlerror());
		(void)err_hint(err, "%s", l->hint);
		return -ERR_NOT_FOUND;
	}
	for (size_t i = 0; i < l->count; i++) {
		found[i] = dlsym(library, l->names[i]);
		if (found[i] != NULL)
			continue;
		(void)err_set(err, ERR_NOT_FOUND, "unable to use %s: %s has no %s", l->what, file,
			l->names[i]);
		(void)err_hint(err, "%s", l->hint);
		(void)dlclose(library); /* nothing of it was called */
		return -ERR_NOT_FOUND;
	}
	memcpy(out, found, l->count * sizeof(*found)); /* POSIX: a function's address fits */
	return 0;
}
