/*
 * check_xml: every XML file of a restored system is well-formed.
 */
#ifndef RESTORE_CHECK_XML_H
#define RESTORE_CHECK_XML_H

struct checks_case;
struct err;

/* Fill ${c}.  Return as a check of checks.c: an error other than ours is a fault. */
int check_xml_run(struct checks_case *c, struct err *err);

#endif
