/*
 * model_collector: one maintainer, docs/FORMAT.md section 10, an operation at a time.
 *
 * INVARIANTS
 * 1. A state is a pure value: what a process no longer needs is 0, so that equal situations are
 *    equal bytes.
 * 2. Any packs may be chosen and any records copied: what holds here holds for every rule of
 * choice.
 */
#include "model/model_protocol_internal.h"

#include <stddef.h>
#include <string.h>

/* Whose condemned list collector ${g} works on. */
static unsigned owner_of(const struct model_state *s, unsigned g)
{
	return s->collector[g].adopted ? 1 - g : g;
}

/* Invariant 1 for a collector that does nothing more. */
static void collector_stop(struct model_state *n, unsigned g)
{
	unsigned mine = (unsigned)MODEL_COPY << g;
	struct model_collector *c = &n->collector[g];
	c->pc = MODEL_CRASHED;
	c->adopted = 0;
	c->wait = c->marked = 0;
	if (!c->listed)
		c->chosen = 0;
	if (!c->ordered)
		c->fenced = c->seen = 0;
	if (!c->buried && !c->ordered)
		c->dead = 0;
	if ((n->world.staged & mine) != 0)
		c->copied = 0;
	n->world.staged &= ~mine & 63;
}

bool model_collector_pass(const struct model_protocol *p, struct model_state *n, unsigned g)
{
	struct model_collector *c = &n->collector[g];
	switch ((int)p->collector[c->pc]) {
	case C_BARRIER:
		if (n->world.staged >> (4 + g) & 1)
			return false;
		break;
	case C_WAIT:
		if (c->wait != 0)
			return false;
		break;
	case C_BURY:
	case C_DELETE:
		if (c->dead != 0)
			return false;
		break;
	case C_FORGET:
		if (!model_protocol_has(p, MODEL_RULE_DEAD_GROWS))
			return false;
		collector_stop(n, g);
		return true;
	default:
		return false;
	}
	c->pc = (c->pc + 1) & 15;
	return true;
}

static void collector_crash(const struct model_step *st)
{
	struct model_state n = *st->s;
	if ((n.world.staged >> (4 + st->who) & 1) == 0)
		return;
	collector_stop(&n, st->who);
	model_protocol_emit(st, &n, "collector # crashes; what it had not made durable is lost");
}

/* (a) and (b): any packs at all may be chosen, and any of their records copied first. */
static void collector_choose(const struct model_step *st, struct model_state *n)
{
	for (unsigned set = 1; set < 64; set++) {
		if ((set & ~(unsigned)st->s->world.packs) != 0 ||
			(st->s->world.narrow && set > 3 * MODEL_OLD))
			continue;
		unsigned there = model_protocol_records(st->s, set);
		for (unsigned copied = 0; copied < 4; copied++) {
			if ((copied & ~there) != 0)
				continue;
			struct model_state m = *n;
			m.collector[st->who].chosen = set & 63;
			m.collector[st->who].copied = copied & 3;
			if (copied != 0)
				m.world.staged |= ((unsigned)MODEL_COPY << st->who) & 63;
			model_protocol_emit(st, &m,
				copied == 0
					? "collector # chooses packs"
					: "collector # chooses packs and copies records of them");
		}
	}
}

static void collector_sessions(const struct model_step *st, struct model_state *n)
{
	unsigned open = 0;
	for (unsigned i = 0; i < MODEL_SESSIONS; i++)
		if (st->s->session[i].mark == MODEL_MARK_OPEN)
			open |= 1u << i;
	n->collector[st->who].wait = model_protocol_has(st->p, MODEL_RULE_WAIT) ? open & 3 : 0;
	model_protocol_emit(st, n, "collector # lists se");
}

static uint32_t step_at(const struct model_protocol *p, enum model_collector_step op)
{
	uint32_t i = 0;
	while (i < MODEL_STEPS_MAX - 1 && p->collector[i] != op)
		i++;
	return i;
}

/* Take up the run of the other, who may be dead or only slow, at the step its objects show. */
static void collector_adopt(const struct model_step *st)
{
	const struct model_collector *other = &st->s->collector[1 - st->who];
	struct model_state n = *st->s;
	struct model_collector *c = &n.collector[st->who];
	c->adopted = 1;
	if (other->listed) {
		c->chosen = other->chosen;
		c->pc = (step_at(st->p, C_CONDEMN) + 1) & 15;
		model_protocol_emit(st, &n, "collector # takes up the other's condemned list");
	}
	c->chosen = 0;
	c->dead = other->dead;
	if (other->listed && other->ordered) {
		c->pc = step_at(st->p, C_SEE) & 15;
		model_protocol_emit(st, &n, "collector # takes up the other's delete list");
	}
	if (other->buried) {
		c->buried = 1; /* the same object; two bits for one */
		c->pc = step_at(st->p, C_DROP) & 15;
		model_protocol_emit(st, &n, "collector # takes up the other's list of dead packs");
	}
}

