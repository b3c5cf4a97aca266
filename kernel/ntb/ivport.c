// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The port of a virtual machine towards another one: see ivport.h.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/random.h>
#include <linux/sizes.h>

#include "ivport.h"
#include "ram.h"

/* No kernel has larger pages; the peer maps whole ones. */
#define PCV_IVPORT_ALIGN	SZ_64K

static unsigned int dead_after_ms = 3000;
module_param(dead_after_ms, uint, 0644);
MODULE_PARM_DESC(dead_after_ms, "A machine whose heartbeat stands still for so long is gone (3000)");

/*
 * By this peers know this machine's memory: a page of it, and what it begins
 * with. Constant after module load.
 */
static __le64 *pcv_ivport_proof;

static struct pcv_ivport *pcv_ivport_of(struct pcv_ntb_dev *nd)
{
	return container_of(nd, struct pcv_ivport, nd);
}

/* The peer says what to store; the worst it can do is to have someone else woken. */
static void pcv_ivport_kick(struct pcv_ntb_dev *nd)
{
	u64 wake = pcv_shm_load(&nd->there->wake);

	if (wake & PCV_SHM_WAKE_VALID)
		writel(lower_32_bits(wake), pcv_ivport_of(nd)->doorbell);
}

static int pcv_ivport_ram_local(struct pcv_ntb_dev *nd, u64 addr, u64 size, u64 *at)
{
	return pcv_ram_offset(addr, size, at);
}

static bool pcv_ivport_ram_direct(struct pcv_ntb_dev *nd, u64 addr, phys_addr_t *at)
{
	struct pcv_ivport *port = pcv_ivport_of(nd);

	if (READ_ONCE(port->proven) != pcv_ntb_dev_peer_gen(nd))
		return false;
	*at = port->memory + addr;
	return true;
}

const struct pcv_ntb_access pcv_ivport_ram_access = {
	.kick	= pcv_ivport_kick,
	.local	= pcv_ivport_ram_local,
	.direct	= pcv_ivport_ram_direct,
};

static int pcv_ivport_cable_local(struct pcv_ntb_dev *nd, u64 addr, u64 size, u64 *at)
{
	u64 own = pcv_ivport_of(nd)->own;

	if (addr < own || size > nd->local_bytes || addr - own > nd->local_bytes - size)
		return -EINVAL;
	*at = addr - own;
	return 0;
}

static bool pcv_ivport_cable_direct(struct pcv_ntb_dev *nd, u64 addr, phys_addr_t *at)
{
	*at = pcv_ivport_of(nd)->memory + addr;
	return true;
}

const struct pcv_ntb_access pcv_ivport_cable_access = {
	.kick	= pcv_ivport_kick,
	.local	= pcv_ivport_cable_local,
	.direct	= pcv_ivport_cable_direct,
};

static bool pcv_ivport_must_prove(const struct pcv_ivport *port)
{
	return port->nd.access == &pcv_ivport_ram_access;
}

/* Whether a BAR is the memory of the machine that it is taken for. */
static void pcv_ivport_prove(struct work_struct *work)
{
	struct pcv_ivport *port = container_of(work, struct pcv_ivport, prove);
	struct pcv_ntb_dev *nd = &port->nd;
	u32 gen = pcv_ntb_dev_peer_gen(nd);
	u64 at, proof, found;
	__le64 *map;

	WRITE_ONCE(port->asked, gen);
	if (!gen)
		return;
	at = pcv_shm_load(&nd->there->proof_at);
	proof = pcv_shm_load(&nd->there->proof);
	if (!at || !IS_ALIGNED(at, sizeof(*map)) || at > nd->peer_bytes - sizeof(*map)) {
		dev_err_ratelimited(&nd->ntb.pdev->dev,
				    "node %u has more memory than its BAR shows: no window\n",
				    port->number);
		return;
	}
	map = memremap(port->memory + at, sizeof(*map), MEMREMAP_WC);
	if (!map) {
		dev_err_ratelimited(&nd->ntb.pdev->dev,
				    "memory of node %u cannot be mapped: no window\n",
				    port->number);
		return;
	}
	found = pcv_shm_load(map);
	memunmap(map);
	/* One that has gone meanwhile has proved nothing; its successor comes with a kick. */
	if (pcv_ntb_dev_peer_gen(nd) != gen)
		return;
	if (found == proof)
		WRITE_ONCE(port->proven, gen);
	else
		dev_err_ratelimited(&nd->ntb.pdev->dev, "this is not the memory of node %u: no window\n",
				    port->number);
}

