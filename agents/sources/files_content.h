/*
 * files_content: the bytes of one open file, holes found, and the verdict whether it stayed the
 * same while it was read.
 */
#ifndef AGENTS_SOURCES_FILES_CONTENT_H
#define AGENTS_SOURCES_FILES_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct err;

struct files_content {
	int fd;              /* owned; -1 = nothing is being read */
	struct statx sx;     /* at the beginning */
	uint64_t at;         /* everything before was given */
	uint64_t end;        /* the length at the beginning: nothing behind it is read */
	uint64_t data_end;   /* no hole begins before */
	bool can_have_holes; /* and the file system can tell */
	bool is_ended;       /* read() said 0 */
	bool has_last;       /* nothing was read since ${last}, its state then */
	struct statx last;
};

enum files_content_verdict {
	FILES_CONTENT_SAME,
	FILES_CONTENT_APPENDED, /* grew: what was read is its beginning, if that reads the same */
	FILES_CONTENT_CHANGED,  /* written to: what was read may be a mixture */
};

#define FILES_CONTENT_NONE                                                                         \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* Begin to read ${fd} (taken), whose state is ${sx}. */
void files_content_begin(struct files_content *c, int fd, const struct statx *sx);

/* The next run, as read() of struct source.  -ERR_IO: the file cannot be read. */
int files_content_read(struct files_content *c, void *data, size_t cap, size_t *len, uint64_t *hole,
	struct err *err);

/* After read() said 0: if the file grew and nothing of its beginning is missing, begin anew, to the
 * same end, and return true. */
bool files_content_again(struct files_content *c);

/**
 * files_content_end(c, now):
 * End reading.  ${now} is the file's state after it (where that cannot be had: as at the
 * beginning, verdict CHANGED).  c->at and c->sx stay as they are.
 */
enum files_content_verdict files_content_end(struct files_content *c, struct statx *now);

#endif
