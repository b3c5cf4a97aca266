// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "debugfs.h"
#include "link.h"
#include "stats.h"

static struct dentry *pcv_debugfs_dir;

static int stats_show(struct seq_file *m, void *unused)
{
	int i;

	for (i = 0; i < PCV_STAT_COUNT; i++)
		seq_printf(m, "%s %llu\n", pcv_stat_name(i), pcv_stat_read(i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int peers_show(struct seq_file *m, void *unused)
{
	pcv_loop_show(m);
	pcv_link_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(peers);

static int aperture_show(struct seq_file *m, void *unused)
{
	pcv_loop_show_aperture(m);
	pcv_link_show_aperture(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(aperture);

void pcv_debugfs_init(void)
{
	pcv_debugfs_dir = debugfs_create_dir("pcieverbs", NULL);
	debugfs_create_file("stats", 0444, pcv_debugfs_dir, NULL, &stats_fops);
}

void pcv_debugfs_links(void)
{
	debugfs_create_file("peers", 0444, pcv_debugfs_dir, NULL, &peers_fops);
	debugfs_create_file("aperture", 0444, pcv_debugfs_dir, NULL, &aperture_fops);
}

void pcv_debugfs_add(const char *name, void *data, const struct file_operations *fops)
{
	debugfs_create_file(name, 0444, pcv_debugfs_dir, data, fops);
}

void pcv_debugfs_exit(void)
{
	debugfs_remove(pcv_debugfs_dir);
}
