// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * An NTB between virtual machines of one host, made of QEMU's ivshmem devices.
 *
 *   insmod ntb_ivshmem.ko [node=N]
 *
 * Every machine has an ivshmem-doorbell device: its registers and its MSI-X wake
 * the others, and its shared memory begins with the registers of shm.h. What a
 * window leads to is one of two things.
 *
 * *Memory of the peers.* The shared memory is smaller than PCV_IVSHMEM_CABLE_MIN
 * and joins up to PCV_SHM_NODES machines. For each of the others there is an
 * ivshmem-plain device (it has no BAR1) whose BAR2 is all of that machine's
 * memory. In the order of their PCI addresses they are the other machines in
 * the order of their numbers. A translation can have any target, and what a
 * window shows is proved before it is used. The NTB device's parent is the
 * ivshmem-plain device.
 *
 * *A cable.* The shared memory is larger: it joins two machines, and behind the
 * registers either of them owns one half, to which alone translations can lead:
 * the NTB device has a DMA device of its own (range.h), with that half for its
 * memory. The NTB device's parent is the ivshmem-doorbell device.
 *
 * A machine's number is its IVPosition, or the parameter. On a cable, and when
 * the IVPosition is neither 0 nor 1 (QEMU's ivshmem-server counts on when a
 * machine comes back), it is that of the end which nobody drives.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "ivport.h"
#include "ram.h"
#include "range.h"

#define PCV_IVSHMEM_VENDOR	0x1af4
#define PCV_IVSHMEM_DEVICE	0x1110

#define PCV_IVSHMEM_BAR_REGS	0
#define PCV_IVSHMEM_BAR_MSIX	1
#define PCV_IVSHMEM_BAR_MEMORY	2

#define PCV_IVSHMEM_IVPOSITION	8
#define PCV_IVSHMEM_DOORBELL	12

#define PCV_IVSHMEM_CABLE_MIN	SZ_4M
#define PCV_IVSHMEM_CABLE_HEAD	SZ_1M	/* kept for the registers */

static int node = -1;
module_param(node, int, 0444);
MODULE_PARM_DESC(node, "Number of this machine, from 0 (the device's IVPosition)");

struct pcv_ivshmem_hub;

/**
 * struct pcv_ivshmem_vector - an interrupt
 * @hub:	whose
 * @first:	it wakes for this peer, and those that many vectors further
 * @name:	of the interrupt
 */
struct pcv_ivshmem_vector {
	struct pcv_ivshmem_hub *hub;
	unsigned int first;
	char name[24];
};

/**
 * struct pcv_ivshmem_hub - an ivshmem-doorbell device
 * @pdev:	it
 * @regs:	its registers
 * @bridge:	the registers of shm.h
 * @id:		its IVPosition
 * @node:	number of this node
 * @vectors:	interrupts that it has
 * @vector:	they
 * @ports:	by number of the peer. Written under pcv_ivshmem_lock, read by
 *		interrupts.
 * @cable:	the only port of a cable
 * @inbound:	this node's half of a cable
 *
 * Lives while the driver is bound to @pdev. Constant but for @ports and @cable.
 */
struct pcv_ivshmem_hub {
	struct pci_dev *pdev;
	void __iomem *regs;
	void *bridge;
	u32 id;
	unsigned int node;
	unsigned int vectors;
	struct pcv_ivshmem_vector vector[PCV_SHM_NODES];
	struct pcv_ivport __rcu *ports[PCV_SHM_NODES];
	struct pcv_ivport *cable;
	struct device *inbound;
};

/**
 * struct pcv_ivshmem_memory - an ivshmem-plain device
 * @list:	in pcv_ivshmem_memories
 * @pdev:	it
 * @port:	the port to the machine whose memory it is, if there is a hub
 *
 * Lives while the driver is bound to @pdev. Guarded by pcv_ivshmem_lock.
 */
