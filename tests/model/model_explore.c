/*
 * model_explore: every state that the protocol can reach, breadth first, each once; then the same
 * without each safety rule in turn, which must break it.  `model_explore`
 * prints the shortest counterexample of each; `model_explore --quick` takes the small worlds only.
 * Exit 0: all is as it must be.
 *
 * INVARIANTS
 * 1. Nothing is sampled and no hash stands for a state: states are compared whole.
 * 2. A run that meets a limit of memory is a failure, never a success.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_protocol.h"

#define STATES_MAX (1u << 28)
#define NO_STATE UINT32_MAX

/* How the vault looks at first, and who works on it. */
struct world {
	unsigned old0, old1, refs; /* records of P0, of P1, needed by the old snapshot: A 1, B 2 */
	unsigned sessions, collectors;
	bool is_quick, is_narrow;
	const char *what;
};
static const struct world worlds[] = {
	{ 1, 0, 1, 1, 1, true, false, "P0 {A}, snapshot {A}" },
	{ 3, 1, 1, 1, 1, true, false, "P0 {A B}, P1 {A}, snapshot {A}" },
	{ 3, 1, 3, 1, 1, true, false, "P0 {A B}, P1 {A}, snapshot {A B}" },
	{ 1, 1, 1, 0, 2, true, false, "P0 {A}, P1 {A}, snapshot {A}" },
	{ 1, 0, 1, 2, 1, true, false, "P0 {A}, snapshot {A}" },
	{ 1, 0, 1, 1, 2, true, false, "P0 {A}, snapshot {A}" },
	{ 1, 1, 1, 1, 2, false, false, "P0 {A}, P1 {A}, snapshot {A}" },
	{ 3, 1, 3, 1, 2, false, false, "P0 {A B}, P1 {A}, snapshot {A B}" },
	{ 3, 1, 3, 2, 1, false, false, "P0 {A B}, P1 {A}, snapshot {A B}" },
	{ 1, 0, 1, 2, 2, false, true, "P0 {A}, snapshot {A}" },
	{ 1, 1, 1, 2, 2, false, true, "P0 {A}, P1 {A}, snapshot {A}" },
};
#define WORLDS (sizeof(worlds) / sizeof(worlds[0]))

struct run {
	const struct model_protocol *p;
	struct model_state *states; /* in the order of discovery */
	uint32_t *parents;
	uint32_t *table; /* open addressing; NO_STATE: free */
	uint32_t count, cap, at;
	bool is_folded; /* by symmetry */
	const char *broken;
	/* for a trace: the state looked for and what led to it */
	const struct model_state *wanted;
	const char *what;
	unsigned who;
};

