/*
 * scale_index RECORDS DIR [MAX_MIB]: a vault in ${DIR} (new) with ${RECORDS} small records in files
 * of 1000, through the ways of the product: a first backup, an unchanged one that walks the first,
 * what collection marks, verification without keys and with content.  Prints for each step the peak
 * of anonymous memory; exit status 1 when one passes ${MAX_MIB} (96), when the index takes more
 * than 48 bytes a record, or when anything is not found as it was stored.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/backup_commit.h"
#include "agents/uploader.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/heap.h"
#include "lib/anon_peak.h"
#include "store/local/store_local.h"
#include "store/store.h"
#include "vault/collect_view.h"
#include "vault/digest.h"
#include "vault/fetch.h"
#include "vault/session.h"
#include "vault/slot.h"
#include "vault/tree_builder.h"
#include "vault/tree_reader.h"
#include "vault/vault.h"
#include "vault/vault_info.h"
#include "vault/vault_init.h"
#include "vault/verify.h"

#define PER_FILE 1000
#define RAW_BYTES 40
#define PASS "a passphrase of the proof"

static struct err err = ERR_INIT;
static struct store *store;
static struct vault *vault;
static struct vault_init_result keys;
static uint8_t rk_sk[32];
static char cache[4096];
static unsigned long max_kib = 96 << 10;
static int status;

static void must(int rc, const char *what)
{
	if (rc != 0) {
		printf("prove-scale: %s: %s\n", what, err.msg);
		exit(1);
	}
}

static void expect(bool is_true, const char *what)
{
	if (!is_true) {
		printf("prove-scale: NOT TRUE: %s\n", what);
		status = 1;
	}
}

static void make_vault(const char *dir)
{
	char path[4000];
	const struct store_local_opts how = { .create = true };
	const struct vault_init_opts opts = { .pass = PASS,
		.pass_len = strlen(PASS),
		.is_recovery_on_store = true,
		.scrypt_log2n = 4 };
	(void)snprintf(path, sizeof(path), "%s/vault", dir);
	(void)snprintf(cache, sizeof(cache), "%s/cache", dir);
	if (mkdir(dir, 0700) != 0 || mkdir(cache, 0700) != 0) {
		printf("prove-scale: unable to make '%s', which must be new\n", dir);
		exit(2);
	}
	must(store_local_open(path, &how, &store, &err), "store");
	must(vault_init(store, &opts, &keys, &err), "init");
	must(slot_hfbg_open(keys.recovery, sizeof(keys.recovery), PASS, strlen(PASS), rk_sk, &err),
		"recovery key");
}

/* As another process would find it. */
static void open_vault(void)
{
	struct vault_keys k;
	vault_close(vault);
	vault = NULL;
	vault_keys_of_writer(&keys.writer, &k);
	must(vault_open(store, &k, &vault, &err), "open");
	must(vault_set_cache(vault, cache, &err), "cache");
}

/* One backup: the pieces that agents/backup puts together. */
struct run {
	struct session *session;
	struct uploader *uploader;
	const struct record_sink *sink;
	struct tree_builder *builder;
	struct port_base base;
	struct backup_opts opts;
	struct backup_result result;
	struct label label;
	uint8_t k_tree[16];
};

static char *label_paths[] = { (char *)(uintptr_t) "scale" };

static void begin(struct run *r)
{
	uint8_t cut[32];
	uint8_t source_id[16];
	const struct keyring_writer *w = &keys.writer;
	memset(r, 0, sizeof(*r));
	must(session_new(vault, NULL, &r->session, &err), "session");
	r->label = (struct label){ .source = (char *)(uintptr_t) "scale",
		.host = (char *)(uintptr_t) "host",
		.tool = (char *)(uintptr_t) "prove-scale",
		.paths = label_paths,
		.path_count = 1 };
	r->opts = (struct backup_opts){ .port = session_port(r->session),
		.keys = w,
		.domain = vault_domain(vault),
		.source_name = "scale",
		.label = &r->label,
		.consistency = ROOT_FUZZY,
		.check = RECORD_CHECK_OPEN };
	keyring_cut_keys(w->k_cdc, w->domain_id, 1, cut, r->k_tree);
	keyring_source_id(w->domain_id, w->agent_id, "scale", source_id);
	must(r->opts.port->begin(r->opts.port->self, w->agent_id, source_id, &r->base, &err),
		"begin");
	const struct uploader_opts up = {
		.port = r->opts.port, .k_mle = w->k_mle, .check = RECORD_CHECK_OPEN
	};
	must(uploader_new(&up, &r->uploader, &err), "uploader");
	r->sink = uploader_sink(r->uploader);
	must(tree_builder_new(r->k_tree, r->sink, &r->builder, &err), "tree");
}

static void commit(struct run *r)
{
	struct ref top;
	struct tree_summary summary;
	must(tree_builder_finish(r->builder, &top, &summary, &err), "tree");
	const struct backup_commit c = { .opts = &r->opts,
		.uploader = r->uploader,
		.base = &r->base,
		.seq = r->base.is_there ? r->base.seq + 1 : 1,
		.top = &top,
		.summary = &summary };
	must(backup_commit_run(&c, &r->result, &err), "commit");
	uploader_free(r->uploader);
	tree_builder_free(r->builder);
	session_free(r->session);
}

