/*
 * model_protocol: the steps of docs/FORMAT.md sections 8 and 10, one operation each.
 *
 * INVARIANTS
 * 1. A state is a pure value: what a process no longer needs is 0, so that equal situations are
 *    equal bytes.
 * 2. A rule is taken away either by another order of a program's steps or by one condition at one
 *    place; everything else stays.
 * 3. The model may do more than the real thing (any pack can be condemned, any seen pack referred
 *    to, a fence put at any time): what holds here holds for every selection rule.
 */
#include "model/model_protocol_internal.h"

#include <stddef.h>
#include <string.h>

static const char *const rule_names[MODEL_RULE_COUNT] = {
	[MODEL_RULE_NONE] = "none",
	[MODEL_RULE_MARK_FIRST] = "mark-first",
	[MODEL_RULE_CONDEMNED_ABSENT] = "condemned-absent",
	[MODEL_RULE_DEAD_ABSENT] = "dead-absent",
	[MODEL_RULE_ORDERED_ABSENT] = "ordered-absent",
	[MODEL_RULE_CONDEMNED_BEFORE_DEAD] = "condemned-before-dead",
	[MODEL_RULE_LISTS_FRESH] = "lists-fresh",
	[MODEL_RULE_SESSION_BARRIER] = "session-barrier",
	[MODEL_RULE_SNAPSHOT_BARRIER] = "snapshot-barrier",
	[MODEL_RULE_FENCE_CHECK] = "fence-check",
	[MODEL_RULE_CHECK_AFTER_SNAPSHOT] = "check-after-snapshot",
	[MODEL_RULE_FRESH_NAMES] = "fresh-names",
	[MODEL_RULE_REPACK_BARRIER] = "repack-barrier",
	[MODEL_RULE_CONDEMN_BEFORE_SESSIONS] = "condemn-before-sessions",
	[MODEL_RULE_WAIT] = "wait",
	[MODEL_RULE_FENCE] = "fence",
	[MODEL_RULE_REMARK] = "remark",
	[MODEL_RULE_UNREADABLE_STOPS] = "unreadable-stops",
	[MODEL_RULE_EVERY_RECORD] = "every-record",
	[MODEL_RULE_OWN_LIST] = "own-list",
	[MODEL_RULE_OTHERS_LIST] = "others-list",
	[MODEL_RULE_OTHERS_DEAD] = "others-dead",
	[MODEL_RULE_SEEN_LIST] = "seen-list",
	[MODEL_RULE_VOID_BY_ANY_RUN] = "void-by-any-run",
	[MODEL_RULE_VOID_BY_OWN_RUN] = "void-by-own-run",
	[MODEL_RULE_SEE_CONDEMNED] = "see-condemned",
	[MODEL_RULE_DEAD_BEFORE_DROP] = "dead-before-drop",
	[MODEL_RULE_DELETE_LIST_STAYS] = "delete-list-stays",
	[MODEL_RULE_FENCE_STAYS] = "fence-stays",
	[MODEL_RULE_DEAD_GROWS] = "dead-grows",
};

const char *model_rule_name(enum model_rule rule)
{
	return rule_names[rule];
}

/* ---- programs ------------------------------------------------------------------------------- */

/* Move the step ${step} to stand directly before ${before}. */
static void move(uint8_t *program, uint8_t step, uint8_t before)
{
	uint8_t old[MODEL_STEPS_MAX];
	size_t n = 0;
	memcpy(old, program, sizeof(old));
	for (size_t i = 0; i < MODEL_STEPS_MAX; i++) {
		if (old[i] == step)
			continue;
		if (old[i] == before && n < MODEL_STEPS_MAX)
			program[n++] = step;
		if (n < MODEL_STEPS_MAX)
			program[n++] = old[i];
	}
}

static void take_away_order(struct model_protocol *p)
{
	switch ((int)p->without) {
	case MODEL_RULE_MARK_FIRST:
		move(p->session, S_MARK, S_PLAN);
		break;
	case MODEL_RULE_CONDEMNED_BEFORE_DEAD:
		move(p->session, S_DEAD, S_CONDEMNED);
		break;
	case MODEL_RULE_SESSION_BARRIER:
		move(p->session, S_BARRIER, S_END);
		break;
	case MODEL_RULE_SNAPSHOT_BARRIER:
		move(p->session, S_SYNC, S_END);
		break;
	case MODEL_RULE_CHECK_AFTER_SNAPSHOT:
		move(p->session, S_CHECK, S_SNAPSHOT);
		break;
	case MODEL_RULE_REPACK_BARRIER:
		move(p->collector, C_BARRIER, C_FORGET);
		break;
	case MODEL_RULE_CONDEMN_BEFORE_SESSIONS:
		move(p->collector, C_SESSIONS, C_CONDEMN);
		break;
	case MODEL_RULE_REMARK:
		move(p->collector, C_SNAPSHOTS, C_CONDEMN);
		break;
	case MODEL_RULE_DEAD_BEFORE_DROP:
		move(p->collector, C_DROP, C_BURY);
		break;
	default:
		break;
	}
}

const struct model_protocol *model_protocol_without(enum model_rule without)
{
	static struct model_protocol p;
	memset(&p, 0, sizeof(p));
	p.without = without;
	for (uint8_t i = 0; i < MODEL_STEPS_MAX; i++) {
		p.session[i] = i < S_DONE ? i : S_DONE;
		p.collector[i] = i < C_DONE ? i : C_DONE;
	}
	take_away_order(&p);
	return &p;
}

