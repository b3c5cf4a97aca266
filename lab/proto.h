/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the three parts of `lab exec` say to each other.
 *
 *   client --unix socket--> host (one a node) --serial line--> agent (in the node)
 *   client --------- TCP over the PCIe interface -----------> agent --listen
 *
 * A stream of frames in both directions. The host only routes: it gives each
 * client a channel number and forwards. All flow control that matters is end
 * to end (PROTO_CREDIT), so a client that does not read stalls nobody else.
 *
 * The serial line needs one rule more: User-Mode Linux never wakes a line that
 * its tty layer has throttled, so the host keeps no more than PROTO_LINE_WINDOW
 * bytes under way, which is below the throttling mark; the agent acknowledges.
 */
#ifndef PCV_LAB_PROTO_H
#define PCV_LAB_PROTO_H

#include <stdint.h>

enum proto_type {
	PROTO_HELLO = 1,	/* agent: I am here */
	PROTO_ACK,		/* agent -> host: u32 bytes taken off the line */
	PROTO_EXEC,		/* client: cwd, environment, "", arguments; each ends in a 0 */
	PROTO_IN,		/* client: standard input; empty = end of file */
	PROTO_SIGNAL,		/* client: u32 signal for the process group */
	PROTO_GONE,		/* host: the client has vanished, end its processes */
	PROTO_OUT,		/* agent: standard output */
	PROTO_ERR,		/* agent: standard error */
	PROTO_EXIT,		/* agent: u32 exit status, 128 + signal if killed */
	PROTO_CREDIT,		/* both: u32 bytes of the other side's data consumed */
};

struct proto_frame {
	uint8_t type;
	uint8_t reserved;
	uint16_t channel;
	uint32_t len;
};

#define PROTO_LINE_WINDOW 2048u
#define PROTO_ACK_EVERY 512u
/* What may be under way on one channel before the receiver has said CREDIT. */
#define PROTO_IN_WINDOW 32768u
#define PROTO_OUT_WINDOW 131072u
/* No frame carries more than this. */
#define PROTO_MAX_LEN 262144u
#define PROTO_CHUNK 16384u

#endif
