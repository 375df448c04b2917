#define FUSE_USE_VERSION 314
#include "mount/mount_fuse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "mount/mount_dir.h"
#include "mount/mount_node.h"
#include "mount/mount_ops.h"
#include "vault/file_reader.h"

/*
 * INVARIANTS
 * (1) fi->fh of an open file is its file_handle, of an open directory its dir_handle; the lock of a
 *     dir_handle is held while its mount_dir is used.
 * (2) A lookup counted for a name that did not reach the kernel is taken back.
 * (3) Signals reach the thread that called run, and it only while it waits: a signal that comes
 *     between two questions is seen at the next wait.
 * (4) A thread can be canceled only while it waits for a request: no request is half answered.
 */
#define FIXED_TIMEOUT_S 86400.0 /* what a snapshot holds never changes */
#define PASSING_TIMEOUT_S 1.0   /* a new snapshot is seen after that */
#define NAME_MAX_BYTES 255      /* what Linux lets a name be */
#define XATTR_MAX_BYTES 65536
#define READ_MAX_BYTES ((size_t)1 << 20)

struct mount_fuse {
	struct mount_ops *ops; /* borrowed */
	struct fuse_session *session;
	bool is_mounted;
	bool allow_other;
	unsigned threads;
	int wake; /* eventfd: readable once the mount is to end */
};

struct dir_handle {
	pthread_mutex_t lock;
	struct mount_dir *dir; /* owned */
};

DEFINE_CLEANUP(struct mount_fuse *, mount_fuse_free)
DEFINE_CLEANUP(struct mount_dir *, mount_dir_close)
DEFINE_CLEANUP(DIR *, closedir)

static struct mount_fuse *fuse_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct mount_ops *ops_of(fuse_req_t req)
{
	return fuse_of(req)->ops;
}

/* A reply is lost only with the mount, and then nobody waits for it: no answer to a reply below. */

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount_fuse *m = userdata;
	/* listing with everything known of a name costs no more than without it */
	conn->want |= conn->capable & FUSE_CAP_READDIRPLUS;
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	if (m->allow_other)
		conn->want |= conn->capable & FUSE_CAP_POSIX_ACL;
}

/* ---- names ----------------------------------------------------------------------------------- */

static struct fuse_entry_param entry_of(const struct mount_ops_attr *a)
{
	return (struct fuse_entry_param){ .ino = a->st.st_ino,
		.attr = a->st,
		.attr_timeout = a->is_fixed ? FIXED_TIMEOUT_S : PASSING_TIMEOUT_S,
		.entry_timeout = a->is_passing ? PASSING_TIMEOUT_S : FIXED_TIMEOUT_S };
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount_ops_attr a;
	int rc = mount_ops_lookup(ops_of(req), parent, name, &a);
	if (rc != 0) {
		(void)fuse_reply_err(req, -rc);
		return;
	}
	struct fuse_entry_param e = entry_of(&a);
	if (fuse_reply_entry(req, &e) != 0)
		mount_ops_forget(ops_of(req), e.ino, 1);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	mount_ops_forget(ops_of(req), ino, count);
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		mount_ops_forget(ops_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct mount_ops_attr a;
	(void)fi; /* a number means the same whoever opened it */
	int rc = mount_ops_getattr(ops_of(req), ino, &a);
	if (rc != 0)
		(void)fuse_reply_err(req, -rc);
	else
		(void)fuse_reply_attr(req, &a.st, a.is_fixed ? FIXED_TIMEOUT_S : PASSING_TIMEOUT_S);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4096 + 1]; /* the kernel takes no longer one */
	int rc = mount_ops_readlink(ops_of(req), ino, target, sizeof(target));
	if (rc != 0)
		(void)fuse_reply_err(req, -rc);
	else
		(void)fuse_reply_readlink(req, target);
}

/* ---- files ----------------------------------------------------------------------------------- */

static struct file_reader *file_of(const struct fuse_file_info *fi)
{
	return (struct file_reader *)(uintptr_t)fi->fh;
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct file_reader *f = NULL;
	int rc =
		(fi->flags & O_ACCMODE) != O_RDONLY ? -EROFS : mount_ops_open(ops_of(req), ino, &f);
	if (rc != 0) {
		(void)fuse_reply_err(req, -rc);
		return;
	}
	fi->fh = (uintptr_t)f;
	fi->keep_cache = 1;
	if (fuse_reply_open(req, fi) != 0)
		file_reader_free(f);
}

