#include "cmd/cmd_vault_serve.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/human.h"
#include "base/log.h"
#include "base/notify.h"
#include "cmd/access.h"
#include "cmd/drivers.h"
#include "cmd/stop.h"
#include "crypto/secret.h"
#include "store/local/local_stage.h"
#include "store/store.h"
#include "store/unix/unix_door.h"
#include "vault/append_rule.h"
#include "vault/vault.h"

#define KEEP_FREE_BYTES (INT64_C(256) << 20)
#define KEEP_FREE_FILES 1024
#define FILES_PER_CALLER (LOCAL_STAGE_MAX_OPEN + 16)

struct serving {
	struct cli *cli;
	const char *directory;
	int64_t keep_free;
	uid_t uids[UNIX_DOOR_MAX_UIDS];
	size_t uid_count;
	uint64_t promised; /* bytes of puts under way, of all callers that are not there yet; atomic
			    */
};

/* What one caller may put.  Its keys are read when it comes: a door outlives a change of them. */
struct rule {
	struct serving *s;
	struct append_rule *names; /* owned, as the next two */
	struct store *store;
	struct vault *vault;
	uint64_t promised; /* its part of those */
};

static int open_for_caller(void *arg, struct store **out, struct err *err)
{
	const struct serving *s = arg;
	return drivers_open_location(s->directory, DRIVERS_WRITE, out, err);
}

static int open_vault(
	const struct serving *s, struct store *store, struct vault **out, struct err *err)
{
	struct keyring_writer writer = { .kv_epoch = 0 };
	struct vault_keys keys = { .kv_epoch = 0 };
	uint8_t id[16];
	int rc = vault_peek_id(store, id, err);
	if (rc == 0)
		rc = access_load_writer(s->cli, id, &writer, err);
	if (rc == 0) {
		vault_keys_of_writer(&writer, &keys);
		rc = vault_open(store, &keys, out, err);
	}
	secret_wipe(&writer, sizeof(writer));
	secret_wipe(&keys, sizeof(keys));
	return rc;
}

static void rule_free(void *rule)
{
	struct rule *r = rule;
	append_rule_free(r->names);
	vault_close(r->vault);
	store_free(r->store);
	free(r);
}

static int rule_new(void *arg, void **out, struct err *err)
{
	struct rule *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	r->s = arg;
	int rc = append_rule_new(&r->names, err);
	if (rc == 0)
		rc = drivers_open_location(r->s->directory, DRIVERS_READ, &r->store, err);
	if (rc == 0)
		rc = open_vault(r->s, r->store, &r->vault, err);
	if (rc != 0)
		rule_free(r);
	else
		*out = r;
	return rc;
}

/* A disk that somebody filled to the brim is one on which the owner cannot take space back: looked
 * at before each piece, with all that was promised to all callers. */
static int check_room(const struct serving *s, struct err *err)
{
	struct statvfs fs;
	char room[HUMAN_BYTES];
	if (s->keep_free == 0 || statvfs(s->directory, &fs) != 0)
		return 0; /* the put itself tells what is wrong */
	const uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
	const uint64_t promised = __atomic_load_n(&s->promised, __ATOMIC_SEQ_CST);
	const bool has_files = fs.f_files == 0 || fs.f_favail >= KEEP_FREE_FILES;
	if (has_files && left >= promised && left - promised >= (uint64_t)s->keep_free)
		return 0;
	if (!has_files)
		(void)err_set(err, ERR_NOSPACE,
			"the vault's file system keeps %d files free for its owner",
			KEEP_FREE_FILES);
	else
		(void)err_set(err, ERR_NOSPACE,
			"the vault's file system keeps %s free for its owner",
			human_size(room, (uint64_t)s->keep_free));
	return err_hint(err, "have the vault's owner take space back, or give it a larger disk");
}

static void put_over(void *rule)
{
	struct rule *r = rule;
	__atomic_sub_fetch(&r->s->promised, r->promised, __ATOMIC_SEQ_CST);
	r->promised = 0;
}

