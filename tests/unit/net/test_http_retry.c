#include "net/http_retry.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

Test(http_retry, delays_double_up_to_five_seconds_and_jitter_takes_all_of_it)
{
	static const int64_t most[] = { 200, 400, 800, 1600, 3200, 5000, 5000 };
	for (int i = 0; i < 7; i++) {
		cr_expect(eq(i64, http_retry_delay_ms(i, 0, (uint64_t)most[i]), most[i]));
		cr_expect(eq(i64, http_retry_delay_ms(i, 0, (uint64_t)most[i] + 1), 0));
		cr_expect(le(i64, http_retry_delay_ms(i, 0, UINT64_MAX), most[i]));
	}
	cr_expect(eq(i64, http_retry_delay_ms(1000000, 0, 4999), 4999));
}

Test(http_retry, what_the_server_asks_for_is_kept_to_half_a_minute)
{
	cr_expect(eq(i64, http_retry_delay_ms(0, 3000, 7), 3000));
	cr_expect(eq(i64, http_retry_delay_ms(5, 3000, 4000), 4000));
	cr_expect(eq(i64, http_retry_delay_ms(0, INT64_MAX, 0), 30000));
	cr_expect(eq(i64, http_retry_delay_ms(0, -5, 0), 0));
}

Test(http_retry, a_bucket_gives_exactly_its_rate)
{
	struct http_retry_bucket b = { .bytes_per_s = 1000, .at_ms = 5000 };
	cr_expect(eq(sz, http_retry_bucket_take(&b, 5000, 10), 0));
	size_t sum = 0;
	for (int64_t ms = 5001; ms <= 65000; ms++) /* asked every millisecond for a minute */
		sum += http_retry_bucket_take(&b, ms, 1 << 20);
	cr_expect(eq(sz, sum, 60000));

	/* less than a byte per turn is not lost */
	b = (struct http_retry_bucket){ .bytes_per_s = 3, .at_ms = 0 };
	sum = 0;
	for (int64_t ms = 1; ms <= 100000; ms++)
		sum += http_retry_bucket_take(&b, ms, 100);
	cr_expect(ge(sz, sum, 299));
	cr_expect(le(sz, sum, 300));
}

Test(http_retry, a_rest_saves_up_a_quarter_of_a_second_at_most)
{
	struct http_retry_bucket b = { .bytes_per_s = 1000 };
	cr_expect(eq(sz, http_retry_bucket_take(&b, 3600000, 1 << 20), 250));
	cr_expect(eq(sz, http_retry_bucket_take(&b, 3600000, 1 << 20), 0));
	cr_expect(eq(sz, http_retry_bucket_take(&b, 3600900, 1 << 20), 250));
	cr_expect(eq(sz, http_retry_bucket_take(&b, 3600950, 20), 20));
	cr_expect(eq(sz, http_retry_bucket_take(&b, 3600950, 100), 30));
	cr_expect(eq(sz, http_retry_bucket_take(&b, 3600000, 1), 0)); /* a clock that went back */
	struct http_retry_bucket none = { .bytes_per_s = 0 };
	cr_expect(eq(sz, http_retry_bucket_take(&none, 1, 12345), 12345));
}
