/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What libpcieverbs needs of its environment, and the only place in it that
 * knows which environment that is.
 *
 * Ordering comes in three domains, and nothing outside this file names a raw
 * barrier:
 *
 *   pcv_cpu_*  between CPUs of one machine (a process and its kernel);
 *   pcv_out_*  stores into a peer's window, write-combining included;
 *   pcv_in_*   loads from local memory that the peer writes across the link.
 *
 * docs/memory-ordering.md has the table of the pairs.
 */
#ifndef PCV_OS_H
#define PCV_OS_H

#include <linux/types.h>

#ifdef __KERNEL__

#include <asm/barrier.h>
#include <asm/byteorder.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/string.h>

#define PCV_LOAD(p)		READ_ONCE(*(p))
#define PCV_STORE(p, v)		WRITE_ONCE(*(p), (v))

#define pcv_cpu_load_acquire(p)		smp_load_acquire(p)
#define pcv_cpu_store_release(p, v)	smp_store_release(p, v)
#define pcv_cpu_mb()			smp_mb()

#define pcv_out_wmb()		wmb()
#define pcv_out_wmb_on(wc)	wmb()
#define pcv_out_mb()		mb()
#define pcv_out_check_mb(wc)	mb()
#define pcv_in_rmb()		dma_rmb()

#define pcv_le16(v)		le16_to_cpu(v)
#define pcv_le32(v)		le32_to_cpu(v)
#define pcv_le64(v)		le64_to_cpu(v)
#define pcv_to_le16(v)		cpu_to_le16(v)
#define pcv_to_le32(v)		cpu_to_le32(v)
#define pcv_to_le64(v)		cpu_to_le64(v)

#define pcv_memcpy		memcpy

#else /* user space */

#include <errno.h>

#define PCV_LOAD(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define PCV_STORE(p, v)		__atomic_store_n((p), (v), __ATOMIC_RELAXED)

#define pcv_cpu_load_acquire(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define pcv_cpu_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define pcv_cpu_mb()			__atomic_thread_fence(__ATOMIC_SEQ_CST)

#if defined(__x86_64__)
/*
 * Plain stores are ordered among themselves; write-combined ones only by SFENCE.
 * A page that is taken away from a running process is taken by an interrupt,
 * and that comes behind all that the process has stored before it.
 */
#define pcv_out_wmb()		__asm__ __volatile__("sfence" ::: "memory")
#define pcv_out_mb()		__asm__ __volatile__("mfence" ::: "memory")
#define pcv_out_wmb_on(wc)						\
	do {								\
		if (__builtin_expect(!!(wc), 0))			\
			__asm__ __volatile__("sfence" ::: "memory");	\
		else							\
			__asm__ __volatile__("" ::: "memory");		\
	} while (0)
#define pcv_out_check_mb(wc)	pcv_out_wmb_on(wc)
#elif defined(__powerpc64__)
#define pcv_out_wmb()		__asm__ __volatile__("sync" ::: "memory")
#define pcv_out_mb()		__asm__ __volatile__("sync" ::: "memory")
#elif defined(__aarch64__)
#define pcv_out_wmb()		__asm__ __volatile__("dsb st" ::: "memory")
#define pcv_out_mb()		__asm__ __volatile__("dsb sy" ::: "memory")
#else
#error "pcieverbs: no link-out barrier known for this architecture"
#endif
#ifndef pcv_out_wmb_on
#define pcv_out_wmb_on(wc)	do { (void)(wc); pcv_out_wmb(); } while (0)
#define pcv_out_check_mb(wc)	do { (void)(wc); pcv_out_mb(); } while (0)
#endif
/* What a device writes is seen in the outer domain of an arm64; elsewhere there is one only. */
#if defined(__aarch64__)
#define pcv_in_rmb()		__asm__ __volatile__("dmb oshld" ::: "memory")
#else
#define pcv_in_rmb()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#endif

#ifdef __SANITIZE_THREAD__
/* The race detector understands ordered accesses, not fences. */
#undef PCV_LOAD
#undef PCV_STORE
#undef pcv_in_rmb
#define PCV_LOAD(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define PCV_STORE(p, v)		__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define pcv_in_rmb()		__asm__ __volatile__("" ::: "memory")
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PCV_SWAP16(v)		(v)
#define PCV_SWAP32(v)		(v)
#define PCV_SWAP64(v)		(v)
#else
#define PCV_SWAP16(v)		__builtin_bswap16(v)
#define PCV_SWAP32(v)		__builtin_bswap32(v)
#define PCV_SWAP64(v)		__builtin_bswap64(v)
#endif
#define pcv_le16(v)		PCV_SWAP16((__u16)(v))
#define pcv_le32(v)		PCV_SWAP32((__u32)(v))
#define pcv_le64(v)		PCV_SWAP64((__u64)(v))
#define pcv_to_le16(v)		((__le16)PCV_SWAP16((__u16)(v)))
#define pcv_to_le32(v)		((__le32)PCV_SWAP32((__u32)(v)))
#define pcv_to_le64(v)		((__le64)PCV_SWAP64((__u64)(v)))

#define pcv_memcpy		__builtin_memcpy

/* Only the compiler is kept from moving accesses. */
#define pcv_compiler_barrier()	__asm__ __volatile__("" ::: "memory")

