/*
 * fuzz_evidence: restored records that a drill opens: PDF, CSV, journal; the first byte says
 * which.  (XML is parsed by a child that can do nothing else, restore/xml_probe.h.)
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "restore/record_form.h"

/* What is wrong, or NULL. */
static void took(const char *why)
{
	if (why == NULL)
		fuzz_took();
}

static void run(const uint8_t *data, size_t len)
{
	int64_t n = 0;
	if (len == 0)
		return;
	const char *text = (const char *)data + 1;
	switch (data[0] % 4) {
	case 0:
		took(record_form_pdf(text, len - 1));
		break;
	case 1:
		took(record_form_csv(text, len - 1, &n));
		break;
	default:
		took(record_form_journal(text, len - 1, data[0] % 4 == 2, &n));
		break;
	}
}

static void seeds(void)
{
	static const char pdf[] =
		"\x04%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\nxref\n0 1\n"
		"0000000000 65535 f \ntrailer << /Root 1 0 R >>\nstartxref\n50\n%%EOF\n";
	static const char csv[] = "\x05time;tag;value\n2026-01-01T00:00:00Z;T1;\"2,5\"\n";
	static const char journal[] =
		"\x06"
		"01.02.2026 03:04:05\tStart\n01.02.2026 04:00:00\tEnd Of BATCH\n";
	fuzz_seed(pdf, sizeof(pdf) - 1);
	fuzz_seed(csv, sizeof(csv) - 1);
	fuzz_seed(journal, sizeof(journal) - 1);
}

const struct fuzz_target fuzz_evidence = { "evidence", run, seeds };
