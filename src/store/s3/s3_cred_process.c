#include "store/s3/s3_cred_process.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "store/s3/s3_cred.h"

/*
 * INVARIANTS
 * (1) What the program prints on its standard output is in no text.
 */

struct words {
	char *text; /* owned; the words lie in it, one behind the other */
	const char *at[S3_CRED_PROCESS_MAX_WORDS + 1];
	size_t count;
};

/* Cut ${command} into words.  Return false when quotes do not close or there are too many. */
static bool split(const char *command, struct words *w)
{
	char *to = w->text;
	while (*command != '\0') {
		command += strspn(command, " \t");
		if (*command == '\0')
			break;
		if (w->count == S3_CRED_PROCESS_MAX_WORDS)
			return false;
		w->at[w->count++] = to;
		char quote = '\0';
		for (; *command != '\0' && (quote != '\0' || strchr(" \t", *command) == NULL);
			command++) {
			if (quote == '\0' && (*command == '"' || *command == '\''))
				quote = *command;
			else if (quote != '\0' && *command == quote)
				quote = '\0';
			else
				*to++ = *command;
		}
		if (quote != '\0')
			return false;
		*to++ = '\0';
	}
	w->at[w->count] = NULL;
	return w->count > 0;
}

static int run(const struct words *w, struct s3_cred_key *out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf said = BUF_INIT(S3_CRED_MAX_BYTES);
	CLEANUP(buf_done) struct buf complaint = BUF_INIT(4096);
	struct child_opts opts = { .argv = w->at, .in = CHILD_NULL };
	struct child_end end;
	int rc = buf_reserve(&said, S3_CRED_MAX_BYTES, err);
	if (rc == 0)
		rc = child_run(&opts, S3_CRED_PROCESS_MS, &said, &complaint, &end, err);
	if (rc == 0)
		rc = child_check(&end, "it", &complaint, err);
	if (rc == 0)
		return s3_cred_from_json(said.data, said.len, out, err);
	if (err != NULL)
		err->code = ERR_CONFIG; /* whatever it was, this command has to be looked at */
	return -ERR_CONFIG;
}

int s3_cred_process_run(const char *command, struct s3_cred_key *out, struct err *err)
{
	CLEANUP(cleanup_free_p) char *text = malloc(strlen(command) + 2);
	if (text == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	struct words w = { .text = text };
	if (!split(command, &w) || w.at[0][0] != '/') {
		(void)err_set(err, ERR_CONFIG, "credential_process is no command");
		return err_hint(err, "write the program's whole path, and close every quote");
	}
	int rc = run(&w, out, err);
	return rc == 0 ? 0 : err_wrap(err, "credential_process '%s'", w.at[0]);
}
