#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"

Test(heap, a_large_buffer_goes_back_to_the_system_when_it_is_freed)
{
	heap_keep_small();
#ifndef __SANITIZE_ADDRESS__ /* it has a heap of its own, of which the library tells nothing */
	for (int i = 0; i < 4; i++) { /* without it the library keeps the second and all later */
		struct mallinfo2 before = mallinfo2();
		void *volatile p = malloc(1u << 20);
		cr_assert(ne(ptr, p, NULL));
		struct mallinfo2 with = mallinfo2();
		cr_expect(ge(sz, with.hblkhd, before.hblkhd + (1u << 20)));
		free(p);
		struct mallinfo2 after = mallinfo2();
		cr_expect(eq(sz, after.hblkhd, before.hblkhd));
	}
#endif
}
