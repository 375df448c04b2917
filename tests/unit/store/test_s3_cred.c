/* Credentials from all the places they may lie in; the services of a platform are a thread here. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "store/s3/s3_cred.h"
#include "store/s3/s3_cred_file.h"
#include "store/s3/s3_cred_http.h"
#include "store/s3/s3_cred_process.h"
#include "tests/lib/store_scratch.h"

#define NS_PER_S INT64_C(1000000000)

static struct err err;
static char path[600];

/* A file of the scratch directory. */
static const char *write_file(const char *name, const char *text)
{
	static const char *dir;
	if (dir == NULL)
		dir = store_scratch_new();
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	cr_assert(f != NULL);
	cr_assert(eq(int, fputs(text, f) >= 0, 1));
	cr_assert(eq(int, fclose(f), 0));
	return path;
}

static void setup(void)
{
	static const char *const names[] = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL_STS",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	setenv("HOME", "/nonexistent", 1);
}

static void done(void)
{
	store_scratch_done();
	env_swap(NULL);
}

TestSuite(s3_cred, .init = setup, .fini = done, .timeout = 60);

static struct s3_cred *make(const char *profile, const char *credentials)
{
	struct s3_cred_opts opts = { .profile = profile, .credentials = credentials };
	struct s3_cred *c = NULL;
	cr_assert(eq(int, s3_cred_new(&opts, &c, &err), 0));
	return c;
}

static void expect(struct s3_cred *c, const char *access, const char *secret, const char *token)
{
	const struct s3_cred_key *k = NULL;
	cr_assert(eq(int, s3_cred_get(c, false, &k, &err), 0), "%s", err.msg);
	cr_expect(eq(str, k->access, (char *)access));
	cr_expect(eq(str, k->secret, (char *)secret));
	cr_expect(eq(str, k->token == NULL ? "" : k->token, (char *)token));
}

static const char two_profiles[] = "# comment\n[default]\naws_access_key_id = A1\r\n"
				   "aws_secret_access_key=s=1+/\n\n[profile other]\n"
				   " nested = x\naws_access_key_id=A2\naws_secret_access_key=s2\n"
				   "aws_session_token = t2\n; end\n";