static int may_put(void *rule, struct store *store, const char *name, uint64_t len, bool *is_hashed,
	struct err *err)
{
	struct rule *r = rule;
	int rc = append_rule_check(r->names, store, name, len, is_hashed, err);
	if (rc != 0)
		return rc;
	r->promised = len;
	__atomic_add_fetch(&r->s->promised, len, __ATOMIC_SEQ_CST);
	return check_room(r->s, err);
}

/* What was promised is about to be there. */
static int may_add(void *rule, size_t len, struct err *err)
{
	struct rule *r = rule;
	int rc = check_room(r->s, err);
	if (rc != 0)
		return rc;
	__atomic_sub_fetch(&r->s->promised, len, __ATOMIC_SEQ_CST);
	r->promised -= len;
	return 0;
}

static int may_keep(void *rule, const char *name, const void *data, size_t len, struct err *err)
{
	const struct rule *r = rule;
	return append_rule_open(r->vault, name, data, len, err);
}

static void on_caller(void *arg, uid_t uid, pid_t pid, int rc, const char *what)
{
	(void)arg;
	if (rc == 0)
		log_info(
			"serve.caller", "uid=%u pid=%d what=\"%s\"", (unsigned)uid, (int)pid, what);
	else
		log_warn("serve.refused", "uid=%u pid=%d error=\"%s\", continuing", (unsigned)uid,
			(int)pid, what);
}

/* A user's name, or a number. */
static int add_user(struct serving *s, const char *user, struct err *err)
{
	char *end = NULL;
	errno = 0;
	unsigned long uid = strtoul(user, &end, 10);
	if (s->uid_count == UNIX_DOOR_MAX_UIDS)
		return err_set(err, ERR_USAGE, "--allow: at most %d users", UNIX_DOOR_MAX_UIDS);
	if (*end != '\0' || user[0] < '0' || user[0] > '9') {
		const struct passwd *p =
			getpwnam(user); // NOLINT(concurrency-mt-unsafe): one thread
		if (p == NULL)
			return err_set(err, ERR_USAGE, "--allow: there is no user '%s'", user);
		uid = p->pw_uid;
	} else if (errno != 0 || uid >= (uid_t)-1) {
		return err_set(err, ERR_USAGE, "--allow: '%s' is no user's number", user);
	}
	s->uids[s->uid_count++] = (uid_t)uid;
	return 0;
}

static int check_options(struct serving *s, struct err *err)
{
	const struct cli *cli = s->cli;
	const char *user;
	int rc = 0;
	s->directory = drivers_directory(cli);
	if (drivers_location(cli) == NULL) {
		(void)err_set(err, ERR_USAGE, "no vault is named");
		return err_hint(err, "give --vault DIR or set HOLDFAST_VAULT");
	}
	if (s->directory == NULL)
		return err_set(err, ERR_USAGE, "a door is kept to a directory, not to '%s'",
			drivers_location(cli));
	if (cli_text(cli, "socket") == NULL)
		return err_set(err, ERR_USAGE, "--socket is needed: where the door is");
	for (size_t i = 0; rc == 0 && (user = cli_nth(cli, "allow", i)) != NULL; i++)
		rc = add_user(s, user, err);
	if (rc == 0 && s->uid_count == 0)
		rc = err_set(err, ERR_USAGE, "--allow is needed: who may add to the vault");
	return rc;
}

/* What is served is a vault, ours to write to and to look into. */
static int check_vault(const struct serving *s, struct err *err)
{
	struct store *store = NULL;
	struct vault *vault = NULL;
	int rc = drivers_open_location(s->directory, DRIVERS_WRITE, &store, err);
	if (rc == 0)
		rc = open_vault(s, store, &vault, err);
	vault_close(vault);
	store_free(store);
	return rc == 0 ? 0 : err_wrap(err, "unable to serve the vault '%s'", s->directory);
}

/* A connection has some of the objects since its last barrier open: no user's connections may take
 * the descriptors of another's. */
