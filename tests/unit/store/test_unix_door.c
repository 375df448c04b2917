#include "store/unix/unix_door.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "store/unix/store_unix.h"
#include "store/unix/unix_wire.h"
#include "tests/lib/door_fixture.h"
#include "tests/lib/store_scratch.h"

static struct door_fixture *door;
static const char *dir;
static struct err err;

/* Nothing but names under "ok/", hashed under "ok/h". */
static int rule(struct store *s, const char *name, uint64_t len, bool *is_hashed, struct err *e)
{
	(void)s;
	(void)len;
	*is_hashed = strncmp(name, "ok/h", 4) == 0;
	return strncmp(name, "ok/", 3) == 0
		       ? 0
		       : err_set(e, ERR_READONLY, "'%s' is not to be put", name);
}

static void setup(void)
{
	dir = store_scratch_new();
	door = door_fixture_new(dir, rule);
	err_clear(&err);
}

static void teardown(void)
{
	door_fixture_free(door);
	store_scratch_done();
}

TestSuite(unix_door, .init = setup, .fini = teardown, .timeout = 60);

static struct store *enter(void)
{
	struct store *s = NULL;
	cr_assert(eq(int, store_unix_open(door_fixture_path(door), false, &s, &err), 0), "%s",
		err.msg);
	return s;
}

static bool has(struct store *s, const char *name, const char *text)
{
	struct buf got = BUF_INIT(4096);
	bool is = store_get(s, name, &got, &err) == 0 && got.len == strlen(text) &&
		  memcmp(got.data, text, got.len) == 0;
	buf_done(&got);
	return is;
}

static int put(struct store *s, const char *name, const char *text)
{
	return store_put(s, name, text, strlen(text), &err);
}

/* The bytes of a refused put are read all the same: what follows is understood. */
Test(unix_door, what_is_not_allowed_is_refused_and_the_next_request_is_served)
{
	struct store *s = enter();
	cr_expect(eq(int, put(s, "pr/order", "take all away"), -ERR_READONLY));
	cr_expect(
		eq(str, err.msg, "unable to write object 'pr/order': 'pr/order' is not to be put"));
	cr_expect(eq(int, put(s, "ok/a", "content"), 0), "%s", err.msg);
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(has(s, "ok/a", "content"));
	cr_expect(eq(int, put(s, "ok/a", "CONTENT"), -ERR_EXISTS));
	cr_expect(eq(int, store_remove(s, "ok/a", &err), -ERR_READONLY));
	cr_expect(has(s, "ok/a", "content"));
	store_free(s);
}

Test(unix_door, an_object_is_what_its_name_says_or_is_not_taken)
{
	struct store *s = enter();
	uint8_t hash[HASH_BYTES];
	char name[100] = "ok/h/";
	hash_sha256("content", 7, hash);
	text_hex(hash, sizeof(hash), name + strlen(name));
	cr_expect(eq(int, put(s, name, "CONTENT"), -ERR_CORRUPT));
	cr_expect(ne(ptr, strstr(err.msg, "is not what its name says"), NULL), "%s", err.msg);
	cr_expect(eq(int, put(s, name, "content"), 0), "%s", err.msg);
	cr_expect(eq(int, put(s, "ok/h", "short"), -ERR_CORRUPT));
	cr_expect(eq(int, store_barrier(s, &err), 0));
	cr_expect(has(s, name, "content"));
	store_free(s);
}

Test(unix_door, what_is_shown_is_kept_when_it_is_found_good)
{
	struct store *s = enter();
	cr_expect(eq(int, put(s, "ok/shown1", "evil"), -ERR_READONLY));
	cr_expect(eq(int, put(s, "ok/shown2", "good"), 0), "%s", err.msg);
	cr_expect(eq(int, put(s, "ok/other", "evil"), 0), "%s", err.msg);
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_stat(s, "ok/shown1", NULL, &err), -ERR_NOT_FOUND));
	cr_expect(has(s, "ok/shown2", "good"));
	store_free(s);
}

