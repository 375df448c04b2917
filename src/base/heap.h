/*
 * heap: how the C library's heap behaves in our programs.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

/* Call first in main: freed buffers go back to the system, and threads have no heaps of their own
 * that each keep what was freed.  Without effect where the library has no such settings. */
void heap_keep_small(void);

#endif
