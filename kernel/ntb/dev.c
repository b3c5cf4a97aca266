// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A software NTB port as an ntb_dev: see dev.h.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/pci.h>

#include "dev.h"

#define PCV_NTB_DB_VALID	GENMASK_ULL(PCV_SHM_DOORBELLS - 1, 0)

/* All ports, for who draws the cables. */
static DEFINE_MUTEX(pcv_ntb_devs_lock);
static LIST_HEAD(pcv_ntb_devs);
static bool cut;

static_assert(PCV_NTB_WINDOWS <= PCV_SHM_WINDOWS);

static struct pcv_ntb_dev *pcv_ntb_dev_of(struct ntb_dev *ntb)
{
	return container_of(ntb, struct pcv_ntb_dev, ntb);
}

static void pcv_ntb_dev_wake_peer(struct pcv_ntb_dev *nd)
{
	if (pcv_shm_kick_set(nd->there))
		nd->access->kick(nd);
}

/* The peer as it is to be believed: one whose end was noticed is not there. */
static u64 pcv_ntb_dev_peer_link(struct pcv_ntb_dev *nd)
{
	lockdep_assert_held(&nd->lock);
	if (nd->lost_gen && pcv_shm_gen(nd->peer_link) == nd->lost_gen)
		return 0;
	return nd->peer_link;
}

static void pcv_ntb_dev_sample(struct pcv_ntb_dev *nd)
{
	lockdep_assert_held(&nd->lock);
	nd->peer_link = pcv_shm_link_read(nd->there);
	nd->peer_ack = pcv_shm_load(&nd->there->ack);
}

static bool pcv_ntb_dev_may_be_up(struct pcv_ntb_dev *nd)
{
	u64 peer = pcv_ntb_dev_peer_link(nd);

	return peer == nd->seen && (peer & PCV_SHM_LINK_ENABLED) &&
	       (nd->link & PCV_SHM_LINK_ENABLED) && nd->peer_ack == nd->link;
}

static void pcv_ntb_dev_train(struct pcv_ntb_dev *nd)
{
	lockdep_assert_held(&nd->lock);
	nd->train_end = jiffies + msecs_to_jiffies(PCV_NTB_TRAIN_MS);
}

static void pcv_ntb_dev_set_up(struct pcv_ntb_dev *nd, bool up)
{
	lockdep_assert_held(&nd->lock);
	if (nd->up == up)
		return;
	WRITE_ONCE(nd->up, up);
	nd->event = true;
	if (!up)
		pcv_ntb_dev_train(nd);
	memset(nd->direct, 0, sizeof(nd->direct));
}

/* Forgets direct addresses whose translation has changed. */
static bool pcv_ntb_dev_direct_stale(struct pcv_ntb_dev *nd, bool forget)
{
	bool stale = false;
	int i;

	lockdep_assert_held(&nd->lock);
	for (i = 0; i < PCV_NTB_WINDOWS; i++) {
		if (!nd->direct[i] ||
		    nd->direct[i] == pcv_shm_load(&nd->there->mw[i]))
			continue;
		stale = true;
		if (forget)
			nd->direct[i] = 0;
	}
	return stale;
}

static void pcv_ntb_dev_deliver(struct pcv_ntb_dev *nd)
{
	bool event;

	spin_lock_irq(&nd->lock);
	event = nd->event;
	nd->event = false;
	spin_unlock_irq(&nd->lock);
	if (event)
		ntb_link_event(&nd->ntb);
}

/*
 * The peer may see the link up a moment earlier and ring at once. Clients take
 * a doorbell on a link that is down for a stray one, so it waits for the link.
 */
static void pcv_ntb_dev_db_deliver(struct pcv_ntb_dev *nd)
{
	if (READ_ONCE(nd->up) &&
	    pcv_shm_load(&nd->here->db) & ~READ_ONCE(nd->db_mask) &
		    PCV_NTB_DB_VALID)
		ntb_db_event(&nd->ntb, 0);
}

