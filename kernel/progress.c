// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Receiving: one NAPI poll per peer for both virtual channels.
 *
 * Responses first: their handlers never wait for room, so they can always be consumed,
 * and they make room for what requests will want to answer. A request is only
 * taken while its handler has room for the answer.
 *
 * Going to sleep. The poll writes a new number into the armed word of each
 * channel, flushes that, and looks once more; a sender publishes first and
 * looks at the armed word then. One of the two sees the other. As long as no
 * doorbell has come, that number still stands, and the next sleep is free.
 *
 * Not going to sleep. A process that polls for what comes through here calls
 * again and again (pcv_peer_ask()), and receives by itself. Such a call takes
 * the armed words back (0), so that no doorbell is rung for who looks anyway.
 * For PCV_ASK_NS nothing is armed then, unless something came: who has what he
 * waited for may do something else now. Meanwhile a timer is live that runs the
 * poll: it starts before the poll ends unarmed, and only a poll that has seen
 * it fire, or one that arms, does without.
 *
 * Credit goes back when a quarter of the lines or of the data is consumed, an
 * eighth when going to sleep: see chan.c for why that never starves a sender.
 */
#include <linux/netdevice.h>

#include "chan.h"
#include "stats.h"

/* How long one call of a process stands in for the doorbell. */
#define PCV_ASK_NS		(100 * NSEC_PER_USEC)

static const struct pcv_msg_info pcv_msg_infos[PCV_MSG_TYPE_COUNT] = {
	[PCV_MSG_FAST] = {
		.hdr_len = sizeof(struct pcv_fast_hdr),
		.data_max = PCV_SEG_MAX,
		.vc = PCV_VC_ANY,
		.client = PCV_CLIENT_VERBS,
	},
	[PCV_MSG_NET] = {
		.hdr_len = sizeof(struct pcv_net_hdr),
		.data_max = PCV_NET_FRAME_MAX,
		.vc = PCV_VC_REQUEST,
		.client = PCV_CLIENT_NET,
	},
	[PCV_MSG_RC] = {
		.hdr_len = sizeof(struct pcv_rc_hdr),
		.data_max = PCV_SEG_MAX,
		.vc = PCV_VC_REQUEST,
		.client = PCV_CLIENT_VERBS,
	},
	[PCV_MSG_UD] = {
		.hdr_len = sizeof(struct pcv_ud_hdr),
		.data_max = PCV_SEG_MAX,
		.vc = PCV_VC_REQUEST,
		.client = PCV_CLIENT_VERBS,
	},
	[PCV_MSG_RC_RESP] = {
		.hdr_len = sizeof(struct pcv_rc_hdr),
		.data_max = PCV_SEG_MAX,
		.vc = PCV_VC_RESPONSE,
		.client = PCV_CLIENT_VERBS,
	},
};

static_assert(sizeof(struct pcv_fast_hdr) <= PCV_MSG_HDR_MAX);
static_assert(sizeof(struct pcv_net_hdr) <= PCV_MSG_HDR_MAX);
static_assert(sizeof(struct pcv_rc_hdr) <= PCV_MSG_HDR_MAX);
static_assert(sizeof(struct pcv_ud_hdr) <= PCV_MSG_HDR_MAX);

const struct pcv_msg_info *pcv_msg_info(u8 type)
{
	if (type >= PCV_MSG_TYPE_COUNT || !pcv_msg_infos[type].hdr_len)
		return NULL;
	return &pcv_msg_infos[type];
}

void pcv_chan_rx_init(struct pcv_peer *peer, u8 vc)
{
	const struct pcv_channel *ch = &peer->channel;
	const struct pcv_ring_area *area = &ch->in_ring[vc];
	struct pcv_chan_rx *rx = &peer->rx[vc];

	pcv_ring_rx_init(&rx->ring, ch->in + area->line_offset, area->line_count, ch->in_seq);
	rx->data = ch->in + area->data_offset;
	rx->data_bytes = area->data_bytes;
	rx->in = ch->in + PCV_CTL_OFFSET + vc * sizeof(struct pcv_ctl);
	rx->out = ch->out + PCV_CTL_OFFSET + vc * sizeof(struct pcv_ctl);
}

