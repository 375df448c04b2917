/*
 * version_pack: names of objects and ids of versions in few bytes, so that all of a bucket fit into
 * memory.  Pure.
 */
#ifndef VAULT_VERSION_PACK_H
#define VAULT_VERSION_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#define VERSION_PACK_ID_BYTES 256  /* of an id, with its NUL */
#define VERSION_PACK_MAX_BYTES 258 /* that a name or an id takes */

/* Pack a name of at most STORE_MAX_NAME_BYTES, or an id of less than VERSION_PACK_ID_BYTES, into
 * ${out}.  A name that is the hash of its bytes takes 33 bytes, or 34 and what stands before the
 * hash; an id of 32 characters 25 in the alphabets that servers use.  Return how many bytes. */
size_t version_pack_name(const char *name, uint8_t out[VERSION_PACK_MAX_BYTES]);
size_t version_pack_id(const char *id, uint8_t out[VERSION_PACK_MAX_BYTES]);

/* The other way; ${packed} is one of ours. */
void version_pack_get_name(const uint8_t *packed, char out[STORE_MAX_NAME_BYTES + 1]);
void version_pack_get_id(const uint8_t *packed, char out[VERSION_PACK_ID_BYTES]);

#endif
