// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A hostile peer: writes into a lab node's aperture what no correct peer would.
 *
 *   forge DIR NODE PEER GENERATION PEER_GENERATION KIND [NUMBER...]
 *
 * DIR is the state directory of the lab, NODE the victim, PEER the node in
 * whose name it is done, GENERATION and PEER_GENERATION their present lives. A
 * node's RAM is a file there, so its aperture is found by the hello in it.
 * Forged messages take the place of the peer's next ones. Ends with status 0
 * when the victim has seen the doorbell.
 *
 * Nothing here is shared with what is tested: this is on purpose a second
 * reading of docs/protocol.md. Only the doorbell is the lab's (lab/README.md).
 * Little-endian machines only, as the lab.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC		0x30564350u
#define PAGE		4096
#define CTL		1024	/* words per channel: credit; at 64 armed, starved */
#define READY		188	/* last word of the hello */
#define ALIVE		2048
#define LINE		64
#define PAYLOAD		56
#define CONT		0xff

enum { REQUEST, RESPONSE };
enum { NET = 2, RC = 3, UD = 4, RC_RESP = 5 };
enum { FIRST = 1, LAST = 2, ONLY = 3 };

struct hello {
	uint32_t magic, version;
	uint64_t features;
	uint32_t generation, echo;
	uint64_t guid;
	uint32_t page_shift, mtu;
	uint8_t mac[8];
	uint64_t aperture_bytes;
	struct { uint32_t lines, count, data, bytes; } ring[2];
	uint8_t name[64], reserved[36];
	uint32_t ready;
};

struct rc {
	uint32_t dst, src, ssn;
	uint8_t op, flags;
	uint16_t status;
	uint32_t imm, rkey;
	uint64_t va;
	uint32_t msg_len, seg_offset;
};

struct ud {
	uint32_t dst, src, qkey, flags, imm;
	uint8_t traffic_class, hop_limit;
	uint16_t pkey;
	uint8_t sgid[16], dgid[16];
	uint16_t vlan;
	uint8_t reserved[6];
};

struct net {
	uint32_t flags;
	uint16_t csum_start, csum_offset;
};

_Static_assert(sizeof(struct hello) == 192 && sizeof(struct rc) == 40 &&
	       sizeof(struct ud) == 64 && sizeof(struct net) == 8, "wire layout");

static const char *dir;
static int node, peer;
static unsigned int generation, peer_generation;
static unsigned char *ap;	/* the victim's aperture */
static struct hello layout;	/* the victim's own hello: where its rings are */
static uint32_t next[2];	/* number of the next line, from the start of this life */

/*
 * The file of the lab by which node @number is seen by @other, mapped whole: its RAM,
 * or what it offers besides (--aperture). They are sparse, and holes stay holes.
 */
static unsigned char *map(const char *name, int number, int other, int *fd)
{
	char path[4096];
	void *at;

	snprintf(path, sizeof(path), "%s/ap.%d.%d", dir, number, other);
	if (strcmp(name, "ram") || access(path, F_OK))
		snprintf(path, sizeof(path), number < 0 ? "%s/%s" : "%s/%s%d", dir, name, number);
	*fd = open(path, O_RDWR | O_CLOEXEC);
	at = mmap(NULL, lseek(*fd, 0, SEEK_END), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (at == MAP_FAILED)
		err(1, "%s", path);
	return at;
}

/* Where in @number's memory the hello of one life to another lies. */
static unsigned char *find(int number, int other, uint32_t from, uint32_t to, struct hello *hello)
{
	int fd;
	unsigned char *ram = map("ram", number, other, &fd);
	off_t at = 0, end;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		for (; at < end; at += PAGE) {
			memcpy(hello, ram + at, sizeof(*hello));
			if (hello->magic == MAGIC && hello->version == 3 &&
			    hello->generation == from && hello->echo == to && hello->ready == from)
				return ram + at;
		}
	}
	errx(2, "no hello from %08x to %08x: that life is over", from, to);
}

