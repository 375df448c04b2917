/*
 * cryptolib: the crypto library's algorithms, fetched once, for the files of this room.
 * Hides: provider look-ups and what to do when the library itself fails (the program ends: it
 * cannot allocate or has no default provider, and no caller could go on).  Thread-safe.
 */
#ifndef CRYPTO_CRYPTOLIB_INTERNAL_H
#define CRYPTO_CRYPTOLIB_INTERNAL_H

#include <openssl/evp.h>

/* Borrowed for the life of the program. */
const EVP_MD *cryptolib_sha256(void);

/* The cipher of an enum aead_suite, borrowed; NULL when there is no such suite. */
const EVP_CIPHER *cryptolib_cipher(int suite);

/* A new HMAC-SHA256 context without a key; the caller frees it.  Never NULL. */
EVP_MAC_CTX *cryptolib_hmac(void);

/* Say that the library failed in ${what} and why, and abort. */
void cryptolib_die(const char *what) __attribute__((noreturn));

#endif
