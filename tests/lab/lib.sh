# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# What the lab cases share. A case sources this file, calls case_begin, runs
# its steps and ends with case_end.
#
#   PCV_LAB_NAME  the running lab to use; unset: the case brings up its own
#   PCV_LOCAL=1   no lab: both "nodes" are this machine (to try the cases on
#                 another verbs device)
#   PCV_DEV       RDMA device (pcv0)      PCV_NETDEV  its interface (pcie0)
#   PCV_IP0 PCV_IP1  addresses of the two nodes
#   PCV_FULL=1    the full matrix instead of the quick one
#   PCV_SHORT=1   something of everything, where the quick one takes too long
#   PCV_SLOW=N    multiplies every time limit (a debug kernel)

set -uo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lab=$top/lab/lab
bin=$top/build/lab-tests
: "${PCV_DEV:=pcv0}" "${PCV_NETDEV:=pcie0}" "${PCV_SLOW:=1}" "${PCV_FULL:=}" "${PCV_SHORT:=}" "${PCV_LOCAL:=}"
: "${PCV_IP0:=10.77.0.1}" "${PCV_IP1:=10.77.0.2}"
export PCV_DEV

case_name=$(basename "$0" .sh)
case_failed=0
case_steps=0
case_own_lab=
case_pids=()
tmp=

say() { printf '%s\n' "$*"; }
skip() { say "skip: $*"; case_cleanup; trap - EXIT; exit 77; }
die() { say "FAIL: $*"; exit 1; }

case_cleanup() {
	local pid
	for pid in ${case_pids[@]+"${case_pids[@]}"}; do
		kill "$pid" 2>/dev/null
	done
	case_pids=()
	[ -z "$tmp" ] || rm -rf "$tmp"
	if [ -n "$case_own_lab" ]; then
		"$lab" --name "$PCV_LAB_NAME" down >/dev/null 2>&1
		case_own_lab=
	fi
}

case_begin() {
	tmp=$(mktemp -d)
	trap case_cleanup EXIT
	trap 'exit 130' INT TERM
	make -s -C "$top/tests/lab" >&2 || die "the helpers do not build"
	[ -z "$PCV_LOCAL" ] || return 0
	[ -x "$lab" ] || skip "there is no lab command"
	if [ -z "${PCV_LAB_NAME:-}" ]; then
		PCV_LAB_NAME=case-$$
		case_own_lab=1
		# shellcheck disable=SC2086
		"$lab" --name "$PCV_LAB_NAME" up ${PCV_LAB_ARGS:-} >&2 ||
			die "the lab did not come up"
	fi
}

case_end() {
	if [ -n "$case_own_lab" ] && ! "$lab" --name "$PCV_LAB_NAME" check; then
		say "FAIL kernel log"
		case_failed=$((case_failed + 1))
	fi
	say "$case_name: $case_steps steps, $case_failed failed"
	[ "$case_steps" -gt 0 ] && [ "$case_failed" -eq 0 ]
	exit $?
}

# step LABEL CMD…: one line; its output only if it fails.
step() {
	local label=$1 start status=0
	shift
	start=$(date +%s%3N)
	case_steps=$((case_steps + 1))
	"$@" >"$tmp/step" 2>&1 || status=$?
	printf '%s %s (%d ms)\n' "$([ $status -eq 0 ] && echo ok || echo FAIL)" \
		"$label" $(($(date +%s%3N) - start))
	[ $status -eq 0 ] && [ -z "${PCV_VERBOSE:-}" ] || sed 's/^/    /' "$tmp/step"
	[ $status -eq 0 ] || case_failed=$((case_failed + 1))
	return $status
}

# node_argv NODE CMD…: the command line that runs CMD there, in $argv.
node_argv() {
	local node=$1
	shift
	if [ -n "$PCV_LOCAL" ]; then
		argv=("$@")
	else
		argv=("$lab" --name "$PCV_LAB_NAME" exec -e "PCV_DEV=$PCV_DEV"
			-e "PCV_SLOW=$PCV_SLOW" "$node" -- "$@")
	fi
}

# pick SHORT ELSE
pick() { [ -n "$PCV_SHORT" ] && echo "$1" || echo "$2"; }

node_exec() {
	local argv
	node_argv "$@"
	"${argv[@]}" </dev/null
}

node_sh() { node_exec "$1" bash -c "$2"; }
node_ip() { [ "$1" = node0 ] && echo "$PCV_IP0" || echo "$PCV_IP1"; }

# gid_index NODE: of the IPv4-mapped RoCE v2 GID.
gid_index() {
	node_sh "$1" '
		p=/sys/class/infiniband/'"$PCV_DEV"'/ports/1
		for f in $(ls $p/gids | sort -n); do
			type=$(cat $p/gid_attrs/types/$f 2>/dev/null) || continue
			case "$type/$(cat $p/gids/$f)" in
			"RoCE v2"/0000:0000:0000:0000:0000:ffff:*) echo $f; exit 0 ;;
			esac
		done
		echo "no IPv4-mapped RoCE v2 GID" >&2
		exit 1'
}

