/*
 * ustar: a tar stream read as it arrives, in pieces of any size (POSIX ustar with the base-256
 * sizes of files over 8 GiB).  Only what database servers send is taken: files, directories and
 * symbolic links.  Hides: block structure, checksums, padding.
 */
#ifndef AGENTS_SOURCES_USTAR_H
#define AGENTS_SOURCES_USTAR_H

#include <stddef.h>
#include <stdint.h>

struct err;

#define USTAR_BLOCK 512
#define USTAR_PATH_BYTES 257   /* prefix, '/', name, NUL */
#define USTAR_TARGET_BYTES 101 /* with NUL */

enum ustar_kind { USTAR_FILE, USTAR_DIR, USTAR_SYMLINK };

struct ustar_entry {
	enum ustar_kind kind;
	const char *path;   /* relative, no "." or ".." component, no '/' at the end */
	const char *target; /* of a link, else "" */
	unsigned mode;      /* 07777 */
	int64_t mtime_s;    /* since 1970 */
	uint64_t size;      /* 0 unless a file */
};

/* Receives the entries.  A failure stops the stream and is passed on.  Never NULL. */
struct ustar_ops {
	int (*entry)(void *self, const struct ustar_entry *e, struct err *err);
	int (*data)(void *self, const void *data, size_t len, struct err *err); /* files only */
	int (*end)(void *self, struct err *err); /* after each entry() and its data */
};

struct ustar {
	const struct ustar_ops *ops; /* borrowed */
	void *self;                  /* borrowed */
	uint8_t block[USTAR_BLOCK];
	size_t block_len;   /* bytes of a header gathered */
	uint64_t data_left; /* of the current file */
	unsigned pad_left;
	unsigned zero_blocks; /* seen at the end */
};

void ustar_init(struct ustar *u, const struct ustar_ops *ops, void *self);

/**
 * ustar_feed(u, data, len, err):
 * Take the next ${len} bytes.  Return 0, -ERR_CORRUPT (not such a tar, or an unsafe path), or what
 * a callback returned.
 */
int ustar_feed(struct ustar *u, const void *data, size_t len, struct err *err);

/* The stream is over.  Return 0, or -ERR_CORRUPT when it ended inside an entry. */
int ustar_finish(const struct ustar *u, struct err *err);

#endif
