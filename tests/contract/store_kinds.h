/*
 * store_kinds: the stores that the contract is asked of.
 */
#ifndef TESTS_CONTRACT_STORE_KINDS_H
#define TESTS_CONTRACT_STORE_KINDS_H

/* S3_LOCKING: with versions and locks */
enum kind {
	LOCAL,
	MEM,
	S3,
	S3_LOCKING,
	UNIX,
	LOCAL_BEHIND_FAULT,
	MEM_BEHIND_FAULT,
	S3_BEHIND_FAULT,
	S3_LOCKING_BEHIND_FAULT
};

static const char *const kind_names[] = { "local", "mem", "s3", "s3 locking", "unix", "local+fault",
	"mem+fault", "s3+fault", "s3 locking+fault" };

#endif
