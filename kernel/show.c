// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Queue pairs in debugfs: what each of them waits for.
 *
 *   16 RC RTS >17 sq posted 4 fetched 4 next 4 una 2 reads 0 kick S | rq posted 9 ...
 *
 * Numbers count work requests since the last RESET. Words in the line that are
 * no pairs: rnr (the requester waits for its timer or a resume), stopped,
 * timer (it runs), waits (for room in the channel).
 */
#include <linux/seq_file.h>

#include "debugfs.h"
#include "dev.h"
#include "verbs.h"

static const char *state_name(enum ib_qp_state state)
{
	static const char *const name[] = {
		[IB_QPS_RESET] = "RESET",	[IB_QPS_INIT] = "INIT",
		[IB_QPS_RTR] = "RTR",		[IB_QPS_RTS] = "RTS",
		[IB_QPS_SQD] = "SQD",		[IB_QPS_SQE] = "SQE",
		[IB_QPS_ERR] = "ERR",
	};

	return state < ARRAY_SIZE(name) ? name[state] : "?";
}

static void word(struct seq_file *m, bool show, const char *name)
{
	if (show)
		seq_printf(m, " %s", name);
}

static void show_sq(struct seq_file *m, struct pcv_qp *qp)
{
	struct pcv_sq *sq = &qp->sq;

	spin_lock_bh(&sq->lock);
	seq_printf(m, " sq posted %u fetched %u sent %u next %u una %u",
		   READ_ONCE(qp->shared->sq_tail), sq->fetched, sq->sent, sq->next, sq->una);
	if (sq->seg_offset)
		seq_printf(m, " offset %u", sq->seg_offset);
	seq_printf(m, " reads %u", sq->reads);
	word(m, sq->stopped, "stopped");
	word(m, sq->rnr, "rnr");
	word(m, timer_pending(&sq->timer), "timer");
	word(m, !list_empty_careful(&sq->waiter.entry), "waits");
	spin_unlock_bh(&sq->lock);
}

static void show_rq(struct seq_file *m, struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;

	spin_lock_bh(&rq->lock);
	if (qp->ib.srq)
		seq_printf(m, " | rq shared left %u", pcv_srq_left(to_srq(qp->ib.srq)));
	else
		seq_printf(m, " | rq posted %u next %u", READ_ONCE(qp->shared->rq_tail), rq->next);
	seq_printf(m, " expected %u", rq->expected);
	if (rq->offset)
		seq_printf(m, " offset %u", rq->offset);
	seq_printf(m, " claims %u jobs %u", rq->claims, rq->job_tail - rq->job_head);
	if (qp->fast)
		seq_printf(m, " fast %u taken %u", rq->fast, READ_ONCE(qp->shared->fast_taken));
	if (rq->backlogged)
		seq_printf(m, " backlog %u", rq->backlogged);
	word(m, rq->claimed, "claimed");
	word(m, rq->rnr_sent, "rnr");
	word(m, rq->put_off, "put_off");
	word(m, rq->rnr_due || rq->resume_due || rq->ack_due || rq->nak_due, "due");
	word(m, !list_empty_careful(&rq->waiter.entry), "waits");
	spin_unlock_bh(&rq->lock);
}

static void show_qp(struct seq_file *m, struct pcv_qp *qp)
{
	u32 kick = READ_ONCE(qp->shared->kick);

	seq_printf(m, "%u %s %s", qp->ib.qp_num,
		   pcv_qp_is_rc(qp) ? "RC" : qp->type == IB_QPT_GSI ? "GSI" : "UD",
		   state_name(READ_ONCE(qp->state)));
	if (pcv_qp_is_rc(qp) && qp->dst_qpn)
		seq_printf(m, " >%u", qp->dst_qpn);
	show_sq(m, qp);
	show_rq(m, qp);
	seq_printf(m, " | kick %s%s%s\n", kick & PCV_KICK_SEND ? "S" : "",
		   kick & PCV_KICK_RECV ? "R" : "", kick & PCV_KICK_RING ? "B" : "");
}

static int qps_show(struct seq_file *m, void *unused)
{
	struct pcv_verbs *dev = m->private;
	unsigned long qpn;
	struct pcv_qp *qp;

	xa_for_each(&dev->qps, qpn, qp) {
		/* Found again with a reference: it may have gone meanwhile. */
		qp = pcv_qp_get(dev, qpn);
		if (!qp)
			continue;
		show_qp(m, qp);
		pcv_qp_put(qp);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(qps);

void pcv_verbs_show(struct pcv_verbs *verbs)
{
	pcv_debugfs_add("qps", verbs, &qps_fops);
}
