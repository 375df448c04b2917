#include "vault/lock_class.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *prefix;
	bool is_lasting;
} classes[] = {
	{ "README.txt", true },
	{ "FORMAT.txt", true },
	{ "vh/", true },
	{ "ks/", true },
	{ "cf/", true },
	{ "hs/", true },
	{ "rw/", true },
	{ "pk/", false },
	{ "rf/", false },
	{ "ev/", false },
	{ "sn/", false },
	{ "pr/", false },
	{ "pa/", false },
};
#define CLASSES (sizeof(classes) / sizeof(classes[0]))

static size_t class_of(const char *name)
{
	size_t i = 0;
	while (i < CLASSES && strncmp(name, classes[i].prefix, strlen(classes[i].prefix)) != 0)
		i++;
	return i;
}

bool lock_class_wants(const char *name)
{
	return class_of(name) < CLASSES;
}

bool lock_class_is_lasting(const char *name)
{
	size_t i = class_of(name);
	return i < CLASSES && classes[i].is_lasting;
}
