#include "restore/drill_points_near.h"

#include <string.h>

#include "base/err.h"
#include "base/human.h"
#include "vault/fetch.h"

/*
 * INVARIANTS
 * (1) A snapshot that came after the disruption is no recovery point, however it is asked for.
 */

static bool is_same_source(const struct snapshot *a, const struct snapshot *b)
{
	return memcmp(a->record.agent_id, b->record.agent_id, sizeof(a->record.agent_id)) == 0 &&
	       memcmp(a->record.source_id, b->record.source_id, sizeof(a->record.source_id)) == 0;
}

/* The list ascends by receipt time. */
static int choose(const struct snapshot_list *list, const char *source, int64_t at_ns,
	const struct snapshot **out, struct err *err)
{
	const struct snapshot *found = NULL;
	size_t later = 0;
	for (size_t i = 0; i < list->count; i++) {
		const struct snapshot *s = &list->at[i];
		if (strcmp(s->label.source, source) != 0)
			continue;
		if (s->body.receipt_ns > at_ns) {
			later++;
			continue;
		}
		if (found != NULL && !is_same_source(found, s))
			return err_set(err, ERR_USAGE,
				"it is ambiguous: two agents have a source of this name");
		found = s;
	}
	if (found == NULL && later == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no snapshot of it");
	if (found == NULL) {
		char time[HUMAN_BYTES];
		return err_set(err, ERR_NOT_FOUND,
			"all %zu snapshots of it came after the disruption at %s", later,
			human_time_utc(time, at_ns));
	}
	*out = found;
	return 0;
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

struct drill_points drill_points_near_make(struct drill_points_near *n)
{
	return (struct drill_points){
		.self = n, .open = near_open, .content = fetch_source(n->fetch)
	};
}
