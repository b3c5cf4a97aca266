/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What libibverbs and its providers share but no -dev package ships.
 *
 * In an rdma-core tree this is <infiniband/driver.h>. Outside of one the types
 * and prototypes that this provider uses are declared here, for the release of
 * rdma-core that PCV_IBV_PKG names (44 for libibverbs 1.14.44): the number in
 * the symbol version does not change with every change of layout, so a
 * provider is built for one release and checks at run time that it met it.
 */
#ifndef PCV_PRIVATE_ABI_H
#define PCV_PRIVATE_ABI_H

#ifndef PCV_IBV_PKG
#error "PCV_IBV_PKG must be the major release of rdma-core to build for"
#endif

#if PCV_IBV_PKG < 39 || PCV_IBV_PKG > 65
#error "this release of rdma-core is not known: its private ABI must be looked at first"
#endif

#ifdef PCV_IN_TREE

#include <infiniband/driver.h>
#include <infiniband/kern-abi.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/rdma_user_ioctl_cmds.h>

#define PCV_REGISTER_DRIVER(ops)	PROVIDER_DRIVER(pcieverbs, ops)

#else

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <infiniband/verbs.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>

#if PCV_IBV_PKG <= 56
#define PCV_REGISTER		verbs_register_driver_34
#elif PCV_IBV_PKG <= 58
#define PCV_REGISTER		verbs_register_driver_57
#elif PCV_IBV_PKG <= 63
#define PCV_REGISTER		verbs_register_driver_59
#elif PCV_IBV_PKG == 64
#define PCV_REGISTER		verbs_register_driver_64
#else
#define PCV_REGISTER		verbs_register_driver_65
#endif

/* --- devices and matching --- */

struct list_node {
	struct list_node *next, *prev;
};

enum {
	VERBS_MATCH_SENTINEL = 0,
	VERBS_MATCH_PCI = 1,
	VERBS_MATCH_MODALIAS = 2,
	VERBS_MATCH_DRIVER_ID = 3,
};

struct verbs_match_ent {
	void *driver_data;
	union {
		const char *modalias;
		uint64_t driver_id;
	} u;
	uint16_t vendor;
	uint16_t device;
	uint8_t kind;
};

struct verbs_sysfs_dev {
	struct list_node entry;
	void *provider_data;
	const struct verbs_match_ent *match;
	unsigned int flags;
	char sysfs_name[64];
	dev_t sysfs_cdev;
	char ibdev_name[64];
	char ibdev_path[256];
	char modalias[512];
	uint64_t node_guid;
	uint32_t driver_id;
	uint32_t node_type;
	int ibdev_idx;
	uint32_t num_ports;
	uint32_t abi_ver;
	struct timespec time_created;
};

struct verbs_device;

struct verbs_device_ops {
	const char *name;
	uint32_t match_min_abi_version;
	uint32_t match_max_abi_version;
	const struct verbs_match_ent *match_table;
	const struct verbs_device_ops **static_providers;
	bool (*match_device)(struct verbs_sysfs_dev *sysfs);
	struct verbs_context *(*alloc_context)(struct ibv_device *dev, int cmd_fd, void *priv);
	struct verbs_context *(*import_context)(struct ibv_device *dev, int cmd_fd);
	struct verbs_device *(*alloc_device)(struct verbs_sysfs_dev *sysfs);
	void (*uninit_device)(struct verbs_device *dev);
};

struct verbs_device {
	struct ibv_device device;
	const struct verbs_device_ops *ops;
	atomic_int refcount;
	struct list_node entry;
	struct verbs_sysfs_dev *sysfs;
	uint64_t core_support;
};

/* --- objects --- */

struct verbs_cq {
	union {
		struct ibv_cq cq;
		struct ibv_cq_ex cq_ex;
	};
};

struct verbs_qp {
	union {
		struct ibv_qp qp;
		struct ibv_qp_ex qp_ex;
	};
	uint32_t comp_mask;
	struct verbs_xrcd *xrcd;
};

enum verbs_qp_mask {
	VERBS_QP_XRCD = 1,
	VERBS_QP_EX = 2,
};

struct verbs_srq {
	struct ibv_srq srq;
	enum ibv_srq_type srq_type;
	struct verbs_xrcd *xrcd;
	struct ibv_cq *cq;
	uint32_t srq_num;
};

