// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The kernel's end of the provider's tests. See fake.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "fake.h"

#define FAKE_OBJECTS		1100
#define FAKE_FILE_BYTES		(256u << 20)
#define FAKE_PAGE		4096u

struct fake_limits fake_limits;
struct fake_faults fake_faults;
struct fake_lies fake_lies;
unsigned int fake_modifies, fake_ioctls;

static struct {
	struct pcv_context *ctx;
	int fd;
	uint8_t *base;
	uint64_t used;
	uint32_t next_qp_num;
	uint32_t next_key;
	uint64_t pair[2];		/* blocks of the next queue pair, 0: none yet */
	struct fake_qp *qp[FAKE_OBJECTS];
	struct fake_srq *srq[FAKE_OBJECTS];
	struct pcv_cq_shared *cq[FAKE_OBJECTS];
	uint32_t asks[FAKE_OBJECTS];	/* calls of each CQ */
} fake;

void *__real_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *addr, size_t bytes);
int __wrap_munmap(void *addr, size_t bytes);
ssize_t __real_write(int fd, const void *buf, size_t bytes);
ssize_t __wrap_write(int fd, const void *buf, size_t bytes);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

/*
 * With FAKE_ONE_MAPPING both ends use one mapping: the race detector takes two
 * addresses for two places.
 */
void *__wrap_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	if (FAKE_ONE_MAPPING && fake.base && fd == fake.fd)
		return fake.base + offset;
	return __real_mmap(addr, bytes, prot, flags, fd, offset);
}

int __wrap_munmap(void *addr, size_t bytes)
{
	uintptr_t at = (uintptr_t)addr - (uintptr_t)fake.base;

	if (FAKE_ONE_MAPPING && at && at < FAKE_FILE_BYTES)
		return 0;
	return __real_munmap(addr, bytes);
}

static uint64_t fake_region(uint64_t bytes, void **kernel)
{
	uint64_t offset = fake.used;

	bytes = (bytes + FAKE_PAGE - 1) & ~(uint64_t)(FAKE_PAGE - 1);
	CHECK(offset + bytes <= FAKE_FILE_BYTES);
	fake.used += bytes;
	*kernel = fake.base + offset;
	memset(*kernel, 0, bytes);
	return offset;
}

static uint64_t fake_region_bytes(uint64_t bytes)
{
	if (fake_lies.mmap_bytes)
		return fake_lies.mmap_bytes;
	return (bytes + FAKE_PAGE - 1) & ~(uint64_t)(FAKE_PAGE - 1);
}

/* Return: a handle; 0 is none. */
static uint32_t fake_handle(void **table)
{
	uint32_t i;

	for (i = 1; i < FAKE_OBJECTS; i++)
		if (!table[i])
			return i;
	CHECK(!"too many objects");
	return 0;
}

struct ibv_context *fake_open(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(&fake_faults, 0, sizeof(fake_faults));
	memset(&fake_lies, 0, sizeof(fake_lies));
	fake_modifies = 0;
	fake_ioctls = 0;
	fake_limits = (struct fake_limits){
		.sq_count = 16, .rq_count = 16, .ring_count = 16, .max_sge = 4,
		.max_inline = 128, .srq_count = 16,
	};
	fake.fd = memfd_create("pcieverbs-test", 0);
	CHECK(fake.fd >= 0);
	CHECK(!ftruncate(fake.fd, FAKE_FILE_BYTES));
	fake.base = mmap(NULL, FAKE_FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fake.fd, 0);
	CHECK(fake.base != MAP_FAILED);
	fake.used = FAKE_PAGE;
	fake.next_qp_num = 17;
	fake.next_key = 0x100;
	fake.ctx = calloc(1, sizeof(*fake.ctx));
	CHECK(fake.ctx);
	fake.ctx->vctx.context.cmd_fd = fake.fd;
	pthread_spin_init(&fake.ctx->mr_lock, PTHREAD_PROCESS_PRIVATE);
	return &fake.ctx->vctx.context;
}

void fake_close(void)
{
	int i;

	for (i = 1; i < FAKE_OBJECTS; i++)
		CHECK(!fake.qp[i] && !fake.srq[i] && !fake.cq[i]);
	for (i = 0; i < PCV_MR_BUCKETS; i++)
		CHECK(!fake.ctx->mr[i]);
	pthread_spin_destroy(&fake.ctx->mr_lock);
	free(fake.ctx);
	munmap(fake.base, FAKE_FILE_BYTES);
	close(fake.fd);
}

struct fake_qp *fake_qp(const struct ibv_qp *qp)
{
	return fake.qp[qp->handle];
}

