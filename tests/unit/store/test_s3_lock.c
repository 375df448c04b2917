#include "store/s3/s3_lock.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#define S INT64_C(1000000000)

Test(s3_lock, times_are_written_and_read)
{
	char text[S3_LOCK_TIME_BYTES];
	const int64_t at = INT64_C(1767225600) * S;
	cr_expect(eq(str, (char *)s3_lock_time(at, text), "2026-01-01T00:00:00Z"));
	cr_expect(
		eq(str, (char *)s3_lock_time(at + 1, text), "2026-01-01T00:00:01Z"), "never less");
	cr_expect(eq(i64, s3_lock_ns("2026-01-01T00:00:00Z"), at));
	cr_expect(eq(i64, s3_lock_ns("2026-01-01T00:00:00.250Z"), at + S / 4));
	cr_expect(eq(i64, s3_lock_ns(""), (int64_t)0));
	cr_expect(eq(i64, s3_lock_ns("soon"), (int64_t)0));
}

Test(s3_lock, the_body_of_a_request_that_locks)
{
	char body[S3_LOCK_BODY_BYTES];
	cr_expect(eq(str, (char *)s3_lock_body(STORE_LOCK_GOVERNANCE, 0, body),
		"<Retention "
		"xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>GOVERNANCE</Mode>"
		"<RetainUntilDate>1970-01-01T00:00:00Z</RetainUntilDate></Retention>"));
}
