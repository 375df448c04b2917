/*
 * fuzz_words: short texts that people and files give: durations, sizes, times, what a check
 * expects, report keys and secrets; the first byte says which.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/human.h"
#include "fuzz/fuzz.h"
#include "plans/plan_expect.h"
#include "restore/report_key.h"
#include "restore/report_secret.h"

static void took(int rc)
{
	FUZZ_CHECK(rc == 0 || rc == -1);
	if (rc == 0)
		fuzz_took();
}

static void duration(const char *text)
{
	int64_t ns = 0;
	int rc = human_parse_duration(text, &ns);
	FUZZ_CHECK(rc != 0 || ns >= 0);
	took(rc);
}

static void size(const char *text)
{
	uint64_t bytes = 0;
	took(human_parse_size(text, &bytes));
}

/* What was read is written and read as the same moment, to the millisecond. */
static void moment(const char *text)
{
	char out[HUMAN_BYTES];
	int64_t ns = 0, again = 0;
	int rc = human_parse_time(text, &ns);
	took(rc);
	if (rc == 0 && ns >= 0) {
		FUZZ_CHECK(human_parse_time(human_time_utc(out, ns), &again) == 0);
		FUZZ_CHECK(again == ns - ns % 1000000);
	}
}

static void expect(const char *text)
{
	struct plan_expect e;
	struct err err = ERR_INIT;
	int rc = plan_expect_parse(text, &e, &err);
	fuzz_verdict(rc, &err);
	FUZZ_CHECK(rc != 0 || e.kind != PLAN_EXPECT_NONE);
	if (rc == 0)
		(void)plan_expect_holds(&e, 1, 2); /* any answer, but one */
}

static void report_key(const char *text)
{
	char keyid[DSSE_KEYID_BYTES], again[DSSE_KEYID_BYTES];
	struct err err = ERR_INIT;
	int rc = report_key_parse(text, strlen(text), keyid, &err);
	fuzz_verdict(rc, &err);
	FUZZ_CHECK(rc != 0 || report_key_fingerprint(keyid, again) == 0);
	FUZZ_CHECK(rc != 0 || strcmp(keyid, again) == 0);
}

static void report_secret(const char *text)
{
	uint8_t seed[32], again[32];
	struct buf out = BUF_INIT(REPORT_KEY_FILE_MAX);
	struct err err = ERR_INIT;
	int rc = report_secret_parse(text, strlen(text), seed, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0) {
		FUZZ_CHECK(report_secret_format(seed, &out, &err) == 0);
		FUZZ_CHECK(report_secret_parse((const char *)out.data, out.len, again, &err) == 0);
		FUZZ_CHECK(memcmp(seed, again, sizeof(seed)) == 0);
	}
	buf_done(&out);
}

static void (*const kinds[])(
	const char *text) = { duration, size, moment, expect, report_key, report_secret };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void run(const uint8_t *data, size_t len)
{
	if (len == 0)
		return;
	char *text = strndup((const char *)data + 1, len - 1);
	FUZZ_CHECK(text != NULL);
	kinds[data[0] % KINDS](text); /* '0' is 48 */
	free(text);
}

static void seeds(void)
{
	static const char *const texts[] = { "01h30m", "0500ms", "11.5GiB", "164K",
		"22026-11-24T02:19:53.120Z", "22026-11-24T02:19:53+05:30", "3>=4200", "3all",
		"3lag <= 10m", "3==manifest" };
	static const uint8_t key[32] = { 5 };
	static const char pem[] = "4-----BEGIN PUBLIC KEY-----\n"
				  "MCowBQYDK2VwAyEABQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
				  "-----END PUBLIC KEY-----\n";
	struct buf out = BUF_INIT(REPORT_KEY_FILE_MAX);
	struct err err = ERR_INIT;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		fuzz_seed(texts[i], strlen(texts[i]));
	FUZZ_CHECK(buf_add8(&out, '4', &err) == 0 && report_key_format(key, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	fuzz_seed(pem, strlen(pem));
	buf_clear(&out);
	FUZZ_CHECK(buf_add8(&out, '5', &err) == 0 && report_secret_format(key, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	buf_done(&out);
}

const struct fuzz_target fuzz_words = { "words", run, seeds };
