/*
 * duetimes: one line of input is "AFTER_S COUNT ZONE EXPRESSION"; one line of output is the normal
 * form, a tab, and the next COUNT due times as seconds since 1970; or "error: TEXT".
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "plans/calendar.h"

int main(void)
{
	char line[2048];
	while (fgets(line, sizeof(line), stdin) != NULL) {
		int64_t at = 0;
		int count = 0, skip = 0;
		char zone[64], normal[1024] = "";
		struct calendar *c = NULL;
		struct err err = ERR_INIT;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%" SCNd64 " %d %63s %n", &at, &count, zone, &skip) != 3)
			return 2;
		if (calendar_parse(line + skip, zone, &c, &err) != 0) {
			printf("error: %s\n", err.msg);
			continue;
		}
		(void)calendar_normal(c, normal, sizeof(normal));
		printf("%s\t", normal);
		at *= 1000;
		for (int i = 0; i < count; i++) {
			int64_t due = calendar_next(c, at);
			if (due == INT64_MAX)
				break;
			/* looking back from there must find the same */
			if (calendar_last(c, at, due) != due ||
				(due - at > 1 && calendar_last(c, at, due - 1) != INT64_MIN))
				printf(" !%" PRId64, calendar_last(c, at, due));
			printf(" %" PRId64, due / 1000);
			at = due;
		}
		putchar('\n');
		calendar_free(c);
	}
	return 0;
}
