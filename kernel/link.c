// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Links over the NTB API: one for each peer port of each NTB device.
 *
 * A bring-up goes through four states, and any trouble leads back to QUIET:
 *
 *   QUIET        This side has no generation; its scratchpads say so. It stays
 *                for PCV_QUIET_MS, so that the other side notices (longer when
 *                the other side makes no sense), and until
 *                the other side shows another generation than that of the life
 *                that ended: then nothing of that life writes here any more.
 *   WAIT_WINDOW  The aperture is zeroed and translated, a new generation
 *                is in the other side's scratchpads. Waits for theirs.
 *   WAIT_HELLO   The hello is in the other side's aperture. Waits for theirs.
 *   UP           Both hellos are there: a channel stands.
 *
 * A generation is used with one generation of the other side only. Whoever sees
 * the other side's change goes through QUIET and takes a new one, so no line,
 * credit or armed word of a former life can be taken for news.
 *
 * Who can still write to an aperture that is being freed: nobody. Its
 * translation is cleared, and the other side has shown another generation, or
 * the NTB link is down. Not every bridge can take a translation away from a
 * side that has stopped in the middle of a store and may go on at any time:
 * if that side does not answer, the memory is not used again.
 *
 * The direct window (link-direct.c), if this side has one, is shut
 * before the peer layer hears that the peer is down, so that what was lent to
 * the peer's processes may be given back when it does. A peer that does not
 * give back what it was lent is shut out while the link stands.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/ntb.h>
#include <linux/pci.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "aperture.h"
#include "compat.h"
#include "hello.h"
#include "link-ntb.h"
#include "os.h"
#include "stats.h"

#define PCV_QUIET_MS		50
#define PCV_PENALTY_MS		1000
#define PCV_STALE_MS		2000
#define PCV_BRINGUP_MIN_MS	20
#define PCV_BRINGUP_MAX_MS	1000
#define PCV_BRINGUP_FAST_MS	300	/* in one state, before backing off */
#define PCV_ALIVE_MS		1000

static unsigned int dead_after_ms = 5000;
module_param(dead_after_ms, uint, 0644);
MODULE_PARM_DESC(dead_after_ms, "a peer that shows no sign of life for so long is down (5000)");

static const char pcv_link_cut_off[] = "cut off";

static const struct pcv_node *pcv_link_node;
static const struct pcv_link_upcalls *pcv_link_upcalls;
static struct workqueue_struct *pcv_link_wq;

/* All links, for debugfs. */
static DEFINE_MUTEX(pcv_links_lock);
static LIST_HEAD(pcv_links);

static const char *pcv_link_state_name(const struct pcv_link *link)
{
	switch (READ_ONCE(link->state)) {
	case PCV_LINK_WAIT_WINDOW:
		return "WAIT_WINDOW";
	case PCV_LINK_WAIT_HELLO:
		return "WAIT_HELLO";
	case PCV_LINK_UP:
		return "ACTIVE";
	default:
		return "DOWN";
	}
}

/* --- scratchpads ---------------------------------------------------------- */

static void pcv_link_spad_put(struct pcv_link *link, enum pcv_spad spad, u32 value)
{
	ntb_peer_spad_write(link->pn->ntb, link->pidx, link->out_spad + spad, value);
}

static u32 pcv_link_spad_get(struct pcv_link *link, enum pcv_spad spad)
{
	return ntb_spad_read(link->pn->ntb, link->in_spad + spad);
}

static void pcv_link_announce(struct pcv_link *link)
{
	pcv_link_spad_put(link, PCV_SPAD_MAGIC, PCV_WIRE_MAGIC);
	pcv_link_spad_put(link, PCV_SPAD_VERSION, PCV_WIRE_VERSION | PCV_WIRE_VERSION << 16);
	pcv_link_spad_put(link, PCV_SPAD_GENERATION, link->generation);
	pcv_link_spad_put(link, PCV_SPAD_STATE, PCV_STATE_WINDOW);
	ntb_peer_db_set(link->pn->ntb, link->out_db);
}

