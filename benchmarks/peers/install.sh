#!/usr/bin/env bash
# An environment of its own for a peer library: install.sh NAME, where NAME.txt lists its packages, all of them pinned.
# It goes to .cache/peers/NAME; nothing is done if it is there already for these very packages.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=${1:?usage: install.sh NAME, one of: $(cd "$here" && ls ./*.txt | sed 's|./||; s|.txt||' | tr '\n' ' ')}
packages=$here/$name.txt
place=$(cd "$here/../.." && pwd)/.cache/peers/$name
stamp=$place/installed-$(sha256sum < "$packages" | cut -c 1-16)
[ -e "$stamp" ] && exit

# Without byte-code every start of these libraries would be several times slower.
unset PYTHONDONTWRITEBYTECODE
"${PYTHON:-python3.11}" -m venv --clear "$place"
"$place/bin/python" -m pip install --quiet --disable-pip-version-check --compile --no-deps -r "$packages"
touch "$stamp"