struct pcv_ivshmem_memory {
	struct list_head list;
	struct pci_dev *pdev;
	struct pcv_ivport *port;
};

/* Held while ports are made and ended, outside of everything that NTB clients take. */
static DEFINE_MUTEX(pcv_ivshmem_lock);
static LIST_HEAD(pcv_ivshmem_memories);
/* The hub that is no cable. */
static struct pcv_ivshmem_hub *pcv_ivshmem_hub;

/* --- ports ---------------------------------------------------------------------- */

static irqreturn_t pcv_ivshmem_interrupt(int irq, void *data)
{
	struct pcv_ivshmem_vector *vector = data;
	struct pcv_ivshmem_hub *hub = vector->hub;
	struct pcv_ivport *port;
	unsigned int i;

	rcu_read_lock();
	for (i = vector->first; i < PCV_SHM_NODES; i += hub->vectors) {
		port = rcu_dereference(hub->ports[i]);
		if (port)
			pcv_ivport_look(port);
	}
	rcu_read_unlock();
	return IRQ_HANDLED;
}

static struct pcv_ivport *pcv_ivshmem_port_new(struct pcv_ivshmem_hub *hub, struct pci_dev *pdev,
					       unsigned int number)
{
	struct pcv_ivport *port = kzalloc(sizeof(*port), GFP_KERNEL);

	if (!port)
		return NULL;
	port->node = hub->node;
	port->number = number;
	port->doorbell = hub->regs + PCV_IVSHMEM_DOORBELL;
	port->wake = hub->id << 16 | number % hub->vectors;
	port->nd.ntb.pdev = pdev;
	return port;
}

static void pcv_ivshmem_port_end(struct pcv_ivshmem_hub *hub, struct pcv_ivport *port)
{
	RCU_INIT_POINTER(hub->ports[port->number], NULL);
	synchronize_rcu();
	pcv_ivport_close(port);
	kfree(port);
}

/* @port has been filled in. Takes possession of it: on failure, too. */
static int pcv_ivshmem_port_start(struct pcv_ivshmem_hub *hub, struct pcv_ivport *port)
{
	int err;

	lockdep_assert_held(&pcv_ivshmem_lock);
	pcv_ivport_open(port, hub->bridge);
	rcu_assign_pointer(hub->ports[port->number], port);

	/* What came before interrupts found the port. */
	local_irq_disable();
	pcv_ivport_look(port);
	local_irq_enable();

	err = pcv_ntb_dev_register(&port->nd);
	if (err) {
		pcv_ivshmem_port_end(hub, port);
		return err;
	}
	pci_info(port->nd.ntb.pdev, "NTB to node %u, %llu MiB\n", port->number,
		 port->nd.peer_bytes >> 20);
	return 0;
}

static void pcv_ivshmem_port_stop(struct pcv_ivshmem_hub *hub, struct pcv_ivport *port)
{
	lockdep_assert_held(&pcv_ivshmem_lock);
	pcv_ntb_dev_unregister(&port->nd);
	pcv_ivshmem_port_end(hub, port);
}

/* --- memory of the peers ----------------------------------------------------- */

static bool pcv_ivshmem_is_memory(struct pci_dev *pdev)
{
	return !pci_resource_len(pdev, PCV_IVSHMEM_BAR_MSIX);
}

/* Where @pdev stands among the devices that are memory. */
static unsigned int pcv_ivshmem_rank(struct pci_dev *pdev)
{
	u64 here = (u64)pci_domain_nr(pdev->bus) << 16 | pci_dev_id(pdev);
	struct pci_dev *other = NULL;
	unsigned int rank = 0;

	while ((other = pci_get_device(PCV_IVSHMEM_VENDOR, PCV_IVSHMEM_DEVICE, other)))
		if (pcv_ivshmem_is_memory(other) &&
		    ((u64)pci_domain_nr(other->bus) << 16 | pci_dev_id(other)) < here)
			rank++;
	return rank;
}

