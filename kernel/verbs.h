/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The door between the module's frame (main.c) and its verbs objects. */
#ifndef PCV_VERBS_H
#define PCV_VERBS_H

struct device;
struct net_device;
struct pcv_verbs;

/**
 * pcv_verbs_create() - register the RDMA device
 * @parent: what /sys/class/infiniband/NAME/device points to
 * @ndev: the network interface on the same link; must outlive the device
 *
 * Process context. Return: the device or an ERR_PTR.
 */
struct pcv_verbs *pcv_verbs_create(struct device *parent, struct net_device *ndev);
void pcv_verbs_destroy(struct pcv_verbs *verbs);

/* Show its queue pairs in debugfs, until pcv_debugfs_exit(). Process context. */
void pcv_verbs_show(struct pcv_verbs *verbs);

#endif /* PCV_VERBS_H */
