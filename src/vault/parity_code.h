/*
 * parity_code: the Reed-Solomon code of parity (docs/FORMAT.md section 10.3): one or two rows over
 * GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d).  Row 0 is the sum of the blocks,
 * row 1 the sum of 2^slot times each: any two lost blocks of a group can be had from both rows.
 * Hides: libisal.  Pure, any thread.
 */
#ifndef VAULT_PARITY_CODE_H
#define VAULT_PARITY_CODE_H

#include <stddef.h>
#include <stdint.h>

#define PARITY_CODE_ROWS 2
#define PARITY_CODE_SLOTS 255 /* slots are 0 .. 254: 2^slot differs for each */

/* What row ${row} multiplies the block of ${slot} with. */
uint8_t parity_code_factor(unsigned row, uint8_t slot);

/* Add ${len} bytes of the block in ${slot} to the sums of rows 0 .. ${rows} - 1.  The same call
 * takes them away again. */
void parity_code_add(
	unsigned rows, uint8_t slot, const uint8_t *data, size_t len, uint8_t *const *sums);

/**
 * parity_code_solve(lost, slots, rows, sums, len, want, out):
 * ${lost} blocks (1 .. PARITY_CODE_ROWS), in ${slots}, are to be had from as many different rows,
 * whose ${sums} are what is left of the parity when all other blocks were taken away.  Write the
 * ${len} bytes of the block in slots[want].
 */
void parity_code_solve(size_t lost, const uint8_t *slots, const uint8_t *rows, uint8_t *const *sums,
	size_t len, size_t want, uint8_t *out);

#endif