/*
 * Peers reach this machine's memory past every IOMMU: translations lead to
 * physical addresses. Where those of the PCI device are others (a POWER machine's
 * always are), the NTB device is its own DMA device, and nothing translates for it.
 */
static void pcv_ivshmem_untranslate(struct pcv_ntb_dev *nd)
{
	struct device *dev = &nd->ntb.dev;

	if (!device_iommu_mapped(&nd->ntb.pdev->dev) && !get_dma_ops(&nd->ntb.pdev->dev))
		return;
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	dev->dma_mask = &dev->coherent_dma_mask;
	nd->dma_dev = dev;
}

static int pcv_ivshmem_join(struct pcv_ivshmem_hub *hub, struct pcv_ivshmem_memory *memory)
{
	struct pci_dev *pdev = memory->pdev;
	struct pcv_ivport *port;
	unsigned int number;
	int err;

	lockdep_assert_held(&pcv_ivshmem_lock);
	number = pcv_ivshmem_rank(pdev);
	if (number >= hub->node)
		number++;
	if (number >= PCV_SHM_NODES || rcu_access_pointer(hub->ports[number])) {
		pci_err(pdev, "no number is left for a peer: %d machines at most\n",
			PCV_SHM_NODES);
		return -ENOSPC;
	}
	port = pcv_ivshmem_port_new(hub, pdev, number);
	if (!port)
		return -ENOMEM;
	port->memory = pci_resource_start(pdev, PCV_IVSHMEM_BAR_MEMORY);
	port->nd.access = &pcv_ivport_ram_access;
	port->nd.local_bytes = pcv_ram_bytes();
	port->nd.peer_bytes = pci_resource_len(pdev, PCV_IVSHMEM_BAR_MEMORY);
	port->nd.windows = PCV_NTB_WINDOWS;
	pcv_ivshmem_untranslate(&port->nd);
	err = pcv_ivshmem_port_start(hub, port);
	if (err)
		return err;
	memory->port = port;
	return 0;
}

static int pcv_ivshmem_memory_probe(struct pci_dev *pdev)
{
	struct pcv_ivshmem_memory *memory;
	int err;

	memory = kzalloc(sizeof(*memory), GFP_KERNEL);
	if (!memory)
		return -ENOMEM;
	memory->pdev = pdev;
	pci_set_drvdata(pdev, memory);

	mutex_lock(&pcv_ivshmem_lock);
	if (pcv_ivshmem_hub) {
		err = pcv_ivshmem_join(pcv_ivshmem_hub, memory);
		if (err)
			goto err_free;
	}
	list_add_tail(&memory->list, &pcv_ivshmem_memories);
	mutex_unlock(&pcv_ivshmem_lock);
	return 0;

err_free:
	mutex_unlock(&pcv_ivshmem_lock);
	kfree(memory);
	return err;
}

static void pcv_ivshmem_memory_remove(struct pci_dev *pdev)
{
	struct pcv_ivshmem_memory *memory = pci_get_drvdata(pdev);

	mutex_lock(&pcv_ivshmem_lock);
	list_del(&memory->list);
	if (memory->port)
		pcv_ivshmem_port_stop(pcv_ivshmem_hub, memory->port);
	mutex_unlock(&pcv_ivshmem_lock);
	kfree(memory);
}

static int pcv_ivshmem_hub_join(struct pcv_ivshmem_hub *hub)
{
	struct pcv_ivshmem_memory *memory;
	int err;

	lockdep_assert_held(&pcv_ivshmem_lock);
	hub->node = node >= 0 ? node : hub->id;
	if (hub->node >= PCV_SHM_NODES) {
		pci_err(hub->pdev, "%u is no number of a machine, 0 to %u are: say node=\n",
			hub->node, PCV_SHM_NODES - 1);
		return -EINVAL;
	}
	if (pcv_ivshmem_hub) {
		pci_err(hub->pdev, "only one device of less than %u MiB\n",
			PCV_IVSHMEM_CABLE_MIN / SZ_1M);
		return -EBUSY;
	}
	pcv_ivshmem_hub = hub;
	/* One that cannot join is no reason to do without the others. */
	list_for_each_entry(memory, &pcv_ivshmem_memories, list) {
		err = pcv_ivshmem_join(hub, memory);
		if (err)
			pci_err(memory->pdev, "no NTB: %d\n", err);
	}
	return 0;
}

