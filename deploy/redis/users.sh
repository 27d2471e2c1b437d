#!/bin/sh
# Prints the Redis users as an ACL file, from passwords in the environment:
#
#   INGESTION_PASSWORD=… PROCESSOR_PASSWORD=… GATEWAY_PASSWORD=… ADMIN_PASSWORD=… sh users.sh >users.acl
#   redis-server --aclfile users.acl
#
# A user without a password is omitted. Two passwords separated by a space are both valid, for rotation. STREAMS is the
# key pattern of the telemetry streams. GATEWAY_LAG_MARKERS, if not empty, allows the gateways their lag-marker groups.
set -eu
streams=${STREAMS:-telemetry:*}

# user <name> <passwords> <rules>
user() {
  [ -n "$2" ] || return 0
  hashes=
  for password in $2; do hashes="$hashes #$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)"; done
  echo "user $1 reset on$hashes $3"
}

# Commands of every connection. CLIENT SETINFO, unknown to Redis 7.0, is left out: clients ignore its refusal.
connection='+hello +ping +quit +reset +info +client|id +client|setname'

echo 'user default reset off'
user admin "${ADMIN_PASSWORD:-}" 'allkeys allchannels allcommands'
# Adds entries and trims by MAXLEN; cannot read.
user ingestion "${INGESTION_PASSWORD:-}" "$connection %W~$streams +xadd +xlen"
# Reads, acknowledges and manages its group. Writes dead letters and the attempt counters of quarantined entries. CLIENT
# UNBLOCK and KILL are for its own connections; Redis cannot limit them to those. EVAL grants nothing more: Redis checks
# each command of a script. Announces stored fixes of running events to their evaluators, and results to the gateways.
user processor "${PROCESSOR_PASSWORD:-}" "$connection +client|list +client|kill +client|unblock +multi +exec +discard +time +eval \
~$streams +xreadgroup +xautoclaim +xack +xpending +xgroup|create +xgroup|delconsumer \
+xinfo|stream +xinfo|groups +xinfo|consumers +xrange +xlen \
(~$streams:dlq +xadd +xlen) (~$streams:failed-attempts +hget +hset +hdel) \
(~stored:* +xadd +xrange +xinfo|stream +expire) (~results:* +xadd +expire)"
# Exposed to the internet, so it may only read the streams and announced results, and write the streams' epochs. An ACL
# cannot limit XGROUP to one group of a stream: with lag markers a compromised gateway could move the processor's group, and unread entries would be lost.
# Without them the gateway logs once that they are disabled: docs/decisions.md
lag_markers=
[ -z "${GATEWAY_LAG_MARKERS:-}" ] || lag_markers=" (~$streams +xgroup|create +xgroup|setid +xgroup|destroy)"
user live-gateway "${GATEWAY_PASSWORD:-}" "$connection +multi +exec +unwatch +time \
%R~$streams +xread +xinfo|stream +xinfo|groups (~$streams:live-epoch +get +set +watch) \
(%R~results:* +xread +xrevrange)$lag_markers"
