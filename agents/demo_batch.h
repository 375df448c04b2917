/*
 * demo_batch: the demo plant's electronic batch records: <year>/<month>/<batch id>/ with
 * record.xml (the record), journal.evt (the event journal, its last line says "End Of BATCH" once
 * the batch is finished), report.pdf and lab.csv.
 * Same seed and anchor, same bytes.  Batches start DEMO_BATCH_EVERY_MS apart; one is still running.
 */
#ifndef AGENTS_DEMO_BATCH_H
#define AGENTS_DEMO_BATCH_H

#include <stdint.h>

struct err;

#define DEMO_BATCH_COUNT 400U
#define DEMO_BATCH_MAX 1000000U
#define DEMO_BATCH_EVERY_MS (3 * 3600000)
#define DEMO_BATCH_ID_BYTES 24
#define DEMO_BATCH_PATH_BYTES 64

/* The batches of a plant; number 0 is the oldest. */
struct demo_batch_plan {
	uint64_t seed;
	int64_t anchor_ms; /* the batch `running` began two hours before */
	unsigned running;  /* number of the running batch */
};

/* Store the id and the directory of batch ${number}; a directory name is relative to the tree. */
void demo_batch_name(const struct demo_batch_plan *plan, unsigned number,
	char id[DEMO_BATCH_ID_BYTES], char path[DEMO_BATCH_PATH_BYTES]);

/**
 * demo_batch_write(dirfd, plan, number, err):
 * Write the four files of batch ${number} below ${dirfd}; unfinished if it is the running one.
 * Return 0, -ERR_LIMIT or -ERR_IO.
 */
int demo_batch_write(
	int dirfd, const struct demo_batch_plan *plan, unsigned number, struct err *err);

/**
 * demo_batch_grow(dirfd, plan, events, from_ms, to_ms, err):
 * Append ${events} events after ${from_ms}, the last at ${to_ms}, to the running batch's journal.
 * Return 0 or -ERR_IO.
 */
int demo_batch_grow(int dirfd, const struct demo_batch_plan *plan, unsigned events, int64_t from_ms,
	int64_t to_ms, struct err *err);

#endif
