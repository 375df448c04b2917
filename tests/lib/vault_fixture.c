#include "tests/lib/vault_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "vault/fetch.h"
#include "vault/session.h"
#include "vault/slot.h"
#include "vault/snapshot.h"
#include "vault/tree_reader.h"
#include "vault/verify.h"

static void must(int rc, const struct err *err, const char *what)
{
	if (rc != 0) {
		(void)fprintf(stderr, "fixture: %s: %s\n", what, err->msg);
		abort();
	}
}

void vault_fixture_init(struct vault_fixture *f)
{
	struct err err = ERR_INIT;
	struct store_mem *mem = NULL;
	struct store_fault *fault = NULL;
	struct store *store = NULL;
	must(store_mem_new(&mem, &err), &err, "store_mem_new");
	must(store_fault_new(&store_mem_driver, mem, &fault, &err), &err, "store_fault_new");
	must(store_new(store_fault_driver(fault), fault, NULL, &store, &err), &err, "store_new");
	vault_fixture_init_in(f, store);
	f->mem = mem;
	f->fault = fault;
}

void vault_fixture_init_in(struct vault_fixture *f, struct store *take_store)
{
	struct err err = ERR_INIT;
	memset(f, 0, sizeof(*f));
	f->store = take_store;
	struct vault_init_opts opts = { .pass = VAULT_FIXTURE_PASS,
		.pass_len = strlen(VAULT_FIXTURE_PASS),
		.is_recovery_on_store = true,
		.scrypt_log2n = VAULT_FIXTURE_LOG2N,
		.drill_group = "line3" };
	must(vault_init(f->store, &opts, &f->keys, &err), &err, "vault_init");
	must(slot_hfbg_open(f->keys.recovery, sizeof(f->keys.recovery), VAULT_FIXTURE_PASS,
		     strlen(VAULT_FIXTURE_PASS), f->rk_sk, &err),
		&err, "slot_hfbg_open");
	vault_fixture_reopen(f);
}

void vault_fixture_reopen(struct vault_fixture *f)
{
	struct err err = ERR_INIT;
	struct vault_keys keys;
	vault_close(f->vault);
	f->vault = NULL;
	vault_keys_of_writer(&f->keys.writer, &keys);
	must(vault_open(f->store, &keys, &f->vault, &err), &err, "vault_open");
}

void vault_fixture_done(struct vault_fixture *f)
{
	vault_close(f->vault);
	store_free(f->store);
}

int vault_fixture_run(struct vault_fixture *f, struct backup_opts *opts,
	const struct source *source, struct backup_result *out, struct err *err)
{
	struct session *session = NULL;
	char *paths[] = { (char *)"plant" };
	struct label label = { .source = (char *)"plant",
		.host = (char *)"srv3",
		.tool = (char *)"test",
		.paths = paths,
		.path_count = 1 };
	int rc = session_new(f->vault, &f->host, &session, err);
	if (rc != 0)
		return rc;
	opts->port = session_port(session);
	opts->keys = &f->keys.writer;
	opts->domain = vault_domain(f->vault);
	if (opts->source_name == NULL)
		opts->source_name = "plant";
	label.source = (char *)(uintptr_t)opts->source_name; /* borrowed */
	opts->label = &label;
	opts->consistency = ROOT_FUZZY;
	if (opts->check == 0)
		opts->check = RECORD_CHECK_FULL;
	rc = backup_run(opts, source, out, err);
	session_free(session);
	return rc;
}

int vault_fixture_backup(struct vault_fixture *f, const struct fake_file *files, size_t count,
	struct backup_result *out, struct err *err)
{
	struct fake_source source;
	struct backup_opts opts = { .source_name = "plant" };
	fake_source_init(&source, files, count);
	return vault_fixture_run(f, &opts, &source.source, out, err);
}

void vault_fixture_noise(uint8_t *out, size_t len, uint64_t seed)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		out[i] = (uint8_t)(x >> 32);
	}
}

bool vault_fixture_is_zero(const uint8_t *data, size_t len)
{
	return len == 0 || (data[0] == 0 && memcmp(data, data + 1, len - 1) == 0);
}

int vault_fixture_open(
	struct store *store, const uint8_t rk_sk[32], struct vault **out, struct err *err)
{
	struct keyring_root root;
	struct vault_keys keys;
	int rc = vault_keys_of_recovery(store, rk_sk, &root, &keys, err);
	return rc != 0 ? rc : vault_open(store, &keys, out, err);
}

struct reading {
	const struct record_source *source;
	struct buf *out;
};

static int read_extent(void *arg, const struct extent *x, struct err *err)
{
	struct reading *r = arg;
	if (x->is_hole)
		return buf_add_zero(r->out, (size_t)x->length, err);
	struct buf raw = BUF_INIT(RECORD_MAX_RAW_BYTES);
	int rc = r->source->get(r->source->self, &x->ref, RECORD_DATA, &raw, err);
	if (rc == 0)
		rc = buf_add(r->out, raw.data + x->offset, (size_t)x->length, err);
	buf_done(&raw);
	return rc;
}

