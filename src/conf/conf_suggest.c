#include "conf/conf_suggest.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#define SUGGEST_WORD_BYTES 64
#define SUGGEST_MAX_SLIPS 3

static int lower(char c)
{
	return tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t conf_suggest_distance(const char *a, const char *b)
{
	size_t a_len = strnlen(a, SUGGEST_WORD_BYTES + 1);
	size_t b_len = strnlen(b, SUGGEST_WORD_BYTES + 1);
	if (a_len > SUGGEST_WORD_BYTES || b_len > SUGGEST_WORD_BYTES)
		return SIZE_MAX;

	/* three rows of the edit table: two back for a swap of neighbours, one back, this one */
	size_t rows[3][SUGGEST_WORD_BYTES + 1];
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *now = rows[i % 3];
		const size_t *prev = rows[(i + 2) % 3];
		const size_t *before = rows[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t change = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
			size_t best = least(prev[j - 1] + change, least(prev[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
				lower(a[i - 2]) == lower(b[j - 1]))
				best = least(best, before[j - 2] + 1);
			now[j] = best;
		}
	}
	return rows[a_len % 3][b_len];
}

bool conf_suggest_is_near(const char *word, const char *known)
{
	size_t slips = conf_suggest_distance(word, known);
	size_t allowed = (strlen(known) + 2) / 3;
	return slips <= least(allowed, SUGGEST_MAX_SLIPS);
}
