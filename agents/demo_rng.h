/*
 * demo_rng: random-looking numbers for the demo plant that are the same for the same seed on every
 * machine (a 64-bit counter behind a mixing function).  Not for keys.
 */
#ifndef AGENTS_DEMO_RNG_H
#define AGENTS_DEMO_RNG_H

#include <stdint.h>

struct demo_rng {
	uint64_t state;
};

/* Return 64 bits. */
static inline uint64_t demo_rng_next(struct demo_rng *r)
{
	uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Return a number below ${n} (> 0); the bias does not matter here. */
static inline unsigned demo_rng_below(struct demo_rng *r, unsigned n)
{
	return (unsigned)(demo_rng_next(r) % n);
}

/* A stream of its own for thing ${number} of ${seed}. */
static inline struct demo_rng demo_rng_of(uint64_t seed, uint64_t number)
{
	struct demo_rng r = { seed ^ number * UINT64_C(0xd1342543de82ef95) };
	r.state = demo_rng_next(&r);
	return r;
}

#endif
