#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "codec/text.h"
#include "controller/audit.h"
#include "controller/fleet_internal.h"
#include "vault/snaprec.h"

/*
 * A key of the config that no agent of the catalog has: the catalog was rebuilt, or the key is of a
 * writer without a controller.  It has no name here, only its id.
 *
 * INVARIANTS
 * (1) A key of an agent that is not shut out is never struck here: whoever works is in the config.
 * (2) As in fleet_strike: the config is durable before the record; the same call adds what was
 * lost.
 */

#define KEY_MIN_DIGITS 8
#define KEY_TRAIL 10000 /* audit records looked at for one that is there already */

static bool begins(const char *text, const uint8_t *id, size_t len)
{
	char hex[65];
	text_hex(id, len, hex);
	return strlen(text) <= 2 * len && strncmp(hex, text, strlen(text)) == 0;
}

static void fill_identity(const struct domain_agent *a, struct fleet_key *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->id, a->kid, sizeof(out->id));
	out->agent.role = MSG_ROLE_CAPTURE;
	memcpy(out->agent.id, a->agent_id, sizeof(out->agent.id));
	memcpy(out->agent.ik, a->ik_pk, sizeof(out->agent.ik));
	out->is_struck = a->is_revoked;
}

static void fill_drill_key(const struct domain_group *g, struct fleet_key *out)
{
	memset(out, 0, sizeof(*out));
	snaprec_rkid(g->dk_pk, out->id);
	out->agent.role = MSG_ROLE_SANDBOX;
	memcpy(out->agent.dk, g->dk_pk, sizeof(out->agent.dk));
	(void)snprintf(out->agent.group, sizeof(out->agent.group), "%s", g->name); /* shorter */
}

static int search(const struct domain *d, const char *text, struct fleet_key *out)
{
	int found = 0;
	for (size_t i = 0; i < d->agent_count; i++) {
		const struct domain_agent *a = &d->agents[i];
		if (!begins(text, a->kid, 32) && !begins(text, a->agent_id, 16))
			continue;
		found++;
		fill_identity(a, out);
	}
	for (size_t i = 0; i < d->group_count; i++) {
		uint8_t id[32];
		snaprec_rkid(d->groups[i].dk_pk, id);
		if (!begins(text, id, 32))
			continue;
		found++;
		fill_drill_key(&d->groups[i], out);
	}
	return found;
}

int fleet_key_find(const struct domain *d, const char *text, struct fleet_key *out, struct err *err)
{
	struct fleet_key k;
	const size_t len = strlen(text);
	if (len < KEY_MIN_DIGITS || len > 64 || strspn(text, "0123456789abcdef") != len) {
		(void)err_set(err, ERR_USAGE, "'%s' is no id of a key", text);
		return err_hint(err,
			"give %d to 64 digits of a signer, of a drill group's key, or of an agent "
			"as 'holdfast key show --vault' lists them",
			KEY_MIN_DIGITS);
	}
	const int found = search(d, text, &k);
	if (found > 1)
		return err_set(err, ERR_USAGE,
			"%d keys begin with '%s': give more digits, or the "
			"id of the signer",
			found, text);
	if (found == 0) {
		(void)err_set(err, ERR_NOT_FOUND,
			"no key '%s' is in the vault's configuration (config %u)", text, d->epoch);
		return err_hint(err, "see 'holdfast key show --vault'");
	}
	text_hex(k.id, 8, k.agent.name);
	*out = k;
	return 0;
}

/* ---- struck here ---- */

struct owner {
	const struct fleet_key *key;
	struct catalog_agent agent;
	bool is_there;
};

static int match_owner(void *arg, const struct catalog_agent *a)
{
	struct owner *o = arg;
	const bool is_sandbox = o->key->agent.role == MSG_ROLE_SANDBOX;
	if (a->role != o->key->agent.role ||
		(is_sandbox ? memcmp(a->dk, o->key->agent.dk, 32)
			    : memcmp(a->ik, o->key->agent.ik, 32)) != 0)
		return 0;
	o->agent = *a;
	o->is_there = true;
	return 1;
}

static void describe(const struct fleet *f, const struct fleet_key *k, char out[256])
{
	char hex[33];
	text_hex(k->agent.id, 16, hex);
	if (k->agent.role == MSG_ROLE_SANDBOX)
		(void)snprintf(out, 256, "config %u, a drill key of group '%s', of no agent here",
			f->domain.epoch, k->agent.group); /* fits */
	else
		(void)snprintf(out, 256, "config %u, the identity key of agent %s, not known here",
			f->domain.epoch, hex); /* fits */
}

struct trail {
	const char *object;
	bool is_there;
};

static int match_record(void *arg, const struct audit_record *r)
{
	struct trail *t = arg;
	t->is_there |= strcmp(r->action, "agent.strike") == 0 && strcmp(r->outcome, "ok") == 0 &&
		       strcmp(r->object, t->object) == 0;
	return t->is_there;
}

static int note(struct fleet *f, const char *object, const char *detail, bool is_again,
	const char *who, struct err *err)
{
	struct trail t = { .object = object };
	if (is_again)
		(void)audit_each(f->o.db, KEY_TRAIL, match_record, &t, NULL); /* then twice */
	return t.is_there ? 0
			  : audit_add(f->o.db, who, "", "agent.strike", object, "ok", detail, err);
}

static int strike(struct fleet *f, const struct fleet_key *k, const void *config, size_t len,
	const char *who, struct err *err)
{
	struct owner o = { .key = k };
	char hex[65], detail[256];
	int rc = catalog_agent_each(f->o.db, match_owner, &o, err);
	if (rc < 0)
		return rc;
	if (o.is_there && o.agent.state != AGENT_REVOKED) {
		(void)err_set(err, ERR_EXISTS, "the key is that of agent '%s', which is %s",
			o.agent.name, catalog_agent_state_name(o.agent.state));
		return err_hint(
			err, "use 'holdfast agent revoke %s --officer-key FILE'", o.agent.name);
	}
	if (o.is_there)
		return fleet_strike(f, o.agent.id, config, len, who, err);
	rc = fleet_approve_install(f, FLEET_STRIKE, &k->agent, config, len, err);
	text_hex(k->id, 32, hex);
	describe(f, k, detail);
	return rc == 0 ? note(f, hex, detail, false, who, err) : rc;
}

int fleet_key_strike(struct fleet *f, const char *id, const void *config, size_t len,
	const char *who, struct err *err)
{
	struct fleet_key k = { .is_struck = false };
	struct err why = ERR_INIT;
	const bool is_current =
		len == f->config.len && len > 0 && memcmp(config, f->config.data, len) == 0;
	int rc = strlen(id) != 64 ? err_set(&why, ERR_USAGE, "'%.64s' is no whole id of a key", id)
				  : fleet_key_find(&f->domain, id, &k, &why);
	if (is_current && (rc == -ERR_NOT_FOUND || (rc == 0 && k.is_struck)))
		return note(f, id, "struck; the record was lost", true, who, err);
	if (rc == 0)
		rc = strike(f, &k, config, len, who, &why);
	if (rc == 0)
		return 0;
	(void)audit_add(f->o.db, who, "", "agent.strike", id, err_id(rc), why.msg,
		NULL); /* the answer is what counts */
	if (err != NULL)
		*err = why;
	return rc;
}
