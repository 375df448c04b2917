/*
 * fake_source: a source for tests: a table of files in memory, given in key order.
 */
#ifndef TESTS_LIB_FAKE_SOURCE_H
#define TESTS_LIB_FAKE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/source.h"

struct fake_file {
	const char *path; /* components joined by '/'; the table is in key order */
	enum entry_kind kind;
	const uint8_t *data;
	size_t len;
	uint64_t hole;   /* a hole of this many bytes follows the data */
	uint64_t ino;    /* 0 = position in the table + 1 */
	uint64_t links;  /* 0 = 1 */
	int64_t mtime_s; /* and ctime */
	int64_t btime_s; /* 0 = not known */
	uint32_t flags;
	const struct entry_xattr *xattrs;
	size_t xattr_count;
	bool is_unreadable;
	const uint8_t
		*again; /* it grew: its first ${len} bytes when they are read again, or NULL */
};

struct fake_source {
	const struct fake_file *files;
	size_t count, at;
	size_t read_at;
	bool hole_given;
	bool is_again;        /* the content is read once more */
	uint32_t last_notes;  /* of the item closed last */
	uint64_t opened;      /* how often content was opened */
	bool is_brief;        /* files are given brief */
	uint64_t detailed;    /* how often detail was asked for */
	int64_t late_mtime_s; /* the time at which it then finds a file changed, 0 = it did not */
	uint64_t lost;        /* what the source's lost() says */
	size_t fail_next_at;  /* next() fails before this entry (1-based), 0 = never */
	uint8_t key[8192];
	struct source source;
};

/* Begin anew over ${count} files, which stay borrowed. */
void fake_source_init(struct fake_source *s, const struct fake_file *files, size_t count);

#endif
