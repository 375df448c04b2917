/*
 * controller_files: the controller's directories on disk: keys read and made, certificates signed
 * (docs/CONTROLLER.md, Keys and files).
 */
#ifndef CONTROLLER_CONTROLLER_FILES_H
#define CONTROLLER_CONTROLLER_FILES_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/controller_keys.h"

struct buf;
struct err;

#define CONTROLLER_FILES_PLAN_MAX ((size_t)1 << 20)

struct controller_files {
	struct controller_keys keys;
	char *ca_pem, *ca_key_pem; /* owned */
	uint8_t report_seed[32];
	char reports[PATH_MAX]; /* directory */
	char cache[PATH_MAX];   /* directory: of the vault's index; "" = none could be made */
};

/* Read controller.key, ca.key, ca.pem and report.key from ${keys}; the directories are those below
 * ${state}.  Nothing is made.  Return 0, -ERR_NOT_FOUND, -ERR_CONFIG (a key file others can read)
 * or -ERR_CORRUPT. */
int controller_files_load(
	const char *keys, const char *state, struct controller_files *out, struct err *err);
/* Make ${state} and the directories of ${f} that are missing; without the cache's it is "". */
int controller_files_make_dirs(struct controller_files *f, const char *state, struct err *err);
/* Wipe and free. */
void controller_files_done(struct controller_files *f);

/* Make the files of ${keys} (a directory, made when missing): those above, report.key.pub,
 * and officer.key.  Nothing is ever replaced: -ERR_EXISTS. */
int controller_files_make(const char *keys, const char *name, const struct controller_keys *k,
	const uint8_t officer_seed[32], struct err *err);

/* Replace controller.key of ${keys}, a directory that holds the other files, by ${k}: after a
 * change of the vault's keys, or when it is lost or damaged.  k->gateway is filled from the file
 * before, or made.  Return 0, -ERR_NOT_FOUND (no controller there), -ERR_AUTH (it is of another
 * vault) or as atomic_file_write(). */
int controller_files_rekey(const char *keys, struct controller_keys *k, struct err *err);

/* A new key and a certificate of our CA for the ports; both appended as PEM, the CA's certificate
 * behind the own one. */
int controller_files_server_cert(const struct controller_files *f, const char *name,
	const char *const *hosts, size_t host_count, int64_t now_s, int days, struct buf *cert,
	struct buf *key, struct err *err);

/* Read a plan file; relative names and anything but a regular file are refused. */
int controller_files_read_plan(const char *path, struct buf *out, struct err *err);

#endif