/*
 * Brings the link state up to date with both link words. The down event for
 * what the peer was is delivered before the peer's new word is acknowledged:
 * that is what keeps a restarted peer waiting until its past is cleared up. And
 * it is acknowledged only when this side is trained, so that both sides come up
 * together.
 */
static void pcv_ntb_dev_link_task(struct tasklet_struct *task)
{
	struct pcv_ntb_dev *nd = from_tasklet(nd, task, link_task);
	bool acked = false;
	u64 peer;

	spin_lock_irq(&nd->lock);
	pcv_ntb_dev_sample(nd);
	if (!pcv_ntb_dev_may_be_up(nd))
		pcv_ntb_dev_set_up(nd, false);
	if (pcv_ntb_dev_direct_stale(nd, true))
		nd->event = true;
	peer = pcv_ntb_dev_peer_link(nd);
	spin_unlock_irq(&nd->lock);
	pcv_ntb_dev_deliver(nd);

	spin_lock_irq(&nd->lock);
	if (nd->link & PCV_SHM_LINK_ENABLED &&
	    time_before(jiffies, nd->train_end)) {
		mod_timer(&nd->train, nd->train_end);
		spin_unlock_irq(&nd->lock);
		return;
	}
	if (nd->seen != peer) {
		nd->seen = peer;
		pcv_shm_store(&nd->here->ack, peer);
		acked = true;
	}
	if (pcv_ntb_dev_may_be_up(nd))
		pcv_ntb_dev_set_up(nd, true);
	spin_unlock_irq(&nd->lock);
	if (acked)
		pcv_ntb_dev_wake_peer(nd);
	pcv_ntb_dev_deliver(nd);
	pcv_ntb_dev_db_deliver(nd);
}

static void pcv_ntb_dev_trained(struct timer_list *timer)
{
	struct pcv_ntb_dev *nd = from_timer(nd, timer, train);

	tasklet_schedule(&nd->link_task);
}

static void pcv_ntb_dev_db_task(struct tasklet_struct *task)
{
	struct pcv_ntb_dev *nd = from_tasklet(nd, task, db_task);

	pcv_ntb_dev_db_deliver(nd);
}

void pcv_ntb_dev_kicked(struct pcv_ntb_dev *nd)
{
	unsigned long flags;
	bool changed;

	pcv_shm_kick_clear(nd->here);
	pcv_ntb_dev_db_deliver(nd);

	spin_lock_irqsave(&nd->lock, flags);
	changed = nd->peer_link != pcv_shm_link_read(nd->there) ||
		  nd->peer_ack != pcv_shm_load(&nd->there->ack) ||
		  pcv_ntb_dev_direct_stale(nd, false) ||
		  pcv_ntb_dev_peer_link(nd) != nd->seen;
	spin_unlock_irqrestore(&nd->lock, flags);
	if (changed)
		tasklet_schedule(&nd->link_task);
}

/* A new link word: whatever the peer has acknowledged is void. */
static void pcv_ntb_dev_link_step(struct pcv_ntb_dev *nd, bool enable)
{
	u64 seq = (nd->link + PCV_SHM_LINK_STEP) & PCV_SHM_LINK_SEQ_MASK;

	lockdep_assert_held(&nd->lock);
	nd->link = (u64)pcv_shm_gen(nd->link) << 32 | seq |
		   (enable ? PCV_SHM_LINK_ENABLED : 0);
	pcv_shm_link_write(nd->here, nd->link);
}

u32 pcv_ntb_dev_peer_gen(struct pcv_ntb_dev *nd)
{
	return pcv_shm_gen(pcv_shm_link_read(nd->there));
}

void pcv_ntb_dev_lost(struct pcv_ntb_dev *nd, u32 gen)
{
	unsigned long flags;

	spin_lock_irqsave(&nd->lock, flags);
	if (gen && gen != nd->lost_gen && nd->link & PCV_SHM_LINK_ENABLED)
		pcv_ntb_dev_link_step(nd, true);
	nd->lost_gen = gen;
	spin_unlock_irqrestore(&nd->lock, flags);
}