enum ibv_mr_type {
	IBV_MR_TYPE_MR = 0,
};

struct verbs_mr {
	struct ibv_mr ibv_mr;
	enum ibv_mr_type mr_type;
	int access;
};

/* --- the operations: one pointer each, in alphabetical order --- */

/* A slot that this provider leaves empty. */
#define PCV_SLOT(name)		void (*name)(void)

struct verbs_context_ops {
	PCV_SLOT(advise_mr);
#if PCV_IBV_PKG >= 64
	PCV_SLOT(alloc_buf);
#endif
	PCV_SLOT(alloc_dm);
#if PCV_IBV_PKG >= 59
	PCV_SLOT(alloc_dmah);
#endif
	PCV_SLOT(alloc_mw);
	PCV_SLOT(alloc_null_mr);
	PCV_SLOT(alloc_parent_domain);
	struct ibv_pd *(*alloc_pd)(struct ibv_context *ctx);
	PCV_SLOT(alloc_td);
	PCV_SLOT(async_event);
	PCV_SLOT(attach_counters_point_flow);
	PCV_SLOT(attach_mcast);
	PCV_SLOT(bind_mw);
	PCV_SLOT(close_xrcd);
	PCV_SLOT(cq_event);
	struct ibv_ah *(*create_ah)(struct ibv_pd *pd, struct ibv_ah_attr *attr);
#if PCV_IBV_PKG >= 65
	PCV_SLOT(create_comp_cntr);
#endif
	PCV_SLOT(create_counters);
	struct ibv_cq *(*create_cq)(struct ibv_context *ctx, int cqe, struct ibv_comp_channel *chan,
				    int vector);
	struct ibv_cq_ex *(*create_cq_ex)(struct ibv_context *ctx,
					  struct ibv_cq_init_attr_ex *attr);
	PCV_SLOT(create_flow);
	PCV_SLOT(create_flow_action_esp);
	struct ibv_qp *(*create_qp)(struct ibv_pd *pd, struct ibv_qp_init_attr *attr);
	PCV_SLOT(create_qp_ex);
	PCV_SLOT(create_rwq_ind_table);
	struct ibv_srq *(*create_srq)(struct ibv_pd *pd, struct ibv_srq_init_attr *attr);
	PCV_SLOT(create_srq_ex);
	PCV_SLOT(create_wq);
#if PCV_IBV_PKG >= 59
	PCV_SLOT(dealloc_dmah);
#endif
	PCV_SLOT(dealloc_mw);
	int (*dealloc_pd)(struct ibv_pd *pd);
	PCV_SLOT(dealloc_td);
	int (*dereg_mr)(struct verbs_mr *vmr);
	int (*destroy_ah)(struct ibv_ah *ah);
#if PCV_IBV_PKG >= 65
	PCV_SLOT(destroy_comp_cntr);
#endif
	PCV_SLOT(destroy_counters);
	int (*destroy_cq)(struct ibv_cq *cq);
	PCV_SLOT(destroy_flow);
	PCV_SLOT(destroy_flow_action);
	int (*destroy_qp)(struct ibv_qp *qp);
	PCV_SLOT(destroy_rwq_ind_table);
	int (*destroy_srq)(struct ibv_srq *srq);
	PCV_SLOT(destroy_wq);
	PCV_SLOT(detach_mcast);
#if PCV_IBV_PKG >= 62
	PCV_SLOT(dm_export_dmabuf_fd);
#endif
#if PCV_IBV_PKG >= 64
	PCV_SLOT(free_buf);
#endif
	void (*free_context)(struct ibv_context *ctx);
	PCV_SLOT(free_dm);
	PCV_SLOT(get_srq_num);
	PCV_SLOT(import_dm);
	PCV_SLOT(import_mr);
	PCV_SLOT(import_pd);
#if PCV_IBV_PKG >= 65
	PCV_SLOT(inc_comp_cntr);
	PCV_SLOT(inc_err_comp_cntr);
#endif
	PCV_SLOT(modify_cq);
	PCV_SLOT(modify_flow_action_esp);
	int (*modify_qp)(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask);
	PCV_SLOT(modify_qp_rate_limit);
	int (*modify_srq)(struct ibv_srq *srq, struct ibv_srq_attr *attr, int mask);
	PCV_SLOT(modify_wq);
	PCV_SLOT(open_qp);
	PCV_SLOT(open_xrcd);
	int (*poll_cq)(struct ibv_cq *cq, int n, struct ibv_wc *wc);
	int (*post_recv)(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
	int (*post_send)(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);
	PCV_SLOT(post_srq_ops);
	int (*post_srq_recv)(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
#if PCV_IBV_PKG >= 65
	PCV_SLOT(qp_attach_comp_cntr);
	PCV_SLOT(query_comp_cntr_caps);
#endif
	int (*query_device_ex)(struct ibv_context *ctx,
			       const struct ibv_query_device_ex_input *input,
			       struct ibv_device_attr_ex *attr, size_t attr_bytes);
	PCV_SLOT(query_ece);
	int (*query_port)(struct ibv_context *ctx, uint8_t port, struct ibv_port_attr *attr);
#if PCV_IBV_PKG >= 62
	PCV_SLOT(query_port_speed);
#endif
	int (*query_qp)(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
			struct ibv_qp_init_attr *init_attr);
	PCV_SLOT(query_qp_data_in_order);
	PCV_SLOT(query_rt_values);
	int (*query_srq)(struct ibv_srq *srq, struct ibv_srq_attr *attr);
#if PCV_IBV_PKG >= 65
	PCV_SLOT(read_comp_cntr);
#endif
	PCV_SLOT(read_counters);
#if PCV_IBV_PKG >= 65
	PCV_SLOT(read_err_comp_cntr);
#endif
	PCV_SLOT(reg_dm_mr);
	PCV_SLOT(reg_dmabuf_mr);
	struct ibv_mr *(*reg_mr)(struct ibv_pd *pd, void *addr, size_t bytes, uint64_t iova,
				 int access);
#if PCV_IBV_PKG >= 59
	PCV_SLOT(reg_mr_ex);
#endif
	int (*req_notify_cq)(struct ibv_cq *cq, int solicited_only);
	PCV_SLOT(rereg_mr);
	int (*resize_cq)(struct ibv_cq *cq, int cqe);
#if PCV_IBV_PKG >= 65
	PCV_SLOT(set_comp_cntr);
#endif
	PCV_SLOT(set_ece);
#if PCV_IBV_PKG >= 65
	PCV_SLOT(set_err_comp_cntr);
#endif
	PCV_SLOT(unimport_dm);
	PCV_SLOT(unimport_mr);
	PCV_SLOT(unimport_pd);
};

/* --- commands: the header of the write interface and the kernel's structure --- */

#define PCV_COMMAND(name, uapi)				\
	struct name {					\
		struct ib_uverbs_cmd_hdr hdr;		\
		struct uapi core;			\
	}

PCV_COMMAND(ibv_get_context, ib_uverbs_get_context);
PCV_COMMAND(ibv_query_port, ib_uverbs_query_port);
PCV_COMMAND(ibv_alloc_pd, ib_uverbs_alloc_pd);
PCV_COMMAND(ibv_reg_mr, ib_uverbs_reg_mr);
PCV_COMMAND(ibv_create_cq, ib_uverbs_create_cq);
PCV_COMMAND(ibv_resize_cq, ib_uverbs_resize_cq);
PCV_COMMAND(ibv_create_srq, ib_uverbs_create_srq);
PCV_COMMAND(ibv_modify_srq, ib_uverbs_modify_srq);
PCV_COMMAND(ibv_query_srq, ib_uverbs_query_srq);
PCV_COMMAND(ibv_create_qp, ib_uverbs_create_qp);
PCV_COMMAND(ibv_modify_qp, ib_uverbs_modify_qp);
PCV_COMMAND(ibv_query_qp, ib_uverbs_query_qp);

/* --- what the library exports to providers --- */

void PCV_REGISTER(const struct verbs_device_ops *ops);
void *_verbs_init_and_alloc_context(struct ibv_device *dev, int cmd_fd, size_t bytes,
				    struct verbs_context *offset, uint32_t driver_id);
void verbs_set_ops(struct verbs_context *vctx, const struct verbs_context_ops *ops);
void verbs_uninit_context(struct verbs_context *vctx);

struct ibv_fd_arr;
#if PCV_IBV_PKG >= 57
int ibv_cmd_get_context(struct verbs_context *vctx, struct ibv_get_context *cmd, size_t cmd_bytes,
			struct ibv_fd_arr *fds, struct ib_uverbs_get_context_resp *resp,
			size_t resp_bytes);
#else
int ibv_cmd_get_context(struct verbs_context *vctx, struct ibv_get_context *cmd, size_t cmd_bytes,
			struct ib_uverbs_get_context_resp *resp, size_t resp_bytes);
#endif
int ibv_cmd_query_device_any(struct ibv_context *ctx, const struct ibv_query_device_ex_input *input,
			     struct ibv_device_attr_ex *attr, size_t attr_bytes,
			     struct ib_uverbs_ex_query_device_resp *resp, size_t *resp_bytes);
int ibv_cmd_query_port(struct ibv_context *ctx, uint8_t port, struct ibv_port_attr *attr,
		       struct ibv_query_port *cmd, size_t cmd_bytes);
int ibv_cmd_alloc_pd(struct ibv_context *ctx, struct ibv_pd *pd, struct ibv_alloc_pd *cmd,
		     size_t cmd_bytes, struct ib_uverbs_alloc_pd_resp *resp, size_t resp_bytes);
int ibv_cmd_dealloc_pd(struct ibv_pd *pd);
int ibv_cmd_reg_mr(struct ibv_pd *pd, void *addr, size_t bytes, uint64_t iova, int access,
		   struct verbs_mr *vmr, struct ibv_reg_mr *cmd, size_t cmd_bytes,
		   struct ib_uverbs_reg_mr_resp *resp, size_t resp_bytes);
int ibv_cmd_dereg_mr(struct verbs_mr *vmr);
int ibv_cmd_create_ah(struct ibv_pd *pd, struct ibv_ah *ah, struct ibv_ah_attr *attr,
		      struct ib_uverbs_create_ah_resp *resp, size_t resp_bytes);
int ibv_cmd_destroy_ah(struct ibv_ah *ah);
int ibv_cmd_create_cq(struct ibv_context *ctx, int cqe, struct ibv_comp_channel *chan, int vector,
		      struct ibv_cq *cq, struct ibv_create_cq *cmd, size_t cmd_bytes,
		      struct ib_uverbs_create_cq_resp *resp, size_t resp_bytes);
int ibv_cmd_resize_cq(struct ibv_cq *cq, int cqe, struct ibv_resize_cq *cmd, size_t cmd_bytes,
		      struct ib_uverbs_resize_cq_resp *resp, size_t resp_bytes);
int ibv_cmd_destroy_cq(struct ibv_cq *cq);
int ibv_cmd_create_srq(struct ibv_pd *pd, struct ibv_srq *srq, struct ibv_srq_init_attr *attr,
		       struct ibv_create_srq *cmd, size_t cmd_bytes,
		       struct ib_uverbs_create_srq_resp *resp, size_t resp_bytes);
int ibv_cmd_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, int mask,
		       struct ibv_modify_srq *cmd, size_t cmd_bytes);
int ibv_cmd_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, struct ibv_query_srq *cmd,
		      size_t cmd_bytes);
