#include "store/s3/s3_lock.h"

#include <stdio.h>
#include <time.h>

#include "base/human.h"

#define NS_PER_S INT64_C(1000000000)

const char *s3_lock_time(int64_t ns, char out[S3_LOCK_TIME_BYTES])
{
	struct tm tm;
	time_t s = (time_t)(ns / NS_PER_S + (ns % NS_PER_S > 0 ? 1 : 0));
	if (gmtime_r(&s, &tm) == NULL ||
		strftime(out, S3_LOCK_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
	return out;
}

int64_t s3_lock_ns(const char *text)
{
	int64_t ns = 0;
	return human_parse_time(text, &ns) == 0 ? ns : 0;
}

const char *s3_lock_body(enum store_lock_mode mode, int64_t until_ns, char out[S3_LOCK_BODY_BYTES])
{
	char until[S3_LOCK_TIME_BYTES];
	(void)snprintf(out, S3_LOCK_BODY_BYTES,
		"<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode>"
		"<RetainUntilDate>%s</RetainUntilDate></Retention>",
		store_lock_word(mode), s3_lock_time(until_ns, until)); /* fits */
	return out;
}
