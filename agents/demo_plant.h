/*
 * demo_plant: a small running plant in a directory, to be backed up, drilled and damaged:
 *	pg/	a PostgreSQL cluster with the tag historian (demo_postgres, demo_historian)
 *	batch/	electronic batch records (demo_batch)
 *	plc/	controller projects (demo_plc)
 *	plant.state	what it was made from, written last: a directory without it is half made
 * Same seed and clock, same content (but for the database's own identifiers and passwords).
 * The directory may hold other things; its path may hold blanks and may lie in a home that only
 * its owner can enter.
 * Threading: the thread that made or opened the plant must live as long as it does.
 */
#ifndef AGENTS_DEMO_PLANT_H
#define AGENTS_DEMO_PLANT_H

#include <stdbool.h>
#include <stdint.h>

struct demo_plant;
struct demo_postgres;
struct err;

#define DEMO_PLANT_PG "pg"
#define DEMO_PLANT_BATCH "batch"
#define DEMO_PLANT_PLC "plc"
#define DEMO_PLANT_STATE "plant.state"

struct demo_plant_opts {
	uint64_t seed;
	int64_t now_ms;    /* 0 = the clock */
	unsigned scans;    /* 0 = DEMO_HISTORIAN_SCANS */
	unsigned batches;  /* 0 = DEMO_BATCH_COUNT */
	unsigned projects; /* 0 = DEMO_PLC_COUNT */
};

/**
 * demo_plant_create(dir, opts, out, err):
 * Make a plant in the existing directory ${dir} and start its database.  *${out} is owned.
 * Return 0, -ERR_EXISTS (a part is there already), -ERR_LIMIT, -ERR_NOT_FOUND (no PostgreSQL) or
 * -ERR_IO / -ERR_FAILED.
 */
int demo_plant_create(const char *dir, const struct demo_plant_opts *opts, struct demo_plant **out,
	struct err *err);

/* True if ${dir} holds a whole plant. */
bool demo_plant_is_there(const char *dir);

/**
 * demo_plant_open(dir, out, err):
 * Start the database of a plant made before.  *${out} is owned.  Return 0, -ERR_NOT_FOUND,
 * -ERR_CORRUPT (its state file) or as demo_postgres_start().
 */
int demo_plant_open(const char *dir, struct demo_plant **out, struct err *err);

/* The database; borrowed. */
struct demo_postgres *demo_plant_postgres(struct demo_plant *p);

/* The seed it was made from, for a demo_writer. */
uint64_t demo_plant_seed(const struct demo_plant *p);

/**
 * demo_plant_next_day(p, now_ms, err):
 * A day's changes: new samples up to ${now_ms} (0 = the clock), five more batches, the running
 * batch's journal grows, two controller projects are edited.  Return 0, -ERR_IO or -ERR_FAILED.
 */
int demo_plant_next_day(struct demo_plant *p, int64_t now_ms, struct err *err);

/* Shut the database down.  Return as demo_postgres_stop(). */
int demo_plant_stop(struct demo_plant *p, struct err *err);

/* Stop what runs, forget; the files stay.  NULL is fine. */
void demo_plant_free(struct demo_plant *p);

#endif
