/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The port of a virtual machine towards another one of the same host: how that
 * one is woken, where its memory is, and whether it is alive. Which devices all
 * this comes from is ivshmem.c's business.
 *
 * Nothing tells a machine that another one has ended. So each shows a heartbeat,
 * and one that stands still takes the link down.
 */
#ifndef PCV_NTB_IVPORT_H
#define PCV_NTB_IVPORT_H

#include <linux/timer.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "dev.h"

#define PCV_IVPORT_BEAT_MS	500

/**
 * struct pcv_ivport - the port
 * @nd:		the NTB port
 * @node:	number of this machine
 * @number:	the peer's
 * @doorbell:	the register that wakes others
 * @wake:	what a peer has to store there to wake this machine
 * @memory:	CPU address of the peer's memory
 * @own:	on a cable: address of the half that is this machine's
 * @pulse:	shows the heartbeat and watches the peer's. All the fields up to
 *		@prove belong to it.
 * @beats:	this machine's heartbeat
 * @peer_beat:	the peer's as last seen
 * @silent_ms:	for how long it has not changed
 * @lost:	it has been taken for dead
 * @prove:	finds out whether @memory is the peer's; writes what follows
 * @asked:	generation of the peer for which it has been asked
 * @proven:	generation of the peer for which it is so
 *
 * Owned by ivshmem.c. Constant from pcv_ivport_open() to pcv_ivport_close() but
 * for @nd and what is said above.
 */
struct pcv_ivport {
	struct pcv_ntb_dev nd;
	unsigned int node;
	unsigned int number;
	void __iomem *doorbell;
	u32 wake;
	phys_addr_t memory;
	u64 own;

	struct timer_list pulse;
	u64 beats;
	u64 peer_beat;
	unsigned int silent_ms;
	bool lost;

	struct work_struct prove;
	u32 asked;
	u32 proven;
};

/* Windows lead to the peer's memory, all of it: pcv_ivport_exit() not yet called. */
extern const struct pcv_ntb_access pcv_ivport_ram_access;

/* Windows lead to the peer's half of a cable. */
extern const struct pcv_ntb_access pcv_ivport_cable_access;

/**
 * pcv_ivport_open() - take possession of the port
 * @port:	filled in down to @own
 * @bridge:	the registers of shm.h
 *
 * After this pcv_ivport_look() may be called, and pcv_ntb_dev_register().
 */
void pcv_ivport_open(struct pcv_ivport *port, void *bridge);

/**
 * pcv_ivport_close() - leave it
 * @port:	open, not registered, pcv_ivport_look() is not called any more
 *
 * May sleep.
 */
void pcv_ivport_close(struct pcv_ivport *port);

/**
 * pcv_ivport_look() - the peer has woken this machine
 * @port:	open
 *
 * Interrupt context, or interrupts off.
 */
void pcv_ivport_look(struct pcv_ivport *port);

/**
 * pcv_ivport_init() - before all others. May sleep.
 *
 * Return: 0 or an error number.
 */
int pcv_ivport_init(void);

/**
 * pcv_ivport_exit() - the reverse
 */
void pcv_ivport_exit(void);

#endif
