/*
 * nasty: a tree of everything a Linux host can have that a backup might get wrong: names, kinds,
 * holes, links, owners, times, attributes, depths.  Uses nothing of Holdfast.
 */
#ifndef TESTS_LIB_NASTY_H
#define TESTS_LIB_NASTY_H

#include <stdio.h>

enum nasty_what {
	NASTY_TERABYTE = 1, /* a sparse file of 1 TiB with three islands */
	NASTY_SOCKETS = 2,  /* sockets, which a backup skips */
	NASTY_LOCKED = 4, /* append-only and immutable files (root): end them with nasty_remove() */
};

struct nasty_counts {
	unsigned made;    /* features that are there */
	unsigned skipped; /* features that privilege or the file system does not allow */
};

/**
 * nasty_make(dirfd, what, log, counts):
 * Make the tree in the empty directory ${dirfd}, with the extras of ${what} (enum nasty_what).
 * What is not possible here is named in ${log} (may be NULL).  The same every time, but for owners
 * and the times of what has none set.  Return 0, or -1 and errno when even the basics fail.
 */
int nasty_make(int dirfd, unsigned what, FILE *log, struct nasty_counts *counts);

/**
 * nasty_remove(dirfd):
 * Remove everything in the directory, also what is locked, 0000, or deeper than PATH_MAX.  Return 0
 * or -1 and errno.
 */
int nasty_remove(int dirfd);

#endif
