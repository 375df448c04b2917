/*
 * cleanup: locals that end themselves.  CLEANUP(fn) runs fn(&local) when the scope is left;
 * TAKE(p) gives the pointer p away and leaves NULL behind.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define TAKE(p)                                                                                    \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

/* The same for a file descriptor: leaves -1 behind. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

/* DEFINE_CLEANUP(struct buf *, buf_free) defines buf_free_p for CLEANUP(buf_free_p). */
#define DEFINE_CLEANUP(type, fn)                                                                   \
	static inline void fn##_p(type *p)                                                         \
	{                                                                                          \
		if (*p != NULL)                                                                    \
			fn(*p);                                                                    \
	}

static inline void cleanup_free_p(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_p(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* read side, or already synced: nothing left to lose */
}

static inline void cleanup_fclose_p(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f); /* writers check fclose themselves */
}

#endif
