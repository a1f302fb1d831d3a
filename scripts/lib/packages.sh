# shellcheck shell=bash
# Sourced by scripts/test and scripts/bench after environment.sh: the system packages and referees that tests use.

# shellcheck disable=SC2154  # root comes from environment.sh
test_packages=$root/scripts/lib/test-packages.txt
restic_018=$root/.cache/referees/restic-0.18/usr/bin/restic
policy=/usr/sbin/policy-rc.d
policy_mark='# argosy scripts/test: no service starts while packages for tests are installed'

# missing_packages always|long: prints the packages whose probe is not there, one a line.
missing_packages() {
  local package probe when
  while read -r package probe when _; do
    [[ $package == \#* || ($when == long && $1 != long) ]] && continue
    [[ -e $probe ]] || PATH=$PATH:/usr/sbin:/sbin command -v "$probe" >/dev/null || echo "$package"
  done <"$test_packages"
}

# name_missing PACKAGE...: says on standard error what is missing, what for, and how to install it.
name_missing() {
  local package probe when reason
  echo "Not installed, so tests that need them are skipped:" >&2
  while read -r package probe when reason; do
    [[ " $* " == *" $package "* ]] && printf '  %-24s %s\n' "$package" "$reason" >&2
  done <"$test_packages"
  echo "To install them: sudo apt-get install -y --no-install-recommends $*" >&2
}

# may_install: whether this user may install system packages without being asked anything.
may_install() {
  command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# install_packages PACKAGE...: installs them with service starts blocked. Runs in a subshell for the sake of its trap.
install_packages() (
  if [[ ! -e $policy ]] || grep -qF "$policy_mark" "$policy"; then
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | as_root install -m 755 /dev/stdin "$policy"
  fi
  # An update that fails in part (another is running, one source is down) may still be enough for the installation.
  as_root apt-get -qq update >&2 || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "$@" >&2
)

# find_referees: exports where the tests find restic, unless the caller has set it:
# ARGOSY_TEST_RESTIC, the system's; ARGOSY_TEST_RESTIC_018, one of version 0.18 or newer.
find_referees() {
  local system
  system=$(command -v restic || true)
  if [[ -z ${ARGOSY_TEST_RESTIC:-} && -n $system ]]; then
    export ARGOSY_TEST_RESTIC=$system
  fi
  if [[ -z ${ARGOSY_TEST_RESTIC_018:-} ]]; then
    if [[ -x $restic_018 ]]; then
      export ARGOSY_TEST_RESTIC_018=$restic_018
    elif [[ -n $system ]] && is_018 "$system"; then
      export ARGOSY_TEST_RESTIC_018=$system
    fi
  fi
}

# is_018 PROGRAM: whether it is restic 0.18 or newer.
is_018() {
  [[ $("$1" version 2>/dev/null) =~ ^restic\ ([0-9]+)\.([0-9]+) ]] &&
    ((BASH_REMATCH[1] > 0 || BASH_REMATCH[2] >= 18))
}

# debian_mirrors WORK: prints the addresses that may serve Debian, from the machine's own apt configuration. The empty
# lists in WORK spare it the machine's lock, and the machine need not have updated its own.
debian_mirrors() {
  if [[ -n ${ARGOSY_TEST_DEBIAN_MIRROR:-} ]]; then
    echo "$ARGOSY_TEST_DEBIAN_MIRROR"
  fi
  mkdir -p "$1/no-lists/partial"
  # Suites with a dash are security, updates and backports, or a vendor's.
  apt-get -o "Dir::State::lists=$1/no-lists" update --print-uris |
    sed -nE "s,^'([^']+)/dists/[^-/']+/InRelease'.*,\1,p" | awk '!seen[$0]++'
}

# fetch_restic_018: unpacks Debian 13's restic below .cache, where it stays; installs nothing and needs no root. apt
# checks the archive's signature. Fails when no source of this machine has it.
fetch_restic_018() (
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  if ! command -v apt-get >/dev/null || [[ ! -e $keyring ]]; then
    echo "restic 0.18 needs apt-get and the package debian-archive-keyring." >&2
    return 1
  fi
  mkdir -p "$root/.cache/referees"
  work=$(mktemp -d "$root/.cache/referees/draft.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  while read -r mirror; do
    if unpack_restic_018 "$work" "$mirror" "$keyring" >"$work/log" 2>&1; then
      rm -rf "${restic_018%/usr/bin/restic}"
      mv "$work/unpacked" "${restic_018%/usr/bin/restic}"
      return 0
    fi
    echo "$mirror gives no restic 0.18: $(grep -m 1 -E '^(W|E|restic)' "$work/log")" >&2
  done < <(debian_mirrors "$work")
  echo "No package source of this machine has restic 0.18 (Debian 13). Set ARGOSY_TEST_DEBIAN_MIRROR to a Debian" \
    "mirror, or ARGOSY_TEST_RESTIC_018 to the program." >&2
  return 1
)

# unpack_restic_018 WORK MIRROR KEYRING: by an apt whose state, cache and sources all lie in WORK.
unpack_restic_018() {
  local architecture options
  architecture=$(dpkg --print-architecture) || return
  mkdir -p "$1"/{lists/partial,cache/archives/partial,unpacked} || return
  : >"$1/status"
  echo "deb [arch=$architecture signed-by=$3] $2 trixie main" >"$1/sources.list"
  options=(
    -o "Dir::State::lists=$1/lists" -o "Dir::State::status=$1/status" -o "Dir::Cache=$1/cache"
    -o "Dir::Etc::sourcelist=$1/sources.list" -o Dir::Etc::sourceparts=-
    -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=-
    # apt's own user may not enter the checkout.
    -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2
    -o Acquire::AllowInsecureRepositories=false -o APT::Get::AllowUnauthenticated=false
  )
  # The machine's own after-update hooks may fail without root; whether the package can be had is what counts.
  apt-get "${options[@]}" update || true
  (cd "$1" && apt-get "${options[@]}" download restic) || return
  dpkg -x "$1"/restic_*.deb "$1/unpacked" || return
  is_018 "$1/unpacked/usr/bin/restic" || { "$1/unpacked/usr/bin/restic" version; return 1; }
}
