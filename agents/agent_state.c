#include "agents/agent_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "base/fdio.h"
#include "base/version.h"
#include "codec/wire.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "crypto/secret.h"
#include "crypto/x509.h"
#include "vault/domain.h"

/*
 * The file: magic 8 | fields as tag-length-value in the order of the tags | SHA-256 of it all.
 *
 * INVARIANTS
 * (1) A state that was loaded has every field its stage needs.
 * (2) Public keys are not stored: they follow from the secret ones.
 */

#define FILE_MAX ((size_t)2 << 20)
#define CONFIG_MAX ((size_t)1 << 20)
#define LOCK_STEP_NS 50000000L
#define LOCK_TRIES 60

static const uint8_t magic[8] = "HFAGENT1";

/* Every field of fixed length, or text that fits its array. */
enum kind { FIXED, TEXT };
static const struct field {
	uint8_t tag;
	enum kind kind;
	enum agent_stage from;
	size_t offset, size;
} fields[] = {
#define F(tag, kind, from, member)                                                                 \
	{                                                                                          \
		tag, kind, from, offsetof(struct agent_state, member),                             \
			sizeof(((struct agent_state *)0)->member)                                  \
	}
	F(2, FIXED, AGENT_STAGE_NEW, request.secret),
	F(4, TEXT, AGENT_STAGE_NEW, request.name),
	F(5, FIXED, AGENT_STAGE_NEW, ca_hash),
	F(6, TEXT, AGENT_STAGE_NEW, people),
	F(7, FIXED, AGENT_STAGE_NEW, ik_seed),
	F(8, FIXED, AGENT_STAGE_NEW, delivery_sk),
	F(9, FIXED, AGENT_STAGE_NEW, dk_sk),
	F(10, FIXED, AGENT_STAGE_NEW, report_seed),
	F(11, FIXED, AGENT_STAGE_NEW, k_fp),
	F(12, TEXT, AGENT_STAGE_NEW, tls_key),
	F(20, TEXT, AGENT_STAGE_WAITING, ca),
	F(21, FIXED, AGENT_STAGE_WAITING, answer.agent_id),
	F(22, FIXED, AGENT_STAGE_WAITING, answer.domain_id),
	F(23, FIXED, AGENT_STAGE_WAITING, answer.vault_id),
	F(24, FIXED, AGENT_STAGE_WAITING, answer.officer),
	F(30, TEXT, AGENT_STAGE_ENROLLED, agents),
	F(31, TEXT, AGENT_STAGE_ENROLLED, certificate),
	F(32, FIXED, AGENT_STAGE_ENROLLED, keys.rk_pk),
	F(33, FIXED, AGENT_STAGE_ENROLLED, keys.k_mle),
	F(34, FIXED, AGENT_STAGE_ENROLLED, keys.k_cdc),
#undef F
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))
#define TAG_HEAD 1 /* stage, role */
#define TAG_EPOCHS 40
#define TAG_CONFIG 41

/* ---- make ------------------------------------------------------------------------------------ */

static void find_public(struct agent_state *s)
{
	ed25519_public(s->ik_seed, s->request.ik);
	hpke_public(s->delivery_sk, s->request.delivery);
	if (s->request.role == MSG_ROLE_SANDBOX) {
		hpke_public(s->dk_sk, s->request.dk);
		ed25519_public(s->report_seed, s->request.report);
	}
	(void)snprintf(s->request.version, sizeof(s->request.version), "%s", VERSION_TEXT);
}