struct fake_srq *fake_srq(const struct ibv_srq *srq)
{
	return fake.srq[srq->handle];
}

struct pcv_cq_shared *fake_cq(const struct ibv_cq *cq)
{
	return fake.cq[cq->handle];
}

uint32_t fake_asks(const struct ibv_cq *cq)
{
	return __atomic_load_n(&fake.asks[cq->handle], __ATOMIC_RELAXED);
}

void fake_hint(struct pcv_cq_shared *cq, uint32_t qp_num)
{
	uint32_t slot = qp_num % PCV_CQ_SLOTS;

	pcv_word_set(&cq->hint[slot / 64], 1ull << slot % 64);
	pcv_word_set(&cq->summary, 1ull << slot / 64);
}

void fake_kick_ask(struct fake_qp *fq, uint32_t bits)
{
	__atomic_fetch_or(&fq->shared->kick, bits, __ATOMIC_RELAXED);
	/* PCV(qp_kick:B) pairs with qp_kick:A: asked first, then one more look. */
	pcv_cpu_mb();
}

void fake_kick_unask(struct fake_qp *fq, uint32_t bits)
{
	__atomic_fetch_and(&fq->shared->kick, ~bits, __ATOMIC_RELAXED);
}

uint32_t fake_kicks(struct fake_qp *fq)
{
	/* PCV(qp_kick:B) pairs with qp_kick:A: a call comes after what it is about. */
	return pcv_cpu_load_acquire(&fq->kicks);
}

/* --- sends --- */

const struct pcv_swqe *fake_send_take(struct fake_qp *fq)
{
	uint32_t tail;

	/* PCV(qp_sq_tail:B) pairs with qp_sq_tail:A: slots before their count. */
	tail = pcv_cpu_load_acquire(&fq->shared->sq_tail);
	CHECK(tail - fq->sq_taken <= fq->sq_count);
	if (tail == fq->sq_taken)
		return NULL;
	return (void *)(fq->sq + (fq->sq_taken++ & (fq->sq_count - 1)) * fq->sq_stride);
}

void fake_send_end(struct fake_qp *fq, uint32_t status, uint32_t bytes)
{
	struct pcv_scqe *scqe = &fq->scqe[fq->sq_done & (fq->sq_count - 1)];

	CHECK(fq->sq_done != fq->sq_taken);
	PCV_STORE(&scqe->status, status);
	PCV_STORE(&scqe->byte_len, bytes);
	fq->sq_done++;
	/* PCV(qp_sq_done:A) pairs with qp_sq_done:B: how it ended, then that it did. */
	pcv_cpu_store_release(&fq->shared->sq_done, fq->sq_done);
	fake_hint(fq->send_cq, fq->qp_num);
}

void fake_send_all(struct fake_qp *fq, unsigned int n)
{
	while (n--) {
		CHECK(fake_send_take(fq));
		fake_send_end(fq, PCV_WC_SUCCESS, 0);
	}
}

/* --- receives --- */

static bool fake_srq_take(struct fake_srq *srq, uint32_t *wqe, struct pcv_rwqe *copy)
{
	struct pcv_rwqe *slot;
	uint32_t head;

	do {
		/* PCV(srq_tail:B) pairs with srq_tail:A: entries before their count. */
		head = pcv_cpu_load_acquire(&srq->shared->head);
		if (head == pcv_cpu_load_acquire(&srq->shared->tail))
			return false;
		slot = (void *)(srq->queue + (head & (srq->count - 1)) * srq->stride);
		*wqe = (uint32_t)PCV_LOAD(&slot->wr_id);
		if (copy)
			copy->num_sge = PCV_LOAD(&slot->num_sge);
		/* PCV(srq_take:B) pairs with srq_take:A: the copy, then the taking. */
	} while (!pcv_word_change(&srq->shared->head, head, head + 1));
	return true;
}

bool fake_recv_take(struct fake_qp *fq, uint32_t *wqe, struct pcv_rwqe *copy)
{
	if (fq->srq)
		return fake_srq_take(fq->srq, wqe, copy);
	/* PCV(qp_rq_tail:B) pairs with qp_rq_tail:A: slots before their count. */
	if (fq->rq_next == pcv_cpu_load_acquire(&fq->shared->rq_tail))
		return false;
	if (copy)
		*copy = *(struct pcv_rwqe *)(void *)
			(fq->rq + (fq->rq_next & (fq->rq_count - 1)) * fq->rq_stride);
	*wqe = fq->rq_next++;
	return true;
}

