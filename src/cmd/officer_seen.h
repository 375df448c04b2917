/*
 * officer_seen: the newest config of each domain that an officer's key signed or saw here, so that
 * a controller which shows an older one gets no signature on top of it.
 * Hides: the file FILE.seen beside the officer's key FILE.  Several processes may use it at once:
 * each holds officer_seen_lock() from what the controller shows to what is made of it, and again
 * from remembering a config to the answer for it.
 */
#ifndef CMD_OFFICER_SEEN_H
#define CMD_OFFICER_SEEN_H

#include <stdbool.h>
#include <stdint.h>

struct err;

#define OFFICER_SEEN_MAX 1024 /* domains */

struct officer_seen {
	uint32_t epoch;
	uint8_t hash[32]; /* SHA-256 of the signed config */
	bool is_sent;     /* signed here; that the controller took it is not known */
};

/* Wait until nobody else here holds the lock; closing *${out} gives it back.  Return 0,
 * -ERR_INTERRUPTED (a signal asked to stop) or -ERR_IO. */
int officer_seen_lock(const char *key_path, int *out, struct err *err);

/**
 * officer_seen_check(key_path, domain_id, now, next, err):
 * Whether the config ${now} may be believed and ${next} (NULL = none) be signed on top of it:
 * nothing newer than ${now} is remembered, nor another one of its epoch (but one that was only
 * sent: the controller took that of another host, where the same key signed it); or what is
 * remembered is
 * ${next}, byte for byte: its answer was lost.  Nothing remembered is fine.
 * Return 0, -ERR_ROLLBACK, -ERR_CORRUPT (the memory is damaged), -ERR_AUTH (others may read it) or
 * -ERR_IO.
 */
int officer_seen_check(const char *key_path, const uint8_t domain_id[16],
	const struct officer_seen *now, const struct officer_seen *next, struct err *err);

/* Remember ${next} as sent, or ${now} when that is NULL; 0 when that is durable.  Before a signed
 * config goes out, and after officer_seen_check() was 0; with ${next} as ${now} when the controller
 * took it.  Return as officer_seen_check(); but -ERR_BUSY when it would be -ERR_ROLLBACK: another
 * process here signed since the check. */
int officer_seen_keep(const char *key_path, const uint8_t domain_id[16],
	const struct officer_seen *now, const struct officer_seen *next, struct err *err);

#endif
