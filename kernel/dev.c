// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The RDMA device: what it is and can do, and the way of messages to its queue pairs. */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <net/addrconf.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_mad.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/uverbs_ioctl.h>

#include "dev.h"
#include "direct.h"
#include "fast.h"
#include "verbs.h"

MODULE_IMPORT_NS(DMA_BUF);

/* The peers' messages need to find the device; there is one per host. */
static struct pcv_verbs *the_device;

/* --- the page that tells processes who is there --------------------------------------- */

/* 1 to 0xbfff, the unicast LIDs (IBA vol. 1, 4.1.3); two nodes may share one by chance. */
static u16 lid_of(const u8 *mac)
{
	return (mac[4] << 8 | mac[5]) % 0xbfff + 1;
}

static u64 fabric_node(const u8 *mac)
{
	return (u64)lid_of(mac) << 48 | ether_addr_to_u64(mac);
}

/* --- attributes ---------------------------------------------------------------- */

static int query_device(struct ib_device *ib, struct ib_device_attr *attr,
			struct ib_udata *udata)
{
	struct pcv_verbs *dev = to_verbs(ib);

	if (udata->inlen || udata->outlen)
		return -EINVAL;
	memset(attr, 0, sizeof(*attr));
	attr->vendor_id = PCV_VENDOR_ID;
	attr->vendor_part_id = 1;
	attr->hw_ver = 1;
	addrconf_addr_eui48((u8 *)&attr->sys_image_guid, dev->ndev->dev_addr);
	attr->fw_ver = 1ull << 32;
	attr->max_mr_size = ~0ull;
	attr->page_size_cap = PAGE_SIZE;
	attr->max_qp = PCV_MAX_QP;
	attr->max_qp_wr = PCV_MAX_WR;
	attr->device_cap_flags = IB_DEVICE_RC_RNR_NAK_GEN | IB_DEVICE_CURR_QP_STATE_MOD |
				 IB_DEVICE_PORT_ACTIVE_EVENT | IB_DEVICE_SYS_IMAGE_GUID |
				 IB_DEVICE_MEM_MGT_EXTENSIONS;
	attr->kernel_cap_flags = IBK_LOCAL_DMA_LKEY;
	attr->max_send_sge = PCV_MAX_SGE;
	attr->max_recv_sge = PCV_MAX_SGE;
	attr->max_sge_rd = PCV_MAX_SGE;
	attr->max_cq = PCV_MAX_CQ;
	attr->max_cqe = 1 << 22;
	attr->max_mr = (1 << 24) - 1;
	attr->max_pd = PCV_MAX_PD;
	attr->max_qp_rd_atom = PCV_MAX_RD_ATOMIC;
	attr->max_res_rd_atom = PCV_MAX_RD_ATOMIC * PCV_MAX_QP;
	attr->max_qp_init_rd_atom = PCV_MAX_RD_ATOMIC;
	/* One lock for all queue pairs of the node: not with its CPUs, though. */
	attr->atomic_cap = IB_ATOMIC_HCA;
	attr->max_ah = PCV_MAX_AH;
	attr->max_srq = PCV_MAX_SRQ;
	attr->max_srq_wr = PCV_MAX_SRQ_WR;
	attr->max_srq_sge = PCV_MAX_SGE;
	attr->max_fast_reg_page_list_len = PCV_MAX_FAST_REG;
	attr->max_pkeys = 1;
	attr->local_ca_ack_delay = 15;
	return 0;
}

int pcv_count_up(struct ib_device *ib, enum pcv_limited kind)
{
	static const int most[] = {
		[PCV_LIMITED_PD] = PCV_MAX_PD,
		[PCV_LIMITED_AH] = PCV_MAX_AH,
		[PCV_LIMITED_CQ] = PCV_MAX_CQ,
		[PCV_LIMITED_SRQ] = PCV_MAX_SRQ,
		[PCV_LIMITED_QP] = PCV_MAX_QP,
	};

	/* Never more, not even for a moment: others may be refused for that one. */
	return atomic_add_unless(&to_verbs(ib)->count[kind], 1, most[kind]) ? 0 : -ENOMEM;
}

