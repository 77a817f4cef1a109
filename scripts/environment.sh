# Sourced by the other scripts: makes the virtual environments that they run in.
#
#   environment NAME    makes .cache/venv/NAME from requirements/NAME.txt where it is missing or
#                       out of date, and sets $venv to it
#
# It needs a Python from 3.11 to 3.14 with its venv module, and the package index that pip is
# configured for. PYTHON=/path/to/python chooses one. Every package comes from a lock with hashes,
# as a wheel: nothing is compiled, nothing outside .cache is written.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"

# A user's own Python and pip settings must not lead into or out of the environment.
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Where Debian keeps nginx, nft and ip, for users whose PATH leaves it out.
PATH=$PATH:/usr/sbin:/sbin

say() { printf '==> %s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints VERSION and whether it has venv, as "3.13 yes"; fails where it is no Python at all.
_describe() {
  "$1" -c 'import importlib.util as i, sys
print("%d.%d" % sys.version_info[:2], "yes" if i.find_spec("ensurepip") else "no")' 2>/dev/null
}

_find_python() {
  local candidate described found="" candidates=(python3 python3.14 python3.13 python3.12 python3.11)
  [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    described=$(_describe "$candidate") || continue
    case $described in
      3.1[1-4]" yes") python=$(command -v "$candidate"); return ;;
      3.1[1-4]" no") found="$candidate has no venv module: apt-get install python${described% no}-venv" ;;
      *) found=${found:-"$candidate is Python ${described% *}: install a newer one"} ;;
    esac
  done
  fail "no Python from 3.11 to 3.14 to work with (${found:-${PYTHON:-python3} is none}); PYTHON=/path/to/python $0 names one"
}

# Reads pip's output: keeps it in a file, and shows that something is happening.
_progress() {
  local line count=0
  while IFS= read -r line; do
    printf '%s\n' "$line" >>"$1"
    [[ $line == Collecting* ]] || continue
    count=$((count + 1))
    ((count % 25)) || printf '    %d packages\n' "$count"
  done
}

_pip() {
  local log=$1
  shift
  "$venv/bin/python" -m pip install --progress-bar off --no-deps "$@" 2>&1 | _progress "$log" && return
  grep -E '^ *ERROR' "$log" | tail -n 3 >&2 || true
  fail "pip could not install what $venv needs; all it said is in $log"
}

# What an environment is made of: when any of it changes, the environment is made anew.
_fingerprint() {
  { "$python" -VV; printf '%s\n' "$python" "$root"; cat "requirements/$1.txt" pyproject.toml scripts/environment.sh; } | sha256sum
}

environment() {
  local name=$1 log fingerprint
  [ -n "${python:-}" ] || _find_python
  venv=$root/.cache/venv/$name
  log=$venv.log
  mkdir -p .cache/venv
  # Two scripts started at once make it once.
  exec 9>"$venv.lock"
  flock 9
  fingerprint=$(_fingerprint "$name")
  if [ "$(cat "$venv/fingerprint" 2>/dev/null)" != "$fingerprint" ]; then
    say "Making the environment .cache/venv/$name with $("$python" -V) (once; about a minute)"
    rm -rf "$venv" "$log"
    "$python" -m venv "$venv" >"$log" 2>&1 || fail "$python could not make a virtual environment; all it said is in $log"
    _pip "$log" --require-hashes --only-binary :all: -r "requirements/$name.txt"
    # The AWS CLI's environment has nothing of ours.
    [ "$name" = aws-cli ] || _pip "$log" --no-index --no-build-isolation --editable .
    printf '%s\n' "$fingerprint" >"$venv/fingerprint"
  fi
  exec 9>&-
}