int fake_rx_put(struct fake_qp *fq, uint8_t type, uint8_t flags, const void *data, uint32_t len)
{
	struct pcv_ring_vec vec = { .base = data, .len = len };
	int ret;

	ret = pcv_ring_put(&fq->ring, type, flags, &vec, 1);
	if (ret == -EAGAIN) {
		/* PCV(ring_head:B) pairs with ring_head:A: read, then given back. */
		CHECK(!pcv_ring_credit(&fq->ring, pcv_cpu_load_acquire(&fq->shared->ring_head)));
		ret = pcv_ring_put(&fq->ring, type, flags, &vec, 1);
	}
	if (ret > 0)
		fake_hint(fq->recv_cq, fq->qp_num);
	return ret;
}

int fake_rx_placed(struct fake_qp *fq, uint32_t wqe, uint32_t bytes)
{
	struct pcv_rx_placed placed;

	memset(&placed, 0, sizeof(placed));
	placed.wqe = pcv_to_le32(wqe);
	placed.byte_len = pcv_to_le32(bytes);
	return fake_rx_put(fq, PCV_RX_PLACED, 0, &placed, sizeof(placed));
}

int fake_rx_head_data(struct fake_qp *fq, uint8_t flags, uint32_t imm, uint32_t fast,
		      const void *data, uint32_t len)
{
	struct pcv_rx_data head = { .fast = pcv_to_le32(fast) };
	static uint8_t msg[PCV_RING_LEN_MAX];

	memcpy(&head.imm, &imm, sizeof(head.imm));
	memcpy(msg, &head, sizeof(head));
	CHECK(len <= sizeof(msg) - sizeof(head));
	if (len)
		memcpy(msg + sizeof(head), data, len);
	return fake_rx_put(fq, PCV_RX_DATA, flags, msg, (uint32_t)sizeof(head) + len);
}

int fake_rx_data(struct fake_qp *fq, const void *data, uint32_t len)
{
	uint32_t wqe;

	if (!fq->srq)
		fake_recv_take(fq, &wqe, NULL);
	return fake_rx_head_data(fq, 0, 0, 0, data, len);
}

/* --- error and reset --- */

static int fake_rx_flush(struct fake_qp *fq, uint32_t wqe)
{
	struct pcv_rx_placed placed;

	memset(&placed, 0, sizeof(placed));
	placed.wqe = pcv_to_le32(wqe);
	placed.status = pcv_to_le32(PCV_WC_WR_FLUSH_ERR);
	placed.fast = pcv_to_le32(fq->claimed_fast);
	return fake_rx_put(fq, PCV_RX_PLACED, 0, &placed, sizeof(placed));
}

static void fake_flush(struct fake_qp *fq)
{
	uint32_t wqe;

	fake_kick_ask(fq, PCV_KICK_SEND | PCV_KICK_RECV);
	while (fake_send_take(fq))
		;
	fq->holding = false;
	while (fq->sq_done != fq->sq_taken)
		fake_send_end(fq, PCV_WC_WR_FLUSH_ERR, 0);
	if (fq->has_claimed && fake_rx_flush(fq, fq->claimed) > 0)
		fq->has_claimed = false;
	if (PCV_LOAD(&fq->shared->fast) & PCV_QP_FAST_RX) {
		/* PCV(qp_fast:A) pairs with qp_fast:B: what is in the ring, then this. */
		__atomic_fetch_or(&fq->shared->fast, PCV_QP_FAST_FLUSH, __ATOMIC_SEQ_CST);
		fake_hint(fq->recv_cq, fq->qp_num);
		return;
	}
	if (fq->srq)
		return;
	while (fake_recv_take(fq, &wqe, NULL)) {
		if (fake_rx_flush(fq, wqe) < 0) {
			fq->rq_next--;
			fake_kick_ask(fq, PCV_KICK_RING);
			break;
		}
	}
}

static void fake_reset(struct fake_qp *fq)
{
	fq->sq_taken = 0;
	fq->sq_done = 0;
	fq->rq_next = 0;
	fq->claims = 0;
	fq->has_claimed = false;
	fq->claimed_fast = 0;
	fq->holding = false;
	memset(fq->shared, 0, sizeof(*fq->shared));
	if (fq->own)
		memset(fq->own, 0, PCV_FAST_BYTES);
	memset(fq->ring.line, 0, (fq->ring.mask + 1) * PCV_LINE_BYTES);
	pcv_ring_tx_init(&fq->ring, fq->ring.line, fq->ring.mask + 1, PCV_RX_SEQ_BASE);
}

/* --- fast rings --- */

