/*
 * version: what this program is called in snapshots, reports and on the terminal.
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define VERSION_TEXT "0.1.0"
#define VERSION_TOOL "holdfast " VERSION_TEXT

#endif
