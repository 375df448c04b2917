#include "store/s3/s3_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/s3/s3_reply.h"
#include "store/s3/s3_wire.h"

#define FIRST_NAMES 1024

/* The names of one page, whole before any of them is told. */
struct page {
	const char *prefix; /* that was asked for, whole */
	size_t own;         /* so much of a key is no name */
	char **names;       /* owned */
	uint64_t *sizes;
	size_t count, cap;
};

static void page_clear(struct page *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->names[i]);
	p->count = 0;
}

static int page_reserve(struct page *p, struct err *err)
{
	if (p->count < p->cap)
		return 0;
	size_t cap = p->cap == 0 ? FIRST_NAMES : 2 * p->cap;
	char **names = reallocarray(p->names, cap, sizeof(*names));
	if (names != NULL)
		p->names = names;
	uint64_t *sizes = reallocarray(p->sizes, cap, sizeof(*sizes));
	if (sizes != NULL)
		p->sizes = sizes;
	if (names == NULL || sizes == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a list");
	p->cap = cap;
	return 0;
}

static int page_add(void *arg, const char *key, uint64_t size, struct err *err)
{
	struct page *p = arg;
	if (strncmp(key, p->prefix, strlen(p->prefix)) != 0)
		return err_set(err, ERR_CORRUPT, "the server lists what was not asked for");
	const char *name = key + p->own;
	if (!store_is_valid_name(name))
		return 0; /* the driver's own, or somebody else's */
	int rc = page_reserve(p, err);
	if (rc != 0)
		return rc;
	p->names[p->count] = strdup(name);
	if (p->names[p->count] == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for a list");
	p->sizes[p->count++] = size;
	return 0;
}

/* Ask for the page behind ${next->token}, or for the first one. */
static int ask_page(struct s3_wire *w, struct page *p, struct s3_reply_page *next, struct err *err)
{
	CLEANUP(buf_done) struct buf answer = BUF_INIT(S3_WIRE_MAX_ANSWER_BYTES);
	const char *token = next->token.len == 0 ? NULL : buf_cstr(&next->token);
	struct s3_wire_call call = { .method = S3_WIRE_GET,
		.query = { { "list-type", "2" }, { "encoding-type", "url" },
			{ "prefix", p->prefix }, { "continuation-token", token } },
		.query_count = token == NULL ? 3 : 4,
		.answer = &answer };
	int rc = s3_wire_run(w, &call, err);
	page_clear(p);
	return rc == 0 ? s3_reply_list(answer.data, answer.len, page_add, p, next, err) : rc;
}

static int tell_page(const struct page *p, store_list_fn fn, void *arg)
{
	for (size_t i = 0; i < p->count; i++) {
		int rc = fn(arg, p->names[i], p->sizes[i]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int s3_list_each(struct s3_wire *w, const char *own, const char *whole, store_list_fn fn, void *arg,
	struct err *err)
{
	struct page p = { .prefix = whole, .own = strlen(own) };
	struct s3_reply_page next = { .token = BUF_INIT(S3_REPLY_MAX_TOKEN_BYTES) };
	int rc = 0;
	do {
		rc = ask_page(w, &p, &next, err);
		if (rc == 0)
			rc = tell_page(&p, fn, arg);
	} while (rc == 0 && next.is_truncated);
	page_clear(&p);
	free(p.names);
	free(p.sizes);
	buf_done(&next.token);
	return rc;
}
