/*
 * corpus: make the trees that the benchmark backs up (docs/BENCH.md).
 *   corpus plant [-s SCALE] DIR    historian shards, batch files, a system image, archives
 *   corpus day2 [-s SCALE] DIR     change such a tree to its second day, in place
 *   corpus small COUNT DIR         COUNT files of 1 KiB, 100 in a directory
 *   corpus warm DIR                read all of a tree, so that it lies in the page cache; print
 *                                  how many files and bytes it has
 *   corpus cat DIR                 write the content of all files to standard output
 * INVARIANTS
 * 1. Every byte and every time follows from (command, SCALE or COUNT): two runs make equal trees.
 *    No floating point but the one conversion of an integer, no libm, no locale, no clock.
 * 2. What a file holds depends on its kind and number alone, not on what was made before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KIB 1024u
#define MIB (1024u * 1024u)
#define BLOCK_BYTES 4096u
#define MTIME_BASE_S 1764000000

/* At scale 1; kinds are told apart in seeds. */
enum kind { SHARD = 1, BATCH, IMAGE, ARCHIVE, EXPORT, TAIL, INSERTED, CHANGED, SMALL, TABLES };
#define SHARDS 10u
#define SHARD_INSERTED 5u /* the one that day 2 inserts into; the others grow */
#define SHARD_RECORDS 10000000u
#define BATCHES 40000u
#define IMAGE_BYTES (3072ull * MIB)
#define PROJECTS 20u
#define VERSIONS 3u
#define MEMBERS 12u
#define EXPORTS 40u
#define TAGS 500u

static void die(const char *what)
{
	fprintf(stderr, "corpus: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- chance: splitmix64 ---------------------------------------------------------------------- */
static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t seed_of(enum kind kind, uint64_t number, uint64_t part)
{
	uint64_t s = (uint64_t)kind << 56 ^ number << 20 ^ part;
	(void)next(&s); /* mixes */
	return next(&s);
}

static uint64_t between(uint64_t *state, uint64_t least, uint64_t most)
{
	return least + next(state) % (most - least + 1);
}

/* ---- output ---------------------------------------------------------------------------------- */
struct out {
	int fd;
	size_t used;
	uint64_t bytes; /* of the file so far, what waits included */
	uint8_t room[256u * KIB];
};
static struct out out;

static void out_flush(void)
{
	for (size_t done = 0; done < out.used;) {
		ssize_t n = write(out.fd, out.room + done, out.used - done);
		if (n <= 0)
			die("write");
		done += (size_t)n;
	}
	out.used = 0;
}

static void out_put(const void *bytes, size_t len)
{
	const uint8_t *from = bytes;
	out.bytes += len;
	while (len > 0) {
		if (out.used == sizeof(out.room))
			out_flush();
		size_t n = sizeof(out.room) - out.used;
		n = n < len ? n : len;
		memcpy(out.room + out.used, from, n);
		out.used += n;
		from += n;
		len -= n;
	}
}

static void out_text(const char *text)
{
	out_put(text, strlen(text));
}

static void out_number(uint64_t n, int digits)
{
	char text[24];
	int at = sizeof(text);
	do {
		text[--at] = (char)('0' + n % 10);
		n /= 10;
		digits--;
	} while (n > 0 || digits > 0);
	out_put(text + at, sizeof(text) - (size_t)at);
}

static void out_open(const char *path, int flags)
{
	out = (struct out){ .fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644) };
	if (out.fd < 0)
		die(path);
}

/* ${order} gives the time of change: every file another one. */
static void out_close(uint64_t order)
{
	out_flush();
	time_t at = MTIME_BASE_S + (time_t)order;
	struct timespec times[2] = { { .tv_sec = at }, { .tv_sec = at } };
	if (futimens(out.fd, times) != 0 || close(out.fd) != 0)
		die("close");
}

/* ---- content --------------------------------------------------------------------------------- */
#define WORDS 4096u
#define CODES 8192u
static char words[WORDS][12];
static uint8_t codes[CODES][8], code_len[CODES];

static void tables_init(void)
{
	static const char *const part[] = { "re", "con", "ta", "ni", "val", "pum", "for", "se",
		"lo", "mi", "tank", "er", "ing", "pres", "flow", "set" };
	uint64_t s = seed_of(TABLES, 0, 0);
	for (size_t i = 0; i < WORDS; i++) {
		for (size_t n = between(&s, 1, 3); n > 0; n--)
			strncat(words[i], part[next(&s) % 16],
				sizeof(words[i]) - 1 - strlen(words[i]));
	}
	for (size_t i = 0; i < CODES; i++) {
		uint64_t bytes = next(&s);
		memcpy(codes[i], &bytes, sizeof(bytes));
		code_len[i] = (uint8_t)between(&s, 2, 7);
	}
}

/* Small numbers often, large ones seldom, as words and instructions are. */
static size_t skewed(uint64_t r, size_t count)
{
	return (size_t)((r >> 8) % count) >> ((r & 7) + (r >> 3 & 3));
}

static void put_noise(uint64_t *s, size_t len)
{
	uint64_t block[512];
	while (len > 0) {
		size_t n = len < sizeof(block) ? len : sizeof(block);
		for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++)
			block[i] = next(s);
		out_put(block, n);
		len -= n;
	}
}

