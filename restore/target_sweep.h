/*
 * target_sweep: takes away what a killed restore left in a directory of the target.
 * Knows: which temporary names are a restore's own, and that a restore at work holds a lock on the
 * file it writes.  Not thread-safe.
 */
#ifndef RESTORE_TARGET_SWEEP_H
#define RESTORE_TARGET_SWEEP_H

#include <stdint.h>

/**
 * target_sweep(dirfd):
 * Remove from ${dirfd} (may be O_PATH) every name that target_name_temp() could have made, of an
 * object that is ours: we own it, or nobody but us can write to the directory.  Directories, files
 * another restore is writing, and links' targets are never touched.
 * Return how many were removed; what cannot be removed stays, and hinders nothing.
 */
uint64_t target_sweep(int dirfd);

#endif
