/*
 * libxml: libxml2, loaded when it is used for the first time: an agent that only takes backups
 * needs neither it nor the libraries behind it in memory. Knows: which of its functions this
 * program calls; nobody calls another.
 */
#ifndef RESTORE_LIBXML_H
#define RESTORE_LIBXML_H

#include <libxml/encoding.h>
#include <libxml/parser.h>
#include <libxml/xmlreader.h>

struct err;

#define LIBXML_FILE "libxml2.so.2"

/* One entry for each function, with the type that the library's own header gives it. */
#define LIBXML_FUNCTIONS(X)                                                                        \
	X(xmlFindCharEncodingHandler)                                                              \
	X(xmlFreeTextReader)                                                                       \
	X(xmlGetLastError)                                                                         \
	X(xmlInitParser)                                                                           \
	X(xmlReaderForMemory)                                                                      \
	X(xmlResetLastError)                                                                       \
	X(xmlSetGenericErrorFunc)                                                                  \
	X(xmlStrEqual)                                                                             \
	X(xmlTextReaderConstLocalName)                                                             \
	X(xmlTextReaderConstValue)                                                                 \
	X(xmlTextReaderDepth)                                                                      \
	X(xmlTextReaderNodeType)                                                                   \
	X(xmlTextReaderRead)

struct libxml {
#define LIBXML_MEMBER(name) __typeof__(name) *name;
	LIBXML_FUNCTIONS(LIBXML_MEMBER)
#undef LIBXML_MEMBER
};

/* libxml.xmlInitParser(): all NULL until libxml_load() returned 0. */
extern struct libxml libxml;

/**
 * libxml_load(err):
 * Load the library into this process, for good; once more costs nothing.  Any thread.  Return 0 or
 * -ERR_NOT_FOUND (it is not installed, or lacks something we call; the hint names the package).
 */
int libxml_load(struct err *err);

/* Fill ${out} from the library ${file}, as libxml_load() does; ${out} is untouched on failure. */
int libxml_open(const char *file, struct libxml *out, struct err *err);

#endif
