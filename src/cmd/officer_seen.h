/*
 * officer_seen: the newest config of each domain that an officer's key signed or saw here, so that
 * a controller which shows an older one gets no signature on top of it.
 * Hides: the file FILE.seen beside the officer's key FILE.  Several processes may use it at once.
 */
#ifndef CMD_OFFICER_SEEN_H
#define CMD_OFFICER_SEEN_H

#include <stdint.h>

struct err;

#define OFFICER_SEEN_MAX 1024 /* domains */

struct officer_seen {
	uint32_t epoch;
	uint8_t hash[32]; /* SHA-256 of the signed config */
};

/**
 * officer_seen_check(key_path, domain_id, now, next, err):
 * Whether the config ${now} may be believed and ${next} (NULL = none) be signed on top of it:
 * nothing newer than ${now} is remembered, nor another one of its epoch; or what is remembered is
 * ${next}, byte for byte: its answer was lost.  Nothing remembered is fine.
 * Return 0, -ERR_ROLLBACK, -ERR_CORRUPT (the memory is damaged), -ERR_AUTH (others may read it) or
 * -ERR_IO.
 */
int officer_seen_check(const char *key_path, const uint8_t domain_id[16],
	const struct officer_seen *now, const struct officer_seen *next, struct err *err);

/* The same, and remember ${next}, or ${now} when that is NULL; 0 when that is durable.  Before a
 * signed config goes out. */
int officer_seen_keep(const char *key_path, const uint8_t domain_id[16],
	const struct officer_seen *now, const struct officer_seen *next, struct err *err);

#endif
