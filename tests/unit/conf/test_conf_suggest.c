#include "conf/conf_suggest.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdint.h>

Test(conf_suggest, distance_counts_slips_of_the_hand)
{
	cr_expect(eq(sz, conf_suggest_distance("", ""), 0));
	cr_expect(eq(sz, conf_suggest_distance("", "abc"), 3));
	cr_expect(eq(sz, conf_suggest_distance("abc", ""), 3));
	cr_expect(eq(sz, conf_suggest_distance("mandatory", "mandatory"), 0));
	cr_expect(eq(sz, conf_suggest_distance("Mandatory", "mandatory"), 0));
	cr_expect(eq(sz, conf_suggest_distance("prot", "port"), 1));
	cr_expect(eq(sz, conf_suggest_distance("mandatry", "mandatory"), 1));
	cr_expect(eq(sz, conf_suggest_distance("mandattory", "mandatory"), 1));
	cr_expect(eq(sz, conf_suggest_distance("kitten", "sitting"), 3));
}

Test(conf_suggest, only_near_words_are_suggested)
{
	cr_expect(conf_suggest_is_near("rtoo", "rto"));
	cr_expect(conf_suggest_is_near("must_not_raech", "must_not_reach"));
	cr_expect(not(conf_suggest_is_near("quux", "rto")));
	cr_expect(not(conf_suggest_is_near("owner", "after")));
}

Test(conf_suggest, very_long_words_are_never_near)
{
	char word[80];
	for (size_t i = 0; i + 1 < sizeof(word); i++)
		word[i] = 'a';
	word[sizeof(word) - 1] = '\0';
	cr_expect(eq(sz, conf_suggest_distance(word, "a"), SIZE_MAX));
	cr_expect(eq(sz, conf_suggest_distance("a", word), SIZE_MAX));
	cr_expect(not(conf_suggest_is_near(word, "a")));
}
