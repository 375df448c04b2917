/*
 * uploader: the record sink of a backup: seals, asks the vault what it has, sends the rest in
 * batches, and keeps the reference list in post-order.
 */
#ifndef AGENTS_UPLOADER_H
#define AGENTS_UPLOADER_H

#include <stdint.h>

#include "vault/port.h"
#include "vault/record_io.h"

struct err;
struct uploader;

struct uploader_stats {
	uint64_t sealed_records;           /* sealed by this run, known to the vault or not */
	uint64_t sent_records, sent_bytes; /* what the vault did not have */
	uint64_t sent_data_records, sent_data_bytes; /* of these, data (type 1) */
};

/* ${port} is borrowed until free. */
int uploader_new(const struct port *port, const uint8_t k_mle[32], enum record_check check,
	struct uploader **out, struct err *err);
void uploader_free(struct uploader *u);
const struct record_sink *uploader_sink(struct uploader *u);
const struct uploader_stats *uploader_stats(const struct uploader *u);

/* Send what is collected.  Return 0 or what the port says. */
int uploader_flush(struct uploader *u, struct err *err);

/* Flush and close the reference list; *${segments} is borrowed until free. */
int uploader_finish(struct uploader *u, const uint8_t **segments, size_t *len, uint64_t *count,
	uint8_t refs_root[32], struct err *err);

#endif
