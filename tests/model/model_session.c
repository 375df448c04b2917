/*
 * model_session: one session, docs/FORMAT.md section 8, an operation at a time.
 *
 * INVARIANTS
 * 1. A state is a pure value: what a process no longer needs is 0, so that equal situations are
 *    equal bytes.
 */
#include "model/model_protocol_internal.h"

#include <stddef.h>
#include <string.h>

/* Invariant 1: forget what only a running session needs. */
static void session_settle(struct model_state *n, unsigned i)
{
	struct model_session *w = &n->session[i];
	w->usable = 0;
	if (w->sn == MODEL_SN_NONE)
		w->refs = 0;
}

/* It stops here; what it staged is lost.  What a deleted pack held is still in old indexes. */
static void session_stop(struct model_state *n, unsigned i)
{
	unsigned mine = (unsigned)MODEL_NEW << i;
	struct model_session *w = &n->session[i];
	w->pc = MODEL_CRASHED;
	if ((n->world.staged & mine) != 0)
		w->fresh = 0;
	n->world.staged &= ~mine & 63;
	if (w->sn == MODEL_SN_STAGED)
		w->sn = MODEL_SN_NONE;
	session_settle(n, i);
}

/* Where nothing is staged a crash is the same as never moving again, and nobody has to move. */
static void session_crash(const struct model_step *st)
{
	struct model_state n = *st->s;
	if ((n.world.staged >> (2 + st->who) & 1) == 0 && n.session[st->who].sn != MODEL_SN_STAGED)
		return;
	session_stop(&n, st->who);
	model_protocol_emit(st, &n, "session # crashes; what it had not made durable is lost");
}

/* Steps that nobody else can see are not waited for: no interleaving is lost with them. */
bool model_session_pass(const struct model_protocol *p, struct model_state *n, unsigned i)
{
	struct model_session *w = &n->session[i];
	switch ((int)p->session[w->pc]) {
	case S_BARRIER:
		if (n->world.staged >> (2 + i) & 1 || (n->world.staged & MODEL_OLD) != 0)
			return false;
		break;
	case S_SYNC:
		if (w->sn == MODEL_SN_STAGED)
			return false;
		break;
	case S_ACK:
		w->ack = MODEL_ACK_OK;
		break;
	default:
		return false;
	}
	w->pc = (w->pc + 1) & 15;
	return true;
}

/* The name of the new pack; a pack may come back only without the rule of fresh names. */
static unsigned session_pack(const struct model_step *st, unsigned fresh)
{
	const struct model_world *w = &st->s->world;
	if (!model_protocol_has(st->p, MODEL_RULE_FRESH_NAMES) && w->old0 == fresh &&
		(w->packs & MODEL_OLD) == 0)
		return MODEL_OLD;
	return (unsigned)MODEL_NEW << st->who;
}

/* Choose what the snapshot needs, and for each record: refer to it or send it again. */
static void session_plan(const struct model_step *st, struct model_state *n)
{
	unsigned there = 0;
	struct model_session *w = &n->session[st->who];
	/* usable is what the index and the lists told, even if a pack is gone since */
	for (unsigned i = 0; i < MODEL_PACKS; i++)
		if (w->usable >> i & 1)
			there |= model_protocol_records_in(st->s, i);
	w->usable = 0;
	unsigned records = st->s->world.old0 | st->s->world.old1;
	for (unsigned refs = 1; refs < 4; refs++)
		for (unsigned fresh = 0; fresh < 4; fresh++) {
			if ((refs & ~records) != 0 || (fresh & ~refs) != 0 ||
				(refs & ~fresh & ~there) != 0)
				continue;
			struct model_state m = *n;
			m.session[st->who].refs = refs & 3;
			m.session[st->who].fresh = fresh & 3;
			if (fresh != 0)
				m.world.staged |= session_pack(st, fresh) & 63;
			model_protocol_emit(st, &m,
				fresh == 0      ? "session # refers to stored records only"
				: fresh == refs ? "session # puts a new pack with all it needs"
						: "session # puts a new pack and refers to a "
						  "stored record");
		}
}

