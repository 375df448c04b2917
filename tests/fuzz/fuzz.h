/*
 * fuzz: what the fuzz targets share.  A target is one parser of outside bytes: whatever it is
 * given, it says no with a code and a text, or it takes it, and then its writer makes the same
 * bytes again.  fuzz_replay runs every target over the committed corpus (plain program);
 * fuzz_libfuzzer is the same under libFuzzer, FUZZ_TARGET=name.
 * What lies under a key is mutated in the clear and sealed inside the target.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct sealed_key;

#define FUZZ_MAX_BYTES ((size_t)64 << 10)

struct fuzz_target {
	const char *name; /* also of its directory in tests/fuzz/corpus */
	void (*run)(const uint8_t *data, size_t len);
	void (*seeds)(void); /* calls fuzz_seed() with what our own writers make */
};
extern const struct fuzz_target *const fuzz_targets[]; /* ends with NULL */

/* A claim that must hold; ends the program. */
#define FUZZ_CHECK(claim) fuzz_check((claim), #claim, __FILE__, __LINE__)
void fuzz_check(bool holds, const char *claim, const char *file, int line);
/* 0, or a code that ${err} carries with a text. */
void fuzz_verdict(int rc, const struct err *err);
/* Something was taken; fuzz_verdict(0) and fuzz_codec() say it themselves.  A target that never
 * takes anything of its corpus tests nothing. */
void fuzz_took(void);
size_t fuzz_taken(void);

/* Decode, encode what came out into ${again} and end it.  Return what the decoder said. */
typedef int (*fuzz_codec_fn)(const void *data, size_t len, struct buf *again, struct err *err);
/* What is taken comes back: byte for byte if ${is_exact}, else as something that comes back. */
void fuzz_codec(fuzz_codec_fn fn, const void *data, size_t len, bool is_exact);

/* One more seed of the target at hand. */
void fuzz_seed(const void *data, size_t len);
/* Lets fuzz_seed() write to ${dir}/<target>/<n>. */
void fuzz_write_seeds(const char *dir);

/* The vault key of all targets. */
const struct sealed_key *fuzz_key(void);
/* ${len} bytes that mean nothing; the same each time. */
void fuzz_fill(void *out, size_t len, uint8_t from);

#endif
