#include "vault/version_pack.h"

#include <stdbool.h>
#include <string.h>

#include "codec/text.h"
#include "crypto/hash.h"

/*
 * A name begins with a byte: the number of its class, and its hash follows; ENDS, and the length of
 * what stands before the hash, that, the hash; PLAIN, and its length, and its characters.
 * An id begins with a byte that is twice its alphabet's number for 32 characters, or one more, and
 * its length follows; then its characters, six bits each, or, of the alphabet 0, as they are.
 */

#define PLAIN 0xff
#define ENDS 0xfe
#define HEX ((size_t)2 * HASH_BYTES)
#define USUAL 32 /* characters of an id */

static const struct {
	const char *prefix;
	bool is_fanned; /* the hash's first two digits and a slash come before it */
} classes[] = { { "pk/", true }, { "pa/", true }, { "ix/", false }, { "rf/", false },
	{ "ev/", false }, { "rw/", false }, { "ks/", false }, { "cf/", false }, { "pr/", false },
	{ "hs/", false }, { "dd/", false } };
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char *const alphabets[] = { NULL, LETTERS "-.", LETTERS "_." };
#define ALPHABETS (sizeof(alphabets) / sizeof(alphabets[0]))

static bool is_of_class(size_t i, const char *name, size_t before)
{
	size_t len = strlen(classes[i].prefix);
	if (strncmp(name, classes[i].prefix, len) != 0)
		return false;
	if (!classes[i].is_fanned)
		return before == len;
	return before == len + 3 && name[len] == name[before] &&
	       name[len + 1] == name[before + 1] && name[len + 2] == '/';
}

size_t version_pack_name(const char *name, uint8_t out[VERSION_PACK_MAX_BYTES])
{
	size_t len = strlen(name);
	size_t before = len < HEX ? 0 : len - HEX;
	uint8_t hash[HASH_BYTES];
	if (len < HEX || text_unhex(name + before, sizeof(hash), hash) != 0) {
		out[0] = PLAIN;
		out[1] = (uint8_t)len;
		memcpy(out + 2, name, len);
		return 2 + len;
	}
	size_t i = 0;
	while (i < CLASSES && !is_of_class(i, name, before))
		i++;
	size_t at = 1;
	out[0] = i < CLASSES ? (uint8_t)i : ENDS;
	if (i == CLASSES) {
		out[at++] = (uint8_t)before;
		memcpy(out + at, name, before);
		at += before;
	}
	memcpy(out + at, hash, sizeof(hash));
	return at + sizeof(hash);
}

void version_pack_get_name(const uint8_t *packed, char out[STORE_MAX_NAME_BYTES + 1])
{
	size_t before = packed[0] < CLASSES ? strlen(classes[packed[0]].prefix) : packed[1];
	if (packed[0] >= CLASSES) {
		memcpy(out, packed + 2, before);
		out[before] = '\0';
		if (packed[0] == ENDS)
			text_hex(packed + 2 + before, HASH_BYTES, out + before);
		return;
	}
	memcpy(out, classes[packed[0]].prefix, before);
	if (classes[packed[0]].is_fanned) {
		text_hex(packed + 1, 1, out + before);
		before += 2;
		out[before++] = '/';
	}
	text_hex(packed + 1, HASH_BYTES, out + before);
}

size_t version_pack_id(const char *id, uint8_t out[VERSION_PACK_MAX_BYTES])
{
	size_t len = strlen(id), at = 0;
	uint32_t bits = 0;
	unsigned held = 0;
	size_t i = 1;
	while (i < ALPHABETS && strspn(id, alphabets[i]) != len)
		i++;
	i %= ALPHABETS;
	out[at++] = (uint8_t)(2 * i + (len != USUAL));
	if (len != USUAL)
		out[at++] = (uint8_t)len;
	if (alphabets[i] == NULL) {
		memcpy(out + at, id, len);
		return at + len;
	}
	for (const char *p = id; *p != '\0'; p++) {
		bits = bits << 6 | (uint32_t)(strchr(alphabets[i], *p) - alphabets[i]);
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[at++] = (uint8_t)(bits >> held);
		}
	}
	if (held > 0)
		out[at++] = (uint8_t)(bits << (8 - held));
	return at;
}

void version_pack_get_id(const uint8_t *packed, char out[VERSION_PACK_ID_BYTES])
{
	const char *alphabet = alphabets[packed[0] / 2];
	size_t len = packed[0] % 2 == 0 ? USUAL : packed[1];
	const uint8_t *p = packed + 1 + packed[0] % 2;
	uint32_t bits = 0;
	unsigned held = 0;
	out[len] = '\0';
	if (alphabet == NULL) {
		memcpy(out, p, len);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		if (held < 6) {
			bits = bits << 8 | *p++;
			held += 8;
		}
		held -= 6;
		out[i] = alphabet[bits >> held & 63];
	}
}