static void raise_files(size_t uid_count)
{
	struct rlimit most;
	const rlim_t wanted = 64 + uid_count * UNIX_DOOR_PER_UID * (rlim_t)FILES_PER_CALLER;
	if (getrlimit(RLIMIT_NOFILE, &most) != 0 || most.rlim_cur >= wanted)
		return;
	most.rlim_cur = most.rlim_max < wanted ? most.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &most) != 0 || most.rlim_cur < wanted)
		log_warn("serve.files", "open files are limited to %llu, %llu would be needed",
			(unsigned long long)most.rlim_cur, (unsigned long long)wanted);
}

/* Who is root needs no door to remove anything. */
static void warn_of_root(const struct serving *s)
{
	struct console *c = &s->cli->console;
	if (geteuid() == 0)
		console_warn(c, NULL, 0,
			"the door is kept by root: keep it as a user who owns the vault's "
			"directory and nothing else");
	for (size_t i = 0; i < s->uid_count; i++) {
		if (s->uids[i] == 0)
			console_warn(c, NULL, 0,
				"root is let in: against root of this host the vault is not "
				"append-only");
	}
}

static int run_serve(struct cli *cli, struct err *err)
{
	struct serving s = { .cli = cli,
		.keep_free = cli_number(cli, "keep-free", KEEP_FREE_BYTES) };
	const struct unix_door_opts opts = { .path = cli_text(cli, "socket"),
		.uids = s.uids,
		.open_store = open_for_caller,
		.rule_new = rule_new,
		.rule_free = rule_free,
		.may_put = may_put,
		.may_add = may_add,
		.put_over = put_over,
		.is_shown = append_rule_is_opened,
		.may_keep = may_keep,
		.on_caller = on_caller,
		.is_stopped = stop_is_asked,
		.arg = &s };
	struct unix_door *door = NULL;
	int rc = check_options(&s, err);
	if (rc == 0)
		rc = check_vault(&s, err);
	struct unix_door_opts filled = opts;
	filled.uid_count = s.uid_count;
	if (rc == 0)
		rc = unix_door_open(&filled, &door, err);
	if (rc != 0)
		return rc;
	warn_of_root(&s);
	raise_files(s.uid_count);
	if (!log_is_on(LOG_INFO))
		log_setup(LOG_INFO, NULL);
	console_print(&cli->console, "serving '%s' at '%s'\n", s.directory, filled.path);
	(void)console_flush(&cli->console);                    /* told at the end too */
	(void)notify_send(getenv("NOTIFY_SOCKET"), "READY=1"); // NOLINT(concurrency-mt-unsafe)
	rc = unix_door_run(door, err);
	unix_door_free(door);
	return rc;
}

static const struct cli_option serve_options[] = {
	{ .name = "socket", .kind = CLI_TEXT, .argument = "PATH", .help = "where the door is" },
	{ .name = "allow",
		.kind = CLI_TEXT,
		.is_many = true,
		.argument = "USER",
		.help = "who may come in: a name or a number" },
	{ .name = "keep-free",
		.kind = CLI_SIZE,
		.argument = "SIZE",
		.help = "take nothing more when less than SIZE would be free; default 256MiB" },
	{ .name = NULL },
};

const struct cli_verb cmd_vault_serve_verb = {
	.name = "vault serve",
	.arguments = "",
	.summary = "let other users of this host back up to the vault, and remove nothing",
	.about = "Runs in the foreground, as the user who owns the vault's directory, until "
		 "SIGTERM or "
		 "Ctrl-C. Those who are allowed say --vault unix:PATH: they can read the vault and "
		 "add what a backup writes; there is no way to overwrite or remove anything, to "
		 "prune, or to change keys. Retention and collection are the owner's, at the "
		 "directory itself. Who calls is told by the kernel. Needs the writer key, to look "
		 "into marks and snapshots before they are put.",
	.json = "nothing",
	.options = serve_options,
	.groups = CLI_VAULT,
	.run = run_serve,
};
