// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The frame: one platform device for the node, and under it a network
 * interface and an RDMA device that share the links.
 *
 * Links come last and go first: nothing above them is created or destroyed
 * while a peer is up.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "debugfs.h"
#include "link.h"
#include "netdev.h"
#include "progress.h"
#include "verbs.h"

#define PCV_DRIVER_NAME	"pcieverbs"

static char *mac;
module_param(mac, charp, 0444);
MODULE_PARM_DESC(mac, "address of the network interface (random)");

/* One per module, like the device: every link leads to the same node. */
static struct pcv_node pcv_node;
static struct net_device *pcv_ndev;
static struct pcv_verbs *pcv_verbs;
static struct platform_device *pcv_device;

/* EUI-64 from EUI-48, as for IPv6 interface identifiers. */
static u64 pcv_node_guid(const u8 *addr)
{
	u8 eui[8] = { addr[0] ^ 2, addr[1], addr[2], 0xff, 0xfe, addr[3], addr[4], addr[5] };
	u64 guid = 0;
	int i;

	for (i = 0; i < 8; i++)
		guid = guid << 8 | eui[i];
	return guid;
}

static int pcv_node_init(struct pcv_node *node)
{
	if (!mac) {
		eth_random_addr(node->mac);
	} else if (!mac_pton(mac, node->mac) || !is_valid_ether_addr(node->mac)) {
		pr_err("mac=%s is no address for an interface\n", mac);
		return -EINVAL;
	}
	node->guid = pcv_node_guid(node->mac);
	node->mtu = PCV_NET_MTU_MAX;
	return 0;
}

static void pcv_stop(void *unused)
{
	pcv_debugfs_exit();
	pcv_link_exit();
	pcv_loop_exit();
	pcv_verbs_destroy(pcv_verbs);
	pcv_netdev_destroy(pcv_ndev);
}

static int pcv_probe(struct platform_device *pdev)
{
	int err;

	err = pcv_node_init(&pcv_node);
	if (err)
		return err;
	pcv_debugfs_init();

	pcv_ndev = pcv_netdev_create(&pdev->dev, pcv_node.mac);
	if (IS_ERR(pcv_ndev)) {
		err = PTR_ERR(pcv_ndev);
		goto err_debugfs;
	}
	pcv_verbs = pcv_verbs_create(&pdev->dev, pcv_ndev);
	if (IS_ERR(pcv_verbs)) {
		err = PTR_ERR(pcv_verbs);
		goto err_netdev;
	}
	err = pcv_loop_init(&pcv_node, &pcv_peer_upcalls);
	if (err)
		goto err_verbs;
	err = pcv_link_init(&pcv_node, &pcv_peer_upcalls);
	if (err)
		goto err_loop;
	pcv_debugfs_links();
	pcv_verbs_show(pcv_verbs);
	/* What a driver's remove() returns depends on the kernel. */
	return devm_add_action_or_reset(&pdev->dev, pcv_stop, NULL);

err_loop:
	pcv_loop_exit();
err_verbs:
	pcv_verbs_destroy(pcv_verbs);
err_netdev:
	pcv_netdev_destroy(pcv_ndev);
err_debugfs:
	pcv_debugfs_exit();
	return dev_err_probe(&pdev->dev, err, "cannot start\n");
}

static struct platform_driver pcv_driver = {
	.driver = {
		.name = PCV_DRIVER_NAME,
		/* There is one node, and it comes and goes with the module. */
		.suppress_bind_attrs = true,
	},
};

static int __init pcv_init(void)
{
	pcv_device = platform_create_bundle(&pcv_driver, pcv_probe, NULL, 0, NULL, 0);
	return PTR_ERR_OR_ZERO(pcv_device);
}

static void __exit pcv_exit(void)
{
	platform_device_unregister(pcv_device);
	platform_driver_unregister(&pcv_driver);
}

module_init(pcv_init);
module_exit(pcv_exit);

MODULE_DESCRIPTION("RDMA and Ethernet over a PCIe non-transparent bridge");
MODULE_LICENSE("Dual BSD/GPL");
MODULE_ALIAS("platform:" PCV_DRIVER_NAME);