static void pcv_link_withdraw(struct pcv_link *link, u32 magic)
{
	pcv_link_spad_put(link, PCV_SPAD_STATE, PCV_STATE_NONE);
	pcv_link_spad_put(link, PCV_SPAD_GENERATION, 0);
	pcv_link_spad_put(link, PCV_SPAD_MAGIC, magic);
	ntb_peer_db_set(link->pn->ntb, link->out_db);
}

/*
 * Return: the other side's generation, 0 while it has none. @refused: it
 * cannot be talked to.
 */
static u32 pcv_link_peer_generation(struct pcv_link *link, bool *refused)
{
	u32 magic, version, generation, low, high;

	*refused = false;
	generation = pcv_link_spad_get(link, PCV_SPAD_GENERATION);
	if (!generation || pcv_link_spad_get(link, PCV_SPAD_STATE) != PCV_STATE_WINDOW)
		return 0;
	magic = pcv_link_spad_get(link, PCV_SPAD_MAGIC);
	version = pcv_link_spad_get(link, PCV_SPAD_VERSION);
	/* A change in between makes the words above those of two lives. */
	if (pcv_link_spad_get(link, PCV_SPAD_GENERATION) != generation)
		return 0;

	low = version & 0xffff;
	high = version >> 16;
	if (magic != PCV_WIRE_MAGIC) {
		dev_warn_ratelimited(pcv_link_dev(link),
				     "the other side runs something else (magic %#x, ours %#x)\n",
				     magic, PCV_WIRE_MAGIC);
		*refused = true;
	} else if (low > PCV_WIRE_VERSION || high < PCV_WIRE_VERSION) {
		dev_warn_ratelimited(pcv_link_dev(link),
				     "the other side speaks versions %u to %u, this side %u to %u: no link\n",
				     low, high, PCV_WIRE_VERSION, PCV_WIRE_VERSION);
		*refused = true;
	}
	if (*refused)
		pcv_stat_inc(PCV_STAT_LINK_REFUSED);
	return generation;
}

/* --- what the peer layer asks --------------------------------------------- */

static void pcv_link_ring(void *arg)
{
	struct pcv_link *link = arg;

	ntb_peer_db_set(link->pn->ntb, link->out_db);
}

static void pcv_link_fail(void *arg)
{
	struct pcv_link *link = arg;

	set_bit(0, &link->failed);
	mod_delayed_work(pcv_link_wq, &link->work, 0);
}

static bool pcv_link_fence(void *arg)
{
	struct pcv_link *link = arg;

	pcv_link_direct_shut(link);
	return pcv_window_translates();
}

static unsigned long pcv_link_in_pfn(void *arg, u64 offset)
{
	struct pcv_link *link = arg;

	return pcv_aperture_pfn(&link->aperture, offset);
}

static const struct pcv_link_ops pcv_link_ops = {
	.ring = pcv_link_ring,
	.fail = pcv_link_fail,
	.fence = pcv_link_fence,
	.in_pfn = pcv_link_in_pfn,
	.direct_pfn = pcv_link_direct_pfn,
	.direct_unit = pcv_link_direct_unit,
};

/* --- states --------------------------------------------------------------- */

static void pcv_link_enter(struct pcv_link *link, enum pcv_link_state state)
{
	WRITE_ONCE(link->state, state);
	link->since = jiffies;
	link->delay_ms = PCV_BRINGUP_MIN_MS;
}

