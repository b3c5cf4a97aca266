/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the two halves of the responder (resp.c, owed.c) share. rq.lock is held throughout. */
#ifndef PCV_RESP_H
#define PCV_RESP_H

#include "dev.h"

/* Refuse request @ssn: the requester learns why (enum pcv_status), the queue pair ends. */
void pcv_resp_nak(struct pcv_qp *qp, u32 ssn, u8 status);

/* Answer READs and atomics in the order they came. Return: 0 when there are none left. */
int pcv_resp_answer_reads(struct pcv_qp *qp);

#endif /* PCV_RESP_H */
