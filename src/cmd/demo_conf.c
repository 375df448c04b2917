#include "cmd/demo_conf.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agents/demo_plant.h"
#include "agents/demo_postgres.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fdio.h"
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
	return rc == 0 ? buf_addf(out, err, ";\n  }") : rc;
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

static int write_text(struct demo_home *h, const char *name, struct buf *text, struct err *err)
{
	const char *all = buf_cstr(text);
	if (all == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return demo_home_write(h, name, all, false, err);
}

static int add_trees(const struct demo_home *h, struct buf *out, struct err *err)
{
	int rc = add_tree(h, "batch3", DEMO_PLANT_BATCH, "batches", out, err);
	if (rc == 0)
		rc = buf_addf(out, err, ",\n");
	return rc == 0 ? add_tree(h, "plc3", DEMO_PLANT_PLC, "files", out, err) : rc;
}

int demo_conf_sources(struct demo_home *h, const struct demo_postgres *pg, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_CONF_MAX_BYTES);
	int rc = buf_addf(&out, err,
		"# What this host backs up: holdfast backup --config THIS --source NAME\n"
		"sources = (\n");
	if (rc == 0)
		rc = add_database(pg, &out, err);
	if (rc == 0)
		rc = buf_addf(&out, err, ",\n");
	if (rc == 0)
		rc = add_trees(h, &out, err);
	if (rc == 0)
		rc = buf_addf(&out, err, "\n);\n");
	return rc == 0 ? write_text(h, DEMO_CONF_SOURCES, &out, err) : rc;
}

int demo_conf_plan(struct demo_home *h, const struct demo_postgres *pg, struct err *err)
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
	return rc == 0 ? write_text(h, DEMO_CONF_PLAN, &out, err) : rc;
}

/* ---- the network form ---- */

/* "key = "<directory>/<name>";" */
static int add_path(const struct demo_home *h, const char *key, const char *name, struct buf *out,
	struct err *err)
{
	char path[PATH_MAX];
	int rc = demo_home_join(h, name, path, err);
	if (rc == 0)
		rc = buf_addf(out, err, "%s = ", key);
	if (rc == 0)
		rc = add_string(path, out, err);
	return rc == 0 ? buf_addf(out, err, ";\n") : rc;
}

static int add_role(const struct demo_home *h, const struct demo_postgres *pg, const char *name,
	struct buf *out, struct err *err)
{
	if (strcmp(name, DEMO_CONF_SANDBOX) == 0) {
		int rc = buf_addf(out, err, "role = \"sandbox\";\ndrill = {\n  ");
		if (rc == 0)
			rc = add_path(h, "work", "agents/" DEMO_CONF_SANDBOX, out, err);
		if (rc == 0)
			rc = add_path(
				h, "  reports", "agents/" DEMO_CONF_SANDBOX "/reports", out, err);
		return rc == 0 ? buf_addf(out, err, "};\n") : rc;
	}
	int rc = buf_addf(out, err, "role = \"capture\";\nsources = (\n");
	if (rc == 0)
		rc = strcmp(name, DEMO_CONF_HISTORIAN) == 0 ? add_database(pg, out, err)
							    : add_trees(h, out, err);
	return rc == 0 ? buf_addf(out, err, "\n);\n") : rc;
}

int demo_conf_agent(
	struct demo_home *h, const struct demo_postgres *pg, const char *name, struct err *err)
{
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_CONF_MAX_BYTES);
	char state[64], file[64];
	(void)snprintf(state, sizeof(state), "agents/%s/state", name); /* fits */
	(void)snprintf(file, sizeof(file), "conf/%s.conf", name);      /* fits */
	int rc = buf_addf(
		&out, err, "# An agent: holdfast-agent run --config THIS\nname = \"%s\";\n", name);
	if (rc == 0)
		rc = add_path(h, "state", state, &out, err);
	if (rc == 0)
		rc = add_role(h, pg, name, &out, err);
	return rc == 0 ? write_text(h, file, &out, err) : rc;
}

/* Append ${text} with each ${from} replaced by ${to}. */
static int add_replaced(
	const char *text, const char *from, const char *to, struct buf *out, struct err *err)
{
	int rc = 0;
	for (const char *at; rc == 0 && (at = strstr(text, from)) != NULL;
		text = at + strlen(from)) {
		rc = buf_add(out, text, (size_t)(at - text), err);
		if (rc == 0)
			rc = buf_add(out, to, strlen(to), err);
	}
	return rc == 0 ? buf_add(out, text, strlen(text), err) : rc;
}

int demo_conf_controller(struct demo_home *h, const char *host, struct err *err)
{
	static const char schedules[] =
		"schedules = (\n"
		"  { name = \"historian\"; agent = \"" DEMO_CONF_HISTORIAN
		"\"; source = \"hist3\"; at = \"*-*-* *:*:00/10\"; retry_after = \"2s\"; },\n"
		"  { name = \"batches\"; agent = \"" DEMO_CONF_RECORDS
		"\"; source = \"batch3\"; at = \"*-*-* *:*:00/10\"; retry_after = \"2s\"; },\n"
		"  { name = \"projects\"; agent = \"" DEMO_CONF_RECORDS
		"\"; source = \"plc3\"; at = \"*-*-* *:*:05/10\"; retry_after = \"2s\"; }\n"
		");";
	CLEANUP(buf_done) struct buf made = BUF_INIT(DEMO_CONF_MAX_BYTES);
	CLEANUP(buf_done) struct buf due = BUF_INIT(DEMO_CONF_MAX_BYTES);
	CLEANUP(buf_done) struct buf out = BUF_INIT(DEMO_CONF_MAX_BYTES);
	char path[PATH_MAX];
	int rc = demo_home_join(h, DEMO_CONF_CONTROLLER, path, err);
	if (rc == 0)
		rc = fdio_read_file(AT_FDCWD, path, &made, err);
	const char *text = rc == 0 ? buf_cstr(&made) : NULL;
	if (rc == 0 && (text == NULL || strstr(text, "schedules = ( );") == NULL))
		rc = err_set(err, ERR_FAILED, "'%s' has no place for schedules", path);
	if (rc == 0)
		rc = add_replaced(text, "schedules = ( );", schedules, &due, err);
	text = rc == 0 ? buf_cstr(&due) : NULL;
	if (rc == 0 && text == NULL)
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (rc == 0)
		rc = add_replaced(text, "\"0.0.0.0\"", host, &out, err);
	return rc == 0 ? write_text(h, DEMO_CONF_CONTROLLER, &out, err) : rc;
}