static void put_words(uint64_t *s, size_t len)
{
	for (uint64_t end = out.bytes + len; out.bytes < end;) {
		uint64_t r = next(s);
		const char *word = words[skewed(r, WORDS)];
		size_t n = strlen(word);
		n = n < end - out.bytes ? n : (size_t)(end - out.bytes);
		out_put(word, n);
		if (out.bytes < end)
			out_put(r >> 60 == 0 ? "\n" : " ", 1);
	}
}

/* As machine code is: instructions that come again, with addresses and constants between. */
static void put_code(uint64_t *s, size_t len)
{
	for (uint64_t end = out.bytes + len; out.bytes < end;) {
		uint64_t r = next(s);
		size_t i = skewed(r, CODES);
		size_t n = code_len[i];
		uint8_t bytes[12];
		memcpy(bytes, codes[i], sizeof(codes[i]));
		if (r >> 62 == 0) { /* an operand that is new */
			uint64_t operand = next(s);
			memcpy(bytes + n, &operand, 2);
			n += 2;
		}
		out_put(bytes, n < end - out.bytes ? n : (size_t)(end - out.bytes));
	}
}

/* History of a shard: scans of TAGS tags, of which those that moved are stored, 16 bytes each. */
struct row {
	uint64_t stamp_ms;
	uint16_t tag, quality;
	float value;
};

static void put_rows(uint64_t seed, uint64_t start_ms, uint64_t count)
{
	int32_t level[TAGS];
	uint64_t s = seed;
	for (size_t i = 0; i < TAGS; i++)
		level[i] = (int32_t)between(&s, 0, 200000);
	for (uint64_t stamp = start_ms; count > 0; stamp += 1000 + (next(&s) & 3)) {
		for (uint16_t tag = 0; tag < TAGS && count > 0; tag++) {
			uint64_t r = next(&s);
			if ((r & 3) != 0)
				continue;
			level[tag] += (int32_t)(r >> 8 & 31) - 15 -
				      (tag % 5 == 0 ? 0 : level[tag] / 65536);
			struct row row = { stamp, (uint16_t)(tag + 1), r >> 54 == 0 ? 24 : 192,
				(float)level[tag] / 64.0F };
			out_put(&row, sizeof(row));
			count--;
		}
	}
}

static void put_batch_xml(uint64_t number, uint64_t *s)
{
	uint64_t samples = between(s, 20, 220);
	out_text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<batch id=\"B");
	out_number(number, 6);
	out_text("\" recipe=\"R");
	out_number(next(s) % 40, 3);
	out_text("\">\n");
	for (uint64_t i = 0; i < samples; i++) {
		out_text("  <sample step=\"");
		out_number(i / 20, 2);
		out_text("\" t=\"2026-11-2");
		out_number(number % 9, 1);
		out_text("T");
		out_number(i / 60 % 24, 2);
		out_text(":");
		out_number(i % 60, 2);
		out_text(":00Z\"><temperature unit=\"C\">");
		out_number(between(s, 6000, 6999), 4);
		out_text("</temperature><pressure unit=\"bar\">");
		out_number(between(s, 100, 399), 3);
		out_text("</pressure></sample>\n");
	}
	out_text("</batch>\n");
}

