#include "vault/domain.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/wire.h"
#include "crypto/ed25519.h"
#include "vault/snaprec.h"

/*
 * INVARIANTS
 * (1) A config is looked into only after its signature held.
 * (2) agents has room for the next power of two above agent_count (see room_of()).
 * (3) No identity key is there twice, so a kid names one agent.
 */

/* docs/FORMAT.md section 1 */
#define VERSION 1
#define FLAG_REVOKED 1
#define AGENT_FIRST_ROOM 4
#define SIGNER_BYTES 32
#define TRAILER_BYTES (SIGNER_BYTES + ED25519_SIG_BYTES)
#define MIN_BYTES (4 + 4 + 4 + 16 + 4 + 3 + TRAILER_BYTES)
/* of any config: what a decoder lets a signer's label and body be */
#define MAX_BYTES                                                                                  \
	(MIN_BYTES + DOMAIN_MAX_AGENTS * 52u + DOMAIN_MAX_KEYS * (64u + 33u + DOMAIN_NAME_BYTES))

static const char magic[4] = { 'H', 'F', 'C', 'F' };
static const char sign_label[] = "hf1/config"; /* with its 00 */

void domain_done(struct domain *d)
{
	free(d->agents);
	*d = (struct domain){ .agents = NULL };
}

/* Agents there is memory for when ${count} are in it: the power of two at or above. */
static size_t room_of(size_t count)
{
	size_t room = AGENT_FIRST_ROOM;
	if (count == 0)
		return 0;
	while (room < count)
		room *= 2;
	return room;
}

int domain_add_agent(
	struct domain *d, const uint8_t agent_id[16], const uint8_t ik_pk[32], struct err *err)
{
	if (d->agent_count >= DOMAIN_MAX_AGENTS)
		return err_set(err, ERR_LIMIT, "more than %d agents", DOMAIN_MAX_AGENTS);
	for (size_t i = 0; i < d->agent_count; i++) {
		if (memcmp(d->agents[i].ik_pk, ik_pk, 32) == 0)
			return err_set(err, ERR_EXISTS, "identity key is in the config already");
	}
	size_t room = room_of(d->agent_count + 1);
	if (room > room_of(d->agent_count)) {
		struct domain_agent *agents = realloc(d->agents, room * sizeof(*agents));
		if (agents == NULL)
			return err_set(err, ERR_NOMEM, "out of memory for %zu agents", room);
		d->agents = agents;
	}
	struct domain_agent *agent = &d->agents[d->agent_count];
	memcpy(agent->agent_id, agent_id, sizeof(agent->agent_id));
	memcpy(agent->ik_pk, ik_pk, sizeof(agent->ik_pk));
	snaprec_kid(ik_pk, agent->kid);
	agent->is_revoked = false;
	d->agent_count++;
	return 0;
}

bool domain_has_active(const struct domain *d, const uint8_t agent_id[16])
{
	for (size_t i = 0; i < d->agent_count; i++) {
		const struct domain_agent *a = &d->agents[i];
		if (!a->is_revoked && memcmp(a->agent_id, agent_id, sizeof(a->agent_id)) == 0)
			return true;
	}
	return false;
}

const struct domain_agent *domain_find_kid(const struct domain *d, const uint8_t kid[32])
{
	for (size_t i = 0; i < d->agent_count; i++) {
		if (memcmp(d->agents[i].kid, kid, 32) == 0)
			return &d->agents[i];
	}
	return NULL;
}

static bool is_group_name(const char *name, size_t len)
{
	if (len == 0 || len >= DOMAIN_NAME_BYTES)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return true;
}