static uint64_t *tail_of(int vc, uint32_t number)
{
	uint32_t slot = number & (layout.ring[vc].count - 1);

	return (uint64_t *)(ap + layout.ring[vc].lines + slot * LINE + PAYLOAD);
}

static uint32_t random_word(uint64_t *x)
{
	*x = *x * 6364136223846793005ull + 1442695040888963407ull;
	return *x >> 32;
}

static uint32_t seq_base(void)
{
	return peer_generation ^ (generation << 16 | generation >> 16);
}

/* The peer's next line is the one after the highest number that fits its slot. */
static uint32_t next_line(int vc)
{
	uint32_t slot, number, newest = 0;

	for (slot = 0; slot < layout.ring[vc].count; slot++) {
		uint64_t tail = *tail_of(vc, slot);

		number = (uint32_t)tail - seq_base();
		if (tail && number % layout.ring[vc].count == slot && number < 1u << 30 &&
		    number + 1 > newest)
			newest = number + 1;
	}
	return newest;
}

static volatile uint32_t *word(unsigned int offset)
{
	return (volatile uint32_t *)(ap + offset);
}

/*
 * The lab's doorbell: bit 0 in the victim's register towards the peer, and a byte to wake it
 * (a UML node; a QEMU one looks by itself, twice a second).
 */
static void ring(void)
{
	int fd, fifo, i;
	uint64_t *db = (uint64_t *)(map("bridge", -1, -1, &fd) + (node * 8 + peer) * PAGE + 128);
	char path[4096];

	snprintf(path, sizeof(path), "%s/db.%d.%d", dir, peer, node);
	fifo = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	__atomic_fetch_or(db, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < 5000 && __atomic_load_n(db, __ATOMIC_SEQ_CST) & 1; i++) {
		if (fifo >= 0 && i % 20 == 0 && write(fifo, "", 1) < 0)
			warn("%s", path);
		usleep(1000);
	}
	if (i == 5000)
		errx(1, "the victim does not look at its doorbell");
}

static void put_line(int vc, const void *payload, size_t n, uint32_t type, uint32_t len)
{
	uint32_t number = next[vc]++;
	uint64_t *tail = tail_of(vc, number);

	memset((unsigned char *)tail - PAYLOAD, 0, PAYLOAD);
	memcpy((unsigned char *)tail - PAYLOAD, payload, n);
	__atomic_store_n(tail, (uint64_t)(uint32_t)(seq_base() + number) | (uint64_t)type << 32 |
			 (uint64_t)len << 48, __ATOMIC_RELEASE);
}

/* A message, @len bytes of @bytes: continuation lines of type @cont follow the head. */
static void put_bytes(int vc, uint32_t type, const void *bytes, uint32_t len, uint32_t cont)
{
	uint32_t at = 0, n;

	do {
		n = len - at < PAYLOAD ? len - at : PAYLOAD;
		put_line(vc, (const unsigned char *)bytes + at, n, at ? cont : type, at ? 0 : len);
		at += n;
	} while (at < len);
}

/* A message whose @len bytes of payload ride in the lines, or lie at @offset if there are @data. */
static void put(int vc, uint32_t type, const void *hdr, uint32_t hdr_len, const void *payload,
		uint32_t len, uint32_t offset, uint32_t data)
{
	unsigned char buf[2048] = { 0 };

	memcpy(buf, &offset, 4);
	memcpy(buf + 4, &data, 4);
	memcpy(buf + 8, hdr, hdr_len);
	if (payload)
		memcpy(buf + 8 + hdr_len, payload, len);
	put_bytes(vc, type, buf, 8 + hdr_len + len, CONT);
}

static void put_rc(int vc, struct rc h, uint32_t payload)
{
	put(vc, vc == REQUEST ? RC : RC_RESP, &h, sizeof(h), NULL, payload, 0, 0);
}