void pcv_count_down(struct ib_device *ib, enum pcv_limited kind)
{
	atomic_dec(&to_verbs(ib)->count[kind]);
}

static int query_port(struct ib_device *ib, u32 port, struct ib_port_attr *attr)
{
	struct pcv_verbs *dev = to_verbs(ib);
	bool up = netif_running(dev->ndev) && netif_carrier_ok(dev->ndev);
	int err;

	attr->state = up ? IB_PORT_ACTIVE : IB_PORT_DOWN;
	attr->phys_state = up ? IB_PORT_PHYS_STATE_LINK_UP : IB_PORT_PHYS_STATE_POLLING;
	/* Segments are ours: the path MTU only matters to those who ask for it. */
	attr->max_mtu = IB_MTU_4096;
	attr->active_mtu = IB_MTU_4096;
	attr->ip_gids = true;
	attr->lid = lid_of(dev->ndev->dev_addr);
	attr->gid_tbl_len = PCV_GID_TABLE;
	attr->port_cap_flags = IB_PORT_CM_SUP;
	attr->max_msg_sz = PCV_MAX_MSG;
	attr->pkey_tbl_len = 1;
	attr->lmc = 0;
	attr->max_vl_num = 1;
	err = ib_get_eth_speed(ib, port, &attr->active_speed, &attr->active_width);
	if (err) {
		attr->active_speed = IB_SPEED_EDR;
		attr->active_width = IB_WIDTH_4X;
	}
	return 0;
}

static int get_port_immutable(struct ib_device *ib, u32 port, struct ib_port_immutable *imm)
{
	imm->core_cap_flags = RDMA_CORE_PORT_IBA_ROCE_UDP_ENCAP;
	imm->pkey_tbl_len = 1;
	imm->gid_tbl_len = PCV_GID_TABLE;
	imm->max_mad_size = IB_MGMT_MAD_SIZE;
	return 0;
}

static enum rdma_link_layer get_link_layer(struct ib_device *ib, u32 port)
{
	return IB_LINK_LAYER_ETHERNET;
}

static int query_pkey(struct ib_device *ib, u32 port, u16 index, u16 *pkey)
{
	if (index)
		return -EINVAL;
	*pkey = IB_DEFAULT_PKEY_FULL;
	return 0;
}

static void get_dev_fw_str(struct ib_device *ib, char *str)
{
	snprintf(str, IB_FW_VERSION_NAME_MAX, "protocol-%d", PCV_WIRE_VERSION);
}

/* --- counters -------------------------------------------------------------------- */

static struct rdma_stat_desc stat_desc[PCV_STAT_COUNT];

static struct rdma_hw_stats *alloc_hw_port_stats(struct ib_device *ib, u32 port)
{
	int i;

	for (i = 0; i < PCV_STAT_COUNT; i++)
		stat_desc[i].name = pcv_stat_name(i);
	return rdma_alloc_hw_stats_struct(stat_desc, PCV_STAT_COUNT,
					  RDMA_HW_STATS_DEFAULT_LIFESPAN);
}

static int get_hw_stats(struct ib_device *ib, struct rdma_hw_stats *stats, u32 port, int index)
{
	int i;

	if (!port)
		return -EINVAL;
	for (i = 0; i < PCV_STAT_COUNT; i++)
		stats->value[i] = i == PCV_STAT_TX_FAST ? pcv_fast_sent(to_verbs(ib)) :
							  pcv_stat_read(i);
	return PCV_STAT_COUNT;
}

/* --- messages from peers ------------------------------------------------------------ */

