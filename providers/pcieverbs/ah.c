// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Address handles: the kernel resolves them, a send names them by number. */
#include <stdlib.h>
#include <string.h>

#include "provider.h"

struct ibv_ah *pcv_ah_create(struct ibv_pd *pd, struct ibv_ah_attr *attr)
{
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
	ret = ibv_cmd_create_ah(pd, &ah->ah, attr, &resp.core, sizeof(resp));
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
