#include "msg/msg_enrol_token.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "msg/msg_enrol.h"

Test(msg_enrol_token, comes_back_also_with_white_space_around)
{
	struct msg_token t = { .address = "holdfast.plant.example:8444" };
	struct msg_token back;
	char text[MSG_TOKEN_TEXT_BYTES];
	char spaced[MSG_TOKEN_TEXT_BYTES + 8];
	memset(t.ca_hash, 0xab, sizeof(t.ca_hash));
	memset(t.secret, 0xcd, sizeof(t.secret));
	cr_assert(eq(int, msg_enrol_token_format(&t, text, NULL), 0));
	(void)snprintf(spaced, sizeof(spaced), " \n%s\r\n", text);
	cr_assert(eq(int, msg_enrol_token_parse(spaced, &back, NULL), 0));
	cr_expect(eq(int, memcmp(&t.ca_hash, &back.ca_hash, 32), 0));
	cr_expect(eq(int, memcmp(&t.secret, &back.secret, sizeof(t.secret)), 0));
	cr_expect_str_eq(back.address, t.address);
}

Test(msg_enrol_token, the_longest_address_fits)
{
	struct msg_token t = { .address = "" };
	struct msg_token back;
	char text[MSG_TOKEN_TEXT_BYTES];
	memset(t.address, 'a', MSG_ADDRESS_BYTES - 1);
	memcpy(t.address + MSG_ADDRESS_BYTES - 7, ":65535", 7);
	cr_assert(eq(int, msg_enrol_token_format(&t, text, NULL), 0));
	cr_assert(eq(int, msg_enrol_token_parse(text, &back, NULL), 0));
	cr_expect_str_eq(back.address, t.address);
}

Test(msg_enrol_token, what_was_cut_or_mistyped_says_what_to_do)
{
	struct msg_token t = { .address = "h:1" };
	struct msg_token back;
	char text[MSG_TOKEN_TEXT_BYTES];
	cr_assert(eq(int, msg_enrol_token_format(&t, text, NULL), 0));
	size_t len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		struct err err = ERR_INIT;
		char cut[MSG_TOKEN_TEXT_BYTES];
		(void)snprintf(cut, sizeof(cut), "%.*s", (int)i, text);
		cr_expect(eq(int, msg_enrol_token_parse(cut, &back, &err), -ERR_USAGE), "%zu", i);
		cr_expect(ne(sz, strlen(err.hint), 0));
	}
	static const char *const bad[] = { "hfe1-A A", "hfe1-aaaa", "HFE1-AAAA", "xyz" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(eq(int, msg_enrol_token_parse(bad[i], &back, NULL), -ERR_USAGE));
}

Test(msg_enrol_token, an_address_is_host_and_port_and_nothing_more)
{
	static const char *const good[] = { "h:1", "10.0.0.1:65535", "[::1]:8444", "a-b.c_d:80",
		"[fe80::1]:1" };
	static const char *const bad[] = { "", "h", ":1", "h:", "h:0", "h:65536", "h:123456",
		"h:1x", "h:1/", "u@h:1", "h/x:1", "h h:1", "[::1:1", "::1:80", "[]:1", "[g]:1",
		"-h:1", "h:01", "h\n:1", "h?x:1", "h#:1" };
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect(msg_enrol_token_is_address(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect(not(msg_enrol_token_is_address(bad[i])), "%s", bad[i]);
}