static bool has_officer(const struct domain *d, const uint8_t pk[32])
{
	for (size_t i = 0; i < d->officer_count; i++) {
		if (memcmp(d->officer_pk[i], pk, 32) == 0)
			return true;
	}
	return false;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int check_writable(const struct domain *d, const uint8_t officer_pk[32], struct err *err)
{
	if (d->agent_count > DOMAIN_MAX_AGENTS || d->recovery_count > DOMAIN_MAX_KEYS ||
		d->officer_count > DOMAIN_MAX_KEYS || d->group_count > DOMAIN_MAX_KEYS)
		return err_set(err, ERR_LIMIT, "config with too many agents, keys or groups");
	if (!has_officer(d, officer_pk))
		return err_set(err, ERR_AUTH, "officer is not in the config");
	for (size_t i = 0; i < d->group_count; i++) {
		const char *name = d->groups[i].name;
		if (!is_group_name(name, strnlen(name, DOMAIN_NAME_BYTES)))
			return err_set(err, ERR_USAGE, "drill group name '%.*s' is not [a-z0-9-]+",
				DOMAIN_NAME_BYTES, name);
	}
	return 0;
}

static int add_keys(struct buf *out, const uint8_t (*keys)[32], size_t count, struct err *err)
{
	int rc = buf_add8(out, (uint8_t)count, err);
	return rc != 0 ? rc : buf_add(out, keys, count * 32, err);
}

static int add_agents(struct buf *out, const struct domain *d, struct err *err)
{
	int rc = buf_add32(out, (uint32_t)d->agent_count, err);
	for (size_t i = 0; rc == 0 && i < d->agent_count; i++) {
		const struct domain_agent *agent = &d->agents[i];
		uint8_t flags[4] = { agent->is_revoked ? FLAG_REVOKED : 0 };
		rc = buf_add(out, agent->agent_id, 16, err);
		if (rc == 0)
			rc = buf_add(out, agent->ik_pk, 32, err);
		if (rc == 0)
			rc = buf_add(out, flags, sizeof(flags), err);
	}
	return rc;
}

static int add_groups(struct buf *out, const struct domain *d, struct err *err)
{
	int rc = buf_add8(out, (uint8_t)d->group_count, err);
	for (size_t i = 0; rc == 0 && i < d->group_count; i++) {
		size_t len = strlen(d->groups[i].name);
		rc = buf_add8(out, (uint8_t)len, err);
		if (rc == 0)
			rc = buf_add(out, d->groups[i].name, len, err);
		if (rc == 0)
			rc = buf_add(out, d->groups[i].dk_pk, 32, err);
	}
	return rc;
}

static int add_body(struct buf *out, const struct domain *d, struct err *err)
{
	static const uint8_t version[4] = { VERSION };
	int rc = buf_add(out, magic, sizeof(magic), err);
	if (rc == 0)
		rc = buf_add(out, version, sizeof(version), err);
	if (rc == 0)
		rc = buf_add32(out, d->epoch, err);
	if (rc == 0)
		rc = buf_add(out, d->domain_id, 16, err);
	if (rc == 0)
		rc = add_agents(out, d, err);
	if (rc == 0)
		rc = add_keys(out, d->recovery_pk, d->recovery_count, err);
	if (rc == 0)
		rc = add_keys(out, d->officer_pk, d->officer_count, err);
	return rc != 0 ? rc : add_groups(out, d, err);
}

int domain_encode(
	const struct domain *d, const uint8_t officer_seed[32], struct buf *out, struct err *err)
{
	uint8_t officer_pk[32];
	ed25519_public(officer_seed, officer_pk);
	int rc = check_writable(d, officer_pk, err);
	if (rc != 0)
		return rc;
	/* what is signed: the label and everything before the signature */
	CLEANUP(buf_done) struct buf signed_bytes = BUF_INIT(sizeof(sign_label) + MAX_BYTES);
	rc = buf_add(&signed_bytes, sign_label, sizeof(sign_label), err);
	if (rc == 0)
		rc = add_body(&signed_bytes, d, err);
	if (rc == 0)
		rc = buf_add(&signed_bytes, officer_pk, sizeof(officer_pk), err);
	if (rc != 0)
		return rc;
	uint8_t sig[ED25519_SIG_BYTES];
	ed25519_sign(officer_seed, signed_bytes.data, signed_bytes.len, sig);

	size_t body_len = signed_bytes.len - sizeof(sign_label);
	rc = buf_reserve(out, body_len + sizeof(sig), err);
	if (rc == 0)
		rc = buf_add(out, signed_bytes.data + sizeof(sign_label), body_len, err);
	return rc != 0 ? rc : buf_add(out, sig, sizeof(sig), err);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int check_signature(const uint8_t *data, size_t len, const uint8_t *trusted, struct err *err)
{
	if (len < 5 || memcmp(data, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_CORRUPT, "not a domain config");
	if (data[4] != VERSION)
		return err_set(
			err, ERR_UNSUPPORTED, "domain config of unknown version %u", data[4]);
	if (len < MIN_BYTES || len > MAX_BYTES)
		return err_set(err, ERR_CORRUPT, "domain config of %zu bytes", len);
	const uint8_t *signer = data + len - TRAILER_BYTES;
	CLEANUP(buf_done) struct buf signed_bytes = BUF_INIT(sizeof(sign_label) + MAX_BYTES);
	int rc = buf_add(&signed_bytes, sign_label, sizeof(sign_label), err);
	if (rc == 0)
		rc = buf_add(&signed_bytes, data, len - ED25519_SIG_BYTES, err);
	if (rc != 0)
		return rc;
	if (!ed25519_is_valid(
		    signer, signed_bytes.data, signed_bytes.len, data + len - ED25519_SIG_BYTES))
		return err_set(err, ERR_CORRUPT, "domain config has a wrong signature");
	if (trusted != NULL && memcmp(trusted, signer, SIGNER_BYTES) != 0)
		return err_set(err, ERR_AUTH, "domain config is signed by another officer");
	return 0;
}

static int take_fixed(struct wire *w, void *out, size_t len, struct err *err)
{
	const uint8_t *p;
	int rc = wire_take(w, len, &p, err);
	if (rc == 0)
		memcpy(out, p, len);
	return rc;
}

static int take_agents(struct wire *w, struct domain *d, struct err *err)
{
	uint32_t count;
	int rc = wire_take32(w, &count, err);
	if (rc == 0 && count > DOMAIN_MAX_AGENTS)
		rc = err_set(err, ERR_LIMIT, "domain config with %u agents", count);
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		const uint8_t *p;
		rc = wire_take(w, 52, &p, err);
		if (rc == 0 && (p[49] | p[50] | p[51]) != 0)
			rc = err_set(err, ERR_CORRUPT, "domain config has reserved bytes set");
		if (rc == 0 && (p[48] & ~FLAG_REVOKED) != 0)
			rc = err_set(err, ERR_UNSUPPORTED, "agent with unknown flags %02x", p[48]);
		if (rc == 0)
			rc = domain_add_agent(d, p, p + 16, err);
		if (rc == -ERR_EXISTS)
			rc = err_set(err, ERR_CORRUPT, "domain config has an identity twice");
		if (rc == 0)
			d->agents[d->agent_count - 1].is_revoked = (p[48] & FLAG_REVOKED) != 0;
	}
	return rc;
}

static int take_keys(struct wire *w, uint8_t (*keys)[32], size_t *count, struct err *err)
{
	uint8_t n;
	int rc = wire_take8(w, &n, err);
	if (rc == 0 && n > DOMAIN_MAX_KEYS)
		rc = err_set(err, ERR_LIMIT, "domain config with %u keys of a kind", n);
	if (rc == 0)
		rc = take_fixed(w, keys, (size_t)n * 32, err);
	if (rc == 0)
		*count = n;
	return rc;
}

static int take_groups(struct wire *w, struct domain *d, struct err *err)
{
	uint8_t count;
	int rc = wire_take8(w, &count, err);
	if (rc == 0 && count > DOMAIN_MAX_KEYS)
		rc = err_set(err, ERR_LIMIT, "domain config with %u drill groups", count);
	for (uint8_t i = 0; rc == 0 && i < count; i++) {
		struct domain_group *group = &d->groups[i];
		uint8_t len;
		const uint8_t *name;
		rc = wire_take8(w, &len, err);
		if (rc == 0)
			rc = wire_take(w, len, &name, err);
		if (rc == 0 && !is_group_name((const char *)name, len))
			rc = err_set(err, ERR_CORRUPT, "drill group with a wrong name");
		if (rc == 0) {
			memcpy(group->name, name, len);
			group->name[len] = '\0';
			rc = take_fixed(w, group->dk_pk, 32, err);
		}
	}
	if (rc == 0)
		d->group_count = count;
	return rc;
}

int domain_decode(const uint8_t *data, size_t len, const uint8_t *trusted_officer_pk,
	struct domain *out, struct err *err)
{
	int rc = check_signature(data, len, trusted_officer_pk, err);
	if (rc != 0)
		return rc;
	struct wire w = { data + 5, len - 5 - TRAILER_BYTES };
	CLEANUP(domain_done) struct domain d = { .agents = NULL };
	uint8_t reserved[3];
	rc = take_fixed(&w, reserved, sizeof(reserved), err);
	if (rc == 0 && (reserved[0] | reserved[1] | reserved[2]) != 0)
		rc = err_set(err, ERR_CORRUPT, "domain config has reserved bytes set");
	if (rc == 0)
		rc = wire_take32(&w, &d.epoch, err);
	if (rc == 0)
		rc = take_fixed(&w, d.domain_id, 16, err);
	if (rc == 0)
		rc = take_agents(&w, &d, err);
	if (rc == 0)
		rc = take_keys(&w, d.recovery_pk, &d.recovery_count, err);
	if (rc == 0)
		rc = take_keys(&w, d.officer_pk, &d.officer_count, err);
	if (rc == 0)
		rc = take_groups(&w, &d, err);
	if (rc == 0)
		rc = wire_end(&w, err);
	if (rc == 0 && !has_officer(&d, data + len - TRAILER_BYTES))
		rc = err_set(err, ERR_CORRUPT, "domain config is signed by none of its officers");
	if (rc != 0)
		return rc;
	*out = d;
	d.agents = NULL;
	return 0;
}
