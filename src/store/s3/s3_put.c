#include "store/s3/s3_put.h"

#include <string.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) Success means: the server has said that these bytes are under this name.
 * (2) Nothing is written over a name that was seen with other content.
 */

static void set_read(struct s3_put *p, enum s3_put_step step)
{
	p->step = step;
	p->call.method = S3_WIRE_GET;
	p->call.is_compared = true;
	p->call.header_count = 0;
}

static void add_header(struct s3_put *p, const char *name, const char *value)
{
	p->call.headers[p->call.header_count++] = (struct s3_sign_header){ name, value };
}

static void set_write(struct s3_put *p)
{
	p->step = S3_PUT_WRITE;
	p->call.method = S3_WIRE_PUT;
	p->call.is_compared = false;
	p->call.header_count = 0;
	if (p->is_conditional)
		add_header(p, "if-none-match", "*");
	if (p->lock_mode != NULL) {
		add_header(p, "x-amz-object-lock-mode", p->lock_mode);
		add_header(p, "x-amz-object-lock-retain-until-date", p->lock_until);
	}
}

/* It was read: is it ours? */
static void decide(struct s3_wire_call *call)
{
	if (!call->is_same)
		call->rc = err_set(&call->err, ERR_EXISTS, "the name is taken by other content");
}

/* What comes after a PUT. */
static bool after_write(struct s3_put *p)
{
	struct s3_wire_call *call = &p->call;
	if (!p->is_conditional || (call->rc != -ERR_EXISTS && call->rc != -ERR_UNSUPPORTED))
		return false;
	if (call->rc == -ERR_EXISTS) {
		set_read(p, S3_PUT_CHECK);
		return true;
	}
	p->is_conditional = false;
	p->is_condition_refused = true;
	set_read(p, S3_PUT_LOOK);
	return true;
}

static bool next(struct s3_wire_call *call)
{
	struct s3_put *p = (struct s3_put *)(void *)call; /* its first member */
	if (p->step == S3_PUT_WRITE)
		return after_write(p);
	if (call->rc == 0) {
		decide(call);
		return false;
	}
	if (call->rc != -ERR_NOT_FOUND)
		return false;
	if (p->step == S3_PUT_LOOK) {
		set_write(p);
		return true;
	}
	call->rc = err_set(
		&call->err, ERR_BUSY, "another writer took the name and gave it back meanwhile");
	return false;
}

/* A PUT without a condition may have been done although its answer was lost: look, so that no
 * second version is made. */
static void again(struct s3_wire_call *call)
{
	struct s3_put *p = (struct s3_put *)(void *)call; /* its first member */
	if (p->step != S3_PUT_WRITE || p->is_conditional)
		return;
	set_read(p, S3_PUT_LOOK);
	call->got = 0;
	call->etag[0] = '\0';
}

void s3_put_init(
	struct s3_put *p, const char *key, const void *data, size_t len, bool is_conditional)
{
	memset(p, 0, sizeof(*p));
	p->call.key = key;
	p->call.body = data;
	p->call.len = len;
	p->call.next = next;
	p->call.again = again;
	p->is_conditional = is_conditional;
	if (is_conditional)
		set_write(p);
	else
		set_read(p, S3_PUT_LOOK);
}

void s3_put_lock(struct s3_put *p, enum store_lock_mode mode, int64_t until_ns)
{
	p->lock_mode = mode == STORE_LOCK_NONE ? NULL : store_lock_word(mode);
	(void)s3_lock_time(until_ns, p->lock_until);
	if (p->step == S3_PUT_WRITE)
		set_write(p);
}

void s3_put_over(struct s3_put *p)
{
	p->is_conditional = false;
	p->call.next = NULL;
	p->call.again = NULL; /* a second version of the same bytes does no harm */
	set_write(p);
}