/* Back to QUIET, from wherever it was. */
static void pcv_link_quit(struct pcv_link *link, const char *why)
{
	unsigned long flags;
	void *peer;

	/* First: who hears that the peer is down takes back what it could write to. */
	pcv_link_direct_shut(link);
	spin_lock_irqsave(&link->lock, flags);
	peer = link->peer;
	link->peer = NULL;
	spin_unlock_irqrestore(&link->lock, flags);
	if (peer) {
		pcv_stat_inc(PCV_STAT_LINK_DOWN);
		dev_info(pcv_link_dev(link), "%s is gone: %s\n", link->channel.name, why);
		pcv_link_upcalls->down(peer);
	}
	pcv_link_direct_lose(link);

	if (link->window) {
		PCV_STORE((__le32 *)(link->window + PCV_ALIVE_OFFSET), 0);
		/* PCV(link_leave:A): the word leaves before the window and the doorbell. */
		pcv_out_wmb();
		pcv_window_unmap(link->window);
		link->window = NULL;
	}
	pcv_link_withdraw(link, PCV_WIRE_MAGIC);
	ntb_mw_clear_trans(link->pn->ntb, link->pidx, link->in_widx);
	link->stale_generation = link->peer_generation;
	link->peer_generation = 0;
	link->generation = 0;
	link->quiet_ms = why == pcv_link_cut_off ? PCV_PENALTY_MS : PCV_QUIET_MS;
	pcv_link_enter(link, PCV_LINK_QUIET);
}

static bool pcv_link_alloc(struct pcv_link *link)
{
	struct ntb_dev *ntb = link->pn->ntb;
	resource_size_t addr_align, size_align, size_max;
	struct pcv_aperture_need need;

	if (link->aperture.source != PCV_APERTURE_NONE)
		return true;
	if (ntb_mw_get_align(ntb, link->pidx, link->in_widx, &addr_align, &size_align, &size_max))
		return false;
	need.addr_align = addr_align;
	need.size_align = size_align;
	need.size_max = size_max;
	if (pcv_aperture_alloc(&link->aperture, pcv_ntb_dma_dev(ntb), &need))
		return false;
	link->channel.in_bytes = link->aperture.bytes;
	link->channel.in_used = pcv_layout(link->aperture.bytes, link->channel.in_ring);
	return true;
}

/* QUIET -> WAIT_WINDOW */
static void pcv_link_open(struct pcv_link *link)
{
	u32 former = link->generation;
	bool refused;
	int err;

	if (time_before(jiffies, link->since + msecs_to_jiffies(link->quiet_ms)))
		return;
	if (link->stale_generation &&
	    link->stale_generation == pcv_link_peer_generation(link, &refused) &&
	    time_before(jiffies, link->since + msecs_to_jiffies(PCV_STALE_MS)))
		return;
	if (!pcv_link_alloc(link))
		return;

	memset(link->aperture.start, 0, link->aperture.bytes);
	/* PCV(link_open:A): zeroes are in place before anybody can write there. */
	pcv_out_mb();
	err = ntb_mw_set_trans(link->pn->ntb, link->pidx, link->in_widx, link->aperture.dma,
			       link->aperture.bytes);
	if (err) {
		dev_err_ratelimited(pcv_link_dev(link), "translation of %llu KiB refused: %d\n",
				    link->aperture.bytes >> 10, err);
		return;
	}
	do {
		link->generation = get_random_u32();
	} while (!link->generation || link->generation == former);
	pcv_link_announce(link);
	pcv_link_enter(link, PCV_LINK_WAIT_WINDOW);
}

/* WAIT_WINDOW -> WAIT_HELLO */
static void pcv_link_greet(struct pcv_link *link)
{
	struct ntb_dev *ntb = link->pn->ntb;
	resource_size_t bytes;
	phys_addr_t phys;
	u32 generation;
	bool refused;
	void *window;
	int err;

	generation = pcv_link_peer_generation(link, &refused);
	if (!generation || refused)
		return;
	/* Only now: translations of the other side may be set late. */
	err = ntb_peer_mw_get_addr(ntb, link->out_widx, &phys, &bytes);
	if (err || bytes < PCV_APERTURE_MIN) {
		dev_warn_ratelimited(pcv_link_dev(link),
				     "window of %llu KiB to the other side (%d), %u KiB needed\n",
				     err ? 0 : (u64)bytes >> 10, err, PCV_APERTURE_MIN >> 10);
		return;
	}
	window = pcv_window_map(phys, bytes);
	if (IS_ERR(window)) {
		dev_dbg(pcv_link_dev(link), "window at %pa cannot be mapped: %ld\n", &phys,
			PTR_ERR(window));
		return;
	}
	link->window = window;
	link->window_bytes = bytes;
	link->window_phys = phys;
	link->peer_generation = generation;
	link->alive_out = 1;
	pcv_link_direct_tell(link);
	pcv_hello_write(window, pcv_link_node, link->generation, generation,
			&link->channel);
	ntb_peer_db_set(ntb, link->out_db);
	pcv_link_enter(link, PCV_LINK_WAIT_HELLO);
}

