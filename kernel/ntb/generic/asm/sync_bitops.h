/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * For an architecture that has no such header: its bit operations are atomic
 * towards other machines whatever its kernel is configured for.
 */
#ifndef PCV_GENERIC_SYNC_BITOPS_H
#define PCV_GENERIC_SYNC_BITOPS_H

#include <linux/bitops.h>

#define sync_set_bit(nr, p)		set_bit(nr, p)
#define sync_clear_bit(nr, p)		clear_bit(nr, p)
#define sync_test_and_set_bit(nr, p)	test_and_set_bit(nr, p)

#endif