/* Give back what was consumed, if it is at least one part in @part of the ring. */
static void pcv_chan_rx_credit(struct pcv_peer *peer, struct pcv_chan_rx *rx, u32 part)
{
	u32 starved;

	if (rx->ring.head - rx->credit < (rx->ring.mask + 1) / part &&
	    rx->data_held < rx->data_bytes / part)
		return;
	/*
	 * PCV(ring_credit:A) pairs with ring_credit:B
	 * Lines and data have been read before they may be written over.
	 */
	pcv_out_mb();
	rx->credit = rx->ring.head;
	rx->data_held = 0;
	PCV_STORE(&rx->out->line_credit, pcv_to_le32(rx->credit));
	pcv_stat_inc(PCV_STAT_CREDIT_WRITES);
	/*
	 * PCV(chan_starved:B) pairs with chan_starved:A
	 * The credit is on its way before the starved word is looked at.
	 */
	pcv_out_mb();
	starved = pcv_le32(PCV_LOAD(&rx->in->starved));
	if (starved != rx->answered) {
		rx->answered = starved;
		pcv_stat_inc(PCV_STAT_DOORBELLS_TX);
		peer->channel.ops->ring(peer->channel.link);
	}
}

/*
 * Copy the message at the head out of the ring and check it. The copy is all
 * that is looked at afterwards; data stays where it is, inside the data area.
 */
static const char *pcv_chan_rx_parse(struct pcv_peer *peer, u8 vc,
				     const struct pcv_ring_msg *line, struct pcv_rx *msg,
				     u8 *client)
{
	const struct pcv_msg_info *info = pcv_msg_info(line->type);
	struct pcv_chan_rx *rx = &peer->rx[vc];
	struct pcv_msg where;
	u32 fixed, offset;

	if (!info || (info->vc != vc && info->vc != PCV_VC_ANY))
		return "unknown type of message";
	fixed = sizeof(where) + info->hdr_len;
	if (line->len < fixed || line->len > fixed + PCV_MSG_INLINE_MAX)
		return "length of a message";

	pcv_ring_copy(&rx->ring, peer->rx_buf, 0, line->len);
	memcpy(&where, peer->rx_buf, sizeof(where));
	msg->type = line->type;
	msg->vc = vc;
	msg->hdr = peer->rx_buf + sizeof(where);
	*client = info->client;

	msg->len = pcv_le32(where.data_len);
	if (!msg->len) {
		msg->data = peer->rx_buf + fixed;
		msg->len = line->len - fixed;
		return NULL;
	}
	offset = pcv_le32(where.data_offset);
	if (line->len != fixed || msg->len > info->data_max || offset % PCV_LINE_BYTES ||
	    offset > rx->data_bytes || msg->len > rx->data_bytes - offset)
		return "data of a message";
	msg->data = rx->data + offset;
	rx->data_held += ALIGN(msg->len, PCV_LINE_BYTES);
	return NULL;
}

static void pcv_chan_rx_deliver(struct pcv_peer *peer, const struct pcv_rx *msg, u8 client)
{
	/* PCV(peer_ready:B) pairs with peer_ready:A: what up() prepared is visible to rx(). */
	if (!pcv_cpu_load_acquire(&peer->ready[client])) {
		pcv_stat_inc(PCV_STAT_RX_NO_CLIENT);
		return;
	}
	WRITE_ONCE(peer->rx_task, current);
	pcv_peer_clients[client]->rx(peer, msg);
	WRITE_ONCE(peer->rx_task, NULL);
}

