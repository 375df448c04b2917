/*
 * conf_scan: a look at the bytes of a configuration file before the parser sees them.
 * Refuses what the parser library would take silently: included files, numbers that do not fit and
 * would wrap around, a comment without an end that swallows the rest, bytes a reader cannot see.
 */
#ifndef CONF_CONF_SCAN_H
#define CONF_CONF_SCAN_H

#include <stdbool.h>
#include <stddef.h>

struct conf_problems;

#define CONF_SCAN_MAX_DEPTH 16    /* groups and lists inside each other */
#define CONF_SCAN_MAX_PARTS 16384 /* settings and members of lists in one file */

/**
 * conf_scan_check(text, len, problems):
 * Add an error to ${problems} for everything in ${text} that the parser would take amiss.
 * Return true when the parser may see it, so that it can find more (a number that does not fit is
 * an error, but harmless to parse).
 */
bool conf_scan_check(const char *text, size_t len, struct conf_problems *problems);

#endif
