/*
 * conf_suggest: which known word somebody meant.
 */
#ifndef CONF_CONF_SUGGEST_H
#define CONF_CONF_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/**
 * conf_suggest_distance(a, b):
 * Return how many letters must be inserted, removed, replaced or swapped with their neighbour to
 * make ${b} of ${a}; letter case does not count.  SIZE_MAX when one is longer than 64 bytes.
 */
size_t conf_suggest_distance(const char *a, const char *b);

/* Return true if ${word} is near enough to ${known} to be a slip of it (a third, at most 3). */
bool conf_suggest_is_near(const char *word, const char *known);

#endif