/* Room is looked at for every piece, not for the first alone. */
Test(unix_door, an_object_for_which_the_room_ends_in_the_middle_is_not_taken)
{
	static uint8_t big[4 * UNIX_WIRE_PIECE_BYTES];
	struct store *s = enter();
	door_fixture_set_room(door, 2 * UNIX_WIRE_PIECE_BYTES);
	cr_expect(eq(int, store_put(s, "ok/big", big, sizeof(big), &err), -ERR_NOSPACE));
	door_fixture_set_room(door, INT64_MAX / 2);
	cr_expect(eq(int, put(s, "ok/a", "content"), 0), "%s", err.msg);
	cr_expect(eq(int, put(s, "no/a", "content"), -ERR_READONLY));
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(eq(int, store_stat(s, "ok/big", NULL, &err), -ERR_NOT_FOUND));
	cr_expect(eq(int, door_fixture_over(door), 3));
	store_free(s);
}

Test(unix_door, who_put_something_and_asks_for_nothing_more_goes_and_an_idle_one_stays)
{
	struct store *idle = enter(), *s = enter();
	cr_expect(eq(int, put(s, "ok/a", "content"), 0), "%s", err.msg);
	(void)usleep(2 * DOOR_FIXTURE_STAGED_MS * 1000);
	cr_expect(eq(int, store_barrier(s, &err), -ERR_UNREACHABLE));
	cr_expect(eq(int, store_barrier(idle, &err), 0), "%s", err.msg);
	cr_expect(not(has(idle, "ok/a", "content")));
	store_free(s);
	store_free(idle);
}

Test(unix_door, who_goes_without_a_barrier_leaves_nothing)
{
	struct store *s = enter();
	cr_expect(eq(int, put(s, "ok/a", "content"), 0), "%s", err.msg);
	store_free(s);
	s = enter();
	cr_expect(not(has(s, "ok/a", "content")));
	cr_expect(eq(int, put(s, "ok/a", "other"), 0), "%s", err.msg); /* the name is free */
	cr_expect(eq(int, store_barrier(s, &err), 0));
	cr_expect(has(s, "ok/a", "other"));
	store_free(s);
}

Test(unix_door, so_many_of_a_user_and_no_more_until_one_goes)
{
	struct store *in[UNIX_DOOR_PER_UID];
	struct store *more = NULL;
	for (int i = 0; i < UNIX_DOOR_PER_UID; i++)
		in[i] = enter();
	cr_expect(eq(int, store_unix_open(door_fixture_path(door), false, &more, &err), -ERR_BUSY));
	for (int i = 0; i < 20; i++)
		cr_expect(eq(int, store_unix_open(door_fixture_path(door), false, &more, &err),
			-ERR_BUSY));
	cr_expect(eq(int, door_fixture_refused(door), 1), "told of once, however often");
	store_free(in[0]);
	int rc = -ERR_BUSY;
	for (int i = 0; i < 100 && rc == -ERR_BUSY; i++) {
		rc = store_unix_open(door_fixture_path(door), false, &more, &err);
		if (rc == -ERR_BUSY)
			(void)usleep(20000); /* its thread has to see it go */
	}
	cr_expect(eq(int, rc, 0), "%s", err.msg);
	store_free(more);
	for (int i = 1; i < UNIX_DOOR_PER_UID; i++)
		store_free(in[i]);
}

static int connect_raw(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct unix_wire_answer hello;
	bool is_broken = false;
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", door_fixture_path(door));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(eq(int, connect(fd, (struct sockaddr *)&to, sizeof(to)), 0));
	cr_assert(
		eq(int, unix_wire_receive_answer(fd, &hello, &is_broken, &err), 0), "%s", err.msg);
	cr_assert(eq(u64, hello.a, UNIX_WIRE_VERSION));
	return fd;
}

