#include "net/http_retry.h"

#define BURSTS_PER_S 4
#define MS_PER_S INT64_C(1000)

int64_t http_retry_delay_ms(int attempt, int64_t after_ms, uint64_t random)
{
	int64_t most = HTTP_RETRY_MAX_MS;
	if (attempt < 5 && HTTP_RETRY_FIRST_MS << attempt < most)
		most = HTTP_RETRY_FIRST_MS << attempt;
	int64_t delay = (int64_t)(random % (uint64_t)(most + 1));
	if (after_ms > HTTP_RETRY_AFTER_MAX_MS)
		after_ms = HTTP_RETRY_AFTER_MAX_MS;
	return delay < after_ms ? after_ms : delay;
}

size_t http_retry_bucket_take(struct http_retry_bucket *b, int64_t now_ms, size_t want)
{
	if (b->bytes_per_s <= 0)
		return want;
	int64_t most = b->bytes_per_s / BURSTS_PER_S;
	if (most < 1)
		most = 1;
	int64_t passed = now_ms - b->at_ms;
	if (passed > MS_PER_S) {
		b->tokens = most;
		b->at_ms = now_ms;
	} else if (passed > 0) {
		int64_t more = b->bytes_per_s / MS_PER_S * passed +
			       b->bytes_per_s % MS_PER_S * passed / MS_PER_S;
		if (more > 0) { /* else the time is kept for the next call */
			b->tokens += more;
			b->at_ms = now_ms;
		}
		if (b->tokens > most)
			b->tokens = most;
	}
	size_t n = b->tokens <= 0 ? 0 : (size_t)b->tokens < want ? (size_t)b->tokens : want;
	b->tokens -= (int64_t)n;
	return n;
}
