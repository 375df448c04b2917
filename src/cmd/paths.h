/*
 * paths: where a host keeps what belongs to a vault: keys, memory, caches.
 */
#ifndef CMD_PATHS_H
#define CMD_PATHS_H

#include <limits.h>
#include <stdint.h>

struct buf;
struct err;

enum paths_kind {
	PATHS_CONFIG, /* HOLDFAST_CONFIG_DIR, /etc/holdfast, ~/.config/holdfast */
	PATHS_STATE,  /* HOLDFAST_STATE_DIR, /var/lib/holdfast, ~/.local/state/holdfast */
	PATHS_CACHE,  /* HOLDFAST_CACHE_DIR, /var/cache/holdfast, ~/.cache/holdfast */
};

/**
 * paths_dir(kind, vault_id, out, err):
 * Write the directory of the vault (its id in hex below the base) to ${out}; nothing is made.
 * Return 0, -ERR_CONFIG (no home directory) or -ERR_LIMIT.
 */
int paths_dir(
	enum paths_kind kind, const uint8_t vault_id[16], char out[PATH_MAX], struct err *err);

/* The directory above those of the vaults, likewise. */
int paths_base(enum paths_kind kind, char out[PATH_MAX], struct err *err);

/* Make ${dir} and its parents (0700) where missing.  Return 0 or -ERR_IO. */
int paths_make(const char *dir, struct err *err);

/* Append "/" and ${name} to ${path}.  Return 0 or -ERR_LIMIT. */
int paths_join(char path[PATH_MAX], const char *name, struct err *err);

/**
 * paths_read_secret(path, what, out, err):
 * Append a small file that only its owner may read; ${what} names it in errors.
 * Return 0, -ERR_NOT_FOUND, -ERR_AUTH (others may read it), -ERR_LIMIT or -ERR_IO.
 */
int paths_read_secret(const char *path, const char *what, struct buf *out, struct err *err);

#endif
