/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The registers of a software NTB: what two nodes see of each other in the
 * bridge page, whatever brings that page to them (a file mapped as I/O memory
 * under UML, the shared BAR of an ivshmem device).
 *
 * For every ordered pair (i, j) there is one block, "the port of node i towards
 * node j". Node i *owns* it. Every field has one writer: the owner writes the
 * first two cache lines, the peer the rest (and the owner clears what it has
 * consumed). All fields are little-endian, so that the nodes may differ.
 *
 * Nothing the peer has written is trusted: a field is loaded once, checked by
 * its user, and the copy is used. The worst a bad value does is to keep this
 * link down or to make its own windows read as ones.
 *
 * Atomic operations here are the sync_ and virt_ families: a uniprocessor
 * kernel drops lock prefixes and barriers from the others, and the other party
 * is another kernel on another CPU.
 */
#ifndef PCV_NTB_SHM_H
#define PCV_NTB_SHM_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

#define PCV_SHM_MAGIC		0x4e564350	/* "PCVN" */
#define PCV_SHM_VERSION		1
#define PCV_SHM_NODES		8
#define PCV_SHM_WINDOWS		8
#define PCV_SHM_SPADS		32
#define PCV_SHM_DOORBELLS	32
#define PCV_SHM_PORT_BYTES	4096
#define PCV_SHM_BYTES		(PCV_SHM_NODES * PCV_SHM_NODES * PCV_SHM_PORT_BYTES)

/* Translations are counted in units of 4 KiB, whatever a node's page size. */
#define PCV_SHM_UNIT_SHIFT	12
#define PCV_SHM_UNIT		(1UL << PCV_SHM_UNIT_SHIFT)

/*
 * What a translation's address means: below, in the owner's RAM; from here on,
 * in memory that the owner offers to this peer alone, counted from its start.
 */
#define PCV_SHM_OFFERED		(1ULL << 40)

/*
 * A link word names one period in which the owner has the link enabled:
 *   63:32  generation, drawn anew at every driver load, never 0
 *   31:1   sequence, counts enables and disables
 *   0      enabled
 * A word of 0 means that nobody drives the port.
 */
#define PCV_SHM_LINK_ENABLED	1ULL
#define PCV_SHM_LINK_STEP	2ULL
#define PCV_SHM_LINK_SEQ_MASK	0xfffffffeULL

#define PCV_SHM_WAKE_VALID	(1ULL << 63)

/**
 * struct pcv_shm_port - one direction of one pair of nodes
 * @magic:	PCV_SHM_MAGIC
 * @version:	PCV_SHM_VERSION; another one is treated as an absent peer
 * @link:	the owner's link word
 * @ack:	the peer's link word that the owner has acted upon. The link is up
 *		for the peer only when this names the peer's present word: so
 *		nobody sees a link up before the other side has noticed the
 *		restart that preceded it.
 * @db_mask:	doorbells that the owner does not want to be woken for
 * @mw:		the owner's translations: address in units << 32 | size in units,
 *		one word so that it changes in one piece; 0 is no translation.
 *		The address is what the *peer* adds to the start of what it sees
 *		of the owner's memory.
 * @wake:	how to wake the owner, where that must be told: PCV_SHM_WAKE_VALID
 *		and whatever the access driver puts below it
 * @beat:	the owner's heartbeat, where nothing else tells that it is alive:
 *		any change will do
 * @proof_at:	where the owner has left @proof in its memory, as an address in
 *		a translation; 0 is nowhere
 * @proof:	any value: the peer finds it there if it sees the right memory
 * @db:		pending doorbells: set by the peer, cleared by the owner
 * @kick:	bit 0: the peer has sent a wake-up that the owner has not yet seen
 * @spad:	scratchpads: written by both
 */
struct pcv_shm_port {
	__le32 magic;
	__le32 version;
	__le64 link;
	__le64 ack;
	__le64 db_mask;
	__le64 mw[PCV_SHM_WINDOWS];
	__le64 wake;
	__le64 beat;
	__le64 proof_at;
	__le64 proof;

	__le64 db;
	__le64 kick;
	__le64 reserved1[6];
	__le32 spad[PCV_SHM_SPADS];
};

static_assert(offsetof(struct pcv_shm_port, link) == 8);
static_assert(offsetof(struct pcv_shm_port, mw) == 32);
static_assert(offsetof(struct pcv_shm_port, wake) == 96);
static_assert(offsetof(struct pcv_shm_port, db) == 128);
static_assert(offsetof(struct pcv_shm_port, spad) == 192);
static_assert(sizeof(struct pcv_shm_port) == 320);
static_assert(sizeof(struct pcv_shm_port) <= PCV_SHM_PORT_BYTES);