static void on_read(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	if (size > READ_MAX_BYTES)
		size = READ_MAX_BYTES;
	CLEANUP(cleanup_free_p) char *data = malloc(size + 1);
	size_t got = 0;
	int rc = data == NULL ? -ENOMEM
			      : mount_ops_read(ops_of(req), ino, file_of(fi), (uint64_t)offset,
					data, size, &got);
	if (rc != 0)
		(void)fuse_reply_err(req, -rc);
	else
		(void)fuse_reply_buf(req, data, got);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	file_reader_free(file_of(fi));
	(void)fuse_reply_err(req, 0);
}

static void on_lseek(
	fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	uint64_t at = 0;
	int rc = mount_ops_seek(ops_of(req), ino, file_of(fi), (uint64_t)offset, whence, &at);
	if (rc != 0)
		(void)fuse_reply_err(req, -rc);
	else
		(void)fuse_reply_lseek(req, (off_t)at);
}

/* ---- directories ----------------------------------------------------------------------------- */

static struct dir_handle *dir_of(const struct fuse_file_info *fi)
{
	return (struct dir_handle *)(uintptr_t)fi->fh;
}

static void dir_free(struct dir_handle *h)
{
	mount_dir_close(h->dir);
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	CLEANUP(mount_dir_close_p) struct mount_dir *dir = NULL;
	int rc = mount_dir_open(ops_of(req), ino, &dir);
	struct dir_handle *h = rc == 0 ? calloc(1, sizeof(*h)) : NULL;
	if (h == NULL) {
		(void)fuse_reply_err(req, rc != 0 ? -rc : ENOMEM);
		return;
	}
	(void)pthread_mutex_init(&h->lock, NULL); /* with default attributes: cannot fail */
	h->dir = TAKE(dir);
	fi->fh = (uintptr_t)h;
	if (fuse_reply_open(req, fi) != 0)
		dir_free(h);
}

static void on_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	dir_free(dir_of(fi));
	(void)fuse_reply_err(req, 0);
}

/* A part of a listing being written. */
struct page {
	fuse_req_t req;
	struct dir_handle *h;
	bool is_plus;
	char *data;
	size_t size, len;
};

/* Write name number ${nth}.  Return 1, 0 when it does not fit, or a negative errno. */
static int add_name(struct page *p, uint64_t nth, const char *name, const struct mount_ops_attr *a)
{
	size_t left = p->size - p->len;
	size_t need;
	if (!p->is_plus) {
		need = fuse_add_direntry(
			p->req, p->data + p->len, left, name, &a->st, (off_t)(nth + 1));
		p->len += need <= left ? need : 0;
		return need <= left;
	}
	struct fuse_entry_param e = entry_of(a);
	bool is_counted = nth >= 2; /* the kernel looks for "." and ".." itself */
	int rc = is_counted ? mount_dir_look(p->h->dir, &e.ino) : 0;
	if (rc != 0)
		return rc;
	if (!is_counted)
		e.ino = 0;
	e.attr.st_ino = a->st.st_ino;
	need = fuse_add_direntry_plus(p->req, p->data + p->len, left, name, &e, (off_t)(nth + 1));
	if (need > left) {
		if (is_counted)
			mount_ops_forget(ops_of(p->req), e.ino, 1);
		return 0;
	}
	p->len += need;
	return 1;
}

static int fill_page(struct page *p, uint64_t nth)
{
	for (;; nth++) {
		const char *name;
		struct mount_ops_attr a;
		int rc = mount_dir_at(p->h->dir, nth, &name, &a);
		if (rc > 0 && strlen(name) > NAME_MAX_BYTES)
			continue; /* from another system: no call could name it */
		if (rc > 0)
			rc = add_name(p, nth, name, &a);
		if (rc <= 0)
			return p->len > 0 ? 0 : rc; /* an error is met again at the next page */
	}
}

static void list(
	fuse_req_t req, size_t size, off_t offset, const struct fuse_file_info *fi, bool is_plus)
{
	CLEANUP(cleanup_free_p) char *data = malloc(size + 1);
	struct page p = {
		.req = req, .h = dir_of(fi), .is_plus = is_plus, .data = data, .size = size
	};
	int rc = -ENOMEM;
	if (data != NULL) {
		(void)pthread_mutex_lock(&p.h->lock); /* fails for bad locks only */
		rc = fill_page(&p, (uint64_t)offset);
		(void)pthread_mutex_unlock(&p.h->lock);
	}
	if (rc != 0)
		(void)fuse_reply_err(req, -rc);
	else
		(void)fuse_reply_buf(req, data, p.len);
}

static void on_readdir(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)ino;
	list(req, size, offset, fi, false);
}

static void on_readdirplus(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)ino;
	list(req, size, offset, fi, true);
}

