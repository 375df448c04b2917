#include "cmd/passphrase.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/cli.h"
#include "cmd/stop.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "vault/keyring.h"

/*
 * INVARIANTS
 * (1) The terminal echoes again on every way out of a prompt.
 * (2) A passphrase lives in struct secret or in a buffer that is wiped.
 */

#define COMMAND_MAX_WORDS 64
#define COMMAND_MAX_BYTES 4096
/* What keyring_passphrase() writes: groups of these digits, with '-' between. */
#define GENERATED_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#define GENERATED_GROUP 4

#define COMMAND_TIMEOUT_MS 300000 /* it may ask a person or a token */

/* The first line of ${b} as a secret. */
static int take_line(const struct buf *b, const char *from, struct secret *out, struct err *err)
{
	const uint8_t *end = b->len == 0 ? NULL : memchr(b->data, '\n', b->len);
	size_t len = end == NULL ? b->len : (size_t)(end - b->data);
	if (len > 0 && b->data[len - 1] == '\r')
		len--;
	if (len == 0)
		return err_set(err, ERR_USAGE, "the passphrase from %s is empty", from);
	if (len > PASSPHRASE_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "the passphrase from %s is longer than %d bytes",
			from, PASSPHRASE_MAX_BYTES);
	return secret_set(out, b->data, len, err);
}

int passphrase_of_file(const char *path, struct secret *out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf text = BUF_INIT(4 * PASSPHRASE_MAX_BYTES);
	CLEANUP(cleanup_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
			"unable to read the passphrase file '%s'", path);
	int rc = fdio_read_all(fd, &text, err); /* may be a pipe: <(command) */
	if (rc != 0)
		return err_wrap(err, "unable to read the passphrase file '%s'", path);
	return take_line(&text, "the file", out, err);
}

/*
 * Split a command into words as a shell would read plain words: blanks part them, '..' and ".."
 * keep them, a backslash takes the next character.  Nothing is expanded.
 */
static int split(char *text, const char *words[COMMAND_MAX_WORDS + 1], struct err *err)
{
	size_t count = 0;
	char *to = text;
	const char *p = text;
	while (*(p += strspn(p, " \t\n")) != '\0') {
		char quote = 0;
		if (count == COMMAND_MAX_WORDS)
			return err_set(err, ERR_LIMIT, "too many words in the command");
		words[count++] = to;
		for (; *p != '\0' && (quote != 0 || strchr(" \t\n", *p) == NULL); p++) {
			if (quote == 0 && (*p == '\'' || *p == '"'))
				quote = *p;
			else if (quote != 0 && *p == quote)
				quote = 0;
			else if (*p == '\\' && quote != '\'' && p[1] != '\0')
				*to++ = *++p;
			else
				*to++ = *p;
		}
		if (quote != 0)
			return err_set(err, ERR_USAGE, "a quote is not closed in the command");
		p += *p != '\0';
		*to++ = '\0';
	}
	words[count] = NULL;
	return count > 0 ? 0 : err_set(err, ERR_USAGE, "the command is empty");
}

/* The program as a path: names without '/' are looked up in PATH. */
static int find_program(const char *name, char out[PATH_MAX], struct err *err)
{
	const char *path = getenv("PATH");
	if (path == NULL)
		path = "/usr/bin:/bin";
	if (strchr(name, '/') != NULL) {
		if (snprintf(out, PATH_MAX, "%s", name) < PATH_MAX)
			return 0;
		return err_set(err, ERR_LIMIT, "the command's name is too long");
	}
	while (*path != '\0') {
		size_t len = strcspn(path, ":");
		int n = snprintf(out, PATH_MAX, "%.*s/%s", (int)len, path, name);
		if (len > 0 && n < PATH_MAX && access(out, X_OK) == 0)
			return 0;
		path += len;
		path += *path == ':';
	}
	return err_set(err, ERR_NOT_FOUND, "there is no program '%s' in PATH", name);
}

static int of_command(const char *command, struct secret *out, struct err *err)
{
	char text[COMMAND_MAX_BYTES];
	char program[PATH_MAX];
	const char *words[COMMAND_MAX_WORDS + 1];
	CLEANUP(buf_wipe) struct buf said = BUF_INIT(4 * PASSPHRASE_MAX_BYTES);
	CLEANUP(buf_done) struct buf wrong = BUF_INIT(4096);
	struct child_end end;
	if (snprintf(text, sizeof(text), "%s", command) >= COMMAND_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "HOLDFAST_PASSPHRASE_COMMAND is too long");
	int rc = split(text, words, err);
	if (rc == 0)
		rc = find_program(words[0], program, err);
	if (rc == 0) {
		words[0] = program;
		struct child_opts opts = { .argv = words, .in = CHILD_NULL };
		rc = child_run(&opts, COMMAND_TIMEOUT_MS, &said, &wrong, &end, err);
	}
	if (rc == 0)
		rc = child_check(&end, program, &wrong, err);
	if (rc != 0)
		return err_wrap(err, "unable to run HOLDFAST_PASSPHRASE_COMMAND");
	return take_line(&said, "the command", out, err);
}

