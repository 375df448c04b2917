/*
 * sender: the last stage of a backup: a thread of its own that asks the vault what it has and sends
 * the rest, while the next batch is being sealed.  Two batches: one is filled, one is on its way.
 * Used from one thread; between new and free, from the first give until wait returns, the port is
 * used on the sender's thread only: has and put, one at a time and in order, and tend while nothing
 * is given.
 */
#ifndef AGENTS_SENDER_H
#define AGENTS_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vault/port.h"
#include "vault/record.h"

struct err;
struct sender;

struct sender_stats {
	uint64_t sent_records, sent_bytes;           /* what the vault did not have */
	uint64_t sent_data_records, sent_data_bytes; /* of these, data (type 1) */
};

struct sender_opts {
	const struct port *port; /* borrowed until free */
	bool (*is_stopped)(
		void *arg); /* may be NULL; asked while waiting, on the caller's thread */
	void *arg;
};
int sender_new(const struct sender_opts *opts, struct sender **out, struct err *err);
/* Waits for the batch on its way, which ends early only if the port is stopped; what was not given
 * is not sent. */
void sender_free(struct sender *s);

/* Put a whole record, ${cr_len} bytes at ${cr} (copied), into the batch; one that is full is given
 * away before.  Return as sender_give, or -ERR_LIMIT when it is longer than RECORD_MAX_WRITE_BYTES.
 */
int sender_add(struct sender *s, const uint8_t id[32], const void *cr, uint32_t cr_len,
	enum record_type type, struct err *err);
/* Hand over what was added; waits while the batch before is on its way.  Return 0, the first error
 * of any batch before (nothing more is sent then), or -ERR_INTERRUPTED when stopped. */
int sender_give(struct sender *s, struct err *err);
/* Give, and wait until all of it is with the port.  Return as sender_give. */
int sender_wait(struct sender *s, struct err *err);

void sender_get_stats(struct sender *s, struct sender_stats *out);

#endif
