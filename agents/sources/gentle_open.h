/*
 * gentle_open: open what is there to be read, never what a link points to, without leaving a trace
 * (access time) and without waiting (a fifo, a device that took the name).
 */
#ifndef AGENTS_SOURCES_GENTLE_OPEN_H
#define AGENTS_SOURCES_GENTLE_OPEN_H

/* Open the file ${name} in ${dirfd} for reading.  Return a descriptor (owned), or -1 and errno. */
int gentle_open_file(int dirfd, const char *name);

/* The same for a directory; ENOTDIR or ELOOP when it is none. */
int gentle_open_dir(int dirfd, const char *name);

/* A descriptor that only names what is there (O_PATH), of any kind.  Needs no permission on it. */
int gentle_open_path(int dirfd, const char *name);

#endif
