// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The one system call of the data path: an empty post_send. */
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "provider.h"

/* Tries before a call that fails for lack of memory counts as refused. */
#define PCV_KICK_TRIES		16

struct pcv_kick_request {
	struct ib_uverbs_cmd_hdr hdr;
	struct ib_uverbs_post_send core;
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
			  struct ib_uverbs_post_send_resp *resp)
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
	cmd.attr[2].data = IB_USER_VERBS_CMD_POST_SEND;
	return ioctl(fd, RDMA_VERBS_IOCTL, &cmd) ? errno : 0;
}

int pcv_kick(struct pcv_qp *qp)
{
	struct pcv_context *ctx = pcv_context(qp->vqp.qp.context);
	struct ib_uverbs_post_send_resp resp = { 0 };
	struct pcv_kick_request req = {
		.hdr.command = IB_USER_VERBS_CMD_POST_SEND,
		.hdr.in_words = sizeof(req) / 4,
		.hdr.out_words = sizeof(resp) / 4,
		.core.response = (uintptr_t)&resp,
		.core.qp_handle = qp->vqp.qp.handle,
		.core.wqe_size = sizeof(struct ib_uverbs_send_wr),
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
