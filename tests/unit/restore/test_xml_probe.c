#include "restore/xml_probe.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

TestSuite(xml_probe, .timeout = 120);

static struct xml_probe_result look(struct xml_probe *p, const char *text)
{
	struct xml_probe_result r;
	struct err err = ERR_INIT;
	cr_assert(eq(int, xml_probe_read(p, text, strlen(text), &r, &err), 0), "%s", err.msg);
	return r;
}

static struct xml_probe *start(void)
{
	struct xml_probe *p = NULL;
	struct err err = ERR_INIT;
	cr_assert(eq(int, xml_probe_new(&p, &err), 0), "%s", err.msg);
	return p;
}

Test(xml_probe, says_what_a_document_is_and_where_a_broken_one_breaks)
{
	struct xml_probe *p = start();
	struct xml_probe_result r =
		look(p, "<b:Batch xmlns:b='urn:x'>\n<Id>L3-1</Id><Id>no</Id></b:Batch>");
	cr_expect(r.is_well_formed);
	cr_expect(eq(str, r.root, "Batch"));
	cr_expect(eq(str, r.id, "L3-1"));
	cr_expect(eq(str, r.why, ""));
	r = look(p, "<a>\n<b>\n</a>");
	cr_expect(not(r.is_well_formed));
	cr_expect(eq(int, strncmp(r.why, "line 3: ", 8), 0), "%s", r.why);
	r = look(p, "");
	cr_expect(not(r.is_well_formed));
	r = look(p, "<a/>");
	cr_expect(r.is_well_formed);
	xml_probe_free(p);
}

Test(xml_probe, reads_no_files_and_expands_no_bombs)
{
	struct xml_probe *p = start();
	struct xml_probe_result r = look(
		p, "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a><Id>&x;</Id></a>");
	cr_expect(eq(str, r.id, ""));
	r = look(p,
		"<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;'>"
		"<!ENTITY d '&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;'>]><a>&d;&d;&d;&d;</a>");
	cr_expect(not(r.is_well_formed), "an amplifying document is refused");
	r = look(p, "<!DOCTYPE a [<!ENTITY b 'x'>]><a>&b;</a>");
	cr_expect(r.is_well_formed, "%s", r.why);
	xml_probe_free(p);
}

Test(xml_probe, takes_other_encodings)
{
	struct xml_probe *p = start();
	struct xml_probe_result r =
		look(p, "<?xml version='1.0' encoding='windows-1252'?><a>\x80</a>");
	cr_expect(r.is_well_formed, "%s", r.why);
	r = look(p, "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>");
	cr_expect(r.is_well_formed, "%s", r.why);
	r = look(p, "<a>\xe4</a>");
	cr_expect(not(r.is_well_formed));
	xml_probe_free(p);
}

Test(xml_probe, a_document_over_the_limit_is_refused)
{
	struct xml_probe *p = start();
	struct xml_probe_result r;
	struct err err = ERR_INIT;
	cr_expect(eq(int, xml_probe_read(p, "", XML_PROBE_MAX_BYTES + 1, &r, &err), -ERR_LIMIT));
	xml_probe_free(p);
}

Test(xml_probe, a_file_that_cannot_be_read_is_not_well_formed)
{
	struct xml_probe *p = start();
	struct xml_probe_result r;
	struct err err = ERR_INIT;
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(eq(int, xml_probe_file(p, fd, &r, &err), 0));
	cr_expect(not(r.is_well_formed));
	cr_expect(ne(str, r.why, ""));
	(void)close(fd);
	xml_probe_free(p);
}
