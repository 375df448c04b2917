#include "agents/record_far.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "msg/msg_vault.h"
#include "net/http_client.h"
#include "vault/record.h"

/*
 * INVARIANTS
 * (1) window holds one answer; record i of it lies at at[i] and was asked for as ids[i].
 * (2) Memory: one answer (16 MiB and a little) and EXPECT_MAX ids, whatever is read.
 */

#define EXPECT_MAX 4096
#define ANSWER_MAX (RECORD_MAX_BYTES + (size_t)4)
#define PATH_BYTES 96

struct record_far {
	struct record_store store;
	struct http_client *client; /* borrowed */
	char path[PATH_BYTES];
	uint8_t expected[EXPECT_MAX][32];
	size_t expected_count;
	uint8_t ids[MSG_READ_IDS][32];
	struct {
		size_t offset, len;
	} at[MSG_READ_IDS];
	size_t count, next; /* in the window; next: where the coming id most likely is */
	struct buf window;
};

/* The record of ${id} in the window, or count. */
static size_t find(const struct record_far *r, const uint8_t id[32])
{
	for (size_t i = 0; i < r->count; i++) {
		size_t k = (r->next + i) % r->count;
		if (memcmp(r->ids[k], id, 32) == 0)
			return k;
	}
	return r->count;
}

/* What to ask for: ${id} and what is expected behind it. */
static size_t choose(struct record_far *r, const uint8_t id[32])
{
	size_t n = 1;
	size_t i = 0;
	memcpy(r->ids[0], id, 32);
	while (i < r->expected_count && memcmp(r->expected[i], id, 32) != 0)
		i++;
	if (i == r->expected_count)
		return 1;
	for (i++; i < r->expected_count && n < MSG_READ_IDS; i++)
		memcpy(r->ids[n++], r->expected[i], 32);
	return n;
}

/* Find the records in the answer to ${asked} ids. */
static int split(struct record_far *r, size_t asked, struct err *err)
{
	const uint8_t *p = r->window.data;
	const uint8_t *cr;
	size_t left = r->window.len;
	size_t len;
	size_t count = 0;
	int rc;
	while ((rc = msg_vault_records_next(&p, &left, &cr, &len, err)) == 1) {
		if (count == asked)
			return err_set(err, ERR_CORRUPT,
				"the controller sent more records than were asked for");
		r->at[count].offset = (size_t)(cr - r->window.data);
		r->at[count++].len = len;
	}
	if (rc == 0 && count == 0)
		rc = err_set(err, ERR_CORRUPT, "the controller sent no record");
	if (rc == 0)
		r->count = count;
	return rc;
}

static int fill(struct record_far *r, const uint8_t id[32], struct err *err)
{
	r->count = 0;
	r->next = 0;
	buf_clear(&r->window);
	size_t asked = choose(r, id);
	struct http_call call = { .method = HTTP_POST,
		.path = r->path,
		.type = "application/octet-stream",
		.body = r->ids,
		.len = asked * sizeof(r->ids[0]),
		.max_answer = ANSWER_MAX };
	int rc = http_client_call(r->client, &call, NULL, &r->window, err);
	return rc != 0 ? rc : split(r, asked, err);
}

static int get(void *self, const uint8_t id[32], struct buf *cr, struct err *err)
{
	struct record_far *r = self;
	size_t i = find(r, id);
	if (i == r->count) {
		int rc = fill(r, id, err);
		if (rc != 0)
			return rc;
		i = 0;
	}
	int rc = buf_add(cr, r->window.data + r->at[i].offset, r->at[i].len, err);
	if (rc != 0)
		return rc;
	r->next = i + 1;
	return 0;
}

static void expect(void *self, const uint8_t (*ids)[32], size_t count)
{
	struct record_far *r = self;
	r->expected_count = count < EXPECT_MAX ? count : EXPECT_MAX;
	memcpy(r->expected, ids, r->expected_count * sizeof(*ids));
}

int record_far_new(
	struct http_client *client, const char *grant, struct record_far **out, struct err *err)
{
	if (strlen(grant) != MSG_ID_HEX - 1 || strspn(grant, "0123456789abcdef") != MSG_ID_HEX - 1)
		return err_set(err, ERR_USAGE, "'%s' is no grant", grant);
	struct record_far *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->store = (struct record_store){ .self = r, .get = get, .expect = expect };
	r->client = client;
	r->window = (struct buf)BUF_INIT(ANSWER_MAX);
	(void)snprintf(r->path, sizeof(r->path), "/v1/grants/%s/records", grant); /* fits */
	*out = r;
	return 0;
}

void record_far_free(struct record_far *r)
{
	if (r == NULL)
		return;
	buf_done(&r->window);
	free(r);
}

const struct record_store *record_far_store(struct record_far *r)
{
	return &r->store;
}
