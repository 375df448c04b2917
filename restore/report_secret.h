/*
 * report_secret: the secret key that signs reports, as the one line of its file:
 * `holdfast-report-secret ed25519 <base64 of the seed>`.  Its public half: report_key.
 * No state; thread-safe.
 */
#ifndef RESTORE_REPORT_SECRET_H
#define RESTORE_REPORT_SECRET_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

/* Append the line.  Return as buf_add(). */
int report_secret_format(const uint8_t seed[32], struct buf *out, struct err *err);

/* Read a key file.  Return 0 or -ERR_CONFIG; a public key is told apart. */
int report_secret_parse(const char *text, size_t len, uint8_t seed[32], struct err *err);

#endif