/* WAIT_HELLO -> UP */
static void pcv_link_complete(struct pcv_link *link)
{
	const char *why = NULL;
	unsigned long flags;
	void *peer;
	int err;

	err = pcv_hello_read(link->aperture.start, link->generation, link->peer_generation,
			     link->window_bytes, &link->channel, &why);
	if (err == -EAGAIN)
		return;
	if (err) {
		dev_warn_ratelimited(pcv_link_dev(link), "the other side's hello is wrong: %s\n",
				     why);
		pcv_stat_inc(PCV_STAT_LINK_REFUSED);
		pcv_link_quit(link, pcv_link_cut_off);
		return;
	}
	link->channel.ops = &pcv_link_ops;
	link->channel.link = link;
	link->channel.in = link->aperture.start;
	link->channel.out = link->window;
	link->channel.out_phys = link->window_phys;
	if (!pcv_window_ok(link->window_phys, link->window_bytes))
		link->channel.out_bytes = 0;
	link->channel.wc = pcv_window_wc();
	pcv_link_direct_open(link);
	clear_bit(0, &link->failed);

	peer = pcv_link_upcalls->up(&link->channel);
	if (IS_ERR(peer)) {
		pcv_link_quit(link, pcv_link_cut_off);
		return;
	}
	link->alive_in = 0;
	link->silent_ms = 0;
	pcv_stat_inc(PCV_STAT_LINK_UP);
	dev_info(pcv_link_dev(link), "%s is there (%pM)\n", link->channel.name,
		 link->channel.node.mac);
	pcv_link_enter(link, PCV_LINK_UP);
	spin_lock_irqsave(&link->lock, flags);
	link->peer = peer;
	spin_unlock_irqrestore(&link->lock, flags);
	/* A doorbell that came meanwhile found no peer. */
	pcv_link_upcalls->wake(peer);
}

static u32 pcv_link_alive(const struct pcv_link *link)
{
	const __le32 *alive = link->aperture.start + PCV_ALIVE_OFFSET;

	return pcv_le32(PCV_LOAD(alive));
}

/* UP: show a sign of life, and look for one. Return: why the peer is down, or NULL. */
static const char *pcv_link_watch(struct pcv_link *link)
{
	u32 alive = pcv_link_alive(link);

	if (!++link->alive_out)
		link->alive_out++;
	PCV_STORE((__le32 *)(link->window + PCV_ALIVE_OFFSET), pcv_to_le32(link->alive_out));
	/* PCV(link_alive:A): nothing follows that would drain a write-combining buffer. */
	pcv_out_wmb();

	if (!alive)
		return "it has left";
	if (alive != link->alive_in) {
		link->alive_in = alive;
		link->silent_ms = 0;
		return NULL;
	}
	/* Counted in looks, not by the clock: this node may have been stopped itself. */
	link->silent_ms += PCV_ALIVE_MS;
	if (link->silent_ms < max_t(unsigned int, dead_after_ms, 2 * PCV_ALIVE_MS))
		return NULL;
	pcv_stat_inc(PCV_STAT_LINK_DEAD);
	return "no sign of life";
}

/* Return: why the present bring-up or channel is over, or NULL. */
static const char *pcv_link_trouble(struct pcv_link *link, bool ntb_up)
{
	bool refused;

	if (link->state == PCV_LINK_QUIET)
		return NULL;
	if (!ntb_up)
		return "NTB link down";
	if (test_and_clear_bit(0, &link->failed))
		return pcv_link_alive(link) ? pcv_link_cut_off : "it has left";
	if (link->peer_generation &&
	    pcv_link_peer_generation(link, &refused) != link->peer_generation)
		return "a new generation on the other side";
	if (link->state == PCV_LINK_UP)
		return pcv_link_watch(link);
	return NULL;
}

