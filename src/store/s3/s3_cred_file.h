/*
 * s3_cred_file: the shared credentials file: sections of "name = value".
 */
#ifndef STORE_S3_S3_CRED_FILE_H
#define STORE_S3_S3_CRED_FILE_H

#include <stddef.h>

struct err;
struct s3_cred_key;

/* What a profile has: keys, or the command line of a program that knows them. */
struct s3_cred_file_profile {
	char *access, *secret, *token; /* owned; NULL = not said */
	char *process;
};

void s3_cred_file_done(struct s3_cred_file_profile *p);

/**
 * s3_cred_file_parse(data, len, profile, out, err):
 * Find [${profile}] or [profile ${profile}].  Return 0, -ERR_NOT_FOUND (no such section) or
 * -ERR_CONFIG (a line that is no line; no text quotes it).
 */
int s3_cred_file_parse(const char *data, size_t len, const char *profile,
	struct s3_cred_file_profile *out, struct err *err);

/**
 * s3_cred_file_read(path, profile, out, err):
 * The profile's key from the file, or from the program it names.  Return 0, -ERR_NOT_FOUND (no
 * file, no such profile, or it has neither) or -ERR_CONFIG.
 */
int s3_cred_file_read(
	const char *path, const char *profile, struct s3_cred_key *out, struct err *err);

#endif