static bool has_attributes(const struct entry *e, const struct fake_file *f)
{
	if (e->flags != f->flags || e->xattr_count != f->xattr_count)
		return false;
	for (size_t i = 0; i < f->xattr_count; i++) {
		const struct entry_xattr *x = &e->xattrs[i], *want = &f->xattrs[i];
		if (x->name_len != want->name_len || x->value_len != want->value_len ||
			memcmp(x->name, want->name, x->name_len) != 0 ||
			memcmp(x->value, want->value, x->value_len) != 0)
			return false;
	}
	return true;
}

static const char *compare_entry(struct tree_reader *reader, struct reading *r, const uint8_t *key,
	size_t key_len, const struct entry *e, const struct fake_file *f)
{
	struct err err = ERR_INIT;
	if (strlen(f->path) != key_len)
		return "another key";
	for (size_t i = 0; i < key_len; i++) {
		if (key[i] != (f->path[i] == '/' ? 0 : (uint8_t)f->path[i]))
			return "another key";
	}
	if (e->kind != f->kind || e->uid != 1000 || e->user == NULL ||
		strcmp(e->user, "plant") != 0 || e->mtime.s != f->mtime_s || !has_attributes(e, f))
		return "other metadata";
	if (f->kind != ENTRY_FILE)
		return NULL;
	buf_clear(r->out);
	if (tree_reader_extents(reader, e, read_extent, r, &err) != 0)
		return "unreadable content";
	if (e->size != f->len + f->hole || r->out->len != e->size)
		return "another size";
	if (f->len > 0 && memcmp(r->out->data, f->data, f->len) != 0)
		return "other content";
	return vault_fixture_is_zero(r->out->data + f->len, r->out->len - f->len)
		       ? NULL
		       : "no zeros where a hole was";
}

static const char *compare_tree(
	struct fetch *fetch, const struct root *root, const struct fake_file *files, size_t count)
{
	struct err err = ERR_INIT;
	struct tree_reader *reader = NULL;
	struct buf content = BUF_INIT(256u << 20);
	struct reading reading = { .source = fetch_source(fetch), .out = &content };
	const char *why = NULL;
	size_t at = 0;
	if (tree_reader_new(fetch_source(fetch), &root->top, &reader, &err) != 0)
		return "no tree";
	for (;;) {
		const uint8_t *key;
		size_t key_len;
		struct entry e;
		int more = tree_reader_next(reader, &key, &key_len, &e, &err);
		if (more < 0)
			why = "unreadable tree";
		if (more <= 0 || why != NULL)
			break;
		while (at < count && files[at].is_unreadable)
			at++;
		why = at == count ? "more entries than expected"
				  : compare_entry(reader, &reading, key, key_len, &e, &files[at]);
		at++;
	}
	while (at < count && files[at].is_unreadable)
		at++;
	if (why == NULL && at < count)
		why = "fewer entries than expected";
	tree_reader_free(reader);
	buf_done(&content);
	return why;
}

const char *vault_fixture_compare(struct vault *vault, struct fetch *fetch,
	const struct snapshot *snap, const uint8_t rk_sk[32], const struct fake_file *files,
	size_t count)
{
	struct err err = ERR_INIT;
	struct snapshot_opened opened;
	if (snapshot_open(vault, fetch, snap, rk_sk, &opened, &err) != 0)
		return "the snapshot does not open";
	return compare_tree(fetch, &opened.root, files, count);
}

const char *vault_fixture_differs(struct store *store, const uint8_t rk_sk[32], size_t nth,
	const struct fake_file *files, size_t count)
{
	struct err err = ERR_INIT;
	struct vault *vault = NULL;
	struct fetch *fetch = NULL;
	struct snapshot_list list = { .at = NULL };
	const char *why = NULL;
	if (vault_fixture_open(store, rk_sk, &vault, &err) != 0)
		return "the vault does not open";
	if (fetch_new(vault, &fetch, &err) != 0 ||
		snapshot_list(vault, NULL, NULL, &list, &err) != 0)
		why = "no snapshots";
	else if (nth >= list.count)
		why = "too few snapshots";
	else
		why = vault_fixture_compare(vault, fetch, &list.at[nth], rk_sk, files, count);
	snapshot_list_done(&list);
	fetch_free(fetch);
	vault_close(vault);
	return why;
}

int vault_fixture_snapshots(struct store *store, const uint8_t rk_sk[32])
{
	struct err err = ERR_INIT;
	struct vault *vault = NULL;
	struct snapshot_list list = { .at = NULL };
	int count = -1;
	if (vault_fixture_open(store, rk_sk, &vault, &err) != 0)
		return -1;
	if (snapshot_list(vault, NULL, NULL, &list, &err) == 0)
		count = (int)list.count;
	snapshot_list_done(&list);
	vault_close(vault);
	return count;
}

static void print_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	if (!f->is_warning)
		(void)fprintf(stderr, "  verify: %s: %s\n", f->object, f->what);
}

int vault_fixture_problems(struct store *store, const uint8_t rk_sk[32])
{
	struct err err = ERR_INIT;
	struct vault *vault = NULL;
	struct verify_opts opts = { .sk = rk_sk, .on_finding = print_finding };
	struct verify_result result;
	int rc = vault_fixture_open(store, rk_sk, &vault, &err);
	if (rc == 0)
		rc = verify_run(vault, &opts, &result, &err);
	vault_close(vault);
	if (rc != 0)
		(void)fprintf(stderr, "  verify could not run: %s\n", err.msg);
	return rc != 0 ? -1 : (int)result.problems;
}
