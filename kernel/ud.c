// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Datagrams: UD queue pairs, and the GSI through which connections are made. */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <rdma/ib_mad.h>
#include <rdma/ib_pack.h>

#include "dev.h"
#include "req.h"

/* A queue key with the top bit set stands for the sender's own (IBA vol. 1, 10.2.5). */
static u32 ud_qkey(const struct pcv_qp *qp, const struct pcv_send *send)
{
	return send->remote_qkey & 0x80000000 ? READ_ONCE(qp->qkey) : send->remote_qkey;
}

int pcv_ud_send(struct pcv_qp *qp, struct pcv_send *send)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_ud_hdr hdr = {};
	struct pcv_peer *peer;
	struct pcv_ah ah;
	int pieces, err;

	if (!pcv_ah_lookup(qp->dev, send->ah, qp->ib.pd, &ah))
		return PCV_WC_LOC_QP_OP_ERR;
	peer = pcv_peer_by_mac(ah.dmac);
	if (!peer) {
		pcv_stat_inc(PCV_STAT_UD_DROPPED);
		return 0;
	}
	pieces = pcv_req_gather(qp, send, sq->next, 0, send->length);
	if (pieces < 0) {
		err = PCV_WC_LOC_PROT_ERR;
		goto out_put;
	}

	hdr.dst_qpn = pcv_to_le32(send->remote_qpn);
	hdr.src_qpn = pcv_to_le32(qp->ib.qp_num);
	hdr.qkey = pcv_to_le32(ud_qkey(qp, send));
	hdr.flags = pcv_to_le32((send->opcode == PCV_WR_SEND_IMM ? PCV_RC_IMM : 0) |
				(send->flags & PCV_WR_SOLICITED ? PCV_RC_SOLICITED : 0));
	hdr.imm = (__force __le32)send->imm;
	hdr.traffic_class = ah.traffic_class;
	hdr.hop_limit = ah.hop_limit;
	hdr.pkey = pcv_to_le16(IB_DEFAULT_PKEY_FULL);
	hdr.vlan = pcv_to_le16(ah.vlan);
	memcpy(hdr.sgid, ah.sgid.raw, sizeof(hdr.sgid));
	memcpy(hdr.dgid, ah.dgid.raw, sizeof(hdr.dgid));

	err = pcv_peer_tx_begin(peer, &sq->tx, PCV_VC_REQUEST, PCV_MSG_UD, &hdr, send->length);
	if (err) {
		while (pieces--)
			pcv_mr_put(sq->mr[pieces]);
		if (err == -EAGAIN) {
			pcv_stat_inc(PCV_STAT_REQ_NO_ROOM);
			err = pcv_req_wait(qp, peer, PCV_VC_REQUEST) ? -EAGAIN : -EBUSY;
		} else {
			/* Gone in between: datagrams may be lost. */
			pcv_stat_inc(PCV_STAT_UD_DROPPED);
			err = 0;
		}
		goto out_put;
	}
	pcv_req_emit(qp, send, sq->next, 0, send->length, pieces, pcv_mr_piece_send,
		     &sq->tx);
	pcv_peer_tx_end(&sq->tx);
	pcv_stat_inc(PCV_STAT_TX_UD);
	pcv_stat_add(PCV_STAT_TX_BYTES, send->length);
out_put:
	pcv_peer_put(peer);
	return err;
}

bool pcv_ud_is_ipv4(const struct pcv_ud_hdr *hdr)
{
	return ipv6_addr_v4mapped((const struct in6_addr *)hdr->sgid) &&
	       ipv6_addr_v4mapped((const struct in6_addr *)hdr->dgid);
}

/*
 * The 40 bytes in front of a datagram: what RoCE v2 puts there, an IPv6 header,
 * or 20 bytes of nothing and an IPv4 header (IBA annex A17.4.5.1).
 */
