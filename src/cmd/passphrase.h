/*
 * passphrase: where a passphrase comes from: a file, a command (run without a shell), or a person
 * at a terminal.  Never from an argument.
 */
#ifndef CMD_PASSPHRASE_H
#define CMD_PASSPHRASE_H

#include <stdbool.h>

struct cli;
struct err;
struct secret;

#define PASSPHRASE_MAX_BYTES 1024

/**
 * passphrase_get(cli, out, err):
 * From --passphrase-file, HOLDFAST_PASSPHRASE_FILE, HOLDFAST_PASSPHRASE_COMMAND or a prompt.
 * Return 0, -ERR_USAGE (no way to ask), -ERR_NOT_FOUND, -ERR_FAILED (the command) or -ERR_IO.
 */
int passphrase_get(const struct cli *cli, struct secret *out, struct err *err);

/**
 * passphrase_as_generated(said, out, err):
 * Read ${said} as a generated passphrase in other writing: small letters, blanks or hyphens
 * elsewhere or nowhere.  Return 1 and the form keyring_passphrase() gives, 0 when it can be none or
 * is in that form already, or -ERR_NOMEM.
 */
int passphrase_as_generated(const struct secret *said, struct secret *out, struct err *err);

/* True if a file or command is named, so that no person is asked. */
bool passphrase_is_given(const struct cli *cli);

/* The first line of the file ${path}. */
int passphrase_of_file(const char *path, struct secret *out, struct err *err);

/* Ask at the terminal twice for a new passphrase.  Return 0, -ERR_USAGE or -ERR_INTERRUPTED. */
int passphrase_ask_new(struct secret *out, struct err *err);

#endif
