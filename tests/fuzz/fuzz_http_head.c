/*
 * fuzz_http_head: the head of an HTTP request.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "net/http_head.h"

static void run(const uint8_t *data, size_t len)
{
	size_t pos = 0, at = 0;
	int n = http_head_scan(data, len, &pos);
	/* however the bytes come, the end is found at the same place */
	int m = 0;
	for (size_t have = 0; have <= len && m == 0; have += 1 + have / 7)
		m = http_head_scan(data, have, &at);
	if (m == 0)
		m = http_head_scan(data, len, &at);
	FUZZ_CHECK(n == m);
	if (n <= 0)
		return;
	char *text = malloc((size_t)n + 1), value[64];
	const char *why = NULL;
	struct http_head h;
	FUZZ_CHECK(text != NULL && (size_t)n <= len);
	memcpy(text, data, (size_t)n);
	text[n] = '\0';
	int rc = http_head_parse(text, (size_t)n, &h, &why);
	FUZZ_CHECK(rc == 0 || (rc >= 400 && rc < 600 && why != NULL));
	if (rc == 0) {
		fuzz_took();
		FUZZ_CHECK(h.path[0] == '/' && h.field_count <= HTTP_HEAD_MAX_FIELDS);
		for (size_t i = 0; i < h.field_count; i++)
			FUZZ_CHECK(http_head_find(&h, h.fields[i].name) != NULL);
		(void)http_head_query(&h, "name", value, sizeof(value));
		(void)http_head_query(&h, "x", value, 2);
	}
	free(text);
}

static void seeds(void)
{
	static const char *const heads[] = { "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"PUT /v1/a%20b/?x=1&name=a+b%26%3D&flag HTTP/1.1\r\nHost: h:1\r\ncontent-length:  "
		"42 \t\r\n"
		"Connection: x, Close\r\nX:\r\nExpect: 100-Continue\r\n\r\nrest",
		"POST /v1/work HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" };
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		fuzz_seed(heads[i], strlen(heads[i]));
}

const struct fuzz_target fuzz_http_head = { "http_head", run, seeds };
