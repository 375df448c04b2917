/*
 * backup_commit: the end of a backup: label, truth manifest, root, record, envelopes, commit.
 */
#ifndef AGENTS_BACKUP_COMMIT_H
#define AGENTS_BACKUP_COMMIT_H

#include "agents/backup.h"
#include "agents/uploader.h"
#include "vault/tree_builder.h"

struct err;

struct backup_commit {
	const struct backup_opts *opts;
	struct uploader *uploader;
	const struct port_base *base;
	uint64_t seq;
	int64_t t_start_ns;
	const struct ref *top;
	const struct tree_summary *summary;
};

/* Make the snapshot; ${result}'s counts are read, its snapshot fields are filled. */
int backup_commit_run(const struct backup_commit *c, struct backup_result *result, struct err *err);

#endif
