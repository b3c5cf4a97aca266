#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Open MPI over UCX rc_verbs and ud_verbs, all of mpi-tests.
# limit: 900
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs the lab's mpirun"

# rc_v is UCX's name for rc_verbs with ud_verbs to wire it up; ud_v is ud_verbs.
# Verbs is the only transport that UCX may take; nothing that would hide a
# defect of the device is switched off. Debian's defaults switch UCX off.
mpi() {
	local tls=$1 np=$2
	shift 2
	MPIRUN="$lab --name $PCV_LAB_NAME mpirun --mca pml ucx --mca osc ucx -x UCX_TLS=$tls,self -x UCX_NET_DEVICES=$PCV_DEV:1" \
		"$top/mpi-tests/run" -np "$np" --timeout $((240 * PCV_SLOW)) --log "$tmp/mpi.log" "$@"
}

# Each program moves far more than the interface may carry for mpirun itself.
for tls in rc_v ud_v; do
	for t in $(pick "pingpong rma" "ring pingpong alltoall allreduce large storm rma soak"); do
		step "$tls -np 2 $t" carried_by_verbs 20 3000000 mpi $tls 2 $t
	done
	many=$(pick "storm" "ring storm alltoall")
	# shellcheck disable=SC2086 # words
	step "$tls -np 4, $many" carried_by_verbs 100 6000000 mpi $tls 4 $many
	[ -z "$PCV_FULL" ] || step "$tls -np 4, the others" mpi $tls 4 pingpong allreduce large rma soak
done
[ -n "$PCV_SHORT" ] || step "the checks can fail" mpi rc_v 2 --self-test ring
case_end