void fake_fast_open(struct fake_qp *fq, uint32_t bits)
{
	PCV_STORE(&fq->shared->fast_tx_seq, fq->fast_seq);
	/* PCV(qp_fast:A) pairs with qp_fast:B: the number, then the bit. */
	__atomic_fetch_or(&fq->shared->fast, PCV_QP_FAST_TX | PCV_QP_FAST_CTL | bits,
			  __ATOMIC_SEQ_CST);
}

void fake_fast_shut(struct fake_qp *fq, uint32_t bits)
{
	__atomic_fetch_and(&fq->shared->fast, ~bits, __ATOMIC_SEQ_CST);
}

/* Return: how many bytes, into @to. */
static uint32_t fake_gather(const struct pcv_swqe *wqe, uint8_t *to)
{
	const struct pcv_sge *sge = (const void *)(wqe + 1);
	uint32_t bytes = 0;
	int i;

	if (wqe->flags & PCV_WR_INLINE) {
		memcpy(to, wqe + 1, wqe->inline_len);
		return wqe->inline_len;
	}
	for (i = 0; i < wqe->num_sge; i++) {
		if (sge[i].length)
			memcpy(to + bytes, (void *)(uintptr_t)sge[i].addr, sge[i].length);
		bytes += sge[i].length;
	}
	return bytes;
}

static void fake_scatter(const struct pcv_rwqe *wqe, const uint8_t *from, uint32_t bytes)
{
	const struct pcv_sge *sge = (const void *)(wqe + 1);
	uint32_t n;
	int i;

	for (i = 0; bytes; i++) {
		CHECK(i < (int)wqe->num_sge);
		n = bytes < sge[i].length ? bytes : sge[i].length;
		if (n)
			memcpy((void *)(uintptr_t)sge[i].addr, from, n);
		from += n;
		bytes -= n;
	}
}

/* As fast_copies() in kernel/resp.c. Return: whether the own receive may be claimed. */
static bool fake_claim(struct fake_qp *fq, uint32_t fast)
{
	if (fq->srq || !(PCV_LOAD(&fq->shared->fast) & PCV_QP_FAST_RX))
		return true;
	PCV_STORE(&fq->shared->fast_claim, (uint64_t)(fq->claims + 1) << 32 | fast);
	/* PCV(fast_claim:B) pairs with fast_claim:A: the claim, then whether it copies. */
	pcv_cpu_mb();
	if (!PCV_LOAD(&fq->shared->fast_open))
		return true;
	fake_kick_ask(fq, PCV_KICK_RECV);
	return !PCV_LOAD(&fq->shared->fast_open);
}

bool fake_pass(struct fake_qp *from, struct fake_qp *to, bool placed)
{
	static uint8_t data[4u << 20];
	const struct pcv_swqe *wqe;
	struct pcv_rx_placed entry;
	uint32_t index, bytes;
	bool imm;

	if (from->holding)
		wqe = (void *)(from->sq + ((from->sq_taken - 1) & (from->sq_count - 1)) *
			       from->sq_stride);
	else
		wqe = fake_send_take(from);
	if (!wqe)
		return false;
	from->holding = true;
	bytes = fake_gather(wqe, data);
	imm = wqe->opcode == PCV_WR_SEND_IMM || wqe->opcode == PCV_WR_WRITE_IMM;
	if (wqe->opcode == PCV_WR_WRITE) {
		memcpy((void *)(uintptr_t)wqe->remote_addr, data, bytes);
		goto end;
	}
	CHECK(wqe->opcode == PCV_WR_SEND || imm);
	if (!fake_claim(to, wqe->fast))
		return false;
	if (!placed && bytes < 800) {
		if (fake_rx_head_data(to, imm ? PCV_RX_IMM : 0, wqe->imm, wqe->fast, data,
				      bytes) < 0)
			return false;
		to->rq_next++;
		to->claims++;
		goto end;
	}
	memset(&entry, 0, sizeof(entry));
	if (to->srq) {
		struct pcv_rwqe *slot;

		index = PCV_LOAD(&to->srq->shared->head);
		if (!fake_recv_take(to, &bytes, NULL))
			return false;
		entry.wqe = pcv_to_le32(bytes);
		slot = (void *)(to->srq->queue + (index & (to->srq->count - 1)) * to->srq->stride);
		bytes = fake_gather(wqe, data);
		fake_scatter(slot, data, bytes);
	} else {
		/* Its own claims, and those of the fast messages before. */
		index = to->rq_next + wqe->fast;
		/* PCV(qp_rq_tail:B) pairs with qp_rq_tail:A: slots before their count. */
		if ((int32_t)(pcv_cpu_load_acquire(&to->shared->rq_tail) - index) <= 0)
			return false;
		fake_scatter((void *)(to->rq + (index & (to->rq_count - 1)) * to->rq_stride), data,
			     bytes);
		entry.wqe = pcv_to_le32(index);
		to->rq_next++;
		to->claims++;
	}
	entry.byte_len = pcv_to_le32(bytes);
	entry.fast = pcv_to_le32(wqe->fast);
	if (imm) {
		entry.wc_flags = PCV_RX_WC_IMM;
		memcpy(&entry.imm, &wqe->imm, 4);
	}
	CHECK(fake_rx_put(to, PCV_RX_PLACED, 0, &entry, sizeof(entry)) > 0);
end:
	from->holding = false;
	fake_send_end(from, PCV_WC_SUCCESS, bytes);
	return true;
}