static void put_batch_csv(uint64_t number, uint64_t *s)
{
	uint64_t lines = between(s, 100, 900), at = number * 10007;
	out_text("time;batch;valve;flow;level;state\n");
	for (uint64_t i = 0; i < lines; i++) {
		out_number(at += between(s, 1, 5), 9);
		out_text(";B");
		out_number(number, 6);
		out_text(";V");
		out_number(next(s) % 16, 2);
		out_text(";");
		out_number(between(s, 10000, 19999), 5);
		out_text(";");
		out_number(between(s, 400, 799), 3);
		out_text((next(s) & 7) == 0 ? ";alarm\n" : ";run\n");
	}
}

/* A stretch of a file system: programs, text, compressed things, records. */
static void put_stretch(uint64_t *s, size_t len)
{
	uint64_t r = next(s) % 100;
	if (r < 55)
		put_code(s, len);
	else if (r < 75)
		put_words(s, len);
	else if (r < 92)
		put_noise(s, len);
	else
		put_rows(next(s), MTIME_BASE_S, len / sizeof(struct row));
}

/* ---- the plant ------------------------------------------------------------------------------- */
static char base[3072];

static const char *in_base(const char *folder, uint64_t number, const char *end)
{
	static char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%s", base, folder);
	if (end != NULL)
		(void)snprintf(path + n, sizeof(path) - (size_t)n, "%04llu%s",
			(unsigned long long)number, end); /* base is short: main() checks */
	return path;
}

static void folder_make(const char *path)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		die(path);
}

static uint64_t scaled(uint64_t at_one, double scale, uint64_t least)
{
	uint64_t n = (uint64_t)((double)at_one * scale);
	return n < least ? least : n;
}

static void image_make(const char *path, uint64_t bytes)
{
	uint64_t s = seed_of(IMAGE, 0, 0);
	out_open(path, O_CREAT | O_TRUNC);
	while (out.bytes < bytes) {
		uint64_t kinds = next(&s);
		uint64_t len = between(&s, 1, 1u << between(&s, 2, 10)) * BLOCK_BYTES;
		len = len < bytes - out.bytes ? len : bytes - out.bytes;
		if (kinds % 100 < 35) { /* free: a hole */
			out_flush();
			out.bytes += len;
			if (lseek(out.fd, (off_t)out.bytes, SEEK_SET) < 0)
				die(path);
		} else {
			put_stretch(&s, len);
		}
	}
	out_flush();
	if (ftruncate(out.fd, (off_t)bytes) != 0)
		die(path);
	out_close(0);
}

/* As a zip file: members that do not compress; a later version keeps two thirds of them. */
static void archive_make(uint64_t project, uint64_t version)
{
	char name[64];
	(void)snprintf(name, sizeof(name), "-v%u.zip", (unsigned)version); /* fits */
	out_open(in_base("engineering/project-", project, name), O_CREAT | O_TRUNC);
	for (uint64_t m = 0; m < MEMBERS; m++) {
		uint64_t since = version;
		while (since > 0 && (m + since) % 3 != 0)
			since--;
		uint64_t s = seed_of(ARCHIVE, project, m * VERSIONS + since);
		uint64_t len = between(&s, 64u * KIB, 768u * KIB);
		out_put("PK\3\4\24\0\0\0\10\0", 10);
		out_number(m, 8);
		put_noise(&s, len);
	}
	out_close(project * VERSIONS + version);
}

static void export_make(uint64_t number)
{
	uint64_t s = seed_of(EXPORT, number, 0);
	out_open(in_base("engineering/export-", number, ".xml"), O_CREAT | O_TRUNC);
	for (uint64_t i = 0; i < 6000; i++) {
		out_text("<block name=\"");
		out_text(words[next(&s) % WORDS]);
		out_number(i, 1);
		out_text("\" type=\"");
		out_text(words[next(&s) % 24]);
		out_text("\"><pin in=\"");
		out_number(next(&s) % 100000, 5);
		out_text("\" comment=\"");
		put_words(&s, 40);
		out_text("\"/></block>\n");
	}
	out_close(1000 + number);
}