static void raw_of(uint64_t number, uint8_t out[RAW_BYTES])
{
	for (size_t i = 0; i < RAW_BYTES; i += 8)
		bytes_put64(out + i, (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (i << 56));
}

/* Files in the order of their keys, ${records} in all. */
static void fill(uint64_t records)
{
	static struct extent extents[PER_FILE];
	struct run r;
	struct digest *digest = NULL;
	must(digest_new(digest_kind(1), &digest, &err), "digest");
	begin(&r);
	for (uint64_t first = 0; first < records; first += PER_FILE) {
		char key[32];
		uint64_t count = records - first < PER_FILE ? records - first : PER_FILE;
		struct entry e = { .kind = ENTRY_FILE,
			.mode = 0600,
			.size = count * RAW_BYTES,
			.digest_kind = digest_kind(count * RAW_BYTES),
			.extents = extents,
			.extent_count = count };
		digest_begin(digest, e.digest_kind);
		for (uint64_t i = 0; i < count; i++) {
			uint8_t raw[RAW_BYTES];
			raw_of(first + i, raw);
			digest_add(digest, raw, sizeof(raw));
			extents[i] = (struct extent){ .length = RAW_BYTES };
			must(r.sink->put(r.sink->self, RECORD_DATA, RECORD_CLASS_BUNDLE, raw,
				     sizeof(raw), &extents[i].ref, &err),
				"put");
		}
		must(digest_end(digest, e.digest, &err), "digest");
		int len = snprintf(key, sizeof(key), "f%012llu", (unsigned long long)first);
		must(tree_builder_add(r.builder, (uint8_t *)key, (size_t)len, &e, &err), "add");
		r.result.files++;
	}
	digest_free(digest);
	commit(&r);
}

static struct extent walked[PER_FILE];
static size_t walked_count;

static int keep_extent(void *arg, const struct extent *x, struct err *why)
{
	const struct run *r = arg;
	if (walked_count == PER_FILE)
		return err_set(why, ERR_FAILED, "too many extents");
	walked[walked_count++] = *x;
	return r->sink->use(r->sink->self, &x->ref, why);
}

/* Everything as it was: what the file cache would say comes from the tree. */
static void repeat(uint64_t records)
{
	struct run r;
	struct fetch *fetch = NULL;
	struct tree_reader *reader = NULL;
	struct snapshot_list list = { .at = NULL };
	struct snapshot_opened opened;
	const uint8_t *key;
	size_t len;
	struct entry e;
	uint64_t seen = 0;
	must(fetch_new(vault, &fetch, &err), "fetch");
	must(snapshot_list(vault, NULL, NULL, &list, &err), "list");
	must(snapshot_open(vault, fetch, &list.at[0], rk_sk, &opened, &err), "snapshot");
	must(tree_reader_new(fetch_source(fetch), &opened.root.top, &reader, &err), "reader");
	begin(&r);
	expect(r.base.is_there && r.base.is_whole, "the base is whole");
	while (tree_reader_next(reader, &key, &len, &e, &err) == 1) {
		walked_count = 0;
		must(tree_reader_extents(reader, &e, keep_extent, &r, &err), "extents");
		seen += walked_count;
		e.extents = walked;
		e.extent_count = walked_count;
		e.has_extent_tree = false;
		must(tree_builder_add(r.builder, key, len, &e, &err), "add");
		r.result.files++;
	}
	expect(seen == records, "every record is in the tree");
	commit(&r);
	tree_reader_free(reader);
	snapshot_list_done(&list);
	fetch_free(fetch);
}

static void look(uint64_t records)
{
	struct vault_info info;
	must(vault_info_get(vault, NULL, &info, &err), "info");
	double each = (double)info.index_memory / (double)info.records;
	printf("  index: %llu records, %llu segments, %.1f bytes each, %llu MiB mapped\n",
		(unsigned long long)info.records, (unsigned long long)info.index_segments, each,
		(unsigned long long)info.index_mapped >> 20);
	expect(info.records >= records && info.missing_records == 0, "every record is known");
	expect(each <= 48, "48 bytes a record at most");
}

static void tell_finding(void *arg, const struct verify_finding *f)
{
	(void)arg;
	printf("  %s: %s: %s\n", f->is_warning ? "warning" : "problem", f->object, f->what);
}

static void verify(uint64_t records, const uint8_t *sk)
{
	struct verify_result result;
	const struct verify_opts opts = { .sk = sk, .on_finding = tell_finding };
	must(verify_run(vault, &opts, &result, &err), "verify");
	expect(result.problems == 0 && result.records >= records, "the vault is whole");
}

static void verify_keyless(uint64_t records)
{
	verify(records, NULL);
}

static void verify_content(uint64_t records)
{
	verify(records, rk_sk);
}

static void step(const char *name, void (*fn)(uint64_t), uint64_t records)
{
	struct anon_peak peak;
	open_vault();
	anon_peak_begin();
	fn(records);
	anon_peak_end(&peak);
	printf("prove-scale: %-16s %9llu records: anonymous %6.1f MiB, mapped %7.1f MiB, %7.1f "
	       "CPU-s\n",
		name, (unsigned long long)records, (double)peak.anon_kib / 1024,
		(double)peak.file_kib / 1024, peak.cpu_s);
	expect(peak.anon_kib <= max_kib, "anonymous memory within the limit");
	(void)fflush(stdout); /* a person looks on */
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		(void)fprintf(stderr, "usage: scale_index RECORDS DIR [MAX_MIB]\n");
		return 2;
	}
	uint64_t records = strtoull(argv[1], NULL, 10);
	if (argc > 3)
		max_kib = strtoul(argv[3], NULL, 10) << 10;
	heap_keep_small();
	make_vault(argv[2]);
	step("first backup", fill, records);
	step("unchanged backup", repeat, records);
	step("info, mark", look, records);
	step("verify", verify_keyless, records);
	step("verify content", verify_content, records);
	vault_close(vault);
	store_free(store);
	return status;
}