/* Handle up to @budget messages. */
static int pcv_chan_rx_run(struct pcv_peer *peer, u8 vc, int budget)
{
	struct pcv_chan_rx *rx = &peer->rx[vc];
	struct pcv_ring_msg line;
	struct pcv_rx msg;
	const char *wrong;
	int done = 0;
	u8 client;
	int ret;

	while (done < budget && !READ_ONCE(peer->broken)) {
		ret = pcv_ring_get(&rx->ring, &line);
		if (!ret)
			break;
		if (ret < 0) {
			pcv_peer_broken(peer, "a line that is none");
			break;
		}
		if (vc == PCV_VC_REQUEST && !pcv_chan_tx_reserve_ready(peer)) {
			pcv_stat_inc(PCV_STAT_RX_BLOCKED);
			break;
		}
		wrong = pcv_chan_rx_parse(peer, vc, &line, &msg, &client);
		if (wrong) {
			pcv_peer_broken(peer, wrong);
			break;
		}
		pcv_chan_rx_deliver(peer, &msg, client);
		pcv_ring_next(&rx->ring, &line);
		pcv_chan_rx_credit(peer, rx, 4);
		done++;
	}
	if (done)
		pcv_stat_add(vc == PCV_VC_REQUEST ? PCV_STAT_RX_MSGS_REQUEST :
						    PCV_STAT_RX_MSGS_RESPONSE, done);
	return done;
}

static void pcv_peer_rx_end(struct pcv_peer *peer)
{
	int id;

	for (id = 0; id < PCV_CLIENT_COUNT; id++) {
		/* PCV(peer_ready:B2) pairs with peer_ready:A: as for rx(). */
		if (pcv_cpu_load_acquire(&peer->ready[id]) && pcv_peer_clients[id]->rx_end)
			pcv_peer_clients[id]->rx_end(peer);
	}
}

/* Is there anything that the poll could do now? */
static bool pcv_peer_has_news(struct pcv_peer *peer)
{
	struct pcv_ring_msg line;

	if (pcv_ring_get(&peer->rx[PCV_VC_RESPONSE].ring, &line))
		return true;
	return pcv_ring_get(&peer->rx[PCV_VC_REQUEST].ring, &line) &&
	       pcv_chan_tx_reserve_ready(peer);
}

static void pcv_chan_rx_arm(struct pcv_chan_rx *rx)
{
	if (!++rx->armed)
		rx->armed++;
	PCV_STORE(&rx->out->armed, pcv_to_le32(rx->armed));
}

static enum hrtimer_restart pcv_peer_watch(struct hrtimer *timer)
{
	struct pcv_peer *peer = container_of(timer, struct pcv_peer, watch);

	/* First the word: the poll that is asked for here must see it. */
	WRITE_ONCE(peer->watch_fired, true);
	napi_schedule(&peer->napi);
	return HRTIMER_NORESTART;
}

