#include "agents/demo_plc.h"

#include <stdio.h>

#include "agents/demo_file.h"
#include "agents/demo_rng.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) A revision changes the export date, one set point and the rungs after the commissioned ones,
 *     and the opaque file's header and one block: nothing else, so that an edit is small.
 */

#define DEMO_PLC_FILE_BYTES 262144
#define DEMO_PLC_TAGS 60
#define DEMO_PLC_RUNGS 40
#define DEMO_PLC_ROUTINES 3
#define DEMO_PLC_BLOB_BYTES 16384
#define DEMO_PLC_BLOCK_BYTES 512

static const char *const areas[] = { "Mixing", "Reaction", "Filling", "Packing", "Utilities" };

void demo_plc_name(unsigned number, char path[DEMO_PLC_PATH_BYTES])
{
	(void)snprintf(path, DEMO_PLC_PATH_BYTES, "PLC%05u-%s", number % 100000,
		areas[number % 5]); /* fits */
}

static int add_tags(
	const struct demo_plc *plc, struct demo_rng *rng, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err, "    <Tags>\n");
	for (unsigned i = 0; i < DEMO_PLC_TAGS && rc == 0; i++) {
		unsigned value = demo_rng_below(rng, 10000);
		if (i == plc->number % DEMO_PLC_TAGS)
			value += plc->revision; /* the edited set point */
		rc = buf_addf(out, err,
			"      <Tag Name=\"%s_%03u\" DataType=\"%s\" Radix=\"%s\">%u</Tag>\n",
			i % 3 == 0 ? "SP" : "PV", i, i % 4 == 0 ? "DINT" : "REAL",
			i % 4 == 0 ? "Decimal" : "Float", value);
	}
	return rc == 0 ? buf_addf(out, err, "    </Tags>\n") : rc;
}

static int add_rungs(
	const struct demo_plc *plc, struct demo_rng *rng, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err, "    <Routine Name=\"Main\" Type=\"Ladder\">\n");
	for (unsigned i = 0; i < DEMO_PLC_RUNGS + plc->revision && rc == 0; i++)
		rc = buf_addf(out, err,
			"      <Rung Number=\"%u\"><Text>CONTACT(PV_%03u) CONTACT(PV_%03u) "
			"COIL(SP_%03u)</Text></Rung>\n",
			i, demo_rng_below(rng, DEMO_PLC_TAGS), demo_rng_below(rng, DEMO_PLC_TAGS),
			demo_rng_below(rng, DEMO_PLC_TAGS));
	return rc == 0 ? buf_addf(out, err, "    </Routine>\n") : rc;
}

static int write_export(int dirfd, const struct demo_plc *plc, const char *dir,
	struct demo_rng *rng, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_PLC_FILE_BYTES);
	char time[DEMO_FILE_TIME_BYTES], path[DEMO_PLC_PATH_BYTES + 32];
	int rc = buf_addf(&out, err,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<ControllerExport SchemaRevision=\"1.0\" ExportDate=\"%s\">\n"
		"  <Controller Name=\"PLC%05u\" Area=\"%s\" Revision=\"%u\">\n",
		demo_file_time(time, plc->exported_ms), plc->number, areas[plc->number % 5],
		plc->revision);
	if (rc == 0)
		rc = add_tags(plc, rng, &out, err);
	if (rc == 0)
		rc = add_rungs(plc, rng, &out, err);
	if (rc == 0)
		rc = buf_addf(&out, err, "  </Controller>\n</ControllerExport>\n");
	(void)snprintf(path, sizeof(path), "%s/controller.xml", dir); /* fits */
	return rc == 0 ? demo_file_write(dirfd, path, &out, plc->exported_ms, err) : rc;
}

static int write_routine(
	int dirfd, const struct demo_plc *plc, const char *dir, unsigned routine, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_PLC_FILE_BYTES);
	struct demo_rng rng = demo_rng_of(plc->seed, plc->number * 16ULL + routine + 1);
	char path[DEMO_PLC_PATH_BYTES + 32];
	int rc = buf_addf(&out, err,
		"FUNCTION_BLOCK Routine%02u\nVAR\n  Step : INT := 0;\nEND_VAR\n\n", routine);
	for (int i = 0; i < 30 && rc == 0; i++)
		rc = buf_addf(&out, err,
			"IF PV_%03u > %u.0 THEN\n  SP_%03u := SP_%03u + %u.%u;\n  Step := %d;\n"
			"END_IF;\n",
			demo_rng_below(&rng, DEMO_PLC_TAGS), demo_rng_below(&rng, 500),
			demo_rng_below(&rng, DEMO_PLC_TAGS), demo_rng_below(&rng, DEMO_PLC_TAGS),
			demo_rng_below(&rng, 10), demo_rng_below(&rng, 10), i + 1);
	if (rc == 0)
		rc = buf_addf(&out, err, "END_FUNCTION_BLOCK\n");
	(void)snprintf(path, sizeof(path), "%s/routines/R%02u.st", dir, routine); /* fits */
	return rc == 0 ? demo_file_write(dirfd, path, &out, plc->exported_ms, err) : rc;
}

static int write_blob(int dirfd, const struct demo_plc *plc, const char *dir, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_PLC_FILE_BYTES);
	struct demo_rng rng = demo_rng_of(plc->seed, UINT64_C(1) << 40 | plc->number);
	char path[DEMO_PLC_PATH_BYTES + 32];
	int rc = buf_add(&out, "PLCIMAGE", 8, err);
	if (rc == 0)
		rc = buf_add32(&out, plc->revision + 1, err);
	while (rc == 0 && out.len + 8 <= DEMO_PLC_BLOB_BYTES)
		rc = buf_add64(&out, demo_rng_next(&rng), err);
	if (rc != 0)
		return rc;
	size_t at = DEMO_PLC_BLOCK_BYTES * (1 + plc->number % 16);
	rng = demo_rng_of(plc->seed ^ plc->revision, plc->number);
	for (size_t i = 0; plc->revision > 0 && i < DEMO_PLC_BLOCK_BYTES; i += 8)
		bytes_put64(out.data + at + i, demo_rng_next(&rng));
	(void)snprintf(path, sizeof(path), "%s/controller.bin", dir); /* fits */
	return demo_file_write(dirfd, path, &out, plc->exported_ms, err);
}

int demo_plc_write(int dirfd, const struct demo_plc *plc, struct err *err)
{
	if (plc->number >= DEMO_PLC_MAX)
		return err_set(err, ERR_LIMIT, "more than %u projects", DEMO_PLC_MAX);
	char dir[DEMO_PLC_PATH_BYTES];
	struct demo_rng rng = demo_rng_of(plc->seed, plc->number * 16ULL);
	demo_plc_name(plc->number, dir);
	int rc = write_export(dirfd, plc, dir, &rng, err);
	for (unsigned i = 0; i < DEMO_PLC_ROUTINES && rc == 0; i++)
		/* an edit leaves the routines' files alone */
		rc = plc->revision == 0 ? write_routine(dirfd, plc, dir, i, err) : 0;
	return rc == 0 ? write_blob(dirfd, plc, dir, err) : rc;
}
