#!/bin/sh
# Copies Temml, which turns the TeX of answers into MathML, from npm into public/vendor/: exactly
# the version whose checksum is in package-lock.json. Its folder is named after that version, so
# that browsers may keep it for good. A deployment does so when it is built (`buildCommand` in
# vercel.json). Git ignores the files, because they were not written here; without them the chat
# shows the TeX itself.
set -eu
cd "$(dirname "$0")"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
from=node_modules/temml
version=$(sed -n 's/^ *"version": "\([0-9.]*\)",*$/\1/p' "$from/package.json")
to="../public/vendor/temml-$version"
rm -rf ../public/vendor/temml-*
mkdir -p "$to"
cp "$from/LICENSE" "$to/"
cp "$from/dist/Temml-Local.css" "$to/temml.css"
# The package's module is not minified: two and a half times the size of its script for a page. So
# that script becomes a module here.
{
    cat "$from/dist/temml.min.js"
    printf '\nexport default temml;\n'
} >"$to/temml.js"
