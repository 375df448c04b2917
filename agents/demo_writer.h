/*
 * demo_writer: a thread that inserts live samples into the demo historian at a steady rate, so that
 * backups are taken of a plant that runs.  It has a connection of its own and commits ten times a
 * second.
 * Threading: start and stop from one thread; demo_writer_rows() from any.
 */
#ifndef AGENTS_DEMO_WRITER_H
#define AGENTS_DEMO_WRITER_H

#include <stdint.h>

struct demo_postgres;
struct demo_writer;
struct err;

#define DEMO_WRITER_RATE 200U /* rows per second */
#define DEMO_WRITER_MAX_RATE 600U

/**
 * demo_writer_start(p, seed, rate, out, err):
 * Begin; ${p} must outlive the writer.  *${out} is ended by demo_writer_free().  Return 0,
 * -ERR_LIMIT (rate 0 or above DEMO_WRITER_MAX_RATE) or -ERR_UNREACHABLE.
 */
int demo_writer_start(struct demo_postgres *p, uint64_t seed, unsigned rate,
	struct demo_writer **out, struct err *err);

/* Return the rows committed so far. */
uint64_t demo_writer_rows(const struct demo_writer *w);

/* End it after the transaction it is in.  Return 0, or the error that ended it before. */
int demo_writer_stop(struct demo_writer *w, struct err *err);

/* Stop if it runs, forget.  NULL is fine. */
void demo_writer_free(struct demo_writer *w);

#endif