static void pcv_ivshmem_hub_leave(struct pcv_ivshmem_hub *hub)
{
	struct pcv_ivshmem_memory *memory;

	lockdep_assert_held(&pcv_ivshmem_lock);
	list_for_each_entry(memory, &pcv_ivshmem_memories, list) {
		if (memory->port)
			pcv_ivshmem_port_stop(hub, memory->port);
		memory->port = NULL;
	}
	pcv_ivshmem_hub = NULL;
}

/* --- cables ------------------------------------------------------------------- */

static bool pcv_ivshmem_is_cable(struct pci_dev *pdev)
{
	return pci_resource_len(pdev, PCV_IVSHMEM_BAR_MEMORY) >= PCV_IVSHMEM_CABLE_MIN;
}

/* Whether somebody drives an end of a cable. Sleeps. */
static bool pcv_ivshmem_end_taken(struct pcv_ivshmem_hub *hub, unsigned int end)
{
	struct pcv_shm_port *port = pcv_shm_port_at(hub->bridge, end, !end);
	u64 beat = pcv_shm_load(&port->beat);
	unsigned int ms;

	for (ms = 0; pcv_shm_link_read(port); ms += PCV_IVPORT_BEAT_MS) {
		if (pcv_shm_load(&port->beat) != beat)
			return true;
		if (ms >= 4 * PCV_IVPORT_BEAT_MS)
			return false;
		msleep(PCV_IVPORT_BEAT_MS);
	}
	return false;
}

/* Which end of a cable this node is. */
static int pcv_ivshmem_choose_end(struct pcv_ivshmem_hub *hub)
{
	unsigned int end = hub->id & 1;

	if (node >= 0)
		end = node;
	else if (hub->id > 1 && pcv_ivshmem_end_taken(hub, end))
		end = !end;
	if (end > 1) {
		pci_err(hub->pdev, "a cable has ends 0 and 1, not %u\n", end);
		return -EINVAL;
	}
	if (pcv_ivshmem_end_taken(hub, end)) {
		pci_err(hub->pdev, "another machine is end %u of this cable: it joins two\n", end);
		return -EBUSY;
	}
	hub->node = end;
	return 0;
}

static int pcv_ivshmem_cable_join(struct pcv_ivshmem_hub *hub)
{
	struct pci_dev *pdev = hub->pdev;
	u64 start = pci_resource_start(pdev, PCV_IVSHMEM_BAR_MEMORY);
	u64 half = pci_resource_len(pdev, PCV_IVSHMEM_BAR_MEMORY) / 2;
	u64 bytes = half - PCV_IVSHMEM_CABLE_HEAD;
	struct pcv_ivport *port;
	int err;

	lockdep_assert_held(&pcv_ivshmem_lock);
	err = pcv_ivshmem_choose_end(hub);
	if (err)
		return err;
	port = pcv_ivshmem_port_new(hub, pdev, !hub->node);
	if (!port)
		return -ENOMEM;
	/* Both the same: the first half less the registers, and as much of the second. */
	port->own = start + (hub->node ? half : PCV_IVSHMEM_CABLE_HEAD);
	port->memory = start + (hub->node ? PCV_IVSHMEM_CABLE_HEAD : half);
	hub->inbound = pcv_range_create(&pdev->dev, port->own, bytes);
	if (IS_ERR(hub->inbound)) {
		kfree(port);
		return PTR_ERR(hub->inbound);
	}
	port->nd.access = &pcv_ivport_cable_access;
	port->nd.dma_dev = hub->inbound;
	port->nd.local_bytes = bytes;
	port->nd.peer_bytes = bytes;
	port->nd.windows = 1;
	port->nd.bar = port->memory;
	port->nd.window_bytes = bytes;
	err = pcv_ivshmem_port_start(hub, port);
	if (err) {
		pcv_range_destroy(hub->inbound);
		return err;
	}
	hub->cable = port;
	return 0;
}

