/*
 * msg_vault: the bodies of the vault port and the read port (docs/PROTOCOL.md).
 */
#ifndef MSG_MSG_VAULT_H
#define MSG_MSG_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "msg/msg_work.h"
#include "vault/port.h"
#include "vault/snaprec.h"

#define MSG_MAX_BODY ((size_t)16 << 20) /* of any request or answer; a little more for framing */
#define MSG_MAX_POINTS 256
#define MSG_READ_IDS 256

struct msg_begin {
	char job[MSG_ID_HEX];
	int64_t attempt;
	char source[MSG_NAME_BYTES];
};
int msg_vault_begin_encode(const struct msg_begin *m, struct buf *out, struct err *err);
int msg_vault_begin_decode(const void *data, size_t len, struct msg_begin *out, struct err *err);

struct msg_begun {
	char session[MSG_ID_HEX];
	struct port_base base;
	uint8_t *config; /* owned */
	size_t config_len;
};
int msg_vault_begun_encode(const struct msg_begun *m, struct buf *out, struct err *err);
int msg_vault_begun_decode(const void *data, size_t len, struct msg_begun *out, struct err *err);
void msg_vault_begun_done(struct msg_begun *m);

/* Commit without its segments, which were sent before.  Pointers of a decoded one lie in ${data}.
 */
int msg_vault_commit_encode(const struct port_commit *c, struct buf *out, struct err *err);
int msg_vault_commit_decode(
	const uint8_t *data, size_t len, struct port_commit *out, struct err *err);

int msg_vault_receipt_encode(const struct port_receipt *m, struct buf *out, struct err *err);
int msg_vault_receipt_decode(
	const void *data, size_t len, struct port_receipt *out, struct err *err);

/* One recovery point of a grant: the bodies of its sn/ and ev/ objects, as they lie on the store.
 */
struct msg_point {
	char source[MSG_NAME_BYTES];
	uint8_t *snapshot;
	size_t snapshot_len;
	uint8_t *envelopes;
	size_t envelopes_len;
};
struct msg_points {
	uint8_t *config; /* all owned */
	size_t config_len;
	struct msg_point *at;
	size_t count;
};
int msg_vault_points_encode(const struct msg_points *m, struct buf *out, struct err *err);
int msg_vault_points_decode(const void *data, size_t len, struct msg_points *out, struct err *err);
void msg_vault_points_done(struct msg_points *m);

/* The answer of the read port: add one record (whole CR); take the next one off ${data}: return 1
 * and borrowed bytes, 0 at the end, or -ERR_CORRUPT. */
int msg_vault_records_add(struct buf *out, const void *cr, size_t len, struct err *err);
int msg_vault_records_next(
	const uint8_t **data, size_t *len, const uint8_t **cr, size_t *cr_len, struct err *err);

/* {report: base64} */
int msg_vault_report_encode(const void *envelope, size_t len, struct buf *out, struct err *err);
int msg_vault_report_decode(const void *data, size_t len, struct buf *envelope, struct err *err);

#endif