/**
 * pcv_shm_port_at() - the port of node @from towards node @to
 * @bridge:	start of the bridge page
 * @from:	owner, below PCV_SHM_NODES
 * @to:		peer, below PCV_SHM_NODES
 */
static inline struct pcv_shm_port *pcv_shm_port_at(void *bridge,
						   unsigned int from,
						   unsigned int to)
{
	return bridge + (from * PCV_SHM_NODES + to) * PCV_SHM_PORT_BYTES;
}

/**
 * pcv_shm_reset() - take possession of a port
 * @port:	a port that this node owns
 *
 * Clears every register and publishes a link word of a new generation, not
 * enabled. Whatever the peer still believed about this port ends here.
 *
 * Return: the link word.
 */
u64 pcv_shm_reset(struct pcv_shm_port *port);

/**
 * pcv_shm_abandon() - give a port up: no link, no translations
 * @port:	a port that this node owns
 */
void pcv_shm_abandon(struct pcv_shm_port *port);

/**
 * pcv_shm_link_read() - the peer's link word
 * @port:	the peer's port
 *
 * Return: the word, or 0 if the port is not driven by a peer that speaks this
 * version. What the peer wrote before it published the word is visible.
 */
u64 pcv_shm_link_read(const struct pcv_shm_port *port);

/**
 * pcv_shm_link_write() - publish the owner's link word
 * @port:	a port that this node owns
 * @word:	link word
 */
void pcv_shm_link_write(struct pcv_shm_port *port, u64 word);

/**
 * pcv_shm_trans_pack() - make a translation register
 * @addr:	address, a multiple of PCV_SHM_UNIT
 * @size:	size in bytes, a multiple of PCV_SHM_UNIT, not 0
 * @word:	OUT
 *
 * Return: 0, or -EINVAL if the register cannot hold it.
 */
int pcv_shm_trans_pack(u64 addr, u64 size, u64 *word);

/**
 * pcv_shm_trans_unpack() - take a translation register apart
 * @word:	as read from the peer: any value
 * @base:	lowest address that can be reached
 * @limit:	bytes from there on that can be reached
 * @addr:	OUT: address in the peer's memory
 * @size:	OUT: size in bytes
 *
 * Return: true if it is a translation and lies within the limits.
 */
bool pcv_shm_trans_unpack(u64 word, u64 base, u64 limit, u64 *addr, u64 *size);

static inline u64 pcv_shm_trans_addr(u64 word)
{
	return (word >> 32) << PCV_SHM_UNIT_SHIFT;
}

/**
 * pcv_shm_db_set() - set doorbell bits of the other side
 * @port:	the peer's port
 * @bits:	doorbells
 *
 * Any context.
 *
 * Return: true if the owner must be woken now.
 */
bool pcv_shm_db_set(struct pcv_shm_port *port, u64 bits);

/**
 * pcv_shm_db_clear() - clear pending doorbells
 * @port:	a port that this node owns
 * @bits:	doorbells
 */
void pcv_shm_db_clear(struct pcv_shm_port *port, u64 bits);

/**
 * pcv_shm_db_mask() - publish the doorbells that must not wake this node
 * @port:	a port that this node owns
 * @mask:	masked doorbells
 *
 * Return: the doorbells pending after the mask became visible.
 */
u64 pcv_shm_db_mask(struct pcv_shm_port *port, u64 mask);

/**
 * pcv_shm_kick_set() - decide whether a wake-up must be sent
 * @port:	the peer's port
 *
 * Return: true if it must; false if one is under way that the owner has not
 * seen: it will find whatever was written before this call.
 */
bool pcv_shm_kick_set(struct pcv_shm_port *port);

/**
 * pcv_shm_kick_pending() - has the owner yet to see a wake-up
 * @port:	the peer's port
 *
 * Return: true if so.
 */
bool pcv_shm_kick_pending(const struct pcv_shm_port *port);

/**
 * pcv_shm_kick_clear() - a wake-up has been received
 * @port:	a port that this node owns
 *
 * To be called after the wake-up itself has been consumed and before any
 * register is looked at.
 */
void pcv_shm_kick_clear(struct pcv_shm_port *port);

static inline u64 pcv_shm_load(const __le64 *reg)
{
	return le64_to_cpu(READ_ONCE(*reg));
}

static inline void pcv_shm_store(__le64 *reg, u64 val)
{
	WRITE_ONCE(*reg, cpu_to_le64(val));
}

static inline u32 pcv_shm_gen(u64 link)
{
	return link >> 32;
}

#endif
