/*
 * fuzz_memory: what a host remembers between runs: when packs were verified, which were damaged,
 * which sessions a collection saw open; the first byte says which.  What is loaded is stored and
 * loaded again.  (The caches have targets of their own or carry a MAC.)
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fdio.h"
#include "cmd/bad_packs.h"
#include "cmd/gc_sights.h"
#include "fuzz/fuzz.h"
#include "vault/collect_sights.h"
#include "vault/id_set.h"
#include "vault/verify_ages.h"

static char dir[64];

/* The file ${name} of the directory, which lasts as long as the program. */
static void put(const char *name, const char *head, const void *data, size_t len, char path[128])
{
	if (dir[0] == '\0') {
		snprintf(dir, sizeof(dir), "%s/fuzz-memory.XXXXXX",
			access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		FUZZ_CHECK(mkdtemp(dir) != NULL);
	}
	snprintf(path, 128, "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	FUZZ_CHECK(f != NULL && fputs(head, f) >= 0);
	FUZZ_CHECK(len == 0 || fwrite(data, len, 1, f) == 1);
	FUZZ_CHECK(fclose(f) == 0);
}

static void drop(const char *path)
{
	FUZZ_CHECK(unlink(path) == 0 && rmdir(dir) == 0);
	dir[0] = '\0';
}

static void ages(const void *data, size_t len)
{
	char path[128];
	struct verify_ages *a = NULL, *again = NULL;
	struct err err = ERR_INIT;
	put("ages", "", data, len, path);
	FUZZ_CHECK(verify_ages_new(&a, &err) == 0 && verify_ages_new(&again, &err) == 0);
	int rc = verify_ages_load(a, path, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0) {
		FUZZ_CHECK(verify_ages_store(a, path, false, &err) == 0);
		FUZZ_CHECK(verify_ages_load(again, path, &err) == 0);
	}
	verify_ages_free(a);
	verify_ages_free(again);
	drop(path);
}

static void bad_packs(const void *data, size_t len)
{
	char path[128];
	struct id_set *set = NULL;
	struct err err = ERR_INIT;
	put("bad-packs", "", data, len, path);
	int rc = bad_packs_load(dir, &set, &err);
	fuzz_verdict(rc, &err);
	id_set_free(set);
	drop(path);
}

/* Behind the line of this boot, without which nothing is read. */
static void sights(const void *data, size_t len)
{
	char path[128], boot[37] = "", head[64];
	struct collect_sights s = { .count = 0 }, again = { .count = 0 };
	struct err err = ERR_INIT;
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	FUZZ_CHECK(f != NULL && fread(boot, 1, 36, f) == 36 && fclose(f) == 0);
	snprintf(head, sizeof(head), "holdfast-sights 1 %s\n", boot);
	put("sights", head, data, len, path);
	int rc = gc_sights_load(dir, &s, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0) {
		FUZZ_CHECK(gc_sights_store(dir, &s, &err) == 0);
		FUZZ_CHECK(gc_sights_load(dir, &again, &err) == 0);
		FUZZ_CHECK(s.count == again.count && s.pack_count == again.pack_count &&
			   s.session_count == again.session_count);
		collect_sights_done(&again);
	}
	collect_sights_done(&s);
	if (access(path, F_OK) != 0)
		put("sights", "", "", 0, path);
	drop(path);
}

static void run(const uint8_t *data, size_t len)
{
	static void (*const kinds[])(const void *data, size_t len) = { ages, bad_packs, sights };
	if (len > 0)
		kinds[data[0] % 3](data + 1, len - 1); /* '0' is 48 */
}

#define HEX32 "00112233445566778899aabbccddeeff"

static void seeds(void)
{
	static const char *const texts[] = {
		"0holdfast-verified 1\n" HEX32 HEX32 " 1790000000\n",
		"1holdfast-bad-packs 1\n" HEX32 HEX32 "\n",
		"2" HEX32 " 7 123456789\npack " HEX32 HEX32 "\nopen " HEX32 "\n",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		fuzz_seed(texts[i], strlen(texts[i]));
}

const struct fuzz_target fuzz_memory = { "memory", run, seeds };
