// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The NTB of a User-Mode Linux node: the module, and the access to the peers.
 *
 *   insmod ntb_uml.ko node=0 nodes=2 dir=/run/lab
 *
 * What must be there, in the host's directory @dir and before the nodes boot:
 *
 *   bridge        at least 256 KiB of zeroes: the registers (shm.h). Every node
 *                 has it as I/O memory: iomem=pcvbridge,DIR/bridge
 *   ramI          the RAM of node I: its physical address X is offset X. Every
 *                 other node has it as I/O memory: iomem=pcvramI,DIR/ramI
 *   ap.I.J        optional, for every ordered pair: memory that node I offers to
 *                 J, I/O memory of both: iomem=pcvownJ,DIR/ap.I.J in I and
 *                 iomem=pcvofferI,DIR/ap.I.J in J. It is for apertures that
 *                 UML's page allocator is too small for (it ends at 4 MiB).
 *   db.I.J        for every ordered pair a FIFO: wakes node J when I asks
 *
 * UML counts the total size of I/O memory in an int: it must stay below 2 GiB.
 *
 * The FIFO is the lifeline too. Its writing node keeps it open for as long as
 * the driver is loaded; when that node ends, however it ends, the host closes
 * it, and the reading node is interrupted by the end of file. That needs every
 * process of the node that shares its files to end with it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <as-layout.h>
#include <irq_kern.h>
#include <mem_user.h>
#include <os.h>

#include "bus.h"
#include "dev.h"
#include "window.h"

/* Far above UML's memory, and I/O memory, and the bus that UML itself has. */
#define PCV_UML_BARS	0x10000000000ULL

/*
 * UML can sleep through a wake-up: when the signal comes after its idle loop
 * has looked for work and before it suspends itself, the handler only takes a
 * note, and nobody reads it until the next signal. So a wake-up that has not
 * been seen is repeated, a few times, at intervals that double from here. An
 * ordinary timer does: it comes with a tick that a busy node has anyway.
 */
#define PCV_UML_AGAIN_MS	10
#define PCV_UML_AGAIN_MAX_MS	320

static int node = -1;
module_param(node, int, 0444);
MODULE_PARM_DESC(node, "Number of this node, from 0");

static int nodes;
module_param(nodes, int, 0444);
MODULE_PARM_DESC(nodes, "Number of nodes, 2 to 8");

static char *dir;
module_param(dir, charp, 0444);
MODULE_PARM_DESC(dir, "Directory on the host with the bridge, the RAM files and the FIFOs");

static ulong mw_size = 1UL << 20;
module_param(mw_size, ulong, 0444);
MODULE_PARM_DESC(mw_size, "Size of a window's indirect range in bytes, a power of two (1 MiB)");

/**
 * struct pcv_uml_peer - the port towards one peer
 * @nd:		the NTB port
 * @window:	where the peer's memory appears
 * @pdev:	its function on the software bus
 * @number:	the peer's node number
 * @rx_fd:	FIFO from the peer, open for reading only: its end of file says
 *		that the peer is gone
 * @tx_fd:	FIFO to the peer. Open for reading too, so that writing needs no
 *		reader and cannot fail for want of one.
 * @irq:	interrupt of @rx_fd
 * @name:	of the interrupt
 * @again:	repeats a wake-up; runs only after one was sent
 * @again_ms:	its interval. A race for it is harmless.
 * @range:	memory that is offered to the peer: address, bytes
 * @props:	@range as a property of @pdev
 * @node:	what has the property
 *
 * Lives while the driver is bound to @pdev.
 */
struct pcv_uml_peer {
	struct pcv_ntb_dev nd;
	struct pcv_window_peer window;
	struct pci_dev *pdev;
	unsigned int number;
	int rx_fd;
	int tx_fd;
	int irq;
	char name[16];
	struct timer_list again;
	unsigned int again_ms;
	u64 range[2];
	struct property_entry props[2];
	struct software_node node;
};

/* The bridge page. Constant after module load. */
static void *pcv_uml_bridge;

static void pcv_uml_kick(struct pcv_ntb_dev *nd)
{
	struct pcv_uml_peer *peer = container_of(nd, struct pcv_uml_peer, nd);

	/* A FIFO that is full holds what wakes the peer already. */
	os_write_file(peer->tx_fd, "", 1);
	WRITE_ONCE(peer->again_ms, PCV_UML_AGAIN_MS);
	if (!timer_pending(&peer->again))
		mod_timer(&peer->again,
			  jiffies + msecs_to_jiffies(PCV_UML_AGAIN_MS));
}

