#include "controller/controller_files.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static char dir[64], keys_dir[96], state[96], file[128];
static struct controller_keys keys;
static struct controller_files files;
static struct err err;

static void setup(void)
{
	static const uint8_t officer[32] = { 5 };
	(void)snprintf(dir, sizeof(dir), "/tmp/test-controller-files.XXXXXX");
	cr_assert(mkdtemp(dir) != NULL);
	(void)snprintf(keys_dir, sizeof(keys_dir), "%s/keys", dir);
	(void)snprintf(state, sizeof(state), "%s/state", dir);
	(void)snprintf(file, sizeof(file), "%s/controller.key", keys_dir);
	memset(&keys, 3, sizeof(keys));
	keys.kv_epoch = 1;
	memset(keys.gateway, 9, sizeof(keys.gateway));
	cr_assert(eq(int, controller_files_make(keys_dir, "plant1", &keys, officer, &err), 0), "%s",
		err.msg);
}

static void teardown(void)
{
	char command[128];
	controller_files_done(&files);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	cr_expect(eq(int, system(command), 0));
}

TestSuite(controller_files, .init = setup, .fini = teardown);

static int load(void)
{
	controller_files_done(&files);
	return controller_files_load(keys_dir, state, &files, &err);
}

/* The keys of the next epoch, as a recovery key gives them: without a gateway. */
static struct controller_keys next_keys(void)
{
	struct controller_keys k = keys;
	k.kv_epoch = 2;
	memset(k.k_vault, 7, sizeof(k.k_vault));
	memset(k.gateway, 0, sizeof(k.gateway));
	return k;
}

Test(controller_files, what_was_made_is_read_and_never_made_again)
{
	static const uint8_t officer[32] = { 5 };
	cr_assert(eq(int, load(), 0), "%s", err.msg);
	cr_expect(eq(int, memcmp(&files.keys, &keys, sizeof(keys)), 0));
	cr_expect(eq(
		int, controller_files_make(keys_dir, "plant1", &keys, officer, &err), -ERR_EXISTS));
	cr_assert(eq(int, chmod(file, 0644), 0));
	cr_expect(eq(int, load(), -ERR_CONFIG));
}

Test(controller_files, new_keys_of_the_vault_come_and_the_name_in_snapshots_stays)
{
	struct controller_keys k = next_keys();
	struct stat st;
	cr_assert(eq(int, controller_files_rekey(keys_dir, &k, &err), 0), "%s", err.msg);
	cr_assert(eq(int, load(), 0), "%s", err.msg);
	cr_expect(eq(u32, files.keys.kv_epoch, 2));
	cr_expect(eq(int, files.keys.k_vault[0], 7));
	cr_expect(eq(int, memcmp(files.keys.gateway, keys.gateway, 16), 0));
	cr_assert(eq(int, stat(file, &st), 0));
	cr_expect(eq(uint, st.st_mode & 07777, 0600));
}

Test(controller_files, a_lost_or_damaged_file_is_made_anew_under_another_name)
{
	struct controller_keys k = next_keys();
	static const uint8_t zeros[16];
	cr_assert(eq(int, unlink(file), 0));
	cr_assert(eq(int, controller_files_rekey(keys_dir, &k, &err), 0), "%s", err.msg);
	cr_assert(eq(int, load(), 0));
	cr_expect(ne(int, memcmp(files.keys.gateway, keys.gateway, 16), 0));
	cr_expect(ne(int, memcmp(files.keys.gateway, zeros, 16), 0));
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	cr_assert(eq(int, (int)pwrite(fd, "x", 1, 70), 1));
	(void)close(fd);
	cr_expect(eq(int, load(), -ERR_CORRUPT));
	cr_expect(eq(int, controller_files_rekey(keys_dir, &k, &err), 0), "%s", err.msg);
	cr_expect(eq(int, load(), 0), "%s", err.msg);
}

Test(controller_files, keys_of_another_vault_and_a_place_without_a_controller_are_refused)
{
	struct controller_keys k = next_keys();
	k.vault_id[0] ^= 1;
	cr_expect(eq(int, controller_files_rekey(keys_dir, &k, &err), -ERR_AUTH));
	cr_assert(eq(int, load(), 0));
	cr_expect(eq(u32, files.keys.kv_epoch, 1));
	cr_expect(eq(int, controller_files_rekey(dir, &k, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, access(file, F_OK), 0));
}