Test(s3_cred, the_environment_comes_first)
{
	setenv("AWS_SHARED_CREDENTIALS_FILE", write_file("cred", two_profiles), 1);
	setenv("AWS_ACCESS_KEY_ID", "A0", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s0", 1);
	struct s3_cred *c = make(NULL, NULL);
	cr_expect(eq(str, (char *)s3_cred_source(c), ""));
	expect(c, "A0", "s0", "");
	cr_expect(eq(str, (char *)s3_cred_source(c), "environment"));
	s3_cred_free(c);
	setenv("AWS_SESSION_TOKEN", "t0", 1);
	c = make(NULL, NULL);
	expect(c, "A0", "s0", "t0");
	s3_cred_free(c);
	c = make("other", NULL); /* a profile that is named is meant */
	expect(c, "A2", "s2", "t2");
	s3_cred_free(c);
}

Test(s3_cred, a_file_has_profiles)
{
	setenv("AWS_SHARED_CREDENTIALS_FILE", write_file("cred", two_profiles), 1);
	struct s3_cred *c = make(NULL, NULL);
	expect(c, "A1", "s=1+/", "");
	cr_expect(eq(str, (char *)s3_cred_source(c), "credentials file"));
	s3_cred_free(c);
	setenv("AWS_PROFILE", "other", 1);
	c = make(NULL, NULL);
	expect(c, "A2", "s2", "t2");
	s3_cred_free(c);
	c = make("default", write_file("cred2", "[default]\naws_access_key_id=A3\n"
						"aws_secret_access_key=s3\n"));
	expect(c, "A3", "s3", "");
	s3_cred_free(c);
}

Test(s3_cred, a_file_that_is_no_good_is_named_and_not_quoted)
{
	static const struct {
		const char *text;
		int rc;
	} cases[] = { { "[default]\nverysecret\n", -ERR_CONFIG },
		{ "[else]\naws_access_key_id=A\n", -ERR_CONFIG }, { "", -ERR_CONFIG },
		{ "[default]\naws_access_key_id=A verysecret\naws_secret_access_key=x\n",
			-ERR_CONFIG },
		{ "[default]\naws_access_key_id=verysecret\n", -ERR_CONFIG } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct s3_cred_key *k = NULL;
		struct s3_cred *c = make(NULL, write_file("cred", cases[i].text));
		cr_expect(
			eq(int, s3_cred_get(c, false, &k, &err), cases[i].rc), "%s", cases[i].text);
		cr_expect(ne(ptr, strstr(err.msg, path), NULL), "%s", err.msg);
		cr_expect(eq(ptr, strstr(err.msg, "verysecret"), NULL), "%s", err.msg);
		s3_cred_free(c);
	}
	struct s3_cred *c = make(NULL, "/nonexistent/file");
	const struct s3_cred_key *k = NULL;
	cr_expect(eq(int, s3_cred_get(c, false, &k, &err), -ERR_CONFIG));
	s3_cred_free(c);
}

Test(s3_cred, nothing_anywhere_is_said_with_what_to_do)
{
	const struct s3_cred_key *k = NULL;
	struct s3_cred *c = make(NULL, NULL);
	cr_expect(eq(int, s3_cred_get(c, false, &k, &err), -ERR_AUTH));
	cr_expect(eq(str, err.msg, "there are no credentials for the object store"));
	cr_expect(ne(ptr, strstr(err.hint, "AWS_ACCESS_KEY_ID"), NULL));
	s3_cred_free(c);
}

Test(s3_cred, a_program_may_know_the_key)
{
	char text[1400];
	const char *program =
		write_file("prog", "#!/bin/sh\necho \"{\\\"Version\\\":1,"
				   "\\\"AccessKeyId\\\":\\\"P$1\\\","
				   "\\\"SecretAccessKey\\\":\\\"$2\\\","
				   "\\\"SessionToken\\\":\\\"pt\\\","
				   "\\\"Expiration\\\":\\\"2999-01-01T00:00:00Z\\\"}\"\n");
	cr_assert(eq(int, chmod(program, 0700), 0));
	(void)snprintf(
		text, sizeof(text), "[default]\ncredential_process = \"%s\" 1 'a b'\n", program);
	struct s3_cred_key k = { .access = NULL };
	char command[700];
	(void)snprintf(command, sizeof(command), "\"%s\" 1 x", program);
	cr_assert(eq(int, s3_cred_process_run(command, &k, &err), 0), "%s", err.msg);
	cr_expect(eq(str, k.access, "P1"));
	cr_expect(ge(i64, k.expires_ns, 1));
	s3_cred_key_done(&k);
	struct s3_cred *c = make(NULL, write_file("cred", text));
	const struct s3_cred_key *got = NULL;
	cr_assert(eq(int, s3_cred_get(c, false, &got, &err), 0), "%s", err.msg);
	cr_expect(eq(str, got->secret, "a b"));
	s3_cred_free(c);
	static const char *const bad[] = { "", "relative", "/bin/false", "/nonexistent/x",
		"/bin/echo 'open", "/bin/echo {\"AccessKeyId\":\"verysecret\"}",
		"/bin/echo verysecret" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect(
			eq(int, s3_cred_process_run(bad[i], &k, &err), -ERR_CONFIG), "%s", bad[i]);
		cr_expect(eq(ptr, strstr(err.msg, "verysecret"), NULL), "%s", err.msg);
	}
}

Test(s3_cred, json_and_times_are_read_strictly)
{
	struct s3_cred_key k = { .access = NULL };
	static const char good[] = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\","
				   "\"Token\":\"t\",\"Expiration\":\"2026-11-27T02:00:00.123Z\"}";
	cr_assert(eq(int, s3_cred_from_json(good, strlen(good), &k, &err), 0));
	cr_expect(eq(i64, k.expires_ns, INT64_C(1795744800) * NS_PER_S));
	cr_expect(eq(str, k.token, "t"));
	s3_cred_key_done(&k);
	static const char *const bad[] = { "", "[]", "{}", "{\"AccessKeyId\":\"A\"}",
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expiration\":\"soon\"}",
		"{\"AccessKeyId\":\"\",\"SecretAccessKey\":\"s\"}",
		"{\"AccessKeyId\":\"A\\nX: y\",\"SecretAccessKey\":\"s\"}" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect(eq(int, s3_cred_from_json(bad[i], strlen(bad[i]), &k, &err), -ERR_CONFIG),
			"%s", bad[i]);
		s3_cred_key_done(&k);
	}
	cr_expect(eq(i64, s3_cred_time("2026-11-27 02:00:00Z"), 0));
	cr_expect(eq(i64, s3_cred_time("2026-11-27T02:00:00+01:00"), 0));
}

/* ---- services -------------------------------------------------------------------------------- */

/* Answers requests one after the other with what on_request says; "" = 404. */
static struct service {
	int fd, port;
	pthread_t thread;
	const char *(*on_request)(const char *head, const char *body);
	int requests;
	char heads[8][2048], bodies[8][4096];
} service;

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept(service.fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		char text[8192] = "";
		size_t got = 0;
		const char *end = NULL;
		const char *length = NULL;
		for (;;) {
			ssize_t n = recv(fd, text + got, sizeof(text) - 1 - got, 0);
			if (n <= 0)
				break;
			got += (size_t)n;
			end = strstr(text, "\r\n\r\n");
			length = strstr(text, "Content-Length: ");
			if (end != NULL &&
				(length == NULL || got - (size_t)(end + 4 - text) >=
							   strtoul(length + 16, NULL, 10)))
				break;
		}
		int i = service.requests++ % 8;
		(void)snprintf(service.heads[i], sizeof(service.heads[i]), "%s", text);
		(void)snprintf(service.bodies[i], sizeof(service.bodies[i]), "%s",
			end == NULL ? "" : end + 4);
		const char *answer = service.on_request(service.heads[i], service.bodies[i]);
		char reply[4096];
		int n = snprintf(reply, sizeof(reply),
			"HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			answer[0] == '\0' ? "404 No" : "200 OK", strlen(answer), answer);
		(void)!send(fd, reply, (size_t)n, MSG_NOSIGNAL);
		close(fd);
	}
}

static void serve_with(const char *(*on_request)(const char *head, const char *body))
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	service.on_request = on_request;
	service.fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(eq(int, bind(service.fd, (struct sockaddr *)&at, sizeof(at)), 0));
	cr_assert(eq(int, listen(service.fd, 8), 0));
	cr_assert(eq(int, getsockname(service.fd, (struct sockaddr *)&at, &len), 0));
	service.port = ntohs(at.sin_port);
	cr_assert(eq(int, pthread_create(&service.thread, NULL, serve, NULL), 0));
}

