#include "restore/libxml.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"

static struct err err = ERR_INIT;

Test(libxml, nothing_is_there_before_it_is_loaded_and_each_name_leads_to_its_own_function_after)
{
	static const char text[] = "<a><b/></a>";
	cr_expect(libxml.xmlInitParser == NULL);
	cr_assert(eq(int, libxml_load(&err), 0), "%s", err.msg);
#define IS_THERE(name) cr_expect(libxml.name != NULL, #name);
	LIBXML_FUNCTIONS(IS_THERE)
	cr_expect(eq(int, libxml_load(&err), 0));
	libxml.xmlInitParser();
	xmlTextReader *r = libxml.xmlReaderForMemory(text, sizeof(text) - 1, NULL, NULL, 0);
	cr_assert(r != NULL);
	cr_expect(eq(int, libxml.xmlTextReaderRead(r), 1));
	cr_expect(eq(int, libxml.xmlTextReaderNodeType(r), XML_READER_TYPE_ELEMENT));
	cr_expect(eq(int, libxml.xmlTextReaderDepth(r), 0));
	cr_expect(eq(
		int, libxml.xmlStrEqual(libxml.xmlTextReaderConstLocalName(r), BAD_CAST "a"), 1));
	cr_expect(eq(int, libxml.xmlTextReaderRead(r), 1));
	cr_expect(eq(int, libxml.xmlTextReaderDepth(r), 1));
	libxml.xmlFreeTextReader(r);
	cr_expect(libxml.xmlFindCharEncodingHandler("UTF-8") != NULL);
}

Test(libxml, what_is_not_installed_says_which_package_to_install)
{
	struct libxml table = { .xmlInitParser = NULL };
	cr_expect(eq(int, libxml_open("libxml-of-nobody.so.2", &table, &err), -ERR_NOT_FOUND));
	cr_expect(ne(ptr, strstr(err.msg, "libxml-of-nobody.so.2"), NULL), "%s", err.msg);
	cr_expect(ne(ptr, strstr(err.hint, "apt-get install libxml2"), NULL), "%s", err.hint);
	cr_expect(table.xmlInitParser == NULL);
}
