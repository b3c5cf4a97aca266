// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What the responder owes its peer, sent: the answers to READs and atomics in
 * the order they came, then a refusal, a retry or an acknowledgement.
 */
#include "dev.h"
#include "resp.h"

/* Pieces of READs answered at once; a workqueue goes on. */
#define READ_BUDGET	128

/* Return: 0; -EAGAIN when there was no room and the waiter is set; -ENOTCONN. */
static int answer(struct pcv_qp *qp, struct pcv_rc_hdr *hdr, u32 plen)
{
	int err;

	hdr->dst = pcv_to_le32(qp->dst_qpn);
	hdr->src = pcv_to_le32(qp->ib.qp_num);
	do {
		err = pcv_peer_tx_begin(qp->peer, &qp->rq.tx, PCV_VC_RESPONSE, PCV_MSG_RC_RESP,
					hdr, plen);
	} while (err == -EAGAIN &&
		 !pcv_peer_tx_wait(qp->peer, PCV_VC_RESPONSE, &qp->rq.waiter) &&
		 pcv_peer_is_up(qp->peer));
	return err;
}

static int answer_short(struct pcv_qp *qp, u8 op, u32 ssn, u16 status, u32 imm)
{
	struct pcv_rc_hdr hdr = {
		.op = op,
		.ssn = pcv_to_le32(ssn),
		.status = pcv_to_le16(status),
		.imm = pcv_to_le32(imm),
	};
	int err = answer(qp, &hdr, 0);

	if (!err)
		pcv_peer_tx_end(&qp->rq.tx);
	return err;
}

static int answer_atomic(struct pcv_qp *qp, struct pcv_read_job *job)
{
	__le64 value = pcv_to_le64(job->value);
	struct pcv_rc_hdr hdr = {
		.op = PCV_RC_ATOMIC_DATA,
		.flags = PCV_RC_FIRST | PCV_RC_LAST,
		.ssn = pcv_to_le32(job->ssn),
		.msg_len = pcv_to_le32(sizeof(value)),
	};
	int err = answer(qp, &hdr, sizeof(value));

	if (err)
		return err;
	pcv_peer_tx_copy(&qp->rq.tx, &value, sizeof(value));
	pcv_peer_tx_end(&qp->rq.tx);
	return 0;
}

/* One piece of a READ. Return: as answer(); 1 if the memory is no longer there. */
static int answer_read(struct pcv_qp *qp, struct pcv_read_job *job)
{
	u32 seg = min_t(u32, job->len - job->sent, PCV_SEG_MAX);
	struct pcv_rc_hdr hdr = {
		.op = PCV_RC_READ_DATA,
		.ssn = pcv_to_le32(job->ssn),
		.msg_len = pcv_to_le32(job->len),
		.seg_offset = pcv_to_le32(job->sent),
	};
	struct pcv_mr *mr = NULL;
	int err;

	if (seg) {
		mr = pcv_mr_get(qp, job->rkey, job->va + job->sent, seg, IB_ACCESS_REMOTE_READ,
				true);
		if (!mr)
			return 1;
	}
	err = answer(qp, &hdr, seg);
	if (!err) {
		if (seg)
			pcv_mr_send(mr, job->va + job->sent, &qp->rq.tx, seg);
		pcv_peer_tx_end(&qp->rq.tx);
		job->sent += seg;
	}
	pcv_mr_put(mr);
	return err;
}

int pcv_resp_answer_reads(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;
	int budget = READ_BUDGET;
	int err;

	while (rq->job_head != rq->job_tail) {
		struct pcv_read_job *job = &rq->job[rq->job_head % rq->job_count];

		if (job->atomic) {
			err = answer_atomic(qp, job);
		} else {
			do {
				if (!budget--) {
					pcv_qp_run_later(qp);
					return -EBUSY;
				}
				err = answer_read(qp, job);
			} while (!err && job->sent != job->len);
		}
		if (err == 1) {
			rq->job_tail = rq->job_head;
			pcv_resp_nak(qp, job->ssn, PCV_ST_REM_ACCESS);
			return 0;
		}
		if (err)
			return err;
		rq->job_head++;
	}
	return 0;
}

void pcv_resp_pump(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;

	spin_lock_bh(&rq->lock);
	if (!qp->peer || READ_ONCE(qp->state) == IB_QPS_RESET)
		goto out;
	if (pcv_resp_answer_reads(qp))
		goto out;
	if (rq->put_off) {
		rq->put_off = false;
		rq->resume_due = true;
	}
	if (rq->nak_due) {
		if (answer_short(qp, PCV_RC_NAK, rq->nak_ssn, rq->nak_status, 0))
			goto out;
		rq->nak_due = false;
		rq->ack_due = false;
	}
	if (rq->rnr_due) {
		if (answer_short(qp, PCV_RC_RNR, rq->expected, 0, qp->attr.min_rnr_timer))
			goto out;
		rq->rnr_due = false;
		/* It acknowledges what came before. */
		rq->ack_due = false;
		/*
		 * A process looks at its shared queue's kick without a barrier
		 * behind its post: what we have missed by that is here by now.
		 */
		if (rq->rnr_sent && qp->ib.srq && !rq->behind_fast &&
		    pcv_srq_left(to_srq(qp->ib.srq))) {
			rq->resume_due = true;
			rq->rnr_sent = false;
		}
	}
	if (rq->resume_due) {
		if (answer_short(qp, PCV_RC_RESUME, rq->expected, 0, 0))
			goto out;
		rq->resume_due = false;
	}
	if (rq->ack_due) {
		if (answer_short(qp, PCV_RC_ACK, rq->expected - 1, 0, 0))
			goto out;
		rq->ack_due = false;
	}
out:
	spin_unlock_bh(&rq->lock);
}

void pcv_resp_waiter(struct pcv_tx_waiter *w)
{
	struct pcv_qp *qp = container_of(w, struct pcv_qp, rq.waiter);

	pcv_resp_pump(qp);
}
