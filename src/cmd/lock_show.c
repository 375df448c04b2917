#include "cmd/lock_show.h"

#include "base/human.h"
#include "cmd/console.h"
#include "store/store.h"
#include "vault/lock_keep.h"

json_t *lock_show_json(const struct store *s, const struct lock_keep_result *r)
{
	struct store_lock lock;
	char policy[STORE_LOCK_TEXT_BYTES];
	char when[HUMAN_BYTES];
	store_locks_by(s, &lock);
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o}", "policy",
		store_lock_format(&lock, policy), "objects", (json_int_t)r->objects, "bytes",
		(json_int_t)r->bytes, "asked", (json_int_t)r->asked, "locked",
		(json_int_t)r->locked, "ending", (json_int_t)r->ending, "unlocked",
		(json_int_t)r->unlocked, "extended", (json_int_t)r->extended, "failed",
		(json_int_t)r->failed, "hidden", (json_int_t)r->hidden, "all", (int)r->is_all,
		"earliest",
		r->earliest_ns == 0 ? json_null()
				    : json_string(human_time_utc(when, r->earliest_ns)));
}

void lock_show_text(struct console *c, const char *head, const struct lock_keep_result *r)
{
	char size[HUMAN_BYTES];
	char when[HUMAN_BYTES];
	console_print(c, "%-14s %llu objects (%s) are to be locked: ", head,
		(unsigned long long)r->objects, human_size(size, r->bytes));
	if (r->asked < r->objects)
		console_print(c, "of %llu spread over all ", (unsigned long long)r->asked);
	console_print(c, "%llu are for long enough, %llu for too short, %llu not\n",
		(unsigned long long)r->locked, (unsigned long long)r->ending,
		(unsigned long long)r->unlocked);
	if (r->earliest_ns != 0)
		console_print(c, "%-14s the first lock ends %s\n", "",
			human_time_local(when, r->earliest_ns));
}

void lock_show_warn(struct console *c, const struct lock_keep_result *r)
{
	if (r->is_all && r->why.code != 0 && r->failed == 0)
		console_warn(c, NULL, 0,
			"the vault cannot say what its snapshots need (%s): everything counts",
			r->why.msg);
	if (r->failed > 0)
		console_warn(c, NULL, 0, "%llu objects could not be locked, the first: %s",
			(unsigned long long)r->failed, r->why.msg);
	if (r->hidden > 0)
		console_warn(c, NULL, 0,
			"%llu objects that are needed were removed or replaced by somebody; see "
			"'holdfast vault undelete'",
			(unsigned long long)r->hidden);
}