/* A register of the peer's: an address in its RAM, or in what it offers. */
static bool pcv_ntb_dev_unpack(struct pcv_ntb_dev *nd, u64 word, u64 *addr,
			       u64 *size)
{
	bool offered = nd->peer_offered_bytes && pcv_shm_trans_addr(word) >= PCV_SHM_OFFERED;
	u64 base = offered ? PCV_SHM_OFFERED : 0;
	u64 limit = offered ? nd->peer_offered_bytes : nd->peer_bytes;

	return pcv_shm_trans_unpack(word, base, limit, addr, size);
}

bool pcv_ntb_dev_window(struct pcv_ntb_dev *nd, int widx, u64 *addr, u64 *size)
{
	if (!READ_ONCE(nd->up))
		return false;
	return pcv_ntb_dev_unpack(nd, pcv_shm_load(&nd->there->mw[widx]), addr, size);
}

static u64 pcv_ntb_link_is_up(struct ntb_dev *ntb, enum ntb_speed *speed,
			      enum ntb_width *width)
{
	bool up = READ_ONCE(pcv_ntb_dev_of(ntb)->up);

	/* Nominal: there is nothing to train. */
	if (speed)
		*speed = up ? NTB_SPEED_GEN4 : NTB_SPEED_NONE;
	if (width)
		*width = up ? NTB_WIDTH_16 : NTB_WIDTH_NONE;
	return up ? BIT_ULL(NTB_DEF_PEER_IDX) : 0;
}

/* The link as the client and whoever holds the cable want it. */
static void pcv_ntb_dev_link_follow(struct pcv_ntb_dev *nd)
{
	unsigned long flags;
	bool enable;

	spin_lock_irqsave(&nd->lock, flags);
	enable = nd->wanted && !READ_ONCE(cut);
	if (!!(nd->link & PCV_SHM_LINK_ENABLED) == enable) {
		spin_unlock_irqrestore(&nd->lock, flags);
		return;
	}
	pcv_ntb_dev_set_up(nd, false);
	pcv_ntb_dev_train(nd);
	pcv_ntb_dev_link_step(nd, enable);
	spin_unlock_irqrestore(&nd->lock, flags);

	pcv_ntb_dev_wake_peer(nd);
	tasklet_schedule(&nd->link_task);
}

static int pcv_ntb_link_set(struct ntb_dev *ntb, bool enable)
{
	struct pcv_ntb_dev *nd = pcv_ntb_dev_of(ntb);
	unsigned long flags;

	spin_lock_irqsave(&nd->lock, flags);
	nd->wanted = enable;
	spin_unlock_irqrestore(&nd->lock, flags);
	pcv_ntb_dev_link_follow(nd);
	return 0;
}

static int pcv_ntb_link_enable(struct ntb_dev *ntb, enum ntb_speed max_speed,
			       enum ntb_width max_width)
{
	return pcv_ntb_link_set(ntb, true);
}

static int pcv_ntb_link_disable(struct ntb_dev *ntb)
{
	return pcv_ntb_link_set(ntb, false);
}

static int pcv_ntb_mw_count(struct ntb_dev *ntb, int pidx)
{
	return pidx == NTB_DEF_PEER_IDX ? pcv_ntb_dev_of(ntb)->windows : 0;
}

static int pcv_ntb_mw_get_align(struct ntb_dev *ntb, int pidx, int widx,
				resource_size_t *addr_align,
				resource_size_t *size_align,
				resource_size_t *size_max)
{
	struct pcv_ntb_dev *nd = pcv_ntb_dev_of(ntb);

	if (pidx != NTB_DEF_PEER_IDX || widx < 0 || widx >= nd->windows)
		return -EINVAL;
	if (addr_align)
		*addr_align = nd->align;
	if (size_align)
		*size_align = nd->align;
	if (size_max)
		*size_max = nd->local_bytes;
	return 0;
}

