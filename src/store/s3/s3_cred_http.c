#include "store/s3/s3_cred_http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "store/s3/s3_cred.h"
#include "store/s3/s3_uri.h"
#include "store/s3/s3_xml.h"

/*
 * INVARIANTS
 * (1) No text quotes an answer or a token.
 * (2) No redirect is followed: a key goes to who was asked for it, or to nobody.
 */

#define METADATA "http://169.254.169.254"
#define ROLES "/latest/meta-data/iam/security-credentials/"
#define SESSION_NAME "holdfast"

struct question {
	const char *method; /* NULL = GET */
	const char *url;
	const char *header; /* one more, or NULL */
	const char *form;   /* the body of a POST, or NULL */
};

static size_t on_answer(char *data, size_t size, size_t count, void *arg)
{
	return buf_add(arg, data, size * count, NULL) == 0 ? size * count : 0;
}

static void free_headers(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static void free_easy(CURL **easy)
{
	if (*easy != NULL)
		curl_easy_cleanup(*easy);
}

/* One request; its answer's body, appended to ${out}, and *${status} (0 = none came). */
static int ask(const struct question *q, struct buf *out, long *status, struct err *err)
{
	CLEANUP(free_easy) CURL *e = curl_easy_init();
	CLEANUP(free_headers) struct curl_slist *headers = NULL;
	if (q->header != NULL)
		headers = curl_slist_append(NULL, q->header);
	if (e == NULL || (q->header != NULL && headers == NULL) ||
		buf_reserve(out, S3_CRED_MAX_BYTES - out->len, NULL) != 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	CURLcode bad = CURLE_OK;
#define SET(option, value) bad = bad != CURLE_OK ? bad : curl_easy_setopt(e, option, value)
	SET(CURLOPT_URL, q->url);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	if (strncmp(q->url, "http://", 7) == 0)
		SET(CURLOPT_PROXY, ""); /* a neighbour: never by way of somebody else */
	SET(CURLOPT_CONNECTTIMEOUT_MS, S3_CRED_HTTP_CONNECT_MS);
	SET(CURLOPT_TIMEOUT_MS, S3_CRED_HTTP_TOTAL_MS);
	SET(CURLOPT_HTTPHEADER, headers);
	if (q->form != NULL)
		SET(CURLOPT_POSTFIELDS, q->form);
	if (q->method != NULL)
		SET(CURLOPT_CUSTOMREQUEST, q->method);
	SET(CURLOPT_WRITEFUNCTION, on_answer);
	SET(CURLOPT_WRITEDATA, out);
#undef SET
	*status = 0;
	CURLcode code = bad == CURLE_OK ? curl_easy_perform(e) : bad;
	if (code != CURLE_OK)
		return err_set(err, ERR_AUTH, "%s", curl_easy_strerror(code));
	(void)curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, status); /* stays 0 */
	return 0;
}

/* As ask(); any status but 200 is -ERR_AUTH. */
static int ask_well(const struct question *q, struct buf *out, struct err *err)
{
	long status = 0;
	int rc = ask(q, out, &status, err);
	if (rc == 0 && status != 200)
		rc = err_set(err, ERR_AUTH, "it answers %ld", status);
	return rc;
}

static const char *setting(const char *name)
{
	const char *value = getenv(name); // NOLINT(concurrency-mt-unsafe)
	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The header that carries the session of IMDSv2 in ${out}, or nothing where the host has only v1.
 */
static int begin_session(const char *base, struct buf *out, struct err *err)
{
	CLEANUP(cleanup_free_p) char *url = NULL;
	CLEANUP(buf_wipe) struct buf token = BUF_INIT(S3_CRED_MAX_BYTES);
	if (asprintf(&url, "%s/latest/api/token", base) < 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct question q = {
		.method = "PUT", .url = url, .header = "X-aws-ec2-metadata-token-ttl-seconds: 21600"
	};
	long status = 0;
	int rc = ask(&q, &token, &status, err);
	if (rc != 0)
		return rc;
	if (status == 403 || status == 404 || status == 405)
		return 0; /* refused: version 1 */
	if (status != 200)
		return err_set(err, ERR_AUTH, "it answers %ld to a new session", status);
	return buf_addf(out, err, "X-aws-ec2-metadata-token: %.*s", (int)token.len,
		(const char *)token.data);
}

/* What is at ${base}${path}${name}. */
static int ask_metadata(
	const char *base, const char *name, struct buf *session, struct buf *out, struct err *err)
{
	CLEANUP(cleanup_free_p) char *url = NULL;
	if (asprintf(&url, "%s" ROLES "%s", base, name) < 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct question q = { .url = url, .header = session->len == 0 ? NULL : buf_cstr(session) };
	return ask_well(&q, out, err);
}

int s3_cred_http_instance(struct s3_cred_key *out, struct err *err)
{
	const char *base = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	base = base == NULL ? METADATA : base;
	CLEANUP(buf_wipe) struct buf session = BUF_INIT(S3_CRED_MAX_BYTES);
	CLEANUP(buf_done) struct buf role = BUF_INIT(S3_CRED_MAX_BYTES);
	CLEANUP(buf_wipe) struct buf json = BUF_INIT(S3_CRED_MAX_BYTES);
	int rc = begin_session(base, &session, err);
	if (rc == 0)
		rc = ask_metadata(base, "", &session, &role, err);
	const char *name = rc == 0 ? buf_cstr(&role) : NULL;
	if (rc == 0 && name == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0 && strcspn(name, " \r\n") == 0)
		rc = err_set(err, ERR_AUTH, "this host has no role");
	if (rc == 0) {
		role.data[strcspn(name, " \r\n")] = '\0';
		rc = ask_metadata(base, name, &session, &json, err);
	}
	if (rc == 0)
		rc = s3_cred_from_json(json.data, json.len, out, err);
	return rc == 0 ? 0 : err_wrap(err, "the metadata service of this host");
}

/* Append the first line of a file. */
static int add_line_of(const char *path, struct buf *out, struct err *err)
{
	int rc = buf_reserve(out, S3_CRED_MAX_BYTES - out->len, err);
	if (rc == 0)
		rc = fdio_read_file(AT_FDCWD, path, out, err);
	while (rc == 0 && out->len > 0 && strchr("\r\n \t", out->data[out->len - 1]) != NULL)
		out->len--;
	return rc;
}

int s3_cred_http_container(struct s3_cred_key *out, struct err *err)
{
	const char *url = setting("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const char *path = setting("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = setting("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	if (url == NULL)
		return err_set(err, ERR_NOT_FOUND, "no service of a container is named");
	CLEANUP(buf_wipe) struct buf header = BUF_INIT(S3_CRED_MAX_BYTES);
	CLEANUP(buf_wipe) struct buf json = BUF_INIT(S3_CRED_MAX_BYTES);
	int rc = 0;
	if (path != NULL || token != NULL)
		rc = buf_addf(&header, err, "Authorization: %s", path != NULL ? "" : token);
	if (rc == 0 && path != NULL)
		rc = add_line_of(path, &header, err);
	struct question q = { .url = url, .header = header.len == 0 ? NULL : buf_cstr(&header) };
	if (rc == 0)
		rc = ask_well(&q, &json, err);
	if (rc == 0)
		rc = s3_cred_from_json(json.data, json.len, out, err);
	if (rc == 0)
		return 0;
	(void)err_wrap(err, "the credentials service of this container");
	return -ERR_AUTH;
}

#define RESULT "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/"

struct assumed {
	struct buf access, secret, token;
	int64_t expires_ns;
};

static int take_assumed(void *arg, const char *path, const char *text, size_t len, struct err *err)
{
	struct assumed *a = arg;
	if (strcmp(path, RESULT "AccessKeyId") == 0)
		return buf_add(&a->access, text, len, err);
	if (strcmp(path, RESULT "SecretAccessKey") == 0)
		return buf_add(&a->secret, text, len, err);
	if (strcmp(path, RESULT "SessionToken") == 0)
		return buf_add(&a->token, text, len, err);
	if (strcmp(path, RESULT "Expiration") == 0)
		a->expires_ns = s3_cred_time(text);
	return 0;
}

static int read_assumed(const struct buf *xml, struct s3_cred_key *out, struct err *err)
{
	struct assumed a = { .access = BUF_INIT(4096),
		.secret = BUF_INIT(4096),
		.token = BUF_INIT(S3_XML_MAX_TEXT_BYTES) };
	int rc = s3_xml_walk(xml->data, xml->len, take_assumed, &a, err);
	if (rc == 0 && (a.access.len == 0 || a.secret.len == 0 || a.token.len == 0))
		rc = err_set(err, ERR_AUTH, "its answer holds no key");
	if (rc == 0)
		rc = s3_cred_key_set(
			out, buf_cstr(&a.access), buf_cstr(&a.secret), buf_cstr(&a.token), err);
	if (rc == 0)
		out->expires_ns = a.expires_ns;
	buf_done(&a.access);
	buf_wipe(&a.secret);
	buf_wipe(&a.token);
	return rc;
}

/* The form that asks for a key, with the token that is in the file now. */
static int make_form(const char *path, const char *role, struct buf *form, struct err *err)
{
	CLEANUP(buf_wipe) struct buf token = BUF_INIT(S3_CRED_MAX_BYTES / 4);
	const char *session = setting("AWS_ROLE_SESSION_NAME");
	int rc = buf_reserve(form, S3_CRED_MAX_BYTES, err);
	if (rc == 0)
		rc = buf_reserve(&token, token.max, err);
	if (rc == 0)
		rc = fdio_read_file(AT_FDCWD, path, &token, err);
	while (rc == 0 && token.len > 0 && strchr("\r\n \t", token.data[token.len - 1]) != NULL)
		token.len--;
	session = session == NULL ? SESSION_NAME : session;
	if (rc == 0)
		rc = buf_addf(form, err,
			"Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
			"&RoleSessionName=");
	if (rc == 0)
		rc = s3_uri_encode(session, strlen(session), false, form, err);
	if (rc == 0)
		rc = buf_addf(form, err, "&RoleArn=");
	if (rc == 0)
		rc = s3_uri_encode(role, strlen(role), false, form, err);
	if (rc == 0)
		rc = buf_addf(form, err, "&WebIdentityToken=");
	return rc == 0 ? s3_uri_encode((const char *)token.data, token.len, false, form, err) : rc;
}

int s3_cred_http_web_identity(struct s3_cred_key *out, struct err *err)
{
	const char *path = setting("AWS_WEB_IDENTITY_TOKEN_FILE");
	const char *role = setting("AWS_ROLE_ARN");
	const char *endpoint = setting("AWS_ENDPOINT_URL_STS");
	const char *region = setting("AWS_REGION");
	if (path == NULL || role == NULL)
		return err_set(err, ERR_NOT_FOUND, "no web identity is named");
	CLEANUP(cleanup_free_p) char *url = NULL;
	CLEANUP(buf_wipe) struct buf form = BUF_INIT(S3_CRED_MAX_BYTES);
	CLEANUP(buf_wipe) struct buf xml = BUF_INIT(S3_CRED_MAX_BYTES);
	int n = endpoint != NULL ? asprintf(&url, "%s", endpoint)
				 : asprintf(&url, "https://sts.%s%samazonaws.com/",
					   region == NULL ? "" : region, region == NULL ? "" : ".");
	if (n < 0)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = make_form(path, role, &form, err);
	struct question q = { .url = url, .form = rc == 0 ? buf_cstr(&form) : NULL };
	if (rc == 0)
		rc = ask_well(&q, &xml, err);
	if (rc == 0)
		rc = read_assumed(&xml, out, err);
	if (rc == 0)
		return 0;
	(void)err_wrap(err, "the web identity in '%s'", path);
	return -ERR_AUTH;
}
