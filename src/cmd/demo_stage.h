/*
 * demo_stage: what both forms of the demonstration share: the directory, the plant and its writer,
 * chapters on the terminal and in the README, verbs that must end well, the verdict of the newest
 * report.
 * Threading: one thread.
 */
#ifndef CMD_DEMO_STAGE_H
#define CMD_DEMO_STAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "restore/report.h"

struct cli;
struct demo_home;
struct demo_plant;
struct demo_writer;

/* What an interruption says outside the drill. */
#define DEMO_STAGE_NOTICE "stopping everything that the demonstration started ...\n"
#define DEMO_STAGE_FAREWELL_BYTES 1024

struct demo_stage {
	struct cli *cli;
	struct demo_home *home;     /* owned */
	struct demo_plant *plant;   /* owned */
	struct demo_writer *writer; /* owned */
	int64_t start_ns;
	uint64_t rows; /* written while backups ran */
	int step, steps;
	int drill_status;
	struct err left; /* why something could not be stopped; no error = all was */
	char vault[PATH_MAX], writer_key[PATH_MAX], passphrase[PATH_MAX], recovery[PATH_MAX],
		reports[PATH_MAX], plan[PATH_MAX];
	/* of the drill */
	char exercise[64];
	enum report_verdict verdict;
	char farewell[DEMO_STAGE_FAREWELL_BYTES]; /* what a second interruption says */
};

/* Open the directory ${dir} and make the paths; end it with demo_stage_done() in every case. */
int demo_stage_open(
	struct demo_stage *s, struct cli *cli, const char *dir, int steps, struct err *err);
/* Stop writer and plant, forget all. */
void demo_stage_done(struct demo_stage *s);

/* What an interruption says at once, a line; NULL: the verb at work says it. */
void demo_stage_set_notice(const struct demo_stage *s, const char *text);

/* A new chapter: what and why, on the terminal and in the README.  Return 0 or -ERR_INTERRUPTED. */
int demo_stage_chapter(struct demo_stage *s, const char *title, const char *why, struct err *err);
/* Run a verb of this program that must end well; a backup may have warnings. */
int demo_stage_verb(struct demo_stage *s, const char *const *words, struct err *err);

/* Make or start the plant, in a chapter. */
int demo_stage_plant(struct demo_stage *s, struct err *err);
int demo_stage_start_writer(struct demo_stage *s, struct err *err);
int demo_stage_stop_writer(struct demo_stage *s, struct err *err);
/* A day passes while the writer pauses. */
int demo_stage_next_day(struct demo_stage *s, struct err *err);
/* Writer and historian stop for good. */
int demo_stage_disaster(struct demo_stage *s, struct err *err);
/* Write a new passphrase to keys/passphrase. */
int demo_stage_passphrase(struct demo_stage *s, struct err *err);

/* The end of 'holdfast drill run': its status and the newest report's verdict. */
int demo_stage_judge(struct demo_stage *s, int status, struct err *err);
/* Verify the report with ${keys} (NULL at the end), in a chapter, and tell everything; ${shelf}:
 * where in the directory whoever ran or ordered the drill keeps its evidence. */
int demo_stage_report(
	struct demo_stage *s, const char *shelf, const char *const *keys, struct err *err);

#endif
