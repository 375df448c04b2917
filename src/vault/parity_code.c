#include "vault/parity_code.h"

#include <assert.h>
#include <isa-l/erasure_code.h>
#include <string.h>

/*
 * INVARIANTS
 * (1) Every matrix that is inverted can be: one factor is never 0, and two rows of two different
 *     slots are independent because 2^a differs from 2^b.
 */

#define TABLE_BYTES 32 /* of libisal, for each factor */

uint8_t parity_code_factor(unsigned row, uint8_t slot)
{
	unsigned factor = 1;
	assert(row < PARITY_CODE_ROWS && slot < PARITY_CODE_SLOTS);
	for (unsigned i = 0; row == 1 && i < slot; i++)
		factor = factor << 1 ^ ((factor & 0x80) != 0 ? 0x11d : 0);
	return (uint8_t)factor;
}

/* sums[r] += factors[r] * data.  libisal reads data, and says so nowhere. */
static void add(
	size_t rows, uint8_t *factors, const uint8_t *data, size_t len, uint8_t *const *sums)
{
	uint8_t tables[PARITY_CODE_ROWS * TABLE_BYTES];
	uint8_t *to[PARITY_CODE_ROWS] = { NULL };
	if (len == 0)
		return;
	for (size_t r = 0; r < rows; r++)
		to[r] = sums[r];
	ec_init_tables(1, (int)rows, factors, tables);
	ec_encode_data_update((int)len, 1, (int)rows, 0, tables, (uint8_t *)(uintptr_t)data, to);
}

void parity_code_add(
	unsigned rows, uint8_t slot, const uint8_t *data, size_t len, uint8_t *const *sums)
{
	uint8_t factors[PARITY_CODE_ROWS] = { 0 };
	assert(rows >= 1 && rows <= PARITY_CODE_ROWS);
	for (unsigned r = 0; r < rows; r++)
		factors[r] = parity_code_factor(r, slot);
	add(rows, factors, data, len, sums);
}

void parity_code_solve(size_t lost, const uint8_t *slots, const uint8_t *rows, uint8_t *const *sums,
	size_t len, size_t want, uint8_t *out)
{
	uint8_t matrix[PARITY_CODE_ROWS * PARITY_CODE_ROWS];
	uint8_t inverse[PARITY_CODE_ROWS * PARITY_CODE_ROWS];
	assert(lost >= 1 && lost <= PARITY_CODE_ROWS && want < lost);
	for (size_t r = 0; r < lost; r++) {
		for (size_t k = 0; k < lost; k++)
			matrix[r * lost + k] = parity_code_factor(rows[r], slots[k]);
	}
	int rc = gf_invert_matrix(matrix, inverse, (int)lost);
	assert(rc == 0);
	(void)rc; /* invariant 1 */
	memset(out, 0, len);
	for (size_t r = 0; r < lost; r++)
		add(1, &inverse[want * lost + r], sums[r], len, &out);
}
