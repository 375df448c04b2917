#include "tests/lib/drill_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agents/backup.h"
#include "agents/demo_historian.h"
#include "agents/demo_plant.h"
#include "agents/demo_postgres.h"
#include "agents/sources/pg_conn.h"
#include "agents/sources/postgres_dir.h"
#include "agents/sources/postgres_truth.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fdio.h"
#include "codec/truth.h"
#include "codec/truth_json.h"
#include "conf/conf_problems.h"
#include "plans/plan.h"
#include "restore/drill_points_near.h"
#include "restore/erase_tree.h"
#include "restore/sandbox_init.h"
#include "restore/tree_truth.h"
#include "restore/tree_walk.h"
#include "store/local/store_local.h"
#include "tests/lib/fake_source.h"
#include "vault/fetch.h"
#include "vault/session.h"
#include "vault/snapshot.h"
#include "vault/vault.h"
#include "vault/vault_init.h"

/*
 * Tests run in processes of their own, so the place goes from parent to child in the environment:
 *	plant/	vault/	keys	work/	reports/
 */
#define ENV_NAME "DRILL_FIXTURE_DIR"

struct table {
	struct fake_file *items;
	size_t count;
	int root;
	const char *prefix;
};

static void must(int rc, const struct err *err, const char *what)
{
	if (rc != 0) {
		(void)fprintf(stderr, "fixture: %s: %s\n", what, err == NULL ? "" : err->msg);
		abort();
	}
}

static const char *place(const char *name, char out[PATH_MAX])
{
	const char *dir = getenv(ENV_NAME);
	must(dir == NULL, NULL, "no place");
	(void)snprintf(out, PATH_MAX, "%s/%s", dir, name);
	return out;
}

void drill_fixture_be_process_1(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SANDBOX_INIT_VERB) == 0)
		_exit(sandbox_init_run(argc - 1, argv + 1));
}

/* ---- a directory as a table of files in memory ---- */

static int add_item(void *arg, const struct tree_walk_item *item, struct err *err)
{
	struct table *t = arg;
	struct buf data = BUF_INIT(64u << 20);
	char *path = NULL;
	must(asprintf(&path, "%s/%s", t->prefix, item->path) < 0, NULL, "memory");
	t->items = realloc(t->items, (t->count + 1) * sizeof(*t->items));
	must(t->items == NULL, NULL, "memory");
	struct fake_file f = { .path = path,
		.kind = S_ISDIR(item->st->st_mode) ? ENTRY_DIR : ENTRY_FILE,
		.mtime_s = item->st->st_mtime };
	if (S_ISREG(item->st->st_mode)) {
		int fd = tree_walk_open(item);
		must(fd < 0, NULL, path);
		must(fdio_read_all(fd, &data, err), err, path);
		(void)close(fd);
		f.data = data.data;
		f.len = data.len;
	}
	t->items[t->count++] = f;
	return 0;
}

/* Order of keys: a '/' is less than every byte of a name. */
static int compare_items(const void *a, const void *b)
{
	const struct fake_file *x = a, *y = b;
	const char *p = x->path, *q = y->path;
	while (*p != '\0' && *p == *q)
		p++, q++;
	int left = *p == '/' ? 1 : *p == '\0' ? 0 : (unsigned char)*p + 1;
	int right = *q == '/' ? 1 : *q == '\0' ? 0 : (unsigned char)*q + 1;
	return left - right;
}

static void load(struct table *t, const char *dir, const char *prefix)
{
	struct err err = ERR_INIT;
	t->prefix = prefix;
	t->items = calloc(1, sizeof(*t->items));
	must(t->items == NULL, NULL, "memory");
	t->items[t->count++] = (struct fake_file){ .path = prefix, .kind = ENTRY_DIR };
	t->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(t->root < 0, NULL, dir);
	must(tree_walk_run(t->root, add_item, t, &err), &err, dir);
	qsort(t->items, t->count, sizeof(*t->items), compare_items);
}

static void unload(struct table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		/* the table's texts are const for those who only read it; these are ours */
		union {
			const void *given;
			void *own;
		} path = { .given = t->items[i].path }, data = { .given = t->items[i].data };
		if (t->items[i].path != t->prefix)
			free(path.own);
		free(data.own);
	}
	free(t->items);
	(void)close(t->root);
}

/* ---- snapshots ---- */

