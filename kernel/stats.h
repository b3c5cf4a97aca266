/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Counters of the module, declared once: PCV_STATS(x) has x(ID, name) for
 * each. They only grow. Per CPU, so counting costs no shared cache line.
 */
#ifndef PCV_STATS_H
#define PCV_STATS_H

#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/types.h>

#define PCV_STATS(x) \
	x(LINK_UP, link_up) \
	x(LINK_DOWN, link_down) \
	x(LINK_REFUSED, link_refused) \
	x(LINK_DEAD, link_dead) \
	x(PEER_BROKEN, peer_broken) \
	x(TX_MSGS_REQUEST, tx_msgs_request) \
	x(TX_MSGS_RESPONSE, tx_msgs_response) \
	x(RX_MSGS_REQUEST, rx_msgs_request) \
	x(RX_MSGS_RESPONSE, rx_msgs_response) \
	x(TX_BULK_BYTES, tx_bulk_bytes) \
	x(TX_NO_ROOM, tx_no_room) \
	x(TX_STARVED, tx_starved) \
	x(RX_BLOCKED, rx_blocked) \
	x(RX_NO_CLIENT, rx_no_client) \
	x(CREDIT_WRITES, credit_writes) \
	x(ARMINGS, armings) \
	x(POLLS, polls) \
	x(POLLS_ASKED, polls_asked) \
	x(DOORBELLS_TX, doorbells_tx) \
	x(DOORBELLS_RX, doorbells_rx) \
	x(NET_TX_BACKLOG, net_tx_backlog) \
	x(NET_TX_STOPS, net_tx_stops) \
	x(NET_TX_STALLED, net_tx_stalled) \
	x(KICKS, kicks) \
	x(TX_SEND, tx_send) \
	x(TX_WRITE, tx_write) \
	x(TX_READ, tx_read) \
	x(TX_ATOMIC, tx_atomic) \
	x(TX_UD, tx_ud) \
	x(TX_BYTES, tx_bytes) \
	x(RX_REQUESTS, rx_requests) \
	x(RX_UD, rx_ud) \
	x(RX_BYTES, rx_bytes) \
	x(TX_NAK, tx_nak) \
	x(TX_RNR, tx_rnr) \
	x(RX_RNR, rx_rnr) \
	x(RX_NO_QP, rx_no_qp) \
	x(RX_BAD_OP, rx_bad_op) \
	x(RX_BACKLOG, rx_backlog) \
	x(UD_DROPPED, ud_dropped) \
	x(TX_FAST, tx_fast) \
	x(FAST_RINGS, fast_rings) \
	x(FAST_NO_ROOM, fast_no_room) \
	x(FAST_REVOKES, fast_revokes) \
	x(FAST_WAKES, fast_wakes) \
	x(REQ_NO_ROOM, req_no_room) \
	x(REQ_TIMEOUTS, req_timeouts) \
	x(DIRECT_ASKS, direct_asks) \
	x(DIRECT_TELLS, direct_tells) \
	x(DIRECT_STORES, direct_stores) \
	x(DIRECT_UNMAPS, direct_unmaps) \
	x(DIRECT_FENCES, direct_fences) \
	x(QP_ERRORS, qp_errors)

enum pcv_stat {
#define PCV_STAT_ID(id, name) PCV_STAT_##id,
	PCV_STATS(PCV_STAT_ID)
#undef PCV_STAT_ID
	PCV_STAT_COUNT
};

struct pcv_stat_block {
	u64 count[PCV_STAT_COUNT];
};

DECLARE_PER_CPU(struct pcv_stat_block, pcv_stat_blocks);

/* Any context. */
static inline void pcv_stat_add(enum pcv_stat stat, u64 n)
{
	this_cpu_add(pcv_stat_blocks.count[stat], n);
}

static inline void pcv_stat_inc(enum pcv_stat stat)
{
	pcv_stat_add(stat, 1);
}

/**
 * pcv_stat_read() - a counter over all CPUs
 */
u64 pcv_stat_read(enum pcv_stat stat);

/**
 * pcv_stat_name() - its name in lower case
 */
const char *pcv_stat_name(enum pcv_stat stat);

#endif /* PCV_STATS_H */
