/*
 * report_key: the public key that signs reports, as people hand it to an auditor: a line of text, a
 * PEM file for stock openssl, or only its fingerprint.  Thread-safe; no state.
 */
#ifndef RESTORE_REPORT_KEY_H
#define RESTORE_REPORT_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/dsse.h"

struct buf;
struct err;

#define REPORT_KEY_FILE_MAX 4096 /* bytes of a key file */

/**
 * report_key_parse(text, len, keyid, err):
 * Read a key file: one line `holdfast-report-key ed25519 <base64>`, or a PEM "PUBLIC KEY" with an
 * Ed25519 key, white space around either.  Store its fingerprint.
 * Return 0 or -ERR_CONFIG (neither of the two).
 */
int report_key_parse(const char *text, size_t len, char keyid[DSSE_KEYID_BYTES], struct err *err);

/* Return 0 if ${text} is a whole fingerprint (64 lower-case hex digits), else -1. */
int report_key_fingerprint(const char *text, char keyid[DSSE_KEYID_BYTES]);

/* Append the line of ${pk}.  Return as buf_add(). */
int report_key_format(const uint8_t pk[32], struct buf *out, struct err *err);

#endif
