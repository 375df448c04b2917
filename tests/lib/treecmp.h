/*
 * treecmp: say how two directory trees differ, in content and in everything a file system says of
 * them: kind, mode, owner, hard-link groups, size, holes, time, device, link target, attributes
 * with ACLs and capabilities, inode flags.  Uses nothing of Holdfast, so that it can judge it.
 */
#ifndef TESTS_LIB_TREECMP_H
#define TESTS_LIB_TREECMP_H

#include <stdbool.h>
#include <stdio.h>

struct treecmp_opts {
	bool ignore_owner;   /* uid, gid and set-id bits, trusted.* and capabilities */
	bool ignore_holes;   /* how many blocks are allocated */
	bool ignore_sockets; /* sockets of the first tree are no entries */
	bool compare_root;   /* metadata of the two roots themselves, too */
};

/**
 * treecmp_dirs(a, b, opts, out):
 * Compare what is below the directories ${a} and ${b} (opened for reading) and print one line a
 * difference to ${out}: the path with controls escaped, then what differs.  Return the number of
 * differences, or -1 when something could not be read (a line says what).
 */
long treecmp_dirs(int a, int b, const struct treecmp_opts *opts, FILE *out);

#endif