static void stop_serving(void)
{
	shutdown(service.fd, SHUT_RDWR);
	pthread_join(service.thread, NULL);
	close(service.fd);
}

static void set_url(const char *name, const char *rest)
{
	char url[128];
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", service.port, rest);
	setenv(name, url, 1);
}

static const char *instance(const char *head, const char *body)
{
	(void)body;
	if (strstr(head, "PUT /latest/api/token") == head)
		return strstr(head, "token-ttl-seconds: 21600") != NULL ? "session-1" : "";
	if (strstr(head, "X-aws-ec2-metadata-token: session-1") == NULL)
		return "";
	if (strstr(head, "/security-credentials/plant ") != NULL)
		return "{\"Code\":\"Success\",\"AccessKeyId\":\"I1\",\"SecretAccessKey\":\"is\","
		       "\"Token\":\"it\",\"Expiration\":\"2999-01-01T00:00:00Z\"}";
	return strstr(head, "/security-credentials/ ") != NULL ? "plant\n" : "";
}

Test(s3_cred, a_host_knows_its_key_by_a_session)
{
	serve_with(instance);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
	struct s3_cred *c = make(NULL, "imds");
	expect(c, "I1", "is", "it");
	cr_expect(eq(int, service.requests, 3));
	expect(c, "I1", "is", "it");
	cr_expect(eq(int, service.requests, 3), "it is kept");
	s3_cred_free(c);
	stop_serving();
}

static const char *old_instance(const char *head, const char *body)
{
	(void)body;
	if (strstr(head, "PUT ") == head)
		return "";
	cr_assert(eq(ptr, strstr(head, "metadata-token"), NULL));
	return strstr(head, "/security-credentials/plant ") != NULL
		       ? "{\"AccessKeyId\":\"I0\",\"SecretAccessKey\":\"is\"}"
		       : "plant";
}

