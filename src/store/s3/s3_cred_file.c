#include "store/s3/s3_cred_file.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "crypto/secret.h"
#include "store/s3/s3_cred.h"
#include "store/s3/s3_cred_process.h"

/*
 * INVARIANTS
 * (1) No error text quotes a line of the file.
 */

static void wipe(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

void s3_cred_file_done(struct s3_cred_file_profile *p)
{
	wipe(p->access);
	wipe(p->secret);
	wipe(p->token);
	wipe(p->process);
	memset(p, 0, sizeof(*p));
}

static void trim(const char **text, size_t *len)
{
	while (*len > 0 && (**text == ' ' || **text == '\t')) {
		++*text;
		--*len;
	}
	while (*len > 0 && strchr(" \t\r", (*text)[*len - 1]) != NULL)
		--*len;
}

static bool is_text(const char *text, size_t len, const char *what)
{
	return strlen(what) == len && memcmp(text, what, len) == 0;
}

/* "[name]" or "[profile name]" */
static bool is_section(const char *line, size_t len, const char *profile)
{
	static const char word[] = "profile";
	const char *name = line + 1;
	size_t n = len - 2;
	trim(&name, &n);
	if (n > sizeof(word) && memcmp(name, word, sizeof(word) - 1) == 0 &&
		(name[sizeof(word) - 1] == ' ' || name[sizeof(word) - 1] == '\t')) {
		name += sizeof(word) - 1;
		n -= sizeof(word) - 1;
		trim(&name, &n);
	}
	return is_text(name, n, profile);
}

static int take_value(struct s3_cred_file_profile *out, const char *name, size_t name_len,
	const char *value, size_t len, struct err *err)
{
	struct {
		const char *name;
		char **place;
	} const known[] = { { "aws_access_key_id", &out->access },
		{ "aws_secret_access_key", &out->secret }, { "aws_session_token", &out->token },
		{ "credential_process", &out->process } };
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!is_text(name, name_len, known[i].name))
			continue;
		wipe(*known[i].place);
		*known[i].place = strndup(value, len);
		if (*known[i].place == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	return 0;
}

static int take_line(struct s3_cred_file_profile *out, const char *line, size_t len,
	unsigned number, struct err *err)
{
	const char *equal = memchr(line, '=', len);
	if (equal == NULL)
		return err_set(
			err, ERR_CONFIG, "line %u is neither a [section] nor name = value", number);
	size_t name_len = (size_t)(equal - line);
	const char *value = equal + 1;
	size_t value_len = len - name_len - 1;
	trim(&line, &name_len);
	trim(&value, &value_len);
	return take_value(out, line, name_len, value, value_len, err);
}

int s3_cred_file_parse(const char *data, size_t len, const char *profile,
	struct s3_cred_file_profile *out, struct err *err)
{
	memset(out, 0, sizeof(*out));
	bool is_inside = false;
	bool is_found = false;
	unsigned number = 0;
	int rc = 0;
	for (const char *at = data; rc == 0 && at < data + len;) {
		const char *end = memchr(at, '\n', len - (size_t)(at - data));
		const char *line = at;
		size_t n = end == NULL ? len - (size_t)(at - data) : (size_t)(end - at);
		at += n + 1;
		number++;
		/* an indented line belongs to a setting that is not ours (s3 = ..) */
		bool is_nested = n > 0 && (*line == ' ' || *line == '\t');
		trim(&line, &n);
		if (n == 0 || *line == '#' || *line == ';' || is_nested)
			continue;
		if (*line == '[' && n > 2 && line[n - 1] == ']') {
			is_inside = is_section(line, n, profile);
			is_found |= is_inside;
		} else if (is_inside) {
			rc = take_line(out, line, n, number, err);
		}
	}
	if (rc == 0 && !is_found)
		rc = err_set(err, ERR_NOT_FOUND, "there is no profile '%s'", profile);
	if (rc != 0)
		s3_cred_file_done(out);
	return rc;
}

static int take_profile(
	const struct s3_cred_file_profile *p, struct s3_cred_key *out, struct err *err)
{
	if (p->access != NULL && p->secret != NULL)
		return s3_cred_key_set(out, p->access, p->secret, p->token, err);
	if (p->process != NULL)
		return s3_cred_process_run(p->process, out, err);
	return err_set(err, ERR_NOT_FOUND,
		"the profile has no aws_access_key_id and "
		"aws_secret_access_key, and no credential_process");
}

int s3_cred_file_read(
	const char *path, const char *profile, struct s3_cred_key *out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf all = BUF_INIT(S3_CRED_MAX_BYTES);
	/* the whole of it at once: a buf that grows would leave copies behind */
	int rc = buf_reserve(&all, S3_CRED_MAX_BYTES, err);
	if (rc == 0)
		rc = fdio_read_file(AT_FDCWD, path, &all, err);
	struct s3_cred_file_profile p = { .access = NULL };
	if (rc == 0)
		rc = s3_cred_file_parse((const char *)all.data, all.len, profile, &p, err);
	if (rc == 0)
		rc = take_profile(&p, out, err);
	s3_cred_file_done(&p);
	return rc == 0 ? 0 : err_wrap(err, "credentials in '%s'", path);
}
