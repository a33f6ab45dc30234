#!/usr/bin/env bash
# Runs every example against a broker and says which ones fail; the exit status is their number.
#
#   examples/run-all.sh HOST PORT [LANGUAGE...]      languages: python javascript rust
#
# User guest needs all permissions on vhost /. Clients are installed under target/examples, nothing else is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $# -lt 2 ]]; then
    sed -n '2,6s/^# \{0,1\}//p' "$0"
    exit 2
fi
export AMQP_URL="amqp://guest:guest@$1:$2"
shift 2
if [[ $# -eq 0 ]]; then set -- python javascript rust; fi

work=${CARGO_TARGET_DIR:-target}/examples-run
programs=(work_queue publish_subscribe routing topics headers rpc publisher_confirms dead_letter_retry
    delayed_messages retry_with_back_off message_groups)
failed=0

prepare_python() {
    python3 -m venv "$work/venv"
    cp examples/python/requirements.txt "$work"
    (cd "$work" && venv/bin/pip install --quiet --requirement requirements.txt)
}

prepare_javascript() {
    mkdir -p "$work/javascript"
    cp examples/javascript/* "$work/javascript"
    (cd "$work/javascript" && npm install --silent --no-fund --no-audit --no-package-lock)
}

prepare_rust() {
    cargo build --release --package leveret-examples
}

command_of() {
    case $1 in
    python) echo "$work/venv/bin/python examples/python/$2.py" ;;
    javascript) echo "node $work/javascript/$2.js" ;;
    rust) echo "${CARGO_TARGET_DIR:-target}/release/$2" ;;
    esac
}

run() {
    echo "== $1: $2"
    # shellcheck disable=SC2046
    if ! timeout 60 $(command_of "$1" "$2"); then
        echo "FAILED $1: $2"
        failed=$((failed + 1))
    fi
}

mkdir -p "$work"
for language in "$@"; do
    "prepare_$language"
    for program in "${programs[@]}"; do run "$language" "$program"; done
done
echo "$((${#programs[@]} * $# - failed)) of $((${#programs[@]} * $#)) examples passed"
exit "$failed"