static uint32_t slot_of(const struct run *r, const struct model_state *s)
{
	uint64_t words[sizeof(*s) / 8], h = 0;
	memcpy(words, s, sizeof(*s));
	for (size_t i = 0; i < sizeof(*s) / 8; i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return (uint32_t)h & (2 * r->cap - 1);
}

static void *take(size_t n, size_t size)
{
	void *mem = calloc(n, size);
	if (mem == NULL) {
		fprintf(stderr, "model: out of memory\n");
		exit(1);
	}
	return mem;
}

static void run_grow(struct run *r)
{
	uint32_t cap = r->cap == 0 ? 1u << 16 : r->cap * 2;
	if (cap > STATES_MAX) {
		fprintf(stderr, "model: more than %u states\n", STATES_MAX);
		exit(1);
	}
	struct model_state *states = realloc(r->states, (size_t)cap * sizeof(*states));
	uint32_t *parents = realloc(r->parents, (size_t)cap * sizeof(*parents));
	if (states == NULL || parents == NULL) {
		fprintf(stderr, "model: out of memory\n");
		exit(1);
	}
	free(r->table);
	r->states = states;
	r->parents = parents;
	r->cap = cap;
	r->table = take(2 * (size_t)cap, sizeof(*r->table));
	memset(r->table, 0xff, 2 * (size_t)cap * sizeof(*r->table));
	for (uint32_t i = 0; i < r->count; i++) {
		uint32_t at = slot_of(r, &r->states[i]);
		while (r->table[at] != NO_STATE)
			at = (at + 1) & (2 * cap - 1);
		r->table[at] = i;
	}
}

static void run_add(struct run *r, const struct model_state *s, uint32_t parent)
{
	if (r->count == r->cap)
		run_grow(r);
	uint32_t at = slot_of(r, s);
	while (r->table[at] != NO_STATE) {
		if (memcmp(&r->states[r->table[at]], s, sizeof(*s)) == 0)
			return;
		at = (at + 1) & (2 * r->cap - 1);
	}
	r->table[at] = r->count;
	r->states[r->count] = *s;
	r->parents[r->count++] = parent;
}

static void on_next(void *arg, const struct model_state *next, const char *what, unsigned who)
{
	struct run *r = arg;
	struct model_state s = *next;
	(void)what;
	(void)who;
	if (r->is_folded)
		model_protocol_canonical(&s);
	run_add(r, &s, r->at);
}

static void on_wanted(void *arg, const struct model_state *next, const char *what, unsigned who)
{
	struct run *r = arg;
	if (memcmp(next, r->wanted, sizeof(*next)) != 0)
		return;
	r->what = what;
	r->who = who;
}

/* Explore until something is broken or all is seen. */
static void run_all(struct run *r, const struct world *world)
{
	struct model_state first;
	memset(&first, 0, sizeof(first));
	first.world.old0 = world->old0 & 3;
	first.world.old1 = world->old1 & 3;
	first.world.refs = world->refs & 3;
	first.world.narrow = world->is_narrow;
	first.world.packs = world->old1 != 0 ? 3 : 1;
	for (unsigned i = world->sessions; i < MODEL_SESSIONS; i++)
		first.session[i].pc = MODEL_CRASHED;
	for (unsigned g = world->collectors; g < MODEL_COLLECTORS; g++)
		first.collector[g].pc = MODEL_CRASHED;
	run_add(r, &first, NO_STATE);
	for (r->at = 0; r->at < r->count; r->at++) {
		struct model_state s = r->states[r->at];
		r->broken = model_protocol_broken(r->p, &s);
		if (r->broken != NULL)
			return;
		model_protocol_next(r->p, &s, on_next, r);
	}
}

static void show_packs(const char *title, unsigned set)
{
	static const char *const names[MODEL_PACKS] = { "P0", "P1", "N0", "N1", "R0", "R1" };
	if (set == 0)
		return;
	printf("  %s", title);
	for (unsigned i = 0; i < MODEL_PACKS; i++)
		if (set >> i & 1)
			printf(" %s", names[i]);
}

/* '#' in the text is the number of who did it. */
static void show_what(const char *what, unsigned who)
{
	for (; *what != '\0'; what++)
		if (*what == '#')
			printf("%u", who);
		else
			putchar(*what);
}

/* What stands on the store after a step. */
static void show_store(const struct model_state *s)
{
	unsigned condemned = 0, dead = 0;
	for (unsigned g = 0; g < MODEL_COLLECTORS; g++) {
		condemned |= s->collector[g].listed ? s->collector[g].chosen : 0u;
		dead |= s->collector[g].buried ? s->collector[g].dead : 0u;
	}
	show_packs("| packs", s->world.packs);
	show_packs("| condemned", condemned);
	show_packs("| in dd", dead);
	printf("\n");
}

static void show_trace(struct run *r)
{
	uint32_t path[256];
	size_t n = 0;
	for (uint32_t at = r->at; at != NO_STATE && n < 256; at = r->parents[at])
		path[n++] = at;
	for (size_t i = n - 1, step = 1; i > 0; i--, step++) {
		struct model_state s = r->states[path[i]];
		r->wanted = &r->states[path[i - 1]];
		model_protocol_next(r->p, &s, on_wanted, r);
		printf("  %2zu. ", step);
		show_what(r->what, r->who);
		show_store(r->wanted);
	}
	printf("   => %s\n", r->broken);
}

static void run_done(struct run *r)
{
	free(r->states);
	free(r->parents);
	free(r->table);
	memset(r, 0, sizeof(*r));
}

/* Return 1 if the protocol does not do what it must. */
static int check_protocol(const struct world *world)
{
	struct run r;
	memset(&r, 0, sizeof(r));
	r.p = model_protocol_without(MODEL_RULE_NONE);
	r.is_folded = true;
	run_all(&r, world);
	int rc = r.broken != NULL;
	printf("protocol: %u sessions, %u collectors, %s%s: %u states, %s\n", world->sessions,
		world->collectors, world->what, world->is_narrow ? ", old packs condemned" : "",
		r.count, rc ? "BROKEN" : "none is broken");
	run_done(&r);
	if (rc) { /* again, with names that stay */
		r.p = model_protocol_without(MODEL_RULE_NONE);
		run_all(&r, world);
		show_trace(&r);
		run_done(&r);
	}
	return rc;
}

/* Take a rule away: return 1 if the protocol holds without it in every world. */
static int check_rule(enum model_rule rule, bool is_quick)
{
	for (size_t i = 0; i < WORLDS; i++) {
		const struct world *world = &worlds[i];
		struct run r;
		if (!world->is_quick)
			continue;
		memset(&r, 0, sizeof(r));
		r.p = model_protocol_without(rule);
		run_all(&r, world);
		if (r.broken != NULL) {
			printf("without %s: %u sessions, %u collectors, %s: broken after %u "
			       "states\n",
				model_rule_name(rule), world->sessions, world->collectors,
				world->what, r.count);
			if (!is_quick)
				show_trace(&r);
			run_done(&r);
			return 0;
		}
		run_done(&r);
	}
	printf("without %s: NOTHING BREAKS: the rule or the model is idle\n",
		model_rule_name(rule));
	return 1;
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0;
	bool is_quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
	for (size_t i = 0; i < WORLDS; i++) {
		if (is_quick && !worlds[i].is_quick)
			continue;
		int bad = check_protocol(&worlds[i]);
		failed += bad;
		passed += !bad;
		fflush(stdout);
	}
	for (int rule = MODEL_RULE_NONE + 1; rule < MODEL_RULE_COUNT; rule++) {
		int bad = check_rule((enum model_rule)rule, is_quick);
		failed += bad;
		passed += !bad;
		fflush(stdout);
	}
	printf("model: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