static int make_keys(struct agent_state *s, struct err *err)
{
	CLEANUP(buf_wipe) struct buf pem = BUF_INIT(MSG_PEM_BYTES - 1);
	uint8_t pk[32];
	int rc = env_random(s->ik_seed, sizeof(s->ik_seed), err);
	if (rc == 0)
		rc = env_random(s->k_fp, sizeof(s->k_fp), err);
	if (rc == 0)
		rc = hpke_generate(s->delivery_sk, pk, err);
	if (rc == 0 && s->request.role == MSG_ROLE_SANDBOX) {
		rc = hpke_generate(s->dk_sk, pk, err);
		if (rc == 0)
			rc = env_random(s->report_seed, sizeof(s->report_seed), err);
	}
	if (rc == 0)
		rc = x509_key_new(&pem, err);
	if (rc == 0)
		memcpy(s->tls_key, pem.data, pem.len);
	return rc;
}

int agent_state_make(const struct msg_token *token, enum msg_role role, const char *name,
	struct agent_state *out, struct err *err)
{
	struct agent_state s = { .stage = AGENT_STAGE_NEW, .request = { .role = role } };
	if (!msg_enrol_is_name(name)) {
		int rc = err_set(err, ERR_CONFIG, "'%s' is no name for an agent", name);
		(void)err_hint(err,
			"a name is of a-z, 0-9, '.', '_' and '-', at most %d characters",
			MSG_NAME_BYTES - 1);
		return rc;
	}
	(void)snprintf(s.request.name, sizeof(s.request.name), "%s", name); /* checked */
	(void)snprintf(s.people, sizeof(s.people), "%s", token->address);   /* same size */
	memcpy(s.request.secret, token->secret, sizeof(s.request.secret));
	memcpy(s.ca_hash, token->ca_hash, sizeof(s.ca_hash));
	int rc = make_keys(&s, err);
	if (rc == 0) {
		find_public(&s);
		*out = s;
	}
	secret_wipe(&s, sizeof(s));
	return rc;
}

void agent_state_done(struct agent_state *s)
{
	free(s->config);
	secret_wipe(s, sizeof(*s));
}

/* ---- the file -------------------------------------------------------------------------------- */

static int add_field(
	const struct field *f, const struct agent_state *s, struct buf *out, struct err *err)
{
	const char *at = (const char *)s + f->offset;
	return wire_add_tlv(out, f->tag, at, f->kind == TEXT ? strlen(at) : f->size, err);
}

static int encode(const struct agent_state *s, struct buf *out, struct err *err)
{
	uint8_t head[2] = { (uint8_t)s->stage, (uint8_t)s->request.role };
	uint8_t epochs[8];
	uint8_t hash[HASH_BYTES];
	int rc = buf_add(out, magic, sizeof(magic), err);
	if (rc == 0)
		rc = wire_add_tlv(out, TAG_HEAD, head, sizeof(head), err);
	for (size_t i = 0; rc == 0 && i < FIELD_COUNT; i++) {
		if (s->stage >= fields[i].from)
			rc = add_field(&fields[i], s, out, err);
	}
	bytes_put32(epochs, s->keys.kv_epoch);
	bytes_put32(epochs + 4, s->keys.config_epoch);
	if (rc == 0 && s->stage == AGENT_STAGE_ENROLLED)
		rc = wire_add_tlv(out, TAG_EPOCHS, epochs, sizeof(epochs), err);
	if (rc == 0 && s->stage == AGENT_STAGE_ENROLLED)
		rc = wire_add_tlv(out, TAG_CONFIG, s->config, s->config_len, err);
	if (rc == 0) {
		hash_sha256(out->data, out->len, hash);
		rc = buf_add(out, hash, sizeof(hash), err);
	}
	return rc;
}

static int damaged(struct err *err)
{
	int rc = err_set(err, ERR_CORRUPT, "the identity of this agent is damaged");
	(void)err_hint(err,
		"restore the state directory from a copy; or revoke this agent at the controller, "
		"remove the directory and enrol again");
	return rc;
}

/* Return 0 when the field's value fits. */
static int take_field(const struct field *f, const struct wire *value, struct agent_state *s)
{
	char *at = (char *)s + f->offset;
	if (f->kind == FIXED ? value->left != f->size : value->left >= f->size)
		return -1;
	memcpy(at, value->p, value->left);
	return f->kind == TEXT && strlen(at) != value->left ? -1 : 0;
}

