/*
 * bad_packs: the packs that 'verify' of this host found damaged: a backup stores anew what it needs
 * of them.
 * Hides: the file "bad-packs" in the vault's state directory, replaced whole.  It has no MAC: a
 * false name costs storing some records once more, a lost one costs what it cost before.
 */
#ifndef CMD_BAD_PACKS_H
#define CMD_BAD_PACKS_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct id_set;

#define BAD_PACKS_MAX 65536

/* Read the hashes that ${dir} remembers into a new set (empty: nothing is remembered); the caller
 * frees it.  Return 0, -ERR_CORRUPT (the file is no such list) or -ERR_IO. */
int bad_packs_load(const char *dir, struct id_set **out, struct err *err);

/* Remember exactly these; ${dir} is made.  Return 0 or an error (the memory is then as before). */
int bad_packs_store(const char *dir, const uint8_t (*hashes)[32], size_t count, struct err *err);

#endif