/* ---- attributes ------------------------------------------------------------------------------ */

/* Answer with ${rc} bytes, or the count when nobody asked for bytes. */
static void reply_xattr(fuse_req_t req, int rc, const char *data, size_t size)
{
	if (rc < 0)
		(void)fuse_reply_err(req, -rc);
	else if (size == 0)
		(void)fuse_reply_xattr(req, (size_t)rc);
	else
		(void)fuse_reply_buf(req, data, (size_t)rc);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	if (size > XATTR_MAX_BYTES)
		size = XATTR_MAX_BYTES;
	CLEANUP(cleanup_free_p) char *data = malloc(size + 1);
	int rc = data == NULL ? -ENOMEM : mount_ops_getxattr(ops_of(req), ino, name, data, size);
	reply_xattr(req, rc, data, size);
}

static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	if (size > XATTR_MAX_BYTES)
		size = XATTR_MAX_BYTES;
	CLEANUP(cleanup_free_p) char *data = malloc(size + 1);
	int rc = data == NULL ? -ENOMEM : mount_ops_listxattr(ops_of(req), ino, data, size);
	reply_xattr(req, rc, data, size);
}

static void on_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
	struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size, size_t out_size)
{
	uint32_t bits = 0;
	(void)arg;
	(void)fi;
	(void)flags;
	(void)in;
	(void)in_size;
	int rc = cmd == (unsigned)FS_IOC_GETFLAGS && out_size >= sizeof(bits)
			 ? mount_ops_flags(ops_of(req), ino, &bits)
			 : -ENOTTY;
	if (rc != 0)
		(void)fuse_reply_err(req, -rc);
	else
		(void)fuse_reply_ioctl(req, 0, &bits, sizeof(bits));
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	(void)ino;
	/* no size: a snapshot shares its bytes with others */
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_MAX_BYTES };
	(void)fuse_reply_statfs(req, &st);
}

static const struct fuse_lowlevel_ops operations = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.read = on_read,
	.release = on_release,
	.lseek = on_lseek,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.releasedir = on_releasedir,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.ioctl = on_ioctl,
	.statfs = on_statfs,
};

/* ---- mounting -------------------------------------------------------------------------------- */

static int check_mountpoint(const char *path, struct err *err)
{
	CLEANUP(closedir_p) DIR *dir = opendir(path);
	if (dir == NULL && errno == ENOENT) {
		err_set(err, ERR_NOT_FOUND, "there is no directory '%s'", path);
		return err_hint(err, "make it: mkdir '%s'", path);
	}
	if (dir == NULL && errno == ENOTDIR)
		return err_set(err, ERR_USAGE, "'%s' is no directory", path);
	if (dir == NULL && errno == ENOTCONN) {
		err_set(err, ERR_USAGE, "'%s' is a mount whose program is gone", path);
		return err_hint(err, "take it away: fusermount3 -u '%s'", path);
	}
	if (dir == NULL)
		return err_sys(err, ERR_IO, "unable to look into '%s'", path);
	const struct dirent *d;
	while ((d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		err_set(err, ERR_USAGE, "directory '%s' is not empty", path);
		return err_hint(err, "a mount would hide what is in it: name an empty directory");
	}
	return 0;
}

/* What libfuse says last becomes the text of an error. */
static char last_words[256];

static void on_words(enum fuse_log_level level, const char *fmt, va_list ap)
{
	if (level > FUSE_LOG_WARNING)
		return;
	(void)vsnprintf(last_words, sizeof(last_words), fmt, ap); /* cut where it is long */
	last_words[strcspn(last_words, "\n")] = '\0';
}

static int tell_refusal(const struct mount_fuse_opts *opts, struct err *err)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int why = fd < 0 ? errno : 0;
	if (fd >= 0)
		(void)close(fd); /* only asked whether it opens */
	err_set(err, ERR_FAILED, "unable to mount at '%s'%s%s", opts->mountpoint,
		last_words[0] != '\0' ? ": " : "", last_words);
	if (why == ENOENT || why == ENODEV || why == ENXIO)
		return err_hint(err, "this system has no FUSE: load the module (modprobe fuse), or "
				     "give the container /dev/fuse");
	if (why == EACCES || why == EPERM)
		return err_hint(err,
			"/dev/fuse is closed to this user: its owner or root can open it "
			"(mode 0666 is usual)");
	if (geteuid() != 0 && access("/usr/bin/fusermount3", X_OK) != 0 &&
		access("/bin/fusermount3", X_OK) != 0)
		return err_hint(err,
			"an ordinary user mounts with fusermount3: install the package "
			"fuse3");
	if (geteuid() != 0 && opts->allow_other)
		return err_hint(err, "for --allow-other root must put 'user_allow_other' into "
				     "/etc/fuse.conf");
	return err_hint(err, "the directory must be yours, and mounting must be allowed here");
}

