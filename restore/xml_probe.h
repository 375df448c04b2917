/*
 * xml_probe: is a document well-formed XML, and what does it say it is?  Documents come out of a
 * backup, so libxml2 reads them in a child process that can do nothing but compute, read its pipe
 * and answer: system calls filtered, memory and time limited, no network, no files, no entities.
 * Hides: the child, libxml2.  One thread at a time.
 */
#ifndef RESTORE_XML_PROBE_H
#define RESTORE_XML_PROBE_H

#include <stdbool.h>
#include <stddef.h>

struct err;
struct xml_probe;

#define XML_PROBE_MAX_BYTES ((size_t)64 << 20) /* of one document */
#define XML_PROBE_NAME_BYTES 64
#define XML_PROBE_WHY_BYTES 160

struct xml_probe_result {
	bool is_well_formed;
	char root[XML_PROBE_NAME_BYTES]; /* local name of the document element */
	char id[XML_PROBE_NAME_BYTES];   /* text of the first element with the local name Id */
	char why[XML_PROBE_WHY_BYTES];   /* what is wrong; "" when nothing is */
};

/* Start the reader.  *${out} is owned.  Return 0, -ERR_NOMEM, -ERR_IO or -ERR_NOT_FOUND (libxml2 is
 * not installed). */
int xml_probe_new(struct xml_probe **out, struct err *err);
void xml_probe_free(struct xml_probe *p);

/**
 * xml_probe_read(p, data, len, out, err):
 * Look at one document.  A document that kills its reader is not well-formed; the next one gets a
 * new reader.  Return 0, -ERR_LIMIT (XML_PROBE_MAX_BYTES) or -ERR_IO.
 */
int xml_probe_read(struct xml_probe *p, const void *data, size_t len, struct xml_probe_result *out,
	struct err *err);

/**
 * xml_probe_file(p, fd, out, err):
 * The same for the rest of the open file ${fd} (borrowed); one that cannot be read is not
 * well-formed.
 */
int xml_probe_file(struct xml_probe *p, int fd, struct xml_probe_result *out, struct err *err);

#endif