static void pcv_link_work(struct work_struct *work)
{
	struct pcv_link *link = container_of(to_delayed_work(work), struct pcv_link, work);
	const char *why;
	bool ntb_up;

	if (!READ_ONCE(link->runs))
		return;
	ntb_up = ntb_link_is_up(link->pn->ntb, NULL, NULL) & BIT_ULL(link->pidx);
	why = pcv_link_trouble(link, ntb_up);
	if (why)
		pcv_link_quit(link, why);
	if (ntb_up) {
		if (link->state == PCV_LINK_QUIET)
			pcv_link_open(link);
		if (link->state == PCV_LINK_WAIT_WINDOW)
			pcv_link_greet(link);
		if (link->state == PCV_LINK_WAIT_HELLO)
			pcv_link_complete(link);
	}

	if (link->state == PCV_LINK_UP) {
		link->delay_ms = PCV_ALIVE_MS;
	} else if (!ntb_up) {
		/* The link event wakes it; QUIET has begun, so it costs nothing to sleep. */
		return;
	} else if (time_after(jiffies, link->since + msecs_to_jiffies(PCV_BRINGUP_FAST_MS))) {
		link->delay_ms = min(2 * link->delay_ms, PCV_BRINGUP_MAX_MS);
	}
	queue_delayed_work(pcv_link_wq, &link->work, msecs_to_jiffies(link->delay_ms));
}

/* --- NTB client ------------------------------------------------------------ */

static void pcv_ntb_link_event(void *ctx)
{
	struct pcv_ntb *pn = ctx;
	int i;

	for (i = 0; i < pn->count; i++)
		mod_delayed_work(pcv_link_wq, &pn->link[i].work, 0);
}

static void pcv_ntb_db_event(void *ctx, int vector)
{
	struct pcv_ntb *pn = ctx;
	struct pcv_link *link;
	unsigned long flags;
	u64 bits;
	int i;

	bits = ntb_db_read(pn->ntb) & pn->db_mask;
	/* Cleared before anything is looked at: what comes later rings again. */
	ntb_db_clear(pn->ntb, bits);
	for (i = 0; i < pn->count; i++) {
		link = &pn->link[i];
		if (!(bits & link->in_db))
			continue;
		spin_lock_irqsave(&link->lock, flags);
		if (link->peer)
			pcv_link_upcalls->wake(link->peer);
		else
			mod_delayed_work(pcv_link_wq, &link->work, 0);
		spin_unlock_irqrestore(&link->lock, flags);
	}
}

static const struct ntb_ctx_ops pcv_ntb_ctx_ops = {
	.link_event = pcv_ntb_link_event,
	.db_event = pcv_ntb_db_event,
};

/*
 * Who uses which window, scratchpads and doorbell. Between two ports it is the
 * first of each. With more ports every pair needs its own: ports are numbered
 * through, and in a port's set the others come in that order.
 */