static void rx_rc(struct pcv_verbs *dev, struct pcv_peer *peer, const struct pcv_rx *rx)
{
	const struct pcv_rc_hdr *hdr = rx->hdr;
	struct pcv_qp *qp = pcv_qp_get(dev, pcv_le32(hdr->dst) & PCV_QPN_MASK);

	if (!qp) {
		pcv_stat_inc(PCV_STAT_RX_NO_QP);
		return;
	}
	if (!pcv_qp_is_rc(qp))
		pcv_stat_inc(PCV_STAT_RX_NO_QP);
	else if (rx->type == PCV_MSG_RC)
		pcv_resp_request(qp, peer, hdr, rx);
	else
		pcv_req_answer(qp, peer, hdr, rx);
	pcv_qp_put(qp);
}

static void rx_ud(struct pcv_verbs *dev, const struct pcv_rx *rx)
{
	const struct pcv_ud_hdr *hdr = rx->hdr;
	struct pcv_qp *qp = pcv_qp_get(dev, pcv_le32(hdr->dst_qpn));

	if (!qp) {
		pcv_stat_inc(PCV_STAT_UD_DROPPED);
		return;
	}
	if (pcv_qp_is_rc(qp))
		pcv_stat_inc(PCV_STAT_UD_DROPPED);
	else
		pcv_ud_receive(qp, hdr, rx);
	pcv_qp_put(qp);
}

static void client_rx(struct pcv_peer *peer, const struct pcv_rx *rx)
{
	if (rx->type == PCV_MSG_UD)
		rx_ud(the_device, rx);
	else if (rx->type == PCV_MSG_FAST)
		pcv_fast_rx(the_device, peer, rx);
	else
		rx_rc(the_device, peer, rx);
}

static void client_rx_end(struct pcv_peer *peer)
{
	struct pcv_verbs *dev = the_device;
	struct pcv_qp *qp;

	for (;;) {
		spin_lock_bh(&dev->owes_lock);
		qp = list_first_entry_or_null(&dev->owes, struct pcv_qp, rq.owes);
		if (qp)
			list_del_init(&qp->rq.owes);
		spin_unlock_bh(&dev->owes_lock);
		if (!qp)
			return;
		pcv_resp_pump(qp);
		pcv_qp_put(qp);
	}
}

/* One comes and goes at a time: the peers' up and down are serialised. */
static void fabric_change(struct pcv_verbs *dev, u64 from, u64 to)
{
	int i;

	for (i = 0; i < PCV_FABRIC_NODES; i++) {
		if (READ_ONCE(dev->fabric->node[i]) == from) {
			WRITE_ONCE(dev->fabric->node[i], to);
			return;
		}
	}
}

static void client_up(struct pcv_peer *peer)
{
	fabric_change(the_device, 0, fabric_node(pcv_peer_mac(peer)));
	pcv_fast_area_up(peer);
}

static void client_down(struct pcv_peer *peer)
{
	struct pcv_verbs *dev = the_device;
	unsigned long qpn;
	struct pcv_qp *qp;

	pcv_direct_peer_down(peer);
	fabric_change(dev, fabric_node(pcv_peer_mac(peer)), 0);
	pcv_fast_area_close(peer);
	/* The iteration goes on by number: nothing needs to be held over a step. */
	xa_for_each(&dev->qps, qpn, qp) {
		qp = pcv_qp_get(dev, qpn);
		if (!qp)
			continue;
		if (pcv_qp_is_rc(qp)) {
			pcv_req_peer_lost(qp, peer);
			/*
			 * Its window and its part of the aperture go: so do their
			 * mappings. Who connects holds the mutex from the look for
			 * the peer to that for a block: he is seen here, or sees that
			 * the area is closed.
			 */
			mutex_lock(&qp->modify);
			if (qp->peer == peer)
				pcv_fast_detach(qp);
			mutex_unlock(&qp->modify);
		} else {
			pcv_req_run(qp);	/* a datagram may have waited for this peer */
		}
		pcv_qp_put(qp);
	}
	pcv_fast_area_down(peer);
}