static void pcv_ivshmem_cable_leave(struct pcv_ivshmem_hub *hub)
{
	lockdep_assert_held(&pcv_ivshmem_lock);
	pcv_ivshmem_port_stop(hub, hub->cable);
	pcv_range_destroy(hub->inbound);
}

/* --- doorbells ------------------------------------------------------------------ */

static int pcv_ivshmem_request_irqs(struct pcv_ivshmem_hub *hub)
{
	struct pcv_ivshmem_vector *vector;
	int count, err;

	count = pci_alloc_irq_vectors(hub->pdev, 1, PCV_SHM_NODES, PCI_IRQ_MSIX);
	if (count < 0) {
		pci_err(hub->pdev, "no MSI-X: %d\n", count);
		return count;
	}
	/* Not before it is known how many: an interrupt takes strides of it. */
	hub->vectors = count;
	while (count--) {
		vector = &hub->vector[count];
		vector->hub = hub;
		vector->first = count;
		snprintf(vector->name, sizeof(vector->name), "ntb_ivshmem.%d", count);
		err = request_irq(pci_irq_vector(hub->pdev, count), pcv_ivshmem_interrupt, 0,
				  vector->name, vector);
		if (err)
			goto err_free;
	}
	return 0;

err_free:
	while (++count < hub->vectors)
		free_irq(pci_irq_vector(hub->pdev, count), &hub->vector[count]);
	pci_free_irq_vectors(hub->pdev);
	return err;
}

static void pcv_ivshmem_free_irqs(struct pcv_ivshmem_hub *hub)
{
	unsigned int i;

	for (i = 0; i < hub->vectors; i++)
		free_irq(pci_irq_vector(hub->pdev, i), &hub->vector[i]);
	pci_free_irq_vectors(hub->pdev);
}

static int pcv_ivshmem_hub_probe(struct pci_dev *pdev)
{
	struct pcv_ivshmem_hub *hub;
	int err;

	if (pci_resource_len(pdev, PCV_IVSHMEM_BAR_MEMORY) < PCV_SHM_BYTES) {
		pci_err(pdev, "%llu KiB of shared memory are not enough, %u are\n",
			(u64)pci_resource_len(pdev, PCV_IVSHMEM_BAR_MEMORY) / SZ_1K,
			PCV_SHM_BYTES / SZ_1K);
		return -ENODEV;
	}
	hub = kzalloc(sizeof(*hub), GFP_KERNEL);
	if (!hub)
		return -ENOMEM;
	hub->pdev = pdev;
	err = pci_request_region(pdev, PCV_IVSHMEM_BAR_REGS, KBUILD_MODNAME);
	if (err)
		goto err_free;
	hub->regs = pci_iomap(pdev, PCV_IVSHMEM_BAR_REGS, 0);
	if (!hub->regs) {
		err = -ENOMEM;
		goto err_release;
	}
	hub->bridge = memremap(pci_resource_start(pdev, PCV_IVSHMEM_BAR_MEMORY), PCV_SHM_BYTES,
			       MEMREMAP_WB);
	if (!hub->bridge) {
		err = -ENOMEM;
		goto err_unmap_regs;
	}
	hub->id = readl(hub->regs + PCV_IVSHMEM_IVPOSITION);
	if (hub->id > U16_MAX) {
		pci_err(pdev, "no IVPosition (%#x)\n", hub->id);
		err = -ENODEV;
		goto err_unmap_bridge;
	}
	err = pcv_ivshmem_request_irqs(hub);
	if (err)
		goto err_unmap_bridge;

	mutex_lock(&pcv_ivshmem_lock);
	err = pcv_ivshmem_is_cable(pdev) ? pcv_ivshmem_cable_join(hub) : pcv_ivshmem_hub_join(hub);
	mutex_unlock(&pcv_ivshmem_lock);
	if (err)
		goto err_free_irqs;
	pci_set_drvdata(pdev, hub);
	return 0;

err_free_irqs:
	pcv_ivshmem_free_irqs(hub);
err_unmap_bridge:
	memunmap(hub->bridge);
err_unmap_regs:
	pci_iounmap(pdev, hub->regs);
err_release:
	pci_release_region(pdev, PCV_IVSHMEM_BAR_REGS);
err_free:
	kfree(hub);
	return err;
}

