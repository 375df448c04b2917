/*
 * http_budget: who of those that send bodies may take memory for one now; the others wait unread.
 * Knows: the total, the share of each peer, the order.  Lists and arithmetic: no I/O, no memory of
 * its own.  One thread.
 */
#ifndef NET_HTTP_BUDGET_H
#define NET_HTTP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct http_peer;

/* One body's; zeroed before its first use, and not moved while it waits or holds. */
struct http_budget_claim {
	TAILQ_ENTRY(http_budget_claim) link;
	const struct http_peer *peer; /* borrowed */
	size_t bytes;
	bool is_waiting, is_holding;
};

TAILQ_HEAD(http_budget_list, http_budget_claim);

struct http_budget {
	size_t total, held;              /* bytes */
	struct http_budget_list waiting; /* in the order of asking */
	struct http_budget_list holding;
};

/* Do both speak for one: the same certificate, without any the same address? */
bool http_budget_is_same(const struct http_peer *a, const struct http_peer *b);

/* ${total} is at least the largest claim there will be. */
void http_budget_init(struct http_budget *b, size_t total);

/* Ask for ${bytes} in the name of ${peer}, which stays until http_budget_leave().  Return true when
 * it holds them now, false when it waits: http_budget_next() will name it. */
bool http_budget_ask(struct http_budget *b, struct http_budget_claim *c,
	const struct http_peer *peer, size_t bytes);
/* A claim that waited and holds from now on, or NULL.  To be asked until then after each leave. */
struct http_budget_claim *http_budget_next(struct http_budget *b);
/* Give back what it holds, or wait no longer; fine on one that never asked. */
void http_budget_leave(struct http_budget *b, struct http_budget_claim *c);

#endif