/* (c) and (d): over when every session of the list ended or is fenced. */
static void collector_wait(const struct model_step *st, struct model_state *n)
{
	unsigned open = 0;
	for (unsigned i = 0; i < MODEL_SESSIONS; i++)
		if ((n->collector[st->who].wait >> i & 1) != 0 &&
			st->s->session[i].mark != MODEL_MARK_ENDED)
			open |= 1u << i;
	unsigned running = open & ~(unsigned)st->s->world.fence;
	for (unsigned i = 0; i < MODEL_SESSIONS; i++) {
		if ((running >> i & 1) == 0)
			continue;
		struct model_state m = *st->s;
		m.world.fence |= (1u << i) & 3;
		model_protocol_emit(st, &m,
			i == 0 ? "collector # puts a fence against session 0"
			       : "collector # puts a fence against session 1");
	}
	if (running != 0 && model_protocol_has(st->p, MODEL_RULE_FENCE))
		return;
	n->collector[st->who].wait = 0;
	n->collector[st->who].fenced = open & 3;
	model_protocol_emit(st, n,
		open == 0 ? "collector #: every session it saw open has ended"
			  : "collector # goes on without a session that has not ended");
}

/* (e): list the snapshots and mark what they need. */
static void collector_snapshots(const struct model_step *st, struct model_state *n)
{
	struct model_collector *c = &n->collector[st->who];
	for (unsigned i = 0; i < MODEL_SESSIONS; i++)
		if (st->s->session[i].sn == MODEL_SN_SEEN) {
			c->seen |= (1u << i) & 3;
			c->marked |= st->s->session[i].refs;
		}
	if (st->s->world.refs != 0 && !model_protocol_has(st->p, MODEL_RULE_UNREADABLE_STOPS))
		model_protocol_emit(
			st, n, "collector # cannot read the old snapshot and takes it for empty");
	c->marked |= st->s->world.refs;
	model_protocol_emit(st, n, "collector # lists sn and marks what snapshots need");
}

/* (e): what stays.  c->dead holds the packs that are no place for a record. */
static void collector_rescue(const struct model_step *st, struct model_state *n)
{
	struct model_collector *c = &n->collector[st->who];
	unsigned out = c->dead, dead = 0;
	if (model_protocol_has(st->p, MODEL_RULE_OTHERS_DEAD))
		out |= model_protocol_buried(st->s);
	unsigned places =
		(st->s->world.packs | (model_protocol_has(st->p, MODEL_RULE_REPACK_BARRIER)
						      ? 0u
						      : st->s->world.staged));
	for (unsigned i = 0; i < MODEL_PACKS; i++) {
		if ((c->chosen >> i & 1) == 0)
			continue;
		unsigned elsewhere = 0, need = model_protocol_records_in(st->s, i) & c->marked;
		for (unsigned j = 0; j < MODEL_PACKS; j++)
			if (j != i && ((places & ~out) >> j & 1) != 0)
				elsewhere |= model_protocol_records_in(st->s, j);
		bool is_covered = model_protocol_has(st->p, MODEL_RULE_EVERY_RECORD)
					  ? (need & ~elsewhere) == 0
					  : need == 0 || (need & elsewhere) != 0;
		if (is_covered)
			dead |= 1u << i;
	}
	c->marked = 0;
	c->dead = dead & 63;
	model_protocol_emit(st, n, "collector # lists dd and settles which packs die");
}

static void collector_lists(
	const struct model_step *st, struct model_state *n, enum model_collector_step op)
{
	struct model_collector *c = &n->collector[st->who];
	if (op == C_DEAD) {
		collector_rescue(st, n);
		return;
	}
	c->dead = model_protocol_has(st->p, MODEL_RULE_OWN_LIST) ? c->chosen : 0;
	if (model_protocol_has(st->p, MODEL_RULE_OTHERS_LIST))
		c->dead |= model_protocol_condemned(st->p, st->s) & ~(unsigned)c->chosen & 63;
	model_protocol_emit(st, n, "collector # lists gc");
}