static void ud_grh(const struct pcv_ud_hdr *hdr, u32 len, u8 *grh)
{
	u16 total = len + sizeof(struct udphdr) + IB_BTH_BYTES + IB_DETH_BYTES;

	memset(grh, 0, PCV_GRH_BYTES);
	if (pcv_ud_is_ipv4(hdr)) {
		struct iphdr *ip = (struct iphdr *)(grh + PCV_GRH_BYTES - sizeof(*ip));

		ip->version = 4;
		ip->ihl = sizeof(*ip) / 4;
		ip->tos = hdr->traffic_class;
		ip->tot_len = htons(total + sizeof(*ip));
		ip->frag_off = htons(IP_DF);
		ip->ttl = hdr->hop_limit;
		ip->protocol = IPPROTO_UDP;
		memcpy(&ip->saddr, hdr->sgid + 12, sizeof(ip->saddr));
		memcpy(&ip->daddr, hdr->dgid + 12, sizeof(ip->daddr));
		ip->check = ip_fast_csum((u8 *)ip, ip->ihl);
	} else {
		struct ipv6hdr *ip = (struct ipv6hdr *)grh;

		ip6_flow_hdr(ip, hdr->traffic_class, 0);
		ip->payload_len = htons(total);
		ip->nexthdr = IPPROTO_UDP;
		ip->hop_limit = hdr->hop_limit;
		memcpy(&ip->saddr, hdr->sgid, sizeof(ip->saddr));
		memcpy(&ip->daddr, hdr->dgid, sizeof(ip->daddr));
	}
}

/*
 * On an Ethernet port the service level of a received datagram means nothing;
 * mlx5 tells the kind of the packet in it, 8 for UDP with 2 for IPv4 or 1 for
 * IPv6, and UCX up to 1.17 reads the GRH by that on every device.
 */
static u8 ud_packet_type(const struct pcv_ud_hdr *hdr)
{
	return pcv_ud_is_ipv4(hdr) ? 8 | 2 : 8 | 1;
}

/* rq.lock held. Datagrams that cannot be received are dropped, and counted. */
static void ud_deliver(struct pcv_qp *qp, const struct pcv_ud_hdr *hdr, const struct pcv_rx *rx)
{
	u32 flags = pcv_le32(hdr->flags);
	struct pcv_rx_placed placed = {
		.byte_len = pcv_to_le32(rx->len + PCV_GRH_BYTES),
		.src_qp = hdr->src_qpn,
		.opcode = PCV_RX_OP_RECV,
		.wc_flags = PCV_RX_WC_GRH,
		.sl = ud_packet_type(hdr),
	};
	struct pcv_recv *recv = &qp->rq.recv;
	u8 grh[PCV_GRH_BYTES];
	int ret;

	ret = pcv_recv_claim(qp, recv);
	if (ret < 0)
		pcv_qp_fatal(qp);
	if (ret <= 0) {
		pcv_stat_inc(PCV_STAT_UD_DROPPED);
		return;
	}
	if (flags & PCV_RC_IMM) {
		placed.wc_flags |= PCV_RX_WC_IMM;
		placed.imm = hdr->imm;
	}
	ud_grh(hdr, rx->len, grh);
	if (rx->len + PCV_GRH_BYTES > recv->length) {
		placed.status = pcv_to_le32(PCV_WC_LOC_LEN_ERR);
		placed.byte_len = 0;
	} else if (pcv_recv_scatter(qp, recv->sge, recv->num_sge, 0, grh, PCV_GRH_BYTES) ||
		   pcv_recv_scatter(qp, recv->sge, recv->num_sge, PCV_GRH_BYTES, rx->data,
				    rx->len)) {
		placed.status = pcv_to_le32(PCV_WC_LOC_PROT_ERR);
		placed.byte_len = 0;
	}
	pcv_recv_complete(qp, recv, &placed, hdr, flags & PCV_RC_SOLICITED);
	/* Anybody may send too much: that ends the receive, never the queue pair. */
	if (placed.status == pcv_to_le32(PCV_WC_LOC_PROT_ERR))
		pcv_qp_fail(qp);
	else if (!placed.status)
		pcv_stat_inc(PCV_STAT_RX_UD);
}

void pcv_ud_receive(struct pcv_qp *qp, const struct pcv_ud_hdr *hdr, const struct pcv_rx *rx)
{
	enum ib_qp_state state;

	spin_lock_bh(&qp->rq.lock);
	state = READ_ONCE(qp->state);
	if (state != IB_QPS_RTR && state != IB_QPS_RTS && state != IB_QPS_SQD)
		pcv_stat_inc(PCV_STAT_UD_DROPPED);
	else if (pcv_le32(hdr->qkey) != READ_ONCE(qp->qkey) || rx->len > PCV_UD_MTU ||
		 /* Nothing that arrives may end the queue pair that connects all others. */
		 (qp->type == IB_QPT_GSI && rx->len > IB_MGMT_MAD_SIZE))
		pcv_stat_inc(PCV_STAT_UD_DROPPED);
	else
		ud_deliver(qp, hdr, rx);
	spin_unlock_bh(&qp->rq.lock);
}