static int take_special(uint8_t tag, const struct wire *value, struct agent_state *s)
{
	switch (tag) {
	case TAG_HEAD:
		if (value->left != 2 || value->p[0] < AGENT_STAGE_NEW ||
			value->p[0] > AGENT_STAGE_ENROLLED || value->p[1] < MSG_ROLE_CAPTURE ||
			value->p[1] > MSG_ROLE_SANDBOX)
			return -1;
		s->stage = (enum agent_stage)value->p[0];
		s->request.role = (enum msg_role)value->p[1];
		return 0;
	case TAG_EPOCHS:
		if (value->left != 8)
			return -1;
		s->keys.kv_epoch = bytes_get32(value->p);
		s->keys.config_epoch = bytes_get32(value->p + 4);
		return 0;
	case TAG_CONFIG:
		if (value->left == 0 || value->left > CONFIG_MAX || s->config != NULL)
			return -1;
		s->config = malloc(value->left);
		if (s->config == NULL)
			return -1;
		memcpy(s->config, value->p, value->left);
		s->config_len = value->left;
		return 0;
	default:
		return 0; /* of a newer version */
	}
}

static int take_all(struct wire *w, struct agent_state *s, struct err *err)
{
	uint8_t last = 0;
	uint8_t tag = 0;
	uint64_t seen = 0;
	struct wire value;
	int rc;
	while ((rc = wire_next_tlv(w, &last, &tag, &value, err)) == 1) {
		const struct field *f = fields;
		while (f < fields + FIELD_COUNT && f->tag != tag)
			f++;
		if (tag < 64)
			seen |= UINT64_C(1) << tag;
		if ((f < fields + FIELD_COUNT ? take_field(f, &value, s)
					      : take_special(tag, &value, s)) != 0)
			return damaged(err);
	}
	if (rc != 0 || s->stage == 0)
		return damaged(err);
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		if (s->stage >= fields[i].from && (seen >> fields[i].tag & 1) == 0)
			return damaged(err);
	}
	return s->stage == AGENT_STAGE_ENROLLED && s->config == NULL ? damaged(err) : 0;
}

static int decode(const struct buf *b, struct agent_state *s, struct err *err)
{
	uint8_t hash[HASH_BYTES];
	if (b->len < sizeof(magic) + HASH_BYTES || memcmp(b->data, magic, sizeof(magic)) != 0)
		return damaged(err);
	size_t len = b->len - HASH_BYTES;
	hash_sha256(b->data, len, hash);
	if (memcmp(hash, b->data + len, HASH_BYTES) != 0)
		return damaged(err);
	struct wire w = { .p = b->data + sizeof(magic), .left = len - sizeof(magic) };
	int rc = take_all(&w, s, err);
	if (rc != 0)
		return rc;
	find_public(s);
	memcpy(s->keys.vault_id, s->answer.vault_id, 16);
	memcpy(s->keys.domain_id, s->answer.domain_id, 16);
	memcpy(s->keys.agent_id, s->answer.agent_id, 16);
	return 0;
}

static int open_dir(const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no directory '%s'", dir)
			       : err_sys(err, ERR_IO, "unable to open '%s'", dir);
}

static int tell_absent(const char *dir, struct err *err)
{
	(void)err_set(err, ERR_NOT_FOUND, "no agent is enrolled in '%s'", dir);
	(void)err_hint(err, "run 'holdfast-agent enrol' first");
	return -ERR_NOT_FOUND;
}