static void fake_direct_tell(struct fake_qp *fq)
{
	struct pcv_direct_slot *slot;

	for (slot = fq->direct; slot < fq->direct + PCV_DIRECT_SLOTS; slot++) {
		if (slot->ask == slot->told)
			continue;
		slot->from = 0;
		slot->to = PCV_DIRECT_PIECE;
		PCV_STORE(&slot->valid, 1);
		/* PCV(direct_told:A) pairs with direct_told:B: what is told, then that it is. */
		pcv_cpu_store_release(&slot->told, slot->ask);
	}
}

static void fake_kick(uint32_t handle)
{
	struct fake_qp *fq;

	CHECK(handle < FAKE_OBJECTS && fake.qp[handle]);
	fq = fake.qp[handle];
	/* PCV(qp_kick:B) pairs with qp_kick:A: a call comes after what it is about. */
	__atomic_fetch_add(&fq->kicks, 1, __ATOMIC_SEQ_CST);
	if (PCV_LOAD(&fq->shared->state) == IBV_QPS_ERR)
		fake_flush(fq);
	if (fq->direct && fake_limits.direct_tells)
		fake_direct_tell(fq);
}

static void fake_kick_check(uint64_t command, const struct ib_uverbs_post_send *core)
{
	CHECK_EQ(core->sge_count, 0);
	CHECK(core->response);
	if (command == IB_USER_VERBS_CMD_POLL_CQ) {
		CHECK_EQ(core->wr_count, 1);
		CHECK(core->qp_handle < FAKE_OBJECTS && fake.cq[core->qp_handle]);
		__atomic_fetch_add(&fake.asks[core->qp_handle], 1, __ATOMIC_RELAXED);
		return;
	}
	CHECK_EQ(core->wr_count, 0);
	if (command == IB_USER_VERBS_CMD_POST_SRQ_RECV) {
		CHECK_EQ(core->wqe_size, sizeof(struct ib_uverbs_recv_wr));
		CHECK(core->qp_handle < FAKE_OBJECTS && fake.srq[core->qp_handle]);
		fake.srq[core->qp_handle]->kicks++;
		return;
	}
	CHECK_EQ(command, IB_USER_VERBS_CMD_POST_SEND);
	CHECK_EQ(core->wqe_size, sizeof(struct ib_uverbs_send_wr));
	fake_kick(core->qp_handle);
}

ssize_t __wrap_write(int fd, const void *buf, size_t bytes)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_post_send core;
	} req;

	if (!fake.ctx || fd != fake.fd)
		return __real_write(fd, buf, bytes);
	if (fake_faults.gone) {
		errno = EIO;
		return -1;
	}
	if (fake_faults.write_times) {
		fake_faults.write_times--;
		errno = fake_faults.write_errno;
		return -1;
	}
	CHECK_EQ(bytes, sizeof(req));
	memcpy(&req, buf, sizeof(req));
	CHECK_EQ(req.hdr.in_words * 4, bytes);
	CHECK_EQ(req.hdr.out_words * 4, sizeof(struct ib_uverbs_poll_cq_resp));
	fake_kick_check(req.hdr.command, &req.core);
	return (ssize_t)bytes;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct ib_uverbs_ioctl_hdr *hdr;
	va_list args;

	va_start(args, request);
	hdr = va_arg(args, void *);
	va_end(args);
	if (!fake.ctx || fd != fake.fd)
		return __real_ioctl(fd, request, hdr);
	fake_ioctls++;
	if (fake_faults.ioctl_times) {
		fake_faults.ioctl_times--;
		errno = fake_faults.ioctl_errno;
		return -1;
	}
	CHECK_EQ(request, RDMA_VERBS_IOCTL);
	CHECK_EQ(hdr->num_attrs, 3);
	CHECK_EQ(hdr->length, sizeof(*hdr) + 3 * sizeof(hdr->attrs[0]));
	CHECK_EQ(hdr->object_id, UVERBS_OBJECT_DEVICE);
	CHECK_EQ(hdr->method_id, UVERBS_METHOD_INVOKE_WRITE);
	CHECK_EQ(hdr->attrs[0].attr_id, UVERBS_ATTR_CORE_IN);
	CHECK_EQ(hdr->attrs[0].len, sizeof(struct ib_uverbs_post_send));
	CHECK_EQ(hdr->attrs[1].attr_id, UVERBS_ATTR_CORE_OUT);
	CHECK_EQ(hdr->attrs[2].attr_id, UVERBS_ATTR_WRITE_CMD);
	fake_kick_check(hdr->attrs[2].data, (const void *)(uintptr_t)hdr->attrs[0].data);
	return 0;
}