void pcv_peer_watch_init(struct pcv_peer *peer)
{
	hrtimer_init(&peer->watch, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	peer->watch.function = pcv_peer_watch;
}

void pcv_peer_watch_end(struct pcv_peer *peer)
{
	hrtimer_cancel(&peer->watch);
}

/* Return: a process has polled a moment ago, and the timer knows. By the poll's owner. */
static bool pcv_peer_asked(struct pcv_peer *peer)
{
	u64 asked = READ_ONCE(peer->asked);

	if (!asked || ktime_get_ns() - asked >= PCV_ASK_NS)
		return false;
	if (!peer->watch_live) {
		peer->watch_live = true;
		hrtimer_start(&peer->watch, ns_to_ktime(PCV_ASK_NS), HRTIMER_MODE_REL_SOFT);
	}
	return true;
}

/* Return: true if the poll may sleep; false if there is something to do. */
static bool pcv_peer_sleep(struct pcv_peer *peer)
{
	int vc;

	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		pcv_chan_rx_credit(peer, &peer->rx[vc], 8);

	if (!pcv_le32(PCV_LOAD((const __le32 *)(peer->channel.in + PCV_ALIVE_OFFSET)))) {
		WRITE_ONCE(peer->broken, true);
		peer->channel.ops->fail(peer->channel.link);
		return true;
	}

	/* Every number that has been written is still good for a doorbell. */
	if (!xchg(&peer->rung, false))
		return !pcv_peer_has_news(peer);

	if (pcv_peer_asked(peer)) {
		WRITE_ONCE(peer->rung, true);
		return !pcv_peer_has_news(peer);
	}

	pcv_stat_inc(PCV_STAT_ARMINGS);
	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		pcv_chan_rx_arm(&peer->rx[vc]);
	/*
	 * PCV(chan_armed:B) pairs with chan_armed:A
	 * The words leave this CPU, and reading them back pushes them to the
	 * other side; only then are the rings looked at again.
	 */
	pcv_out_mb();
	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		(void)PCV_LOAD(&peer->rx[vc].out->armed);
	/* PCV(chan_armed:B2) pairs with chan_armed:A: the reads come before the look. */
	pcv_out_mb();
	return !pcv_peer_has_news(peer);
}

/*
 * One look at everything, with room for @budget messages. Return: how many there were.
 * Who polls for one of them may do something else now.
 */
static int pcv_peer_round(struct pcv_peer *peer, int budget)
{
	int done;

	if (xchg(&peer->watch_fired, false))
		peer->watch_live = false;
	done = pcv_chan_rx_run(peer, PCV_VC_RESPONSE, budget);
	pcv_chan_tx_wake(peer, PCV_VC_RESPONSE);
	done += pcv_chan_rx_run(peer, PCV_VC_REQUEST, budget - done);
	pcv_chan_tx_wake(peer, PCV_VC_REQUEST);
	pcv_peer_rx_end(peer);
	if (done && READ_ONCE(peer->asked))
		WRITE_ONCE(peer->asked, 0);
	return done;
}

int pcv_peer_poll(struct napi_struct *napi, int budget)
{
	struct pcv_peer *peer = container_of(napi, struct pcv_peer, napi);
	int done = 0;

	pcv_stat_inc(PCV_STAT_POLLS);
	do {
		done += pcv_peer_round(peer, budget - done);
		if (done >= budget)
			return budget;
	} while (!READ_ONCE(peer->broken) && !pcv_peer_sleep(peer));

	napi_complete_done(napi, done);
	return done;
}

/* A doorbell that is on its way already comes, and finds nothing. */
static void pcv_peer_disarm(struct pcv_peer *peer)
{
	int vc;

	if (xchg(&peer->rung, true))
		return;
	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		PCV_STORE(&peer->rx[vc].out->armed, pcv_to_le32(0));
}

void pcv_peer_ask(struct pcv_peer *peer)
{
	int done;

	/* What this node sends itself needs no doorbell. */
	if (pcv_peer_is_loopback(peer))
		return;
	local_bh_disable();
	/* While somebody else has the poll, he does it. */
	if (!napi_schedule_prep(&peer->napi))
		goto out;
	pcv_stat_inc(PCV_STAT_POLLS_ASKED);
	pcv_peer_disarm(peer);
	done = pcv_peer_round(peer, NAPI_POLL_WEIGHT);
	if (!done)
		WRITE_ONCE(peer->asked, ktime_get_ns() ?: 1);
	/* More than that, or the end of it, is for the ordinary poll. */
	if (done >= NAPI_POLL_WEIGHT || READ_ONCE(peer->broken) || !pcv_peer_sleep(peer))
		__napi_schedule(&peer->napi);
	else
		napi_complete_done(&peer->napi, 0);
out:
	local_bh_enable();
}

void pcv_peer_unask(struct pcv_peer *peer)
{
	if (!READ_ONCE(peer->asked))
		return;
	WRITE_ONCE(peer->asked, 0);
	pcv_peer_kick(peer);
}
