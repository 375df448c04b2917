#include "restore/drill_points_near.h"

#include <string.h>

#include "base/err.h"
#include "base/human.h"
#include "restore/report.h"
#include "vault/fetch.h"

/*
 * INVARIANTS
 * (1) A snapshot that came after the disruption is no recovery point, however it is asked for.
 */

/* There is none to restore; say so, and from when on there is one. */
static int explain_none(const struct snapshot *first, int64_t at_ns, struct err *err)
{
	char declared[HUMAN_BYTES], received[HUMAN_BYTES];
	(void)human_time_utc(declared, at_ns);
	return err_set(err, ERR_NOT_FOUND,
		"the vault held none yet when the disruption was declared (T0 %s): the oldest was "
		"received at %s",
		declared, human_time_utc(received, first->body.receipt_ns));
}

/*
 * The newest snapshot there was at T0: what came later a disaster would not have left.  It is its
 * receipt that says when the vault had it, compared in the report's ms.
 */
static int choose(const struct snapshot_list *all, const char *source, int64_t at_ns,
	const struct snapshot **out, struct err *err)
{
	struct snapshot_list then = { .at = all->at };
	while (then.count < all->count && /* ascending by receipt */
		report_ms(all->at[then.count].body.receipt_ns) <= report_ms(at_ns))
		then.count++;
	int rc = snapshot_pick(&then, "latest", source, out, err);
	for (size_t i = then.count; rc == -ERR_NOT_FOUND && i < all->count; i++) {
		if (snapshot_is_of(&all->at[i], source))
			return explain_none(&all->at[i], at_ns, err);
	}
	return rc;
}

static int near_open(
	void *self, const char *source, int64_t at_ns, struct drill_point *out, struct err *err)
{
	struct drill_points_near *n = self;
	const struct snapshot *snap = NULL;
	struct snapshot_opened opened;
	int rc = choose(n->snapshots, source, at_ns, &snap, err);
	if (rc == 0)
		rc = snapshot_open(n->vault, n->fetch, snap, n->drill_sk, &opened, err);
	if (rc != 0)
		return rc;
	*out = (struct drill_point){
		.record = snap->record, .receipt_ns = snap->body.receipt_ns, .opened = opened
	};
	memcpy(out->hash, snap->hash, sizeof(out->hash));
	return 0;
}

static int64_t near_newest(void *self, const char *source)
{
	const struct drill_points_near *n = self;
	for (size_t i = n->snapshots->count; i > 0; i--) {
		if (snapshot_is_of(&n->snapshots->at[i - 1], source))
			return n->snapshots->at[i - 1].body.receipt_ns;
	}
	return 0;
}

struct drill_points drill_points_near_make(struct drill_points_near *n)
{
	return (struct drill_points){
		.self = n,
		.open = near_open,
		.newest = near_newest,
		.content = fetch_source(n->fetch),
	};
}
