/*
 * entry_diff: what is different about two entries of one path.  Pure.
 */
#ifndef CMD_ENTRY_DIFF_H
#define CMD_ENTRY_DIFF_H

struct entry;

/* '\0' equal, 'T' another type, 'M' other content, 'U' other metadata only. */
char entry_diff_sign(const struct entry *a, const struct entry *b);

#endif
