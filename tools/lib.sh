# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#
# What demo and bench share: two nodes, and a server and its client on them.
# The caller sets the two below.
: "${top:?}" "${lab_name:?}"

lab() { "$top/lab/lab" --name "$lab_name" "$@"; }

# The client of a lab node must not read what is meant for the script.
on() {
	local node=$1
	shift
	lab exec "$node" -- "$@" </dev/null
}

# The index of the IPv4-mapped RoCE v2 GID of device $2 in node $1.
gid_index() {
	# shellcheck disable=SC2016
	on "$1" sh -c '
		p=/sys/class/infiniband/'"$2"'/ports/1
		for f in $(ls $p/gids | sort -n); do
			type=$(cat $p/gid_attrs/types/$f 2>/dev/null) || continue
			case "$type/$(cat $p/gids/$f)" in
			"RoCE v2"/0000:0000:0000:0000:0000:ffff:*) echo $f; exit 0 ;;
			esac
		done
		exit 1'
}

# Until something in node0 takes connections on that port, over TCP or by
# rdma_cm; 5 s at most. The waiting is done over there: a command costs more.
listening() {
	# shellcheck disable=SC2016
	on node0 sh -c '
		for i in $(seq 50); do
			grep -q "$1" /proc/net/tcp /proc/net/tcp6 && exit 0
			[ $((i % 4)) -ne 0 ] || ! rdma resource show cm_id lport $2 2>/dev/null |
				grep -q LISTEN || exit 0
			sleep 0.05
		done
		exit 1' sh "$(printf ':%04X 0*:0000 0A' "$1")" "$1"
}

# pair PORT OUTPUT SERVER… -- CLIENT…: the server in node0, and once it listens
# the client in node1, whose output goes to OUTPUT (the server's to
# OUTPUT.server). Return: 0 if both ended well.
pair() {
	local port=$1 output=$2 server=() pid status=0
	shift 2
	while [ "$1" != -- ]; do
		server+=("$1")
		shift
	done
	shift
	# Not by way of a function: its pid must be that of the client.
	"$top/lab/lab" --name "$lab_name" exec -n node0 -- timeout -k 2 "${pair_limit:-60}" \
		"${server[@]}" >"$output.server" 2>&1 &
	pid=$!
	listening "$port"
	on node1 timeout -k 2 "${pair_limit:-60}" "$@" >"$output" 2>&1 || status=$?
	# A client that failed leaves a server that waits for nothing.
	[ "$status" -eq 0 ] || kill "$pid" 2>/dev/null
	wait "$pid" || [ "$status" -ne 0 ] || status=1
	return "$status"
}

# The numbers of perftest's last line of results.
perftest_line() { grep -E '^ *[0-9]+ +[0-9]+ +[0-9.]+' "$1" | tail -n 1; }

# Its own clock check failed: nothing was measured, nothing is wrong.
perftest_unsure() { grep -Eiq 'correlation coefficient|(^|[^a-z])(inf|nan)([^a-z]|$)' "$@"; }