static const struct pcv_peer_client client = {
	.up = client_up,
	.down = client_down,
	.rx = client_rx,
	.rx_end = client_rx_end,
};

/* --- port events ---------------------------------------------------------------------- */

static int netdev_event(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct pcv_verbs *dev = container_of(nb, struct pcv_verbs, nb);
	struct net_device *ndev = netdev_notifier_info_to_dev(ptr);
	struct ib_event ev = { .device = &dev->ib, .element.port_num = 1 };
	bool active;

	if (ndev != dev->ndev)
		return NOTIFY_DONE;
	active = netif_running(ndev) && netif_carrier_ok(ndev) && event != NETDEV_GOING_DOWN;
	if (active == dev->active)
		return NOTIFY_DONE;
	dev->active = active;
	ev.event = active ? IB_EVENT_PORT_ACTIVE : IB_EVENT_PORT_ERR;
	ib_dispatch_event(&ev);
	return NOTIFY_DONE;
}

/* --- registration ------------------------------------------------------------------------ */

static const struct ib_device_ops ops = {
	.owner = THIS_MODULE,
	.driver_id = RDMA_DRIVER_UNKNOWN,
	.uverbs_abi_ver = PCV_ABI_VERSION,

	.alloc_hw_port_stats = alloc_hw_port_stats,
	.alloc_mr = pcv_alloc_mr,
	.alloc_pd = pcv_alloc_pd,
	.alloc_ucontext = pcv_alloc_ucontext,
	.create_ah = pcv_create_ah,
	.create_cq = pcv_create_cq,
	.create_qp = pcv_create_qp,
	.create_srq = pcv_create_srq,
	.create_user_ah = pcv_create_ah,
	.dealloc_pd = pcv_dealloc_pd,
	.dealloc_ucontext = pcv_dealloc_ucontext,
	.dereg_mr = pcv_dereg_mr,
	.destroy_ah = pcv_destroy_ah,
	.destroy_cq = pcv_destroy_cq,
	.destroy_qp = pcv_destroy_qp,
	.destroy_srq = pcv_destroy_srq,
	.disassociate_ucontext = pcv_disassociate_ucontext,
	.get_dev_fw_str = get_dev_fw_str,
	.get_dma_mr = pcv_get_dma_mr,
	.get_hw_stats = get_hw_stats,
	.get_link_layer = get_link_layer,
	.get_port_immutable = get_port_immutable,
	.map_mr_sg = pcv_map_mr_sg,
	.mmap = pcv_mmap,
	.mmap_free = pcv_mmap_free,
	.modify_qp = pcv_modify_qp,
	.modify_srq = pcv_modify_srq,
	.poll_cq = pcv_poll_cq,
	.post_recv = pcv_post_recv,
	.post_send = pcv_post_send,
	.post_srq_recv = pcv_post_srq_recv,
	.query_ah = pcv_query_ah,
	.query_device = query_device,
	.query_pkey = query_pkey,
	.query_port = query_port,
	.query_qp = pcv_query_qp,
	.query_srq = pcv_query_srq,
	.reg_user_mr = pcv_reg_user_mr,
	.req_notify_cq = pcv_req_notify_cq,
	.resize_cq = pcv_resize_cq,

	INIT_RDMA_OBJ_SIZE(ib_ah, pcv_ah, ib),
	INIT_RDMA_OBJ_SIZE(ib_cq, pcv_cq, ib),
	INIT_RDMA_OBJ_SIZE(ib_pd, pcv_pd, ib),
	INIT_RDMA_OBJ_SIZE(ib_qp, pcv_qp, ib),
	INIT_RDMA_OBJ_SIZE(ib_srq, pcv_srq, ib),
	INIT_RDMA_OBJ_SIZE(ib_ucontext, pcv_ucontext, ib),
};

