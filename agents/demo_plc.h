/*
 * demo_plc: the demo plant's controller projects, one directory each: controller.xml (the exported
 * program: tags, routines, rungs), routines/ with structured text, and controller.bin (the
 * vendor's opaque file).  Same seed, number and revision, same bytes.
 */
#ifndef AGENTS_DEMO_PLC_H
#define AGENTS_DEMO_PLC_H

#include <stdint.h>

struct err;

#define DEMO_PLC_COUNT 40U
#define DEMO_PLC_MAX 10000U
#define DEMO_PLC_PATH_BYTES 48

struct demo_plc {
	uint64_t seed;
	unsigned number;
	unsigned revision;   /* 0 = as commissioned; an edit adds a rung and changes a set point */
	int64_t exported_ms; /* since 1970 */
};

/* Store the project's directory, relative to the tree. */
void demo_plc_name(unsigned number, char path[DEMO_PLC_PATH_BYTES]);

/* Write the project below ${dirfd}, or over an earlier revision.  Return 0, -ERR_LIMIT, -ERR_IO. */
int demo_plc_write(int dirfd, const struct demo_plc *plc, struct err *err);

#endif
