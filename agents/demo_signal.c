#include "agents/demo_signal.h"

void demo_signal_init(struct demo_signal *s, uint64_t seed, unsigned tag)
{
	s->rng = demo_rng_of(seed, tag);
	unsigned slot = tag % 20;
	s->kind = slot < 14   ? DEMO_SIGNAL_ANALOG
		  : slot < 18 ? DEMO_SIGNAL_DISCRETE
			      : DEMO_SIGNAL_TOTAL;
	s->target = s->kind == DEMO_SIGNAL_ANALOG ? 1000 + demo_rng_below(&s->rng, 9000) : 0;
	s->value = s->target;
	s->held = s->value;
	s->deadband = 10 + demo_rng_below(&s->rng, 30);
}

struct demo_sample demo_signal_next(struct demo_signal *s)
{
	struct demo_sample out = { .is_float = s->kind != DEMO_SIGNAL_DISCRETE };
	switch (s->kind) {
	case DEMO_SIGNAL_ANALOG:
		s->value += (int64_t)demo_rng_below(&s->rng, 17) - 8 + (s->target - s->value) / 64;
		if (s->value - s->held >= s->deadband || s->held - s->value >= s->deadband)
			s->held = s->value;
		break;
	case DEMO_SIGNAL_DISCRETE:
		if (demo_rng_below(&s->rng, 40) == 0)
			s->value = demo_rng_below(&s->rng, 4);
		s->held = s->value;
		break;
	case DEMO_SIGNAL_TOTAL:
		s->value += demo_rng_below(&s->rng, 13);
		s->held = s->value;
		break;
	}
	out.value = s->held;
	out.quality = demo_rng_below(&s->rng, 500) == 0 ? DEMO_SIGNAL_BAD : DEMO_SIGNAL_GOOD;
	return out;
}
