#include "crypto/scrypt.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) The library is never asked for parameters outside the limits: what it still refuses is for
 *     want of memory.
 */
#define LOG2N_MAX 20
#define R_MAX 16
#define P_MAX 4
#define OUT_MAX_BYTES 1024

int scrypt_derive(const void *pass, size_t pass_len, const void *salt, size_t salt_len,
	unsigned log2n, unsigned r, unsigned p, uint8_t *out, size_t len, struct err *err)
{
	if (log2n < 1 || log2n > LOG2N_MAX || r < 1 || r > R_MAX || p < 1 || p > P_MAX)
		return err_set(err, ERR_LIMIT, "scrypt parameters N=2^%u r=%u p=%u are not allowed",
			log2n, r, p);
	if (len < 1 || len > OUT_MAX_BYTES)
		return err_set(err, ERR_LIMIT, "scrypt does not give %zu bytes here", len);
	/* RFC 7914 section 2: N >= 2^(128 r / 8) would be outside the function's definition */
	if (log2n >= 16 * r)
		return err_set(err, ERR_LIMIT, "scrypt N=2^%u is too large for r=%u", log2n, r);

	uint64_t n = UINT64_C(1) << log2n;
	/* V, B, and the two blocks of working space that the library counts too */
	uint64_t memory = UINT64_C(128) * r * (n + p + 2);
	const char *pass_bytes = pass_len == 0 ? "" : pass;
	const uint8_t *salt_bytes = salt_len == 0 ? (const uint8_t *)"" : salt;
	if (EVP_PBE_scrypt_ex(pass_bytes, pass_len, salt_bytes, salt_len, n, r, p, memory, out, len,
		    NULL, NULL) != 1) {
		ERR_clear_error();
		return err_set(err, ERR_NOMEM, "out of memory for scrypt (%llu MiB)",
			(unsigned long long)(memory >> 20));
	}
	return 0;
}
