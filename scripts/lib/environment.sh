# shellcheck shell=bash
# Sourced by the scripts one folder up. Gives them `root` (the checkout) and `ensure_environment`.

root=$(readlink -f "${BASH_SOURCE[0]%/*}/../..")

# environment_key: what the environment is made from. Another key means that it has to be refreshed.
environment_key() {
  local key
  key=$(cat "$root/pyproject.toml" "$root"/scripts/lib/bootstrap.py "$root"/scripts/lib/pip-wheel.txt \
    "$root"/src/argosy/native/*.[ch] "$root"/src/argosy/native/{build,sources}.py | sha256sum)
  printf '%s' "${key%% *}"
}

# environment_is_ready KIND KEY: whether .venv was made for this key, by the interpreter that it still points to.
environment_is_ready() {
  local interpreter key
  { read -r interpreter && read -r key; } 2>/dev/null <"$root/.venv/$1.stamp" || return 1
  [[ $key == "$2" && "$root/.venv/bin/python" -ef $interpreter ]]
}

# find_python: prints the first Python >= 3.11 that can make an environment.
find_python() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, ssl, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      printf '%s' "$candidate"
      return
    fi
  done
  echo "argosy: needs Python 3.11 or newer with its standard library: sudo apt-get install -y python3" >&2
  return 1
}

# ensure_environment core|dev: makes or refreshes .venv unless its stamp says that nothing has changed.
# Writes nothing to standard output.
ensure_environment() {
  local key python
  key=$(environment_key)
  if ! environment_is_ready "$1" "$key"; then
    python=$(find_python)
    # -S: only the standard library, so that no installed package named `scripts` is found in place of ours.
    (cd "$root" && "$python" -E -S -m scripts.lib.bootstrap "$1" "$key")
  fi
}