static int pcv_ntb_mw_set_trans(struct ntb_dev *ntb, int pidx, int widx,
				dma_addr_t addr, resource_size_t size)
{
	struct pcv_ntb_dev *nd = pcv_ntb_dev_of(ntb);
	u64 word = 0;
	u64 at;
	int err;

	if (pidx != NTB_DEF_PEER_IDX || widx < 0 || widx >= nd->windows)
		return -EINVAL;
	if (size) {
		if (!IS_ALIGNED(addr, nd->align) || !IS_ALIGNED(size, nd->align))
			return -EINVAL;
		err = nd->access->local(nd, addr, size, &at);
		if (err)
			return err;
		err = pcv_shm_trans_pack(at, size, &word);
		if (err)
			return err;
	}
	pcv_shm_store(&nd->here->mw[widx], word);
	pcv_ntb_dev_wake_peer(nd);
	return 0;
}

static int pcv_ntb_mw_clear_trans(struct ntb_dev *ntb, int pidx, int widx)
{
	return pcv_ntb_mw_set_trans(ntb, pidx, widx, 0, 0);
}

static int pcv_ntb_peer_mw_count(struct ntb_dev *ntb)
{
	return pcv_ntb_dev_of(ntb)->windows;
}

static int pcv_ntb_peer_mw_get_addr(struct ntb_dev *ntb, int widx,
				    phys_addr_t *base, resource_size_t *size)
{
	struct pcv_ntb_dev *nd = pcv_ntb_dev_of(ntb);
	phys_addr_t b, direct;
	resource_size_t s;
	unsigned long flags;
	u64 word, addr, len;

	if (widx < 0 || widx >= nd->windows)
		return -EINVAL;

	b = nd->bar + widx * nd->window_bytes;
	s = nd->window_bytes;
	spin_lock_irqsave(&nd->lock, flags);
	word = pcv_shm_load(&nd->there->mw[widx]);
	if (nd->up && pcv_ntb_dev_unpack(nd, word, &addr, &len) &&
	    nd->access->direct(nd, addr, &direct)) {
		nd->direct[widx] = word;
		b = direct;
		s = len;
	}
	spin_unlock_irqrestore(&nd->lock, flags);
	if (!s)
		return -EAGAIN;

	if (base)
		*base = b;
	if (size)
		*size = s;
	return 0;
}

static u64 pcv_ntb_db_valid_mask(struct ntb_dev *ntb)
{
	return PCV_NTB_DB_VALID;
}

static int pcv_ntb_db_vector_count(struct ntb_dev *ntb)
{
	return 1;
}

static u64 pcv_ntb_db_vector_mask(struct ntb_dev *ntb, int db_vector)
{
	return db_vector ? 0 : PCV_NTB_DB_VALID;
}

static u64 pcv_ntb_db_read(struct ntb_dev *ntb)
{
	return pcv_shm_load(&pcv_ntb_dev_of(ntb)->here->db) & PCV_NTB_DB_VALID;
}

static int pcv_ntb_db_clear(struct ntb_dev *ntb, u64 db_bits)
{
	pcv_shm_db_clear(pcv_ntb_dev_of(ntb)->here, db_bits & PCV_NTB_DB_VALID);
	return 0;
}

static u64 pcv_ntb_db_read_mask(struct ntb_dev *ntb)
{
	return READ_ONCE(pcv_ntb_dev_of(ntb)->db_mask);
}

static int pcv_ntb_db_mask_change(struct ntb_dev *ntb, u64 set, u64 clear)
{
	struct pcv_ntb_dev *nd = pcv_ntb_dev_of(ntb);
	unsigned long flags;
	u64 mask, pending;

	if ((set | clear) & ~PCV_NTB_DB_VALID)
		return -EINVAL;
	spin_lock_irqsave(&nd->lock, flags);
	mask = (nd->db_mask | set) & ~clear;
	WRITE_ONCE(nd->db_mask, mask);
	pending = pcv_shm_db_mask(nd->here, mask);
	spin_unlock_irqrestore(&nd->lock, flags);

	/* Not from here: the caller may be inside its own event callback. */
	if (pending & clear)
		tasklet_schedule(&nd->db_task);
	return 0;
}

