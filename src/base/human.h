/*
 * human: sizes, durations and times as people write and read them.
 */
#ifndef BASE_HUMAN_H
#define BASE_HUMAN_H

#include <stddef.h>
#include <stdint.h>

#define HUMAN_BYTES 48 /* room for any text made here */

/* "0 B", "512 B", "1.5 KiB", "3.2 GiB" (IEC).  Return ${out}. */
const char *human_size(char out[HUMAN_BYTES], uint64_t bytes);

/* "850 ms", "12.4 s", "3 min 05 s", "4 h 00 min", "2 d 03 h", "7 d".  Return ${out}. */
const char *human_duration(char out[HUMAN_BYTES], int64_t ns);

/* RFC 3339 in UTC with milliseconds: "2026-11-24T02:19:53.120Z".  Return ${out}. */
const char *human_time_utc(char out[HUMAN_BYTES], int64_t ns);

/* Local time with offset, seconds: "2026-11-24 03:19:53 +01:00".  Return ${out}. */
const char *human_time_local(char out[HUMAN_BYTES], int64_t ns);

/**
 * human_parse_duration(text, out_ns):
 * Parse "90s", "10m", "4h", "7d", "2w", "500ms" or a sum such as "1h30m" (no blanks, no sign).
 * Return 0, or -1 when ${text} is not a duration or would pass 292 years.
 */
int human_parse_duration(const char *text, int64_t *out_ns);

/* Parse "512", "64K", "64KiB", "1.5G" (powers of 1024).  Return 0, or -1. */
int human_parse_size(const char *text, uint64_t *out_bytes);

/* Parse RFC 3339 ("2026-11-24T02:19:53[.frac](Z|+hh:mm)") into ns since 1970.  Return 0, or -1. */
int human_parse_time(const char *text, int64_t *out_ns);

#endif