int ibv_cmd_destroy_srq(struct ibv_srq *srq);
int ibv_cmd_create_qp(struct ibv_pd *pd, struct ibv_qp *qp, struct ibv_qp_init_attr *attr,
		      struct ibv_create_qp *cmd, size_t cmd_bytes,
		      struct ib_uverbs_create_qp_resp *resp, size_t resp_bytes);
int ibv_cmd_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		      struct ibv_modify_qp *cmd, size_t cmd_bytes);
int ibv_cmd_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		     struct ibv_qp_init_attr *init_attr, struct ibv_query_qp *cmd,
		     size_t cmd_bytes);
int ibv_cmd_destroy_qp(struct ibv_qp *qp);

#define PCV_REGISTER_DRIVER(ops)					\
	static __attribute__((constructor)) void pcv_register(void)	\
	{								\
		PCV_REGISTER(&(ops));					\
	}

#endif /* PCV_IN_TREE */

/* --- sizes, as measured in each release's own tree on a 64-bit machine --- */

#if PCV_IBV_PKG >= 65
#define PCV_ABI_SLOTS		93
#elif PCV_IBV_PKG == 64
#define PCV_ABI_SLOTS		83
#elif PCV_IBV_PKG >= 62
#define PCV_ABI_SLOTS		81
#elif PCV_IBV_PKG >= 59
#define PCV_ABI_SLOTS		79
#else
#define PCV_ABI_SLOTS		76
#endif