int agent_state_lock(const char *dir, int *fd, struct err *err)
{
	CLEANUP(cleanup_close_p) int lock = open_dir(dir, err);
	if (lock < 0)
		return lock == -ERR_NOT_FOUND ? tell_absent(dir, err) : lock;
	for (int tries = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; tries++) {
		const struct timespec t = { .tv_nsec = LOCK_STEP_NS };
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, ERR_IO, "unable to lock '%s'", dir);
		if (tries == LOCK_TRIES) {
			(void)err_set(err, ERR_BUSY, "another agent runs with '%s'", dir);
			(void)err_hint(err, "stop that one, or give this one a state of its own");
			return -ERR_BUSY;
		}
		(void)nanosleep(&t, NULL); /* a signal only shortens it */
	}
	*fd = TAKE_FD(lock);
	return 0;
}

int agent_state_load(const char *dir, struct agent_state *out, struct err *err)
{
	CLEANUP(buf_wipe) struct buf b = BUF_INIT(FILE_MAX);
	struct agent_state s = { .stage = 0 };
	struct stat st;
	CLEANUP(cleanup_close_p) int fd = open_dir(dir, err);
	int rc = fd < 0 ? fd : 0;
	if (rc == 0 && fstatat(fd, AGENT_STATE_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(st.st_mode & 077) != 0) {
		rc = err_set(err, ERR_AUTH, "'%s/%s' holds keys and others may read it", dir,
			AGENT_STATE_FILE);
		(void)err_hint(err, "chmod 600 it, and think about who has read it");
	}
	if (rc == 0)
		rc = fdio_read_file(fd, AGENT_STATE_FILE, &b, err);
	if (rc == 0) {
		rc = decode(&b, &s, err);
		if (rc != 0)
			(void)err_wrap(err, "'%s/%s'", dir, AGENT_STATE_FILE); /* err may be NULL */
	}
	if (rc == 0)
		*out = s;
	else
		free(s.config);
	secret_wipe(&s, sizeof(s));
	return rc == -ERR_NOT_FOUND ? tell_absent(dir, err) : rc;
}

int agent_state_save(const char *dir, const struct agent_state *s, struct err *err)
{
	CLEANUP(buf_wipe) struct buf b = BUF_INIT(FILE_MAX);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		(void)err_sys(err, ERR_IO, "unable to make the state directory '%s'", dir);
		return err_hint(err,
			"'state' of the agent's configuration names it: the directory above must "
			"exist and be writable for the agent");
	}
	CLEANUP(cleanup_close_p) int fd = open_dir(dir, err);
	if (fd < 0)
		return fd;
	int rc = encode(s, &b, err);
	return rc != 0 ? rc : atomic_file_write(fd, AGENT_STATE_FILE, 0600, b.data, b.len, err);
}

int agent_state_take_config(
	struct agent_state *s, const uint8_t *config, size_t len, int *is_new, struct err *err)
{
	struct domain d = { .epoch = 0 };
	int rc = len > CONFIG_MAX ? err_set(err, ERR_LIMIT, "the config is too long")
				  : domain_decode(config, len, s->answer.officer, &d, err);
	*is_new = 0;
	if (rc != 0)
		return rc;
	uint32_t epoch = d.epoch;
	bool is_ours = memcmp(d.domain_id, s->answer.domain_id, 16) == 0;
	domain_done(&d);
	if (!is_ours)
		return err_set(err, ERR_CORRUPT, "the config is of another domain");
	if (epoch < s->keys.config_epoch) {
		rc = err_set(err, ERR_ROLLBACK,
			"the controller's config has epoch %lu; %lu was seen here before",
			(unsigned long)epoch, (unsigned long)s->keys.config_epoch);
		(void)err_hint(err,
			"the controller was put back to an older state, or is not what it "
			"was: ask whoever runs it");
		return rc;
	}
	if (epoch == s->keys.config_epoch && s->config != NULL)
		return 0;
	uint8_t *copy = malloc(len);
	if (copy == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(copy, config, len);
	free(s->config);
	s->config = copy;
	s->config_len = len;
	s->keys.config_epoch = epoch;
	*is_new = 1;
	return 0;
}
