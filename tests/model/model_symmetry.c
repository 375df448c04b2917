/*
 * model_symmetry: states that differ by the names of packs, sessions or collectors alone.
 *
 * INVARIANTS
 * 1. Every mask of a state is renamed with its things, or none.
 */
#include <string.h>

#include "model/model_protocol.h"

static unsigned swap_bits(unsigned set, unsigned low)
{
	unsigned pair = set >> low & 3;
	return (set & ~(3u << low)) | (pair >> 1 | (pair & 1) << 1) << low;
}

static void swap_packs(struct model_state *s, unsigned low)
{
	s->world.packs = swap_bits(s->world.packs, low) & 63;
	s->world.staged = swap_bits(s->world.staged, low) & 63;
	for (unsigned i = 0; i < MODEL_SESSIONS; i++)
		s->session[i].usable = swap_bits(s->session[i].usable, low) & 63;
	for (unsigned g = 0; g < MODEL_COLLECTORS; g++) {
		s->collector[g].chosen = swap_bits(s->collector[g].chosen, low) & 63;
		s->collector[g].dead = swap_bits(s->collector[g].dead, low) & 63;
	}
}

static void swap_old(struct model_state *s)
{
	unsigned old0 = s->world.old0;
	s->world.old0 = s->world.old1;
	s->world.old1 = old0 & 3;
	swap_packs(s, 0);
}

static void swap_sessions(struct model_state *s)
{
	struct model_session first = s->session[0];
	s->session[0] = s->session[1];
	s->session[1] = first;
	s->world.fence = swap_bits(s->world.fence, 0) & 3;
	for (unsigned g = 0; g < MODEL_COLLECTORS; g++) {
		s->collector[g].wait = swap_bits(s->collector[g].wait, 0) & 3;
		s->collector[g].fenced = swap_bits(s->collector[g].fenced, 0) & 3;
		s->collector[g].seen = swap_bits(s->collector[g].seen, 0) & 3;
	}
	swap_packs(s, 2);
}

static void swap_collectors(struct model_state *s)
{
	struct model_collector first = s->collector[0];
	s->collector[0] = s->collector[1];
	s->collector[1] = first;
	swap_packs(s, 4);
}

void model_protocol_canonical(struct model_state *s)
{
	struct model_state n = *s;
	for (unsigned i = 1; i < 8; i++) { /* all eight in the order of a Gray code */
		if (i & 1)
			swap_old(&n);
		else if (i & 2)
			swap_sessions(&n);
		else
			swap_collectors(&n);
		if (memcmp(&n, s, sizeof(n)) < 0)
			*s = n;
	}
}
