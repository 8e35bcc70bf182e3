#!/usr/bin/env bash
# Go on with a sweep that the storage has, or start it: what a queue may run again as often as it likes.
# Usage: start_or_resume.sh NAME ADDRESS STORAGE [options of a new sweep]
# Ends with run_sweep.py's exit code: 0 done, 1 no result, 2 the request is wrong, 130 interrupted.
set -u
if [ "$#" -lt 3 ]; then
    echo "usage: start_or_resume.sh NAME ADDRESS STORAGE [options of a new sweep]" >&2
    exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
name=$1
cluster=(--address "$2" --storage "$3")
shift 3

interrupted=
driver=
# The shell itself must outlive the signal: the sweep saves its state and says with its exit code that it did.
trap 'interrupted=yes; [ -z "$driver" ] || kill -TERM "$driver"' TERM INT

run_sweep() {
    [ -z "$interrupted" ] || return 130
    python run_sweep.py "$@" "${cluster[@]}" &
    driver=$!
    local code=0
    wait "$driver" || code=$?
    while [ "$code" -gt 128 ] && kill -0 "$driver" 2>/dev/null; do  # a signal ended the wait, not the sweep
        code=0
        wait "$driver" || code=$?
    done
    driver=
    return "$code"
}

code=0
run_sweep resume "$name" || code=$?
# 2: the storage has no such run. Where something else is wrong with the request, starting says so and is 2 again.
if [ "$code" -eq 2 ]; then
    code=0
    run_sweep --name "$name" "$@" || code=$?
fi
exit "$code"
