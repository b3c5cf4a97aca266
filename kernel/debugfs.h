/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* /sys/kernel/debug/pcieverbs: for people, no interface; read-only. */
#ifndef PCV_DEBUGFS_H
#define PCV_DEBUGFS_H

#include <linux/fs.h>

void pcv_debugfs_init(void);

/**
 * pcv_debugfs_links() - show what links know
 *
 * Between this and pcv_debugfs_exit() they must be there to be asked.
 */
void pcv_debugfs_links(void);

/* A file of somebody else's, until pcv_debugfs_exit(). */
void pcv_debugfs_add(const char *name, void *data, const struct file_operations *fops);
void pcv_debugfs_exit(void);

#endif /* PCV_DEBUGFS_H */