struct pcv_verbs *pcv_verbs_create(struct device *parent, struct net_device *ndev)
{
	struct pcv_verbs *dev = ib_alloc_device(pcv_verbs, ib);
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	dev->ndev = ndev;
	xa_init_flags(&dev->qps, XA_FLAGS_ALLOC | XA_FLAGS_LOCK_IRQ);
	xa_init_flags(&dev->mrs, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ);
	xa_init_flags(&dev->ahs, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ);
	spin_lock_init(&dev->atomic_lock);
	spin_lock_init(&dev->owes_lock);
	INIT_LIST_HEAD(&dev->owes);
	dev->fabric = vmalloc_user(sizeof(*dev->fabric));
	if (!dev->fabric) {
		err = -ENOMEM;
		goto err_dealloc;
	}
	dev->wq = alloc_workqueue("pcv_verbs", WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	if (!dev->wq) {
		err = -ENOMEM;
		goto err_fabric;
	}
	err = pcv_ctl_init();
	if (err)
		goto err_wq;
	err = pcv_direct_init();
	if (err)
		goto err_ctl;

	dev->ib.phys_port_cnt = 1;
	dev->ib.node_type = RDMA_NODE_IB_CA;
	dev->ib.dev.parent = parent;
	dev->ib.num_comp_vectors = num_possible_cpus();
	dev->ib.local_dma_lkey = PCV_LOCAL_DMA_LKEY;
	strscpy(dev->ib.node_desc, "pcieverbs", sizeof(dev->ib.node_desc));
	addrconf_addr_eui48((u8 *)&dev->ib.node_guid, ndev->dev_addr);
	dev->ib.uverbs_cmd_mask |= BIT_ULL(IB_USER_VERBS_CMD_POLL_CQ) |
				   BIT_ULL(IB_USER_VERBS_CMD_POST_SEND) |
				   BIT_ULL(IB_USER_VERBS_CMD_POST_SRQ_RECV);
	ib_set_device_ops(&dev->ib, &ops);
	err = ib_device_set_netdev(&dev->ib, ndev, 1);
	if (err)
		goto err_direct;

	/* Before anybody can make a queue pair: its peers must be heard. */
	the_device = dev;
	pcv_peer_client_set(PCV_CLIENT_VERBS, &client);
	/* Without a DMA device addresses are kernel addresses: the CPU copies. */
	err = ib_register_device(&dev->ib, "pcv%d", NULL);
	if (err)
		goto err_client;

	dev->nb.notifier_call = netdev_event;
	err = register_netdevice_notifier(&dev->nb);
	if (err)
		goto err_unregister;
	return dev;

err_unregister:
	ib_unregister_device(&dev->ib);
err_client:
	pcv_peer_client_set(PCV_CLIENT_VERBS, NULL);
	the_device = NULL;
err_direct:
	pcv_direct_exit();
err_ctl:
	pcv_ctl_exit();
err_wq:
	destroy_workqueue(dev->wq);
err_fabric:
	vfree(dev->fabric);
err_dealloc:
	ib_dealloc_device(&dev->ib);
	return ERR_PTR(err);
}

void pcv_verbs_destroy(struct pcv_verbs *dev)
{
	unregister_netdevice_notifier(&dev->nb);
	/* Returns when all objects of all users are gone, processes' included. */
	ib_unregister_device(&dev->ib);
	pcv_peer_client_set(PCV_CLIENT_VERBS, NULL);
	the_device = NULL;
	pcv_direct_exit();
	pcv_ctl_exit();
	destroy_workqueue(dev->wq);
	/* Regions' and MRs' last callbacks run out of this module. */
	rcu_barrier();
	WARN_ON(!xa_empty(&dev->qps));
	WARN_ON(!xa_empty(&dev->mrs));
	WARN_ON(!xa_empty(&dev->ahs));
	/* A process that still maps it keeps the page, not us. */
	vfree(dev->fabric);
	ib_dealloc_device(&dev->ib);
}