static void pcv_uml_again(struct timer_list *timer)
{
	struct pcv_uml_peer *peer = from_timer(peer, timer, again);
	unsigned int ms = 2 * READ_ONCE(peer->again_ms);

	if (!pcv_shm_kick_pending(peer->nd.there) || ms > PCV_UML_AGAIN_MAX_MS)
		return;
	os_write_file(peer->tx_fd, "", 1);
	WRITE_ONCE(peer->again_ms, ms);
	mod_timer(timer, jiffies + msecs_to_jiffies(ms));
}

static u64 pcv_uml_ram_bytes(void)
{
	return (high_physmem - uml_physmem) & ~(PCV_SHM_UNIT - 1);
}

static bool pcv_uml_within(u64 addr, u64 size, u64 start, u64 bytes)
{
	return size <= bytes && addr >= start && addr - start <= bytes - size;
}

/*
 * All of this node's RAM is the peers' to see, and at the same addresses; what
 * it offers is one peer's.
 */
static int pcv_uml_local(struct pcv_ntb_dev *nd, u64 addr, u64 size, u64 *at)
{
	struct pcv_uml_peer *peer = container_of(nd, struct pcv_uml_peer, nd);

	if (pcv_uml_within(addr, size, 0, pcv_uml_ram_bytes()))
		*at = addr;
	else if (pcv_uml_within(addr, size, peer->range[0], peer->range[1]))
		*at = addr - peer->range[0] + PCV_SHM_OFFERED;
	else
		return -EINVAL;
	return 0;
}

static bool pcv_uml_direct(struct pcv_ntb_dev *nd, u64 addr, phys_addr_t *at)
{
	struct pcv_window_peer *window = &container_of(nd, struct pcv_uml_peer, nd)->window;

	*at = addr < PCV_SHM_OFFERED ? window->ram_phys + addr :
				       window->offered_phys + (addr - PCV_SHM_OFFERED);
	return true;
}

static const struct pcv_ntb_access pcv_uml_access = {
	.kick	= pcv_uml_kick,
	.local	= pcv_uml_local,
	.direct	= pcv_uml_direct,
};

/* Empties the FIFO. Returns false if the peer has no hand on it any more. */
static bool pcv_uml_drain(struct pcv_uml_peer *peer)
{
	char junk[64];
	int n;

	do {
		n = os_read_file(peer->rx_fd, junk, sizeof(junk));
	} while (n > 0 || n == -EINTR);
	return n;
}

static void pcv_uml_look(struct pcv_uml_peer *peer)
{
	u32 gen = pcv_ntb_dev_peer_gen(&peer->nd);

	if (!pcv_uml_drain(peer))
		pcv_ntb_dev_lost(&peer->nd, gen);
	pcv_ntb_dev_kicked(&peer->nd);
}

static irqreturn_t pcv_uml_interrupt(int irq, void *data)
{
	pcv_uml_look(data);
	return IRQ_HANDLED;
}

static int pcv_uml_open(unsigned int from, unsigned int to, bool reader)
{
	char *path;
	int fd, only;

	path = kasprintf(GFP_KERNEL, "%s/db.%u.%u", dir, from, to);
	if (!path)
		return -ENOMEM;
	/* Both ways at first: anything else waits for the other side. */
	fd = os_open_file(path, of_cloexec(of_rdwr(OPENFLAGS())), 0);
	if (fd < 0) {
		pr_err("cannot open %s: %d\n", path, fd);
		goto out;
	}
	if (reader) {
		only = os_open_file(path, of_cloexec(of_read(OPENFLAGS())), 0);
		os_close_file(fd);
		fd = only;
		if (fd < 0)
			goto out;
	}
	os_set_fd_block(fd, 0);
out:
	kfree(path);
	return fd;
}

static int pcv_uml_start(struct pcv_uml_peer *peer)
{
	int err;

	peer->rx_fd = pcv_uml_open(peer->number, node, true);
	if (peer->rx_fd < 0)
		return peer->rx_fd;
	peer->tx_fd = pcv_uml_open(node, peer->number, false);
	if (peer->tx_fd < 0) {
		err = peer->tx_fd;
		goto err_close_rx;
	}

	timer_setup(&peer->again, pcv_uml_again, 0);
	pcv_ntb_dev_init(&peer->nd, node < peer->number);
	snprintf(peer->name, sizeof(peer->name), "ntb_uml.%u", peer->number);
	peer->irq = um_request_irq(UM_IRQ_ALLOC, peer->rx_fd, IRQ_READ,
				   pcv_uml_interrupt, 0, peer->name, peer);
	if (peer->irq < 0) {
		err = peer->irq;
		/* UML leaves the file armed when the second half fails. */
		free_irq_by_fd(peer->rx_fd);
		goto err_fini;
	}

	/*
	 * What came before the interrupt was armed, and above all: is there a
	 * peer at all, or only what a dead one has left in the registers?
	 */
	local_irq_disable();
	pcv_uml_look(peer);
	local_irq_enable();
	return 0;

err_fini:
	pcv_ntb_dev_fini(&peer->nd);
	del_timer_sync(&peer->again);
	os_close_file(peer->tx_fd);
err_close_rx:
	os_close_file(peer->rx_fd);
	return err;
}

