#include "cmd/demo_conf.h"

#include <limits.h>
#include <string.h>

#include "agents/demo_plant.h"
#include "agents/demo_postgres.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cmd/demo_home.h"
#include "cmd/demo_plan.h"

#define DEMO_CONF_MAX_BYTES 65536
#define DEMO_CONF_TARGET "{ host = \"192.0.2.10\"; port = 502; }"

/* Append ${text} as a string of a configuration file. */
static int add_string(const char *text, struct buf *out, struct err *err)
{
	int rc = buf_add8(out, '"', err);
	for (const char *p = text; *p != '\0' && rc == 0; p++) {
		if (*p == '"' || *p == '\\')
			rc = buf_add8(out, '\\', err);
		if (rc == 0 && *p == '\n')
			rc = buf_add(out, "\\n", 2, err);
		else if (rc == 0)
			rc = buf_add8(out, (uint8_t)*p, err);
	}
	return rc == 0 ? buf_add8(out, '"', err) : rc;
}

static int add_database(const struct demo_postgres *pg, struct buf *out, struct err *err)
{
	int rc = buf_addf(out, err,
		"# What this host backs up: holdfast backup --config THIS --source NAME\n"
		"sources = (\n"
		"  {\n"
		"    # The historian, copied while it runs and writes.\n"
		"    name = \"hist3\"; type = \"postgres\";\n"
		"    truth = \"tables\";\n    conninfo = ");
	if (rc == 0)
		rc = add_string(demo_postgres_backup(pg), out, err);
	if (rc == 0)
		rc = buf_addf(out, err, ";\n    passfile = ");
	if (rc == 0)
		rc = add_string(demo_postgres_passfile(pg), out, err);
	return rc == 0 ? buf_addf(out, err, ";\n  },\n") : rc;
}

static int add_tree(const struct demo_home *h, const char *name, const char *dir, const char *truth,
	struct buf *out, struct err *err)
{
	char path[PATH_MAX];
	int rc = demo_home_join(h, dir, path, err);
	if (rc == 0)
		rc = buf_addf(out, err,
			"  {\n    name = \"%s\"; type = \"files\"; truth = \"%s\"; prefix = "
			"\"%s\";\n    paths = [ ",
			name, truth, dir);
	if (rc == 0)
		rc = add_string(path, out, err);
	return rc == 0 ? buf_addf(out, err, " ];\n  }") : rc;
}

static int write_sources(struct demo_home *h, const struct demo_postgres *pg, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_CONF_MAX_BYTES);
	int rc = add_database(pg, &out, err);
	if (rc == 0)
		rc = add_tree(h, "batch3", DEMO_PLANT_BATCH, "batches", &out, err);
	if (rc == 0)
		rc = buf_addf(&out, err, ",\n");
	if (rc == 0)
		rc = add_tree(h, "plc3", DEMO_PLANT_PLC, "files", &out, err);
	if (rc == 0)
		rc = buf_addf(&out, err, "\n);\n");
	const char *text = rc == 0 ? buf_cstr(&out) : NULL;
	if (rc == 0 && text == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc == 0 ? demo_home_write(h, DEMO_CONF_SOURCES, text, false, err) : rc;
}

static int write_plan(struct demo_home *h, const struct demo_postgres *pg, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_CONF_MAX_BYTES);
	const char *target = strstr(demo_plan_text, DEMO_CONF_TARGET);
	if (target == NULL)
		return err_set(
			err, ERR_FAILED, "the example plan has no target to put ours beside");
	const char *rest = target + strlen(DEMO_CONF_TARGET);
	int rc = buf_add(&out, demo_plan_text, (size_t)(rest - demo_plan_text), err);
	if (rc == 0)
		rc = buf_addf(&out, err, ",\n      { host = \"127.0.0.1\"; port = %d; }",
			demo_postgres_port(pg));
	if (rc == 0)
		rc = buf_add(&out, rest, strlen(rest), err);
	const char *text = rc == 0 ? buf_cstr(&out) : NULL;
	if (rc == 0 && text == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc == 0 ? demo_home_write(h, DEMO_CONF_PLAN, text, false, err) : rc;
}

int demo_conf_write(struct demo_home *h, const struct demo_postgres *pg, struct err *err)
{
	int rc = write_sources(h, pg, err);
	return rc == 0 ? write_plan(h, pg, err) : rc;
}