/* --- the commands: what libibverbs exports to providers --- */

int ibv_cmd_alloc_pd(struct ibv_context *ctx, struct ibv_pd *pd, struct ibv_alloc_pd *cmd,
		     size_t cmd_bytes, struct ib_uverbs_alloc_pd_resp *resp, size_t resp_bytes)
{
	(void)cmd;
	(void)resp;
	CHECK_EQ(cmd_bytes, 16);
	CHECK_EQ(resp_bytes, 4);
	pd->context = ctx;
	return 0;
}

int ibv_cmd_dealloc_pd(struct ibv_pd *pd)
{
	(void)pd;
	return 0;
}

int ibv_cmd_reg_mr(struct ibv_pd *pd, void *addr, size_t bytes, uint64_t iova, int access,
		   struct verbs_mr *vmr, struct ibv_reg_mr *cmd, size_t cmd_bytes,
		   struct ib_uverbs_reg_mr_resp *resp, size_t resp_bytes)
{
	(void)addr;
	(void)bytes;
	(void)iova;
	(void)cmd;
	(void)resp;
	CHECK_EQ(cmd_bytes, 48);
	CHECK_EQ(resp_bytes, 12);
	vmr->ibv_mr.context = pd->context;
	vmr->ibv_mr.lkey = fake.next_key;
	vmr->ibv_mr.rkey = fake.next_key;
	vmr->access = access;
	fake.next_key += 0x100;
	return 0;
}

int ibv_cmd_dereg_mr(struct verbs_mr *vmr)
{
	(void)vmr;
	return 0;
}

int ibv_cmd_create_ah(struct ibv_pd *pd, struct ibv_ah *ah, struct ibv_ah_attr *attr,
		      struct ib_uverbs_create_ah_resp *resp, size_t resp_bytes)
{
	uint32_t number = 77;

	(void)attr;
	CHECK_EQ(resp_bytes, 8);
	ah->context = pd->context;
	memcpy(resp + 1, &number, sizeof(number));
	return 0;
}

int ibv_cmd_destroy_ah(struct ibv_ah *ah)
{
	(void)ah;
	return 0;
}

int ibv_cmd_create_cq(struct ibv_context *ctx, int cqe, struct ibv_comp_channel *chan, int vector,
		      struct ibv_cq *cq, struct ibv_create_cq *cmd, size_t cmd_bytes,
		      struct ib_uverbs_create_cq_resp *resp, size_t resp_bytes)
{
	struct pcv_create_cq_resp drv = { 0 };
	void *mem;

	(void)chan;
	(void)vector;
	(void)cmd;
	CHECK_EQ(cmd_bytes, 40);
	CHECK_EQ(resp_bytes, sizeof(*resp) + sizeof(drv));
	cq->handle = fake_handle((void **)fake.cq);
	cq->context = ctx;
	cq->cqe = cqe;
	drv.mmap_offset = fake_region(sizeof(struct pcv_cq_shared), &mem);
	drv.mmap_bytes = fake_region_bytes(sizeof(struct pcv_cq_shared));
	fake.cq[cq->handle] = mem;
	fake.asks[cq->handle] = 0;
	memcpy(resp + 1, &drv, sizeof(drv));
	return 0;
}

int ibv_cmd_resize_cq(struct ibv_cq *cq, int cqe, struct ibv_resize_cq *cmd, size_t cmd_bytes,
		      struct ib_uverbs_resize_cq_resp *resp, size_t resp_bytes)
{
	(void)cmd;
	(void)resp;
	CHECK_EQ(cmd_bytes, 24);
	CHECK_EQ(resp_bytes, 8);
	cq->cqe = cqe;
	return 0;
}

