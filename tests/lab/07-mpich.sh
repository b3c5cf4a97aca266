#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# MPICH over UCX rc_verbs and ud_verbs, all of mpi-tests.
# limit: 600
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
[ -z "$PCV_LOCAL" ] || skip "needs the lab's mpirun"

mpich() {
	local tls=$1 np=$2
	shift 2
	UCX_TLS=$tls,self UCX_NET_DEVICES=$PCV_DEV:1 \
		MPIRUN="$lab --name $PCV_LAB_NAME mpirun --mpich" MPI_TESTS_BIN=$top/build/mpich-tests \
		"$top/mpi-tests/run" -np "$np" --timeout $((240 * PCV_SLOW)) --log "$tmp/mpi.log" "$@"
}

step "built with its compiler" make -s -C "$top/mpi-tests" mpich
# Each program moves far more than the interface may carry for mpirun itself.
for t in $(pick "pingpong rma" "ring pingpong alltoall allreduce large storm rma soak"); do
	step "rc_v -np 2 $t" carried_by_verbs 20 3000000 mpich rc_v 2 $t
done
step "ud_v -np 2" carried_by_verbs 100 6000000 mpich ud_v 2 pingpong storm
step "rc_v -np 4" carried_by_verbs 100 6000000 mpich rc_v 4 storm
case_end