#if defined(__x86_64__)
#define pcv_cpu_relax()		__asm__ __volatile__("pause")
#elif defined(__aarch64__)
#define pcv_cpu_relax()		__asm__ __volatile__("isb" ::: "memory")
#else
#define pcv_cpu_relax()		__asm__ __volatile__("" ::: "memory")
#endif

#if defined(__x86_64__) && !defined(PCV_TEST_LINK)
#include <cpuid.h>

/* Does this CPU store 64 bytes as one? Asked once. */
static inline int pcv_cpu_movdir64b(void)
{
	static int known = -1;
	unsigned int a, b, c, d;
	int has = PCV_LOAD(&known);

	if (__builtin_expect(has < 0, 0)) {
		has = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c >> 28 & 1);
		PCV_STORE(&known, has);
	}
	return has;
}

/* A line of a write-combining mapping; MOVDIR64B would slow a cached one down. */
static inline int pcv_out_line_wc(void *to, const void *from)
{
	if (!pcv_cpu_movdir64b())
		return 0;
	__asm__ __volatile__("movdir64b (%1), %0" :: "r"(to), "r"(from) : "memory");
	return 1;
}
#elif !defined(PCV_TEST_LINK)
#define pcv_out_line_wc(to, from)	((void)(to), (void)(from), 0)
#endif

#endif /* __KERNEL__ */

/*
 * What crosses the link, counted: a test says how much may. Accesses through
 * the names below only; a line counts again after another one.
 */
#ifdef PCV_COUNT_LINK
struct pcv_link_count {
	__u64 line;		/* the one stored to last */
	__u64 lines;
	__u64 words;
	__u64 bytes;		/* copied, in bulk */
	__u64 ctls;		/* words of a ctl line: credits and others */
	__u64 credits;
	__u64 reads;
};

extern struct pcv_link_count pcv_link_count;

static inline void pcv_count_store(const void *to)
{
	__u64 line = (__u64)(unsigned long)to >> 6;

	pcv_link_count.words++;
	pcv_link_count.lines += line != pcv_link_count.line;
	pcv_link_count.line = line;
}

#define PCV_COUNT(what, n)	(pcv_link_count.what += (n))
#define PCV_COUNT_STORE(p)	pcv_count_store(p)
#else
#define PCV_COUNT(what, n)	((void)0)
#define PCV_COUNT_STORE(p)	((void)0)
#endif

/*
 * How a ring is stored to and loaded from. pcv_out_line() stores a line of 64
 * bytes in one transaction and says so, or does nothing and returns 0. The bad
 * link of tests/stress stands in for all of them.
 */
#ifdef PCV_TEST_LINK
void pcv_test_out_store(void *to, __u64 v);
void pcv_test_out_wmb(void);
int pcv_test_out_line(void *to, const void *from);
void pcv_test_out_copy(void *to, const void *from, __u64 bytes);
__u64 pcv_test_in_load(const void *from);
void pcv_test_in_rmb(void);
#undef pcv_out_wmb
#undef pcv_out_wmb_on
#undef pcv_in_rmb
#define pcv_out_store(p, v)	pcv_test_out_store((p), (v))
#define pcv_out_wmb()		pcv_test_out_wmb()
#define pcv_out_wmb_on(wc)	do { (void)(wc); pcv_test_out_wmb(); } while (0)
#define pcv_out_line(to, from)	pcv_test_out_line((to), (from))
#define pcv_out_line_wc(to, from)	pcv_test_out_line((to), (from))
#define pcv_in_load(p)		pcv_test_in_load(p)
#define pcv_in_rmb()		pcv_test_in_rmb()
#define pcv_out_copy(to, from, n)	pcv_test_out_copy((to), (from), (n))
#else
#define pcv_out_store(p, v)						\
	do {								\
		PCV_COUNT_STORE(p);					\
		PCV_STORE((p), (v));					\
	} while (0)
#define pcv_out_line(to, from)	((void)(to), (void)(from), 0)
#define pcv_in_load(p)		PCV_LOAD(p)
/* Bulk into a window. */
#define pcv_out_copy(to, from, n)					\
	do {								\
		PCV_COUNT(bytes, n);					\
		pcv_memcpy((to), (from), (n));				\
	} while (0)
#endif

/*
 * Lines of a cached mapping that are about to be written, and that the peer has
 * read since the last time: ask for all of them, so that the copy does not wait
 * for one after another. PREFETCHW does nothing on a CPU that does not know it.
 */
#if defined(__x86_64__) && !defined(__KERNEL__) && !defined(PCV_TEST_LINK)
static inline void pcv_out_own(const char *to, __u32 bytes)
{
	__u32 at;

	for (at = 0; at < bytes; at += 64)
		__asm__ __volatile__("prefetchw %0" : : "m"(to[at]));
}
#else
#define pcv_out_own(to, bytes)	((void)(to), (void)(bytes))
#endif

/* A word of a ctl line, and the one kind of read. */
#define pcv_out_store_ctl(p, v)						\
	do {								\
		PCV_COUNT(ctls, 1);					\
		PCV_STORE((p), (v));					\
	} while (0)
#define pcv_out_read(p)		(PCV_COUNT(reads, 1), PCV_LOAD(p))

#endif /* PCV_OS_H */
