#include "tests/lib/fleet_fixture.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/env.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/ed25519.h"
#include "crypto/hpke.h"
#include "crypto/x509.h"
#include "db/db.h"
#include "vault/domain.h"

static struct err err;

static void must(int rc)
{
	if (rc == 0)
		return;
	(void)fprintf(stderr, "fleet_fixture: %s\n", err.msg);
	abort();
}

static int put_config(void *arg, const void *config, size_t len, struct err *why)
{
	struct fleet_fixture *f = arg;
	if (f->put_rc != 0)
		return err_set(why, (enum err_code) - f->put_rc, "store said no");
	buf_clear(&f->config);
	f->puts++;
	return buf_add(&f->config, config, len, why);
}

static void open_fleet(struct fleet_fixture *f)
{
	const struct fleet_opts o = {
		.db = f->catalog.db,
		.keys = &f->keys,
		.ca_pem = (const char *)f->ca.data,
		.ca_key_pem = (const char *)f->ca_key.data,
		.agents_address = "plant.example:7444",
		.people_address = "plant.example:7443",
		.put_config = put_config,
		.arg = f,
	};
	must(fleet_new(&o, f->config.data, f->config.len, &f->fleet, &err));
}

void fleet_fixture_init(struct fleet_fixture *f)
{
	struct domain d = { .epoch = 1, .recovery_count = 1, .officer_count = 1, .group_count = 1 };
	*f = (struct fleet_fixture){
		.ca = BUF_INIT(1 << 16), .ca_key = BUF_INIT(1 << 16), .config = BUF_INIT(1 << 20)
	};
	catalog_fixture_init(&f->catalog);
	memset(f->officer_seed, 0x0f, 32);
	memset(f->keys.vault_id, 1, 16);
	memset(f->keys.domain_id, 2, 16);
	memset(f->keys.gateway, 3, 16);
	f->keys.kv_epoch = 4;
	memset(f->keys.k_vault, 5, 32);
	memset(f->keys.k_dom, 6, 32);
	memset(f->keys.rk_pk, 7, 32);
	ed25519_public(f->officer_seed, f->keys.officer_pk);
	memcpy(d.domain_id, f->keys.domain_id, 16);
	memcpy(d.recovery_pk[0], f->keys.rk_pk, 32);
	memcpy(d.officer_pk[0], f->keys.officer_pk, 32);
	(void)snprintf(d.groups[0].name, sizeof(d.groups[0].name), "line3");
	memset(d.groups[0].dk_pk, 8, 32);
	must(domain_encode(&d, f->officer_seed, &f->config, &err));
	must(x509_key_new(&f->ca_key, &err));
	must(buf_add8(&f->ca_key, 0, &err));
	must(x509_ca_new((const char *)f->ca_key.data, "plant CA", env_now_ns() / 1000000000, 3650,
		&f->ca, &err));
	must(buf_add8(&f->ca, 0, &err));
	open_fleet(f);
}

void fleet_fixture_reopen(struct fleet_fixture *f)
{
	fleet_free(f->fleet);
	f->fleet = NULL;
	catalog_fixture_reopen(&f->catalog);
	open_fleet(f);
}

void fleet_fixture_done(struct fleet_fixture *f)
{
	(void)env_swap(NULL);
	fleet_free(f->fleet);
	buf_done(&f->ca);
	buf_done(&f->ca_key);
	buf_done(&f->config);
	catalog_fixture_done(&f->catalog);
}

void fleet_fixture_agent(
	enum msg_role role, const char *name, const char *text, struct fleet_fixture_agent *out)
{
	struct msg_token t;
	uint8_t dk_sk[32];
	CLEANUP(buf_done) struct buf key = BUF_INIT(1 << 16);
	CLEANUP(buf_done) struct buf csr = BUF_INIT(1 << 16);
	*out = (struct fleet_fixture_agent){ .m.role = role, .m.version = "0.1" };
	(void)snprintf(out->m.name, sizeof(out->m.name), "%s", name);
	must(msg_enrol_token_parse(text, &t, &err));
	memcpy(out->m.secret, t.secret, sizeof(t.secret));
	must(env_random(out->ik_seed, 32, &err));
	ed25519_public(out->ik_seed, out->m.ik);
	must(hpke_generate(out->delivery_sk, out->m.delivery, &err));
	if (role == MSG_ROLE_SANDBOX) {
		must(hpke_generate(dk_sk, out->m.dk, &err));
		must(env_random(out->m.report, 32, &err));
	}
	must(x509_key_new(&key, &err));
	(void)snprintf(out->key_pem, sizeof(out->key_pem), "%s", buf_cstr(&key));
	must(x509_request_new(out->key_pem, "any", &csr, &err));
	(void)snprintf(out->m.csr, sizeof(out->m.csr), "%s", buf_cstr(&csr));
}

void fleet_fixture_enrol(struct fleet_fixture *f, enum msg_role role, const char *name,
	struct fleet_fixture_agent *out)
{
	char text[MSG_TOKEN_TEXT_BYTES];
	struct msg_enrol_answer answer;
	must(fleet_token(f->fleet, role, name, role == MSG_ROLE_SANDBOX ? "line3" : "", 0,
		"person:anna", text, &err));
	fleet_fixture_agent(role, name, text, out);
	must(fleet_enrol(f->fleet, &out->m, "10.0.0.9", &answer, &err));
	memcpy(out->id, answer.agent_id, 16);
}

void fleet_fixture_sign(
	struct fleet_fixture *f, enum fleet_change change, const uint8_t id[16], struct buf *out)
{
	CLEANUP(domain_done) struct domain next = { .agents = NULL };
	struct catalog_agent a;
	must(catalog_agent_get(f->catalog.db, id, &a, &err));
	must(fleet_next_config(
		f->config.data, f->config.len, f->keys.officer_pk, change, &a, &next, &err));
	must(domain_encode(&next, f->officer_seed, out, &err));
}

void fleet_fixture_approve(struct fleet_fixture *f, enum msg_role role, const char *name,
	struct fleet_fixture_agent *out)
{
	CLEANUP(buf_done) struct buf config = BUF_INIT(1 << 20);
	fleet_fixture_enrol(f, role, name, out);
	fleet_fixture_sign(f, FLEET_ADD, out->id, &config);
	must(fleet_approve(f->fleet, out->id, config.data, config.len, "person:anna", &err));
}

void fleet_fixture_peer(const struct fleet_fixture_agent *a, struct http_peer *out)
{
	static const char prefix[] = "holdfast:agent:";
	struct x509_info info;
	*out = (struct http_peer){ .address = "10.0.0.9", .has_cert = true };
	must(x509_inspect(a->m.csr, &info, &err));
	memcpy(out->key_hash, info.key_hash, 32);
	memcpy(out->uri, prefix, sizeof(prefix));
	text_hex(a->id, 16, out->uri + sizeof(prefix) - 1);
}

static int keep_one(void *arg, const struct audit_record *r)
{
	*(struct audit_record *)arg = *r;
	return 0;
}

struct audit_record fleet_fixture_audit(struct fleet_fixture *f)
{
	struct audit_record r = { .number = 0 };
	must(audit_each(f->catalog.db, 1, keep_one, &r, &err));
	return r;
}

static int64_t ahead_ns;

static int64_t now_ns(void)
{
	return env_real()->now_ns() + ahead_ns;
}

void fleet_fixture_clock(int64_t ahead_ms)
{
	static struct env_ops ops;
	ops = *env_real();
	ops.now_ns = now_ns;
	ahead_ns = ahead_ms * 1000000;
	(void)env_swap(&ops);
}
