#include "agents/sources/fs_table.h"

#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/err.h"

/*
 * INVARIANTS
 * (1) dev and id are unique in the table.
 */
struct fs_table {
	struct fs_info *infos; /* owned */
	size_t count, cap;
	size_t last; /* found last: nearly always the next one, too */
};

/* Not in linux/magic.h of every kernel we build with. */
#define MAGIC_CONFIGFS 0x62656570
#define MAGIC_FUSECTL 0x65735543
#define MAGIC_MQUEUE 0x19800202
#define MAGIC_RPC_PIPEFS 0x67596969
#define MAGIC_NFSD 0x6e667364
#define MAGIC_EXFAT 0x2011bab0
#define MAGIC_EROFS 0xe0f5e1e2
#define MAGIC_FUSE 0x65735546

static bool has_type(const uint32_t *types, size_t count, uint32_t type)
{
	for (size_t i = 0; i < count; i++) {
		if (types[i] == type)
			return true;
	}
	return false;
}

/*
 * FAT numbers its files anew with every mount and gives them the time of writing, which anybody may
 * set, as that of change; behind FUSE either may be so.  In images both are what their maker chose,
 * and the next image comes on the same device.
 */
static bool is_unsure_type(uint32_t type)
{
	static const uint32_t types[] = { MSDOS_SUPER_MAGIC, MAGIC_EXFAT, MAGIC_FUSE,
		SQUASHFS_MAGIC, ISOFS_SUPER_MAGIC, MAGIC_EROFS, CRAMFS_MAGIC };
	return has_type(types, sizeof(types) / sizeof(types[0]), type);
}

/*
 * Local disks whose code was read and which are tried by test_files: setting an attribute, an
 * access list or an inode flag stamps the time of change.  Not those over a network: what a look by
 * name says of them may be old until the file is opened.  Nor tmpfs: kernels before 6.1 stamp
 * nothing.
 */
static bool is_telling_type(uint32_t type)
{
	static const uint32_t types[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC };
	return has_type(types, sizeof(types) / sizeof(types[0]), type);
}

static bool is_virtual_type(uint32_t type)
{
	static const uint32_t types[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC,
		TRACEFS_MAGIC, SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		DEVPTS_SUPER_MAGIC, BPF_FS_MAGIC, PSTOREFS_MAGIC, EFIVARFS_MAGIC, BINFMTFS_MAGIC,
		SELINUX_MAGIC, SMACK_MAGIC, NSFS_MAGIC, MAGIC_CONFIGFS, MAGIC_FUSECTL, MAGIC_MQUEUE,
		MAGIC_RPC_PIPEFS, MAGIC_NFSD };
	return has_type(types, sizeof(types) / sizeof(types[0]), type);
}

int fs_table_new(struct fs_table **out, struct err *err)
{
	struct fs_table *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	*out = t;
	return 0;
}

void fs_table_free(struct fs_table *t)
{
	if (t == NULL)
		return;
	free(t->infos);
	free(t);
}

static bool has_id(const struct fs_table *t, uint64_t id)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->infos[i].id == id)
			return true;
	}
	return false;
}

static uint64_t choose_id(const struct fs_table *t, const struct statfs *fs, uint64_t dev)
{
	uint64_t id = 0;
	_Static_assert(sizeof(fs->f_fsid) == sizeof(id), "an id of 64 bits");
	memcpy(&id, &fs->f_fsid, sizeof(id));
	if (id == 0)
		id = dev;
	while (id == 0 || has_id(t, id))
		id = (id ^ dev) * UINT64_C(0x9e3779b97f4a7c15) + 1;
	return id;
}

struct fs_info *fs_table_get(struct fs_table *t, uint64_t dev)
{
	if (t->last < t->count && t->infos[t->last].dev == dev)
		return &t->infos[t->last];
	for (size_t i = 0; i < t->count; i++) {
		if (t->infos[i].dev == dev) {
			t->last = i;
			return &t->infos[i];
		}
	}
	return NULL;
}

int fs_table_find(struct fs_table *t, int fd, uint64_t dev, struct fs_info **out, struct err *err)
{
	struct fs_info *known = fs_table_get(t, dev);
	if (known != NULL) {
		*out = known;
		return 0;
	}
	struct statfs fs;
	if (fstatfs(fd, &fs) != 0)
		return err_sys(err, ERR_IO, "unable to ask for the file system");
	if (t->count == FS_TABLE_MAX)
		return err_set(err, ERR_LIMIT, "more than %d file systems", FS_TABLE_MAX);
	if (t->count == t->cap) {
		size_t cap = t->cap == 0 ? 8 : t->cap * 2;
		struct fs_info *grown = reallocarray(t->infos, cap, sizeof(*grown));
		if (grown == NULL)
			return err_set(err, ERR_NOMEM, "out of memory");
		t->infos = grown;
		t->cap = cap;
	}
	t->infos[t->count] = (struct fs_info){ .dev = dev,
		.id = choose_id(t, &fs, dev),
		.is_virtual = is_virtual_type((uint32_t)fs.f_type),
		.is_unsure = is_unsure_type((uint32_t)fs.f_type),
		.is_telling = is_telling_type((uint32_t)fs.f_type) };
	t->last = t->count++;
	*out = &t->infos[t->last];
	return 0;
}
