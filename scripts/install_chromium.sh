#!/usr/bin/env bash
# Chromium and CJK fonts for the browser tests, from Debian's packages; only if absent.
set -euo pipefail
missing=()
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
fc-list 2>/dev/null | grep -qi 'noto.*cjk' || missing+=(fonts-noto-cjk)
[ ${#missing[@]} -eq 0 ] && exit 0
command -v apt-get >/dev/null || { echo "vademecum: the browser tests need ${missing[*]}; install them with your package manager." >&2; exit 2; }
sudo=(); [ "$(id -u)" -eq 0 ] || sudo=(sudo)
echo "installing system packages for the browser tests: ${missing[*]}"
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "${missing[@]}" >/dev/null