/* Whatever a caller says, others are served and the store holds what it held. */
Test(unix_door, rubbish_ends_who_says_it_and_nobody_else)
{
	struct store *s = enter();
	cr_expect(eq(int, put(s, "ok/a", "content"), 0));
	cr_expect(eq(int, store_barrier(s, &err), 0));
	struct unix_wire_request q = { .magic = UNIX_WIRE_MAGIC, .verb = 1, .name_len = 4 };
	static const struct {
		uint32_t magic;
		uint8_t verb;
		uint16_t name_len;
		uint64_t a, b;
		const char *name;
	} cases[] = {
		{ 0x0a0d0a0d, 1, 4, 1, 0, "ok/b" },      /* another language */
		{ UNIX_WIRE_MAGIC, 0, 4, 0, 0, "ok/a" }, /* no verb */
		{ UNIX_WIRE_MAGIC, 7, 4, 0, 0, "ok/a" }, /* a verb that could remove */
		{ UNIX_WIRE_MAGIC, 255, 4, 0, 0, "ok/a" },
		{ UNIX_WIRE_MAGIC, 1, 65535, 0, 0, "" },          /* a name without end */
		{ UNIX_WIRE_MAGIC, 1, 4, UINT64_MAX, 0, "ok/c" }, /* an object without end */
		{ UNIX_WIRE_MAGIC, 1, 4, (64u << 20) + 1, 0, "ok/c" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = connect_raw();
		char rest[512];
		q = (struct unix_wire_request){ .magic = cases[i].magic,
			.verb = cases[i].verb,
			.name_len = cases[i].name_len,
			.a = cases[i].a,
			.b = cases[i].b };
		cr_expect(eq(int, unix_wire_send(fd, &q, sizeof(q), &err), 0));
		/* who was shown out for the head has nobody left to send it to */
		(void)unix_wire_send(fd, cases[i].name, strlen(cases[i].name), &err);
		ssize_t n;
		while ((n = recv(fd, rest, sizeof(rest), 0)) > 0)
			continue; /* an answer, perhaps */
		cr_expect(le(int, (int)n, 0), "%zu", i);
		(void)close(fd);
	}
	static const char *const names[] = { "tmp/x", "../x", "", "/etc/passwd", "ok/../../x" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (uint8_t verb = UNIX_WIRE_PUT; verb <= UNIX_WIRE_STAT; verb++) {
			struct unix_wire_answer a;
			bool is_broken = false;
			int fd = connect_raw();
			q = (struct unix_wire_request){ .magic = UNIX_WIRE_MAGIC,
				.verb = verb,
				.name_len = (uint16_t)strlen(names[i]),
				.a = verb == UNIX_WIRE_PUT ? 1 : 0 };
			cr_expect(eq(int, unix_wire_send(fd, &q, sizeof(q), &err), 0));
			cr_expect(eq(int, unix_wire_send(fd, names[i], q.name_len, &err), 0));
			if (verb == UNIX_WIRE_PUT)
				cr_expect(eq(int, unix_wire_send(fd, "x", 1, &err), 0));
			cr_expect(lt(int, unix_wire_receive_answer(fd, &a, &is_broken, &err), 0),
				"%s", names[i]);
			cr_expect(not(is_broken));
			(void)close(fd);
		}
	}
	cr_expect(has(s, "ok/a", "content"));
	store_free(s);
}

/* Half a request, half an object, and silence: the door is kept for the others. */
Test(unix_door, who_stops_in_the_middle_holds_up_nobody)
{
	struct unix_wire_request q = {
		.magic = UNIX_WIRE_MAGIC, .verb = UNIX_WIRE_PUT, .name_len = 4, .a = 1000000
	};
	int half = connect_raw(), body = connect_raw(), mute = connect_raw();
	cr_expect(eq(int, unix_wire_send(half, &q, 5, &err), 0));
	cr_expect(eq(int, unix_wire_send(body, &q, sizeof(q), &err), 0));
	cr_expect(eq(int, unix_wire_send(body, "ok/bsome", 8, &err), 0));
	struct store *s = enter();
	cr_expect(eq(int, put(s, "ok/a", "content"), 0));
	cr_expect(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	cr_expect(has(s, "ok/a", "content"));
	store_free(s);
	(void)close(half);
	(void)close(body);
	(void)close(mute);
}

Test(unix_door, a_door_is_kept_once_and_takes_the_place_of_nothing_but_an_old_socket)
{
	struct unix_door *other = NULL;
	const uid_t uid = geteuid();
	struct unix_door_opts opts = {
		.path = door_fixture_path(door), .uids = &uid, .uid_count = 1
	};
	char path[300];
	cr_expect(eq(int, unix_door_open(&opts, &other, &err), -ERR_EXISTS));
	cr_expect(ne(ptr, strstr(err.msg, "already"), NULL), "%s", err.msg);
	(void)snprintf(path, sizeof(path), "%s/precious", dir);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert(ge(int, fd, 0));
	(void)close(fd);
	opts.path = path;
	cr_expect(eq(int, unix_door_open(&opts, &other, &err), -ERR_EXISTS));
	cr_expect(eq(int, access(path, F_OK), 0));
	opts.uid_count = 0;
	cr_expect(eq(int, unix_door_open(&opts, &other, &err), -ERR_USAGE));
}
