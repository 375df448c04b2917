#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "net/http_server_internal.h"

/*
 * INVARIANTS
 * (1) A request lives from its whole head to its reply, whatever its connection does.
 * (2) What it holds of the server's budget, and its body, it gives back at its end. (3) No text of
 * a reply's header holds a control character: nobody can add a line by a value.
 */

#define EXTRA_MAX_BYTES ((size_t)16 << 10)
#define SPARE_MIN_BYTES ((size_t)256 << 10) /* shorter ones have memory of the heap */
/* Mapped, since only what is written to must cost anything: the heap would give used pages. */
#define SPARE_BYTES ((size_t)4 << 20)
#define SPARE_S 10

struct http_request *http_request_new(
	struct http_server *s, const uint8_t *head, size_t len, int *status, const char **why)
{
	struct http_request *r = calloc(1, sizeof(*r));
	char *text = malloc(len + 1);
	*status = 503;
	*why = "out of memory";
	if (r == NULL || text == NULL) {
		free(text);
		free(r);
		return NULL;
	}
	memcpy(text, head, len);
	text[len] = '\0';
	int rc = http_head_parse(text, len, &r->head, why);
	if (rc == 0 && r->head.body_len > s->max_body) {
		*why = "the body is too long";
		rc = 413;
	}
	if (rc != 0) {
		*status = rc;
		free(text);
		free(r);
		return NULL;
	}
	r->text = text;
	r->server = s;
	r->body_len = (size_t)r->head.body_len;
	r->extra = (struct buf)BUF_INIT(EXTRA_MAX_BYTES);
	LIST_INSERT_HEAD(&s->requests, r, link);
	return r;
}

static bool is_spare(const struct http_request *r)
{
	return r->body_len >= SPARE_MIN_BYTES && r->body_len <= SPARE_BYTES;
}

static uint8_t *map_spare(void)
{
	void *at =
		mmap(NULL, SPARE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

bool http_request_make_body(struct http_request *r)
{
	struct http_server *s = r->server;
	if (is_spare(r) && s->spare_count > 0)
		r->body = s->spares[--s->spare_count];
	else if (is_spare(r))
		r->body = map_spare();
	else if (r->body_len > 0)
		r->body = malloc(r->body_len);
	return r->body_len == 0 || r->body != NULL;
}

static void free_body(struct http_request *r)
{
	struct http_server *s = r->server;
	const struct timeval later = { .tv_sec = SPARE_S };
	if (r->body == NULL || !is_spare(r))
		free(r->body);
	else if (s->spare_count == HTTP_SPARES || event_add(s->tidy, &later) != 0)
		(void)munmap(r->body, SPARE_BYTES); /* cannot fail for a whole mapping of ours */
	else
		s->spares[s->spare_count++] = r->body;
}

void http_request_drop_spares(struct http_server *s)
{
	while (s->spare_count > 0)
		(void)munmap(s->spares[--s->spare_count], SPARE_BYTES); /* as above */
}

void http_request_free(struct http_request *r)
{
	if (r == NULL)
		return;
	LIST_REMOVE(r, link);
	http_budget_leave(&r->server->budget, &r->claim);
	http_server_admit(r->server);
	while (r->values != NULL) {
		struct http_request_value *v = r->values;
		r->values = v->next;
		free(v);
	}
	buf_done(&r->extra);
	free_body(r);
	free(r->text);
	free(r);
}

enum http_method http_request_method(const struct http_request *r)
{
	return r->head.method;
}

const char *http_request_path(const struct http_request *r)
{
	return r->head.path;
}

const char *http_request_query(struct http_request *r, const char *name)
{
	size_t size = strlen(r->head.query) + 1;
	struct http_request_value *v = malloc(sizeof(*v) + size);
	if (v == NULL)
		return NULL;
	if (!http_head_query(&r->head, name, v->text, size)) {
		free(v);
		return NULL;
	}
	v->next = r->values;
	r->values = v;
	return v->text;
}

const char *http_request_header(const struct http_request *r, const char *name)
{
	return http_head_find(&r->head, name);
}

const uint8_t *http_request_body(const struct http_request *r, size_t *len)
{
	*len = r->body_len;
	return r->body;
}

const struct http_peer *http_request_peer(const struct http_request *r)
{
	return &r->peer;
}

size_t http_request_unread(const struct http_request *r)
{
	return http_conn_unread(r->server, &r->peer);
}

void http_request_on_gone(struct http_request *r, void (*fn)(void *arg), void *arg)
{
	r->gone_fn = fn;
	r->gone_arg = arg;
}

void http_request_add_header(struct http_request *r, const char *name, const char *value)
{
	size_t before = r->extra.len;
	if (buf_addf(&r->extra, NULL, "%s: %s\r\n", name, value) != 0)
		return; /* over 16 KiB of them, or out of memory: the reply is whole without */
	for (size_t i = before; i + 2 < r->extra.len; i++) {
		if (r->extra.data[i] < ' ' || r->extra.data[i] == 0x7f)
			r->extra.data[i] = ' ';
	}
}

void http_request_reply(
	struct http_request *r, int status, const char *type, const void *body, size_t len)
{
	if (r->conn != NULL)
		http_conn_reply(r->conn, status, type, &r->extra, body, len);
	http_request_free(r);
}
