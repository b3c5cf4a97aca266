// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The registers of a software NTB: see shm.h.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <asm/sync_bitops.h>

#include "shm.h"

/* Bit operations count in native longs; the registers are little-endian. */
#define PCV_SHM_BIT(nr)	((nr) ^ (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN) ? BITS_PER_LONG - 8 : 0))

/* The bit operations take longs; on a 64-bit kernel a register is one. */
static_assert(BITS_PER_LONG == 64);

static unsigned long *pcv_shm_bits(__le64 *reg)
{
	return (unsigned long __force *)reg;
}

u64 pcv_shm_reset(struct pcv_shm_port *port)
{
	u32 old = pcv_shm_gen(pcv_shm_load(&port->link));
	unsigned int i;
	u64 word;
	u32 gen;

	do {
		gen = get_random_u32();
	} while (!gen || gen == old);
	word = (u64)gen << 32;

	pcv_shm_store(&port->link, 0);
	pcv_shm_store(&port->ack, 0);
	pcv_shm_store(&port->db_mask, ~0ULL);
	for (i = 0; i < PCV_SHM_WINDOWS; i++)
		pcv_shm_store(&port->mw[i], 0);
	pcv_shm_store(&port->db, 0);
	for (i = 0; i < PCV_SHM_SPADS; i++)
		WRITE_ONCE(port->spad[i], 0);
	WRITE_ONCE(port->magic, cpu_to_le32(PCV_SHM_MAGIC));
	WRITE_ONCE(port->version, cpu_to_le32(PCV_SHM_VERSION));
	pcv_shm_kick_clear(port);
	pcv_shm_link_write(port, word);
	return word;
}

void pcv_shm_abandon(struct pcv_shm_port *port)
{
	unsigned int i;

	pcv_shm_link_write(port, 0);
	for (i = 0; i < PCV_SHM_WINDOWS; i++)
		pcv_shm_store(&port->mw[i], 0);
}

u64 pcv_shm_link_read(const struct pcv_shm_port *port)
{
	/*
	 * PCV(ntb_link:B) pairs with ntb_link:A: who sees the word sees the
	 * registers that were set up before it.
	 */
	u64 word = le64_to_cpu(virt_load_acquire(&port->link));

	if (!word ||
	    READ_ONCE(port->magic) != cpu_to_le32(PCV_SHM_MAGIC) ||
	    READ_ONCE(port->version) != cpu_to_le32(PCV_SHM_VERSION))
		return 0;
	return word;
}

void pcv_shm_link_write(struct pcv_shm_port *port, u64 word)
{
	/* PCV(ntb_link:A) pairs with ntb_link:B: registers first, then the word. */
	virt_store_release(&port->link, cpu_to_le64(word));
}

int pcv_shm_trans_pack(u64 addr, u64 size, u64 *word)
{
	if (!size || (addr | size) & (PCV_SHM_UNIT - 1))
		return -EINVAL;
	addr >>= PCV_SHM_UNIT_SHIFT;
	size >>= PCV_SHM_UNIT_SHIFT;
	if (addr > U32_MAX || size > U32_MAX)
		return -EINVAL;
	*word = addr << 32 | size;
	return 0;
}

bool pcv_shm_trans_unpack(u64 word, u64 base, u64 limit, u64 *addr, u64 *size)
{
	u64 a = pcv_shm_trans_addr(word);
	u64 s = (word & U32_MAX) << PCV_SHM_UNIT_SHIFT;

	if (!s || s > limit || a < base || a - base > limit - s)
		return false;
	*addr = a;
	*size = s;
	return true;
}

bool pcv_shm_db_set(struct pcv_shm_port *port, u64 bits)
{
	unsigned long set = bits;
	unsigned int nr;

	for_each_set_bit(nr, &set, PCV_SHM_DOORBELLS)
		sync_set_bit(PCV_SHM_BIT(nr), pcv_shm_bits(&port->db));
	/*
	 * PCV(ntb_mask:A) pairs with ntb_mask:B: either this side sees the
	 * doorbell unmasked, or the owner, unmasking, sees it pending.
	 */
	virt_mb();
	return bits & ~pcv_shm_load(&port->db_mask);
}

void pcv_shm_db_clear(struct pcv_shm_port *port, u64 bits)
{
	unsigned long set = bits;
	unsigned int nr;

	for_each_set_bit(nr, &set, PCV_SHM_DOORBELLS)
		sync_clear_bit(PCV_SHM_BIT(nr), pcv_shm_bits(&port->db));
	/*
	 * PCV(ntb_clear:A) pairs with ntb_clear:B: a client clears the bit and
	 * then looks for work; its peer left work and then sets the bit.
	 */
	virt_mb();
}

u64 pcv_shm_db_mask(struct pcv_shm_port *port, u64 mask)
{
	pcv_shm_store(&port->db_mask, mask);
	/* PCV(ntb_mask:B) pairs with ntb_mask:A: publish, then look again. */
	virt_mb();
	return pcv_shm_load(&port->db);
}

bool pcv_shm_kick_set(struct pcv_shm_port *port)
{
	/*
	 * PCV(ntb_kick:A) pairs with ntb_kick:B: what the owner is to find is
	 * written before the flag is tested. If the flag is still set, the
	 * owner has yet to clear it, and looks after that.
	 */
	virt_mb();
	return !sync_test_and_set_bit(PCV_SHM_BIT(0), pcv_shm_bits(&port->kick));
}

bool pcv_shm_kick_pending(const struct pcv_shm_port *port)
{
	return pcv_shm_load(&port->kick) & 1;
}

void pcv_shm_kick_clear(struct pcv_shm_port *port)
{
	pcv_shm_store(&port->kick, 0);
	/* PCV(ntb_kick:B) pairs with ntb_kick:A: clear, then look. */
	virt_mb();
}
