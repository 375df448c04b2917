/*
 * escape: bytes of unknown origin made safe to show: no control character, no terminal escape,
 * no broken UTF-8 and no bidirectional override reaches a terminal, a log or a page.
 */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * escape_text(out, size, data, len):
 * Write ${len} bytes of ${data} as text into ${out} (at most ${size} bytes with the final NUL, cut
 * at a whole unit).  Valid printable UTF-8 stays; \n \r \t and \\ become two characters; every
 * other byte becomes \xHH.  Return the length written.
 */
size_t escape_text(char *out, size_t size, const char *data, size_t len);

/* escape_text() of a C string. */
size_t escape_str(char *out, size_t size, const char *str);

/* Return true if the ${len} bytes are valid UTF-8 without a NUL (what JSON can carry as text). */
bool escape_is_utf8(const char *data, size_t len);

#endif
