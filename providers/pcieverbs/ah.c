// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Address handles: the kernel resolves them, a send names them by number. */
#include <stdlib.h>
#include <string.h>

#include "provider.h"

/* Entry 0 of a RoCE port's table is the link-local GID made of its MAC address. */
#define PCV_SGID_LINK_LOCAL	0

/* Modified EUI-64 (RFC 4291, appendix A). */
static void pcv_gid_link_local(union ibv_gid *gid, uint64_t mac)
{
	int i;

	memset(gid, 0, sizeof(*gid));
	gid->raw[0] = 0xfe;
	gid->raw[1] = 0x80;
	for (i = 0; i < 3; i++) {
		gid->raw[8 + i] = (uint8_t)(mac >> (40 - 8 * i));
		gid->raw[13 + i] = (uint8_t)(mac >> (16 - 8 * i));
	}
	gid->raw[8] ^= 2;
	gid->raw[11] = 0xff;
	gid->raw[12] = 0xfe;
}

void pcv_ah_attr_complete(struct ibv_context *ctx, struct ibv_ah_attr *attr)
{
	const struct pcv_fabric *fabric = pcv_context(ctx)->fabric.base;
	uint64_t node;
	int i;

	if (!fabric || attr->is_global || !attr->dlid)
		return;
	for (i = 0; i < PCV_FABRIC_NODES; i++) {
		node = PCV_LOAD(&fabric->node[i]);
		if (node >> 48 != attr->dlid)
			continue;
		memset(&attr->grh, 0, sizeof(attr->grh));
		pcv_gid_link_local(&attr->grh.dgid, node & 0xffffffffffff);
		attr->grh.sgid_index = PCV_SGID_LINK_LOCAL;
		attr->grh.hop_limit = 64;
		attr->is_global = 1;
		return;
	}
}

struct ibv_ah *pcv_ah_create(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
	struct ibv_ah_attr full = *attr;
	struct {
		struct ib_uverbs_create_ah_resp core;
		struct pcv_create_ah_resp drv;
	} resp;
	struct pcv_ah *ah;
	int ret;

	_Static_assert(sizeof(resp) == 8, "no padding between the two parts");
	ah = calloc(1, sizeof(*ah));
	if (!ah)
		return NULL;
	memset(&resp, 0, sizeof(resp));
	pcv_ah_attr_complete(pd->context, &full);
	ret = ibv_cmd_create_ah(pd, &ah->ah, &full, &resp.core, sizeof(resp));
	if (ret) {
		free(ah);
		errno = ret;
		return NULL;
	}
	ah->number = resp.drv.ah;
	return &ah->ah;
}

int pcv_ah_destroy(struct ibv_ah *ah)
{
	int ret = ibv_cmd_destroy_ah(ah);

	if (!ret)
		free(pcv_ah(ah));
	return ret;
}
