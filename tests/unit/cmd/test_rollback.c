#include "cmd/rollback.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "restore/erase_tree.h"

static char base[64];
static char dir[128];
static struct err err;

static void setup(void)
{
	(void)snprintf(base, sizeof(base), "/tmp/test-rollback.XXXXXX");
	cr_assert(mkdtemp(base) != NULL);
	(void)snprintf(dir, sizeof(dir), "%s/state", base);
	err_clear(&err);
}

static void teardown(void)
{
	cr_expect(eq(int, erase_tree_run(AT_FDCWD, base, NULL, NULL), 0));
}

TestSuite(rollback, .init = setup, .fini = teardown);

/* Snapshot ${seq} of the source ${source}; ${mark} makes its hash. */
static struct snapshot snap(uint8_t source, uint64_t seq, uint8_t mark)
{
	static char name[] = "hist";
	struct snapshot s = { .record = { .seq = seq }, .label = { .source = name } };
	memset(s.record.agent_id, 1, sizeof(s.record.agent_id));
	memset(s.record.source_id, source, sizeof(s.record.source_id));
	memset(s.hash, mark, sizeof(s.hash));
	return s;
}

static int check(struct snapshot *at, size_t count)
{
	struct snapshot_list list = { .at = at, .count = count };
	struct rollback *r = NULL;
	int rc = rollback_load(dir, &r, &err);
	if (rc == 0)
		rc = rollback_check(r, &list, 0, &err);
	rollback_free(r);
	return rc;
}

static int learn(struct snapshot *at, size_t count, bool is_all)
{
	struct snapshot_list list = { .at = at, .count = count };
	return rollback_update(dir, &list, is_all, &err);
}

Test(rollback, a_host_that_has_seen_nothing_accepts_everything)
{
	struct snapshot seen[] = { snap(1, 5, 5) };
	cr_expect(eq(int, check(seen, 1), 0), "%s", err.msg);
	cr_expect(eq(int, check(NULL, 0), 0), "%s", err.msg);
}

Test(rollback, more_of_the_same_is_fine_and_less_is_not)
{
	struct snapshot seen[] = { snap(1, 1, 1), snap(1, 2, 2), snap(1, 3, 3) };
	cr_assert(eq(int, learn(seen, 2, false), 0), "%s", err.msg);
	cr_expect(eq(int, check(seen, 3), 0), "%s", err.msg);
	cr_expect(eq(int, check(seen, 2), 0), "%s", err.msg);
	cr_expect(eq(int, check(seen, 1), -ERR_ROLLBACK));
	cr_expect(strstr(err.msg, "ends with snapshot 1") != NULL, "%s", err.msg);
	cr_expect(strstr(err.hint, "--accept-rollback") != NULL, "%s", err.hint);
}

Test(rollback, a_source_that_is_gone_is_noticed)
{
	struct snapshot seen[] = { snap(1, 1, 1), snap(2, 1, 9) };
	cr_assert(eq(int, learn(seen, 2, false), 0), "%s", err.msg);
	cr_expect(eq(int, check(seen, 1), -ERR_ROLLBACK));
}

Test(rollback, what_as_many_unreadable_objects_explain_is_none)
{
	struct snapshot seen[] = { snap(1, 1, 1), snap(1, 3, 3), snap(2, 1, 9) };
	struct snapshot_list list = { .at = seen, .count = 1 };
	uint8_t agent[16];
	uint8_t source[16];
	uint8_t hash[32];
	uint64_t seq = 9;
	memset(agent, 1, sizeof(agent));
	memset(source, 1, sizeof(source));
	cr_assert(eq(int, learn(seen, 3, false), 0), "%s", err.msg);
	struct rollback *r = NULL;
	cr_assert(eq(int, rollback_load(dir, &r, &err), 0), "%s", err.msg);
	cr_expect(eq(int, rollback_check(r, &list, 3, &err), 0), "%s", err.msg);
	cr_expect(eq(int, rollback_check(r, &list, 2, &err), -ERR_ROLLBACK));
	rollback_free(r);
	cr_assert(eq(int, rollback_newest(dir, agent, source, &seq, hash, &err), 0));
	cr_expect(eq(u64, seq, 3));
	cr_expect(eq(u8, hash[31], 3));
	source[0] = 7;
	cr_assert(eq(int, rollback_newest(dir, agent, source, &seq, hash, &err), 0));
	cr_expect(eq(u64, seq, 0));
}

