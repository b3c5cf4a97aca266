/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The network interface on the link. One per host; it carries the RDMA device's GIDs. */
#ifndef PCV_NETDEV_H
#define PCV_NETDEV_H

struct device;
struct net_device;

/**
 * pcv_netdev_create() - register the interface
 * @parent: device it hangs under
 * @mac: its address, also the node's identity on the fabric
 *
 * Installs itself as PCV_CLIENT_NET. Process context.
 * Return: the interface, or an ERR_PTR.
 */
struct net_device *pcv_netdev_create(struct device *parent, const unsigned char *mac);
void pcv_netdev_destroy(struct net_device *ndev);

#endif /* PCV_NETDEV_H */