static void back_up(struct vault *v, const struct vault_init_result *keys, const char *source,
	const char *dir, const char *prefix, struct truth *facts)
{
	struct err err = ERR_INIT;
	struct session *session = NULL;
	struct table t = { .count = 0 };
	struct fake_source fake;
	struct backup_result result;
	struct buf json = BUF_INIT(TRUTH_JSON_MAX_BYTES);
	char *name = strdup(source);
	must(name == NULL, NULL, "memory");
	struct label label = { .source = name, .host = (char *)"srv3", .tool = (char *)"test" };
	must(truth_json_format(facts, &json, &err), &err, "truth");
	load(&t, dir, prefix);
	must(session_new(v, NULL, &session, &err), &err, "session");
	const struct backup_opts opts = { .port = session_port(session),
		.keys = &keys->writer,
		.domain = vault_domain(v),
		.source_name = source,
		.label = &label,
		.consistency = ROOT_APPLICATION,
		.truth = json.data,
		.truth_len = json.len,
		.check = RECORD_CHECK_OPEN };
	fake_source_init(&fake, t.items, t.count);
	must(backup_run(&opts, &fake.source, &result, &err), &err, "backup");
	session_free(session);
	unload(&t);
	free(name);
	truth_free(facts);
	buf_done(&json);
}

static struct truth *tree_facts(const char *dir, bool has_batches)
{
	struct err err = ERR_INIT;
	struct truth *t = truth_new();
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct tree_truth_opts opts = { .has_batches = has_batches };
	must(t == NULL || fd < 0, NULL, dir);
	must(tree_truth_add(fd, &opts, t, &err), &err, dir);
	must(truth_seal(t, &err), &err, dir);
	(void)close(fd);
	return t;
}

/* A second kind of business table beside the samples: what one check reads another does not. */
static void add_alarms(const struct demo_postgres *pg)
{
	struct err err = ERR_INIT;
	PGconn *c = NULL;
	must(demo_historian_connect(pg, &c, &err), &err, "connect");
	must(pg_conn_exec(c,
		     "CREATE TABLE sqlt_data_alarms AS SELECT (1700000000000 + 1000 * i)::bigint "
		     "AS t_stamp, 'alarm ' || i AS text FROM generate_series(1, 500) i",
		     "alarms", &err),
		&err, "alarms");
	libpq_finish(c);
}

static void back_up_plant(struct vault *v, const struct vault_init_result *keys)
{
	char dir[PATH_MAX], path[PATH_MAX + 16];
	struct err err = ERR_INIT;
	struct demo_plant *plant = NULL;
	const struct demo_plant_opts small = {
		.seed = 5, .scans = 400, .batches = 12, .projects = 6
	};
	must(mkdir(place("plant", dir), 0700), NULL, dir);
	must(demo_plant_create(dir, &small, &plant, &err), &err, "plant");
	struct demo_postgres *pg = demo_plant_postgres(plant);
	const struct pg_conn_opts role = { .conninfo = demo_postgres_backup(pg),
		.passfile = demo_postgres_passfile(pg) };
	struct truth *facts = truth_new();
	add_alarms(pg);
	must(postgres_truth_take(&role, NULL, facts, &err), &err, "facts");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(postgres_dir_capture(&role, fd, "staged", NULL, &err), &err, "capture");
	(void)close(fd);
	(void)snprintf(path, sizeof(path), "%s/staged", dir);
	back_up(v, keys, "hist3", path, "pgdata", facts);
	(void)snprintf(path, sizeof(path), "%s/" DEMO_PLANT_BATCH, dir);
	back_up(v, keys, "batch3", path, "srv/batch", tree_facts(path, true));
	(void)snprintf(path, sizeof(path), "%s/" DEMO_PLANT_PLC, dir);
	for (int i = 0; i < 2; i++) /* two snapshots to choose from */
		back_up(v, keys, "plc3", path, "plc", tree_facts(path, false));
	demo_plant_free(plant);
}