Test(rollback, another_snapshot_under_the_same_number_is_noticed)
{
	struct snapshot seen[] = { snap(1, 2, 2) };
	struct snapshot other[] = { snap(1, 2, 7), snap(1, 3, 8) };
	cr_assert(eq(int, learn(seen, 1, false), 0), "%s", err.msg);
	cr_expect(eq(int, check(other, 2), -ERR_ROLLBACK));
}

Test(rollback, an_older_snapshot_may_be_pruned)
{
	struct snapshot seen[] = { snap(1, 2, 2) };
	struct snapshot later[] = { snap(1, 4, 4) };
	cr_assert(eq(int, learn(seen, 1, false), 0), "%s", err.msg);
	cr_expect(eq(int, check(later, 1), 0), "%s", err.msg);
}

Test(rollback, a_number_never_goes_down_by_itself)
{
	struct snapshot seen[] = { snap(1, 5, 5) };
	struct snapshot old[] = { snap(1, 4, 4) };
	cr_assert(eq(int, learn(seen, 1, false), 0), "%s", err.msg);
	cr_assert(eq(int, learn(old, 1, false), 0), "%s", err.msg);
	cr_expect(eq(int, check(old, 1), -ERR_ROLLBACK));
}

Test(rollback, an_accepted_rollback_is_the_new_memory)
{
	struct snapshot seen[] = { snap(1, 5, 5), snap(2, 1, 1) };
	struct snapshot old[] = { snap(1, 4, 4) };
	cr_assert(eq(int, learn(seen, 2, false), 0), "%s", err.msg);
	cr_assert(eq(int, learn(old, 1, true), 0), "%s", err.msg);
	cr_expect(eq(int, check(old, 1), 0), "%s", err.msg);
}

Test(rollback, a_damaged_memory_is_named_and_kept)
{
	char path[160];
	struct snapshot seen[] = { snap(1, 5, 5) };
	cr_assert(eq(int, learn(seen, 1, false), 0), "%s", err.msg);
	(void)snprintf(path, sizeof(path), "%s/seen", dir);
	cr_assert(eq(int, truncate(path, 40), 0));
	cr_expect(eq(int, check(seen, 1), -ERR_CORRUPT));
	cr_expect(strstr(err.msg, path) != NULL, "%s", err.msg);
	cr_expect(eq(int, learn(seen, 1, false), -ERR_CORRUPT));
}

Test(rollback, what_another_process_remembers_after_the_load_is_no_store_that_went_back)
{
	struct snapshot seen[] = { snap(1, 1, 1), snap(1, 2, 2), snap(3, 1, 7) };
	struct snapshot_list before = { .at = seen, .count = 1 };
	struct rollback *r = NULL;
	cr_assert(eq(int, learn(seen, 1, false), 0), "%s", err.msg);
	cr_assert(eq(int, rollback_load(dir, &r, &err), 0), "%s", err.msg);
	/* we list; then it commits number 2 and a new source, and remembers both */
	cr_assert(eq(int, learn(seen, 3, false), 0), "%s", err.msg);
	cr_expect(eq(int, rollback_check(r, &before, 0, &err), 0), "%s", err.msg);
	rollback_free(r);
	cr_expect(eq(int, check(seen, 1), -ERR_ROLLBACK)); /* who loads now must see them */
	cr_expect(eq(int, check(seen, 3), 0), "%s", err.msg);
}