static void put_ud(uint32_t dst, uint32_t qkey, uint32_t inlined, uint32_t data)
{
	struct ud h = { .dst = dst, .src = 1, .qkey = qkey, .pkey = 0xffff, .vlan = 0xffff };

	put(REQUEST, UD, &h, sizeof(h), NULL, inlined, 0, data);
}

static void put_net(uint32_t flags, uint32_t start, uint32_t offset, uint32_t len)
{
	struct net h = { flags, start, offset };
	unsigned char frame[512] = { 0 };

	memset(frame, 0xff, 6);		/* to all, from a node that does not exist */
	memcpy(frame + 6, "\2\0\0\0\0\x42\x88\xb5", 8);
	put(REQUEST, NET, &h, sizeof(h), frame, len, 0, 0);
}

/* --- what ends the life of the link -------------------------------------------------- */

/* Heads of one type, the length that they claim, the type of what follows. */
static const struct { const char *kind; int vc; uint32_t type, len, cont; } lines[] = {
	{ "type", REQUEST, 77, 20, CONT },
	{ "no-head", REQUEST, CONT, 20, CONT },
	{ "answer-on-request", REQUEST, RC_RESP, 48, CONT },
	{ "request-on-response", RESPONSE, RC, 48, CONT },
	{ "short", REQUEST, NET, 15, CONT },
	{ "empty", REQUEST, RC, 0, CONT },
	{ "long", REQUEST, NET, 8 + 8 + 513, CONT },
	{ "longest", REQUEST, RC, 65535, CONT },
	{ "continuation", REQUEST, NET, 100, NET },
};

/* Data that are not where or what they may be; @beyond: counted from the area's end. */
static const struct {
	const char *kind;
	uint32_t type, hdr, inlined, beyond, offset, len;
} data[] = {
	{ "data-beyond", NET, 8, 0, 1, -64u, 65 },
	{ "data-wraps", NET, 8, 0, 0, -64u, 60000 },
	{ "data-misaligned", NET, 8, 0, 0, 32, 1000 },
	{ "data-long-frame", NET, 8, 0, 0, 0, 65554 },
	{ "data-and-inline", NET, 8, 60, 0, 0, 1000 },
};

static void breaks(const char *kind)
{
	static const unsigned char zero[65535];
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!strcmp(kind, lines[i].kind)) {
			put_bytes(lines[i].vc, lines[i].type, zero, lines[i].len, lines[i].cont);
			return;
		}
	for (i = 0; i < sizeof(data) / sizeof(data[0]); i++)
		if (!strcmp(kind, data[i].kind)) {
			put(REQUEST, data[i].type, zero, data[i].hdr, zero, data[i].inlined,
			    data[i].offset + data[i].beyond * layout.ring[REQUEST].bytes,
			    data[i].len);
			return;
		}
	errx(2, "what is %s?", kind);
}

/* --- what is to be ignored, and counted ------------------------------------------------ */

/* Two of every kind of request (10) or answer (14, one kind that does not exist) to @dst. */
static void unwanted(int vc, uint32_t dst, uint32_t src)
{
	static const uint32_t ssn[] = { 1u << 20, 0x7fffffff };
	int op, i;

	for (i = 0; i < 2; i++)
		for (op = vc == REQUEST ? 1 : 16; op <= (vc == REQUEST ? 5 : 22); op++)
			put_rc(vc, (struct rc){
				.dst = dst, .src = src, .ssn = ssn[i], .op = op,
				.flags = ONLY, .status = 2, .rkey = 0xffffffff, .va = ~0ull,
				.msg_len = i ? ~0u : 8
			}, 8);
}