/* A delete list without a verdict goes with the condemned list, if its packs are in dd. */
static void drop_orders(const struct model_step *st, struct model_state *n)
{
	for (unsigned g = 0; g < MODEL_COLLECTORS; g++) {
		struct model_collector *c = &n->collector[g];
		if (!c->ordered || c->fenced != 0 || owner_of(n, g) != owner_of(n, st->who))
			continue;
		if ((c->dead & ~model_protocol_buried(n)) != 0 &&
			model_protocol_has(st->p, MODEL_RULE_DELETE_LIST_STAYS) &&
			model_protocol_has(st->p, MODEL_RULE_DEAD_BEFORE_DROP))
			continue;
		c->ordered = 0;
		if (c->pc == MODEL_CRASHED && !c->buried)
			c->dead = 0;
	}
}

/* (g): from here on the list of dead packs stands in for the condemned list. */
static void collector_drop(const struct model_step *st, struct model_state *n)
{
	struct model_collector *c = &n->collector[owner_of(n, st->who)];
	c->listed = 0;
	if (c->pc == MODEL_CRASHED)
		c->chosen = 0;
	drop_orders(st, n);
	if (!model_protocol_has(st->p, MODEL_RULE_FENCE_STAYS))
		n->world.fence = 0;
	model_protocol_emit(st, n, "collector # takes the condemned list away");
}

static void collector_see(const struct model_step *st, struct model_state *n)
{
	if (st->s->collector[owner_of(st->s, st->who)].listed ||
		!model_protocol_has(st->p, MODEL_RULE_SEE_CONDEMNED)) {
		model_protocol_emit(st, n, "collector # goes on to bury");
		return;
	}
	collector_stop(n, st->who);
	model_protocol_emit(st, n, "collector # finds its condemned list gone and stops");
}

static void collector_delete(const struct model_step *st, struct model_state *n)
{
	n->world.packs &= ~(unsigned)n->collector[st->who].dead & 63;
	model_protocol_emit(st, n, "collector # deletes its dead packs");
}

static void collector_put(
	const struct model_step *st, struct model_state *n, enum model_collector_step op)
{
	struct model_collector *c = &n->collector[st->who];
	unsigned mine = ((unsigned)MODEL_COPY << st->who) & st->s->world.staged;
	switch ((int)op) {
	case C_BARRIER:
		n->world.packs |= mine & 63;
		n->world.staged &= ~mine & 63;
		model_protocol_emit(st, n, "collector #: barrier, its new pack is durable");
		return;
	case C_CONDEMN:
		c->listed = 1;
		model_protocol_emit(st, n, "collector # puts its condemned list");
		return;
	case C_ORDER:
		c->ordered = 1;
		if (model_protocol_has(st->p, MODEL_RULE_VOID_BY_ANY_RUN) &&
			model_protocol_has(st->p, MODEL_RULE_VOID_BY_OWN_RUN)) {
			c->fenced &= ~c->seen & 3; /* Invariant 1: all that is_void() asks */
			c->seen = 0;
		}
		model_protocol_emit(st, n, "collector # puts its delete list");
		return;
	case C_BURY:
		c->buried = 1;
		model_protocol_emit(st, n, "collector # puts its list of dead packs");
		return;
	case C_FORGET:
		if (!model_protocol_has(st->p, MODEL_RULE_DEAD_GROWS))
			c->buried = 0;
		collector_stop(n, st->who);
		model_protocol_emit(st, n, "collector # has finished");
		return;
	default:
		return;
	}
}

void model_collector_next(const struct model_step *st)
{
	struct model_state n = *st->s;
	struct model_collector *c = &n.collector[st->who];
	if (c->pc == MODEL_CRASHED)
		return;
	enum model_collector_step op = st->p->collector[c->pc];
	if (op == C_DONE)
		return;
	collector_crash(st);
	c->pc = (c->pc + 1) & 15;
	switch (op) {
	case C_CHOOSE:
		collector_choose(st, &n);
		collector_adopt(st);
		return;
	case C_SEE:
		collector_see(st, &n);
		return;
	case C_SESSIONS:
		collector_sessions(st, &n);
		return;
	case C_WAIT:
		collector_wait(st, &n);
		return;
	case C_SNAPSHOTS:
		collector_snapshots(st, &n);
		return;
	case C_CONDEMNED:
	case C_DEAD:
		collector_lists(st, &n, op);
		return;
	case C_DROP:
		collector_drop(st, &n);
		return;
	case C_DELETE:
		collector_delete(st, &n);
		return;
	case C_BARRIER:
	case C_CONDEMN:
	case C_ORDER:
	case C_BURY:
	case C_FORGET:
		collector_put(st, &n, op);
		return;
	case C_DONE:
		return;
	}
}
