#include "agents/demo_pdf.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) offset[i] is where object i + 1 begins, counted from the start of the document, which need
 *     not be the start of the buffer.
 */

#define DEMO_PDF_OBJECTS 5
#define DEMO_PDF_PAGE_BYTES 32768

/* A literal string: parentheses and backslashes are escaped. */
static int add_string(const char *text, struct buf *out, struct err *err)
{
	int rc = buf_add8(out, '(', err);
	for (const char *p = text; *p != '\0' && rc == 0; p++) {
		if (*p == '(' || *p == ')' || *p == '\\')
			rc = buf_add8(out, '\\', err);
		if (rc == 0)
			rc = buf_add8(out, *p >= ' ' && *p <= '~' ? (uint8_t)*p : '?', err);
	}
	return rc == 0 ? buf_add8(out, ')', err) : rc;
}

static int make_page(
	const char *title, const char *const *lines, size_t count, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err, "BT /F1 16 Tf 56 780 Td ");
	if (rc == 0)
		rc = add_string(title, out, err);
	if (rc == 0)
		rc = buf_addf(out, err, " Tj /F1 10 Tf 14 TL 0 -10 Td\n");
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = buf_addf(out, err, "T* ");
		if (rc == 0)
			rc = add_string(lines[i], out, err);
		if (rc == 0)
			rc = buf_addf(out, err, " Tj\n");
	}
	return rc == 0 ? buf_addf(out, err, "ET\n") : rc;
}

int demo_pdf_make(
	const char *title, const char *const *lines, size_t count, struct buf *out, struct err *err)
{
	if (count > DEMO_PDF_LINES)
		return err_set(err, ERR_LIMIT, "more than %d lines on a page", DEMO_PDF_LINES);
	CLEANUP(buf_done) struct buf page = BUF_INIT(DEMO_PDF_PAGE_BYTES);
	int rc = make_page(title, lines, count, &page, err);
	const size_t begin = out->len;
	size_t offset[DEMO_PDF_OBJECTS] = { 0 };
	static const char *const objects[DEMO_PDF_OBJECTS] = {
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
		"/Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
		NULL, /* the page's content */
	};
	if (rc == 0)
		rc = buf_addf(out, err, "%%PDF-1.4\n");
	for (int i = 0; i < DEMO_PDF_OBJECTS && rc == 0; i++) {
		offset[i] = out->len - begin;
		if (objects[i] != NULL)
			rc = buf_addf(out, err, "%d 0 obj\n%s\nendobj\n", i + 1, objects[i]);
		else
			rc = buf_addf(out, err,
				"%d 0 obj\n<< /Length %zu >>\nstream\n%.*sendstream\nendobj\n",
				i + 1, page.len, (int)page.len, (const char *)page.data);
	}
	const size_t table = out->len - begin;
	if (rc == 0)
		rc = buf_addf(out, err, "xref\n0 %d\n0000000000 65535 f \n", DEMO_PDF_OBJECTS + 1);
	for (int i = 0; i < DEMO_PDF_OBJECTS && rc == 0; i++)
		rc = buf_addf(out, err, "%010zu 00000 n \n", offset[i]);
	if (rc == 0)
		rc = buf_addf(out, err,
			"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%zu\n%%%%EOF\n",
			DEMO_PDF_OBJECTS + 1, table);
	return rc;
}