/* One request under the number that a connected queue pair expects. */
static void absurd(uint32_t dst, uint32_t src, uint32_t psn, uint32_t how)
{
	static const struct { struct rc h; uint32_t payload; } all[] = {
		{ { .op = 1, .flags = FIRST, .msg_len = 0xffffffff }, 8 },
		{ { .op = 1, .flags = LAST, .msg_len = 16, .seg_offset = 4096 }, 8 },
		{ { .op = 2, .flags = LAST, .msg_len = 8, .seg_offset = 0xfffffff0 }, 24 },
		{ { .op = 1, .flags = ONLY, .msg_len = 1u << 30 }, 0 },
		{ { .op = 3, .flags = ONLY, .msg_len = 1u << 30, .rkey = ~0u, .va = ~7ull }, 0 },
		{ { .op = 4, .flags = ONLY, .msg_len = 8, .rkey = 1, .va = 3 }, 3 },
		{ { .op = 99, .flags = ONLY, .msg_len = 8 }, 8 },
		{ { .op = 1, .flags = FIRST, .msg_len = 1u << 30 }, 8 },
	};
	struct rc h;

	how %= sizeof(all) / sizeof(all[0]);
	h = all[how].h;
	h.dst = dst;
	h.src = src;
	h.ssn = psn * 0x9e3779b1u;
	put_rc(REQUEST, h, all[how].payload);
}

/* Credit for lines that were never sent, again and again, until this life has ended. */
static void credit(void)
{
	uint32_t lie = *word(CTL) + 100000;
	int i;

	for (i = 0; i < 50000 && *word(READY) == peer_generation; i++) {
		*word(CTL) = lie;
		usleep(200);
	}
	if (i == 50000)
		errx(1, "nobody minds");
}

/*
 * Random bytes over both rings, the data areas and the words but for the sign
 * of life and credit; most of the hello too, which nobody reads any more (what
 * find() goes by stays). With @arrives the next lines also have right numbers,
 * types that exist and plausible lengths.
 */
static void garbage(uint32_t seed, bool arrives)
{
	uint32_t end = layout.ring[1].data + layout.ring[1].bytes, at, i;
	uint64_t x = seed * 2654435761ull + 1;

	for (at = 24; at < end; at += 4)
		if (at != ALIVE && at != CTL && at != CTL + 128 && at != READY)
			*word(at) = random_word(&x);
	for (i = 0; i < 128 && arrives; i++)
		put_line(i & 1, ap + layout.ring[i & 1].data + i * LINE, PAYLOAD,
			 i & 1 ? RC_RESP : NET + i / 2 % 3, random_word(&x) % 80);
}

int main(int argc, char **argv)
{
	uint32_t a[4] = { 0 };
	struct hello theirs;
	const char *kind;
	int i;

	if (argc < 7)
		errx(2, "usage: forge DIR NODE PEER GENERATION PEER_GENERATION KIND [NUMBER...]");
	dir = argv[1];
	node = atoi(argv[2]);
	peer = atoi(argv[3]);
	generation = strtoul(argv[4], NULL, 16);
	peer_generation = strtoul(argv[5], NULL, 16);
	kind = argv[6];
	for (i = 0; i < 4 && argc > 7 + i; i++)
		a[i] = strtoul(argv[7 + i], NULL, 0);
	find(peer, node, generation, peer_generation, &layout);
	ap = find(node, peer, peer_generation, generation, &theirs);
	next[REQUEST] = next_line(REQUEST);
	next[RESPONSE] = next_line(RESPONSE);

	if (!strcmp(kind, "credit"))
		credit();
	else if (!strcmp(kind, "leave"))
		*word(ALIVE) = 0;
	else if (!strcmp(kind, "garbage"))
		garbage(a[0], a[1]);
	else if (!strcmp(kind, "request"))
		unwanted(REQUEST, a[0], a[1]);
	else if (!strcmp(kind, "answer"))
		unwanted(RESPONSE, a[0], a[1]);
	else if (!strcmp(kind, "absurd"))
		absurd(a[0], a[1], a[2], a[3]);
	else if (!strcmp(kind, "ud"))
		put_ud(a[0], a[1], a[2] <= 512 ? a[2] : 0, a[2] <= 512 ? 0 : a[2]);
	else if (!strcmp(kind, "net"))
		put_net(a[0], a[1], a[2], a[3]);
	else
		breaks(kind);
	ring();
	return 0;
}