static void pcv_uml_stop(struct pcv_uml_peer *peer)
{
	um_free_irq(peer->irq, peer);
	pcv_ntb_dev_fini(&peer->nd);
	del_timer_sync(&peer->again);
	os_close_file(peer->tx_fd);
	os_close_file(peer->rx_fd);
}

static void *pcv_uml_memory(const char *what, unsigned int number, u64 *bytes)
{
	char name[16];
	unsigned long virt, len;

	*bytes = 0;
	snprintf(name, sizeof(name), "%s%u", what, number);
	virt = find_iomem(name, &len);
	/* UML rounds a region up by a page, which the file does not have. */
	if (!virt || len <= PAGE_SIZE)
		return NULL;
	*bytes = len - PAGE_SIZE;
	return (void *)virt;
}

/* The client asks the device for it: see kernel/aperture.c. */
static int pcv_uml_offer(struct pcv_uml_peer *peer)
{
	struct pcv_ntb_dev *nd = &peer->nd;
	void *own = pcv_uml_memory("pcvown", peer->number, &peer->range[1]);

	peer->window.offered = pcv_uml_memory("pcvoffer", peer->number,
					      &nd->peer_offered_bytes);
	peer->window.offered_phys = __pa(peer->window.offered);
	if (!own)
		return 0;
	peer->range[0] = __pa(own);
	nd->local_bytes = max(nd->local_bytes, peer->range[1]);
	peer->props[0] = PROPERTY_ENTRY_U64_ARRAY("ntb-inbound-range", peer->range);
	peer->node.properties = peer->props;
	return device_add_software_node(&peer->pdev->dev, &peer->node);
}

static int pcv_uml_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	unsigned int number = PCI_SLOT(pdev->devfn);
	struct pcv_uml_peer *peer;
	struct pcv_ntb_dev *nd;
	int err;

	peer = kzalloc(sizeof(*peer), GFP_KERNEL);
	if (!peer)
		return -ENOMEM;
	peer->pdev = pdev;
	peer->number = number;

	err = pci_enable_device(pdev);
	if (err)
		goto err_free;
	err = pci_request_region(pdev, PCV_BUS_BAR, KBUILD_MODNAME);
	if (err)
		goto err_disable;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto err_release;
	pci_set_master(pdev);

	nd = &peer->nd;
	nd->ntb.pdev = pdev;
	nd->access = &pcv_uml_access;
	nd->here = pcv_shm_port_at(pcv_uml_bridge, node, number);
	nd->there = pcv_shm_port_at(pcv_uml_bridge, number, node);
	nd->local_bytes = pcv_uml_ram_bytes();
	nd->align = PCV_SHM_UNIT;
	nd->windows = PCV_NTB_WINDOWS;
	nd->bar = pci_resource_start(pdev, PCV_BUS_BAR);
	nd->window_bytes = mw_size;
	peer->window.nd = nd;
	peer->window.ram = pcv_uml_memory("pcvram", number, &nd->peer_bytes);
	peer->window.ram_phys = __pa(peer->window.ram);
	err = pcv_uml_offer(peer);
	if (err)
		goto err_release;

	err = pcv_uml_start(peer);
	if (err)
		goto err_withdraw;
	pcv_window_attach(&peer->window);
	pci_set_drvdata(pdev, peer);
	err = pcv_ntb_dev_register(nd);
	if (err)
		goto err_detach;
	dev_info(&pdev->dev, "NTB to node %u, %llu MiB\n", number,
		 nd->peer_bytes >> 20);
	return 0;

err_detach:
	pcv_window_detach(&peer->window);
	pcv_uml_stop(peer);
err_withdraw:
	device_remove_software_node(&pdev->dev);
err_release:
	pci_clear_master(pdev);
	pci_release_region(pdev, PCV_BUS_BAR);
err_disable:
	pci_disable_device(pdev);
err_free:
	kfree(peer);
	return err;
}