static void session_list(
	const struct model_step *st, struct model_state *n, enum model_session_step op)
{
	struct model_session *w = &n->session[st->who];
	bool is_dead = op == S_DEAD;
	unsigned hidden =
		is_dead ? model_protocol_buried(st->s) : model_protocol_condemned(st->p, st->s);
	const char *what = is_dead ? "session # lists dd" : "session # lists gc";
	if (hidden != 0 && !model_protocol_has(st->p, MODEL_RULE_LISTS_FRESH))
		model_protocol_emit(st, n, "session # lists gc or dd and is shown an older state");
	if (model_protocol_has(
		    st->p, is_dead ? MODEL_RULE_DEAD_ABSENT : MODEL_RULE_CONDEMNED_ABSENT))
		w->usable &= ~hidden & 63;
	model_protocol_emit(st, n, what);
}

static void session_check(const struct model_step *st, struct model_state *n)
{
	struct model_session *w = &n->session[st->who];
	bool is_fenced = st->s->world.fence >> st->who & 1;
	if (!is_fenced || !model_protocol_has(st->p, MODEL_RULE_FENCE_CHECK)) {
		model_protocol_emit(st, n, "session # lists gc: no fence against it");
		return;
	}
	if (!model_protocol_has(st->p, MODEL_RULE_LISTS_FRESH))
		model_protocol_emit(st, n, "session # lists gc and is not shown its fence");
	w->ack = MODEL_ACK_REFUSED;
	w->mark = MODEL_MARK_ENDED;
	session_stop(n, st->who);
	model_protocol_emit(st, n, "session # is fenced: void mark, not acknowledged");
}

static void session_barrier(const struct model_step *st, struct model_state *n)
{
	unsigned mine = ((unsigned)MODEL_NEW << st->who | MODEL_OLD) & st->s->world.staged;
	n->world.packs |= mine & 63;
	n->world.staged &= ~mine & 63;
	model_protocol_emit(st, n, "session #: barrier, its new pack is durable");
}

void model_session_next(const struct model_step *st)
{
	struct model_state n = *st->s;
	struct model_session *w = &n.session[st->who];
	if (w->pc == MODEL_CRASHED)
		return;
	enum model_session_step op = st->p->session[w->pc];
	if (op == S_DONE)
		return;
	session_crash(st);
	w->pc = (w->pc + 1) & 15;
	switch (op) {
	case S_INDEX:
		w->usable = st->s->world.packs;
		model_protocol_emit(st, &n, "session # has an index of the packs of this moment");
		return;
	case S_MARK:
		w->mark = MODEL_MARK_OPEN;
		model_protocol_emit(st, &n, "session # puts its open mark");
		return;
	case S_CONDEMNED:
	case S_DEAD:
		session_list(st, &n, op);
		return;
	case S_PLAN:
		session_plan(st, &n);
		return;
	case S_BARRIER:
		session_barrier(st, &n);
		return;
	case S_SNAPSHOT:
		w->sn = MODEL_SN_STAGED;
		model_protocol_emit(st, &n, "session # puts its snapshot");
		return;
	case S_SYNC:
		if (w->sn == MODEL_SN_STAGED)
			w->sn = MODEL_SN_SEEN;
		model_protocol_emit(st, &n, "session #: barrier, its snapshot is durable");
		return;
	case S_CHECK:
		session_check(st, &n);
		return;
	case S_ACK:
		w->ack = MODEL_ACK_OK;
		model_protocol_emit(st, &n, "session # acknowledges its snapshot");
		return;
	case S_END:
		w->mark = MODEL_MARK_ENDED;
		session_settle(&n, st->who);
		model_protocol_emit(st, &n, "session # puts its end mark");
		return;
	case S_DONE:
		return;
	}
}
