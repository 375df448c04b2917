#include "crypto/secret.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) data is NULL exactly when len is 0.
 * (2) data points to pages of its own, so that locking, dump flags and wiping concern nothing
 *     else and end with the mapping.
 */

static size_t whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (len + page - 1) / page * page;
}

int secret_set(struct secret *s, const void *data, size_t len, struct err *err)
{
	uint8_t *fresh = NULL;
	if (len > 0) {
		if (len > SECRET_MAX_BYTES)
			return err_set(err, ERR_LIMIT, "a secret of %zu bytes is too long", len);
		size_t mapped = whole_pages(len);
		void *p = mmap(
			NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return err_set(err, ERR_NOMEM, "out of memory for a secret");
		(void)madvise(p, mapped, MADV_DONTDUMP); /* an old kernel may not know it */
		(void)mlock(p, mapped);                  /* best effort: the limit may be small */
		fresh = p;
		memcpy(fresh, data, len); /* before the old value goes: data may lie in it */
	}
	secret_done(s);
	s->data = fresh;
	s->len = len;
	return 0;
}

void secret_done(struct secret *s)
{
	if (s->data != NULL) {
		secret_wipe(s->data, s->len);
		(void)munmap(s->data, whole_pages(s->len)); /* our own mapping: cannot fail */
	}
	s->data = NULL;
	s->len = 0;
}

void secret_wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}

void secret_harden_process(void)
{
	const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };
	(void)setrlimit(RLIMIT_CORE, &none);      /* lowering a limit is always allowed */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* also keeps others of our user off by ptrace */
}
