#!/bin/sh
# Writes the users of Redis, as `aclfile` wants them, from passwords in the environment:
#
#   INGESTION_PASSWORD=… PROCESSOR_PASSWORD=… GATEWAY_PASSWORD=… ADMIN_PASSWORD=… sh users.sh >users.acl
#   redis-server --aclfile users.acl
#
# A user without its password in the environment is left out. Two words in one variable are two passwords, which
# both hold: that is how they are rotated. STREAMS says which keys the streams have, as a pattern.
set -eu
streams=${STREAMS:-telemetry:*}

# user <name> <passwords> <rules>
user() {
  [ -n "$2" ] || return 0
  hashes=
  for password in $2; do hashes="$hashes #$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)"; done
  echo "user $1 reset on$hashes $3"
}

# What every client says on its connection. (CLIENT SETINFO, which some say too, is unknown to Redis 7.0: a refusal is ignored.)
connection='+hello +ping +quit +reset +info +client|id +client|setname'

echo 'user default reset off'
user admin "${ADMIN_PASSWORD:-}" 'allkeys allchannels allcommands'
# Appends, and trims by MAXLEN. It cannot read what others have sent.
user ingestion "${INGESTION_PASSWORD:-}" "$connection %W~$streams +xadd +xlen"
# Reads, acknowledges and keeps its group. Adds to the dead letters alone, and marks what it tries as suspects. It
# unblocks and kills its own connections, which Redis knows only as a right on all of them. EVAL gives no right more:
# what a script does is asked about command by command.
user processor "${PROCESSOR_PASSWORD:-}" "$connection +client|list +client|kill +client|unblock +multi +exec +discard +time +eval \
~$streams +xreadgroup +xautoclaim +xack +xpending +xgroup|create +xgroup|delconsumer \
+xinfo|stream +xinfo|groups +xinfo|consumers +xrange +xlen \
(~$streams:dlq +xadd +xlen) (~$streams:attempts +hget +hset +hdel)"
# Faces the internet, and reads. No XGROUP: whoever may move its own bookmark may move the processor's group too,
# and entries would never be read. It works without one, and says so in its log. The one key that it writes is the
# epoch of a stream, by which clients are resumed.
user live-gateway "${GATEWAY_PASSWORD:-}" "$connection +multi +exec +unwatch \
%R~$streams +xread +xinfo|stream +xinfo|groups (~$streams:live-epoch +get +set +watch)"
