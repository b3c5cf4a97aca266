/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Windows into the peers' memory under UML, as emulated I/O memory: the BARs
 * of the software PCI bus (translated at each access) and the peers' RAM
 * itself (checked at each access). See dev.h for what clients see of it.
 *
 * UML's emulated I/O memory maps at most 16 MiB at once: a larger ioremap() of
 * a window fails. phys_to_virt() of a direct range has no such limit.
 */
#ifndef PCV_NTB_WINDOW_H
#define PCV_NTB_WINDOW_H

#include <linux/ioport.h>
#include <linux/list.h>

struct pcv_ntb_dev;

/**
 * struct pcv_window_peer - a peer whose memory can be reached
 * @list:	membership of the set of peers; belongs to window.c
 * @nd:		the port towards the peer
 * @ram:	the peer's memory, @nd->peer_bytes of it, always mapped
 * @ram_phys:	its CPU address
 * @offered:	what the peer offers besides, @nd->peer_offered_bytes of it
 * @offered_phys: its CPU address
 *
 * Owned by the access driver, which keeps it until after the port's client has
 * gone, and with it every mapping.
 */
struct pcv_window_peer {
	struct list_head list;
	struct pcv_ntb_dev *nd;
	void *ram;
	phys_addr_t ram_phys;
	void *offered;
	phys_addr_t offered_phys;
};

/**
 * pcv_window_init() - register the address ranges
 * @bars:	the address range of all BARs
 * @ram_start:	first address of the peers' memory, offered memory included
 * @ram_end:	last address of it
 *
 * Return: the resource of the BARs' range, valid until pcv_window_exit(), or
 * an error pointer.
 */
struct resource *pcv_window_init(const struct resource *bars,
				 phys_addr_t ram_start, phys_addr_t ram_end);

/**
 * pcv_window_exit() - withdraw the address ranges
 */
void pcv_window_exit(void);

/**
 * pcv_window_attach() - let a peer be reached
 * @peer:	all fields but @list are set, and @nd->bar and @nd->window_bytes
 */
void pcv_window_attach(struct pcv_window_peer *peer);

/**
 * pcv_window_detach() - the reverse
 * @peer:	attached, and nothing of it is mapped any more
 */
void pcv_window_detach(struct pcv_window_peer *peer);

#endif
