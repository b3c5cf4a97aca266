// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The system calls of the data path: an empty post_send, an empty
 * post_srq_recv, a poll_cq that brings nothing.
 */
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "provider.h"

/* Tries before a call that fails for lack of memory counts as refused. */
#define PCV_KICK_TRIES		16

/* The other commands look the same, or shorter, but for the names of their fields. */
struct pcv_kick_request {
	struct ib_uverbs_cmd_hdr hdr;
	struct ib_uverbs_post_send core;
};

_Static_assert(offsetof(struct ib_uverbs_post_srq_recv, srq_handle) ==
	       offsetof(struct ib_uverbs_post_send, qp_handle) &&
	       offsetof(struct ib_uverbs_post_srq_recv, wqe_size) ==
	       offsetof(struct ib_uverbs_post_send, wqe_size) &&
	       offsetof(struct ib_uverbs_poll_cq, cq_handle) ==
	       offsetof(struct ib_uverbs_post_send, qp_handle) &&
	       offsetof(struct ib_uverbs_poll_cq, ne) ==
	       offsetof(struct ib_uverbs_post_send, wr_count), "one request for all");

/* What the kernel answers; nothing of it matters. */
union pcv_kick_answer {
	struct ib_uverbs_post_send_resp send;
	struct ib_uverbs_post_srq_recv_resp recv;
	struct ib_uverbs_poll_cq_resp poll;
};

static int pcv_kick_write(int fd, const struct pcv_kick_request *req)
{
	ssize_t n = write(fd, req, sizeof(*req));

	if (n < 0)
		return errno;
	return n == sizeof(*req) ? 0 : EIO;
}

/*
 * The same command as an ioctl, which a process may issue although its
 * credentials are no longer those with which it opened the device.
 */
static int pcv_kick_ioctl(int fd, struct pcv_kick_request *req,
			  union pcv_kick_answer *resp)
{
	struct {
		struct ib_uverbs_ioctl_hdr hdr;
		struct ib_uverbs_attr attr[3];
	} cmd;

	memset(&cmd, 0, sizeof(cmd));
	cmd.hdr.length = sizeof(cmd);
	cmd.hdr.object_id = UVERBS_OBJECT_DEVICE;
	cmd.hdr.method_id = UVERBS_METHOD_INVOKE_WRITE;
	cmd.hdr.num_attrs = 3;
	cmd.hdr.driver_id = RDMA_DRIVER_UNKNOWN;
	cmd.attr[0].attr_id = UVERBS_ATTR_CORE_IN;
	cmd.attr[0].len = sizeof(req->core);
	cmd.attr[0].flags = UVERBS_ATTR_F_MANDATORY;
	cmd.attr[0].data = (uintptr_t)&req->core;
	cmd.attr[1].attr_id = UVERBS_ATTR_CORE_OUT;
	cmd.attr[1].len = sizeof(*resp);
	cmd.attr[1].flags = UVERBS_ATTR_F_MANDATORY;
	cmd.attr[1].data = (uintptr_t)resp;
	cmd.attr[2].attr_id = UVERBS_ATTR_WRITE_CMD;
	cmd.attr[2].len = sizeof(cmd.attr[2].data);
	cmd.attr[2].flags = UVERBS_ATTR_F_MANDATORY;
	cmd.attr[2].data = req->hdr.command;
	return ioctl(fd, RDMA_VERBS_IOCTL, &cmd) ? errno : 0;
}

static int pcv_kick_call(struct pcv_context *ctx, uint32_t command, uint32_t handle,
			 uint32_t count, uint32_t wqe_size)
{
	union pcv_kick_answer resp = { 0 };
	struct pcv_kick_request req = {
		.hdr.command = command,
		.hdr.in_words = sizeof(req) / 4,
		.hdr.out_words = sizeof(resp) / 4,
		.core.response = (uintptr_t)&resp,
		.core.qp_handle = handle,
		.core.wr_count = count,
		.core.wqe_size = wqe_size,
	};
	int fd = ctx->vctx.context.cmd_fd;
	int tries, ret;

	for (tries = 0; tries < PCV_KICK_TRIES; tries++) {
		if (PCV_LOAD(&ctx->kick_ioctl)) {
			ret = pcv_kick_ioctl(fd, &req, &resp);
		} else {
			ret = pcv_kick_write(fd, &req);
			if (ret == EACCES) {
				PCV_STORE(&ctx->kick_ioctl, 1);
				continue;
			}
		}
		if (ret != EINTR && ret != EAGAIN && ret != ENOMEM)
			break;
		sched_yield();
	}
	return ret;
}

int pcv_kick(struct pcv_qp *qp)
{
	return pcv_kick_call(pcv_context(qp->vqp.qp.context), IB_USER_VERBS_CMD_POST_SEND,
			     qp->vqp.qp.handle, 0, sizeof(struct ib_uverbs_send_wr));
}

void pcv_srq_kick(struct pcv_srq *srq)
{
	pcv_kick_call(pcv_context(srq->vsrq.srq.context), IB_USER_VERBS_CMD_POST_SRQ_RECV,
		      srq->vsrq.srq.handle, 0, sizeof(struct ib_uverbs_recv_wr));
}

void pcv_cq_ask(struct pcv_cq *cq)
{
	pcv_kick_call(pcv_context(cq->vcq.cq.context), IB_USER_VERBS_CMD_POLL_CQ,
		      cq->vcq.cq.handle, 1, 0);
}