static int pcv_link_init_resources(struct pcv_link *link)
{
	struct ntb_dev *ntb = link->pn->ntb;
	int self = 0, peer = 0;

	if (link->pn->count > 1) {
		self = ntb_logical_port_number(ntb);
		peer = ntb_peer_logical_port_number(ntb, link->pidx);
		link->in_widx = self < peer ? self : self - 1;
		link->out_widx = peer < self ? peer : peer - 1;
		link->in_spad = peer * PCV_SPAD_COUNT;
		link->out_spad = self * PCV_SPAD_COUNT;
	}
	/* The direct windows come behind the others, in the same order. */
	link->in_direct = link->in_widx + link->pn->count;
	link->out_direct = link->out_widx + link->pn->count;
	if (link->in_direct >= ntb_mw_count(ntb, link->pidx)) {
		if (pcv_link_direct_wanted())
			dev_warn(&ntb->dev, "port %d: no window left for direct memory\n",
				 link->pidx);
		link->in_direct = -1;
	}
	if (link->out_direct >= ntb_peer_mw_count(ntb))
		link->out_direct = -1;
	link->in_db = BIT_ULL(self);
	link->out_db = BIT_ULL(peer);

	if (link->in_widx >= ntb_mw_count(ntb, link->pidx) ||
	    link->out_widx >= ntb_peer_mw_count(ntb)) {
		dev_err(&ntb->dev, "port %d: no memory window left\n", link->pidx);
		return -ENOSPC;
	}
	if (max(link->in_spad, link->out_spad) + PCV_SPAD_COUNT > ntb_spad_count(ntb)) {
		dev_err(&ntb->dev, "port %d: %d scratchpads are not enough\n", link->pidx,
			ntb_spad_count(ntb));
		return -ENOSPC;
	}
	if ((link->in_db | link->out_db) & ~ntb_db_valid_mask(ntb)) {
		dev_err(&ntb->dev, "port %d: no doorbell left\n", link->pidx);
		return -ENOSPC;
	}
	return 0;
}

static int pcv_ntb_probe(struct ntb_client *client, struct ntb_dev *ntb)
{
	int count = ntb_peer_port_count(ntb);
	struct pcv_ntb *pn;
	struct pcv_link *link;
	int i, err;

	if (count < 1)
		return -ENODEV;
	pn = kzalloc(struct_size(pn, link, count), GFP_KERNEL);
	if (!pn)
		return -ENOMEM;
	pn->ntb = ntb;
	pn->count = count;
	for (i = 0; i < count; i++) {
		link = &pn->link[i];
		link->pn = pn;
		link->pidx = i;
		spin_lock_init(&link->lock);
		mutex_init(&link->direct_lock);
		INIT_DELAYED_WORK(&link->work, pcv_link_work);
		err = pcv_link_init_resources(link);
		if (err)
			goto err_free;
		pn->db_mask |= link->in_db;
		pcv_link_enter(link, PCV_LINK_QUIET);
	}

	err = ntb_set_ctx(ntb, pn, &pcv_ntb_ctx_ops);
	if (err)
		goto err_free;
	mutex_lock(&pcv_links_lock);
	for (i = 0; i < count; i++)
		list_add_tail(&pn->link[i].entry, &pcv_links);
	mutex_unlock(&pcv_links_lock);

	/* A former life of this side may have left something there. */
	for (i = 0; i < count; i++) {
		pcv_link_withdraw(&pn->link[i], PCV_WIRE_MAGIC);
		WRITE_ONCE(pn->link[i].runs, true);
	}
	ntb_db_clear(ntb, pn->db_mask);
	ntb_db_clear_mask(ntb, pn->db_mask);
	ntb_link_enable(ntb, NTB_SPEED_AUTO, NTB_WIDTH_AUTO);
	pcv_ntb_link_event(pn);
	return 0;

err_free:
	kfree(pn);
	return err;
}

/*
 * Wait until the other side shows that it no longer uses what this life gave
 * it. Return: false if it does not.
 */
static bool pcv_link_released(struct pcv_link *link)
{
	unsigned long end = jiffies + msecs_to_jiffies(PCV_STALE_MS);
	bool refused;

	if (!link->stale_generation)
		return true;
	while ((ntb_link_is_up(link->pn->ntb, NULL, NULL) & BIT_ULL(link->pidx)) &&
	       pcv_link_peer_generation(link, &refused) == link->stale_generation) {
		if (time_after(jiffies, end))
			return false;
		msleep(PCV_BRINGUP_MIN_MS);
	}
	return true;
}