static void batch_make(uint64_t number, enum kind kind)
{
	char folder[64];
	uint64_t s = seed_of(kind, number, 0);
	(void)snprintf(folder, sizeof(folder), "batch/%03u", (unsigned)(number / 100)); /* fits */
	folder_make(in_base(folder, 0, NULL));
	(void)snprintf(folder, sizeof(folder), "batch/%03u/B", (unsigned)(number / 100)); /* fits */
	bool is_xml = number % 5 < 3;
	out_open(in_base(folder, number, is_xml ? ".xml" : ".csv"), O_CREAT | O_TRUNC);
	if (is_xml)
		put_batch_xml(number, &s);
	else
		put_batch_csv(number, &s);
	out_close((kind == CHANGED ? 900000 : 100000) + number);
}

/* The batch files last: the newest times of change are then on files that cost nothing, should a
 * program distrust the newest ones and read them again. */
static void plant_make(double scale)
{
	static const char *const folders[] = { "", "historian", "batch", "image", "engineering" };
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		folder_make(in_base(folders[i], 0, NULL));
	image_make(in_base("image/system.img", 0, NULL), scaled(IMAGE_BYTES / MIB, scale, 1) * MIB);
	for (uint64_t i = 0; i < SHARDS; i++) {
		out_open(in_base("historian/sqlt_data_", i, ".rec"), O_CREAT | O_TRUNC);
		put_rows(seed_of(SHARD, i, 0), (MTIME_BASE_S + i * 2592000) * 1000,
			scaled(SHARD_RECORDS, scale, 1000));
		out_close(i);
	}
	for (uint64_t p = 0; p < scaled(PROJECTS, scale, 1); p++) {
		for (uint64_t v = 0; v < VERSIONS; v++)
			archive_make(p, v);
	}
	for (uint64_t i = 0; i < scaled(EXPORTS, scale, 1); i++)
		export_make(i);
	for (uint64_t i = 0; i < scaled(BATCHES, scale, 10); i++)
		batch_make(i, BATCH);
}

/* ---- the second day -------------------------------------------------------------------------- */
static void shard_insert(const char *path, uint64_t records)
{
	uint64_t half = records / 2 * sizeof(struct row), s = seed_of(INSERTED, 0, 0);
	out_open(path, 0);
	if (lseek(out.fd, (off_t)half, SEEK_SET) < 0)
		die(path);
	put_noise(&s, MIB);
	uint8_t *rest = malloc(records * sizeof(struct row) - half);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	for (ssize_t n = 1; rest != NULL && fd >= 0 && n > 0; len += (size_t)n) {
		n = pread(fd, rest + len, records * sizeof(struct row) - half - len,
			(off_t)(half + len));
		if (n < 0)
			die(path);
	}
	if (len != records * sizeof(struct row) - half)
		die(path);
	out_put(rest, len);
	free(rest);
	(void)close(fd); /* read only */
	out_close(900000);
}

/* At scale 1: 24 stretches (2 % of the image together) written anew and 60 single blocks. */
static void image_change(const char *path, uint64_t bytes, double scale)
{
	uint64_t stretches = scaled(24, scale, 2), spots = stretches + scaled(60, scale, 2);
	uint64_t s = seed_of(CHANGED, 0, 1), blocks = bytes / BLOCK_BYTES;
	out_open(path, 0);
	for (uint64_t i = 0; i < spots; i++) {
		uint64_t len = i < stretches ? blocks / 50 / stretches + 1 : 1;
		uint64_t at = between(&s, 0, blocks - len);
		out_flush();
		if (lseek(out.fd, (off_t)(at * BLOCK_BYTES), SEEK_SET) < 0)
			die(path);
		put_stretch(&s, len * BLOCK_BYTES);
	}
	out_close(900001);
}

static void plant_age(double scale)
{
	uint64_t records = scaled(SHARD_RECORDS, scale, 1000), batches = scaled(BATCHES, scale, 10);
	image_change(in_base("image/system.img", 0, NULL),
		scaled(IMAGE_BYTES / MIB, scale, 1) * MIB, scale);
	for (uint64_t i = 0; i < SHARDS; i++) {
		const char *path = in_base("historian/sqlt_data_", i, ".rec");
		if (i == SHARD_INSERTED) {
			shard_insert(path, records);
			continue;
		}
		out_open(path, O_APPEND);
		put_rows(seed_of(TAIL, i, 0), (MTIME_BASE_S + (i + 1) * 2592000) * 1000,
			records * 3 / 100);
		out_close(900000 + i);
	}
	for (uint64_t i = 0; i < batches / 100; i++) /* new */
		batch_make(batches + i, BATCH);
	for (uint64_t i = 0; i < batches / 2000; i++) /* written again */
		batch_make(i * 1999, CHANGED);
}