static void pcv_uml_remove(struct pci_dev *pdev)
{
	struct pcv_uml_peer *peer = pci_get_drvdata(pdev);

	pcv_ntb_dev_unregister(&peer->nd);
	pcv_window_detach(&peer->window);
	pcv_uml_stop(peer);
	device_remove_software_node(&pdev->dev);
	pci_clear_master(pdev);
	pci_release_region(pdev, PCV_BUS_BAR);
	pci_disable_device(pdev);
	kfree(peer);
}

static const struct pci_device_id pcv_uml_ids[] = {
	{ PCI_DEVICE(PCV_BUS_VENDOR, PCV_BUS_DEVICE) },
	{ }
};

static struct pci_driver pcv_uml_driver = {
	.name		= KBUILD_MODNAME,
	.id_table	= pcv_uml_ids,
	.probe		= pcv_uml_probe,
	.remove		= pcv_uml_remove,
};

static void pcv_uml_widen(const void *memory, u64 bytes, phys_addr_t *start, phys_addr_t *end)
{
	if (!memory)
		return;
	*start = min_t(phys_addr_t, *start, __pa(memory));
	*end = max_t(phys_addr_t, *end, __pa(memory) + bytes - 1);
}

/* Checks the parameters and finds the memory: everything the probes rely on. */
static int pcv_uml_survey(u32 *slots, struct resource *bars,
			  phys_addr_t *ram_start, phys_addr_t *ram_end)
{
	u64 bar_bytes, bytes;
	unsigned long len;
	unsigned int i;
	void *ram;

	if (nodes < 2 || nodes > PCV_SHM_NODES || node < 0 || node >= nodes ||
	    !dir || !*dir) {
		pr_err("node=, nodes= and dir= are needed\n");
		return -EINVAL;
	}
	if (!is_power_of_2(mw_size) || mw_size < PAGE_SIZE || mw_size > SZ_1G) {
		pr_err("mw_size must be a power of two, a page to 1 GiB\n");
		return -EINVAL;
	}

	pcv_uml_bridge = (void *)find_iomem("pcvbridge", &len);
	if (!pcv_uml_bridge || len < PCV_SHM_BYTES) {
		pr_err("no I/O memory pcvbridge of %lu KiB\n",
		       PCV_SHM_BYTES / 1024UL);
		return -ENODEV;
	}

	*slots = 0;
	*ram_start = PHYS_ADDR_MAX;
	*ram_end = 0;
	for (i = 0; i < nodes; i++) {
		if (i == node)
			continue;
		ram = pcv_uml_memory("pcvram", i, &bytes);
		if (!ram) {
			pr_err("no I/O memory pcvram%u\n", i);
			return -ENODEV;
		}
		*slots |= BIT(i);
		pcv_uml_widen(ram, bytes, ram_start, ram_end);
		ram = pcv_uml_memory("pcvoffer", i, &bytes);
		pcv_uml_widen(ram, bytes, ram_start, ram_end);
	}

	bar_bytes = (u64)mw_size * PCV_NTB_WINDOWS;
	*bars = (struct resource) {
		.name	= "pcv windows",
		.start	= PCV_UML_BARS,
		.end	= PCV_UML_BARS + bar_bytes * nodes - 1,
		.flags	= IORESOURCE_MEM | IORESOURCE_PREFETCH |
			  IORESOURCE_MEM_64,
	};
	return 0;
}

static int __init pcv_uml_init(void)
{
	phys_addr_t ram_start, ram_end;
	struct resource range, *bars;
	u32 slots;
	int err;

	err = pcv_uml_survey(&slots, &range, &ram_start, &ram_end);
	if (err)
		return err;
	bars = pcv_window_init(&range, ram_start, ram_end);
	if (IS_ERR(bars))
		return PTR_ERR(bars);
	err = pci_register_driver(&pcv_uml_driver);
	if (err)
		goto err_window;
	err = pcv_bus_init(slots, (u64)mw_size * PCV_NTB_WINDOWS, bars);
	if (err)
		goto err_driver;
	return 0;

err_driver:
	pci_unregister_driver(&pcv_uml_driver);
err_window:
	pcv_window_exit();
	return err;
}
module_init(pcv_uml_init);

static void __exit pcv_uml_exit(void)
{
	pci_unregister_driver(&pcv_uml_driver);
	pcv_bus_exit();
	pcv_window_exit();
}
module_exit(pcv_uml_exit);

MODULE_DESCRIPTION("NTB of User-Mode Linux nodes that share memory");
MODULE_LICENSE("Dual BSD/GPL");