bool model_protocol_has(const struct model_protocol *p, enum model_rule rule)
{
	return p->without != rule;
}

/* ---- what the store shows ------------------------------------------------------------------- */

unsigned model_protocol_records_in(const struct model_state *s, unsigned pack)
{
	switch (pack) {
	case 0:
		return s->world.old0;
	case 1:
		return s->world.old1;
	case 2:
	case 3:
		return s->session[pack - 2].fresh;
	default:
		return s->collector[pack - 4].copied;
	}
}

/* Records that lie in one of ${packs}, as far as these can be seen. */
unsigned model_protocol_records(const struct model_state *s, unsigned packs)
{
	unsigned records = 0;
	for (unsigned i = 0; i < MODEL_PACKS; i++)
		if ((packs & s->world.packs) >> i & 1)
			records |= model_protocol_records_in(s, i);
	return records;
}

/* Packs that a list in gc names: condemned, or to be deleted. */
unsigned model_protocol_condemned(const struct model_protocol *p, const struct model_state *s)
{
	unsigned packs = 0;
	for (unsigned g = 0; g < MODEL_COLLECTORS; g++) {
		const struct model_collector *c = &s->collector[g];
		if (c->listed)
			packs |= c->chosen;
		if (c->ordered && model_protocol_has(p, MODEL_RULE_ORDERED_ABSENT))
			packs |= c->dead;
	}
	return packs;
}

unsigned model_protocol_buried(const struct model_state *s)
{
	unsigned packs = 0;
	for (unsigned g = 0; g < MODEL_COLLECTORS; g++)
		if (s->collector[g].buried)
			packs |= s->collector[g].dead;
	return packs;
}

/* A run says of a snapshot: void, if it passed its session by a fence and did not see it. */
static bool is_void(const struct model_protocol *p, const struct model_state *s, unsigned i)
{
	unsigned asked = 0, against = 0, listed = 0;
	for (unsigned g = 0; g < MODEL_COLLECTORS; g++) {
		const struct model_collector *c = &s->collector[g];
		bool is_seen = c->seen >> i & 1;
		if (!c->ordered)
			continue;
		listed += is_seen;
		if (c->fenced >> i & 1)
			asked++;
		if (!is_seen && (c->fenced >> i & 1))
			against++;
		/* whose run the fence was does not count: every delete list that leaves it out */
		if (!model_protocol_has(p, MODEL_RULE_VOID_BY_OWN_RUN) && !is_seen &&
			(s->world.fence >> i & 1))
			against++;
	}
	if (!model_protocol_has(p, MODEL_RULE_SEEN_LIST))
		return false;
	if (!model_protocol_has(
		    p, MODEL_RULE_VOID_BY_ANY_RUN)) /* one list that shows it is enough */
		return asked > 0 && listed == 0;
	return against > 0;
}
/* ---- transitions ---------------------------------------------------------------------------- */

void model_protocol_emit(const struct model_step *st, struct model_state *n, const char *what)
{
	for (unsigned i = 0; i < MODEL_SESSIONS; i++)
		while (n->session[i].pc != MODEL_CRASHED && model_session_pass(st->p, n, i))
			;
	for (unsigned g = 0; g < MODEL_COLLECTORS; g++)
		while (n->collector[g].pc != MODEL_CRASHED && model_collector_pass(st->p, n, g))
			;
	st->emit(st->arg, n, what, st->who);
}

static void prune_next(const struct model_step *st)
{
	struct model_state n = *st->s;
	if (n.world.refs != 0) {
		n.world.refs = 0;
		model_protocol_emit(st, &n, "the old snapshot is pruned");
	}
	for (unsigned i = 0; i < MODEL_SESSIONS && !n.world.narrow; i++) {
		if (st->s->session[i].sn != MODEL_SN_SEEN || st->s->session[i].ack != MODEL_ACK_OK)
			continue;
		n = *st->s;
		n.session[i].sn = MODEL_SN_PRUNED;
		n.session[i].refs = 0;
		model_protocol_emit(st, &n,
			i == 0 ? "the snapshot of session 0 is pruned"
			       : "the snapshot of session 1 is pruned");
	}
}

void model_protocol_next(
	const struct model_protocol *p, const struct model_state *s, model_emit_fn emit, void *arg)
{
	struct model_step st = { p, s, 0, emit, arg };
	for (st.who = 0; st.who < MODEL_SESSIONS; st.who++)
		model_session_next(&st);
	for (st.who = 0; st.who < MODEL_COLLECTORS; st.who++)
		model_collector_next(&st);
	st.who = 0;
	prune_next(&st);
}

const char *model_protocol_broken(const struct model_protocol *p, const struct model_state *s)
{
	unsigned there = model_protocol_records(s, 63);
	if ((s->world.refs & ~there) != 0)
		return "verify: the old snapshot refers to a deleted record";
	for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
		const struct model_session *w = &s->session[i];
		bool is_acked = w->ack == MODEL_ACK_OK;
		if (is_acked && w->sn == MODEL_SN_NONE)
			return "an acknowledged snapshot is not there";
		if (w->sn != MODEL_SN_SEEN)
			continue;
		bool is_dead = is_void(p, s, i);
		if (is_acked && is_dead)
			return "an acknowledged snapshot is void";
		if (!is_dead && (w->refs & ~there) != 0)
			return is_acked ? "an acknowledged snapshot refers to a deleted record"
					: "verify: a snapshot that is not void refers to a deleted "
					  "record";
	}
	return NULL;
}