/* ---- a million small files ------------------------------------------------------------------- */
static void small_make(uint64_t count)
{
	char folder[64];
	folder_make(base);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t s = seed_of(SMALL, i, 0);
		(void)snprintf(folder, sizeof(folder), "%03u", (unsigned)(i / 10000)); /* fits */
		if (i % 10000 == 0)
			folder_make(in_base(folder, 0, NULL));
		(void)snprintf(folder, sizeof(folder), "%03u/%02u", (unsigned)(i / 10000),
			(unsigned)(i / 100 % 100)); /* fits */
		if (i % 100 == 0)
			folder_make(in_base(folder, 0, NULL));
		(void)snprintf(folder, sizeof(folder), "%03u/%02u/r", (unsigned)(i / 10000),
			(unsigned)(i / 100 % 100)); /* fits */
		out_open(in_base(folder, i, ".txt"), O_CREAT | O_TRUNC);
		out_text("record ");
		out_number(i, 9);
		while (out.bytes < KIB - 16) {
			out_text(";");
			out_number(next(&s) % 1000000, 6);
		}
		put_words(&s, (size_t)(KIB - out.bytes));
		out_close(i);
	}
}

/* ---- reading --------------------------------------------------------------------------------- */
static bool is_cat;
static uint64_t files_read, bytes_read;

static int read_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	static uint8_t room[256u * KIB];
	(void)st;
	(void)where;
	if (type != FTW_F)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	for (ssize_t n; (n = read(fd, room, sizeof(room))) != 0;) {
		if (n < 0)
			die(path);
		bytes_read += (uint64_t)n;
		if (is_cat)
			out_put(room, (size_t)n);
	}
	files_read++;
	return close(fd);
}

static int age_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	struct timespec times[2] = { { .tv_sec = MTIME_BASE_S }, { .tv_sec = MTIME_BASE_S } };
	(void)st;
	(void)where;
	return type == FTW_DP && utimensat(AT_FDCWD, path, times, 0) != 0 ? -1 : 0;
}

static int usage(void)
{
	fputs("usage: corpus plant|day2 [-s SCALE] DIR | corpus small COUNT DIR | corpus warm|cat "
	      "DIR\n",
		stderr);
	return 2;
}

int main(int argc, char **argv)
{
	double scale = 1;
	const char *verb = argc > 2 ? argv[1] : "";
	bool is_small = strcmp(verb, "small") == 0, is_plant = strcmp(verb, "plant") == 0;
	bool is_day2 = strcmp(verb, "day2") == 0, is_reader = strcmp(verb, "warm") == 0;
	uint64_t count = is_small ? strtoull(argv[2], NULL, 10) : 0;
	int at = is_small ? 3 : 2;
	is_cat = strcmp(verb, "cat") == 0;
	if ((is_plant || is_day2) && argc == 5 && strcmp(argv[2], "-s") == 0) {
		scale = strtod(argv[3], NULL);
		at = 4;
	}
	if (argc != at + 1 || !(scale > 0 && scale <= 100) || (is_small && count == 0) ||
		strlen(argv[at]) >= sizeof(base) - 1)
		return usage();
	memcpy(base, argv[at], strlen(argv[at]) + 1);
	umask(022);
	tables_init();
	if (is_cat || is_reader) {
		out.fd = STDOUT_FILENO;
		if (nftw(base, read_one, 64, FTW_PHYS) != 0)
			die(base);
		out_flush();
		if (is_reader)
			printf("%llu %llu\n", (unsigned long long)files_read,
				(unsigned long long)bytes_read);
		return 0;
	}
	if (is_plant)
		plant_make(scale);
	else if (is_day2)
		plant_age(scale);
	else if (is_small)
		small_make(count);
	else
		return usage();
	if (nftw(base, age_one, 64, FTW_PHYS | FTW_DEPTH) != 0) /* times of directories, too */
		die(base);
	return 0;
}
