/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A growing byte queue, and frames put into and taken out of it. */
#ifndef PCV_LAB_BUF_H
#define PCV_LAB_BUF_H

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto.h"

struct buf {
	char *data;
	size_t start, end, size;
};

static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}

static inline char *buf_head(const struct buf *b)
{
	return b->data + b->start;
}

/* Room for n more bytes behind the end. */
static inline char *buf_reserve(struct buf *b, size_t n)
{
	if (b->start == b->end) {
		b->start = 0;
		b->end = 0;
	}
	if (b->size - b->end < n && b->start) {
		memmove(b->data, b->data + b->start, buf_len(b));
		b->end -= b->start;
		b->start = 0;
	}
	if (b->size - b->end < n) {
		b->size = (b->end + n) * 2;
		b->data = realloc(b->data, b->size);
		if (!b->data)
			err(255, "out of memory");
	}
	return b->data + b->end;
}

static inline void buf_put(struct buf *b, const void *data, size_t n)
{
	if (n)
		memcpy(buf_reserve(b, n), data, n);
	b->end += n;
}

static inline void buf_take(struct buf *b, size_t n)
{
	b->start += n;
}

static inline void buf_free(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

static inline void buf_put_frame(struct buf *b, unsigned int type, unsigned int channel,
				 const void *data, size_t len)
{
	struct proto_frame f = { .type = type, .channel = channel, .len = len };

	buf_put(b, &f, sizeof(f));
	buf_put(b, data, len);
}

static inline void buf_put_u32(struct buf *b, unsigned int type, unsigned int channel, uint32_t v)
{
	buf_put_frame(b, type, channel, &v, sizeof(v));
}

/* 1: a frame lies at the head (take sizeof(*f) + f->len when done), 0: not yet, -1: nonsense. */
static inline int buf_peek_frame(const struct buf *b, struct proto_frame *f, char **payload)
{
	if (buf_len(b) < sizeof(*f))
		return 0;
	memcpy(f, buf_head(b), sizeof(*f));
	if (f->len > PROTO_MAX_LEN)
		return -1;
	if (buf_len(b) < sizeof(*f) + f->len)
		return 0;
	*payload = buf_head(b) + sizeof(*f);
	return 1;
}

static inline uint32_t frame_u32(const struct proto_frame *f, const char *payload)
{
	uint32_t v = 0;

	if (f->len == sizeof(v))
		memcpy(&v, payload, sizeof(v));
	return v;
}

/* Read once. 1: got something, 0: nothing now, -1: end or error. */
static inline int buf_read(struct buf *b, int fd, size_t max)
{
	ssize_t n = read(fd, buf_reserve(b, max), max);

	if (n > 0) {
		b->end += n;
		return 1;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* Write once, at most max bytes. Returns the count, 0: nothing now, -1: error. */
static inline ssize_t buf_write(struct buf *b, int fd, size_t max)
{
	size_t len = buf_len(b) < max ? buf_len(b) : max;
	ssize_t n = len ? write(fd, buf_head(b), len) : 0;

	if (n > 0)
		b->start += n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

#endif
