#include "restore/report_form.h"

#include <stdio.h>
#include <string.h>

#include "restore/report.h"

/* INVARIANTS: (1) path is a C string; one that would not fit is cut, its beginning stays. */

#define TIME_MAX_MS (INT64_MAX / 1000000) /* what fits in ns */
#define UUID_LEN 36
#define HEX32_LEN 64

static const char hex_digits[] = "0123456789abcdef";

static bool is_uuid(const char *text)
{
	if (strlen(text) != UUID_LEN)
		return false;
	for (size_t i = 0; i < UUID_LEN; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (is_dash ? text[i] != '-' : strchr(hex_digits, text[i]) == NULL)
			return false;
	}
	return true;
}

bool report_form_is_text(enum report_shape_kind kind, const char *text)
{
	if (kind == REPORT_SHAPE_UUID)
		return is_uuid(text);
	if (kind == REPORT_SHAPE_HEX32)
		return strlen(text) == HEX32_LEN && strspn(text, hex_digits) == HEX32_LEN;
	return *text != '\0' && strlen(text) <= REPORT_TEXT_MAX;
}

bool report_form_is_number(enum report_shape_kind kind, int64_t value)
{
	if (kind == REPORT_SHAPE_TIME)
		return value >= 0 && value <= TIME_MAX_MS;
	return value <= REPORT_INT_MAX &&
	       value >= (kind == REPORT_SHAPE_SIGNED ? -REPORT_INT_MAX : 0);
}

size_t report_form_enter(struct report_form_place *p, const char *name, size_t index)
{
	size_t len = strlen(p->path);
	char *end = p->path + len;
	size_t room = sizeof(p->path) - len;
	if (name != NULL)
		(void)snprintf(end, room, "%s%s", len == 0 ? "" : ".", name); /* invariant 1 */
	else
		(void)snprintf(end, room, "[%zu]", index); /* invariant 1 */
	return len;
}

void report_form_leave(struct report_form_place *p, size_t came_from)
{
	p->path[came_from] = '\0';
}
