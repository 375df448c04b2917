/*
 * s3_stub_request: a request to the stub as it came over the wire, and whether it may.
 */
#ifndef LIB_S3_STUB_REQUEST_H
#define LIB_S3_STUB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_HEAD 16384
#define MAX_PARAMS 16

struct s3_stub_param {
	char name[64], value[4096];
};

struct s3_stub_request {
	char head[MAX_HEAD];
	char method[16], target[4096], path[4096], query[4096];
	char key[2048]; /* decoded; "" = the bucket */
	struct s3_stub_param params[MAX_PARAMS];
	size_t param_count;
	uint8_t *body;
	size_t len;
};

/* Send all of it; false when the client is gone. */
bool s3_stub_request_send(int fd, const void *data, size_t len);
/* Read one request.  Return false when the client is gone. */
bool s3_stub_request_take(int fd, struct s3_stub_request *r);
/* The value of a header into ${out}, and return it; NULL when there is none. */
const char *s3_stub_request_header(
	const struct s3_stub_request *r, const char *name, char *out, size_t size);
/* The value of a pair of the query; NULL when there is none. */
const char *s3_stub_request_param(const struct s3_stub_request *r, const char *name);
/* Each: NULL when it is good, else the code of the refusal. */
const char *s3_stub_request_signature(const struct s3_stub_request *r);
const char *s3_stub_request_body(const struct s3_stub_request *r);

#endif