static int pcv_ntb_db_set_mask(struct ntb_dev *ntb, u64 db_bits)
{
	return pcv_ntb_db_mask_change(ntb, db_bits, 0);
}

static int pcv_ntb_db_clear_mask(struct ntb_dev *ntb, u64 db_bits)
{
	return pcv_ntb_db_mask_change(ntb, 0, db_bits);
}

static u64 pcv_ntb_peer_db_read(struct ntb_dev *ntb)
{
	return pcv_shm_load(&pcv_ntb_dev_of(ntb)->there->db) & PCV_NTB_DB_VALID;
}

static int pcv_ntb_peer_db_set(struct ntb_dev *ntb, u64 db_bits)
{
	struct pcv_ntb_dev *nd = pcv_ntb_dev_of(ntb);

	if (db_bits & ~PCV_NTB_DB_VALID)
		return -EINVAL;
	/*
	 * PCV(ntb_clear:B) pairs with ntb_clear:A: what the doorbell announces
	 * was written before it.
	 */
	virt_wmb();
	if (pcv_shm_db_set(nd->there, db_bits))
		pcv_ntb_dev_wake_peer(nd);
	return 0;
}

static int pcv_ntb_spad_count(struct ntb_dev *ntb)
{
	return PCV_SHM_SPADS;
}

static u32 pcv_ntb_spad_get(struct pcv_shm_port *port, int sidx)
{
	if (sidx < 0 || sidx >= PCV_SHM_SPADS)
		return 0;
	return le32_to_cpu(READ_ONCE(port->spad[sidx]));
}

static int pcv_ntb_spad_put(struct pcv_shm_port *port, int sidx, u32 val)
{
	if (sidx < 0 || sidx >= PCV_SHM_SPADS)
		return -EINVAL;
	WRITE_ONCE(port->spad[sidx], cpu_to_le32(val));
	return 0;
}

static u32 pcv_ntb_spad_read(struct ntb_dev *ntb, int sidx)
{
	return pcv_ntb_spad_get(pcv_ntb_dev_of(ntb)->here, sidx);
}

static int pcv_ntb_spad_write(struct ntb_dev *ntb, int sidx, u32 val)
{
	return pcv_ntb_spad_put(pcv_ntb_dev_of(ntb)->here, sidx, val);
}

static u32 pcv_ntb_peer_spad_read(struct ntb_dev *ntb, int pidx, int sidx)
{
	if (pidx != NTB_DEF_PEER_IDX)
		return 0;
	return pcv_ntb_spad_get(pcv_ntb_dev_of(ntb)->there, sidx);
}

static int pcv_ntb_peer_spad_write(struct ntb_dev *ntb, int pidx, int sidx,
				   u32 val)
{
	if (pidx != NTB_DEF_PEER_IDX)
		return -EINVAL;
	return pcv_ntb_spad_put(pcv_ntb_dev_of(ntb)->there, sidx, val);
}

static __maybe_unused struct device *pcv_ntb_get_dma_dev(struct ntb_dev *ntb)
{
	return pcv_ntb_dev_of(ntb)->dma_dev ?: ntb->dev.parent;
}

