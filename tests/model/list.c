// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "model.h"

#define MODELS(X)	X(ring) X(armed) X(starved) X(kick_send) X(kick_recv) X(kick_ring) X(cq) \
			X(srq) X(events) X(events_kinds) X(order) X(mr_gone) X(ntb_mask) \
			X(ntb_kick) X(ntb_clear) X(claim) X(send_hot) X(direct_valid) \
			X(recv_starved)

#define DECLARE(name)	extern const struct model name##_model;
MODELS(DECLARE)

#define ENTRY(name)	&name##_model,
const struct model *const models[] = { MODELS(ENTRY) NULL };
