// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * As many objects as the device announces can be made, by two processes of one
 * node together, and not one more. With protection domains, of which so many
 * cost little; the other kinds are counted in the same place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs_common.h"

/* A makes half of them, B what is left; then A gives one back, which B gets. */
static void domains(struct vc *vc)
{
	const char *others = getenv("LIMITS_OTHERS");
	int most = vc->attr.max_pd, n = 0, theirs;
	struct ibv_pd **pd = calloc((size_t)most + 1, sizeof(struct ibv_pd *));

	if (!pd)
		vc_die(vc, "calloc: %m");
	while (vc->a && n < most / 2 && (pd[n] = ibv_alloc_pd(vc->ctx)))
		n++;
	if (vc->a)
		vc_expect(vc, n == most / 2, "only %d of %d: %m", n, most);
	vc_meet(vc);
	while (!vc->a && n <= most && (pd[n] = ibv_alloc_pd(vc->ctx)))
		n++;
	if (!vc->a)
		vc_expect(vc, errno == ENOMEM, "refused with %m");
	vc_swap(vc, &n, &theirs, sizeof(n));
	vc_expect(vc, n + theirs + (others ? atoi(others) : 0) == most,
		  "%d and %d, but %d announced", n, theirs, most);
	if (vc->a)
		vc_expect(vc, !ibv_dealloc_pd(pd[--n]), "dealloc_pd");
	vc_meet(vc);
	if (!vc->a) {
		pd[n] = ibv_alloc_pd(vc->ctx);
		vc_expect(vc, pd[n], "one was given back: %m");
		n += !!pd[n];
		vc_expect(vc, !ibv_alloc_pd(vc->ctx), "more than there may be");
	}
	vc_meet(vc);
	while (n--)
		vc_expect(vc, !ibv_dealloc_pd(pd[n]), "dealloc_pd: %m");
	free(pd);
}

static const struct vc_test tests[] = { { "domains", domains }, { NULL, NULL } };

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