int ibv_cmd_destroy_cq(struct ibv_cq *cq)
{
	fake.cq[cq->handle] = NULL;
	return 0;
}

int ibv_cmd_create_srq(struct ibv_pd *pd, struct ibv_srq *srq, struct ibv_srq_init_attr *attr,
		       struct ibv_create_srq *cmd, size_t cmd_bytes,
		       struct ib_uverbs_create_srq_resp *resp, size_t resp_bytes)
{
	struct pcv_create_srq_resp drv = { 0 };
	struct fake_srq *fs;
	void *mem;

	(void)cmd;
	CHECK_EQ(cmd_bytes, 40);
	CHECK_EQ(resp_bytes, sizeof(*resp) + sizeof(drv));
	fs = calloc(1, sizeof(*fs));
	CHECK(fs);
	srq->handle = fake_handle((void **)fake.srq);
	srq->context = pd->context;
	srq->pd = pd;
	fs->handle = srq->handle;
	fs->count = fake_limits.srq_count;
	fs->stride = PCV_RWQE_BYTES + 16 * 3;
	attr->attr.max_sge = 2;
	drv.mmap_offset = fake_region(sizeof(*fs->shared) + fs->count * fs->stride, &mem);
	drv.mmap_bytes = fake_region_bytes(sizeof(*fs->shared) + fs->count * fs->stride);
	drv.queue_offset = sizeof(*fs->shared);
	drv.stride = fs->stride;
	drv.count = fs->count;
	fs->shared = mem;
	fs->queue = (uint8_t *)mem + drv.queue_offset;
	fake.srq[srq->handle] = fs;
	memcpy(resp + 1, &drv, sizeof(drv));
	return 0;
}

int ibv_cmd_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, int mask,
		       struct ibv_modify_srq *cmd, size_t cmd_bytes)
{
	(void)srq;
	(void)attr;
	(void)mask;
	(void)cmd;
	CHECK_EQ(cmd_bytes, 24);
	return 0;
}

int ibv_cmd_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, struct ibv_query_srq *cmd,
		      size_t cmd_bytes)
{
	(void)srq;
	(void)cmd;
	CHECK_EQ(cmd_bytes, 24);
	attr->max_wr = fake_limits.srq_count;
	return 0;
}

int ibv_cmd_destroy_srq(struct ibv_srq *srq)
{
	free(fake.srq[srq->handle]);
	fake.srq[srq->handle] = NULL;
	return 0;
}

static uint32_t fake_align(uint32_t n)
{
	return (n + 63) & ~63u;
}

int ibv_cmd_create_qp(struct ibv_pd *pd, struct ibv_qp *qp, struct ibv_qp_init_attr *attr,
		      struct ibv_create_qp *cmd, size_t cmd_bytes,
		      struct ib_uverbs_create_qp_resp *resp, size_t resp_bytes)
{
	struct pcv_create_qp_resp drv = { 0 };
	struct fake_qp *fq;
	uint64_t bytes;
	void *mem;

	(void)cmd;
	CHECK_EQ(cmd_bytes, 64);
	CHECK_EQ(resp_bytes, sizeof(*resp) + sizeof(drv));
	fq = calloc(1, sizeof(*fq));
	CHECK(fq);

	qp->handle = fake_handle((void **)fake.qp);
	qp->qp_num = fake_limits.qp_num ? fake_limits.qp_num : fake.next_qp_num++;
	qp->context = pd->context;
	qp->pd = pd;
	qp->send_cq = attr->send_cq;
	qp->recv_cq = attr->recv_cq;
	qp->srq = attr->srq;
	qp->qp_type = attr->qp_type;
	qp->state = IBV_QPS_RESET;

	fq->handle = qp->handle;
	fq->qp_num = qp->qp_num;
	fq->send_cq = fake_cq(attr->send_cq);
	fq->recv_cq = fake_cq(attr->recv_cq);
	fq->srq = attr->srq ? fake_srq(attr->srq) : NULL;
	fq->sq_count = fake_limits.sq_count;
	fq->sq_stride = fake_align(PCV_SWQE_BYTES + fake_limits.max_inline);
	fq->rq_count = attr->srq ? 0 : fake_limits.rq_count;
	fq->rq_stride = fake_align(PCV_RWQE_BYTES + 16 * fake_limits.max_sge);

