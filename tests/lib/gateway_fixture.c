#include "tests/lib/gateway_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "controller/gateway_session.h"
#include "msg/msg_vault.h"
#include "restore/erase_tree.h"
#include "store/local/store_local.h"
#include "store/store.h"
#include "vault/slot.h"
#include "vault/vault.h"

#define PASS "correct horse"

static void must(int rc, const struct err *err, const char *what)
{
	if (rc != 0) {
		(void)fprintf(stderr, "fixture: %s: %s\n", what, err->msg);
		abort();
	}
}

static int open_store(void *arg, bool is_read_only, struct store **out, struct err *err)
{
	struct gateway_fixture *f = arg;
	const struct store_local_opts opts = { .is_read_only = is_read_only };
	__atomic_add_fetch(&f->opened, 1, __ATOMIC_SEQ_CST);
	return store_local_open(f->dir, &opts, out, err);
}

static int open_place(
	void *arg, const struct gateway_place *place, struct store **out, struct err *err)
{
	const struct store_local_opts opts = { .create = place->is_new };
	(void)arg;
	return store_local_open(place->location, &opts, out, err);
}

static void keep_keys(struct gateway_fixture *f, struct vault *v)
{
	struct keyring_root root;
	struct err err = ERR_INIT;
	keyring_root_derive(f->rk_sk, f->init.writer.vault_id, &root);
	must(vault_add_writer(v, &root, &f->agent, &err), &err, "vault_add_writer");
	memcpy(f->keys.vault_id, f->agent.vault_id, 16);
	memcpy(f->keys.domain_id, f->agent.domain_id, 16);
	memset(f->keys.gateway, 7, 16);
	f->keys.kv_epoch = f->agent.kv_epoch;
	memcpy(f->keys.k_vault, f->agent.k_vault, 32);
	memcpy(f->keys.k_dom, root.k_dom, 32);
	memcpy(f->keys.rk_pk, root.rk_pk, 32);
	memcpy(f->keys.officer_pk, root.officer_pk, 32);
	memset(f->agent.k_vault, 0, sizeof(f->agent.k_vault));
}

void gateway_fixture_init(struct gateway_fixture *f)
{
	struct err err = ERR_INIT;
	struct store *store = NULL;
	struct vault *vault = NULL;
	struct vault_keys keys;
	const struct store_local_opts create = { .create = true };
	const struct vault_init_opts opts = { .pass = PASS,
		.pass_len = strlen(PASS),
		.is_recovery_on_store = true,
		.scrypt_log2n = 4,
		.drill_group = "line3" };
	memset(f, 0, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/holdfast-gateway-XXXXXX");
	if (mkdtemp(f->dir) == NULL)
		abort();
	must(store_local_open(f->dir, &create, &store, &err), &err, "store_local_open");
	must(vault_init(store, &opts, &f->init, &err), &err, "vault_init");
	must(slot_hfbg_open(f->init.recovery, sizeof(f->init.recovery), PASS, strlen(PASS),
		     f->rk_sk, &err),
		&err, "slot_hfbg_open");
	vault_keys_of_writer(&f->init.writer, &keys);
	must(vault_open(store, &keys, &vault, &err), &err, "vault_open");
	keep_keys(f, vault);
	CLEANUP(buf_done) struct buf config = BUF_INIT(65536);
	vault_close(vault);
	store_free(store);
	f->vault = (struct gateway_vault){
		.keys = &f->keys, .open_store = open_store, .open_place = open_place, .arg = f
	};
	must(gateway_vault_get_config(&f->vault, &config, &err), &err, "get_config");
	must(domain_decode(config.data, config.len, f->keys.officer_pk, &f->domain, &err), &err,
		"domain_decode");
}

void gateway_fixture_done(struct gateway_fixture *f)
{
	domain_done(&f->domain);
	(void)erase_tree_run(AT_FDCWD, f->dir, NULL, NULL); /* scratch */
}

int gateway_fixture_backup(struct gateway_fixture *f, const struct port *port, const char *source,
	const struct fake_file *files, size_t count, struct backup_result *out, struct err *err)
{
	struct fake_source fake;
	char *paths[] = { (char *)"plant" };
	const struct label label = { .source = (char *)(uintptr_t)source,
		.host = (char *)"srv3",
		.tool = (char *)"test",
		.paths = paths,
		.path_count = 1 };
	const struct backup_opts opts = { .port = port,
		.keys = &f->agent,
		.domain = &f->domain,
		.source_name = source,
		.label = &label,
		.consistency = ROOT_FUZZY,
		.check = RECORD_CHECK_FULL };
	fake_source_init(&fake, files, count);
	return backup_run(&opts, &fake.source, out, err);
}

/* ---- a port that calls a gateway_session ---- */

struct direct {
	struct gateway_fixture *f;
	const char *source;
	struct gateway_session *s;
};

static int direct_begin(void *self, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct port_base *base, struct err *err)
{
	struct direct *d = self;
	struct gateway_session_opts opts = {
		.vault = &d->f->vault, .source = d->source, .max_list = (size_t)16 << 20
	};
	(void)source_id;
	memcpy(opts.agent_id, agent_id, 16);
	return gateway_session_new(&opts, &d->s, base, err);
}

static int direct_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	struct direct *d = self;
	uint8_t flat[PORT_HAS_IDS * 32], answer[PORT_HAS_IDS];
	size_t n = 0;
	memcpy(flat, ids, count * 32);
	int rc = gateway_session_has(d->s, flat, count * 32, answer, &n, err);
	if (rc == 0)
		memcpy(present, answer, n);
	return rc;
}