static void write_keys(const struct vault_init_result *keys)
{
	char path[PATH_MAX];
	int fd = open(place("keys", path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	must(fd < 0 || write(fd, keys, sizeof(*keys)) != sizeof(*keys), NULL, path);
	(void)close(fd);
}

static void read_keys(struct vault_init_result *keys)
{
	char path[PATH_MAX];
	int fd = open(place("keys", path), O_RDONLY | O_CLOEXEC);
	must(fd < 0 || read(fd, keys, sizeof(*keys)) != sizeof(*keys), NULL, path);
	(void)close(fd);
}

/* Clusters by the dozen are made and removed: in memory where there is room, since ext4 looks long
 * for an inode that was not just given back (half of the tests' time).  */
static const char *scratch_top(void)
{
	struct statvfs s;
	const char *tmp = getenv("TMPDIR");
	if (tmp != NULL)
		return tmp;
	bool roomy = statvfs("/dev/shm", &s) == 0 && access("/dev/shm", W_OK) == 0 &&
		     (uint64_t)s.f_bavail * s.f_frsize >= (uint64_t)4 << 30;
	return roomy ? "/dev/shm" : "/tmp";
}

void drill_fixture_make(void)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct err err = ERR_INIT;
	struct store *store = NULL;
	struct vault *v = NULL;
	struct vault_keys vk;
	struct vault_init_result keys;
	(void)snprintf(dir, sizeof(dir), "%s/drill test XXXXXX", scratch_top());
	must(mkdtemp(dir) == NULL, NULL, dir);
	must(setenv(ENV_NAME, dir, 1), NULL, dir);
	must(mkdir(place("drills", path), 0700), NULL, path);
	must(mkdir(place("reports", path), 0700), NULL, path);
	const struct store_local_opts create = { .create = true };
	must(store_local_open(place("vault", path), &create, &store, &err), &err, path);
	const struct vault_init_opts init = {
		.pass = "demo", .pass_len = 4, .scrypt_log2n = 4, .drill_group = "line3"
	};
	must(vault_init(store, &init, &keys, &err), &err, "init");
	vault_keys_of_writer(&keys.writer, &vk);
	must(vault_open(store, &vk, &v, &err), &err, "open");
	back_up_plant(v, &keys);
	write_keys(&keys);
	vault_close(v);
	store_free(store);
}

void drill_fixture_remove(void)
{
	const char *dir = getenv(ENV_NAME);
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir != NULL)
		(void)erase_tree_run(top, dir + 1, NULL, NULL);
	(void)close(top);
}

void drill_fixture_clear(void)
{
	char path[PATH_MAX];
	int top = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(erase_tree_run(top, place("drills", path) + 1, NULL, NULL), NULL, path);
	must(mkdir(path, 0700), NULL, path);
	(void)close(top);
}

int drill_fixture_left(void)
{
	char path[PATH_MAX];
	int count = -2; /* . and .. */
	DIR *d = opendir(place("drills", path));
	must(d == NULL, NULL, path);
	for (const struct dirent *de = readdir(d); de != NULL; de = readdir(d)) {
		if (de->d_name[0] != '.')
			(void)fprintf(stderr, "left: %s\n", de->d_name);
		count++;
	}
	(void)closedir(d);
	return count;
}

int drill_fixture_run(
	const char *text, void (*change)(struct drill_opts *o), struct report **r, struct err *err)
{
	char work[PATH_MAX], reports[PATH_MAX], path[PATH_MAX];
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct vault_init_result keys;
	struct vault_keys vk;
	struct store *store = NULL;
	struct vault *v = NULL;
	struct fetch *f = NULL;
	struct plan *plan = NULL;
	struct snapshot_list list = { .count = 0 };
	const struct store_local_opts read_only = { .is_read_only = true };
	read_keys(&keys);
	vault_keys_of_writer(&keys.writer, &vk);
	must(store_local_open(place("vault", path), &read_only, &store, err), err, path);
	must(vault_open(store, &vk, &v, err), err, "open");
	must(fetch_new(v, &f, err), err, "fetch");
	must(snapshot_list(v, NULL, NULL, &list, err), err, "list");
	must(plan_parse("test.plan", text, strlen(text), &plan, &problems, err), err, "plan");
	struct drill_points_near near = {
		.vault = v, .fetch = f, .snapshots = &list, .drill_sk = keys.dk_sk
	};
	const struct drill_points points = drill_points_near_make(&near);
	struct drill_opts o = { .plan = plan,
		.points = &points,
		.work = place("drills", work),
		.reports = place("reports", reports),
		.tool = "holdfast test",
		.trigger = REPORT_TRIGGER_MANUAL };
	if (change != NULL)
		change(&o);
	*r = report_new();
	must(*r == NULL, NULL, "memory");
	int rc = drill_run(&o, *r, err);
	conf_problems_done(&problems);
	plan_free(plan);
	snapshot_list_done(&list);
	fetch_free(f);
	vault_close(v);
	store_free(store);
	return rc;
}

