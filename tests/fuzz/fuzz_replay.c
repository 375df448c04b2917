/*
 * fuzz_replay: every target over its committed corpus: each file as it is, cut at 32 places and
 * changed in 96 ways that depend on the file alone.  A fault ends the program.
 * `fuzz_replay DIR [TARGET..]` replays, `fuzz_replay --seeds DIR` writes what our writers make,
 * `fuzz_replay --list` names the targets, `fuzz_replay --one TARGET FILE` runs one file.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

#define CUTS 32
#define CHANGES 96

/* The bytes of a file, malloc'ed to their exact length so that ASan sees the end. */
static uint8_t *read_file(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	FUZZ_CHECK(f != NULL);
	uint8_t *all = malloc(FUZZ_MAX_BYTES);
	FUZZ_CHECK(all != NULL);
	*len = fread(all, 1, FUZZ_MAX_BYTES, f);
	FUZZ_CHECK(fclose(f) == 0);
	return all;
}

static void run_exact(const struct fuzz_target *t, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	FUZZ_CHECK(copy != NULL);
	if (len > 0)
		memcpy(copy, data, len);
	t->run(copy, len);
	free(copy);
}

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

/* One to four bytes changed, taken out or said twice. */
static size_t change(uint8_t *data, size_t len, uint64_t *state)
{
	for (uint32_t n = 1 + next_random(state) % 4; n > 0 && len > 0; n--) {
		size_t at = next_random(state) % len;
		switch (next_random(state) % 5) {
		case 0:
			data[at] ^= (uint8_t)(1u << next_random(state) % 8);
			break;
		case 1:
			data[at] = (uint8_t)next_random(state);
			break;
		case 2:
			data[at] = next_random(state) % 2 == 0 ? 0 : 0xff;
			break;
		case 3:
			memmove(data + at, data + at + 1, len - at - 1);
			len--;
			break;
		default:
			if (len == FUZZ_MAX_BYTES)
				break;
			memmove(data + at + 1, data + at, len - at);
			len++;
			break;
		}
	}
	return len;
}

static size_t replay_file(const struct fuzz_target *t, const char *path)
{
	size_t len = 0;
	uint8_t *data = read_file(path, &len);
	uint8_t *work = malloc(FUZZ_MAX_BYTES);
	uint64_t state = len;
	FUZZ_CHECK(work != NULL);
	run_exact(t, data, len);
	for (size_t i = 0; i < CUTS; i++)
		run_exact(t, data, len * i / CUTS);
	for (size_t i = 0; i < CHANGES; i++) {
		memcpy(work, data, len);
		run_exact(t, work, change(work, len, &state));
	}
	free(work);
	free(data);
	return 1 + CUTS + CHANGES;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Return the runs. */
static size_t replay_target(const struct fuzz_target *t, const char *dir)
{
	char path[1024];
	struct dirent **files = NULL;
	size_t runs = 0;
	snprintf(path, sizeof(path), "%s/%s", dir, t->name);
	int n = scandir(path, &files, NULL, by_name);
	for (int i = 0; i < n; i++) {
		if (files[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s/%s", dir, t->name, files[i]->d_name);
			runs += replay_file(t, path);
		}
		free(files[i]);
	}
	free(files);
	return runs;
}

static bool is_asked(const struct fuzz_target *t, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], t->name) == 0)
			return true;
	return argc == 2;
}

static int run_one(const char *name, const char *path)
{
	for (size_t i = 0; fuzz_targets[i] != NULL; i++)
		if (strcmp(fuzz_targets[i]->name, name) == 0) {
			size_t len = 0;
			uint8_t *data = read_file(path, &len);
			run_exact(fuzz_targets[i], data, len);
			free(data);
			return 0;
		}
	return 2;
}

int main(int argc, char **argv)
{
	size_t runs = 0, passed = 0, failed = 0;
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; fuzz_targets[i] != NULL; i++)
			printf("%s\n", fuzz_targets[i]->name);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
		fuzz_write_seeds(argv[2]);
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "--one") == 0)
		return run_one(argv[2], argv[3]);
	if (argc < 2)
		return 2;
	for (size_t i = 0; fuzz_targets[i] != NULL; i++) {
		if (!is_asked(fuzz_targets[i], argc, argv))
			continue;
		size_t before = fuzz_taken(), n = replay_target(fuzz_targets[i], argv[1]);
		if (fuzz_taken() == before)
			n = 0;
		if (n == 0)
			fprintf(stderr, "fuzz: %s takes nothing of its corpus\n",
				fuzz_targets[i]->name);
		failed += n == 0;
		passed += n != 0;
		runs += n;
	}
	printf("fuzz: %zu inputs\nfuzz: %zu passed, %zu failed\n", runs, passed, failed);
	return failed != 0 || passed == 0;
}
