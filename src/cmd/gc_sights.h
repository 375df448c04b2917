/*
 * gc_sights: what this host's collections saw of open sessions, kept between runs: a session is
 * fenced by how long this host, on its own clock, has seen it silent.
 * Hides: the file "sights" in the vault's state directory, replaced whole; it counts for one boot.
 */
#ifndef CMD_GC_SIGHTS_H
#define CMD_GC_SIGHTS_H

#include "vault/collect_sights.h"

struct err;

#define GC_SIGHTS_MAX 65536

/* Read what ${dir} remembers of this boot; a file of another one, or none, is an empty memory.
 * Return 0, -ERR_CORRUPT or -ERR_IO. */
int gc_sights_load(const char *dir, struct collect_sights *out, struct err *err);
/* Remember exactly these; ${dir} is made.  Return 0 or an error (the memory is then as before). */
int gc_sights_store(const char *dir, const struct collect_sights *s, struct err *err);

#endif
