/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A PCI bus in software, with one NTB function per peer: NTB clients expect a
 * struct pci_dev below their ntb_dev, for DMA memory and for its name. Only
 * configuration space is emulated here; what the BAR does is window.c's.
 */
#ifndef PCV_NTB_BUS_H
#define PCV_NTB_BUS_H

#include <linux/ioport.h>
#include <linux/types.h>

/*
 * Not a vendor that has been assigned: the functions exist nowhere but on this
 * bus.
 */
#define PCV_BUS_VENDOR		0xfefe
#define PCV_BUS_DEVICE		0x0001
#define PCV_BUS_NUMBER		1
#define PCV_BUS_SLOTS		32
#define PCV_BUS_BAR		2

/**
 * pcv_bus_init() - create the bus and let the functions be probed
 * @slots:	bit mask of the slots that hold a function
 * @bar_bytes:	size of each function's BAR, a power of two
 * @bars:	address range that the BARs are placed in
 *
 * Return: 0 or an error number.
 */
int pcv_bus_init(u32 slots, u64 bar_bytes, struct resource *bars);

/**
 * pcv_bus_exit() - remove the functions and the bus
 */
void pcv_bus_exit(void);

#endif
