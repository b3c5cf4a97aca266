// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Protection domains and memory regions. */
#include <stdlib.h>
#include <string.h>

#include "provider.h"

struct ibv_pd *pcv_pd_alloc(struct ibv_context *ctx)
{
	struct ib_uverbs_alloc_pd_resp resp;
	struct ibv_alloc_pd cmd;
	struct ibv_pd *pd;
	int ret;

	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	memset(&cmd, 0, sizeof(cmd));
	ret = ibv_cmd_alloc_pd(ctx, pd, &cmd, sizeof(cmd), &resp, sizeof(resp));
	if (ret) {
		free(pd);
		errno = ret;
		return NULL;
	}
	return pd;
}

int pcv_pd_free(struct ibv_pd *pd)
{
	int ret = ibv_cmd_dealloc_pd(pd);

	if (!ret)
		free(pd);
	return ret;
}

/* Keys are told apart by their low or by their high bits: both count. */
static struct pcv_mr **pcv_mr_bucket(struct pcv_context *ctx, uint32_t lkey)
{
	return &ctx->mr[(lkey ^ lkey >> 8 ^ lkey >> 16) % PCV_MR_BUCKETS];
}

struct ibv_mr *pcv_mr_reg(struct ibv_pd *pd, void *addr, size_t bytes, uint64_t iova, int access)
{
	struct pcv_context *ctx = pcv_context(pd->context);
	struct ib_uverbs_reg_mr_resp resp;
	struct ibv_reg_mr cmd;
	struct pcv_mr **bucket;
	struct pcv_mr *mr;
	int ret;

	mr = calloc(1, sizeof(*mr));
	if (!mr)
		return NULL;
	memset(&cmd, 0, sizeof(cmd));
	ret = ibv_cmd_reg_mr(pd, addr, bytes, iova, access, &mr->vmr, &cmd, sizeof(cmd), &resp,
			     sizeof(resp));
	if (ret) {
		free(mr);
		errno = ret;
		return NULL;
	}
	mr->iova = iova;
	/* The library fills these in after this call returns, too late for pcv_mr_find(). */
	mr->vmr.ibv_mr.pd = pd;
	mr->vmr.ibv_mr.addr = addr;
	mr->vmr.ibv_mr.length = bytes;
	mr->vmr.access = access;

	bucket = pcv_mr_bucket(ctx, mr->vmr.ibv_mr.lkey);
	pthread_spin_lock(&ctx->mr_lock);
	mr->next = *bucket;
	*bucket = mr;
	pthread_spin_unlock(&ctx->mr_lock);
	return &mr->vmr.ibv_mr;
}

static void pcv_mr_forget(struct pcv_context *ctx, struct pcv_mr *mr)
{
	struct pcv_mr **at = pcv_mr_bucket(ctx, mr->vmr.ibv_mr.lkey);

	pthread_spin_lock(&ctx->mr_lock);
	while (*at != mr)
		at = &(*at)->next;
	*at = mr->next;
	PCV_STORE(&ctx->mr_generation, ctx->mr_generation + 1);
	pthread_spin_unlock(&ctx->mr_lock);
}

int pcv_mr_dereg(struct verbs_mr *vmr)
{
	struct pcv_mr *mr = pcv_container(vmr, struct pcv_mr, vmr);
	struct pcv_context *ctx = pcv_context(vmr->ibv_mr.context);
	int ret;

	ret = ibv_cmd_dereg_mr(vmr);
	if (ret)
		return ret;
	pcv_mr_forget(ctx, mr);
	free(mr);
	return 0;
}

void *pcv_mr_find(struct pcv_context *ctx, const struct ibv_pd *pd, const struct pcv_sge *sge)
{
	void *found = NULL;
	struct pcv_mr *mr;
	uint64_t offset;

	pthread_spin_lock(&ctx->mr_lock);
	for (mr = *pcv_mr_bucket(ctx, sge->lkey); mr; mr = mr->next) {
		if (mr->vmr.ibv_mr.lkey != sge->lkey)
			continue;
		offset = sge->addr - mr->iova;
		if (mr->vmr.ibv_mr.pd == pd && mr->vmr.access & IBV_ACCESS_LOCAL_WRITE &&
		    offset <= mr->vmr.ibv_mr.length &&
		    sge->length <= mr->vmr.ibv_mr.length - offset)
			found = (char *)mr->vmr.ibv_mr.addr + offset;
		break;
	}
	pthread_spin_unlock(&ctx->mr_lock);
	return found;
}

void *pcv_mr_lookup(struct pcv_context *ctx, const struct ibv_pd *pd, struct pcv_mr_cache *cache,
		    uint64_t addr, uint32_t bytes, uint32_t lkey, int access)
{
	void *found = NULL;
	struct pcv_mr *mr;
	uint64_t offset;

	pthread_spin_lock(&ctx->mr_lock);
	for (mr = *pcv_mr_bucket(ctx, lkey); mr; mr = mr->next)
		if (mr->vmr.ibv_mr.lkey == lkey)
			break;
	if (mr && mr->vmr.ibv_mr.pd == pd && (mr->vmr.access & access) == access) {
		cache->generation = ctx->mr_generation + 1;
		cache->lkey = lkey;
		cache->iova = mr->iova;
		cache->bytes = mr->vmr.ibv_mr.length;
		cache->at = mr->vmr.ibv_mr.addr;
		offset = addr - mr->iova;
		if (offset <= cache->bytes && bytes <= cache->bytes - offset)
			found = cache->at + offset;
	}
	pthread_spin_unlock(&ctx->mr_lock);
	return found;
}
