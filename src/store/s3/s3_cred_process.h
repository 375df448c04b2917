/*
 * s3_cred_process: a key from a program that prints it as JSON (credential_process).
 */
#ifndef STORE_S3_S3_CRED_PROCESS_H
#define STORE_S3_S3_CRED_PROCESS_H

struct err;
struct s3_cred_key;

#define S3_CRED_PROCESS_MS 60000
#define S3_CRED_PROCESS_MAX_WORDS 64

/**
 * s3_cred_process_run(command, out, err):
 * Run ${command} without a shell: blanks part words, '..' and ".." keep them; the first is an
 * absolute path.  Return 0 or -ERR_CONFIG (it cannot be run, fails, is slow, or prints no key).
 */
int s3_cred_process_run(const char *command, struct s3_cred_key *out, struct err *err);

#endif