static const struct ntb_dev_ops pcv_ntb_dev_ops = {
	.link_is_up		= pcv_ntb_link_is_up,
	.link_enable		= pcv_ntb_link_enable,
	.link_disable		= pcv_ntb_link_disable,
	.mw_count		= pcv_ntb_mw_count,
	.mw_get_align		= pcv_ntb_mw_get_align,
	.mw_set_trans		= pcv_ntb_mw_set_trans,
	.mw_clear_trans		= pcv_ntb_mw_clear_trans,
	.peer_mw_count		= pcv_ntb_peer_mw_count,
	.peer_mw_get_addr	= pcv_ntb_peer_mw_get_addr,
	.db_valid_mask		= pcv_ntb_db_valid_mask,
	.db_vector_count	= pcv_ntb_db_vector_count,
	.db_vector_mask		= pcv_ntb_db_vector_mask,
	.db_read		= pcv_ntb_db_read,
	.db_clear		= pcv_ntb_db_clear,
	.db_read_mask		= pcv_ntb_db_read_mask,
	.db_set_mask		= pcv_ntb_db_set_mask,
	.db_clear_mask		= pcv_ntb_db_clear_mask,
	.peer_db_read		= pcv_ntb_peer_db_read,
	.peer_db_set		= pcv_ntb_peer_db_set,
	.spad_count		= pcv_ntb_spad_count,
	.spad_read		= pcv_ntb_spad_read,
	.spad_write		= pcv_ntb_spad_write,
	.peer_spad_read		= pcv_ntb_peer_spad_read,
	.peer_spad_write	= pcv_ntb_peer_spad_write,
	/* From Kbuild: not every kernel has it. */
	PCV_NTB_DMA_DEV_OP
};

static int pcv_ntb_cut_set(const char *value, const struct kernel_param *param)
{
	struct pcv_ntb_dev *nd;
	int err;

	mutex_lock(&pcv_ntb_devs_lock);
	err = param_set_bool(value, param);
	list_for_each_entry(nd, &pcv_ntb_devs, list)
		pcv_ntb_dev_link_follow(nd);
	mutex_unlock(&pcv_ntb_devs_lock);
	return err;
}

static const struct kernel_param_ops pcv_ntb_cut_ops = {
	.set = pcv_ntb_cut_set,
	.get = param_get_bool,
};
module_param_cb(cut, &pcv_ntb_cut_ops, &cut, 0644);
MODULE_PARM_DESC(cut, "The cables are drawn: all links of this node are down, whatever their clients want (N)");

void pcv_ntb_dev_init(struct pcv_ntb_dev *nd, bool first)
{
	nd->ntb.topo = first ? NTB_TOPO_B2B_USD : NTB_TOPO_B2B_DSD;
	nd->ntb.ops = &pcv_ntb_dev_ops;
	spin_lock_init(&nd->lock);
	nd->db_mask = PCV_NTB_DB_VALID;
	timer_setup(&nd->train, pcv_ntb_dev_trained, 0);
	tasklet_setup(&nd->link_task, pcv_ntb_dev_link_task);
	tasklet_setup(&nd->db_task, pcv_ntb_dev_db_task);
	nd->link = pcv_shm_reset(nd->here);
	mutex_lock(&pcv_ntb_devs_lock);
	list_add_tail(&nd->list, &pcv_ntb_devs);
	mutex_unlock(&pcv_ntb_devs_lock);
}

int pcv_ntb_dev_register(struct pcv_ntb_dev *nd)
{
	return ntb_register_device(&nd->ntb);
}

void pcv_ntb_dev_unregister(struct pcv_ntb_dev *nd)
{
	ntb_unregister_device(&nd->ntb);
}

void pcv_ntb_dev_fini(struct pcv_ntb_dev *nd)
{
	mutex_lock(&pcv_ntb_devs_lock);
	list_del(&nd->list);
	mutex_unlock(&pcv_ntb_devs_lock);
	tasklet_kill(&nd->db_task);
	/* The task arms the timer only for a link that is enabled. */
	spin_lock_irq(&nd->lock);
	nd->link &= ~PCV_SHM_LINK_ENABLED;
	spin_unlock_irq(&nd->lock);
	del_timer_sync(&nd->train);
	tasklet_kill(&nd->link_task);
	pcv_shm_abandon(nd->here);
	pcv_ntb_dev_wake_peer(nd);
}
