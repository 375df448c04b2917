#include "cmd/remote.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "cmd/paths.h"
#include "cmd/stop.h"
#include "codec/jsonx.h"
#include "net/http_client.h"

#define REMOTE_FILE_MAX 65536
#define REMOTE_ANSWER_MAX ((size_t)32 << 20)
#define REMOTE_RETRY_MS 5000

struct remote {
	struct http_client *client; /* owned */
};

bool remote_is_named(const struct cli *cli)
{
	return cli_text(cli, "server") != NULL;
}

static int need(
	const struct cli *cli, const char *name, const char *env, const char **out, struct err *err)
{
	*out = cli_text(cli, name);
	if (*out != NULL)
		return 0;
	(void)err_set(err, ERR_USAGE, "--%s is needed to ask a controller", name);
	return err_hint(err, "give it, or set %s", env);
}

static bool is_stopped(void *arg)
{
	return stop_is_asked(arg);
}

static int read_token(const char *path, struct buf *out, struct err *err)
{
	int rc = paths_read_secret(path, "token", out, err);
	while (rc == 0 && out->len > 0 &&
		(out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
		out->len--;
	if (rc == 0 && (out->len == 0 || memchr(out->data, '\n', out->len) != NULL))
		rc = err_set(err, ERR_CONFIG, "'%s' holds no token", path);
	return rc;
}

int remote_open(const struct cli *cli, struct remote **out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf token = BUF_INIT(REMOTE_FILE_MAX);
	CLEANUP(buf_done) struct buf ca = BUF_INIT(REMOTE_FILE_MAX);
	const char *server, *token_file, *ca_file;
	int rc = need(cli, "server", "HOLDFAST_SERVER", &server, err);
	if (rc == 0)
		rc = need(cli, "token-file", "HOLDFAST_TOKEN_FILE", &token_file, err);
	if (rc == 0)
		rc = need(cli, "ca", "HOLDFAST_CA", &ca_file, err);
	if (rc == 0)
		rc = read_token(token_file, &token, err);
	if (rc == 0)
		rc = fdio_read_file(AT_FDCWD, ca_file, &ca, err);
	if (rc != 0)
		return rc;
	struct remote *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	const struct http_client_opts opts = { .address = server,
		.ca_pem = buf_cstr(&ca),
		.ca_from = ca_file,
		.bearer = buf_cstr(&token),
		.retry_ms = REMOTE_RETRY_MS,
		.is_stopped = is_stopped };
	rc = http_client_new(&opts, &r->client, err);
	if (rc != 0) {
		free(r);
		return rc;
	}
	*out = r;
	return 0;
}

void remote_close(struct remote *r)
{
	if (r == NULL)
		return;
	http_client_free(r->client);
	free(r);
}

static int ask(struct remote *r, enum http_method method, const char *path, const struct buf *body,
	struct buf *answer, struct err *err)
{
	char full[512];
	int n = snprintf(full, sizeof(full), "/api/v1/%s", path);
	if (n < 0 || (size_t)n >= sizeof(full))
		return err_set(err, ERR_LIMIT, "the request is too long");
	const struct http_call call = { .method = method,
		.path = full,
		.type = body == NULL ? NULL : "application/json",
		.body = body == NULL ? NULL : body->data,
		.len = body == NULL ? 0 : body->len,
		.max_answer = REMOTE_ANSWER_MAX };
	return http_client_call(r->client, &call, NULL, answer, err);
}

int remote_bytes(struct remote *r, const char *path, struct buf *out, struct err *err)
{
	return ask(r, HTTP_GET, path, NULL, out, err);
}

int remote_get(struct remote *r, const char *path, json_t **out, struct err *err)
{
	CLEANUP(buf_done) struct buf answer = BUF_INIT(REMOTE_ANSWER_MAX);
	int rc = ask(r, HTTP_GET, path, NULL, &answer, err);
	return rc != 0 ? rc
		       : jsonx_parse(answer.data, answer.len, "the controller's answer", out, err);
}

int remote_post(
	struct remote *r, const char *path, json_t *take_body, json_t **out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf body = BUF_INIT((size_t)4 << 20);
	CLEANUP(buf_wipe) struct buf answer = BUF_INIT(REMOTE_ANSWER_MAX);
	int rc = take_body == NULL ? err_set(err, ERR_NOMEM, "out of memory")
				   : jsonx_encode(take_body, &body, err);
	json_decref(take_body);
	if (rc == 0)
		rc = ask(r, HTTP_POST, path, &body, &answer, err);
	return rc != 0 ? rc
		       : jsonx_parse(answer.data, answer.len, "the controller's answer", out, err);
}

const char *remote_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	return text == NULL ? "" : text;
}

int64_t remote_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

const char *remote_time(const json_t *o, const char *key, char *out)
{
	int64_t ns;
	if (human_parse_time(remote_text(o, key), &ns) != 0)
		return "-";
	return human_time_local(out, ns);
}

int remote_check_word(const char *text, struct err *err)
{
	static const char fit[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	if (text[0] != '\0' && strspn(text, fit) == strlen(text))
		return 0;
	return err_set(err, ERR_USAGE, "'%s' is no name or id", text);
}
