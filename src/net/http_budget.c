#include "net/http_budget.h"

#include <string.h>

#include "net/http_server.h"

/*
 * INVARIANTS
 * (1) held is the sum of the claims in holding and never more than total.
 * (2) A claim is for the whole body: who holds needs nothing more, so that nobody waits in a
 * circle. (3) Of several that wait the one whose peer holds least is next, the earliest of equals,
 * and room is kept until it fits: nobody waits for ever, neither a large body behind small ones nor
 * one peer behind the many connections of another. (4) No peer holds more than half of the total by
 * several bodies at once.
 */

void http_budget_init(struct http_budget *b, size_t total)
{
	*b = (struct http_budget){ .total = total };
	TAILQ_INIT(&b->waiting);
	TAILQ_INIT(&b->holding);
}

bool http_budget_is_same(const struct http_peer *a, const struct http_peer *b)
{
	if (a->has_cert != b->has_cert)
		return false;
	return a->has_cert ? memcmp(a->key_hash, b->key_hash, sizeof(a->key_hash)) == 0
			   : strcmp(a->address, b->address) == 0;
}

static size_t held_by(const struct http_budget *b, const struct http_peer *peer)
{
	size_t sum = 0;
	const struct http_budget_claim *c = NULL;
	TAILQ_FOREACH(c, &b->holding, link)
	sum += http_budget_is_same(c->peer, peer) ? c->bytes : 0;
	return sum;
}

/* The one whose turn it is, or NULL when nobody's: all that wait have their half. */
static struct http_budget_claim *pick(const struct http_budget *b)
{
	struct http_budget_claim *c = NULL, *best = NULL;
	size_t least = 0;
	TAILQ_FOREACH(c, &b->waiting, link)
	{
		const size_t held = held_by(b, c->peer);
		if (held > 0 && held + c->bytes > b->total / 2)
			continue;
		if (best == NULL || held < least) {
			best = c;
			least = held;
		}
		if (least == 0)
			break;
	}
	return best;
}

struct http_budget_claim *http_budget_next(struct http_budget *b)
{
	struct http_budget_claim *c = pick(b);
	if (c == NULL || c->bytes > b->total - b->held)
		return NULL;
	TAILQ_REMOVE(&b->waiting, c, link);
	TAILQ_INSERT_TAIL(&b->holding, c, link);
	c->is_waiting = false;
	c->is_holding = true;
	b->held += c->bytes;
	return c;
}

bool http_budget_ask(struct http_budget *b, struct http_budget_claim *c,
	const struct http_peer *peer, size_t bytes)
{
	c->peer = peer;
	c->bytes = bytes;
	c->is_waiting = true;
	TAILQ_INSERT_TAIL(&b->waiting, c, link);
	/* another's turn is left to who asks for the next one */
	return pick(b) == c && http_budget_next(b) == c;
}

void http_budget_leave(struct http_budget *b, struct http_budget_claim *c)
{
	if (c->is_holding) {
		TAILQ_REMOVE(&b->holding, c, link);
		b->held -= c->bytes;
	}
	if (c->is_waiting)
		TAILQ_REMOVE(&b->waiting, c, link);
	c->is_holding = c->is_waiting = false;
}
