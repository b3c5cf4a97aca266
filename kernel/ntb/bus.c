// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A PCI bus in software: see bus.h.
 */
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/pci.h>
#include <linux/spinlock.h>

#include "bus.h"

#define PCV_BUS_BAR_OFFSET	(PCI_BASE_ADDRESS_0 + 4 * PCV_BUS_BAR)
#define PCV_BUS_BAR_FLAGS	(PCI_BASE_ADDRESS_SPACE_MEMORY | \
				 PCI_BASE_ADDRESS_MEM_TYPE_64 |  \
				 PCI_BASE_ADDRESS_MEM_PREFETCH)
#define PCV_BUS_COMMAND_BITS	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | \
				 PCI_COMMAND_INTX_DISABLE)

/**
 * struct pcv_bus - the bus
 * @bridge:	the host bridge
 * @numbers:	the bus numbers it has: one
 * @slots:	which slots hold a function
 * @bar_bytes:	size of every function's BAR
 * @lock:	guards what follows: UML's PCI core does not serialise accesses
 *		to configuration space
 * @command:	command register of each function
 * @bar:	BAR address of each function
 */
static struct pcv_bus {
	struct pci_host_bridge *bridge;
	struct resource numbers;
	u32 slots;
	u64 bar_bytes;
	spinlock_t lock;	/* guards command and bar */
	u16 command[PCV_BUS_SLOTS];
	u64 bar[PCV_BUS_SLOTS];
} pcv_bus_state = {
	.lock = __SPIN_LOCK_UNLOCKED(pcv_bus_state.lock),
};

static bool pcv_bus_present(struct pci_bus *bus, unsigned int devfn)
{
	return bus->number == PCV_BUS_NUMBER && !PCI_FUNC(devfn) &&
	       pcv_bus_state.slots & BIT(PCI_SLOT(devfn));
}

/* One aligned 32-bit register; what is not listed reads as 0. */
static u32 pcv_bus_register(unsigned int slot, int where)
{
	switch (where) {
	case PCI_VENDOR_ID:
	case PCI_SUBSYSTEM_VENDOR_ID:
		return PCV_BUS_DEVICE << 16 | PCV_BUS_VENDOR;
	case PCI_COMMAND:
		return pcv_bus_state.command[slot];
	case PCI_CLASS_REVISION:
		return PCI_CLASS_BRIDGE_OTHER << 16;
	case PCV_BUS_BAR_OFFSET:
		return lower_32_bits(pcv_bus_state.bar[slot]) | PCV_BUS_BAR_FLAGS;
	case PCV_BUS_BAR_OFFSET + 4:
		return upper_32_bits(pcv_bus_state.bar[slot]);
	}
	return 0;
}

static void pcv_bus_set_register(unsigned int slot, int where, u32 val)
{
	u64 *bar = &pcv_bus_state.bar[slot];

	switch (where) {
	case PCI_COMMAND:
		pcv_bus_state.command[slot] = val & PCV_BUS_COMMAND_BITS;
		break;
	case PCV_BUS_BAR_OFFSET:
		*bar = (*bar & ~0xffffffffULL) | val;
		break;
	case PCV_BUS_BAR_OFFSET + 4:
		*bar = (*bar & 0xffffffffULL) | (u64)val << 32;
		break;
	}
	/* The bits below the size are not there: that is how it is sized. */
	*bar &= ~(pcv_bus_state.bar_bytes - 1);
}

static u32 pcv_bus_lanes(int where, int size)
{
	return GENMASK(8 * size - 1, 0) << 8 * (where & 3);
}

static int pcv_bus_read(struct pci_bus *bus, unsigned int devfn, int where,
			int size, u32 *val)
{
	unsigned long flags;
	u32 reg;

	if (!pcv_bus_present(bus, devfn))
		return PCIBIOS_DEVICE_NOT_FOUND;

	spin_lock_irqsave(&pcv_bus_state.lock, flags);
	reg = pcv_bus_register(PCI_SLOT(devfn), where & ~3);
	spin_unlock_irqrestore(&pcv_bus_state.lock, flags);
	*val = (reg & pcv_bus_lanes(where, size)) >> 8 * (where & 3);
	return PCIBIOS_SUCCESSFUL;
}

static int pcv_bus_write(struct pci_bus *bus, unsigned int devfn, int where,
			 int size, u32 val)
{
	unsigned int slot = PCI_SLOT(devfn);
	u32 lanes = pcv_bus_lanes(where, size);
	unsigned long flags;
	u32 reg;

	if (!pcv_bus_present(bus, devfn))
		return PCIBIOS_DEVICE_NOT_FOUND;

	spin_lock_irqsave(&pcv_bus_state.lock, flags);
	reg = pcv_bus_register(slot, where & ~3) & ~lanes;
	reg |= (val << 8 * (where & 3)) & lanes;
	pcv_bus_set_register(slot, where & ~3, reg);
	spin_unlock_irqrestore(&pcv_bus_state.lock, flags);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops pcv_bus_ops = {
	.read	= pcv_bus_read,
	.write	= pcv_bus_write,
};

int pcv_bus_init(u32 slots, u64 bar_bytes, struct resource *bars)
{
	struct pci_host_bridge *bridge;
	int err;

	bridge = pci_alloc_host_bridge(0);
	if (!bridge)
		return -ENOMEM;

	pcv_bus_state.bridge = bridge;
	pcv_bus_state.slots = slots;
	pcv_bus_state.bar_bytes = bar_bytes;
	pcv_bus_state.numbers = (struct resource) {
		.name	= "pcv bus",
		.start	= PCV_BUS_NUMBER,
		.end	= PCV_BUS_NUMBER,
		.flags	= IORESOURCE_BUS,
	};
	pci_add_resource(&bridge->windows, bars);
	pci_add_resource(&bridge->windows, &pcv_bus_state.numbers);
	bridge->busnr = PCV_BUS_NUMBER;
	bridge->ops = &pcv_bus_ops;

	pci_lock_rescan_remove();
	err = pci_host_probe(bridge);
	pci_unlock_rescan_remove();
	if (err)
		pci_free_host_bridge(bridge);
	return err;
}

void pcv_bus_exit(void)
{
	pci_lock_rescan_remove();
	pci_stop_root_bus(pcv_bus_state.bridge->bus);
	pci_remove_root_bus(pcv_bus_state.bridge->bus);
	pci_unlock_rescan_remove();
	pci_free_host_bridge(pcv_bus_state.bridge);
}
