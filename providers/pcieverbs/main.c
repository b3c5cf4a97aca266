// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The device: how it is recognised, opened and asked about itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider.h"

#define PCV_STRING(x)		#x
#define PCV_STRINGIFY(x)	PCV_STRING(x)

static int pcv_device_query(struct ibv_context *ctx, const struct ibv_query_device_ex_input *input,
			    struct ibv_device_attr_ex *attr, size_t attr_bytes)
{
	struct ib_uverbs_ex_query_device_resp resp;
	size_t resp_bytes = sizeof(resp);
	uint64_t fw;
	int ret;

	memset(&resp, 0, sizeof(resp));
	ret = ibv_cmd_query_device_any(ctx, input, attr, attr_bytes, &resp, &resp_bytes);
	if (ret)
		return ret;
	fw = resp.base.fw_ver;
	snprintf(attr->orig_attr.fw_ver, sizeof(attr->orig_attr.fw_ver),
		 "%" PRIu64 ".%" PRIu64 ".%" PRIu64, fw >> 32, fw >> 16 & 0xffff, fw & 0xffff);
	return 0;
}

static int pcv_port_query(struct ibv_context *ctx, uint8_t port, struct ibv_port_attr *attr)
{
	struct ibv_query_port cmd;

	memset(&cmd, 0, sizeof(cmd));
	return ibv_cmd_query_port(ctx, port, attr, &cmd, sizeof(cmd));
}

static void pcv_context_free(struct ibv_context *ibctx)
{
	struct pcv_context *ctx = pcv_context(ibctx);

	pcv_region_unmap(&ctx->fabric);
	pthread_spin_destroy(&ctx->mr_lock);
	verbs_uninit_context(&ctx->vctx);
	free(ctx);
}

/* Empty slots answer EOPNOTSUPP. */
static const struct verbs_context_ops pcv_ops = {
	.alloc_pd = pcv_pd_alloc,
	.create_ah = pcv_ah_create,
	.create_cq = pcv_cq_create,
	.create_cq_ex = pcv_cq_create_ex,
	.create_qp = pcv_qp_create,
	.create_srq = pcv_srq_create,
	.dealloc_pd = pcv_pd_free,
	.dereg_mr = pcv_mr_dereg,
	.destroy_ah = pcv_ah_destroy,
	.destroy_cq = pcv_cq_destroy,
	.destroy_qp = pcv_qp_destroy,
	.destroy_srq = pcv_srq_destroy,
	.free_context = pcv_context_free,
	.modify_qp = pcv_qp_modify,
	.modify_srq = pcv_srq_modify,
	.poll_cq = pcv_cq_poll,
	.post_recv = pcv_qp_post_recv,
	.post_send = pcv_qp_post_send,
	.post_srq_recv = pcv_srq_post,
	.query_device_ex = pcv_device_query,
	.query_port = pcv_port_query,
	.query_qp = pcv_qp_query,
	.query_srq = pcv_srq_query,
	.reg_mr = pcv_mr_reg,
	.req_notify_cq = pcv_cq_arm,
	.resize_cq = pcv_cq_resize,
};

/*
 * Does the library keep a queue pair's comp_mask where this build thinks it
 * does? A public call reads it, so it can be asked.
 */
static bool pcv_qp_layout_fits(void)
{
	union {
		struct ibv_qp qp;
		struct verbs_qp vqp;
		char bytes[sizeof(struct verbs_qp) + 64];
	} probe;

	memset(&probe, 0, sizeof(probe));
	probe.vqp.comp_mask = VERBS_QP_EX;
	return ibv_qp_to_qp_ex(&probe.qp);
}

/* Did the operations land in the slots that they were meant for? */
static bool pcv_ops_landed(const struct verbs_context *vctx)
{
	const struct ibv_context_ops *ops = &vctx->context.ops;

	return ops->poll_cq == pcv_cq_poll && ops->post_send == pcv_qp_post_send &&
	       ops->post_recv == pcv_qp_post_recv && ops->post_srq_recv == pcv_srq_post &&
	       ops->req_notify_cq == pcv_cq_arm && vctx->query_device_ex == pcv_device_query;
}

static void pcv_context_misfit(const char *what)
{
	fprintf(stderr,
		"pcieverbs: this provider was built for rdma-core " PCV_STRINGIFY(PCV_IBV_PKG)
		" and the libibverbs in use is another one (%s): device not opened\n", what);
}

static struct verbs_context *pcv_context_alloc(struct ibv_device *dev, int cmd_fd, void *priv)
{
	struct {
		struct ib_uverbs_get_context_resp core;
		struct pcv_alloc_ucontext_resp drv;
	} resp;
	struct ibv_get_context cmd;
	struct pcv_context *ctx;

	(void)priv;
	ctx = _verbs_init_and_alloc_context(dev, cmd_fd, sizeof(*ctx),
					    (void *)offsetof(struct pcv_context, vctx),
					    RDMA_DRIVER_UNKNOWN);
	if (!ctx)
		return NULL;
	if (ctx->vctx.sz != sizeof(struct verbs_context)) {
		pcv_context_misfit("struct verbs_context");
		goto err_misfit;
	}
	if (!pcv_qp_layout_fits()) {
		pcv_context_misfit("struct verbs_qp");
		goto err_misfit;
	}

	memset(&cmd, 0, sizeof(cmd));
	memset(&resp, 0, sizeof(resp));
	if (pcv_cmd_get_context(&ctx->vctx, &cmd, sizeof(cmd), &resp.core, sizeof(resp)))
		goto err_uninit;

	verbs_set_ops(&ctx->vctx, &pcv_ops);
	if (!pcv_ops_landed(&ctx->vctx)) {
		pcv_context_misfit("struct verbs_context_ops");
		goto err_misfit;
	}
	pthread_spin_init(&ctx->mr_lock, PTHREAD_PROCESS_PRIVATE);
	/* Only programs that address by LID miss it. */
	if (resp.drv.fabric_bytes >= sizeof(struct pcv_fabric))
		pcv_region_map_read(&ctx->vctx.context, resp.drv.fabric_offset,
				    resp.drv.fabric_bytes, &ctx->fabric);
	return &ctx->vctx;

err_misfit:
	errno = EOPNOTSUPP;
err_uninit:
	verbs_uninit_context(&ctx->vctx);
	free(ctx);
	return NULL;
}

static struct verbs_device *pcv_device_alloc(struct verbs_sysfs_dev *sysfs)
{
	struct pcv_device *dev = calloc(1, sizeof(*dev));

	(void)sysfs;
	return dev ? &dev->vdev : NULL;
}

static void pcv_device_free(struct verbs_device *vdev)
{
	free(pcv_container(vdev, struct pcv_device, vdev));
}

/*
 * The kernel's driver number is "unknown", so the match is by the parent
 * device, which keeps its name when the RDMA device is renamed.
 */
static const struct verbs_match_ent pcv_match[] = {
	{ .u.modalias = "platform:pcieverbs*", .kind = VERBS_MATCH_MODALIAS },
	{ .kind = VERBS_MATCH_SENTINEL },
};

static const struct verbs_device_ops pcv_device_ops = {
	.name = "pcieverbs",
	.match_min_abi_version = PCV_ABI_VERSION,
	.match_max_abi_version = PCV_ABI_VERSION,
	.match_table = pcv_match,
	.alloc_context = pcv_context_alloc,
	.alloc_device = pcv_device_alloc,
	.uninit_device = pcv_device_free,
};

PCV_REGISTER_DRIVER(pcv_device_ops);
