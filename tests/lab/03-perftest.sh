#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# perftest: latency and bandwidth of every operation, with each of its ways.
# limit: 900
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case_begin
g0=$(gid_index node0) || die "node0 has no GID"
g1=$(gid_index node1) || die "node1 has no GID"
port=18600

# A run that printed no result line has shown nothing.
pt_once() {
	local prog=$1
	shift
	port=$((port + 1))
	pair -t 120 -p $port "$prog" -d "$PCV_DEV" -x "$g0" -F -p $port "$@" -- \
		"$prog" -d "$PCV_DEV" -x "$g1" -F -p $port "$@" "$(node_ip node0)" || {
		grep -Eq 'RDMA_CM_EVENT_(REJECTED; error: 8|UNREACHABLE; error: 1)\.' "$tmp/client" && return 2
		return 1
	}
	grep -E '^ *[0-9]+ +[0-9]+ +([0-9.]+|inf)' "$tmp/client" >"$tmp/results" || {
		echo "no result line"
		return 1
	}
	grep -Eivq 'inf|nan' "$tmp/results" || return 2
}

# `inf` is perftest's word for a clock that it could not calibrate: a busy host
# can do that to a node now and then, but not five times in a row. (Two
# programs on one CPU do it to one another always.) And with -R the server
# listens a second time on the port, later than a quick client connects: no
# such service, once in a while.
pt() {
	local i status
	for i in 1 2 3 4 5; do
		pt_once "$@"
		status=$?
		[ $status -eq 2 ] || return $status
		[ -z "$PCV_LOCAL" ] || return 0
	done
	echo "no number, or no listener, five times"
	return 1
}

# try LABEL ARGS…: run "$1 $2…" as a step named after itself.
try() { step "$*" pt "$@"; }

# One of each program, of each type of queue pair, and of each way to do it.
short() {
	local prog
	for prog in ib_send_lat ib_send_bw ib_write_lat ib_write_bw ib_read_lat ib_read_bw; do
		try $prog -s 65536 -n 20
	done
	try ib_atomic_lat -n 50
	try ib_atomic_bw -n 50 -A CMP_AND_SWAP
	try ib_send_lat -a -n 10
	try ib_send_lat -e -n 20 -s 1024
	try ib_read_bw -e -n 20 -s 1024
	try ib_write_bw -R -n 20 -s 4096
	try ib_send_bw -I 64 -s 64 -n 100
	try ib_send_bw -q 16 -n 50 -s 4096
	try ib_write_bw -b -n 50 -s 4096
	try ib_send_bw --use-srq -n 100 -s 1024
	try ib_send_lat -c UD -n 100 -s 1024
	try ib_send_bw -c UD -R -n 50 -s 512
}

if [ -n "$PCV_SHORT" ]; then
	short
	case_end
fi

iters=20
[ -z "$PCV_FULL" ] || iters=200
for prog in ib_send_lat ib_send_bw ib_write_lat ib_write_bw ib_read_lat ib_read_bw; do
	try $prog -a -n $iters
	case $prog in
	ib_write_*) ;; # perftest has no events for WRITE
	*) try $prog -e -n $iters -s 1024 ;;
	esac
	try $prog -R -n $iters -s 4096
done
for prog in ib_send_lat ib_send_bw ib_write_lat ib_write_bw; do
	try $prog -I 64 -s 64 -n 100
done
for prog in ib_atomic_lat ib_atomic_bw; do
	try $prog -n 100
	try $prog -n 50 -A CMP_AND_SWAP
	try $prog -n 50 -R
	try $prog -n 50 -e
done
for prog in ib_send_bw ib_write_bw ib_read_bw ib_atomic_bw; do
	[ $prog = ib_atomic_bw ] && s=() || s=(-s 4096)
	try $prog -q 16 -n 50 ${s[@]+"${s[@]}"}
	try $prog -b -n 50 ${s[@]+"${s[@]}"}
done
for prog in ib_send_lat ib_send_bw; do
	try $prog --use-srq -n 100 -s 1024
	try $prog -c UD -n 100 -s 1024
	try $prog -c UD -R -n 50 -s 512
	try $prog -c UD -e -n 50 -s 512
done
try ib_send_bw --use-srq -q 4 -n 50 -s 2048
try ib_send_bw -c UD -q 16 -n 50 -s 1024
try ib_send_bw -c UD -b -n 50 -s 1024
if [ -n "$PCV_FULL" ]; then
	for prog in ib_send_lat ib_send_bw; do
		try $prog -c UD -a -n $iters
		try $prog --use-srq -a -n $iters
	done
	for prog in ib_send_bw ib_write_bw ib_read_bw; do
		try $prog -a -b -n $iters
		try $prog -a -q 16 -n $iters
		[ $prog = ib_write_bw ] || try $prog -a -e -n $iters
		try $prog -a -R -n $iters
	done
	for prog in ib_send_lat ib_write_lat ib_read_lat; do
		try $prog -a -R -n $iters
	done
fi
case_end
