/*
 * chunker_kernel: the first test of vcdc1, h(t) = K (docs/FORMAT.md section 4.2), for many
 * positions at once, in every form that this processor can run.  A form is code, not a rule: all
 * mark exactly the same positions, so that who cuts where never depends on the machine. Threading:
 * everything is constant.
 */
#ifndef VAULT_CHUNKER_KERNEL_H
#define VAULT_CHUNKER_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define CHUNKER_KERNEL_BLOCK_BYTES 64 /* positions in one word of marks */
#define CHUNKER_KERNEL_BACK_BYTES 64  /* what may be read before the first position */

/* What the test needs of the key. */
struct chunker_kernel_key {
	uint8_t low[16], high[16]; /* g(b) = low[b & 15] ^ high[b >> 4] */
	uint8_t g[256];
	uint8_t k;
};

/*
 * One form.  mark() sets bit i % 64 of marks[i / 64] when h(i) = K, and clears it when not, for the
 * positions 0 .. 64 * ${blocks} - 1 of ${at}.  It reads the 64 bytes before them, nothing behind.
 */
struct chunker_kernel {
	const char *name;
	void (*mark)(const struct chunker_kernel_key *key, const uint8_t *at, size_t blocks,
		uint64_t *marks);
};

/*
 * Form ${i} of those that this processor and its system can run (registers that the system does not
 * save are not used); NULL behind the last.  Form 0 is the portable one, each further one is
 * faster.
 */
const struct chunker_kernel *chunker_kernel_at(size_t i);

/* The last of them. */
const struct chunker_kernel *chunker_kernel_best(void);

#endif