static void pcv_ntb_remove(struct ntb_client *client, struct ntb_dev *ntb)
{
	struct pcv_ntb *pn = ntb->ctx;
	struct pcv_link *link;
	int i;

	ntb_db_set_mask(ntb, pn->db_mask);
	ntb_clear_ctx(ntb);
	mutex_lock(&pcv_links_lock);
	for (i = 0; i < pn->count; i++)
		list_del(&pn->link[i].entry);
	mutex_unlock(&pcv_links_lock);

	for (i = 0; i < pn->count; i++) {
		link = &pn->link[i];
		/* A peer that fails meanwhile queues it again, but it does nothing. */
		WRITE_ONCE(link->runs, false);
		cancel_delayed_work_sync(&link->work);
		pcv_link_quit(link, "this side leaves");
		cancel_delayed_work_sync(&link->work);
		pcv_link_withdraw(link, 0);
	}
	for (i = 0; i < pn->count; i++) {
		link = &pn->link[i];
		if (pcv_link_released(link))
			pcv_aperture_free(&link->aperture);
		else
			dev_warn(pcv_link_dev(link),
				 "the other side does not let go: %llu KiB stay with it\n",
				 link->aperture.bytes >> 10);
	}
	ntb_link_disable(ntb);
	kfree(pn);
}

static struct ntb_client pcv_ntb_client = {
	.ops = {
		.probe = pcv_ntb_probe,
		.remove = pcv_ntb_remove,
	},
};

int pcv_link_init(const struct pcv_node *node, const struct pcv_link_upcalls *upcalls)
{
	int err;

	pcv_link_node = node;
	pcv_link_upcalls = upcalls;
	if (pcv_link_direct_wanted())
		pr_warn("direct memory: the kernel of every peer may write all memory of this node\n");
	pcv_link_wq = alloc_workqueue("pcieverbs_link", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!pcv_link_wq)
		return -ENOMEM;
	err = ntb_register_client(&pcv_ntb_client);
	if (err)
		destroy_workqueue(pcv_link_wq);
	return err;
}

void pcv_link_exit(void)
{
	ntb_unregister_client(&pcv_ntb_client);
	destroy_workqueue(pcv_link_wq);
}

/* --- debugfs --------------------------------------------------------------- */

static void pcv_link_show_one(struct pcv_link *link, struct seq_file *m)
{
	unsigned long flags;

	spin_lock_irqsave(&link->lock, flags);
	if (link->peer)
		seq_printf(m, "name=%s node=%016llx mac=%pM", link->channel.name,
			   link->channel.node.guid, link->channel.node.mac);
	else
		seq_puts(m, "name=? node=? mac=?");
	seq_printf(m, " state=%s ntb=%s:%d gen=%08x peer_gen=%08x aperture=%llu window=%llu direct_in=%llu direct_out=%llu",
		   pcv_link_state_name(link), dev_name(pcv_link_dev(link)), link->pidx,
		   link->generation, link->peer_generation, link->aperture.bytes,
		   link->window_bytes, link->channel.own_bytes, link->channel.direct_bytes);
	if (link->peer)
		pcv_link_upcalls->show(link->peer, m);
	seq_putc(m, '\n');
	spin_unlock_irqrestore(&link->lock, flags);
}

void pcv_link_show(struct seq_file *m)
{
	struct pcv_link *link;

	mutex_lock(&pcv_links_lock);
	list_for_each_entry(link, &pcv_links, entry)
		pcv_link_show_one(link, m);
	mutex_unlock(&pcv_links_lock);
}

void pcv_link_show_aperture(struct seq_file *m)
{
	struct pcv_link *link;
	unsigned long flags;
	u32 blocks;

	mutex_lock(&pcv_links_lock);
	list_for_each_entry(link, &pcv_links, entry) {
		spin_lock_irqsave(&link->lock, flags);
		blocks = link->peer ? pcv_link_upcalls->blocks(link->peer) : 0;
		spin_unlock_irqrestore(&link->lock, flags);
		seq_printf(m, "ntb=%s:%d source=%s total=%llu channel=%llu queue_pairs=%llu\n",
			   dev_name(pcv_link_dev(link)), link->pidx,
			   pcv_aperture_source_name(&link->aperture), link->aperture.bytes,
			   link->aperture.bytes ? link->channel.in_used : 0,
			   (u64)blocks * PCV_FAST_BYTES);
	}
	mutex_unlock(&pcv_links_lock);
}