# listening NODE PORT: over TCP, or as an rdma_cm id.
listening() {
	node_sh "$1" "
		[ -n \"\$(ss -Hltn 'sport = :$2' 2>/dev/null)\" ] ||
		rdma resource show cm_id 2>/dev/null | grep -q 'state LISTEN .*src-addr [^ ]*:$2 '"
}

# wait_until SECONDS CMD…: a condition, asked for again and again.
wait_until() {
	local end=$(($(date +%s) + $1 * PCV_SLOW))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

server_ready() { ! kill -0 "$1" 2>/dev/null || listening "$2" "$3"; }

# start_on NODE LOG CMD…: in the background; its pid in $started.
start_on() {
	local node=$1 log=$2 argv
	shift 2
	node_argv "$node" "$@"
	"${argv[@]}" >"$log" 2>&1 </dev/null &
	started=$!
	case_pids+=("$started")
}

forget_pid() {
	local pid keep=()
	for pid in ${case_pids[@]+"${case_pids[@]}"}; do
		[ "$pid" = "$1" ] || keep+=("$pid")
	done
	case_pids=(${keep[@]+"${keep[@]}"})
}

# finish PID SECONDS: the status of a background command, killed when late.
finish() {
	local end=$(($(date +%s) + $2)) status
	while kill -0 "$1" 2>/dev/null; do
		if [ "$(date +%s)" -ge "$end" ]; then
			echo "did not end within $2 s"
			kill "$1" 2>/dev/null
			sleep 1
			kill -9 "$1" 2>/dev/null
			break
		fi
		sleep 0.05
	done
	wait "$1" 2>/dev/null
	status=$?
	forget_pid "$1"
	return $status
}

# pair [-t SECONDS] [-p PORT] [-s NODE] [-c NODE] SERVER… -- CLIENT…
# The server on node0 (-s), and once it listens the client on node1 (-c). Both
# must end with status 0; both outputs end up on stdout and in $tmp/server and
# $tmp/client. A server that is killed with the client's success as its cue
# (daemons) is not a pair.
pair() {
	local limit=60 port=18515 snode=node0 cnode=node1 server=() spid ss cs
	while :; do
		case $1 in
		-t) limit=$2 ;;
		-p) port=$2 ;;
		-s) snode=$2 ;;
		-c) cnode=$2 ;;
		*) break ;;
		esac
		shift 2
	done
	limit=$((limit * PCV_SLOW))
	while [ "$1" != -- ]; do
		server+=("$1")
		shift
	done
	shift
	start_on "$snode" "$tmp/server" timeout -k 2 "$limit" "${server[@]}"
	spid=$started
	if ! wait_until 20 server_ready "$spid" "$snode" "$port" ||
		! kill -0 "$spid" 2>/dev/null; then
		echo "the server never listened on port $port"
		finish "$spid" 0 >/dev/null
		cat "$tmp/server"
		return 1
	fi
	node_exec "$cnode" timeout -k 2 "$limit" "$@" >"$tmp/client" 2>&1
	cs=$?
	# A failed client leaves a server that waits for nothing.
	finish "$spid" "$([ $cs -eq 0 ] && echo 20 || echo 3)"
	ss=$?
	[ $cs -eq 0 ] && [ $ss -eq 0 ] && { cat "$tmp/client"; return 0; }
	echo "server: ${server[*]}: status $ss"
	tail -n 40 "$tmp/server"
	echo "client: $*: status $cs"
	tail -n 40 "$tmp/client"
	return 1
}

# Operations and datagrams that the device counted on a node, both ways.
# (The second line of names is for other devices.)
verbs_count() {
	node_sh "$1" '
		cd /sys/class/infiniband/'"$PCV_DEV"'/ports/1/hw_counters || exit 1
		sum=0
		for f in tx_fast tx_send tx_write tx_read tx_atomic tx_ud rx_requests rx_ud \
			sent_pkts rcvd_pkts; do
			[ ! -e $f ] || { read -r v <$f && sum=$((sum + v)); }
		done
		echo $sum'
}

netdev_bytes() {
	node_sh "$1" 'cd /sys/class/net/'"$PCV_NETDEV"'/statistics &&
		echo $(($(cat rx_bytes) + $(cat tx_bytes)))'
}

# carried_by_verbs LEAST MOST CMD…: CMD raises the device's counters by LEAST
# or more on each node, and the interface carries no more than MOST bytes.
carried_by_verbs() {
	local least=$1 most=$2 node status n=0 v w
	local -a verbs bytes
	shift 2
	for node in node0 node1; do
		verbs[n]=$(verbs_count $node) && bytes[n]=$(netdev_bytes $node) || return 1
		n=$((n + 1))
	done
	"$@"
	status=$?
	n=0
	for node in node0 node1; do
		v=$(($(verbs_count $node) - verbs[n]))
		w=$(($(netdev_bytes $node) - bytes[n]))
		echo "$node: device counters +$v, $PCV_NETDEV +$w bytes"
		if [ "$v" -lt "$least" ]; then
			echo "$node: expected the device to count $least or more"
			status=1
		fi
		if [ "$w" -gt "$most" ]; then
			echo "$node: expected no more than $most bytes on $PCV_NETDEV"
			status=1
		fi
		n=$((n + 1))
	done
	return $status
}

# resources NODE: what is open on the device, as one line to compare.
resources() { node_exec "$1" rdma resource show "$PCV_DEV" | sed 's/^[0-9]*: *//'; }

resources_are() { [ "$(resources "$1")" = "$2" ]; }

# idle_again NODE LINE: what was open has been closed, at once or very soon.
idle_again() {
	wait_until 10 resources_are "$1" "$2" && return 0
	echo "$1: was: $2"
	echo "$1: is:  $(resources "$1")"
	return 1
}

# reloads NODE COUNT: pcieverbs goes and comes there, with its device. Its users must have gone.
reloads() {
	node_sh "$1" '
		for ((i = 0; i < '"$2"'; i++)); do
			timeout '$((30 * PCV_SLOW))' rmmod pcieverbs || { echo "round $i: rmmod"; exit 1; }
			/run/lab/node-up again || { echo "round $i: load"; exit 1; }
			/run/lab/node-up wait '$((20 * PCV_SLOW))' || { echo "round $i: no link"; exit 1; }
		done'
}
