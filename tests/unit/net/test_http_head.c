#include "net/http_head.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Scan and parse ${text}; the status, 0 = good. */
static int parse(const char *text, struct http_head *h, char **mem)
{
	size_t pos = 0;
	size_t len = strlen(text);
	int n = http_head_scan((const uint8_t *)text, len, &pos);
	if (n <= 0)
		return n == 0 ? -1 : -n;
	*mem = strdup(text);
	const char *why = NULL;
	int rc = http_head_parse(*mem, (size_t)n, h, &why);
	cr_expect(eq(int, rc == 0 || why != NULL, 1));
	return rc;
}

Test(http_head, a_plain_request_is_taken_apart)
{
	struct http_head h;
	char *mem = NULL;
	char v[64];
	cr_assert(eq(int,
		parse("PUT /v1/a%20b/?x=1&name=a+b%26%3D&flag HTTP/1.1\r\nHost: h:1\r\n"
		      "content-length:  42 \t\r\nConnection: x, Close\r\nX:\r\n"
		      "Expect: 100-Continue\r\n\r\nrest",
			&h, &mem),
		0));
	cr_expect(eq(int, h.method, HTTP_PUT));
	cr_expect(eq(str, (char *)h.path, "/v1/a b/"));
	cr_expect(eq(u64, h.body_len, 42));
	cr_expect(eq(int, h.is_last, 1));
	cr_expect(eq(int, h.has_expect, 1));
	cr_expect(eq(str, (char *)http_head_find(&h, "HOST"), "h:1"));
	cr_expect(eq(str, (char *)http_head_find(&h, "x"), ""));
	cr_expect(eq(ptr, (void *)http_head_find(&h, "y"), NULL));
	cr_expect(eq(int, http_head_query(&h, "name", v, sizeof(v)), 1));
	cr_expect(eq(str, v, "a b&="));
	cr_expect(eq(int, http_head_query(&h, "flag", v, sizeof(v)), 1));
	cr_expect(eq(str, v, ""));
	cr_expect(eq(int, http_head_query(&h, "nam", v, sizeof(v)), 0));
	free(mem);
}

Test(http_head, the_end_is_found_however_the_bytes_come)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET";
	size_t head = sizeof(text) - 4;
	size_t pos = 0;
	for (size_t len = 0; len < head; len++)
		cr_assert(eq(int, http_head_scan((const uint8_t *)text, len, &pos), 0));
	cr_expect(eq(int, http_head_scan((const uint8_t *)text, head, &pos), (int)head));
	pos = 0;
	cr_expect(
		eq(int, http_head_scan((const uint8_t *)text, sizeof(text) - 1, &pos), (int)head));
}

Test(http_head, lengths_and_counts_have_limits)
{
	struct http_head h;
	char *mem = NULL;
	cr_expect(eq(int,
		parse("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999999999\r\n\r\n", &h,
			&mem),
		413));
	free(mem);
	mem = NULL;
	cr_expect(eq(int,
		parse("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999999\r\n\r\n", &h,
			&mem),
		0));
	free(mem);
	mem = NULL;
	char text[4096] = "GET / HTTP/1.1\r\nHost: h\r\n";
	for (int i = 1; i < HTTP_HEAD_MAX_FIELDS; i++)
		strcat(text, "A: b\r\n");
	size_t len = strlen(text);
	strcat(text, "\r\n");
	cr_expect(eq(int, parse(text, &h, &mem), 0));
	free(mem);
	mem = NULL;
	text[len] = '\0';
	strcat(text, "A: b\r\n\r\n");
	cr_expect(eq(int, parse(text, &h, &mem), 431));
	free(mem);
	static uint8_t big[HTTP_HEAD_MAX_BYTES + 1];
	memset(big, 'a', sizeof(big));
	size_t pos = 0;
	cr_expect(eq(int, http_head_scan(big, sizeof(big), &pos), -431));
}

Test(http_head, what_is_not_understood_has_its_own_status)
{
	static const struct {
		const char *text;
		int status;
	} bad[] = { { "PATCH / HTTP/1.1\r\nHost: h\r\n\r\n", 405 },
		{ "get / HTTP/1.1\r\nHost: h\r\n\r\n", 405 },
		{ "GET / HTTP/1.0\r\nHost: h\r\n\r\n", 505 },
		{ "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505 },
		{ "GET / http/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nExpect: a\r\n\r\n", 417 },
		{ "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 411 },
		{ "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
			400 },
		{ "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET /\\..\\a HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET /a\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET /%c3%a4 HTTP/1.1\r\nHost: h\r\n\r\n", 0 },
		{ "GET /... HTTP/1.1\r\nHost: h\r\n\r\n", 0 },
		{ "GET /% HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
		{ "GET /?% HTTP/1.1\r\nHost: h\r\n\r\n", 400 } };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct http_head h;
		char *mem = NULL;
		cr_expect(eq(int, parse(bad[i].text, &h, &mem), bad[i].status), "%s", bad[i].text);
		free(mem);
	}
}

/* Run under the sanitizers: any bytes at all, and good ones that were changed. */
Test(http_head, no_bytes_break_it)
{
	static const char good[] = "PUT /v1/a%20b?x=1&y=%41 HTTP/1.1\r\nHost: h\r\n"
				   "Content-Length: 42\r\nConnection: close\r\nX: y z\r\n\r\n";
	uint32_t state = 1;
	int accepted = 0;
	for (int round = 0; round < 20000; round++) {
		size_t len = sizeof(good) - 1;
		char *text = malloc(len + 1);
		memcpy(text, good, len + 1);
		for (int change = 0; change < round % 5; change++) {
			state = state * 1664525U + 1013904223U;
			text[(state >> 8) % len] = "\r\n :%/?&=.\0a1\xff,+"[(state >> 24) % 17];
		}
		size_t pos = 0;
		int n = http_head_scan((const uint8_t *)text, len, &pos);
		char *exact = n > 0 ? malloc((size_t)n + 1) : NULL;
		struct http_head h;
		const char *why = NULL;
		char value[128];
		if (exact != NULL) {
			memcpy(exact, text, (size_t)n);
			exact[n] = '\0';
			if (http_head_parse(exact, (size_t)n, &h, &why) == 0) {
				accepted++;
				cr_assert(eq(int, h.path[0], '/'));
				cr_assert(eq(ptr, (void *)strstr(h.path, "//"), NULL));
				(void)http_head_query(&h, "y", value, sizeof(value));
			}
		}
		free(exact);
		free(text);
	}
	cr_expect(ge(int, accepted, 4001));
	cr_expect(lt(int, accepted, 20000));
}
