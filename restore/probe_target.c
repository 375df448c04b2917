#include "restore/probe_target.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/*
 * INVARIANTS
 * (1) What is not tried is in the list too: a report never shows less than the plan asks for.
 */

/* The address alone: an interface of this host ("%eth0") means nothing inside a sandbox. */
static bool read_address(const struct addrinfo *a, char out[64])
{
	char text[NI_MAXHOST];
	if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) !=
		0)
		return false;
	text[strcspn(text, "%")] = '\0';
	int n = snprintf(out, 64, "%s", text);
	return n > 0 && n < 64;
}

static bool has_address(const struct probe_target *t, size_t count, const char *address)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(t[i].address, address) == 0)
			return true;
	}
	return false;
}

void probe_target_name(char out[PROBE_TARGET_TEXT], const char *host, int port)
{
	(void)snprintf(out, PROBE_TARGET_TEXT,
		strchr(host, ':') == NULL ? "%.255s:%d" : "[%.255s]:%d", host,
		port); /* fits: a host name has 255 bytes at most */
}

static void name_target(struct probe_target *t, const char *host, int port, const char *more)
{
	*t = (struct probe_target){ .port = port };
	probe_target_name(t->text, host, port);
	const size_t len = strlen(t->text);
	(void)snprintf(t->text + len, sizeof(t->text) - len, "%s", more); /* fits */
}

size_t probe_target_expand(const char *host, int port, const struct addrinfo *list,
	struct probe_target out[PROBE_TARGET_MAX + 1])
{
	size_t count = 0, beyond = 0;
	char more[96];
	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		char address[64];
		if (!read_address(a, address) || has_address(out, count, address))
			continue;
		if (count == PROBE_TARGET_MAX) {
			beyond++;
			continue;
		}
		(void)snprintf(more, sizeof(more), " at %s", address); /* fits */
		name_target(&out[count], host, port, strcmp(host, address) == 0 ? "" : more);
		memcpy(out[count++].address, address, sizeof(address));
	}
	if (count > 0 && beyond == 0)
		return count;
	(void)snprintf(more, sizeof(more), " at %zu more addresses", beyond); /* fits */
	name_target(&out[count], host, port, count == 0 ? "" : more);
	(void)snprintf(out[count].detail, sizeof(out[count].detail), "%s",
		count == 0 ? "the name has no address on this host, so there was none to try"
			   : "only the first 16 addresses of a name are tried"); /* fits */
	return count + 1;
}
