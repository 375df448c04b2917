#include "crypto/secret.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/err.h"
#include "unit/crypto/kat.h"

/* True if the mapping of ${p} carries the two-letter flag in /proc/self/smaps. */
static int has_vm_flag(const void *p, const char *flag)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	cr_assert(ne(ptr, f, NULL));
	char line[512];
	int is_ours = 0;
	int found = 0;
	while (fgets(line, sizeof(line), f) != NULL) {
		uintptr_t from = 0;
		uintptr_t to = 0;
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			is_ours = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (is_ours && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, flag) != NULL;
	}
	(void)fclose(f);
	return found;
}

Test(secret, holds_a_copy_that_stays_out_of_dumps)
{
	struct secret s = SECRET_INIT;
	uint8_t key[32];
	int on_stack = 0;
	kat_range(1, 32, key);

	cr_assert(eq(int, secret_set(&s, key, sizeof(key), NULL), 0));

	cr_expect(eq(sz, s.len, 32));
	cr_expect(ne(ptr, s.data, key));
	cr_expect_arr_eq(s.data, key, 32);
	cr_expect(eq(int, has_vm_flag(s.data, " dd"), 1));
	cr_expect(eq(int, has_vm_flag(&on_stack, " dd"), 0));
	secret_done(&s);
}

Test(secret, may_be_set_again_also_from_its_own_bytes)
{
	struct secret s = SECRET_INIT;
	cr_assert(eq(int, secret_set(&s, "old secret", 10, NULL), 0));

	cr_assert(eq(int, secret_set(&s, s.data + 4, 6, NULL), 0));

	cr_expect(eq(sz, s.len, 6));
	cr_expect_arr_eq(s.data, "secret", 6);
	cr_assert(eq(int, secret_set(&s, NULL, 0, NULL), 0));
	cr_expect(eq(ptr, s.data, NULL));
	cr_expect(eq(sz, s.len, 0));
}

Test(secret, done_leaves_it_empty_and_usable)
{
	struct secret s = SECRET_INIT;
	secret_done(&s);
	cr_assert(eq(int, secret_set(&s, "a", 1, NULL), 0));
	secret_done(&s);
	cr_expect(eq(ptr, s.data, NULL));
	cr_expect(eq(sz, s.len, 0));
	cr_assert(eq(int, secret_set(&s, "b", 1, NULL), 0));
	cr_expect_arr_eq(s.data, "b", 1);
	secret_done(&s);
}

Test(secret, too_long_is_refused_and_keeps_the_old_one)
{
	static uint8_t big[SECRET_MAX_BYTES + 1];
	struct secret s = SECRET_INIT;
	struct err err = ERR_INIT;
	cr_assert(eq(int, secret_set(&s, "old", 3, NULL), 0));

	cr_expect(eq(int, secret_set(&s, big, sizeof(big), &err), -ERR_LIMIT));

	cr_expect(eq(sz, s.len, 3));
	cr_expect_arr_eq(s.data, "old", 3);
	secret_done(&s);
}

Test(secret, wipe_zeroes_exactly_the_bytes_given)
{
	uint8_t bytes[6] = { 1, 2, 3, 4, 5, 6 };

	secret_wipe(bytes + 1, 4);
	secret_wipe(NULL, 0);

	kat_expect(bytes, 6, "010000000006");
}

Test(secret, a_hardened_process_leaves_no_core_and_cannot_be_traced)
{
	struct rlimit core;

	secret_harden_process();

	cr_assert(eq(int, getrlimit(RLIMIT_CORE, &core), 0));
	cr_expect(eq(u64, (uint64_t)core.rlim_max, 0));
	cr_expect(eq(int, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0));
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* for the leak checker of the sanitizer lane */
}