	drv.sq_offset = fake_align(sizeof(struct pcv_qp_shared));
	drv.sq_stride = fq->sq_stride;
	drv.sq_count = fake_lies.sq_count ? fake_lies.sq_count : fq->sq_count;
	drv.scqe_offset = drv.sq_offset + fq->sq_count * fq->sq_stride;
	drv.rq_offset = fake_align(drv.scqe_offset +
				   fq->sq_count * (uint32_t)sizeof(struct pcv_scqe));
	drv.rq_stride = fq->rq_stride;
	drv.rq_count = fq->rq_count;
	drv.ring_offset = drv.rq_offset + fq->rq_count * fq->rq_stride;
	drv.ring_count = fake_limits.ring_count;
	drv.max_inline = fake_limits.max_inline;
	drv.max_send_sge = fake_limits.max_sge;
	drv.max_recv_sge = attr->srq ? 0 : fake_limits.max_sge;
	bytes = drv.ring_offset + (uint64_t)drv.ring_count * PCV_LINE_BYTES;
	if (fake_limits.fast && qp->qp_type == IBV_QPT_RC) {
		if (fake_limits.direct) {
			drv.direct_offset = (uint32_t)bytes;
			bytes += PCV_DIRECT_SLOTS * sizeof(struct pcv_direct_slot);
		}
		if (!fake.pair[0]) {
			fake.pair[0] = fake_region(PCV_FAST_BYTES, &mem);
			fake.pair[1] = fake_region(PCV_FAST_BYTES, &mem);
			drv.fast_rx_mmap = fake.pair[0];
			drv.fast_tx_mmap = fake.pair[1];
		} else {
			drv.fast_rx_mmap = fake.pair[1];
			drv.fast_tx_mmap = fake.pair[0];
			fake.pair[0] = 0;
		}
		drv.fast_bytes = PCV_FAST_BYTES;
		fq->own = fake.base + drv.fast_rx_mmap;
		fq->peer = fake.base + drv.fast_tx_mmap;
		fq->fast_seq = fake_limits.fast_seq;
	}
	drv.mmap_offset = fake_region(bytes, &mem);
	drv.mmap_bytes = fake_region_bytes(bytes);

	if (drv.direct_offset) {
		fq->direct = (void *)((uint8_t *)mem + drv.direct_offset);
		drv.direct_mmap = fake.used;
		fq->direct_mem = fake.base + fake.used;
		fake.used += (uint64_t)PCV_DIRECT_SLOTS * PCV_DIRECT_PIECE;
		CHECK(fake.used <= FAKE_FILE_BYTES);
	}
	fq->shared = mem;
	fq->sq = (uint8_t *)mem + drv.sq_offset;
	fq->scqe = (void *)((uint8_t *)mem + drv.scqe_offset);
	fq->rq = (uint8_t *)mem + drv.rq_offset;
	pcv_ring_tx_init(&fq->ring, (uint8_t *)mem + drv.ring_offset, drv.ring_count,
			 PCV_RX_SEQ_BASE);
	if (fake_lies.qp_ring_offset)
		drv.ring_offset = fake_lies.qp_ring_offset;
	fake.qp[qp->handle] = fq;
	memcpy(resp + 1, &drv, sizeof(drv));
	return 0;
}

int ibv_cmd_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		      struct ibv_modify_qp *cmd, size_t cmd_bytes)
{
	struct fake_qp *fq = fake_qp(qp);

	(void)cmd;
	CHECK_EQ(cmd_bytes, 120);
	CHECK(fq);
	fake_modifies++;
	if (fake_faults.gone)
		return EIO;
	if (!(mask & IBV_QP_STATE))
		return 0;
	fq->state = attr->qp_state;
	if (fq->state == IBV_QPS_ERR)
		fake_flush(fq);
	if (fq->state == IBV_QPS_RESET)
		fake_reset(fq);
	if (fq->state == IBV_QPS_RTR && fq->own) {
		fq->shared->fast_rx_seq = fq->fast_seq;
		PCV_STORE(&fq->shared->fast, PCV_QP_FAST_RX);
	}
	PCV_STORE(&fq->shared->state, attr->qp_state);
	return 0;
}

int ibv_cmd_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		     struct ibv_qp_init_attr *init_attr, struct ibv_query_qp *cmd, size_t cmd_bytes)
{
	(void)mask;
	(void)init_attr;
	(void)cmd;
	CHECK_EQ(cmd_bytes, 24);
	attr->qp_state = fake_qp(qp)->state;
	return 0;
}

int ibv_cmd_destroy_qp(struct ibv_qp *qp)
{
	struct fake_qp *fq = fake_qp(qp);

	CHECK(fq);
	if (fake_faults.destroy_qp_errno)
		return fake_faults.destroy_qp_errno;
	fake_reset(fq);
	free(fq);
	fake.qp[qp->handle] = NULL;
	return 0;
}