static int new_session(struct mount_fuse *m, struct err *err)
{
	/* one option a word: libfuse splits at commas */
	char *words[] = { (char *)(uintptr_t) "holdfast", (char *)(uintptr_t) "-o",
		(char *)(uintptr_t)(m->allow_other ? "ro,fsname=holdfast,subtype=holdfast,"
						     "allow_other,default_permissions"
						   : "ro,fsname=holdfast,subtype=holdfast"),
		NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, words);
	m->session = fuse_session_new(&args, &operations, sizeof(operations), m);
	fuse_opt_free_args(&args);
	if (m->session == NULL)
		return err_set(err, ERR_FAILED, "unable to begin a FUSE session: %s", last_words);
	return 0;
}

int mount_fuse_new(struct mount_ops *ops, const struct mount_fuse_opts *opts,
	struct mount_fuse **out, struct err *err)
{
	int rc = check_mountpoint(opts->mountpoint, err);
	if (rc != 0)
		return rc;
	CLEANUP(mount_fuse_free_p) struct mount_fuse *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	m->ops = ops;
	m->allow_other = opts->allow_other;
	m->threads = opts->threads == 0 ? 1 : opts->threads;
	if (m->threads > MOUNT_FUSE_MAX_THREADS)
		m->threads = MOUNT_FUSE_MAX_THREADS;
	m->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->wake < 0)
		return err_sys(err, ERR_FAILED, "unable to make an event");
	last_words[0] = '\0';
	fuse_set_log_func(on_words);
	rc = new_session(m, err);
	if (rc != 0)
		return rc;
	if (fuse_session_mount(m->session, opts->mountpoint) != 0)
		return tell_refusal(opts, err);
	m->is_mounted = true;
	*out = TAKE(m);
	return 0;
}

void mount_fuse_free(struct mount_fuse *m)
{
	if (m == NULL)
		return;
	if (m->is_mounted)
		fuse_session_unmount(m->session);
	if (m->session != NULL)
		fuse_session_destroy(m->session);
	if (m->wake >= 0)
		(void)close(m->wake); /* an event: nothing to lose */
	free(m);
}

/* ---- answering ------------------------------------------------------------------------------- */

struct worker {
	struct mount_fuse *m;
	pthread_t thread;
	struct fuse_buf buf; /* its memory outlives a thread that is canceled */
};

/* Wait for requests in the kernel, which wakes one thread for each, and answer them. */
static void *serve(void *arg)
{
	struct worker *w = arg;
	int ignored;
	for (;;) {
		(void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &ignored); /* cannot fail */
		int n = fuse_session_receive_buf(w->m->session, &w->buf);
		(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ignored);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break; /* unmounted */
		fuse_session_process_buf(w->m->session, &w->buf);
	}
	(void)eventfd_write(w->m->wake, 1); /* full only when it is readable already */
	return NULL;
}

/* Wait until a thread ended or somebody asks to stop, which is looked at once a minute at least;
 * ${mask} is the signal mask meanwhile. */
static void wait_end(
	struct mount_fuse *m, const sigset_t *mask, bool (*is_stopped)(void *arg), void *arg)
{
	static const struct timespec minute = { .tv_sec = 60 };
	struct pollfd fd = { .fd = m->wake, .events = POLLIN };
	while (!is_stopped(arg)) {
		if (ppoll(&fd, 1, &minute, mask) > 0)
			break;
	}
}

int mount_fuse_run(struct mount_fuse *m, bool (*is_stopped)(void *arg), void *arg, struct err *err)
{
	struct worker workers[MOUNT_FUSE_MAX_THREADS];
	unsigned started = 0;
	sigset_t all, before;
	memset(workers, 0, sizeof(workers));
	(void)sigfillset(&all); /* cannot fail, neither do the masks */
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	for (; started < m->threads; started++) {
		workers[started].m = m;
		if (pthread_create(&workers[started].thread, NULL, serve, &workers[started]) != 0)
			break; /* when one cannot be had, fewer answer as well */
	}
	if (started > 0)
		wait_end(m, &before, is_stopped, arg);
	for (unsigned i = 0; i < started; i++) {
		(void)pthread_cancel(workers[i].thread); /* while it waits only */
		(void)pthread_join(workers[i].thread, NULL);
		free(workers[i].buf.mem);
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started > 0 ? 0 : err_set(err, ERR_NOMEM, "unable to start a thread");
}
