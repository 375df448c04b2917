#include "vault/parity_code.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "tests/lib/vault_fixture.h"

TestSuite(parity_code);

/* GF(2^8) by its definition: polynomials over GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1. */
static uint8_t times(uint8_t a, uint8_t b)
{
	unsigned product = 0;
	for (unsigned i = 0; i < 8; i++) {
		if ((b >> i & 1) != 0)
			product ^= (unsigned)a << i;
	}
	for (unsigned i = 15; i >= 8; i--) {
		if ((product >> i & 1) != 0)
			product ^= 0x11du << (i - 8);
	}
	return (uint8_t)product;
}

static uint8_t power(uint8_t base, unsigned n)
{
	uint8_t out = 1;
	for (unsigned i = 0; i < n; i++)
		out = times(out, base);
	return out;
}

Test(parity_code, factors_are_powers_of_two_in_the_field)
{
	uint8_t seen[256] = { 0 };
	for (unsigned slot = 0; slot < PARITY_CODE_SLOTS; slot++) {
		uint8_t f = parity_code_factor(1, (uint8_t)slot);
		cr_expect(eq(u8, parity_code_factor(0, (uint8_t)slot), 1));
		cr_expect(eq(u8, f, power(2, slot)));
		cr_expect(f != 0 && !seen[f], "slot %u has the factor of another", slot);
		seen[f] = 1;
	}
	cr_expect(eq(u8, parity_code_factor(1, 8), 0x1d)); /* as the format page says */
}

#define MEMBERS 9
#define MAX 70000
static uint8_t data[MEMBERS][MAX];
static uint8_t sums[2][MAX], model[2][MAX], out[MAX], space[2][MAX];

Test(parity_code, the_sums_are_those_of_the_definition_at_every_length)
{
	static const size_t lens[] = { 1, 2, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 127, 128,
		255, 257, 4096, 4099, 65535, 65536, MAX };
	uint8_t *to[2] = { sums[0], sums[1] };
	for (size_t i = 0; i < MEMBERS; i++)
		vault_fixture_noise(data[i], MAX, 40 + i);
	for (size_t k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		memset(sums, 0xa5, sizeof(sums));
		memset(model, 0xa5, sizeof(model));
		memset(sums[0], 0, lens[k]);
		memset(sums[1], 0, lens[k]);
		memset(model[0], 0, lens[k]);
		memset(model[1], 0, lens[k]);
		for (size_t i = 0; i < MEMBERS; i++) {
			uint8_t slot = (uint8_t)(i * 31);
			uint8_t f = power(2, slot);
			parity_code_add(2, slot, data[i], lens[k], to);
			for (size_t b = 0; b < lens[k]; b++) {
				model[0][b] ^= data[i][b];
				model[1][b] ^= times(f, data[i][b]);
			}
		}
		cr_expect(memcmp(sums, model, sizeof(sums)) == 0, "length %zu", lens[k]);
	}
}

Test(parity_code, one_row_alone_is_the_sum)
{
	uint8_t *to[2] = { sums[0], NULL };
	vault_fixture_noise(data[0], MAX, 1);
	memset(sums, 0, sizeof(sums));
	parity_code_add(1, 7, data[0], 1000, to);
	cr_expect(memcmp(sums[0], data[0], 1000) == 0);
	parity_code_add(1, 7, data[0], 1000, to);
	cr_expect(sums[0][0] == 0 && memcmp(sums[0], sums[0] + 1, 999) == 0);
}

Test(parity_code, any_one_or_two_lost_blocks_come_back)
{
	const size_t len = 1000;
	uint8_t *to[2] = { sums[0], sums[1] };
	for (size_t i = 0; i < MEMBERS; i++)
		vault_fixture_noise(data[i], len, 90 + i);
	memset(sums, 0, sizeof(sums));
	for (uint8_t i = 0; i < MEMBERS; i++)
		parity_code_add(2, i, data[i], len, to);
	for (uint8_t a = 0; a < MEMBERS; a++) {
		for (uint8_t b = 0; b < MEMBERS; b++) {
			uint8_t *left[2] = { space[0], space[1] };
			const uint8_t slots[2] = { a, b };
			const uint8_t both[2] = { 0, 1 };
			memcpy(space[0], sums[0], len);
			memcpy(space[1], sums[1], len);
			for (uint8_t i = 0; i < MEMBERS; i++) {
				if (i != a && i != b)
					parity_code_add(2, i, data[i], len, left);
			}
			if (a == b) { /* each row alone */
				for (uint8_t row = 0; row < 2; row++) {
					uint8_t *one[1] = { space[row] };
					parity_code_solve(1, slots, &row, one, len, 0, out);
					cr_expect(memcmp(out, data[a], len) == 0, "%d row %d", a,
						row);
				}
				continue;
			}
			parity_code_solve(2, slots, both, left, len, 0, out);
			cr_expect(memcmp(out, data[a], len) == 0, "%d of %d and %d", a, a, b);
			parity_code_solve(2, slots, both, left, len, 1, out);
			cr_expect(memcmp(out, data[b], len) == 0, "%d of %d and %d", b, a, b);
		}
	}
}
