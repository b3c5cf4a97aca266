// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include "stats.h"

DEFINE_PER_CPU(struct pcv_stat_block, pcv_stat_blocks);

static const char * const pcv_stat_names[] = {
#define PCV_STAT_NAME(id, name) #name,
	PCV_STATS(PCV_STAT_NAME)
#undef PCV_STAT_NAME
};

u64 pcv_stat_read(enum pcv_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(pcv_stat_blocks.count[stat], cpu));
	return sum;
}

const char *pcv_stat_name(enum pcv_stat stat)
{
	return pcv_stat_names[stat];
}