void pcv_ivport_look(struct pcv_ivport *port)
{
	u32 gen = pcv_ntb_dev_peer_gen(&port->nd);

	if (gen && gen != READ_ONCE(port->asked) && pcv_ivport_must_prove(port))
		schedule_work(&port->prove);
	pcv_ntb_dev_kicked(&port->nd);
}

static void pcv_ivport_pulse(struct timer_list *timer)
{
	struct pcv_ivport *port = from_timer(port, timer, pulse);
	struct pcv_ntb_dev *nd = &port->nd;
	unsigned int limit_ms = max(READ_ONCE(dead_after_ms), 2U * PCV_IVPORT_BEAT_MS);
	/* The generation first: a successor's heart has beaten before it shows. */
	u32 gen = pcv_ntb_dev_peer_gen(nd);
	u64 beat = pcv_shm_load(&nd->there->beat);
	bool lost;

	pcv_shm_store(&nd->here->beat, ++port->beats);
	if (beat != port->peer_beat || !gen) {
		port->peer_beat = beat;
		port->silent_ms = 0;
	} else if (port->silent_ms < limit_ms) {
		port->silent_ms += PCV_IVPORT_BEAT_MS;
	}
	lost = port->silent_ms >= limit_ms;
	if (port->lost != lost) {
		port->lost = lost;
		pcv_ntb_dev_lost(nd, lost ? gen : 0);
	}
	/* Costs next to nothing, and a wake-up that went astray is made up for. */
	pcv_ivport_look(port);
	mod_timer(timer, jiffies + msecs_to_jiffies(PCV_IVPORT_BEAT_MS));
}

void pcv_ivport_open(struct pcv_ivport *port, void *bridge)
{
	struct pcv_ntb_dev *nd = &port->nd;
	u64 proof_at = 0;

	nd->here = pcv_shm_port_at(bridge, port->node, port->number);
	nd->there = pcv_shm_port_at(bridge, port->number, port->node);
	nd->align = PCV_IVPORT_ALIGN;
	timer_setup(&port->pulse, pcv_ivport_pulse, TIMER_IRQSAFE);
	INIT_WORK(&port->prove, pcv_ivport_prove);

	/* All this is the new generation's, and must be there before that shows. */
	port->beats = pcv_shm_load(&nd->here->beat) + 1;
	pcv_shm_store(&nd->here->beat, port->beats);
	pcv_shm_store(&nd->here->wake, PCV_SHM_WAKE_VALID | port->wake);
	if (pcv_ivport_must_prove(port) &&
	    pcv_ram_offset(virt_to_phys(pcv_ivport_proof), sizeof(*pcv_ivport_proof), &proof_at))
		pci_err(nd->ntb.pdev, "this machine's memory is not as expected: no window\n");
	pcv_shm_store(&nd->here->proof_at, proof_at);
	pcv_shm_store(&nd->here->proof, le64_to_cpu(*pcv_ivport_proof));
	pcv_ntb_dev_init(nd, port->node < port->number);
	mod_timer(&port->pulse, jiffies + msecs_to_jiffies(PCV_IVPORT_BEAT_MS));
}

void pcv_ivport_close(struct pcv_ivport *port)
{
	del_timer_sync(&port->pulse);
	cancel_work_sync(&port->prove);
	pcv_ntb_dev_fini(&port->nd);
	pcv_shm_store(&port->nd.here->wake, 0);
}

int pcv_ivport_init(void)
{
	int err;

	err = pcv_ram_survey();
	if (err)
		return err;
	pcv_ivport_proof = (__le64 *)get_zeroed_page(GFP_KERNEL);
	if (!pcv_ivport_proof)
		return -ENOMEM;
	*pcv_ivport_proof = cpu_to_le64(get_random_u64());
	return 0;
}

void pcv_ivport_exit(void)
{
	free_page((unsigned long)pcv_ivport_proof);
}
