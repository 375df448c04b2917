/*
 * uploader: the record sink of a backup: seals, asks the vault what it has, sends the rest in
 * batches, and keeps the reference list in post-order.
 */
#ifndef AGENTS_UPLOADER_H
#define AGENTS_UPLOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "agents/sender.h"
#include "vault/port.h"
#include "vault/record_io.h"

struct err;
struct uploader;

struct uploader_stats {
	uint64_t sealed_records; /* sealed by this run, known to the vault or not */
	struct sender_stats sent;
};

struct uploader_opts {
	const struct port *port; /* borrowed until free; has and put are called on another thread */
	const uint8_t *k_mle;    /* 32 bytes, copied */
	enum record_check check;
	bool (*is_stopped)(void *arg); /* may be NULL; asked on the caller's thread */
	void *arg;
};
int uploader_new(const struct uploader_opts *opts, struct uploader **out, struct err *err);
void uploader_free(struct uploader *u);
const struct record_sink *uploader_sink(struct uploader *u);
void uploader_get_stats(const struct uploader *u, struct uploader_stats *out);

/* Send what is collected and wait until the port has it: until the next put the port may be used
 * on the caller's thread.  Return 0, what the port says, or -ERR_INTERRUPTED. */
int uploader_flush(struct uploader *u, struct err *err);

/* Flush and close the reference list; *${segments} is borrowed until free. */
int uploader_finish(struct uploader *u, const uint8_t **segments, size_t *len, uint64_t *count,
	uint8_t refs_root[32], struct err *err);

#endif
