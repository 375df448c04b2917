#include "base/heap.h"

#include <malloc.h>

void heap_keep_small(void)
{
	(void)mallopt(M_ARENA_MAX, 1); /* works as well without, only larger */
	(void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
	(void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
}
