/*
 * backup_memory DIR PATH..: what the agent's side of a backup takes: the pipeline over real files,
 * with its cache in ${DIR} (made if absent), against a port that counts and keeps nothing.  A first
 * run and one of the unchanged tree, each in a process of its own; one line each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agents/backup.h"
#include "agents/sources/files.h"
#include "agents/sources/root_list.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/heap.h"
#include "crypto/hash.h"
#include "vault/port.h"
#include "vault/record.h"

#define BASE_SEQ 1

/* It has everything or nothing, as ${has_all} says. */
struct null_port {
	struct port port;
	bool has_all;
	uint8_t sum[HASH_BYTES]; /* exclusive or of the IDs sent, roots apart: they hold chance */
	uint64_t questions, batches, references;
	size_t largest_batch;
};

static const uint8_t base_hash[HASH_BYTES] = "a snapshot that is not anywhere";

static int null_begin(void *self, const uint8_t agent_id[16], const uint8_t source_id[16],
	struct port_base *base, struct err *err)
{
	const struct null_port *n = self;
	(void)agent_id;
	(void)source_id;
	(void)err; /* cannot fail */
	*base = (struct port_base){
		.is_there = n->has_all, .is_whole = n->has_all, .seq = BASE_SEQ
	};
	memcpy(base->hash, base_hash, sizeof(base->hash));
	return 0;
}

static int null_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	struct null_port *n = self;
	(void)ids;
	(void)err; /* cannot fail */
	n->questions++;
	memset(present, n->has_all, count);
	return 0;
}

static int null_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct null_port *n = self;
	n->batches++;
	if (len > n->largest_batch)
		n->largest_batch = len;
	while (len > 0) {
		uint8_t id[HASH_BYTES];
		uint32_t cr_len;
		int suite;
		int type;
		int rc = record_peek(batch, len, &cr_len, &suite, &type, err);
		if (rc != 0)
			return rc;
		hash_sha256(batch, cr_len, id);
		for (size_t i = 0; type != RECORD_ROOT && i < sizeof(id); i++)
			n->sum[i] ^= id[i];
		batch += cr_len;
		len -= cr_len;
	}
	return 0;
}

static int null_commit(
	void *self, const struct port_commit *commit, struct port_receipt *receipt, struct err *err)
{
	struct null_port *n = self;
	(void)err; /* cannot fail */
	n->references = commit->segments_len;
	memcpy(receipt->snap_hash, base_hash, sizeof(receipt->snap_hash));
	receipt->receipt_ns = 1;
	return 0;
}

static void null_abort(void *self)
{
	(void)self; /* holds nothing */
}

static void on_warning(void *arg, const char *path, size_t len, const char *why)
{
	(void)arg;
	(void)path;
	(void)len;
	(void)why; /* left_out tells how many */
}

/* A number of /proc/self/status, in KiB; 0 when it is not there. */
static unsigned long status_kib(const char *name)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoul(line + strlen(name), NULL, 10);
	}
	if (f != NULL)
		(void)fclose(f); /* read only */
	return kib;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void report(const char *name, const struct backup_result *r, const struct null_port *n)
{
	struct rusage use;
	(void)getrusage(RUSAGE_SELF, &use); /* cannot fail with these arguments */
	printf("%-9s peak_kib=%lu cpu_s=%.2f user_s=%.2f files=%llu unchanged=%llu bytes=%llu "
	       "read_bytes=%llu sent_records=%llu sent_bytes=%llu batches=%llu largest_batch=%zu "
	       "questions=%llu reference_bytes=%llu left_out=%llu ids=%016llx\n",
		name, status_kib("VmHWM:"), seconds(use.ru_utime) + seconds(use.ru_stime),
		seconds(use.ru_utime), (unsigned long long)r->files,
		(unsigned long long)r->unchanged_files, (unsigned long long)r->bytes,
		(unsigned long long)r->read_bytes, (unsigned long long)r->sent_records,
		(unsigned long long)r->sent_bytes, (unsigned long long)n->batches, n->largest_batch,
		(unsigned long long)n->questions, (unsigned long long)n->references,
		(unsigned long long)r->left_out, (unsigned long long)bytes_get64(n->sum));
}

static int back_up(const char *cache, char **paths, size_t count, struct null_port *n,
	struct backup_result *r, struct err *err)
{
	struct root_list *roots = NULL;
	struct files *files = NULL;
	struct keyring_writer keys = { .kv_epoch = 1 };
	struct domain domain = { .epoch = 1 };
	struct label label = {
		.source = (char *)"bench", .host = (char *)"bench", .tool = (char *)"bench"
	};
	struct backup_opts opts = { .port = &n->port,
		.keys = &keys,
		.domain = &domain,
		.source_name = "bench",
		.label = &label,
		.cache_path = cache,
		.consistency = ROOT_FUZZY,
		.check = RECORD_CHECK_FULL,
		.on_warning = on_warning };
	int rc = root_list_new(&roots, err);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = root_list_add(roots, paths[i], NULL, err);
	struct files_opts walk = { .roots = roots, .on_warning = on_warning };
	if (rc == 0)
		rc = files_new(&walk, &files, err);
	if (rc == 0)
		rc = backup_run(&opts, files_source(files), r, err);
	files_free(files);
	root_list_free(roots);
	return rc;
}

/* One run in a child: what the one before took is no part of its peak. */
static int run(const char *name, bool has_all, const char *cache, char **paths, size_t count)
{
	int status = 0;
	(void)fflush(stdout); /* the child would print it again */
	pid_t child = fork();
	if (child == 0) {
		struct err err = ERR_INIT;
		struct backup_result r = { .files = 0 };
		struct null_port n = { .has_all = has_all };
		n.port = (struct port){ &n, null_begin, null_has, null_put, null_commit,
			null_abort };
		int rc = back_up(cache, paths, count, &n, &r, &err);
		if (rc == 0)
			report(name, &r, &n);
		else
			fprintf(stderr, "backup_memory: %s\n", err.msg);
		exit(rc != 0);
	}
	return child < 0 || waitpid(child, &status, 0) < 0 || status != 0;
}

int main(int argc, char **argv)
{
	heap_keep_small();
	char cache[4096];
	if (argc < 3 || snprintf(cache, sizeof(cache), "%s/cache", argv[1]) >= (int)sizeof(cache)) {
		fputs("usage: backup_memory DIR PATH..\n", stderr);
		return 2;
	}
	(void)mkdir(argv[1], 0700); /* if it cannot be made, the cache is not: told in the log */
	(void)unlink(cache);        /* most times there is none */
	int rc = run("first", false, cache, argv + 2, (size_t)argc - 2);
	return rc != 0 ? rc : run("unchanged", true, cache, argv + 2, (size_t)argc - 2);
}
