/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The door between main.c, which wires links to peers, and the peers. */
#ifndef PCV_PROGRESS_H
#define PCV_PROGRESS_H

#include "link.h"

/* What links report to: every channel that stands becomes a peer. */
extern const struct pcv_link_upcalls pcv_peer_upcalls;

#endif /* PCV_PROGRESS_H */
