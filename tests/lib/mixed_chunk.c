#include "tests/lib/mixed_chunk.h"

#include <string.h>

#include "tests/lib/chunker_cases.h"

void mixed_chunk_fill(uint8_t *data, size_t len, unsigned kind)
{
	static const char *const words[] = { "valve ", "pump ", "open\n", "shut ", "0017",
		"batch 9 ", "tank", "alarm: acknowledged by operator\n" };
	uint64_t x = UINT64_C(88172645463325252) + kind;
	const size_t half = len / 16 * (kind % 8 + 1);

	for (size_t at = 0, n = 0; at < len; at += n) {
		const char *w = words[chunker_cases_random(&x) % (2 + kind / 8 % 7)];
		n = strlen(w) < len - at ? strlen(w) : len - at;
		memcpy(data + at, w, n);
	}
	for (size_t i = 0; i + 24 <= len; i += 24) {
		size_t from_window = i % ((len - 4096) / 4);
		if ((i < len / 2 - half || i > len / 2 + half) && from_window > 3500)
			continue;
		uint64_t t = 1700000000000u + i * 40 + chunker_cases_random(&x) % 7;
		uint64_t v = chunker_cases_random(&x) & 255;
		memcpy(data + i, &t, 8);
		memcpy(data + i + 8, &v, 8);
		memset(data + i + 16, 192, 8);
	}
}