Test(s3_cred, a_host_that_refuses_sessions_is_asked_without)
{
	serve_with(old_instance);
	set_url("AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
	struct s3_cred *c = make(NULL, NULL);
	expect(c, "I0", "is", "");
	s3_cred_free(c);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	c = make(NULL, NULL);
	const struct s3_cred_key *k = NULL;
	cr_expect(eq(int, s3_cred_get(c, false, &k, &err), -ERR_AUTH));
	s3_cred_free(c);
	stop_serving();
}

static const char *sts(const char *head, const char *body)
{
	(void)head;
	return strstr(body, "&WebIdentityToken=jwt%2Fone%3D") == NULL &&
			       strstr(body, "&WebIdentityToken=jwt2") == NULL
		       ? ""
		       : "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts/\">"
			 "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>W1"
			 "</AccessKeyId><SecretAccessKey>ws</SecretAccessKey><SessionToken>wt"
			 "</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>"
			 "</Credentials></AssumeRoleWithWebIdentityResult>"
			 "</AssumeRoleWithWebIdentityResponse>";
}

Test(s3_cred, a_web_identity_is_exchanged_and_its_file_read_each_time)
{
	serve_with(sts);
	set_url("AWS_ENDPOINT_URL_STS", "/");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write_file("jwt", "jwt/one=\n"), 1);
	setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/plant", 1);
	struct s3_cred *c = make(NULL, NULL);
	expect(c, "W1", "ws", "wt");
	cr_expect(ne(ptr,
		strstr(service.bodies[0], "RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fplant"), NULL));
	(void)write_file("jwt", "jwt2");
	const struct s3_cred_key *k = NULL;
	cr_expect(eq(int, s3_cred_get(c, true, &k, &err), 0), "%s", err.msg);
	cr_expect(ne(ptr, strstr(service.bodies[1], "WebIdentityToken=jwt2"), NULL));
	(void)write_file("jwt", "verysecret");
	cr_expect(eq(int, s3_cred_get(c, true, &k, &err), -ERR_AUTH));
	cr_expect(eq(ptr, strstr(err.msg, "verysecret"), NULL), "%s", err.msg);
	s3_cred_free(c);
	stop_serving();
}

static const char *container(const char *head, const char *body)
{
	(void)body;
	return strstr(head, "Authorization: bearer-1") == NULL
		       ? ""
		       : "{\"AccessKeyId\":\"C1\",\"SecretAccessKey\":\"cs\",\"Token\":\"ct\"}";
}

Test(s3_cred, a_container_has_a_service)
{
	serve_with(container);
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/creds");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write_file("token", "bearer-1\n"), 1);
	struct s3_cred *c = make(NULL, NULL);
	expect(c, "C1", "cs", "ct");
	s3_cred_free(c);
	stop_serving();
}

static int keys_given;
static bool is_service_down;

static const char *short_lived(const char *head, const char *body)
{
	static char text[256];
	(void)head;
	(void)body;
	if (is_service_down)
		return "";
	(void)snprintf(text, sizeof(text),
		"{\"AccessKeyId\":\"K%d\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","
		"\"Expiration\":\"2026-11-27T0%d:00:00Z\"}",
		keys_given, 3 + keys_given);
	keys_given++;
	return text;
}

static int64_t fake_now_ns, fake_mono_ns;
static struct env_ops ops;

static int64_t fake_now(void)
{
	return fake_now_ns;
}

static int64_t fake_mono(void)
{
	return fake_mono_ns;
}

Test(s3_cred, a_key_is_renewed_before_its_end_and_kept_while_it_holds)
{
	serve_with(short_lived);
	set_url("AWS_CONTAINER_CREDENTIALS_FULL_URI", "/");
	ops = *env_real();
	ops.now_ns = fake_now;
	ops.mono_ns = fake_mono;
	fake_now_ns = s3_cred_time("2026-11-27T02:00:00Z");
	fake_mono_ns = NS_PER_S;
	env_swap(&ops);
	struct s3_cred *c = make(NULL, NULL);
	expect(c, "K0", "s", "t"); /* until 03:00 */
	fake_now_ns = s3_cred_time("2026-11-27T02:54:59Z");
	expect(c, "K0", "s", "t");
	is_service_down = true;
	fake_now_ns = s3_cred_time("2026-11-27T02:55:01Z");
	fake_mono_ns += 3600 * NS_PER_S;
	expect(c, "K0", "s", "t"); /* it still holds */
	int asked = service.requests;
	expect(c, "K0", "s", "t");
	cr_expect(eq(int, service.requests, asked), "not asked again at once");
	is_service_down = false;
	fake_mono_ns += 11 * NS_PER_S;
	expect(c, "K1", "s", "t"); /* until 04:00 */
	is_service_down = true;
	fake_now_ns = s3_cred_time("2026-11-27T04:00:01Z");
	const struct s3_cred_key *k = NULL;
	cr_expect(eq(int, s3_cred_get(c, false, &k, &err), -ERR_AUTH));
	s3_cred_free(c);
	stop_serving();
}