static void pcv_ivshmem_hub_remove(struct pci_dev *pdev)
{
	struct pcv_ivshmem_hub *hub = pci_get_drvdata(pdev);

	mutex_lock(&pcv_ivshmem_lock);
	if (hub->cable)
		pcv_ivshmem_cable_leave(hub);
	else
		pcv_ivshmem_hub_leave(hub);
	mutex_unlock(&pcv_ivshmem_lock);
	pcv_ivshmem_free_irqs(hub);
	memunmap(hub->bridge);
	pci_iounmap(pdev, hub->regs);
	pci_release_region(pdev, PCV_IVSHMEM_BAR_REGS);
	kfree(hub);
}

/* --- the driver ------------------------------------------------------------------- */

static int pcv_ivshmem_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int err;

	err = pci_enable_device_mem(pdev);
	if (err)
		return err;
	err = pci_request_region(pdev, PCV_IVSHMEM_BAR_MEMORY, KBUILD_MODNAME);
	if (err)
		goto err_disable;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto err_release;
	pci_set_master(pdev);
	err = pcv_ivshmem_is_memory(pdev) ? pcv_ivshmem_memory_probe(pdev)
					  : pcv_ivshmem_hub_probe(pdev);
	if (err)
		goto err_clear_master;
	return 0;

err_clear_master:
	pci_clear_master(pdev);
err_release:
	pci_release_region(pdev, PCV_IVSHMEM_BAR_MEMORY);
err_disable:
	pci_disable_device(pdev);
	return err;
}

static void pcv_ivshmem_remove(struct pci_dev *pdev)
{
	if (pcv_ivshmem_is_memory(pdev))
		pcv_ivshmem_memory_remove(pdev);
	else
		pcv_ivshmem_hub_remove(pdev);
	pci_clear_master(pdev);
	pci_release_region(pdev, PCV_IVSHMEM_BAR_MEMORY);
	pci_disable_device(pdev);
}

static const struct pci_device_id pcv_ivshmem_ids[] = {
	{ PCI_DEVICE(PCV_IVSHMEM_VENDOR, PCV_IVSHMEM_DEVICE) },
	{ }
};
MODULE_DEVICE_TABLE(pci, pcv_ivshmem_ids);

static struct pci_driver pcv_ivshmem_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= pcv_ivshmem_ids,
	.probe		= pcv_ivshmem_probe,
	.remove		= pcv_ivshmem_remove,
};

static int __init pcv_ivshmem_init(void)
{
	int err;

	err = pcv_ivport_init();
	if (err)
		return err;
	err = pci_register_driver(&pcv_ivshmem_driver);
	if (err)
		pcv_ivport_exit();
	return err;
}
module_init(pcv_ivshmem_init);

static void __exit pcv_ivshmem_exit(void)
{
	pci_unregister_driver(&pcv_ivshmem_driver);
	pcv_ivport_exit();
}
module_exit(pcv_ivshmem_exit);

MODULE_DESCRIPTION("NTB of virtual machines that share memory through ivshmem");
MODULE_LICENSE("Dual BSD/GPL");
