/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PCV_LAB_AGENT_H
#define PCV_LAB_AGENT_H

/* Where agents listen on the PCIe interface for mpirun's launcher. */
#define AGENT_PORT 7763

#endif