static int direct_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct direct *d = self;
	return gateway_session_put(d->s, batch, len, err);
}

static int direct_commit(
	void *self, const struct port_commit *c, struct port_receipt *receipt, struct err *err)
{
	struct direct *d = self;
	memset(receipt, 0, sizeof(*receipt));
	struct buf body = BUF_INIT((size_t)1 << 20);
	struct snapshot *made = NULL, *none = NULL;
	size_t half = c->segments_len / 2;
	struct gateway_session_readers readers;
	gateway_session_readers(d->f->newest != NULL ? d->f->newest : &d->f->domain, &readers);
	int rc = gateway_session_list(d->s, 0, c->segments, half, err);
	if (rc == 0) /* a piece that overlaps what is there, as after a lost answer */
		rc = gateway_session_list(d->s, 0, c->segments, c->segments_len, err);
	if (rc == 0)
		rc = msg_vault_commit_encode(c, &body, err);
	if (rc == 0)
		rc = gateway_session_commit(
			d->s, &readers, body.data, body.len, receipt, &made, err);
	if (rc == 0 && made == NULL)
		rc = err_set(err, ERR_FAILED, "the snapshot made is not shown");
	struct port_receipt again = { .receipt_ns = 0 };
	if (rc == 0) /* the answer was lost: asked once more */
		rc = gateway_session_commit(
			d->s, &readers, body.data, body.len, &again, &none, err);
	if (rc == 0 && (none != NULL || memcmp(&again, receipt, sizeof(again)) != 0))
		rc = err_set(err, ERR_FAILED, "a commit given again has another receipt");
	gateway_session_made_free(made);
	buf_done(&body);
	return rc;
}

static void direct_abort(void *self)
{
	(void)self; /* freed by who made it */
}

int gateway_fixture_direct(struct gateway_fixture *f, const char *source,
	const struct fake_file *files, size_t count, struct backup_result *out, struct err *err)
{
	struct direct d = { .f = f, .source = source };
	const struct port port = { .self = &d,
		.begin = direct_begin,
		.has = direct_has,
		.put = direct_put,
		.commit = direct_commit,
		.abort = direct_abort };
	int rc = gateway_fixture_backup(f, &port, source, files, count, out, err);
	gateway_session_free(d.s);
	return rc;
}
