/*
 * msg_enrol: enrolment: tokens, requests, fingerprints, delivered keys (docs/PROTOCOL.md).
 * Values in, bytes out and back; everything that comes in is checked here.  No state.
 */
#ifndef MSG_MSG_ENROL_H
#define MSG_MSG_ENROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

enum msg_role { MSG_ROLE_CAPTURE = 1, MSG_ROLE_SANDBOX };
const char *msg_enrol_role_name(enum msg_role role); /* "capture", "sandbox"; "?" */
/* 0 when it is none. */
enum msg_role msg_enrol_role(const char *word);

#define MSG_NAME_BYTES 64     /* agent, source, group: [a-z0-9][a-z0-9._-]*, NUL included */
#define MSG_ADDRESS_BYTES 272 /* "host:port" */
#define MSG_TOKEN_SECRET_BYTES 20
#define MSG_TOKEN_TEXT_BYTES 640
#define MSG_FINGERPRINT_BYTES 20 /* "ABCD-EFGH-IJKL-MNOP" and NUL */
#define MSG_PEM_BYTES 4096

/* Return true if ${name} is in the grammar above. */
bool msg_enrol_is_name(const char *name);

struct msg_token {
	uint8_t ca_hash[32]; /* SHA-256 of the CA's public key */
	uint8_t secret[MSG_TOKEN_SECRET_BYTES];
	char address[MSG_ADDRESS_BYTES]; /* of the people's port */
};
int msg_enrol_token_format(
	const struct msg_token *t, char out[MSG_TOKEN_TEXT_BYTES], struct err *err);
/* White space around is fine.  Return 0 or -ERR_USAGE (what is wrong with it). */
int msg_enrol_token_parse(const char *text, struct msg_token *out, struct err *err);

/* What an agent asks with; keys that its role has not are zeros. */
struct msg_enrol {
	uint8_t secret[MSG_TOKEN_SECRET_BYTES];
	enum msg_role role;
	char name[MSG_NAME_BYTES];
	char version[64];
	char csr[MSG_PEM_BYTES];
	uint8_t ik[32], delivery[32];
	uint8_t dk[32], report[32]; /* sandbox */
};
/* Sign with the seed of ${m->ik} and append the JSON. */
int msg_enrol_encode(
	const struct msg_enrol *m, const uint8_t ik_seed[32], struct buf *out, struct err *err);
/* Form and proof are checked.  Return 0, -ERR_CORRUPT (what) or -ERR_UNSUPPORTED (role). */
int msg_enrol_decode(const void *data, size_t len, struct msg_enrol *out, struct err *err);

struct msg_enrol_answer {
	uint8_t agent_id[16], domain_id[16], vault_id[16], officer[32];
};
int msg_enrol_answer_encode(const struct msg_enrol_answer *m, struct buf *out, struct err *err);
int msg_enrol_answer_decode(
	const void *data, size_t len, struct msg_enrol_answer *out, struct err *err);

/* What the two sides compare; csr_key_hash: SHA-256 of the TLS public key. */
void msg_enrol_fingerprint(const struct msg_enrol *m, const struct msg_enrol_answer *a,
	const uint8_t csr_key_hash[32], const uint8_t ca_hash[32], char out[MSG_FINGERPRINT_BYTES]);

struct msg_collect {
	uint8_t agent_id[16];
	uint8_t ik[32];
	int64_t at_ms;
};
int msg_enrol_collect_encode(
	const struct msg_collect *m, const uint8_t ik_seed[32], struct buf *out, struct err *err);
int msg_enrol_collect_decode(
	const void *data, size_t len, struct msg_collect *out, struct err *err);

/* What an approved agent gets; the texts and bytes are owned by the struct (msg_enrol_grant_done).
 */
struct msg_enrol_grant {
	char *certificate, *ca;          /* PEM */
	char address[MSG_ADDRESS_BYTES]; /* of the agents' port */
	uint8_t *config;                 /* signed domain config */
	size_t config_len;
	uint8_t *keys; /* sealed: enc 32 | ct */
	size_t keys_len;
};
int msg_enrol_grant_encode(const struct msg_enrol_grant *m, struct buf *out, struct err *err);
int msg_enrol_grant_decode(
	const void *data, size_t len, struct msg_enrol_grant *out, struct err *err);
void msg_enrol_grant_done(struct msg_enrol_grant *m);

/* The delivered keys, opened; a sandbox's k_mle and k_cdc are zeros. */
struct msg_keys {
	uint8_t vault_id[16], domain_id[16], agent_id[16];
	uint32_t kv_epoch, config_epoch;
	uint8_t rk_pk[32], k_mle[32], k_cdc[32];
};
/* Append enc 32 | ct. */
int msg_enrol_keys_seal(
	const struct msg_keys *k, const uint8_t delivery_pk[32], struct buf *out, struct err *err);
int msg_enrol_keys_open(const void *data, size_t len, const uint8_t delivery_sk[32],
	const uint8_t domain_id[16], const uint8_t agent_id[16], struct msg_keys *out,
	struct err *err);

#endif
