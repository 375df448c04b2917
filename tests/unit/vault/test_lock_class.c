#include "vault/lock_class.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(lock_class, what_nothing_could_make_anew_is_locked)
{
	static const char *const locked[] = { "README.txt", "FORMAT.txt", "vh/1", "ks/1", "cf/1",
		"hs/1", "rw/1", "pk/ab/1", "rf/1", "ev/1", "sn/1", "pr/1", "pa/ab/1" };
	static const char *const not_locked[] = { "ix/1", "se/1-0", "gc/1", "dd/1", "wb/1", "qr/1",
		"tmp-probe", "other", "lg/1" };
	for (size_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++)
		cr_expect(lock_class_wants(locked[i]), "%s", locked[i]);
	for (size_t i = 0; i < sizeof(not_locked) / sizeof(not_locked[0]); i++) {
		cr_expect(not(lock_class_wants(not_locked[i])), "%s", not_locked[i]);
		cr_expect(not(lock_class_is_lasting(not_locked[i])), "%s", not_locked[i]);
	}
}

Test(lock_class, what_this_version_never_takes_away_lasts)
{
	cr_expect(lock_class_is_lasting("cf/1") && lock_class_is_lasting("README.txt"));
	cr_expect(not(lock_class_is_lasting("sn/1")));
	cr_expect(not(lock_class_is_lasting("pk/ab/1")));
}