#if PCV_IBV_PKG >= 64
#define PCV_ABI_CONTEXT_BYTES	696
#elif PCV_IBV_PKG >= 62
#define PCV_ABI_CONTEXT_BYTES	680
#elif PCV_IBV_PKG >= 59
#define PCV_ABI_CONTEXT_BYTES	672
#else
#define PCV_ABI_CONTEXT_BYTES	648
#endif

#if PCV_IBV_PKG >= 45
#define PCV_ABI_QP_MASK_OFFSET	360
#elif PCV_IBV_PKG == 44
#define PCV_ABI_QP_MASK_OFFSET	352
#else
#define PCV_ABI_QP_MASK_OFFSET	344
#endif

/* A mutex of pthreads stands in these, and is not of one size everywhere: 48 bytes on arm64. */
#define PCV_ABI_LOCKED(bytes)	((bytes) - 40 + sizeof(pthread_mutex_t))

#define PCV_ABI_ASSERT(what, bytes)	\
	_Static_assert(sizeof(void *) != 8 || (what) == (bytes), "the private ABI has changed")

PCV_ABI_ASSERT(sizeof(struct verbs_context_ops), PCV_ABI_SLOTS * 8);
PCV_ABI_ASSERT(sizeof(struct verbs_context), PCV_ABI_LOCKED(PCV_ABI_CONTEXT_BYTES));
PCV_ABI_ASSERT(sizeof(struct verbs_device_ops), 72);
PCV_ABI_ASSERT(sizeof(struct verbs_device), 712);
PCV_ABI_ASSERT(sizeof(struct verbs_sysfs_dev), 992);
PCV_ABI_ASSERT(sizeof(struct verbs_match_ent), 24);
PCV_ABI_ASSERT(sizeof(struct verbs_cq), PCV_ABI_LOCKED(288));
PCV_ABI_ASSERT(sizeof(struct verbs_srq), PCV_ABI_LOCKED(160));
PCV_ABI_ASSERT(sizeof(struct verbs_mr), 56);
PCV_ABI_ASSERT(offsetof(struct verbs_qp, comp_mask), PCV_ABI_LOCKED(PCV_ABI_QP_MASK_OFFSET));
PCV_ABI_ASSERT(offsetof(struct verbs_sysfs_dev, driver_id), 952);
PCV_ABI_ASSERT(offsetof(struct verbs_device, sysfs), 696);
PCV_ABI_ASSERT(sizeof(struct ibv_get_context), 16);
PCV_ABI_ASSERT(sizeof(struct ibv_query_port), 24);
PCV_ABI_ASSERT(sizeof(struct ibv_alloc_pd), 16);
PCV_ABI_ASSERT(sizeof(struct ibv_reg_mr), 48);
PCV_ABI_ASSERT(sizeof(struct ibv_create_cq), 40);
PCV_ABI_ASSERT(sizeof(struct ibv_resize_cq), 24);
PCV_ABI_ASSERT(sizeof(struct ibv_create_srq), 40);
PCV_ABI_ASSERT(sizeof(struct ibv_modify_srq), 24);
PCV_ABI_ASSERT(sizeof(struct ibv_query_srq), 24);
PCV_ABI_ASSERT(sizeof(struct ibv_create_qp), 64);
PCV_ABI_ASSERT(sizeof(struct ibv_modify_qp), 120);
PCV_ABI_ASSERT(sizeof(struct ibv_query_qp), 24);

/* The one call among those used here whose arguments have changed. */
static inline int pcv_cmd_get_context(struct verbs_context *vctx, struct ibv_get_context *cmd,
				      size_t cmd_bytes, struct ib_uverbs_get_context_resp *resp,
				      size_t resp_bytes)
{
#if PCV_IBV_PKG >= 57
	return ibv_cmd_get_context(vctx, cmd, cmd_bytes, NULL, resp, resp_bytes);
#else
	return ibv_cmd_get_context(vctx, cmd, cmd_bytes, resp, resp_bytes);
#endif
}

#endif /* PCV_PRIVATE_ABI_H */