/* Read one line without echo. */
static int read_hidden(int tty, const char *prompt, struct buf *line, struct err *err)
{
	struct termios old;
	if (tcgetattr(tty, &old) != 0)
		return err_sys(err, ERR_IO, "unable to use the terminal");
	struct termios hidden = old;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hidden.c_lflag |= ECHONL;
	(void)tcsetattr(tty, TCSAFLUSH, &hidden); /* a terminal that echoes still works */
	int rc = 0;
	(void)!write(
		tty, prompt, strlen(prompt)); /* the question shows or not: the answer counts */
	for (;;) {
		char c;
		ssize_t n = read(tty, &c, 1);
		if (n <= 0 || stop_is_asked(NULL)) {
			rc = n == 0 && !stop_is_asked(NULL)
				     ? err_set(err, ERR_USAGE, "no passphrase was typed")
				     : err_set(err, ERR_INTERRUPTED,
					       "the question was interrupted");
			break;
		}
		if (c == '\n')
			break;
		rc = buf_add8(line, (uint8_t)c, err);
		if (rc != 0)
			break;
	}
	(void)tcsetattr(tty, TCSAFLUSH, &old); /* invariant 1; nothing more can be done */
	return rc;
}

static int ask(const char *prompt, struct secret *out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf line = BUF_INIT(PASSPHRASE_MAX_BYTES);
	CLEANUP(cleanup_close_p) int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0) {
		err_set(err, ERR_USAGE,
			"a passphrase is needed and there is no terminal to ask at");
		return err_hint(err, "give --passphrase-file FILE, HOLDFAST_PASSPHRASE_FILE or "
				     "HOLDFAST_PASSPHRASE_COMMAND");
	}
	int rc = read_hidden(tty, prompt, &line, err);
	return rc != 0 ? rc : take_line(&line, "the terminal", out, err);
}

bool passphrase_is_given(const struct cli *cli)
{
	const char *command = getenv("HOLDFAST_PASSPHRASE_COMMAND");
	return cli_text(cli, "passphrase-file") != NULL || (command != NULL && *command != '\0');
}

int passphrase_get(const struct cli *cli, struct secret *out, struct err *err)
{
	const char *file = cli_text(cli, "passphrase-file");
	const char *command = getenv("HOLDFAST_PASSPHRASE_COMMAND");
	if (file != NULL)
		return passphrase_of_file(file, out, err);
	if (command != NULL && *command != '\0')
		return of_command(command, out, err);
	return ask("passphrase: ", out, err);
}

int passphrase_as_generated(const struct secret *said, struct secret *out, struct err *err)
{
	char text[KEYRING_PASSPHRASE_BYTES] = "";
	size_t at = 0;
	bool is_form = true;
	for (size_t i = 0; i < said->len && is_form; i++) {
		int c = toupper(said->data[i]);
		if (c == '-' || c == ' ' || c == '\t')
			continue;
		if (at % (GENERATED_GROUP + 1) == GENERATED_GROUP && at + 1 < sizeof(text))
			text[at++] = '-';
		is_form = c != '\0' && strchr(GENERATED_DIGITS, c) != NULL && at + 1 < sizeof(text);
		if (is_form)
			text[at++] = (char)c;
	}
	int rc = 0;
	if (is_form && at + 1 == sizeof(text) &&
		(said->len != at || memcmp(said->data, text, at) != 0))
		rc = secret_set(out, text, at, err) == 0 ? 1 : -ERR_NOMEM;
	secret_wipe(text, sizeof(text));
	return rc;
}

int passphrase_ask_new(struct secret *out, struct err *err)
{
	struct secret first = SECRET_INIT;
	struct secret again = SECRET_INIT;
	int rc = ask("new passphrase: ", &first, err);
	if (rc == 0)
		rc = ask("the same again: ", &again, err);
	if (rc == 0 &&
		(first.len != again.len || !hash_is_equal(first.data, again.data, first.len)))
		rc = err_set(err, ERR_USAGE, "the two passphrases differ");
	if (rc == 0)
		rc = secret_set(out, first.data, first.len, err);
	secret_done(&first);
	secret_done(&again);
	return rc;
}
