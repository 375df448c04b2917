/*
 * demo_signal: what the demo plant's tags measure: random walks around a set point held by a
 * deadband, discrete states, totalisers.  Integer arithmetic only, so that a seed gives the same
 * samples on every machine.
 */
#ifndef AGENTS_DEMO_SIGNAL_H
#define AGENTS_DEMO_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "agents/demo_rng.h"

#define DEMO_SIGNAL_TAGS 60
#define DEMO_SIGNAL_GOOD 192 /* quality code of a good sample */
#define DEMO_SIGNAL_BAD 24

enum demo_signal_kind { DEMO_SIGNAL_ANALOG, DEMO_SIGNAL_DISCRETE, DEMO_SIGNAL_TOTAL };

struct demo_signal {
	enum demo_signal_kind kind;
	struct demo_rng rng;
	int64_t target;   /* hundredths */
	int64_t value;    /* hundredths; a discrete state as it is */
	int64_t held;     /* the value last let through the deadband */
	int64_t deadband; /* hundredths */
};

struct demo_sample {
	bool is_float;
	int64_t value; /* hundredths if is_float, else as it is */
	int quality;
};

/* Tag ${tag} (1 .. DEMO_SIGNAL_TAGS) of the plant ${seed}. */
void demo_signal_init(struct demo_signal *s, uint64_t seed, unsigned tag);

/* Return the next sample. */
struct demo_sample demo_signal_next(struct demo_signal *s);

#endif