const char *drill_fixture_plan(const char *rto)
{
	static char text[4096];
	(void)snprintf(text, sizeof(text),
		"plan = { id = \"p\"; version = 1; title = \"test\"; systems = (\n"
		"{ id = \"hist3\"; type = \"historian\"; tier = 1; mtpd = \"12h\"; rto = \"%s\";\n"
		"  rpo = \"1h\"; source = \"source:hist3\";\n"
		"  steps = ( { name = \"restore\"; do = \"restore\"; },\n"
		"            { name = \"start\"; do = \"start\"; } );\n"
		"  checks = (\n"
		"  { id = \"files\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; "
		"},\n"
		"  { id = \"samples\"; type = \"row_count\"; mandatory = true;\n"
		"    object = \"sqlt_data_*\"; expect = \"==manifest\"; },\n"
		"  { id = \"newest\"; type = \"newest_record\"; mandatory = true;\n"
		"    object = \"sqlt_data_*\"; expect = \"lag<=10m\"; },\n"
		"  { id = \"tags\"; type = \"sql\"; mandatory = true;\n"
		"    query = \"SELECT count(*) FROM sqlth_te\"; expect = \">=60\"; } ); },\n"
		"{ id = \"batch3\"; type = \"batch_records\"; tier = 1; mtpd = \"12h\"; rto = "
		"\"%s\";\n"
		"  rpo = \"1h\"; after = [ \"hist3\" ]; source = \"source:batch3\";\n"
		"  steps = ( { name = \"restore\"; do = \"restore\"; } );\n"
		"  checks = (\n"
		"  { id = \"files\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; "
		"},\n"
		"  { id = \"records\"; type = \"open_record\"; mandatory = true; sample = 5;\n"
		"    expect = \"all\"; },\n"
		"  { id = \"xml\"; type = \"xml\"; mandatory = true; expect = \"all\"; } ); },\n"
		"{ id = \"plc3\"; type = \"plc_project\"; tier = 2; mtpd = \"12h\"; rto = \"%s\";\n"
		"  rpo = \"7d\"; source = \"source:plc3\";\n"
		"  steps = ( { name = \"restore\"; do = \"restore\"; } );\n"
		"  checks = (\n"
		"  { id = \"files\"; type = \"hash_manifest\"; mandatory = true; expect = \"all\"; "
		"},\n"
		"  { id = \"xml\"; type = \"xml\"; mandatory = true; expect = \"all\"; } ); } );\n"
		"sandbox = { must_not_reach = ( { host = \"192.0.2.10\"; port = 502; } ); };\n"
		"cleanup = { on_success = \"erase\"; on_fail = \"erase\"; };\n"
		"};\n",
		rto, rto, rto);
	return text;
}

/* ---- damage ---- */

static void must_be(bool is_so, const char *what)
{
	if (!is_so) {
		(void)fprintf(stderr, "drill_fixture: unable %s\n", what);
		abort();
	}
}

static void flip_largest(const char *dir, char path[PATH_MAX])
{
	struct stat st, best = { .st_size = 0 };
	char file[PATH_MAX + 512];
	DIR *d = opendir(dir);
	must_be(d != NULL, "to open the directory of tables");
	for (struct dirent *de = readdir(d); de != NULL; de = readdir(d)) {
		(void)snprintf(file, sizeof(file), "%s/%s", dir, de->d_name);
		if (strspn(de->d_name, "0123456789") == strlen(de->d_name) &&
			stat(file, &st) == 0 && st.st_size > best.st_size) {
			best = st;
			(void)snprintf(path, PATH_MAX, "%.4000s", file);
		}
	}
	(void)closedir(d);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char byte;
	off_t at = 8192 - 100; /* in the first page's rows */
	must_be(fd >= 0 && pread(fd, &byte, 1, at) == 1, "to read a table");
	byte ^= 1;
	must_be(pwrite(fd, &byte, 1, at) == 1, "to change a table");
	(void)close(fd);
}

/* The directory of the historian's database: the one with the largest number. */
static void newest_database(const char *base, char out[PATH_MAX])
{
	long best = 0;
	DIR *d = opendir(base);
	must_be(d != NULL, "to open the directory of tables");
	for (struct dirent *de = readdir(d); de != NULL; de = readdir(d)) {
		long n = strtol(de->d_name, NULL, 10);
		if (n > best)
			best = n;
	}
	(void)closedir(d);
	(void)snprintf(out, PATH_MAX, "%.4000s/%ld", base, best);
}

void drill_fixture_flip_a_table(const char *dir)
{
	char base[PATH_MAX], database[PATH_MAX], path[PATH_MAX] = "";
	(void)snprintf(base, sizeof(base), "%s/base", dir);
	newest_database(base, database);
	flip_largest(database, path);
}
